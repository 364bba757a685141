//! Blocks of patches: the rows of the matrix product that computes a convolution.

use crate::{buffer::with_scratch, conv2d::Geometry};

/// Values of a block of patches: 128 KiB.
const BLOCK: usize = 32 * 1024;
impl Geometry {
    /// Values of a patch.
    pub(crate) fn patch(self) -> usize {
        self.kernel[0] * self.kernel[1] * self.inputs
    }

    /// Pixels of a block.
    pub(crate) fn block(self) -> usize {
        (BLOCK / self.patch()).clamp(32, 512)
    }

    /// Whether a patch is one pixel.
    pub(crate) fn is_pointwise(self) -> bool {
        self.kernel == [1, 1] && self.stride == 1
    }

    /// Calls `visit(patch, tap row, left, run)` for every row of the patches around `count` output pixels from `first`
    /// on: `run` is the range of `x` in the row, `left` the number of zeros before it.
    fn rows(self, first: usize, count: usize, mut visit: impl FnMut(usize, usize, usize, std::ops::Range<usize>)) {
        let ([kernel_h, kernel_w], [out_h, out_w]) = (self.kernel, self.out());
        let (pad_h, pad_w) = (kernel_h / 2, kernel_w / 2);
        for at in 0..count {
            let (row, column) = ((first + at) / out_w, (first + at) % out_w * self.stride);
            let (image, y) = (row / out_h, row % out_h * self.stride);
            // The columns of the kernel that lie on the image.
            let left = pad_w.saturating_sub(column);
            let right = kernel_w.min(self.width + pad_w - column);
            for i in 0..kernel_h {
                let source = (y + i).checked_sub(pad_h).filter(|&source| source < self.height);
                let run = source.map_or(0..0, |source| {
                    let start = ((image * self.height + source) * self.width + column + left - pad_w) * self.inputs;
                    start..start + (right - left) * self.inputs
                });
                visit(at, i, left * self.inputs, run);
            }
        }
    }

    /// The patches around `count` pixels from `first` on, in the order `kh, kw, in`, with zeros beyond the border.
    fn unfold(self, x: &[f32], first: usize, count: usize, patches: &mut [f32]) {
        let (line, patch) = (self.kernel[1] * self.inputs, self.patch());
        self.rows(first, count, |at, i, left, run| {
            let out = &mut patches[at * patch + i * line..][..line];
            let end = if run.is_empty() { 0 } else { left + run.len() };
            if end > 0 {
                out[..left].fill(0.0);
                out[left..end].copy_from_slice(&x[run]);
            }
            out[end..].fill(0.0);
        });
    }

    /// Adds patches to the pixels that they were unfolded from; `start` is the place of `x` among all inputs.
    pub(crate) fn fold(self, patches: &[f32], first: usize, count: usize, start: usize, x: &mut [f32]) {
        let (line, patch) = (self.kernel[1] * self.inputs, self.patch());
        self.rows(first, count, |at, i, left, run| {
            let values = &patches[at * patch + i * line + left..][..run.len()];
            let target = &mut x[run.start.saturating_sub(start)..][..run.len()];
            target.iter_mut().zip(values).for_each(|(x, value)| *x += value);
        });
    }
}

/// Calls `work` with the patches of a block: unfolded, or the pixels themselves if a patch is one pixel.
pub(crate) fn with_patches<R>(
    geometry: Geometry,
    x: &[f32],
    first: usize,
    count: usize,
    work: impl FnOnce(&[f32]) -> R,
) -> R {
    let patch = geometry.patch();
    if geometry.is_pointwise() {
        return work(&x[first * patch..(first + count) * patch]);
    }
    with_scratch(count * patch, |patches| {
        geometry.unfold(x, first, count, patches);
        work(patches)
    })
}
