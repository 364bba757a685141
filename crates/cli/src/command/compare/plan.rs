//! Checked cells from the file of a comparison.

use std::{
    cmp::Reverse,
    collections::HashSet,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow, bail};
use pfgm::{
    bundled,
    evaluate::{Reference, Scaling, choose},
    extra_dims::ExtraDims,
    features::Features,
    parallel::Solo,
    solver::Solver,
    spec::ModelSpec,
};
use pfgm_data::{Dataset, Shape};
use serde_json::{Value, json};

use super::{
    file::{ALL_BITS, Choice, File, LENGTHS},
    fingerprint,
};
use crate::{
    args::{ComputeArgs, DataArgs},
    command::measure::{self, Progress},
    resolve,
};

/// A comparison: runs, reference and cells.
pub struct Plan {
    pub file: File,
    pub text: String,
    pub features: Features,
    pub scaling: Scaling,
    pub source: Source,
    pub runs: Vec<Known>,
    pub cells: Vec<Cell>,
}

/// Reference of the comparison.
pub enum Source {
    Rows(Box<Dataset>),
    Statistics(PathBuf),
}

/// A run without its weights, since the weights of all runs may be large.
pub struct Known {
    pub name: String,
    pub path: PathBuf,
    pub compute: ComputeArgs,
    pub guidance: f64,
    pub spec: ModelSpec,
    fingerprint: String,
    guidance_levels: Option<[f64; 2]>,
    fingerprint_of_weaker: Option<String>,
}

/// The name of the setting that tells repetitions apart.
pub const REPETITION: &str = "repetition";

/// A run with a solver.
pub struct Cell {
    /// The number of the run.
    pub run: usize,
    pub bits: u32,
    /// Seed of the first sample, and the number of the repetition from 1; `None` if there is only one.
    pub seed: u64,
    pub repetition: Option<usize>,
    pub choice: Choice,
    /// Everything that its result depends on.
    pub key: Value,
}

impl Cell {
    /// The name of its files.
    pub fn id(&self) -> String {
        fingerprint::of_text(&self.key.to_string())
    }

    /// Its settings apart from the method, the steps and the keys in `without`.
    pub fn settings(&self, without: &[&str]) -> String {
        let mut settings = self.choice.settings.clone();
        if self.bits != ALL_BITS {
            settings.push(("bits".into(), self.bits.to_string()));
        }
        if let Some(repetition) = self.repetition {
            settings.push((REPETITION.into(), repetition.to_string()));
        }
        let kept = settings.iter().filter(|(key, _)| !without.contains(&key.as_str()));
        kept.map(|(key, value)| format!("{key} {value}")).collect::<Vec<_>>().join(", ")
    }

    /// The name of its curve: its method and settings, apart from numbers of steps. Repetitions are points of one curve.
    pub fn curve(&self) -> String {
        joined(self.choice.solver.method().as_str(), &self.settings(&[&LENGTHS[..], &[REPETITION]].concat()))
    }

    /// The cell in a line, without the keys in `without`.
    pub fn title(&self, without: &[&str]) -> String {
        let solver = &self.choice.solver;
        let method = solver.method();
        let start = solver.steps().map_or_else(|| method.to_string(), |steps| format!("{method} {steps} steps"));
        joined(&start, &self.settings(without))
    }

    /// An estimate of the evaluations of a sample.
    pub fn effort(&self) -> f64 {
        self.choice.solver.evaluations().map_or(100.0, |evaluations| evaluations as f64)
    }
}

fn joined(start: &str, settings: &str) -> String {
    if settings.is_empty() { start.to_owned() } else { format!("{start}, {settings}") }
}

