//! Progress and Ctrl-C while a computation runs detached from the interpreter.

use std::{
    cell::RefCell,
    ops::ControlFlow,
    time::{Duration, Instant},
};

use pfgm::Progress;
use pyo3::prelude::*;

use crate::failure::{Failure, Result};

/// How often a running computation asks whether a signal came.
const SIGNALS: Duration = Duration::from_millis(50);
/// How often it tells its progress.
const PROGRESS: Duration = Duration::from_millis(100);

/// Watches a computation: asks Python for signals, and calls `progress(stage, done, total, evaluations)` if it is given.
pub struct Watch<'a> {
    progress: Option<&'a Py<PyAny>>,
    state: RefCell<State>,
}

struct State {
    signals: Instant,
    told: Instant,
    error: Option<PyErr>,
}

impl<'a> Watch<'a> {
    pub fn new(progress: Option<&'a Py<PyAny>>) -> Self {
        let now = Instant::now();
        Self { progress, state: RefCell::new(State { signals: now, told: now, error: None }) }
    }

    /// Returns whether the computation should go on; `tell` calls Python.
    fn check(&self, tell: impl FnOnce(Python<'_>) -> PyResult<()>, tells: bool) -> ControlFlow<()> {
        let mut state = self.state.borrow_mut();
        if state.error.is_some() {
            return ControlFlow::Break(());
        }
        let now = Instant::now();
        let tells = tells && now - state.told >= PROGRESS;
        if !tells && now - state.signals < SIGNALS {
            return ControlFlow::Continue(());
        }
        let asked = Python::attach(|py| {
            py.check_signals()?;
            if tells { tell(py) } else { Ok(()) }
        });
        state.signals = now;
        if tells {
            state.told = now;
        }
        match asked {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                state.error = Some(error);
                ControlFlow::Break(())
            }
        }
    }

    /// The observer of a computation over rows.
    pub fn observe(&self, progress: &Progress) -> ControlFlow<()> {
        let Progress { stage, done, total, evaluations, .. } = *progress;
        let tell = |py: Python<'_>| match self.progress {
            Some(callable) => callable.call1(py, (stage, done, total, evaluations)).map(drop),
            None => Ok(()),
        };
        self.check(tell, self.progress.is_some())
    }

    /// Asks for signals only.
    pub fn signals(&self) -> ControlFlow<()> {
        self.check(|_| Ok(()), false)
    }

    /// The result of the computation, or the exception that ended it.
    pub fn finish<T>(self, result: Result<T>) -> Result<T> {
        match self.state.into_inner().error {
            Some(error) => Err(Failure::Raised(error)),
            None => result,
        }
    }
}
