// The augmented space from the side: the plane of charges, the dome, lines, particles. Up is z = r / sqrt(D) for every D, so that the
// hemisphere |(x, r)| = z_max sqrt(D) is one at D = 1, and opens into the plane z = z_max as D goes to infinity.

import { Camera, Geometry, Mesh, Program, Renderer, Transform } from "./vendor/ogl.js";
import { Layer } from "./layer.js";
import { MOST, state, top } from "./charges.js";
import { palette } from "./theme.js";

const EDGE = 3.2; // How far from the middle the dome is drawn, for a height of 3.
const UP = [0, 0, 1];
const POINTS = `
  attribute vec3 position; attribute float shade;
  uniform mat4 modelViewMatrix, projectionMatrix; uniform float size; varying float vShade;
  void main() { vShade = shade; gl_Position = projectionMatrix * modelViewMatrix * vec4(position, 1.0); gl_PointSize = size; }`;
// A line is a ribbon of two triangles, because WebGL draws thin lines only.
const RIBBONS = `
  attribute vec3 position, other; attribute float side, shade;
  uniform mat4 modelViewMatrix, projectionMatrix; uniform float size; uniform vec2 screen; varying float vShade;
  void main() {
    vShade = shade;
    mat4 all = projectionMatrix * modelViewMatrix;
    vec4 here = all * vec4(position, 1.0), there = all * vec4(other, 1.0);
    vec2 along = (there.xy / there.w - here.xy / here.w) * screen;
    vec2 across = dot(along, along) > 0. ? normalize(vec2(-along.y, along.x)) : vec2(0.);
    here.xy += across * side * size / screen * here.w;
    gl_Position = here;
  }`;
const FRAGMENT = `
  precision highp float; uniform vec4 color; uniform float size, round; varying float vShade;
  void main() {
    float inside = round > .5 ? clamp((.5 - length(gl_PointCoord - .5)) * size, 0., 1.) : 1.;
    gl_FragColor = vec4(color.rgb, color.a * vShade * inside);
  }`;

export class Space {
  constructor(canvas) {
    this.canvas = canvas;
    this.wide = 1;
    this.layers = 0; // Number of times that the static picture was drawn.
    this.angles = { turn: 0.6, lift: 0.32, far: 9.5 };
    this.dirty = true;
    try {
      this.renderer = new Renderer({ canvas, dpr: Math.min(window.devicePixelRatio || 1, 2), depth: false });
    } catch {
      this.renderer = null;
    }
    if (!this.renderer?.isWebgl2) {
      this.renderer = null;
      return;
    }
    const { gl } = this.renderer;
    // The style sheet determines the size of the canvas, not the renderer.
    canvas.removeAttribute("style");
    this.camera = new Camera(gl, { fov: 36, near: 0.1, far: 60 });
    this.layer = new Layer(this.renderer);
    const [still, moving] = [new Transform(), new Transform()];
    this.scenes = { still, moving };
    const lines = (scene, most, color, width = 1) => this.part(scene, { ribbons: true, most, color, size: width });
    const points = (scene, most, color, size) => this.part(scene, { ribbons: false, most, color, size });
    this.parts = {
      floor: lines(still, 64, (c) => c.floor),
      dome: lines(still, 4096, (c) => c.dome),
      level: lines(still, 8, (c) => c.level, 1.4),
      lines: lines(still, 16384, (c) => c.spaceLine),
      charges: points(still, MOST, (c) => [c.spaceCharge, 1], 5.5),
      chosen: points(moving, 1, (c) => [c.chosen, 1], 9),
      particles: points(moving, MOST, (c) => [c.spaceParticle, 1], 5.5),
    };
    for (let at = 0; at < 4; at += 1) {
      this.parts[`lines${at}`] = lines(moving, 8192, (c) => [c.series[at], 0.85], 1.3);
      this.parts[`dots${at}`] = points(moving, MOST, (c) => [c.series[at], 1], 6.5);
    }
    this.set("floor", grid());
    document.addEventListener("theme", () => this.recolor());
    this.recolor();
    this.listen();
    new ResizeObserver(() => this.resize()).observe(canvas);
    this.resize();
  }

  // Maximum number of points, or ends of lines. A line is six corners.
  part(scene, { ribbons, most, color, size }) {
    const { gl } = this.renderer;
    const uniforms = { color: { value: [1, 1, 1, 1] }, size: { value: 1 }, round: { value: ribbons ? 0 : 1 }, screen: { value: [1, 1] } };
    const program = new Program(gl, { vertex: ribbons ? RIBBONS : POINTS, fragment: FRAGMENT, uniforms, transparent: true, depthTest: false, depthWrite: false, cullFace: null });
    const corners = ribbons ? 3 * most : most;
    const attribute = (width, value = 0) => ({ size: width, data: new Float32Array(width * corners).fill(value), usage: gl.DYNAMIC_DRAW });
    const geometry = new Geometry(gl, {
      position: attribute(3), shade: attribute(1, 1), ...(ribbons ? { other: attribute(3), side: attribute(1) } : {}),
    });
    geometry.setDrawRange(0, 0);
    const mesh = new Mesh(gl, { mode: ribbons ? gl.TRIANGLES : gl.POINTS, geometry, program, frustumCulled: false });
    mesh.setParent(scene);
    return Object.assign(mesh, { ribbons, most, paint: color, base: size });
  }

