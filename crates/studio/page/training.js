// The training part: logs of runs while they grow, and samples of their latest checkpoints.

import { get, post } from "./api.js";
import { chart, color, short } from "./charts.js";
import { cut } from "./png.js";
import { reason, t } from "./language.js";

const $ = (id) => document.getElementById(id);
const runs = new Map(); // name: { lines, at, steps, upscales, checkpoint, card }
let source = null;
let said = () => ""; // The status line, in the present language.

export async function begin() {
  $("log-x").addEventListener("change", plot);
  addEventListener("resize", plot);
  document.addEventListener("theme", recolor);
  document.addEventListener("language", () => {
    $("training-status").textContent = said();
    for (const one of runs.values()) describe(one);
    plot();
  });
  document.addEventListener("part", ({ detail }) => detail === "training" && list());
  await list();
}

function say(words, wrong = false) {
  said = words;
  $("training-status").textContent = words();
  $("training-status").classList.toggle("wrong", wrong);
}

async function list() {
  const logged = (await get("/api/v1/runs")).filter((run) => run.logged);
  const before = new Set([...document.querySelectorAll("#run-list input:checked")].map((box) => box.value));
  $("run-list").replaceChildren(...logged.map((run, at) => box(run, at, before.size ? before.has(run.name) : at >= logged.length - 4)));
  if (!logged.length) {
    say(() => t("no-log"));
    plot();
    return;
  }
  watch();
}

function box({ name, steps, upscales }, at, checked) {
  const [label, input, swatch] = ["label", "input", "span"].map((tag) => document.createElement(tag));
  Object.assign(input, { type: "checkbox", value: name, checked });
  Object.assign(input.dataset, { at, steps: steps ?? "", upscales });
  input.addEventListener("change", watch);
  label.className = "check";
  swatch.className = "swatch";
  swatch.style.background = color(at);
  label.append(input, swatch, name);
  return label;
}

// Follows the chosen runs from their beginning.
function watch() {
  source?.close();
  const boxes = [...document.querySelectorAll("#run-list input:checked")].slice(0, 16);
  runs.clear();
  $("run-cards").replaceChildren();
  for (const { value, dataset } of boxes) {
    const [at, steps, upscales] = [Number(dataset.at), Number(dataset.steps), dataset.upscales === "true"];
    runs.set(value, { lines: [], at, steps, upscales, checkpoint: null, card: tile(value, color(at)) });
  }
  plot();
  if (!boxes.length) return say(() => t("choose-run"));
  source = new EventSource(`/api/v1/training/events?runs=${encodeURIComponent(boxes.map((box) => box.value).join(","))}`);
  source.addEventListener("log", ({ data }) => take(JSON.parse(data)));
  source.onopen = () => say(() => t("followed", boxes.length));
  source.onerror = () => say(() => t("no-answer"), true);
}

function tile(name, edge) {
  const [card, title, text] = ["article", "h2", "p"].map((tag) => document.createElement(tag));
  card.className = "card";
  card.style.borderLeftColor = edge;
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
  describe(one);
  document.body.dataset.logged = String([...runs.values()].reduce((sum, { lines: own }) => sum + own.length, 0));
  plot();
  if (checkpoint !== null && checkpoint !== one.checkpoint) {
    one.checkpoint = checkpoint;
    sample(run, one);
  }
}

// Writes what the latest line of a run says.
function describe(one) {
  const last = one.lines.at(-1);
  if (!last) return;
  const held = one.lines.findLast((line) => line.held_out_loss !== undefined);
  one.card.text.textContent = [
    one.steps ? t("step-of", last.step, one.steps) : t("step-alone", last.step),
    t("loss", short(last.loss)),
    held && t("held-out", short(held.held_out_loss)),
    t("rows-per-second", short(last.images_per_second)),
    one.upscales && t("upscaler"),
    t("so-far", duration(last.seconds)),
    timeLeft(one),
  ].filter(Boolean).join(t("list"));
}

// Time until the last step, by the speed of the latest lines; none for a finished training or one without a known end.
function timeLeft({ lines, steps }) {
  const recent = lines.slice(-20);
  const [first, last] = [recent[0], recent.at(-1)];
  if (!steps || last.step >= steps) return last.step >= steps && steps ? t("finished") : "";
  // The clock restarts when a training is resumed.
  if (last.step <= first.step || last.seconds <= first.seconds) return "";
  return t("left", duration(((steps - last.step) * (last.seconds - first.seconds)) / (last.step - first.step)));
}

function duration(seconds) {
  if (seconds < 90) return t("time-s", Math.round(seconds));
  if (seconds < 5400) return t("time-min", Math.round(seconds / 60));
  return t("time-h", short(seconds / 3600));
}

function recolor() {
  for (const input of document.querySelectorAll("#run-list input")) input.parentElement.querySelector(".swatch").style.background = color(Number(input.dataset.at));
  for (const { card, at } of runs.values()) card.card.style.borderLeftColor = color(at);
  plot();
}

// Draws samples of the latest checkpoint. A flow that upscales images cannot be sampled by itself.
async function sample(name, one) {
  if (one.upscales) return;
  try {
    const answer = await post("/api/v1/sample", { run: name, seeds: [...Array(16).keys()], solving: {} });
    if (!answer.png) return;
    const pictures = await cut(answer.png, answer.shape, answer.count);
    const [height, width] = answer.shape;
    const canvas = one.card.card.querySelector("canvas") ?? document.createElement("canvas");
    canvas.className = "pixel";
    [canvas.width, canvas.height] = [8 * (width + 1), 2 * (height + 1)];
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", t("samples-of", name, one.checkpoint));
    const pen = canvas.getContext("2d");
    pictures.forEach((picture, at) => pen.drawImage(picture, (at % 8) * (width + 1), Math.floor(at / 8) * (height + 1)));
    one.card.card.append(canvas);
  } catch (problem) {
    // A checkpoint can be removed, or be unreadable, while its training goes on.
    say(() => t("no-samples", name, reason(problem.message)));
  }
}

function plot() {
  const curves = (key) =>
    [...runs.values()].map(({ lines, at }) => {
      const own = lines.filter((line) => line[key] !== undefined && line[key] !== null);
      return { x: own.map((line) => line.step), y: own.map((line) => line[key]), color: color(at) };
    });
  const logX = $("log-x").checked;
  chart($("chart-loss"), curves("loss"), { logX, logY: true });
  chart($("chart-held"), curves("held_out_loss"), { logX, logY: true });
  chart($("chart-speed"), curves("images_per_second"), { logX });
  chart($("chart-norm"), curves("gradient_norm"), { logX, logY: true });
}
