//! The Python package: first steps, tests, types and notebooks, in a virtual environment below `target/`.

use std::{
    env::consts::{DLL_PREFIX, DLL_SUFFIX},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

/// Checks everything of the package with the library that `cargo test --workspace` was built from.
pub fn check(root: &Path) -> Result<()> {
    // These targets of the whole workspace, or features of what is below would be others, and everything would be built again.
    let build = ["build", "--workspace", "--lib", "--tests", "--locked"];
    step(Command::new("cargo").args(build).current_dir(root))?;
    link_library(root)?;
    let python = environment(root)?;
    let package = root.join("python");
    let work = root.join("target/python/work");
    fs::create_dir_all(&work)?;
    let program = || {
        let mut command = Command::new(&python);
        // One package path for all, and no compiled files beside the sources.
        command.env("PYTHONPATH", &package).env("PYTHONDONTWRITEBYTECODE", "1").env("MPLBACKEND", "Agg");
        command
    };
    step(program().arg(package.join("examples/first_steps.py")).current_dir(&work))?;
    step(program().args(["-m", "pytest", "-q", "-p", "no:cacheprovider"]).current_dir(root))?;
    step(program().args(["-m", "mypy", "--cache-dir", "target/python/mypy"]).current_dir(root))?;
    // A test compares the code of the Chinese notebook with this one. It runs in its folder, to which it writes.
    fs::copy(root.join("notebooks/poisson_flow.ipynb"), work.join("poisson_flow.ipynb"))?;
    let convert = ["-m", "nbconvert", "--to", "notebook", "--execute", "--output", "executed", "poisson_flow.ipynb"];
    step(program().args(convert).current_dir(&work))
}

/// Puts the native half beside the modules of the package, as `maturin develop` does.
fn link_library(root: &Path) -> Result<()> {
    let library = root.join(format!("target/debug/{DLL_PREFIX}_pfgm{DLL_SUFFIX}"));
    let module = root.join("python/pfgm").join(if cfg!(windows) { "_pfgm.pyd" } else { "_pfgm.abi3.so" });
    let _ = fs::remove_file(&module);
    #[cfg(unix)]
    std::os::unix::fs::symlink(&library, &module)?;
    #[cfg(not(unix))]
    fs::copy(&library, &module)?;
    Ok(())
}

/// The interpreter of a virtual environment with the packages of `python/requirements.txt`.
pub fn environment(root: &Path) -> Result<PathBuf> {
    let folder = root.join("target/python/venv");
    let python = folder.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    let (wanted, installed) = (root.join("python/requirements.txt"), folder.join("installed.txt"));
    let requirements = fs::read(&wanted).context("python/requirements.txt")?;
    if fs::read(&installed).is_ok_and(|installed| installed == requirements) {
        return Ok(python);
    }
    step(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))
        .context("`apt-get install python3-venv` installs what is missing (.ci/run does)")?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
    step(Command::new(&python).args(pip).arg(&wanted))?;
    fs::write(installed, requirements)?;
    Ok(python)
}

fn step(command: &mut Command) -> Result<()> {
    println!("\n== {command:?}");
    let status = command.status().with_context(|| format!("{command:?} cannot be started"))?;
    if !status.success() {
        bail!("{command:?} failed");
    }
    Ok(())
}
