//! NumPy's arrays: `.npy` files and `.npz` archives of them, in and out.

use std::{
    collections::BTreeMap,
    io::{self, Cursor, Read, Seek, Write},
    path::Path,
};

use npyz::{DType, NpyFile, Order, TypeChar, WriterBuilder};

use crate::{DataError, Dataset, Labels, Shape, Values};

/// Names that arrays of data and of labels go by in archives, the usual first.
const DATA: [&str; 6] = ["x", "images", "data", "samples", "x_train", "arr_0"];
const LABELS: [&str; 4] = ["labels", "y", "label", "y_train"];

/// An array as it lies in a file.
struct Array {
    shape: Vec<usize>,
    values: Values,
}

/// Reads a `.npy` file.
///
/// # Errors
/// When the file is damaged, holds no plain numbers, or has a shape that is no data set's.
pub fn read_npy(path: &Path, bytes: &[u8]) -> Result<Dataset, DataError> {
    dataset(path, parse(path, bytes)?, None)
}

/// Reads the data, and the labels if there are any, of a `.npz` archive.
///
/// # Errors
/// As [`read_npy`]; also when no array is called as data usually are.
pub fn read_npz(path: &Path, bytes: &[u8]) -> Result<Dataset, DataError> {
    let damaged = |error: &dyn std::fmt::Display| DataError::malformed(path, format!("the npz is damaged: {error}"));
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|error| damaged(&error))?;
    let mut entry = |names: &[&str]| -> Result<Option<Array>, DataError> {
        let Some(name) = names.iter().map(|n| format!("{n}.npy")).find(|n| archive.index_for_name(n).is_some()) else {
            return Ok(None);
        };
        let mut content = Vec::new();
        let mut file = archive.by_name(&name).map_err(|error| damaged(&error))?;
        file.read_to_end(&mut content).map_err(|error| damaged(&error))?;
        parse(path, &content).map(Some)
    };
    let labels = entry(&LABELS)?;
    let Some(data) = entry(&DATA)? else {
        let problem = format!("no array called {}; save the data under one of these names", DATA.join(", "));
        return Err(DataError::malformed(path, problem));
    };
    dataset(path, data, labels)
}

/// An array of an archive in single precision.
#[derive(Clone, Debug, PartialEq)]
pub struct Floats {
    /// Its shape, slowest dimension first.
    pub shape: Vec<usize>,
    /// Its values in that order.
    pub values: Vec<f32>,
}

/// Shape and values of an array in double precision.
pub type Doubles = (Vec<usize>, Vec<f64>);

/// Reads arrays of a `.npz` archive in double precision, those that are there: statistics of features.
///
/// # Errors
/// When the archive or an array is damaged, or holds no floats.
pub fn read_doubles<const N: usize>(
    path: &Path,
    bytes: &[u8],
    names: [&str; N],
) -> Result<[Option<Doubles>; N], DataError> {
    let damaged = |error: &dyn std::fmt::Display| DataError::malformed(path, format!("the npz is damaged: {error}"));
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|error| damaged(&error))?;
    let mut arrays = [const { None }; N];
    for (array, name) in arrays.iter_mut().zip(names) {
        let entry = format!("{name}.npy");
        if archive.index_for_name(&entry).is_none() {
            continue;
        }
        let mut content = Vec::new();
        let mut file = archive.by_name(&entry).map_err(|error| damaged(&error))?;
        file.read_to_end(&mut content).map_err(|error| damaged(&error))?;
        *array = Some(doubles(path, name, &content)?);
    }
    Ok(arrays)
}

fn doubles(path: &Path, name: &str, bytes: &[u8]) -> Result<Doubles, DataError> {
    let wrong = |problem: &dyn std::fmt::Display| DataError::malformed(path, format!("array `{name}`: {problem}"));
    let file = NpyFile::new(bytes).map_err(|error| wrong(&error))?;
    let shape: Vec<usize> = file.shape().iter().map(|&size| size as usize).collect();
    if file.order() != Order::C && shape.len() > 1 {
        return Err(wrong(&"it is in Fortran order; save numpy.ascontiguousarray(x)"));
    }
    let size = match file.dtype() {
        DType::Plain(kind) if kind.type_char() == TypeChar::Float => kind.size_field(),
        other => return Err(wrong(&format!("its type {} is no float", other.descr()))),
    };
    let values = match size {
        8 => file.into_vec().map_err(|error| wrong(&error))?,
        4 => file.into_vec::<f32>().map_err(|error| wrong(&error))?.into_iter().map(f64::from).collect(),
        _ => return Err(wrong(&"save it as float32 or float64")),
    };
    Ok((shape, values))
}

