//! `cargo xtask attack`: the program and its readers under kills, full disks, limits, bombs and hostile files.
//!
//! Everything that is tried follows from the seed, but for the moments of kills. What fails is kept in target/attack, with the command.

mod bombs;
mod files;
mod full_disk;
mod kills;
mod limits;
mod mutations;
mod program;
mod records;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use program::{Outcome, Program};

/// Time that all attacks together may take, in seconds.
const SECONDS: u64 = 300;

/// An attack: it returns one line about what it did.
type Attack = fn(&Setting) -> Result<String>;

/// Attacks on the program, and the part of the time that each may take. Those with 0 have an end of their own, and all the time that is left.
const ATTACKS: [(&str, f64, Attack); 5] = [
    ("bombs", 0.0, bombs::run),
    ("full-disk", 0.0, full_disk::run),
    ("limits", 0.2, limits::run),
    ("records", 0.3, records::run),
    ("kills", 0.5, kills::run),
];
/// The attack on readers, which runs beside the others.
const MUTATIONS: &str = "mutations";

/// What an attack needs.
pub struct Setting {
    /// The program.
    pub program: Program,
    /// A folder of its own.
    pub folder: PathBuf,
    /// The repository.
    pub root: PathBuf,
    /// Seed of everything that is tried.
    pub seed: u64,
    /// When to stop.
    pub end: Instant,
    /// Reader that mutations are restricted to.
    pub reader: Option<String>,
    failures: Mutex<Vec<String>>,
}

impl Setting {
    /// Notes a failure, and keeps the files that it needs.
    pub fn fail(&self, problem: &str, files: &[&Path]) {
        let mut failures = self.failures.lock().expect("no attack panics");
        let folder = self.folder.join(format!("failure-{}-{}", self.seed, failures.len()));
        let kept = fs::create_dir_all(&folder).is_ok();
        if kept {
            let _ = fs::write(folder.join("problem"), problem);
            for file in files {
                let _ = fs::copy(file, folder.join(file.file_name().unwrap_or_default()));
            }
        }
        let problem: String = problem.chars().take(1000).collect();
        println!("FAILURE: {problem}\n  kept in {}", folder.display());
        failures.push(problem);
    }

    /// Notes a failure if the program ended as it never may, took too long or too much memory beyond an honest need.
    pub fn judge(&self, outcome: &Outcome, honest: u64, files: &[&Path]) -> bool {
        match outcome.problem(honest) {
            Some(problem) => {
                self.fail(&problem, files);
                false
            }
            None => true,
        }
    }

    fn is_over(&self) -> bool {
        Instant::now() >= self.end
    }
}

struct Options {
    seed: u64,
    seconds: u64,
    build: bool,
    only: Option<String>,
}

fn options(arguments: &[String]) -> Option<Options> {
    let mut options = Options { seed: 1, seconds: SECONDS, build: true, only: None };
    let mut arguments = arguments.iter();
    while let Some(name) = arguments.next() {
        if name == "--no-build" {
            options.build = false;
            continue;
        }
        let value = arguments.next()?;
        match name.as_str() {
            "--seed" => options.seed = value.parse().ok()?,
            "--seconds" => options.seconds = value.parse().ok()?,
            "--only" => options.only = Some(value.clone()),
            _ => return None,
        }
    }
    Some(options)
}

/// Attacks the program and the readers.
pub fn run(root: &Path, arguments: &[String]) -> Result<()> {
    let options = options(arguments).context(
        "cargo xtask attack [--seed N] [--seconds N] [--no-build] [--only bombs|full-disk|limits|records|kills|mutations|READER]",
    )?;
    if options.build {
        build(root)?;
    }
    let is_attack = |name: &str| name == MUTATIONS || ATTACKS.iter().any(|(attack, ..)| *attack == name);
    let reader = options.only.clone().filter(|name| !is_attack(name));
    let runs = |name: &str| match options.only.as_deref() {
        None => true,
        Some(only) => only == name || (reader.is_some() && name == MUTATIONS),
    };
    let start = Instant::now();
    println!("attack with seed {} for {} s", options.seed, options.seconds);
    let setting = |name: &str, seconds: f64| -> Result<Setting> {
        let folder = root.join("target/attack").join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let program = Program::new(&root.join("target/debug/pfgm"), &folder)?;
        let end = Instant::now() + Duration::from_secs_f64(seconds);
        let (root, reader) = (root.to_owned(), reader.clone());
        Ok(Setting { program, folder, root, seed: options.seed, end, reader, failures: Mutex::default() })
    };
    let mut failures = 0;
    thread::scope(|scope| -> Result<()> {
        let mutated = runs(MUTATIONS)
            .then(|| scope.spawn(|| report(MUTATIONS, &setting(MUTATIONS, options.seconds as f64)?, mutations::run)));
        let end = start + Duration::from_secs(options.seconds);
        let chosen: Vec<_> = ATTACKS.iter().filter(|(name, ..)| runs(name)).collect();
        let mut shares: f64 = chosen.iter().map(|(_, share, _)| share).sum();
        for (name, share, attack) in chosen {
            let left = end.saturating_duration_since(Instant::now()).as_secs_f64();
            let part = if *share > 0.0 { share / shares } else { 1.0 };
            failures += report(name, &setting(name, left * part)?, *attack)?;
            shares -= share;
        }
        if let Some(mutated) = mutated {
            failures += mutated.join().expect("no attack panics")?;
        }
        Ok(())
    })?;
    ensure!(failures == 0, "{failures} failures with seed {}: see target/attack", options.seed);
    println!("attack: nothing failed in {} s", start.elapsed().as_secs());
    Ok(())
}

/// Runs an attack, prints its line, and returns the number of failures.
fn report(name: &str, setting: &Setting, attack: Attack) -> Result<usize> {
    let start = Instant::now();
    let line = attack(setting).with_context(|| format!("attack `{name}`"))?;
    let failures = setting.failures.lock().expect("no attack panics").len();
    println!("{name}: {line}; {failures} failures, {} s", start.elapsed().as_secs());
    Ok(failures)
}

/// Builds what is attacked, as `cargo test --workspace` does, so that nothing is built twice.
fn build(root: &Path) -> Result<()> {
    let arguments = ["test", "--workspace", "--locked", "--no-run", "--quiet"];
    println!("\n== cargo {}", arguments.join(" "));
    let status = Command::new("cargo").args(arguments).current_dir(root).status().context("cargo cannot be started")?;
    if !status.success() {
        bail!("the program cannot be built");
    }
    Ok(())
}

/// Random numbers (SplitMix64): a stream for each seed and purpose.
pub struct Random(u64);

impl Random {
    /// The stream of a seed and a purpose.
    pub fn new(seed: u64, purpose: &str) -> Self {
        Self(purpose.bytes().fold(seed, |state, byte| (state ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3)))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        value ^ (value >> 31)
    }

    /// A number below a bound.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    /// A number in [0, 1).
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// One of several.
    pub fn choose<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}
