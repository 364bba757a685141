//! States of the folder of a run.

use std::{fs, io, path::Path};

use super::run_lock;
use crate::{checkpoint, config::Config};

/// Name of the configuration in the folder of a run.
pub const CONFIG: &str = "config.toml";

/// State of a folder that a training is to write to.
#[derive(Clone, Debug, PartialEq)]
pub enum FolderState {
    /// It does not exist, or has nothing of a run yet.
    Free,
    /// It has the configuration of a run that ended before its first checkpoint.
    Begun(Box<Config>),
    /// It has checkpoints of a run.
    Trained,
    /// It has other files.
    Other,
}

impl FolderState {
    /// Determines the state of a folder. Locks and temporary files count as nothing.
    pub fn of(folder: &Path) -> Self {
        if !checkpoint::list(folder).is_empty() {
            return Self::Trained;
        }
        if let Ok(text) = fs::read_to_string(folder.join(CONFIG)) {
            return toml::from_str(&text).map_or(Self::Other, |config| Self::Begun(Box::new(config)));
        }
        match has_files(folder, &["checkpoints"]) {
            Ok(false) => Self::Free,
            Ok(true) => Self::Other,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::Free,
            Err(_) => Self::Other,
        }
    }
}

/// Whether a folder has files but those that a killed training leaves. Subfolders with these names may be there, if they are empty, too.
fn has_files(folder: &Path, subfolders: &[&str]) -> io::Result<bool> {
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let is_leftover = run_lock::is_lock(&name) || name.starts_with('.') && name.ends_with(".part");
        let is_empty =
            || Ok::<_, io::Error>(subfolders.contains(&name.as_str()) && !has_files(&folder.join(&name), &[])?);
        if !is_leftover && !is_empty()? {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        assert_eq!(FolderState::of(&at("none")), FolderState::Free);
        assert_eq!(FolderState::of(folder.path()), FolderState::Free);
        fs::create_dir(at("checkpoints")).unwrap();
        fs::write(at("checkpoints/.step-00000001.safetensors.7-9.part"), "").unwrap();
        fs::write(at("train.lock"), "").unwrap();
        assert_eq!(FolderState::of(folder.path()), FolderState::Free);
        fs::write(at("notes.txt"), "").unwrap();
        assert_eq!(FolderState::of(folder.path()), FolderState::Other);
        let config = Config::default();
        fs::write(at(CONFIG), toml::to_string(&config).unwrap()).unwrap();
        assert_eq!(FolderState::of(folder.path()), FolderState::Begun(Box::new(config)));
        fs::write(at(CONFIG), "what = 1").unwrap();
        assert_eq!(FolderState::of(folder.path()), FolderState::Other);
        fs::write(at("checkpoints/step-00000001.safetensors"), "").unwrap();
        assert_eq!(FolderState::of(folder.path()), FolderState::Trained);
    }
}
