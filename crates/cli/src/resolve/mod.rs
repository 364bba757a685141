//! Validation of the command line: from raw arguments to checked values.

mod conditions;
mod config;
mod data;
mod distillation;
mod error;
mod file;
mod guidance;
pub mod latents;
mod measurement;
mod model;
mod number;
mod operator;
pub mod solver;
mod training;

pub use conditions::Conditions;
pub use config::{
    Changes, absolute, assignments, change, config_file, explain, flatten, nearest, one_line, read_text, set_key, stem,
};
pub use data::{data_error_in_flags, data_keys, dataset, dataset_of, kinded_dataset, known, with_flags};
pub use distillation::distillation;
pub use error::{in_flags, with_flag};
pub use file::{animation, run_folder};
pub use guidance::Guidance;
pub use measurement::{Measurements, measurements, noises};
pub use model::{about, any_model, flow_model, image_size, model, on_bar, rows, selected_rows, spread};
pub use number::{MAX_LEVELS, MAX_SAMPLES, extra_dims, product, seeds, within};
pub use operator::{Operator, array, image_mask, operator};
pub use training::{Plan, fine_tuning, plan};
