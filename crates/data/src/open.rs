//! From a path to a data set: names and first bytes decide which reader is used.

mod folder;
mod items;

use std::{
    fs::{self, File},
    io::{self, Read},
    path::Path,
};

use crate::{
    DataError, Dataset, LimitOverrides, Load, OpenOptions, array, cifar,
    dataset::on_disk::{self, lmdb},
    digits, generate, hint, idx, images,
    listing::Listing,
    parquet, picture,
    source::{Source, Span},
    table::{self, TableRows},
    tar,
};

/// The data sets that need no file.
pub const BUILT_IN: [&str; 9] =
    ["digits", "heart", "disk", "spiral", "checkerboard", "two-moons", "swiss-roll-2d", "gaussian", "student-t"];

/// Points in each set that a formula makes.
const GENERATED_POINTS: usize = 2000;

/// Opens a built-in data set by name, or the file or folder at a path.
///
/// # Errors
/// Returns an error if nothing is there, no reader knows the format, or the data are damaged or ambiguous.
pub fn open(source: &str, options: &OpenOptions) -> Result<Dataset, DataError> {
    if source == "digits" {
        return digits::load().shrunk(options.shrink.max(1));
    }
    if let Some(set) = generate::table(source, GENERATED_POINTS, 0) {
        return set.shrunk(options.shrink.max(1));
    }
    let path = Path::new(source);
    let metadata = fs::metadata(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => DataError::NotFound { path: source.to_owned(), built_in: BUILT_IN.join(", ") },
        _ => DataError::read(path, error),
    })?;
    let set = if metadata.is_dir() { folder::open(path, options, 0)? } else { file(path, options)? };
    let set = Dataset { name: name_of(path), ..set };
    if options.load == Load::Stream && !set.is_streamable() {
        let problem = "load = \"stream\", but this cannot be read row by row; unpack it, or omit load";
        return Err(DataError::malformed(path, problem));
    }
    on_disk::load(set.shrunk(options.shrink.max(1))?, options.load)?.finish(options)
}

/// Returns whether a path is that of a text table, by its name.
pub fn is_text_table(source: &str) -> bool {
    table::is_table(&plain_name(Path::new(source)))
}

/// Opens a text table with the cells of its rows and what is missing in them, encoded by `options.schema` or `options.kinds`.
///
/// Values may be missing in every column; [`TableRows::known`](crate::TableRows::known) says which.
///
/// # Errors
/// Returns an error if the file is no text table, or a cell does not fit its column.
pub fn open_table(source: &str, options: &OpenOptions) -> Result<TableRows, DataError> {
    let path = Path::new(source);
    let name = plain_name(path);
    if !is_text_table(source) {
        let hint = format!("; this needs a text table ({name} is none by its name)");
        return Err(DataError::UnknownFormat { path: source.to_owned(), hint });
    }
    let source = self::source(path, &options.limits)?;
    let bytes = source.span(Span { at: 0, size: source.len() }).map_err(|error| DataError::read(path, error))?;
    table::rows(path, &bytes, options)
}

fn name_of(path: &Path) -> String {
    path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// Opens a file, expanded if it is packed by itself.
pub(crate) fn source(path: &Path, limits: &LimitOverrides) -> Result<Source, DataError> {
    let read = |error| DataError::read(path, error);
    let metadata = fs::metadata(path).map_err(read)?;
    // A pipe or device has no end that one could know of, and opening one may wait for ever.
    if !metadata.is_file() {
        return Err(DataError::malformed(path, "is no file or folder; write the data to a file first"));
    }
    let source = Source::file(File::open(path).map_err(read)?).map_err(read)?;
    let first = source.start(0, 4).map_err(read)?;
    let whole = || source.span(Span { at: 0, size: source.len() }).map_err(read);
    let limits = limits.of(source.len());
    let expand =
        |what: &str, stream: &mut dyn Read| limits.read(path, what, stream).map(|bytes| Source::Bytes(bytes.into()));
    match first[..] {
        [0x1F, 0x8B, ..] => {
            let bytes = whole()?;
            let expanded = expand("the gzip stream", &mut flate2::read::MultiGzDecoder::new(bytes.as_slice()));
            expanded.map_err(|error| with_announced_size(error, &bytes))
        }
        [b'B', b'Z', b'h', b'1'..=b'9'] => {
            expand("the bzip2 stream", &mut bzip2::read::MultiBzDecoder::new(whole()?.as_slice()))
        }
        [0x28, 0xB5, 0x2F, 0xFD] => {
            let bytes = whole()?;
            let mut stream = ruzstd::decoding::StreamingDecoder::new(bytes.as_slice())
                .map_err(|error| DataError::malformed(path, format!("the zstd stream is damaged ({error})")))?;
            expand("the zstd stream", &mut stream)
        }
        _ => Ok(source),
    }
}

/// The error of a gzip stream that is too large, with the size that its end announces.
fn with_announced_size(error: DataError, gzip: &[u8]) -> DataError {
    let announced = gzip.last_chunk().map_or(0, |size| u64::from(u32::from_le_bytes(*size)));
    match error {
        DataError::TooLarge { path, what, need, most, limit } => {
            DataError::TooLarge { path, what, need: need.max(announced), most, limit }
        }
        other => other,
    }
}

/// The name of a file in small letters, without the endings of programs that pack single files.
pub(crate) fn plain_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let stem = [".gz", ".bz2", ".zst"].iter().find_map(|ending| name.strip_suffix(ending));
    match stem {
        Some(stem) => stem.to_owned(),
        None => name.strip_suffix(".tgz").map_or(name.clone(), |stem| format!("{stem}.tar")),
    }
}

