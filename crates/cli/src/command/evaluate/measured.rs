//! The samples that are evaluated: of a run, of a run's latents, or in files.

use std::{ops::ControlFlow, path::Path};

use anyhow::{Result, bail};
use pfgm::{
    Model,
    autoencoder::Autoencoder,
    bundled,
    evaluate::{Scaling, choose, extract_distributed},
    features::{Extracted, Features},
    model::Evaluation,
    parallel::Communicator,
    solver::Solver,
};
use pfgm_data::{BUILT_IN, Dataset, OpenOptions, Shape, is_text_table};

use crate::{
    args::evaluate::EvaluateArgs,
    command::measure::Progress,
    distributed,
    resolve::{self, Guidance},
};

/// Default number of samples.
const SAMPLES: usize = 10_000;

/// The evaluated samples.
pub enum Measured {
    Run(Box<Run>),
    /// A run whose flow is one of latents, with its autoencoder.
    Latents(Box<Run>, Box<Autoencoder>),
    Images(Box<Dataset>),
}

/// A run that draws the samples.
pub struct Run {
    pub model: Model,
    pub path: String,
    pub guidance: Guidance,
}

impl Run {
    /// The solver that is asked for, or the run's.
    pub fn solver(&self, args: &EvaluateArgs) -> Result<Solver> {
        let mut solver = resolve::solver::solver(&args.solving, self.model.spec(), Path::new(&self.path))?;
        if args.denoise {
            solver.set_denoise(true);
        }
        Ok(solver)
    }
}

impl Measured {
    pub fn open(what: &str, args: &EvaluateArgs, ranks: &dyn Communicator) -> Result<Self> {
        let path = Path::new(what);
        // `digits` is a data set rather than a bundled model.
        let is_bundled = !path.exists() && bundled::exists(path) && !BUILT_IN.contains(&what);
        if is_bundled
            || path.join("checkpoints").is_dir()
            || path.extension().is_some_and(|ending| ending == "safetensors")
        {
            let compute = distributed::compute(&args.compute, ranks);
            let model = resolve::model(path, &compute)?;
            let guidance = Guidance::open(&args.guidance, &model, &compute)?;
            let autoencoder = resolve::latents::autoencoder(&model.spec().config.data)?;
            let run = Box::new(Run { model, path: what.to_owned(), guidance });
            return Ok(match autoencoder {
                Some(autoencoder) => Self::Latents(run, Box::new(autoencoder)),
                None => Self::Run(run),
            });
        }
        if args.solving.is_given() || args.denoise || args.guidance.is_given() || args.compute.precision.is_some() {
            bail!(
                "{what}: is not a run; --solver, --steps, --rtol, --atol, --denoise, --guidance, --autoguide, --guidance-levels and --precision are for runs"
            );
        }
        if let Some(reference) = args.data.as_ref().filter(|data| is_text_table(data) && is_text_table(what)) {
            // The kinds of the columns are those of the reference.
            let reference = resolve::kinded_dataset(reference, &args.table)?;
            if let Some(schema) = reference.table {
                let options = OpenOptions { schema: Some(schema), ..OpenOptions::default() };
                return Ok(Self::Images(Box::new(pfgm_data::open(what, &resolve::with_flags(options, &args.table))?)));
            }
        }
        Ok(Self::Images(Box::new(resolve::dataset(what, &args.table)?)))
    }

    pub fn name(&self) -> &str {
        match self {
            Self::Run(run) | Self::Latents(run, _) => &run.path,
            Self::Images(dataset) => &dataset.name,
        }
    }

    pub fn shape(&self) -> Shape {
        match self {
            Self::Run(run) => run.model.spec().data.shape,
            Self::Latents(run, autoencoder) => {
                let latents = run.model.spec().data.shape;
                autoencoder.images_of(latents).unwrap_or(latents)
            }
            Self::Images(dataset) => dataset.shape,
        }
    }

    /// Whether the samples are the rows of the reference themselves.
    pub fn is_reference(&self, args: &EvaluateArgs) -> bool {
        let same = |a: &str, b: &str| {
            a == b || std::fs::canonicalize(a).ok().is_some_and(|a| std::fs::canonicalize(b).is_ok_and(|b| a == b))
        };
        matches!((self, &args.what, &args.data), (Self::Images(_), Some(what), Some(data)) if same(what, data))
    }

    pub fn is_image(&self) -> bool {
        matches!(self.shape(), Shape::Image { .. })
    }

    pub fn range(&self) -> (f32, f32) {
        match self {
            Self::Run(run) => run.model.spec().data.range,
            Self::Latents(..) => (0.0, 255.0),
            Self::Images(dataset) => dataset.range,
        }
    }

    /// Returns the features, and a description of the samples.
    pub fn features(
        &self,
        args: &EvaluateArgs,
        features: &Features,
        reference: &Scaling,
        ranks: &dyn Communicator,
        progress: &Progress,
    ) -> Result<Option<(Extracted, String)>> {
        let scaling = Scaling::against(self.range(), reference);
        match self {
            Self::Run(run) => features_of_run((run, None), args, (features, &scaling), ranks, progress),
            Self::Latents(run, autoencoder) => {
                features_of_run((run, Some(autoencoder)), args, (features, &scaling), ranks, progress)
            }
            Self::Images(dataset) => {
                let rows = choose(dataset.len(), args.count.unwrap_or(usize::MAX), args.seed);
                let share = ranks.share(rows.len()).len();
                let mut tell = |done| progress.tell("features of the images", done, share);
                let extracted = extract_distributed(features, (dataset, &rows), &scaling, ranks, &mut tell)?;
                Ok(extracted.map(|extracted| (extracted, format!("{} of {}", rows.len(), dataset.name))))
            }
        }
    }
}

/// Draws samples of a run, and extracts their features.
fn features_of_run(
    (run, autoencoder): (&Run, Option<&Autoencoder>),
    args: &EvaluateArgs,
    (features, scaling): (&Features, &Scaling),
    ranks: &dyn Communicator,
    progress: &Progress,
) -> Result<Option<(Extracted, String)>> {
    let Run { model, path, guidance } = run;
    let (count, spec, solver) = (args.count.unwrap_or(SAMPLES), model.spec(), run.solver(args)?);
    let method = solver.method();
    let observer = |state: &pfgm::Progress| {
        progress.tell("samples and their features", state.done, state.total);
        ControlFlow::Continue(())
    };
    let mut how = Evaluation::samples(count).seed(args.seed).solver(solver).batch(args.batch).ranks(ranks);
    how = how.guided(guidance.options());
    if args.balanced {
        how = how.balanced();
    }
    if let Some(autoencoder) = autoencoder {
        resolve::latents::announce(autoencoder, spec.data.shape)?;
        how = how.decode_with(autoencoder);
    }
    let Some(found) = model.sample_features(features, scaling, how.observer(observer))? else { return Ok(None) };
    let last = args.seed.wrapping_add(count as u64 - 1);
    let how = format!("{}, {:.1} evaluations each", method, found.nfe);
    Ok(Some((found.features, format!("{count} of {path}, seeds {}-{last} ({how})", args.seed))))
}
