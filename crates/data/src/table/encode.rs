//! Tables with kinds of columns as data sets of encoded rows.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
    sync::Arc,
};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{
    Table, assemble,
    fill::Holes,
    infer::{self, Found},
    kind::{ColumnKind, Kinds},
    number::{NumberFormat, Point},
    schema::{TableColumn, TableFormat, TableSchema},
};
use crate::{DataError, Dataset, Labels, Limits, Notice, OpenOptions, error::one_line};

/// Number of the random stream of dequantization and of fillings.
const PURPOSE: u64 = 8;

/// A table as it stands in a file, with its rows encoded.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TableRows {
    /// The encoded rows, as if nothing was missing: unknown values are those of similar rows.
    pub dataset: Dataset,
    /// Which values of the encoded rows are known, `[rows, N]`.
    pub known: Vec<bool>,
    /// The cells of all rows, in the order of [`TableSchema::columns`].
    pub cells: Vec<Vec<String>>,
    /// Which cells have no value, as [`TableRows::cells`].
    pub holes: Vec<Vec<bool>>,
}

/// Encoded rows, which of their values are known, and which cells have none.
struct Encoded {
    values: Vec<f64>,
    known: Vec<bool>,
    holes: Vec<Vec<bool>>,
}

impl Table<'_> {
    /// Finds the kinds of the chosen columns.
    fn schema(&mut self, chosen: &[usize], label: Option<usize>, kinds: &Kinds) -> Result<TableSchema, DataError> {
        infer::check_names(self, chosen)?;
        if let Some(unknown) = kinds.keys().find(|name| !self.names.contains(name)) {
            return Err(DataError::NoColumn {
                path: self.path.display().to_string(),
                column: unknown.clone(),
                columns: one_line(&self.names.join(", ")),
            });
        }
        let (mut columns, mut dropped) = (Vec::new(), Vec::new());
        let chosen: HashSet<usize> = chosen.iter().copied().collect();
        for index in 0..self.names.len() {
            let name = self.names[index].clone();
            if Some(index) == label {
                columns.push(TableColumn {
                    name,
                    kind: ColumnKind::Label,
                    number: NumberFormat::default(),
                    missing: None,
                });
            } else if chosen.contains(&index) {
                match infer::column(self, index, kinds.get(&name))? {
                    Found::Used(column) => columns.push(column),
                    Found::Dropped(reason) => dropped.push(Notice::ColumnSkipped { name, reason }),
                }
            }
        }
        self.notices.extend(dropped);
        let format = TableFormat {
            separator: self.separator,
            decimal_comma: self.point == Point::Comma,
            header: self.has_header,
        };
        Ok(TableSchema { format, columns })
    }

    /// Encodes all rows: by the schema of a run, or by one that is found.
    ///
    /// With a schema of `options`, its columns must be there. If `with_holes` is false, a value may be missing only where the schema
    /// knows missing values.
    pub(super) fn encoded(
        mut self,
        options: &OpenOptions,
        limits: &Limits,
        with_holes: bool,
    ) -> Result<TableRows, DataError> {
        let (schema, places) = match &options.schema {
            Some(schema) => (Arc::clone(schema), self.places(schema)?),
            None => {
                let label = options.label.as_deref().map(|name| self.column(name)).transpose()?;
                let chosen = self.chosen(options, label)?;
                let kinds = options.kinds.clone().unwrap_or_default();
                let schema = self.schema(&chosen, label, &kinds)?;
                let places = self.places(&schema)?;
                (Arc::new(schema), places)
            }
        };
        let dim = schema.dim();
        if dim == 0 {
            return Err(self.nothing_to_learn());
        }
        limits.check_rows(self.path, self.records.len(), dim, size_of::<f64>())?;
        let Encoded { mut values, known, holes } = self.encode(&schema, &places, with_holes)?;
        Holes { values: &mut values, known: &known, dim }.fill(&mut stream(1));
        let own = schema.columns.iter().position(|column| column.kind == ColumnKind::Label).and_then(|at| places[at]);
        let asked = options.label.as_deref().map(|name| self.column(name)).transpose()?;
        let label = asked.or(own);
        let labels =
            label.map(|index| Labels::of_texts(self.records.iter().map(move |record| record.cells[index].as_ref())));
        let label_column = label.map(|index| self.names[index].clone());
        let mut dataset = assemble(self.path, schema.value_names(), &values, labels, label_column)?;
        dataset.whole_columns = Vec::new();
        dataset.notices.splice(0..0, self.notices);
        let of_row = |record: &super::text::Record| {
            let cell = |place: &Option<usize>| place.map_or_else(String::new, |index| record.cells[index].to_string());
            places.iter().map(cell).collect()
        };
        let cells = self.records.iter().map(of_row).collect();
        dataset.table = Some(schema);
        Ok(TableRows { dataset, known, cells, holes })
    }

    /// Where the columns of a schema are; classes may be missing.
    fn places(&self, schema: &TableSchema) -> Result<Vec<Option<usize>>, DataError> {
        // A file may have a hundred thousand columns, so each name is looked up once in a map; what is not unique goes through `column`.
        let mut known: HashMap<&str, Option<usize>> = HashMap::new();
        for (index, name) in self.names.iter().enumerate() {
            known.entry(name).and_modify(|unique| *unique = None).or_insert(Some(index));
        }
        let find = |name: &str| known.get(name).copied().flatten().map_or_else(|| self.column(name), Ok);
        let place = |column: &TableColumn| match (find(&column.name), &column.kind) {
            (Err(_), ColumnKind::Label | ColumnKind::Constant { .. }) => Ok(None),
            (found, _) => found.map(Some),
        };
        schema.columns.iter().map(place).collect()
    }

    fn nothing_to_learn(&self) -> DataError {
        let rows = self.records.len();
        let skipped = self.notices.iter().filter_map(|notice| match notice {
            Notice::ColumnSkipped { name, reason } => Some(format!("{name} ({reason})")),
            _ => None,
        });
        let skipped: Vec<String> = skipped.take(8).collect();
        let problem = match skipped.is_empty() {
            true if rows == 1 => "only one row; give at least 2 rows".to_owned(),
            true => format!("all {rows} rows are equal, so there is nothing to learn; give other data"),
            false => format!("no column can be used: {}", skipped.join(", ")),
        };
        DataError::malformed(self.path, problem)
    }

    /// The encoded rows, which of their values are known, and which cells have none.
    fn encode(&self, schema: &TableSchema, places: &[Option<usize>], with_holes: bool) -> Result<Encoded, DataError> {
        let dim = schema.dim();
        let (mut values, mut known) = (vec![0.0; dim * self.records.len()], vec![true; dim * self.records.len()]);
        let (ranges, mut rng) = (schema.places(), stream(0));
        let mut holes = vec![vec![false; schema.columns.len()]; self.records.len()];
        for (row, record) in self.records.iter().enumerate() {
            for (number, column) in schema.columns.iter().enumerate() {
                let Some(index) = places[number] else { continue };
                let cell = &*record.cells[index];
                let uniform = rng.random::<f64>() - 0.5;
                let range = row * dim + ranges[number].start..row * dim + ranges[number].end;
                let is_hole = column.kind != ColumnKind::Label
                    && (infer::is_missing(cell, column.kind.is_text()) && column.value(cell, self.point).is_err()
                        || column.missing.as_ref().is_some_and(|missing| missing.word == cell));
                let fail = |what: String| {
                    let cell: String = cell.chars().take(60).collect();
                    let problem = format!("line {}, column {}: `{cell}` is {what}", record.line, column.name);
                    DataError::malformed(self.path, problem)
                };
                if is_hole {
                    if column.missing.is_none() && !with_holes {
                        return Err(fail(
                            "no value, and none was missing where the encoding was found; fill it in, or use impute"
                                .into(),
                        ));
                    }
                    holes[row][number] = true;
                    known[range.clone()].fill(false);
                    if column.missing.is_some() {
                        // Who asks for holes wants them filled: the mask says that there is a value.
                        (values[range.end - 1], known[range.end - 1]) = (f64::from(u8::from(!with_holes)), true);
                    }
                    continue;
                }
                let value = column.value(cell, self.point).map_err(|what| fail(format!("not {what}")))?;
                column.encode(value, uniform, &mut values[range.start..range.start + column.kind.width()]);
            }
        }
        Ok(Encoded { values, known, holes })
    }
}

/// A random stream of the reader.
fn stream(part: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[8..16].copy_from_slice(&PURPOSE.to_le_bytes());
    key[16..24].copy_from_slice(&part.to_le_bytes());
    ChaCha8Rng::from_seed(key)
}

/// Opens a text table with the cells of its rows and what is missing in them. Values may be missing in every column.
///
/// # Errors
/// Returns an error if the file is no text table, or a cell does not fit its column.
pub(crate) fn rows(path: &Path, bytes: &[u8], options: &OpenOptions) -> Result<TableRows, DataError> {
    super::parsed(path, bytes, options, |table, limits| table.encoded(options, limits, true))
}
