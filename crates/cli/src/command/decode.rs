//! `pfgm decode`

use anyhow::Result;
use pfgm::model::{AuthorsCode, Direction, IntegrationJob};
use pfgm_data::npz::{Column, Named};

use crate::{
    args::DecodeArgs,
    command::{
        points::{Points, array_shape, channels_first, layout, read},
        sample::authors_code,
    },
    render::{self, line},
    resolve,
};

pub fn run(args: &DecodeArgs) -> Result<()> {
    let model = resolve::model(&args.run, &args.compute)?;
    let spec = model.spec();
    render::check_writable(&args.out)?;
    let [channels, height, width] = layout(spec);
    let points = Points::find(&args.latents, &read(&args.latents)?, spec)?;
    let rows = points.rows;
    // The given latents are not clipped.
    let settings = authors_code(args.arithmetic, args.z_exp, None, spec)?;
    let job = IntegrationJob {
        direction: Direction::Decode,
        sigma: spec.range().1,
        solver: resolve::solver::solver(&args.solving, spec, &args.run)?,
        guidance: 1.0,
        x: points.x,
        labels: points.labels,
        seeds: (0..rows as u64).collect(),
        authors_code: settings.map(|settings| AuthorsCode { upper_norm: None, ..settings }),
    };
    let done = model.integrate(job, &())?;
    let nfe = done.evaluations as f32 / rows as f32;
    let images = channels_first(&mut done.x.into_iter(), [rows, channels, height, width]);
    let shape = array_shape(spec, rows);
    let named = [
        Named { name: "x", shape: &shape, values: Column::Floats(&images) },
        Named { name: "nfe", shape: &[1], values: Column::Floats(&[nfe]) },
    ];
    line(format!("{rows} latents, {nfe:.1} evaluations each"));
    render::arrays("arrays", &args.out, &named)
}
