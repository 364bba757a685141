//! Training: steps, checkpoints, the log.

mod batches;
mod consistency;
mod error;
mod events;
mod gradients;
mod inverse;
mod log;
mod matrices;
mod memory;
mod muon;
mod normalization;
mod optimizer;
mod patches;
mod power;
mod ranks;
mod run_folder;
mod run_lock;
mod trainer;
mod training_loop;
mod training_set;

pub use error::TrainError;
pub use events::Events;
pub use log::{Log, LogLine};
pub use memory::{Memory, memory_estimate};
pub use optimizer::{FlatGradients, Optimizer, learning_rate};
pub use run_folder::{CONFIG, FolderState};
pub use run_lock::{Holder, LockError, RunLock};
pub use trainer::Trainer;
pub use training_loop::{Observer, StepReport};
