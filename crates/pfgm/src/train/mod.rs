//! Training: steps, checkpoints, the log.

pub mod checkpoint;
mod log;
mod optimizer;
mod trainer;

pub use log::{Log, LogLine};
pub use optimizer::{FlatGradients, Optimizer, learning_rate};
pub use trainer::{Observer, StepReport, TrainError, Trainer, TrainingSet};
