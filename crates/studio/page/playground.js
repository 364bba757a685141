// The field part: controls, the worker that computes lines and maps, the drawing loop.

import { CIRCLE, MOST, changed, flatCharges, listen, remember, softening, state, top, undo } from "./charges.js";
import { Plane } from "./plane.js";
import { Space } from "./space.js";
import { Playground } from "./wasm.js";
import { points } from "./api.js";
import { reason, t } from "./language.js";
import { LOWEST, kept, motion, move, positions, restart } from "./particles.js";
import { story } from "./stories.js";
import * as tours from "./tours.js";

const HIGHEST_ZOOM = 40;
const $ = (id) => document.getElementById(id);
const still = matchMedia("(prefers-reduced-motion: reduce)");

let plane, space, field, worker, latest;
let answered = 0;
let first = 0; // Milliseconds until the first picture of the field.
let told = null; // What moves instead of the particles: { name, story }.
let zooming = null; // A zoom in progress: { from, to, time }.
let said = () => ""; // The status line, in the present language.

export async function begin() {
  worker = new Worker("/worker.js", { type: "module" });
  const loaded = Playground.load();
  state.pointSize = Number(localStorage.getItem("point-size") ?? 1) || 1;
  plane = new Plane($("plane"), (text) => say(() => text));
  plane.zoom = (to) => zoomTo(to);
  worker.onmessage = ({ data }) => {
    answered = data.version;
    plane.take(data);
    latest = data.lines;
    space?.takeLines(latest);
    if (data.fine) document.body.dataset.field = String(data.version);
  };
  listen((what) => {
    if (what !== "view") {
      field?.set(flatCharges(), state.d, softening());
      if (told) told.stale = true;
      else if (state.flat && motion.over) again(false);
    }
    if (what === "field") describe();
    space?.settle(what);
    plane.changed(what);
    ask();
  });
  document.addEventListener("language", () => {
    describe();
    setPlaying(motion.playing);
    write("field-status", said());
  });
  controls();
  await choose("heart");
  field = await loaded;
  changed();
  again(true);
  setPlaying(!still.matches);
  tours.begin({ set, end: () => set({ ...tours.OVER }) });
  requestAnimationFrame(frame);
}

function beginSpace() {
  space = new Space($("space"));
  Object.assign(space.angles, camera);
  space.settle();
  space.takeLines(latest);
  describe();
}

function say(words) {
  said = words;
  write("field-status", words());
}

// To write the same text again would make the browser compute the layout again.
function write(id, text) {
  if ($(id).textContent !== text) $(id).textContent = text;
}

function ask() {
  const question = { version: state.version, charges: flatCharges(), d: state.d, softening: softening(), sigma: state.sigma };
  worker.postMessage({ ...question, top: top(), circle: CIRCLE, view: plane.view(), wantMap: state.show.map || state.show.contours });
}

const short = (value, digits) => Number(value.toPrecision(digits)).toString();
const shownD = () => (Number.isFinite(state.d) ? short(state.d, 3) : "∞");

function describe() {
  const [count, d, z] = [state.charges.length, shownD(), short(state.sigma, 2)];
  write("d-value", d);
  write("z-value", z);
  write("smoothing-value", short(state.smoothing, 2));
  write("zoom-value", short(state.zoom, 2));
  if (space && !space.renderer) write("space-caption", t("no-webgl"));
  else if (state.flat) write("space-caption", t("space-flat"));
  else write("space-caption", t(d === "1" ? "space-1" : d === "∞" ? "space-infinite" : "space-d"));
  const { map, contours, lines } = state.show;
  const shown = [map && t("caption-map", z), contours && t("caption-contours", z), lines && t("caption-lines")];
  write("plane-caption", state.flat ? t("plane-flat") : shown.filter(Boolean).join(t("between")) || t("caption-none"));
  // Without the extra dimension there is no D.
  [$("with-d").hidden, $("without-d").hidden] = [state.flat, !state.flat];
  say(() => (count ? t(state.flat ? "count-flat" : "count-d", count, d) : t("no-charge")));
}

const toZ = (value) => LOWEST * (3 / LOWEST) ** (value / 100);
const ofZ = (z) => (100 * Math.log(z / LOWEST)) / Math.log(3 / LOWEST);
const toD = (value) => (value >= 100 ? Infinity : value === 0 ? 1 : 10 ** ((value / 99) * 4));
const ofD = (d) => (d === 1 ? 0 : Number.isFinite(d) ? Math.max(1, (99 * Math.log10(d)) / 4) : 100);
// From 0.001 to 1.
const toSmoothing = (value) => 10 ** ((3 * value) / 100 - 3);
const ofSmoothing = (length) => (100 / 3) * (Math.log10(length) + 3);
const ofZoom = (zoom) => (100 * Math.log(zoom)) / Math.log(HIGHEST_ZOOM);

