//! Parquet files as pyarrow wrote them (tests/data/make_parquet.py), and damaged ones.
#![allow(missing_docs)]

use std::{fs, path::PathBuf};

use pfgm_data::{DataError, Dataset, Limit, LimitOverrides, Notice, NumberType, OpenOptions, Shape, open};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/parquet").join(name)
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

/// The pixels of image `index` of make_parquet.py.
fn pixels(index: usize) -> Vec<f32> {
    let pixel = |y: usize, x: usize, c: usize| (10 * index + 20 * y + x + c) as f32;
    (0..4).flat_map(|y| (0..6).flat_map(move |x| (0..3).map(move |c| pixel(y, x, c)))).collect()
}

fn classes(data: &Dataset) -> Vec<&str> {
    let labels = data.labels.as_ref().expect("labels");
    labels.of_row.iter().map(|&class| labels.names[class as usize].as_str()).collect()
}

fn has(data: &Dataset, is: impl Fn(&Notice) -> bool) -> bool {
    data.notices.iter().any(is)
}

#[test]
fn a_repository_of_the_hub_is_its_training_shards_with_named_classes() {
    let hub = read("hub");
    assert_eq!((hub.len(), hub.shape), (10, Shape::Image { height: 4, width: 6, channels: 3 }));
    assert_eq!((hub.range, hub.number), ((0.0, 255.0), NumberType::U8));
    for index in 0..10 {
        assert_eq!(row(&hub, index), pixels(index), "{index}");
    }
    assert_eq!(classes(&hub)[..4], ["cat", "dog", "owl", "cat"]);
    assert!(has(
        &hub,
        |notice| matches!(notice, Notice::PartTaken { skipped, .. } if skipped[0].contains("test-00000"))
    ));
    assert!(has(&hub, |notice| *notice == Notice::FilesJoined { count: 2 }));
    assert!(has(
        &hub,
        |notice| matches!(notice, Notice::FilesSkipped { count: 1, example, .. } if example == "README.md")
    ));
    // One shard, whose class of row 0 is that of row 5 in the set.
    let shard = read("hub/data/train-00001-of-00002.parquet");
    assert_eq!((shard.len(), row(&shard, 0), classes(&shard)[0]), (5, pixels(5), "owl"));
    let streamed = OpenOptions { load: pfgm_data::Load::Stream, ..OpenOptions::default() };
    let streamed = with("hub", &streamed).unwrap();
    assert_eq!(row(&streamed, 7), pixels(7));
    let none = OpenOptions { labels: Some(String::new()), ..OpenOptions::default() };
    assert!(with("hub", &none).unwrap().labels.is_none());
}

#[test]
fn rows_without_an_image_or_a_class_are_named() {
    assert!(refused("null-image.parquet").contains("row 1 of column image is null"));
    let unlabeled = read("unlabeled.parquet");
    assert!(unlabeled.labels.is_none());
    assert!(has(&unlabeled, |notice| matches!(notice, Notice::LabelsDropped { reason, .. } if reason.contains("-1"))));
    let asked = OpenOptions { labels: Some("label".into()), ..OpenOptions::default() };
    assert!(with("unlabeled.parquet", &asked).unwrap_err().to_string().contains("-1 is not a class number"));
}

#[test]
fn columns_are_found_by_name_and_asked_for_where_names_do_not_say() {
    let bytes = read("bytes.parquet");
    assert_eq!(bytes.shape, Shape::Image { height: 4, width: 6, channels: 1 });
    assert_eq!(classes(&bytes), ["b", "a", "b", "a"]);
    assert!(has(
        &bytes,
        |notice| matches!(notice, Notice::ArraysTaken { data, ignored, .. } if data == "photo" && ignored == &["id"])
    ));
    let fine = read("fine.parquet");
    assert_eq!(classes(&fine), ["ant", "cow", "ant", "cow"]);
    assert!(has(&fine, |notice| matches!(notice, Notice::LabelsDropped { name, .. } if name == "coarse_label")));
    assert!(has(&fine, |notice| matches!(notice, Notice::ClassesWithoutRows { names, .. } if names == &["bee"])));
    let coarse = OpenOptions { labels: Some("coarse_label".into()), ..OpenOptions::default() };
    assert_eq!(classes(&with("fine.parquet", &coarse).unwrap()), ["insect", "mammal", "insect", "mammal"]);

    let error = refused("two-images.parquet");
    assert!(error.contains("left, right") && error.contains("set array to"), "{error}");
    let right = OpenOptions { array: Some("right".into()), ..OpenOptions::default() };
    assert_eq!(row(&with("two-images.parquet", &right).unwrap(), 0), pixels(3));
    let error = refused("two-labels.parquet");
    assert!(error.contains("smiling, young") && error.contains("set labels to"), "{error}");
    let young = OpenOptions { labels: Some("young".into()), ..OpenOptions::default() };
    assert_eq!(classes(&with("two-labels.parquet", &young).unwrap()), ["yes", "yes", "no"]);
    let wrong = OpenOptions { labels: Some("old".into()), ..OpenOptions::default() };
    assert!(with("two-labels.parquet", &wrong).unwrap_err().to_string().contains("there are image, smiling, young"));
}

