//! The system's allocator, with a reason and exit code 2 instead of an abort when the system refuses memory.

use std::alloc::{GlobalAlloc, Layout, System};

/// Larger requests, such as a hostile file may cause, are answered as the system does: a reader that tries them names the file. Smaller ones
/// include the buffers that matrix products allocate, of twice the size of the third-level cache.
const LARGE: usize = 4 << 30;
const REASON: &[u8] = b"error: the system has no more memory for this process; close other programs, raise the limit, or lower the batch\n";

struct OrExit;

#[global_allocator]
static ALLOCATOR: OrExit = OrExit;

/// Ends the process if memory was refused. Allocates nothing.
fn check(memory: *mut u8, size: usize) -> *mut u8 {
    if memory.is_null() && size < LARGE {
        // SAFETY: the text lives for ever; nothing of this process runs after `_exit`. Files are written whole or not at all.
        unsafe {
            libc::write(libc::STDERR_FILENO, REASON.as_ptr().cast(), REASON.len());
            libc::_exit(2);
        }
    }
    memory
}

// SAFETY: every call is answered by the system's allocator.
unsafe impl GlobalAlloc for OrExit {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        check(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        check(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as the caller promises.
        check(unsafe { System.realloc(memory, layout, size) }, size)
    }
}
