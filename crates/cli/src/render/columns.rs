//! Encoded rows of a table as columns of values in the table's units.

use pfgm_data::{ColumnKind, TableColumn, TableSchema};
use pfgm_plot::{Column, Series};

/// Texts on an axis of dates.
const DATES: usize = 4;

/// The columns of a table, without constants and classes, and for each series the values of its rows, row after row. A missing value is
/// NaN.
pub struct Columns {
    /// The columns.
    pub columns: Vec<Column>,
    /// The values of each series.
    pub values: Vec<Vec<f32>>,
}

impl Columns {
    /// Decodes the rows of each series.
    pub fn decode(table: &TableSchema, series: &[Series]) -> Self {
        let drawn: Vec<_> =
            table.columns.iter().zip(table.places()).filter(|(column, _)| column.kind.width() > 0).collect();
        let of_series = |series: &Series| -> Vec<f32> {
            let rows = series.values.chunks_exact(table.dim().max(1));
            rows.flat_map(|row| {
                let row: Vec<f64> = row.iter().map(|&value| f64::from(value)).collect();
                drawn.iter().map(move |(column, place)| value(column, &row[place.clone()])).collect::<Vec<f32>>()
            })
            .collect()
        };
        let values: Vec<Vec<f32>> = series.iter().map(of_series).collect();
        let of_column = |(at, (column, _)): (usize, &(&TableColumn, _))| {
            let own = |values: &Vec<f32>| values.iter().skip(at).step_by(drawn.len()).copied().collect();
            about(column, table, &values.iter().map(own).collect::<Vec<Vec<f32>>>())
        };
        Self { columns: drawn.iter().enumerate().map(of_column).collect(), values }
    }

    /// Whether the rows are points in the plane: two columns of numbers without missing values.
    pub fn are_points(&self) -> bool {
        let is_number = |column: &Column| column.levels.is_empty() && column.texts.is_empty();
        self.columns.len() == 2
            && self.columns.iter().all(is_number)
            && self.values.iter().flatten().all(|value| value.is_finite())
    }
}

/// The value of an encoded cell; NaN if it is missing.
fn value(column: &TableColumn, cell: &[f64]) -> f32 {
    if column.is_missing(cell) { f32::NAN } else { column.decode_value(cell) as f32 }
}

/// The label and the names of a column, of which each series has these values.
fn about(column: &TableColumn, table: &TableSchema, values: &[Vec<f32>]) -> Column {
    let mut about = Column::numbers(&column.name);
    if column.missing.is_some() {
        let share = |values: &Vec<f32>| {
            let missing = values.iter().filter(|value| value.is_nan()).count();
            format!("{:.0} %", 100.0 * missing as f64 / values.len().max(1) as f64)
        };
        about.name += &format!(", {} missing", values.iter().map(share).collect::<Vec<_>>().join(" / "));
    }
    match &column.kind {
        ColumnKind::Category { levels } | ColumnKind::Ordinal { levels } => about.levels.clone_from(levels),
        ColumnKind::Date { .. } => {
            let mut known: Vec<f32> = values.iter().flatten().copied().filter(|value| value.is_finite()).collect();
            known.sort_by(f32::total_cmp);
            let Some(last) = known.len().checked_sub(1) else { return about };
            let (low, high) = (f64::from(known[last / 50]), f64::from(known[last - last / 50]));
            let at = |tick: usize| (low + (high - low) * (tick as f64 + 0.5) / DATES as f64).round();
            about.texts =
                (0..DATES).map(|tick| (at(tick), column.text(at(tick), table.format.decimal_comma))).collect();
            about.texts.dedup();
        }
        _ => {}
    }
    about
}
