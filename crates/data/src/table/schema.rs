//! The columns of a table: how rows of cells become rows of numbers, and back.

use serde::{Deserialize, Serialize};

use super::{
    date::Format,
    kind::ColumnKind,
    number::{NumberFormat, Point, number},
};

/// How near to its ends the place in a range comes before the logit.
const MARGIN: f64 = 0.01;
/// Largest logarithm that is raised to a number, which stays in single precision.
const LARGEST_LOG: f64 = 88.0;

/// The columns of a table in their order, with everything that encoding and decoding needs. It is stored in a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableSchema {
    /// How the table is written.
    pub format: TableFormat,
    /// The columns in the order of the file, without those that are not used.
    pub columns: Vec<TableColumn>,
}

/// How a table is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableFormat {
    /// Character between cells.
    pub separator: char,
    /// Whether commas are decimal points.
    pub decimal_comma: bool,
    /// Whether the first line names the columns.
    pub header: bool,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableColumn {
    /// Name of the column.
    pub name: String,
    /// What its cells are.
    pub kind: ColumnKind,
    /// How its numbers are written.
    #[serde(default)]
    pub number: NumberFormat,
    /// Its missing values, if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<Missing>,
}

/// Missing values of a column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Missing {
    /// How a missing value is written.
    pub word: String,
    /// Share of the rows without a value.
    pub share: f64,
}

impl TableSchema {
    /// Returns the number of values of an encoded row.
    pub fn dim(&self) -> usize {
        self.columns.iter().map(TableColumn::width).sum()
    }

    /// Returns the range of a column's values in an encoded row.
    pub fn places(&self) -> Vec<std::ops::Range<usize>> {
        let mut from = 0;
        let place = |column: &TableColumn| {
            let start = from;
            from += column.width();
            start..from
        };
        self.columns.iter().map(place).collect()
    }

    /// Returns the names of the values of an encoded row: `age`, `sex=male`, `age is missing`.
    pub fn value_names(&self) -> Vec<String> {
        self.columns.iter().flat_map(TableColumn::value_names).collect()
    }

    /// Returns which values of an encoded row are 0 or 1: those of categories, and of masks.
    pub fn are_indicators(&self) -> Vec<bool> {
        let of = |column: &TableColumn| {
            let is_category = matches!(column.kind, ColumnKind::Category { .. });
            let values = vec![is_category; column.kind.width()];
            values.into_iter().chain(column.missing.iter().map(|_| true)).collect::<Vec<bool>>()
        };
        self.columns.iter().flat_map(of).collect()
    }

    /// Returns the cells of an encoded row. `class` is the text of a column of classes; without one, the column is left out. If
    /// `with_missing` is false, every cell has a value.
    pub fn decode(&self, row: &[f64], class: Option<&str>, with_missing: bool) -> Vec<String> {
        let mut cells = Vec::with_capacity(self.columns.len());
        for (column, place) in self.columns.iter().zip(self.places()) {
            match (&column.kind, class) {
                (ColumnKind::Label, Some(class)) => cells.push(class.to_owned()),
                (ColumnKind::Label, None) => {}
                _ => cells.push(column.decode(&row[place], with_missing, self.format.decimal_comma)),
            }
        }
        cells
    }

    /// Returns the names of the columns, with that of the classes or without.
    pub fn column_names(&self, with_label: bool) -> Vec<&str> {
        let is_written = |column: &&TableColumn| with_label || column.kind != ColumnKind::Label;
        self.columns.iter().filter(is_written).map(|column| column.name.as_str()).collect()
    }

    /// Returns the text of a table with these rows of cells, which the reader reads as it read the original.
    pub fn write(&self, with_label: bool, rows: impl IntoIterator<Item = Vec<String>>) -> String {
        let separator = self.format.separator;
        let mut text = String::new();
        let mut add = |cells: &mut dyn Iterator<Item = &str>| {
            for (place, cell) in cells.enumerate() {
                if place > 0 {
                    text.push(separator);
                }
                let needs_quotes = cell.contains([separator, '"', '\n', '\r'])
                    || cell.starts_with('#')
                    || cell.trim() != cell
                    || (separator == ' ' && cell.is_empty());
                if needs_quotes {
                    text.push('"');
                    text.push_str(&cell.replace('"', "\"\""));
                    text.push('"');
                } else {
                    text.push_str(cell);
                }
            }
            text.push('\n');
        };
        if self.format.header {
            add(&mut self.column_names(with_label).into_iter());
        }
        rows.into_iter().for_each(|row| add(&mut row.iter().map(String::as_str)));
        text
    }

