//! `pfgm cascade sample`

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context, Result, bail};
use pfgm::{
    Model,
    cascade::{self, Stage},
    config::check_guidance,
    sample::{SampleRequest, Samples},
    spec::ModelSpec,
};
use pfgm_data::Shape;
use pfgm_plot::Series;

use super::{agreement, blocks, file::name_of};
use crate::{
    args::{DataArgs, cascade::CascadeSampleArgs},
    command::sample::{Drawn, check_files, seeds, write_arrays, write_picture},
    render::{self, PictureFile, Rows, display, line},
    resolve,
};

/// Samples in the picture of all models.
const SHOWN: usize = 8;

pub fn run(args: &CascadeSampleArgs) -> Result<()> {
    let models = load(args)?;
    let records: Vec<&ModelSpec> = models.iter().map(Model::spec).collect();
    cascade::check(&records).with_context(|| args.cascade.display().to_string())?;
    let stages = stages(args, &models)?;
    let (mut request, begin) = request(args, &records)?;
    let count = request.seeds.len();
    let picture = args.out.clone().unwrap_or_else(|| args.cascade.join("samples.png"));
    let all = stages_file(&picture);
    let (picture, all) = (PictureFile::new(picture)?, PictureFile::new(all)?);
    check_files(&args.files)?;
    let bar = render::progress("sampling", count * stages.len());
    let started = Instant::now();
    let mut tell = |stage: usize, done: usize| bar.set_position((stage * count + done) as u64);
    let made = cascade::sample_all(&stages, &request, begin, models[0].device(), &mut tell)?;
    bar.finish_and_clear();
    let nfe: Vec<String> = made.iter().map(|samples| format!("{:.1}", samples.nfe)).collect();
    let seconds = started.elapsed().as_secs_f64();
    line(format!("{count} samples, {} evaluations each, {seconds:.2} s", nfe.join(" + ")));
    for (pair, record) in made.windows(2).zip(&records[1..]) {
        let factor = record.config.upscale.unwrap_or_default().factor;
        agreement(record.data.shape, record.data.range, &pair[1].values, &pair[0].values, factor);
    }
    let data = &records[records.len() - 1].data;
    let last = &made[made.len() - 1];
    let classes = std::mem::take(&mut request.classes);
    let drawn = Drawn { seeds: &request.seeds, classes: &classes, values: &last.values };
    write_arrays(&args.files, data, &drawn)?;
    write_picture(args.class.is_none() && args.from.is_none(), data, &drawn, &picture)?;
    all.write(stages_picture(&records, &made)?)?;
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

/// The solver of each model, and the noise of the images that it upscales.
fn stages<'a>(args: &CascadeSampleArgs, models: &'a [Model]) -> Result<Vec<Stage<'a>>> {
    let stage = |(number, model): (usize, &'a Model)| {
        let record = model.spec();
        let solver = resolve::solver::solver(&args.solving, record, &args.cascade.join(name_of(number)))?;
        let trained = record.config.upscale.unwrap_or_default();
        let noise = args.noise.unwrap_or(trained.sample_noise);
        if number > 0 && !(0.0..=trained.noise).contains(&noise) {
            bail!("--noise {noise}: {} was trained on levels from 0 to {}", name_of(number), trained.noise);
        }
        Ok(Stage { record, network: model.network(), solver, noise })
    };
    models.iter().enumerate().map(stage).collect()
}

/// The request, and the images to upscale if they are given.
fn request(args: &CascadeSampleArgs, records: &[&ModelSpec]) -> Result<(SampleRequest, Option<Vec<f32>>)> {
    resolve::within("--batch", args.batch, 1..=resolve::MAX_SAMPLES)?;
    let (base, last) = (records[0], records[records.len() - 1]);
    let classes = &base.data.classes;
    if classes.is_empty() && (args.class.is_some() || args.guidance.is_some()) {
        bail!(
            "--class and --guidance: this cascade is not conditioned on classes; train with --set data.conditional=true"
        );
    }
    let guidance = args.guidance.unwrap_or(last.config.sample.guidance);
    for record in records {
        check_guidance("--guidance", guidance, &record.config)?;
    }
    let mut seeds = seeds(args.count, args.seeds.as_deref())?;
    let chosen = args.class.as_deref().map(|name| base.trained_class(name)).transpose()?;
    let mut of_seed = match chosen {
        Some(class) => vec![Some(class); seeds.len()],
        None => base.classes_in_turn(&seeds),
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
            // Images to upscale have no class unless the data or the command line name it.
            let labels = smaller.labels.as_ref().filter(|labels| labels.names == *classes);
            let label = |at: usize| labels.map(|labels| labels.of_row[at * smaller.len() / count]);
            of_seed = (0..count).map(|at| chosen.or_else(|| label(at))).collect();
        }
        of_seed.truncate(count);
        begin = Some(values);
    }
    let solver = base.config.sample.solver.clone();
    Ok((SampleRequest { seeds, classes: of_seed, solver, guidance, batch: args.batch, released: None }, begin))
}

/// The images of all models, in a row for each sample.
fn stages_picture(records: &[&ModelSpec], made: &[Samples]) -> Result<Vec<u8>> {
    let last = &records[records.len() - 1].data;
    let height = |shape: Shape| if let Shape::Image { height, .. } = shape { height } else { 1 };
    let count = (made[0].values.len() / records[0].dim()).min(SHOWN);
    let mut values = Vec::new();
    for sample in 0..count {
        for (record, samples) in records.iter().zip(made) {
            let image = &samples.values[sample * record.dim()..(sample + 1) * record.dim()];
            values.extend(blocks(record.data.shape, image, height(last.shape) / height(record.data.shape)));
        }
    }
    Rows::from(last).picture(&[Series { name: "samples", values: &values }], records.len(), &last.name)
}
