//! Guidance of samples.

use std::{ops::RangeInclusive, path::Path};

use anyhow::{Context, Result, bail};
use pfgm::{Model, model::GuidanceOptions};

use super::model;
use crate::args::{ComputeArgs, GuidanceArgs};

/// The scale of guidance, the weaker run that guides, and the guided levels.
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
        of.sample(0).guided(self.options()).draw().map(|_| ())
    }

    /// The options of a request for samples.
    pub fn options(&self) -> GuidanceOptions<'_> {
        GuidanceOptions { scale: self.scale, weaker: self.weaker.as_ref(), levels: self.levels.clone() }
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
