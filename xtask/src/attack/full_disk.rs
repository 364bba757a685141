//! Disks that are full: `/dev/full`, and a small file system in memory, or a limit on the size of files where nothing may be mounted.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};

use super::{
    Setting, kills,
    program::{Call, Outcome},
};

/// Size of the small disk, and of the one with room for everything.
const SMALL: u64 = 150 << 10;
const LARGE: u64 = 64 << 20;

/// Fills disks.
pub fn run(setting: &Setting) -> Result<String> {
    let devices = devices(setting)?;
    let disk = Disk::new(setting)?;
    let files = files(setting, &disk)?;
    training(setting, &disk)?;
    let kind =
        if disk.mounted { "a file system of 150 kB (tmpfs)" } else { "a limit on the size of files (ulimit -f)" };
    Ok(format!("{devices} commands on /dev/full, {files} and a training on {kind}"))
}

/// Every command that prints or writes fails with a reason if nothing can be written.
fn devices(setting: &Setting) -> Result<usize> {
    let printed = [
        "presets digits",
        "presets",
        "--help",
        "config",
        "data heart",
        "train digits --dry-run",
        "calibrate --data heart",
    ];
    for arguments in printed {
        let call = Call { stdout: Some("/dev/full".into()), ..Call::new(arguments) };
        refused(setting, &setting.program.call(&call)?);
    }
    let written = [
        "data heart -o /dev/full",
        "sample digits -n 1 --steps 2 -o /dev/full",
        "sample digits -n 1 --steps 2 --npz /dev/full -o x.png",
        "export digits -o /dev/full",
    ];
    for arguments in written {
        refused(setting, &setting.program.run(arguments)?);
    }
    Ok(printed.len() + written.len())
}

/// Notes a failure unless the call ended with exit code 2 and a reason.
fn refused(setting: &Setting, outcome: &Outcome) {
    if setting.judge(outcome, 0, &[]) && outcome.code != 2 {
        setting.fail(&format!("{} on a full disk: exit code {}", outcome.call, outcome.code), &[]);
    }
}

/// A folder in which little can be written.
struct Disk {
    path: std::path::PathBuf,
    mounted: bool,
}

fn mount(arguments: &[&str], path: &Path) -> bool {
    let mut command = Command::new("mount");
    command.args(arguments).arg("none").arg(path).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

impl Disk {
    fn new(setting: &Setting) -> Result<Self> {
        let path = setting.folder.join("disk");
        fs::create_dir_all(&path)?;
        let mounted = mount(&["-t", "tmpfs", "-o", &format!("size={SMALL}")], &path);
        Ok(Self { path, mounted })
    }

    /// What makes the disk small for one call, where it is not.
    fn before(&self) -> String {
        // The signal is ignored, as a full disk sends none.
        if self.mounted { String::new() } else { "trap '' XFSZ; ulimit -f 50".into() }
    }

    fn enlarge(&self) -> Result<()> {
        let size = format!("remount,size={LARGE}");
        ensure!(!self.mounted || mount(&["-t", "tmpfs", "-o", &size], &self.path), "the disk cannot be enlarged");
        Ok(())
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.path).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.mounted {
            let _ = Command::new("umount").arg(&self.path).status();
        }
    }
}

/// A file that cannot be written whole is not written, and the one before it stays.
fn files(setting: &Setting, disk: &Disk) -> Result<usize> {
    let outputs = [
        ("x.npz", "sample digits -n 1000 --steps 1 --solver euler --npz disk/x.npz -o y.png"),
        ("x.csv", "sample --exact heart -n 8000 --steps 2 --csv disk/x.csv"),
        ("x.safetensors", "export digits -o disk/x.safetensors"),
    ];
    for (name, arguments) in outputs {
        let path = disk.path.join(name);
        fs::write(&path, "before")?;
        let outcome = setting.program.call(&Call::new(arguments).after(disk.before()))?;
        refused(setting, &outcome);
        if fs::read(&path)? != b"before" {
            setting.fail(&format!("{}: the file from before is lost", outcome.call), &[]);
        }
        if disk.names() != [name] {
            setting.fail(&format!("{}: left {:?}", outcome.call, disk.names()), &[]);
        }
        fs::remove_file(&path)?;
    }
    Ok(outputs.len())
}

/// A training that fills the disk stops with a reason, and goes on when there is room, as if nothing had happened.
fn training(setting: &Setting, disk: &Disk) -> Result<()> {
    let whole = setting.program.run(&kills::training("whole"))?;
    ensure!(whole.code == 0, "the training fails: {}", whole.said);
    let weights = fs::read(kills::last(&setting.folder.join("whole"))).context("the training leaves a checkpoint")?;
    let before = if disk.mounted { String::new() } else { "trap '' XFSZ; ulimit -f 8".into() };
    let outcome = setting.program.call(&Call::new(&kills::training("disk/run")).after(before))?;
    refused(setting, &outcome);
    disk.enlarge()?;
    let again = if disk.path.join("run/checkpoints").is_dir() {
        "train disk/run --resume".to_owned()
    } else {
        kills::training("disk/run")
    };
    let outcome = setting.program.run(&again)?;
    if outcome.code != 0 {
        setting.fail(&format!("{} after a full disk: {}", outcome.call, outcome.said), &[]);
    }
    kills::check(setting, &disk.path.join("run"), &weights);
    Ok(())
}
