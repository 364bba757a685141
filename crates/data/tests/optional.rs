//! Formats behind features: DICOM and HDF5, as pydicom and h5py wrote them (tests/data/make_optional.py), and damaged ones.
#![allow(missing_docs)]

use std::{fs, path::PathBuf};

use pfgm_data::{DataError, Dataset, Limit, Notice, NumberType, OpenOptions, Shape, open};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const GRAY: Shape = Shape::Image { height: 4, width: 5, channels: 1 };

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/optional").join(name)
}

fn with(name: &str, options: &OpenOptions) -> Result<Dataset, DataError> {
    open(path(name).to_str().unwrap(), options)
}

fn read(name: &str) -> Dataset {
    with(name, &OpenOptions::default()).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(name: &str) -> String {
    let error = with(name, &OpenOptions::default()).expect_err("an error").to_string();
    assert!(error.contains(name.split('/').next().unwrap()) && !error.contains('\n'), "{error}");
    error
}

fn row(data: &Dataset, index: usize) -> Vec<f32> {
    let mut row = vec![0.0; data.shape.dim()];
    data.read(index, &mut row).unwrap();
    row
}

/// Stored pixels of frame `index` of make_optional.py, changed by a function.
fn pixels(index: usize, change: impl Fn(f32) -> f32) -> Vec<f32> {
    (0..4).flat_map(|y| (0..5).map(move |x| (100 * index + 10 * y + x) as f32)).map(change).collect()
}

fn says(data: &Dataset, words: &str) -> bool {
    data.notices.iter().any(|notice| notice.to_string().contains(words))
}

#[test]
fn a_slice_is_in_the_units_of_its_header() {
    let ct = read("ct.dcm");
    assert_eq!((ct.len(), ct.shape, ct.number), (1, GRAY, NumberType::I16));
    assert_eq!(row(&ct, 0), pixels(2, |stored| stored - 1024.0));
    // What twelve bits can stand for.
    assert_eq!(ct.range, (-1024.0, 3071.0));
    assert!(says(&ct, "values are in HU: 1 times those of the file plus -1024"), "{:?}", ct.notices);
    assert!(says(&ct, "window (center 40, width 400) is for screens and is not applied"));
    let half = read("half.dcm");
    assert_eq!((row(&half, 0), half.number), (pixels(1, |stored| stored / 2.0 - 3.0), NumberType::F32));
    let signed = read("signed.dcm");
    assert_eq!((row(&signed, 0), signed.range), (pixels(0, |stored| stored - 20.0), (-32768.0, 32767.0)));
    let range = OpenOptions { range: Some((-1000.0, 1000.0)), ..OpenOptions::default() };
    assert_eq!(with("ct.dcm", &range).unwrap().range, (-1000.0, 1000.0));
}

#[test]
fn inverted_files_are_turned_and_it_is_said() {
    let inverted = read("inverted.dcm");
    assert_eq!(row(&inverted, 0), pixels(1, |stored| 1023.0 - stored));
    assert!(says(&inverted, "MONOCHROME1"));
}

#[test]
fn frames_and_files_are_rows() {
    let frames = read("frames.dcm");
    assert_eq!((frames.len(), row(&frames, 2)), (3, pixels(2, |stored| stored)));
    assert_eq!(row(&read("rle.dcm"), 0), pixels(3, |stored| stored));
    assert_eq!(row(&read("jpeg.dcm"), 0), [77.0; 20]);
    let series = read("series");
    assert_eq!((series.len(), row(&series, 1)), (3, pixels(1, |stored| stored - 1024.0)));
    assert!(
        series.labels.is_none() && !series.notices.iter().any(|notice| matches!(notice, Notice::FilesSkipped { .. }))
    );
    let classes = read("classes");
    let labels = classes.labels.as_ref().unwrap();
    assert_eq!(
        (labels.of_row.as_slice(), labels.names.as_slice()),
        (&[0, 0, 1][..], &["benign".into(), "malign".into()][..])
    );
}

#[test]
fn colors_of_both_orders_are_read_and_palettes_are_not() {
    let expected: Vec<f32> = pixels(0, |v| v).into_iter().flat_map(|v| [v, v + 50.0, v + 100.0]).collect();
    for name in ["color.dcm", "planes.dcm", "rle-color.dcm"] {
        let color = read(name);
        assert_eq!((color.shape, color.number), (Shape::Image { height: 4, width: 5, channels: 3 }, NumberType::U8));
        assert_eq!(row(&color, 0), expected, "{name}");
    }
    assert!(refused("palette.dcm").contains("PALETTE COLOR"));
}

#[test]
fn arrays_of_hdf5_are_chosen_as_those_of_npz() {
    let digits = read("digits.h5");
    assert_eq!((digits.len(), digits.shape, digits.number), (2, GRAY, NumberType::U8));
    assert_eq!((row(&digits, 1), digits.labels.as_ref().unwrap().of_row.clone()), (pixels(1, |v| v), vec![1, 0]));
    assert!(says(&digits, "not used: notes"), "{:?}", digits.notices);
    let error = refused("groups.h5");
    assert!(error.contains("train/data (6x4)") && error.contains("set array to"), "{error}");
    let train =
        OpenOptions { array: Some("train/data".into()), labels: Some("train/kind".into()), ..OpenOptions::default() };
    let train = with("groups.h5", &train).unwrap();
    assert_eq!((train.number, row(&train, 2)), (NumberType::F64, vec![8.0, 9.0, 10.0, 11.0]));
    assert_eq!(train.labels.unwrap().names, ["a", "b"]);
    let flags = OpenOptions { array: Some("train/flags".into()), ..OpenOptions::default() };
    let flags = with("groups.h5", &flags).unwrap();
    assert_eq!((flags.number, row(&flags, 0)), (NumberType::Bool, vec![1.0, 0.0]));
    let error = with("bomb.h5", &OpenOptions::default()).unwrap_err();
    assert!(matches!(error, DataError::TooLarge { limit: Limit::Expanded, .. }), "{error}");
}

#[test]
fn images_of_matlab_come_row_by_row() {
    let images = read("new.mat");
    assert_eq!((images.len(), images.shape), (6, Shape::Image { height: 4, width: 5, channels: 3 }));
    // Value of image n, channel c, column x, line y: y is the fastest, then x, c, n.
    let value = |n: usize, y: usize, x: usize, c: usize| ((((n * 3 + c) * 5 + x) * 4 + y) % 256) as f32;
    let expected: Vec<f32> =
        (0..4).flat_map(|y| (0..5).flat_map(move |x| (0..3).map(move |c| value(5, y, x, c)))).collect();
    assert_eq!(row(&images, 5), expected);
}

/// Damaged files are refused by name, or read; a reader neither panics nor hangs.
#[test]
fn damaged_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (seed, name) in ["ct.dcm", "rle.dcm", "jpeg.dcm", "digits.h5", "groups.h5", "new.mat"].into_iter().enumerate() {
        let whole = fs::read(path(name)).unwrap();
        let file = folder.path().join(name);
        let check = |bytes: &[u8]| {
            fs::write(&file, bytes).unwrap();
            let array = (name == "groups.h5").then(|| "train/data".to_owned());
            let options = OpenOptions { array, ..OpenOptions::default() };
            match open(file.to_str().unwrap(), &options) {
                Ok(set) => drop(set.values()),
                Err(error) => assert!(error.to_string().contains(name), "{error}"),
            }
        };
        for length in (0..whole.len()).step_by(1 + whole.len() / 100) {
            check(&whole[..length]);
        }
        let mut random = ChaCha8Rng::seed_from_u64(seed as u64);
        for _ in 0..100 {
            let mut bytes = whole.clone();
            for _ in 0..random.random_range(1..6) {
                let at = random.random_range(0..bytes.len());
                bytes[at] = random.random();
            }
            check(&bytes);
        }
    }
}
