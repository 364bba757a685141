//! Trainings that are killed at random moments and resumed: they end with the same weights, to the bit.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use super::{Random, Setting, program::Call};

/// Steps of the training.
pub const STEPS: u32 = 400;
/// Kills after which a training may end.
const KILLS: u32 = 12;

/// The training, without its folder.
pub fn training(out: &str) -> String {
    let set = "--set network.width=16 --set train.batch=64 --set train.warmup=1 --set train.cooldown=0 \
               --set train.checkpoint_every=7 --set train.log_every=3 --set data.hold_out=20 --set objective.field_batch=500";
    format!("train heart --out {out} --set train.steps={STEPS} {set}")
}

/// The last checkpoint of a run.
pub fn last(run: &Path) -> PathBuf {
    run.join(format!("checkpoints/step-{STEPS:08}.safetensors"))
}

/// Kills until the time is over.
pub fn run(setting: &Setting) -> Result<String> {
    let start = Instant::now();
    let whole = setting.program.run(&training("whole"))?;
    ensure!(whole.code == 0, "the training fails: {}", whole.said);
    let duration = start.elapsed();
    let weights = fs::read(last(&setting.folder.join("whole"))).context("the training leaves a checkpoint")?;
    let mut random = Random::new(setting.seed, "kills");
    let (mut kills, mut trainings) = (0, 0);
    while trainings == 0 || !setting.is_over() {
        kills += disturbed(setting, &weights, duration, &mut random)?;
        trainings += 1;
    }
    Ok(format!("{kills} kills of {trainings} trainings, each of which ended with the weights of an undisturbed one"))
}

/// One training with its kills. Returns how many there were.
fn disturbed(setting: &Setting, weights: &[u8], duration: Duration, random: &mut Random) -> Result<u32> {
    let run = setting.folder.join("run");
    let _ = fs::remove_dir_all(&run);
    let mut kills = 0;
    loop {
        // As the scripts of docs/cluster.md.
        let has_checkpoints = run.join("checkpoints").is_dir();
        let arguments = if has_checkpoints { "train run --resume".to_owned() } else { training("run") };
        let kill_after = (kills < KILLS).then(|| duration.mul_f64(0.7 * random.unit() * random.unit()));
        let outcome = setting.program.call(&Call { kill_after, ..Call::new(&arguments) })?;
        if !outcome.killed {
            if outcome.code != 0 {
                setting.fail(&format!("{} after {kills} kills: {}", outcome.call, outcome.said), &[]);
            }
            break;
        }
        kills += 1;
        // Whoever reads the run in between finds a whole checkpoint.
        let has_one = fs::read_dir(run.join("checkpoints"))
            .is_ok_and(|mut entries| entries.any(|entry| is_checkpoint(&entry.expect("an entry").file_name())));
        if has_one && random.below(8) == 0 {
            let outcome = setting.program.run("sample run -n 1 -o sample.png")?;
            if outcome.code != 0 {
                setting.fail(&format!("{} after a kill: {}", outcome.call, outcome.said), &[]);
            }
        }
    }
    check(setting, &run, weights);
    Ok(kills)
}

fn is_checkpoint(name: &std::ffi::OsStr) -> bool {
    name.to_string_lossy().starts_with("step-")
}

/// Checks what a training has left: its weights, its log, and no temporary files.
pub fn check(setting: &Setting, run: &Path, weights: &[u8]) {
    let path = last(run);
    if fs::read(&path).ok().as_deref() != Some(weights) {
        setting.fail("the weights differ from those of an undisturbed training", &[&path, &run.join("log.jsonl")]);
    }
    let log = fs::read_to_string(run.join("log.jsonl")).unwrap_or_default();
    let steps: Vec<Option<u64>> = log
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).ok().and_then(|line| line["step"].as_u64()))
        .collect();
    if steps.last() != Some(&Some(u64::from(STEPS))) || !steps.is_sorted_by(|a, b| a.is_some() && a < b) {
        setting.fail("the log has holes, repetitions or broken lines", &[&run.join("log.jsonl")]);
    }
    let files = [run.to_owned(), run.join("checkpoints")].into_iter().flat_map(|folder| fs::read_dir(folder).ok());
    let names = files.flatten().flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let left: Vec<String> = names.filter(|name| name.ends_with(".part") || name == "train.lock").collect();
    if !left.is_empty() {
        setting.fail(&format!("files are left behind: {}", left.join(", ")), &[]);
    }
}
