//! Parquet files: images as the Hugging Face Hub has them, arrays in lists, and tables of numbers.
//!
//! The reader is our own. Files are untrusted, and the known crate panics on damaged pages and lets gzip and LZ4 pages grow without a
//! bound; here every size is compared with its [`Limits`] before anything is allocated for it.

mod blobs;
mod choose;
mod labels;
mod page;
mod schema;
mod thrift;
mod values;

use std::path::{Path, PathBuf};

pub(crate) use blobs::Blobs;
use choose::{Choice, Data, choose};
use page::Page;
use schema::{Chunk, Footer, Leaf, Meaning};
use values::Values;

use crate::{
    DataError, Dataset, Limit, Limits, Notice, OpenOptions,
    array::{self, Array},
    error::one_line,
    images,
    listing::Listing,
    source::Source,
    table,
};

/// Numbers that decoding holds for each value besides the value: its levels, and its entry of the dictionary.
const DECODING: usize = 4;
/// Images that any file may have.
const LEAST_IMAGES: u64 = 1 << 20;

/// Whether bytes begin as a Parquet file does, be it encrypted.
pub(crate) fn recognizes(first: &[u8]) -> bool {
    first.starts_with(b"PAR1") || first.starts_with(b"PARE")
}

/// A file and its footer.
#[derive(Clone, Debug)]
struct Part {
    path: PathBuf,
    source: Source,
    footer: Footer,
}

/// Files with the same columns, one after another.
#[derive(Clone, Debug)]
struct Set<'a> {
    path: &'a Path,
    parts: Vec<Part>,
    limits: Limits,
    /// Rows that a column of images may have.
    most_images: u64,
}

/// A column's values in one group of rows.
struct Piece<'a> {
    part: usize,
    leaf: &'a Leaf,
    chunk: Chunk,
    /// The first of its rows in the set.
    first: usize,
}

impl<'a> Set<'a> {
    fn open(path: &'a Path, files: Vec<(PathBuf, Source)>, options: &OpenOptions) -> Result<Self, DataError> {
        let bytes = files.iter().map(|(_, source)| source.len()).sum();
        let open = |(path, source): (PathBuf, Source)| {
            let footer = Footer::read(&path, &source)?;
            Ok(Part { path, source, footer })
        };
        let parts = files.into_iter().map(open).collect::<Result<Vec<_>, DataError>>()?;
        // A dictionary may stand for any number of images, but one that a data set has takes some bytes.
        let most_images = options.limits.get(Limit::Entries).unwrap_or(LEAST_IMAGES.max(bytes / 8));
        let set = Self { path, parts, limits: options.limits.of(bytes), most_images };
        if set.rows() == Some(0) || set.parts.is_empty() {
            return Err(DataError::empty(path, "the Parquet files have no rows"));
        }
        Ok(set)
    }

    /// The footer of the first file, whose columns the others must have, too.
    fn footer(&self) -> &Footer {
        &self.parts[0].footer
    }

    fn rows(&self) -> Option<usize> {
        self.parts.iter().try_fold(0_usize, |sum, part| sum.checked_add(part.footer.rows))
    }

    /// Rows of the set, each with so many values that are held in memory.
    fn checked_rows(&self, values: usize) -> Result<usize, DataError> {
        let rows = self.rows().ok_or_else(|| DataError::malformed(self.path, "more rows than can be counted"))?;
        self.limits.check_rows(self.path, rows, values + DECODING, size_of::<f64>())?;
        Ok(rows)
    }

