//! Mutated files for every reader, in a process of their own (examples/attack_readers), which may not end.

use std::{
    fs::{self, File},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, bail};

use super::Setting;

/// Mutates until the time is over. A process that ends early is started again with another seed.
pub fn run(setting: &Setting) -> Result<String> {
    let worker = setting.root.join("target/debug/examples/attack_readers");
    let mut inputs = 0;
    let mut seed = setting.seed;
    let mut lines = String::new();
    loop {
        let seconds = setting.end.saturating_duration_since(Instant::now()).as_secs();
        let output = setting.folder.join("output");
        let mut command = Command::new(&worker);
        command.args(["--seed", &seed.to_string(), "--seconds", &seconds.to_string(), "--folder"]).arg(&setting.folder);
        if let Some(reader) = &setting.reader {
            command.args(["--only", reader]);
        }
        // Temporary files in memory, where there is a file system for that.
        if fs::metadata("/dev/shm").is_ok_and(|shared| shared.is_dir()) {
            command.env("TMPDIR", "/dev/shm");
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(File::create(&output)?)
            .spawn()
            .with_context(|| worker.display().to_string())?;
        let status = child.wait()?;
        let _ = fs::remove_dir_all(format!("/dev/shm/pfgm-fuzz-{}", child.id()));
        let text = fs::read_to_string(&output)?;
        for line in text.lines() {
            match line.strip_prefix("failure: ") {
                Some(problem) => setting.fail(problem, &[]),
                None => {
                    inputs += count(line);
                    lines.push_str(&format!("\n  {line}"));
                }
            }
        }
        match status.code() {
            Some(0 | 1) => break,
            Some(2) => bail!("{} does not know its arguments", worker.display()),
            _ => died(setting, seed, &status.to_string())?,
        }
        if setting.is_over() || setting.failures.lock().expect("no attack panics").len() > 20 {
            break;
        }
        seed = seed.wrapping_add(1_000_003);
    }
    Ok(format!("{inputs} mutated inputs{lines}\n "))
}

/// The number in a line such as `idx 4711 inputs, ...`.
fn count(line: &str) -> u64 {
    line.split_whitespace().nth(1).and_then(|word| word.parse().ok()).unwrap_or(0)
}

/// Makes the input again that ended the process.
fn died(setting: &Setting, seed: u64, status: &str) -> Result<()> {
    let place = fs::read_to_string(setting.folder.join("place"))?;
    let mut words = place.split_whitespace();
    let (reader, index) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let worker = setting.root.join("target/debug/examples/attack_readers");
    let input = Command::new(worker).args(["--seed", &seed.to_string(), "--input", reader, index]).output()?.stdout;
    let path = setting.folder.join(format!("{reader}-{seed}-{index}"));
    fs::write(&path, input)?;
    setting.fail(&format!("{}: the reader ended the process ({status})", path.display()), &[&path]);
    Ok(())
}
