// The plane from above: potential, field lines, charges, particles.

import { CIRCLE, add, changed, nearest, remember, remove, state } from "./charges.js";
import { t } from "./language.js";
import { palette } from "./theme.js";

const EXTENT = 1.65; // Half of the shorter side, in units of the data.
const REACH = 14; // Pixels around a charge that count as the charge.
const CONTOURS = 14; // Number of equipotential lines.

export class Plane {
  constructor(canvas, say) {
    this.canvas = canvas;
    this.pen = canvas.getContext("2d", { alpha: false });
    this.say = say;
    this.map = document.createElement("canvas");
    // Everything except the particles.
    this.ground = document.createElement("canvas");
    this.lines = null;
    this.particles = null;
    this.story = null; // Picture of a story.
    this.cursor = [0, 0];
    this.keys = false;
    this.held = null;
    this.grounds = 0; // Number of times that it was drawn.
    this.dirty = true;
    this.moved = false;
    new ResizeObserver(() => this.resize()).observe(canvas);
    document.addEventListener("theme", () => {
      this.dots();
      if (this.values) this.paint(this.values);
    });
    this.listen();
    this.resize();
  }

  resize() {
    const { clientWidth, clientHeight } = this.canvas;
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    this.canvas.width = Math.max(1, Math.round(clientWidth * ratio));
    this.canvas.height = Math.max(1, Math.round(clientHeight * ratio));
    this.ratio = ratio;
    [this.ground.width, this.ground.height] = [this.canvas.width, this.canvas.height];
    this.dots();
    this.rescale();
    changed("view");
  }

  // After a change of the zoom.
  rescale() {
    this.scale = Math.min(this.canvas.width, this.canvas.height) / (2 * EXTENT * state.zoom);
    this.dirty = true;
  }

  // Pictures of the points, in the present theme and size.
  dots() {
    const colors = palette();
    const size = (this.canvas.clientWidth < 480 ? 0.72 : 1) * this.ratio * state.pointSize * colors.size;
    this.charge = this.dot(3.4 * size, ...colors.charge);
    this.particle = this.dot(2.6 * size, ...colors.particle);
    this.marks = colors.series.map((color) => this.dot(3 * size, color, colors.particle[1]));
    this.thick = this.ratio * (0.5 + 0.5 * state.pointSize) * colors.size;
    this.dirty = true;
  }

  // The visible part, in units of the data.
  view() {
    const [width, height] = [this.canvas.width / this.scale, this.canvas.height / this.scale];
    return { left: -width / 2, top: -height / 2, width, height };
  }

  toPixels(x, y) {
    return [this.canvas.width / 2 + x * this.scale, this.canvas.height / 2 - y * this.scale];
  }

  toData(event) {
    const box = this.canvas.getBoundingClientRect();
    const x = (event.clientX - box.left) * this.ratio - this.canvas.width / 2;
    const y = this.canvas.height / 2 - (event.clientY - box.top) * this.ratio;
    return [x / this.scale, y / this.scale];
  }

