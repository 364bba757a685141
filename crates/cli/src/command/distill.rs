//! `pfgm distill`

use anyhow::Result;
use pfgm::{Model, config::Config};

use crate::{
    args::DistillArgs,
    command::train::{Ended, begin, finish, program},
    distributed::Ranks,
    render::{display, line},
    resolve,
};

pub fn run(args: &DistillArgs, ranks: &Ranks) -> Result<()> {
    let device = pfgm::device::open(&args.device)?;
    let plan = resolve::distillation(args, Model::load_on(&args.run, &device)?)?;
    let folder = |name: &str, config: &Config| resolve::run_folder(args.out.as_deref(), name, Some(config));
    let training = begin(plan, args.dry_run, folder, &device, ranks)?;
    if args.dry_run {
        return Ok(());
    }
    let folder = training.folder.clone();
    match finish(training, args.tensorboard, &device, ranks)? {
        Ended::Finished => line(format!("next         {} sample {} -n 100 --steps 1", program(), display(&folder))),
        Ended::Stopped => line(format!("resume with  {} train {} --resume", program(), display(&folder))),
        Ended::Before => {}
    }
    Ok(())
}
