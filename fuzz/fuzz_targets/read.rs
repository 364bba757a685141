//! Bytes as a data set's file.

use pfgm_data::{Load, OpenOptions, open};

/// Writes the bytes, but the first, to a file and reads it; the first chooses among the names.
pub fn read(names: &[&str], bytes: &[u8]) {
    let Some((choice, content)) = bytes.split_first() else { return };
    let folder = std::env::temp_dir().join(format!("pfgm-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a temporary folder");
    let path = folder.join(names[usize::from(*choice) % names.len()]);
    std::fs::write(&path, content).expect("a temporary file");
    let load = if *choice < 128 { Load::Whole } else { Load::Stream };
    if let Ok(set) = open(&path.to_string_lossy(), &OpenOptions { load, ..OpenOptions::default() }) {
        let mut row = vec![0.0; set.shape.dim()];
        let _ = set.read(set.len() - 1, &mut row);
    }
    std::fs::remove_file(&path).expect("the temporary file");
}