  listen() {
    const { canvas } = this;
    const reach = () => (REACH * this.ratio) / this.scale;
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button > 0) return;
      canvas.setPointerCapture(event.pointerId);
      this.keys = false;
      const [x, y] = this.toData(event);
      const at = nearest(x, y, reach());
      remember();
      if (state.tool === "erase") {
        this.held = { erase: true };
        if (at >= 0) remove(at);
      } else if (state.tool === "draw") {
        this.held = { draw: [x, y] };
        add(x, y);
      } else {
        this.held = { at: at >= 0 ? at : add(x, y) ? state.charges.length - 1 : -1 };
        state.chosen = this.held.at;
        if (this.held.at < 0) this.say(t("too-many"));
        changed();
      }
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!this.held) return;
      const [x, y] = this.toData(event);
      if (this.held.erase) {
        const at = nearest(x, y, reach());
        if (at >= 0) remove(at);
      } else if (this.held.draw) {
        const [a, b] = this.held.draw;
        if (Math.hypot(x - a, y - b) > 0.06 && add(x, y)) this.held.draw = [x, y];
      } else if (this.held.at >= 0) {
        state.charges[this.held.at] = [x, y];
        changed("chosen");
      }
    });
    const release = () => {
      this.held = null;
    };
    canvas.addEventListener("pointerup", release);
    canvas.addEventListener("pointercancel", release);
    canvas.addEventListener("contextmenu", (event) => {
      event.preventDefault();
      const at = nearest(...this.toData(event), reach());
      if (at < 0) return;
      remember();
      remove(at);
    });
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom?.(state.zoom * Math.exp(event.deltaY * 0.001));
    }, { passive: false });
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("blur", () => {
      this.keys = false;
      this.dirty = true;
    });
  }

  key(event) {
    const step = event.shiftKey ? 0.01 : 0.06;
    const move = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] }[event.key];
    const count = state.charges.length;
    this.keys = true;
    if (move) {
      const from = state.chosen >= 0 ? state.charges[state.chosen] : this.cursor;
      this.cursor = [from[0] + move[0], from[1] + move[1]];
      if (state.chosen >= 0) state.charges[state.chosen] = [...this.cursor];
      changed(state.chosen >= 0 ? "chosen" : "view");
    } else if (event.key === "Enter" || event.key === " ") {
      remember();
      add(...this.cursor);
      this.say(t("placed", this.cursor.map((value) => value.toFixed(2)).join(", ")));
    } else if ((event.key === "]" || event.key === "[") && count) {
      state.chosen = (Math.max(state.chosen, event.key === "]" ? -1 : 0) + (event.key === "]" ? 1 : count - 1)) % count;
      this.cursor = [...state.charges[state.chosen]];
      this.say(t("selected", state.chosen + 1, count));
      changed("view");
    } else if ((event.key === "Delete" || event.key === "Backspace") && state.chosen >= 0) {
      remember();
      remove(state.chosen);
      this.say(t("removed"));
    } else if (event.key === "Escape") {
      state.chosen = -1;
      changed("view");
    } else return;
    event.preventDefault();
    this.dirty = true;
  }

  // Takes lines and a map from the worker.
  take({ map, lines, fine }) {
    if (map?.values) this.paint(map);
    this.lines = lines;
    this.hasMap = Boolean(map?.values);
    this.fine = fine;
    this.dirty = true;
  }

  paint(values) {
    this.values = values;
    const { columns, rows, view } = values;
    const sorted = Float32Array.from(values.values).sort();
    const low = sorted[Math.floor(sorted.length * 0.02)];
    const high = sorted[Math.floor(sorted.length * 0.995)];
    [this.map.width, this.map.height] = [columns, rows];
    const pen = this.map.getContext("2d");
    const image = pen.createImageData(columns, rows);
    const { map } = palette();
    for (let row = 0; row < rows; row += 1) {
      for (let column = 0; column < columns; column += 1) {
        const share = Math.min(Math.max((values.values[row * columns + column] - low) / (high - low || 1), 0), 1);
        const [red, green, blue] = color(map, share);
        // Rows of the map go up, those of a picture down.
        image.data.set([red, green, blue, 255], 4 * ((rows - 1 - row) * columns + column));
      }
    }
    pen.putImageData(image, 0, 0);
    const levels = Array.from({ length: CONTOURS }, (_, at) => low + ((at + 0.5) / CONTOURS) * (high - low));
    this.contours = state.show.contours ? contours(values, view, levels) : [];
    this.dirty = true;
  }

  // Only the particles move in every frame; all else is drawn again when it has changed.
  draw() {
    const { pen, canvas, ground } = this;
    if (this.dirty) this.drawGround();
    this.dirty = this.moved = false;
    pen.drawImage(ground, 0, 0);
    const chosen = state.charges[state.chosen];
    if (chosen) this.stamp(pen, this.charge, [chosen]);
    if (state.show.particles && this.particles) this.stamp(pen, this.particle, this.particles);
    if (this.story) this.drawStory(pen, this.story);
    if (chosen) this.mark(pen, chosen);
    if (this.keys && document.activeElement === canvas) this.cross(pen);
  }

  // Draws the picture of a dot at each position.
  stamp(pen, dot, points) {
    const half = dot.width / 2;
    for (const [x, y] of points) {
      const [left, top] = this.toPixels(x, y);
      if (left > -half && top > -half && left < this.canvas.width + half && top < this.canvas.height + half) pen.drawImage(dot, left - half, top - half);
    }
  }

  // The chosen charge is drawn in every frame, over the others.
  changed(what) {
    if (what === "chosen") this.moved = true;
    else this.dirty = true;
  }

  drawGround() {
    this.grounds += 1;
    const { canvas } = this;
    const colors = palette();
    const pen = this.ground.getContext("2d", { alpha: false });
    pen.fillStyle = colors.ground;
    pen.fillRect(0, 0, canvas.width, canvas.height);
    if (state.show.map && this.hasMap) {
      pen.imageSmoothingEnabled = true;
      pen.imageSmoothingQuality = this.fine ? "high" : "low";
      pen.globalAlpha = colors.mapAlpha;
      // While the view zooms, the map is still that of another view.
      const { left, top, width, height } = this.values.view;
      pen.drawImage(this.map, ...this.toPixels(left, top + height), width * this.scale, height * this.scale);
      pen.globalAlpha = 1;
    }
    if (state.show.contours && this.hasMap) this.drawContours(pen, colors);
    if (state.show.lines && this.lines?.paths) this.drawLines(pen, colors);
    this.stamp(pen, this.charge, state.charges.filter((_, at) => at !== state.chosen));
    if (state.flat) this.ring(pen, colors);
  }

  begin(pen, [color, alpha], width) {
    [pen.strokeStyle, pen.globalAlpha, pen.lineWidth] = [color, alpha, width * this.thick];
    pen.beginPath();
  }

  drawLines(pen, colors) {
    const { paths, count, steps } = this.lines;
    this.begin(pen, colors.line, 1.1);
    for (let line = 0; line < count; line += 1) {
      for (let step = 0; step <= steps; step += 1) {
        const at = 2 * (step * count + line);
        const [x, y] = this.toPixels(paths[at], paths[at + 1]);
        if (step) pen.lineTo(x, y);
        else pen.moveTo(x, y);
      }
    }
    pen.stroke();
    pen.globalAlpha = 1;
  }

  drawContours(pen, colors) {
    this.begin(pen, colors.contour, 1);
    for (let at = 0; at < this.contours.length; at += 4) {
      pen.moveTo(...this.toPixels(this.contours[at], this.contours[at + 1]));
      pen.lineTo(...this.toPixels(this.contours[at + 2], this.contours[at + 3]));
    }
    pen.stroke();
    pen.globalAlpha = 1;
  }

  drawStory(pen, { lines, planeLines, dots, arrows }) {
    const { series } = palette();
    for (const [at, own] of (planeLines ?? lines ?? []).entries()) {
      this.begin(pen, [series[at], 1], 1.8);
      for (const line of own) line.forEach(([x, y], i) => (i ? pen.lineTo(...this.toPixels(x, y)) : pen.moveTo(...this.toPixels(x, y))));
      pen.stroke();
    }
    for (const arrow of arrows ?? []) this.arrow(pen, series, arrow);
    for (const [at, own] of (dots ?? []).entries()) this.stamp(pen, this.marks[at], own);
  }

  arrow(pen, series, [from, to, at, width]) {
    const [[a, b], [c, d]] = [this.toPixels(...from), this.toPixels(...to)];
    const size = Math.hypot(c - a, d - b);
    if (size < 0.3) return;
    this.begin(pen, [series[at], 1], width);
    pen.moveTo(a, b);
    pen.lineTo(c, d);
    const head = Math.min(0.3 * size, (4 + 2 * width) * this.thick);
    for (const turn of [2.65, -2.65]) {
      const angle = Math.atan2(d - b, c - a) + turn;
      pen.moveTo(c, d);
      pen.lineTo(c + head * Math.cos(angle), d + head * Math.sin(angle));
    }
    pen.stroke();
  }

  // A dot as a separate picture.
  dot(radius, fill, edge) {
    const picture = document.createElement("canvas");
    const middle = Math.ceil(radius + this.ratio);
    [picture.width, picture.height] = [2 * middle, 2 * middle];
    const pen = picture.getContext("2d");
    [pen.fillStyle, pen.strokeStyle, pen.lineWidth] = [fill, edge, this.ratio];
    pen.arc(middle, middle, radius, 0, 2 * Math.PI);
    pen.fill();
    pen.stroke();
    return picture;
  }

  ring(pen, colors) {
    this.begin(pen, [colors.particle[0], 0.6], 1.2);
    pen.setLineDash([6, 6]);
    pen.arc(...this.toPixels(0, 0), CIRCLE * this.scale, 0, 2 * Math.PI);
    pen.stroke();
    pen.setLineDash([]);
    pen.globalAlpha = 1;
  }

  mark(pen, [a, b]) {
    this.begin(pen, [palette().chosen, 1], 2);
    pen.arc(...this.toPixels(a, b), 9 * this.ratio, 0, 2 * Math.PI);
    pen.stroke();
  }

  cross(pen) {
    const { ratio } = this;
    const [x, y] = this.toPixels(...this.cursor);
    this.begin(pen, [palette().cross, 1], 2);
    pen.moveTo(x - 12 * ratio, y);
    pen.lineTo(x + 12 * ratio, y);
    pen.moveTo(x, y - 12 * ratio);
    pen.lineTo(x, y + 12 * ratio);
    pen.stroke();
  }
}

