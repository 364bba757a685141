//! Inputs of the same kinds as those in `tests/cases`, generated here: every convention with the expected value.
#![allow(missing_docs)]

use std::{
    fs,
    io::{Cursor, Write},
    path::{Path, PathBuf},
};

use image::{DynamicImage, GrayImage, ImageFormat, Luma, LumaA, RgbImage};
use pfgm_data::{
    Alpha, Classes, Dataset, Decimal, Items, Notice, NumberType, OpenOptions, Shape,
    npz::{Column, Named, write_npz},
    open,
};
use tempfile::TempDir;

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        fs::create_dir_all(self.at(name).parent().unwrap()).unwrap();
        fs::write(self.at(name), bytes).unwrap();
        self.at(name)
    }
}

fn read(path: &Path) -> Dataset {
    with(path, OpenOptions::default())
}

fn with(path: &Path, options: OpenOptions) -> Dataset {
    open(path.to_str().unwrap(), &options).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(path: &Path) -> String {
    open(path.to_str().unwrap(), &OpenOptions::default()).expect_err("an error").to_string()
}

fn row(data: &Dataset, index: usize) -> Vec<f32> {
    let mut row = vec![0.0; data.shape.dim()];
    data.read(index, &mut row).unwrap();
    row
}

fn classes(data: &Dataset) -> Vec<&str> {
    let labels = data.labels.as_ref().expect("labels");
    labels.of_row.iter().map(|&class| labels.names[class as usize].as_str()).collect()
}

fn encode(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn gray(value: u8) -> Vec<u8> {
    encode(GrayImage::from_fn(5, 6, |x, y| Luma([value.wrapping_add((x * 40 + y) as u8)])), ImageFormat::Png)
}

fn npy(description: &str, fortran: bool, shape: &str, payload: &[u8]) -> Vec<u8> {
    let fortran = if fortran { "True" } else { "False" };
    let header = format!("{{'descr': '{description}', 'fortran_order': {fortran}, 'shape': {shape}, }}");
    let header = format!("{header:<117}\n");
    [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), payload].concat()
}

fn npz(arrays: &[Named]) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    write_npz(&mut bytes, arrays).unwrap();
    bytes.into_inner()
}

