//! Images that are decoded when they are asked for: of a folder, a zip, or an LMDB file as LSUN's.

use std::{
    fs::{self, File},
    io::{BufReader, Cursor, Read},
    path::{Path, PathBuf},
};

use image::{DynamicImage, ImageDecoder, ImageReader};
use rayon::prelude::*;

use super::{
    OnDisk, Rows,
    lmdb::{self as tree, Place},
    read_at, wants,
};
use crate::{DataError, Dataset, Labels, OpenOptions, Shape, Values, folder as files};

/// Where an entry of a zip begins, and how it is packed.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Where its own header begins.
    header: u64,
    packed: u32,
    size: u32,
    deflated: bool,
}

/// The bytes of images.
#[derive(Debug)]
enum Encoded {
    Files(Vec<PathBuf>),
    Zip(File, Vec<Entry>),
    Lmdb(File, Vec<Place>),
}

/// Images of one size.
#[derive(Debug)]
struct Images {
    path: PathBuf,
    encoded: Encoded,
    /// The side that they are cropped and scaled to; 0 leaves them.
    side: usize,
    shape: Shape,
    deep: bool,
}

/// What an image is before it is decoded.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Header {
    width: u32,
    height: u32,
    colour: bool,
    deep: bool,
}

impl Encoded {
    fn len(&self) -> usize {
        match self {
            Self::Files(paths) => paths.len(),
            Self::Zip(_, entries) => entries.len(),
            Self::Lmdb(_, places) => places.len(),
        }
    }

    /// The bytes of an image.
    fn bytes(&self, path: &Path, row: usize) -> Result<Vec<u8>, DataError> {
        let read = |error| DataError::read(path, error);
        match self {
            Self::Files(paths) => fs::read(&paths[row]).map_err(|error| DataError::read(&paths[row], error)),
            Self::Lmdb(file, places) => {
                let mut bytes = vec![0; places[row].size as usize];
                read_at(file, places[row].at, &mut bytes).map_err(read)?;
                Ok(bytes)
            }
            Self::Zip(file, entries) => {
                let entry = entries[row];
                // The entry's own header: 30 bytes, the last four the lengths of its name and of what follows it.
                let mut header = [0; 30];
                read_at(file, entry.header, &mut header).map_err(read)?;
                let length = |at: usize| u64::from(u16::from_le_bytes([header[at], header[at + 1]]));
                let mut packed = vec![0; entry.packed as usize];
                read_at(file, entry.header + 30 + length(26) + length(28), &mut packed).map_err(read)?;
                if !entry.deflated {
                    return Ok(packed);
                }
                let mut bytes = Vec::with_capacity(entry.size as usize);
                flate2::read::DeflateDecoder::new(packed.as_slice())
                    .take(u64::from(entry.size))
                    .read_to_end(&mut bytes)
                    .map_err(read)?;
                Ok(bytes)
            }
        }
    }

    /// Size and kind of an image, from its first bytes where the format allows it.
    fn header(&self, path: &Path, row: usize) -> Result<Header, DataError> {
        let wrong = |error: image::ImageError| undecodable(path, row, &error);
        let bytes = self.bytes(path, row)?;
        let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format();
        let decoder = reader.map_err(|error| DataError::read(path, error))?.into_decoder().map_err(wrong)?;
        let ((width, height), colour) = (decoder.dimensions(), decoder.color_type());
        let deep = colour.bytes_per_pixel() / colour.channel_count() > 1;
        Ok(Header { width, height, colour: colour.has_color(), deep })
    }
}

fn undecodable(path: &Path, row: usize, error: &image::ImageError) -> DataError {
    DataError::malformed(path, format!("image {row}, counted from 0 by name, cannot be decoded: {error}"))
}

impl Rows for Images {
    fn read(&self, row: usize, out: &mut [f32]) -> Result<(), DataError> {
        let bytes = self.encoded.bytes(&self.path, row)?;
        let image = image::load_from_memory(&bytes).map_err(|error| undecodable(&self.path, row, &error))?;
        let image = files::fit(image, self.side);
        let values = self.values(image);
        if values.len() != out.len() {
            return Err(DataError::malformed(
                &self.path,
                format!("image {row} has changed its size since it was opened"),
            ));
        }
        out.copy_from_slice(&values);
        Ok(())
    }
}

impl Images {
    fn values(&self, image: DynamicImage) -> Vec<f32> {
        let colour = matches!(self.shape, Shape::Image { channels: 3, .. });
        if self.deep {
            return files::floats(image, colour);
        }
        files::bytes(image, colour).into_iter().map(f32::from).collect()
    }

