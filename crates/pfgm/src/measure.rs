//! How likely data are to a trained flow.

use std::ops::Range;

use burn::tensor::Device;
use rand::RngExt;

use crate::{
    likelihood::{Density, Prior, Probe, Trace},
    network::Network,
    parallel::{Communicator, Solo, gather},
    random::{Purpose, stream},
    solver::{Solver, SolverError},
    spec::ModelSpec,
};

/// Rows to be measured.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// In the data's own units, `[rows, N]`.
    pub values: &'a [f32],
    /// The class of each, where the network is told one.
    pub labels: &'a [Option<u32>],
    /// Whether values are whole numbers, which have a density only once something between -1/2 and 1/2 is added to each.
    pub whole: bool,
}

/// How to measure.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    /// How the flow's lines are followed.
    pub solver: Solver,
    /// What probes are drawn from; none for the exact divergence.
    pub probe: Option<Probe>,
    /// Probes of each row.
    pub probes: usize,
    /// Draws of what is added to whole numbers; 1 where nothing is.
    pub draws: usize,
    /// The constant of the prior.
    pub prior: Prior,
    /// Of the draws and probes.
    pub seed: u64,
    /// Points computed together.
    pub batch: usize,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// `ln p` in the data's own units, `[rows, draws, probes]`.
    pub logs: Vec<f64>,
    draws: usize,
    probes: usize,
    /// Evaluations of `yhat` and its divergence for each, on average.
    pub nfe: f64,
}

/// Measures `ln p` of rows, as their density in the data's own units. `progress` hears how many points are done, of rows, draws and
/// probes together.
///
/// # Errors
/// When the solver gives up.
pub fn measure(
    record: &ModelSpec,
    network: &Network,
    rows: Rows,
    how: &Measurement,
    device: &Device,
    progress: &mut dyn FnMut(usize),
) -> Result<Measured, SolverError> {
    Ok(measure_distributed(record, network, rows, how, device, &Solo, progress)?.expect("one process has everything"))
}

/// [`measure`] on many ranks: each measures its share of the points. Rank 0 gets all, as one process would; the others get none.
///
/// # Errors
/// When the solver gives up.
pub fn measure_distributed(
    record: &ModelSpec,
    network: &Network,
    rows: Rows,
    how: &Measurement,
    device: &Device,
    ranks: &dyn Communicator,
    progress: &mut dyn FnMut(usize),
) -> Result<Option<Measured>, SolverError> {
    let (draws, probes) = (how.draws.max(1), how.probes.max(1));
    let points = rows.values.len() / record.dim() * draws * probes;
    let (logs, evaluations) = measure_points(record, network, rows, how, ranks.share(points), device, progress)?;
    let mut sum = [evaluations];
    ranks.sum(&mut sum);
    let nfe = sum[0] / points.max(1) as f64;
    Ok(gather(ranks, logs).map(|logs| Measured { logs, draws, probes, nfe }))
}

/// `ln p` of some points, and evaluations of all of them.
fn measure_points(
    record: &ModelSpec,
    network: &Network,
    rows: Rows,
    how: &Measurement,
    points: Range<usize>,
    device: &Device,
    progress: &mut dyn FnMut(usize),
) -> Result<(Vec<f64>, f64), SolverError> {
    let dim = record.dim();
    let (draws, probes) = (how.draws.max(1), how.probes.max(1));
    let each = draws * probes;
    // From the model's space to the data's units.
    let scales = &record.data.transform.scale;
    let stretched: f64 = (0..dim).map(|at| f64::from(scales[at % scales.len()]).ln()).sum();
    let (mut logs, mut evaluations) = (Vec::with_capacity(points.len()), 0.0);
    let batch = how.batch.max(1);
    for first in points.clone().step_by(batch) {
        let part: Vec<usize> = (first..(first + batch).min(points.end)).collect();
        let x: Vec<f64> = part.iter().flat_map(|&point| point_of(record, rows, how, point, each, probes)).collect();
        let labels: Vec<Option<u32>> =
            part.iter().map(|&point| rows.labels.get(point / each).copied().flatten()).collect();
        let drawn: Vec<f64> = match how.probe {
            None => Vec::new(),
            Some(kind) => part
                .iter()
                .flat_map(|&point| {
                    let (row, of_row) = ((point / each) as u64, (point % each) as u64);
                    kind.draw(dim, &mut stream(how.seed, Purpose::Probe, of_row, row))
                })
                .collect(),
        };
        let trace = if how.probe.is_some() { Trace::Probes(&drawn) } else { Trace::Exact };
        let denoiser = record.denoiser(network, labels, 1.0, batch, device);
        let density = Density {
            denoiser: &denoiser,
            extra_dims: record.extra_dims(),
            range: record.range(),
            solver: how.solver.clone(),
            prior: how.prior,
        };
        let found = density.log(&x, trace).map_err(|error| error.after(first))?;
        evaluations += found.nfe * part.len() as f64;
        logs.extend(found.values.iter().map(|log| log - stretched));
        progress(first + part.len() - points.start);
    }
    Ok((logs, evaluations))
}