impl Plan {
    /// Reads and checks a file and everything that it names.
    pub fn read(path: &Path) -> Result<Self> {
        let (file, text) = File::read(path)?;
        let extractor = file.extractor()?;
        let choices = file.choices()?;
        let bits_of_runs = (0..file.run.len()).map(|run| file.bits(run)).collect::<Result<Vec<_>>>()?;
        let runs = open_runs(&file)?;
        let (source, of_reference) = source(&file, &runs[0].spec)?;
        let dataset = match &source {
            Source::Rows(dataset) => Some(&**dataset),
            Source::Statistics(_) => None,
        };
        let first = &runs[0].spec.data;
        let (scaling, shape) = measure::scaling(dataset, Some((first.shape, first.range)))
            .context("reference_statistics")?
            .context("reference: there is none")?;
        check_shapes(&runs, shape, dataset.map_or("the first run", |dataset| &dataset.name))?;
        let features = Features::open(extractor, file.weights.as_deref()).context("features")?;
        let dim = features.dim(shape).context("features")?;
        if let Source::Statistics(path) = &source {
            Reference::read(path, dim).context("reference_statistics")?;
        }
        let weights = file.weights.as_deref().map(fingerprint::of_file).transpose()?;
        let common = json!({
            "program": env!("CARGO_PKG_VERSION"),
            "samples": file.samples,
            "classes": "in the shares of the training data",
            "seed": file.seed,
            "batch": file.batch,
            "device": file.device,
            "features": extractor.name(),
            "weights": weights,
            "reference": of_reference,
            "reference_rows": file.reference_rows,
        });
        let cells = cells(&runs, &choices, &bits_of_runs, &common)?;
        let cells = repeated(cells, &file);
        Ok(Self { file, text, features, scaling, source, runs, cells })
    }

    /// The features of the reference.
    pub fn reference(&self, progress: &Progress) -> Result<Reference> {
        match &self.source {
            Source::Rows(dataset) => {
                let most = self.file.reference_rows.unwrap_or(usize::MAX);
                let rows = choose(dataset.len(), most, self.file.seed);
                measure::reference(&self.features, (dataset, &rows), &self.scaling, &Solo, progress)?
                    .context("the reference")
            }
            Source::Statistics(path) => {
                let dim = self.features.dim(self.runs[0].spec.data.shape)?;
                Reference::read(path, dim).context("reference_statistics")
            }
        }
    }

    /// The name of the reference.
    pub fn reference_name(&self) -> String {
        match &self.source {
            Source::Rows(dataset) => dataset.name.clone(),
            Source::Statistics(path) => path.display().to_string(),
        }
    }
}

/// Opens the runs of a file. All paths are checked first, because opening a run takes time.
fn open_runs(file: &File) -> Result<Vec<Known>> {
    for (index, run) in file.run.iter().enumerate() {
        if !bundled::exists(&run.path) {
            bail!("run[{index}].path: {}: no such run; train one with `pfgm train`", run.path.display());
        }
    }
    let open = |(index, run): (usize, &super::file::Run)| {
        let compute = ComputeArgs { device: file.device.clone(), precision: run.precision };
        let model = resolve::model(&run.path, &compute).with_context(|| format!("run[{index}]"))?;
        let guidance = run.guidance.unwrap_or(model.spec().config.sample.guidance);
        let own = run.open_guidance(&compute).with_context(|| format!("run[{index}].autoguide"))?;
        own.check(&model).map_err(|error| {
            let (key, problem) = match error {
                pfgm::Error::Argument { name: "weaker", problem } => ("autoguide", problem),
                pfgm::Error::Argument { name, problem } => (name, problem),
                pfgm::Error::Config(error) => ("guidance", format!("{}: {}", error.value, error.problem)),
                other => return anyhow::Error::from(other).context(format!("run[{index}]")),
            };
            anyhow!("run[{index}].{key}: {}: {problem}", run.name())
        })?;
        let fingerprint = fingerprint::of_model(&model)?;
        Ok(Known {
            name: run.name(),
            path: run.path.clone(),
            compute,
            guidance,
            spec: model.spec().clone(),
            fingerprint,
            guidance_levels: run.guidance_levels,
            fingerprint_of_weaker: own.weaker.as_ref().map(fingerprint::of_model).transpose()?,
        })
    };
    file.run.iter().enumerate().map(open).collect()
}

/// Checks that all runs have rows of the reference's shape.
fn check_shapes(runs: &[Known], shape: Shape, reference: &str) -> Result<()> {
    for (index, run) in runs.iter().enumerate() {
        let own = run.spec.data.shape;
        if own != shape {
            bail!(
                "run[{index}].path: {}: rows of {own}, but those of {reference} are {shape}; compare it in another file",
                run.path.display()
            );
        }
    }
    Ok(())
}

