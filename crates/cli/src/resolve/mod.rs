//! Checked values: from what was typed to what can run. The one place where a command line can be wrong.

mod config;
mod data;
mod file;
mod number;
pub mod solver;

pub use config::{Named, change, config, config_file, explain, nearest, one_line, set_key, stem, value_of};
pub use data::dataset;
pub use file::{animation, run_folder};
pub use number::{MAX_LEVELS, MAX_SAMPLES, extra_dims, product, seeds, within};
