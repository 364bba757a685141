//! The start of a distillation.

use anyhow::{Context, Result, bail};
use pfgm::{Model, config::check_guidance, model::Distill};
use toml::Table;

use super::{Changes, Plan, change, latents, stem};
use crate::args::{DistillArgs, DistillMethod};

/// Returns the requested distillation of a model, on the data that it was trained on or on given data.
pub fn distillation(args: &DistillArgs, model: Model) -> Result<Plan> {
    let run = args.run.display();
    if model.spec().is_distilled() {
        bail!("{run}: this run is distilled already; name the run that it came from");
    }
    if args.steps == 0 {
        bail!("--steps 0: give at least 1");
    }
    let distill = match args.method {
        DistillMethod::Consistency => Distill::consistency(args.steps),
        DistillMethod::Ipfm => Distill::ipfm(args.steps),
    };
    let guidance = args.guidance.unwrap_or(model.spec().config.sample.guidance);
    if guidance != 1.0 {
        check_guidance("--guidance", guidance, &model.spec().config)?;
    }
    let distill = distill.guidance(guidance);
    let table = Table::try_from(distill.config(model.spec())).context("the configuration")?;
    let changes = Changes { data: args.data.clone(), set: args.set.clone(), ..Changes::default() };
    let config = change(table, &changes).with_context(|| run.to_string())?;
    let missing = || format!("the data of the run are not at {}; give them with --data PATH", config.data.source);
    let data = latents::open(&config.data).with_context(missing)?;
    if data.shape != model.spec().data.shape {
        let (given, learned) = (data.shape, model.spec().data.shape);
        bail!("--data: rows of {} are {given}, but the run was trained on {learned}", data.name);
    }
    let name = format!("{}-distilled", stem(&args.run.to_string_lossy()));
    Ok(Plan { data: Some(data), start: Some(model), ..Plan::new(name, config) })
}
