// Guided tours through the field: each step sets the playground. The texts are in words/.

import { state } from "./charges.js";
import { t, tourWords } from "./language.js";
import { measured } from "./stories.js";

const $ = (id) => document.getElementById(id);
const ALL = { lines: true, map: true, contours: false, particles: true };
const SIDE = { turn: 0.6, lift: 0.32, far: 9.5 };
const LOW = { turn: 0.5, lift: 0.16, far: 9 };
// What a step does not say.
const PLAIN = {
  charges: "heart", count: 160, d: 1, z: 0.1, flat: false, smoothing: 0.5, zoom: 1, show: ALL, pictures: "both", camera: SIDE, up: true, clock: "log", then: "turn",
};
const only = (...names) => Object.fromEntries(Object.keys(ALL).map((name) => [name, names.includes(name)]));
// How a tour ends: with the same charges.
export const OVER = { ...PLAIN, charges: null };

const line = (count) => ({ charges: "bar", count, z: 0.12, pictures: "plane", show: only("map", "contours"), up: true });
// Unequal amounts, as several charges in one place.
const UNEQUAL = [[-0.9, 0], [0.9, 0], [0.92, 0], [0.9, 0.02]];
const FIVE = [[-0.9, -0.4], [-0.5, 0.6], [0.1, -0.7], [0.4, 0.3], [0.9, -0.2]];

// The name of a tour is that of its story in `pfgm field --story`; `command` where it is another.
const TOURS = {
  hemisphere: {
    command: "pfgm field heart --animate rise-and-fall.gif",
    steps: [
      { show: only("map"), pictures: "plane" },
      { show: only("map", "lines"), up: true },
      { show: only("lines", "particles"), pictures: "space", then: "again" },
      { show: only("lines", "particles"), pictures: "space", camera: { turn: 0.6, lift: 1.3, far: 9.5 }, up: false, then: "again" },
    ],
  },
  "zoom-out": {
    steps: [
      { show: only("contours", "lines"), pictures: "plane" },
      { show: only("contours", "lines"), pictures: "plane", zoomFrom: 1, zoom: 16 },
      { show: only("lines"), pictures: "space", zoomFrom: 1, zoom: 16 },
    ],
  },
  "flux-tube": {
    steps: [
      { count: 400, show: only("particles"), pictures: "space", story: "flux-tube" },
      { count: 400, show: only("particles"), story: "flux-tube" },
    ],
  },
  "extra-dimension": {
    steps: [
      { charges: "disk", flat: true, pictures: "plane" },
      { charges: "disk", flat: true, smoothing: 0.001, pictures: "plane" },
      { charges: "disk", up: false, then: "again", camera: LOW },
    ],
  },
  "greens-function": { steps: [line(1), line(4), line(16), line(200)] },
  superposition: {
    steps: [
      { charges: FIVE, zoom: 1.5, show: only("particles"), story: "superposition", pictures: "plane" },
      { count: 60, zoom: 1.5, show: only("particles"), story: "superposition", pictures: "plane" },
      { count: 60, zoom: 1.5, show: only("lines", "particles"), story: "superposition", pictures: "plane" },
    ],
  },
  inertia: {
    steps: [
      { charges: UNEQUAL, show: only("lines", "particles"), story: "inertia", pictures: "space", camera: { turn: 0.05, lift: 0.1, far: 8 } },
      { count: 60, show: only("particles"), story: "inertia", pictures: "space", camera: { turn: 0.05, lift: 0.1, far: 8 } },
    ],
  },
  anchoring: {
    steps: [
      { count: 60, show: only("particles"), story: "anchoring", pictures: "space", camera: LOW },
      { count: 60, show: only("particles"), pictures: "space", camera: LOW, up: false, then: "again" },
    ],
  },
  "training-points": { steps: [{ show: only("particles"), story: "training-points" }] },
  projection: {
    steps: [
      { show: only("particles"), story: "projection", pictures: "space", camera: { turn: 0.4, lift: 0.22, far: 12 } },
      { show: only("particles"), up: false, then: "again", pictures: "space", camera: { turn: 0.4, lift: 0.22, far: 12 } },
    ],
  },
  "change-of-variable": {
    steps: [
      { show: only("particles"), up: false, then: "again", clock: "z", camera: LOW },
      { show: only("particles"), up: false, then: "again", camera: LOW },
    ],
  },
  dimensions: {
    steps: [
      { show: only("lines", "particles"), up: false, then: "again" },
      { d: 8, show: only("lines", "particles"), up: false, then: "again" },
      { d: 64, show: only("lines", "particles"), up: false, then: "again" },
      { d: Infinity, show: only("lines", "particles"), up: false, then: "again" },
    ],
  },
  diffusion: { steps: [{ show: only("particles"), story: "diffusion", pictures: "plane", zoom: 3 }] },
  "non-compact": {
    steps: [
      { charges: "gaussian", count: 300, show: only("lines", "particles"), up: false, then: "again" },
      { charges: "student-t", count: 300, show: only("lines", "particles"), up: false, then: "again" },
    ],
  },
  posterior: {
    steps: [
      { up: false, show: only("particles"), pictures: "plane", then: "again" },
      { change: measured, up: false, show: only("particles", "lines"), story: "posterior", then: "again" },
    ],
  },
  continuity: {
    steps: [
      { show: only("particles"), story: "continuity", pictures: "plane" },
      { show: only("particles"), story: "continuity", camera: LOW },
    ],
  },
};

