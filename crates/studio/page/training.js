// The training part: logs of runs as they grow, side by side, and samples of their latest checkpoints.

import { get, post } from "./api.js";
import { COLOURS, chart, short } from "./charts.js";
import { cut } from "./png.js";

const $ = (id) => document.getElementById(id);
const runs = new Map(); // name: { lines, colour, checkpoint, card }
let source = null;

export async function begin() {
  $("log-x").addEventListener("change", plot);
  addEventListener("resize", plot);
  document.addEventListener("part", ({ detail }) => detail === "training" && list());
  await list();
}

function say(text, wrong = false) {
  $("training-status").textContent = text;
  $("training-status").classList.toggle("wrong", wrong);
}

async function list() {
  const logged = (await get("/api/v1/runs")).filter((run) => run.logged);
  const before = new Set([...document.querySelectorAll("#run-list input:checked")].map((box) => box.value));
  $("run-list").replaceChildren(...logged.map(({ name }, at) => box(name, COLOURS[at % COLOURS.length], before.size ? before.has(name) : at >= logged.length - 4)));
  if (!logged.length) {
    say("No training has written a log yet. Begin one with `pfgm train digits`, and it appears here.");
    plot();
    return;
  }
  watch();
}

function box(name, colour, checked) {
  const [label, input, swatch] = ["label", "input", "span"].map((tag) => document.createElement(tag));
  Object.assign(input, { type: "checkbox", value: name, checked });
  input.dataset.colour = colour;
  input.addEventListener("change", watch);
  label.className = "check";
  swatch.className = "swatch";
  swatch.style.background = colour;
  label.append(input, swatch, name);
  return label;
}

// Follows the chosen runs from their beginning.
function watch() {
  source?.close();
  const boxes = [...document.querySelectorAll("#run-list input:checked")].slice(0, 16);
  runs.clear();
  $("run-cards").replaceChildren();
  for (const { value, dataset } of boxes) runs.set(value, { lines: [], colour: dataset.colour, checkpoint: null, card: tile(value, dataset.colour) });
  plot();
  if (!boxes.length) return say("Choose a run.");
  source = new EventSource(`/api/v1/training/events?runs=${encodeURIComponent(boxes.map((box) => box.value).join(","))}`);
  source.addEventListener("log", ({ data }) => take(JSON.parse(data)));
  source.onopen = () => say(`${boxes.length} ${boxes.length === 1 ? "run is" : "runs are"} watched.`);
  source.onerror = () => say("The server does not answer; trying again.", true);
}

function tile(name, colour) {
  const [card, title, text] = ["article", "h2", "p"].map((tag) => document.createElement(tag));
  card.className = "card";
  card.style.borderLeftColor = colour;
  title.textContent = name;
  text.className = "status";
  card.append(title, text);
  $("run-cards").append(card);
  return { card, text };
}

function take({ run, anew, lines, checkpoint }) {
  const one = runs.get(run);
  if (!one) return;
  if (anew) one.lines = [];
  one.lines.push(...lines);
  const last = one.lines.at(-1);
  if (last) {
    const held = one.lines.findLast((line) => line.held_out_loss !== undefined);
    one.card.text.textContent = `step ${last.step}, loss ${short(last.loss)}${held ? `, held out ${short(held.held_out_loss)}` : ""}, ${Math.round(last.images_per_second)} images/s, ${Math.round(last.seconds)} s`;
  }
  document.body.dataset.logged = String([...runs.values()].reduce((sum, { lines: own }) => sum + own.length, 0));
  plot();
  if (checkpoint !== null && checkpoint !== one.checkpoint) {
    one.checkpoint = checkpoint;
    sample(run, one);
  }
}

// What the latest checkpoint draws.
async function sample(name, one) {
  try {
    const answer = await post("/api/v1/sample", { run: name, seeds: [...Array(16).keys()], solving: {} });
    if (!answer.png) return;
    const pictures = await cut(answer.png, answer.shape, answer.count);
    const [height, width] = answer.shape;
    const canvas = one.card.card.querySelector("canvas") ?? document.createElement("canvas");
    canvas.className = "pixel";
    [canvas.width, canvas.height] = [8 * (width + 1), 2 * (height + 1)];
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `Samples of ${name} at step ${one.checkpoint}`);
    const pen = canvas.getContext("2d");
    pictures.forEach((picture, at) => pen.drawImage(picture, (at % 8) * (width + 1), Math.floor(at / 8) * (height + 1)));
    one.card.card.append(canvas);
  } catch (problem) {
    say(`${name}: ${problem.message}`, true);
  }
}

function plot() {
  const curves = (key) =>
    [...runs.values()].map(({ lines, colour }) => {
      const own = lines.filter((line) => line[key] !== undefined && line[key] !== null);
      return { x: own.map((line) => line.step), y: own.map((line) => line[key]), colour };
    });
  const logX = $("log-x").checked;
  chart($("chart-loss"), curves("loss"), { logX, logY: true });
  chart($("chart-held"), curves("held_out_loss"), { logX, logY: true });
  chart($("chart-speed"), curves("images_per_second"), { logX });
  chart($("chart-norm"), curves("gradient_norm"), { logX, logY: true });
}
