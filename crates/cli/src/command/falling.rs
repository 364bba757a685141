//! Noise that becomes samples, as an animation.

use std::cell::RefCell;

use anyhow::{Result, bail};
use pfgm::{
    Model,
    flow::Query,
    latent::norm,
    model::{Direction, IntegrationJob, Monitor},
    solver::Solver,
};
use pfgm_data::Shape;

use crate::render::{AnimationFile, Rows, class_captions, line};

/// Images in a frame, at most.
const MOST: usize = 100;
/// Frames at the end that show the samples as they are.
const STILL: usize = 12;

/// Samples that are drawn as they form.
pub struct Falling<'a> {
    pub model: &'a Model,
    pub solver: &'a Solver,
    pub guidance: Option<f64>,
    pub seeds: &'a [u64],
    pub classes: &'a [Option<u32>],
    pub across: usize,
    /// Whether all classes take turns, so that a column shows one class.
    pub in_turn: bool,
}

/// The states of rows at the noise levels of their evaluations.
struct Recorder {
    dim: usize,
    rows: RefCell<Vec<Trajectory>>,
}

/// Noise levels and points, from the highest level down.
type Trajectory = Vec<(f64, Vec<f64>)>;

impl Monitor for Recorder {
    fn evaluated(&self, query: &Query, _yhat: &[f64]) {
        let mut rows = self.rows.borrow_mut();
        for ((&item, &sigma), x) in query.item.iter().zip(query.sigma).zip(query.x.chunks_exact(self.dim)) {
            let row = &mut rows[item];
            // Trial points of a step, and levels to which a solver adds noise, lie above later states.
            while row.last().is_some_and(|(level, _)| *level <= sigma) {
                row.pop();
            }
            row.push((sigma, x.to_vec()));
        }
    }
}

/// Returns an error if the rows of a model cannot be shown as frames.
pub fn check(model: &Model) -> Result<()> {
    let data = &model.spec().data;
    if !matches!(data.shape, Shape::Image { .. }) || model.spec().config.data.autoencoder.is_some() {
        bail!("--animate and --frames: show images, and the rows of {} are {}; omit them", data.name, data.shape);
    }
    Ok(())
}

impl Falling<'_> {
    /// Integrates the first samples again, and writes `frames` pictures at equal steps of ln sigma.
    pub fn write(&self, file: &AnimationFile, frames: usize) -> Result<()> {
        let (spec, dim) = (self.model.spec(), self.model.dim());
        let count = self.seeds.len().min(MOST / self.across * self.across).max(1).min(self.seeds.len());
        let seeds = self.seeds[..count].to_vec();
        let (low, high) = spec.range();
        let x = spec.prior(0, seeds.iter().copied());
        let recorder =
            Recorder { dim, rows: RefCell::new(x.chunks_exact(dim).map(|row| vec![(high, row.to_vec())]).collect()) };
        let job = IntegrationJob {
            direction: Direction::Decode,
            sigma: high,
            solver: self.solver.clone(),
            guidance: self.guidance.unwrap_or(spec.config.sample.guidance),
            x,
            labels: self.classes[..count].to_vec(),
            seeds,
            authors_code: None,
        };
        let ends = self.model.integrate(job, &recorder)?.x;
        let mut rows = recorder.rows.into_inner();
        for (row, end) in rows.iter_mut().zip(ends.chunks_exact(dim)) {
            row.retain(|(level, _)| *level > 1.0001 * low);
            row.push((low, end.to_vec()));
        }
        let picture = |frame: usize| -> Vec<f32> {
            let share = (frame as f64 / (frames.max(STILL + 2) - STILL - 1) as f64).min(1.0);
            let level = high * (low / high).powf(share);
            spec.to_data_units(&rows.iter().flat_map(|row| shown(row, level)).collect::<Vec<_>>())
        };
        let pictures: Vec<Vec<f32>> = (0..frames).map(picture).collect();
        line(format!(
            "frames     {frames}, from sigma = {high} to {low} at equal steps of ln sigma; larger noise is scaled to the range of the data"
        ));
        let captions = class_captions(if self.in_turn { &spec.data.classes } else { &[] }, self.across);
        file.write_sheets(Rows::from(&spec.data).pixels(), &pictures, (self.across, &captions))
    }
}

/// A row at a noise level, interpolated in ln sigma, and scaled down to the norm of the sample if it is larger.
fn shown(row: &[(f64, Vec<f64>)], level: f64) -> Vec<f64> {
    let next = row.partition_point(|(other, _)| *other > level).clamp(1, row.len() - 1);
    let ((from, a), (to, b)) = (&row[next - 1], &row[next]);
    let share = ((level / from).ln() / (to / from).ln()).clamp(0.0, 1.0);
    let x: Vec<f64> = a.iter().zip(b).map(|(a, b)| (1.0 - share) * a + share * b).collect();
    let factor = row.last().map_or(1.0, |(_, end)| norm(end) / norm(&x)).min(1.0);
    x.into_iter().map(|value| factor * value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_scaled_and_ends_as_it_is() {
        let row = vec![(100.0, vec![300.0, 400.0]), (1.0, vec![3.0, 4.0]), (0.01, vec![0.6, 0.8])];
        assert_eq!(shown(&row, 0.01), [0.6, 0.8]);
        for level in [100.0, 10.0, 1.0, 0.1] {
            let x = shown(&row, level);
            assert!((x[0] - 0.6).abs() < 1e-12 && (x[1] - 0.8).abs() < 1e-12, "{level}: {x:?}");
        }
        // In the middle of ln sigma, the mean of the states.
        let row = vec![(1.0, vec![1.0, 0.0]), (0.01, vec![0.0, 1.0])];
        let x = shown(&row, 0.1);
        assert!((x[0] - x[1]).abs() < 1e-12 && x[0] > 0.4);
    }
}
