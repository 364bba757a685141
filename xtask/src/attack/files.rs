//! Files that announce or expand to much more than they are, and the parts that they are made of.

use std::io::Write;

use flate2::{Compression, Crc, write};

/// Writes zeros into an encoder.
fn zeros(encoder: &mut impl Write, bytes: u64) {
    let block = vec![0; 1 << 20];
    for _ in 0..bytes >> 20 {
        encoder.write_all(&block).expect("memory");
    }
}

/// A gzip stream that begins with `first` and goes on with zeros: members of 64 MB after the first.
pub fn gzip(first: &[u8], bytes: u64) -> Vec<u8> {
    let member = |first: &[u8], bytes| {
        let mut encoder = write::GzEncoder::new(Vec::new(), Compression::new(6));
        encoder.write_all(first).expect("memory");
        zeros(&mut encoder, bytes);
        encoder.finish().expect("memory")
    };
    [member(first, 0), member(&[], 64 << 20).repeat((bytes >> 26) as usize)].concat()
}

/// Zeros compressed without a header.
fn deflated(first: &[u8], bytes: u64) -> Vec<u8> {
    let mut encoder = write::DeflateEncoder::new(Vec::new(), Compression::new(6));
    encoder.write_all(first).expect("memory");
    zeros(&mut encoder, bytes);
    encoder.finish().expect("memory")
}

/// Zeros compressed as in PNG and MATLAB's files.
pub fn zlib(bytes: u64) -> Vec<u8> {
    let mut encoder = write::ZlibEncoder::new(Vec::new(), Compression::new(6));
    zeros(&mut encoder, bytes);
    encoder.finish().expect("memory")
}

/// A zstd stream: blocks of 128 kB that repeat one byte.
pub fn zstd(bytes: u64) -> Vec<u8> {
    let block = |last: u32| {
        let header = (0x20000_u32 << 3 | 1 << 1 | last).to_le_bytes();
        [&header[..3], &[0]].concat()
    };
    let header = [0x28, 0xB5, 0x2F, 0xFD, 0, 0x60];
    [&header[..], &block(0).repeat((bytes >> 17) as usize), &block(1)].concat()
}

/// A bzip2 stream: 45 MB of zeros, again and again.
pub fn bzip2(bytes: u64) -> Vec<u8> {
    BZIP2.repeat(bytes.div_ceil(45_000_000) as usize)
}

/// `bz2.compress(b"\0" * 45_000_000)` in Python.
const BZIP2: &[u8] = &[
    0x42, 0x5A, 0x68, 0x39, 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, 0xC9, 0x01, 0xB6, 0xC8, 0x01, 0x58, 0xAB, 0x40, 0x20,
    0xC0, 0x00, 0x10, 0x00, 0x00, 0x08, 0x20, 0x00, 0x30, 0xCC, 0x05, 0x29, 0xA6, 0x52, 0x48, 0x52, 0x6C, 0x54, 0x92,
    0x14, 0x9E, 0x2E, 0xE4, 0x8A, 0x70, 0xA1, 0x21, 0x92, 0x03, 0x6D, 0x90,
];

/// An entry of a zip: its bytes, zeros behind them, and the size that the directory announces.
pub struct Entry<'a> {
    /// Name of the file.
    pub name: &'a str,
    /// What it begins with.
    pub first: &'a [u8],
    /// Zeros that follow.
    pub zeros: u64,
    /// Announced size.
    pub announced: u32,
}

/// A zip.
pub fn zip(entries: &[Entry]) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for entry in entries {
        let content = deflated(entry.first, entry.zeros);
        let mut crc = Crc::new();
        crc.update(entry.first);
        let words = [0_u16, 8, 0, 0x5A21];
        let sizes = [crc.sum(), content.len() as u32, entry.announced, entry.name.len() as u32];
        let words = words.iter().flat_map(|word| word.to_le_bytes());
        let fields: Vec<u8> = words.chain(sizes.iter().flat_map(|size| size.to_le_bytes())).collect();
        let at = (archive.len() as u32).to_le_bytes();
        let parts = [b"PK\x01\x02\x14\x00\x14\x00", &fields[..], &[0; 10], &at, entry.name.as_bytes()];
        directory.extend(parts.concat());
        archive.extend([b"PK\x03\x04\x14\x00", &fields[..], entry.name.as_bytes(), &content].concat());
    }
    let count = (entries.len() as u16).to_le_bytes();
    let mut end = [b"PK\x05\x06\0\0\0\0", &count[..], &count].concat();
    end.extend((directory.len() as u32).to_le_bytes());
    end.extend((archive.len() as u32).to_le_bytes());
    end.extend([0, 0]);
    [archive, directory, end].concat()
}

