//! `pfgm average`

use std::path::Path;

use anyhow::{Result, bail};
use burn::tensor::Device;
use pfgm::{Model, power_average::MAX_WIDTH};

use crate::{
    args::AverageArgs,
    command::train,
    render::{display, line},
    resolve,
};

/// Widths that a search compares.
const WIDTHS: [f64; 9] = [0.02, 0.03, 0.05, 0.07, 0.1, 0.13, 0.16, 0.2, 0.25];

pub fn run(args: &AverageArgs) -> Result<()> {
    let device = pfgm::device::open(&args.device)?;
    let name = format!("{}-average", resolve::stem(&args.runs[0].to_string_lossy()));
    let folder = resolve::run_folder(args.out.as_deref(), &name, None)?;
    let are_files = args.runs.iter().any(|run| run.extension().is_some_and(|ending| ending == "pkl"));
    let sigma_rel = match args.sigma_rel {
        Some(width) if !(0.001..=MAX_WIDTH).contains(&width) => {
            bail!("--sigma-rel {width}: give a number from 0.001 to {MAX_WIDTH}")
        }
        Some(width) => width,
        None if are_files => bail!("--search: snapshots in files have no held-out rows; give --sigma-rel"),
        None => search(&args.runs[0], &device)?,
    };
    if are_files {
        return of_files(args, sigma_rel, &device, &folder);
    }
    if let [_, other, ..] = args.runs.as_slice() {
        bail!("{}: give one run, or several snapshots (.pkl)", other.display());
    }
    let model = Model::load_average(&args.runs[0], sigma_rel, &device)?;
    model.save(&folder)?;
    line(format!("average      of relative width {sigma_rel} after {} steps: {}", model.step(), display(&folder)));
    line(format!("next         {} sample {} -n 100", train::program(), display(&folder)));
    Ok(())
}

/// Averages EDM2's snapshots.
fn of_files(args: &AverageArgs, sigma_rel: f64, device: &Device, folder: &Path) -> Result<()> {
    let found = Model::average_snapshots(&args.runs, sigma_rel, device)?;
    found.model.save(folder)?;
    for (file, share) in args.runs.iter().zip(&found.shares) {
        line(format!("share        {share:+.4} of {}", display(file)));
    }
    line(format!("mismatch     {:.1} % of the wanted profile; further snapshots reduce it", 100.0 * found.mismatch));
    line(format!("average      of relative width {sigma_rel}: {}", display(folder)));
    line(format!("next         {} sample {} -n 16", train::program(), display(folder)));
    Ok(())
}

/// Returns the width with the lowest loss on the held-out rows, and prints all.
fn search(run: &Path, device: &Device) -> Result<f64> {
    let mut best = (f64::INFINITY, WIDTHS[0]);
    let config = Model::load_average(run, WIDTHS[0], device)?.spec().config.clone();
    let (train, Some(held_out)) = train::load(&config, None)? else {
        bail!("--search: the run has no held-out rows (data.hold_out = 0); give --sigma-rel");
    };
    for width in WIDTHS {
        let loss = Model::load_average(run, width, device)?.held_out_loss(&train, &held_out)?;
        line(format!("sigma_rel {width:<5} held-out loss {loss:.5}"));
        if loss < best.0 {
            best = (loss, width);
        }
    }
    Ok(best.1)
}
