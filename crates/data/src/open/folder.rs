//! Folders of images, of arrays, and of the published files of MNIST and CIFAR.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::Read,
    path::Path,
};

use crate::{
    DataError, Dataset, LimitOverrides, Notice, OpenOptions,
    array::{self, Array},
    cifar,
    dataset::on_disk::shards,
    hint, images,
    listing::Listing,
    open::{self, items, plain_name, source},
    parquet, picture,
    source::Source,
    table,
};

/// Maximum nesting of folders that contain only one folder.
const DEEPEST: usize = 8;

/// Files of a folder by name, without hidden ones, and whether there are folders.
struct Content {
    files: Vec<String>,
    folders: Vec<String>,
}

fn content(path: &Path) -> Result<Content, DataError> {
    let wrong = |error| DataError::read(path, error);
    let mut content = Content { files: Vec::new(), folders: Vec::new() };
    for entry in fs::read_dir(path).map_err(wrong)? {
        let entry = entry.map_err(wrong)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') || name == "__MACOSX" {
            continue;
        }
        if entry.path().is_dir() { content.folders.push(name) } else { content.files.push(name) }
    }
    content.files.sort();
    content.folders.sort();
    Ok(content)
}

/// Opens a folder.
pub(crate) fn open(path: &Path, options: &OpenOptions, depth: usize) -> Result<Dataset, DataError> {
    let Content { files, folders } = content(path)?;
    if files.iter().any(|name| name == "data.mdb") {
        let data = path.join("data.mdb");
        return open::lmdb_file(&data, source(&data, &options.limits)?, options);
    }
    if let Some(set) = cifar_batches(path, &files, &options.limits)? {
        return Ok(set);
    }
    let idx: Vec<&String> = files.iter().filter(|name| name.contains("images") && name.contains("idx")).collect();
    let train = idx.iter().find(|name| name.contains("train")).or(idx.first().filter(|_| idx.len() == 1));
    if let Some(name) = train.copied() {
        return with_others(open::file(&path.join(name), options)?, name, &files, &|other| other.contains("images"));
    }
    let has_images = files.iter().any(|name| picture::is_image(name));
    if files.is_empty() && folders.len() == 1 && depth < DEEPEST {
        return open(&path.join(&folders[0]), options, depth + 1);
    }
    if has_images || !folders.is_empty() {
        return tree(path, Listing::folder(path, &options.limits.of(0))?, options);
    }
    let ending = |endings: &[&str]| -> Vec<String> {
        let is = |name: &&String| endings.iter().any(|ending| plain_name(Path::new(name)).ends_with(ending));
        files.iter().filter(is).cloned().collect()
    };
    let parquets = ending(&[".parquet"]);
    if !parquets.is_empty() {
        return parquet_files(path, parquets, options);
    }
    let arrays = ending(&[".npy", ".npz", ".zip"]);
    if !arrays.is_empty() {
        return array_files(path, arrays, options);
    }
    let tars = ending(&[".tar"]);
    if !tars.is_empty() {
        let (tars, notice) = training_part(tars);
        let sources = tars.iter().map(|name| Ok((path.join(name), source(&path.join(name), &options.limits)?)));
        let sources = sources.collect::<Result<Vec<_>, DataError>>()?;
        let mut listing = Listing::tars(path, sources, &options.limits.of(0))?;
        listing.notices.splice(0..0, notice);
        return images::open(listing, options);
    }
    let tables: Vec<String> =
        files.iter().filter(|name| table::is_table(&plain_name(Path::new(name)))).cloned().collect();
    if !tables.is_empty() {
        let (tables, notice) = training_part(tables);
        let [one] = tables.as_slice() else {
            let problem = format!("it holds several tables ({}); give the path of one", tables.join(", "));
            return Err(DataError::malformed(path, problem));
        };
        let mut set = open::file(&path.join(one), options)?;
        set.notices.splice(0..0, notice);
        return Ok(set);
    }
    tree(path, Listing::folder(path, &options.limits.of(0))?, options)
}

