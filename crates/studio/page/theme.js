// Themes, and full screen. The system's theme holds until another one is chosen.

import { t } from "./language.js";

const $ = (id) => document.getElementById(id);
const system = matchMedia("(prefers-color-scheme: light)");
const DARK = {
  ground: "#070912",
  // The potential, from low to high in equal steps of lightness.
  map: [[8, 9, 22], [26, 24, 66], [61, 31, 108], [112, 38, 120], [166, 50, 110], [214, 79, 84], [242, 130, 60], [251, 189, 92], [252, 241, 178]],
  mapAlpha: 0.78,
  line: ["#e0ecff", 0.62], contour: ["#9fd0ff", 0.8], charge: ["#fff4d6", "#3b1c00"], particle: ["#8ff0ff", "#00323a"], chosen: "#ffb454", cross: "#ffffff",
  floor: ["#6b80b8", 0.32], dome: ["#7dc4ff", 0.3], level: ["#ffb554", 0.75], spaceLine: ["#cce0ff", 0.5], spaceCharge: "#ffdb99", spaceParticle: "#80f0ff",
  series: ["#ff7a9c", "#ffd166", "#8be9a8", "#c7a6ff"],
  curves: ["#7cc4ff", "#ffb454", "#7fe0b0", "#ff7a9c", "#c7a6ff", "#f2e36b", "#6fd6e8", "#ff9e7a"],
  axis: "#aab4d0", grid: "#28314d", size: 1,
};
const LIGHT = {
  ground: "#ffffff",
  map: [[255, 255, 255], [255, 250, 238], [255, 241, 214], [254, 227, 180], [254, 207, 144], [253, 182, 112], [250, 151, 86], [240, 116, 62], [222, 84, 44]],
  mapAlpha: 0.85,
  line: ["#1d2b4f", 0.5], contour: ["#0b4f99", 0.8], charge: ["#7a1500", "#ffffff"], particle: ["#0a5fd0", "#ffffff"], chosen: "#b35c00", cross: "#000000",
  floor: ["#6b7896", 0.4], dome: ["#1f5f9e", 0.34], level: ["#b35c00", 0.9], spaceLine: ["#1d2b4f", 0.42], spaceCharge: "#9c2205", spaceParticle: "#0a5fd0",
  series: ["#c01f4e", "#8a6100", "#11794b", "#6d3fc0"],
  curves: ["#0b66b3", "#b35c00", "#11794b", "#c01f4e", "#6d3fc0", "#7a6a00", "#0f7585", "#b0431a"],
  axis: "#4a5573", grid: "#d5dbe8", size: 1,
};
// Light, with thick lines and large points: a projector shows dark colors as gray.
const PROJECTOR = {
  ...LIGHT,
  mapAlpha: 1, line: ["#000000", 0.6], spaceLine: ["#000000", 0.55], dome: ["#0a4a8a", 0.55], floor: ["#404a60", 0.5], particle: ["#0047c2", "#ffffff"], spaceParticle: "#0047c2",
  axis: "#000000", grid: "#b9c2d3", size: 1.6,
};
const palettes = { dark: DARK, light: LIGHT, projector: PROJECTOR };

// Colors of pictures, and the size of their points and lines, in the present theme.
export const palette = () => palettes[document.documentElement.dataset.theme];

export function begin() {
  apply(localStorage.getItem("theme"));
  system.addEventListener("change", () => apply(localStorage.getItem("theme")));
  for (const radio of document.querySelectorAll('[name="theme"]')) {
    radio.addEventListener("change", () => {
      localStorage.setItem("theme", radio.value);
      apply(radio.value);
    });
  }
  $("full").hidden = !document.fullscreenEnabled;
  $("full").addEventListener("click", () => {
    if (document.fullscreenElement) document.exitFullscreen();
    else document.documentElement.requestFullscreen();
  });
  for (const change of ["fullscreenchange", "language"]) document.addEventListener(change, name);
  name();
}

function name() {
  const key = document.fullscreenElement ? "leave-full" : "full";
  $("full").querySelector("span").textContent = t(key);
  $("full").setAttribute("aria-label", t(key));
}

function apply(chosen) {
  const theme = chosen in palettes ? chosen : system.matches ? "light" : "dark";
  document.documentElement.dataset.theme = theme;
  $(`theme-${theme}`).checked = true;
  document.dispatchEvent(new CustomEvent("theme"));
}
