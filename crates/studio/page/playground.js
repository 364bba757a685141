// The field part: controls, the worker that computes lines and maps, the particles, the drawing loop.

import { CIRCLE, MOST, SOFTENING, TOP, changed, flatCharges, listen, remember, softening, state, undo } from "./charges.js";
import { Plane } from "./plane.js";
import { Space, share } from "./space.js";
import { Playground } from "./wasm.js";
import { points } from "./api.js";

const PARTICLES = 200;
const LOWEST = 0.02;
const SECONDS = 7; // Duration of a rise or a fall.
const $ = (id) => document.getElementById(id);
const still = matchMedia("(prefers-reduced-motion: reduce)");

let plane, space, field, worker, latest;
let answered = 0;
let first = 0; // Milliseconds until the first picture of the field.
const motion = { playing: !still.matches, up: true, at: 0, wait: 0, stale: true, seed: 1 };

export async function begin() {
  worker = new Worker("/worker.js", { type: "module" });
  const loaded = Playground.load();
  plane = new Plane($("plane"), say);
  worker.onmessage = ({ data }) => {
    answered = data.version;
    plane.take(data);
    latest = data.lines;
    space?.takeLines(latest);
    if (data.fine) document.body.dataset.field = String(data.version);
  };
  listen((what) => {
    if (what !== "view") field?.set(flatCharges(), state.d, softening());
    if (what === "field") describe();
    space?.settle(what);
    plane.changed(what);
    ask();
  });
  controls();
  await choose("heart");
  field = await loaded;
  changed();
  restart(true);
  setPlaying(motion.playing);
  requestAnimationFrame(frame);
}

function beginSpace() {
  space = new Space($("space"));
  space.settle();
  space.takeLines(latest);
  describe();
}

function say(text) {
  write("field-status", text);
}

// To write the same text again would make the browser compute the layout again.
function write(id, text) {
  if ($(id).textContent !== text) $(id).textContent = text;
}

function ask() {
  const question = { version: state.version, charges: flatCharges(), d: state.d, softening: softening(), sigma: state.sigma };
  worker.postMessage({ ...question, top: TOP, circle: CIRCLE, view: plane.view(), wantMap: state.show.map });
}

function describe() {
  const count = state.charges.length;
  const d = Number.isFinite(state.d) ? Number(state.d.toPrecision(3)).toString() : "∞";
  const z = Number(state.sigma.toPrecision(2)).toString();
  write("d-value", d);
  write("z-value", z);
  if (space && !space.renderer) write("space-caption", "This browser has no WebGL. The plane shows the same field.");
  else if (state.flat) write("space-caption", "Without the extra dimension there is no height; particles cannot avoid the point where the field is zero.");
  else write("space-caption", domeCaption(d));
  if (state.flat) {
    write("plane-caption", `The field within the plane. Lines start on a circle and end where the field is zero: the distribution collapses.`);
  } else {
    write("plane-caption", `Colors: logarithm of the potential at height ${z}. Lines: field lines, seen from above.`);
  }
  say(count ? `${count} ${count === 1 ? "charge" : "charges"}, D = ${d}.` : "There is no charge. Click into the plane to place one.");
}

function domeCaption(d) {
  if (d === "1") return "The dome is the hemisphere. Particles that leave the charges reach it with a uniform density.";
  if (d === "∞") return "At D = ∞ the dome is a plane, and the density on it is Gaussian: diffusion.";
  return "The hemisphere in N + D dimensions, drawn over r/√D. It is flatter for larger D.";
}

function controls() {
  const slider = (id, use) => $(id).addEventListener("input", () => {
    use(Number($(id).value));
    changed();
  });
  slider("d", (value) => {
    state.d = value >= 100 ? Infinity : value === 0 ? 1 : 10 ** ((value / 99) * 4);
    motion.stale = true;
  });
  slider("z", (value) => {
    state.sigma = LOWEST * (TOP / LOWEST) ** (value / 100);
  });
  $("z").value = 100 * Math.log(state.sigma / LOWEST) / Math.log(TOP / LOWEST);
  $("flat").addEventListener("change", () => {
    state.flat = $("flat").checked;
    changed();
    restart(!state.flat);
  });
  for (const name of ["lines", "map", "particles"]) {
    $(`show-${name}`).addEventListener("change", (event) => {
      state.show[name] = event.target.checked;
      changed();
    });
  }
  for (const radio of document.querySelectorAll('[name="tool"]')) radio.addEventListener("change", () => (state.tool = radio.value));
  $("shape").addEventListener("change", () => choose($("shape").value));
  $("count").addEventListener("change", () => choose($("shape").value));
  $("count").addEventListener("input", () => ($("count-value").textContent = $("count").value));
  $("undo").addEventListener("click", () => undo() || say("Nothing to undo."));
  $("clear").addEventListener("click", () => {
    remember();
    $("shape").value = "own";
    [state.charges, state.chosen] = [[], -1];
    changed();
  });
  $("play").addEventListener("click", () => setPlaying(!motion.playing));
  $("rise").addEventListener("click", () => restart(true, true));
  $("fall").addEventListener("click", () => restart(false, true));
  still.addEventListener("change", () => still.matches && setPlaying(false));
}

