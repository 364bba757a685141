//! Errors of training.

use std::{io, path::PathBuf};

use pfgm_data::DataError;

use super::run_lock::LockError;
use crate::{checkpoint::CheckpointError, memory::MemoryError, network::PrecisionError, spec::ModelError};

/// Reason why a training cannot start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The configuration does not fit the data.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The network cannot be computed in the configured precision: the key, and the reason.
    #[error("{0}: {1}")]
    Precision(&'static str, PrecisionError),
    /// The machine has too little memory.
    #[error("the training {0}")]
    Memory(#[from] MemoryError),
    /// A checkpoint cannot be read or written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A row cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Another process writes to the folder of the run.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The log cannot be written.
    #[error("{path}: cannot be written: {source}")]
    Log {
        /// The log.
        path: PathBuf,
        /// Error of the system.
        source: io::Error,
    },
    /// The loss is infinite or not a number.
    #[error("the loss of step {step} is {loss}: training has diverged; lower train.lr or raise train.warmup")]
    Diverged {
        /// Number of the step.
        step: u64,
        /// Its loss.
        loss: f64,
    },
    /// The objective needs the weights of a trained model.
    #[error(
        "objective: ipfm, guidance and teacher need a trained model; distill one, or use another kind, objective.guidance = 1 and objective.teacher = false"
    )]
    NoTeacher,
    /// The ranks of a training are not in the same state.
    #[error("rank {rank} has {what} than rank 0; start every rank with the same program, arguments, data and run")]
    Apart {
        /// First rank that differs from rank 0.
        rank: usize,
        /// What differs.
        what: &'static str,
    },
    /// There are more ranks than items in a batch.
    #[error("train.batch = {batch} for {ranks} ranks: start at most as many ranks, or raise train.batch")]
    Ranks {
        /// Items of a batch.
        batch: usize,
        /// Number of ranks.
        ranks: usize,
    },
}
