//! Files and folders to be written.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use pfgm::{config::Config, train::FolderState};
use pfgm_plot::Animation;

/// The format of an animation, by its file's name.
pub fn animation(flag: &str, path: &Path) -> Result<Animation> {
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("gif") => Ok(Animation::Gif),
        Some("png" | "apng") => Ok(Animation::Png),
        _ => bail!("{flag} {}: end its name in .gif, .png or .apng", path.display()),
    }
}

/// Returns the folder of a new run: the given one, which must be empty, or the first unused name in runs/. A run that ended before
/// its first checkpoint can be started again with the same `config`. Without a given folder, no run is started again.
pub fn run_folder(out: Option<&Path>, name: &str, config: Option<&Config>) -> Result<PathBuf> {
    let taken = |path: &Path| fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some());
    if let Some(out) = out {
        if out.is_file() {
            bail!("--out {}: is a file; name a folder", out.display());
        }
        match FolderState::of(out) {
            FolderState::Free => {}
            FolderState::Begun(begun) if Some(&*begun) == config => {}
            FolderState::Begun(_) => bail!(
                "--out {}: has another run, which ended before its first checkpoint; add --resume to begin it again, or name \
                 another folder",
                out.display()
            ),
            FolderState::Trained | FolderState::Other => {
                let resume = if name.is_empty() { "" } else { "add --resume to resume the run in it, or " };
                bail!("--out {}: is not empty; {resume}name another folder", out.display())
            }
        }
        return Ok(out.to_owned());
    }
    let numbered = |number: u32| if number == 1 { name.to_owned() } else { format!("{name}-{number}") };
    (1..)
        .map(|number| Path::new("runs").join(numbered(number)))
        .find(|path| !taken(path))
        .context("no free name in runs/")
}
