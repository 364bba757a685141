//! IDX, the format of MNIST and its successors: a magic number, big-endian sizes, unsigned bytes.

use std::path::{Path, PathBuf};

use crate::{DataError, Dataset, Labels, Shape, Values};

/// Bytes before the first image.
pub(crate) const HEADER: usize = 16;

const IMAGES: u32 = 0x0803;
const LABELS: u32 = 0x0801;

/// Whether the bytes begin as an IDX file of unsigned bytes does.
pub fn recognises(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0, 0, 8])
}

/// Reads images and, when given, their labels. `path` is the images' file, for messages.
///
/// # Errors
/// When a magic number is wrong, or a file is shorter or longer than its header says.
pub fn read(path: &Path, images: &[u8], labels: Option<(&Path, &[u8])>) -> Result<Dataset, DataError> {
    let (sizes, pixels) = parse(path, images, IMAGES, "images")?;
    let shape = Shape::Image { height: sizes[1], width: sizes[2], channels: 1 };
    let labels = match labels {
        Some((path, bytes)) => {
            let (_, classes) = parse(path, bytes, LABELS, "labels")?;
            Some(Labels::numbered(path, classes.iter().map(|&class| u32::from(class)).collect())?)
        }
        None => None,
    };
    Dataset::new(path, shape, Values::Bytes(pixels.to_vec()), None, labels)
}

/// The sizes and the payload of an IDX file with the magic number that is expected.
fn parse<'a>(path: &Path, bytes: &'a [u8], magic: u32, what: &str) -> Result<(Vec<usize>, &'a [u8]), DataError> {
    let sizes = header(path, bytes, magic, bytes.len(), what)?;
    Ok((sizes, &bytes[4 + 4 * (magic & 0xff) as usize..]))
}

/// The sizes of a file of images with this header and so many bytes behind it.
pub(crate) fn image_sizes(path: &Path, bytes: &[u8], payload: u64) -> Result<Vec<usize>, DataError> {
    header(path, bytes, IMAGES, bytes.len() + payload as usize, "images")
}

/// The labels of the file beside a file of images, if there is one.
pub(crate) fn labels_of(images: &Path) -> Result<Option<Labels>, DataError> {
    let Some(path) = labels_beside(images) else { return Ok(None) };
    let bytes = crate::open::load(&path)?;
    let (_, classes) = parse(&path, &bytes, LABELS, "labels")?;
    Labels::numbered(&path, classes.iter().map(|&class| u32::from(class)).collect()).map(Some)
}

/// The sizes that a header announces for a file of so many bytes.
fn header(path: &Path, bytes: &[u8], magic: u32, size: usize, what: &str) -> Result<Vec<usize>, DataError> {
    let number = |at: usize| -> Result<u32, DataError> {
        let word = bytes.get(at..at + 4).and_then(|word| word.try_into().ok());
        word.map(u32::from_be_bytes)
            .ok_or_else(|| DataError::malformed(path, "the IDX header is cut short; fetch the file again"))
    };
    let found = number(0)?;
    if found != magic {
        let problem = format!("magic number {found:#010x} where IDX {what} begin with {magic:#010x}");
        return Err(DataError::malformed(path, problem));
    }
    let dimensions = (magic & 0xff) as usize;
    let sizes: Vec<usize> =
        (0..dimensions).map(|d| Ok(number(4 + 4 * d)? as usize)).collect::<Result<_, DataError>>()?;
    let payload = size - (4 + 4 * dimensions);
    let expected = sizes.iter().try_fold(1_usize, |product, &size| product.checked_mul(size));
    if expected != Some(payload) {
        let problem = format!(
            "the header announces {} of size {:?}, but {} bytes follow; the file is cut short or damaged, fetch it again",
            sizes[0],
            &sizes[1..],
            payload
        );
        return Err(DataError::malformed(path, problem));
    }
    Ok(sizes)
}

/// Where the labels of a file of images lie by the usual names: `train-images-idx3-ubyte.gz` has
/// `train-labels-idx1-ubyte.gz` beside it.
pub fn labels_beside(images: &Path) -> Option<PathBuf> {
    let name = images.file_name()?.to_str()?;
    let labels = name.replace("images", "labels").replace("idx3", "idx1");
    if labels == name {
        return None;
    }
    let stem = labels.trim_end_matches(".gz");
    [stem.to_owned(), format!("{stem}.gz")].iter().map(|name| images.with_file_name(name)).find(|path| path.is_file())
}
