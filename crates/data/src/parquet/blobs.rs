//! Images in a column: which page a row is in, and the bytes of a row.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    Set,
    page::Page,
    schema::{Leaf, Meaning},
    values::{self, Values},
};
use crate::{DataError, Limit, source::Source};

/// Pages whose expanded bytes are kept, and their bytes. Threads read rows that are near to one another.
const KEPT: usize = 4;
const KEPT_BYTES: usize = 256 << 20;

/// Bytes of each row in a column, such as the files of images. Pages are expanded when one of their rows is asked for.
#[derive(Debug)]
pub(crate) struct Blobs {
    path: PathBuf,
    leaf: Leaf,
    sources: Vec<(PathBuf, Source)>,
    pages: Vec<Place>,
    /// The first row behind each page.
    ends: Vec<usize>,
    kept: Mutex<Vec<(usize, Arc<Expanded>)>>,
}

/// A page, its file, and the dictionary that it refers to.
#[derive(Debug)]
struct Place {
    part: usize,
    page: Page,
    dictionary: Option<Page>,
}

#[derive(Debug)]
struct Expanded {
    present: Vec<bool>,
    bytes: Arc<[u8]>,
    places: Vec<std::ops::Range<usize>>,
}

impl Blobs {
    /// Finds the pages of a column.
    pub(super) fn open(set: &Set, leaf: &Leaf) -> Result<Self, DataError> {
        let rows = set.rows().map_or(u64::MAX, |rows| rows as u64);
        if rows > set.most_images {
            let what = format!("column {}", leaf.field());
            return Err(DataError::too_large(set.path, what, rows, (Limit::Entries, set.most_images)));
        }
        let (mut pages, mut ends, mut row) = (Vec::new(), Vec::new(), 0);
        for piece in set.pieces(leaf)? {
            let mut dictionary = None;
            for page in set.pages(&piece)? {
                if page.is_dictionary {
                    dictionary = Some(page);
                    continue;
                }
                row += page.values;
                ends.push(row);
                pages.push(Place { part: piece.part, page, dictionary });
            }
        }
        let sources = set.parts.iter().map(|part| (part.path.clone(), part.source.clone())).collect();
        let leaf = Leaf { meaning: Meaning::Bytes, ..leaf.clone() };
        Ok(Self { path: set.path.to_owned(), leaf, sources, pages, ends, kept: Mutex::default() })
    }

    pub(crate) fn rows(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }

    /// Bytes of all files.
    pub(crate) fn len(&self) -> u64 {
        self.sources.iter().map(|(_, source)| source.len()).sum()
    }

    /// The bytes of a row.
    pub(crate) fn read(&self, row: usize) -> Result<Vec<u8>, DataError> {
        let index = self.ends.partition_point(|&end| end <= row);
        let Some(place) = self.pages.get(index) else {
            return Err(DataError::malformed(&self.path, format!("there is no row {row}")));
        };
        let expanded = self.expanded(index, place)?;
        let at = row - if index == 0 { 0 } else { self.ends[index - 1] };
        let value = match expanded.present.get(at) {
            None => Some(at),
            Some(false) => None,
            Some(true) => Some(expanded.present[..at].iter().filter(|present| **present).count()),
        };
        let span = value.and_then(|value| expanded.places.get(value)).ok_or_else(|| self.absent(row))?;
        Ok(expanded.bytes[span.clone()].to_vec())
    }

    fn absent(&self, row: usize) -> DataError {
        let problem = format!(
            "row {row} of column {} is null; drop the row, or if the images are files of their own, give their folder",
            self.leaf.field()
        );
        DataError::malformed(&self.path, problem)
    }

    /// The page with its values, kept for the rows beside this one. One page is expanded at a time, which bounds the memory.
    fn expanded(&self, index: usize, place: &Place) -> Result<Arc<Expanded>, DataError> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, expanded)) = kept.iter().find(|(page, _)| *page == index) {
            return Ok(expanded.clone());
        }
        let (path, source) = &self.sources[place.part];
        let wrong = |problem: String| {
            DataError::malformed(path, format!("column {} cannot be read: {problem}", self.leaf.path.join(".")))
        };
        let dictionary = place.dictionary.map(|page| values::read_dictionary(source, &self.leaf, &page));
        let dictionary = dictionary.transpose().map_err(wrong)?;
        let content = values::read(source, &self.leaf, &place.page, dictionary.as_ref()).map_err(wrong)?;
        let Values::Places(bytes, places) = content.values else {
            return Err(wrong("it holds no bytes".into()));
        };
        let expanded = Arc::new(Expanded { present: content.present, bytes, places });
        let size = |kept: &[(usize, Arc<Expanded>)]| kept.iter().map(|(_, page)| page.bytes.len()).sum::<usize>();
        while !kept.is_empty() && (kept.len() >= KEPT || size(&kept) + expanded.bytes.len() > KEPT_BYTES) {
            kept.remove(0);
        }
        kept.push((index, expanded.clone()));
        Ok(expanded)
    }
}
