//! `pfgm encode`, `interpolate`, `temperature` and `arithmetic`: what lies at the other end of the flow.

use std::path::Path;

use anyhow::{Result, bail};
use pfgm::{
    flow::{Counted, Flow},
    latent,
    solver::{self, Solver},
};
use pfgm_data::npz::{Column, Named};
use pfgm_plot::{Picture, animated_grid, grid};

use crate::{
    args::{
        DataArgs,
        latents::{ArithmeticArgs, EncodeArgs, InterpolateArgs, RunArgs, TemperatureArgs},
    },
    command::{
        likelihood::way_up,
        points::{array_shape, channels_first, layout},
        rows::{Given, class, image_size, in_units},
        sample::Model,
    },
    render::{self, PictureFile, Rows, display, in_run, line},
    resolve,
};

/// Pictures in a row at the most.
const MOST_ACROSS: usize = 1000;

/// Which way points are carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// From the data to the prior.
    Up,
    /// From the prior to the data.
    Down,
}

/// Carries points along the flow in batches, with progress; returns the evaluations of each.
fn carry(model: &Model, solver: &Solver, way: Way, labels: &[Option<u32>], batch: usize, x: &mut [f64]) -> Result<f64> {
    let record = &model.record;
    resolve::within("--batch", batch, 1..=resolve::MAX_SAMPLES)?;
    let (rows, dim) = (labels.len(), record.dim());
    let bar = render::progress(if way == Way::Up { "encoding" } else { "decoding" }, rows);
    let mut evaluations = 0;
    for (index, (x, labels)) in x.chunks_mut(batch * dim).zip(labels.chunks(batch)).enumerate() {
        let denoiser = record.denoiser(&model.network, labels.to_vec(), 1.0, batch, &model.device);
        let counted = Counted::new(&denoiser);
        let flow = Flow { denoiser: &counted, extra_dims: record.extra_dims() };
        let solved = match way {
            Way::Up => solver::encode(&flow, solver, record.range(), x),
            Way::Down => solver::sample(&flow, solver, record.range(), x),
        };
        solved.map_err(|error| error.after(index * batch))?;
        evaluations += counted.rows();
        bar.inc(labels.len() as u64);
    }
    bar.finish_and_clear();
    Ok(evaluations as f64 / rows.max(1) as f64)
}

pub fn encode(args: &EncodeArgs) -> Result<()> {
    let model = Model::load(&args.run.run, &args.run.compute)?;
    let record = &model.record;
    render::check_writable(&args.out)?;
    let given = Given::read(&args.rows, record)?;
    let solver = way_up(&args.solving, record, &args.run.run)?;
    let points = given.points(record);
    let mut x = points.clone();
    let up = carry(&model, &solver, Way::Up, &given.labels, args.run.batch, &mut x)?;
    let count = given.count();
    let [channels, height, width] = layout(record);
    let values = channels_first(&mut x.iter().copied(), [count, channels, height, width]);
    let shape = array_shape(record, count);
    let labels: Vec<i64> = given.labels.iter().flatten().map(|&class| i64::from(class)).collect();
    let label_shape = [labels.len()];
    let mut arrays = vec![Named { name: "x", shape: &shape, values: Column::Floats(&values) }];
    if !labels.is_empty() {
        arrays.push(Named { name: "labels", shape: &label_shape, values: Column::Integers(&labels) });
    }
    line(format!("{count} rows, {up:.1} evaluations each"));
    render::arrays("arrays", &args.out, &arrays)?;
    let down = carry(&model, &solver, Way::Down, &given.labels, args.run.batch, &mut x)?;
    let apart: Vec<f64> = x.iter().zip(&points).map(|(x, point)| (x - point).abs()).collect();
    let mean = (apart.iter().map(|apart| apart * apart).sum::<f64>() / apart.len() as f64).sqrt();
    let most = apart.iter().copied().fold(0.0, f64::max);
    line(format!(
        "and back   {down:.1} evaluations each, off by {mean:.1e} (root mean square), {most:.1e} at most, of [-1, 1]"
    ));
    Ok(())
}

