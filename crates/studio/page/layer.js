// A static picture under moving ones: drawn once with antialiasing, copied into every frame. Without a graphics card, drawing it
// in every frame would take most of the time.

const SAMPLES = 4; // Supported by every WebGL 2 implementation.

export class Layer {
  constructor(renderer) {
    this.renderer = renderer;
    const { gl } = renderer;
    const part = (samples) => ({ samples, buffer: gl.createFramebuffer(), store: null, depth: false });
    [this.smooth, this.plain] = [part(SAMPLES), part(0)];
  }

  // In pixels.
  resize(width, height) {
    const { renderer } = this;
    const { gl } = renderer;
    for (const part of [this.smooth, this.plain]) {
      gl.deleteRenderbuffer(part.store);
      part.store = gl.createRenderbuffer();
      gl.bindRenderbuffer(gl.RENDERBUFFER, part.store);
      gl.renderbufferStorageMultisample(gl.RENDERBUFFER, part.samples, gl.RGBA8, width, height);
      renderer.bindFramebuffer(part);
      gl.framebufferRenderbuffer(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.RENDERBUFFER, part.store);
      [part.width, part.height] = [width, height];
    }
    renderer.bindFramebuffer();
  }

  draw(scene, camera) {
    this.renderer.render({ scene, camera, target: this.smooth, sort: false });
    this.copy(this.smooth, this.plain);
  }

  // Copies to the canvas. Chromium clears a presented canvas at the next draw call, and a copy does not count as one, so clear explicitly.
  show() {
    this.renderer.bindFramebuffer();
    this.renderer.gl.clear(this.renderer.gl.COLOR_BUFFER_BIT);
    this.copy(this.plain, { buffer: null });
  }

  copy(from, to) {
    const { renderer } = this;
    const { gl } = renderer;
    const { width, height } = this.smooth;
    gl.bindFramebuffer(gl.READ_FRAMEBUFFER, from.buffer);
    gl.bindFramebuffer(gl.DRAW_FRAMEBUFFER, to.buffer);
    gl.blitFramebuffer(0, 0, width, height, 0, 0, width, height, gl.COLOR_BUFFER_BIT, gl.NEAREST);
    // The renderer caches its own bindings.
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    renderer.state.framebuffer = null;
  }
}
