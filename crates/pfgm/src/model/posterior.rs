//! Posterior sampling given a linear measurement.

use super::{
    Model, Samples,
    execution::{Execution, execution_options},
    integrate::{Conditions, Estimator},
    monitor::Monitored,
};
use crate::{
    error::{Error, Result},
    flow::Flow,
    posterior::{Conditioned, Guidance, LinearOperator, Measurement, Scaled},
    solver::{self, Solver},
};

/// Settings of posterior sampling: [`Model::posterior`].
#[must_use = "nothing is drawn before `Model::posterior`"]
pub struct Posterior<'a> {
    draws: usize,
    seed: u64,
    noise: f64,
    solver: Option<Solver>,
    guidance: Guidance,
    class: Option<u32>,
    execution: Execution<'a>,
}

impl<'a> Posterior<'a> {
    /// Draws `draws` samples, given a measurement with white noise of standard deviation `noise`, in the units of the measurement.
    pub fn new(draws: usize, noise: f64) -> Self {
        Self {
            draws,
            seed: 0,
            noise,
            solver: None,
            guidance: Guidance::default(),
            class: None,
            execution: Execution::default(),
        }
    }

    /// Sets the seed of the first draw; the others use consecutive seeds. Default: 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets the solver. Default: that of the model.
    pub fn solver(mut self, solver: impl Into<Solver>) -> Self {
        self.solver = Some(solver.into());
        self
    }

    /// Sets the approximation of the covariance of the data given a point. Default: MMPS with 4 iterations.
    pub fn guidance(mut self, guidance: Guidance) -> Self {
        self.guidance = guidance;
        self
    }

    /// Sets the class of all draws. Default: none.
    pub fn class(mut self, class: u32) -> Self {
        self.class = Some(class);
        self
    }

    execution_options!('a);
}

impl Model {
    /// Draws rows `y` from their posterior distribution given a measurement `a = A y + noise` in the data's units, by the conditional
    /// flow (docs/equations.md, section 9; MMPS, arXiv 2405.13712).
    ///
    /// The draws are exact for Gaussian data at D = infinity, and approximate otherwise.
    ///
    /// # Shapes
    /// `measurement`: `[M]`; the operator maps rows of N values to M values.
    ///
    /// ```
    /// use pfgm::{posterior::Mask, prelude::*};
    ///
    /// let model = Model::load("digits")?;
    /// let digit = Dataset::open("digits")?.select(&[0]).values()?;
    /// // The upper half is known.
    /// let known: Vec<bool> = (0..64).map(|pixel| pixel < 32).collect();
    /// let measurement: Vec<f64> = digit[..32].iter().map(|&value| f64::from(value)).collect();
    /// let operator = Mask::new(&known).unwrap();
    /// let draws = model.posterior(&measurement, &operator, Posterior::new(2, 0.5).solver(Solver::heun(5)))?;
    /// assert_eq!(draws.rows(), 2);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// Returns an error if the measurement does not fit the operator or the model, the solver fails, or the computation is canceled.
    pub fn posterior(&self, measurement: &[f64], operator: &dyn LinearOperator, how: Posterior) -> Result<Samples> {
        self.check_samples_alone("posterior")?;
        let Posterior { draws, seed, noise, solver, guidance, class, execution } = how;
        let dim = self.dim();
        if operator.inputs() != dim {
            let problem = format!("takes rows of {} values, but rows of the model have {dim}", operator.inputs());
            return Err(Error::argument("operator", problem));
        }
        if let Some(class) = class {
            self.spec.check_class(class)?;
        }
        // a = A (scale x + offset) + noise: an operator and a measurement in the model's space.
        let transform = &self.spec.data.transform;
        let factor = |at: usize| f64::from(transform.scale[at % transform.scale.len()]);
        let scaled = Scaled { operator, factors: (0..dim).map(factor).collect() };
        let mut shifted = vec![0.0; operator.outputs()];
        let offsets: Vec<f64> = transform.offset.iter().copied().cycle().take(dim).collect();
        operator.apply(&offsets, &mut shifted);
        let values = if measurement.len() == shifted.len() {
            measurement.iter().zip(&shifted).map(|(a, offset)| a - offset).collect()
        } else {
            measurement.to_vec()
        };
        let problem = |error: crate::posterior::MeasurementError| Error::argument("measurement", error.to_string());
        let measurement = Measurement::new(&scaled, values, noise).map_err(problem)?;
        let solver = solver.unwrap_or_else(|| self.spec.config.sample.solver.clone());
        let seeds: Vec<u64> = (0..draws as u64).map(|draw| seed.wrapping_add(draw)).collect();
        let (running, range) = (execution.begin("posterior", draws)?, self.spec.range());
        let (mut x, mut evaluations) = (Vec::with_capacity(draws * dim), 0);
        for part in seeds.chunks(running.batch) {
            let denoiser = self.conditioned(Conditions::of(vec![class; part.len()]));
            let monitored = Monitored::new(&*denoiser, &running);
            let conditioned = Conditioned::new(&monitored, self.spec.extra_dims(), &measurement, guidance);
            let flow = Flow { denoiser: &conditioned, extra_dims: self.spec.extra_dims() };
            let mut points = flow.latents(range.1, 0, part.iter().copied());
            solver::sample_seeded(&flow, &solver, range, part, &mut points)?;
            x.extend(points);
            evaluations += monitored.evaluations();
            running.advance(part.len())?;
        }
        let nfe = evaluations as f64 / draws.max(1) as f64;
        let samples = Samples::new(self.spec.to_data_units(&x), vec![class; draws], nfe, &self.spec.data);
        Ok(samples.with_seeds(seeds))
    }
}
