// The augmented space from the side: the plane of charges, the dome, lines, particles. Up is z = r / sqrt(D) for every D, so that the
// hemisphere |(x, r)| = z_max sqrt(D) is one at D = 1, and opens into the plane z = z_max as D goes to infinity.

import { Camera, Geometry, Mesh, Program, Renderer, Transform } from "./vendor/ogl.js";
import { Layer } from "./layer.js";
import { MOST, TOP, state } from "./charges.js";

const EDGE = 3.2; // How far from the middle the dome is drawn.
const UP = [0, 0, 1];
const VERTEX = `
  attribute vec3 position; attribute float shade;
  uniform mat4 modelViewMatrix, projectionMatrix; uniform float size; varying float vShade;
  void main() { vShade = shade; gl_Position = projectionMatrix * modelViewMatrix * vec4(position, 1.0); gl_PointSize = size; }`;
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
    gl.clearColor(0.027, 0.035, 0.07, 1);
    this.camera = new Camera(gl, { fov: 36, near: 0.1, far: 60 });
    this.layer = new Layer(this.renderer);
    const [still, moving] = [new Transform(), new Transform()];
    this.scenes = { still, moving };
    this.parts = {
      floor: this.part(still, gl.LINES, 64, [0.42, 0.5, 0.72, 0.32]),
      dome: this.part(still, gl.LINES, 4096, [0.49, 0.77, 1, 0.3]),
      level: this.part(still, gl.LINES, 8, [1, 0.71, 0.33, 0.75]),
      lines: this.part(still, gl.LINES, 16384, [0.8, 0.88, 1, 0.5]),
      charges: this.part(still, gl.POINTS, MOST, [1, 0.86, 0.6, 1], 5.5),
      chosen: this.part(moving, gl.POINTS, 1, [1, 0.71, 0.33, 1], 9),
      particles: this.part(moving, gl.POINTS, MOST, [0.5, 0.94, 1, 1], 5.5),
    };
    this.set("floor", grid());
    this.listen();
    new ResizeObserver(() => this.resize()).observe(canvas);
    this.resize();
  }

  // Maximum number of points, or ends of lines.
  part(scene, mode, most, color, size = 1) {
    const { gl } = this.renderer;
    const uniforms = { color: { value: color }, size: { value: size * this.renderer.dpr * (this.canvas.clientWidth < 480 ? 0.7 : 1) }, round: { value: mode === gl.POINTS ? 1 : 0 } };
    const program = new Program(gl, { vertex: VERTEX, fragment: FRAGMENT, uniforms, transparent: true, depthTest: false, depthWrite: false });
    const geometry = new Geometry(gl, {
      position: { size: 3, data: new Float32Array(3 * most), usage: gl.DYNAMIC_DRAW },
      shade: { size: 1, data: new Float32Array(most).fill(1), usage: gl.DYNAMIC_DRAW },
    });
    geometry.setDrawRange(0, 0);
    const mesh = new Mesh(gl, { mode, geometry, program, frustumCulled: false });
    mesh.setParent(scene);
    return mesh;
  }

  set(name, positions, shades) {
    if (!this.renderer) return;
    const { geometry } = this.parts[name];
    const { position, shade } = geometry.attributes;
    const count = Math.min(positions.length, position.data.length);
    for (let i = 0; i < count; i += 1) position.data[i] = positions[i];
    if (shades) for (let i = 0; i < count / 3; i += 1) shade.data[i] = shades[i];
    position.needsUpdate = true;
    shade.needsUpdate = Boolean(shades);
    geometry.setDrawRange(0, count / 3);
    this.dirty = true;
    if (this.parts[name].parent === this.scenes.still) this.layerDirty = true;
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
    this.dirty = this.layerDirty = true;
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
    this.set("level", state.flat ? [] : square(Math.min(state.sigma, TOP)));
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
    const far = this.angles.far * this.wide;
    const middle = state.flat ? 0.2 : 1.15;
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
  const wide = Number.isFinite(state.d) ? (x * x + y * y) / (state.d * TOP * TOP) : 0;
  return Math.sqrt(wide + (z * z) / (TOP * TOP));
}

const beyond = (point) => share(point) >= 1;

function toDome(a, b) {
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

// Returns the lines of the surface |(x, r)| = z_max sqrt(D) near the axis.
function dome(d) {
  const edge = Number.isFinite(d) ? Math.min(TOP * Math.sqrt(d), EDGE) : EDGE;
  const height = (radius) => (Number.isFinite(d) ? TOP * Math.sqrt(Math.max(0, 1 - (radius * radius) / (d * TOP * TOP))) : TOP);
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
