//! Columns of a table with kinds.

use anyhow::Result;
use pfgm_data::{ColumnKind, Dataset, TableColumn, TableSchema};
use serde_json::{Value, json};

/// Levels of a category that are named.
const SHOWN: usize = 6;

/// What is known of a column.
struct Column<'a> {
    column: &'a TableColumn,
    /// How often each level of a category occurs.
    counts: Vec<usize>,
    /// The smallest, the middle and the largest value, as they are written; none for categories.
    order: Option<[String; 3]>,
}

impl<'a> Column<'a> {
    fn all(dataset: &Dataset, table: &'a TableSchema) -> Result<Vec<Self>> {
        let dim = dataset.shape.dim();
        let mut values: Vec<Vec<f64>> = vec![Vec::new(); table.columns.len()];
        let (mut row, places) = (vec![0.0; dim], table.places());
        for index in 0..dataset.len() {
            dataset.read_wide(index, &mut row)?;
            for ((column, place), values) in table.columns.iter().zip(&places).zip(&mut values) {
                let cell = &row[place.clone()];
                if !column.is_missing(cell) {
                    values.push(column.decode_value(cell));
                }
            }
        }
        let of = |(column, mut values): (&'a TableColumn, Vec<f64>)| {
            let mut counts = Vec::new();
            let order = match &column.kind {
                ColumnKind::Category { levels } | ColumnKind::Ordinal { levels } => {
                    counts = vec![0; levels.len()];
                    values.iter().for_each(|value| counts[*value as usize] += 1);
                    None
                }
                ColumnKind::Constant { .. } | ColumnKind::Label => None,
                _ => {
                    values.sort_by(f64::total_cmp);
                    let text = |at: usize| column.text(values[at], table.format.decimal_comma);
                    (!values.is_empty()).then(|| [0, values.len() / 2, values.len() - 1].map(text))
                }
            };
            Self { column, counts, order }
        };
        Ok(table.columns.iter().zip(values).map(of).collect())
    }

    /// What is known of the column, as a line.
    fn line(&self) -> String {
        let (found, column) = (self, self.column);
        let mut text = format!("column     {}: {}", column.name, column.kind.as_str());
        text += match &column.kind {
            ColumnKind::Count { log: true } | ColumnKind::Positive { shift: Some(_), .. } => " (logarithm)",
            ColumnKind::Label => " (the classes)",
            _ => "",
        };
        match &column.kind {
            ColumnKind::Bounded { low, high } => text += &format!(" in {low} to {high}"),
            ColumnKind::Date { format } => text += &format!(" as {format}"),
            ColumnKind::Constant { value } => text += &format!(" {value}, which is written back and not learned"),
            _ => {}
        }
        if let Some([low, middle, high]) = &found.order {
            text += &format!(", {low} to {high}, median {middle}");
        }
        let levels: Vec<String> =
            found.levels().take(SHOWN).map(|(level, count)| format!("{level} ({count})")).collect();
        if !levels.is_empty() {
            let more = if found.counts.len() > SHOWN { ", ..." } else { "" };
            text += &format!(" of {}: {}{more}", found.counts.len(), levels.join(", "));
        }
        if let Some(missing) = &column.missing {
            text += &format!(", {:.1} % missing (`{}`)", 100.0 * missing.share, missing.word);
        }
        text
    }

    /// The levels of a category with their counts.
    fn levels(&self) -> impl Iterator<Item = (&String, usize)> {
        let levels: &[String] = match &self.column.kind {
            ColumnKind::Category { levels } | ColumnKind::Ordinal { levels } => levels,
            _ => &[],
        };
        levels.iter().zip(self.counts.iter().copied())
    }
}

/// A line for each column.
pub fn lines(dataset: &Dataset, table: &TableSchema) -> Result<Vec<String>> {
    Ok(Column::all(dataset, table)?.iter().map(Column::line).collect())
}

/// The columns as JSON.
pub fn found(dataset: &Dataset, table: &TableSchema) -> Result<Value> {
    let of = |found: Column| -> Value {
        let levels: Vec<Value> = found.levels().map(|(level, count)| json!({ "name": level, "rows": count })).collect();
        json!({
            "name": found.column.name,
            "kind": found.column.kind.as_str(),
            "encoding": found.column.kind,
            "minimum_median_maximum": found.order,
            "levels": levels,
            "missing": found.column.missing.as_ref().map_or(0.0, |missing| missing.share),
        })
    };
    Ok(Column::all(dataset, table)?.into_iter().map(of).collect())
}
