//! Streamed data equal loaded data, row by row; damaged files are errors.
#![allow(missing_docs)]

use std::{
    fs::{self, File},
    io::{Cursor, Read, Write},
    path::{Path, PathBuf},
};

use pfgm_data::{
    DataError, Dataset, Load, OpenOptions, Shape, Values,
    npz::{Column, Named, write_npz},
    open,
};
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn write(path: PathBuf, bytes: &[u8]) -> PathBuf {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, bytes).unwrap();
    path
}

fn read(path: &Path, load: Load, shrink: usize, side: usize) -> Result<Dataset, DataError> {
    open(path.to_str().unwrap(), &OpenOptions { load, shrink, side, ..OpenOptions::default() })
}

/// Every value, in order.
fn values(set: &Dataset) -> Vec<u32> {
    let dim = set.shape.dim();
    let mut rows = vec![0.0; set.len() * dim];
    rows.chunks_exact_mut(dim).enumerate().for_each(|(index, row)| set.read(index, row).unwrap());
    rows.into_iter().map(f32::to_bits).collect()
}

/// Asserts that a set is the same whether it is loaded or not.
fn same(path: &Path, shrink: usize, side: usize) -> Dataset {
    let whole = read(path, Load::Whole, shrink, side).unwrap();
    let stored = read(path, Load::Stream, shrink, side).unwrap();
    assert!(!matches!(whole.values, Values::OnDisk(_)), "{}", path.display());
    assert!(matches!(stored.values, Values::OnDisk(_)), "{}", path.display());
    for (one, other) in [(&whole, &stored), (&whole.select(&[3, 1, 2]), &stored.select(&[3, 1, 2]))] {
        assert_eq!((one.shape, one.range, &one.name), (other.shape, other.range, &other.name));
        assert_eq!((one.len(), &one.labels), (other.len(), &other.labels));
        assert_eq!(values(one), values(other), "{}", path.display());
    }
    let again = stored.select(&[3, 1, 2]).select(&[2, 0]);
    assert_eq!(values(&again), values(&whole.select(&[2, 3])));
    assert_eq!(stored.loaded().unwrap().values, whole.values);
    stored
}

fn message(path: &Path) -> String {
    let message = read(path, Load::Stream, 1, 0).expect_err("what cannot be read").to_string();
    assert!(message.contains(path.to_str().unwrap()) && !message.contains('\n'), "{message}");
    message
}

