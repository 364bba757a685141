//! Valid inputs to begin with.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Largest seed. A larger one makes few inputs a second.
const LARGEST: u64 = 64 << 10;

/// The files in folders below the repository, in the order of their names.
pub fn read(root: &Path, folders: &[&str]) -> Vec<Vec<u8>> {
    let mut paths = Vec::new();
    folders.iter().for_each(|folder| collect(&root.join(folder), &mut paths));
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))).collect()
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, paths);
        } else if entry.metadata().is_ok_and(|file| (1..=LARGEST).contains(&file.len())) {
            paths.push(path);
        }
    }
}
