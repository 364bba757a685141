// The exact field, compiled from crates/flow. Every page and worker has its own instance.

export class Playground {
  static async load() {
    const answer = await fetch("/field.wasm");
    const { instance } = await WebAssembly.instantiate(await answer.arrayBuffer(), {});
    return new Playground(instance.exports);
  }

  constructor(calls) {
    this.calls = calls;
    this.at = calls.playground_new();
  }

  view(kind, pointer, length) {
    return new kind(this.calls.memory.buffer, pointer, length);
  }

  // Charges as x, y, x, y, ...; a softening above 0 is the field without the extra dimension.
  set(charges, d, softening) {
    const count = charges.length / 2;
    const room = this.calls.playground_charges(this.at, count);
    this.view(Float64Array, room, 2 * count).set(charges);
    return Boolean(this.calls.playground_set(this.at, d, softening));
  }

  points(points) {
    const room = this.calls.playground_points(this.at, points.length / 2);
    this.view(Float64Array, room, points.length).set(points);
    this.count = points.length / 2;
  }

  onCharges(count, sigma, seed) {
    this.count = count;
    return Boolean(this.calls.playground_on_charges(this.at, count, sigma, seed));
  }

  onHemisphere(count, sigma, seed) {
    this.count = count;
    return Boolean(this.calls.playground_on_hemisphere(this.at, count, sigma, seed));
  }

  // Integrates the points and returns a copy of their paths: [steps + 1][points][2].
  carry(from, to, steps) {
    if (!this.calls.playground_carry(this.at, from, to, steps)) return null;
    const paths = this.calls.playground_paths(this.at);
    return this.view(Float64Array, paths, (steps + 1) * this.count * 2).slice();
  }

  // Current positions of the points.
  here() {
    const room = this.calls.playground_points(this.at, this.count);
    return this.view(Float64Array, room, 2 * this.count).slice();
  }

  // The logarithm of the potential on a grid of cells, row by row.
  potential({ x, y, stepX, stepY, columns, rows }, sigma) {
    if (!this.calls.playground_potential(this.at, x, y, stepX, stepY, columns, rows, sigma)) return null;
    return this.view(Float32Array, this.calls.playground_map(this.at), columns * rows).slice();
  }
}
