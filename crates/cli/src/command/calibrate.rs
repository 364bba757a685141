//! `pfgm calibrate`

use anyhow::{Result, bail};
use pfgm::{objective::FieldObjective, spec::Spread};
use pfgm_data::Transform;

use crate::{args::CalibrateArgs, render::line, resolve};

pub fn run(args: &CalibrateArgs) -> Result<()> {
    for (flag, value) in [("--s", args.s), ("--tau", args.tau)] {
        if !(value > 0.0 && value.is_finite()) {
            bail!("{flag} {value}: give a number above 0");
        }
    }
    let dataset = resolve::dataset(&args.data, &args.table)?;
    let spread = Spread::measure(&dataset, &Transform::fit(&dataset)?)?;
    let dim = dataset.shape.dim();
    let objective = FieldObjective { s: args.s, tau: args.tau, ..FieldObjective::default() };
    let calibration = objective.calibrate(dim, spread.norm);
    let (s, tau) = (args.s, args.tau);
    line(format!("{}: {} rows of {}, N = {dim}", dataset.name, dataset.len(), dataset.shape));
    line(format!("standard deviation   {:.4}  in the model's space", spread.std));
    line(format!("mean norm rho        {:.4}  of the centered rows", spread.norm));
    line(format!("M                    {}", calibration.m));
    line(format!("z_max                {:.4}", calibration.z_max));
    line(format!("upper_norm           {:.4}", calibration.upper_norm));
    line(format!(
        "\nWhy. Training points lie at x = y + |eps_x| (1+tau)^m u, z = |eps_z| (1+tau)^m with m up to M, eps_x and eps_z\n\
         of scale s = {s}, tau = {tau}: their noise has norm sqrt(N) s (1+tau)^m = {:.4} (1+tau)^m. From far away the\n\
         data look like one point charge and the flow is known; so the noise must reach well past the norm rho of the\n\
         data. M = floor(0.75 ln(rho^2 / (2 sqrt(N) s^2)) / ln(1+tau)) + 1 = {} does. Sampling starts on the plane\n\
         z = z_max = sqrt(2/pi) s (1+tau)^M, the mean height of the farthest training points; upper_norm =\n\
         sqrt(N) s (1+tau)^M is their mean noise, the radius at which the published code clips the prior.",
        (dim as f64).sqrt() * s,
        calibration.m
    ));
    line(format!(
        "\nUse it. Training with objective.kind = \"pfgm\" measures the same by itself; to fix the numbers:\n\
         [flow]\nsigma_max = {:.4}\n[objective]\nkind = \"pfgm\"\ns = {s}\ntau = {tau}\nm = {}",
        calibration.z_max, calibration.m
    ));
    Ok(())
}