/// Bytes without a pattern that a wrong stride would keep.
fn bytes(count: usize) -> Vec<u8> {
    (0..count as u64).map(|at| (at.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8).collect()
}

fn idx(magic: u32, sizes: &[u32], payload: &[u8]) -> Vec<u8> {
    let words = std::iter::once(magic).chain(sizes.iter().copied()).flat_map(u32::to_be_bytes);
    words.chain(payload.iter().copied()).collect()
}

fn png(seed: usize, width: u32, height: u32, color: bool) -> Vec<u8> {
    let pixel = |x: u32, y: u32, c: usize| (seed * 7 + x as usize * 3 + y as usize * 5 + c * 11) as u8;
    let mut out = Cursor::new(Vec::new());
    let image: image::DynamicImage = match color {
        true => image::RgbImage::from_fn(width, height, |x, y| image::Rgb([0, 1, 2].map(|c| pixel(x, y, c)))).into(),
        false => image::GrayImage::from_fn(width, height, |x, y| image::Luma([pixel(x, y, 0)])).into(),
    };
    image.write_to(&mut out, image::ImageFormat::Png).unwrap();
    out.into_inner()
}

/// An array as `numpy.savez` writes it: not compressed.
fn npz(arrays: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, content) in arrays {
        archive.start_file(format!("{name}.npy"), stored).unwrap();
        archive.write_all(content).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

fn npy(descr: &str, shape: &str, payload: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    let header = format!("{header:<117}\n");
    let length = (header.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), payload].concat()
}

#[test]
fn files_of_rows_of_one_size() {
    let dir = folder();
    let at = |name: &str| dir.path().join(name);
    let images = write(at("idx/train-images-idx3-ubyte"), &idx(0x803, &[5, 4, 6], &bytes(120)));
    write(at("idx/train-labels-idx1-ubyte"), &idx(0x801, &[5], &[3, 0, 1, 1, 2]));
    assert!(same(&images, 1, 0).labels.is_some());
    same(&at("idx"), 2, 0);

    for (batch, rows) in [("1", 3), ("2", 4)] {
        let records: Vec<u8> = bytes(rows * 3073)
            .into_iter()
            .enumerate()
            .map(|(at, value)| if at % 3073 == 0 { value % 10 } else { value })
            .collect();
        write(at(&format!("cifar/data_batch_{batch}.bin")), &records);
    }
    let cifar = same(&at("cifar"), 1, 0);
    assert_eq!((cifar.len(), cifar.shape), (7, Shape::Image { height: 32, width: 32, channels: 3 }));
    same(&at("cifar"), 4, 0);

    let floats: Vec<u8> = (0..5 * 6).flat_map(|value| (value as f32 / 7.0 - 1.0).to_le_bytes()).collect();
    same(&write(at("vectors.npy"), &npy("<f4", "(5, 6)", &floats)), 1, 0);
    let doubles: Vec<u8> = (0..4 * 108).flat_map(|value| (f64::from(value) / 7.0).to_le_bytes()).collect();
    same(&write(at("planes.npy"), &npy("<f8", "(4, 3, 6, 6)", &doubles)), 2, 0);
    same(&write(at("words.npy"), &npy("<i2", "(6, 2, 2)", &bytes(48))), 1, 0);
    let content = npz(&[("y", npy("|u1", "(4,)", &[0, 2, 1, 1])), ("x", npy("|u1", "(4, 3, 6, 6)", &bytes(432)))]);
    assert!(same(&write(at("archive.npz"), &content), 1, 0).labels.is_some());
}

#[test]
fn images_of_folders_zips_and_shards() {
    let dir = folder();
    let at = |name: &str| dir.path().join(name);
    let mut zipped = zip::ZipWriter::new(File::create(at("images.zip")).unwrap());
    for row in 0..6 {
        let name = format!("{}/{row:03}.png", if row % 2 == 0 { "even" } else { "odd" });
        let image = png(row, 8, 6, row == 4);
        write(at("images").join(&name), &image);
        let how = if row < 3 { zip::CompressionMethod::Stored } else { zip::CompressionMethod::Deflated };
        zipped.start_file(name, zip::write::SimpleFileOptions::default().compression_method(how)).unwrap();
        zipped.write_all(&image).unwrap();
    }
    zipped.finish().unwrap();
    for source in ["images", "images.zip"] {
        let set = same(&at(source), 1, 0);
        assert_eq!(set.shape, Shape::Image { height: 6, width: 8, channels: 3 });
        assert_eq!(set.labels.as_ref().unwrap().names, ["even", "odd"]);
        same(&at(source), 2, 0);
        assert_eq!(same(&at(source), 1, 3).shape, Shape::Image { height: 3, width: 3, channels: 3 });
    }
    // Images of several sizes are one set when they are scaled.
    write(at("images/odd/007.png"), &png(7, 20, 31, false));
    assert!(message(&at("images")).contains("31 high where the first image is 8 pixels wide and 6 high"));
    assert_eq!(same(&at("images"), 1, 4).len(), 7);

    // Shards are one set, in the order of their names.
    let part = |rows: usize, first: usize| {
        let values: Vec<u8> = bytes((first + rows) * 12).split_off(first * 12);
        npz(&[
            ("x", npy("|u1", &format!("({rows}, 2, 2, 3)"), &values)),
            ("y", npy("|u1", &format!("({rows},)"), &vec![1; rows])),
        ])
    };
    write(at("shards/0.npz"), &part(2, 0));
    write(at("shards/1.npz"), &part(5, 2));
    let set = same(&at("shards"), 1, 0);
    assert_eq!((set.len(), set.labels.as_ref().unwrap().of_row.len()), (7, 7));
    let expected: Vec<u32> = bytes(84).into_iter().map(|value| f32::from(value).to_bits()).collect();
    assert_eq!(values(&set), expected);
    write(at("shards/2.npz"), &npz(&[("x", npy("|u1", "(1, 3, 3)", &bytes(9)))]));
    assert!(message(&at("shards")).contains("parts of one shape"));
}

#[test]
fn an_lmdb_file_as_lsun_has_them() {
    let dir = folder();
    let mut content = Vec::new();
    flate2::read::GzDecoder::new(&include_bytes!("data/lsun.mdb.gz")[..]).read_to_end(&mut content).unwrap();
    let path = write(dir.path().join("bedroom_lmdb/data.mdb"), &content);
    let set = same(path.parent().unwrap(), 1, 0);
    assert_eq!((set.len(), set.shape), (30, Shape::Image { height: 16, width: 16, channels: 3 }));
    // Rows follow their keys, which tests/data/make_lmdb.py made of the images' numbers.
    let mut order: Vec<usize> = (0..30).collect();
    order.sort_by_key(|image| image * 37 % 101);
    let mut row = vec![0.0; 768];
    for (index, image) in order.into_iter().enumerate() {
        set.read(index, &mut row).unwrap();
        for (at, &value) in row.iter().enumerate() {
            let (line, column, channel) = (at / 48, at / 3 % 16, at % 3);
            assert_eq!(value as usize, (7 * image + 5 * line + 3 * column + 11 * channel) % 256, "image {image}");
        }
    }
    assert_eq!(same(&path, 2, 8).shape, Shape::Image { height: 4, width: 4, channels: 3 });

    // If it is truncated, or any byte of its structure is changed, the result is an error or another set, but never a panic or an endless walk.
    for size in [1, 100, 4096, 9000] {
        assert!(message(&write(dir.path().join("cut.mdb"), &content[..size])).contains("LMDB"));
    }
    for at in (0..content.len()).filter(|at| at % 4096 < 64) {
        let mut broken = content.clone();
        broken[at] ^= 0x55;
        let _ = read(&write(dir.path().join("broken.mdb"), &broken), Load::Stream, 1, 0);
    }
}

#[test]
fn what_cannot_be_read_row_by_row_is_said() {
    let dir = folder();
    let at = |name: &str| dir.path().join(name);
    let mut compressed = Cursor::new(Vec::new());
    write_npz(&mut compressed, &[Named { name: "x", shape: &[2, 3], values: Column::Floats(&[1.0; 6]) }]).unwrap();
    assert!(message(&write(at("packed.npz"), compressed.get_ref())).contains("unpack it"));
    assert!(message(&write(at("table.csv"), b"1,2\n3,4\n")).contains("unpack it"));
    assert!(message(&write(at("short-idx3-ubyte"), &idx(0x803, &[5, 4, 6], &bytes(119)))).contains("cut short"));
    assert!(message(&write(at("short.npy"), &npy("<f4", "(5, 6)", &bytes(119)))).contains("cut short"));
    let not_finite: Vec<u8> =
        (0..6).flat_map(|value| (if value == 4 { f32::NAN } else { 1.0 }).to_le_bytes()).collect();
    assert!(message(&write(at("nan.npy"), &npy("<f4", "(3, 2)", &not_finite))).contains("row 2, value 0 is NaN"));
    write(at("images/a.png"), &png(0, 4, 4, true));
    write(at("images/b.png"), b"no image");
    assert!(message(&at("images")).contains("b.png cannot be decoded"));

    // A file that is truncated after it was opened.
    let path = write(at("later.npy"), &npy("|u1", "(5, 6)", &bytes(30)));
    let set = read(&path, Load::Stream, 1, 0).unwrap();
    fs::write(&path, b"gone").unwrap();
    let error = set.read(3, &mut [0.0; 6]).unwrap_err().to_string();
    assert!(error.contains("later.npy") && error.contains("the file ends before it"), "{error}");
}
