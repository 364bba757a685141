//! The rule that finds the kind of a column.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Table,
    date::Format,
    kind::{ColumnKind, KindChoice},
    number::{NumberFormat, number},
    schema::{Missing, TableColumn},
};
use crate::DataError;

/// Different whole numbers up to which a column is ordinal.
const ORDINAL: usize = 12;
/// Different texts up to which a column is a category by rule.
const MOST_LEVELS: usize = 50;
/// Different texts up to which a column is a category because it was asked for.
const MOST_ASKED_LEVELS: usize = 1000;
/// Skewness from which on numbers are encoded by their logarithm.
const SKEWED: f64 = 1.0;
/// Number of different values up to which numbers and texts in one column are a category.
const FEW: usize = 20;

/// What becomes of a column.
pub(super) enum Found {
    Used(TableColumn),
    /// The column is not used; why.
    Dropped(String),
}

/// The cells of a column.
struct Cells<'a> {
    table: &'a Table<'a>,
    column: usize,
    /// Cells with a value.
    present: Vec<&'a str>,
    missing: Option<Missing>,
}

/// Whether a cell has no value: in a column of texts, words are values.
pub(super) fn is_missing(cell: &str, is_text: bool) -> bool {
    let word = cell.to_lowercase();
    match is_text {
        true => ["", "?", "na", "n/a", "nan", "null"].contains(&word.as_str()),
        false => ["", "?", "na", "n/a", "nan", "null", "none", "-", "."].contains(&word.as_str()),
    }
}

/// Finds what a column of a table is: the kind that is asked for, or one by rule.
pub(super) fn column(table: &Table, column: usize, choice: Option<&KindChoice>) -> Result<Found, DataError> {
    if choice == Some(&KindChoice::Drop) {
        return Ok(Found::Dropped("its kind is drop".into()));
    }
    let numbers = Cells::new(table, column, false);
    let is_number = |cell: &&str| number(cell, table.point).is_some();
    let wants_text = matches!(choice, Some(KindChoice::Category | KindChoice::Ordinal(_)));
    if !wants_text && numbers.present.iter().all(is_number) {
        return numbers.of_numbers(choice);
    }
    let texts = Cells::new(table, column, true);
    if texts.present.is_empty() {
        return Ok(Found::Dropped("no row has a value".into()));
    }
    match choice {
        Some(KindChoice::Date(_)) => texts.of_dates(choice),
        Some(KindChoice::Category | KindChoice::Ordinal(_)) => texts.of_texts(choice),
        Some(kind) => Err(numbers.not_a_number(Some(kind))),
        None if texts.present.iter().any(|cell| cell.len() >= 8)
            && !Format::of(texts.present.iter().copied()).is_empty() =>
        {
            texts.of_dates(None)
        }
        None => {
            let count = numbers.present.iter().filter(|cell| is_number(cell)).count();
            let is_mixed = 2 * count >= numbers.present.len() && numbers.distinct() > FEW;
            if is_mixed { Err(numbers.not_a_number(None)) } else { texts.of_texts(None) }
        }
    }
}

impl<'a> Cells<'a> {
    fn new(table: &'a Table<'a>, column: usize, is_text: bool) -> Self {
        let cells = || table.records.iter().map(|record| &*record.cells[column]);
        let present: Vec<&str> = cells().filter(|cell| !is_missing(cell, is_text)).collect();
        let mut words = BTreeMap::<&str, usize>::new();
        cells().filter(|cell| is_missing(cell, is_text)).for_each(|cell| *words.entry(cell).or_default() += 1);
        let word = words.iter().max_by_key(|(_, count)| **count).map(|(word, _)| (*word).to_owned());
        let all = table.records.len();
        let share = (all - present.len()) as f64 / all as f64;
        let missing = word.map(|word| Missing { word, share });
        Self { table, column, present, missing }
    }

    fn distinct(&self) -> usize {
        self.present.iter().collect::<BTreeSet<_>>().len()
    }

    fn used(self, kind: ColumnKind) -> Found {
        let number = match kind.is_text() {
            true => NumberFormat::default(),
            false => NumberFormat::of(self.present.iter().copied(), self.table.point),
        };
        Found::Used(TableColumn { name: self.table.names[self.column].clone(), kind, number, missing: self.missing })
    }

