//! What installs the program: the names of the release's archives, and the toolchain of the image.

use std::{fs, path::PathBuf};

fn read(path: &str) -> String {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    fs::read_to_string(root.join(path)).unwrap()
}

/// The value after `key` on its line.
fn value<'a>(text: &'a str, key: &str) -> &'a str {
    let line = text.lines().map(str::trim).find(|line| line.starts_with(key)).unwrap_or_else(|| panic!("no {key}"));
    line[key.len()..].trim().trim_matches('"')
}

#[test]
fn binstall_finds_the_archives_of_a_release() {
    let (manifest, workflow) = (read("crates/cli/Cargo.toml"), read(".github/workflows/release.yml"));
    // The tag of version 1.2.3 is v1.2.3.
    let name =
        value(&workflow, "name=").replace("${{ github.ref_name }}", "v1.2.3").replace("${{ matrix.target }}", "T");
    let of = |key| value(&manifest, key).replace("{ version }", "1.2.3").replace("{ target }", "T");
    assert_eq!(of("pkg-url ="), format!("{{ repo }}/releases/download/v1.2.3/{name}.tar.gz"));
    assert_eq!(of("bin-dir ="), format!("{name}/{{ bin }}{{ binary-ext }}"));
    assert!(workflow.contains("tar czf \"$name.tar.gz\" \"$name\""));
}

#[test]
fn the_image_is_built_with_the_pinned_toolchain() {
    let channel = read("rust-toolchain.toml");
    let channel = value(&channel, "channel =");
    assert!(read("Dockerfile").contains(&format!("FROM rust:{channel}-slim")), "{channel}");
}

#[test]
fn the_program_contains_each_bundled_model_once() {
    let program = fs::read(env!("CARGO_BIN_EXE_pfgm")).unwrap();
    for model in pfgm::bundled::BUNDLED {
        let middle = model.checkpoint.len() / 2;
        let part = &model.checkpoint[middle..middle + 32];
        let copies = program.windows(part.len()).filter(|window| window == &part).count();
        assert_eq!(copies, 1, "{}", model.name);
    }
}
