//! Counts the arithmetic of networks: the operations of matrix products, and of convolutions as direct sums.

use std::cell::Cell;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

/// Adds `count` multiplications and additions to this thread's count.
pub fn add(count: usize) {
    COUNT.set(COUNT.get() + count as u64);
}

/// Returns the number of multiplications and additions on this thread while `work` ran.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use pfgm_burn_ops::{flop_count, linear};
///
/// let device = Device::flex();
/// let (x, weight) = (Tensor::<2>::ones([5, 3], &device), Tensor::<2>::ones([3, 2], &device));
/// assert_eq!(flop_count::count(|| drop(linear(x, weight, None))), 2 * 5 * 3 * 2);
/// ```
pub fn count(work: impl FnOnce()) -> u64 {
    let before = COUNT.get();
    work();
    COUNT.get() - before
}
