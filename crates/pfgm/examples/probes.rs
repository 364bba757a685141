//! The standard deviation of a likelihood over Hutchinson's probes, if only the divergence of `yhat` is estimated, and if the whole divergence of
//! the flow is.
//!
//! `cargo run --release -p pfgm --example probes -- RUN DATA`

use std::error::Error;

use pfgm::{
    Model,
    data::Dataset,
    likelihood::{Density, Prior, Probe, Trace},
    random::{Purpose, stream},
    solver::Solver,
};

const ROWS: usize = 50;
const PROBES: usize = 8;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (run, data) = (arguments.next().ok_or("give a run")?, arguments.next().ok_or("give its data")?);
    let (model, data) = (Model::load(&run)?, Dataset::open(&data)?);
    let (spec, dim, (lowest, highest)) = (model.spec(), model.dim(), model.spec().range());
    let rows: Vec<f64> = spec.to_model_space(&data.some(ROWS)?);
    let points: Vec<f64> = rows.chunks_exact(dim).flat_map(|row| row.repeat(PROBES)).collect();
    let denoiser = model.denoiser(Vec::new(), 1.0);
    let (extra_dims, range, solver) = (spec.extra_dims(), spec.range(), Solver::rk45(1e-3).into());
    let density = Density { denoiser: &denoiser, extra_dims, range, solver, prior: Prior::Exact };
    for kind in [Probe::Rademacher, Probe::Gaussian] {
        let probes = kind.draw(points.len(), &mut stream(1, Purpose::Probe, 0, 0));
        let found = density.log(&points, Trace::Probes(&probes))?.values;
        // With the whole divergence N - div yhat estimated, its first part varies as well.
        let whole: Vec<f64> = found
            .iter()
            .zip(probes.chunks_exact(dim))
            .map(|(log, probe)| log + (probe.iter().map(|e| e * e).sum::<f64>() - dim as f64) * (highest / lowest).ln())
            .collect();
        println!(
            "{kind:?}: {:.2} nats with N ln r in closed form, {:.2} with the whole estimated",
            spread(&found),
            spread(&whole)
        );
    }
    Ok(())
}

/// The standard deviation of one probe's estimate, over the probes of each row.
fn spread(logs: &[f64]) -> f64 {
    let of_row = |row: &[f64]| {
        let mean = row.iter().sum::<f64>() / PROBES as f64;
        row.iter().map(|log| (log - mean).powi(2)).sum::<f64>() / (PROBES - 1) as f64
    };
    (logs.chunks_exact(PROBES).map(of_row).sum::<f64>() / ROWS as f64).sqrt()
}
