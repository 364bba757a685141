//! What chance adds to a likelihood, by what is left to a probe: the divergence of yhat, or the whole divergence of the flow.
//!
//!     cargo run --release --example probes -- RUN DATA

use std::path::Path;

use pfgm::{
    checkpoint::{self, Checkpoint, Group},
    likelihood::{Density, Prior, Probe, Trace},
    random::{Purpose, stream},
    solver::Solver,
    weights,
};
use pfgm_data::OpenOptions;
use std::error::Error;

const ROWS: usize = 50;
const PROBES: usize = 8;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (run, data) = (arguments.next().ok_or("give a run")?, arguments.next().ok_or("give its data")?);
    let device = pfgm::device::open("cpu")?;
    let checkpoint = Checkpoint::read(&checkpoint::find(Path::new(&run))?)?;
    let record = &checkpoint.record;
    let network = weights::assign(record.network(&device)?, checkpoint.group(Group::Average))?;
    let data = pfgm_data::open(&data, &OpenOptions::default())?;
    let (dim, (lowest, highest)) = (record.dim(), record.range());
    let mut values = vec![0.0_f32; ROWS * dim];
    for (row, values) in values.chunks_exact_mut(dim).enumerate() {
        data.read(row * data.len() / ROWS, values)?;
        record.data.transform.forward(values);
    }
    let points: Vec<f64> = values.chunks_exact(dim).flat_map(|row| row.repeat(PROBES)).map(f64::from).collect();
    let denoiser = record.denoiser(&network, Vec::new(), 1.0, 64, &device);
    let solver = Solver::rk45(1e-3).into();
    let (extra_dims, range) = (record.extra_dims(), record.range());
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
