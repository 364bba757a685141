//! Atomic writing of files, which also handles devices, pipes and links.

use std::{
    fs,
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use anyhow::{Context, Result, bail};
use pfgm_data::atomic;

use super::text;

/// Maximum length of a chain of links.
const MAX_LINKS: usize = 40;

/// Target of a path.
#[derive(Debug, PartialEq, Eq)]
enum Target {
    /// A regular file, or one to be created: links are followed to it.
    File(PathBuf),
    /// A device or a pipe: bytes are written to it directly.
    Stream,
    /// Standard output of this process.
    Stdout,
}

impl Target {
    fn of(path: &Path) -> io::Result<Self> {
        if ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"].iter().any(|stdout| path == Path::new(stdout)) {
            return Ok(Self::Stdout);
        }
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => {
                Err(io::Error::new(ErrorKind::IsADirectory, "is a folder; name a file"))
            }
            Ok(metadata) if metadata.is_file() => Ok(Self::File(follow_links(path)?)),
            Ok(_) => Ok(Self::Stream),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::File(follow_links(path)?)),
            Err(error) => Err(error),
        }
    }
}

/// Returns the file at the end of a chain of links, whether it exists or not.
fn follow_links(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        match fs::read_link(&path) {
            Ok(target) => path = path.parent().unwrap_or(Path::new("")).join(target),
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("too many symbolic links"))
}

/// Writes a file, creating its folder. A regular file is written atomically; a device or a pipe is written directly.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    make_folder_of(path)?;
    write_to(path, bytes).with_context(|| format!("{}: cannot be written", path.display()))
}

/// Calls `write_file` to write a file atomically. For a device or a pipe, it writes a temporary file, which is copied there.
pub fn write_by(path: &Path, write_file: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    if let Target::File(file) = Target::of(path).with_context(|| format!("{}: cannot be written", path.display()))? {
        return write_file(&file);
    }
    let aside = std::env::temp_dir().join(unique_name());
    let written = write_file(&aside).and_then(|()| Ok(fs::read(&aside)?)).and_then(|bytes| write(path, &bytes));
    let _ = fs::remove_file(&aside);
    written
}

fn write_to(path: &Path, bytes: &[u8]) -> io::Result<()> {
    match Target::of(path)? {
        Target::Stdout => text::write_stdout(bytes),
        Target::Stream => fs::OpenOptions::new().write(true).open(path)?.write_all(bytes),
        Target::File(file) => {
            let permissions = fs::metadata(&file).ok().map(|metadata| metadata.permissions());
            atomic::write(&file, bytes)?;
            match permissions {
                Some(permissions) => fs::set_permissions(&file, permissions),
                None => Ok(()),
            }
        }
    }
}

/// Checks, before the computation, that a file can be written.
pub fn check_writable(path: &Path) -> Result<()> {
    let cannot = || format!("{}: cannot be written", path.display());
    if path.is_dir() {
        bail!("{}: is a folder; name a file", path.display());
    }
    match Target::of(path).with_context(cannot)? {
        Target::Stdout => {
            text::reserve_stdout();
            Ok(())
        }
        // Opening a pipe would wait for its reader.
        Target::Stream => Ok(()),
        Target::File(file) => {
            make_folder_of(&file)?;
            probe(folder_of(&file)).with_context(cannot)
        }
    }
}

/// Returns a name that no other process uses.
fn unique_name() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    // Processes of other containers may have the same number.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!(".pfgm-{}-{now}-{count}", std::process::id())
}

/// Creates and removes a file in a folder.
fn probe(folder: &Path) -> io::Result<()> {
    let file = folder.join(unique_name());
    fs::OpenOptions::new().write(true).create_new(true).open(&file)?;
    fs::remove_file(&file)
}

/// Checks every given path as [`check_writable`].
pub fn check_all<'a>(paths: impl IntoIterator<Item = Option<&'a Path>>) -> Result<()> {
    paths.into_iter().flatten().try_for_each(check_writable)
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Creates the folder of a file.
pub fn make_folder_of(path: &Path) -> Result<()> {
    make_folder(folder_of(path))
}

/// Creates a folder and those above it.
pub fn make_folder(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("{}: the folder cannot be created", folder.display()))
}

/// Returns a path quoted for a shell.
pub fn display(path: &Path) -> String {
    let text = path.display().to_string();
    if text.contains(' ') { format!("'{text}'") } else { text }
}

/// A file in a run's folder; if the run is a file, a file in the current folder.
pub fn in_run(run: &Path, name: &str) -> PathBuf {
    if run.is_dir() { run.join(name) } else { PathBuf::from(name) }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_link_keeps_being_a_link_and_a_file_its_permissions() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("file"), "old").unwrap();
        fs::set_permissions(at("file"), fs::Permissions::from_mode(0o600)).unwrap();
        symlink("file", at("link")).unwrap();
        symlink("nowhere", at("dangling")).unwrap();
        symlink("loop", at("loop")).unwrap();
        write(&at("link"), b"new").unwrap();
        write(&at("dangling"), b"created").unwrap();
        assert!(at("link").is_symlink() && at("dangling").is_symlink());
        assert_eq!(fs::read(at("file")).unwrap(), b"new");
        assert_eq!(fs::metadata(at("file")).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read(at("nowhere")).unwrap(), b"created");
        assert!(check_writable(&at("loop")).is_err() && write(&at("loop"), b"").is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 5, "nothing else is left");
    }

    #[test]
    fn a_pipe_is_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        check_writable(&pipe).unwrap();
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || fs::read(pipe).unwrap()
        });
        write(&pipe, b"bytes").unwrap();
        assert_eq!(reader.join().unwrap(), b"bytes");
        assert!(fs::symlink_metadata(&pipe).unwrap().file_type().is_fifo());
    }

    #[test]
    fn a_device_is_written_to() {
        assert_eq!(Target::of(Path::new("/dev/null")).unwrap(), Target::Stream);
        write(Path::new("/dev/null"), b"bytes").unwrap();
        assert!(fs::symlink_metadata("/dev/null").unwrap().file_type().is_char_device());
        assert!(write(Path::new("/dev/full"), b"bytes").is_err());
    }
}
