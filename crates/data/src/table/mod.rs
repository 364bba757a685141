//! Text tables with one row per line.

mod date;
mod encode;
mod fill;
mod infer;
mod kind;
mod number;
mod schema;
mod text;

use std::path::Path;

use number::{Point, are_thousands, number};
use text::Record;

pub use encode::TableRows;
pub(crate) use encode::rows;
pub use kind::{ColumnKind, KindChoice, Kinds};
pub use number::NumberFormat;
pub use schema::{Missing, TableColumn, TableFormat, TableSchema};

use crate::{DataError, Dataset, Decimal, Header, Labels, Limits, Notice, OpenOptions, error::one_line};

/// Words for missing values, which are not column names.
const MISSING: [&str; 10] = ["", "na", "n/a", "nan", "null", "none", "?", "-", "inf", "-inf"];
/// Number of cells of a header in a notice.
const SHOWN: usize = 8;

/// Whether a file name has the extension of a table.
pub(crate) fn is_table(name: &str) -> bool {
    [".csv", ".tsv", ".tab", ".txt", ".data", ".dat"].iter().any(|ending| name.ends_with(ending))
}

/// Whether bytes may be text: without zeros, or as UTF-16 with zeros in one half of each unit.
pub(crate) fn is_text(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(1024)];
    let has_zero = |from: usize| start.iter().skip(from).step_by(2).any(|&byte| byte == 0);
    !(has_zero(0) && has_zero(1))
}

/// Makes a data set of the values of columns with these names, row after row.
pub(crate) fn assemble(
    path: &Path,
    columns: Vec<String>,
    values: &[f64],
    labels: Option<Labels>,
    label_column: Option<String>,
) -> Result<Dataset, DataError> {
    let width = columns.len();
    let whole = |place: usize| values.iter().skip(place).step_by(width).all(|value| value.fract() == 0.0);
    let whole_columns = (0..width).map(whole).collect();
    let mut set = Dataset::from_wide(path, values, width, labels)?;
    set.columns = columns;
    set.note_lost_digits(values);
    Ok(Dataset { whole_columns, label_column, ..set })
}

/// A parsed table with the names of its columns.
struct Table<'a> {
    path: &'a Path,
    names: Vec<String>,
    records: Vec<Record<'a>>,
    point: Point,
    separator: char,
    has_header: bool,
    notices: Vec<Notice>,
}

/// Reads a table. `options.columns` selects columns by name or by number from 1; `options.label` names the column of classes, which is
/// not part of the data. Kinds or a schema encode the rows; otherwise all columns are numbers.
///
/// # Errors
/// Returns an error if a cell does not fit its column, a line has another number of cells, or a column does not exist.
pub(crate) fn read(path: &Path, bytes: &[u8], options: &OpenOptions) -> Result<Dataset, DataError> {
    parsed(path, bytes, options, |table, limits| match options.kinds.is_some() || options.schema.is_some() {
        true => Ok(table.encoded(options, limits, false)?.dataset),
        false => table.dataset(options, limits),
    })
}

/// Parses the text of a table, and uses it.
fn parsed<T>(
    path: &Path,
    bytes: &[u8],
    options: &OpenOptions,
    then: impl FnOnce(Table, &Limits) -> Result<T, DataError>,
) -> Result<T, DataError> {
    let limits = options.limits.of(bytes.len() as u64);
    let mut notices = Vec::new();
    let text = text::decode(bytes, &mut notices);
    let separator = text::separator(&text);
    let records = text::records(path, &text, separator, &limits, &mut notices)?;
    then(split(path, records, separator, notices, options)?, &limits)
}

fn split<'a>(
    path: &'a Path,
    mut records: Vec<Record<'a>>,
    separator: char,
    mut notices: Vec<Notice>,
    options: &OpenOptions,
) -> Result<Table<'a>, DataError> {
    let point = decimal(path, &mut records, separator, options)?;
    if point == Point::Comma && options.decimal == Decimal::Auto {
        notices.push(Notice::DecimalCommas);
    }
    let Some(first) = records.first() else { return Err(DataError::empty(path, "no line in it")) };
    let width = first.cells.len();
    if let Some(other) = records.iter().find(|record| record.cells.len() != width) {
        let problem = format!("line {} has {} fields where the first line has {width}", other.line, other.cells.len());
        return Err(DataError::malformed(path, problem));
    }
    let cells: Vec<String> = first.cells.iter().map(ToString::to_string).collect();
    let has_header = match options.header {
        Header::Yes => true,
        Header::No => false,
        Header::Auto => is_header(&records, point, &mut notices),
    };
    let names = if has_header {
        records.remove(0);
        cells
    } else {
        if options.header == Header::Auto {
            notices.push(Notice::FirstLineIsData { cells: cells.into_iter().take(SHOWN).collect() });
        }
        (1..=width).map(|number| number.to_string()).collect()
    };
    if records.is_empty() {
        return Err(DataError::empty(path, "a header, but no line below it"));
    }
    let mut table = Table { path, names, records, point, separator, has_header, notices };
    table.drop_unnamed(has_header);
    Ok(table)
}

