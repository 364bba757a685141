//! Latents: points of the prior, and encoded rows of data.

use pfgm_data::Dataset;

use super::{
    Model, Rows, Samples,
    execution::{Execution, execution_options},
    integrate::{Direction, IntegrationJob, integrate_in_batches},
};
use crate::{
    config::check_guidance,
    error::{Error, Result},
    latent,
    solver::{self, Solver},
};

/// Points at the highest noise level, in the model's space.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Latents {
    /// The points, `[rows, N]`.
    pub x: Vec<f64>,
    /// The class of each row; `None` where it has none.
    pub classes: Vec<Option<u32>>,
    /// Mean number of evaluations of `yhat` per row for encoding; 0 for points of the prior.
    pub nfe: f64,
}

impl Latents {
    /// Creates latents from points of the model's space at the highest noise level, with their classes.
    ///
    /// # Shapes
    /// `x`: `[rows, N]`, `classes`: `[rows]`
    pub fn new(x: Vec<f64>, classes: Vec<Option<u32>>) -> Self {
        Self { x, classes, nfe: 0.0 }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.classes.len()
    }

    /// N, the number of values of a row.
    pub fn dim(&self) -> usize {
        self.x.len() / self.classes.len().max(1)
    }

    /// One row.
    ///
    /// # Panics
    /// Panics if there is no such row.
    pub fn row(&self, index: usize) -> &[f64] {
        &self.x[index * self.dim()..(index + 1) * self.dim()]
    }

    /// Sets the class of all rows; `None` for no class.
    #[must_use]
    pub fn with_class(mut self, class: Option<u32>) -> Self {
        self.classes.fill(class);
        self
    }

    /// The points multiplied by a factor.
    #[must_use]
    pub fn scaled(mut self, factor: f64) -> Self {
        self.x.iter_mut().for_each(|value| *value *= factor);
        self
    }

    /// The mean of the rows.
    pub fn mean(&self) -> Vec<f64> {
        latent::mean(self.x.chunks_exact(self.dim().max(1)), self.dim())
    }

    /// Returns `count` points between each row and the same row of `other`, both ends included: spherical interpolation of directions, linear
    /// interpolation of norms. Classes are those of `self`.
    ///
    /// # Panics
    /// Panics if both have different numbers of rows, or `count` is less than 2.
    pub fn interpolate(&self, other: &Self, count: usize) -> Self {
        assert!(count >= 2 && self.rows() == other.rows(), "at least two points between as many rows");
        let share = |index: usize| index as f64 / (count - 1) as f64;
        let between = |row: usize| {
            (0..count).flat_map(move |index| latent::interpolate(self.row(row), other.row(row), share(index)))
        };
        let classes = self.classes.iter().flat_map(|&class| vec![class; count]).collect();
        Self::new((0..self.rows()).flat_map(between).collect(), classes)
    }
}

/// Settings of an integration: [`Model::encode`], [`Model::decode`]. A solver converts into it.
#[must_use = "nothing moves before `Model::encode` or `Model::decode`"]
#[derive(Default)]
pub struct Integration<'a> {
    pub(super) solver: Option<Solver>,
    pub(super) guidance: Option<f64>,
    pub(super) execution: Execution<'a>,
}

impl<'a> Integration<'a> {
    /// Sets the solver. Default: RK45, with the tolerances of the solver of the model if that is RK45, otherwise 1e-4.
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

/// Implements the conversion of a solver into an integration with it.
macro_rules! from_solver {
    ($($solver:ident),+) => {
        $(
            impl From<solver::$solver> for Integration<'_> {
                fn from(solver: solver::$solver) -> Self {
                    Self::default().solver(solver)
                }
            }
        )+
    };
}

from_solver!(Solver, Consistency, Euler, Heun, StochasticHeun, Rk45, Multistep, ReverseSde);

impl Model {
    /// Returns points of the prior, one for each seed: the latents of [`Model::sample`].
    ///
    /// ```
    /// use pfgm::prelude::*;
    ///
    /// let model = Model::load("digits")?;
    /// let latents = model.latents([3]).with_class(Some(7));
    /// let decoded = model.decode(&latents, Solver::heun(4))?;
    /// assert_eq!(decoded.values(), model.sample(1).seed(3).class("7").solver(Solver::heun(4)).draw()?.values());
    /// # Ok::<(), Error>(())
    /// ```
    pub fn latents(&self, seeds: impl IntoIterator<Item = u64>) -> Latents {
        let seeds: Vec<u64> = seeds.into_iter().collect();
        Latents::new(self.spec.prior(0, seeds.iter().copied()), vec![None; seeds.len()])
    }

