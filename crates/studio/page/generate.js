// The generate part: samples with their progress, interpolation, temperature.

import { events, get, post } from "./api.js";
import { chart, color, short } from "./charts.js";
import { classNames } from "./names.js";
import { copy, cut, save, withTexts } from "./png.js";
import * as upload from "./upload.js";

const $ = (id) => document.getElementById(id);
const PICTURES = 9;

let card = null; // Properties of the run.
let names = new Map(); // Maps classes to display names.
let shown = []; // { canvas, button, seed, label }
let chosen = [];
let drawn = null; // The server's latest answer.
let running = null;
let trace = [];
let strip = [];

export async function begin() {
  try {
    const runs = (await get("/api/v1/runs")).filter((run) => run.trained && !run.upscales);
    $("run").replaceChildren(...runs.map((run) => new Option(run.bundled ? `${run.name} (bundled)` : run.name, run.name)));
    await pick();
  } catch (problem) {
    return say(problem.message, true);
  }
  $("run").addEventListener("change", () => pick().catch((problem) => say(problem.message, true)));
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
    say("Copied the command line.");
  });
  $("share").addEventListener("input", morph);
  addEventListener("resize", () => {
    layout();
    plot();
  });
  document.addEventListener("theme", () => plot());
  upload.begin({ run: () => card, asked, say });
  draw();
}

export function say(text, wrong = false) {
  $("generate-status").textContent = text;
  $("generate-status").classList.toggle("wrong", wrong);
}

const scale = () => Number($("scale").value) / 100;

// Waits until the slider rests.
let timer = 0;
function later() {
  clearTimeout(timer);
  timer = setTimeout(draw, 180);
}

async function pick() {
  card = await get(`/api/v1/run?run=${encodeURIComponent($("run").value)}`);
  const all = new Option(card.classes.length ? "all classes in turn" : "unconditional", "");
  names = new Map(classNames(card).map((name, at) => [card.classes[at], name]));
  $("class").replaceChildren(all, ...card.classes.map((label) => new Option(names.get(label), label)));
  $("class").disabled = !card.classes.length;
  $("solver").replaceChildren(...card.solvers.map((name) => new Option(name === card.solver ? `${name} (default)` : name, name)));
  $("solver").value = card.solver;
  $("steps").value = card.steps;
  $("steps-value").textContent = $("steps").value;
  const d = card.extra_dims === null ? "∞" : card.extra_dims;
  say(`${card.name}: ${card.shape.join("×")}, D = ${d}.`);
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
  const first = Number($("seed").value);
  const seeds = Array.from({ length: Number($("many").value) }, (_, i) => first + i);
  const request = { ...asked(), seeds };
  if (scale() !== 1) request.scale = scale();
  $("stop").disabled = false;
  $("between").hidden = true;
  trace = seeds.map(() => ({ x: [], y: [] }));
  say("Waiting for the server…");
  bringIntoView();
  try {
    for await (const { name, data } of events("/api/v1/sample/events", request, own.signal)) {
      if (name === "refused") throw new Error(data.reason);
      if (own !== running) return;
      await take(name, data, seeds);
    }
  } catch (problem) {
    if (problem.name === "AbortError") {
      if (own === running) say("Stopped.");
    } else say(problem.message, true);
  } finally {
    if (own === running) {
      running = null;
      $("stop").disabled = true;
    }
  }
}

async function take(name, data, seeds) {
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
    say("Integrating the flow…");
    return;
  }
  drawn = data;
  $("sigma").textContent = short(card.range[0]);
  await show(data, seeds, data.shape);
  $("command").textContent = data.command ?? data.commands[0];
  $("chosen-row").hidden = false;
  say(`${data.count} ${data.count === 1 ? "sample" : "samples"}, ${Math.round(data.nfe)} evaluations each, ${data.seconds.toFixed(2)} s.`);
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
    const label = names.get(data.classes?.[i]);
    if (data.classes) one.label.textContent = label ?? "";
    if (label) one.button.setAttribute("aria-label", `Sample of seed ${one.seed}, class ${label}`);
  }
}

// Makes the tiles as large as the window allows: all of them visible, if they can be at least 84 pixels wide.
function layout() {
  const grid = $("samples");
  if (!shown.length || !grid.clientWidth) return;
  const [gap, caption, smallest, largest] = [8, 28, 84, 320];
  const ratio = card.shape[0] / card.shape[1];
  const width = grid.clientWidth;
  const top = grid.getBoundingClientRect().top + scrollY;
  const height = Math.max(innerHeight - Math.min(top, innerHeight / 2) - 90, 240);
  let best = smallest;
  for (let columns = 1; columns <= shown.length; columns += 1) {
    const size = Math.min((width - gap * (columns - 1)) / columns, largest);
    const rows = Math.ceil(shown.length / columns);
    if (rows * (size * ratio + caption + gap) <= height) {
      best = Math.max(best, size);
      break;
    }
  }
  grid.style.setProperty("--tile", `${Math.floor(best)}px`);
}

// On a phone the samples may be outside of the window.
function bringIntoView() {
  const { top, bottom } = $("results").getBoundingClientRect();
  if (bottom < 120 || top > innerHeight - 120) $("results").scrollIntoView({ block: "start" });
}

function tile(seed, at) {
  const button = document.createElement("button");
  const canvas = document.createElement("canvas");
  const [line, number, label] = ["span", "b", "i"].map((tag) => document.createElement(tag));
  canvas.className = "pixel";
  number.textContent = seed;
  line.append(number, label);
  Object.assign(button, { type: "button", className: "sample", title: "Click: choose for interpolation. Double click: save" });
  button.setAttribute("aria-pressed", "false");
  button.setAttribute("aria-label", `Sample of seed ${seed}`);
  button.append(canvas, line);
  button.addEventListener("click", () => toggle(at));
  button.addEventListener("dblclick", () => keep(canvas, seed));
  return { canvas, button, seed, label };
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
  say(`Saved. The file contains \`${command}\`.`);
}

async function between() {
  const [from, to] = chosen.map((at) => shown[at].seed);
  say(`Interpolating between seeds ${from} and ${to}…`);
  try {
    const request = { ...asked(), from, to, pictures: PICTURES };
    const answer = await post("/api/v1/interpolate", request);
    strip = await cut(answer.png, answer.shape, answer.count);
    $("strip").replaceChildren(...strip);
    $("between").hidden = false;
    morph();
    $("command").textContent = answer.command;
    say(`Interpolated between seeds ${from} and ${to}: ${answer.count} images, ${Math.round(answer.nfe)} evaluations each, ${answer.seconds.toFixed(2)} s.`);
    document.body.dataset.between = `${from}-${to}`;
  } catch (problem) {
    say(problem.message, true);
  }
}

function morph() {
  const picture = strip[Number($("share").value)];
  if (picture) copy(picture, $("morph"));
}
