//! `pfgm cascade sample`

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context, Result, bail};
use pfgm::{Model, cascade::Cascade, config::check_guidance, model::Samples, solver::Solver, spec::ModelSpec};
use pfgm_data::Shape;
use pfgm_plot::{Canvas, Captions, sheet};

use super::{agreement, blocks, file::name_of};
use crate::{
    args::{DataArgs, cascade::CascadeSampleArgs},
    command::drawn::{Drawn, check_files, seeds, write_arrays, write_picture},
    render::{self, PictureFile, Rows, display, line},
    resolve,
};

/// Samples in the picture of all models.
const SHOWN: usize = 8;

pub fn run(args: &CascadeSampleArgs) -> Result<()> {
    let cascade = Cascade::new(load(args)?).with_context(|| args.cascade.display().to_string())?;
    let specs: Vec<&ModelSpec> = cascade.models().iter().map(Model::spec).collect();
    let solvers = solvers(args, &specs)?;
    let request = request(args, &specs)?;
    let (count, models) = (request.seeds.len(), specs.len());
    let picture = PictureFile::new(args.figure, args.out.as_deref(), args.cascade.join("samples.png"))?;
    let all = PictureFile::new(args.figure, Some(&stages_file(picture.path())), "")?;
    check_files(&args.files)?;
    let bar = render::progress("sampling", count * models);
    let started = Instant::now();
    let mut sampling = cascade.sample(request.seeds.clone()).classes(request.classes.clone()).solvers(solvers);
    sampling = sampling.guidance(request.guidance).batch(args.batch);
    if let Some(noise) = args.noise {
        sampling = sampling.low_resolution_noise(noise);
    }
    if let Some(images) = request.begin {
        sampling = sampling.begin_with(images);
    }
    let made = sampling
        .observer(|progress| {
            bar.set_position(progress.done as u64);
            ControlFlow::Continue(())
        })
        .draw()?;
    bar.finish_and_clear();
    let nfe: Vec<String> = made.iter().map(|samples| format!("{:.1}", samples.nfe())).collect();
    let seconds = started.elapsed().as_secs_f64();
    line(format!("{count} samples, {} evaluations each, {seconds:.2} s", nfe.join(" + ")));
    for (pair, spec) in made.windows(2).zip(&specs[1..]) {
        let factor = spec.config.upscale.unwrap_or_default().factor;
        agreement(spec.data.shape, spec.data.range, pair[1].values(), pair[0].values(), factor);
    }
    let data = &specs[specs.len() - 1].data;
    let last = &made[made.len() - 1];
    let drawn = Drawn {
        seeds: &request.seeds,
        classes: &request.classes,
        values: last.values(),
        precise: None,
        label: "class",
        cells: None,
    };
    write_arrays(&args.files, data, &drawn)?;
    write_picture(args.class.is_none() && args.from.is_none(), data, &drawn, None, &picture)?;
    all.write(stages_picture(&specs, &made)?)?;
    line(format!("{:<10} {}", "stages", display(all.path())));
    Ok(())
}

/// The file of the picture of all stages, next to that of the samples and in its format.
fn stages_file(picture: &Path) -> PathBuf {
    let stem = picture.file_stem().unwrap_or_default().to_string_lossy();
    let ending = picture.extension().map_or_else(|| "png".into(), |ending| ending.to_string_lossy());
    // Nothing is written next to a device.
    let folder = picture.parent().filter(|folder| *folder != Path::new("/dev")).unwrap_or(Path::new(""));
    folder.join(format!("{stem}-stages.{ending}"))
}

/// The runs of a cascade's folder.
fn load(args: &CascadeSampleArgs) -> Result<Vec<Model>> {
    let folder = &args.cascade;
    let runs: Vec<_> = (0..).map(|number| folder.join(name_of(number))).take_while(|run| run.is_dir()).collect();
    let wanted = std::fs::read_to_string(folder.join(super::train::FILE)).ok();
    let wanted = wanted.map_or(2, |text| text.matches("[[stage]]").count());
    if runs.len() < wanted {
        let missing = name_of(runs.len());
        bail!("{}: no {missing} in it; train the cascade with `pfgm cascade train`, or --resume it", folder.display());
    }
    runs.iter().map(|run| resolve::any_model(run, &args.compute)).collect()
}