    /// The pieces of a column of the first file in all files.
    fn pieces(&self, leaf: &Leaf) -> Result<Vec<Piece<'_>>, DataError> {
        let mut pieces = Vec::new();
        let mut first = 0_usize;
        for (part, Part { path, footer, .. }) in self.parts.iter().enumerate() {
            let same = |other: &Leaf| other.path == leaf.path;
            let Some(index) = footer.leaves.iter().position(same) else {
                let problem = format!("it has no column {}, as the first file has", leaf.path.join("."));
                return Err(DataError::malformed(path, problem));
            };
            let found = &footer.leaves[index];
            if found.repetition != leaf.repetition || is_number(found) != is_number(leaf) {
                let problem = format!("column {} is of another type than in the first file", leaf.path.join("."));
                return Err(DataError::malformed(path, problem));
            }
            for (rows, chunks) in &footer.groups {
                let piece = Piece { part, leaf: found, chunk: chunks[index], first };
                if leaf.repetition == 0 && piece.chunk.values != *rows {
                    return Err(self.damaged(&piece, "it has another number of values than rows"));
                }
                first = first.saturating_add(*rows);
                pieces.push(piece);
            }
        }
        Ok(pieces)
    }

    fn damaged(&self, piece: &Piece, problem: &str) -> DataError {
        let column = piece.leaf.path.join(".");
        DataError::malformed(&self.parts[piece.part].path, format!("column {column} cannot be read: {problem}"))
    }

    /// The pages of a piece, of which none may expand beyond the limit.
    fn pages(&self, piece: &Piece) -> Result<Vec<Page>, DataError> {
        let part = &self.parts[piece.part];
        let pages = page::pages(&part.source, piece.chunk).map_err(|problem| self.damaged(piece, &problem))?;
        let most = pages.iter().map(|page| page.size as u64).max().unwrap_or(0);
        if most > self.limits.expanded {
            let what = format!("a page of column {}, expanded,", piece.leaf.path.join("."));
            return Err(DataError::too_large(&part.path, what, most, (Limit::Expanded, self.limits.expanded)));
        }
        Ok(pages)
    }

    /// Passes the pages of a column to a visitor, with the row that a page of a column without lists begins at.
    fn each_page(
        &self,
        leaf: &Leaf,
        visit: &mut dyn FnMut(usize, values::Content) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        for piece in self.pieces(leaf)? {
            let source = &self.parts[piece.part].source;
            let wrong = |problem: String| self.damaged(&piece, &problem);
            let (mut dictionary, mut row) = (None, piece.first);
            for page in self.pages(&piece)? {
                if page.is_dictionary {
                    dictionary = Some(values::read_dictionary(source, piece.leaf, &page).map_err(wrong)?);
                    continue;
                }
                let content = values::read(source, piece.leaf, &page, dictionary.as_ref()).map_err(wrong)?;
                visit(row, content)?;
                row += page.values;
            }
        }
        Ok(())
    }

    /// All numbers of a column, of which none may be missing, and their levels of repetition.
    fn numbers(&self, leaf: &Leaf) -> Result<(Vec<f64>, Vec<u32>), DataError> {
        let (mut numbers, mut repetition) = (Vec::new(), Vec::new());
        let count = self.pieces(leaf)?.iter().try_fold(0_usize, |sum, piece| sum.checked_add(piece.chunk.values));
        self.limits.check_rows(self.path, count.unwrap_or(usize::MAX), 1 + DECODING, size_of::<f64>())?;
        self.each_page(leaf, &mut |row, content| {
            if let Some(missing) = content.present.iter().position(|present| !present) {
                return Err(self.missing(leaf, row + missing));
            }
            if let Values::Numbers(values) = content.values {
                numbers.extend(values);
            }
            repetition.extend(content.repetition);
            Ok(())
        })?;
        Ok((numbers, repetition))
    }

    fn missing(&self, leaf: &Leaf, row: usize) -> DataError {
        let (column, at) = (leaf.field(), if leaf.repetition == 0 { format!("row {row}, ") } else { String::new() });
        let what = if leaf.repetition == 0 { "is null" } else { "has nulls or empty lists" };
        let todo = "fill it in, drop the row, or choose other columns";
        DataError::malformed(self.path, format!("{at}column {column} {what}; {todo}"))
    }
}

fn is_number(leaf: &Leaf) -> bool {
    matches!(leaf.meaning, Meaning::Number(..))
}