function controls() {
  const slider = (id, use) => $(id).addEventListener("input", () => {
    use(Number($(id).value));
    changed();
  });
  slider("d", (value) => (state.d = toD(value)));
  slider("z", (value) => (state.sigma = toZ(value)));
  slider("smoothing", (value) => {
    state.smoothing = toSmoothing(value);
    again(false);
  });
  $("zoom").addEventListener("input", () => zoomTo(HIGHEST_ZOOM ** (Number($("zoom").value) / 100)));
  $("point-size").addEventListener("input", () => setPointSize(Number($("point-size").value) / 100));
  setPointSize(state.pointSize);
  $("flat").addEventListener("change", () => {
    state.flat = $("flat").checked;
    tell(null);
    changed();
    again(!state.flat);
    setPlaying(true);
  });
  for (const name of ["lines", "map", "contours", "particles"]) {
    $(`show-${name}`).addEventListener("change", (event) => {
      state.show[name] = event.target.checked;
      changed();
    });
  }
  for (const radio of document.querySelectorAll('[name="tool"]')) radio.addEventListener("change", () => (state.tool = radio.value));
  for (const radio of document.querySelectorAll('[name="shown"]')) radio.addEventListener("change", () => showPictures(radio.value));
  $("shape").addEventListener("change", () => choose($("shape").value));
  $("count").addEventListener("change", () => choose($("shape").value));
  $("count").addEventListener("input", () => write("count-value", $("count").value));
  $("undo").addEventListener("click", () => undo() || say(() => t("nothing-to-undo")));
  $("clear").addEventListener("click", () => {
    remember();
    [state.charges, state.chosen] = [[], -1];
    $("shape").value = "own";
    changed();
  });
  $("play").addEventListener("click", () => setPlaying(!motion.playing));
  for (const [id, up] of [["rise", true], ["fall", false]]) {
    $(id).addEventListener("click", () => {
      tell(null);
      again(up);
      setPlaying(true);
    });
  }
}

function setPointSize(size) {
  state.pointSize = size;
  localStorage.setItem("point-size", size);
  $("point-size").value = Math.round(100 * size);
  write("point-size-value", size.toFixed(1));
  plane.dots();
  space?.recolor();
}

function setPlaying(playing) {
  motion.playing = playing;
  write("play", t(playing ? "pause" : "play"));
  $("play").setAttribute("aria-pressed", String(playing));
}

function showPictures(which) {
  $("stages").dataset.shown = which;
  for (const radio of document.querySelectorAll('[name="shown"]')) radio.checked = radio.value === which;
}

function zoomTo(zoom) {
  state.zoom = Math.min(Math.max(zoom, 1), HIGHEST_ZOOM);
  $("zoom").value = ofZoom(state.zoom);
  write("zoom-value", short(state.zoom, 2));
  plane.rescale();
  if (space) space.dirty = space.layerDirty = true;
  changed("view");
}

// Equally many points of a data set or of a simple shape.
async function charges(name, count) {
  const even = Array.from({ length: count }, (_, i) => i / count);
  if (name === "pair") return [[-0.6, 0], [0.6, 0]];
  if (name === "ring") return even.map((part) => [Math.cos(part * 2 * Math.PI), Math.sin(part * 2 * Math.PI)]);
  if (name === "bar") return even.map((part) => [2 * (part + 0.5 / count) - 1, 0]);
  if (name === "own") return state.charges.slice(0, count);
  return points(name, count);
}

// The charges of a data set.
async function choose(name) {
  remember();
  state.chosen = -1;
  try {
    state.charges = await charges(name, Math.min(Number($("count").value), MOST));
  } catch (problem) {
    return say(() => reason(problem.message));
  }
  changed();
  again(motion.up);
}

function again(up) {
  restart(field, up);
  if (field && state.charges.length) place();
}

// Begins a story, or ends it.
function tell(name) {
  told = name ? { name, story: story(name, field), stale: false } : null;
  if (told) told.since = performance.now();
  plane.story = null;
  space?.takeStory(null);
  if (!told) restart(field, motion.up);
}

const camera = { turn: 0.6, lift: 0.32, far: 9.5 };
let setting = 0;

