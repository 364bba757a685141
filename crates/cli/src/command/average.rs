//! `pfgm average`

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
    let name = format!("{}-average", resolve::stem(&args.run.to_string_lossy()));
    let folder = resolve::run_folder(args.out.as_deref(), &name, None)?;
    let sigma_rel = match args.sigma_rel {
        Some(width) if !(0.001..=MAX_WIDTH).contains(&width) => {
            bail!("--sigma-rel {width}: give a number from 0.001 to {MAX_WIDTH}")
        }
        Some(width) => width,
        None => search(args, &device)?,
    };
    let model = Model::load_average(&args.run, sigma_rel, &device)?;
    model.save(&folder)?;
    line(format!("average      of relative width {sigma_rel} after {} steps: {}", model.step(), display(&folder)));
    line(format!("next         {} sample {} -n 100", train::program(), display(&folder)));
    Ok(())
}

/// Returns the width with the lowest loss on the held-out rows, and prints all.
fn search(args: &AverageArgs, device: &Device) -> Result<f64> {
    let mut best = (f64::INFINITY, WIDTHS[0]);
    let config = Model::load_average(&args.run, WIDTHS[0], device)?.spec().config.clone();
    let (train, Some(held_out)) = train::load(&config, None)? else {
        bail!("--search: the run has no held-out rows (data.hold_out = 0); give --sigma-rel");
    };
    for width in WIDTHS {
        let loss = Model::load_average(&args.run, width, device)?.held_out_loss(&train, &held_out)?;
        line(format!("sigma_rel {width:<5} held-out loss {loss:.5}"));
        if loss < best.0 {
            best = (loss, width);
        }
    }
    Ok(best.1)
}