  // Colors and sizes of the theme and of the chosen size of points.
  recolor() {
    if (!this.renderer) return;
    const { gl, dpr } = this.renderer;
    const colors = palette();
    gl.clearColor(...rgb(colors.ground), 1);
    const small = this.canvas.clientWidth < 480 ? 0.7 : 1;
    for (const part of Object.values(this.parts)) {
      const [color, alpha] = part.paint(colors);
      part.program.uniforms.color.value = [...rgb(color), alpha];
      const size = part.ribbons ? 0.5 + 0.5 * state.pointSize : small * state.pointSize;
      part.program.uniforms.size.value = part.base * size * colors.size * dpr;
      part.program.uniforms.screen.value = [this.canvas.width, this.canvas.height];
    }
    this.dirty = this.layerDirty = true;
  }

  set(name, positions, shades) {
    if (!this.renderer) return;
    const part = this.parts[name];
    const { position, shade, other, side } = part.geometry.attributes;
    const count = Math.min(Math.floor(positions.length / 3), part.most);
    const ends = part.ribbons ? [[0, 1, 1], [0, 1, -1], [1, 0, -1], [1, 0, -1], [0, 1, -1], [1, 0, 1]] : [[0, 0, 0]];
    const step = part.ribbons ? 2 : 1;
    let corner = 0;
    for (let first = 0; first + step <= count; first += step) {
      for (const [here, there, across] of ends) {
        for (let axis = 0; axis < 3; axis += 1) {
          position.data[3 * corner + axis] = positions[3 * (first + here) + axis];
          if (other) other.data[3 * corner + axis] = positions[3 * (first + there) + axis];
        }
        if (side) side.data[corner] = across;
        if (shades) shade.data[corner] = shades[first + here];
        corner += 1;
      }
    }
    for (const attribute of [position, other, side]) if (attribute) attribute.needsUpdate = true;
    shade.needsUpdate = Boolean(shades);
    part.geometry.setDrawRange(0, corner);
    this.dirty = true;
    if (part.parent === this.scenes.still) this.layerDirty = true;
  }

  // Takes the picture of a story, or null.
  takeStory(picture) {
    if (!this.renderer || (!picture && !this.hasStory)) return;
    this.hasStory = Boolean(picture);
    for (let at = 0; at < 4; at += 1) {
      const pieces = picture?.lines?.[at] ?? [];
      this.set(`lines${at}`, pieces.flatMap((line) => line.slice(1).flatMap((end, i) => [...line[i], ...end])));
      this.set(`dots${at}`, (picture?.dots?.[at] ?? []).flat());
    }
  }

  resize() {
    if (!this.renderer) return;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (!width || !height) return;
    const { dpr } = this.renderer;
    this.renderer.width = width;
    this.renderer.height = height;
    [this.canvas.width, this.canvas.height] = [width * dpr, height * dpr];
    this.camera.perspective({ aspect: width / height });
    // In a narrow window the camera is farther away.
    this.wide = Math.max(1, (1.25 * height) / width);
    this.layer.resize(this.canvas.width, this.canvas.height);
    this.recolor();
  }

  listen() {
    const { canvas, angles } = this;
    const turn = (x, y) => {
      angles.turn -= x;
      angles.lift = Math.min(Math.max(angles.lift + y, 0.03), 1.5);
      this.dirty = this.layerDirty = true;
    };
    canvas.addEventListener("pointerdown", (event) => canvas.setPointerCapture(event.pointerId));
    canvas.addEventListener("pointermove", (event) => {
      if (event.buttons & 1) turn(event.movementX * 0.008, event.movementY * 0.008);
    });
    canvas.addEventListener("wheel", (event) => {
      angles.far = Math.min(Math.max(angles.far * Math.exp(event.deltaY * 0.001), 4), 25);
      this.dirty = this.layerDirty = true;
      event.preventDefault();
    }, { passive: false });
    canvas.addEventListener("keydown", (event) => {
      const move = { ArrowLeft: [0.08, 0], ArrowRight: [-0.08, 0], ArrowUp: [0, 0.08], ArrowDown: [0, -0.08] }[event.key];
      if (!move) return;
      turn(...move);
      event.preventDefault();
    });
  }

