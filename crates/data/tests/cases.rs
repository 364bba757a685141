//! Typical inputs of users with the expected values. `tests/cases` holds the files.
#![allow(missing_docs, clippy::approx_constant)]

use std::path::{Path, PathBuf};

use pfgm_data::{
    Alpha, Classes, DataError, Dataset, Decimal, Header, Items, Notice, NumberType, OpenOptions, Shape, Transform, open,
};

fn path(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(case)
}

fn with(case: &str, options: &OpenOptions) -> Result<Dataset, DataError> {
    open(path(case).to_str().unwrap(), options)
}

fn read(case: &str) -> Dataset {
    with(case, &OpenOptions::default()).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(case: &str) -> String {
    let error = with(case, &OpenOptions::default()).expect_err("an error").to_string();
    assert!(error.contains(case.split('/').next().unwrap()) && !error.contains('\n'), "{error}");
    error
}

fn row(data: &Dataset, index: usize) -> Vec<f32> {
    let mut row = vec![0.0; data.shape.dim()];
    data.read(index, &mut row).unwrap();
    row
}

fn class_counts(data: &Dataset) -> Vec<(&str, usize)> {
    let labels = data.labels.as_ref().expect("labels");
    labels.names.iter().map(String::as_str).zip(labels.counts()).collect()
}

fn image(height: usize, width: usize, channels: usize) -> Shape {
    Shape::Image { height, width, channels }
}

fn has(data: &Dataset, is: impl Fn(&Notice) -> bool) -> bool {
    data.notices.iter().any(is)
}

#[test]
fn black_ink_on_transparency_is_visible() {
    let icons = read("alpha-black-ink/icons");
    assert!(has(&icons, |notice| matches!(notice, Notice::AlphaComposited { over, .. } if over == "white")));
    let values = icons.values().unwrap();
    assert!(values.contains(&0.0) && values.contains(&255.0));
    let black = OpenOptions { alpha: Alpha::Black, ..OpenOptions::default() };
    assert!(with("alpha-black-ink/icons", &black).unwrap().values().unwrap().iter().all(|&value| value == 0.0));
    let keep = OpenOptions { alpha: Alpha::Keep, ..OpenOptions::default() };
    assert!(matches!(with("alpha-black-ink/icons", &keep).unwrap().shape, Shape::Image { channels: 4, .. }));
    let refuse = OpenOptions { alpha: Alpha::Refuse, ..OpenOptions::default() };
    let error = with("alpha-black-ink/icons", &refuse).unwrap_err();
    assert!(matches!(error, DataError::Ambiguous { option: "alpha", .. }), "{error}");
}

#[test]
fn batches_of_the_python_version_of_cifar() {
    let cifar = read("cifar-python/cifar-10-batches-py");
    assert_eq!(cifar.shape, image(32, 32, 3));
    assert!(cifar.labels.is_some() && cifar.len() > 1);
    let one = read("cifar-python/cifar-10-batches-py/data_batch_2");
    assert_eq!(row(&cifar, cifar.len() - 1), row(&one, one.len() - 1));
}

#[test]
fn tables_with_comments_commas_and_encodings() {
    let comment = read("csv-comment-line/t.csv");
    assert_eq!(
        (comment.columns.as_slice(), row(&comment, 0)),
        (&["length".into(), "width".into()][..], vec![0.0, 0.0])
    );
    assert!(has(&comment, |notice| matches!(notice, Notice::CommentsSkipped { count: 1 })));
    let comma = read("csv-decimal-comma/t.csv");
    assert_eq!(
        (comma.columns.as_slice(), row(&comma, 0)),
        (&["length".into(), "width".into()][..], vec![-0.784, -2.498])
    );
    assert!(has(&comma, |notice| *notice == Notice::DecimalCommas));
    let error = refused("csv-decimal-comma/one.csv");
    assert!(error.contains("decimal comma") && error.contains("set decimal to comma or point"), "{error}");
    let options = OpenOptions { decimal: Decimal::Comma, ..OpenOptions::default() };
    let one = with("csv-decimal-comma/one.csv", &options).unwrap();
    assert_eq!((one.shape, row(&one, 0)), (Shape::Vector { len: 1 }, vec![3.14]));
    let options = OpenOptions { decimal: Decimal::Point, ..OpenOptions::default() };
    assert_eq!(row(&with("csv-decimal-comma/one.csv", &options).unwrap(), 0), [3.0, 14.0]);
    let wide = read("csv-utf16/t.csv");
    assert_eq!((wide.columns.as_slice(), row(&wide, 2)), (&["a".into(), "b".into()][..], vec![2.0, 2.0]));
    assert!(has(&wide, |notice| matches!(notice, Notice::Decoded { encoding } if encoding == "UTF-16")));
}

#[test]
fn headers_and_indices_that_pandas_writes() {
    let index = read("csv-index-column/frame.csv");
    assert_eq!(
        (index.columns.as_slice(), row(&index, 0)),
        (&["length".into(), "width".into()][..], vec![-1.179, 1.852])
    );
    assert!(has(&index, |notice| matches!(notice, Notice::ColumnSkipped { .. })));
    let numeric = read("csv-numeric-header/frame.csv");
    assert_eq!((numeric.len(), row(&numeric, 0)), (24, vec![99.348, 99.825, 101.664]));
    assert!(has(&numeric, |notice| matches!(notice, Notice::HeaderTaken { .. })));
    let options = OpenOptions { header: Header::No, ..OpenOptions::default() };
    assert_eq!(with("csv-numeric-header/frame.csv", &options).unwrap().len(), 25);
}

#[test]
fn coordinates_keep_their_millimeters() {
    let points = read("csv-utm/points.csv");
    let text = std::fs::read_to_string(path("csv-utm/points.csv")).unwrap();
    let expected: Vec<Vec<f64>> =
        text.lines().skip(1).map(|line| line.split(',').map(|cell| cell.parse().unwrap()).collect()).collect();
    let transform = Transform::fit(&points).unwrap();
    let mut wide = [0.0; 2];
    for (index, expected) in expected.iter().enumerate() {
        points.read_wide(index, &mut wide).unwrap();
        assert!(wide.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5), "{wide:?} for {expected:?}");
        let mut model = [0.0; 2];
        points.read_transformed(index, &transform, &mut model).unwrap();
        let back = transform.inverse_wide(&model);
        assert!(back.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5), "{back:?} for {expected:?}");
    }
    let mean = expected.iter().map(|row| row[1]).sum::<f64>() / expected.len() as f64;
    assert!((transform.offset[1] - mean).abs() < 1e-6);
}