/// Opens a file.
pub(crate) fn file(path: &Path, options: &OpenOptions) -> Result<Dataset, DataError> {
    let source = source(path, &options.limits)?;
    if source.len() == 0 {
        return Err(DataError::empty(path, "the file has no bytes"));
    }
    let first = source.start(0, 512).map_err(|error| DataError::read(path, error))?;
    let name = plain_name(path);
    let whole = || source.span(Span { at: 0, size: source.len() }).map_err(|error| DataError::read(path, error));
    if idx::recognizes(&first) || name.contains("idx3-ubyte") {
        let beside = idx::labels_beside(path);
        let labels =
            beside.as_deref().map(|labels| Ok((labels, self::source(labels, &options.limits)?))).transpose()?;
        return idx::dataset(path, &source, labels, options);
    }
    if cifar::recognizes(&name) {
        return cifar::dataset(path, vec![(name, source)], &folder::cifar_names(path.parent(), &[]));
    }
    if cifar::is_any_python_batch(&name, &first) {
        let meta = folder::cifar_meta(path.parent(), &options.limits)?;
        return cifar::python(path, vec![(name, source)], meta.as_ref());
    }
    if array::is_npy(&first) || name.ends_with(".npy") {
        return array::dataset(path, vec![array::open_npy(path, &stem(&name), &source, 0)?], options);
    }
    if first.starts_with(b"PK") || name.ends_with(".zip") || name.ends_with(".npz") {
        return archive(path, source, &name, options);
    }
    if parquet::recognizes(&first) {
        return parquet::open(path, vec![(path.to_owned(), source)], options);
    }
    if let Some(set) = instrument_file(path, &source, &first, options)? {
        return Ok(set);
    }
    if tar::recognizes(&first) || name.ends_with(".tar") {
        return tar_file(path, source, options);
    }
    if name.ends_with(".mdb") {
        return lmdb_file(path, source, options);
    }
    if picture::is_image(&name) {
        return images::open(
            Listing::spans(path, source.clone(), vec![Span { at: 0, size: source.len() }]).named(&name),
            options,
        );
    }
    if let Some(hint) = hint::conversion(&first, &name) {
        return Err(DataError::UnknownFormat { path: path.display().to_string(), hint });
    }
    if table::is_table(&name) && table::is_text(&first) {
        return table::read(path, &whole()?, options);
    }
    Err(DataError::UnknownFormat { path: path.display().to_string(), hint: String::new() })
}

/// Opens a file of the formats that instruments and MATLAB write; none if it is of another.
fn instrument_file(
    path: &Path,
    source: &Source,
    first: &[u8],
    options: &OpenOptions,
) -> Result<Option<Dataset>, DataError> {
    #[cfg(feature = "hdf5")]
    if array::hdf5::recognizes(first) || array::is_mat_hdf5(first) {
        return array::hdf5::open(path, source, options).map(Some);
    }
    #[cfg(feature = "dicom")]
    if crate::dicom::recognizes(first) {
        return crate::dicom::dataset(path, vec![(plain_name(path), source.clone())], None, options).map(Some);
    }
    if array::is_mat(first) {
        let bytes = source.span(Span { at: 0, size: source.len() }).map_err(|error| DataError::read(path, error))?;
        return array::dataset(path, array::open_mat(path, &bytes, &options.limits)?, options).map(Some);
    }
    if array::is_nifti(first) {
        let (volume, notice) = array::open_nifti(path, source, &options.limits)?;
        let mut set = array::dataset(path, vec![volume], options)?;
        set.notices.extend(notice);
        return Ok(Some(set));
    }
    Ok(None)
}