  // Charges, dome and the plane of the map; the chosen charge is drawn in every frame.
  settle(what) {
    if (!this.renderer) return;
    const at = (charges) => charges.flatMap(([x, y]) => [x, y, 0]);
    this.set("chosen", at(state.charges.filter((_, index) => index === state.chosen)));
    if (what === "chosen") return;
    this.set("charges", at(state.charges.filter((_, index) => index !== state.chosen)));
    this.set("dome", state.flat ? [] : dome(state.d));
    this.set("level", state.flat || !state.show.map ? [] : square(Math.min(state.sigma, top())));
  }

  // Lines up to where they cross the dome.
  takeLines(lines) {
    if (!this.renderer || !lines?.paths) return this.set("lines", []);
    const { paths, count, steps, levels } = lines;
    const height = (step) => (state.flat ? 0 : levels[0] * (levels[1] / levels[0]) ** (step / steps));
    const [positions, shades] = [[], []];
    for (let line = 0; line < count; line += 1) {
      for (let step = 0; step < steps; step += 1) {
        const at = (s) => [paths[2 * (s * count + line)], paths[2 * (s * count + line) + 1], height(s)];
        const [a, b] = [at(step), at(step + 1)];
        if (!state.flat && beyond(a)) break;
        positions.push(...a, ...toDome(a, b));
        const shade = state.flat ? 0.8 : 0.45 + 0.55 * Math.min(a[2] / 1.2, 1);
        shades.push(shade, shade);
      }
    }
    this.set("lines", positions, shades);
  }

  draw() {
    if (!this.renderer) return;
    const { turn, lift } = this.angles;
    const far = this.angles.far * this.wide * state.zoom;
    const middle = (state.flat ? 0.2 : 1.15) * state.zoom;
    this.camera.perspective({ near: 0.05 * far, far: 8 * far });
    // z is up.
    this.camera.up.set(...UP);
    this.camera.position.set(far * Math.cos(lift) * Math.sin(turn), -far * Math.cos(lift) * Math.cos(turn), middle + far * Math.sin(lift));
    this.camera.lookAt([0, 0, middle]);
    this.parts.lines.visible = state.show.lines;
    this.parts.particles.visible = state.show.particles;
    if (this.layerDirty) {
      this.layer.draw(this.scenes.still, this.camera);
      this.layers += 1;
    }
    this.layer.show();
    this.renderer.render({ scene: this.scenes.moving, camera: this.camera, sort: false, clear: false });
    this.layerDirty = false;
    this.dirty = false;
  }
}

// Returns the distance of a point from the center; 1 on the dome.
export function share([x, y, z]) {
  const wide = Number.isFinite(state.d) ? (x * x + y * y) / (state.d * top() ** 2) : 0;
  return Math.sqrt(wide + (z * z) / top() ** 2);
}

const beyond = (point) => share(point) >= 1;

export function toDome(a, b) {
  if (!beyond(b)) return b;
  let [low, high] = [0, 1];
  const at = (part) => a.map((value, i) => value + part * (b[i] - value));
  for (let i = 0; i < 20; i += 1) {
    const middle = (low + high) / 2;
    if (beyond(at(middle))) high = middle;
    else low = middle;
  }
  return at(high);
}

function grid() {
  const lines = [];
  for (let i = -4; i <= 4; i += 1) {
    const at = (i / 4) * 2;
    lines.push(at, -2, 0, at, 2, 0, -2, at, 0, 2, at, 0);
  }
  return lines;
}

function square(z) {
  const e = 1.65;
  return [-e, -e, z, e, -e, z, e, -e, z, e, e, z, e, e, z, -e, e, z, -e, e, z, -e, -e, z];
}

function rgb(color) {
  return [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16) / 255);
}

// Returns the lines of the surface |(x, r)| = z_max sqrt(D) near the axis.
function dome(d) {
  const far = EDGE * state.zoom;
  const edge = Number.isFinite(d) ? Math.min(top() * Math.sqrt(d), far) : far;
  const height = (radius) => (Number.isFinite(d) ? top() * Math.sqrt(Math.max(0, 1 - (radius * radius) / (d * top() ** 2))) : top());
  const at = (radius, angle) => [radius * Math.cos(angle), radius * Math.sin(angle), height(radius)];
  const lines = [];
  const [rings, spokes] = [7, 24];
  for (let ring = 1; ring <= rings; ring += 1) {
    const radius = edge * Math.sin((ring / rings) * (Math.PI / 2));
    for (let part = 0; part < 72; part += 1) lines.push(...at(radius, (part / 36) * Math.PI), ...at(radius, ((part + 1) / 36) * Math.PI));
  }
  for (let spoke = 0; spoke < spokes; spoke += 1) {
    const angle = (spoke / spokes) * 2 * Math.PI;
    for (let part = 0; part < 24; part += 1) {
      const radius = (p) => edge * Math.sin((p / 24) * (Math.PI / 2));
      lines.push(...at(radius(part), angle), ...at(radius(part + 1), angle));
    }
  }
  return lines;
}