    fn of_numbers(self, choice: Option<&KindChoice>) -> Result<Found, DataError> {
        if self.present.is_empty() {
            return Ok(Found::Dropped("no row has a value".into()));
        }
        let values: Vec<f64> = self.present.iter().filter_map(|cell| number(cell, self.table.point)).collect();
        if let Some(at) = values.iter().position(|value| !(value.is_finite() && value.abs() <= f64::from(f32::MAX))) {
            return Err(self.error(|cell| cell == self.present[at], "not a finite number", "drop"));
        }
        let are_whole = values.iter().all(|value| value.fract() == 0.0);
        let (low, high) = values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(*v), b.max(*v)));
        let kind = match choice {
            Some(KindChoice::Real) => ColumnKind::Real,
            Some(KindChoice::Positive) if low < 0.0 => return Err(self.outside(|value| value < 0.0, "negative")),
            Some(KindChoice::Count) if low < 0.0 => return Err(self.outside(|value| value < 0.0, "negative")),
            Some(KindChoice::Integer | KindChoice::Count) if !are_whole => {
                return Err(self.outside(|value| value.fract() != 0.0, "not a whole number"));
            }
            Some(KindChoice::Positive) => self.positive(&values),
            Some(KindChoice::Integer) => ColumnKind::Integer,
            Some(KindChoice::Count) => ColumnKind::Count { log: skewness(&values) > SKEWED },
            Some(&KindChoice::Bounded(a, b)) if low < a || high > b => {
                return Err(self.outside(|value| value < a || value > b, "outside of its bounds"));
            }
            Some(&KindChoice::Bounded(low, high)) => ColumnKind::Bounded { low, high },
            Some(KindChoice::Date(_)) => return self.of_dates(choice),
            // Texts are read before, and what is dropped is not.
            Some(_) | None => self.by_rule(&values, are_whole, (low, high)),
        };
        Ok(self.used(kind))
    }

    fn by_rule(&self, values: &[f64], are_whole: bool, (low, high): (f64, f64)) -> ColumnKind {
        if low == high {
            return ColumnKind::Constant { value: self.present[0].to_owned() };
        }
        let levels = || self.levels(&[]);
        match () {
            () if are_whole && distinct_numbers(values) <= 2 => ColumnKind::Category { levels: levels() },
            () if are_whole && distinct_numbers(values) <= ORDINAL => ColumnKind::Ordinal { levels: levels() },
            () if are_whole && low >= 0.0 => ColumnKind::Count { log: skewness(values) > SKEWED },
            () if are_whole => ColumnKind::Integer,
            () if low < 0.0 => ColumnKind::Real,
            () if high <= 1.0 && low < 0.02 && high > 0.98 => ColumnKind::Bounded { low: 0.0, high: 1.0 },
            () => self.positive(values),
        }
    }

    /// Numbers that are never negative; as their logarithm if they are skewed.
    fn positive(&self, values: &[f64]) -> ColumnKind {
        let step = NumberFormat::of(self.present.iter().copied(), self.table.point).step();
        let has_zero = values.contains(&0.0);
        let least = if has_zero { 0.0 } else { step };
        if skewness(values) <= SKEWED {
            return ColumnKind::Positive { least, shift: None };
        }
        let shift = if has_zero {
            let mut above: Vec<f64> = values.iter().copied().filter(|value| *value > 0.0).collect();
            above.sort_by(f64::total_cmp);
            (0.1 * above[above.len() / 2]).max(step)
        } else {
            0.0
        };
        ColumnKind::Positive { least, shift: Some(shift) }
    }

    /// The different cells: in the given order, else that of their numbers or of the alphabet. Numbers that are written in two ways
    /// are one.
    fn levels(&self, order: &[String]) -> Vec<String> {
        if !order.is_empty() {
            return order.to_vec();
        }
        let mut levels: Vec<&str> = self.present.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
        let value = |text: &str| number(text, self.table.point).unwrap_or(f64::NAN);
        if levels.iter().all(|text| number(text, self.table.point).is_some()) {
            levels.sort_by(|a, b| value(a).total_cmp(&value(b)));
            levels.dedup_by(|a, b| value(a) == value(b));
        }
        levels.into_iter().map(str::to_owned).collect()
    }

    fn of_texts(self, choice: Option<&KindChoice>) -> Result<Found, DataError> {
        let order: &[String] = match choice {
            Some(KindChoice::Ordinal(order)) => order,
            _ => &[],
        };
        let levels = self.levels(order);
        if !order.is_empty()
            && let Some(wrong) = self.present.iter().find(|cell| !order.iter().any(|level| level == *cell))
        {
            return Err(self.error(|cell| cell == *wrong, &format!("none of {}", order.join(", ")), "category"));
        }
        let count = levels.len();
        if choice.is_none() && count > MOST_LEVELS {
            let reason = format!("{count} different texts, and a category has at most {MOST_LEVELS} by rule");
            return Ok(Found::Dropped(reason));
        }
        if count > MOST_ASKED_LEVELS {
            let problem = format!("{count} different texts, and a category has at most {MOST_ASKED_LEVELS}");
            return Err(self.error(|_| true, &format!("one of {problem}"), "drop"));
        }
        let kind = match (count, choice) {
            (1, None) => ColumnKind::Constant { value: levels[0].clone() },
            (_, Some(KindChoice::Ordinal(_))) => ColumnKind::Ordinal { levels },
            _ => ColumnKind::Category { levels },
        };
        Ok(self.used(kind))
    }

    fn of_dates(self, choice: Option<&KindChoice>) -> Result<Found, DataError> {
        let wanted = match choice {
            Some(KindChoice::Date(format)) if !format.is_empty() => {
                let format = Format::new(format).map_err(|problem| {
                    DataError::malformed(self.table.path, format!("column {}: {problem}", self.name()))
                })?;
                if let Some(wrong) = self.present.iter().find(|cell| format.parse(cell).is_none()) {
                    let what = format!("not a date as {}", format.as_str());
                    return Err(self.error(|cell| cell == *wrong, &what, "category"));
                }
                format
            }
            _ => {
                let found = Format::of(self.present.iter().copied());
                let Some(first) = found.first() else {
                    return Err(self.error(|_| true, "not a date of one known format in all rows", "date:dd/mm/yyyy"));
                };
                if found.iter().any(|other| !first.agrees(other)) {
                    let problem =
                        format!("column {}: `{}` may begin with the day or the month", self.name(), self.present[0]);
                    let choices = format!("{0}=date:dd/mm/yyyy or {0}=date:mm/dd/yyyy", self.name());
                    return Err(DataError::ambiguous(self.table.path, problem, "kind", choices));
                }
                first.clone()
            }
        };
        Ok(self.used(ColumnKind::Date { format: wanted.as_str().to_owned() }))
    }

    fn name(&self) -> &str {
        &self.table.names[self.column]
    }

    /// The error of the first cell for which `is_wrong` holds.
    fn error(&self, is_wrong: impl Fn(&str) -> bool, what: &str, choice: &str) -> DataError {
        let cell = self.present.iter().find(|cell| is_wrong(cell)).copied().unwrap_or_default();
        let record = self.table.records.iter().find(|record| record.cells[self.column] == cell);
        let line = record.map_or(0, |record| record.line);
        let shown: String = cell.chars().take(60).collect();
        let problem = format!("line {line}, column {}: `{shown}` is {what}; correct the table", self.name());
        DataError::ambiguous(self.table.path, problem, "kind", format!("{}={choice}", self.name()))
    }

    fn outside(&self, is_wrong: impl Fn(f64) -> bool, what: &str) -> DataError {
        self.error(|cell| number(cell, self.table.point).is_some_and(&is_wrong), what, "real")
    }

    fn not_a_number(&self, wanted: Option<&KindChoice>) -> DataError {
        let is_wrong = |cell: &str| number(cell, self.table.point).is_none();
        let what = match wanted {
            Some(kind) => format!("not a number, which the kind {kind} needs"),
            None => {
                let numbers = self.present.iter().filter(|cell| !is_wrong(cell)).count();
                format!("a text where {numbers} other rows have numbers")
            }
        };
        self.error(is_wrong, &what, "category")
    }
}

fn distinct_numbers(values: &[f64]) -> usize {
    values.iter().map(|value| (value + 0.0).to_bits()).collect::<BTreeSet<_>>().len()
}

/// The third standardized moment.
fn skewness(values: &[f64]) -> f64 {
    let mean = |of: &dyn Fn(f64) -> f64| values.iter().map(|value| of(*value)).sum::<f64>() / values.len() as f64;
    let center = mean(&|value| value);
    let variance = mean(&|value| (value - center).powi(2));
    if variance > 0.0 { mean(&|value| (value - center).powi(3)) / variance.powf(1.5) } else { 0.0 }
}

/// Returns an error if two of the chosen columns have one name.
pub(super) fn check_names(table: &Table, chosen: &[usize]) -> Result<(), DataError> {
    let mut seen = BTreeMap::new();
    for &column in chosen {
        if let Some(first) = seen.insert(table.names[column].as_str(), column) {
            let problem = format!(
                "line 1: columns {} and {} are both called `{}`; rename one of them",
                first + 1,
                column + 1,
                table.names[column]
            );
            return Err(DataError::malformed(table.path, problem));
        }
    }
    Ok(())
}
