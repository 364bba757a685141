//! `pfgm predict`

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use pfgm::{
    conditioning::LowResolution,
    model::Prediction,
    prediction::{DiscreteSchedule, Output},
    spec::ModelSpec,
};
use pfgm_data::{
    Shape,
    npz::{Column, Floats, Named},
};

use crate::{
    args::PredictArgs,
    command::points::{Points, array_shape, channels_first, channels_last, layout, read},
    render::{self, line},
    resolve,
};

/// Names of arrays of noise levels.
const LEVELS: [&str; 4] = ["z", "sigma", "t", "timestep"];

pub fn run(args: &PredictArgs) -> Result<()> {
    let model = resolve::any_model(&args.run, &args.compute)?;
    let spec = model.spec();
    render::check_writable(&args.out)?;
    let arrays = read(&args.at)?;
    let mut points = Points::find(&args.at, &arrays, spec)?;
    let Some((name, level)) = LEVELS.iter().find_map(|name| arrays.get_key_value(*name)) else {
        bail!("{}: no noise level; give `z`, `sigma`, `t` or `timestep`, one number for each row", args.at.display());
    };
    let (rows, dim) = (points.rows, spec.dim());
    let output = &spec.config.flow.output;
    let lowest = if name == "timestep" { -1.0 } else { 0.0 };
    if level.values.len() != rows || level.values.iter().any(|level| !(*level > lowest && level.is_finite())) {
        bail!("{}: the noise levels must be {rows} numbers above 0", args.at.display());
    }
    let sigma_at = |level: f64| match output {
        Output::Ve { .. } | Output::Vp { .. } | Output::SubVp { .. } if name == "t" => {
            output.process().sigma(level, spec.range())
        }
        // z is r, which is sigma for D = 1; EDM's and PFGM's time is the level itself.
        _ => level,
    };
    let sigma: Vec<f64> = match (output, name.as_str()) {
        (Output::Discrete { schedule, .. }, "timestep") => {
            let sigma =
                of_steps(schedule, &level.values).with_context(|| format!("{}: `timestep`", args.at.display()))?;
            // In the coordinates of the process, x = (y + sigma n) / sqrt(1 + sigma^2).
            for (row, sigma) in points.x.chunks_exact_mut(dim).zip(&sigma) {
                row.iter_mut().for_each(|x| *x *= (1.0 + sigma * sigma).sqrt());
            }
            sigma
        }
        (_, "timestep") => {
            bail!("{}: `timestep` is for networks of discrete schedules; give `sigma`", args.at.display())
        }
        _ => level.values.iter().map(|&level| sigma_at(f64::from(level))).collect(),
    };
    let found = match low_resolution(args, &arrays, spec, rows)? {
        Some((image, noise)) => {
            let low = LowResolution { image: &image, noise };
            model.predict_upscaled(&points.x, &sigma, &points.labels, low)?
        }
        None => model.predict(&points.x, &sigma, &points.labels)?,
    };
    if let Output::Vp { .. } | Output::SubVp { .. } = output {
        line(
            "x, output and score are in the coordinates of the run's own process, x = mean(t) (y + sigma noise); yhat is in those of y",
        );
    }
    let out = estimates(&found, spec, rows);
    let named: Vec<_> =
        out.iter().map(|(name, shape, values)| Named { name, shape, values: Column::Floats(values) }).collect();
    let names: Vec<_> = out.iter().map(|(name, ..)| *name).collect();
    line(format!("{} of {rows} points", names.join(", ")));
    render::arrays("arrays", &args.out, &named)
}

/// Returns the images that a flow upscales, with channels last, and the standard deviation of their noise; None for other flows.
fn low_resolution(
    args: &PredictArgs,
    arrays: &BTreeMap<String, Floats>,
    spec: &ModelSpec,
    rows: usize,
) -> Result<Option<(Vec<f32>, f64)>> {
    let (Some(upscale), Some(Shape::Image { height, width, channels })) =
        (spec.config.upscale, spec.spatial().low_shape())
    else {
        return Ok(None);
    };
    let (at, shape) = (args.at.display(), [rows, channels, height, width]);
    let Some(low) = arrays.get("low_resolution").filter(|low| low.shape == shape) else {
        bail!("{at}: the run upscales images; give them as `low_resolution`, {shape:?}, in the model's space");
    };
    if low.values.iter().any(|value| !value.is_finite()) {
        bail!("{at}: `low_resolution` has values that are not finite; give numbers");
    }
    let noise = match arrays.get("low_resolution_noise").map(|noise| &noise.values[..]) {
        None => upscale.sample_noise,
        Some([noise]) if *noise >= 0.0 && noise.is_finite() => f64::from(*noise),
        Some(_) => bail!("{at}: `low_resolution_noise` must be one number from 0, the standard deviation of the noise"),
    };
    Ok(Some((channels_last(&low.values, [channels, height, width]), noise)))
}

/// The arrays of a prediction: name, shape and values.
type Array = (&'static str, Vec<usize>, Vec<f32>);

/// Returns `yhat` (`f` of a distilled run), the network's own output, and what else it estimates.
fn estimates(found: &Prediction, spec: &ModelSpec, rows: usize) -> Vec<Array> {
    let ([channels, height, width], dim, output) = (layout(spec), spec.dim(), &spec.config.flow.output);
    let (image, shape) = ([rows, channels, height, width], array_shape(spec, rows));
    let planes = |values: &mut dyn Iterator<Item = f64>| channels_first(values, image);
    let mut out: Vec<Array> = vec![(spec.graph_output(), shape.clone(), planes(&mut found.yhat.iter().copied()))];
    if let Output::Field { .. } = output {
        let raw = || found.raw.chunks_exact(found.width);
        let mut field = raw().flat_map(|row| &row[..dim]).map(|&value| f64::from(value));
        out.push(("field_x", shape.clone(), planes(&mut field)));
        out.push(("field_z", vec![rows], raw().map(|row| row[dim]).collect()));
    } else {
        let mut raw = found.raw.iter().map(|&value| f64::from(value));
        out.push(("output", shape.clone(), planes(&mut raw)));
    }
    if let Some(variance) = &found.log_variance {
        out.push(("logvar", vec![rows], variance.clone()));
    }
    if let Some(score) = &found.score {
        out.push(("score", shape.clone(), planes(&mut score.iter().copied())));
    }
    out
}

/// Returns the noise levels of the steps of a discrete schedule.
fn of_steps(schedule: &DiscreteSchedule, steps: &[f32]) -> Result<Vec<f64>> {
    let levels = schedule.levels();
    let level = |&step: &f32| match levels.get(step as usize) {
        Some(level) if step.fract() == 0.0 && level.is_finite() => Ok(*level),
        Some(_) if step.fract() == 0.0 => bail!("{step}: this step has no signal, so that its noise level is infinite"),
        _ => bail!("{step}: give whole numbers from 0 to {}", levels.len() - 1),
    };
    steps.iter().map(level).collect()
}
