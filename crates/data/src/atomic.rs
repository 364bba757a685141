//! Atomic writing of files.
//!
//! A file is written under a temporary name in the same folder (`.NAME.PID-NUMBER.part`), synced, and renamed. The temporary file is
//! locked while it is written. An unlocked one was left by a killed process, and [`remove_leftovers`] removes it.
//! Process identifiers alone are not sufficient, because containers reuse them.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

/// Ending of temporary files.
const ENDING: &str = ".part";

/// Writes `bytes` to `path` atomically.
///
/// # Errors
/// Returns an error of the system, for example on a full disk. An existing file at `path` is unchanged, and no temporary file is left.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_with(path, |file| file.write_all(bytes))
}

/// Calls `write` with a temporary file, syncs it, and renames it to `path`.
///
/// # Errors
/// Returns the error of `write` or of the system. An existing file at `path` is unchanged, and no temporary file is left.
pub fn write_with(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let (temporary, mut file) = create_temporary(path)?;
    let written = write(&mut file).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
        return written;
    }
    sync_folder(path)
}

/// Removes the temporary files of killed processes in `folder`, and returns their number.
///
/// Files that another process is writing are kept. Returns 0 if the folder cannot be read.
pub fn remove_leftovers(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let temporary = entries.filter(|entry| is_temporary(&entry.file_name().to_string_lossy()));
    temporary.filter(|entry| is_abandoned(&entry.path()) && fs::remove_file(entry.path()).is_ok()).count()
}

fn is_temporary(name: &str) -> bool {
    // `.NAME.PID-NUMBER.part`, or `.NAME.PID.part` of earlier versions.
    let Some((_, owner)) = name.strip_prefix('.').and_then(|name| name.strip_suffix(ENDING)?.rsplit_once('.')) else {
        return false;
    };
    !owner.is_empty() && owner.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
}

/// Whether no process holds the lock of a temporary file.
fn is_abandoned(path: &Path) -> bool {
    // Only regular files: opening a pipe would wait for its other end.
    let is_file = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file());
    // Network file systems lock only files that are open for writing.
    let open = || OpenOptions::new().read(true).write(true).open(path);
    is_file && open().is_ok_and(|file| file.try_lock().is_ok())
}

/// Creates and locks a temporary file in the folder of `path`, under a name that no other process or thread uses.
fn create_temporary(path: &Path) -> io::Result<(PathBuf, File)> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    loop {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let number = since.as_nanos() as u64 ^ COUNT.fetch_add(1, Ordering::Relaxed).rotate_left(48);
        let temporary = path.with_file_name(format!(".{name}.{}-{number}{ENDING}", process::id()));
        let file = match OpenOptions::new().read(true).write(true).create_new(true).open(&temporary) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            Err(error) => return Err(error),
        };
        match file.try_lock() {
            // Between creation and locking, another process may have removed the file as a leftover.
            Ok(()) if temporary.exists() => return Ok((temporary, file)),
            Ok(()) | Err(TryLockError::WouldBlock) => {}
            // Some file systems do not support locks; writing works without them.
            Err(TryLockError::Error(_)) => return Ok((temporary, file)),
        }
    }
}

/// Syncs a folder, so that a new name survives a power failure.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Windows cannot open folders, and some network file systems cannot sync them. The file itself is complete.
    if let Ok(folder) = File::open(folder) {
        match folder.sync_all() {
            Err(error) if error.kind() == io::ErrorKind::StorageFull => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap().flatten();
        let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bin");
        write(&path, b"old").unwrap();
        let fails = |file: &mut File| {
            file.write_all(b"half of the n")?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        };
        assert_eq!(write_with(&path, fails).unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!((fs::read(&path).unwrap().as_slice(), names(folder.path())), (&b"old"[..], vec!["a.bin".into()]));
        write(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
    }

    #[test]
    fn leftovers_are_removed_and_files_in_use_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in [".a.bin.123.part", ".a.bin.1-99.part", "a.part", ".a.bin.part", ".a.bin.x1.part", ".hidden"] {
            fs::write(at(name), b"x").unwrap();
        }
        let writes = |file: &mut File| {
            // Another process looks for leftovers while this file is written.
            assert_eq!(remove_leftovers(folder.path()), 2);
            file.write_all(b"whole")
        };
        write_with(&at("b.bin"), writes).unwrap();
        assert_eq!(fs::read(at("b.bin")).unwrap(), b"whole");
        assert_eq!(names(folder.path()), [".a.bin.part", ".a.bin.x1.part", ".hidden", "a.part", "b.bin"]);
        assert_eq!(remove_leftovers(&at("none")), 0);
    }

    #[test]
    fn temporary_names_are_unique() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let mut held: Vec<(PathBuf, File)> = (0..50).map(|_| create_temporary(&path).unwrap()).collect();
        held.sort_by(|a, b| a.0.cmp(&b.0));
        held.dedup_by(|a, b| a.0 == b.0);
        assert_eq!(held.len(), 50);
    }
}
