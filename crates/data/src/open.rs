//! From a path to a data set: what lies there is found out from names and first bytes.

use std::{
    fs,
    io::{self, Read},
    path::Path,
};

use crate::{DataError, Dataset, Load, archive, cifar, csv, digits, folder, generate, idx, npz, on_disk};

/// The data sets that need no file.
pub const BUILT_IN: [&str; 9] =
    ["digits", "heart", "disk", "spiral", "checkerboard", "two-moons", "swiss-roll-2d", "gaussian", "student-t"];

/// Points in each set that a formula makes.
const GENERATED_POINTS: usize = 2000;

/// Choices that only some formats have.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// Of a table, the columns to read, by name or number from 1; all when empty.
    pub columns: Vec<String>,
    /// Of a table, the column that holds the class.
    pub label: Option<String>,
    /// How many times smaller images are made, each pixel the mean of a square of theirs; 0 and 1 leave them.
    pub shrink: usize,
    /// Of images in files of their own, the side of the square that their middle is scaled to; 0 leaves them.
    pub side: usize,
    /// Whether the rows are loaded.
    pub load: Load,
}

/// Opens a built-in data set by name, or whatever lies at a path.
///
/// # Errors
/// When nothing lies there, no reader knows it, or it is damaged.
pub fn open(source: &str, options: &OpenOptions) -> Result<Dataset, DataError> {
    let built_in = BUILT_IN.contains(&source);
    let stored = if built_in { None } else { on_disk::open(Path::new(source), options)? };
    let set = match stored {
        Some(set) => set,
        None => open_whole(source, options)?,
    };
    set.shrunk(options.shrink.max(1))
}

fn open_whole(source: &str, options: &OpenOptions) -> Result<Dataset, DataError> {
    if source == "digits" {
        return Ok(digits::load());
    }
    if let Some(set) = generate::table(source, GENERATED_POINTS, 0) {
        return Ok(set);
    }
    let path = Path::new(source);
    let metadata = fs::metadata(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => DataError::NotFound { path: source.to_owned(), built_in: BUILT_IN.join(", ") },
        _ => DataError::read(path, error),
    })?;
    if metadata.is_dir() { open_folder(path, options) } else { open_file(path, options) }
}

/// A folder of images, of CIFAR's batches or of MNIST's four files (of which the training pair is taken).
fn open_folder(path: &Path, options: &OpenOptions) -> Result<Dataset, DataError> {
    let entries = fs::read_dir(path).map_err(|error| DataError::read(path, error))?;
    let mut names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    let batches: Vec<&String> = names.iter().filter(|name| cifar::is_training_batch(name)).collect();
    if !batches.is_empty() {
        let batches = batches.into_iter().map(|name| Ok((name.clone(), load(&path.join(name))?)));
        return cifar::read(path, &batches.collect::<Result<Vec<_>, DataError>>()?);
    }
    let idx_images = |name: &&String| name.starts_with("train") && name.contains("images") && name.contains("idx3");
    if let Some(name) = names.iter().find(idx_images) {
        return open_file(&path.join(name), options);
    }
    folder::read(path, options.side)
}

fn open_file(path: &Path, options: &OpenOptions) -> Result<Dataset, DataError> {
    let bytes = load(path)?;
    let full_name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let name = full_name.trim_end_matches(".gz");
    if bytes.is_empty() {
        return Err(DataError::empty(path, "the file has no bytes"));
    }
    let ends_with = |ending: &str| name.ends_with(ending);
    if idx::recognises(&bytes) || name.contains("idx3-ubyte") {
        let labels_path = idx::labels_beside(path);
        let labels = labels_path.as_deref().map(load).transpose()?;
        let labels = labels_path.as_deref().zip(labels.as_deref());
        return idx::read(path, &bytes, labels);
    }
    if cifar::recognises(name) {
        return cifar::read(path, &[(name.to_owned(), bytes)]);
    }
    if bytes.starts_with(b"\x93NUMPY") || ends_with(".npy") {
        npz::read_npy(path, &bytes)
    } else if ends_with(".npz") {
        npz::read_npz(path, &bytes)
    } else if bytes.starts_with(b"PK") || ends_with(".zip") {
        archive::read_zip(path, &bytes, options.side)
    } else if ends_with(".tar") || full_name.ends_with(".tgz") {
        archive::read_tar(path, &bytes)
    } else if ends_with(".csv") || ends_with(".tsv") {
        csv::read(path, &bytes, options)
    } else if folder::is_image(name) {
        folder::assemble(path, &[(name.to_owned(), ())], |()| Ok(bytes.clone()), None, options.side)
    } else {
        Err(DataError::UnknownFormat { path: path.display().to_string() })
    }
}

/// The bytes of a file, inflated if they are gzip's.
pub(crate) fn load(path: &Path) -> Result<Vec<u8>, DataError> {
    let bytes = fs::read(path).map_err(|error| DataError::read(path, error))?;
    if bytes.starts_with(&[0x1f, 0x8b]) { gunzip(path, &bytes) } else { Ok(bytes) }
}

/// Inflates gzip.
pub(crate) fn gunzip(path: &Path, bytes: &[u8]) -> Result<Vec<u8>, DataError> {
    let mut inflated = Vec::new();
    flate2::read::MultiGzDecoder::new(bytes).read_to_end(&mut inflated).map_err(|error| {
        DataError::malformed(path, format!("the gzip stream is damaged or cut short ({error}); fetch it again"))
    })?;
    Ok(inflated)
}