/// Opens files with the same columns as one data set.
pub(crate) fn open(path: &Path, files: Vec<(PathBuf, Source)>, options: &OpenOptions) -> Result<Dataset, DataError> {
    let set = Set::open(path, files, options)?;
    let Choice { data, label, mut notices } = choose(&set, options)?;
    let label_column = label.as_ref().map(|label| one_line(label.leaf.field()));
    let (labels, about) = match label {
        Some(label) => labels::read(&set, &label)?,
        None => (None, Vec::new()),
    };
    notices.extend(about);
    let mut dataset = match data {
        Data::Images(leaf) => {
            let listing = Listing::blobs(path, Blobs::open(&set, &leaf)?, labels);
            images::open(listing, options)?
        }
        Data::Lists(leaf) => {
            let array = list_array(&set, &leaf)?;
            array::rows(path, &array, labels, false, &mut notices)?
        }
        Data::Table(leaves) => table_of(&set, &leaves, labels, label_column)?,
    };
    if set.parts.len() > 1 {
        notices.push(Notice::FilesJoined { count: set.parts.len() });
    }
    dataset.notices.splice(0..0, notices);
    Ok(dataset)
}

fn table_of(
    set: &Set,
    leaves: &[Leaf],
    labels: Option<crate::Labels>,
    label_column: Option<String>,
) -> Result<Dataset, DataError> {
    let rows = set.checked_rows(leaves.len())?;
    let mut values = vec![0.0; rows * leaves.len()];
    for (column, leaf) in leaves.iter().enumerate() {
        let (numbers, _) = set.numbers(leaf)?;
        let is_wrong = |value: &f64| !(value.is_finite() && value.abs() <= f64::from(f32::MAX));
        if let Some(row) = numbers.iter().position(is_wrong) {
            let problem = format!(
                "row {row}, column {} is {}, no finite number; fill it in, drop the row, or choose other columns",
                leaf.field(),
                numbers[row]
            );
            return Err(DataError::malformed(set.path, problem));
        }
        values.iter_mut().skip(column).step_by(leaves.len()).zip(numbers).for_each(|(value, number)| *value = number);
    }
    let names = leaves.iter().map(|leaf| one_line(leaf.field())).collect();
    table::assemble(set.path, names, &values, labels, label_column)
}

/// A column of lists of one shape as an array.
fn list_array(set: &Set, leaf: &Leaf) -> Result<Array, DataError> {
    let Meaning::Number(number, _) = leaf.meaning else {
        return Err(DataError::malformed(set.path, format!("column {} holds no numbers", leaf.field())));
    };
    let (numbers, repetition) = set.numbers(leaf)?;
    let shape = list_shape(&repetition, leaf.repetition, set.rows()).ok_or_else(|| {
        let problem =
            format!("the lists of column {} differ in length; make them as long as one another", leaf.field());
        DataError::malformed(set.path, problem)
    })?;
    let (number, bytes) = number.encode(&numbers);
    Ok(Array {
        name: leaf.field().to_owned(),
        shape,
        number: Some(number),
        text: None,
        unread: None,
        big_endian: false,
        source: Source::Bytes(bytes.into()),
        start: 0,
    })
}

/// The shape of nested lists, if all have one. A level of repetition says which of the lists begins anew, 0 for the outermost.
fn list_shape(repetition: &[u32], depth: u32, rows: Option<usize>) -> Option<Vec<usize>> {
    let begun = |level: u32| repetition.iter().filter(|&&found| found <= level).count();
    let mut shape = vec![begun(0)];
    for level in 1..=depth {
        shape.push(begun(level).checked_div(begun(level - 1))?);
    }
    if Some(shape[0]) != rows || shape.iter().product::<usize>() != repetition.len() {
        return None;
    }
    // The list that each value begins: the outermost whose size divides its place.
    let sizes: Vec<usize> = (0..=depth as usize).map(|level| shape[level + 1..].iter().product()).collect();
    let due = |at: usize| sizes.iter().position(|&size| at.is_multiple_of(size)).unwrap_or_default() as u32;
    repetition.iter().enumerate().all(|(at, &found)| found == due(at)).then_some(shape)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_lists_of_one_length_have_a_shape() {
        assert_eq!(list_shape(&[0, 1, 1, 0, 1, 1], 1, Some(2)), Some(vec![2, 3]));
        assert_eq!(list_shape(&[0, 2, 1, 2, 0, 2, 1, 2], 2, Some(2)), Some(vec![2, 2, 2]));
        assert_eq!(list_shape(&[0, 1, 0, 1, 1, 1], 1, Some(2)), None, "lengths 2 and 4");
        assert_eq!(list_shape(&[0, 1, 1, 0, 1, 1], 1, Some(3)), None);
        assert_eq!(list_shape(&[], 1, Some(0)), None);
    }
}