#[test]
fn a_column_that_never_changes_keeps_its_unit() {
    let sensors = read("csv-constant-column/sensors.csv");
    assert!(has(&sensors, |notice| matches!(notice, Notice::ConstantColumns { names } if names == &["a"])));
    assert_eq!(Transform::fit(&sensors).unwrap().scale[0], 1.0);
}

#[test]
fn the_class_of_a_table_has_the_name_of_its_column() {
    let options = OpenOptions { label: Some("kind".into()), ..OpenOptions::default() };
    let table = with("csv-class-lost/t.csv", &options).unwrap();
    assert_eq!((table.label_column.as_deref(), table.columns.as_slice()), (Some("kind"), &["n".into()][..]));
    assert_eq!(table.labels.unwrap().names, ["a", "b"]);
}

#[test]
fn photographs_stand_upright() {
    let photos = read("exif-orientation/photos");
    assert_eq!(photos.len(), 4);
    assert!(has(&photos, |notice| matches!(notice, Notice::OrientationApplied { count: 3 })));
    let Shape::Image { height, width, .. } = photos.shape else { panic!("images") };
    for index in 0..4 {
        // Red at the top for every orientation of the camera.
        let row = row(&photos, index);
        let pixel = |y: usize| &row[(y * width + width / 2) * 3..][..3];
        let (above, below) = (pixel(height / 8), pixel(height - 1 - height / 8));
        assert!(above[0] > 150.0 && above[2] < 100.0 && below[0] < 150.0, "{index}: {above:?} over {below:?}");
    }
}

#[test]
fn floats_have_the_range_that_the_rule_finds() {
    let (floats, bytes) = (read("fid-float-range/dim.npz"), read("fid-float-range/dim8.npz"));
    assert_eq!((floats.range, bytes.range), ((0.0, 1.0), (0.0, 255.0)));
    let (a, b) = (row(&floats, 0), row(&bytes, 0));
    assert!(a.iter().zip(&b).all(|(a, b)| (a - b / 255.0).abs() < 1.0 / 255.0), "the same dim image");
    assert!(has(&floats, |notice| matches!(notice, Notice::RangeFound { nominal: (0.0, 1.0), .. })));
    assert_eq!(read("scale-pm1-given-01/pm1.npz").range, (-1.0, 1.0));
    assert_eq!(read("scale-pm1-given-01/zero-one.npz").range, (0.0, 1.0));
    let options = OpenOptions { range: Some((0.0, 2.0)), ..OpenOptions::default() };
    assert_eq!(with("fid-float-range/dim.npz", &options).unwrap().range, (0.0, 2.0));
}

#[test]
fn folders_are_classes_shards_or_parts() {
    let faces = read("folders-of-a-thousand/faces");
    assert!(faces.labels.is_none() && has(&faces, |notice| matches!(notice, Notice::FoldersAsShards { .. })));
    let stray = read("folders-stray-image/pets");
    assert_eq!(class_counts(&stray), [("cats", 6), ("dogs", 6)]);
    assert!(has(&stray, |notice| matches!(notice, Notice::ImagesBesideClasses { count: 1, .. })));
    let parts = read("folders-train-test/pets");
    assert_eq!(class_counts(&parts), [("cats", 6), ("dogs", 6)]);
    assert!(has(&parts, |notice| matches!(notice, Notice::PartTaken { used, .. } if used == "train")));
    let none = OpenOptions { classes: Classes::None, ..OpenOptions::default() };
    assert!(with("folders-stray-image/pets", &none).unwrap().labels.is_none());
}

