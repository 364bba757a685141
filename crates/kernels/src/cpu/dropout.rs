//! Values that are zeroed among values that are scaled.

use pulp::Arch;
use rayon::prelude::*;

use super::elementwise::scale_one;
use crate::dropout::Dropped;

/// Scales all values of each item but those that are dropped, which become zero. It is its own gradient.
///
/// # Shapes
/// `x`, `y` (overwritten): `[batch, values]`
pub fn dropout(arch: Arch, dropped: &Dropped, x: &[f32], y: &mut [f32]) {
    let item = x.len() / dropped.places().len().max(1);
    assert_eq!(x.len(), y.len(), "dropout: input and output");
    let rows = x.par_chunks_exact(item).zip(y.par_chunks_exact_mut(item));
    rows.zip(dropped.places()).for_each(|((x, y), places)| {
        scale_one(arch, x, dropped.scale(), y);
        places.iter().for_each(|&place| y[place as usize] = 0.0);
    });
}
