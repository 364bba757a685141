//! The program `pfgm`.

#[cfg(unix)]
mod allocator;

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(pfgm_cli::run(std::env::args_os()))
}
