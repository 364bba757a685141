//! Restoration: denoising and inpainting.

use pfgm_data::{Dataset, Shape};

use super::{
    Model, Rows, Samples,
    execution::{Execution, execution_options},
    integrate::{Conditions, Direction, Estimator, IntegrationJob, integrate, integrate_in_batches},
    monitor::Monitored,
};
use crate::{
    config::check_guidance,
    error::{Error, Result},
    flow::Flow,
    restoration::{self, Inpainting, estimate_noise},
    solver::Solver,
};

/// Settings of denoising: [`Model::denoise`].
#[must_use = "nothing is denoised before `Model::denoise`"]
#[derive(Default)]
pub struct Denoise<'a> {
    sigma: Option<f64>,
    posterior_mean: bool,
    solver: Option<Solver>,
    guidance: Option<f64>,
    execution: Execution<'a>,
}

impl<'a> Denoise<'a> {
    /// Removes noise of this standard deviation, in the model's space, where images lie in [-1, 1].
    pub fn sigma(sigma: f64) -> Self {
        Self { sigma: Some(sigma), ..Self::default() }
    }

    /// Estimates the noise of each image from its finest Haar coefficients (Donoho and Johnstone 1994).
    pub fn estimated() -> Self {
        Self::default()
    }

    /// Returns the posterior mean `E[y | x]` from one evaluation, instead of a sample of the posterior.
    pub fn posterior_mean(mut self) -> Self {
        self.posterior_mean = true;
        self
    }

    /// Sets the solver. Default: that of the model.
    pub fn solver(mut self, solver: impl Into<Solver>) -> Self {
        self.solver = Some(solver.into());
        self
    }

    /// Sets the classifier-free guidance scale. Default: 1, no guidance.
    pub fn guidance(mut self, scale: f64) -> Self {
        self.guidance = Some(scale);
        self
    }

    execution_options!('a);
}

/// Denoised images.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Denoised {
    /// The images.
    pub samples: Samples,
    /// The noise level of each image, in the model's space.
    pub sigma: Vec<f64>,
}

/// Settings of inpainting: [`Model::inpaint`].
#[must_use = "nothing is filled before `Model::inpaint`"]
pub struct Inpaint<'a> {
    steps: usize,
    rounds: usize,
    fillings: usize,
    seed: u64,
    execution: Execution<'a>,
}

impl Default for Inpaint<'_> {
    fn default() -> Self {
        Self { steps: 100, rounds: 10, fillings: 1, seed: 0, execution: Execution::default() }
    }
}

impl<'a> Inpaint<'a> {
    /// Sets the number of noise levels. Default: 100.
    pub fn steps(mut self, steps: usize) -> Self {
        self.steps = steps;
        self
    }

    /// Sets the number of resampling rounds at each level (RePaint, arXiv 2201.09865). Default: 10.
    pub fn rounds(mut self, rounds: usize) -> Self {
        self.rounds = rounds;
        self
    }

    /// Sets the number of completions of each image. Default: 1.
    pub fn fillings(mut self, count: usize) -> Self {
        self.fillings = count;
        self
    }

    /// Sets the seed of the first completion of the first image; the others use consecutive seeds. Default: 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    execution_options!('a);
}

impl Model {
    /// Removes Gaussian noise from images by integrating the flow from the noise level of the image to the data.
    ///
    /// ```
    /// use pfgm::prelude::*;
    ///
    /// let model = Model::load("digits")?;
    /// let digits = Dataset::open("digits")?.select(&[0, 1]);
    /// let clean = model.denoise(&digits, Denoise::sigma(0.2).posterior_mean())?;
    /// assert_eq!(clean.sigma, [0.2, 0.2]);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// Returns an error if the rows do not fit the model, the level is outside of its range, the solver fails, or the computation is
    /// canceled.
    pub fn denoise(&self, noisy: &Dataset, how: Denoise) -> Result<Denoised> {
        self.denoise_rows(&self.spec.rows(noisy)?, how)
    }

    /// Removes noise from rows as [`Model::denoise`] does.
    ///
    /// # Errors
    /// Returns an error if the level is outside of the model's range, the solver fails, or the computation is canceled.
    pub fn denoise_rows(&self, rows: &Rows, how: Denoise) -> Result<Denoised> {
        self.check_has_yhat("denoise")?;
        let x = self.spec.points(rows);
        let sigma = self.noise_levels(&x, how.sigma)?;
        let guidance = how.guidance.unwrap_or(1.0);
        check_guidance("guidance", guidance, &self.spec.config)?;
        let job = IntegrationJob {
            direction: if how.posterior_mean { Direction::PosteriorMean } else { Direction::Decode },
            sigma: how.sigma.unwrap_or(0.0),
            solver: self.spec.partial_solver_or(how.solver)?,
            guidance,
            seeds: (0..rows.len() as u64).collect(),
            x,
            labels: rows.labels.clone(),
            authors_code: None,
        };
        let running = how.execution.begin("denoising", rows.len())?;
        let (x, evaluations) = if how.sigma.is_some() {
            let done = integrate_in_batches(self, &job, &running)?;
            (done.x, done.evaluations)
        } else {
            // Each image starts at a different level.
            let (mut x, mut evaluations) = (Vec::with_capacity(job.x.len()), 0);
            for (row, &sigma) in sigma.iter().enumerate() {
                let part = IntegrationJob {
                    sigma,
                    x: job.x[row * self.dim()..(row + 1) * self.dim()].to_vec(),
                    labels: vec![job.labels[row]],
                    seeds: vec![job.seeds[row]],
                    solver: job.solver.clone(),
                    ..job
                };
                let done = integrate(self, part, &running).map_err(|error| error.after(row))?;
                x.extend(done.x);
                evaluations += done.evaluations;
                running.advance(1)?;
            }
            (x, evaluations)
        };
        let nfe = evaluations as f64 / rows.len().max(1) as f64;
        let samples = Samples::of_points(&self.spec, &x, job.labels, nfe);
        Ok(Denoised { samples, sigma })
    }