fn zip_of(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        archive.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(content).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

fn idx(kind: u8, sizes: &[u32], payload: &[u8]) -> Vec<u8> {
    let mark = [0, 0, kind, sizes.len() as u8];
    mark.into_iter().chain(sizes.iter().copied().flat_map(u32::to_be_bytes)).chain(payload.iter().copied()).collect()
}

#[test]
fn white_ink_is_seen_on_black() {
    let folder = Folder::new();
    let ink = image::GrayAlphaImage::from_fn(4, 4, |x, _| LumaA([255, if x < 2 { 0 } else { 255 }]));
    let path = folder.write("icons/a.png", &encode(ink, ImageFormat::Png));
    let set = read(path.parent().unwrap());
    assert!(set.notices.iter().any(|notice| matches!(notice, Notice::AlphaComposited { over, .. } if over == "black")));
    assert_eq!(row(&set, 0)[..4], [0.0, 0.0, 255.0, 255.0]);
    let white = with(path.parent().unwrap(), OpenOptions { alpha: Alpha::White, ..OpenOptions::default() });
    assert_eq!(row(&white, 0), [255.0; 16]);
}

#[test]
fn images_that_are_cut_short_are_named() {
    let folder = Folder::new();
    let image = RgbImage::from_fn(40, 40, |x, y| image::Rgb([(x * y) as u8, (x * 31) as u8, (y * 17) as u8]));
    for (format, ending) in [
        (ImageFormat::Png, "png"),
        (ImageFormat::Jpeg, "jpg"),
        (ImageFormat::Bmp, "bmp"),
        (ImageFormat::Gif, "gif"),
        (ImageFormat::WebP, "webp"),
        (ImageFormat::Tiff, "tif"),
        (ImageFormat::Pnm, "ppm"),
    ] {
        let whole = encode(image.clone(), format);
        let set = folder.at(ending);
        folder.write(&format!("{ending}/good.{ending}"), &whole);
        assert_eq!(read(&set).len(), 1, "{ending}");
        folder.write(&format!("{ending}/half.{ending}"), &whole[..whole.len() / 2]);
        assert!(refused(&set).contains(&format!("half.{ending}")), "{ending}: {}", refused(&set));
    }
}

#[test]
fn formats_that_are_not_read_say_how_to_convert_them() {
    let folder = Folder::new();
    for (name, bytes, word) in [
        ("a.avif", &b"\0\0\0\x1cftypavif\0\0\0\0"[..], "AVIF"),
        ("a.heic", b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC"),
        ("a.h5", b"\x89HDF\r\n\x1a\n", "HDF5"),
        ("a.dcm", &[&[0; 128][..], b"DICM"].concat(), "DICOM"),
        ("a.parquet", b"PAR1....", "Parquet"),
        ("a.xlsx", &zip_of(&[("xl/workbook.xml", vec![1])]), "Excel"),
        ("a.pt", &zip_of(&[("archive/data.pkl", vec![1])]), "PyTorch"),
        ("a.7z", b"7z\xbc\xaf\x27\x1c", "7z"),
        ("a.mat", b"MATLAB 7.3 MAT-file, Platform: GLNXA64", "7.3"),
    ] {
        // With their features, these are read: tests/optional.rs.
        let feature = match name {
            "a.h5" | "a.mat" => Some(("hdf5", cfg!(feature = "hdf5"))),
            "a.dcm" => Some(("dicom", cfg!(feature = "dicom"))),
            _ => None,
        };
        if feature.is_some_and(|(_, is_on)| is_on) {
            continue;
        }
        let error = refused(&folder.write(name, bytes));
        assert!(error.contains(word) && !error.contains('\n'), "{name}: {error}");
        if let Some((feature, _)) = feature {
            assert!(error.contains("python") && error.contains(&format!("--features {feature}")), "{error}");
        }
    }
}

#[test]
fn arrays_of_every_type_and_order() {
    let folder = Folder::new();
    // Fortran's order: the first index is the fastest.
    let values: Vec<u8> = [1.0_f64, 4.0, 2.0, 5.0, 3.0, 6.0].into_iter().flat_map(f64::to_le_bytes).collect();
    let set = read(&folder.write("f.npy", &npy("<f8", true, "(2, 3)", &values)));
    assert_eq!((row(&set, 0), row(&set, 1)), (vec![1.0, 2.0, 3.0], vec![4.0, 5.0, 6.0]));
    let values: Vec<u8> = [1_i32, -2, 3, 4].into_iter().flat_map(i32::to_be_bytes).collect();
    let set = read(&folder.write("b.npy", &npy(">i4", false, "(2L, 2L)", &values)));
    assert_eq!((row(&set, 0), set.number), (vec![1.0, -2.0], NumberType::I32));
    let set = read(&folder.write("bool.npy", &npy("|b1", false, "(2, 2, 2)", &[0, 1, 1, 0, 1, 1, 0, 0])));
    assert_eq!((set.range, row(&set, 0)), ((0.0, 1.0), vec![0.0, 1.0, 1.0, 0.0]));
    let set = read(&folder.write("column.npy", &npy("<f4", false, "(3,)", &[0; 12])));
    assert_eq!(set.shape, Shape::Vector { len: 1 });
    assert!(refused(&folder.write("object.npy", &npy("|O", false, "(2,)", b"abc"))).contains("Python objects"));
}

#[test]
fn archives_as_libraries_publish_them() {
    let folder = Folder::new();
    let images: Vec<u8> = (0..2 * 25).map(|value| value as u8 * 5).collect();
    let more = vec![9; 3 * 25];
    // Keras: x_train, y_train, x_test, y_test.
    let keras = npz(&[
        Named { name: "x_test", shape: &[3, 5, 5], values: Column::Bytes(&more) },
        Named { name: "x_train", shape: &[2, 5, 5], values: Column::Bytes(&images) },
        Named { name: "y_train", shape: &[2], values: Column::Integers(&[3, 8]) },
        Named { name: "y_test", shape: &[3], values: Column::Integers(&[0, 0, 0]) },
    ]);
    let set = read(&folder.write("mnist.npz", &keras));
    assert_eq!((set.len(), classes(&set)), (2, vec!["3", "8"]));
    let ignored =
        |notice: &Notice| matches!(notice, Notice::ArraysTaken { ignored, .. } if ignored == &["x_test", "y_test"]);
    assert!(set.notices.iter().any(ignored), "{:?}", set.notices);
    // MedMNIST: labels of shape [n, 1].
    let medical = npz(&[
        Named { name: "train_images", shape: &[2, 5, 5], values: Column::Bytes(&images) },
        Named { name: "train_labels", shape: &[2, 1], values: Column::Bytes(&[1, 0]) },
        Named { name: "val_images", shape: &[3, 5, 5], values: Column::Bytes(&more) },
    ]);
    let set = read(&folder.write("pathmnist.npz", &medical));
    assert_eq!(classes(&set), ["1", "0"]);
    // Several findings per image are not classes, and a notice says so.
    let several = npz(&[
        Named { name: "train_images", shape: &[2, 5, 5], values: Column::Bytes(&images) },
        Named { name: "train_labels", shape: &[2, 3], values: Column::Bytes(&[1, 0, 1, 0, 0, 0]) },
    ]);
    let set = read(&folder.write("chestmnist.npz", &several));
    assert!(set.labels.is_none());
    assert!(set.notices.iter().any(|notice| matches!(notice, Notice::LabelsDropped { .. })));
    let one_hot = npz(&[
        Named { name: "X", shape: &[2, 2], values: Column::Floats(&[0.0, 1.0, 2.0, 3.0]) },
        Named { name: "Y", shape: &[2, 3], values: Column::Bytes(&[0, 0, 1, 1, 0, 0]) },
    ]);
    assert_eq!(classes(&read(&folder.write("onehot.npz", &one_hot))), ["2", "0"]);
    let targets = npz(&[
        Named { name: "x", shape: &[2, 2], values: Column::Floats(&[0.0, 1.0, 2.0, 3.0]) },
        Named { name: "y", shape: &[2], values: Column::Floats(&[0.37, 1.5]) },
    ]);
    assert!(read(&folder.write("regression.npz", &targets)).labels.is_none());
}

#[test]
fn idx_of_floats_of_color_and_of_qmnist() {
    let folder = Folder::new();
    let floats: Vec<u8> = (0..8).flat_map(|value| (value as f32 / 8.0).to_be_bytes()).collect();
    let set = read(&folder.write("a-images-idx3-float", &idx(0x0D, &[2, 2, 2], &floats)));
    assert_eq!((row(&set, 1), set.range), (vec![0.5, 0.625, 0.75, 0.875], (0.0, 1.0)));
    let set = read(&folder.write("b-images-idx4-ubyte", &idx(0x08, &[1, 2, 2, 3], &[7; 12])));
    assert_eq!(set.shape, Shape::Image { height: 2, width: 2, channels: 3 });
    let path = folder.write("qmnist-train-images-idx3-ubyte", &idx(0x08, &[2, 2, 2], &[0, 1, 2, 3, 4, 5, 6, 200]));
    let labels: Vec<u8> =
        [5, 1, 2, 3, 4, 5, 6, 7, 0, 9, 9, 9, 9, 9, 9, 9].into_iter().flat_map(i32::to_be_bytes).collect();
    folder.write("qmnist-train-labels-idx2-int", &idx(0x0C, &[2, 8], &labels));
    assert_eq!(classes(&read(&path)), ["5", "0"]);
}

#[test]
fn zips_from_every_system() {
    let folder = Folder::new();
    let backslashes = zip_of(&[("pets\\cats\\1.png", gray(1)), ("pets\\dogs\\1.png", gray(2))]);
    assert_eq!(classes(&read(&folder.write("windows.zip", &backslashes))), ["cats", "dogs"]);
    let json = br#"{"labels": [["00000/img0.png", [0.0, 1.0]], ["00000/img1.png", [1.0, 0.0]]]}"#.to_vec();
    let wrapped = zip_of(&[
        ("set/dataset.json", json),
        ("set/00000/img0.png", gray(1)),
        ("set/00000/img1.png", gray(2)),
        ("set/.hidden/x.png", gray(3)),
    ]);
    let set = read(&folder.write("edm.zip", &wrapped));
    assert_eq!((set.len(), classes(&set)), (2, vec!["1", "0"]));
    let table = zip_of(&[("readme.md", b"x".to_vec()), ("wine.csv", b"a,b\n1,2\n3,4\n".to_vec())]);
    assert_eq!(row(&read(&folder.write("wine.zip", &table)), 1), [3.0, 4.0]);
}

#[test]
fn tars_as_webdataset_shards() {
    let folder = Folder::new();
    for (shard, first) in [("0", 0), ("1", 2)] {
        let mut archive = tar::Builder::new(Vec::new());
        for item in first..first + 2 {
            for (ending, content) in [("png", gray(item)), ("cls", format!("{}\n", item % 2 * 7).into_bytes())] {
                let mut header = tar::Header::new_ustar();
                header.set_size(content.len() as u64);
                header.set_cksum();
                archive.append_data(&mut header, format!("{item:06}.{ending}"), content.as_slice()).unwrap();
            }
        }
        folder.write(&format!("shards/train-{shard}.tar"), &archive.into_inner().unwrap());
    }
    let set = read(&folder.at("shards"));
    assert_eq!((set.len(), classes(&set)), (4, vec!["0", "7", "0", "7"]));
}

#[test]
fn tables_of_every_ending() {
    let folder = Folder::new();
    let set = read(&folder.write("space.txt", b"  1.0   2.0\n  3.0  -4.5\n"));
    assert_eq!(row(&set, 1), [3.0, -4.5]);
    let iris = b"5.1,3.5,setosa\n4.9,3.0,setosa\n6.3,3.3,virginica\n\n";
    let path = folder.write("iris.data", iris);
    let set = with(&path, OpenOptions { label: Some("3".into()), ..OpenOptions::default() });
    assert_eq!((set.len(), classes(&set)), (3, vec!["setosa", "setosa", "virginica"]));
    assert!(refused(&path).contains("setosa"));
    let set = read(&folder.write("t.tsv", "länge\tbreite\n1,5\t2\n2,5\t3\n".as_bytes()));
    assert_eq!((set.columns[0].as_str(), row(&set, 0)), ("länge", vec![1.5, 2.0]));
    assert_eq!(set.whole_columns, [false, true]);
    let set = read(&folder.write("years.csv", b"name,1999,2000\n1,2,3\n4,5,6\n"));
    assert_eq!((set.columns.len(), set.len()), (3, 2));
    // Seconds since 1970 and their fractions, in double precision.
    let set = read(&folder.write("t.csv", b"t\n1700000000.125\n1700000000.25\n1700000000.5\n"));
    let mut wide = [0.0];
    set.read_wide(2, &mut wide).unwrap();
    assert!((wide[0] - 1_700_000_000.5).abs() < 1e-6, "{wide:?}");
}

#[test]
fn classes_from_files_prefixes_and_nowhere() {
    let folder = Folder::new();
    for (at, name) in ["cat_0001.png", "cat_0002.png", "dog_0001.png", "dog_0002.png"].into_iter().enumerate() {
        folder.write(&format!("pets/{name}"), &gray(at as u8));
    }
    let pets = folder.at("pets");
    assert_eq!(classes(&read(&pets)), ["cat", "cat", "dog", "dog"]);
    let none = with(&pets, OpenOptions { classes: Classes::None, ..OpenOptions::default() });
    assert!(none.labels.is_none());
    folder.write("pets/labels.csv", b"file,breed\ncat_0001.png,a\ncat_0002.png,b\ndog_0001.png,a\ndog_0002.png,c\n");
    let file = OpenOptions { classes: Classes::from("labels.csv".to_owned()), ..OpenOptions::default() };
    assert_eq!(classes(&with(&pets, file)), ["a", "b", "a", "c"]);
}

#[test]
fn animations_give_their_first_frame_and_say_so() {
    let folder = Folder::new();
    let mut bytes = Vec::new();
    let mut encoder = image::codecs::gif::GifEncoder::new(&mut bytes);
    for value in [10, 200, 250] {
        let frame = image::RgbaImage::from_pixel(4, 4, image::Rgba([value, value, value, 255]));
        encoder.encode_frame(image::Frame::new(frame)).unwrap();
    }
    drop(encoder);
    let set = read(&folder.write("a.gif", &bytes));
    assert_eq!((set.len(), row(&set, 0)[0]), (1, 10.0));
    assert!(set.notices.iter().any(|notice| matches!(notice, Notice::FramesSkipped { frames: 3, .. })));
}

#[test]
fn line_breaks_in_names_and_old_line_ends_do_not_hide_the_separator() {
    let folder = Folder::new();
    let quoted = read(&folder.write("quoted.csv", b"\"first\nname\",b\n1,2\n3,4\n"));
    assert_eq!((quoted.columns.len(), row(&quoted, 1)), (2, vec![3.0, 4.0]));
    let old = read(&folder.write("old.csv", b"a,b\r1,2\r3,4\r"));
    assert_eq!((old.columns.as_slice(), row(&old, 1)), (&["a".into(), "b".into()][..], vec![3.0, 4.0]));
}

#[test]
fn commas_between_thousands_are_no_decimal_commas() {
    let folder = Folder::new();
    let table = folder.write("sales.csv", b"a;b\n1,234;2\n5,678;4\n");
    let error = refused(&table);
    assert!(
        error.contains("`1,234` may have a comma between thousands") && error.contains("set decimal to"),
        "{error}"
    );
    let point = OpenOptions { decimal: Decimal::Point, ..OpenOptions::default() };
    assert_eq!(row(&with(&table, point.clone()), 1), [5678.0, 4.0]);
    let comma = OpenOptions { decimal: Decimal::Comma, ..OpenOptions::default() };
    assert_eq!(row(&with(&table, comma), 1), [5.678, 4.0]);
    // One cell that cannot be a thousand decides.
    let sure = read(&folder.write("sure.csv", b"a;b\n1,234;2\n0,678;4\n"));
    assert_eq!(row(&sure, 1), [0.678, 4.0]);
    let quoted = folder.write("quoted.csv", b"a,b\n\"1,234,567.5\",2\n\"5,678\",4\n");
    assert!(refused(&quoted).contains("1,234,567.5"));
    assert_eq!(row(&with(&quoted, point), 0), [1_234_567.5, 2.0]);
}

#[test]
fn numbers_that_lose_digits_and_names_that_occur_twice_are_named() {
    let folder = Folder::new();
    let ids = read(&folder.write("ids.csv", b"id,x\n9007199254740993,1\n9007199254740995,2\n9007199254740999,3\n"));
    assert!(ids.notices.contains(&Notice::DigitsLost { names: vec!["id".into()] }), "{:?}", ids.notices);
    let values: Vec<u8> = [1_i64 << 60, (1 << 60) + 3].iter().flat_map(|value| value.to_le_bytes()).collect();
    let array = read(&folder.write("ids.npy", &npy("<i8", false, "(2, 1)", &values)));
    assert!(array.notices.contains(&Notice::DigitsLost { names: vec!["1".into()] }), "{:?}", array.notices);
    let plain = read(&folder.write("plain.csv", b"id,x\n90071992547409,1\n90071992547411,2\n"));
    assert!(!plain.notices.iter().any(|notice| matches!(notice, Notice::DigitsLost { .. })));

    let twice = folder.write("twice.csv", b"a,a,b\n1,2,3\n4,5,6\n");
    let first = OpenOptions { columns: vec!["a".into()], ..OpenOptions::default() };
    let error = open(twice.to_str().unwrap(), &first).unwrap_err().to_string();
    assert!(error.contains("several columns are called a"), "{error}");
    let second = OpenOptions { columns: vec!["2".into()], ..OpenOptions::default() };
    assert_eq!(row(&with(&twice, second), 0), [2.0]);
}

#[test]
fn one_color_image_is_not_many_thin_ones() {
    let folder = Folder::new();
    let pixels: Vec<u8> = (0..6 * 5 * 3).collect();
    let photo = folder.write("photo.npy", &npy("|u1", false, "(6, 5, 3)", &pixels));
    let error = refused(&photo);
    assert!(error.contains("one color image or 6 rows of 5x3") && error.contains("set items to"), "{error}");
    let one = with(&photo, OpenOptions { items: Items::One, ..OpenOptions::default() });
    assert_eq!((one.len(), one.shape), (1, Shape::Image { height: 6, width: 5, channels: 3 }));
    assert_eq!(row(&one, 0)[..4], [0.0, 1.0, 2.0, 3.0]);
    assert_eq!(with(&photo, OpenOptions { items: Items::Many, ..OpenOptions::default() }).len(), 6);
    // Labels say how many rows there are.
    let arrays = [
        Named { name: "x", shape: &[6, 5, 3], values: Column::Bytes(&pixels) },
        Named { name: "y", shape: &[6], values: Column::Integers(&[0, 1, 0, 1, 0, 1]) },
    ];
    assert_eq!(read(&folder.write("series.npz", &npz(&arrays))).len(), 6);
}

#[test]
fn labels_before_the_data_and_arrays_that_cannot_be_read_do_not_mislead() {
    let folder = Folder::new();
    let pixels: Vec<u8> = (0..4 * 2 * 2).collect();
    let arrays = [
        Named { name: "arr_0", shape: &[4], values: Column::Integers(&[0, 1, 1, 0]) },
        Named { name: "arr_1", shape: &[4, 2, 2], values: Column::Bytes(&pixels) },
    ];
    let data = read(&folder.write("first.npz", &npz(&arrays)));
    assert_eq!(
        (data.shape, classes(&data)),
        (Shape::Image { height: 2, width: 2, channels: 1 }, vec!["0", "1", "1", "0"])
    );

    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in
        [("x.npy", npy("|u1", false, "(4, 2, 2)", &pixels)), ("y.npy", npy("|O", false, "(4,)", b"?"))]
    {
        archive.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(&content).unwrap();
    }
    let objects = folder.write("objects.npz", &archive.finish().unwrap().into_inner());
    let data = read(&objects);
    assert!(data.labels.is_none());
    let told = |notice: &Notice| matches!(notice, Notice::LabelsDropped { name, reason } if name == "y" && reason.contains("Python objects"));
    assert!(data.notices.iter().any(told), "{:?}", data.notices);
    let asked = OpenOptions { labels: Some("y".into()), ..OpenOptions::default() };
    assert!(open(objects.to_str().unwrap(), &asked).unwrap_err().to_string().contains("array y holds Python objects"));
}

#[test]
fn pairs_of_folders_are_asked_about_and_class_folders_hold_arrays() {
    let folder = Folder::new();
    for name in ["pairs/images/1.png", "pairs/images/2.png", "pairs/masks/1.png", "pairs/masks/2.png"] {
        folder.write(name, &gray(3));
    }
    let error = refused(&folder.at("pairs"));
    assert!(error.contains("images and masks look like pairs") && error.contains("set classes to"), "{error}");
    assert!(read(&folder.at("pairs/images")).labels.is_none());

    let image = |value: u8| npy("|u1", false, "(5, 6, 3)", &[value; 5 * 6 * 3]);
    for (at, name) in ["cats/1.npy", "cats/2.npy", "dogs/1.npy"].into_iter().enumerate() {
        folder.write(&format!("set/{name}"), &image(at as u8 * 50));
    }
    let set = read(&folder.at("set"));
    assert_eq!((set.len(), set.shape), (3, Shape::Image { height: 5, width: 6, channels: 3 }));
    assert_eq!((classes(&set), row(&set, 2)[0]), (vec!["cats", "cats", "dogs"], 100.0));
    let many = with(&folder.at("set"), OpenOptions { items: Items::Many, ..OpenOptions::default() });
    assert_eq!((many.len(), classes(&many)[9..11].to_vec()), (15, vec!["cats", "dogs"]));
    folder.write("set/dogs/2.npy", &npy("<f4", false, "(5, 6, 3)", &[0; 5 * 6 * 3 * 4]));
    assert!(refused(&folder.at("set")).contains("numbers of another type"));
}

#[test]
fn a_range_by_rule_is_nominal_even_if_the_values_reach_its_ends() {
    let folder = Folder::new();
    let values: Vec<u8> = (0..16).flat_map(|value| (value as f32 / 15.0).to_le_bytes()).collect();
    let images = read(&folder.write("ends.npy", &npy("<f4", false, "(1, 4, 4)", &values)));
    assert_eq!((images.range, images.range_is_nominal), ((0.0, 1.0), true));
    assert!(images.notices.iter().any(|notice| matches!(notice, Notice::RangeFound { nominal: (0.0, 1.0), .. })));
}

#[test]
fn second_names_in_a_tar_and_archives_in_archives() {
    let folder = Folder::new();
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    let image = gray(7);
    header.set_size(image.len() as u64);
    header.set_cksum();
    archive.append_data(&mut header, "cats/0.png", image.as_slice()).unwrap();
    let mut link = tar::Header::new_gnu();
    link.set_entry_type(tar::EntryType::Link);
    link.set_size(0);
    archive.append_link(&mut link, "dogs/0.png", "cats/0.png").unwrap();
    let tar = read(&folder.write("hard.tar", &archive.into_inner().unwrap()));
    assert_eq!((classes(&tar), row(&tar, 0)), (vec!["cats", "dogs"], row(&tar, 1)));

    let mut inner = zip::ZipWriter::new(Cursor::new(Vec::new()));
    inner.start_file("inner.zip", zip::write::SimpleFileOptions::default()).unwrap();
    inner.write_all(b"PK").unwrap();
    inner.start_file("readme.txt", zip::write::SimpleFileOptions::default()).unwrap();
    inner.write_all(b"hello").unwrap();
    let nested = folder.write("nested.zip", &inner.finish().unwrap().into_inner());
    assert!(refused(&nested).contains("it holds archives (inner.zip)"));
}

#[test]
fn a_folder_with_only_the_test_images_of_mnist_is_read() {
    let folder = Folder::new();
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>();
    folder.write("mnist/t10k-images-idx3-ubyte", &[words(&[0x803, 2, 2, 2]), vec![9; 8]].concat());
    folder.write("mnist/t10k-labels-idx1-ubyte", &[words(&[0x801, 2]), vec![1, 0]].concat());
    let data = read(&folder.at("mnist"));
    assert_eq!((data.len(), classes(&data)), (2, vec!["1", "0"]));
}
