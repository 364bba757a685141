// The language of the interface: the browser's, until another one is chosen. The words are in words/, one file per language.

import en from "./words/en.js";
import reasons from "./words/reasons-zh.js";
import zh from "./words/zh.js";

const tables = { en, zh };
const $ = (id) => document.getElementById(id);
let now = "en";

// Returns a text in the present language. A text with values is a function of them.
export function t(key, ...values) {
  const word = tables[now][key];
  return typeof word === "function" ? word(...values) : word;
}

// Returns the server's reason of an error in the present language. One that is not in the table stays English, and is announced as such.
export function reason(text) {
  if (now === "en") return text;
  for (const [pattern, write] of reasons) {
    const found = text.match(pattern);
    if (found) return write(...found.slice(1));
  }
  return t("english-reason", text);
}

// Returns the texts of a tour: { name, steps: [[title, text], ...] }.
export const tourWords = (name) => tables[now].tours[name];

export function begin() {
  const browser = (navigator.languages ?? [navigator.language]).find((tag) => /^(en|zh)/i.test(tag)) ?? "en";
  use(localStorage.getItem("language") ?? browser.slice(0, 2).toLowerCase());
  $("language").addEventListener("click", () => {
    const next = now === "en" ? "zh" : "en";
    localStorage.setItem("language", next);
    use(next);
  });
}

// Texts of the page have their key in data-t, names for screen readers in data-t-name.
function use(language) {
  now = language in tables ? language : "en";
  document.documentElement.lang = now === "zh" ? "zh-CN" : "en";
  for (const element of document.querySelectorAll("[data-t]")) element.textContent = t(element.dataset.t);
  for (const element of document.querySelectorAll("[data-t-name]")) element.setAttribute("aria-label", t(element.dataset.tName));
  document.dispatchEvent(new CustomEvent("language"));
}
