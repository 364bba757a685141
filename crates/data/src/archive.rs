//! Zips of images and tars of CIFAR batches.

use std::{
    io::{Cursor, Read},
    path::Path,
};

use crate::{DataError, Dataset, cifar, folder};

/// Reads the images of a zip, in the order of their names, labelled as [`folder`] labels them, cropped and
/// scaled to squares of `side` pixels unless that is 0.
///
/// # Errors
/// When the archive is damaged, an image cannot be decoded, or the images differ in size.
pub fn read_zip(path: &Path, bytes: &[u8], side: usize) -> Result<Dataset, DataError> {
    let damaged = |error: &dyn std::fmt::Display| {
        DataError::malformed(path, format!("the zip is damaged ({error}); fetch or make it again"))
    };
    let archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|error| damaged(&error))?;
    let names: Vec<String> = archive
        .file_names()
        .map(|name| name.map(|name| name.into_owned()).map_err(|error| damaged(&error)))
        .collect::<Result<_, _>>()?;
    let mut images: Vec<(String, String)> =
        names.into_iter().filter(|name| folder::is_image(name)).map(|name| (name.clone(), name)).collect();
    images.sort();
    let entry = |name: &str| -> Result<Vec<u8>, DataError> {
        // A clone of the archive shares its bytes and directory; it is what lets images be read side by side.
        let mut archive = archive.clone();
        let mut file = archive.by_name(name).map_err(|error| damaged(&error))?;
        let mut content = Vec::new();
        file.read_to_end(&mut content).map_err(|error| damaged(&error))?;
        Ok(content)
    };
    let json = match archive.index_for_name("dataset.json") {
        Some(_) => Some(entry("dataset.json")?),
        None => None,
    };
    folder::assemble(path, &images, |name| entry(name), json.as_deref(), side)
}

/// Reads the training batches of a CIFAR tar.
///
/// # Errors
/// When the archive is damaged or holds no CIFAR batch.
pub fn read_tar(path: &Path, bytes: &[u8]) -> Result<Dataset, DataError> {
    let damaged =
        |error: std::io::Error| DataError::malformed(path, format!("the tar is damaged ({error}); fetch it again"));
    let mut batches = Vec::new();
    for entry in tar::Archive::new(bytes).entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let name = entry.path().map_err(damaged)?.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if cifar::is_training_batch(&name) {
            let mut content = Vec::new();
            entry.read_to_end(&mut content).map_err(damaged)?;
            batches.push((name, content));
        }
    }
    if batches.is_empty() {
        return Err(DataError::empty(path, "a tar without data_batch_*.bin or train.bin of CIFAR's binary version"));
    }
    batches.sort();
    cifar::read(path, &batches)
}
