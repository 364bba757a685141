// Light and dark theme, and full screen. The system's theme holds until another one is chosen.

const $ = (id) => document.getElementById(id);
const system = matchMedia("(prefers-color-scheme: light)");

export const isLight = () => document.documentElement.dataset.theme === "light";

export function begin() {
  apply(localStorage.getItem("theme"));
  system.addEventListener("change", () => apply(localStorage.getItem("theme")));
  $("theme").addEventListener("click", () => {
    const next = isLight() ? "dark" : "light";
    localStorage.setItem("theme", next);
    apply(next);
  });
  $("full").hidden = !document.fullscreenEnabled;
  $("full").addEventListener("click", () => {
    if (document.fullscreenElement) document.exitFullscreen();
    else document.documentElement.requestFullscreen();
  });
  document.addEventListener("fullscreenchange", () => {
    $("full").textContent = document.fullscreenElement ? "Exit full screen" : "Full screen";
  });
}

function apply(chosen) {
  const theme = chosen ?? (system.matches ? "light" : "dark");
  document.documentElement.dataset.theme = theme;
  $("theme").textContent = theme === "light" ? "Dark theme" : "Light theme";
  document.dispatchEvent(new CustomEvent("theme"));
}
