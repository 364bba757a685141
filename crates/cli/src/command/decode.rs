//! `pfgm decode`

use anyhow::Result;
use pfgm::{
    flow::{Counted, Flow},
    prediction::Arithmetic,
    solver::{authors_code, sample},
};
use pfgm_data::npz::{Column, Named};

use crate::{
    args::{ArithmeticName, DecodeArgs},
    command::{
        points::{Points, array_shape, channels_first, layout, read},
        sample::{Model, trusted_from},
    },
    render::{self, line},
    resolve,
};

pub fn run(args: &DecodeArgs) -> Result<()> {
    let model = Model::load(&args.run, &args.compute)?;
    let record = &model.record;
    render::check_writable(&args.out)?;
    let [channels, height, width] = layout(record);
    let points = Points::find(&args.latents, &read(&args.latents)?, record)?;
    let solver = resolve::solver::solver(&args.solving, record, &args.run)?;
    let denoiser = record.denoiser(&model.network, points.labels, 1.0, points.rows, &model.device);
    let mut x = points.x;
    let denoiser = match trusted_from(args.arithmetic, args.z_exp, record)? {
        Some(z_exp) => denoiser.with_arithmetic(Arithmetic::AuthorsCode { z_exp }),
        None => denoiser,
    };
    let counted = Counted::new(&denoiser);
    let flow = Flow { denoiser: &counted, extra_dims: record.extra_dims() };
    match args.arithmetic {
        ArithmeticName::Exact => sample(&flow, &solver, record.range(), &mut x)?,
        ArithmeticName::AuthorsCode => authors_code(&flow, &solver, record.range(), height * width, &mut x)?,
    }
    let nfe = counted.rows() as f32 / points.rows as f32;
    let images = channels_first(&mut x.into_iter(), [points.rows, channels, height, width]);
    let shape = array_shape(record, points.rows);
    let named = [
        Named { name: "x", shape: &shape, values: Column::Floats(&images) },
        Named { name: "nfe", shape: &[1], values: Column::Floats(&[nfe]) },
    ];
    line(format!("{} latents, {nfe:.1} evaluations each", points.rows));
    render::arrays("arrays", &args.out, &named)
}