/// Reads every array of a `.npz` archive, by name.
///
/// # Errors
/// When the archive or an array is damaged, or holds no plain numbers.
pub fn read_arrays(path: &Path, bytes: &[u8]) -> Result<BTreeMap<String, Floats>, DataError> {
    let damaged = |error: &dyn std::fmt::Display| DataError::malformed(path, format!("the npz is damaged: {error}"));
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|error| damaged(&error))?;
    let mut arrays = BTreeMap::new();
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).map_err(|error| damaged(&error))?;
        let name = file.name().map_err(|error| damaged(&error))?.trim_end_matches(".npy").to_owned();
        let mut content = Vec::new();
        file.read_to_end(&mut content).map_err(|error| damaged(&error))?;
        let array = parse(path, &content)?;
        let values = in_single_precision(array.values);
        arrays.insert(name, Floats { shape: array.shape, values });
    }
    Ok(arrays)
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Array, DataError> {
    let damaged = |error: io::Error| {
        DataError::malformed(path, format!("the array cannot be read ({error}); save it again with numpy.save"))
    };
    let file = NpyFile::new(bytes).map_err(damaged)?;
    let shape: Vec<usize> = file.shape().iter().map(|&size| size as usize).collect();
    let dtype = file.dtype();
    let unsupported = || {
        let problem =
            format!("the array's type {} is not supported; save it as uint8, integers or floats", dtype.descr());
        DataError::malformed(path, problem)
    };
    if file.order() != Order::C && shape.len() > 1 {
        return Err(DataError::malformed(path, "the array is in Fortran order; save numpy.ascontiguousarray(x)"));
    }
    let DType::Plain(kind) = &dtype else { return Err(unsupported()) };
    macro_rules! floats {
        ($type:ty) => {
            Values::Floats(file.into_vec::<$type>().map_err(damaged)?.into_iter().map(|v| v as f32).collect())
        };
    }
    let values = match (kind.type_char(), kind.size_field()) {
        (TypeChar::Uint, 1) => Values::Bytes(file.into_vec().map_err(damaged)?),
        (TypeChar::Uint, 2) => floats!(u16),
        (TypeChar::Uint, 4) => floats!(u32),
        (TypeChar::Uint, 8) => floats!(u64),
        (TypeChar::Int, 1) => floats!(i8),
        (TypeChar::Int, 2) => floats!(i16),
        (TypeChar::Int, 4) => floats!(i32),
        (TypeChar::Int, 8) => floats!(i64),
        (TypeChar::Float, 4) => floats!(f32),
        (TypeChar::Float, 8) => floats!(f64),
        _ => return Err(unsupported()),
    };
    Ok(Array { shape, values })
}

fn dataset(path: &Path, data: Array, labels: Option<Array>) -> Result<Dataset, DataError> {
    let (shape, planes) = row_shape(path, &data.shape)?;
    let values = match (planes, shape, data.values) {
        (true, Shape::Image { height, width, channels }, Values::Bytes(values)) => {
            Values::Bytes(channels_last(&values, channels, height * width))
        }
        (true, Shape::Image { height, width, channels }, Values::Floats(values)) => {
            Values::Floats(channels_last(&values, channels, height * width))
        }
        (_, _, values) => values,
    };
    let labels = labels.map(|labels| class_numbers(path, labels)).transpose()?;
    Dataset::new(path, shape, values, None, labels)
}

/// The shape of the rows of an array, and whether the channels of its images are planes.
pub(crate) fn row_shape(path: &Path, sizes: &[usize]) -> Result<(Shape, bool), DataError> {
    if sizes.contains(&0) {
        return Err(DataError::empty(path, format!("an array of shape {sizes:?}")));
    }
    Ok(match *sizes {
        [_, len] => (Shape::Vector { len }, false),
        [_, height, width] => (Shape::Image { height, width, channels: 1 }, false),
        [_, height, width, channels @ 1..=4] => (Shape::Image { height, width, channels }, false),
        [_, channels @ 1..=4, height, width] => (Shape::Image { height, width, channels }, true),
        _ => {
            let problem = format!(
                "an array of shape {sizes:?}; a data set is [rows, columns], [images, height, width], \
                 [images, height, width, channels] or [images, channels, height, width]"
            );
            return Err(DataError::malformed(path, problem));
        }
    })
}

