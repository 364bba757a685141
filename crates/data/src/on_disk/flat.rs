//! Rows of one size, one after another in a file: IDX, CIFAR's batches, NumPy's arrays.

use std::{
    fs::File,
    io::{BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use npyz::{DType, Endianness, NpyHeader, Order, TypeChar};

use super::{OnDisk, Rows, read_at};
use crate::{DataError, Dataset, Labels, Shape, Values, cifar as batches, idx as images, npz as arrays};

/// The type of a value in a file, the lowest byte first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    U8,
    U16,
    U32,
    U64,
    I8,
    I16,
    I32,
    I64,
    F32,
    F64,
}

impl Number {
    fn of(dtype: &DType) -> Option<Self> {
        let DType::Plain(kind) = dtype else { return None };
        if kind.endianness() == Endianness::Big {
            return None;
        }
        Some(match (kind.type_char(), kind.size_field()) {
            (TypeChar::Uint, 1) => Self::U8,
            (TypeChar::Uint, 2) => Self::U16,
            (TypeChar::Uint, 4) => Self::U32,
            (TypeChar::Uint, 8) => Self::U64,
            (TypeChar::Int, 1) => Self::I8,
            (TypeChar::Int, 2) => Self::I16,
            (TypeChar::Int, 4) => Self::I32,
            (TypeChar::Int, 8) => Self::I64,
            (TypeChar::Float, 4) => Self::F32,
            (TypeChar::Float, 8) => Self::F64,
            _ => return None,
        })
    }

    fn size(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }

    fn decode(self, bytes: &[u8], out: &mut [f32]) {
        macro_rules! each {
            ($type:ty) => {
                for (out, value) in out.iter_mut().zip(bytes.chunks_exact(size_of::<$type>())) {
                    *out = <$type>::from_le_bytes(value.try_into().expect("a chunk of this size")) as f32;
                }
            };
        }
        match self {
            Self::U8 => each!(u8),
            Self::U16 => each!(u16),
            Self::U32 => each!(u32),
            Self::U64 => each!(u64),
            Self::I8 => each!(i8),
            Self::I16 => each!(i16),
            Self::I32 => each!(i32),
            Self::I64 => each!(i64),
            Self::F32 => each!(f32),
            Self::F64 => each!(f64),
        }
    }
}

/// Where the rows of a file are.
#[derive(Debug)]
struct Flat {
    path: PathBuf,
    file: File,
    /// Where the first row's values begin, and how far apart the rows are.
    start: u64,
    stride: u64,
    number: Number,
    /// The channels of images whose channels are planes; 0 where those of a pixel stand together.
    planes: usize,
}

impl Rows for Flat {
    fn read(&self, row: usize, out: &mut [f32]) -> Result<(), DataError> {
        let mut bytes = vec![0; out.len() * self.number.size()];
        let at = self.start + row as u64 * self.stride;
        read_at(&self.file, at, &mut bytes).map_err(|error| DataError::read(&self.path, error))?;
        if self.planes == 0 {
            self.number.decode(&bytes, out);
            return Ok(());
        }
        let mut planes = vec![0.0; out.len()];
        self.number.decode(&bytes, &mut planes);
        let pixels = out.len() / self.planes;
        for (pixel, values) in out.chunks_exact_mut(self.planes).enumerate() {
            values.iter_mut().enumerate().for_each(|(channel, value)| *value = planes[channel * pixels + pixel]);
        }
        Ok(())
    }
}

fn open(path: &Path) -> Result<File, DataError> {
    File::open(path).map_err(|error| DataError::read(path, error))
}

/// An IDX file of images, with the labels beside it.
pub(super) fn idx(path: &Path) -> Result<Dataset, DataError> {
    let file = open(path)?;
    let mut header = Vec::new();
    (&file).take(images::HEADER as u64).read_to_end(&mut header).map_err(|error| DataError::read(path, error))?;
    let payload = file.metadata().map_err(|error| DataError::read(path, error))?.len() - header.len() as u64;
    let sizes = images::image_sizes(path, &header, payload)?;
    let shape = Shape::Image { height: sizes[1], width: sizes[2], channels: 1 };
    let labels = images::labels_of(path)?;
    let (start, stride) = (images::HEADER as u64, shape.dim() as u64);
    let flat = Flat { path: path.to_owned(), file, start, stride, number: Number::U8, planes: 0 };
    let stored = OnDisk::new(flat, sizes[0], shape.dim(), true);
    Dataset::new(path, shape, Values::OnDisk(stored), None, labels)
}

/// A batch of CIFAR's.
pub(super) fn cifar(path: &Path) -> Result<Dataset, DataError> {
    let mut file = open(path)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let size = file.metadata().map_err(|error| DataError::read(path, error))?.len();
    let (label_bytes, record) = batches::record(path, &name, size)?;
    let mut classes = Vec::new();
    let mut reader = BufReader::new(&mut file);
    for _ in 0..size / record {
        let mut label = vec![0; label_bytes as usize];
        reader.read_exact(&mut label).map_err(|error| DataError::read(path, error))?;
        classes.push(u32::from(label[label_bytes as usize - 1]));
        let rest = (record - label_bytes) as i64;
        reader.seek_relative(rest).map_err(|error| DataError::read(path, error))?;
    }
    let shape = Shape::Image { height: 32, width: 32, channels: 3 };
    let rows = classes.len();
    let flat = Flat { path: path.to_owned(), file, start: label_bytes, stride: record, number: Number::U8, planes: 3 };
    let labels = Some(Labels::numbered(path, classes)?);
    Dataset::new(path, shape, Values::OnDisk(OnDisk::new(flat, rows, shape.dim(), true)), None, labels)
}

/// A `.npy` file; none where its numbers cannot be read in place.
pub(super) fn npy(path: &Path) -> Result<Option<Dataset>, DataError> {
    array(path, 0, None)
}

/// The data of a `.npz` archive; none where they are compressed.
pub(super) fn npz(path: &Path) -> Result<Option<Dataset>, DataError> {
    let Some((start, labels)) = arrays::uncompressed(path)? else { return Ok(None) };
    array(path, start, labels)
}

/// An array whose header begins at `start`.
fn array(path: &Path, start: u64, labels: Option<Labels>) -> Result<Option<Dataset>, DataError> {
    let damaged = |error: std::io::Error| {
        DataError::malformed(path, format!("the array cannot be read ({error}); save it again with numpy.save"))
    };
    let mut reader = BufReader::new(open(path)?);
    reader.seek(SeekFrom::Start(start)).map_err(damaged)?;
    let header = NpyHeader::from_reader(&mut reader).map_err(damaged)?;
    let start = reader.stream_position().map_err(damaged)?;
    let file = reader.into_inner();
    let Some(number) = Number::of(&header.dtype()).filter(|_| header.order() == Order::C) else { return Ok(None) };
    let sizes: Vec<usize> = header.shape().iter().map(|&size| size as usize).collect();
    let (shape, planes) = arrays::row_shape(path, &sizes)?;
    let stride = (shape.dim() * number.size()) as u64;
    let end = start + sizes[0] as u64 * stride;
    if file.metadata().map_err(damaged)?.len() < end {
        return Err(DataError::malformed(path, "the array is cut short; save it again with numpy.save"));
    }
    let flat =
        Flat { path: path.to_owned(), file, start, stride, number, planes: if planes { channels(shape) } else { 0 } };
    let stored = OnDisk::new(flat, sizes[0], shape.dim(), number == Number::U8);
    Dataset::new(path, shape, Values::OnDisk(stored), None, labels).map(Some)
}

fn channels(shape: Shape) -> usize {
    match shape {
        Shape::Image { channels, .. } => channels,
        Shape::Vector { .. } => 0,
    }
}
