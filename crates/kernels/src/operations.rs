//! How much arithmetic a network is: what its matrix products and convolutions would cost as direct sums.

use std::cell::Cell;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

/// Notes `count` multiplications or additions.
pub fn add(count: usize) {
    COUNT.set(COUNT.get() + count as u64);
}

/// The multiplications and additions that this thread asked for while `work` ran.
pub fn count(work: impl FnOnce()) -> u64 {
    let before = COUNT.get();
    work();
    COUNT.get() - before
}
