//! A read-only walk over the tree of pages of an LMDB file, which finds the positions of its values.
//!
//! LMDB's library maps the file into memory and locks it. This reader uses four kinds of pages: the two meta pages, of which the
//! one with the later transaction is valid; branch pages, whose nodes refer to further pages; leaf pages, whose nodes hold a key and a value;
//! and runs of overflow pages for large values. It stores the positions of the values in the order of their keys.

use std::{collections::HashSet, path::Path};

use crate::{
    DataError,
    source::{Source, Span},
};

const MAGIC: u32 = 0xBEEF_C0DE;
/// Size of the header of a page.
const HEADER: usize = 16;
const BRANCH: u16 = 0x01;
const LEAF: u16 = 0x02;
/// Flags of a node: its value is on overflow pages; it has several values.
const BIG: u16 = 0x01;
const SEVERAL: u16 = 0x02 | 0x04;
/// Maximum number of levels of a tree.
const DEEPEST: usize = 32;

/// Returns the positions of the values of the main database.
pub(crate) fn places(path: &Path, source: &Source) -> Result<Vec<Span>, DataError> {
    let mut walk = Walk { path, source, page: 0, visited: HashSet::new(), places: Vec::new() };
    let (page, root, entries) = walk.newest()?;
    walk.page = page;
    if root != u64::MAX {
        walk.below(root, entries, DEEPEST)?;
    }
    if walk.places.len() as u64 != entries {
        return Err(walk.damaged(&format!("{} values where it announces {entries}", walk.places.len())));
    }
    Ok(walk.places)
}

struct Walk<'a> {
    path: &'a Path,
    source: &'a Source,
    /// Size of a page.
    page: usize,
    /// Pages that were read; a valid tree reaches each page once.
    visited: HashSet<u64>,
    places: Vec<Span>,
}

impl Walk<'_> {
    fn damaged(&self, problem: &str) -> DataError {
        DataError::malformed(self.path, format!("not a whole LMDB file ({problem}); copy or fetch it again"))
    }

    fn read(&self, at: u64, size: usize) -> Result<Vec<u8>, DataError> {
        self.source.span(Span { at, size: size as u64 }).map_err(|error| self.damaged(&error.to_string()))
    }

    /// Returns the size of a page, the root page and the number of entries, from the meta page with the later transaction.
    fn newest(&self) -> Result<(usize, u64, u64), DataError> {
        let state = |at: u64| -> Result<(u64, (usize, u64, u64)), DataError> {
            let meta = self.read(at, 160)?;
            if number(&meta, HEADER, 4) != u64::from(MAGIC) || number(&meta, HEADER + 4, 4) != 1 {
                return Err(self.damaged("no meta page of version 1"));
            }
            // The database of free pages, whose first number is the page size, and the main database, 48 bytes each.
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
    fn below(&mut self, page: u64, entries: u64, levels: usize) -> Result<(), DataError> {
        if !self.visited.insert(page) {
            return Err(self.damaged("a page that is reached twice"));
        }
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
                self.below(low | kind << 32, entries, levels - 1)?;
                continue;
            }
            if kind as u16 & SEVERAL != 0 || self.places.len() as u64 >= entries {
                return Err(self.damaged("keys with several values, or more values than it announces"));
            }
            let value = node + 8 + key as usize;
            let at = match kind as u16 & BIG {
                0 => start + value as u64,
                _ if value + 8 > self.page => return Err(self.damaged("a node beyond its page")),
                _ => number(&bytes, value, 8).saturating_mul(self.page as u64).saturating_add(HEADER as u64),
            };
            if at.checked_add(low).is_none_or(|end| end > self.source.len()) {
                return Err(self.damaged("a value beyond its end"));
            }
            self.places.push(Span { at, size: low });
        }
        Ok(())
    }
}

/// Reads a little-endian number of `size` bytes.
fn number(bytes: &[u8], at: usize, size: usize) -> u64 {
    bytes[at..at + size].iter().rev().fold(0, |sum, &byte| sum << 8 | u64::from(byte))
}