/// Opens what lies in folders within a folder: images, else Parquet files, else arrays of which each is in the folder of its class.
fn tree(path: &Path, listing: Listing, options: &OpenOptions) -> Result<Dataset, DataError> {
    let ending = |ending: &str| -> Vec<String> {
        let names = listing.others.iter().map(|(name, _)| name);
        names.filter(|name| name.to_lowercase().ends_with(ending)).cloned().collect()
    };
    if !listing.files.is_empty() {
        return images::open(listing, options);
    }
    let besides = |used: &[String]| {
        let used: BTreeSet<&str> = used.iter().map(String::as_str).collect();
        listing.notices_besides(&|name| used.contains(name))
    };
    let (parquets, arrays) = (ending(".parquet"), ending(".npy"));
    let slices = if parquets.is_empty() && arrays.is_empty() { dicom_files(path, &listing) } else { Vec::new() };
    let (notices, set) = match (parquets.is_empty(), arrays.is_empty(), slices.is_empty()) {
        (false, ..) => (besides(&parquets), parquet_files(path, parquets, options)),
        (_, false, _) => (besides(&arrays), items::in_folders(path, arrays, options)),
        (_, _, false) => (besides(&slices), dicom_set(path, slices, options)),
        _ => return images::open(listing, options),
    };
    let mut set = set?;
    set.notices.splice(0..0, notices);
    Ok(set)
}

/// The DICOM files among those that are no images: by their first bytes, for many have no ending.
fn dicom_files(path: &Path, listing: &Listing) -> Vec<String> {
    let begins = |name: &String| hint::is_dicom(&first_bytes(&path.join(name), 132));
    listing.others.iter().map(|(name, _)| name).filter(|name| begins(name)).cloned().collect()
}

#[cfg(feature = "dicom")]
fn dicom_set(path: &Path, names: Vec<String>, options: &OpenOptions) -> Result<Dataset, DataError> {
    let found = crate::classes::classify_names(path, &names, &options.classes)?;
    let files: Vec<String> = found.keep.iter().map(|&index| names[index].clone()).collect();
    let open = |name: String| Ok((name.clone(), source(&path.join(name), &options.limits)?));
    let files = files.into_iter().map(open).collect::<Result<Vec<_>, DataError>>()?;
    let mut set = crate::dicom::dataset(path, files, found.labels, options)?;
    set.notices.splice(0..0, found.notices);
    Ok(set)
}

#[cfg(not(feature = "dicom"))]
fn dicom_set(path: &Path, _: Vec<String>, _: &OpenOptions) -> Result<Dataset, DataError> {
    Err(DataError::UnknownFormat { path: path.display().to_string(), hint: hint::dicom() })
}

/// Opens Parquet files as one set: those to train on, of one folder.
fn parquet_files(path: &Path, names: Vec<String>, options: &OpenOptions) -> Result<Dataset, DataError> {
    let (names, notice) = training_part(names);
    let folders: BTreeSet<&str> =
        names.iter().map(|name| name.rsplit_once('/').map_or("", |(folder, _)| folder)).collect();
    if folders.len() > 1 {
        let folders = folders.into_iter().map(|name| if name.is_empty() { "." } else { name }).collect::<Vec<_>>();
        let problem =
            format!("it holds Parquet files in several folders ({}); give the path of one", folders.join(", "));
        return Err(DataError::malformed(path, problem));
    }
    let open = |name: &String| Ok((path.join(name), source(&path.join(name), &options.limits)?));
    let files = names.iter().map(open).collect::<Result<Vec<_>, DataError>>()?;
    let mut set = parquet::open(path, files, options)?;
    set.notices.splice(0..0, notice);
    Ok(set)
}

/// Adds a notice about other files of the same kind that were not used.
fn with_others(
    mut set: Dataset,
    used: &str,
    files: &[String],
    is: &dyn Fn(&str) -> bool,
) -> Result<Dataset, DataError> {
    let skipped: Vec<String> = files.iter().filter(|name| name.as_str() != used && is(name)).cloned().collect();
    if !skipped.is_empty() {
        set.notices.insert(0, Notice::PartTaken { used: used.to_owned(), skipped });
    }
    Ok(set)
}

fn first_bytes(path: &Path, count: u64) -> Vec<u8> {
    let mut first = Vec::new();
    if let Ok(file) = File::open(path) {
        // A file that cannot be read is not a batch; its reader reports the error.
        let _ = file.take(count).read_to_end(&mut first);
    }
    first
}

