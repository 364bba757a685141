//! The forward pass: transformed weights, and all steps for blocks of tiles.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::{
    IN, OUT, POINTS, Pixels, TILES, Tiling,
    lines::{evaluate_line, output_line},
    plane, transform_input,
};
use crate::{
    buffer::{Buffer, Shared, with_scratch},
    conv2d::{Epilogue, Geometry, Place},
    product::{self, CHANNELS, panel_width},
};

/// The weights of one channel of the input and a panel of channels of the output at the points.
struct Evaluate<'a> {
    weight: &'a [f32],
    inputs: usize,
    outputs: usize,
    /// Channel of the input, and the first of the output.
    channel: [usize; 2],
    /// Place of the first pair of points, and distance between pairs.
    start: usize,
    stride: usize,
    filters: Shared<'a>,
}

impl WithSimd for Evaluate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { weight, inputs, outputs, channel: [i, o], start, stride, filters } = self;
        for lane in (0..2 * S::F32_LANES).step_by(S::F32_LANES) {
            if o + lane >= outputs {
                break;
            }
            let count = S::F32_LANES.min(outputs - o - lane);
            let tap = |tap: usize| simd.partial_load_f32s(&weight[(tap * inputs + i) * outputs + o + lane..][..count]);
            let columns = array!(column => evaluate_line(simd, array!(row => tap(3 * row + column); 3)); 3);
            for row in 0..IN {
                let line = evaluate_line(simd, array!(column => columns[column][row]; 3));
                for (column, value) in line.into_iter().enumerate() {
                    let at = start + (row * IN + column) * stride + lane;
                    // SAFETY: the places of this pair of channels alone.
                    simd.partial_store_f32s(unsafe { filters.slice(at, S::F32_LANES) }, value);
                }
            }
        }
    }
}

/// The transformed weights of a convolution, in the order in which the products read them.
pub struct Filters {
    /// `[panels][POINTS][inputs][panel]`, inputs padded to whole blocks of channels, outputs to whole panels.
    values: Buffer,
    inputs: usize,
    outputs: usize,
    panel: usize,
}

impl Filters {
    /// Transforms weights `[3, 3, inputs, outputs]`.
    pub fn new(arch: Arch, weight: &[f32], inputs: usize, outputs: usize) -> Self {
        assert_eq!(weight.len(), 9 * inputs * outputs, "winograd: weights of {inputs} to {outputs} channels");
        let (panel, padded) = (panel_width(arch), inputs.next_multiple_of(CHANNELS));
        let (panels, part) = (outputs.div_ceil(panel), POINTS * padded * panel);
        // Padding channels need zeros; the others are written below.
        let whole = padded == inputs && outputs.is_multiple_of(panel);
        let mut values = if whole { Buffer::new(panels * part) } else { Buffer::zeros(panels * part) };
        let filters = Shared::new(values.values_mut());
        (0..panels * inputs).into_par_iter().with_min_len(8).for_each(|piece| {
            let (index, i) = (piece / inputs, piece % inputs);
            let (channel, start) = ([i, index * panel], index * part + i * panel);
            arch.dispatch(Evaluate { weight, inputs, outputs, channel, start, stride: padded * panel, filters });
        });
        Self { values, inputs, outputs, panel }
    }

    fn panels(&self) -> usize {
        self.outputs.div_ceil(self.panel)
    }
}

/// The whole convolution for a block of tiles and some panels of output channels.
struct Forward<'a> {
    tiling: Tiling,
    tiles: Range<usize>,
    panels: Range<usize>,
    x: &'a [f32],
    /// A page of zeros, as large as a pixel.
    zeros: &'a [f32],
    filters: &'a Filters,
    epilogue: Epilogue<'a>,
    y: Shared<'a>,
    /// The transformed input and the products of a panel.
    memory: &'a mut [f32],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { tiling, tiles, panels, x, zeros, filters, epilogue, y, memory } = self;
        let (input, products) = memory.split_at_mut(POINTS * plane(tiles.len(), filters.inputs));
        let block = Block { tiling, tiles, x, zeros, filters, epilogue, y };
        block.transform(simd, input);
        for panel in panels {
            block.multiply(simd, panel, input, products);
            for at in 0..block.tiles.len() {
                block.finish(simd, panel, at, products);
            }
        }
    }
}

/// The operands that the steps of a block share.
struct Block<'a> {
    tiling: Tiling,
    tiles: Range<usize>,
    x: &'a [f32],
    /// A page of zeros, as large as a pixel.
    zeros: &'a [f32],
    filters: &'a Filters,
    epilogue: Epilogue<'a>,
    y: Shared<'a>,
}

