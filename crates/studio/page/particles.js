// The particles of the playground: on their way up, down, or within the plane.

import { CIRCLE, flatCharges, pairs, softening, spread, state, top } from "./charges.js";
import { share } from "./space.js";

export const COUNT = 200;
export const LOWEST = 0.02;
const SECONDS = 7; // Duration of a rise or a fall.
const COLLAPSE = { seconds: 1.6, span: 16, step: 0.04 }; // Of the motion within the plane; its clock has no unit.
const BEGUN = 1e6;

// clock: "log" for equal steps of ln z, "z" for equal steps of z. then: "turn" to go on in the other direction, "again", or "stay".
export const motion = { playing: true, up: true, wait: 0, seed: 1, sigma: LOWEST, clock: "log", then: "turn", over: false };

const peak = () => 1.5 * top();

// Places particles on the charges or on the dome; without the extra dimension, on the circle.
export function restart(field, up) {
  if (!field || !state.charges.length) return;
  field.set(flatCharges(), state.d, softening());
  Object.assign(motion, { up: up && !state.flat, wait: 0, over: false, seed: motion.seed + 1 });
  if (state.flat) {
    const around = (i) => (i / COUNT) * 2 * Math.PI;
    field.points(Float64Array.from({ length: 2 * COUNT }, (_, i) => CIRCLE * (i & 1 ? Math.sin(around(i >> 1)) : Math.cos(around(i >> 1)))));
    motion.sigma = BEGUN;
  } else if (motion.up) {
    field.onCharges(COUNT, LOWEST, motion.seed);
    motion.sigma = LOWEST;
  } else {
    field.onHemisphere(COUNT, peak(), motion.seed);
    motion.sigma = peak();
  }
}

// Moves all particles by Heun's method.
export function move(field, seconds) {
  if (motion.over) return;
  if (motion.wait > 0) {
    motion.wait -= seconds;
    if (motion.wait <= 0) restart(field, motion.then === "turn" && !state.flat ? !motion.up : motion.up);
    return;
  }
  const to = state.flat ? motion.sigma * Math.exp((-COLLAPSE.span / COLLAPSE.seconds) * seconds) : next(seconds);
  if (!field.carry(motion.sigma, to, state.flat ? Math.ceil(Math.log(motion.sigma / to) / COLLAPSE.step) : 1)) return;
  motion.sigma = to;
  if (!(state.flat ? to <= BEGUN * Math.exp(-COLLAPSE.span) : motion.up ? to >= peak() : to <= LOWEST)) return;
  if (state.flat || motion.then === "stay") motion.over = true;
  else motion.wait = 1.6;
}

function next(seconds) {
  const step = (motion.up ? 1 : -1) * (seconds / SECONDS);
  const to = motion.clock === "z" ? motion.sigma + step * (peak() - LOWEST) : motion.sigma * Math.exp(step * Math.log(peak() / LOWEST));
  return Math.min(Math.max(to, LOWEST), peak());
}

// How much of the standard deviation of the charges the particles have.
export const kept = (field) => spread(pairs(field.here())) / spread(state.charges);

// Positions; those outside of the dome are projected onto it.
export function positions(field) {
  const z = state.flat ? 0 : motion.sigma;
  return pairs(field.here()).map(([x, y]) => {
    const out = state.flat ? 1 : Math.max(1, share([x, y, z]));
    return { flat: [x, y], space: [x / out, y / out, z / out] };
  });
}
