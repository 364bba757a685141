//! Zip archives: their directory, and their entries, which are read at their positions and never expand beyond the declared size.

use std::{
    io::{self, Read},
    path::Path,
};

use crate::{
    DataError, Limit, Limits,
    source::{Source, Span},
};

const END: [u8; 4] = *b"PK\x05\x06";
const END_64: [u8; 4] = *b"PK\x06\x06";
const ENTRY: [u8; 4] = *b"PK\x01\x02";
const LOCAL: [u8; 4] = *b"PK\x03\x04";
/// Sizes in bytes of the end record without its comment, and of a directory entry and a local header without names.
const END_SIZE: u64 = 22;
const ENTRY_SIZE: usize = 46;
const LOCAL_SIZE: u64 = 30;

/// An entry of the directory.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub name: String,
    header: u64,
    pub packed: u64,
    pub size: u64,
    method: u16,
    encrypted: bool,
    crc: u32,
}

impl Entry {
    /// Whether the entry is stored without compression.
    pub(crate) fn is_plain(&self) -> bool {
        self.method == 0 && !self.encrypted
    }
}

fn damaged(path: &Path, problem: &dyn std::fmt::Display) -> DataError {
    DataError::malformed(path, format!("the zip is damaged ({problem}); fetch or make it again"))
}

fn number(bytes: &[u8], at: usize, size: usize) -> u64 {
    bytes[at..at + size].iter().rev().fold(0, |sum, &byte| sum << 8 | u64::from(byte))
}

/// Reads the directory of an archive.
pub(crate) fn directory(path: &Path, source: &Source) -> Result<Vec<Entry>, DataError> {
    let broken = |error: io::Error| damaged(path, &error);
    // The end record is followed by a comment of at most 64 kB.
    let from = source.len().saturating_sub(END_SIZE + 0xFFFF);
    let tail = source.start(from, u64::MAX).map_err(broken)?;
    let last = (tail.len() as u64).checked_sub(END_SIZE).ok_or_else(|| damaged(path, &"no directory at its end"))?;
    let end = (0..=last as usize).rev().find(|&at| tail[at..].starts_with(&END));
    let end = end.ok_or_else(|| damaged(path, &"no directory at its end"))?;
    let (mut size, mut offset) = (number(&tail, end + 12, 4), number(&tail, end + 16, 4));
    let mut end_at = from + end as u64;
    if let Some((at, record)) = zip64_end(source, end_at) {
        (size, offset) = (number(&record, 40, 8), number(&record, 48, 8));
        end_at = at;
    }
    // Offsets are relative to the archive, which may start after other bytes.
    let start = end_at.checked_sub(size).ok_or_else(|| damaged(path, &"its directory is larger than it"))?;
    let shift = start.saturating_sub(offset);
    let bytes = source.span(Span { at: start, size }).map_err(broken)?;
    let mut entries = Vec::new();
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        let (entry, length) = entry(rest, shift).ok_or_else(|| damaged(path, &"a broken directory"))?;
        if entry.packed > source.len() || entry.header > source.len() {
            return Err(damaged(path, &format!("{} is longer than the file", entry.name)));
        }
        entries.push(entry);
        rest = &rest[length..];
    }
    Ok(entries)
}

/// Returns the zip64 end record, and its position.
fn zip64_end(source: &Source, end: u64) -> Option<(u64, Vec<u8>)> {
    let locator = source.span(Span { at: end.checked_sub(20)?, size: 20 }).ok()?;
    if !locator.starts_with(b"PK\x06\x07") {
        return None;
    }
    let at = number(&locator, 8, 8);
    let record = source.span(Span { at, size: 56 }).ok()?;
    record.starts_with(&END_64).then_some((at, record))
}

