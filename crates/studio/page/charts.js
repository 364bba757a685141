// Curves on a canvas, with labeled axes.

import { t } from "./language.js";
import { palette } from "./theme.js";

// Color of the curve at an index, in the present theme.
export const color = (at) => palette().curves[at % palette().curves.length];

// curves: [{ x: [], y: [], color }]; logX, logY: whether an axis is logarithmic.
export function chart(canvas, curves, { logX = false, logY = false, thin = false } = {}) {
  const ratio = Math.min(window.devicePixelRatio || 1, 2);
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (!width || !height) return;
  [canvas.width, canvas.height] = [width * ratio, height * ratio];
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  pen.clearRect(0, 0, width, height);
  const { axis: ink, grid, size } = palette();
  const [left, below, letters] = size > 1 ? [64, 26, 15] : [52, 20, 12];
  const x = axis(curves.flatMap((curve) => curve.x), logX, left, width - 8);
  const y = axis(curves.flatMap((curve) => curve.y), logY, height - below, 8);
  pen.font = `${letters}px system-ui, 'DejaVu Sans', sans-serif`;
  [pen.fillStyle, pen.strokeStyle] = [ink, grid];
  pen.lineWidth = 1;
  if (!x || !y) {
    pen.fillText(t("no-data"), left, height / 2);
    return;
  }
  pen.textAlign = "right";
  for (const tick of y.ticks) {
    line(pen, left, y.at(tick), width - 8, y.at(tick));
    pen.fillText(short(tick), left - 6, y.at(tick) + 4);
  }
  pen.textAlign = "center";
  for (const tick of x.ticks) {
    line(pen, x.at(tick), height - below, x.at(tick), height - below + 4);
    pen.fillText(short(tick), Math.min(Math.max(x.at(tick), left + 6), width - 18), height - 4);
  }
  for (const curve of curves) {
    pen.strokeStyle = curve.color;
    pen.lineWidth = (thin ? 1 : 1.8) * size;
    pen.globalAlpha = curve.alpha ?? 1;
    pen.beginPath();
    let pending = false;
    for (let i = 0; i < curve.x.length; i += 1) {
      const [a, b] = [x.at(curve.x[i]), y.at(curve.y[i])];
      if (!Number.isFinite(a) || !Number.isFinite(b)) continue;
      if (pending) pen.lineTo(a, b);
      else pen.moveTo(a, b);
      pending = true;
    }
    pen.stroke();
    if (curve.x.length === 1 || curve.dot) {
      const last = curve.x.length - 1;
      pen.fillStyle = curve.color;
      pen.beginPath();
      pen.arc(x.at(curve.x[last]), y.at(curve.y[last]), thin ? 2 : 3, 0, 2 * Math.PI);
      pen.fill();
    }
    pen.globalAlpha = 1;
  }
}

function line(pen, a, b, c, d) {
  pen.beginPath();
  pen.moveTo(a, b);
  pen.lineTo(c, d);
  pen.stroke();
}

// Maps values to pixels, with a few round values as ticks.
function axis(values, log, from, to) {
  const usable = values.filter((value) => Number.isFinite(value) && (!log || value > 0));
  if (!usable.length) return null;
  let [low, high] = [usable.reduce((a, b) => Math.min(a, b)), usable.reduce((a, b) => Math.max(a, b))];
  const go = log ? Math.log10 : (value) => value;
  if (low === high) [low, high] = log ? [low / 1.5, high * 1.5] : [low - 0.5 * Math.abs(low || 1), high + 0.5 * Math.abs(high || 1)];
  const at = (value) => from + ((go(value) - go(low)) / (go(high) - go(low))) * (to - from);
  return { at, ticks: log ? decades(low, high) : round(low, high) };
}

function round(low, high) {
  const rough = (high - low) / 4;
  const size = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * size).find((n) => n >= rough);
  const ticks = [];
  for (let tick = Math.ceil(low / step) * step; tick <= high + step * 1e-9; tick += step) ticks.push(tick);
  return ticks;
}

function decades(low, high) {
  const ticks = [];
  const spread = Math.log10(high / low);
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power += 1) {
    for (const n of spread > 3 ? [1] : spread > 1 ? [1, 3] : [1, 1.5, 2, 3, 5, 7]) {
      const tick = n * 10 ** power;
      if (tick >= low * 0.999 && tick <= high * 1.001) ticks.push(tick);
    }
  }
  return ticks;
}

export function short(value) {
  const size = Math.abs(value);
  if (size >= 1e5 || (size > 0 && size < 1e-3)) return value.toExponential(0);
  return String(Number(value.toPrecision(3)));
}
