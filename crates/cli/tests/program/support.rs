//! Helpers for tests of the program: running it, and a small run.

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
};

use tempfile::TempDir;

/// A network small enough to train in a moment.
pub const SMALL: [&str; 12] = [
    "--set",
    "network.width=8",
    "--set",
    "train.batch=8",
    "--set",
    "train.warmup=1",
    "--set",
    "train.cooldown=0",
    "--set",
    "train.checkpoint_every=2",
    "--set",
    "data.hold_out=5",
];

pub fn temporary() -> TempDir {
    tempfile::tempdir().unwrap()
}

pub fn pfgm(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pfgm")).current_dir(folder).args(arguments).stdin(Stdio::null()).output().unwrap()
}

/// Its output.
pub fn succeeds(folder: &Path, arguments: &[&str]) -> String {
    let output = pfgm(folder, arguments);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{arguments:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

/// One line on standard error, exit code 2; returns the line.
pub fn fails(folder: &Path, arguments: &[&str]) -> String {
    let output = pfgm(folder, arguments);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
    assert!(error.starts_with("error: ") && error.trim_end().lines().count() == 1, "{arguments:?}: {error}");
    error
}

/// [`fails`] with all these parts in the line.
pub fn refuses(folder: &Path, arguments: &[&str], parts: &[&str]) {
    let error = fails(folder, arguments);
    for part in parts {
        assert!(error.contains(part), "{arguments:?} should say {part}: {error}");
    }
}

/// Trains a very small network on `data` for some steps as run `out`.
pub fn train(folder: &Path, data: &str, steps: u32, out: &str, more: &[&str]) -> String {
    let steps = format!("train.steps={steps}");
    let mut arguments = vec!["train", data, "--out", out, "--set", &steps];
    arguments.extend(SMALL);
    arguments.extend(more);
    succeeds(folder, &arguments)
}

/// Width and height of a picture.
pub fn png_size(path: &Path) -> (u32, u32) {
    let bytes = fs::read(path).unwrap();
    assert!(bytes.starts_with(b"\x89PNG"), "{}", path.display());
    let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    (number(16), number(20))
}
