//! Values that are zeroed among values that are scaled.

use rayon::prelude::*;

use crate::dropout::Dropped;

/// Scales all values of each item but those that are dropped, which become zero. It is its own gradient.
///
/// # Shapes
/// `x`, `y` (overwritten): `[batch, values]`
pub fn dropout(dropped: &Dropped, x: &[f32], y: &mut [f32]) {
    let item = x.len() / dropped.places().len().max(1);
    assert_eq!(x.len(), y.len(), "dropout: input and output");
    let rows = x.par_chunks_exact(item).zip(y.par_chunks_exact_mut(item));
    rows.zip(dropped.places()).for_each(|((x, y), places)| {
        let scale = dropped.scale();
        y.iter_mut().zip(x).for_each(|(y, x)| *y = x * scale);
        places.iter().for_each(|&place| y[place as usize] = 0.0);
    });
}
