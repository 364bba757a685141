//! `pfgm impute`: missing cells of a table, drawn given those that are there.

mod pooled;

use std::{ops::Range, time::Instant};

use anyhow::{Context, Result, bail};
use pfgm::{
    Model,
    model::{Inpaint, Samples},
};
use pfgm_data::{ColumnKind, OpenOptions, TableColumn, TableRows, TableSchema};

use self::pooled::Pooled;
use crate::{
    args::ImputeArgs,
    render::{self, display, in_run, line},
    resolve,
};

pub fn run(args: &ImputeArgs) -> Result<()> {
    for (flag, value, most) in [
        ("--draws", args.draws, resolve::MAX_SAMPLES),
        ("--steps", args.steps, resolve::MAX_LEVELS),
        ("--rounds", args.rounds, resolve::MAX_LEVELS),
        ("--batch", args.batch, resolve::MAX_SAMPLES),
    ] {
        resolve::within(flag, value, 1..=most)?;
    }
    let model = resolve::model(&args.run, &args.compute)?;
    let Some(schema) = &model.spec().data.table else {
        bail!(
            "{}: the run was not trained on a table with kinds of columns; train one with `pfgm train FILE.csv`",
            args.run.display()
        );
    };
    let out = args.out.clone().unwrap_or_else(|| in_run(&args.run, "imputed.csv"));
    render::check_all([Some(out.as_path()), args.json.as_deref()])?;
    let table = pfgm_data::open_table(&args.data, &resolve::known(OpenOptions::default(), model.spec()))?;
    let rows: Vec<usize> = (0..table.holes.len()).filter(|&row| table.holes[row].contains(&true)).collect();
    if rows.is_empty() {
        bail!("{}: no cell is missing, so there is nothing to fill", args.data);
    }
    resolve::product("the rows with missing cells and --draws", rows.len(), args.draws)?;
    let started = Instant::now();
    let samples = draw(args, &model, &table, &rows)?;
    let holes: usize = table.holes.iter().flatten().filter(|hole| **hole).count();
    line(format!(
        "{holes} cells of {} rows filled, {} draws each, {:.0} evaluations, {:.2} s",
        rows.len(),
        args.draws,
        samples.nfe(),
        started.elapsed().as_secs_f64()
    ));
    let filled = Filled {
        schema,
        places: schema.places(),
        table: &table,
        rows: &rows,
        draws: args.draws,
        values: samples.values_f64(),
    };
    let pooled = filled.pooled()?;
    pooled.iter().for_each(Pooled::print);
    render::write(&out, filled.single().as_bytes())?;
    line(format!("{:<10} {}", "table", display(&out)));
    if let Some(folder) = &args.multiple {
        render::make_folder(folder)?;
        for draw in 0..args.draws {
            render::write(&folder.join(format!("draw-{:02}.csv", draw + 1)), filled.draw(draw).as_bytes())?;
        }
        line(format!("{:<10} {}/draw-01.csv ...", "draws", display(folder)));
    }
    if let Some(path) = &args.json {
        let report: Vec<_> = pooled.iter().map(Pooled::as_json).collect();
        let text = serde_json::to_string_pretty(&serde_json::json!({ "draws": args.draws, "columns": report }));
        render::write(path, text.context("the report")?.as_bytes())?;
    }
    Ok(())
}

/// Draws the missing values of the rows that have some. All draws of a row follow one another.
fn draw(args: &ImputeArgs, model: &Model, table: &TableRows, rows: &[usize]) -> Result<Samples> {
    let data = table.dataset.select(rows);
    let spec = model.spec();
    let given = if data.labels.is_some() { spec.rows(&data) } else { spec.unlabeled_rows(&data) };
    let given = given.map_err(|error| resolve::about(error, &data, &args.data))?;
    let dim = spec.dim();
    let known: Vec<bool> = rows.iter().flat_map(|&row| &table.known[row * dim..(row + 1) * dim]).copied().collect();
    let bar = render::progress("filling", 0);
    let how = Inpaint::default().steps(args.steps).rounds(args.rounds).fillings(args.draws).seed(args.seed);
    let found = model.inpaint_rows(&given, &known, how.batch(args.batch).observer(resolve::on_bar(&bar)))?;
    bar.finish_and_clear();
    Ok(found)
}

