//! Estimates of the network at given points.

use pfgm_data::Shape;

use super::{
    EVALUATION_BATCH, Model,
    integrate::{Conditions, Estimator},
};
use crate::{
    conditioning::{Conditioning, LowResolution},
    error::{Error, Result},
    flow::{Denoiser, Query},
    prediction::Output,
};

/// Estimates of a network at some points.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Prediction {
    /// `yhat`, the field-weighted mean of the charges, `[rows, N]`, in the model's space; of a distilled model the consistency function
    /// `f(x, sigma)`, the end of the flow line.
    pub yhat: Vec<f64>,
    /// The network's raw output: `[rows, N]`, or `[rows, N + 1]` for PFGM's field.
    pub raw: Vec<f32>,
    /// Number of values in a row of `raw`.
    pub width: usize,
    /// The score of a score model in the coordinates of its diffusion process, `[rows, N]`.
    pub score: Option<Vec<f64>>,
    /// The logarithm of the loss's variance, `[rows]`, of networks that estimate it (EDM2).
    pub log_variance: Option<Vec<f32>>,
}

impl Model {
    /// Estimates `yhat(x, sigma)`, the field-weighted mean of the charges, at points of the model's space.
    ///
    /// ```
    /// use pfgm::prelude::*;
    ///
    /// let model = Model::load("digits")?;
    /// let latents = model.latents([0, 1]);
    /// let yhat = model.yhat(&latents.x, &[80.0, 80.0], &[Some(3), None])?;
    /// assert_eq!(yhat.len(), 2 * 64);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Shapes
    /// `x` and the result: `[rows, N]`, `sigma`: `[rows]`, `classes`: `[rows]`, or empty for no classes
    ///
    /// # Errors
    /// Returns an error if the shapes do not fit, a level is not above 0, or a class does not exist.
    pub fn yhat(&self, x: &[f64], sigma: &[f64], classes: &[Option<u32>]) -> Result<Vec<f64>> {
        self.check_points(x, sigma, classes)?;
        let item: Vec<usize> = (0..sigma.len()).collect();
        let mut yhat = vec![0.0; x.len()];
        self.conditioned(Conditions::of(classes.to_vec())).denoise(&Query { x, sigma, item: &item }, &mut yhat);
        Ok(yhat)
    }

    /// Estimates `yhat`, and the product of each row's `vector` with the Jacobian `d yhat / dx` (a vector-Jacobian product), from one
    /// evaluation.
    ///
    /// ```
    /// use pfgm::prelude::*;
    ///
    /// let model = Model::load("digits")?;
    /// let latents = model.latents([0]);
    /// let (yhat, product) = model.vjp(&latents.x, &[1.0], &[None], &vec![1.0; 64])?;
    /// assert_eq!((yhat.len(), product.len()), (64, 64));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Shapes
    /// `x`, `vector` and both results: `[rows, N]`, `sigma`: `[rows]`, `classes`: `[rows]`, or empty for no classes
    ///
    /// # Errors
    /// Returns an error if the shapes do not fit, a level is not above 0, or a class does not exist.
    pub fn vjp(
        &self,
        x: &[f64],
        sigma: &[f64],
        classes: &[Option<u32>],
        vector: &[f64],
    ) -> Result<(Vec<f64>, Vec<f64>)> {
        self.check_points(x, sigma, classes)?;
        if vector.len() != x.len() {
            return Err(Error::argument(
                "vector",
                format!("{} values; give as many as `x` has, {}", vector.len(), x.len()),
            ));
        }
        let item: Vec<usize> = (0..sigma.len()).collect();
        let (mut yhat, mut product) = (vec![0.0; x.len()], vec![0.0; x.len()]);
        let denoiser = self.conditioned(Conditions::of(classes.to_vec()));
        denoiser.vjp(&Query { x, sigma, item: &item }, vector, &mut yhat, &mut product);
        Ok((yhat, product))
    }

