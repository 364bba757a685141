//! Anomaly detection.

use pfgm_data::Dataset;

use super::{
    Model, Rows,
    execution::{Execution, Running, execution_options},
    integrate::{Conditions, Estimator},
    likelihood::{DensityUnit, Likelihood},
    monitor::Monitored,
};
use crate::{
    error::{Error, Result},
    flow::{Denoiser, Query},
    prior,
    random::{Purpose, stream},
};

/// Noise levels of the denoising score.
const LEVELS: usize = 8;
/// Pairs of opposite noises at each level.
const PAIRS: usize = 2;
/// The lowest and the highest level, in units of the standard deviation of the data.
const LOWEST: f64 = 0.1;
const HIGHEST: f64 = 5.0;

/// Settings of anomaly scores: [`Model::anomaly_scores`].
#[must_use = "nothing is computed before `Model::anomaly_scores`"]
#[derive(Default)]
pub struct Anomaly<'a> {
    likelihood: Option<Likelihood<'a>>,
    denoising: bool,
    sigmas: Vec<f64>,
    execution: Execution<'a>,
}

impl<'a> Anomaly<'a> {
    /// Adds scores by likelihood and by typicality, with these settings of the likelihood.
    pub fn likelihood(mut self, how: Likelihood<'a>) -> Self {
        self.likelihood = Some(how);
        self
    }

    /// Adds the denoising score, with 32 evaluations of each row: the sum of `|y - yhat(y + n)|^2 / sigma^2` over noise levels, which is
    /// the negative log-density up to a constant for D = infinity (docs/equations.md, section 17).
    pub fn denoising(mut self) -> Self {
        self.denoising = true;
        self
    }

    /// Adds scores by the reconstruction error after adding noise of each of these levels, in the model's space.
    pub fn reconstruction(mut self, sigmas: impl IntoIterator<Item = f64>) -> Self {
        self.sigmas = sigmas.into_iter().collect();
        self
    }

    execution_options!('a);
}

/// A score of every row; higher is more anomalous.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Score {
    /// Its name: `denoising`, `likelihood`, `typicality`, `reconstruction at SIGMA`, `combined`.
    pub name: String,
    /// Score of each normal row.
    pub usual: Vec<f64>,
    /// Score of each row in question.
    pub of_rows: Vec<f64>,
}

impl Score {
    /// The p-value of each row in question: the share of normal rows, and of the row itself, that are at least as anomalous. It is valid for
    /// rows of the kind of the normal rows if the model was not trained on these (conformal p-values).
    pub fn p_values(&self) -> Vec<f64> {
        let p_value = |score: &f64| {
            let above = self.usual.iter().filter(|usual| *usual >= score).count();
            (above + 1) as f64 / (self.usual.len() + 1) as f64
        };
        self.of_rows.iter().map(p_value).collect()
    }
}

/// Scores of rows and of normal rows.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct AnomalyScores {
    /// All scores.
    pub scores: Vec<Score>,
    /// The unit of the likelihood.
    pub unit: DensityUnit,
}

impl Model {
    /// Computes anomaly scores of rows, and of normal rows for comparison. The model's classes are not used.
    ///
    /// ```
    /// use pfgm::prelude::*;
    ///
    /// let model = Model::load("digits")?;
    /// let digits = Dataset::open("digits")?;
    /// let (usual, rows) = (digits.select(&[0, 1, 2]), digits.select(&[3]));
    /// let found = model.anomaly_scores(&usual, &rows, Anomaly::default().reconstruction([0.5]))?;
    /// assert_eq!((found.scores[0].usual.len(), found.scores[0].of_rows.len()), (3, 1));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// Returns an error if rows do not fit the model, a level is outside of its range, or the computation is canceled.
    pub fn anomaly_scores(&self, usual: &Dataset, rows: &Dataset, how: Anomaly) -> Result<AnomalyScores> {
        let (usual, mut rows) = (self.spec.unlabeled_rows(usual)?, self.spec.unlabeled_rows(rows)?);
        // Both likelihoods must be computed in the same way.
        rows.is_integer = usual.is_integer;
        self.check_has_yhat("anomaly_scores")?;
        if usual.len() < 2 || rows.is_empty() {
            return Err(Error::argument(
                "usual",
                format!("{} usual rows and {} rows; give at least 2 and 1", usual.len(), rows.len()),
            ));
        }
        let (low, high) = self.spec.range();
        if let Some(sigma) = how.sigmas.iter().find(|sigma| !(low..=high).contains(sigma)) {
            return Err(Error::argument("sigma", format!("{sigma}: give a number from {low} to {high}")));
        }
        let unit = DensityUnit::of(self.spec.data.shape, usual.is_integer);
        let mut scores = Vec::new();
        if let Some(likelihood) = how.likelihood {
            scores.extend(self.likelihood_scores(&usual, &rows, likelihood, unit)?);
        }
        let passes = how.sigmas.len() + if how.denoising { 2 * LEVELS * PAIRS } else { 0 };
        let running = how.execution.begin("reconstruction", (usual.len() + rows.len()) * passes)?;
        if how.denoising {
            let (usual, of_rows) = (self.denoising_scores(&usual, &running)?, self.denoising_scores(&rows, &running)?);
            scores.insert(0, Score { name: "denoising".into(), usual, of_rows });
        }
        for sigma in how.sigmas {
            let name = format!("reconstruction at {sigma}");
            let (usual, of_rows) = (self.errors(&usual, sigma, &running)?, self.errors(&rows, sigma, &running)?);
            scores.push(Score { name, usual, of_rows });
        }
        if scores.len() > 1 {
            scores.push(combined(&scores));
        }
        Ok(AnomalyScores { scores, unit })
    }