/// Where the data of a `.npz` archive begin, and its labels; none where they are compressed.
pub(crate) fn uncompressed(path: &Path) -> Result<Option<(u64, Option<Labels>)>, DataError> {
    let damaged = |error: &dyn std::fmt::Display| DataError::malformed(path, format!("the npz is damaged: {error}"));
    let file = std::fs::File::open(path).map_err(|error| DataError::read(path, error))?;
    let mut archive = zip::ZipArchive::new(file).map_err(|error| damaged(&error))?;
    let index = |names: &[&str]| names.iter().find_map(|name| archive.index_for_name(&format!("{name}.npy")));
    let (Some(data), labels) = (index(&DATA), index(&LABELS)) else { return Ok(None) };
    let entry = archive.by_index(data).map_err(|error| damaged(&error))?;
    if entry.compression() != zip::CompressionMethod::Stored {
        return Ok(None);
    }
    let Some(start) = entry.data_start() else { return Ok(None) };
    drop(entry);
    let Some(labels) = labels else { return Ok(Some((start, None))) };
    let mut content = Vec::new();
    let mut entry = archive.by_index(labels).map_err(|error| damaged(&error))?;
    entry.read_to_end(&mut content).map_err(|error| damaged(&error))?;
    let labels = class_numbers(path, parse(path, &content)?)?;
    Ok(Some((start, Some(labels))))
}

fn in_single_precision(values: Values) -> Vec<f32> {
    match values {
        Values::Bytes(values) => values.into_iter().map(f32::from).collect(),
        Values::Floats(values) => values,
        Values::OnDisk(_) => unreachable!("an array is parsed to memory"),
    }
}

fn class_numbers(path: &Path, labels: Array) -> Result<Labels, DataError> {
    let of_row = in_single_precision(labels.values);
    if let Some(class) = of_row.iter().find(|class| !(**class >= 0.0 && class.fract() == 0.0 && **class < 4e9)) {
        return Err(DataError::malformed(path, format!("label {class} is no class number 0, 1, 2, ...")));
    }
    Labels::numbered(path, of_row.into_iter().map(|class| class as u32).collect())
}

fn channels_last<T: Copy>(values: &[T], channels: usize, plane: usize) -> Vec<T> {
    values
        .chunks_exact(channels * plane)
        .flat_map(|image| (0..plane).flat_map(move |p| (0..channels).map(move |c| image[c * plane + p])))
        .collect()
}

/// An array to be written: its name, its shape, its values.
pub struct Named<'a> {
    /// What it is called in the archive.
    pub name: &'a str,
    /// Its shape, slowest dimension first.
    pub shape: &'a [usize],
    /// Its values in that order.
    pub values: Column<'a>,
}

/// Values of an array to be written.
pub enum Column<'a> {
    /// 8-bit values.
    Bytes(&'a [u8]),
    /// Single precision.
    Floats(&'a [f32]),
    /// Double precision.
    Doubles(&'a [f64]),
    /// Whole numbers: labels.
    Integers(&'a [i64]),
    /// Seeds.
    Seeds(&'a [u64]),
}

/// Writes a compressed `.npz`.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_npz<W: Write + Seek>(out: W, arrays: &[Named]) -> io::Result<()> {
    let mut archive = zip::ZipWriter::new(out);
    let options =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated).large_file(true);
    for array in arrays {
        archive.start_file(format!("{}.npy", array.name), options)?;
        let shape: Vec<u64> = array.shape.iter().map(|&size| size as u64).collect();
        match array.values {
            Column::Bytes(values) => write_npy(&mut archive, &shape, values)?,
            Column::Floats(values) => write_npy(&mut archive, &shape, values)?,
            Column::Doubles(values) => write_npy(&mut archive, &shape, values)?,
            Column::Integers(values) => write_npy(&mut archive, &shape, values)?,
            Column::Seeds(values) => write_npy(&mut archive, &shape, values)?,
        }
    }
    archive.finish()?.flush()
}

fn write_npy<T: npyz::AutoSerialize + Copy>(out: impl Write, shape: &[u64], values: &[T]) -> io::Result<()> {
    let mut writer = npyz::WriteOptions::new().default_dtype().shape(shape).writer(out).begin_nd()?;
    writer.extend(values.iter().copied())?;
    writer.finish()
}
