// The plane from above: potential, field lines, charges, particles.

import { CIRCLE, add, changed, nearest, remember, remove, state } from "./charges.js";

const EXTENT = 1.65; // Half of the shorter side, in units of the data.
const REACH = 14; // Pixels around a charge that count as the charge.
// From dark to bright in equal steps of lightness.
const COLORS = [[8, 9, 22], [26, 24, 66], [61, 31, 108], [112, 38, 120], [166, 50, 110], [214, 79, 84], [242, 130, 60], [251, 189, 92], [252, 241, 178]];

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
    this.cursor = [0, 0];
    this.keys = false;
    this.held = null;
    this.grounds = 0; // Number of times that it was drawn.
    this.dirty = true;
    this.moved = false;
    new ResizeObserver(() => this.resize()).observe(canvas);
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
    const small = clientWidth < 480 ? 0.72 : 1;
    this.charge = this.dot(3.4 * small * ratio, "#fff4d6", "#3b1c00");
    this.particle = this.dot(2.6 * small * ratio, "#8ff0ff", "#00323a");
    this.scale = Math.min(this.canvas.width, this.canvas.height) / (2 * EXTENT);
    this.dirty = true;
    changed("view");
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
        if (this.held.at < 0) this.say("There can be at most 500 charges; remove some first.");
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
      this.say(`Placed a charge at ${this.cursor.map((value) => value.toFixed(2)).join(", ")}.`);
    } else if ((event.key === "]" || event.key === "[") && count) {
      state.chosen = (Math.max(state.chosen, event.key === "]" ? -1 : 0) + (event.key === "]" ? 1 : count - 1)) % count;
      this.cursor = [...state.charges[state.chosen]];
      this.say(`Charge ${state.chosen + 1} of ${count} is selected.`);
      changed("view");
    } else if ((event.key === "Delete" || event.key === "Backspace") && state.chosen >= 0) {
      remember();
      remove(state.chosen);
      this.say("Removed the charge.");
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

  paint({ columns, rows, values }) {
    const sorted = Float32Array.from(values).sort();
    const low = sorted[Math.floor(sorted.length * 0.02)];
    const high = sorted[Math.floor(sorted.length * 0.995)];
    [this.map.width, this.map.height] = [columns, rows];
    const pen = this.map.getContext("2d");
    const image = pen.createImageData(columns, rows);
    for (let row = 0; row < rows; row += 1) {
      for (let column = 0; column < columns; column += 1) {
        const share = Math.min(Math.max((values[row * columns + column] - low) / (high - low || 1), 0), 1);
        const [red, green, blue] = color(share);
        // Rows of the map go up, those of a picture down.
        image.data.set([red, green, blue, 255], 4 * ((rows - 1 - row) * columns + column));
      }
    }
    pen.putImageData(image, 0, 0);
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
    const { canvas, ratio } = this;
    const pen = this.ground.getContext("2d", { alpha: false });
    pen.fillStyle = "#070912";
    pen.fillRect(0, 0, canvas.width, canvas.height);
    if (state.show.map && this.hasMap) {
      pen.imageSmoothingEnabled = true;
      pen.imageSmoothingQuality = this.fine ? "high" : "low";
      pen.globalAlpha = 0.78;
      pen.drawImage(this.map, 0, 0, canvas.width, canvas.height);
      pen.globalAlpha = 1;
    }
    if (state.show.lines && this.lines?.paths) this.drawLines(pen);
    this.stamp(pen, this.charge, state.charges.filter((_, at) => at !== state.chosen));
    if (state.flat) this.ring(pen);
  }

  drawLines(pen) {
    const { ratio } = this;
    const { paths, count, steps } = this.lines;
    pen.lineWidth = 1.1 * ratio;
    pen.strokeStyle = "rgba(224,236,255,.62)";
    pen.beginPath();
    for (let line = 0; line < count; line += 1) {
      for (let step = 0; step <= steps; step += 1) {
        const at = 2 * (step * count + line);
        const [x, y] = this.toPixels(paths[at], paths[at + 1]);
        if (step) pen.lineTo(x, y);
        else pen.moveTo(x, y);
      }
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

  ring(pen) {
    pen.strokeStyle = "rgba(143,240,255,.5)";
    pen.setLineDash([6, 6]);
    pen.beginPath();
    pen.arc(...this.toPixels(0, 0), CIRCLE * this.scale, 0, 2 * Math.PI);
    pen.stroke();
    pen.setLineDash([]);
  }

  mark(pen, [a, b]) {
    pen.strokeStyle = "#ffb454";
    pen.lineWidth = 2 * this.ratio;
    pen.beginPath();
    pen.arc(...this.toPixels(a, b), 9 * this.ratio, 0, 2 * Math.PI);
    pen.stroke();
  }

  cross(pen) {
    const { ratio } = this;
    const [x, y] = this.toPixels(...this.cursor);
    pen.strokeStyle = "#ffffff";
    pen.lineWidth = 2 * ratio;
    pen.beginPath();
    pen.moveTo(x - 12 * ratio, y);
    pen.lineTo(x + 12 * ratio, y);
    pen.moveTo(x, y - 12 * ratio);
    pen.lineTo(x, y + 12 * ratio);
    pen.stroke();
  }
}

function color(share) {
  const at = share * (COLORS.length - 1);
  const below = Math.min(Math.floor(at), COLORS.length - 2);
  const part = at - below;
  return COLORS[below].map((value, i) => value + part * (COLORS[below + 1][i] - value));
}