#[test]
fn gray_images_saved_as_color_match_gray_ones() {
    let seven = read("grey-as-rgb/seven");
    assert!(has(&seven, |notice| *notice == Notice::ChannelsAgree));
    let gray = seven.matching(image(8, 8, 1)).unwrap().expect("the channels agree");
    assert_eq!(row(&gray, 0), row(&seven, 0).iter().copied().step_by(3).collect::<Vec<_>>());
    assert!(gray.matching(image(8, 8, 3)).unwrap().is_some() && gray.matching(image(9, 9, 1)).unwrap().is_none());
}

#[test]
fn labels_are_not_data() {
    assert!(refused("idx-labels-as-data/train-labels-idx1-ubyte").contains("file of labels"));
}

#[test]
fn labels_of_json_may_be_floats() {
    let data = read("json-float-labels/edm.zip");
    assert_eq!(class_counts(&data).iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["0", "1", "2"]);
}

#[test]
fn a_mask_of_zeros_and_ones_has_the_range_of_one() {
    assert_eq!(read("mask-of-zeros-and-ones/mask.png").range, (0.0, 1.0));
}

#[test]
fn every_page_of_a_tiff_is_a_row() {
    let stack = read("multipage-tiff/stack.tif");
    assert_eq!(stack.len(), 5);
    assert_ne!(row(&stack, 0), row(&stack, 4));
    assert!(has(&stack, |notice| matches!(notice, Notice::PagesAsRows { rows: 5, .. })));
}

#[test]
fn arrays_in_half_precision_in_files_of_their_own_and_in_parts() {
    let half = read("npy-float16/half.npy");
    assert!(matches!(half.shape, Shape::Image { .. }));
    assert_eq!(half.number, NumberType::F16);
    let slices = read("npy-one-a-sample/slices");
    assert_eq!((slices.len(), slices.shape), (12, image(8, 8, 3)));
    let many = OpenOptions { items: Items::Many, ..OpenOptions::default() };
    assert_eq!(with("npy-one-a-sample/slices", &many).unwrap().len(), 96);
    let train = read("npy-train-and-test/set");
    let alone = read("npy-train-and-test/set/X_train.npy");
    assert_eq!((train.len(), row(&train, 0)), (alone.len(), row(&alone, 0)));
    assert!(has(&train, |notice| matches!(notice, Notice::PartTaken { skipped, .. } if skipped == &["X_test.npy"])));
}

#[test]
fn archives_of_arrays_by_many_conventions() {
    let planes = read("npz-flat-planes/train_data_batch_1.npz");
    assert_eq!(planes.shape, image(8, 8, 3));
    assert!(has(&planes, |notice| matches!(notice, Notice::RowsAsPlanes { side: 8, channels: 3 })));
    assert!(planes.labels.as_ref().is_some_and(|labels| labels.names[0] == "1"), "labels count from 1");
    for case in ["npz-labels-unseen/guided.npz", "npz-labels-unseen/target.npz"] {
        assert_eq!(class_counts(&read(case)).len(), 3, "{case}");
    }
    let letters = read("untrained-classes/letters.npz");
    assert_eq!(class_counts(&letters).iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["7", "281"]);
    assert!(has(&letters, |notice| matches!(notice, Notice::ClassesWithoutRows { count: 280, .. })));
}

#[test]
fn images_of_many_endings_and_archives() {
    let signs = read("ppm-folder/signs");
    assert_eq!(class_counts(&signs), [("00000", 6), ("00001", 6)]);
    for case in ["tar-of-images/pets.tar.gz", "zip-bzip2/pets.zip", "zip-from-a-mac/pets.zip", "zip-wrapped/pets.zip"] {
        let pets = read(case);
        assert_eq!(class_counts(&pets).iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["cats", "dogs"], "{case}");
    }
}

#[test]
fn half_a_jpeg_is_refused_by_name() {
    let error = refused("truncated-jpeg/photos");
    assert!(error.contains("1.jpg") && error.contains("cut short"), "{error}");
}

#[test]
fn twelve_bits_in_sixteen_are_told() {
    let scan = read("twelve-bit/ct");
    assert_eq!((scan.range, scan.number), ((0.0, 65535.0), NumberType::U16));
    let told = |notice: &Notice| matches!(notice, Notice::PartOfRange { observed: (_, high), nominal: (0.0, 65535.0) } if *high <= 4095.0);
    assert!(has(&scan, told), "{:?}", scan.notices);
    let options = OpenOptions { range: Some((0.0, 4095.0)), ..OpenOptions::default() };
    assert_eq!(with("twelve-bit/ct", &options).unwrap().range, (0.0, 4095.0));
}

#[test]
fn hostile_files_are_refused_at_once() {
    assert!(refused("hostile/lmdb_dag512.mdb").contains("reached twice"));
    assert!(refused("hostile/shard_3_2p62").contains("cut short"));
    refused("hostile/1_73785_y.zip");
}
