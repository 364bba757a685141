//! A pool of memory: a dropped buffer returns to the pool, and the next buffer of its size reuses it.
//!
//! Without a pool, every operation of a step would allocate new pages, cause page faults, and free them. The memory in use and
//! the memory in the pool together exceed the peak of the memory in use by a bounded amount.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    marker::PhantomData,
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// A cache line of values; vectors of lines are aligned for every vector unit.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; Line::VALUES]);

impl Line {
    const VALUES: usize = 16;
    const ZERO: Self = Self([0.0; Self::VALUES]);
}

/// `f32` values, aligned to cache lines, in memory from the pool.
#[derive(Default)]
pub struct Buffer {
    lines: Vec<Line>,
    len: usize,
}

impl Buffer {
    /// Creates a buffer of `len` values, which are arbitrary.
    pub fn new(len: usize) -> Self {
        Self { lines: Pool::lock().take(class(len.div_ceil(Line::VALUES))), len }
    }

    /// Creates a buffer of `len` zeros.
    pub fn zeros(len: usize) -> Self {
        let mut buffer = Self::new(len);
        buffer.values_mut().fill(0.0);
        buffer
    }

    /// The values.
    pub fn values(&self) -> &[f32] {
        // SAFETY: a line is an array of floats without padding, every line of the vector is initialized, and there are
        // lines for `len` values.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }

    /// The values, mutable.
    pub fn values_mut(&mut self) -> &mut [f32] {
        // SAFETY: as in `values`; the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let lines = mem::take(&mut self.lines);
        if !lines.is_empty() {
            let surplus = Pool::lock().give_back(lines);
            drop(surplus);
        }
    }
}

/// Rounds a number of lines up, by an eighth to a quarter, so that buffers of similar sizes share memory.
fn class(lines: usize) -> usize {
    let step = (lines.next_power_of_two() / 8).max(1);
    lines.next_multiple_of(step)
}

/// The unused buffers by size, and counts of the lines in use.
struct Pool {
    free: BTreeMap<usize, Vec<Vec<Line>>>,
    free_lines: usize,
    used_lines: usize,
    most_lines: usize,
}

/// The unused memory that the pool keeps beyond the peak: a fraction of the peak, plus this many lines (16 MB).
const SPARE: usize = 4;
const SPARE_LINES: usize = 1 << 18;

static POOL: Mutex<Pool> = Mutex::new(Pool { free: BTreeMap::new(), free_lines: 0, used_lines: 0, most_lines: 0 });

impl Pool {
    fn lock() -> MutexGuard<'static, Self> {
        // No operation under the lock can panic and leave the pool inconsistent.
        POOL.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&mut self, lines: usize) -> Vec<Line> {
        // The smallest that is large enough, unless most of it would be unused.
        let fitting = self.free.range_mut(lines..=2 * lines).find(|(_, free)| !free.is_empty());
        let memory = match fitting.and_then(|(_, free)| free.pop()) {
            Some(memory) => {
                self.free_lines -= memory.len();
                memory
            }
            None => vec![Line::ZERO; lines],
        };
        self.used_lines += memory.len();
        self.most_lines = self.most_lines.max(self.used_lines);
        memory
    }

    /// Takes memory back. Returns the surplus, for the caller to free.
    fn give_back(&mut self, memory: Vec<Line>) -> Vec<Vec<Line>> {
        let lines = memory.len();
        self.used_lines -= lines;
        self.free_lines += lines;
        self.free.entry(lines).or_default().push(memory);
        let mut surplus = Vec::new();
        while self.used_lines + self.free_lines > self.most_lines + self.most_lines / SPARE + SPARE_LINES {
            // Free other sizes first, since this size was needed just now.
            let other = self.free.iter().rev().find(|(size, free)| **size != lines && !free.is_empty());
            let size = other.map_or(lines, |(size, _)| *size);
            let Some(memory) = self.free.get_mut(&size).and_then(Vec::pop) else { break };
            self.free_lines -= size;
            surplus.push(memory);
        }
        surplus
    }
}

