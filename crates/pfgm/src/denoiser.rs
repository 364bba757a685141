//! A trained network as a [`Denoiser`].

use std::sync::{Mutex, PoisonError};

use burn::tensor::{Device, Tensor, TensorData};

use crate::{
    conditioning::{Conditioning, ConditioningTensors},
    device::is_cpu,
    flow::{Denoiser, Differentiable, Query},
    guided::guide,
    network::{Network, NetworkInput, Precision},
    precondition::{PreconditionCoefficients, column},
    prediction::{Arithmetic, InputCotangents, Prediction},
};

/// A trained network with the conditioning of a batch, as an estimate of `yhat`. [`ModelSpec::denoiser`](crate::spec::ModelSpec::denoiser)
/// makes it.
pub struct NetworkDenoiser {
    pub(crate) network: Network,
    pub(crate) prediction: Prediction,
    /// N.
    pub(crate) dim: usize,
    /// Number of classes; 0 if the network is unconditional.
    pub(crate) classes: usize,
    pub(crate) conditioning: Conditioning,
    /// Scale of classifier-free guidance: see [`guide`].
    pub(crate) guidance: f64,
    /// Largest number of rows that are evaluated together.
    pub(crate) max_rows: usize,
    pub(crate) precision: Precision,
    pub(crate) device: Device,
    pub(crate) buffers: Buffers,
}

/// Memory of earlier evaluations, for reuse.
#[derive(Default)]
pub(crate) struct Buffers {
    singles: Mutex<Vec<Vec<f32>>>,
    doubles: Mutex<Vec<Vec<f64>>>,
}

/// Takes an empty vector from a pool.
fn take<T>(pool: &Mutex<Vec<Vec<T>>>) -> Vec<T> {
    let mut vector = pool.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
    vector.clear();
    vector
}

/// Returns a vector to its pool.
fn put<T>(pool: &Mutex<Vec<Vec<T>>>, vector: Vec<T>) {
    pool.lock().unwrap_or_else(PoisonError::into_inner).push(vector);
}

/// Some rows of a query, with their probes.
#[derive(Clone, Copy)]
struct Rows<'a> {
    x: &'a [f64],
    sigma: &'a [f64],
    item: &'a [usize],
    probes: &'a [f64],
}

impl NetworkDenoiser {
    /// The meaning of the raw output.
    pub fn prediction(&self) -> Prediction {
        self.prediction.clone()
    }

    /// The logarithm of the loss's variance that the network expects at the noise level of each row (EDM2, arXiv 2312.02696); `None` if
    /// it does not estimate it.
    pub fn log_variance(&self, coefficients: &[PreconditionCoefficients]) -> Option<Vec<f32>> {
        let noise = column(coefficients, |row| row.noise, &self.device);
        let found = self.network.log_variance(noise)?;
        Some(found.into_data().try_into_vec().expect("networks return single precision"))
    }

    /// Sets the arithmetic for PFGM's field.
    #[must_use]
    pub fn with_arithmetic(mut self, arithmetic: Arithmetic) -> Self {
        self.prediction.arithmetic = arithmetic;
        self
    }

    /// Sets the precision.
    #[must_use]
    pub fn with_precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    /// Raw output of the network for rows 0, 1, ... of the conditioning.
    ///
    /// # Shapes
    /// `x`: `[rows, N]`; the result: `[rows, N]`, for a field `[rows, N + 1]`
    pub fn raw(&self, x: &[f64], coefficients: &[PreconditionCoefficients]) -> Vec<f32> {
        let items: Vec<usize> = (0..coefficients.len()).collect();
        self.forward(x, coefficients, self.conditioning.tensors(&items, self.classes, &self.device))
    }

    /// Number of rows that are evaluated together: parts of even size, none larger than a limit.
    fn rows_together(&self, rows: usize) -> usize {
        let most = if is_cpu(&self.device) { self.network.rows_in_cache() } else { usize::MAX };
        let rows = rows.max(1);
        rows.div_ceil(rows.div_ceil(self.max_rows.min(most).clamp(1, rows)))
    }

    /// Whether guidance changes the estimate of some items.
    fn is_guided(&self, item: &[usize]) -> bool {
        self.guidance != 1.0 && item.iter().any(|&item| self.conditioning.class(item).is_some())
    }

    /// `yhat` of a few rows.
    fn evaluate(&self, rows: Rows, conditioning: ConditioningTensors, yhat: &mut [f64]) {
        let coefficients = self.prediction.coefficients(rows.x, rows.sigma);
        let raw = self.forward(rows.x, &coefficients, conditioning);
        let width = raw.len() / rows.sigma.len().max(1);
        let points = yhat.chunks_exact_mut(self.dim).zip(rows.x.chunks_exact(self.dim)).zip(raw.chunks_exact(width));
        for (((yhat, x), raw), coefficients) in points.zip(&coefficients) {
            self.prediction.to_yhat(coefficients, x, raw, yhat);
        }
        put(&self.buffers.singles, raw);
    }

    fn forward(
        &self,
        x: &[f64],
        coefficients: &[PreconditionCoefficients],
        conditioning: ConditioningTensors,
    ) -> Vec<f32> {
        let ratio = column(coefficients, |row| row.log_sigma_ratio, &self.device);
        let output = self.network.forward(self.input(self.scaled(x, coefficients), ratio, coefficients, conditioning));
        output.into_data().try_into_vec().expect("networks return single precision")
    }