    /// Estimates `yhat` at points in the coordinates of the network's diffusion process, and returns its raw output and score as well. For VP and
    /// sub-VP models these coordinates are `m(t)` times those of the flow.
    ///
    /// ```
    /// use pfgm::prelude::*;
    ///
    /// let model = Model::load("digits")?;
    /// let found = model.predict(&vec![0.0; 64], &[1.0], &[None])?;
    /// assert_eq!((found.yhat.len(), found.raw.len(), found.width), (64, 64, 64));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Shapes
    /// `x`: `[rows, N]`, `sigma`: `[rows]`, `classes`: `[rows]`, or empty for no classes
    ///
    /// # Errors
    /// Returns an error if the shapes do not fit, a level is not above 0, a class does not exist, or the model upscales.
    pub fn predict(&self, x: &[f64], sigma: &[f64], classes: &[Option<u32>]) -> Result<Prediction> {
        self.check_samples_alone("predict")?;
        self.check_shapes(x, sigma, classes)?;
        self.predict_conditioned(x, sigma, classes.to_vec().into())
    }

    /// As [`Model::predict`], of a model that upscales.
    ///
    /// # Shapes
    /// `low.image`: `[rows, values of a low-resolution image]`, in the model's space, with the noise
    ///
    /// # Errors
    /// As [`Model::predict`], and if the model does not upscale, or the images do not fit.
    pub fn predict_upscaled(
        &self,
        x: &[f64],
        sigma: &[f64],
        classes: &[Option<u32>],
        low: LowResolution,
    ) -> Result<Prediction> {
        let spatial = self.spec.spatial();
        let Some(dim) = spatial.low_shape().map(Shape::dim) else {
            return Err(Error::argument("low", "the model does not upscale; use `predict`"));
        };
        self.check_shapes(x, sigma, classes)?;
        if low.image.len() != sigma.len() * dim {
            let problem = format!("{} values for {} rows; give {dim} for each", low.image.len(), sigma.len());
            return Err(Error::argument("low", problem));
        }
        let conditioning: Conditioning = classes.to_vec().into();
        self.predict_conditioned(x, sigma, conditioning.with_low_resolution(&spatial, low.image, low.noise))
    }

    fn predict_conditioned(&self, x: &[f64], sigma: &[f64], conditioning: Conditioning) -> Result<Prediction> {
        let (dim, prediction) = (self.dim(), self.spec.prediction());
        let is_scaled = matches!(prediction.output, Output::Vp { .. } | Output::SubVp { .. });
        // The points in the coordinates of the process, and in those of the flow.
        let coefficients = prediction.coefficients(x, sigma);
        let mean = |row: usize| if is_scaled { coefficients[row].input } else { 1.0 };
        let x: Vec<f64> = x.iter().enumerate().map(|(at, x)| x / mean(at / dim)).collect();
        let denoiser = self.spec.denoiser(&self.network, conditioning, 1.0, EVALUATION_BATCH, &self.device);
        let item: Vec<usize> = (0..sigma.len()).collect();
        let mut yhat = vec![0.0; x.len()];
        denoiser.denoise(&Query { x: &x, sigma, item: &item }, &mut yhat);
        let raw = denoiser.raw(&x, &coefficients);
        // The score in the coordinates of the process, which are `mean` times as large.
        let score = |at: usize| (yhat[at] - x[at]) / (sigma[at / dim].powi(2) * mean(at / dim));
        let is_score = is_scaled || matches!(prediction.output, Output::Ve { .. });
        let score = is_score.then(|| (0..x.len()).map(score).collect());
        let log_variance = denoiser.log_variance(&coefficients);
        Ok(Prediction { width: raw.len() / sigma.len().max(1), yhat, raw, score, log_variance })
    }

    fn check_points(&self, x: &[f64], sigma: &[f64], classes: &[Option<u32>]) -> Result<()> {
        self.check_has_yhat("x")?;
        self.check_shapes(x, sigma, classes)
    }

    fn check_shapes(&self, x: &[f64], sigma: &[f64], classes: &[Option<u32>]) -> Result<()> {
        let (rows, dim) = (sigma.len(), self.dim());
        if x.len() != rows * dim {
            return Err(Error::argument("x", format!("{} values for {rows} levels; give {dim} for each", x.len())));
        }
        if let Some(sigma) = sigma.iter().find(|sigma| !(**sigma > 0.0 && sigma.is_finite())) {
            return Err(Error::argument("sigma", format!("{sigma}: give a number above 0")));
        }
        if !classes.is_empty() && classes.len() != rows {
            return Err(Error::argument(
                "classes",
                format!("{} classes for {rows} rows; give as many, or none", classes.len()),
            ));
        }
        let known = self.classes().len() as u32;
        match classes.iter().flatten().find(|class| **class >= known) {
            Some(class) => Err(Error::argument("classes", format!("{class}: the model has {known} classes"))),
            None => Ok(()),
        }
    }
}