/// Latents of seeds, or of an image, in the order they were asked for.
fn latents(model: &Model, what: &str, solver: &Solver, label: Option<u32>, batch: usize) -> Result<Vec<f64>> {
    let record = &model.record;
    if Path::new(what).exists() {
        let dataset = resolve::dataset(what, &DataArgs::default())?;
        if dataset.len() != 1 {
            bail!("{what}: has {} images; give a file of one, or seeds", dataset.len());
        }
        // The class is the one that was asked for, not the image's.
        let dataset = pfgm_data::Dataset { labels: None, ..dataset };
        let mut unconditional = record.clone();
        unconditional.data.classes.clear();
        let given = Given::of(&dataset, what, Some(1), &unconditional)?;
        let mut x = given.points(record);
        carry(model, solver, Way::Up, &[label], batch, &mut x)?;
        return Ok(x);
    }
    let seeds = resolve::seeds("no such file, and as seeds", what)?;
    // Of latents nothing but D and the range of the flow is asked.
    let denoiser = record.denoiser(&model.network, Vec::new(), 1.0, 1, &model.device);
    let flow = Flow { denoiser: &denoiser, extra_dims: record.extra_dims() };
    Ok(flow.latents(record.range().1, 0, seeds))
}

/// How images are drawn, of a run that knows some.
fn pixels(model: &Model) -> Result<Picture> {
    image_size(&model.record).map(|_| Rows::from(&model.record.data).pixels())
}

/// The class that was asked for, if the run knows classes.
fn wanted(model: &Model, name: Option<&str>) -> Result<Option<u32>> {
    name.map(|name| class("--class", &model.record.data.classes, name)).transpose()
}

/// The picture to write: the one that `-o` names, or one in the run's folder.
fn out(path: Option<&Path>, run: &RunArgs, name: &str) -> Result<PictureFile> {
    PictureFile::new(path.map_or_else(|| in_run(&run.run, name), Path::to_owned))
}

/// Decodes latents, and draws what comes out in rows of `across`.
fn draw(
    model: &Model,
    run: &RunArgs,
    mut x: Vec<f64>,
    label: Option<u32>,
    across: usize,
    solver: &Solver,
) -> Result<(Vec<f32>, Vec<u8>)> {
    let picture = pixels(model)?;
    let labels = vec![label; x.len() / model.record.dim()];
    let nfe = carry(model, solver, Way::Down, &labels, run.batch, &mut x)?;
    let values = in_units(&model.record, &x);
    line(format!("{} images, {nfe:.1} evaluations each", labels.len()));
    let drawn = grid(picture, &values, across)?;
    Ok((values, drawn))
}

pub fn interpolate(args: &InterpolateArgs) -> Result<()> {
    let model = Model::load(&args.run.run, &args.run.compute)?;
    let picture = pixels(&model)?;
    resolve::within("--pictures", args.pictures, 2..=MOST_ACROSS)?;
    let format = args.animate.as_deref().map(|path| resolve::animation("--animate", path)).transpose()?;
    let file = out(args.out.as_deref(), &args.run, "interpolation.png")?;
    render::check_all([args.animate.as_deref()])?;
    let label = wanted(&model, args.class.as_deref())?;
    let solver = way_up(&args.solving, &model.record, &args.run.run)?;
    let end = |what: &str| latents(&model, what, &solver, label, args.run.batch);
    let (from, to, dim) = (end(&args.from)?, end(&args.to)?, model.record.dim());
    if from.len() != to.len() {
        let (from, to) = (from.len() / dim, to.len() / dim);
        bail!("{} and {}: {from} and {to} latents; give as many of both", args.from, args.to);
    }
    let share = |index: usize| index as f64 / (args.pictures - 1) as f64;
    let row = |(a, b): (&[f64], &[f64])| -> Vec<f64> {
        (0..args.pictures).flat_map(|index| latent::interpolate(a, b, share(index))).collect()
    };
    let x = from.chunks_exact(dim).zip(to.chunks_exact(dim)).flat_map(row).collect();
    let (values, drawn) = draw(&model, &args.run, x, label, args.pictures, &solver)?;
    file.write_and_print(drawn, "")?;
    if let (Some(path), Some(format)) = (&args.animate, format) {
        // All rows side by side; there and back.
        let column = |index: usize| -> Vec<f32> {
            let rows = values.chunks_exact(args.pictures * dim);
            rows.flat_map(|row| &row[index * dim..(index + 1) * dim]).copied().collect()
        };
        let back = (1..args.pictures - 1).rev();
        let frames: Vec<Vec<f32>> = (0..args.pictures).chain(back).map(column).collect();
        let across = ((from.len() / dim) as f64).sqrt().ceil() as usize;
        render::write(path, &animated_grid(format, picture, &frames, across)?)?;
        line(format!("animation  {}", display(path)));
    }
    Ok(())
}

