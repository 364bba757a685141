//! Files of every format with some bytes changed, removed or repeated: a reader returns data or an error that names the file. It neither
//! panics nor hangs.
#![allow(missing_docs)]

use std::{
    fs,
    io::{Cursor, Read, Write},
    path::Path,
};

use pfgm_data::{
    Load, OpenOptions,
    npz::{Column, Named, write_npz},
    open,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Mutated files of each format.
const FILES: u64 = 150;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn image(format: image::ImageFormat) -> Vec<u8> {
    let image = image::RgbImage::from_fn(9, 7, |x, y| image::Rgb([(x * 20) as u8, (y * 30) as u8, 99]));
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
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

fn tar_of(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_cksum();
        archive.append_data(&mut header, name, content.as_slice()).unwrap();
    }
    archive.into_inner().unwrap()
}

fn npz() -> Vec<u8> {
    let arrays = [
        Named { name: "x", shape: &[4, 3, 2], values: Column::Floats(&[0.5; 24]) },
        Named { name: "labels", shape: &[4], values: Column::Integers(&[0, 1, 1, 0]) },
    ];
    let mut bytes = Cursor::new(Vec::new());
    write_npz(&mut bytes, &arrays).unwrap();
    bytes.into_inner()
}

/// An array file. `what` is its header without braces: type, order and shape.
fn array(what: &str, payload: &[u8]) -> Vec<u8> {
    let header = format!("{{{what}, }}");
    let header = format!("{header:<117}\n");
    let length = (header.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), payload].concat()
}

fn npy() -> Vec<u8> {
    array("'descr': '<f4', 'fortran_order': True, 'shape': (4, 6)", &[1; 96])
}

fn idx() -> Vec<u8> {
    let words = [0x0803_u32, 3, 2, 4].into_iter().flat_map(u32::to_be_bytes);
    words.chain((0..24).map(|value| value * 9)).collect()
}

fn lmdb() -> Vec<u8> {
    let mut content = Vec::new();
    let packed = &include_bytes!("data/lsun.mdb.gz")[..];
    flate2::read::GzDecoder::new(packed).read_to_end(&mut content).unwrap();
    content
}