/// A table with its missing cells drawn.
struct Filled<'a> {
    schema: &'a TableSchema,
    /// Where the values of each column are in a row.
    places: Vec<Range<usize>>,
    table: &'a TableRows,
    /// Rows with missing cells.
    rows: &'a [usize],
    draws: usize,
    /// Encoded draws, `[rows, draws, N]`.
    values: Vec<f64>,
}

impl Filled<'_> {
    /// The draws of a cell: values as [`TableColumn::decode_value`] returns them.
    fn cell(&self, at: usize, number: usize) -> Vec<f64> {
        let (place, dim) = (&self.places[number], self.schema.dim());
        let column = &self.schema.columns[number];
        let rows = self.values[at * self.draws * dim..(at + 1) * self.draws * dim].chunks_exact(dim);
        rows.map(|row| column.decode_value(&row[place.clone()])).collect()
    }

    /// The table with `cell` in place of what is missing; it gets the place of a row among those with missing cells, and the column.
    fn with(&self, cell: impl Fn(usize, usize) -> String) -> String {
        let mut cells = self.table.cells.clone();
        for (at, &row) in self.rows.iter().enumerate() {
            for (number, _) in self.table.holes[row].iter().enumerate().filter(|(_, hole)| **hole) {
                cells[row][number] = cell(at, number);
            }
        }
        // A table without its classes has no column of them.
        let without = self.table.dataset.labels.is_none();
        let is_label = |column: &TableColumn| column.kind == ColumnKind::Label;
        if let Some(place) = self.schema.columns.iter().position(is_label).filter(|_| without) {
            cells.iter_mut().for_each(|row| drop(row.remove(place)));
        }
        self.schema.write(!without, cells)
    }

    /// The table with means and most frequent draws.
    fn single(&self) -> String {
        let comma = self.schema.format.decimal_comma;
        self.with(|at, number| {
            let (column, draws) = (&self.schema.columns[number], self.cell(at, number));
            column.text(center(column, &draws), comma)
        })
    }

    fn draw(&self, draw: usize) -> String {
        let comma = self.schema.format.decimal_comma;
        self.with(|at, number| self.schema.columns[number].text(self.cell(at, number)[draw], comma))
    }

    /// Pooled means of the columns of numbers with missing cells.
    fn pooled(&self) -> Result<Vec<Pooled>> {
        let mut row_values = vec![0.0; self.schema.dim()];
        let mut all = Vec::new();
        for (number, column) in self.schema.columns.iter().enumerate() {
            let holes: Vec<usize> =
                (0..self.rows.len()).filter(|&at| self.table.holes[self.rows[at]][number]).collect();
            let drawn: Option<Vec<Vec<f64>>> = holes
                .iter()
                .map(|&at| self.cell(at, number).into_iter().map(|value| column.number_of(value)).collect())
                .collect();
            let Some(drawn) = drawn.filter(|drawn| !drawn.is_empty()) else { continue };
            let mut observed = Vec::new();
            for row in (0..self.table.holes.len()).filter(|&row| !self.table.holes[row][number]) {
                self.table.dataset.read_wide(row, &mut row_values)?;
                observed.extend(column.number_of(column.decode_value(&row_values[self.places[number].clone()])));
            }
            all.push(Pooled::of(&column.name, &observed, &drawn, self.draws));
        }
        Ok(all)
    }
}

/// The most frequent draw of a category, the mean of numbers rounded to a possible value.
fn center(column: &TableColumn, draws: &[f64]) -> f64 {
    if let ColumnKind::Category { levels } = &column.kind {
        let count = |level: usize| draws.iter().filter(|draw| **draw == level as f64).count();
        // Of equally frequent ones the first.
        return (0..levels.len()).rev().max_by_key(|&level| count(level)).unwrap_or(0) as f64;
    }
    let mean = draws.iter().sum::<f64>() / draws.len() as f64;
    match column.kind {
        ColumnKind::Real | ColumnKind::Positive { .. } | ColumnKind::Bounded { .. } => mean,
        _ => mean.round(),
    }
}
