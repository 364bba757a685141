//! How well draws explain measurements, and how near they come to what was measured.

use pfgm::model::Samples;
use pfgm_data::Shape;
use serde_json::{Value, json};

use super::Task;
use crate::render::line;

/// A squared error relative to the noise above which draws do not explain a measurement.
const UNEXPLAINED: f64 = 4.0;

/// Scores of the draws of all measurements.
pub struct Scores {
    /// The mean standard deviation of the noise.
    noise: f64,
    /// The mean squared difference between measurements and measured draws, over the variance of the noise; None without noise.
    misfit: Option<f64>,
    /// The root of the mean squared difference.
    residual: f64,
    truth: Option<Truth>,
}

/// Draws compared with the rows that were measured.
struct Truth {
    /// The unit of the error of means and draws.
    unit: &'static str,
    of_mean: f64,
    of_draws: f64,
    /// The share of true values between the lowest and the highest draw, and the share that calibrated draws have.
    coverage: (f64, f64),
}

impl Scores {
    /// Computes the scores. All draws of a measurement follow one another.
    pub fn of(task: &Task, samples: &Samples, draws: usize) -> Self {
        let (values, dim) = (samples.values_f64(), samples.data().shape.dim());
        let (operator, outputs) = (&task.operator.operator, task.operator.operator.outputs());
        let (mut squares, mut relative) = (0.0, Some(0.0));
        for (at, y) in values.chunks_exact(dim).enumerate() {
            let mut out = vec![0.0; outputs];
            operator.apply(y, &mut out);
            let measured = &task.measurements.values[at / draws * outputs..][..outputs];
            let square: f64 = out.iter().zip(measured).map(|(a, b)| (a - b).powi(2)).sum();
            let variance = task.noises[at / draws].powi(2);
            squares += square;
            relative = relative.filter(|_| variance > 0.0).map(|sum| sum + square / variance);
        }
        let count = (values.len() / dim * outputs).max(1) as f64;
        let truth = task.truth.as_ref().map(|truth| Truth::of(truth, samples, draws));
        Self {
            noise: task.noises.iter().sum::<f64>() / task.noises.len().max(1) as f64,
            misfit: relative.map(|sum| sum / count),
            residual: (squares / count).sqrt(),
            truth,
        }
    }

    /// Prints the scores.
    pub fn print(&self, is_estimated: bool) {
        if is_estimated {
            line(format!("noise      {:.4} on average, estimated", self.noise));
        }
        match self.misfit {
            Some(misfit) => {
                let note = if misfit > UNEXPLAINED { "; the draws do not explain the measurements" } else { "" };
                line(format!("misfit     {misfit:.3} of the noise's variance, on average{note}"));
            }
            None => line(format!("residual   {:.4} (root mean square)", self.residual)),
        }
        if let Some(Truth { unit, of_mean, of_draws, coverage: (found, nominal) }) = &self.truth {
            line(format!("error      {of_mean:.3} {unit} of the mean, {of_draws:.3} of draws"));
            line(format!(
                "coverage   {:.1} % of the values lie between the lowest and the highest draw; calibrated: {:.1} %",
                100.0 * found,
                100.0 * nominal
            ));
        }
    }

    /// The scores as JSON.
    pub fn as_json(&self) -> Value {
        let truth = self.truth.as_ref().map(|truth| {
            json!({
                "unit": truth.unit,
                "mean": truth.of_mean,
                "draws": truth.of_draws,
                "coverage": truth.coverage.0,
                "calibrated_coverage": truth.coverage.1,
            })
        });
        json!({ "noise": self.noise, "misfit": self.misfit, "residual": self.residual, "truth": truth })
    }
}

impl Truth {
    fn of(truth: &[f32], samples: &Samples, draws: usize) -> Self {
        let (values, data) = (samples.values_f64(), samples.data());
        let (means, _) = samples.mean_and_deviation(draws);
        let dim = data.shape.dim();
        let scale = |at: usize| f64::from(data.transform.scale[at % dim % data.transform.scale.len()]);
        let span = f64::from(data.range.1 - data.range.0);
        let is_image = matches!(data.shape, Shape::Image { .. });
        let unit = if is_image { "dB (PSNR)" } else { "standard deviations (root mean square)" };
        // The score of a mean squared error: of images in units of the range, of tables in units of each column's deviation.
        let score = |error: f64| if is_image { -10.0 * error.max(1e-12).log10() } else { error.sqrt() };
        let square = |(at, (value, truth)): (usize, (&f64, &f32))| {
            ((value - f64::from(*truth)) / if is_image { span } else { scale(at) }).powi(2)
        };
        let of_mean = means.iter().zip(truth).enumerate().map(square).sum::<f64>() / truth.len() as f64;
        let repeated = (0..values.len()).map(|at| &truth[at / (draws * dim) * dim + at % dim]);
        let of_draws = values.iter().zip(repeated).enumerate().map(square).sum::<f64>() / values.len() as f64;
        let coverage = (covered(truth, &values, (dim, draws)), nominal(draws));
        Self { unit, of_mean: score(of_mean), of_draws: score(of_draws), coverage }
    }
}

/// The share of values within the range of `draws` draws, if the value and the draws are exchangeable.
fn nominal(draws: usize) -> f64 {
    (draws as f64 - 1.0) / (draws as f64 + 1.0)
}

/// The share of true values with draws on both sides. Ties, as of black pixels, count as if they were broken at random. Draws of whole
/// numbers are rounded.
///
/// # Shapes
/// `truth`: `[rows, N]`, `values`: `[rows, draws, N]`
fn covered(truth: &[f32], values: &[f64], (dim, draws): (usize, usize)) -> f64 {
    let is_rounded = truth.iter().all(|value| value.fract() == 0.0);
    let round = |value: f64| if is_rounded { value.round() } else { value };
    let of_value = |(at, &truth): (usize, &f32)| {
        let (row, column, truth) = (at / dim, at % dim, round(f64::from(truth)));
        let drawn = || (0..draws).map(|draw| round(values[(row * draws + draw) * dim + column]));
        let (lower, equal) = (drawn().filter(|&v| v < truth).count(), drawn().filter(|&v| v == truth).count());
        // The rank of the truth among the draws is one of lower ..= lower + equal, each as likely.
        let inside = (lower..=lower + equal).filter(|&rank| rank > 0 && rank < draws).count();
        inside as f64 / (equal + 1) as f64
    };
    truth.iter().enumerate().map(of_value).sum::<f64>() / truth.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_count_as_if_broken_at_random() {
        // Three draws of two values: the first value lies between, the second is equal to all.
        let values = [1.0, 0.2, 2.0, 0.0, 5.0, -0.3];
        assert_eq!(covered(&[3.0, 0.0], &values, (2, 3)), 0.5 * (1.0 + 0.5));
        // Below all draws.
        assert_eq!(covered(&[0.5], &[1.0, 2.0], (1, 2)), 0.0);
        assert_eq!(nominal(19), 0.9);
    }
}
