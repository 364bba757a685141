//! Execution of a computation over many rows: batch size, progress, cancellation.

use std::{
    cell::{Cell, RefCell},
    ops::ControlFlow,
};

use super::monitor::Monitor;
use crate::{
    error::{Error, Result},
    flow::Query,
    progress::{CancelToken, Observer, Progress},
};

/// Settings of a computation over many rows: batch size, progress, cancellation.
pub(crate) struct Execution<'a> {
    pub(crate) batch: usize,
    pub(crate) observer: Option<Observer<'a>>,
    pub(crate) cancel: Option<CancelToken>,
}

impl Default for Execution<'_> {
    fn default() -> Self {
        Self { batch: 64, observer: None, cancel: None }
    }
}

/// Defines the options of every computation over rows.
macro_rules! execution_options {
    ($lifetime:lifetime) => {
        /// Sets the batch size. Results do not depend on it. Default: 64.
        pub fn batch(mut self, rows: usize) -> Self {
            self.execution.batch = rows;
            self
        }

        /// Sets a function that is called with the progress after every evaluation. It ends the computation by returning `ControlFlow::Break`.
        pub fn observer(
            mut self,
            observer: impl FnMut(&crate::progress::Progress) -> std::ops::ControlFlow<()> + $lifetime,
        ) -> Self {
            self.execution.observer = Some(Box::new(observer));
            self
        }

        /// Ends the computation with [`Error::Canceled`](crate::Error::Canceled) soon after the token is canceled or expires.
        pub fn cancel(mut self, token: &crate::progress::CancelToken) -> Self {
            self.execution.cancel = Some(token.clone());
            self
        }
    };
}
pub(crate) use execution_options;

impl<'a> Execution<'a> {
    /// Checks the options, and starts a stage of `total` rows.
    pub(crate) fn begin(self, stage: &'static str, total: usize) -> Result<Running<'a>> {
        if self.batch == 0 {
            return Err(Error::argument("batch", "give at least 1"));
        }
        let progress = Cell::new(Progress { stage, done: 0, total, evaluations: 0 });
        let running = Running {
            batch: self.batch,
            observer: RefCell::new(self.observer),
            cancel: self.cancel,
            stopped: Cell::new(false),
            progress,
        };
        running.check()?;
        Ok(running)
    }
}

/// A running computation over rows.
pub(crate) struct Running<'a> {
    pub(crate) batch: usize,
    observer: RefCell<Option<Observer<'a>>>,
    cancel: Option<CancelToken>,
    stopped: Cell<bool>,
    progress: Cell<Progress>,
}

impl Running<'_> {
    fn is_running(&self) -> bool {
        !self.stopped.get() && self.cancel.as_ref().is_none_or(CancelToken::is_active)
    }

    fn check(&self) -> Result<()> {
        if self.is_running() { Ok(()) } else { Err(Error::Canceled) }
    }

    fn tell(&self) {
        if let Some(observer) = self.observer.borrow_mut().as_mut()
            && observer(&self.progress.get()) == ControlFlow::Break(())
        {
            self.stopped.set(true);
        }
    }

    /// Reports the progress of a part of the computation, before which `done` rows were done. Used as the observer of the part.
    pub(crate) fn pass_on(&self, done: usize, part: &Progress) -> ControlFlow<()> {
        let Progress { stage, total, .. } = self.progress.get();
        self.progress.set(Progress { stage, total, done: done + part.done, evaluations: part.evaluations });
        self.tell();
        if self.is_running() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    /// Reports that `rows` more rows are done.
    ///
    /// # Errors
    /// Returns an error if the computation was canceled.
    pub(crate) fn advance(&self, rows: usize) -> Result<()> {
        let progress = self.progress.get();
        self.progress.set(Progress { done: progress.done + rows, ..progress });
        self.tell();
        self.check()
    }
}

impl Monitor for Running<'_> {
    fn is_active(&self, _item: usize) -> bool {
        self.is_running()
    }

    fn evaluated(&self, query: &Query, _yhat: &[f64]) {
        if !self.is_running() {
            return;
        }
        let progress = self.progress.get();
        self.progress.set(Progress { evaluations: progress.evaluations + query.item.len() as u64, ..progress });
        self.tell();
    }
}
