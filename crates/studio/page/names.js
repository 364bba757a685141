// Names of classes for data sets that only number them.

import { t } from "./language.js";

// The name of each class of a run, in the run's order.
export function classNames({ name, data, classes }) {
  const isNumbered = classes.length === 10 && classes.every((label, at) => label === String(at));
  if (isNumbered && /fashion/i.test(`${name} ${data}`)) return t("fashion-classes");
  if (isNumbered && /cifar-?10\b/i.test(`${name} ${data}`)) return t("cifar10-classes");
  return classes;
}
