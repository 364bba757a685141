// The generate part: samples with their progress, interpolation, temperature.

import { events, get, post } from "./api.js";
import { chart, color, short } from "./charts.js";
import { reason, t } from "./language.js";
import { classNames } from "./names.js";
import { copy, cut, save, withTexts } from "./png.js";
import * as upload from "./upload.js";

const $ = (id) => document.getElementById(id);
const PICTURES = 9;

let runs = [];
let card = null; // Properties of the run.
let names = new Map(); // Maps classes to display names.
let shown = []; // { canvas, button, seed, label }
let chosen = [];
let drawn = null; // The server's latest answer.
let running = null;
let trace = [];
let strip = [];
let said = () => ""; // The status line, in the present language.

export async function begin() {
  try {
    runs = (await get("/api/v1/runs")).filter((run) => run.trained && !run.upscales);
    listRuns();
    await pick();
  } catch (problem) {
    return fail(problem);
  }
  $("run").addEventListener("change", () => pick().catch(fail));
  $("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    draw();
  });
  $("stop").addEventListener("click", () => running?.abort());
  $("more").addEventListener("click", () => {
    $("seed").value = Number($("seed").value) + Number($("many").value);
    draw();
  });
  $("steps").addEventListener("input", () => ($("steps-value").textContent = $("steps").value));
  $("scale").addEventListener("input", () => {
    $("scale-value").textContent = scale().toFixed(2);
    later();
  });
  for (const id of ["class", "solver", "steps"]) $(id).addEventListener("change", draw);
  $("download").addEventListener("click", () => {
    const one = shown[chosen.at(-1)];
    if (one) keep(one.canvas, one.seed);
  });
  $("copy").addEventListener("click", async () => {
    await navigator.clipboard.writeText($("command").textContent);
    say(() => t("copied"));
  });
  $("share").addEventListener("input", morph);
  addEventListener("resize", () => {
    layout();
    plot();
  });
  document.addEventListener("theme", () => plot());
  document.addEventListener("language", () => {
    listRuns();
    listChoices();
    label();
    plot();
    $("generate-status").textContent = said();
  });
  upload.begin({ run: () => card, asked, begun, reveal });
  draw();
}

// The status line belongs to the latest request: what an earlier one still has to say is dropped. Texts are functions, called again for another language.
let turn = 0;
function begun() {
  const own = ++turn;
  const say = (words, wrong = false) => {
    if (own !== turn) return;
    said = words;
    $("generate-status").textContent = words();
    $("generate-status").classList.toggle("wrong", wrong);
  };
  return { say, fail: (problem) => say(() => reason(problem.message), true) };
}

const say = (words) => begun().say(words);
const fail = (problem) => begun().fail(problem);

// Options of a list, with the same choice as before.
function options(id, list) {
  const before = $(id).value;
  $(id).replaceChildren(...list);
  if (list.some((option) => option.value === before)) $(id).value = before;
}

const listRuns = () => options("run", runs.map((run) => new Option(run.bundled ? t("bundled", run.name) : run.name, run.name)));

function listChoices() {
  names = new Map(classNames(card).map((name, at) => [card.classes[at], name]));
  const all = new Option(t(card.classes.length ? "all-classes" : "unconditional"), "");
  options("class", [all, ...card.classes.map((label) => new Option(names.get(label), label))]);
  options("solver", card.solvers.map((name) => new Option(name === card.solver ? t("default", name) : name, name)));
}

const scale = () => Number($("scale").value) / 100;

// Waits until the slider rests.
let timer = 0;
function later() {
  clearTimeout(timer);
  timer = setTimeout(draw, 180);
}

async function pick() {
  // What is being drawn is of another run.
  clearTimeout(timer);
  running?.abort();
  running = null;
  card = await get(`/api/v1/run?run=${encodeURIComponent($("run").value)}`);
  listChoices();
  $("class").value = "";
  $("class").disabled = !card.classes.length;
  $("solver").value = card.solver;
  $("steps").value = card.steps;
  $("steps-value").textContent = $("steps").value;
  const d = card.extra_dims === null ? "∞" : card.extra_dims;
  say(() => t("run-card", card.name, card.shape.join("×"), d));
  if (drawn) draw();
}

