//! `pfgm denoise` and `pfgm inpaint`

use std::path::Path;

use anyhow::{Result, bail};
use pfgm::{
    model::{Denoise, Inpaint},
    solver::{ScheduleName, Solver},
    spec::{DataInfo, ModelSpec},
};
use pfgm_data::npz::{Column, Named};
use pfgm_plot::{Captions, sheet};

use crate::{
    args::{DenoiseArgs, InpaintArgs},
    render::{self, PictureFile, Rows, in_run, line, numbered},
    resolve::{self, solver::Solved},
};

/// Maximum number of images in a picture.
const SHOWN: usize = 16;

/// Returns an error if the flow is one of latents: noise and masks of images are no noise and masks of latents.
pub fn refuse_latents(spec: &ModelSpec) -> Result<()> {
    if spec.config.data.autoencoder.is_some() {
        bail!("the run's flow is one of latents (data.autoencoder); this command needs a flow of images");
    }
    Ok(())
}

pub fn denoise(args: &DenoiseArgs) -> Result<()> {
    let model = resolve::flow_model(&args.run.run, &args.run.compute)?;
    let spec = model.spec();
    refuse_latents(spec)?;
    let size = resolve::image_size(&spec.data)?;
    let sigma = noise_level(&args.sigma, spec, size)?;
    let solver = solver(args, spec)?;
    resolve::within("--batch", args.run.batch, 1..=resolve::MAX_SAMPLES)?;
    let file = PictureFile::new(args.figure, args.out.as_deref(), in_run(&args.run.run, "denoised.png"))?;
    render::check_all([args.npz.as_deref()])?;
    let rows = resolve::rows(&args.rows, spec)?;
    let bar = render::progress("denoising", 0);
    let mut how = sigma.map_or_else(Denoise::estimated, Denoise::sigma).solver(solver);
    if args.one_step {
        how = how.posterior_mean();
    }
    let found = model.denoise_rows(&rows, how.batch(args.run.batch).observer(resolve::on_bar(&bar)))?;
    bar.finish_and_clear();
    let mean = found.sigma.iter().sum::<f64>() / found.sigma.len() as f64;
    line(format!("{} images, noise of {mean:.4}{}", rows.len(), if sigma.is_none() { " on average" } else { "" }));
    write(args.npz.as_deref(), &spec.data, found.samples.values())?;
    let drawn = rows.len().min(SHOWN);
    let values = drawn * spec.dim();
    let both = [&rows.values[..values], &found.samples.values()[..values]].concat();
    let captions = Captions { rows: ["noisy", "denoised"].map(String::from).to_vec(), ..Captions::default() };
    picture(&file, &spec.data, &both, (drawn, &captions), "noisy above denoised")
}

/// Parses `--sigma`; `None` if the noise level is to be estimated.
fn noise_level(text: &str, spec: &ModelSpec, [height, width, _]: [usize; 3]) -> Result<Option<f64>> {
    let (lowest, highest) = spec.range();
    match (text, text.parse::<f64>()) {
        ("auto", _) if height < 2 || width < 2 => {
            bail!("--sigma auto: noise can be estimated in images of 2x2 pixels or more; give a number")
        }
        ("auto", _) => Ok(None),
        (_, Ok(sigma)) if sigma > lowest && sigma < highest => Ok(Some(sigma)),
        _ => bail!("--sigma {text}: give a number between {lowest} and {highest}, the run's noise levels, or auto"),
    }
}

/// Returns the solver from the noise level of an image to the data. GITS levels apply only to the full range.
fn solver(args: &DenoiseArgs, spec: &ModelSpec) -> Result<Solver> {
    if args.one_step && args.solving.is_given() {
        bail!("--one-step: uses no solver; omit the solver's flags");
    }
    if args.solving.schedule == Some(ScheduleName::Gits) {
        bail!(
            "--schedule gits: was searched for the full range of noise levels, but denoising starts at the noise level of the image; choose another"
        );
    }
    let mut base = spec.config.sample.solver.clone();
    base.reset_schedule();
    resolve::solver::changed(&args.solving, &base, Solved::of(spec, &args.run.run))
}