pub fn temperature(args: &TemperatureArgs) -> Result<()> {
    let model = Model::load(&args.run.run, &args.run.compute)?;
    // A hundred times its norm a latent is beyond anything that a network has seen.
    args.scale.iter().try_for_each(|&scale| resolve::within("--scale", scale, 0.01..=100.0))?;
    let file = out(args.out.as_deref(), &args.run, "temperature.png")?;
    let label = wanted(&model, args.class.as_deref())?;
    let solver = way_up(&args.solving, &model.record, &args.run.run)?;
    let latents = latents(&model, &args.seeds, &solver, label, args.run.batch)?;
    let scaled = |latent: &[f64]| -> Vec<f64> {
        args.scale.iter().flat_map(|scale| latent.iter().map(move |value| scale * value)).collect()
    };
    let x = latents.chunks_exact(model.record.dim()).flat_map(scaled).collect();
    let (_, drawn) = draw(&model, &args.run, x, label, args.scale.len(), &solver)?;
    file.write_and_print(drawn, "a column for each scale of the norm")
}

pub fn arithmetic(args: &ArithmeticArgs) -> Result<()> {
    let model = Model::load(&args.run.run, &args.run.compute)?;
    let (record, dim) = (&model.record, model.record.dim());
    pixels(&model)?;
    args.strength.iter().try_for_each(|&strength| resolve::within("--strength", strength, -100.0..=100.0))?;
    resolve::within("--shown", args.shown, 1..=resolve::MAX_LEVELS)?;
    let file = out(args.out.as_deref(), &args.run, "arithmetic.png")?;
    let given = Given::read(&args.rows, record)?;
    let Some(classes) = &given.classes else {
        bail!("{}: these rows have no labels, by which latents could be told apart", args.rows.data);
    };
    let minus = class("--minus", &given.class_names, &args.minus)?;
    let plus = class("--plus", &given.class_names, &args.plus)?;
    let solver = way_up(&args.solving, record, &args.run.run)?;
    let wanted: Vec<usize> = (0..given.count()).filter(|&row| [minus, plus].contains(&classes[row])).collect();
    let points = given.points(record);
    let mut x: Vec<f64> = wanted.iter().flat_map(|&row| &points[row * dim..(row + 1) * dim]).copied().collect();
    let labels: Vec<Option<u32>> = wanted.iter().map(|&row| given.labels[row]).collect();
    carry(&model, &solver, Way::Up, &labels, args.run.batch, &mut x)?;
    let of_class = |class: u32| {
        x.chunks_exact(dim).zip(&wanted).filter(move |(_, row)| classes[**row] == class).map(|(latent, _)| latent)
    };
    for (flag, name, class) in [("--minus", &args.minus, minus), ("--plus", &args.plus, plus)] {
        if of_class(class).next().is_none() {
            bail!("{flag} {name}: no row of that class among the {} rows", given.count());
        }
    }
    let (from, to) = (latent::mean(of_class(minus), dim), latent::mean(of_class(plus), dim));
    let changed = |latent: &[f64]| -> Vec<f64> {
        let moved =
            |strength: f64| latent.iter().zip(&from).zip(&to).map(move |((x, from), to)| x + strength * (to - from));
        args.strength.iter().flat_map(|&strength| moved(strength)).collect()
    };
    let latents: Vec<f64> = of_class(minus).take(args.shown).flat_map(changed).collect();
    // A network that is told classes keeps the class of the rows: the latent alone is changed.
    let label = labels.iter().zip(&wanted).find(|(_, row)| classes[**row] == minus).and_then(|(label, _)| *label);
    let (_, drawn) = draw(&model, &args.run, latents, label, args.strength.len(), &solver)?;
    file.write_and_print(drawn, "a column for each strength")
}