    /// Returns what is wrong with a schema that was read from a file; `None` if nothing is.
    pub fn problem(&self) -> Option<String> {
        let of = |column: &TableColumn| {
            let levels = |levels: &[String]| levels.is_empty().then_some("has no levels");
            let finite = |numbers: &[f64]| {
                numbers.iter().any(|number| !number.is_finite()).then_some("has a number that is not finite")
            };
            let problem = match &column.kind {
                ColumnKind::Category { levels: all } | ColumnKind::Ordinal { levels: all } => levels(all),
                ColumnKind::Bounded { low, high } if low >= high => Some("has bounds in the wrong order"),
                ColumnKind::Bounded { low, high } => finite(&[*low, *high]),
                ColumnKind::Positive { least, shift } => finite(&[*least, shift.unwrap_or(0.0)]),
                ColumnKind::Date { format } => Format::new(format).is_err().then_some("has an unknown format of dates"),
                _ => None,
            };
            let share = column.missing.as_ref().filter(|missing| !(0.0..=1.0).contains(&missing.share));
            problem.or(share.map(|_| "has a share of missing values outside of 0 to 1"))
        };
        self.columns.iter().find_map(|column| of(column).map(|problem| format!("column {} {problem}", column.name)))
    }
}

impl TableColumn {
    /// Returns the number of values of an encoded cell: those of the kind, and a mask if there are missing values.
    pub fn width(&self) -> usize {
        self.kind.width() + usize::from(self.missing.is_some())
    }

    fn value_names(&self) -> Vec<String> {
        let mut names = match &self.kind {
            ColumnKind::Category { levels } if levels.len() > 2 => {
                levels.iter().map(|level| format!("{}={level}", self.name)).collect()
            }
            ColumnKind::Category { levels } => vec![format!("{}={}", self.name, levels[levels.len() - 1])],
            kind => vec![self.name.clone(); kind.width()],
        };
        names.extend(self.missing.as_ref().map(|_| format!("{} is missing", self.name)));
        names
    }

    /// Returns the value of a cell with a decimal point: that of a number, the place of a category, the units of a date; `None` if it is
    /// no value of this column.
    pub fn value_of(&self, cell: &str) -> Option<f64> {
        self.value(cell, Point::Dot).ok()
    }

    /// Returns a cell as a number: the value of a number, the place of a category, the units of a date.
    ///
    /// # Errors
    /// Returns what the cell should be.
    pub(super) fn value(&self, cell: &str, point: Point) -> Result<f64, String> {
        let finite = || number(cell, point).filter(|value| value.is_finite() && value.abs() <= f64::from(f32::MAX));
        let whole = || finite().filter(|value| value.fract() == 0.0);
        let level = |levels: &[String]| {
            let same = |level: &&String| **level == cell;
            let equal = |level: &&String| finite().is_some_and(|value| number(level, Point::Dot) == Some(value));
            let found = levels.iter().find(same).or_else(|| levels.iter().find(equal));
            found.and_then(|found| levels.iter().position(|level| level == found)).map(|at| at as f64)
        };
        let found = match &self.kind {
            ColumnKind::Real => finite().ok_or("a finite number"),
            ColumnKind::Positive { .. } => finite().filter(|value| *value >= 0.0).ok_or("a number of at least 0"),
            ColumnKind::Integer => whole().ok_or("a whole number"),
            ColumnKind::Count { .. } => whole().filter(|value| *value >= 0.0).ok_or("a whole number of at least 0"),
            ColumnKind::Bounded { low, high } => {
                let value = finite().filter(|value| (*low..=*high).contains(value));
                return value.ok_or_else(|| format!("a number from {low} to {high}"));
            }
            ColumnKind::Category { levels } | ColumnKind::Ordinal { levels } => {
                let shown = levels.iter().take(12).cloned().collect::<Vec<_>>().join(", ");
                return level(levels).ok_or_else(|| format!("one of {shown}"));
            }
            ColumnKind::Date { format } => {
                let value = Format::new(format).ok().and_then(|format| format.parse(cell));
                return value.ok_or_else(|| format!("a date as {format}"));
            }
            ColumnKind::Constant { value } => (value == cell).then_some(0.0).ok_or(value.as_str()),
            ColumnKind::Label => Ok(0.0),
        };
        found.map_err(str::to_owned)
    }

