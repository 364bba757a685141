//! Everything that reads bytes from outside: the functions that are fuzzed, too.
#![allow(dead_code)]

#[path = "../../../fuzz/readers/data.rs"]
mod data;
#[path = "../../../fuzz/readers/http.rs"]
mod http;
#[path = "../../../fuzz/readers/model.rs"]
mod model;
#[path = "../../../fuzz/readers/torch.rs"]
mod torch;

/// A reader.
pub struct Reader {
    /// Name, that of its fuzz target.
    pub name: &'static str,
    /// Files and folders of valid inputs, below the repository.
    pub seeds: &'static [&'static str],
    /// Reads an input. Returns the bytes of memory that the result may honestly take.
    pub read: fn(&[u8]) -> u64,
}

macro_rules! file {
    ($names:ident) => {
        |bytes| data::read(data::$names, bytes)
    };
}

macro_rules! bytes {
    ($module:ident::$read:ident) => {
        |bytes| {
            $module::$read(bytes);
            0
        }
    };
}

/// All readers.
pub const READERS: &[Reader] = &[
    Reader { name: "array", seeds: &["fuzz/seeds/array"], read: file!(ARRAY) },
    Reader { name: "image", seeds: &["fuzz/seeds/image"], read: file!(IMAGE) },
    Reader { name: "idx", seeds: &["fuzz/seeds/idx"], read: file!(IDX) },
    Reader { name: "lmdb", seeds: &["fuzz/seeds/lmdb"], read: file!(LMDB) },
    Reader { name: "table", seeds: &["fuzz/seeds/table"], read: file!(TABLE) },
    Reader { name: "tar", seeds: &["fuzz/seeds/tar"], read: file!(TAR) },
    Reader { name: "zip", seeds: &["fuzz/seeds/zip"], read: file!(ZIP) },
    Reader { name: "checkpoint", seeds: &["crates/torch/tests/data"], read: bytes!(torch::read) },
    Reader { name: "run_checkpoint", seeds: &["fuzz/seeds/run_checkpoint"], read: bytes!(model::run_checkpoint) },
    Reader { name: "configuration", seeds: &["crates/pfgm/presets"], read: bytes!(model::configuration) },
    Reader { name: "import", seeds: &["fuzz/seeds/import"], read: bytes!(model::import_file) },
    Reader { name: "diffusers", seeds: &["fuzz/seeds/diffusers"], read: bytes!(model::import_folder) },
    Reader { name: "http", seeds: &["fuzz/seeds/http"], read: bytes!(http::read) },
];
