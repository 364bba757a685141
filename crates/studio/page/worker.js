// Computes field lines and maps in a separate thread. Only the latest request is answered: first coarse, then fine.

import { Playground } from "./wasm.js";

const field = Playground.load();
const LOWEST = 0.02;
let asked = null;
let working = false;

self.onmessage = ({ data }) => {
  asked = data;
  if (!working) work();
};

const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

async function work() {
  working = true;
  const playground = await field;
  while (asked) {
    const question = asked;
    asked = null;
    if (!playground.set(question.charges, question.d, question.softening)) {
      self.postMessage({ version: question.version, map: null, lines: null, fine: true });
      continue;
    }
    for (const fine of [false, true]) {
      const begun = performance.now();
      const answer = { version: question.version, fine, ...lines(playground, question, fine) };
      if (question.wantMap) answer.map = map(playground, question, fine);
      self.postMessage(answer);
      // While charges are dragged, two thirds of the time remain for drawing.
      await pause(fine ? 0 : 2 * (performance.now() - begun));
      if (asked) break;
    }
  }
  working = false;
}

function map(playground, { view, sigma, charges }, fine) {
  // The number of cells is inversely proportional to that of charges.
  const budget = (fine ? 2.4e6 : 3e5) / Math.max(charges.length / 2, 20);
  const columns = Math.round(Math.min(Math.max(Math.sqrt((budget * view.width) / view.height), 24), 220));
  const rows = Math.round((columns * view.height) / view.width);
  const [stepX, stepY] = [view.width / columns, view.height / rows];
  const grid = { x: view.left + stepX / 2, y: view.top + stepY / 2, stepX, stepY, columns, rows };
  return { columns, rows, view, values: playground.potential(grid, sigma) };
}

function lines(playground, { charges, softening, top, circle }, fine) {
  const count = charges.length / 2;
  const wanted = Math.min(fine ? 96 : 48, Math.max(24, Math.round((fine ? 24000 : 9000) / count)));
  const steps = fine ? 56 : 28;
  let levels;
  if (softening > 0) {
    // Without the extra dimension the noise level is only a clock; lines start on a circle.
    playground.points(
      Float64Array.from({ length: 2 * wanted }, (_, i) => {
        const angle = (Math.PI * 2 * (i >> 1)) / wanted;
        return circle * (i & 1 ? Math.sin(angle) : Math.cos(angle));
      }),
    );
    levels = [1e6, 1e6 * Math.exp(-16)];
  } else {
    playground.onCharges(wanted, LOWEST, 1);
    levels = [LOWEST, top * 1.5];
  }
  const paths = playground.carry(levels[0], levels[1], steps);
  return { lines: { paths, count: wanted, steps, levels } };
}
