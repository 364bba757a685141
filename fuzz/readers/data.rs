//! Bytes as a data set's file. The first byte chooses the name, and whether the rows are loaded.

use pfgm_data::{Load, OpenOptions, open};

/// Names of files that hold arrays.
pub const ARRAY: &[&str] = &["a.npy", "a.npz", "a.mat", "a.nii"];
/// Names of files that hold one image.
pub const IMAGE: &[&str] = &["a.tif", "a.png", "a.jpg", "a.gif", "a.webp", "a.bmp", "a.ppm", "a.tga"];
/// Names of files in MNIST's format, and in that of CIFAR's binary version.
pub const IDX: &[&str] = &["a-images-idx3-ubyte", "test_batch.bin"];
/// Names of LMDB files.
pub const LMDB: &[&str] = &["a.mdb"];
/// Names of tables.
pub const TABLE: &[&str] = &["a.csv", "a.txt"];
/// Names of tar archives.
pub const TAR: &[&str] = &["a.tar", "a.tar.gz"];
/// Names of zip archives.
pub const ZIP: &[&str] = &["a.zip"];

/// Writes the bytes, but the first, to a file and reads it. Returns the bytes of memory that its rows may honestly take.
///
/// # Panics
/// If a reader panics, or an error does not name the file in one line.
pub fn read(names: &[&str], bytes: &[u8]) -> u64 {
    let Some((choice, content)) = bytes.split_first() else { return 0 };
    let folder = std::env::temp_dir().join(format!("pfgm-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a temporary folder");
    let path = folder.join(names[usize::from(*choice) % names.len()]);
    std::fs::write(&path, content).expect("a temporary file");
    let load = if *choice < 128 { Load::Whole } else { Load::Stream };
    let name = path.to_string_lossy();
    let need = match open(&name, &OpenOptions { load, ..OpenOptions::default() }) {
        Ok(set) => {
            let mut row = vec![0.0; set.shape.dim()];
            for index in [0, set.len() - 1] {
                let _ = set.read(index, &mut row);
            }
            set.len() as u64 * set.shape.dim() as u64 * 8
        }
        Err(error) => {
            let error = error.to_string();
            assert!(error.contains(&*name) && !error.contains('\n'), "{error}");
            0
        }
    };
    std::fs::remove_file(&path).expect("the temporary file");
    need
}
