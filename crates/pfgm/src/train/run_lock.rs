//! Lock on the folder of a run, which a process holds while it writes to it.
//!
//! The lock is advisory and on the file `train.lock`, which names host, process and start time. The system releases it when the process
//! ends for any reason, so a lock is never stale. On file systems without locks the content of the file decides: it is ignored if it names
//! a process of this host that has ended. Readers need no lock, because files of a run are written atomically.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
    process,
    time::{SystemTime, UNIX_EPOCH},
};

use pfgm_data::atomic;
use serde::{Deserialize, Serialize};

/// Name of the lock in the folder of a run.
const NAME: &str = "train.lock";

/// Lock on the folder of a run, held until it is dropped.
#[derive(Debug)]
pub struct RunLock {
    folder: PathBuf,
    file: File,
}

/// Process that holds a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Name of its host.
    pub host: String,
    /// Its process number.
    pub pid: u32,
    /// Seconds from 1970 to when it took the lock.
    pub since: u64,
    /// Start time of the process in the system's own units. It distinguishes processes that had the same number.
    #[serde(default)]
    pub start: String,
}

/// Reason why a folder cannot be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds the lock.
    #[error(
        "{}: process {} on {} has been writing to this run for {}; wait until it ends, or stop it",
        folder.display(), holder.pid, holder.host, duration(holder.since)
    )]
    Held {
        /// Folder of the run.
        folder: PathBuf,
        /// Process that holds the lock.
        holder: Holder,
    },
    /// Another process holds the lock, and has not written its name yet.
    #[error("{0}: another process is writing to this run; wait until it ends, or stop it")]
    HeldByUnknown(PathBuf),
    /// The lock cannot be created.
    #[error("{path}: cannot be written: {source}")]
    Io {
        /// The lock.
        path: PathBuf,
        /// Error of the system.
        source: io::Error,
    },
}

impl RunLock {
    /// Locks the folder of a run for this process, and removes temporary files that killed processes left in it.
    ///
    /// # Errors
    /// Returns an error if another process holds the lock, or the folder cannot be written to.
    pub fn acquire(folder: &Path) -> Result<Self, LockError> {
        let path = folder.join(NAME);
        let failed = |source| LockError::Io { path: path.clone(), source };
        loop {
            let mut options = OpenOptions::new();
            let mut file = options.read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
            match file.try_lock() {
                // A lock that its holder has removed in the meantime protects nothing.
                Ok(()) if !is_at(&file, &path) => continue,
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(held(folder, &mut file)),
                Err(TryLockError::Error(_)) => check_content(folder, &mut file)?,
            }
            write_holder(&mut file).map_err(failed)?;
            let lock = Self { folder: folder.to_owned(), file };
            atomic::remove_leftovers(folder);
            atomic::remove_leftovers(&folder.join("checkpoints"));
            return Ok(lock);
        }
    }

    /// Folder that is locked.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for RunLock {
    fn drop(&mut self) {
        // Removed before it is released: a process that has opened it sees that it is gone.
        let _ = fs::remove_file(self.folder.join(NAME));
        let _ = self.file.unlock();
    }
}

/// Whether a name belongs to the lock of a run.
pub(super) fn is_lock(name: &str) -> bool {
    name == NAME
}

/// Whether `path` still is this file.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |metadata: &fs::Metadata| (metadata.dev(), metadata.ino());
    matches!((file.metadata(), fs::metadata(path)), (Ok(open), Ok(there)) if identity(&open) == identity(&there))
}

#[cfg(not(unix))]
fn is_at(_file: &File, path: &Path) -> bool {
    path.exists()
}

fn read_holder(file: &mut File) -> Option<Holder> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

fn write_holder(file: &mut File) -> io::Result<()> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let pid = process::id();
    let holder = Holder { host: host(), pid, since, start: start_of(pid).unwrap_or_default() };
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(&serde_json::to_vec(&holder)?)
}

fn held(folder: &Path, file: &mut File) -> LockError {
    match read_holder(file) {
        Some(holder) => LockError::Held { folder: folder.to_owned(), holder },
        None => LockError::HeldByUnknown(folder.to_owned()),
    }
}

/// On a file system without locks: returns an error unless the process that is named in the file has ended.
fn check_content(folder: &Path, file: &mut File) -> Result<(), LockError> {
    match read_holder(file) {
        Some(holder) if !has_ended(&holder) => Err(LockError::Held { folder: folder.to_owned(), holder }),
        _ => Ok(()),
    }
}

/// Whether a process certainly no longer runs.
fn has_ended(holder: &Holder) -> bool {
    let can_tell = holder.host == host() && start_of(process::id()).is_some();
    can_tell && start_of(holder.pid).is_none_or(|start| start != holder.start)
}

/// Start of a process, if the system tells: field 22 of `/proc/PID/stat`.
fn start_of(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the program, in parentheses, may contain anything.
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(19).map(str::to_owned)
}

fn host() -> String {
    let of_system = fs::read_to_string("/proc/sys/kernel/hostname").map(|name| name.trim().to_owned());
    of_system.or_else(|_| std::env::var("HOSTNAME")).unwrap_or_else(|_| "this host".into())
}

/// Time since a moment, in words.
fn duration(since: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    match now.saturating_sub(since) {
        seconds @ 0..=119 => format!("{seconds} s"),
        seconds @ 120..=7199 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_lock_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let lock = RunLock::acquire(folder.path()).unwrap();
        let LockError::Held { holder, .. } = RunLock::acquire(folder.path()).unwrap_err() else {
            panic!("the holder is known")
        };
        assert_eq!((holder.pid, holder.host), (process::id(), host()));
        drop(lock);
        assert!(!folder.path().join(NAME).exists());
        RunLock::acquire(folder.path()).unwrap();
    }

    #[test]
    fn a_lock_that_nobody_holds_is_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        for content in ["", "{", r#"{"host":"elsewhere","pid":1,"since":0}"#] {
            fs::write(folder.path().join(NAME), content).unwrap();
            RunLock::acquire(folder.path()).unwrap();
        }
    }

    #[test]
    fn leftovers_are_removed_with_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = folder.path().join("checkpoints");
        fs::create_dir(&checkpoints).unwrap();
        let leftover = checkpoints.join(".step-00000010.safetensors.77.part");
        fs::write(&leftover, "half").unwrap();
        let _lock = RunLock::acquire(folder.path()).unwrap();
        assert!(!leftover.exists());
    }

    #[test]
    fn without_locks_the_named_process_decides() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        let check = |holder: Holder| {
            fs::write(&path, serde_json::to_string(&holder).unwrap()).unwrap();
            check_content(folder.path(), &mut File::open(&path).unwrap()).is_ok()
        };
        let pid = process::id();
        let own = Holder { host: host(), pid, since: 0, start: start_of(pid).unwrap_or_default() };
        assert!(!check(own.clone()), "it runs");
        assert!(!check(Holder { host: "elsewhere".into(), ..own.clone() }), "nobody can tell");
        if start_of(pid).is_some() {
            assert!(check(Holder { start: "1".into(), ..own.clone() }), "another process with its number");
            assert!(check(Holder { pid: u32::MAX, ..own }), "no such process");
        }
    }
}