impl Block<'_> {
    /// Fills `input`, `[POINTS][channel blocks][tiles][CHANNELS]`.
    #[inline(always)]
    fn transform<S: Simd>(&self, simd: S, input: &mut [f32]) {
        let (tiles, inputs) = (self.tiles.len(), self.filters.inputs);
        let plane = plane(tiles, inputs);
        for at in 0..tiles {
            let tile = self.tiling.tile(self.tiles.start + at);
            let pixels = Pixels::new::<IN>(self.x, &self.zeros[..inputs], self.tiling.geometry, tile, 1);
            for from in (0..inputs.next_multiple_of(CHANNELS)).step_by(S::F32_LANES) {
                let place = (from / CHANNELS * tiles + at) * CHANNELS + from % CHANNELS;
                transform_input(simd, &pixels, from, input, plane, place);
            }
        }
    }

    /// Fills `products`, `[POINTS][tiles][panel]`.
    #[inline(always)]
    fn multiply<S: Simd>(&self, simd: S, panel: usize, input: &[f32], products: &mut [f32]) {
        let Filters { inputs, panel: width, .. } = *self.filters;
        let (tiles, padded) = (self.tiles.len(), inputs.next_multiple_of(CHANNELS));
        let plane = plane(tiles, inputs);
        for point in 0..POINTS {
            let filters = &self.filters.values.values()[(panel * POINTS + point) * padded * width..][..padded * width];
            let input = &input[point * plane..][..padded * tiles];
            let products = &mut products[point * tiles * width..][..tiles * width];
            product::by_channel_blocks(simd, tiles, input, filters, products);
        }
    }

    /// Transforms the products of one tile and panel back and writes the pixels.
    #[inline(always)]
    fn finish<S: Simd>(&self, simd: S, panel: usize, at: usize, products: &[f32]) {
        let Filters { outputs, panel: width, .. } = *self.filters;
        let tile = self.tiling.tile(self.tiles.start + at);
        let Geometry { height, width: image_width, .. } = self.tiling.geometry;
        let first = (tile.image * height + tile.row) * image_width + tile.column;
        let tiles = self.tiles.len();
        for lane in (0..width).step_by(S::F32_LANES) {
            let channel = panel * width + lane;
            if channel >= outputs {
                break;
            }
            let m = |point: usize| {
                let at = (point * tiles + at) * width + lane;
                debug_assert!(at + S::F32_LANES <= products.len());
                // SAFETY: panels are whole multiples of the lanes.
                unsafe { products.as_ptr().add(at).cast::<S::f32s>().read_unaligned() }
            };
            let bias = self.epilogue.bias_vector(simd, tile.image, channel, outputs);
            let columns = array!(column => output_line(simd, array!(row => m(row * IN + column); 6)); 6);
            for row in 0..OUT {
                let line = output_line(simd, array!(column => columns[column][row]; 6));
                for (column, value) in line.into_iter().enumerate() {
                    if tile.row + row < height && tile.column + column < image_width {
                        let (value, pixel) = (simd.add_f32s(value, bias), first + row * image_width + column);
                        // SAFETY: the tile's pixels belong to this block alone.
                        unsafe { self.epilogue.write(simd, value, Place { pixel, channel, outputs }, self.y) };
                    }
                }
            }
        }
    }
}

/// Computes the convolution with transformed weights.
///
/// # Shapes
/// As in [`conv2d::forward`](crate::conv2d::forward), which checks the lengths.
pub fn forward((arch, filters): (Arch, &Filters), geometry: Geometry, x: &[f32], epilogue: Epilogue, y: &mut [f32]) {
    assert_eq!([filters.inputs, filters.outputs], [geometry.inputs, geometry.outputs], "winograd: filters");
    let tiling = Tiling::new(geometry);
    let count = tiling.count();
    // Pieces of even size, at least one for each thread. Each block of tiles reads all weights of its panels: where they are much larger than the
    // transformed input, threads share few blocks and have panels of their own.
    let (threads, panels) = (rayon::current_num_threads(), filters.panels());
    let (blocks, parts) = if 4 * count <= geometry.outputs {
        (threads.div_ceil(panels).min(count), threads.min(panels))
    } else {
        (count.div_ceil(TILES).next_multiple_of(threads).min(count), 1)
    };
    let y = Shared::new(y);
    let zeros = Buffer::zeros(geometry.inputs);
    let zeros = zeros.values();
    (0..blocks * parts).into_par_iter().with_max_len(1).for_each(|piece| {
        let (tiles, panels) = (share(count, piece / parts, blocks), share(panels, piece % parts, parts));
        let memory = POINTS * (plane(tiles.len(), filters.inputs) + tiles.len() * filters.panel);
        with_scratch(memory, |memory| {
            arch.dispatch(Forward { tiling, tiles, panels, x, zeros, filters, epilogue, y, memory });
        });
    });
}

/// Returns the items of share `index` if `count` items are divided evenly.
fn share(count: usize, index: usize, shares: usize) -> Range<usize> {
    count * index / shares..count * (index + 1) / shares
}
