//! Predictor-corrector samplers of the reverse SDE (arXiv 2011.13456, section 4.2, algorithms 1 to 3, appendices E to G).

use rand::RngExt;
use rand_distr::StandardNormal;

use crate::{
    flow::{Denoiser, Query},
    process::Process,
    random::{Purpose, stream},
};

/// How a step down is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Predictor {
    /// Euler and Maruyama's method for the reverse SDE.
    EulerMaruyama,
    /// The forward chain's discretisation, reversed (appendix E).
    ReverseDiffusion,
    /// The mean and variance of the chain's own reverse (appendix F); not for sub-VP.
    Ancestral,
}

/// Langevin dynamics at a noise level: `x + step score + sqrt(2 step) z` with `step = 2 alpha (snr |z|/|score|)^2`, the norms
/// those of the sample itself (the released code takes the batch's mean).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Langevin {
    /// Steps at each level.
    pub steps: usize,
    /// r, the ratio of signal to noise.
    pub snr: f64,
}

/// A stochastic sampler.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReverseSde {
    /// The process that is reversed.
    pub process: Process,
    /// How.
    pub predictor: Predictor,
    /// What comes before each step.
    pub corrector: Option<Langevin>,
    /// N, the levels: one step each, the last without noise.
    pub steps: usize,
}

/// A step as a combination: `x' = carry x + score s + noise z` in the process's own coordinates.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Step {
    carry: f64,
    score: f64,
    noise: f64,
}

impl ReverseSde {
    /// The times from the highest level to the lowest.
    fn times(&self, range: (f64, f64)) -> Vec<f64> {
        let (first, last) = (self.process.time(range.1, range), self.process.time(range.0, range));
        let share = |index: usize| index as f64 / (self.steps.max(2) - 1) as f64;
        (0..self.steps).map(|index| first + share(index) * (last - first)).collect()
    }

    /// The predictor's step at the time of an index: of length T/N.
    fn predict(&self, times: &[f64], index: usize, range: (f64, f64)) -> Step {
        let (t, length) = (times[index], times[0] / self.steps as f64);
        let beta = self.process.beta(t) * length;
        match (self.predictor, self.process) {
            (Predictor::Ancestral | Predictor::ReverseDiffusion, Process::Ve) => {
                let sigma = self.process.sigma(t, range);
                // The chain goes on to no noise at all.
                let next = times.get(index + 1).map_or(0.0, |&next| self.process.sigma(next, range));
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
                let square = self.process.diffusion(t, range) * length;
                Step { carry: 1.0 + 0.5 * beta, score: square, noise: square.sqrt() }
            }
        }
    }
}

/// Carries every row of `x` from the highest level of `range` to time 0, where every process is the data; the noise of a row comes
/// from its seed alone. `steps (1 + corrector steps)` evaluations.
///
/// # Shapes
/// `x`: `[rows, dim]` in the flow's coordinates, `seeds`: `[rows]`
pub fn reverse_sde(denoiser: &dyn Denoiser, sampler: &ReverseSde, range: (f64, f64), seeds: &[u64], x: &mut [f64]) {
    let times = sampler.times(range);
    let scale = |x: &mut [f64], factor: f64| x.iter_mut().for_each(|x| *x *= factor);
    scale(x, sampler.process.mean_at(range.1));
    for (index, &t) in times.iter().enumerate() {
        let sigma = sampler.process.sigma(t, range);
        let mean = sampler.process.mean_at(sigma);
        let place = Place { denoiser, sigma, mean, index, seeds };
        if let Some(langevin) = sampler.corrector {
            let alpha = 1.0 - sampler.process.beta(t) * times[0] / sampler.steps as f64;
            (0..langevin.steps).for_each(|round| place.correct(langevin, alpha, round, x));
        }
        let step = sampler.predict(&times, index, range);
        place.predict(Step { noise: if index + 1 < times.len() { step.noise } else { 0.0 }, ..step }, x);
    }
}

/// A level of the sampler.
struct Place<'a> {
    denoiser: &'a dyn Denoiser,
    sigma: f64,
    mean: f64,
    index: usize,
    seeds: &'a [u64],
}

impl Place<'_> {
    /// The score of the process at its points: `(mean yhat - x_t) / (mean sigma)^2`.
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