// Parameters of all requests.
export function asked() {
  const choice = { run: card.name, solving: { solver: $("solver").value } };
  if ($("solver").value !== "rk45") choice.solving.steps = Number($("steps").value);
  if ($("class").value) choice.class = $("class").value;
  return choice;
}

async function draw() {
  running?.abort();
  const own = (running = new AbortController());
  const status = begun();
  const first = Number($("seed").value);
  const seeds = Array.from({ length: Number($("many").value) }, (_, i) => first + i);
  const request = { ...asked(), seeds };
  if (scale() !== 1) request.scale = scale();
  $("stop").disabled = false;
  $("between").hidden = true;
  trace = seeds.map(() => ({ x: [], y: [] }));
  status.say(() => t("waiting"));
  reveal($("samples"));
  try {
    for await (const { name, data } of events("/api/v1/sample/events", request, own.signal)) {
      if (name === "refused") throw new Error(data.reason);
      if (own !== running) return;
      await take(name, data, seeds, status.say);
    }
  } catch (problem) {
    if (own !== running) return;
    if (problem.name === "AbortError") status.say(() => t("stopped"));
    else status.fail(problem);
  } finally {
    if (own === running) {
      running = null;
      $("stop").disabled = true;
    }
  }
}

async function take(name, data, seeds, say) {
  $("nfe").textContent = Math.round(data.nfe);
  $("seconds").textContent = data.seconds.toFixed(2);
  if (name === "look") {
    $("sigma").textContent = short(Math.max(...data.sigma));
    data.norm.forEach((norm, i) => {
      trace[i].x.push(data.sigma[i]);
      trace[i].y.push(norm);
    });
    plot();
    await show(data, seeds, card.shape);
    say(() => t("integrating"));
    return;
  }
  drawn = data;
  $("sigma").textContent = short(card.range[0]);
  await show(data, seeds, data.shape);
  $("command").textContent = data.command ?? data.commands[0];
  $("chosen-row").hidden = false;
  say(() => t("drawn", data.count, Math.round(data.nfe), data.seconds.toFixed(2)));
  document.body.dataset.drawn = String(Number(document.body.dataset.drawn ?? 0) + 1);
}

function plot() {
  chart($("trace"), trace.slice(0, 64).map((one, i) => ({ ...one, color: color(i), alpha: 0.75, dot: true })), { logX: true, logY: true, thin: true });
}

async function show(data, seeds, shape) {
  const grid = $("samples");
  grid.classList.toggle("vectors", shape.length === 1);
  if (shape.length === 1) return scatter(data.values ?? [], grid);
  const pictures = await cut(data.png, shape, seeds.length);
  if (shown.length !== seeds.length || shown.some((one, i) => one.seed !== seeds[i]) || !grid.contains(shown[0]?.button)) {
    chosen = [];
    shown = seeds.map((seed, at) => tile(seed, at));
    grid.replaceChildren(...shown.map((one) => one.button));
    layout();
  }
  for (const [i, one] of shown.entries()) {
    copy(pictures[i], one.canvas);
    if (data.classes) one.class = data.classes[i];
  }
  label();
}

// Names of the samples and their classes.
function label() {
  for (const one of shown) {
    const name = names.get(one.class);
    one.label.textContent = name ?? "";
    one.button.title = t("tile-title");
    one.button.setAttribute("aria-label", name ? t("tile-class", one.seed, name) : t("tile", one.seed));
  }
}

// Makes the tiles as large as the window allows: all of them visible, if they can be at least 84 pixels wide.
function layout() {
  const grid = $("samples");
  if (!shown.length || !grid.clientWidth) return;
  const [gap, border, caption, smallest] = [8, 10, 18 + 10, 84];
  const ratio = card.shape[0] / card.shape[1];
  const width = grid.clientWidth;
  const top = Math.max(grid.getBoundingClientRect().top + scrollY, 0);
  // On a phone the collapsed controls cover the lower edge.
  const below = isPhone() ? 120 : 64;
  const height = Math.max(innerHeight - Math.min(top, innerHeight / 2) - below, 240);
  let best = smallest;
  for (let columns = 1; columns <= shown.length; columns += 1) {
    const rows = Math.ceil(shown.length / columns);
    const fits = (height - gap * (rows - 1)) / rows - caption;
    const size = Math.min((width - gap * (columns - 1)) / columns, fits / ratio + border);
    best = Math.max(best, size);
  }
  grid.style.setProperty("--tile", `${Math.floor(best)}px`);
}

