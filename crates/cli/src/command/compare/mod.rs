//! `pfgm compare`

mod cell;
mod file;
mod fingerprint;
mod plan;
mod report;

use std::{path::PathBuf, time::Instant};

use anyhow::{Context, Result, bail};
use cell::{Finished, Work};
use plan::{Cell, Plan};

use crate::{
    args::compare::CompareArgs,
    command::measure::Progress,
    render::{self, display, line},
};

pub fn run(args: &CompareArgs) -> Result<()> {
    let plan = Plan::read(&args.file).with_context(|| args.file.display().to_string())?;
    let stem = args.file.file_stem().unwrap_or_default().to_string_lossy();
    let folder = args.out.clone().unwrap_or_else(|| PathBuf::from(format!("runs/compare-{stem}")));
    if folder.is_file() {
        bail!("--out {}: is a file; name a folder", folder.display());
    }
    let (table, page, cells) = (folder.join("results.csv"), folder.join("report.html"), folder.join("cells"));
    let figures = folder.join("figures");
    for path in [&table, &page, &cells.join("cell.json"), &figures.join("figure.svg")] {
        render::check_writable(path)?;
    }
    let mut found: Vec<Result<Finished, String>> = Vec::new();
    let kept: Vec<Option<Finished>> = plan.cells.iter().map(|cell| Finished::read(&cells, cell)).collect();
    let before = kept.iter().flatten().count();
    line(format!("cells    {}, {before} of them finished before: {}", plan.cells.len(), display(&cells)));
    let progress = Progress::new();
    let mut work = None;
    let mut clock = Clock::new(plan.cells.iter().zip(&kept).filter(|(_, kept)| kept.is_none()).map(|(cell, _)| cell));
    for (cell, kept) in plan.cells.iter().zip(kept) {
        if let Some(kept) = kept {
            found.push(Ok(kept));
            continue;
        }
        if work.is_none() {
            work = Some(Work::new(&plan, &progress)?);
            clock.started = Instant::now();
        }
        let work = work.as_mut().context("the reference")?;
        let result = work.compute(cell, &cells);
        progress.finish();
        let said = match &result {
            Ok(finished) => {
                let distance = finished.number("frechet_distance", "value");
                let distance = distance.map_or_else(String::new, |value| format!("FD {value:.4}, "));
                format!("{distance}{:.1} evaluations", finished.nfe)
            }
            Err(error) => format!("failed: {error:#}"),
        };
        let name = &plan.runs[cell.run].name;
        line(format!("{}  {name}, {}: {said}{}", clock.count(found.len(), &plan), cell.title(&[]), clock.left(cell)));
        // A failed cell, for example with coarsely rounded weights, is reported as such and computed again the next time.
        found.push(result.map_err(|error| format!("{error:#}")));
    }
    render::write(&table, &report::table(&plan, &found)?)?;
    let folders = report::Folders { cells, figures, style: args.figure };
    render::write(&page, report::page(&plan, &found, &folders)?.as_bytes())?;
    line(format!("table    {}", display(&table)));
    line(format!("report   {}", display(&page)));
    let formats = args.figure.style.format.map_or("SVG and PDF".to_owned(), |format| format.ending().to_uppercase());
    line(format!("figures  {} ({formats})", display(&folders.figures)));
    let failed = found.iter().filter(|found| found.is_err()).count();
    if failed > 0 {
        bail!("{failed} of {} cells failed, {} says why; the others are kept", found.len(), display(&page));
    }
    Ok(())
}

/// Estimates the remaining time from the evaluations so far.
struct Clock {
    started: Instant,
    done: f64,
    all: f64,
}

impl Clock {
    fn new<'a>(cells: impl Iterator<Item = &'a Cell>) -> Self {
        Self { started: Instant::now(), done: 0.0, all: cells.map(Cell::effort).sum() }
    }

    /// The number of the cell and the number of all cells.
    fn count(&self, before: usize, plan: &Plan) -> String {
        let all = plan.cells.len().to_string();
        format!("{:>width$} of {all}", before + 1, width = all.len())
    }

    /// The remaining time after a cell.
    fn left(&mut self, cell: &Cell) -> String {
        self.done += cell.effort();
        let left = self.started.elapsed().as_secs_f64() * (self.all - self.done) / self.done;
        match left {
            _ if self.done >= self.all => String::new(),
            left if left < 100.0 => format!("; about {left:.0} s left"),
            left if left < 6000.0 => format!("; about {:.0} min left", left / 60.0),
            left => format!("; about {:.1} h left", left / 3600.0),
        }
    }
}