    /// The denoising score of each row. All rows have the same noise, so that a score depends on its row alone.
    fn denoising_scores(&self, rows: &Rows, running: &Running) -> Result<Vec<f64>> {
        let (dim, points) = (self.dim(), self.spec.points(rows));
        let (low, high) = self.spec.range();
        let spread = self.spec.spread();
        let (low, high) = ((LOWEST * spread).clamp(low, high), (HIGHEST * spread).clamp(low, high));
        let ratio = (high / low).ln();
        let mut scores = vec![0.0; rows.len()];
        for pass in 0..LEVELS * PAIRS {
            let sigma = low * (ratio * ((pass % LEVELS) as f64 + 0.5) / LEVELS as f64).exp();
            let mut noise = vec![0.0; dim];
            prior::perturb(
                self.spec.extra_dims(),
                sigma,
                &mut stream(1, Purpose::Perturbation, 0, pass as u64),
                &mut noise,
            );
            for sign in [1.0, -1.0] {
                for (scores, points) in scores.chunks_mut(running.batch).zip(points.chunks(running.batch * dim)) {
                    let noisy: Vec<f64> = points.iter().enumerate().map(|(at, y)| y + sign * noise[at % dim]).collect();
                    let count = scores.len();
                    let denoiser = self.conditioned(Conditions::of(vec![None; count]));
                    let item: Vec<usize> = (0..count).collect();
                    let mut yhat = vec![0.0; noisy.len()];
                    let query = Query { x: &noisy, sigma: &vec![sigma; count], item: &item };
                    Monitored::new(&*denoiser, running).denoise(&query, &mut yhat);
                    for ((score, yhat), y) in
                        scores.iter_mut().zip(yhat.chunks_exact(dim)).zip(points.chunks_exact(dim))
                    {
                        let square: f64 = yhat.iter().zip(y).map(|(a, b)| (a - b).powi(2)).sum();
                        *score += square / (sigma * sigma) * ratio / (2 * LEVELS * PAIRS) as f64;
                    }
                    running.advance(count)?;
                }
            }
        }
        Ok(scores)
    }

    /// Typicality and likelihood.
    fn likelihood_scores(&self, usual: &Rows, rows: &Rows, how: Likelihood, unit: DensityUnit) -> Result<[Score; 2]> {
        // One computation, so that probes and progress belong to all rows.
        let found = self.log_likelihood_of_rows(&usual.followed_by(rows), how.discretization_error(false))?;
        let unlikely = |&nats: &f64| match unit {
            DensityUnit::BitsPerDim => unit.of_log_density(nats, self.dim()),
            DensityUnit::Nats => -nats,
        };
        let all: Vec<f64> = found.values().iter().map(unlikely).collect();
        let (usual, of_rows) = all.split_at(usual.len());
        let likelihood = Score { name: "likelihood".into(), usual: usual.to_vec(), of_rows: of_rows.to_vec() };
        Ok([typicality(&likelihood), likelihood])
    }

    /// The root mean square difference of each row from `yhat` of the row with noise.
    fn errors(&self, rows: &Rows, sigma: f64, running: &Running) -> Result<Vec<f64>> {
        let (dim, points) = (self.dim(), self.spec.points(rows));
        let mut errors = Vec::with_capacity(rows.len());
        for (batch, points) in points.chunks(running.batch * dim).enumerate() {
            let mut noisy = points.to_vec();
            for (row, x) in noisy.chunks_exact_mut(dim).enumerate() {
                let item = (batch * running.batch + row) as u64;
                prior::perturb(self.spec.extra_dims(), sigma, &mut stream(0, Purpose::Perturbation, 0, item), x);
            }
            let count = points.len() / dim;
            let denoiser = self.conditioned(Conditions::of(vec![None; count]));
            let item: Vec<usize> = (0..count).collect();
            let mut yhat = vec![0.0; noisy.len()];
            let query = Query { x: &noisy, sigma: &vec![sigma; count], item: &item };
            Monitored::new(&*denoiser, running).denoise(&query, &mut yhat);
            let error = |(a, b): (&[f64], &[f64])| {
                let square: f64 = a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum();
                (square / dim as f64).sqrt()
            };
            errors.extend(yhat.chunks_exact(dim).zip(points.chunks_exact(dim)).map(error));
            running.advance(count)?;
        }
        Ok(errors)
    }
}

/// The mean of all scores in units of their standard deviation over normal rows, without typicality, which is likelihood again.
fn combined(scores: &[Score]) -> Score {
    let used: Vec<&Score> = scores.iter().filter(|score| score.name != "typicality").collect();
    let standardized = |of: fn(&Score) -> &Vec<f64>| -> Vec<f64> {
        let mut sums = vec![0.0; of(used[0]).len()];
        for score in &used {
            let count = score.usual.len() as f64;
            let mean = score.usual.iter().sum::<f64>() / count;
            let variance = score.usual.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
            let scale = if variance > 0.0 { variance.sqrt() } else { 1.0 };
            sums.iter_mut().zip(of(score)).for_each(|(sum, value)| *sum += (value - mean) / scale / used.len() as f64);
        }
        sums
    };
    let (usual, of_rows) = (standardized(|score| &score.usual), standardized(|score| &score.of_rows));
    Score { name: "combined".into(), usual, of_rows }
}

/// Returns the distance of a likelihood from the mean likelihood of normal rows, in either direction, because simple images may have a higher
/// likelihood than all training data.
fn typicality(likelihood: &Score) -> Score {
    let mean = likelihood.usual.iter().sum::<f64>() / likelihood.usual.len() as f64;
    let distance = |values: &[f64]| values.iter().map(|value| (value - mean).abs()).collect();
    Score { name: "typicality".into(), usual: distance(&likelihood.usual), of_rows: distance(&likelihood.of_rows) }
}
