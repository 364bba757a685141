//! Inputs from seeds: changed, cut, repeated and joined bytes, with check sums mended so that the change is read and not refused.

use std::io::Write;

use rand::{RngExt, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;

/// Bytes that readers decide by.
const BYTES: [u8; 12] = [0, 1, 0x7F, 0x80, 0xFE, 0xFF, b'\n', b',', b'"', b'(', b'-', b'9'];
/// Numbers as text.
const TEXTS: [&str; 14] = [
    "0",
    "-1",
    "1e999",
    "nan",
    "inf",
    "4611686018427387904",
    "18446744073709551615",
    "99999999999999999999",
    "1e-320",
    "null",
    "[[",
    "{\"a\":",
    "\"",
    "0x7fffffff",
];
/// Numbers of four and eight bytes.
const NUMBERS: [u64; 12] =
    [0, 1, 2, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFF_FFFF, 0xFFFF_FFFF, 1 << 40, i64::MAX as u64, u64::MAX];

/// The input with a number. The first ones are the seeds themselves.
pub fn input(seeds: &[Vec<u8>], seed: u64, index: u64) -> Vec<u8> {
    if let Some(original) = usize::try_from(index).ok().and_then(|index| seeds.get(index)) {
        return original.clone();
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(index);
    let mut bytes = seeds.choose(&mut rng).expect("seeds").clone();
    for _ in 0..1 + rng.random_range(0..6_u32) * rng.random_range(0..2_u32) {
        step(&mut bytes, seeds, &mut rng);
    }
    if rng.random_bool(0.7) {
        mend(&mut bytes);
    }
    if rng.random_bool(0.03) {
        bytes = packed(&bytes);
    }
    bytes
}

/// A place. Headers are at the beginning, and those of zips at the end.
fn place(len: usize, rng: &mut ChaCha8Rng) -> usize {
    let near = len.min(256);
    match rng.random_range(0..4) {
        0 | 1 => rng.random_range(0..near),
        2 => len - 1 - rng.random_range(0..near),
        _ => rng.random_range(0..len),
    }
}

fn step(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], rng: &mut ChaCha8Rng) {
    if bytes.is_empty() {
        bytes.push(rng.random());
    }
    let at = place(bytes.len(), rng);
    match rng.random_range(0..12) {
        0 => bytes[at] = rng.random(),
        1 => bytes[at] ^= 1 << rng.random_range(0..8),
        2 => bytes[at] = *BYTES.choose(rng).expect("some"),
        3 => bytes.truncate(at),
        4 => {
            let end = (at + rng.random_range(1..64)).min(bytes.len());
            let part = bytes[at..end].to_vec();
            bytes.splice(at..at, part);
        }
        5 => {
            let end = (at + rng.random_range(1..64)).min(bytes.len());
            bytes.drain(at..end);
        }
        6 | 7 => number(bytes, at, rng),
        8 => {
            let text = TEXTS.choose(rng).expect("some").bytes();
            let end = digits_end(bytes, at);
            bytes.splice(at..end, text);
        }
        9 => {
            // Digits to digits: sizes in texts change, and stay sizes.
            if let Some(digit) = bytes[at..].iter().position(u8::is_ascii_digit) {
                bytes[at + digit] = rng.random_range(b'0'..=b'9');
            }
        }
        10 => {
            let other = seeds.choose(rng).expect("seeds");
            let from = rng.random_range(0..other.len());
            let part = &other[from..(from + rng.random_range(1..512)).min(other.len())];
            let end = (at + part.len()).min(bytes.len());
            bytes.splice(at..end, part.iter().copied());
        }
        _ => {
            let count = rng.random_range(1..2000);
            let part = vec![bytes[at]; count];
            bytes.splice(at..at, part);
        }
    }
}

/// Writes a number of two, four or eight bytes, in either order.
fn number(bytes: &mut [u8], at: usize, rng: &mut ChaCha8Rng) {
    let size = [2, 4, 8][rng.random_range(0..3)];
    let end = (at + size).min(bytes.len());
    let value = NUMBERS.choose(rng).expect("some").wrapping_add(rng.random_range(0..3)).wrapping_sub(1);
    let mut word = value.to_le_bytes()[..size].to_vec();
    if rng.random_bool(0.5) {
        word.reverse();
    }
    bytes[at..end].copy_from_slice(&word[..end - at]);
}

/// The end of the number in text that begins at a place.
fn digits_end(bytes: &[u8], at: usize) -> usize {
    at + bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// Mends check sums of PNG and tar, behind the byte that chooses the name.
fn mend(bytes: &mut [u8]) {
    if bytes.get(13..17) == Some(b"IHDR") {
        mend_png(&mut bytes[9..]);
    }
    if bytes.get(258..263) == Some(b"ustar") {
        mend_tar(&mut bytes[1..]);
    }
}

/// The check sum of each chunk, as long as their lengths lead to the next.
fn mend_png(mut chunks: &mut [u8]) {
    while let Some(length) = chunks.first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        let Some(sum) = chunks.get(4..8 + length).map(|chunk| {
            let mut crc = flate2::Crc::new();
            crc.update(chunk);
            crc.sum()
        }) else {
            return;
        };
        let Some((chunk, rest)) = chunks.split_at_mut_checked(12 + length) else { return };
        chunk[8 + length..].copy_from_slice(&sum.to_be_bytes());
        chunks = rest;
    }
}

/// The check sum of every block that looks like a header.
fn mend_tar(blocks: &mut [u8]) {
    for block in blocks.chunks_exact_mut(512).filter(|block| block[257..262] == *b"ustar") {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}

/// The same, compressed by gzip behind the byte that chooses the name.
fn packed(bytes: &[u8]) -> Vec<u8> {
    let (choice, content) = bytes.split_at(bytes.len().min(1));
    let mut encoder = flate2::write::GzEncoder::new(choice.to_vec(), flate2::Compression::fast());
    encoder.write_all(content).expect("memory");
    encoder.finish().expect("memory")
}