let host; // { set, end }
let [name, at] = [null, 0];

export function begin(given) {
  host = given;
  choices();
  $("tour-start").addEventListener("click", () => go($("tour-choice").value, 0));
  $("tour-back").addEventListener("click", () => go(name, at - 1));
  $("tour-next").addEventListener("click", next);
  $("tour-end").addEventListener("click", end);
  document.addEventListener("language", () => {
    choices();
    if (name) describe();
  });
  // The keys of a presenter's remote control.
  document.addEventListener("keydown", (event) => {
    if (!name || $("field").hidden) return;
    if (event.key === "PageDown") next();
    else if (event.key === "PageUp" && at > 0) go(name, at - 1);
    else return;
    event.preventDefault();
  });
  addEventListener("hashchange", visit);
  visit();
}

// #field/flux-tube/2 is the second step of a tour.
function visit() {
  const [, tour, step] = location.hash.match(/^#field\/([\w-]+)(?:\/(\d+))?$/) ?? [];
  if (tour in TOURS && (tour !== name || Number(step ?? 1) !== at + 1)) go(tour, Number(step ?? 1) - 1);
}

function choices() {
  const chosen = name ?? $("tour-choice").value;
  $("tour-choice").replaceChildren(...Object.keys(TOURS).map((key) => new Option(tourWords(key).name, key)));
  if (chosen in TOURS) $("tour-choice").value = chosen;
}

function go(tour, step) {
  [name, at] = [tour, Math.min(Math.max(step, 0), TOURS[tour].steps.length - 1)];
  history.replaceState(null, "", `#field/${name}/${at + 1}`);
  $("tour-choice").value = name;
  $("tour").hidden = false;
  document.body.classList.add("touring");
  describe();
  host.set({ ...PLAIN, ...TOURS[name].steps[at] });
}

// The next step, or the first one of the next tour.
function next() {
  const names = Object.keys(TOURS);
  if (at + 1 < TOURS[name].steps.length) go(name, at + 1);
  else go(names[(names.indexOf(name) + 1) % names.length], 0);
}

function end() {
  name = null;
  history.replaceState(null, "", "#field");
  $("tour").hidden = true;
  document.body.classList.remove("touring");
  host.end();
  $("tour-start").focus();
}

function describe() {
  const { name: title, steps } = tourWords(name);
  const last = at + 1 === steps.length;
  $("tour-name").textContent = title;
  $("tour-step").textContent = t("step", at + 1, steps.length);
  $("tour-command").textContent = TOURS[name].command ?? `pfgm field --story ${name}`;
  [$("tour-title").textContent, $("tour-words").textContent] = steps[at];
  $("tour-back").disabled = at === 0;
  $("tour-next").textContent = t(last ? "next-tour" : "next");
}

// The height, in the tour about the variable.
export function note(motion) {
  if (name !== "change-of-variable" && !(name === "anchoring" && !state.flat)) return "";
  return t("at-height", motion.sigma >= 1 ? motion.sigma.toFixed(2) : motion.sigma.toPrecision(2));
}

// Names and numbers of steps, for tests.
export const outline = () => Object.entries(TOURS).map(([key, { steps }]) => [key, steps.length]);
window.studioTours = outline;