    /// The points times `c_in`.
    fn scaled(&self, x: &[f64], coefficients: &[PreconditionCoefficients]) -> Tensor<2> {
        let mut scaled = take(&self.buffers.singles);
        for (row, coefficients) in x.chunks_exact(self.dim).zip(coefficients) {
            scaled.extend(row.iter().map(|value| (value * coefficients.input) as f32));
        }
        Tensor::from_data(TensorData::new(scaled, [coefficients.len(), self.dim]), &self.device)
    }

    fn input(
        &self,
        x: Tensor<2>,
        log_sigma_ratio: Tensor<2>,
        coefficients: &[PreconditionCoefficients],
        conditioning: ConditioningTensors,
    ) -> NetworkInput<'static> {
        NetworkInput {
            x,
            noise: column(coefficients, |row| row.noise, &self.device),
            log_sigma_ratio,
            conditioning,
            dropout: None,
            precision: self.precision,
        }
    }

    /// `yhat` of a few rows, and the vector-Jacobian products of their probes.
    fn evaluate_vjp(&self, rows: Rows, conditioning: ConditioningTensors, yhat: &mut [f64], vjp: &mut [f64]) {
        let (prediction, dim) = (&self.prediction, self.dim);
        let coefficients = prediction.coefficients(rows.x, rows.sigma);
        // Gradients are computed for the points, not for the weights.
        let points = self.scaled(rows.x, &coefficients).autodiff().require_grad();
        let ratio = column(&coefficients, |row| row.log_sigma_ratio, &self.device).autodiff().require_grad();
        let output = self.network.forward(self.input(points.clone(), ratio.clone(), &coefficients, conditioning));
        let shape @ [_, width] = output.dims();
        let raw: Vec<f32> = output.clone().into_data().try_into_vec().expect("networks return single precision");
        let mut cotangents = Vec::with_capacity(raw.len());
        for (row, (coefficients, raw)) in coefficients.iter().zip(raw.chunks_exact(width)).enumerate() {
            let at = row * dim..(row + 1) * dim;
            let x = &rows.x[at.clone()];
            prediction.to_yhat(coefficients, x, raw, &mut yhat[at.clone()]);
            let back = prediction.output_vjp(coefficients, x, raw, &rows.probes[at.clone()]);
            vjp[at].copy_from_slice(&back.point);
            cotangents.extend(back.raw.iter().map(|&value| value as f32));
        }
        let cotangents = Tensor::<2>::from_data(TensorData::new(cotangents, shape), &self.device).autodiff();
        let gradients = (output * cotangents).sum().backward();
        let values = |tensor: &Tensor<2>| -> Vec<f32> {
            let found = tensor.grad(&gradients).map(|gradient| gradient.into_data().try_into_vec());
            found.map_or_else(Vec::new, |values| values.expect("gradients are in single precision"))
        };
        let (on_points, on_ratio) = (values(&points), values(&ratio));
        for (row, coefficients) in coefficients.iter().enumerate() {
            let at = row * dim..(row + 1) * dim;
            let log_sigma_ratio = on_ratio.get(row).map_or(0.0, |&value| f64::from(value));
            let inputs = InputCotangents { point: &on_points[at.clone()], log_sigma_ratio };
            prediction.add_input_vjp(coefficients, &rows.x[at.clone()], inputs, &mut vjp[at]);
        }
        put(&self.buffers.singles, raw);
    }

    /// Rows of a query in parts that are evaluated together, with the range of values of each.
    fn parts<'a>(
        &self,
        query: &Query<'a>,
        probes: &'a [f64],
    ) -> impl Iterator<Item = (std::ops::Range<usize>, Rows<'a>)> + use<'a> {
        let (chunk, dim) = (self.rows_together(query.sigma.len()), self.dim);
        let Query { x, sigma, item } = *query;
        (0..sigma.len()).step_by(chunk).map(move |first| {
            let end = (first + chunk).min(sigma.len());
            let values = first * dim..end * dim;
            let probes = probes.get(values.clone()).unwrap_or_default();
            (values.clone(), Rows { x: &x[values], sigma: &sigma[first..end], item: &item[first..end], probes })
        })
    }
}

impl Denoiser for NetworkDenoiser {
    fn dim(&self) -> usize {
        self.dim
    }

    fn denoise(&self, query: &Query, out: &mut [f64]) {
        for (values, rows) in self.parts(query, &[]) {
            let out = &mut out[values];
            let conditioning = self.conditioning.tensors(rows.item, self.classes, &self.device);
            self.evaluate(rows, conditioning.clone(), out);
            if self.is_guided(rows.item) {
                let mut without = take(&self.buffers.doubles);
                without.resize(out.len(), 0.0);
                self.evaluate(rows, conditioning.without_classes(), &mut without);
                guide(self.guidance, out, &without);
                put(&self.buffers.doubles, without);
            }
        }
    }
}

impl Differentiable for NetworkDenoiser {
    fn vjp(&self, query: &Query, probes: &[f64], out: &mut [f64], vjp: &mut [f64]) {
        for (values, rows) in self.parts(query, probes) {
            let (out, vjp) = (&mut out[values.clone()], &mut vjp[values]);
            let conditioning = self.conditioning.tensors(rows.item, self.classes, &self.device);
            self.evaluate_vjp(rows, conditioning.clone(), out, vjp);
            if self.is_guided(rows.item) {
                let (mut without, mut vjp_without) = (vec![0.0; out.len()], vec![0.0; out.len()]);
                self.evaluate_vjp(rows, conditioning.without_classes(), &mut without, &mut vjp_without);
                guide(self.guidance, out, &without);
                guide(self.guidance, vjp, &vjp_without);
            }
        }
    }
}