/// Every format, by a file's name.
fn originals() -> Vec<(&'static str, Vec<u8>)> {
    use image::ImageFormat::{Bmp, Gif, Jpeg, Png, Pnm, Tga, Tiff, WebP};
    let table = b"# made by hand\na;b;\"c d\"\n0,5;1,25;3\n1,5;2;4\n".to_vec();
    let two = || {
        [
            ("cats/1.png", image(Png)),
            ("cats/1.cls", b"0".to_vec()),
            ("dogs/1.png", image(Png)),
            ("dogs/1.cls", b"1".to_vec()),
        ]
    };
    vec![
        ("a.png", image(Png)),
        ("a.jpg", image(Jpeg)),
        ("a.gif", image(Gif)),
        ("a.bmp", image(Bmp)),
        ("a.webp", image(WebP)),
        ("a.tif", image(Tiff)),
        ("a.ppm", image(Pnm)),
        ("a.tga", image(Tga)),
        ("a.npy", npy()),
        ("a.npz", npz()),
        ("a-images-idx3-ubyte", idx()),
        ("a.zip", zip_of(&two())),
        ("t.zip", zip_of(&[("t.csv", table.clone())])),
        ("a.tar", tar_of(&two())),
        ("a.tar.gz", gzip(&tar_of(&two()))),
        ("a.csv", table.clone()),
        ("b.csv", "a,b\n1,2\n3,4\n".encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("a.csv.gz", gzip(&table)),
        ("a.mdb", lmdb()),
        ("test.bin", vec![3; 3074]),
    ]
}

fn mutate(bytes: &[u8], rng: &mut ChaCha8Rng) -> Vec<u8> {
    let mut mutated = bytes.to_vec();
    for _ in 0..rng.random_range(1..6) {
        if mutated.is_empty() {
            break;
        }
        // Headers are at the beginning, and those of zips at the end.
        let near = mutated.len().min(200);
        let at = match rng.random_range(0..3) {
            0 => rng.random_range(0..near),
            1 => mutated.len() - 1 - rng.random_range(0..near),
            _ => rng.random_range(0..mutated.len()),
        };
        match rng.random_range(0..6) {
            0 => mutated[at] = rng.random(),
            1 => mutated[at] ^= 1 << rng.random_range(0..8),
            2 => mutated[at] = [0, 0xFF, 0x7F, 0x80][rng.random_range(0..4)],
            3 => mutated.truncate(at),
            4 => {
                let end = (at + rng.random_range(1..9)).min(mutated.len());
                let part = mutated[at..end].to_vec();
                mutated.splice(at..at, part);
            }
            _ => {
                let end = (at + 4).min(mutated.len());
                mutated[at..end].fill(0xFF);
            }
        }
    }
    mutated
}

fn read(path: &Path, load: Load) {
    let options = OpenOptions { load, ..OpenOptions::default() };
    match open(path.to_str().unwrap(), &options) {
        Ok(set) => {
            let mut row = vec![0.0; set.shape.dim()];
            for index in [0, set.len() - 1] {
                let _ = set.read(index, &mut row);
            }
        }
        Err(error) => {
            let error = error.to_string();
            assert!(error.contains(path.to_str().unwrap()) && !error.contains('\n'), "{error}");
        }
    }
}

#[test]
fn mutated_files_are_read_or_refused() {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in originals() {
        let path = dir.path().join(name);
        fs::write(&path, &bytes).unwrap();
        open(path.to_str().unwrap(), &OpenOptions::default()).unwrap_or_else(|error| panic!("{error}"));
        for seed in 0..FILES {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            fs::write(&path, mutate(&bytes, &mut rng)).unwrap();
            read(&path, if seed % 2 == 0 { Load::Whole } else { Load::Stream });
        }
        fs::remove_file(&path).unwrap();
    }
}

/// Files that expand to much more than their size, or declare to.
#[test]
fn bombs_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        let error = open(path.to_str().unwrap(), &OpenOptions::default()).expect_err(name).to_string();
        fs::remove_file(&path).unwrap();
        error
    };
    // 300 MB of zeros in 300 kB.
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let zeros = vec![0; 1 << 20];
    (0..300).for_each(|_| encoder.write_all(&zeros).unwrap());
    let bomb = encoder.finish().unwrap();
    for name in ["a.csv.gz", "a.npy.gz", "a.tar.gz", "train-images-idx3-ubyte.gz"] {
        let error = refused(name, &bomb);
        assert!(error.contains("are allowed"), "{error}");
    }
    // An image that announces 40 billion pixels.
    let mut png = image(image::ImageFormat::Png);
    png[16..24].copy_from_slice(&[0, 3, 0x0D, 0x40, 0, 3, 0x0D, 0x40]);
    assert!(refused("a.png", &png).contains("are allowed"));
    // An entry whose size is announced truly: a thousand times that of the archive.
    let entry = vec![0; 300 << 20];
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let packed = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    archive.start_file("a/1.png", packed).unwrap();
    archive.write_all(&entry).unwrap();
    assert!(refused("images.zip", &archive.finish().unwrap().into_inner()).contains("are allowed"));
    // Labels without values.
    let arrays = [
        Named { name: "x", shape: &[2, 3], values: Column::Floats(&[0.5; 6]) },
        Named { name: "labels", shape: &[2, 0], values: Column::Integers(&[]) },
    ];
    let mut bytes = Cursor::new(Vec::new());
    write_npz(&mut bytes, &arrays).unwrap();
    let path = dir.path().join("labels.npz");
    fs::write(&path, bytes.into_inner()).unwrap();
    if let Err(error) = open(path.to_str().unwrap(), &OpenOptions::default()) {
        assert!(error.to_string().contains("labels"), "{error}");
    }
    // One line of very many cells.
    let line = "1,".repeat(1 << 19);
    assert!(refused("a.csv", line.as_bytes()).contains("set limits to columns="));
    // An array of more elements than can be counted.
    let npy = array("'descr': '<f8', 'fortran_order': True, 'shape': (4611686018427387904, 5)", &[0; 64]);
    assert!(refused("a.npy", &npy).contains("cut short"));
    assert!(refused("a.npz", &zip_of(&[("x.npy", npy)])).contains("cut short"));
    // Sizes beside a zero, which overflow in one order of the axes only.
    for (descr, shape) in [
        ("<f2", "(0, 18446744073709551615, 2)"),
        ("<f8", "(0, 4611686018427387904)"),
        ("<f8", "(4611686018427387904, 0)"),
    ] {
        for order in ["True", "False"] {
            let what = format!("'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}");
            assert!(refused("a.npy", &array(&what, &[])).contains("a.npy"), "{what}");
        }
    }
}
