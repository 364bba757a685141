//! Tar archives: the positions of their files.

use std::{collections::HashMap, path::Path};

use crate::{
    DataError, Limit, Limits,
    source::{Source, Span},
};

const BLOCK: u64 = 512;
/// Maximum size of a name in an extended header, in bytes.
const LONGEST_NAME: u64 = 1 << 16;

/// Whether bytes start with a tar header with a correct checksum.
pub(crate) fn recognizes(bytes: &[u8]) -> bool {
    bytes.len() >= BLOCK as usize && checksum_is_right(&bytes[..BLOCK as usize])
}

fn checksum_is_right(header: &[u8]) -> bool {
    let blank = 148..156;
    let sum: u64 =
        header.iter().enumerate().map(|(at, &byte)| if blank.contains(&at) { 32 } else { byte.into() }).sum();
    octal(&header[blank]) == Some(sum)
}

/// A number in octal digits, or in binary if its first bit is set.
fn octal(field: &[u8]) -> Option<u64> {
    if field[0] & 0x80 != 0 {
        let low = &field[field.len() - 8..];
        return Some(low.iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte)));
    }
    let text = std::str::from_utf8(field).ok()?.trim_matches(|c: char| c == '\0' || c == ' ');
    u64::from_str_radix(text, 8).ok()
}

fn text(field: &[u8]) -> String {
    let end = field.iter().position(|&byte| byte == 0).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}

/// The regular files of an archive, in its order.
pub(crate) fn directory(path: &Path, source: &Source, limits: &Limits) -> Result<Vec<(String, Span)>, DataError> {
    let damaged = |problem: &dyn std::fmt::Display| {
        DataError::malformed(path, format!("the tar is damaged ({problem}); fetch it again"))
    };
    let (mut files, mut at, mut long_name) = (Vec::new(), 0, None);
    // Files by name, once there is a hard link.
    let mut links: Option<HashMap<String, Span>> = None;
    while at < source.len() {
        let header = source.span(Span { at, size: BLOCK }).map_err(|error| damaged(&error))?;
        at += BLOCK;
        if header.iter().all(|&byte| byte == 0) {
            break;
        }
        if !checksum_is_right(&header) {
            return Err(damaged(&format!("the header at byte {} has a wrong checksum", at - BLOCK)));
        }
        let size = octal(&header[124..136]).ok_or_else(|| damaged(&"a size that is no number"))?;
        let span = Span { at, size };
        if size > source.len() - at {
            return Err(damaged(&"a file is longer than the archive"));
        }
        let prefix = if header[257..].starts_with(b"ustar\0") { text(&header[345..500]) } else { String::new() };
        let short = text(&header[..100]);
        let name = if prefix.is_empty() { short } else { format!("{prefix}/{short}") };
        let content = || source.start(at, size.min(LONGEST_NAME)).map_err(|error| damaged(&error));
        match header[156] {
            b'L' => long_name = Some(text(&content()?)),
            b'x' => long_name = extended_name(&content()?).or(long_name),
            b'0' | 0 => {
                let name = long_name.take().unwrap_or(name);
                if let Some(links) = &mut links {
                    links.insert(name.clone(), span);
                }
                files.push((name, span));
            }
            // A second name of a file that came before.
            b'1' => {
                let links = links.get_or_insert_with(|| files.iter().cloned().collect());
                if let Some(&span) = links.get(&text(&header[157..257])) {
                    files.push((long_name.take().unwrap_or(name), span));
                }
            }
            _ => long_name = None,
        }
        if files.len() > limits.entries {
            let most = limits.entries as u64;
            return Err(DataError::too_large(path, "the tar", files.len() as u64, (Limit::Entries, most)));
        }
        // Sizes are below that of the archive, so this cannot overflow.
        at += size.next_multiple_of(BLOCK);
    }
    Ok(files)
}

/// The value of `path` in records of the form `length key=value`.
fn extended_name(mut records: &[u8]) -> Option<String> {
    while let Some(space) = records.iter().position(|&byte| byte == b' ') {
        let length: usize = std::str::from_utf8(&records[..space]).ok()?.parse().ok()?;
        let record = records.get(space + 1..length.checked_sub(1)?)?;
        if let Some(name) = record.strip_prefix(b"path=") {
            return Some(String::from_utf8_lossy(name).into_owned());
        }
        records = records.get(length..)?;
    }
    None
}
