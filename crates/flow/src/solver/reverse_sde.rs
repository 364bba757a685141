//! Predictor-corrector samplers of the reverse SDE (arXiv 2011.13456, section 4.2, algorithms 1 to 3, appendices E to G).

use rand::RngExt;
use rand_distr::StandardNormal;

use crate::{
    flow::{Denoiser, Query},
    process::Process,
    random::{Purpose, stream},
};

/// The predictor: how a step is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Predictor {
    /// The method of Euler and Maruyama for the reverse SDE.
    EulerMaruyama,
    /// The discretization of the forward chain, reversed (appendix E).
    ReverseDiffusion,
    /// Mean and variance of the reverse of the chain (appendix F); not for sub-VP.
    Ancestral,
}

/// Langevin dynamics at a noise level: `x + step score + sqrt(2 step) z` with `step = 2 alpha (snr |z|/|score|)^2`, the norms
/// those of the sample itself (the authors' code takes the mean of the batch).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Langevin {
    /// Steps at each level.
    pub steps: usize,
    /// r, the signal-to-noise ratio.
    pub snr: f64,
}

/// One step with a ratio of 0.16.
impl Default for Langevin {
    fn default() -> Self {
        Self { steps: 1, snr: 0.16 }
    }
}

/// A sampler of the reverse SDE; infinite D.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReverseSde {
    /// The process that is reversed; VE if it is None and [`Solver::for_process`](super::Solver::for_process) names no other.
    pub process: Option<Process>,
    /// The predictor.
    pub predictor: Predictor,
    /// Langevin dynamics before each step.
    pub corrector: Option<Langevin>,
    /// N, the number of noise levels: one step each, the last without noise.
    pub steps: usize,
}

/// The coefficients of a step `x' = carry x + score s + noise z` in the coordinates of the process.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Step {
    carry: f64,
    score: f64,
    noise: f64,
}

impl ReverseSde {
    fn reversed(&self) -> Process {
        self.process.unwrap_or(Process::Ve)
    }

    /// The times from the highest level to the lowest.
    fn times(&self, range: (f64, f64)) -> Vec<f64> {
        let (first, last) = (self.reversed().time(range.1, range), self.reversed().time(range.0, range));
        let share = |index: usize| index as f64 / (self.steps.max(2) - 1) as f64;
        (0..self.steps).map(|index| first + share(index) * (last - first)).collect()
    }

    /// The predictor's step of length T/N at the time of this index.
    fn predict(&self, times: &[f64], index: usize, range: (f64, f64)) -> Step {
        let process = self.reversed();
        let (t, length) = (times[index], times[0] / self.steps as f64);
        let beta = process.beta(t) * length;
        match (self.predictor, process) {
            (Predictor::Ancestral | Predictor::ReverseDiffusion, Process::Ve) => {
                let sigma = process.sigma(t, range);
                // The chain goes on to no noise at all.
                let next = times.get(index + 1).map_or(0.0, |&next| process.sigma(next, range));
                let drop = sigma * sigma - next * next;
                let shrink = if self.predictor == Predictor::Ancestral { next / sigma } else { 1.0 };
                Step { carry: 1.0, score: drop, noise: drop.sqrt() * shrink }
            }
            (Predictor::ReverseDiffusion, Process::Vp { .. }) => {
                Step { carry: 2.0 - (1.0 - beta).sqrt(), score: beta, noise: beta.sqrt() }
            }
            (Predictor::Ancestral, _) => {
                let root = (1.0 - beta).sqrt();
                Step { carry: 1.0 / root, score: beta / root, noise: beta.sqrt() }
            }
            (Predictor::EulerMaruyama | Predictor::ReverseDiffusion, _) => {
                let square = process.diffusion(t, range) * length;
                Step { carry: 1.0 + 0.5 * beta, score: square, noise: square.sqrt() }
            }
        }
    }
}

