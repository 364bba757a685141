//! Runs the first example of the library.

use std::{path::Path, process::Command};

#[test]
fn the_first_steps_run() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let run = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--example", "first_steps", "--manifest-path"])
        .arg(&manifest)
        .current_dir(folder.path())
        .output()
        .unwrap();
    let (said, errors) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{said}{errors}");
    assert!(said.contains("after 600 steps") && said.contains("500 samples of the exact field"), "{said}");
    assert!(folder.path().join("runs/first-steps/config.toml").is_file());
}