/// Returns the first entry of a directory, and its length.
fn entry(bytes: &[u8], shift: u64) -> Option<(Entry, usize)> {
    if bytes.len() < ENTRY_SIZE || !bytes.starts_with(&ENTRY) {
        return None;
    }
    let of = |at: usize, size: usize| number(bytes, at, size);
    let (name, extra, comment) = (of(28, 2) as usize, of(30, 2) as usize, of(32, 2) as usize);
    let (mut size, mut packed, mut header) = (of(24, 4), of(20, 4), of(42, 4));
    let extras = bytes.get(ENTRY_SIZE + name..ENTRY_SIZE + name + extra)?;
    for (sum, value) in wide(extras)
        .into_iter()
        .flatten()
        .zip([&mut size, &mut packed, &mut header].into_iter().filter(|value| **value == u64::from(u32::MAX)))
    {
        *value = sum;
    }
    let flags = of(8, 2);
    let entry = Entry {
        name: String::from_utf8_lossy(&bytes[ENTRY_SIZE..ENTRY_SIZE + name]).into_owned(),
        header: header.checked_add(shift)?,
        packed,
        size,
        method: of(10, 2) as u16,
        encrypted: flags & 1 == 1,
        crc: of(16, 4) as u32,
    };
    let length = ENTRY_SIZE + name + extra + comment;
    (bytes.len() >= length).then_some((entry, length))
}

/// Returns the 64-bit numbers in the extra fields of an entry.
fn wide(mut extras: &[u8]) -> Option<Vec<u64>> {
    while extras.len() >= 4 {
        let (kind, size) = (number(extras, 0, 2), number(extras, 2, 2) as usize);
        let field = extras.get(4..4 + size)?;
        if kind == 1 {
            return Some(field.chunks_exact(8).map(|bytes| number(bytes, 0, 8)).collect());
        }
        extras = &extras[4 + size..];
    }
    None
}

/// Returns the position of the compressed bytes of an entry.
pub(crate) fn data_start(path: &Path, source: &Source, entry: &Entry) -> Result<u64, DataError> {
    let header = source
        .span(Span { at: entry.header, size: LOCAL_SIZE })
        .map_err(|error| damaged(path, &format!("{}: {error}", entry.name)))?;
    if !header.starts_with(&LOCAL) {
        return Err(damaged(path, &format!("{} is not where the directory says", entry.name)));
    }
    Ok(entry.header + LOCAL_SIZE + number(&header, 26, 2) + number(&header, 28, 2))
}

/// Reads a whole entry.
pub(crate) fn read(path: &Path, source: &Source, entry: &Entry, limits: &Limits) -> Result<Vec<u8>, DataError> {
    let wrong = |problem: &dyn std::fmt::Display| damaged(path, &format!("{}: {problem}", entry.name));
    if entry.encrypted {
        return Err(DataError::malformed(path, format!("{} is encrypted; unpack the zip first", entry.name)));
    }
    if entry.size > limits.expanded {
        let what = format!("{}, expanded,", entry.name);
        return Err(DataError::too_large(path, what, entry.size, (Limit::Expanded, limits.expanded)));
    }
    let at = data_start(path, source, entry)?;
    let packed = source.span(Span { at, size: entry.packed }).map_err(|error| wrong(&error))?;
    let bytes = unpack(path, entry, packed)?;
    let mut crc = flate2::Crc::new();
    crc.update(&bytes);
    if bytes.len() as u64 != entry.size || crc.sum() != entry.crc {
        return Err(wrong(&"its checksum or length is another"));
    }
    Ok(bytes)
}

fn unpack(path: &Path, entry: &Entry, packed: Vec<u8>) -> Result<Vec<u8>, DataError> {
    let mut bytes = Vec::new();
    let mut fill = |stream: &mut dyn Read| stream.take(entry.size.saturating_add(1)).read_to_end(&mut bytes);
    let filled = match entry.method {
        0 => return Ok(packed),
        8 => fill(&mut flate2::read::DeflateDecoder::new(packed.as_slice())),
        12 => fill(&mut bzip2::read::BzDecoder::new(packed.as_slice())),
        93 => match ruzstd::decoding::StreamingDecoder::new(packed.as_slice()) {
            Ok(mut stream) => fill(&mut stream),
            Err(error) => Err(io::Error::other(error.to_string())),
        },
        method => {
            let name = match method {
                6 => "implode",
                9 => "deflate64",
                14 => "LZMA",
                95 => "xz",
                98 => "PPMd",
                _ => "another method",
            };
            let problem = format!(
                "{} is packed with {name} (method {method}), which is not read here; unpack it and pack it again with `zip -r`",
                entry.name
            );
            return Err(DataError::malformed(path, problem));
        }
    };
    filled.map_err(|error| damaged(path, &format!("{}: {error}", entry.name)))?;
    Ok(bytes)
}
