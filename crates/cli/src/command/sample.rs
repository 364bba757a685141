//! `pfgm sample`

use std::{path::Path, time::Instant};

use anyhow::{Context, Result, bail};
use indicatif::ProgressBar;
use pfgm::{
    Model,
    config::DataConfig,
    model::{AuthorsCode, Samples, Sampling},
    parallel::Communicator,
    prediction::Output,
    solver::Solver,
    spec::ModelSpec,
};
use pfgm_data::Shape;

use crate::{
    args::{ArithmeticName, Frames, SampleArgs},
    command::{
        drawn::{Drawn, across, check_files, reference, seeds, write_arrays, write_picture},
        exact,
        falling::{self, Falling},
    },
    distributed,
    render::{self, AnimationFile, PictureFile, in_run, line},
    resolve::{self, Conditions, Guidance},
};

/// Frames of an animation by default.
const FRAMES: usize = 60;
/// The norm to which the authors' code clips latents of CIFAR-10.
const UPPER_NORM: f64 = 3000.0;
/// The z from which on the authors' code uses the network's z-component for CIFAR-10.
const Z_EXP: f64 = 5.0;

/// What is sampled.
struct Of<'a> {
    model: &'a Model,
    run: &'a Path,
    guidance: &'a Guidance,
}

pub fn run(args: &SampleArgs, ranks: &dyn Communicator) -> Result<()> {
    let Some(run) = &args.run else {
        return exact::run(args, args.exact.as_deref().context("name a run, or give --exact DATA")?);
    };
    refuse_flags_of_exact(args)?;
    let compute = distributed::compute(&args.compute, ranks);
    let model = resolve::model(run, &compute)?;
    let guidance = Guidance::open(&args.guidance, &model, &compute)?;
    let of = Of { model: &model, run, guidance: &guidance };
    let data = &model.spec().data;
    if args.files.images.is_some() && !matches!(data.shape, Shape::Image { .. }) {
        bail!("--images: the run's rows are {}; write --csv or --npz", data.shape);
    }
    let conditions = args.conditions.as_deref().map(|text| Conditions::parse(text, model.spec())).transpose()?;
    let seeds = seeds(args.count, args.seeds.as_deref())?;
    let sampling = sampling(args, &of, seeds, conditions.as_ref())?;
    // `samples.png` is the picture that training writes.
    let picture = PictureFile::new(args.figure, args.out.as_deref(), in_run(run, "sampled.png"))?;
    check_files(&args.files)?;
    let animation = animation(args, &model)?;
    let bar = render::progress("sampling", 0);
    let started = Instant::now();
    let samples = match &conditions {
        Some(conditions) => Some(conditional(args, &of, conditions, &bar)?),
        None => sampling.observer(resolve::on_bar(&bar)).draw_distributed(ranks)?,
    };
    bar.finish_and_clear();
    let Some(samples) = samples else { return Ok(()) };
    let samples = resolve::latents::decoded(&tiled(args, &model)?, samples)?;
    let seconds = started.elapsed().as_secs_f64();
    line(format!("{} samples, {:.1} evaluations each, {seconds:.2} s", samples.rows(), samples.nfe()));
    if args.arithmetic == ArithmeticName::AuthorsCode {
        let norm = args.upper_norm.or(model.spec().config.sample.upper_norm).unwrap_or(UPPER_NORM);
        line(format!("{:.1} % of the latents were clipped to a norm of {norm}", 100.0 * samples.clipped));
    }
    // Runs of earlier versions do not have the shares.
    let in_turn = args.class.is_none() && !data.classes.is_empty() && data.class_counts.is_empty();
    if in_turn && !args.balanced {
        line("classes    in turn, because the run does not have the shares of its training data");
    }
    let drawn = Drawn { cells: samples.cells(!args.no_missing), ..Drawn::of(&samples, &model.spec().config) };
    write_arrays(&args.files, samples.data(), &drawn)?;
    let data = reference(model.spec(), samples.data());
    write_picture(args.balanced || in_turn, samples.data(), &drawn, data.as_deref(), &picture)?;
    let Some(animation) = animation else { return Ok(()) };
    let in_turn = args.balanced || in_turn;
    let across = across(in_turn, samples.data(), &drawn);
    let solver = requested_solver(args, model.spec(), run)?;
    let (seeds, classes) = (drawn.seeds, drawn.classes);
    let falling =
        Falling { model: &model, solver: &solver, guidance: args.guidance.guidance, seeds, classes, across, in_turn };
    falling.write(&animation, Frames::count(&args.frames).unwrap_or(FRAMES))
}

/// The run's data, with the tiles that are asked for.
fn tiled(args: &SampleArgs, model: &Model) -> Result<DataConfig> {
    let data = model.spec().config.data.clone();
    match args.tile {
        Some(_) if data.autoencoder.is_none() => {
            bail!("--tile: only an autoencoder decodes in tiles, and the run has none (data.autoencoder); omit it")
        }
        Some(tile) => Ok(DataConfig { tile, ..data }),
        None => Ok(data),
    }
}

/// The animation to write, checked before the computation.
fn animation(args: &SampleArgs, model: &Model) -> Result<Option<AnimationFile>> {
    let (folder, count) = (Frames::folder(&args.frames), Frames::count(&args.frames));
    if args.animate.is_none() && folder.is_none() {
        return match count {
            Some(count) => bail!("--frames {count}: goes with --animate FILE, or with --frames DIR"),
            None => Ok(None),
        };
    }
    falling::check(model)?;
    if args.arithmetic == ArithmeticName::AuthorsCode {
        bail!("--animate: not with --arithmetic authors-code, whose samples depend on their batch; omit one");
    }
    if args.guidance.autoguide.is_some() || args.guidance.guidance_levels.is_some() {
        bail!("--animate and --frames: not with --autoguide or --guidance-levels; omit one");
    }
    resolve::within("--frames", count.unwrap_or(FRAMES), 2..=10_000)?;
    AnimationFile::new(args.animate.as_deref(), folder, args.figure)
}

