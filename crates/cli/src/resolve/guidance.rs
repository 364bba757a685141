//! Guidance of samples.

use std::{ops::RangeInclusive, path::Path};

use anyhow::{Context, Result, bail};
use pfgm::{
    Model,
    model::{Evaluation, Sampling},
};

use super::model;
use crate::args::{ComputeArgs, GuidanceArgs};

/// The scale of guidance, the weaker run that guides, and the guided levels.
#[derive(Default)]
pub struct Guidance {
    pub scale: Option<f64>,
    pub weaker: Option<Model>,
    pub levels: Option<RangeInclusive<f64>>,
}

impl Guidance {
    /// Loads the weaker run, and checks everything against the run that is guided.
    pub fn open(args: &GuidanceArgs, of: &Model, compute: &ComputeArgs) -> Result<Self> {
        if of.spec().data.classes.is_empty() && args.autoguide.is_none() && args.is_given() {
            bail!(
                "--guidance and --guidance-levels: this run is not conditioned on classes; train with --set \
                 data.conditional=true, or guide by a weaker run with --autoguide"
            );
        }
        let levels = args.guidance_levels.as_deref().map(levels).transpose()?;
        let weaker = Self::weaker(args.autoguide.as_deref(), compute).context("--autoguide")?;
        let found = Self { scale: args.guidance, weaker, levels };
        found.check(of)?;
        Ok(found)
    }

    /// Loads a weaker run, if one is given.
    pub fn weaker(path: Option<&Path>, compute: &ComputeArgs) -> Result<Option<Model>> {
        path.map(|path| model(path, compute)).transpose()
    }

    /// Returns an error if the guidance does not fit a run.
    pub fn check(&self, of: &Model) -> pfgm::Result<()> {
        // A request for no samples checks its options.
        self.of_sampling(of.sample(0)).draw().map(|_| ())
    }

    /// Guides samples.
    pub fn of_sampling<'a>(&'a self, mut sampling: Sampling<'a>) -> Sampling<'a> {
        if let Some(scale) = self.scale {
            sampling = sampling.guidance(scale);
        }
        if let Some(weaker) = &self.weaker {
            sampling = sampling.autoguide(weaker);
        }
        match self.levels.clone() {
            Some(levels) => sampling.guidance_levels(levels),
            None => sampling,
        }
    }

    /// Guides the samples of an evaluation.
    pub fn of_evaluation<'a>(&'a self, mut how: Evaluation<'a>) -> Evaluation<'a> {
        if let Some(scale) = self.scale {
            how = how.guidance(scale);
        }
        if let Some(weaker) = &self.weaker {
            how = how.autoguide(weaker);
        }
        match self.levels.clone() {
            Some(levels) => how.guidance_levels(levels),
            None => how,
        }
    }
}

/// The noise levels of --guidance-levels.
fn levels(text: &str) -> Result<RangeInclusive<f64>> {
    let parse = |part: &str| part.trim().parse::<f64>().ok().filter(|level| *level >= 0.0);
    match text.split_once("..").map(|(low, high)| (parse(low), parse(high))) {
        Some((Some(low), Some(high))) if low < high => Ok(low..=high),
        _ => bail!("--guidance-levels {text}: give two noise levels from 0, the lower one first, as in 0.3..5"),
    }
}