    /// Looks at every image's header, and makes a data set of them.
    fn set(path: &Path, encoded: Encoded, side: usize, labels: Option<Labels>) -> Result<Dataset, DataError> {
        let count = encoded.len();
        if count == 0 {
            return Err(DataError::empty(path, "no image in it"));
        }
        let first = encoded.header(path, 0)?;
        let check = |row: usize| -> Result<(bool, bool), DataError> {
            let header = encoded.header(path, row)?;
            if side == 0 && (header.width, header.height) != (first.width, first.height) {
                let size = |header: Header| format!("{} pixels wide and {} high", header.width, header.height);
                return Err(DataError::MixedSizes {
                    path: path.display().to_string(),
                    file: format!("image {row}, counted from 0 by name,"),
                    found: size(header),
                    expected: size(first),
                });
            }
            Ok((header.colour, header.deep))
        };
        let either = |a: (bool, bool), b: (bool, bool)| (a.0 || b.0, a.1 || b.1);
        let (colour, deep) =
            (0..count).into_par_iter().map(check).try_reduce(|| (false, false), |a, b| Ok(either(a, b)))?;
        let channels = if colour { 3 } else { 1 };
        let shape = match side {
            0 => Shape::Image { height: first.height as usize, width: first.width as usize, channels },
            side => Shape::Image { height: side, width: side, channels },
        };
        let range = deep.then_some((0.0, 1.0));
        let images = Self { path: path.to_owned(), encoded, side, shape, deep };
        Dataset::new(path, shape, Values::OnDisk(OnDisk::new(images, count, shape.dim(), !deep)), range, labels)
    }
}

/// Bytes that so many images as the first would take in memory; nothing where there is none, or it cannot be read in this way.
fn memory(path: &Path, encoded: &Encoded, side: usize) -> u64 {
    if encoded.len() == 0 {
        return 0;
    }
    let bytes = |header: Header| {
        let pixels = if side > 0 { (side * side) as u64 } else { u64::from(header.width) * u64::from(header.height) };
        encoded.len() as u64 * pixels * if header.colour { 3 } else { 1 } * if header.deep { 4 } else { 1 }
    };
    encoded.header(path, 0).map_or(0, bytes)
}

/// The images below a folder.
pub(super) fn folder(path: &Path, options: &OpenOptions) -> Result<Option<Dataset>, DataError> {
    let images = files::list(path)?;
    let json = files::dataset_json(path)?;
    let (labels, paths) = (files::labels(path, &images, json.as_deref())?, images.into_iter().map(|(_, path)| path));
    let encoded = Encoded::Files(paths.collect());
    if !wants(options, memory(path, &encoded, options.side)) {
        return Ok(None);
    }
    Images::set(path, encoded, options.side, labels).map(Some)
}

/// The images of a zip; none where entries are packed in another way than images are.
pub(super) fn zipped(path: &Path, options: &OpenOptions) -> Result<Option<Dataset>, DataError> {
    let damaged = |error: zip::result::ZipError| {
        DataError::malformed(path, format!("the zip is damaged ({error}); fetch or make it again"))
    };
    let file = File::open(path).map_err(|error| DataError::read(path, error))?;
    let mut archive = zip::unstable::read::ZipIterable::try_new(BufReader::new(&file), zip::read::Config::default())
        .map_err(damaged)?;
    let (mut images, mut json) = (Vec::new(), None);
    for entry in archive.files().map_err(damaged)? {
        let entry = entry.map_err(damaged)?;
        let name = entry.name().map_err(damaged)?.into_owned();
        let (packed, size) = (entry.compressed_size(), entry.size());
        let deflated = match entry.compression() {
            zip::CompressionMethod::Stored => false,
            zip::CompressionMethod::Deflated => true,
            _ => return Ok(None),
        };
        let (Ok(packed), Ok(size)) = (packed.try_into(), size.try_into()) else { return Ok(None) };
        let entry = Entry { header: entry.header_start(), packed, size, deflated };
        if files::is_image(&name) {
            images.push((name, entry));
        } else if name == "dataset.json" {
            json = Some(entry);
        }
    }
    images.sort_by(|a, b| a.0.cmp(&b.0));
    let reader = |entries| Ok(Encoded::Zip(File::open(path).map_err(|error| DataError::read(path, error))?, entries));
    let json = json.map(|entry| reader(vec![entry])?.bytes(path, 0)).transpose()?;
    let labels = files::labels(path, &images, json.as_deref())?;
    let encoded = reader(images.into_iter().map(|(_, entry)| entry).collect())?;
    if !wants(options, memory(path, &encoded, options.side)) {
        return Ok(None);
    }
    Images::set(path, encoded, options.side, labels).map(Some)
}

/// The images of an LMDB file, each a value, in the order of their keys.
pub(super) fn lmdb(path: &Path, options: &OpenOptions) -> Result<Dataset, DataError> {
    let file = File::open(path).map_err(|error| DataError::read(path, error))?;
    let places = tree::places(path, &file)?;
    Images::set(path, Encoded::Lmdb(file, places), options.side, None)
}