function setPlaying(playing) {
  motion.playing = playing;
  $("play").setAttribute("aria-pressed", String(playing));
  $("play").textContent = playing ? "Pause" : "Play";
}

// Places the charges of a data set or of a simple shape.
async function choose(name) {
  const count = Math.min(Number($("count").value), MOST);
  remember();
  state.chosen = -1;
  if (name === "pair") state.charges = [[-0.6, 0], [0.6, 0]];
  else if (name === "ring") state.charges = Array.from({ length: count }, (_, i) => [Math.cos((i / count) * 2 * Math.PI), Math.sin((i / count) * 2 * Math.PI)]);
  else if (name === "own") state.charges = state.charges.slice(0, count);
  else {
    try {
      state.charges = await points(name, count);
    } catch (problem) {
      return say(problem.message);
    }
  }
  changed();
  restart(motion.up);
}

// Places particles on the charges or on the dome; without the extra dimension, on the circle.
function restart(up, play) {
  if (!field || !state.charges.length) return;
  field.set(flatCharges(), state.d, softening());
  motion.up = up && !state.flat;
  motion.wait = 0;
  motion.seed += 1;
  if (state.flat) {
    const around = (i) => (i / PARTICLES) * 2 * Math.PI;
    field.points(Float64Array.from({ length: 2 * PARTICLES }, (_, i) => CIRCLE * (i & 1 ? Math.sin(around(i >> 1)) : Math.cos(around(i >> 1)))));
    motion.sigma = 1e6;
  } else if (motion.up) {
    field.onCharges(PARTICLES, LOWEST, motion.seed);
    motion.sigma = LOWEST;
  } else {
    field.onHemisphere(PARTICLES, 1.5 * TOP, motion.seed);
    motion.sigma = 1.5 * TOP;
  }
  if (play) setPlaying(true);
  place();
}

const span = () => Math.log((1.5 * TOP) / LOWEST);

// Moves all particles by one step of Heun's method.
function move(seconds) {
  if (motion.wait > 0) {
    motion.wait -= seconds;
    if (motion.wait <= 0) restart(state.flat ? false : !motion.up);
    return;
  }
  const rate = state.flat ? 0.55 : (span() / SECONDS) * (motion.up ? 1 : -1);
  const to = motion.sigma * Math.exp(state.flat ? -rate * seconds : rate * seconds);
  if (!field.carry(motion.sigma, to, 1)) return;
  motion.sigma = to;
  const over = state.flat ? to < 1e6 * Math.exp(-5.5) : motion.up ? to >= 1.5 * TOP : to <= LOWEST;
  if (!over) return;
  motion.wait = 1.6;
  if (state.flat) collapse();
}

// Reports how much of the spread of the data the particles have kept.
function collapse() {
  const spread = (list) => {
    const middle = [0, 1].map((axis) => list.reduce((sum, p) => sum + p[axis], 0) / list.length);
    return Math.sqrt(list.reduce((sum, p) => sum + (p[0] - middle[0]) ** 2 + (p[1] - middle[1]) ** 2, 0) / list.length);
  };
  const share = spread(pairs(field.here())) / spread(state.charges);
  say(`Without the extra dimension the particles collapse: their standard deviation is ${share.toFixed(3)} of the charges' (softening ${SOFTENING}).`);
}

const pairs = (flat) => Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i], flat[2 * i + 1]]);

// Draws the particles; those outside of the dome are projected onto it.
function place() {
  const here = pairs(field.here());
  plane.particles = here;
  plane.moved = true;
  const z = state.flat ? 0 : motion.sigma;
  space?.set("particles", here.flatMap(([x, y]) => {
    const out = state.flat ? 1 : Math.max(1, share([x, y, z]));
    return [x / out, y / out, z / out];
  }));
}

// Milliseconds of the last frames: time since the frame before, and time that the page computed.
const frames = [];
let before = 0;

function frame(now) {
  const begun = performance.now();
  const seconds = Math.min((now - before) / 1000, 0.05);
  if (!$("field").hidden) {
    if (motion.playing && state.show.particles && state.charges.length) {
      move(seconds);
      place();
    }
    if (plane.dirty || plane.moved) plane.draw();
    if (!first && plane.lines) first = performance.now();
    // The space starts after the plane: compiling its shaders takes a while.
    else if (first && !space) beginSpace();
    if (space?.dirty) space.draw();
  }
  frames.push({ apart: now - before, work: performance.now() - begun });
  if (frames.length > 240) frames.shift();
  before = now;
  requestAnimationFrame(frame);
}

// State for tests.
window.studioField = () => ({
  version: state.version, answered, first, frames, charges: state.charges.length, particles: plane.particles?.length,
  drawn: [plane.grounds, space?.layers], lines: middle(plane.lines?.paths),
});

function middle(paths) {
  return paths?.slice(paths.length / 2, paths.length / 2 + 400);
}
