//! Files under 10 MB that expand to gigabytes, announce them, or have no end: each is refused in ten seconds and 500 MB.

use std::fs;

use anyhow::{Result, ensure};

use super::{
    Setting,
    files::{self, Entry},
};

/// Largest file.
const LARGEST: usize = 10 << 20;
/// What a stream expands to.
const EXPANDED: u64 = 4 << 30;

/// A file, and the command that reads it (`FILE` is its name).
struct Bomb {
    name: &'static str,
    make: fn() -> Vec<u8>,
    command: &'static str,
    /// Whether it can be read, if with patience.
    is_honest: bool,
}

const DATA: &str = "data FILE -o x.png";
const SAMPLE: &str = "sample FILE -n 1 --steps 2 -o x.png";
const IMPORT: &str = "import FILE -o imported";
const TRAIN: &str = "train FILE --dry-run";

const fn bomb(name: &'static str, make: fn() -> Vec<u8>, command: &'static str) -> Bomb {
    Bomb { name, make, command, is_honest: false }
}

/// A zip with one entry of zeros.
fn entry(name: &str, announced: u32) -> Vec<u8> {
    files::zip(&[Entry { name, first: &[], zeros: 1 << 30, announced }])
}

/// An entry that announces 4 GB and has a hundred bytes.
fn announced(name: &str) -> Vec<u8> {
    files::zip(&[Entry { name, first: &[7; 100], zeros: 0, announced: u32::MAX - 1 }])
}

/// Levels of brackets.
fn nested(before: &str, level: &str, count: usize) -> Vec<u8> {
    [before.as_bytes(), &level.as_bytes().repeat(count)].concat()
}

/// Expanding streams.
const STREAMS: [Bomb; 13] = [
    bomb("a.csv.gz", || files::gzip(b"a,b\n1,2\n", EXPANDED), DATA),
    bomb("a.npy.gz", || files::gzip(&files::npy("(100, 3)"), EXPANDED), DATA),
    bomb("a.tar.gz", || files::gzip(&files::tar(3), EXPANDED), DATA),
    bomb("a.nii.gz", || files::gzip(&[92, 1, 0, 0], EXPANDED), DATA),
    bomb("train-images-idx3-ubyte.gz", || files::gzip(&files::idx([10, 5, 2]), EXPANDED), DATA),
    bomb("a.csv.bz2", || files::bzip2(EXPANDED), DATA),
    bomb("a.csv.zst", || files::zstd(EXPANDED), DATA),
    bomb("a.zip", || entry("a.csv", 8), DATA),
    bomb("images.zip", || entry("a/1.png", 1 << 30), DATA),
    bomb("a.npz", || entry("x.npy", 1 << 30), DATA),
    bomb("a.mat", || files::mat(1 << 30), DATA),
    bomb("a.pt", || entry("archive/data.pkl", 1 << 30), IMPORT),
    bomb("a.png", || files::png(40_000), DATA),
];

/// Sizes that are announced.
const SIZES: [Bomb; 14] = [
    bomb("wraps.npy", || files::npy("(3, 4611686018427387904)"), DATA),
    bomb("rows.npy", || files::npy("(1099511627776,)"), DATA),
    bomb("cells.npy", || files::npy("(1000000, 1000000)"), DATA),
    bomb("long.npz", || announced("x.npy"), DATA),
    bomb("long.zip", || announced("a/1.png"), DATA),
    bomb("long.pt", || announced("archive/data.pkl"), IMPORT),
    bomb("a-images-idx3-ubyte", || files::idx([u32::MAX; 3]), DATA),
    bomb("b-images-idx3-ubyte", || files::idx([1, 1 << 16, 1 << 16]), DATA),
    bomb("a.tif", || files::tiff(60_000), DATA),
    bomb("a.ppm", || b"P6 200000 200000 255\n".to_vec(), DATA),
    bomb("a.gif", || files::gif(600_000), DATA),
    bomb("shared.pt", || files::checkpoint(400), IMPORT),
    bomb("header.safetensors", || u64::MAX.to_le_bytes().repeat(3), SAMPLE),
    bomb("header-4gb.safetensors", || (1_u64 << 32).to_le_bytes().repeat(3), IMPORT),
];

/// Text without end, and structures without end.
const TEXTS: [Bomb; 12] = [
    bomb("cells.csv", || b"1,".repeat(5_000_000), DATA),
    Bomb {
        is_honest: true,
        ..bomb("columns.csv", || [b"1,".repeat(100_000), b"1\n".to_vec()].concat().repeat(45), DATA)
    },
    bomb("quote.csv", || [b"a,b\n1,\"".to_vec(), vec![b'x'; 10_000_000]].concat(), DATA),
    bomb("names.csv", || (0..1_000_000).flat_map(|row| format!("{row}x\n").into_bytes()).collect(), DATA),
    bomb("many.tar", || files::tar(20_000), DATA),
    bomb("deep.toml", || nested("a=", "[", 10_000_000), TRAIN),
    bomb("tables.toml", || nested("", "[a]\n[[b]]\n", 800_000), TRAIN),
    bomb("dots.toml", || nested("a", ".a", 4_000_000), TRAIN),
    bomb("deep-compare.toml", || nested("a=", "[", 10_000_000), "compare FILE"),
    bomb("deep.safetensors", || files::safetensors(&"[".repeat(9_000_000)), SAMPLE),
    bomb("deep-import.safetensors", || files::safetensors(&"{\"a\":".repeat(1_800_000)), IMPORT),
    bomb("deep.pt", || nested("\u{7f}", "(", 10_000_000), IMPORT),
];

/// Gives every bomb to the program.
pub fn run(setting: &Setting) -> Result<String> {
    let (mut count, mut most, mut slowest) = (0, 0, 0.0_f64);
    let lmdb = fs::read(setting.root.join("fuzz/seeds/lmdb/0"))?;
    let shared = ("shared-pages.mdb", lmdb[1..].to_vec(), DATA, false);
    let bombs = STREAMS.iter().chain(&SIZES).chain(&TEXTS);
    let bombs = bombs.map(|bomb| (bomb.name, (bomb.make)(), bomb.command, bomb.is_honest));
    for (name, bytes, command, is_honest) in bombs.chain([shared]) {
        if setting.is_over() {
            break;
        }
        ensure!(bytes.len() <= LARGEST, "{name} has {} bytes", bytes.len());
        let path = setting.folder.join(name);
        fs::write(&path, bytes)?;
        let outcome = setting.program.run(&command.replace("FILE", name))?;
        let passed = setting.judge(&outcome, 0, &[&path]);
        if passed && outcome.code != 2 && !is_honest {
            setting.fail(&format!("{}: exit code {}: it should be refused", outcome.call, outcome.code), &[&path]);
        }
        (count, most) = (count + 1, most.max(outcome.memory));
        slowest = slowest.max(outcome.processor.as_secs_f64());
        fs::remove_file(&path)?;
    }
    Ok(format!("{count} files under 10 MB, with at most {} MB and {slowest:.1} s of processor time", most >> 20))
}
