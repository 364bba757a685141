//! Dropout (arXiv 1207.0580) by given masks.

use std::sync::Arc;

use pulp::Arch;
use rayon::prelude::*;

use crate::elementwise::scale_one;

/// The values of a batch that dropout zeroes.
#[derive(Clone, Debug)]
pub struct DropoutMask {
    /// Indices of the zeroed values of each item.
    dropped: Arc<Vec<Vec<u32>>>,
    /// Factor of all other values.
    scale: f32,
}

impl DropoutMask {
    /// Creates a mask that zeroes the values with indices `dropped` of each item and multiplies the others by `scale`.
    pub fn new(dropped: Vec<Vec<u32>>, scale: f32) -> Self {
        Self { dropped: Arc::new(dropped), scale }
    }

    /// Returns the indices of the zeroed values of each item.
    pub fn dropped(&self) -> &[Vec<u32>] {
        &self.dropped
    }

    /// Factor of the values that are kept.
    pub fn scale(&self) -> f32 {
        self.scale
    }
}

/// Zeroes the masked values of each item and scales the others. The gradient is the same operation.
///
/// # Shapes
/// `x`, `y` (overwritten): `[batch, values]`
pub fn dropout(arch: Arch, mask: &DropoutMask, x: &[f32], y: &mut [f32]) {
    let item = x.len() / mask.dropped().len().max(1);
    assert_eq!(x.len(), y.len(), "dropout: input and output");
    let rows = x.par_chunks_exact(item).zip(y.par_chunks_exact_mut(item));
    rows.zip(mask.dropped()).for_each(|((x, y), dropped)| {
        scale_one(arch, x, mask.scale(), y);
        dropped.iter().for_each(|&place| y[place as usize] = 0.0);
    });
}