    /// Encodes rows of data: integrates the flow from the data to the prior.
    ///
    /// ```
    /// use pfgm::prelude::*;
    ///
    /// let model = Model::load("digits")?;
    /// let digits = Dataset::open("digits")?.select(&[0, 1]);
    /// let latents = model.encode(&digits, Solver::heun(16))?;
    /// let back = model.decode(&latents, Solver::heun(16))?;
    /// assert_eq!((latents.dim(), back.rows()), (64, 2));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// Returns an error if the rows do not fit the model, the solver adds noise or fails, or the computation is canceled.
    pub fn encode<'a>(&self, data: &Dataset, how: impl Into<Integration<'a>>) -> Result<Latents> {
        self.encode_rows(&self.spec.rows(data)?, how)
    }

    /// Encodes rows like [`Model::encode`].
    ///
    /// # Errors
    /// Returns an error if the solver adds noise or fails, or the computation is canceled.
    pub fn encode_rows<'a>(&self, rows: &Rows, how: impl Into<Integration<'a>>) -> Result<Latents> {
        let x = self.spec.points(rows);
        self.transport(Direction::Encode, Latents::new(x, rows.labels.clone()), how.into())
    }

    /// Decodes latents: integrates the flow from the prior to the data. See [`Model::encode`] and [`Model::latents`].
    ///
    /// # Errors
    /// Returns an error if the latents have another dimension than the model, the solver fails, or the computation is canceled.
    pub fn decode<'a>(&self, latents: &Latents, how: impl Into<Integration<'a>>) -> Result<Samples> {
        let done = self.transport(Direction::Decode, latents.clone(), how.into())?;
        Ok(Samples::of_points(&self.spec, &done.x, done.classes, done.nfe))
    }

    /// Interpolates `count` latents between each row of `from` and the same row of `to`, and decodes them: see [`Latents::interpolate`].
    ///
    /// ```
    /// use pfgm::prelude::*;
    ///
    /// let model = Model::load("digits")?;
    /// let (from, to) = (model.latents([1]), model.latents([2]));
    /// let class = Some(model.class("3")?);
    /// let row = model.interpolate(&from.with_class(class), &to, 5, Solver::heun(4))?;
    /// assert_eq!(row.rows(), 5);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// Returns an error if both have different numbers of rows, or as [`Model::decode`].
    pub fn interpolate<'a>(
        &self,
        from: &Latents,
        to: &Latents,
        count: usize,
        how: impl Into<Integration<'a>>,
    ) -> Result<Samples> {
        if count < 2 {
            return Err(Error::argument("count", format!("{count}: give at least 2")));
        }
        if from.rows() != to.rows() {
            return Err(Error::argument(
                "to",
                format!("{} rows, but `from` has {}; give as many", to.rows(), from.rows()),
            ));
        }
        self.decode(&from.interpolate(to, count), how)
    }

    /// Returns the number of the class with this name or number.
    ///
    /// # Errors
    /// Returns an error if the model has no such class.
    pub fn class(&self, name: &str) -> Result<u32> {
        self.spec.class(name)
    }

    fn transport(&self, direction: Direction, points: Latents, how: Integration) -> Result<Latents> {
        let (stage, (_, sigma)) =
            (if direction == Direction::Encode { "encoding" } else { "decoding" }, self.spec.range());
        match direction {
            Direction::Encode => self.check_has_yhat(stage)?,
            _ => self.check_samples_alone(stage)?,
        }
        let (rows, dim) = (points.rows(), self.dim());
        if points.x.len() != rows * dim {
            let problem = format!("{} values for {rows} rows of {dim}; give whole rows", points.x.len());
            return Err(Error::argument("latents", problem));
        }
        let guidance = how.guidance.unwrap_or(1.0);
        check_guidance("guidance", guidance, &self.spec.config)?;
        let solver = match direction {
            Direction::Encode => self.spec.invertible_solver_or(how.solver)?,
            _ => self.spec.solver_or(Some(how.solver.unwrap_or_else(|| self.spec.invertible_solver())))?,
        };
        let job = IntegrationJob {
            direction,
            sigma,
            solver,
            guidance,
            x: points.x,
            labels: points.classes,
            seeds: (0..rows as u64).collect(),
            authors_code: None,
        };
        let running = how.execution.begin(stage, rows)?;
        let done = integrate_in_batches(self, &job, &running)?;
        Ok(Latents { x: done.x, classes: job.labels, nfe: done.evaluations as f64 / rows.max(1) as f64 })
    }
}
