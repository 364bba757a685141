//! Runs the first example of the library, as `cargo test` has built it.

use std::process::Command;

#[test]
fn the_first_steps_run() {
    let tests = std::env::current_exe().unwrap();
    let built = tests.parent().and_then(|deps| deps.parent()).unwrap().join("examples");
    let example = built.join(format!("first_steps{}", std::env::consts::EXE_SUFFIX));
    assert!(example.is_file(), "`cargo build -p pfgm --example first_steps` builds {}", example.display());
    let folder = tempfile::tempdir().unwrap();
    let run = Command::new(&example).current_dir(folder.path()).output().unwrap();
    let (said, errors) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{said}{errors}");
    assert!(said.contains("after 600 steps") && said.contains("500 samples of the exact field"), "{said}");
    assert!(folder.path().join("runs/first-steps/config.toml").is_file());
}
