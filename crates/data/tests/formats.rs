//! Every format, valid and damaged.
#![allow(missing_docs)]

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

use pfgm_data::{
    DataError, Dataset, OpenOptions, Shape, Transform, Values,
    npz::{Column, Named, write_npz},
    open,
};
use proptest::prelude::*;
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn write(path: &Path, bytes: &[u8]) -> PathBuf {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
    path.to_owned()
}

fn read(path: &Path) -> Result<Dataset, DataError> {
    open(path.to_str().unwrap(), &OpenOptions::default())
}

/// Returns the error message, which names the file and is one line.
fn message(path: &Path) -> String {
    let message = read(path).expect_err("a broken file").to_string();
    assert!(message.contains(path.to_str().unwrap()) && !message.contains('\n'), "{message}");
    message
}

/// The name of each row's class.
fn classes(data: &Dataset) -> Vec<&str> {
    let labels = data.labels.as_ref().expect("labels");
    labels.of_row.iter().map(|&class| labels.names[class as usize].as_str()).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn idx(magic: u32, sizes: &[u32], payload: &[u8]) -> Vec<u8> {
    let words = std::iter::once(magic).chain(sizes.iter().copied()).flat_map(u32::to_be_bytes);
    words.chain(payload.iter().copied()).collect()
}

fn png(width: u32, height: u32, pixel: [u8; 3]) -> Vec<u8> {
    let image = image::RgbImage::from_pixel(width, height, image::Rgb(pixel));
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

#[test]
fn idx_with_and_without_gzip_and_labels() {
    let dir = folder();
    let images = idx(0x803, &[2, 2, 3], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 255]);
    let plain = write(&dir.path().join("some-images-idx3-ubyte"), &images);
    let data = read(&plain).unwrap();
    assert_eq!((data.len(), data.shape), (2, Shape::Image { height: 2, width: 3, channels: 1 }));
    assert!(data.labels.is_none());
    write(&dir.path().join("some-labels-idx1-ubyte.gz"), &gzip(&idx(0x801, &[2], &[4, 1])));
    let zipped = write(&dir.path().join("some-images-idx3-ubyte.gz"), &gzip(&images));
    let data = read(&zipped).unwrap();
    assert_eq!(classes(&data), ["4", "1"]);
    assert_eq!(data.values, Values::Bytes(vec![0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 255]));
}

#[test]
fn broken_idx_says_what_is_broken() {
    let dir = folder();
    let file = |name: &str, bytes: &[u8]| write(&dir.path().join(name), bytes);
    let whole = idx(0x803, &[2, 2, 2], &[0; 8]);
    assert!(message(&file("a-idx3-ubyte", &whole[..whole.len() - 1])).contains("cut short"));
    assert!(message(&file("b-idx3-ubyte", &whole[..10])).contains("header is cut short"));
    assert!(message(&file("c-idx3-ubyte", &idx(0x801, &[8], &[0; 8]))).contains("this is a file of labels"));
    assert!(message(&file("h-idx3-ubyte", &idx(0x0703, &[8], &[0; 8]))).contains("magic number 0x00000703"));
    assert!(message(&file("d-idx3-ubyte.gz", &gzip(&whole)[..20])).contains("gzip"));
    assert!(message(&file("e-idx3-ubyte", b"")).contains("empty"));
    assert!(message(&file("f-idx3-ubyte", &idx(0x803, &[u32::MAX; 3], &[0; 8]))).contains("cut short"));
    file("g-labels-idx1-ubyte", &idx(0x801, &[3], &[0, 1, 2]));
    let message = read(&file("g-images-idx3-ubyte", &whole)).unwrap_err().to_string();
    assert!(message.contains("3 labels for 2 rows"), "{message}");
}

#[test]
fn cifar_batches_in_folders_and_tars() {
    let record = |label: u8| -> Vec<u8> {
        let mut bytes = vec![label];
        for channel in 0..3_u8 {
            bytes.extend((0..1024).map(|pixel| (pixel % 50) as u8 + 100 * channel / 2));
        }
        bytes
    };
    let dir = folder();
    write(&dir.path().join("data_batch_1.bin"), &[record(3), record(9)].concat());
    write(&dir.path().join("data_batch_2.bin"), &record(0));
    let data = read(dir.path()).unwrap();
    assert_eq!((data.len(), data.shape), (3, Shape::Image { height: 32, width: 32, channels: 3 }));
    assert_eq!(classes(&data), ["3", "9", "0"]);
    let Values::Bytes(values) = &data.values else { panic!("bytes") };
    // The channels of the second pixel stand together.
    assert_eq!(values[3..6], [1, 51, 101]);

    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    let content = [vec![0], record(7)].concat();
    header.set_size(content.len() as u64);
    header.set_cksum();
    archive.append_data(&mut header, "cifar-100-binary/train.bin", content.as_slice()).unwrap();
    let tar = gzip(&archive.into_inner().unwrap());
    let data = read(&write(&dir.path().join("cifar-100-binary.tar.gz"), &tar)).unwrap();
    assert_eq!(classes(&data), ["7"]);

    let cut = write(&dir.path().join("test_batch.bin"), &record(1)[..3000]);
    assert!(message(&cut).contains("3073"));
}

#[test]
fn folders_of_images_take_classes_from_their_names() {
    let dir = folder();
    for (name, pixel) in [("cat/1.png", [9, 0, 0]), ("cat/2.png", [8, 0, 0]), ("dog/1.png", [0, 7, 0])] {
        write(&dir.path().join(name), &png(4, 2, pixel));
    }
    let data = read(dir.path()).unwrap();
    assert_eq!((data.len(), data.shape), (3, Shape::Image { height: 2, width: 4, channels: 3 }));
    let labels = data.labels.unwrap();
    assert_eq!((labels.of_row, labels.names), (vec![0, 0, 1], vec!["cat".to_owned(), "dog".to_owned()]));

    write(&dir.path().join("dog/2.png"), &png(5, 2, [0, 0, 0]));
    let error = message(dir.path());
    assert!(error.contains("dog/2.png") && error.contains("5 pixels wide"), "{error}");
    fs::write(dir.path().join("dog/2.png"), b"not a picture").unwrap();
    assert!(message(dir.path()).contains("dog/2.png cannot be decoded"));

    let empty = folder();
    assert!(message(empty.path()).contains("empty"));
    let grey = folder();
    let image = image::GrayImage::from_pixel(3, 3, image::Luma([200]));
    image.save(grey.path().join("a.png")).unwrap();
    let data = read(grey.path()).unwrap();
    assert_eq!(data.shape, Shape::Image { height: 3, width: 3, channels: 1 });
    assert!(data.labels.is_none());
}

#[test]
fn zips_take_classes_from_dataset_json() {
    let make = |json: Option<&str>| -> Vec<u8> {
        let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default();
        for (name, pixel) in [("00000/img0.png", [1, 2, 3]), ("00000/img1.png", [4, 5, 6])] {
            archive.start_file(name, options).unwrap();
            archive.write_all(&png(2, 2, pixel)).unwrap();
        }
        if let Some(json) = json {
            archive.start_file("dataset.json", options).unwrap();
            archive.write_all(json.as_bytes()).unwrap();
        }
        archive.finish().unwrap().into_inner()
    };
    let dir = folder();
    let file = |name: &str, bytes: &[u8]| write(&dir.path().join(name), bytes);
    let labeled = make(Some(r#"{"labels": [["00000/img1.png", 0], ["00000/img0.png", 6]]}"#));
    let data = read(&file("a.zip", &labeled)).unwrap();
    assert_eq!(classes(&data), ["6", "0"]);
    assert_eq!(data.values, Values::Bytes([[1, 2, 3].repeat(4), [4, 5, 6].repeat(4)].concat()));
    assert!(read(&file("b.zip", &make(Some(r#"{"labels": null}"#)))).unwrap().labels.is_none());
    assert!(read(&file("c.zip", &make(None))).unwrap().labels.is_none());
    assert!(message(&file("d.zip", &labeled[..labeled.len() / 2])).contains("damaged"));
    let partial = make(Some(r#"{"labels": [["00000/img1.png", 0]]}"#));
    assert!(message(&file("e.zip", &partial)).contains("00000/img0.png"));
}

#[test]
fn tables_with_headers_columns_and_classes() {
    let dir = folder();
    let table = "alcohol;pH;quality\n9.5;3.1;5\n10;3.3;6\n11.5;2.9;5\n";
    let path = write(&dir.path().join("wine.csv"), table.as_bytes());
    let data = read(&path).unwrap();
    assert_eq!((data.len(), data.shape), (3, Shape::Vector { len: 3 }));
    assert_eq!(data.columns, ["alcohol", "pH", "quality"]);
    let options = OpenOptions { label: Some("quality".into()), ..OpenOptions::default() };
    let data = open(path.to_str().unwrap(), &options).unwrap();
    assert_eq!(data.columns, ["alcohol", "pH"]);
    let labels = data.labels.unwrap();
    assert_eq!((labels.of_row, labels.names), (vec![0, 1, 0], vec!["5".to_owned(), "6".to_owned()]));
    let options = OpenOptions { columns: vec!["pH".into(), "1".into()], ..OpenOptions::default() };
    let data = open(path.to_str().unwrap(), &options).unwrap();
    assert_eq!(data.values, Values::Floats(vec![3.1, 9.5, 3.3, 10.0, 2.9, 11.5]));
    let options = OpenOptions { columns: vec!["ph".into()], ..OpenOptions::default() };
    let error = open(path.to_str().unwrap(), &options).unwrap_err().to_string();
    assert!(error.contains("no column `ph`") && error.contains("alcohol, pH"), "{error}");

    let bare = write(&dir.path().join("bare.csv.gz"), &gzip(b"1,2\n3,4\n"));
    assert_eq!(read(&bare).unwrap().columns, ["1", "2"]);
    for cell in ["NaN", "", "n/a", "inf"] {
        let path = write(&dir.path().join("gap.csv"), format!("a,b\n1,2\n3,{cell}\n").as_bytes());
        let error = message(&path);
        assert!(error.contains("line 3") && error.contains("column b"), "{error}");
    }
    let ragged = write(&dir.path().join("ragged.csv"), b"a,b\n1,2\n3\n");
    assert!(message(&ragged).contains("fields"));
    assert!(message(&write(&dir.path().join("none.csv"), b"a,b\n")).contains("empty"));
}

#[test]
fn arrays_go_out_and_come_back() {
    let dir = folder();
    let path = dir.path().join("x.npz");
    let values: Vec<f32> = (0..24).map(|v| v as f32 / 4.0).collect();
    let arrays = [
        Named { name: "x", shape: &[2, 3, 4], values: Column::Floats(&values) },
        Named { name: "labels", shape: &[2], values: Column::Integers(&[1, 0]) },
    ];
    write_npz(File::create(&path).unwrap(), &arrays).unwrap();
    let data = read(&path).unwrap();
    assert_eq!(data.shape, Shape::Image { height: 3, width: 4, channels: 1 });
    assert_eq!(data.values, Values::Floats(values));
    assert_eq!(data.labels.unwrap().of_row, [1, 0]);

    // Planes of channels are put together.
    let planes: Vec<u8> = (0..30).collect();
    let arrays = [Named { name: "images", shape: &[1, 2, 3, 5], values: Column::Bytes(&planes) }];
    write_npz(File::create(&path).unwrap(), &arrays).unwrap();
    let data = read(&path).unwrap();
    assert_eq!(data.shape, Shape::Image { height: 3, width: 5, channels: 2 });
    let Values::Bytes(values) = data.values else { panic!("bytes") };
    assert_eq!(values[..4], [0, 15, 1, 16]);

    let arrays = [Named { name: "x", shape: &[2, 2], values: Column::Floats(&[1.0, 2.0, f32::NAN, 4.0]) }];
    write_npz(File::create(&path).unwrap(), &arrays).unwrap();
    assert!(message(&path).contains("row 1, value 0 is NaN"));
    let other = |name| Named { name, shape: &[2, 2], values: Column::Floats(&[1.0, 2.0, 3.0, 4.0]) };
    write_npz(File::create(&path).unwrap(), &[other("one"), other("two")]).unwrap();
    assert!(message(&path).contains("several arrays may be the data: one (2x2), two (2x2)"));
    let options = OpenOptions { array: Some("two".into()), ..OpenOptions::default() };
    assert_eq!(open(path.to_str().unwrap(), &options).unwrap().len(), 2);
}

#[test]
fn what_is_not_there_or_not_known_is_said() {
    let dir = folder();
    let missing = dir.path().join("missing");
    assert!(message(&missing).contains("built-in data set: digits, heart"));
    let unknown = write(&dir.path().join("notes.txt"), b"\x00\x00hello");
    assert!(message(&unknown).contains("not a format known here"));
}

#[test]
fn transforms_go_there_and_back() {
    let digits = open("digits", &OpenOptions::default()).unwrap();
    let transform = Transform::fit(&digits).unwrap();
    let mut row = [0.0; 64];
    digits.read(5, &mut row).unwrap();
    let original = row;
    transform.forward(&mut row);
    assert!(row.iter().all(|v| (-1.0..=1.0).contains(v)) && row.contains(&-1.0));
    transform.inverse(&mut row);
    assert_eq!(row, original);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    /// For every content of a file, reading it returns a data set or an error and does not panic.
    #[test]
    fn no_bytes_make_a_reader_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        name in prop::sample::select(vec!["a-idx3-ubyte", "a.gz", "test.bin", "a.npy", "a.npz", "a.zip", "a.tar", "a.csv"]),
        start in prop::sample::select(vec![&b""[..], b"PK\x03\x04", b"\x93NUMPY\x01\x00", b"\x00\x00\x08\x03", b"\x1f\x8b\x08"]),
    ) {
        let dir = folder();
        let path = write(&dir.path().join(name), &[start, &bytes].concat());
        if let Err(error) = read(&path) {
            prop_assert!(error.to_string().contains(path.to_str().unwrap()));
        }
    }
}

#[test]
fn images_of_floats_keep_their_values() {
    let folder = tempfile::tempdir().unwrap();
    for (name, shift) in [("a.tif", 0.0_f32), ("b.tif", 5.0)] {
        let values: Vec<f32> = (0..12).map(|at| at as f32 / 7.0 - 1.0 + shift).collect();
        let file = std::fs::File::create(folder.path().join(name)).unwrap();
        let mut encoder = tiff::encoder::TiffEncoder::new(file).unwrap();
        encoder.write_image::<tiff::encoder::colortype::Gray32Float>(4, 3, &values).unwrap();
    }
    let data = pfgm_data::open(folder.path().to_str().unwrap(), &OpenOptions::default()).unwrap();
    assert_eq!((data.len(), data.shape), (2, Shape::Image { height: 3, width: 4, channels: 1 }));
    let mut row = vec![0.0; 12];
    data.read(1, &mut row).unwrap();
    assert_eq!(row[3], 3.0 / 7.0 - 1.0 + 5.0);
    assert_eq!(data.range, (-1.0, 11.0 / 7.0 - 1.0 + 5.0));
    // One file by itself.
    let one = pfgm_data::open(folder.path().join("a.tif").to_str().unwrap(), &OpenOptions::default()).unwrap();
    assert_eq!(one.len(), 1);
}
