//! Where the values of an LMDB file are: a walk over its tree of pages, which only reads.
//!
//! LMDB's own library maps the file into memory and locks it. Of the format this needs four things: the two meta pages, of which the
//! one with the later transaction counts; branch pages, whose nodes name further pages; leaf pages, whose nodes hold a key and a value;
//! and runs of overflow pages for values that fill no page. What is kept are the values' places, in the order of their keys.

use std::{fs::File, path::Path};

use super::read_at;
use crate::DataError;

const MAGIC: u32 = 0xBEEF_C0DE;
/// Bytes before what a page holds.
const HEADER: usize = 16;
const BRANCH: u16 = 0x01;
const LEAF: u16 = 0x02;
/// A node whose value is on pages of its own; one with several values.
const BIG: u16 = 0x01;
const SEVERAL: u16 = 0x02 | 0x04;
/// Trees of more levels than this do not exist.
const DEEPEST: usize = 32;

/// Where a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub at: u64,
    pub size: u32,
}

/// The values of a file's main database.
pub(super) fn places(path: &Path, file: &File) -> Result<Vec<Place>, DataError> {
    let walk = Walk { path, file, page: 0 };
    let (page, root, entries) = walk.newest()?;
    let mut places = Vec::new();
    if root != u64::MAX {
        Walk { page, ..walk }.below(root, entries, DEEPEST, &mut places)?;
    }
    if places.len() as u64 != entries {
        return Err(walk.damaged(&format!("{} values where it announces {entries}", places.len())));
    }
    Ok(places)
}

struct Walk<'a> {
    path: &'a Path,
    file: &'a File,
    /// The size of a page.
    page: usize,
}

impl Walk<'_> {
    fn damaged(&self, problem: &str) -> DataError {
        DataError::malformed(self.path, format!("not a whole LMDB file ({problem}); copy or fetch it again"))
    }

    fn read(&self, at: u64, size: usize) -> Result<Vec<u8>, DataError> {
        let mut bytes = vec![0; size];
        read_at(self.file, at, &mut bytes).map_err(|error| self.damaged(&error.to_string()))?;
        Ok(bytes)
    }

    /// The size of a page, the root page and the number of entries, of the later of two states.
    fn newest(&self) -> Result<(usize, u64, u64), DataError> {
        let state = |at: u64| -> Result<(u64, (usize, u64, u64)), DataError> {
            let meta = self.read(at, 160)?;
            if number(&meta, HEADER, 4) != u64::from(MAGIC) || number(&meta, HEADER + 4, 4) != 1 {
                return Err(self.damaged("no meta page of version 1"));
            }
            // The free pages' database, whose first number is the size of a page, and the main one, of 48 bytes each.
            let (free, main) = (HEADER + 24, HEADER + 24 + 48);
            let page = number(&meta, free, 4) as usize;
            if !(512..=65536).contains(&page) || !page.is_power_of_two() {
                return Err(self.damaged(&format!("pages of {page} bytes")));
            }
            if number(&meta, main + 4, 2) & 0x04 != 0 {
                return Err(self.damaged("keys with several values are not read here"));
            }
            Ok((number(&meta, main + 48 + 8, 8), (page, number(&meta, main + 40, 8), number(&meta, main + 32, 8))))
        };
        let first = state(0)?;
        let second = state(first.1.0 as u64)?;
        Ok(if second.0 > first.0 { second.1 } else { first.1 })
    }

    /// Adds the values below a page.
    fn below(&self, page: u64, entries: u64, levels: usize, places: &mut Vec<Place>) -> Result<(), DataError> {
        let start = page.checked_mul(self.page as u64).ok_or_else(|| self.damaged("a page beyond its end"))?;
        let bytes = self.read(start, self.page)?;
        let (flags, lower) = (number(&bytes, 10, 2) as u16, number(&bytes, 12, 2) as usize);
        if levels == 0 || !(HEADER..=self.page).contains(&lower) || flags & (BRANCH | LEAF) == 0 {
            return Err(self.damaged("a page that is none of its tree"));
        }
        for pointer in (HEADER..lower).step_by(2) {
            let node = number(&bytes, pointer, 2) as usize;
            if node + 8 > self.page {
                return Err(self.damaged("a node beyond its page"));
            }
            let (low, kind, key) = (number(&bytes, node, 4), number(&bytes, node + 4, 2), number(&bytes, node + 6, 2));
            if flags & BRANCH != 0 {
                self.below(low | kind << 32, entries, levels - 1, places)?;
                continue;
            }
            if kind as u16 & SEVERAL != 0 || places.len() as u64 >= entries {
                return Err(self.damaged("keys with several values, or more values than it announces"));
            }
            let value = node + 8 + key as usize;
            let at = match kind as u16 & BIG {
                0 => start + value as u64,
                _ if value + 8 > self.page => return Err(self.damaged("a node beyond its page")),
                _ => number(&bytes, value, 8).saturating_mul(self.page as u64).saturating_add(HEADER as u64),
            };
            places.push(Place { at, size: low as u32 });
        }
        Ok(())
    }
}

/// A number of `size` bytes, the lowest first.
fn number(bytes: &[u8], at: usize, size: usize) -> u64 {
    bytes[at..at + size].iter().rev().fold(0, |sum, &byte| sum << 8 | u64::from(byte))
}