thread_local! {
    static SCRATCH: RefCell<Buffer> = RefCell::default();
}

/// Calls `work` with `len` values of this thread's own memory. The values are arbitrary.
///
/// # Panics
/// If `work` calls [`with_scratch`].
pub fn with_scratch<R>(len: usize, work: impl FnOnce(&mut [f32]) -> R) -> R {
    SCRATCH.with_borrow_mut(|scratch| {
        if scratch.len < len {
            *scratch = Buffer::new(len);
        }
        work(&mut scratch.values_mut()[..len])
    })
}

/// A slice to which several threads write, each to its own part.
#[derive(Clone, Copy)]
pub struct Shared<'a> {
    start: *mut f32,
    len: usize,
    borrow: PhantomData<&'a mut [f32]>,
}

// SAFETY: the pointer is to memory borrowed exclusively for 'a; the callers of `at` and `slice` promise that threads
// use different parts.
unsafe impl Send for Shared<'_> {}
// SAFETY: as above.
unsafe impl Sync for Shared<'_> {}

impl<'a> Shared<'a> {
    /// Shares a slice.
    pub fn new(values: &'a mut [f32]) -> Self {
        Self { start: values.as_mut_ptr(), len: values.len(), borrow: PhantomData }
    }

    #[inline(always)]
    fn contains(self, index: usize, count: usize) -> bool {
        count <= self.len && index <= self.len - count
    }

    /// Returns a pointer to the value at `index`, behind which `count` values may be written.
    ///
    /// # Safety
    /// No other thread reads or writes them while this one does.
    ///
    /// # Panics
    /// If they do not lie in the slice.
    #[inline(always)]
    pub unsafe fn at(self, index: usize, count: usize) -> *mut f32 {
        assert!(self.contains(index, count), "{index} + {count} values of {}", self.len);
        // SAFETY: inside the slice by the assertion.
        unsafe { self.start.add(index) }
    }

    /// The `count` values from `index` on.
    ///
    /// # Safety
    /// No other thread reads or writes them while this one does.
    ///
    /// # Panics
    /// When they do not lie in the slice.
    #[inline(always)]
    pub unsafe fn slice(self, index: usize, count: usize) -> &'a mut [f32] {
        assert!(self.contains(index, count), "{index} + {count} values of {}", self.len);
        // SAFETY: inside the slice by the assertion, and exclusive by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(index), count) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again_and_not_held_far_beyond_what_was_in_use() {
        let mut pool = Pool { free: BTreeMap::new(), free_lines: 0, used_lines: 0, most_lines: 0 };
        let large = SPARE_LINES;
        let (a, b) = (pool.take(large), pool.take(3 * large));
        let at = a.as_ptr();
        assert!(pool.give_back(a).is_empty());
        let a = pool.take(large - 1);
        assert_eq!(a.as_ptr(), at, "the same memory serves a little less");
        assert_eq!((pool.used_lines, pool.free_lines, pool.most_lines), (4 * large, 0, 4 * large));
        assert!(pool.give_back(a).is_empty());
        assert!(pool.give_back(b).is_empty());
        let small = pool.take(large / 4);
        assert_eq!(small.len(), large / 4, "most of a large one would lie idle");
        let mut surplus = pool.give_back(small).len();
        // Sizes of which none serves for another.
        for lines in [9 * large, 27 * large] {
            let memory = pool.take(lines);
            surplus += pool.give_back(memory).len();
            assert!(pool.free_lines <= lines + lines / SPARE + SPARE_LINES, "{} lines are kept", pool.free_lines);
        }
        assert!(surplus > 0);
        assert_eq!(pool.used_lines, 0);
    }

    #[test]
    fn sizes_are_rounded_by_a_quarter_at_most() {
        for lines in 1..5000 {
            assert!(class(lines) >= lines && class(lines) * 4 <= lines * 5 + 4, "{lines}");
        }
    }
}