// Sets the playground for a step of a tour.
async function set(step) {
  const own = (setting += 1);
  let list = step.charges;
  try {
    if (typeof list === "string") list = await charges(list, step.count);
  } catch (problem) {
    return say(() => reason(problem.message));
  }
  // Another step was chosen meanwhile.
  if (own !== setting) return;
  if (list) {
    remember();
    state.charges = step.change ? step.change(list) : list.map((charge) => [...charge]);
    $("shape").value = typeof step.charges === "string" ? step.charges : "own";
    $("count").value = state.charges.length;
    write("count-value", String(state.charges.length));
  }
  Object.assign(state, { d: step.d, sigma: step.z, flat: step.flat, smoothing: step.smoothing, chosen: -1, show: { ...step.show } });
  $("d").value = ofD(step.d);
  $("z").value = ofZ(step.z);
  $("smoothing").value = ofSmoothing(step.smoothing);
  $("flat").checked = step.flat;
  for (const [name, shown] of Object.entries(step.show)) $(`show-${name}`).checked = shown;
  showPictures(step.pictures);
  Object.assign(camera, step.camera);
  if (space) Object.assign(space.angles, step.camera);
  Object.assign(motion, { clock: step.clock, then: step.then });
  zooming = step.zoomFrom && !still.matches ? { from: step.zoomFrom, to: step.zoom, time: 0 } : null;
  zoomTo(zooming ? zooming.from : step.zoom);
  changed();
  tell(step.story ?? null);
  if (!told) again(step.up);
  setPlaying(!still.matches);
  // Without motion a picture still has to be there.
  if (still.matches && told?.story) told.story.move(0.01);
  place();
}

// Gives the particles, or the picture of the story, to both pictures.
function place() {
  if (!field || !state.charges.length) return;
  const picture = told?.story?.picture();
  let [flat, here] = [[], []];
  if (picture?.particles) [flat, here] = [picture.particles, picture.particles];
  else if (!told || state.show.particles) {
    const all = told && !usesParticles() ? [] : positions(field);
    [flat, here] = [all.map((one) => one.flat), all.map((one) => one.space)];
  }
  plane.particles = flat;
  plane.story = picture ?? null;
  plane.moved = true;
  space?.set("particles", here.flat());
  space?.takeStory(picture ?? null);
  write("result", told?.story ? told.story.text() : state.flat ? collapse() : tours.note(motion));
  $("result").hidden = !$("result").textContent;
}

// Whether the usual particles move under a story.
const usesParticles = () => told.name === "posterior";

// Says how much of the spread of the data the particles have kept.
function collapse() {
  const share = kept(field);
  const text = t(motion.over ? "collapsed" : "collapsing", `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`, share < 0.1);
  if (motion.over) say(() => t("collapsed", `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`, share < 0.1));
  return text;
}

// Moves what moves; a zoom takes the same time on a slow computer.
function advance(seconds, passed) {
  if (zooming) {
    zooming.time = Math.min(zooming.time + passed / 4, 1);
    zoomTo(zooming.from * (zooming.to / zooming.from) ** (zooming.time * zooming.time * (3 - 2 * zooming.time)));
    if (zooming.time === 1) {
      zooming = null;
      changed();
      again(motion.up);
    }
    return;
  }
  // While a charge is dragged, most of the time remains for drawing.
  if (told?.stale && performance.now() - told.since > 200) tell(told.name);
  if (told?.story && !usesParticles()) told.story.move(seconds);
  else move(field, seconds);
}

// Milliseconds of the last frames: time since the frame before, and time that the page computed.
const frames = [];
let before = 0;

function frame(now) {
  const begun = performance.now();
  // If frames are slow, particles are; but the collapse and a zoom take their time by the clock.
  const passed = Math.min((now - before) / 1000, 2);
  const seconds = state.flat ? passed : Math.min(passed, 0.05);
  if (!$("field").hidden) {
    if (motion.playing && field && state.charges.length && (state.show.particles || told || zooming)) {
      advance(seconds, passed);
      place();
    }
    if (plane.dirty || plane.moved) plane.draw();
    if (!first && plane.lines) first = performance.now();
    // The space starts after the plane: compiling its shaders takes a while.
    else if (first && !space) beginSpace();
    if (space?.dirty && $("stages").dataset.shown !== "plane") space.draw();
  }
  frames.push({ apart: now - before, work: performance.now() - begun });
  if (frames.length > 240) frames.shift();
  before = now;
  requestAnimationFrame(frame);
}

// State for tests.
window.studioField = () => ({
  version: state.version, answered, first, frames, charges: state.charges.length, particles: plane.particles?.length,
  drawn: [plane.grounds, space?.layers], lines: middle(plane.lines?.paths), d: state.d, flat: state.flat, zoom: state.zoom,
  zooming: Boolean(zooming), over: motion.over, story: told?.name ?? null, sigma: motion.sigma,
});

function middle(paths) {
  return paths?.slice(paths.length / 2, paths.length / 2 + 400);
}