/// The solver of the command line or of the run.
fn requested_solver(args: &SampleArgs, spec: &ModelSpec, run: &Path) -> Result<Solver> {
    let mut solver = resolve::solver::solver(&args.solving, spec, run)?;
    if args.denoise {
        solver.set_denoise(true);
    }
    Ok(solver)
}

/// Draws rows until enough of them fulfill the conditions.
fn conditional(args: &SampleArgs, of: &Of, conditions: &Conditions, bar: &ProgressBar) -> Result<Samples> {
    /// Rows that are drawn together, at least.
    const PART: usize = 256;
    resolve::within("--tries", args.tries, 1..=resolve::MAX_SAMPLES)?;
    resolve::product("-n and --tries", args.count, args.tries)?;
    let most = args.count * args.tries;
    let (mut kept, mut drawn): (Option<Samples>, usize) = (None, 0);
    bar.set_length(args.count as u64);
    loop {
        let have = kept.as_ref().map_or(0, Samples::rows);
        bar.set_position(have as u64);
        if have >= args.count {
            break;
        }
        if drawn >= most {
            bail!(
                "--where: {have} of {drawn} drawn rows fulfill the conditions, {} are wanted; widen them, or give more \
                 --tries (now {})",
                args.count,
                args.tries
            );
        }
        let part = (args.count - have).max(PART).min(most - drawn);
        let seeds: Vec<u64> = (drawn..drawn + part).map(|seed| seed as u64).collect();
        let samples = sampling(args, of, seeds, Some(conditions))?.draw()?;
        drawn += part;
        let values = samples.values_f64();
        let rows = values.chunks_exact(of.model.dim()).enumerate().filter(|(_, row)| conditions.hold(row));
        let rows: Vec<usize> = rows.map(|(row, _)| row).take(args.count - have).collect();
        let found = samples.select(&rows);
        match &mut kept {
            Some(kept) => kept.append(found),
            None => kept = Some(found),
        }
    }
    line(format!("{drawn} rows drawn for {} that fulfill --where", args.count));
    kept.context("-n: give at least 1")
}

/// Returns an error for flags that apply to `--exact` only.
fn refuse_flags_of_exact(args: &SampleArgs) -> Result<()> {
    if args.table.columns.is_some() || args.table.label.is_some() {
        bail!("--columns and --label: only for --exact; a run stores its columns");
    }
    if args.extra_dims.is_some() {
        bail!("-D: only for --exact; a run stores its D");
    }
    if args.against.is_some() {
        bail!("--run: compares a run with the exact field; add --exact DATA, or omit it");
    }
    Ok(())
}

/// Returns the requested sampling, checked against the run.
fn sampling<'a>(
    args: &SampleArgs,
    of: &Of<'a>,
    seeds: Vec<u64>,
    conditions: Option<&Conditions>,
) -> Result<Sampling<'a>> {
    let &Of { model, run, guidance } = of;
    let spec = model.spec();
    resolve::within("--batch", args.batch, 1..=resolve::MAX_SAMPLES)?;
    if spec.data.classes.is_empty() && (args.class.is_some() || args.balanced) {
        bail!("--class and --balanced: this run is not conditioned on classes; train with --set data.conditional=true");
    }
    let solver = requested_solver(args, spec, run)?;
    let mut sampling = model.sample(0).seeds(seeds).solver(solver).batch(args.batch);
    let class = args.class.as_ref().or_else(|| conditions?.class.as_ref());
    if let Some(class) = class {
        sampling = sampling.class(class);
    } else if args.balanced {
        sampling = sampling.balanced();
    }
    sampling = sampling.guided(guidance.options());
    if let Some(settings) = authors_code(args.arithmetic, args.z_exp, args.upper_norm, spec)? {
        sampling = sampling.authors_code(settings);
    }
    Ok(sampling)
}

/// Returns the settings of the authors' code; `None` if steps are computed as in the equations.
pub fn authors_code(
    arithmetic: ArithmeticName,
    z_exp: Option<f64>,
    upper_norm: Option<f64>,
    spec: &ModelSpec,
) -> Result<Option<AuthorsCode>> {
    if arithmetic == ArithmeticName::Exact {
        return match (z_exp, upper_norm) {
            (None, None) => Ok(None),
            (Some(_), _) => bail!("--z-exp: goes with --arithmetic authors-code; omit it"),
            (_, Some(_)) => bail!("--upper-norm: goes with --arithmetic authors-code; omit it"),
        };
    }
    if !matches!(spec.config.flow.output, Output::Field { .. }) {
        bail!("--arithmetic authors-code: the run's network does not predict PFGM's field; omit it");
    }
    let own = &spec.config.sample;
    let z_exp = z_exp.or(own.z_exp).unwrap_or(Z_EXP);
    let upper_norm = upper_norm.or(own.upper_norm).unwrap_or(UPPER_NORM);
    resolve::within("--z-exp", z_exp, 0.0..=f64::MAX)?;
    resolve::within("--upper-norm", upper_norm, 1.0..=f64::MAX)?;
    Ok(Some(AuthorsCode { z_exp, upper_norm: Some(upper_norm) }))
}
