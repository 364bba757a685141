//! The exact field of a data set: sampling without a network.

use pfgm_data::{Dataset, Transform};

use super::{
    Sampling,
    builder::extra_dims,
    integrate::{Conditions, Estimator},
};
use crate::{
    config::Config,
    error::{Error, Result},
    field,
    flow::{Denoiser, Differentiable, Query},
    spec::{DataInfo, ModelSpec},
};

/// Maximum number of values of a data set, since each evaluation reads all of them.
const MOST_VALUES: usize = 20_000_000;

/// The exact field of a data set, whose rows are the charges.
///
/// ```
/// use pfgm::prelude::*;
///
/// let data = Dataset::open("heart")?.select(&[0, 1, 2, 3]);
/// let field = ExactField::new(&data, 1.0)?;
/// let samples = field.sample(5).seed(0).solver(Solver::rk45(1e-5)).draw()?;
/// assert_eq!(samples.rows(), 5);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ExactField {
    spec: ModelSpec,
    field: field::ExactField,
}

impl ExactField {
    /// Creates the field of the rows of `data` with `d` extra dimensions: a number above 0, or infinity.
    ///
    /// The rows are scaled as for a model: images to [-1, 1], columns of vectors to zero mean and unit variance. Noise levels range
    /// from 0.001 to 100 times the norm of the farthest row, where the field is that of one point charge.
    ///
    /// # Errors
    /// Returns an error if `d` is not above 0, or the data are too many or cannot be read.
    pub fn new(data: &Dataset, d: f64) -> Result<Self> {
        let extra_dims = extra_dims(d)?;
        let mut config = Config::default();
        config.flow.extra_dims = extra_dims;
        config.flow.sigma_min = 1e-3;
        Self::of(data, Transform::fit(data)?, config)
    }

    /// Creates the field of the rows of `data` in the space of a model that was trained on them, with the same D and noise levels.
    ///
    /// # Errors
    /// Returns an error if the rows have another shape than the model's, or are too many or cannot be read.
    pub fn like(spec: &ModelSpec, data: &Dataset) -> Result<Self> {
        if data.shape != spec.data.shape {
            let problem =
                format!("{}: rows are {}, but the model learned from {}", data.name, data.shape, spec.data.shape);
            return Err(Error::argument("data", problem));
        }
        Self::of(data, spec.data.transform.clone(), spec.config.clone())
    }

    fn of(data: &Dataset, transform: Transform, mut config: Config) -> Result<Self> {
        let (dim, rows) = (data.shape.dim(), data.len());
        if rows.saturating_mul(dim) > MOST_VALUES {
            let problem = format!("{}: {rows} rows of {dim} values; give at most {MOST_VALUES} values", data.name);
            return Err(Error::argument("data", problem));
        }
        let mut charges = Vec::with_capacity(rows * dim);
        data.each_transformed(&transform, &mut |row| {
            charges.extend(row.iter().map(|&value| f64::from(value)));
        })?;
        let norm = |row: &[f64]| row.iter().map(|value| value * value).sum::<f64>().sqrt();
        let farthest = charges.chunks_exact(dim).map(norm).fold(0.0, f64::max).max(1.0);
        config.flow.sigma_max.get_or_insert(100.0 * farthest);
        config.data.conditional = false;
        let info = DataInfo {
            name: data.name.clone(),
            shape: data.shape,
            transform,
            range: data.range,
            columns: data.columns.clone(),
            whole_columns: Vec::new(),
            table: data.table.as_deref().cloned(),
            classes: Vec::new(),
            class_counts: Vec::new(),
            rows,
        };
        let field = field::ExactField::new(charges, dim, config.flow.extra_dims);
        Ok(Self { spec: ModelSpec { config, data: info }, field })
    }

    /// The data, D and the noise levels.
    pub fn spec(&self) -> &ModelSpec {
        &self.spec
    }

    /// The field itself, in the model's space.
    pub fn field(&self) -> &field::ExactField {
        &self.field
    }

    /// Returns a request for `count` samples. Default solver: Heun's method with 18 steps.
    pub fn sample(&self, count: usize) -> Sampling<'_> {
        Sampling::new(self, count)
    }

    /// Computes `yhat(x, sigma)`, the field-weighted mean of the charges, at points of the model's space.
    ///
    /// # Shapes
    /// `x` and the result: `[rows, N]`, `sigma`: `[rows]`
    ///
    /// # Errors
    /// Returns an error if the shapes do not fit.
    pub fn yhat(&self, x: &[f64], sigma: &[f64]) -> Result<Vec<f64>> {
        let dim = self.spec.dim();
        if x.len() != sigma.len() * dim {
            let problem = format!("{} values for {} levels; give {dim} for each", x.len(), sigma.len());
            return Err(Error::argument("x", problem));
        }
        let item: Vec<usize> = (0..sigma.len()).collect();
        let mut yhat = vec![0.0; x.len()];
        self.field.denoise(&Query { x, sigma, item: &item }, &mut yhat);
        Ok(yhat)
    }
}

impl Estimator for ExactField {
    fn spec(&self) -> &ModelSpec {
        &self.spec
    }

    fn conditioned(&self, _conditions: Conditions) -> Box<dyn Differentiable + '_> {
        Box::new(&self.field)
    }
}
