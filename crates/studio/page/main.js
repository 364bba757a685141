// Tabs, and the parts behind them. Each part is loaded when it is first shown.

import * as language from "./language.js";
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
// On a phone the controls are a sheet at the bottom, which this button opens and closes.
for (const button of document.querySelectorAll(".sheet")) {
  button.addEventListener("click", () => {
    const open = button.closest(".controls").classList.toggle("open");
    button.setAttribute("aria-expanded", String(open));
  });
}

language.begin();
theme.begin();
// After # there may be more than the name of a part.
const tabOfAddress = () => tabs.find((tab) => tab.getAttribute("aria-controls") === location.hash.slice(1).split("/")[0]) ?? tabs[0];
addEventListener("hashchange", () => show(tabOfAddress(), false));
show(tabOfAddress(), false);