fn cifar_batches(path: &Path, files: &[String], limits: &LimitOverrides) -> Result<Option<Dataset>, DataError> {
    let batches = |names: Vec<&String>| -> Result<Vec<cifar::Batch>, DataError> {
        names.into_iter().map(|name| Ok((name.clone(), source(&path.join(name), limits)?))).collect()
    };
    let skipped: Vec<String> = files
        .iter()
        .filter(|name| matches!(name.as_str(), "test_batch.bin" | "test.bin" | "test_batch" | "test"))
        .cloned()
        .collect();
    let note = |mut set: Dataset| {
        if !skipped.is_empty() {
            set.notices.insert(0, Notice::PartTaken { used: "the training batches".into(), skipped });
        }
        Some(set)
    };
    let binary: Vec<&String> = files.iter().filter(|name| cifar::is_training_batch(name)).collect();
    if !binary.is_empty() {
        return cifar::dataset(path, batches(binary)?, &cifar_names(Some(path), &[])).map(note);
    }
    let is_python = |name: &&String| cifar::is_python_batch(name, &first_bytes(&path.join(name), 4));
    let python: Vec<&String> = files.iter().filter(is_python).collect();
    if !python.is_empty() {
        return cifar::python(path, batches(python)?, cifar_meta(Some(path), limits)?.as_ref()).map(note);
    }
    Ok(None)
}

/// Returns the names of CIFAR's classes, from a folder or from files of an archive.
pub(crate) fn cifar_names(folder: Option<&Path>, files: &[cifar::Batch]) -> Vec<String> {
    let inside = files.iter().find_map(|(_, source)| source.start(0, 1 << 16).ok());
    let beside = || {
        let folder = folder?;
        ["batches.meta.txt", "fine_label_names.txt"].iter().find_map(|name| fs::read(folder.join(name)).ok())
    };
    inside.or_else(beside).map_or_else(Vec::new, |bytes| cifar::names_of_text(&bytes))
}

/// Returns the pickle with the names of CIFAR's classes in the folder of a batch.
pub(crate) fn cifar_meta(folder: Option<&Path>, limits: &LimitOverrides) -> Result<Option<Source>, DataError> {
    let Some(folder) = folder else { return Ok(None) };
    let found = ["batches.meta", "meta"].iter().map(|name| folder.join(name)).find(|path| path.is_file());
    found.map(|path| source(&path, limits)).transpose()
}

/// Returns the training files; all files if their names do not distinguish training and test.
fn training_part(names: Vec<String>) -> (Vec<String>, Option<Notice>) {
    let has = |name: &str, words: &[&str]| {
        let name = name.to_lowercase();
        name.split(|c: char| !c.is_ascii_alphabetic()).any(|part| {
            words.iter().any(|word| part == *word || part == format!("x{word}") || part == format!("y{word}"))
        })
    };
    let is_train = |name: &String| has(name, &["train", "training"]);
    let is_other = |name: &String| has(name, &["test", "testing", "val", "valid", "validation", "dev", "eval"]);
    if !names.iter().any(is_train) || !names.iter().any(is_other) {
        return (names, None);
    }
    let (used, skipped): (Vec<String>, Vec<String>) = names.into_iter().partition(|name| !is_other(name));
    let notice = Notice::PartTaken { used: used.join(", "), skipped };
    (used, Some(notice))
}

/// Opens a folder of arrays: one array and its labels, shards of one set, or one row per file.
fn array_files(path: &Path, names: Vec<String>, options: &OpenOptions) -> Result<Dataset, DataError> {
    let (names, notice) = training_part(names);
    let mut set = arrays(path, names, options)?;
    set.notices.splice(0..0, notice);
    Ok(set)
}

fn arrays(path: &Path, names: Vec<String>, options: &OpenOptions) -> Result<Dataset, DataError> {
    let are_npy = names.iter().all(|name| name.to_lowercase().ends_with(".npy"));
    if are_npy {
        let describe = |name: &String| items::describe(&path.join(name), &options.limits);
        let arrays = names.iter().map(describe).collect::<Result<Vec<_>, _>>()?;
        if names.len() > 1 && array::are_named(&arrays) {
            let open = |name: &String| -> Result<Array, DataError> {
                let file = path.join(name);
                let stem = name.rsplit_once('.').map_or(name.as_str(), |(stem, _)| stem);
                array::open_npy(&file, stem, &source(&file, &options.limits)?, 0)
            };
            return array::dataset(path, names.iter().map(open).collect::<Result<Vec<_>, _>>()?, options);
        }
        let files: Vec<_> = names.iter().map(|name| path.join(name)).collect();
        if let Some(set) = items::dataset(path, files, &arrays, options)? {
            return Ok(set);
        }
    }
    let sets = names.iter().map(|name| open::file(&path.join(name), options)).collect::<Result<Vec<_>, _>>()?;
    let count = sets.len();
    let mut set = shards::joined(path, sets)?;
    if count > 1 {
        set.notices.push(Notice::FilesJoined { count });
    }
    Ok(set)
}