function color(map, share) {
  const at = share * (map.length - 1);
  const below = Math.min(Math.floor(at), map.length - 2);
  const part = at - below;
  return map[below].map((value, i) => value + part * (map[below + 1][i] - value));
}

// Segments x, y, x, y of the lines of equal values, from the middles of the cells.
function contours({ columns, rows, values }, view, levels) {
  const [stepX, stepY] = [view.width / columns, view.height / rows];
  const segments = [];
  for (const level of levels) {
    for (let row = 0; row + 1 < rows; row += 1) {
      for (let column = 0; column + 1 < columns; column += 1) {
        const first = row * columns + column;
        const [a, b, c, d] = [values[first], values[first + 1], values[first + columns + 1], values[first + columns]];
        const crossing = [];
        if (a < level !== b < level) crossing.push(column + (level - a) / (b - a), row);
        if (b < level !== c < level) crossing.push(column + 1, row + (level - b) / (c - b));
        if (d < level !== c < level) crossing.push(column + (level - d) / (c - d), row + 1);
        if (a < level !== d < level) crossing.push(column, row + (level - a) / (d - a));
        for (let at = 0; at + 3 < crossing.length; at += 4) {
          for (const i of [0, 2]) segments.push(view.left + (crossing[at + i] + 0.5) * stepX, view.top + (crossing[at + i + 1] + 0.5) * stepY);
        }
      }
    }
  }
  return segments;
}
