//! `pfgm encode`, `interpolate`, `temperature` and `arithmetic`.

use std::path::Path;

use anyhow::{Result, bail};
use pfgm::{
    Model,
    model::{Integration, Latents, Samples, find_class},
    solver::Solver,
};
use pfgm_data::npz::{Column, Named};
use pfgm_plot::{Canvas, Captions, sheet};

use crate::{
    args::{
        DataArgs,
        latents::{ArithmeticArgs, EncodeArgs, InterpolateArgs, TemperatureArgs},
    },
    command::points::{array_shape, channels_first, layout},
    render::{self, AnimationFile, PictureFile, Rows, in_run, line, numbered},
    resolve::{self, solver::invertible},
};

/// Maximum number of images in a row.
const MAX_ACROSS: usize = 1000;

/// Creates an integration of the flow with a solver, in batches, with a progress bar.
fn integration(solver: &Solver, batch: usize, what: &'static str) -> Result<Integration<'static>> {
    resolve::within("--batch", batch, 1..=resolve::MAX_SAMPLES)?;
    let bar = render::progress(what, 0);
    Ok(Integration::default().solver(solver.clone()).batch(batch).observer(resolve::on_bar(&bar)))
}

pub fn encode(args: &EncodeArgs) -> Result<()> {
    let model = resolve::flow_model(&args.run.run, &args.run.compute)?;
    let spec = model.spec();
    render::check_writable(&args.out)?;
    let rows = resolve::rows(&args.rows, spec)?;
    let solver = invertible(&args.solving, spec, &args.run.run)?;
    let latents = model.encode_rows(&rows, integration(&solver, args.run.batch, "encoding")?)?;
    let count = rows.len();
    let [channels, height, width] = layout(spec);
    let values = channels_first(&mut latents.x.iter().copied(), [count, channels, height, width]);
    let shape = array_shape(spec, count);
    let labels: Vec<i64> = rows.labels.iter().flatten().map(|&class| i64::from(class)).collect();
    let label_shape = [labels.len()];
    let mut arrays = vec![Named { name: "x", shape: &shape, values: Column::Floats(&values) }];
    if !labels.is_empty() {
        arrays.push(Named { name: "labels", shape: &label_shape, values: Column::Integers(&labels) });
    }
    line(format!("{count} rows, {:.1} evaluations each", latents.nfe));
    render::arrays("arrays", &args.out, &arrays)?;
    let back = model.decode(&latents, integration(&solver, args.run.batch, "decoding")?)?;
    let points = [back.values(), &rows.values[..]].map(|values| spec.to_model_space(values));
    let errors: Vec<f64> = points[0].iter().zip(&points[1]).map(|(back, point)| (back - point).abs()).collect();
    let mean = (errors.iter().map(|error| error * error).sum::<f64>() / errors.len() as f64).sqrt();
    let max = errors.iter().copied().fold(0.0, f64::max);
    line(format!(
        "decoded    {:.1} evaluations each; differs by {mean:.1e} (root mean square), at most {max:.1e}, of [-1, 1]",
        back.nfe()
    ));
    Ok(())
}

/// The latents of seeds, or of an image.
fn latents(model: &Model, what: &str, solver: &Solver, class: Option<u32>, batch: usize) -> Result<Latents> {
    if !Path::new(what).exists() {
        let seeds = resolve::seeds("no such file, and as seeds", what)?;
        return Ok(model.latents(seeds).with_class(class));
    }
    let data = resolve::dataset_of(model.spec(), what, &DataArgs::default())?;
    if data.len() != 1 {
        bail!("{what}: has {} images; give a file of one, or seeds", data.len());
    }
    let data = resolve::latents::of(&model.spec().config.data, data)?;
    let mut rows = model.spec().unlabeled_rows(&data).map_err(|error| resolve::about(error, &data, what))?;
    rows.labels = vec![class];
    if let Some(note) = &rows.note {
        line(format!("note       {note}"));
    }
    Ok(model.encode_rows(&rows, integration(solver, batch, "encoding")?)?)
}

/// The class that `--class` names.
fn class_of(model: &Model, name: Option<&str>) -> Result<Option<u32>> {
    Ok(name.map(|name| model.spec().trained_class(name)).transpose()?)
}

/// Decodes latents, and draws the images in rows of `across`.
fn draw(
    model: &Model,
    latents: &Latents,
    (across, captions): (usize, &Captions),
    solver: &Solver,
    batch: usize,
) -> Result<(Samples, Canvas)> {
    let samples = model.decode(latents, integration(solver, batch, "decoding")?)?;
    line(format!("{} images, {:.1} evaluations each", samples.rows(), samples.nfe()));
    let samples = resolve::latents::decoded(&model.spec().config.data, samples)?;
    let picture = sheet(Rows::from(samples.data()).pixels(), samples.values(), across, captions)?;
    Ok((samples, picture))
}

pub fn interpolate(args: &InterpolateArgs) -> Result<()> {
    let model = resolve::model(&args.run.run, &args.run.compute)?;
    resolve::image_size(&model.spec().data)?;
    resolve::within("--pictures", args.pictures, 2..=MAX_ACROSS)?;
    let animation = AnimationFile::new(args.animate.as_deref(), args.frames.as_deref(), args.figure)?;
    let file = PictureFile::new(args.figure, args.out.as_deref(), in_run(&args.run.run, "interpolation.png"))?;
    let class = class_of(&model, args.class.as_deref())?;
    let solver = invertible(&args.solving, model.spec(), &args.run.run)?;
    let end = |what: &str| latents(&model, what, &solver, class, args.run.batch);
    let (from, to) = (end(&args.from)?, end(&args.to)?);
    if from.rows() != to.rows() {
        bail!("{} and {}: {} and {} latents; give as many of both", args.from, args.to, from.rows(), to.rows());
    }
    let between = from.interpolate(&to, args.pictures);
    let share = |number: usize| format!("{:.0} %", 100.0 * number as f64 / (args.pictures - 1) as f64);
    let columns = (0..args.pictures).map(share).collect();
    let captions = Captions { columns, rows: numbered("pair", from.rows()) };
    let (samples, picture) = draw(&model, &between, (args.pictures, &captions), &solver, args.run.batch)?;
    file.write_and_print(picture, "")?;
    if let Some(animation) = animation {
        // All rows side by side, forward and backward.
        let column = |index: usize| -> Vec<f32> {
            (0..from.rows()).flat_map(|row| samples.row(row * args.pictures + index)).copied().collect()
        };
        let back = (1..args.pictures - 1).rev();
        let frames: Vec<Vec<f32>> = (0..args.pictures).chain(back).map(column).collect();
        let across = (from.rows() as f64).sqrt().ceil() as usize;
        let pixels = Rows::from(samples.data()).pixels();
        animation.write_sheets(pixels, &frames, (across, &Captions::default()))?;
    }
    Ok(())
}

pub fn temperature(args: &TemperatureArgs) -> Result<()> {
    let model = resolve::model(&args.run.run, &args.run.compute)?;
    resolve::image_size(&model.spec().data)?;
    // A latent with a hundred times its norm is far outside the training data of the network.
    args.scale.iter().try_for_each(|&scale| resolve::within("--scale", scale, 0.01..=100.0))?;
    let file = PictureFile::new(args.figure.into(), args.out.as_deref(), in_run(&args.run.run, "temperature.png"))?;
    let class = class_of(&model, args.class.as_deref())?;
    let solver = invertible(&args.solving, model.spec(), &args.run.run)?;
    let latents = latents(&model, &args.seeds, &solver, class, args.run.batch)?;
    let scaled = |row: usize| {
        let latent = latents.row(row);
        args.scale.iter().flat_map(move |scale| latent.iter().map(move |value| scale * value))
    };
    let x = (0..latents.rows()).flat_map(scaled).collect();
    let classes = vec![class; latents.rows() * args.scale.len()];
    let columns: Vec<String> = args.scale.iter().map(|scale| format!("norm × {scale}")).collect();
    let rows = resolve::seeds("--seeds", &args.seeds)
        .map_or_else(|_| vec![args.seeds.clone()], |seeds| seeds.iter().map(|seed| format!("seed {seed}")).collect());
    let layout = (args.scale.len(), &Captions { columns, rows });
    let (_, picture) = draw(&model, &Latents::new(x, classes), layout, &solver, args.run.batch)?;
    file.write_and_print(picture, "a column for each scale of the norm")
}

pub fn arithmetic(args: &ArithmeticArgs) -> Result<()> {
    let model = resolve::flow_model(&args.run.run, &args.run.compute)?;
    resolve::image_size(&model.spec().data)?;
    args.strength.iter().try_for_each(|&strength| resolve::within("--strength", strength, -100.0..=100.0))?;
    resolve::within("--shown", args.shown, 1..=resolve::MAX_LEVELS)?;
    let file = PictureFile::new(args.figure, args.out.as_deref(), in_run(&args.run.run, "arithmetic.png"))?;
    let data = resolve::latents::of(&model.spec().config.data, resolve::selected_rows(&args.rows, model.spec())?)?;
    let Some(labels) = &data.labels else {
        bail!("{}: these rows have no labels; give --label, or data with labels", args.rows.data);
    };
    let class = |flag: &str, name: &str| -> Result<(u32, Vec<usize>)> {
        let class =
            find_class(&labels.names, name).map_err(|error| resolve::with_flag(error, &format!("{flag} {name}")))?;
        let rows: Vec<usize> = (0..data.len()).filter(|&row| labels.of_row[row] == class).collect();
        if rows.is_empty() {
            bail!("{flag} {name}: no row of that class among the {} rows", data.len());
        }
        Ok((class, rows))
    };
    let (_, minus) = class("--minus", &args.minus)?;
    let (_, plus) = class("--plus", &args.plus)?;
    let solver = invertible(&args.solving, model.spec(), &args.run.run)?;
    let encode = |rows: &[usize]| -> Result<Latents> {
        let how = integration(&solver, args.run.batch, "encoding")?;
        Ok(model.encode(&data.select(rows), how)?)
    };
    let (from, to) = (encode(&minus)?, encode(&plus)?);
    let difference: Vec<f64> = to.mean().iter().zip(from.mean()).map(|(to, from)| to - from).collect();
    let shown = args.shown.min(from.rows());
    let moved = |row: usize| {
        let (latent, difference) = (from.row(row), &difference);
        let at = move |strength: f64| latent.iter().zip(difference).map(move |(x, d)| x + strength * d);
        args.strength.iter().flat_map(move |&strength| at(strength))
    };
    let x = (0..shown).flat_map(moved).collect();
    // The network is still conditioned on the class of the rows: only the latent changes.
    let classes = vec![from.classes[0]; shown * args.strength.len()];
    let columns: Vec<String> = args.strength.iter().map(|strength| format!("strength {strength}")).collect();
    let layout = (args.strength.len(), &Captions { columns, rows: numbered("image", shown) });
    let (_, picture) = draw(&model, &Latents::new(x, classes), layout, &solver, args.run.batch)?;
    file.write_and_print(picture, "a column for each strength")
}
