//! Output: lines, progress bars, tables, pictures and other files.

mod animation;
mod columns;
mod file;
mod picture;
mod table;
mod text;

pub use animation::AnimationFile;
pub use file::{check_all, check_writable, display, in_run, make_folder, write, write_by};
pub use picture::{PictureFile, Rows, chart_rows, class_captions, numbered};
pub use table::{arrays, table};
#[cfg(feature = "mpi")]
pub use text::silence;
pub use text::{bar, finish, is_silent, line, progress, warn};
