//! Cells of a comparison: computing, storing and loading their results.

use std::{fs, ops::ControlFlow, path::Path};

use anyhow::{Context, Result};
use pfgm::{
    Model,
    evaluate::{Reference, Scaling, evaluate},
    model::Evaluation,
};
use pfgm_data::Shape;
use pfgm_plot::{Captions, Series};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    file::ALL_BITS,
    plan::{Cell, Plan},
};
use crate::{
    command::measure::{Origin, Progress, as_json},
    render::{self, Rows},
    resolve::{self, Guidance},
};

/// Number of samples in the picture of a cell, for images and for tables.
const IMAGES: usize = 60;
const POINTS: usize = 2000;

/// The stored result of a cell.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Finished {
    /// Everything that the result depends on.
    key: Value,
    /// Mean number of evaluations per sample.
    pub nfe: f64,
    /// Sampling time per sample in seconds.
    pub seconds: f64,
    /// Scores in the format of `pfgm evaluate --json`.
    pub report: Value,
}

impl Finished {
    /// A number of the report.
    pub fn number(&self, score: &str, part: &str) -> Option<f64> {
        self.report[score][part].as_f64()
    }

    /// Loads the result of a cell, if it was computed before.
    pub fn read(folder: &Path, cell: &Cell) -> Option<Self> {
        let id = cell.id();
        // The picture is written first. A result that cannot be read is computed again.
        let text = fs::read_to_string(folder.join(format!("{id}.json"))).ok()?;
        let found: Self = serde_json::from_str(&text).ok()?;
        (found.key == cell.key && folder.join(format!("{id}.png")).is_file()).then_some(found)
    }

    fn write(&self, folder: &Path, id: &str) -> Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        render::write(&folder.join(format!("{id}.json")), format!("{text}\n").as_bytes())
    }
}

/// State for computing cells. Only the weights of one run, and of the weaker run that guides it, are in memory.
pub struct Work<'a> {
    plan: &'a Plan,
    reference: Reference,
    progress: &'a Progress,
    /// The loaded model and its guidance, with its run and the bits of its weights.
    loaded: Option<((usize, u32), Model, Guidance)>,
}

impl<'a> Work<'a> {
    pub fn new(plan: &'a Plan, progress: &'a Progress) -> Result<Self> {
        Ok(Self { plan, reference: plan.reference(progress)?, progress, loaded: None })
    }

    /// Computes a cell and stores it in a folder.
    pub fn compute(&mut self, cell: &Cell, folder: &Path) -> Result<Finished> {
        let Self { plan, progress, .. } = *self;
        let (file, run) = (&plan.file, &plan.runs[cell.run]);
        self.load(cell)?;
        let (_, model, guidance) = self.loaded.as_ref().context("a model")?;
        let data = &run.spec.data;
        let most = if matches!(data.shape, Shape::Image { .. }) { IMAGES } else { POINTS };
        let observer = |state: &pfgm::Progress| {
            progress.tell("samples and their features", state.done, state.total);
            ControlFlow::Continue(())
        };
        let mut how = Evaluation::samples(file.samples).seed(cell.seed).solver(cell.choice.solver.clone());
        how = how.batch(file.batch).keep(most.min(file.samples)).observer(observer);
        how = how.guided(guidance.options());
        let scaling = Scaling::against(data.range, &plan.scaling);
        let drawn = model.sample_features(&plan.features, &scaling, how)?.context("the samples")?;
        let tell = |what, done, all| progress.tell(what, done, all);
        let report = evaluate(&drawn.features, plan.features.classes(), &self.reference, cell.seed, &tell)?;
        let across = if (2..=16).contains(&data.classes.len()) { data.classes.len() } else { 10 };
        let series = Series { name: "samples", values: &drawn.first };
        let picture = Rows::from(data).png(&[series], (across, &Captions::default()), &run.name)?;
        let origin = Origin {
            extractor: plan.features.extractor().name(),
            samples: format!("{} of {} by {}", file.samples, run.name, cell.title(&[])),
            reference: plan.reference_name(),
            rows: self.reference.rows(),
        };
        let found = Finished {
            key: cell.key.clone(),
            nfe: drawn.nfe,
            seconds: drawn.seconds / file.samples as f64,
            report: as_json(&origin, &report),
        };
        render::write(&folder.join(format!("{}.png", cell.id())), &picture)?;
        found.write(folder, &cell.id())?;
        Ok(found)
    }

    fn load(&mut self, cell: &Cell) -> Result<()> {
        let wanted = (cell.run, cell.bits);
        if self.loaded.as_ref().is_some_and(|(loaded, ..)| *loaded == wanted) {
            return Ok(());
        }
        self.loaded = None;
        let known = &self.plan.runs[cell.run];
        let mut model = resolve::model(&known.path, &known.compute)?;
        if cell.bits != ALL_BITS {
            model.quantize(cell.bits);
        }
        let guidance = self.plan.file.run[cell.run].open_guidance(&known.compute)?;
        self.loaded = Some((wanted, model, guidance));
        Ok(())
    }
}
