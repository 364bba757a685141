//! Training: steps, checkpoints, the log.

mod batches;
mod events;
mod log;
mod memory;
mod optimizer;
mod patches;
mod ranks;
mod trainer;
mod training_set;

pub use events::Events;
pub use log::{Log, LogLine};
pub use memory::{Memory, memory_estimate};
pub use optimizer::{FlatGradients, Optimizer, learning_rate};
pub use trainer::{Observer, StepReport, TrainError, Trainer};
