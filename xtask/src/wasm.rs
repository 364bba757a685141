//! Compiles the field to WebAssembly for the studio, and stores a hash of its sources.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

const TARGET: &str = "wasm32-unknown-unknown";
const PAGE: &str = "crates/studio/page";
/// What the names of imported functions begin with.
const IMPORT: &[u8] = b"__wbindgen";

/// Compiles `crates/web` and stores the module with a hash of its sources. Needs `rustup target add wasm32-unknown-unknown`.
pub fn build(root: &Path) -> Result<()> {
    let home = std::env::var("CARGO_HOME").or_else(|_| std::env::var("HOME").map(|home| format!("{home}/.cargo")))?;
    // Removes paths of this machine from the module.
    let flags = format!(
        "-C target-feature=+simd128 --remap-path-prefix={}=/pfgm --remap-path-prefix={home}=/cargo",
        root.display()
    );
    let status = Command::new("cargo")
        .args(["build", "--locked", "--profile", "wasm", "--target", TARGET, "-p", "pfgm-web"])
        .current_dir(root)
        .env("RUSTFLAGS", flags)
        // With the features of the whole workspace, the module would import functions of the browser.
        .env("CARGO_RESOLVER_FEATURE_UNIFICATION", "selected")
        .status()
        .context("cargo cannot be started")?;
    if !status.success() {
        bail!("the module cannot be built; `rustup target add {TARGET}` installs what may be missing");
    }
    let page = root.join(PAGE);
    let built = root.join("target").join(TARGET).join("wasm/pfgm_web.wasm");
    if fs::read(&built)?.windows(IMPORT.len()).any(|part| part == IMPORT) {
        bail!(
            "the module imports functions of the browser, which the page does not provide: a dependency has a feature too many"
        );
    }
    let size = fs::copy(built, page.join("field.wasm"))?;
    fs::write(page.join("field.wasm.sources"), sources(root)?)?;
    println!("{PAGE}/field.wasm: {size} bytes");
    Ok(())
}

/// Checks that the stored module was built from the current sources.
pub fn check(root: &Path) -> Result<()> {
    let kept = fs::read_to_string(root.join(PAGE).join("field.wasm.sources")).context("field.wasm.sources")?;
    if kept != sources(root)? {
        bail!("{PAGE}/field.wasm is older than its sources: run `cargo xtask wasm`");
    }
    println!("wasm: made of the sources as they are");
    Ok(())
}

/// Returns a hash of all sources of the module (FNV-1a).
fn sources(root: &Path) -> Result<String> {
    let paths: Vec<PathBuf> = ["crates/numerics", "crates/web", "crates/flow"]
        .into_iter()
        .map(|folder| super::files(&root.join(folder).join("src"), "rs"))
        .collect::<Result<Vec<_>>>()?
        .concat();
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for path in &paths {
        let name = path.strip_prefix(root)?.to_string_lossy().replace('\\', "/");
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        // Ignores differences of line endings between checkouts.
        for byte in name.bytes().chain(text.bytes().filter(|byte| *byte != b'\r')) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    Ok(format!("{hash:016x}\n"))
}
