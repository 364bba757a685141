//! One call of MPI at a time, as `MPI_THREAD_SERIALIZED` requires.

use std::{
    sync::{Mutex, MutexGuard, PoisonError, TryLockError},
    thread,
    time::{Duration, Instant},
};

static CALLS: Mutex<()> = Mutex::new(());

/// Runs `call`, which makes a nonblocking MPI call, while no other thread calls MPI.
pub(crate) fn serialized<R>(call: impl FnOnce() -> R) -> R {
    let _guard = CALLS.lock().unwrap_or_else(PoisonError::into_inner);
    call()
}

/// Tries to get the right to call MPI for some time.
pub(crate) fn try_for(time: Duration) -> Option<MutexGuard<'static, ()>> {
    let started = Instant::now();
    loop {
        match CALLS.try_lock() {
            Ok(guard) => return Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) if started.elapsed() > time => return None,
            Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(5)),
        }
    }
}