/// Determines whether commas are decimal points. Cells that were split at a comma are joined again.
fn decimal(path: &Path, records: &mut [Record], separator: char, options: &OpenOptions) -> Result<Point, DataError> {
    let has_comma = |record: &Record| {
        record.cells.iter().any(|cell| number(cell, Point::Dot).is_none() && number(cell, Point::Comma).is_some())
    };
    let without_comma = if options.decimal == Decimal::Point { Point::Thousands } else { Point::Dot };
    if separator != ',' {
        if options.decimal == Decimal::Auto {
            check_thousands(path, records)?;
        }
        let commas =
            options.decimal == Decimal::Comma || (options.decimal == Decimal::Auto && records.iter().any(has_comma));
        return Ok(if commas { Point::Comma } else { without_comma });
    }
    let digits = |cell: &str| !cell.is_empty() && cell.bytes().all(|byte| byte.is_ascii_digit());
    let is_half = |record: &Record| matches!(record.cells.as_slice(), [whole, fraction] if digits(whole.trim_start_matches(['-', '+'])) && digits(fraction));
    let from = usize::from(records.first().is_some_and(|record| !is_half(record)));
    let halves = records.len() > from && records[from..].iter().all(is_half);
    let one_name = from == 1 && records[0].cells.len() == 1;
    let fractions = || records[from..].iter().map(|record| &record.cells[1]);
    let decides = match options.decimal {
        Decimal::Point => false,
        Decimal::Comma => halves,
        Decimal::Auto if !halves => false,
        // One name above numbers that are split at a comma, or a fraction that starts with zero.
        Decimal::Auto if one_name || fractions().any(|cell| cell.len() > 1 && cell.starts_with('0')) => true,
        Decimal::Auto if from == 0 => {
            let width = records[0].cells[1].len();
            if width > 1 && fractions().all(|cell| cell.len() == width) {
                let problem = format!(
                    "`{},{}` may be two numbers or one with a decimal comma",
                    records[0].cells[0], records[0].cells[1]
                );
                return Err(DataError::ambiguous(path, problem, "decimal", "comma or point"));
            }
            false
        }
        Decimal::Auto => false,
    };
    if !decides {
        return Ok(without_comma);
    }
    for record in &mut records[from..] {
        record.cells = vec![record.cells.join(".").into()];
    }
    Ok(Point::Comma)
}

/// Returns an error if every comma in a table of numbers may stand between thousands as well as before decimals.
fn check_thousands(path: &Path, records: &[Record]) -> Result<(), DataError> {
    let is_number = |cell: &&str| number(cell, Point::Comma).is_some() || are_thousands(cell);
    let cells = || records.iter().flat_map(|record| &record.cells).map(AsRef::as_ref);
    let mut with_comma = cells().filter(|cell: &&str| cell.contains(',')).filter(is_number).peekable();
    let Some(&example) = with_comma.peek() else { return Ok(()) };
    if !with_comma.all(are_thousands) {
        return Ok(());
    }
    let problem = format!("`{example}` may have a comma between thousands or a decimal comma");
    Err(DataError::ambiguous(path, problem, "decimal", "comma or point"))
}

/// Whether the first line is a header: a word above numbers, or the numbers 0, 1, 2, ... that pandas writes for columns without names.
fn is_header(records: &[Record], point: Point, notices: &mut Vec<Notice>) -> bool {
    let first = &records[0].cells;
    let is_word = |cell: &str| number(cell, point).is_none() && !MISSING.contains(&cell.to_lowercase().as_str());
    let second = records.get(1).map(|record| record.cells.as_slice());
    let all_words = first.iter().all(|cell| number(cell, point).is_none()) && first.iter().any(|cell| is_word(cell));
    let word_over_number = || {
        second.is_some_and(|second| {
            first.iter().zip(second).any(|(above, below)| is_word(above) && number(below, point).is_some())
        })
    };
    let names = || first.iter().take(SHOWN).map(ToString::to_string).collect();
    if all_words || word_over_number() {
        return true;
    }
    let named: Vec<&str> = first.iter().map(AsRef::as_ref).skip(usize::from(first[0].is_empty())).collect();
    let counts = named.len() > 1 && named.iter().zip(0_usize..).all(|(cell, column)| **cell == column.to_string());
    let is_again =
        second.is_some_and(|second| second.iter().zip(first).all(|(a, b)| a.len() == b.len() && !a.contains('.')));
    if counts && !is_again {
        notices.push(Notice::HeaderTaken { names: names() });
        return true;
    }
    false
}