/// Carries every row of `x` from the highest noise level of `range` to time 0, where the process ends at the data. The noise of a row
/// depends on its seed alone. Takes `steps (1 + corrector steps)` evaluations.
///
/// # Shapes
/// `x`: `[rows, dim]` in the flow's coordinates, `seeds`: `[rows]`
pub fn reverse_sde(denoiser: &dyn Denoiser, sampler: &ReverseSde, range: (f64, f64), seeds: &[u64], x: &mut [f64]) {
    let (times, process) = (sampler.times(range), sampler.reversed());
    let scale = |x: &mut [f64], factor: f64| x.iter_mut().for_each(|x| *x *= factor);
    scale(x, process.mean_at(range.1));
    for (index, &t) in times.iter().enumerate() {
        let sigma = process.sigma(t, range);
        let mean = process.mean_at(sigma);
        let level = Level { denoiser, sigma, mean, index, seeds };
        if let Some(langevin) = sampler.corrector {
            let alpha = 1.0 - process.beta(t) * times[0] / sampler.steps as f64;
            (0..langevin.steps).for_each(|round| level.correct(langevin, alpha, round, x));
        }
        let step = sampler.predict(&times, index, range);
        level.predict(Step { noise: if index + 1 < times.len() { step.noise } else { 0.0 }, ..step }, x);
    }
}

/// The sampler at one noise level.
struct Level<'a> {
    denoiser: &'a dyn Denoiser,
    sigma: f64,
    mean: f64,
    index: usize,
    seeds: &'a [u64],
}

impl Level<'_> {
    /// The score of the process at these points: `(mean yhat - x_t) / (mean sigma)^2`.
    fn score(&self, x: &[f64]) -> Vec<f64> {
        let own: Vec<f64> = x.iter().map(|x| x / self.mean).collect();
        let rows = self.seeds.len();
        let item: Vec<usize> = (0..rows).collect();
        let mut score = vec![0.0; x.len()];
        self.denoiser.denoise(&Query { x: &own, sigma: &vec![self.sigma; rows], item: &item }, &mut score);
        let square = (self.mean * self.sigma).powi(2);
        score.iter_mut().zip(x).for_each(|(score, x)| *score = (self.mean * *score - x) / square);
        score
    }

    /// Standard normal numbers of a row.
    fn noise(&self, purpose: Purpose, row: usize, round: usize, dim: usize) -> Vec<f64> {
        let mut rng = stream(self.seeds[row], purpose, self.index as u64, round as u64);
        (0..dim).map(|_| rng.sample(StandardNormal)).collect()
    }

    fn predict(&self, step: Step, x: &mut [f64]) {
        let (score, dim) = (self.score(x), self.denoiser.dim());
        for (row, (x, score)) in x.chunks_exact_mut(dim).zip(score.chunks_exact(dim)).enumerate() {
            x.iter_mut().zip(score).for_each(|(x, score)| *x = step.carry * *x + step.score * score);
            if step.noise > 0.0 {
                let noise = self.noise(Purpose::SolverNoise, row, 0, dim);
                x.iter_mut().zip(noise).for_each(|(x, noise)| *x += step.noise * noise);
            }
        }
    }

    fn correct(&self, langevin: Langevin, alpha: f64, round: usize, x: &mut [f64]) {
        let (score, dim) = (self.score(x), self.denoiser.dim());
        let norm = |values: &[f64]| values.iter().map(|value| value * value).sum::<f64>().sqrt();
        for (row, (x, score)) in x.chunks_exact_mut(dim).zip(score.chunks_exact(dim)).enumerate() {
            let noise = self.noise(Purpose::Corrector, row, round, dim);
            let length = norm(score);
            // A sample at rest, where the score vanishes, needs no correction.
            if length > 0.0 {
                let step = 2.0 * alpha * (langevin.snr * norm(&noise) / length).powi(2);
                let spread = (2.0 * step).sqrt();
                x.iter_mut().zip(score).zip(&noise).for_each(|((x, score), noise)| *x += step * score + spread * noise);
            }
        }
    }
}
