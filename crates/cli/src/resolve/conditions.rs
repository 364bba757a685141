//! Conditions on the rows of a table: `--where`.

use std::ops::{Range, RangeInclusive};

use anyhow::{Result, bail};
use pfgm::spec::ModelSpec;
use pfgm_data::{ColumnKind, TableColumn, TableSchema};

/// Conditions that a row fulfills.
pub struct Conditions {
    /// Each column, where its values are in a row, and what its value has to be.
    tests: Vec<(TableColumn, Range<usize>, RangeInclusive<f64>)>,
    /// The class, if one is asked for.
    pub class: Option<String>,
}

impl Conditions {
    /// Parses `age=40..60,sex=F`.
    pub fn parse(text: &str, spec: &ModelSpec) -> Result<Self> {
        let Some(schema) = &spec.data.table else {
            bail!(
                "--where: the run was not trained on a table with kinds of columns; train one with `pfgm train FILE.csv`"
            );
        };
        let mut conditions = Self { tests: Vec::new(), class: None };
        let places = schema.places();
        for condition in text.split(',') {
            let Some((name, wanted)) = condition.split_once('=') else {
                bail!("--where {condition}: write NAME=VALUE or NAME=LOW..HIGH, as in age=40..60");
            };
            let name = name.trim();
            let Some(number) = schema.columns.iter().position(|column| column.name == name) else {
                bail!("--where {condition}: no column `{name}`; there are: {}", schema.column_names(true).join(", "));
            };
            if schema.columns[number].kind == ColumnKind::Label {
                let class = spec.class(wanted.trim()).map_err(|error| super::with_flag(error, "--where"))?;
                conditions.class = Some(spec.data.classes[class as usize].clone());
            } else {
                let range = range(schema, number, wanted.trim())
                    .map_err(|what| anyhow::anyhow!("--where {condition}: {what}"))?;
                conditions.tests.push((schema.columns[number].clone(), places[number].clone(), range));
            }
        }
        Ok(conditions)
    }

    /// Whether an encoded row fulfills all conditions. A missing value fulfills none.
    pub fn hold(&self, row: &[f64]) -> bool {
        self.tests.iter().all(|(column, place, range)| {
            let cell = &row[place.clone()];
            !column.is_missing(cell) && range.contains(&column.decode_value(cell))
        })
    }
}

/// The values that a condition allows.
fn range(schema: &TableSchema, number: usize, wanted: &str) -> Result<RangeInclusive<f64>, String> {
    let column = &schema.columns[number];
    let value = |text: &str| {
        column
            .value_of(text)
            .ok_or_else(|| format!("`{text}` is not a value of this column of kind {}", column.kind.as_str()))
    };
    match wanted.split_once("..") {
        Some(_) if matches!(column.kind, ColumnKind::Category { .. }) => {
            Err("a category has no order; name one value".to_owned())
        }
        Some((low, high)) => {
            let low = if low.is_empty() { f64::NEG_INFINITY } else { value(low)? };
            let high = if high.is_empty() { f64::INFINITY } else { value(high)? };
            if low <= high { Ok(low..=high) } else { Err("write the lower value first".to_owned()) }
        }
        None => value(wanted).map(|value| value..=value),
    }
}