impl Table<'_> {
    /// Removes columns without a name: the index that pandas writes, and empty cells after the last separator.
    fn drop_unnamed(&mut self, has_header: bool) {
        let is_empty = |table: &Self, column: usize| table.records.iter().all(|record| record.cells[column].is_empty());
        let last = self.names.len() - 1;
        if last > 0 && is_empty(self, last) && (!has_header || self.names[last].is_empty()) {
            self.drop(last, "it is empty");
        }
        let unnamed = |name: &str| name.is_empty() || name == "Unnamed: 0";
        if has_header && self.names.len() > 1 && unnamed(&self.names[0]) {
            let step = |(row, record): (usize, &Record)| {
                let first = self.records[0].cells[0].parse::<i64>().ok()?;
                (record.cells[0].parse::<i64>().ok()? == first + row as i64).then_some(())
            };
            let counts = self.records.iter().enumerate().all(|pair| step(pair).is_some());
            self.drop(0, if counts { "an index without a name" } else { "it has no name; name it to use it" });
        }
    }

    fn drop(&mut self, column: usize, reason: &str) {
        let name = self.names.remove(column);
        let name = if name.is_empty() { (column + 1).to_string() } else { name };
        self.records.iter_mut().for_each(|record| drop(record.cells.remove(column)));
        self.notices.push(Notice::ColumnSkipped { name, reason: reason.into() });
    }

    fn column(&self, wanted: &str) -> Result<usize, DataError> {
        let by_number = || wanted.parse::<usize>().ok().filter(|number| (1..=self.names.len()).contains(number));
        let found = self.names.iter().position(|name| name == wanted);
        if self.names.iter().filter(|name| *name == wanted).count() > 1 {
            let problem = format!("several columns are called {wanted}; give the number of one, counted from 1");
            return Err(DataError::malformed(self.path, problem));
        }
        found.or_else(|| by_number().map(|number| number - 1)).ok_or_else(|| DataError::NoColumn {
            path: self.path.display().to_string(),
            column: wanted.to_owned(),
            columns: one_line(&self.names.join(", ")),
        })
    }

    /// The columns to read.
    fn chosen(&self, options: &OpenOptions, label: Option<usize>) -> Result<Vec<usize>, DataError> {
        let chosen: Vec<usize> = if options.columns.is_empty() {
            (0..self.names.len()).filter(|&index| Some(index) != label).collect()
        } else {
            options.columns.iter().map(|name| self.column(name)).collect::<Result<_, _>>()?
        };
        if chosen.is_empty() {
            return Err(DataError::empty(self.path, "no column besides the label's"));
        }
        Ok(chosen)
    }

    fn dataset(self, options: &OpenOptions, limits: &Limits) -> Result<Dataset, DataError> {
        let label = options.label.as_deref().map(|name| self.column(name)).transpose()?;
        let chosen = self.chosen(options, label)?;
        limits.check_rows(self.path, self.records.len(), chosen.len(), size_of::<f64>())?;
        let mut values = Vec::with_capacity(self.records.len() * chosen.len());
        for record in &self.records {
            for &index in &chosen {
                let cell = &record.cells[index];
                match number(cell, self.point) {
                    Some(value) if value.is_finite() && value.abs() <= f64::from(f32::MAX) => values.push(value),
                    _ => return Err(self.not_a_number(record, index)),
                }
            }
        }
        let labels =
            label.map(|index| Labels::of_texts(self.records.iter().map(move |record| record.cells[index].as_ref())));
        let columns = chosen.into_iter().map(|index| self.names[index].clone()).collect();
        let label_column = label.map(|index| self.names[index].clone());
        let mut dataset = assemble(self.path, columns, &values, labels, label_column)?;
        dataset.notices.splice(0..0, self.notices);
        Ok(dataset)
    }

    fn not_a_number(&self, record: &Record, column: usize) -> DataError {
        DataError::NotANumber {
            path: self.path.display().to_string(),
            line: record.line,
            column: one_line(&self.names[column]),
            cell: one_line(&record.cells[column].chars().take(100).collect::<String>()),
        }
    }
}
