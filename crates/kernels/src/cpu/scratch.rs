//! Memory that a thread keeps for its intermediate values, and shares between threads that write apart.

use std::{cell::RefCell, marker::PhantomData};

/// A cache line of values; vectors of lines are aligned for every vector unit.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; Line::VALUES]);

impl Line {
    const VALUES: usize = 16;
}

/// A buffer on a cache line's boundary.
#[derive(Default)]
pub struct Aligned {
    lines: Vec<Line>,
}

impl Aligned {
    /// `len` zeros.
    pub fn zeros(len: usize) -> Self {
        Self { lines: vec![Line([0.0; Line::VALUES]); len.div_ceil(Line::VALUES)] }
    }

    /// Makes room for `len` values; what they are is not said.
    pub fn reserve(&mut self, len: usize) {
        let lines = len.div_ceil(Line::VALUES);
        if self.lines.len() < lines {
            self.lines.resize(lines, Line([0.0; Line::VALUES]));
        }
    }

    /// The values.
    pub fn values(&self) -> &[f32] {
        // SAFETY: a line is an array of floats without padding, and every line of the vector is initialised.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.lines.len() * Line::VALUES) }
    }

    /// The values, to be written.
    pub fn values_mut(&mut self) -> &mut [f32] {
        // SAFETY: as in `values`; the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.lines.len() * Line::VALUES) }
    }
}

thread_local! {
    static SCRATCH: RefCell<Aligned> = RefCell::default();
}

/// Calls `work` with `len` values of this thread's own memory, whose contents are whatever was left there.
///
/// # Panics
/// When `work` asks for scratch memory itself.
pub fn with<R>(len: usize, work: impl FnOnce(&mut [f32]) -> R) -> R {
    SCRATCH.with_borrow_mut(|scratch| {
        scratch.reserve(len);
        work(&mut scratch.values_mut()[..len])
    })
}

/// A slice that several threads write to, each its own part.
#[derive(Clone, Copy)]
pub struct Shared<'a> {
    start: *mut f32,
    len: usize,
    borrow: PhantomData<&'a mut [f32]>,
}

// SAFETY: the pointer is to memory borrowed exclusively for 'a; that threads keep apart is what `Shared::at` asks for.
unsafe impl Send for Shared<'_> {}
// SAFETY: as above.
unsafe impl Sync for Shared<'_> {}

impl<'a> Shared<'a> {
    /// Shares a slice.
    pub fn new(values: &'a mut [f32]) -> Self {
        Self { start: values.as_mut_ptr(), len: values.len(), borrow: PhantomData }
    }

    /// A pointer to the value at `index`, behind which `count` values may be written.
    ///
    /// # Safety
    /// No other thread may read or write these values while this one does.
    #[inline(always)]
    pub unsafe fn at(self, index: usize, count: usize) -> *mut f32 {
        debug_assert!(index + count <= self.len, "{index} + {count} values of {}", self.len);
        // SAFETY: inside the slice, as the caller of the kernels' entry points has had checked.
        unsafe { self.start.add(index) }
    }

    /// The `count` values from `index` on.
    ///
    /// # Safety
    /// As for [`Shared::at`].
    ///
    /// # Panics
    /// When they do not lie in the slice.
    #[inline(always)]
    pub unsafe fn slice(self, index: usize, count: usize) -> &'a mut [f32] {
        assert!(index + count <= self.len, "{index} + {count} values of {}", self.len);
        // SAFETY: inside the slice by the assertion, and exclusive by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(index), count) }
    }
}