pub fn inpaint(args: &InpaintArgs) -> Result<()> {
    let model = resolve::flow_model(&args.run.run, &args.run.compute)?;
    let spec = model.spec();
    refuse_latents(spec)?;
    let size = resolve::image_size(&spec.data)?;
    for (flag, value, max) in [
        ("--completions", args.completions, resolve::MAX_SAMPLES),
        ("--steps", args.steps, resolve::MAX_LEVELS),
        ("--rounds", args.rounds, resolve::MAX_LEVELS),
        ("--batch", args.run.batch, resolve::MAX_SAMPLES),
    ] {
        resolve::within(flag, value, 1..=max)?;
    }
    let file = PictureFile::new(args.figure, args.out.as_deref(), in_run(&args.run.run, "inpainted.png"))?;
    render::check_all([args.npz.as_deref()])?;
    let known = mask(&args.mask, size)?;
    let rows = resolve::rows(&args.rows, spec)?;
    let completions = args.completions;
    resolve::product("-n and --completions", rows.len(), completions)?;
    let bar = render::progress("inpainting", 0);
    let how = Inpaint::default().steps(args.steps).rounds(args.rounds).fillings(completions).batch(args.run.batch);
    let found = model.inpaint_rows(&rows, &known, how.observer(resolve::on_bar(&bar)))?;
    bar.finish_and_clear();
    line(format!("{} images, {completions} completions each, {:.0} evaluations", rows.len(), found.nfe()));
    write(args.npz.as_deref(), &spec.data, found.values())?;
    let (dark, dim) = (spec.data.range.0, spec.dim());
    let row = |at: usize| -> Vec<f32> {
        let image = &rows.values[at * dim..(at + 1) * dim];
        let masked = image.iter().zip(&known).map(|(&value, &known)| if known { value } else { dark });
        let completed = (0..completions).flat_map(|number| found.row(at * completions + number));
        image.iter().copied().chain(masked).chain(completed.copied()).collect()
    };
    let shown = rows.len().min(SHOWN);
    let drawn: Vec<f32> = (0..shown).flat_map(row).collect();
    let completed = (1..=completions).map(|number| format!("draw {number}"));
    let columns = ["image", "masked"].map(String::from).into_iter().chain(completed).collect();
    let captions = Captions { columns, rows: numbered("image", shown) };
    picture(&file, &spec.data, &drawn, (completions + 2, &captions), "image, masked image, completions")
}

/// Which values of an image are kept: those where the mask is white.
fn mask(path: &Path, size: [usize; 3]) -> Result<Vec<bool>> {
    let shown = path.display();
    let known = resolve::image_mask(path, size).map_err(|error| anyhow::anyhow!("--mask {error:#}"))?;
    if known.iter().all(|&known| known) {
        bail!("--mask {shown}: no pixel is black, so there is nothing to fill; paint what to fill black");
    }
    if !known.contains(&true) {
        bail!("--mask {shown}: no pixel is white, so nothing is kept; paint what to keep white, or use `pfgm sample`");
    }
    Ok(known)
}

fn write(path: Option<&Path>, data: &DataInfo, values: &[f32]) -> Result<()> {
    let Some(path) = path else { return Ok(()) };
    let [height, width, channels] = resolve::image_size(data)?;
    let shape = [values.len() / data.shape.dim(), height, width, channels];
    render::arrays("arrays", path, &[Named { name: "x", shape: &shape, values: Column::Floats(values) }])
}

fn picture(
    file: &PictureFile,
    data: &DataInfo,
    values: &[f32],
    (across, captions): (usize, &Captions),
    what: &str,
) -> Result<()> {
    file.write_and_print(sheet(Rows::from(data).pixels(), values, across, captions)?, what)
}
