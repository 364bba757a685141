//! Progress and cancellation of long computations.

use std::{
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// How much of a computation is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// The part of the computation that runs now, such as `sampling`.
    pub stage: &'static str,
    /// Items that are done.
    pub done: usize,
    /// Items of this stage.
    pub total: usize,
    /// Rows that the denoiser has evaluated so far in this stage.
    pub evaluations: u64,
}

/// A flag that ends a computation early, shared between threads.
///
/// ```
/// use pfgm::prelude::*;
///
/// let token = CancelToken::new();
/// token.cancel();
/// let model = Model::load("digits")?;
/// assert!(matches!(model.sample(1).cancel(&token).draw(), Err(Error::Canceled)));
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct CancelToken {
    canceled: Arc<AtomicBool>,
    deadline: Option<Instant>,
}

impl CancelToken {
    /// A token without a deadline.
    pub fn new() -> Self {
        Self::default()
    }

    /// A token that expires after `longest`.
    pub fn with_timeout(longest: Duration) -> Self {
        Self { canceled: Arc::default(), deadline: Some(Instant::now() + longest) }
    }

    /// Cancels every computation that holds this token or a clone of it.
    pub fn cancel(&self) {
        self.canceled.store(true, Ordering::Relaxed);
    }

    /// Whether [`CancelToken::cancel`] was called.
    pub fn is_canceled(&self) -> bool {
        self.canceled.load(Ordering::Relaxed)
    }

    /// Whether the deadline has passed.
    pub fn is_expired(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() > deadline)
    }

    /// Whether the computation should go on: the token is neither canceled nor expired.
    pub fn is_active(&self) -> bool {
        !self.is_canceled() && !self.is_expired()
    }
}

/// A function that is called with the progress and may end the computation.
pub(crate) type Observer<'a> = Box<dyn FnMut(&Progress) -> ControlFlow<()> + 'a>;