fn stem(name: &str) -> String {
    name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_owned()
}

/// Opens a zip: of arrays, of images, or of one table.
fn archive(path: &Path, source: Source, name: &str, options: &OpenOptions) -> Result<Dataset, DataError> {
    if name.ends_with(".npz") {
        let arrays = array::npz::open(path, &source, &options.limits, |_| true)?;
        return array::dataset(path, arrays, options);
    }
    let listing = Listing::zip(path, source.clone())?;
    if !listing.files.is_empty() {
        return images::open(listing, options);
    }
    let has = |part: &str| listing.others.iter().any(|(name, _)| name.contains(part));
    if let Some(hint) = hint::in_zip(&has) {
        return Err(DataError::UnknownFormat { path: path.display().to_string(), hint });
    }
    if listing.others.iter().any(|(name, _)| name.ends_with(".npy")) {
        let arrays = array::npz::open(path, &source, &options.limits, |_| true)?;
        return array::dataset(path, arrays, options);
    }
    let limits = options.limits.of(source.len());
    let is_archive = |name: &String| [".zip", ".tar", ".gz", ".tgz"].iter().any(|ending| name.ends_with(ending));
    if let Some((inner, _)) = listing.others.iter().find(|(name, _)| is_archive(name)) {
        let problem = format!("it holds archives ({inner}); unpack it, and give the path of one of them");
        return Err(DataError::malformed(path, problem));
    }
    match listing.tables().as_slice() {
        [] => images::open(listing, options),
        [(name, place)] => table::read(path, &listing.read(name, place, &limits)?, options),
        several => {
            let names: Vec<&str> = several.iter().map(|(name, _)| name.as_str()).collect();
            let problem = format!("it holds several tables ({}); unpack it and give the path of one", names.join(", "));
            Err(DataError::malformed(path, problem))
        }
    }
}

/// Opens a tar: CIFAR's batches in either version, or images.
fn tar_file(path: &Path, source: Source, options: &OpenOptions) -> Result<Dataset, DataError> {
    let limits = options.limits.of(source.len());
    let entries = tar::directory(path, &source, &limits)?;
    let part = |span: Span| -> Result<Source, DataError> {
        let bytes = source.span(span).map_err(|error| DataError::read(path, error))?;
        Ok(Source::Bytes(bytes.into()))
    };
    let base = |name: &str| name.rsplit('/').next().unwrap_or(name).to_owned();
    let first = |span: Span| source.start(span.at, span.size.min(4)).unwrap_or_default();
    let select = |is: &dyn Fn(&str, Span) -> bool| -> Result<Vec<cifar::Batch>, DataError> {
        let mut found: Vec<(String, Span)> =
            entries.iter().map(|(name, span)| (base(name), *span)).filter(|(name, span)| is(name, *span)).collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        found.into_iter().map(|(name, span)| Ok((name, part(span)?))).collect()
    };
    let batches = select(&|name, _| cifar::is_training_batch(name))?;
    if !batches.is_empty() {
        let names = select(&|name, _| matches!(name, "batches.meta.txt" | "fine_label_names.txt"))?;
        return cifar::dataset(path, batches, &folder::cifar_names(None, &names));
    }
    let batches = select(&|name, span| cifar::is_python_batch(name, &first(span)))?;
    if !batches.is_empty() {
        let meta = select(&|name, _| matches!(name, "batches.meta" | "meta"))?;
        return cifar::python(path, batches, meta.first().map(|(_, source)| source));
    }
    images::open(Listing::tars(path, vec![(path.to_owned(), source)], &limits)?, options)
}

/// Opens the images of an LMDB file, each a value, in the order of their keys.
pub(crate) fn lmdb_file(path: &Path, source: Source, options: &OpenOptions) -> Result<Dataset, DataError> {
    let spans = lmdb::places(path, &source)?;
    images::open(Listing::spans(path, source, spans), options)
}
