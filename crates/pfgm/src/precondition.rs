//! From a network to an estimate of `yhat`: EDM's preconditioning (arXiv 2206.00364, table 1; docs/equations.md, section 3).

use burn::tensor::{Device, Tensor, TensorData};

use crate::{
    device::is_cpu,
    flow::{Denoiser, Query},
    network::{Network, NetworkInput},
};

/// `yhat = c_skip x + c_out F(c_in x, c_noise)`, with factors that keep the network's input and target at unit variance
/// for data of standard deviation `sigma_data`.
///
/// EDM's factors are functions of sigma, which says how large Gaussian noise is. For small D the noise has heavy tails:
/// a point of the prior may lie a thousand times farther out than its sigma suggests, where EDM's factors would hand the
/// network an input, and ask for an output, far from unit variance. With a `reach` the factors are those of the noise
/// that the point itself shows, `s^2 = sigma^2 + max(0, |x|^2/N - reach^2 - 4 sigma^2)`: EDM's wherever the point is no
/// farther out than the farthest row of the data and twice sigma suggest, and the field of one point charge, `yhat -> 0`,
/// far away.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Precondition {
    /// The standard deviation of the data.
    pub sigma_data: f64,
    /// The largest root mean square of a row of the data, where points far out are scaled by their own norm.
    pub reach: Option<f64>,
}

/// How much larger than sigma suggests noise has to be, as a ratio of squared norms, to be taken as it shows itself.
const FAR: f64 = 4.0;

/// The factors at one noise level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Factors {
    /// What of `x` passes by the network.
    pub skip: f64,
    /// What the network's output is multiplied by.
    pub out: f64,
    /// What the network's input is multiplied by.
    pub input: f64,
    /// How the network is told the noise level.
    pub noise: f64,
    /// How the network is told that a point is far out; 0 where it is not.
    pub far: f64,
}

impl Precondition {
    /// The factors at noise level `sigma` of a point whose squared norm is `mean_square` times N.
    pub fn factors(self, sigma: f64, mean_square: f64) -> Factors {
        let data = self.sigma_data * self.sigma_data;
        let excess = |reach: f64| (mean_square - reach * reach - FAR * sigma * sigma).max(0.0);
        let excess = self.reach.map_or(0.0, excess);
        let shown = (sigma * sigma + excess).sqrt();
        let total = shown * shown + data;
        Factors {
            skip: data / total,
            out: shown * self.sigma_data / total.sqrt(),
            input: 1.0 / total.sqrt(),
            noise: sigma.ln() / 4.0,
            far: (shown / sigma).ln() / 4.0,
        }
    }

    /// The factors of each row of a batch.
    ///
    /// # Shapes
    /// `x`: `[rows, dim]`, `sigma`: `[rows]`
    pub fn of_rows<T: Copy + Into<f64>>(self, x: &[T], sigma: &[f64]) -> Vec<Factors> {
        let dim = x.len() / sigma.len().max(1);
        let mean_square =
            |row: &[T]| row.iter().map(|&value| value.into() * value.into()).sum::<f64>() / row.len() as f64;
        x.chunks_exact(dim.max(1)).zip(sigma).map(|(row, &sigma)| self.factors(sigma, mean_square(row))).collect()
    }
}

/// A trained network as a denoiser.
pub struct NetworkDenoiser {
    /// The network, on a device without a record of gradients.
    pub network: Network,
    /// How its output becomes `yhat`.
    pub precondition: Precondition,
    /// N.
    pub dim: usize,
    /// The number of classes that it knows; 0 for none.
    pub classes: usize,
    /// The class of each item of the batch; an item beyond the end has none.
    pub labels: Vec<Option<u32>>,
    /// Classifier-free guidance (arXiv 2207.12598): `yhat = u + guidance (c - u)` of the estimates with (c) and without
    /// (u) the class. 1 is the plain conditional estimate.
    pub guidance: f64,
    /// Rows that are evaluated together at the most.
    pub rows_at_once: usize,
    /// Where the network is.
    pub device: Device,
}

impl NetworkDenoiser {
    /// `yhat` of a few rows with the given classes.
    fn evaluate(&self, x: &[f64], sigma: &[f64], labels: &[Option<u32>], out: &mut [f64]) {
        let rows = sigma.len();
        let factors = self.precondition.of_rows(x, sigma);
        let scaled: Vec<f32> = x
            .chunks_exact(self.dim)
            .zip(&factors)
            .flat_map(|(row, factors)| row.iter().map(|value| (value * factors.input) as f32))
            .collect();
        let input = NetworkInput {
            x: Tensor::from_data(TensorData::new(scaled, [rows, self.dim]), &self.device),
            noise: column(&factors, |factors| factors.noise, &self.device),
            far: column(&factors, |factors| factors.far, &self.device),
            classes: one_hot(labels, self.classes, &self.device),
            dropout: None,
        };
        let raw = self.network.forward(input).into_data();
        let raw = raw.as_slice::<f32>().expect("networks compute in single precision");
        for (at, out) in out.iter_mut().enumerate() {
            let factors = &factors[at / self.dim];
            *out = factors.skip * x[at] + factors.out * f64::from(raw[at]);
        }
    }
}

impl Denoiser for NetworkDenoiser {
    fn dim(&self) -> usize {
        self.dim
    }

    fn denoise(&self, query: &Query, out: &mut [f64]) {
        let most = if is_cpu(&self.device) { self.network.rows_in_cache() } else { usize::MAX };
        // Parts of even size, none larger than what may be evaluated at once.
        let rows = query.sigma.len().max(1);
        let chunk = rows.div_ceil(rows.div_ceil(self.rows_at_once.min(most).clamp(1, rows)));
        let rows = query.x.chunks(chunk * self.dim).zip(out.chunks_mut(chunk * self.dim));
        for ((x, out), (sigma, item)) in rows.zip(query.sigma.chunks(chunk).zip(query.item.chunks(chunk))) {
            let labels: Vec<_> = item.iter().map(|&item| self.labels.get(item).copied().flatten()).collect();
            self.evaluate(x, sigma, &labels, out);
            if self.guidance != 1.0 && labels.iter().any(Option::is_some) {
                let mut free = vec![0.0; out.len()];
                self.evaluate(x, sigma, &vec![None; labels.len()], &mut free);
                out.iter_mut().zip(&free).for_each(|(out, free)| *out = free + self.guidance * (*out - free));
            }
        }
    }
}

/// One of the factors of each row, `[rows, 1]`.
pub fn column(factors: &[Factors], of: impl Fn(&Factors) -> f64, device: &Device) -> Tensor<2> {
    let values: Vec<f32> = factors.iter().map(|factors| of(factors) as f32).collect();
    Tensor::from_data(TensorData::new(values, [factors.len(), 1]), device)
}

/// Rows with a one at the class and zeros elsewhere; none when the network knows no classes.
pub fn one_hot(labels: &[Option<u32>], classes: usize, device: &Device) -> Option<Tensor<2>> {
    if classes == 0 {
        return None;
    }
    let mut values = vec![0.0_f32; labels.len() * classes];
    for (row, label) in labels.iter().enumerate() {
        if let Some(label) = label {
            values[row * classes + *label as usize] = 1.0;
        }
    }
    Some(Tensor::from_data(TensorData::new(values, [labels.len(), classes]), device))
}
