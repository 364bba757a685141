//! Listings of the public API of the libraries in `api/`, so that a change of the API appears in a review as a change of a file.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
};

use anyhow::{Context, Result, bail};

/// The libraries that users import.
const LIBRARIES: [&str; 7] = ["pfgm", "pfgm-data", "pfgm-eval", "pfgm-flow", "pfgm-nn", "pfgm-numerics", "pfgm-torch"];

/// Set for the process that stands in for rustdoc.
const AS_RUSTDOC: &str = "XTASK_AS_RUSTDOC";

/// Runs rustdoc with its unstable JSON output, if cargo called this program instead of rustdoc. The variable that enables it is set for
/// rustdoc only, because setting it for cargo would run every build script again.
pub fn stand_in_for_rustdoc() -> Option<std::io::Result<ExitStatus>> {
    env::var_os(AS_RUSTDOC)?;
    Some(Command::new("rustdoc").args(env::args_os().skip(1)).env("RUSTC_BOOTSTRAP", "1").status())
}

/// Compares the listings in `api/` with the current API, or writes them.
pub fn run(root: &Path, update: bool) -> Result<()> {
    // The folder and features of `validate`, so that the dependencies are not checked again.
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let status = Command::new("cargo")
        .args(["doc", "--workspace", "--features", super::OPTIONAL, "--no-deps", "--lib", "--locked", "--quiet"])
        .current_dir(root)
        .env("RUSTDOC", env::current_exe()?)
        .env(AS_RUSTDOC, "1")
        .env("RUSTDOCFLAGS", "-Zunstable-options --output-format json")
        .status()
        .context("cargo cannot be started")?;
    if !status.success() {
        bail!("rustdoc cannot describe the libraries as JSON");
    }
    for library in LIBRARIES {
        let json = target.join("doc").join(format!("{}.json", library.replace('-', "_")));
        let path = root.join("api").join(format!("{library}.txt"));
        let listing = listing(&json).with_context(|| json.display().to_string())?;
        if update {
            fs::create_dir_all(root.join("api"))?;
            fs::write(&path, listing)?;
        } else if fs::read_to_string(&path).unwrap_or_default() != listing {
            bail!(
                "api/{library}.txt differs from the public API of {library}: `cargo xtask public-api --update` writes \
                 it anew; look at what changes for users, and say it in CHANGELOG.md"
            );
        }
    }
    println!("public API: {} libraries as listed in api/", LIBRARIES.len());
    Ok(())
}

/// One line per item, with its signature, without derived and blanket implementations.
fn listing(json: &Path) -> Result<String> {
    let api = public_api::Builder::from_rustdoc_json(json)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build()?;
    Ok(api.items().map(|item| format!("{item}\n")).collect())
}
