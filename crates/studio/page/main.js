// Tabs, and the parts behind them. Each part is loaded when it is first shown.

import * as theme from "./theme.js";

const parts = {
  field: () => import("./playground.js"),
  generate: () => import("./generate.js"),
  training: () => import("./training.js"),
};
const begun = new Map();
const tabs = [...document.querySelectorAll('[role="tab"]')];

function show(tab, focus) {
  for (const other of tabs) {
    const chosen = other === tab;
    other.setAttribute("aria-selected", String(chosen));
    other.tabIndex = chosen ? 0 : -1;
    document.getElementById(other.getAttribute("aria-controls")).hidden = !chosen;
  }
  if (focus) tab.focus();
  const name = tab.getAttribute("aria-controls");
  if (!begun.has(name)) begun.set(name, parts[name]().then((part) => part.begin()));
  document.dispatchEvent(new CustomEvent("part", { detail: name }));
}

for (const [at, tab] of tabs.entries()) {
  tab.addEventListener("click", () => {
    history.replaceState(null, "", `#${tab.getAttribute("aria-controls")}`);
    show(tab, false);
  });
  tab.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) show(tabs[(at + step + tabs.length) % tabs.length], true);
  });
}
theme.begin();
show(tabs.find((tab) => `#${tab.getAttribute("aria-controls")}` === location.hash) ?? tabs[0], false);
