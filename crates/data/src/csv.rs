//! Tables: one row a line, a header if the first line has words in it, a separator that is found out.

use std::{
    collections::{BTreeSet, HashMap},
    path::Path,
};

use crate::{DataError, Dataset, Labels, OpenOptions, Shape, Values};

/// Reads a table. `options.columns` selects columns by name or by number from 1; `options.label` names a column of
/// classes, which is then no data.
///
/// # Errors
/// When a cell is not a finite number, a line has another number of cells, or a column does not exist.
pub fn read(path: &Path, bytes: &[u8], options: &OpenOptions) -> Result<Dataset, DataError> {
    let mut reader = ::csv::ReaderBuilder::new()
        .has_headers(false)
        .delimiter(delimiter(bytes))
        .trim(::csv::Trim::All)
        .from_reader(bytes);
    let mut records = Vec::new();
    for record in reader.records() {
        records.push(record.map_err(|error| DataError::malformed(path, error.to_string()))?);
    }
    let Some(first) = records.first() else { return Err(DataError::empty(path, "no line in it")) };
    // Missing values are no names: a first line of numbers and gaps is data, and the gap is what gets reported.
    let is_name = |cell: &str| !cell.is_empty() && cell.parse::<f64>().is_err();
    let names: Vec<String> = if first.iter().any(is_name) && first.iter().all(|cell| cell.parse::<f64>().is_err()) {
        records.remove(0).iter().map(str::to_owned).collect()
    } else {
        (1..=first.len()).map(|number| number.to_string()).collect()
    };
    if records.is_empty() {
        return Err(DataError::empty(path, "a header, but no line below it"));
    }
    let label = options.label.as_deref().map(|name| column(path, &names, name)).transpose()?;
    let chosen: Vec<usize> = if options.columns.is_empty() {
        (0..names.len()).filter(|&index| Some(index) != label).collect()
    } else {
        options.columns.iter().map(|name| column(path, &names, name)).collect::<Result<_, _>>()?
    };
    if chosen.is_empty() {
        return Err(DataError::empty(path, "no column besides the label's"));
    }
    let mut values = Vec::with_capacity(records.len() * chosen.len());
    for record in &records {
        for &index in &chosen {
            let cell = &record[index];
            match cell.parse::<f32>() {
                Ok(value) if value.is_finite() => values.push(value),
                _ => {
                    return Err(DataError::NotANumber {
                        path: path.display().to_string(),
                        line: record.position().map_or(0, |position| position.line()),
                        column: names[index].clone(),
                        cell: cell.to_owned(),
                    });
                }
            }
        }
    }
    let labels = label.map(|index| classes(records.iter().map(|record| &record[index])));
    let shape = Shape::Vector { len: chosen.len() };
    let mut dataset = Dataset::new(path, shape, Values::Floats(values), None, labels)?;
    dataset.columns = chosen.into_iter().map(|index| names[index].clone()).collect();
    Ok(dataset)
}

/// Of the usual separators, the one that the first line has most of.
fn delimiter(bytes: &[u8]) -> u8 {
    let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let count = |separator: u8| line.iter().filter(|&&byte| byte == separator).count();
    [b',', b';', b'\t'].into_iter().rev().max_by_key(|&separator| count(separator)).unwrap_or(b',')
}

fn column(path: &Path, names: &[String], wanted: &str) -> Result<usize, DataError> {
    let by_number = || wanted.parse::<usize>().ok().filter(|number| (1..=names.len()).contains(number));
    names.iter().position(|name| name == wanted).or_else(|| by_number().map(|number| number - 1)).ok_or_else(|| {
        DataError::NoColumn { path: path.display().to_string(), column: wanted.to_owned(), columns: names.join(", ") }
    })
}

/// Classes from cells, numbered in the order of their values where all are numbers, else of their names.
fn classes<'a>(cells: impl Iterator<Item = &'a str> + Clone) -> Labels {
    let mut names: Vec<&str> = cells.clone().collect::<BTreeSet<_>>().into_iter().collect();
    let value = |name: &str| name.parse::<f64>().unwrap_or(f64::NAN);
    if names.iter().all(|name| name.parse::<f64>().is_ok()) {
        names.sort_by(|a, b| value(a).total_cmp(&value(b)));
    }
    let number: HashMap<&str, u32> = names.iter().zip(0..).map(|(&name, number)| (name, number)).collect();
    Labels { of_row: cells.map(|cell| number[cell]).collect(), names: names.into_iter().map(str::to_owned).collect() }
}
