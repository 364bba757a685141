// Names of classes for data sets that only number them.

const FASHION = ["T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"];
const CIFAR10 = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

// The name of each class of a run, in the run's order.
export function classNames({ name, data, classes }) {
  const isNumbered = classes.length === 10 && classes.every((label, at) => label === String(at));
  if (isNumbered && /fashion/i.test(`${name} ${data}`)) return FASHION;
  if (isNumbered && /cifar-?10\b/i.test(`${name} ${data}`)) return CIFAR10;
  return classes;
}
