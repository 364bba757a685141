//! `pfgm predict`

use anyhow::{Result, bail};
use pfgm::{
    flow::{Denoiser, Query},
    prediction::Output,
};
use pfgm_data::npz::{Column, Named};

use crate::{
    args::PredictArgs,
    command::{
        points::{Points, array_shape, channels_first, layout, read},
        sample::Model,
    },
    render::{self, line},
};

pub fn run(args: &PredictArgs) -> Result<()> {
    let model = Model::load(&args.run, &args.compute)?;
    let record = &model.record;
    render::check_writable(&args.out)?;
    let arrays = read(&args.at)?;
    let [channels, height, width] = layout(record);
    let points = Points::find(&args.at, &arrays, record)?;
    let Some((name, level)) = ["z", "sigma", "t"].iter().find_map(|name| arrays.get_key_value(*name)) else {
        bail!("{}: no noise level; give `z`, `sigma` or `t`, one number for each image", args.at.display());
    };
    let (rows, dim) = (points.rows, record.dim());
    if level.values.len() != rows || level.values.iter().any(|level| !(*level > 0.0 && level.is_finite())) {
        bail!("{}: the noise levels must be {rows} numbers above 0", args.at.display());
    }
    let prediction = record.prediction();
    let sigma_at = |level: f64| match prediction.output {
        output @ (Output::Ve { .. } | Output::Vp { .. } | Output::SubVp { .. }) if name == "t" => {
            output.process().sigma(level, record.range())
        }
        // z is r, which is sigma for D = 1; EDM's and PFGM's time is the level itself.
        _ => level,
    };
    let sigma: Vec<f64> = level.values.iter().map(|&level| sigma_at(f64::from(level))).collect();
    let denoiser = record.denoiser(&model.network, points.labels.clone(), 1.0, rows, &model.device);
    let scaled = matches!(prediction.output, Output::Vp { .. } | Output::SubVp { .. });
    // The points as the network sees them, and as the flow does.
    let coefficients = prediction.coefficients(&points.x, &sigma);
    let mean = |row: usize| if scaled { coefficients[row].input } else { 1.0 };
    let x: Vec<f64> = points.x.iter().enumerate().map(|(at, x)| x / mean(at / dim)).collect();
    let mut yhat = vec![0.0; x.len()];
    let item: Vec<usize> = (0..rows).collect();
    denoiser.denoise(&Query { x: &x, sigma: &sigma, item: &item }, &mut yhat);
    let raw = denoiser.raw(&x, &coefficients);
    let (image, shape) = ([rows, channels, height, width], array_shape(record, rows));
    let planes = |values: &mut dyn Iterator<Item = f64>| channels_first(values, image);
    let mut out: Vec<(&str, Vec<usize>, Vec<f32>)> = vec![("yhat", shape.clone(), planes(&mut yhat.iter().copied()))];
    match prediction.output {
        Output::Edm => {}
        Output::Field { .. } => {
            let mut field = raw.chunks_exact(dim + 1).flat_map(|row| &row[..dim]).map(|&value| f64::from(value));
            out.push(("field_x", shape.clone(), planes(&mut field)));
            out.push(("field_z", vec![rows], raw.chunks_exact(dim + 1).map(|row| row[dim]).collect()));
        }
        Output::Ve { .. } | Output::Vp { .. } | Output::SubVp { .. } => {
            // The score in the network's own space, where everything is `mean` times as large.
            let score = |at: usize| (yhat[at] - x[at]) / (sigma[at / dim].powi(2) * mean(at / dim));
            out.push(("score", shape.clone(), planes(&mut (0..x.len()).map(score))));
        }
    }
    let named: Vec<_> =
        out.iter().map(|(name, shape, values)| Named { name, shape, values: Column::Floats(values) }).collect();
    let names: Vec<_> = out.iter().map(|(name, ..)| *name).collect();
    line(format!("{} of {rows} points", names.join(", ")));
    render::arrays("arrays", &args.out, &named)
}