    /// Encodes a value of [`TableColumn::value`]. `uniform` in [-0.5, 0.5) is the place in the interval of numbers that are rounded to
    /// the value.
    ///
    /// # Shapes
    /// `out`: `[kind.width()]`
    pub(super) fn encode(&self, value: f64, uniform: f64, out: &mut [f64]) {
        let fine = value + uniform * self.number.step();
        out[0] = match &self.kind {
            ColumnKind::Real => fine,
            ColumnKind::Positive { shift, .. } => match shift {
                Some(shift) => (fine + shift).max(f64::MIN_POSITIVE).ln(),
                None => fine,
            },
            ColumnKind::Integer | ColumnKind::Ordinal { .. } | ColumnKind::Date { .. } => value + uniform,
            ColumnKind::Count { log: true } => (1.0 + value + uniform).ln(),
            ColumnKind::Count { log: false } => value + uniform,
            ColumnKind::Bounded { low, high } => {
                let place = ((fine - low) / (high - low)).clamp(0.0, 1.0);
                let inner = MARGIN + (1.0 - 2.0 * MARGIN) * place;
                (inner / (1.0 - inner)).ln()
            }
            ColumnKind::Category { levels } if levels.len() > 2 => {
                out.iter_mut().enumerate().for_each(|(place, out)| *out = f64::from(place == value as usize));
                return;
            }
            ColumnKind::Category { .. } => value,
            ColumnKind::Constant { .. } | ColumnKind::Label => return,
        };
    }

    /// Returns the value of an encoded cell: a possible one, whatever the encoded numbers are.
    pub fn decode_value(&self, encoded: &[f64]) -> f64 {
        let x = encoded.first().copied().unwrap_or(0.0);
        let place = |levels: usize| (x.round().max(0.0) as usize).min(levels - 1) as f64;
        match &self.kind {
            ColumnKind::Real => self.number.rounded(x),
            ColumnKind::Positive { least, shift } => {
                let value = shift.map_or(x, |shift| x.min(LARGEST_LOG).exp() - shift);
                self.number.rounded(value).max(*least)
            }
            ColumnKind::Integer | ColumnKind::Date { .. } => x.round(),
            ColumnKind::Count { log: true } => (x.min(LARGEST_LOG).exp() - 1.0).round().max(0.0),
            ColumnKind::Count { log: false } => x.round().max(0.0),
            ColumnKind::Bounded { low, high } => {
                let place = (1.0 / (1.0 + (-x).exp()) - MARGIN) / (1.0 - 2.0 * MARGIN);
                self.number.rounded(low + (high - low) * place.clamp(0.0, 1.0)).clamp(*low, *high)
            }
            ColumnKind::Category { levels } if levels.len() > 2 => {
                let values = encoded[..levels.len()].iter().enumerate();
                values.max_by(|a, b| a.1.total_cmp(b.1)).map_or(0.0, |(place, _)| place as f64)
            }
            ColumnKind::Category { levels } | ColumnKind::Ordinal { levels } => place(levels.len()),
            ColumnKind::Constant { .. } | ColumnKind::Label => 0.0,
        }
    }

    /// Returns a value of [`TableColumn::decode_value`] as the number that stands in the table; `None` if it is a text, a date or a class.
    pub fn number_of(&self, value: f64) -> Option<f64> {
        match &self.kind {
            ColumnKind::Ordinal { levels } => number(&levels[value as usize], Point::Dot),
            ColumnKind::Category { .. } | ColumnKind::Date { .. } | ColumnKind::Constant { .. } | ColumnKind::Label => {
                None
            }
            _ => Some(value),
        }
    }

    /// Whether an encoded cell has no value.
    pub fn is_missing(&self, encoded: &[f64]) -> bool {
        self.missing.is_some() && encoded.last().is_some_and(|mask| *mask > 0.5)
    }

    /// Returns the text of a value of [`TableColumn::decode_value`].
    pub fn text(&self, value: f64, decimal_comma: bool) -> String {
        match &self.kind {
            ColumnKind::Category { levels } | ColumnKind::Ordinal { levels } => levels[value as usize].clone(),
            ColumnKind::Date { format } => Format::new(format).map(|format| format.write(value)).unwrap_or_default(),
            ColumnKind::Constant { value } => value.clone(),
            ColumnKind::Label => String::new(),
            _ => self.number.write(value, decimal_comma),
        }
    }

    fn decode(&self, encoded: &[f64], with_missing: bool, decimal_comma: bool) -> String {
        match &self.missing {
            Some(missing) if with_missing && self.is_missing(encoded) => missing.word.clone(),
            _ => self.text(self.decode_value(encoded), decimal_comma),
        }
    }
}
