// The charges and the settings of their field, shared by the plane, the space and the controls.

export const TOP = 3; // The height of the hemisphere.
export const SOFTENING = 0.3; // Softening length of charges without the extra dimension.
export const CIRCLE = 2.4; // Radius of the circle on which particles start then.
export const MOST = 500;

export const state = {
  charges: [], // [x, y] each
  d: 1,
  sigma: 0.1,
  flat: false,
  tool: "place",
  chosen: -1,
  show: { lines: true, map: true, particles: true },
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
export const softening = () => (state.flat ? SOFTENING : 0);