/// Returns all pairs of a run and a solver for it, each pair once.
fn cells(runs: &[Known], choices: &[Choice], bits_of_runs: &[Vec<u32>], common: &Value) -> Result<Vec<Cell>> {
    let (mut cells, mut known_cells) = (Vec::new(), HashSet::new());
    for (run, known) in runs.iter().enumerate() {
        let of_run = choices.iter().filter(|choice| choice.is_for(&known.name));
        let bits_of = |choice: &Choice| choice.bits.clone().unwrap_or_else(|| bits_of_runs[run].clone());
        let with_bits = of_run.flat_map(|choice| bits_of(choice).into_iter().map(move |bits| (bits, choice)));
        let mut pairs: Vec<(u32, &Choice)> = with_bits.collect();
        // Weights are rounded once, for all cells with the same bits.
        pairs.sort_by_key(|(bits, _)| Reverse(*bits));
        for (bits, choice) in pairs {
            let solver = solver(choice, known)?;
            let mut key = common.clone();
            key["run"] = json!(known.fingerprint);
            key["guidance"] = json!(known.guidance);
            // Results of earlier versions, without these keys, stay valid.
            if let Some(weaker) = &known.fingerprint_of_weaker {
                key["autoguide"] = json!(weaker);
            }
            if let Some(levels) = known.guidance_levels {
                key["guidance_levels"] = json!(levels);
            }
            key["bits"] = json!(bits);
            key["solver"] = json!(solver);
            if known_cells.insert((run, key.to_string())) {
                let choice = Choice { solver, ..choice.clone() };
                cells.push(Cell { run, bits, seed: 0, repetition: None, choice, key });
            }
        }
    }
    Ok(cells)
}

/// Each cell as often as the file says, with samples of other seeds: those of sample `i` of a repetition that begins at `s` are `s + i`.
fn repeated(cells: Vec<Cell>, file: &File) -> Vec<Cell> {
    let with_seed = |cell: &Cell, number: usize| {
        let seed = file.seed.wrapping_add((number * file.samples) as u64);
        let mut key = cell.key.clone();
        key["seed"] = json!(seed);
        let repetition = (file.seeds > 1).then_some(number + 1);
        Cell { run: cell.run, bits: cell.bits, seed, repetition, choice: cell.choice.clone(), key }
    };
    cells.iter().flat_map(|cell| (0..file.seeds).map(move |number| with_seed(cell, number))).collect()
}

/// The reference and its fingerprint.
fn source(file: &File, first: &ModelSpec) -> Result<(Source, String)> {
    if let Some(path) = &file.reference_statistics {
        let found = fingerprint::of_file(path).context("reference_statistics")?;
        return Ok((Source::Statistics(path.clone()), found));
    }
    let trained_on = &first.config.data;
    let source = file.reference.as_deref().unwrap_or(&trained_on.source);
    let dataset = measure::open_reference(source, &DataArgs::default(), Some(first)).context("reference")?;
    let found = fingerprint::of_dataset(&dataset)?;
    Ok((Source::Rows(Box::new(dataset)), found))
}

/// The solver of a choice, checked against a run.
fn solver(choice: &Choice, run: &Known) -> Result<Solver> {
    let (entry, name) = (choice.entry, &run.name);
    let check = |solver: &Solver, extra_dims: ExtraDims| match solver.check(extra_dims) {
        Ok(()) => Ok(()),
        Err(wrong) => bail!("solver[{entry}].{wrong} (run {name})"),
    };
    let mut solver = choice.solver.clone().for_process(run.spec.config.flow.output.process());
    check(&solver, run.spec.extra_dims())?;
    if resolve::solver::find_levels(&mut solver, Some(&run.path))
        .with_context(|| format!("solver[{entry}].schedule = gits"))?
    {
        check(&solver, run.spec.extra_dims())?;
    }
    if let Some(grid) = solver.grid() {
        grid.levels(solver.method(), run.spec.range())
            .with_context(|| format!("solver[{entry}].levels (run {name})"))?;
    }
    Ok(solver)
}
