// The charges and the settings of their field, shared by the plane, the space and the controls.

const TOP = 3; // The height of the hemisphere, if the view is not zoomed out.
export const CIRCLE = 1.5; // Radius of the circle on which particles start without the extra dimension.
export const MOST = 500;

export const state = {
  charges: [], // [x, y] each
  d: 1,
  sigma: 0.1,
  flat: false, // Without the extra dimension.
  smoothing: 0.5, // Softening length of the charges then.
  zoom: 1, // Both pictures show this times as much.
  tool: "place",
  chosen: -1,
  pointSize: 1,
  show: { lines: true, map: true, contours: false, particles: true },
  version: 0,
};

const listeners = new Set();
const past = [];

export function listen(listener) {
  listeners.add(listener);
}

// "field": anything; "chosen": only the selected charge has moved; "view": only what is visible.
export function changed(what = "field") {
  state.version += 1;
  for (const listener of listeners) listener(what);
}

export function remember() {
  past.push(state.charges.map((charge) => [...charge]));
  if (past.length > 50) past.shift();
}

export function undo() {
  const before = past.pop();
  if (!before) return false;
  state.charges = before;
  state.chosen = -1;
  changed();
  return true;
}

export function add(x, y) {
  if (state.charges.length >= MOST) return false;
  state.charges.push([x, y]);
  changed();
  return true;
}

export function remove(at) {
  state.charges.splice(at, 1);
  state.chosen = -1;
  changed();
}

export function nearest(x, y, within) {
  let best = -1;
  let distance = within;
  for (const [at, [a, b]] of state.charges.entries()) {
    const d = Math.hypot(a - x, b - y);
    if (d < distance) [best, distance] = [at, d];
  }
  return best;
}

export const flatCharges = () => Float64Array.from(state.charges.flat());
export const softening = () => (state.flat ? state.smoothing : 0);

// The height of the hemisphere. Zooming out moves it away, so that its picture stays.
export const top = () => TOP * state.zoom;

// Standard deviation: the root mean square distance from the mean.
export function spread(list) {
  const middle = [0, 1].map((axis) => list.reduce((sum, p) => sum + p[axis], 0) / list.length);
  return Math.sqrt(list.reduce((sum, p) => sum + (p[0] - middle[0]) ** 2 + (p[1] - middle[1]) ** 2, 0) / list.length);
}

export const pairs = (flat) => Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i], flat[2 * i + 1]]);