    /// Returns the noise level of each row: the given one, or an estimate.
    fn noise_levels(&self, x: &[f64], given: Option<f64>) -> Result<Vec<f64>> {
        let ((low, high), rows) = (self.spec.range(), x.chunks_exact(self.dim()));
        match (given, self.spec.data.shape) {
            (Some(sigma), _) if sigma > low && sigma <= high => Ok(vec![sigma; rows.len()]),
            (Some(sigma), _) => {
                Err(Error::argument("sigma", format!("{sigma}: give a number above {low}, at most {high}")))
            }
            (None, Shape::Image { height, width, channels }) if height >= 2 && width >= 2 => {
                let estimate = |row| estimate_noise(row, [height, width, channels]).unwrap_or(low);
                Ok(rows.map(|row| estimate(row).clamp(1.001 * low, high)).collect())
            }
            (None, shape) => Err(Error::argument(
                "sigma",
                format!("noise can be estimated of images of 2x2 pixels or more, not of {shape}; give it"),
            )),
        }
    }

    /// Fills the unknown values of each row. `known` marks the known values: of one row for all rows, or of every row.
    ///
    /// ```
    /// use pfgm::prelude::*;
    ///
    /// let model = Model::load("digits")?;
    /// let digit = Dataset::open("digits")?.select(&[0]);
    /// let left_half: Vec<bool> = (0..64).map(|pixel| pixel % 8 < 4).collect();
    /// let filled = model.inpaint(&digit, &left_half, Inpaint::default().steps(5).rounds(1).fillings(2))?;
    /// assert_eq!(filled.rows(), 2);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// Returns an error if the rows or the mask do not fit the model, or the computation is canceled.
    pub fn inpaint(&self, data: &Dataset, known: &[bool], how: Inpaint) -> Result<Samples> {
        self.inpaint_rows(&self.spec.rows(data)?, known, how)
    }

    /// Fills the unknown values of rows like [`Model::inpaint`]. The completions of a row are consecutive.
    ///
    /// # Shapes
    /// `known`: `[N]`, or `[rows, N]`
    ///
    /// # Errors
    /// Returns an error if the mask does not fit the model, or the computation is canceled.
    pub fn inpaint_rows(&self, rows: &Rows, known: &[bool], how: Inpaint) -> Result<Samples> {
        self.check_has_yhat("inpaint")?;
        let Inpaint { steps, rounds, fillings, seed, execution } = how;
        let dim = self.dim();
        for (name, value) in [("steps", steps), ("rounds", rounds), ("fillings", fillings)] {
            if value == 0 {
                return Err(Error::argument(name, "give at least 1"));
            }
        }
        let of_rows = known.len() == dim * rows.len();
        match known.iter().filter(|known| **known).count() {
            _ if known.len() != dim && !of_rows => {
                return Err(Error::argument(
                    "known",
                    format!("{} values; give {dim}, one for each of a row, or as many for every row", known.len()),
                ));
            }
            0 => {
                return Err(Error::argument("known", "no value is known; use `sample`"));
            }
            count if count == known.len() => {
                return Err(Error::argument("known", "all values are known; mark the values to fill as unknown"));
            }
            _ => {}
        }
        let points = self.spec.points(rows);
        let all: Vec<usize> = (0..rows.len() * fillings).collect();
        let mut x: Vec<f64> = all.iter().flat_map(|&at| &points[at / fillings * dim..][..dim]).copied().collect();
        let mask = |at: usize| if of_rows { &known[at / fillings * dim..][..dim] } else { known };
        let labels: Vec<Option<u32>> = all.iter().map(|&at| rows.labels[at / fillings]).collect();
        let running = execution.begin("inpainting", all.len())?;
        let mut evaluations = 0;
        for (x, part) in x.chunks_mut(running.batch * dim).zip(all.chunks(running.batch)) {
            let denoiser = self.conditioned(Conditions::of(part.iter().map(|&at| labels[at]).collect()));
            let monitored = Monitored::new(&*denoiser, &running);
            let flow = Flow { denoiser: &monitored, extra_dims: self.spec.extra_dims() };
            let seeds: Vec<u64> = part.iter().map(|&at| seed.wrapping_add(at as u64)).collect();
            let how = Inpainting { steps, rounds, range: self.spec.range() };
            let known: Vec<bool> = part.iter().flat_map(|&at| mask(at)).copied().collect();
            restoration::inpaint(&flow, how, &known, &seeds, x);
            evaluations += monitored.evaluations();
            running.advance(part.len())?;
        }
        let nfe = evaluations as f64 / all.len().max(1) as f64;
        Ok(Samples::of_points(&self.spec, &x, labels, nfe))
    }
}