/// A gray PNG of so many pixels on a side, all black.
pub fn png(side: u32) -> Vec<u8> {
    let chunk = |name: &[u8], content: &[u8]| {
        let mut crc = Crc::new();
        crc.update(name);
        crc.update(content);
        [&(content.len() as u32).to_be_bytes(), name, content, &crc.sum().to_be_bytes()].concat()
    };
    let header = [&side.to_be_bytes()[..], &side.to_be_bytes(), &[8, 0, 0, 0, 0]].concat();
    let rows = u64::from(side) * (u64::from(side) + 1);
    let parts = [chunk(b"IHDR", &header), chunk(b"IDAT", &zlib(rows.next_multiple_of(1 << 20))), chunk(b"IEND", &[])];
    [b"\x89PNG\r\n\x1a\n".to_vec(), parts.concat()].concat()
}

/// The header of an npy array, and a few values.
pub fn npy(shape: &str) -> Vec<u8> {
    let text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
    let text = format!("{text:<117}\n");
    [b"\x93NUMPY\x01\x00", &118_u16.to_le_bytes()[..], text.as_bytes(), &[1; 64]].concat()
}

/// An IDX file that announces these sizes.
pub fn idx(sizes: [u32; 3]) -> Vec<u8> {
    let words = [0x0803].into_iter().chain(sizes).flat_map(u32::to_be_bytes);
    words.chain([7; 100]).collect()
}

/// A TIFF whose only image has these sides, uncompressed, and hardly any pixels.
pub fn tiff(side: u32) -> Vec<u8> {
    let tags = [(256, side), (257, side), (258, 8), (259, 1), (262, 1), (273, 200), (277, 1), (278, side), (279, side)];
    let tags: Vec<u8> = tags
        .iter()
        .flat_map(|(tag, value): &(u16, u32)| {
            [&tag.to_le_bytes()[..], &4_u16.to_le_bytes(), &1_u32.to_le_bytes(), &value.to_le_bytes()].concat()
        })
        .collect();
    [b"II*\0\x08\0\0\0\x09\0", &tags[..], &[0; 100]].concat()
}

/// A GIF of 65535x65535 pixels with many frames of one pixel.
pub fn gif(frames: usize) -> Vec<u8> {
    let header = b"GIF89a\xFF\xFF\xFF\xFF\x80\0\0\0\0\0\xFF\xFF\xFF";
    let frame = b"\x2C\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0";
    [&header[..], &frame.repeat(frames), b";"].concat()
}

/// A MATLAB 5 file with one compressed element.
pub fn mat(bytes: u64) -> Vec<u8> {
    let mut header = b"MATLAB 5.0 MAT-file".to_vec();
    header.resize(124, b' ');
    header.extend(b"\x00\x01IM");
    let content = zlib(bytes);
    header.extend(15_u32.to_le_bytes());
    header.extend((content.len() as u32).to_le_bytes());
    [header, content].concat()
}

/// A tar of empty files.
pub fn tar(entries: usize) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for entry in 0..entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(0);
        header.set_cksum();
        archive.append_data(&mut header, format!("{entry}.png"), &[][..]).expect("memory");
    }
    archive.into_inner().expect("memory")
}

/// A safetensors file whose header has this text.
pub fn safetensors(header: &str) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[0; 64]].concat()
}

/// A checkpoint of PyTorch with tensors of 2^25 values each, which all show the sixteen numbers of one storage.
pub fn checkpoint(tensors: usize) -> Vec<u8> {
    let text = |text: &str| [&[b'X'][..], &(text.len() as u32).to_le_bytes(), text.as_bytes()].concat();
    let int = |value: u32| [&[b'J'][..], &value.to_le_bytes()].concat();
    let mut pickle = b"\x80\x02}(".to_vec();
    for tensor in 0..tensors {
        let storage = [&text("storage"), &b"ctorch\nFloatStorage\n"[..], &text("0"), &text("cpu"), &int(16)].concat();
        let sizes = [&b"("[..], &int(1 << 25), b"t(", &int(0), b"t"].concat();
        pickle.extend(text(&format!("a.{tensor:04}")));
        pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        pickle.extend([&storage[..], b"tQ", &int(0), &sizes, b"\x89ccollections\nOrderedDict\n)RtR"].concat());
    }
    pickle.extend(b"u.");
    let entry = |name, first, announced| Entry { name, first, zeros: 0, announced };
    zip(&[entry("archive/data.pkl", &pickle, pickle.len() as u32), entry("archive/data/0", &[0; 64], 64)])
}
