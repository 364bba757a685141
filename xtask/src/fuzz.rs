//! `cargo xtask fuzz`: readers under libFuzzer and the address sanitizer, for a bounded time, from small seeds.
//!
//! `--only TARGET` chooses another target than PyTorch's checkpoints, `--only all` takes one after the other; `--seconds N` is the time of each.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};

const PLATFORM: &str = "x86_64-unknown-linux-gnu";
/// Targets, the feature that each needs, and its seeds.
const TARGETS: [(&str, &str, &str); 13] = [
    ("checkpoint", "", "crates/torch/tests/data"),
    ("array", "data", "fuzz/seeds/array"),
    ("image", "data", "fuzz/seeds/image"),
    ("idx", "data", "fuzz/seeds/idx"),
    ("lmdb", "data", "fuzz/seeds/lmdb"),
    ("table", "data", "fuzz/seeds/table"),
    ("tar", "data", "fuzz/seeds/tar"),
    ("zip", "data", "fuzz/seeds/zip"),
    ("run_checkpoint", "model", "fuzz/seeds/run_checkpoint"),
    ("configuration", "model", "crates/pfgm/presets"),
    ("import", "model", "fuzz/seeds/import"),
    ("diffusers", "model", "fuzz/seeds/diffusers"),
    ("http", "http", "fuzz/seeds/http"),
];

/// Fuzzes.
pub fn run(root: &Path, arguments: &[String]) -> Result<()> {
    let (mut only, mut seconds) = ("checkpoint", 30);
    for pair in arguments.chunks(2) {
        match pair {
            [name, value] if name == "--only" => only = value,
            [name, value] if name == "--seconds" => seconds = value.parse().context("--seconds: give a number")?,
            _ => bail!("cargo xtask fuzz [--only TARGET|all] [--seconds N]"),
        }
    }
    let chosen: Vec<_> = TARGETS.iter().filter(|(name, ..)| only == "all" || *name == only).collect();
    ensure!(
        !chosen.is_empty(),
        "--only {only}: there is no such target; all, {}",
        TARGETS.map(|(name, ..)| name).join(", ")
    );
    build(root, &chosen)?;
    for (name, _, seeds) in chosen {
        target(root, name, seeds, seconds)?;
    }
    Ok(())
}

/// Builds targets with what cargo-fuzz asks the compiler for.
fn build(root: &Path, targets: &[&(&str, &str, &str)]) -> Result<()> {
    let passes = ["-Cpasses=sancov-module", "-Zsanitizer=address", "--cfg=fuzzing"].map(String::from).into_iter();
    let coverage = ["level=4", "inline-8bit-counters", "pc-table", "trace-compares"]
        .map(|what| format!("-Cllvm-args=-sanitizer-coverage-{what}"));
    let flags: Vec<String> = passes.chain(coverage).collect();
    let mut command = Command::new("cargo");
    command.args(["build", "--release", "--locked", "--target", PLATFORM, "--manifest-path", "fuzz/Cargo.toml"]);
    for (name, feature, _) in targets {
        command.args(["--bin", name]);
        if !feature.is_empty() {
            command.args(["--features", feature]);
        }
    }
    println!("\n== libFuzzer: {}", targets.iter().map(|(name, ..)| *name).collect::<Vec<_>>().join(", "));
    let status = command
        .current_dir(root)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", flags.join(" "))
        .env("CARGO_TARGET_DIR", folder(root))
        .status()
        .context("cargo cannot be started")?;
    ensure!(status.success(), "the fuzz targets cannot be built");
    Ok(())
}

fn folder(root: &Path) -> PathBuf {
    root.join("target/fuzz")
}

/// Runs one target.
fn target(root: &Path, name: &str, seeds: &str, seconds: u64) -> Result<()> {
    // New inputs go to a folder of their own; the seeds are only read.
    let found = folder(root).join("corpus").join(name);
    fs::create_dir_all(&found)?;
    println!("\n== libFuzzer: {name} for {seconds} s");
    let mut command = Command::new(folder(root).join(PLATFORM).join("release").join(name));
    if Path::new("/dev/shm").is_dir() {
        command.env("TMPDIR", "/dev/shm");
    }
    let status = command
        .args([&found, &root.join(seeds)])
        .args([&format!("-max_total_time={seconds}"), "-rss_limit_mb=2048", "-timeout=10"])
        .args(["-print_final_stats=1", "-verbosity=0"])
        .current_dir(folder(root))
        .status()
        .context("the fuzz target cannot be started")?;
    ensure!(status.success(), "libFuzzer found an input that breaks `{name}`: see target/fuzz");
    Ok(())
}