// Scrolls to a result that is outside of the window, or behind the controls of a phone.
function reveal(element) {
  const { top, bottom } = element.getBoundingClientRect();
  const first = document.querySelector(".top").getBoundingClientRect().bottom;
  const last = isPhone() ? $("ask").getBoundingClientRect().top : innerHeight;
  const room = Math.min(bottom - top, 160);
  if (top < Math.max(first, 0) - 4 || top + room > last) element.scrollIntoView({ block: "start" });
}

const isPhone = () => getComputedStyle($("ask")).position === "fixed";

function tile(seed, at) {
  const button = document.createElement("button");
  const canvas = document.createElement("canvas");
  const [line, number, label] = ["span", "b", "i"].map((tag) => document.createElement(tag));
  canvas.className = "pixel";
  number.textContent = seed;
  line.append(number, label);
  Object.assign(button, { type: "button", className: "sample" });
  button.setAttribute("aria-pressed", "false");
  button.append(canvas, line);
  button.addEventListener("click", () => toggle(at));
  button.addEventListener("dblclick", () => keep(canvas, seed));
  return { canvas, button, seed, label, class: undefined };
}

function toggle(at) {
  chosen = chosen.includes(at) ? chosen.filter((other) => other !== at) : [...chosen, at].slice(-2);
  shown.forEach((one, i) => one.button.setAttribute("aria-pressed", String(chosen.includes(i))));
  if (chosen.length === 2) between();
}

// Draws vectors as points: their first two columns.
function scatter(values, grid) {
  const canvas = grid.querySelector("canvas") ?? document.createElement("canvas");
  if (!grid.contains(canvas)) grid.replaceChildren(canvas);
  [canvas.width, canvas.height] = [640, 480];
  const pen = canvas.getContext("2d");
  const column = (axis) => values.map((row) => row[Math.min(axis, row.length - 1)]);
  const range = (list) => [Math.min(...list), Math.max(...list)];
  const [[a, b], [c, d]] = [range(column(0)), range(column(1))];
  pen.fillStyle = color(0);
  for (const row of values) {
    pen.beginPath();
    pen.arc(20 + (600 * (row[0] - a)) / (b - a || 1), 460 - (440 * ((row[1] ?? 0) - c)) / (d - c || 1), 3, 0, 7);
    pen.fill();
  }
}

// Saves a picture with its seed and command line.
async function keep(canvas, seed) {
  const command = drawn.commands[drawn.seeds.indexOf(seed)];
  const texts = { Software: "pfgm studio", Seed: String(seed), Comment: command };
  save(await withTexts(canvas, texts), `${card.name.replace(/\W+/g, "-")}-seed-${seed}.png`);
  say(() => t("saved", command));
}

async function between() {
  const [from, to] = chosen.map((at) => shown[at].seed);
  const { say, fail } = begun();
  say(() => t("interpolating", from, to));
  try {
    const request = { ...asked(), from, to, pictures: PICTURES };
    const answer = await post("/api/v1/interpolate", request);
    strip = await cut(answer.png, answer.shape, answer.count);
    $("strip").replaceChildren(...strip);
    $("between").hidden = false;
    morph();
    $("command").textContent = answer.command;
    reveal($("between"));
    say(() => t("interpolated", from, to, answer.count, Math.round(answer.nfe), answer.seconds.toFixed(2)));
    document.body.dataset.between = `${from}-${to}`;
  } catch (problem) {
    fail(problem);
  }
}

function morph() {
  const picture = strip[Number($("share").value)];
  if (picture) copy(picture, $("morph"));
}
