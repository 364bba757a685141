// What moves in the tours besides the particles. A story has
//   move(seconds)   the next moment,
//   picture()       { particles, dots, lines, planeLines, arrows }: particles (if not the usual ones) and dots [x, y, z]; lines are lists of
//                   points; dots and lines in four colors; planeLines instead of lines in the plane; arrows [from, to, color, width],
//   text()          numbers, as they are at this moment.
// Each begins anew when the charges change.

import { flatCharges, pairs, softening, spread, state, top } from "./charges.js";
import { t } from "./language.js";
import { share, toDome } from "./space.js";

const COLORS = 4;
const lists = () => Array.from({ length: COLORS }, () => []);
const percent = (part, digits = 1) => `${(100 * part).toFixed(digits)} %`;
const ease = (part) => part * part * (3 - 2 * part);
const within = (value, low, high) => Math.min(Math.max(value, low), high);

// Uniform and normal random numbers that are the same in every browser.
function random(seed) {
  let at = seed;
  const uniform = () => {
    at = (at + 0x6d2b79f5) | 0;
    let mixed = Math.imul(at ^ (at >>> 15), 1 | at);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
  const normal = () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  return { uniform, normal };
}

function contains(outline, [x, y]) {
  let inside = false;
  for (let i = 0, j = outline.length - 1; i < outline.length; j = i, i += 1) {
    const [[a, b], [c, d]] = [outline[i], outline[j]];
    if (b > y !== d > y && x < ((c - a) * (y - b)) / (d - b) + a) inside = !inside;
  }
  return inside;
}

const middle = (list) => [0, 1].map((axis) => list.reduce((sum, p) => sum + p[axis], 0) / list.length);
const closed = (outline) => [...outline, outline[0]];

// The field of the charges at D = 1, each of charge 1 / their number.
function coulomb([x, y, z]) {
  const sum = [0, 0, 0];
  for (const [a, b] of state.charges) {
    const [dx, dy] = [x - a, y - b];
    const far = (dx * dx + dy * dy + z * z) ** -1.5 / state.charges.length;
    sum[0] += dx * far;
    sum[1] += dy * far;
    sum[2] += z * far;
  }
  return sum;
}

// Arrows of single charges at a point, head to tail, and their sum. The point moves on a circle.
function superposition() {
  let angle = 0.9;
  const [radius, height] = [1.3, 0.25];
  return {
    move: (seconds) => (angle += 0.25 * seconds),
    picture() {
      const at = [radius * Math.cos(angle), radius * Math.sin(angle)];
      const n = state.charges.length;
      const pushes = state.charges.map(([a, b]) => {
        const [dx, dy] = [at[0] - a, at[1] - b];
        const far = (dx * dx + dy * dy + height * height) ** -1.5;
        return [dx * far, dy * far];
      });
      const net = pushes.reduce((sum, push) => [sum[0] + push[0], sum[1] + push[1]], [0, 0]);
      const size = 1 / (Math.hypot(...net) || 1);
      const arrows = [];
      let tail = at;
      for (const [index, push] of pushes.entries()) {
        const head = [tail[0] + size * push[0], tail[1] + size * push[1]];
        arrows.push([tail, head, n > 12 ? 1 : 1 + (index % 3), n > 12 ? 1.2 : 2]);
        // A few arrows also begin at the point.
        if (n <= 12) arrows.push([at, [at[0] + size * push[0], at[1] + size * push[1]], 1 + (index % 3), 1]);
        tail = head;
      }
      arrows.push([at, [at[0] + size * net[0], at[1] + size * net[1]], 0, 3.4]);
      return { arrows, dots: [[[...at, height]], [], [], []] };
    },
    text: () => t("story-superposition", state.charges.length),
  };
}

const FAR = 300; // Where a hemisphere is far enough.

// The direction around a cap's middle, by its angle and the cosine of its distance.
function onCap([height, turn], cosine, angle) {
  const flat = Math.sqrt(1 - height * height);
  const sine = Math.sqrt(1 - cosine * cosine);
  const [ahead, side] = [sine * Math.cos(angle), sine * Math.sin(angle)];
  const out = cosine * flat - ahead * height;
  return [out * Math.cos(turn) - side * Math.sin(turn), out * Math.sin(turn) + side * Math.cos(turn), cosine * height + ahead * flat];
}

// Tubes of field lines from equal patches of the hemisphere to patches of the data.
function fluxTubes(field) {
  const [part, around, inside, steps] = [0.04, 28, 16, 100];
  const caps = [[0.92, 2.4], [0.72, -0.6], [0.62, 1], [0.5, 3.9]];
  // Half the distance between neighbors: lower down, a line turns to one charge.
  const low = 0.5 * Math.sqrt(Math.PI / state.charges.length);
  const [cx, cy] = middle(state.charges);
  const { uniform } = random(7);
  const directions = caps.flatMap((cap) => [
    ...Array.from({ length: around }, (_, i) => onCap(cap, 1 - part, (2 * Math.PI * i) / around)),
    ...Array.from({ length: inside }, () => onCap(cap, 1 - part * uniform(), 2 * Math.PI * uniform())),
  ]);
  field.points(Float64Array.from(directions.flatMap(([x, y, z]) => [cx + (FAR * x) / z, cy + (FAR * y) / z])));
  const flat = field.carry(FAR, low, steps);
  const height = (step) => FAR * (low / FAR) ** (step / steps);
  // From below up to the dome.
  const path = (index) => {
    const points = [];
    for (let step = steps; step >= 0; step -= 1) {
      const at = 2 * (step * directions.length + index);
      const point = [flat[at], flat[at + 1], height(step)];
      if (share(point) >= 1) {
        points.push(toDome(points.at(-1), point));
        break;
      }
      points.push(point);
    }
    return points;
  };
  const [tubes, lines, planeLines, charge] = [[], lists(), lists(), []];
  for (const cap of caps.keys()) {
    const own = Array.from({ length: around + inside }, (_, i) => path(cap * (around + inside) + i));
    const edge = own.slice(0, around);
    const foot = edge.map((line) => line[0]);
    lines[cap].push(...edge.filter((_, i) => i % 2 === 0), closed(foot), closed(edge.map((line) => line.at(-1))));
    planeLines[cap].push(closed(foot));
    charge.push(state.charges.filter((y) => contains(foot, y)).length / state.charges.length);
    tubes.push(own.slice(around));
  }
  let phase = 0;
  const shown = (line, share) => {
    const at = within(share, 0, 0.9999) * (line.length - 1);
    const [below, part] = [line[Math.floor(at)], at % 1];
    const above = line[Math.floor(at) + 1];
    return below.map((value, axis) => value + part * (above[axis] - value));
  };
  return {
    move: (seconds) => (phase = (phase + seconds / 5) % 1),
    picture: () => ({ lines, planeLines, dots: tubes.map((own) => own.map((line, i) => shown(line, (phase + i / own.length) % 1))) }),
    text: () => (state.d === 1 ? t("story-flux-tube", percent(part, 0), charge.map((value) => percent(value))) : ""),
  };
}

// Regions that the flow carries up and back, and how many particles they have.
function continuity(field) {
  const [count, around, low, seconds] = [300, 72, 0.12, 6];
  const circles = [[-0.42, 0.22, 0.34], [0.36, -0.2, 0.3]];
  const begin = () => {
    field.onCharges(count, low, 5);
    const outlines = circles.flatMap(([x, y, r]) => Array.from({ length: around }, (_, i) => (2 * Math.PI * i) / around).flatMap((a) => [x + r * Math.cos(a), y + r * Math.sin(a)]));
    field.points(Float64Array.from([...field.here(), ...outlines]));
    return { sigma: low, up: true, wait: 0.8 };
  };
  let now = begin();
  const peak = () => 0.98 * top();
  const parts = () => {
    const all = pairs(field.here());
    return { particles: all.slice(0, count), outlines: circles.map((_, i) => all.slice(count + i * around, count + (i + 1) * around)) };
  };
  const inside = () => {
    const { particles, outlines } = parts();
    return outlines.map((outline) => particles.filter((p) => contains(outline, p)));
  };
  return {
    move(passed) {
      if (now.wait > 0) return void (now.wait -= passed);
      const factor = (peak() / low) ** (passed / seconds);
      const to = now.up ? Math.min(now.sigma * factor, peak()) : Math.max(now.sigma / factor, low);
      field.carry(now.sigma, to, 2);
      now.sigma = to;
      if (now.up && to >= peak()) now = { ...now, up: false, wait: 1.2 };
      else if (!now.up && to <= low) now = begin();
    },
    picture() {
      const { particles, outlines } = parts();
      const z = now.sigma;
      const lines = lists();
      outlines.forEach((outline, i) => lines[i ? 3 : 0].push(closed(outline).map(([x, y]) => [x, y, z])));
      const groups = inside();
      const dots = lists();
      groups.forEach((group, i) => dots[i ? 3 : 0].push(...group.map(([x, y]) => [x, y, z])));
      const others = particles.filter((p) => !groups.some((group) => group.includes(p)));
      return { particles: others.map(([x, y]) => [x, y, z]), dots, lines };
    },
    text: () => t("story-continuity", now.sigma.toPrecision(2), inside().map((group) => percent(group.length / count))),
  };
}

// The data spread by independent steps: Gaussian ones, and those of a Cauchy distribution.
function gas() {
  const [count, first, last, seconds] = [280, 0.02, 2, 7];
  const { normal } = random(11);
  const step = {
    diffusion: (from, to) => Math.sqrt(to * to - from * from),
    // The scales of Cauchy distributions add up.
    poisson: (from, to) => (to - from) / Math.abs(normal()),
  };
  let now;
  const begin = () => {
    const start = Array.from({ length: count }, (_, i) => [...state.charges[Math.floor((i * state.charges.length) / count)]]);
    const size = spread(state.charges);
    now = { sigma: 0, size, wait: 0, start, at: { diffusion: start.map((p) => [...p]), poisson: start.map((p) => [...p]) } };
    spreadTo(first * size);
  };
  const spreadTo = (to) => {
    for (const kind of ["diffusion", "poisson"]) {
      for (const point of now.at[kind]) {
        const scale = step[kind](now.sigma, to);
        point[0] += scale * normal();
        point[1] += scale * normal();
      }
    }
    now.sigma = to;
  };
  begin();
  const beyond = (kind) => now.at[kind].filter(([x, y], i) => Math.hypot(x - now.start[i][0], y - now.start[i][1]) > 4 * now.sigma).length / count;
  return {
    move(passed) {
      if (now.wait > 0) {
        now.wait -= passed;
        if (now.wait <= 0) begin();
        return;
      }
      spreadTo(Math.min(now.sigma * (last / first) ** (passed / seconds), last * now.size));
      if (now.sigma >= last * now.size) now.wait = 2.5;
    },
    picture: () => ({ particles: [], dots: [now.at.poisson.map((p) => [...p, now.sigma]), [], now.at.diffusion.map((p) => [...p, now.sigma]), []] }),
    text: () => t("story-diffusion", (now.sigma / now.size).toPrecision(2), percent(beyond("diffusion")), percent(beyond("poisson"))),
  };
}

// Points of the hemisphere move along its radii to the plane z = z_max.
function projection(field) {
  const count = 420;
  field.onHemisphere(count, top(), 3);
  const ends = pairs(field.here()).map(([x, y]) => [x, y, top()]);
  // Of the prior beyond z_max: (1 + 1/D)^(-D/2).
  const expected = Number.isFinite(state.d) ? (1 + 1 / state.d) ** (-state.d / 2) : Math.exp(-0.5);
  let time = 0;
  const moved = () => ease(within((time - 1.5) / 3, 0, 1));
  const at = (end) => {
    const size = 1 / share(end);
    return end.map((value) => value * (size + moved() * (1 - size)));
  };
  const seen = ([x, y]) => Math.hypot(x, y) < 3.2 * top();
  return {
    move: (seconds) => (time = (time + seconds) % 8),
    picture() {
      const lines = lists();
      for (const end of ends.filter((_, i) => i % 14 === 0)) if (seen(end)) lines[1].push([[0, 0, 0], at(end)]);
      const e = 1.6 * top();
      for (let i = -2; i <= 2; i += 1) lines[2].push([[(i * e) / 2, -e, top()], [(i * e) / 2, e, top()]], [[-e, (i * e) / 2, top()], [e, (i * e) / 2, top()]]);
      return { particles: ends.map(at).filter(seen), lines, planeLines: lists() };
    },
    text: () => t("story-projection", percent(ends.filter(([x, y]) => Math.hypot(x, y) > top()).length / count, 0), percent(expected, 0)),
  };
}

// Paths with inertia in vacuum, water and molasses, and the field line through their start.
function inertia() {
  const start = [-1.5, -0.5, 2.1];
  const drags = [0, 0.6, 8];
  const field = (point) => (point[2] > 1e-3 ? coulomb(point).map((value) => -value) : [0, 0, 0]);
  const paths = drags.map((drag) => fall(start, field, drag));
  const line = follow(start, field);
  const away = paths.map((path) => Math.sqrt(path.reduce((most, point, i) => (i % 3 ? most : Math.max(most, nearestSquare(point, line))), 0)));
  let time = 0;
  return {
    move: (seconds) => (time = (time + seconds) % 6.5),
    picture() {
      const [lines, dots] = [lists(), lists()];
      lines[3].push(line);
      for (const [index, path] of paths.entries()) {
        const last = Math.max(1, Math.floor(within(time / 5, 0, 1) * (path.length - 1)));
        lines[index].push(path.slice(0, last + 1));
        dots[index].push(path[last]);
      }
      return { particles: [], lines, dots };
    },
    text: () => t("story-inertia", away.map((value) => value.toPrecision(2))),
  };
}

// Integrates x'' = E - c x' from rest until the particle meets the plane or leaves the picture; 300 points at equal times.
function fall(start, field, drag) {
  let [x, v, time] = [[...start], [0, 0, 0], 0];
  const all = [[0, ...x]];
  const add = (a, b, by) => a.map((value, i) => value + by * b[i]);
  const pull = (x, v) => add(field(x), v, -drag);
  for (let step = 0; step < 6000 && x[2] > 2e-3 && x[2] < 4 && Math.hypot(x[0], x[1]) < 4; step += 1) {
    // Short steps near charges; at most a fraction of the time in which drag acts.
    const dt = Math.min(0.02 * x[2] / (Math.hypot(...v) + 1e-2), 0.05 / Math.sqrt(Math.hypot(...field(x)) + 1e-3), drag ? 0.4 / drag : 1);
    const middleX = add(x, v, dt / 2);
    const middleV = add(v, pull(x, v), dt / 2);
    x = add(x, middleV, dt);
    v = add(v, pull(middleX, middleV), dt);
    time += dt;
    all.push([time, ...x]);
  }
  const picked = [];
  let at = 0;
  for (let i = 0; i < 300; i += 1) {
    const wanted = (i / 299) * time;
    while (at + 1 < all.length && all[at][0] < wanted) at += 1;
    picked.push(all[at].slice(1));
  }
  return picked;
}

// The square of the distance of a point from the nearest point of a line.
function nearestSquare([x, y, z], line) {
  let least = Infinity;
  for (const [a, b, c] of line) least = Math.min(least, (x - a) ** 2 + (y - b) ** 2 + (z - c) ** 2);
  return least;
}

// The field line from a point down to the plane.
function follow(start, field) {
  const line = [start];
  let x = start;
  while (x[2] > 2e-3 && line.length < 2000) {
    const unit = (point) => {
      const e = field(point);
      const size = Math.hypot(...e) || 1;
      return e.map((value) => value / size);
    };
    const step = Math.max(0.005 * x[2], 1e-4);
    const first = unit(x);
    const half = x.map((value, i) => value + (step / 2) * first[i]);
    const direction = unit(half);
    x = x.map((value, i) => value + step * direction[i]);
    line.push(x);
  }
  return line;
}

// Particles that fall at the speed |E| from one height: each has its own time of arrival.
function clock() {
  const [count, start, pace] = [60, 2, 0.9];
  const begin = () => {
    const points = Array.from({ length: count }, (_, i) => {
      const [r, a] = [2.2 * Math.sqrt((i + 0.5) / count), i * Math.PI * (3 - Math.sqrt(5))];
      return [r * Math.cos(a), r * Math.sin(a), start];
    });
    return { points, time: 0, wait: 0 };
  };
  let now = begin();
  const lowest = 0.02;
  const fallen = () => now.points.filter(([, , z]) => z <= lowest).length;
  return {
    move(seconds) {
      if (now.wait > 0) {
        now.wait -= seconds;
        if (now.wait <= 0) now = begin();
        return;
      }
      now.time += pace * seconds;
      for (const point of now.points) {
        let left = pace * seconds;
        for (let tries = 0; left > 0 && point[2] > lowest && tries < 40; tries += 1) {
          const e = coulomb(point);
          const dt = Math.min(left, (0.15 * point[2]) / Math.hypot(...e));
          for (const axis of [0, 1, 2]) point[axis] -= dt * e[axis];
          left -= dt;
        }
        point[2] = Math.max(point[2], left > 0 ? lowest : 0);
        if (point[2] <= lowest) point[2] = lowest;
      }
      if (fallen() === count) now.wait = 2;
    },
    picture: () => ({ particles: now.points.filter(([, , z]) => z > lowest), dots: [now.points.filter(([, , z]) => z <= lowest), [], [], []] }),
    text() {
      const heights = now.points.map(([, , z]) => z);
      return t("story-anchoring", now.time.toFixed(1), Math.min(...heights).toFixed(2), Math.max(...heights).toFixed(2), fallen(), count);
    },
  };
}

// Batches of PFGM's training points: the scale of the noise grows geometrically.
function trainingPoints() {
  const [count, sigma, tau, most] = [400, 0.01, 0.03, 195];
  const { uniform, normal } = random(23);
  const draw = () => Array.from({ length: count }, () => {
    const charge = state.charges[Math.floor(uniform() * state.charges.length)];
    const scale = sigma * (1 + tau) ** (most * uniform());
    const [size, angle] = [Math.abs(normal()) * scale, 2 * Math.PI * uniform()];
    // The norm of a Gaussian in the plane, in a random direction.
    const radius = Math.hypot(normal(), normal()) * scale;
    return { charge, at: [charge[0] + radius * Math.cos(angle), charge[1] + radius * Math.sin(angle), size] };
  });
  let [batch, time] = [draw(), 0];
  const size = spread(state.charges);
  const near = (factor) => batch.filter(({ charge, at }) => Math.hypot(at[0] - charge[0], at[1] - charge[1], at[2]) < factor * size).length / count;
  return {
    move(seconds) {
      time += seconds;
      if (time < 2.5) return;
      [batch, time] = [draw(), 0];
    },
    picture: () => ({ particles: batch.map(({ at }) => at).filter((at) => share(at) < 1) }),
    text: () => t("story-training-points", percent(near(0.1), 0), percent(near(1), 0), percent(1 - near(10), 0)),
  };
}

// What is known of one coordinate, and the charges without it.
export const MEASURED = { x: 0.45, error: 0.12 };

function measurement() {
  const band = (x) => [[x, -3, 0], [x, 3, 0]];
  const lines = lists();
  lines[1].push(band(MEASURED.x - MEASURED.error), band(MEASURED.x + MEASURED.error));
  return { move() {}, picture: () => ({ lines }), text: () => t("story-posterior", MEASURED.x, MEASURED.error) };
}

const stories = {
  superposition, "flux-tube": fluxTubes, continuity, diffusion: gas, projection, inertia, anchoring: clock, "training-points": trainingPoints, posterior: measurement,
};

// Begins a story, or returns null if there is none of this name, or no charge.
export function story(name, field) {
  if (!(name in stories) || !state.charges.length) return null;
  field.set(flatCharges(), state.d, softening());
  return stories[name](field);
}

// The charges, repeated in proportion to the probability that a measurement gives them.
export function measured(charges) {
  const weights = charges.map(([x]) => Math.exp(-((x - MEASURED.x) ** 2) / (2 * MEASURED.error ** 2)));
  const all = weights.reduce((sum, weight) => sum + weight, 0);
  const chosen = [];
  let sum = 0;
  charges.forEach((charge, at) => {
    sum += (weights[at] / all) * charges.length;
    while (chosen.length + 0.5 < sum) chosen.push([...charge]);
  });
  return chosen;
}