/// The solver of each model. Checks the noise of the images to upscale, too.
fn solvers(args: &CascadeSampleArgs, specs: &[&ModelSpec]) -> Result<Vec<Solver>> {
    let solver = |(number, spec): (usize, &&ModelSpec)| {
        let trained = spec.config.upscale.unwrap_or_default();
        if let Some(noise) = args.noise.filter(|noise| number > 0 && !(0.0..=trained.noise).contains(noise)) {
            bail!("--noise {noise}: {} was trained on levels from 0 to {}", name_of(number), trained.noise);
        }
        resolve::solver::solver(&args.solving, spec, &args.cascade.join(name_of(number)))
    };
    specs.iter().enumerate().map(solver).collect()
}

/// A validated request.
struct Request {
    seeds: Vec<u64>,
    classes: Vec<Option<u32>>,
    guidance: f64,
    /// The images to upscale, if they are given.
    begin: Option<Vec<f32>>,
}

fn request(args: &CascadeSampleArgs, specs: &[&ModelSpec]) -> Result<Request> {
    resolve::within("--batch", args.batch, 1..=resolve::MAX_SAMPLES)?;
    let (base, last) = (specs[0], specs[specs.len() - 1]);
    let classes = &base.data.classes;
    if classes.is_empty() && (args.class.is_some() || args.guidance.is_some()) {
        bail!(
            "--class and --guidance: this cascade is not conditioned on classes; train with --set data.conditional=true"
        );
    }
    let guidance = args.guidance.unwrap_or(last.config.sample.guidance);
    for spec in specs {
        check_guidance("--guidance", guidance, &spec.config)?;
    }
    let mut seeds = seeds(args.count, args.seeds.as_deref())?;
    let chosen = args.class.as_deref().map(|name| base.trained_class(name)).transpose()?;
    let mut of_seed = match chosen {
        Some(class) => vec![Some(class); seeds.len()],
        None => base.classes_by_share(&seeds),
    };
    let mut begin = None;
    if let Some(source) = &args.from {
        let data = resolve::dataset(source, &DataArgs::default())?;
        let smaller = match (data.shape, last.data.shape, base.data.shape) {
            (given, _, low) if given == low => data,
            (given @ Shape::Image { height, .. }, whole, Shape::Image { height: low, .. }) if given == whole => {
                data.shrunk(height / low)?
            }
            (given, whole, low) => bail!("--from {source}: its rows are {given}; give images of {low} or {whole}"),
        };
        let values = smaller.some(seeds.len())?;
        let count = values.len() / base.dim();
        seeds.truncate(count);
        if !classes.is_empty() {
            // Images to upscale have no class unless the data have labels or the command line names one.
            let labels = smaller.labels.as_ref().filter(|labels| labels.names == *classes);
            let label = |at: usize| labels.map(|labels| labels.of_row[at * smaller.len() / count]);
            of_seed = (0..count).map(|at| chosen.or_else(|| label(at))).collect();
        }
        of_seed.truncate(count);
        begin = Some(values);
    }
    Ok(Request { seeds, classes: of_seed, guidance, begin })
}

/// The images of all models, one row for each sample.
fn stages_picture(specs: &[&ModelSpec], made: &[Samples]) -> Result<Canvas> {
    let last = &specs[specs.len() - 1].data;
    let height = |shape: Shape| if let Shape::Image { height, .. } = shape { height } else { 1 };
    let count = (made[0].rows()).min(SHOWN);
    let mut values = Vec::new();
    for sample in 0..count {
        for (spec, samples) in specs.iter().zip(made) {
            values.extend(blocks(spec.data.shape, samples.row(sample), height(last.shape) / height(spec.data.shape)));
        }
    }
    let captions = Captions { columns: (0..specs.len()).map(name_of).collect(), rows: Vec::new() };
    Ok(sheet(Rows::from(last).pixels(), &values, specs.len(), &captions)?)
}
