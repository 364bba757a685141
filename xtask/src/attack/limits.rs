//! Few file descriptors and little memory.

use anyhow::{Result, ensure};

use super::{Random, Setting, program::Call};

/// Commands that read, compute and write.
const COMMANDS: [&str; 6] = [
    "data heart -o x.png",
    "sample digits -n 2 --steps 2 -o x.png --npz x.npz",
    "train heart --dry-run",
    "train heart --out run --set train.steps=3 --set network.width=16 --set train.checkpoint_every=2",
    "evaluate digits --data digits -n 60 --reference-rows 100",
    "presets digits",
];

/// Limits until the time is over.
pub fn run(setting: &Setting) -> Result<String> {
    let mut random = Random::new(setting.seed, "limits");
    let (mut descriptors, mut memory, mut finished) = (0, 0, 0);
    // What the program maps without doing anything.
    let least = least_memory(setting)?;
    while !setting.is_over() || memory == 0 {
        let _ = std::fs::remove_dir_all(setting.folder.join("run"));
        let command = random.choose(&COMMANDS);
        let before = if random.below(2) == 0 {
            descriptors += 1;
            // Three are open from the start; the shell needs one to start the program.
            format!("ulimit -n {}", 4 + random.below(16))
        } else {
            memory += 1;
            let more = (random.unit() * random.unit() * 1_000_000.0) as u64;
            format!("ulimit -v {}", least + more)
        };
        let outcome = setting.program.call(&Call::new(command).after(before))?;
        finished += usize::from(outcome.code == 0);
        setting.judge(&outcome, 0, &[]);
    }
    Ok(format!("{descriptors} calls with 4 to 19 descriptors, {memory} with little memory; {finished} of them worked"))
}

/// The least address space, in kB, with which the program starts.
fn least_memory(setting: &Setting) -> Result<u64> {
    let works = |kilobytes: u64| -> Result<bool> {
        let call = Call::new("--version").after(format!("ulimit -v {kilobytes}"));
        Ok(setting.program.call(&call)?.code == 0)
    };
    let (mut fails, mut works_with) = (0, 16 << 20);
    ensure!(works(works_with)?, "the program does not start in 16 GB");
    while works_with - fails > 4096 {
        let middle = (fails + works_with) / 2;
        if works(middle)? {
            works_with = middle;
        } else {
            fails = middle;
        }
    }
    Ok(works_with)
}