#[test]
fn tables_are_the_same_however_they_were_written() {
    for name in ["snappy", "gzip-v2", "zstd", "lz4", "none", "encodings"] {
        let name = format!("table-{name}.parquet");
        let options = OpenOptions { label: Some("kind".into()), ..OpenOptions::default() };
        let table = with(&name, &options).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(table.columns, ["whole", "half", "small", "single", "flag", "money"], "{name}");
        assert_eq!((table.len(), table.label_column.as_deref()), (40, Some("kind")));
        assert_eq!(table.whole_columns, [true, false, true, false, true, false]);
        for index in 0..40_usize {
            let i = index as f32;
            let expected =
                [i, i / 2.0, (index % 3) as f32 - 1.0, i / 4.0, f32::from(u8::from(index % 4 == 0)), i / 4.0 - 0.5];
            assert_eq!(row(&table, index), expected, "{name}");
            assert_eq!(classes(&table)[index], ["x", "y", "z"][index % 3], "{name}");
        }
        let without = with(&name, &OpenOptions::default()).unwrap();
        assert!(has(&without, |notice| matches!(notice, Notice::ColumnSkipped { name, .. } if name == "kind")));
    }
    let two = OpenOptions { columns: vec!["money".into(), "1".into()], ..OpenOptions::default() };
    assert_eq!(row(&with("table-snappy.parquet", &two).unwrap(), 3), [0.25, 3.0]);
    let text = OpenOptions { columns: vec!["kind".into()], ..OpenOptions::default() };
    assert!(with("table-snappy.parquet", &text).unwrap_err().to_string().contains("does not hold numbers"));
}

#[test]
fn what_is_no_number_is_named_by_row_and_column() {
    assert!(refused("null.parquet").contains("row 2, column a is null"));
    assert!(refused("nan.parquet").contains("row 1, column b is NaN"));
    assert!(refused("empty.parquet").contains("empty"));
    let dates = read("dates.parquet");
    assert_eq!(dates.columns, ["a"]);
    assert!(has(
        &dates,
        |notice| matches!(notice, Notice::ColumnSkipped { name, reason } if name == "day" && reason.contains("dates"))
    ));
    assert!(refused("table-brotli.parquet").contains("Brotli"));
    let label = OpenOptions { label: Some("t".into()), ..OpenOptions::default() };
    assert!(with("table-delta-bytes.parquet", &label).unwrap_err().to_string().contains("write it again"));
}

#[test]
fn lists_are_vectors_or_images() {
    let vectors = read("vectors.parquet");
    assert_eq!((vectors.shape, row(&vectors, 3)), (Shape::Vector { len: 3 }, vec![3.0, 3.5, -3.0]));
    assert_eq!(classes(&vectors), ["0", "1", "1", "0"]);
    let images = read("array2d.parquet");
    assert_eq!((images.shape, images.number), (Shape::Image { height: 2, width: 3, channels: 1 }, NumberType::U8));
    assert_eq!(row(&images, 2), [20.0, 21.0, 22.0, 23.0, 24.0, 25.0]);
    assert!(refused("ragged.parquet").contains("differ in length"));
    assert!(refused("lists-and-numbers.parquet").contains("set array to"));
}

#[test]
fn sizes_are_compared_with_limits_before_anything_expands() {
    let small = LimitOverrides::default().with(Limit::Expanded, 1 << 20);
    let options = OpenOptions { limits: small, ..OpenOptions::default() };
    let error = with("bomb.parquet", &options).unwrap_err();
    assert!(matches!(error, DataError::TooLarge { limit: Limit::Expanded, .. }), "{error}");
    assert!(error.to_string().contains("set limits to expanded="), "{error}");
    // Twenty million rows in some kilobytes.
    let zeros = with("zeros.parquet", &OpenOptions::default()).unwrap_err();
    assert!(matches!(zeros, DataError::TooLarge { limit: Limit::Rows, .. }), "{zeros}");
    let few = LimitOverrides::default().with(Limit::Entries, 9);
    let options = OpenOptions { limits: few, ..OpenOptions::default() };
    assert!(matches!(with("hub", &options), Err(DataError::TooLarge { limit: Limit::Entries, need: 10, .. })));
}

#[test]
fn files_in_several_folders_are_asked_about() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["small/train.parquet", "large/train.parquet"] {
        fs::create_dir_all(folder.path().join(name).parent().unwrap()).unwrap();
        fs::copy(path("vectors.parquet"), folder.path().join(name)).unwrap();
    }
    let error = open(folder.path().to_str().unwrap(), &OpenOptions::default()).unwrap_err().to_string();
    assert!(error.contains("several folders (large, small)"), "{error}");
}

/// Damaged files are refused by name, or read; a reader neither panics nor takes what a damaged size asks for.
#[test]
fn damaged_files_are_refused() {
    let names =
        ["bytes.parquet", "table-none.parquet", "table-zstd.parquet", "table-encodings.parquet", "array2d.parquet"];
    let folder = tempfile::tempdir().unwrap();
    for (seed, name) in names.into_iter().enumerate() {
        let whole = fs::read(path(name)).unwrap();
        let file = folder.path().join(name);
        let check = |bytes: &[u8]| {
            fs::write(&file, bytes).unwrap();
            let label = (name != "array2d.parquet").then(|| if name == "bytes.parquet" { "label" } else { "kind" });
            let options = OpenOptions { label: label.map(str::to_owned), ..OpenOptions::default() };
            match open(file.to_str().unwrap(), &options) {
                Ok(set) => drop(set.values()),
                Err(error) => assert!(error.to_string().contains(name), "{error}"),
            }
        };
        for length in (0..whole.len()).step_by(7) {
            check(&whole[..length]);
        }
        let mut random = ChaCha8Rng::seed_from_u64(seed as u64);
        for _ in 0..150 {
            let mut bytes = whole.clone();
            for _ in 0..random.random_range(1..6) {
                let at = random.random_range(0..bytes.len());
                bytes[at] = random.random();
            }
            check(&bytes);
        }
    }
}
