// The generate part: samples that sharpen while the flow runs, the way between two, temperature.

import { events, get, post } from "./api.js";
import { COLOURS, chart, short } from "./charts.js";
import { copy, cut, save, withTexts } from "./png.js";
import * as upload from "./upload.js";

const $ = (id) => document.getElementById(id);
const PICTURES = 9;

let card = null; // The run as the server describes it.
let shown = []; // { canvas, button, seed, label }
let chosen = [];
let drawn = null; // What the server answered last.
let running = null;
let trace = [];
let strip = [];

export async function begin() {
  try {
    const runs = (await get("/api/v1/runs")).filter((run) => run.trained);
    $("run").replaceChildren(...runs.map((run) => new Option(run.bundled ? `${run.name} (comes along)` : run.name, run.name)));
    await pick();
  } catch (problem) {
    return say(problem.message, true);
  }
  $("run").addEventListener("change", pick);
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
    say("The command line is copied.");
  });
  $("share").addEventListener("input", morph);
  addEventListener("resize", () => plot());
  upload.begin({ run: () => card, asked, say });
  draw();
}

export function say(text, wrong = false) {
  $("generate-status").textContent = text;
  $("generate-status").classList.toggle("wrong", wrong);
}

const scale = () => Number($("scale").value) / 100;

// Runs that are asked while the slider moves wait for it to rest.
let timer = 0;
function later() {
  clearTimeout(timer);
  timer = setTimeout(draw, 180);
}

async function pick() {
  card = await get(`/api/v1/run?run=${encodeURIComponent($("run").value)}`);
  const all = new Option(card.classes.length ? "every class in turn" : "this run knows none", "");
  $("class").replaceChildren(all, ...card.classes.map((name) => new Option(name, name)));
  $("class").disabled = !card.classes.length;
  $("solver").replaceChildren(...card.solvers.map((name) => new Option(name === card.solver ? `${name} (the run's)` : name, name)));
  $("solver").value = card.solver;
  $("steps").value = card.steps;
  $("steps-value").textContent = $("steps").value;
  const d = card.augmentation === null ? "∞" : card.augmentation;
  say(`${card.name}: ${card.shape.join("×")}, D = ${d}.`);
  if (drawn) draw();
}

// The choices that every request has.
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
  say("Asking…");
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
    say("The flow runs…");
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
  chart($("trace"), trace.slice(0, 64).map((one, i) => ({ ...one, colour: COLOURS[i % COLOURS.length], alpha: 0.75, dot: true })), { logX: true, logY: true, thin: true });
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
  }
  for (const [i, one] of shown.entries()) {
    copy(pictures[i], one.canvas);
    const label = data.classes?.[i];
    if (label !== undefined) one.label.textContent = label ?? "";
    if (label) one.button.setAttribute("aria-label", `Sample of seed ${one.seed}, class ${label}`);
  }
}

function tile(seed, at) {
  const button = document.createElement("button");
  const canvas = document.createElement("canvas");
  const [line, number, label] = ["span", "b", "i"].map((tag) => document.createElement(tag));
  canvas.className = "pixel";
  number.textContent = seed;
  line.append(number, label);
  Object.assign(button, { type: "button", className: "sample", title: "Choose; double click saves it" });
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

// A run of points instead of pictures: the first two columns.
function scatter(values, grid) {
  const canvas = grid.querySelector("canvas") ?? document.createElement("canvas");
  if (!grid.contains(canvas)) grid.replaceChildren(canvas);
  [canvas.width, canvas.height] = [640, 480];
  const pen = canvas.getContext("2d");
  const column = (axis) => values.map((row) => row[Math.min(axis, row.length - 1)]);
  const range = (list) => [Math.min(...list), Math.max(...list)];
  const [[a, b], [c, d]] = [range(column(0)), range(column(1))];
  pen.fillStyle = "#7cc4ff";
  for (const row of values) {
    pen.beginPath();
    pen.arc(20 + (600 * (row[0] - a)) / (b - a || 1), 460 - (440 * ((row[1] ?? 0) - c)) / (d - c || 1), 3, 0, 7);
    pen.fill();
  }
}

// A picture with its seed and command line in it.
async function keep(canvas, seed) {
  const command = drawn.commands[drawn.seeds.indexOf(seed)];
  const texts = { Software: "pfgm studio", Seed: String(seed), Comment: command };
  save(await withTexts(canvas, texts), `${card.name.replace(/\W+/g, "-")}-seed-${seed}.png`);
  say(`Saved, with \`${command}\` in it.`);
}

async function between() {
  const [from, to] = chosen.map((at) => shown[at].seed);
  say(`From seed ${from} to ${to}…`);
  try {
    const request = { ...asked(), from, to, pictures: PICTURES };
    const answer = await post("/api/v1/interpolate", request);
    strip = await cut(answer.png, answer.shape, answer.count);
    $("strip").replaceChildren(...strip);
    $("between").hidden = false;
    morph();
    $("command").textContent = answer.command;
    say(`From seed ${from} to ${to}: ${answer.count} pictures, ${Math.round(answer.nfe)} evaluations each, ${answer.seconds.toFixed(2)} s.`);
    document.body.dataset.between = `${from}-${to}`;
  } catch (problem) {
    say(problem.message, true);
  }
}

function morph() {
  const picture = strip[Number($("share").value)];
  if (picture) copy(picture, $("morph"));
}