/// A row as a point of the model's space, with what is added to whole numbers.
fn point_of(record: &ModelSpec, rows: Rows, how: &Measurement, point: usize, each: usize, probes: usize) -> Vec<f64> {
    let (dim, row) = (record.dim(), point / each);
    let mut values = rows.values[row * dim..(row + 1) * dim].to_vec();
    if rows.whole {
        let draw = (point % each / probes) as u64;
        let mut rng = stream(how.seed, Purpose::Dequantisation, draw, row as u64);
        values.iter_mut().for_each(|value| *value += rng.random_range(-0.5..0.5_f32));
    }
    record.data.transform.forward(&mut values);
    values.into_iter().map(f64::from).collect()
}

/// A mean, and where its uncertainty comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// The mean of `ln p` over rows.
    pub mean: f64,
    /// Its standard error; none of a single row.
    pub error: Option<f64>,
    /// The part of it that more rows would make smaller.
    pub of_rows: Option<f64>,
    /// The part that more draws would; none where a row has one.
    pub of_draws: Option<f64>,
    /// The part that more probes would; none where a draw has one.
    pub of_probes: Option<f64>,
}

impl Measured {
    /// `ln p` of rows x draws x probes.
    pub(crate) fn new(logs: Vec<f64>, draws: usize, probes: usize) -> Self {
        Self { logs, draws, probes, nfe: 0.0 }
    }

    /// `ln p` of each row, the mean of its draws and probes.
    pub fn of_rows(&self) -> Vec<f64> {
        means(&self.logs, self.draws * self.probes)
    }

    /// The mean over rows. Rows, draws and probes are nested: the variance of each is what the means of the next add to it.
    pub fn summary(&self) -> Summary {
        let (by_draw, by_row) = (means(&self.logs, self.probes), self.of_rows());
        let rows = by_row.len() as f64;
        let (draws, probes) = (self.draws as f64, self.probes as f64);
        let of_probe = (self.probes > 1).then(|| inner_variance(&self.logs, self.probes));
        let of_draw = (self.draws > 1)
            .then(|| (inner_variance(&by_draw, self.draws) - of_probe.unwrap_or(0.0) / probes).max(0.0));
        let square = (by_row.len() > 1).then(|| inner_variance(&by_row, by_row.len()) / rows);
        let probe_square = of_probe.map(|variance| variance / (rows * draws * probes));
        let draw_square = of_draw.map(|variance| variance / (rows * draws));
        let others = probe_square.unwrap_or(0.0) + draw_square.unwrap_or(0.0);
        Summary {
            mean: by_row.iter().sum::<f64>() / rows,
            error: square.map(f64::sqrt),
            of_rows: square.map(|square| (square - others).max(0.0).sqrt()),
            of_draws: draw_square.map(f64::sqrt),
            of_probes: probe_square.map(f64::sqrt),
        }
    }
}

/// The means of groups of `size`.
fn means(values: &[f64], size: usize) -> Vec<f64> {
    values.chunks_exact(size).map(|group| group.iter().sum::<f64>() / size as f64).collect()
}

/// The variance within groups of `size`, unbiased, averaged over groups.
fn inner_variance(values: &[f64], size: usize) -> f64 {
    let of_group = |group: &[f64]| {
        let mean = group.iter().sum::<f64>() / size as f64;
        group.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (size - 1) as f64
    };
    let groups = values.chunks_exact(size);
    let count = groups.len() as f64;
    groups.map(of_group).sum::<f64>() / count
}

#[cfg(test)]
mod tests {
    use rand_distr::{Distribution, StandardNormal};

    use super::*;

    #[test]
    fn uncertainty_is_told_apart() {
        // Rows spread by 3, draws by 2, probes by 1: the parts follow from the numbers of each.
        let (rows, draws, probes) = (4000, 3, 2);
        let mut rng = stream(1, Purpose::Latent, 0, 0);
        let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
        let mut logs = Vec::new();
        for _ in 0..rows {
            let row = 3.0 * normal();
            for _ in 0..draws {
                let draw = row + 2.0 * normal();
                logs.extend((0..probes).map(|_| draw + normal()));
            }
        }
        let summary = Measured { logs, draws, probes, nfe: 0.0 }.summary();
        let n = f64::from(rows);
        let close = |found: f64, variance: f64| (found / (variance / n).sqrt() - 1.0).abs() < 0.06;
        assert!(close(summary.of_rows.unwrap(), 9.0), "{summary:?}");
        assert!(close(summary.of_draws.unwrap(), 4.0 / 3.0), "{summary:?}");
        assert!(close(summary.of_probes.unwrap(), 1.0 / 6.0), "{summary:?}");
        assert!(close(summary.error.unwrap(), 9.0 + 4.0 / 3.0 + 1.0 / 6.0), "{summary:?}");
        let one = Measured { logs: vec![1.0; 6], draws, probes, nfe: 0.0 }.summary();
        assert_eq!((one.error, one.of_rows), (None, None));
        assert!(summary.mean.abs() < 5.0 * summary.error.unwrap());
    }
}
