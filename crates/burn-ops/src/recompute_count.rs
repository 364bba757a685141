//! Counts the operations that a backward pass recomputes (activation checkpointing).

use std::cell::Cell;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

/// Adds one operation to this thread's count.
pub(crate) fn add() {
    COUNT.set(COUNT.get() + 1);
}

/// Returns the number of operations that this thread recomputed while `work` ran.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use pfgm_burn_ops::{Filter, recompute_count, upsample2x};
///
/// let recomputed = |device: Device| {
///     let image = Tensor::<4>::ones([1, 2, 2, 3], &device).require_grad();
///     recompute_count::count(|| drop(upsample2x(image, Filter::Box).square().sum().backward()))
/// };
/// assert_eq!(recomputed(Device::flex().autodiff()), 0);
/// assert_eq!(recomputed(Device::flex().autodiff().gradient_checkpointing()), 1);
/// ```
pub fn count(work: impl FnOnce()) -> u64 {
    let before = COUNT.get();
    work();
    COUNT.get() - before
}
