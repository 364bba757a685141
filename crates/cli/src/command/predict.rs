//! `pfgm predict`

use anyhow::{Result, bail};
use pfgm::prediction::Output;
use pfgm_data::npz::{Column, Named};

use crate::{
    args::PredictArgs,
    command::points::{Points, array_shape, channels_first, layout, read},
    render::{self, line},
    resolve,
};

pub fn run(args: &PredictArgs) -> Result<()> {
    let model = resolve::model(&args.run, &args.compute)?;
    let spec = model.spec();
    render::check_writable(&args.out)?;
    let arrays = read(&args.at)?;
    let [channels, height, width] = layout(spec);
    let points = Points::find(&args.at, &arrays, spec)?;
    let Some((name, level)) = ["z", "sigma", "t"].iter().find_map(|name| arrays.get_key_value(*name)) else {
        bail!("{}: no noise level; give `z`, `sigma` or `t`, one number for each row", args.at.display());
    };
    let (rows, dim) = (points.rows, spec.dim());
    if level.values.len() != rows || level.values.iter().any(|level| !(*level > 0.0 && level.is_finite())) {
        bail!("{}: the noise levels must be {rows} numbers above 0", args.at.display());
    }
    let output = &spec.config.flow.output;
    let sigma_at = |level: f64| match output {
        Output::Ve { .. } | Output::Vp { .. } | Output::SubVp { .. } if name == "t" => {
            output.process().sigma(level, spec.range())
        }
        // z is r, which is sigma for D = 1; EDM's and PFGM's time is the level itself.
        _ => level,
    };
    let sigma: Vec<f64> = level.values.iter().map(|&level| sigma_at(f64::from(level))).collect();
    let found = model.predict(&points.x, &sigma, &points.labels)?;
    let (image, shape) = ([rows, channels, height, width], array_shape(spec, rows));
    let planes = |values: &mut dyn Iterator<Item = f64>| channels_first(values, image);
    let mut out: Vec<(&str, Vec<usize>, Vec<f32>)> =
        vec![("yhat", shape.clone(), planes(&mut found.yhat.iter().copied()))];
    if let Output::Field { .. } = output {
        let raw = || found.raw.chunks_exact(found.width);
        let mut field = raw().flat_map(|row| &row[..dim]).map(|&value| f64::from(value));
        out.push(("field_x", shape.clone(), planes(&mut field)));
        out.push(("field_z", vec![rows], raw().map(|row| row[dim]).collect()));
    }
    if let Some(score) = &found.score {
        out.push(("score", shape.clone(), planes(&mut score.iter().copied())));
    }
    let named: Vec<_> =
        out.iter().map(|(name, shape, values)| Named { name, shape, values: Column::Floats(values) }).collect();
    let names: Vec<_> = out.iter().map(|(name, ..)| *name).collect();
    line(format!("{} of {rows} points", names.join(", ")));
    render::arrays("arrays", &args.out, &named)
}
