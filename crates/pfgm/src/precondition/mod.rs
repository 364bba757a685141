//! From a network to an estimate of `yhat`: EDM's preconditioning (arXiv 2206.00364, table 1; docs/equations.md, section 3).

mod excess;
mod gradient;

use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

pub use self::excess::{Excess, detailed, details, mean_square};
use crate::{
    device::is_cpu,
    flow::{Denoiser, Differentiable, Query},
    network::{Network, NetworkInput, Precision},
    process::Process,
};

/// `yhat = c_skip x + c_out F(c_in x, c_noise)`, with factors that keep the network's input and target at unit variance
/// for data of standard deviation `sigma_data`.
///
/// EDM's factors are functions of sigma, which says how large Gaussian noise is. For small D the noise has heavy tails:
/// a point of the prior may lie a thousand times farther out than its sigma suggests, where EDM's factors would hand the
/// network an input, and ask for an output, far from unit variance. With an [`Excess`] the factors are those of the noise
/// that the point itself shows, `s^2 = sigma^2 + max(0, excess(x) - 4 sigma^2)`: EDM's wherever the point looks no noisier
/// than data with twice sigma do, and the field of one point charge, `yhat -> 0`, far away.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Precondition {
    /// The standard deviation of the data.
    pub sigma_data: f64,
    /// How points show their noise, where they are asked.
    pub excess: Option<Excess>,
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
    /// The factors of a point at noise level `sigma`.
    pub fn factors<T: Copy + Into<f64>>(self, sigma: f64, x: &[T]) -> Factors {
        let data = self.sigma_data * self.sigma_data;
        let excess = self.excess.map_or(0.0, |excess| (excess.of(x) - FAR * sigma * sigma).max(0.0));
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
        x.chunks_exact(dim.max(1)).zip(sigma).map(|(row, &sigma)| self.factors(sigma, row)).collect()
    }
}

/// What a network's raw output says about `yhat`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Output {
    /// EDM's preconditioned denoiser: see [`Precondition`].
    #[default]
    Edm,
    /// PFGM's normalised field `v = -sqrt(N) E / (|E| + gamma)`, its component along z at the end; D = 1.
    Field {
        /// What keeps the field finite near the data.
        gamma: f64,
    },
    /// The score of data with Gaussian noise (VE), divided by sigma or not.
    Ve {
        /// Whether the output is yet to be divided by sigma.
        scaled: bool,
        /// The network's unit of noise in the model's space: 2 where it was trained on images of [0, 1] instead of [-1, 1].
        #[serde(default = "one", skip_serializing_if = "is_one")]
        unit: f64,
    },
    /// The noise, standard normal, of data that shrink while noise grows, keeping the variance (VP); negative.
    Vp {
        /// The first rate of the noise.
        beta_min: f64,
        /// The last.
        beta_max: f64,
    },
    /// The same with less noise (sub-VP).
    SubVp {
        /// The first rate of the noise.
        beta_min: f64,
        /// The last.
        beta_max: f64,
    },
}

fn one() -> f64 {
    1.0
}

fn is_one(value: &f64) -> bool {
    *value == 1.0
}

impl Output {
    /// The process that a network with such an output was trained on: that of the flow itself where it is no score model of another.
    pub fn process(self) -> Process {
        match self {
            Self::Edm | Self::Field { .. } | Self::Ve { .. } => Process::Ve,
            Self::Vp { beta_min, beta_max } => Process::Vp { beta_min, beta_max },
            Self::SubVp { beta_min, beta_max } => Process::SubVp { beta_min, beta_max },
        }
    }
}

/// How `yhat` follows from PFGM's field.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Arithmetic {
    /// The component along z follows from the others (docs/equations.md, section 3).
    #[default]
    Exact,
    /// As PFGM's released code has it: the network's own component from `z_exp` on, an approximation below, and 1e-5 added to it.
    Reference {
        /// Where the network's own component takes over: 5 for CIFAR-10, 1 for CelebA 64, 0.1 for LSUN bedroom 256.
        z_exp: f64,
    },
}

/// A network's input and output at one noise level: how `yhat` follows from them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parametrisation {
    /// What the output says.
    pub output: Output,
    /// EDM's factors, where it is EDM's.
    pub precondition: Precondition,
    /// Whether the network wants the logarithm of the level.
    pub logarithmic: bool,
    /// How a field becomes `yhat`.
    pub arithmetic: Arithmetic,
}

impl Parametrisation {
    /// The factors of each row of a batch: of those for EDM, and otherwise what the input is multiplied by and the noise level as
    /// the network knows it.
    pub fn of_rows<T: Copy + Into<f64>>(self, x: &[T], sigma: &[f64]) -> Vec<Factors> {
        if self.output == Output::Edm {
            return self.precondition.of_rows(x, sigma);
        }
        let row = |&sigma: &f64| {
            let (input, noise) = self.level(sigma);
            let noise = if self.logarithmic { noise.ln() } else { noise };
            Factors { skip: 1.0, out: 1.0, input, noise, far: 0.0 }
        };
        sigma.iter().map(row).collect()
    }

    /// What the input is multiplied by, and the level in the network's own terms: z, sigma or 999 t.
    fn level(self, sigma: f64) -> (f64, f64) {
        match self.output {
            Output::Edm | Output::Field { .. } => (1.0, sigma),
            Output::Ve { unit, .. } => (1.0, sigma / unit),
            Output::Vp { .. } | Output::SubVp { .. } => {
                let process = self.output.process();
                // Their times depend on no range.
                (process.mean_at(sigma), 999.0 * process.time(sigma, (0.0, 0.0)))
            }
        }
    }

    /// What the network should say at points where `yhat` is known: the output from which [`Parametrisation::estimate`] makes it.
    ///
    /// None for EDM, whose loss is that of the estimate itself.
    ///
    /// # Shapes
    /// `x` and `yhat`: `[rows, dim]`; the result: `[rows, dim]`, for a field `[rows, dim + 1]`
    pub fn targets(self, x: &[f32], sigma: &[f64], yhat: &[f32]) -> Option<Vec<f32>> {
        let dim = x.len() / sigma.len().max(1);
        let rows = || x.chunks_exact(dim).zip(yhat.chunks_exact(dim)).zip(sigma);
        // The noise in x, times a factor of the level.
        let noise = |factor: &dyn Fn(f64) -> f64| {
            let row = |((x, yhat), &sigma): ((&[f32], &[f32]), &f64)| -> Vec<f32> {
                x.iter().zip(yhat).map(|(x, y)| (f64::from(x - y) * factor(sigma)) as f32).collect()
            };
            rows().flat_map(row).collect()
        };
        Some(match self.output {
            Output::Edm => return None,
            Output::Ve { scaled: true, .. } => noise(&|sigma| -1.0 / sigma),
            Output::Ve { scaled: false, unit } => noise(&|sigma| -unit / (sigma * sigma)),
            Output::Vp { .. } | Output::SubVp { .. } => noise(&|sigma| 1.0 / sigma),
            Output::Field { gamma } => rows()
                .flat_map(|((x, yhat), &z)| normalised_field(x, yhat, z, gamma))
                .map(|value| value as f32)
                .collect(),
        })
    }

    /// What an error of the output is multiplied by before it is squared: outputs whose targets grow without bound near the data would
    /// else be judged there alone.
    pub fn judged(self, sigma: f64) -> f64 {
        match self.output {
            // |score std + noise|^2
            Output::Ve { scaled: false, unit } => sigma / unit,
            Output::Edm | Output::Field { .. } | Output::Ve { .. } | Output::Vp { .. } | Output::SubVp { .. } => 1.0,
        }
    }

    /// `yhat` of one row from the network's raw output for it.
    pub fn estimate(self, factors: &Factors, sigma: f64, x: &[f64], raw: &[f32], out: &mut [f64]) {
        let raw = raw.iter().map(|&value| f64::from(value));
        let mut combine = |skip: f64, factor: f64| {
            out.iter_mut().zip(x).zip(raw.clone()).for_each(|((out, x), raw)| *out = skip * x + factor * raw);
        };
        match self.output {
            Output::Edm => combine(factors.skip, factors.out),
            // yhat = x + sigma^2 score
            Output::Ve { scaled: true, .. } => combine(1.0, sigma),
            Output::Ve { scaled: false, unit } => combine(1.0, sigma * sigma / unit),
            // With x = mean (y + sigma noise): yhat = y + sigma (noise - output) in the units of the data.
            Output::Vp { .. } | Output::SubVp { .. } => combine(1.0, -sigma),
            Output::Field { gamma } => {
                let squares: f64 = raw.clone().take(x.len()).map(|v| v * v).sum();
                let radial = match self.arithmetic {
                    Arithmetic::Exact => RadialComponent::of(squares, x.len(), sigma, gamma).value,
                    Arithmetic::Reference { z_exp } if sigma >= z_exp => {
                        raw.clone().next_back().expect("a field has a component along z") + RELEASED_SHIFT
                    }
                    Arithmetic::Reference { .. } => {
                        released_radial_component(squares, x.len(), sigma, gamma) + RELEASED_SHIFT
                    }
                };
                // yhat = x - z v_x / v_z
                combine(1.0, -sigma / radial);
            }
        }
    }
}

/// What the released code adds to `v_z`.
const RELEASED_SHIFT: f64 = 1e-5;

/// The released code's approximation of `v_z`: `|E|' = sqrt((gamma n / (1 - n))^2 + z^2)`.
fn released_radial_component(squares: f64, dim: usize, z: f64, gamma: f64) -> f64 {
    let share = (squares / dim as f64).sqrt();
    let field = (gamma * share / (1.0 - share)).hypot(z);
    -(dim as f64).sqrt() * z / (field + gamma)
}

/// PFGM's field `v = -sqrt(N) E / (|E| + gamma)` of `E = (x - yhat, z)`, the component along z at the end.
fn normalised_field(x: &[f32], yhat: &[f32], z: f64, gamma: f64) -> impl Iterator<Item = f64> + use<> {
    let toward: Vec<f64> = x.iter().zip(yhat).map(|(x, y)| f64::from(x - y)).chain([z]).collect();
    let size = toward.iter().map(|value| value * value).sum::<f64>().sqrt();
    let factor = -(x.len() as f64).sqrt() / (size + gamma);
    toward.into_iter().map(move |value| factor * value)
}

/// PFGM's `v_z` at height `z` as it follows from the squared norm of `v_x` (docs/equations.md, section 3): with `n = |v_x| / sqrt(N)`,
/// `|E| = (n^2 gamma + sqrt(n^2 gamma^2 + (1 - n^2) z^2)) / (1 - n^2)` and `v_z = -sqrt(N) z / (|E| + gamma)`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct RadialComponent {
    value: f64,
    /// How it grows with the squared norm.
    slope: f64,
}

impl RadialComponent {
    fn of(squares: f64, dim: usize, z: f64, gamma: f64) -> Self {
        /// The share of its limit that the field of a network may reach.
        const MOST: f64 = 1.0 - 1e-9;
        let n = dim as f64;
        let share = (squares / n).min(MOST);
        let rest = 1.0 - share;
        let root = (share * gamma * gamma + rest * z * z).sqrt();
        let field = (share * gamma + root) / rest;
        let of_share = (gamma + (gamma * gamma - z * z) / (2.0 * root) + field) / rest;
        let factor = n.sqrt() * z / (field + gamma);
        Self { value: -factor, slope: factor / (field + gamma) * of_share / n }
    }
}

/// A trained network as a denoiser.
pub struct NetworkDenoiser {
    /// The network, on a device without a record of gradients.
    pub network: Network,
    /// How its output becomes `yhat`.
    pub parametrisation: Parametrisation,
    /// N.
    pub dim: usize,
    /// The number of classes that it knows; 0 for none.
    pub classes: usize,
    /// The class of each item of the batch; an item beyond the end has none.
    pub labels: Vec<Option<u32>>,
    /// What the network sees beside each pixel, of every item, or once for all; empty where it sees the image alone.
    pub maps: Vec<Vec<f32>>,
    /// Classifier-free guidance (arXiv 2207.12598): `yhat = u + guidance (c - u)` of the estimates with (c) and without
    /// (u) the class. 1 is the plain conditional estimate.
    pub guidance: f64,
    /// Rows that are evaluated together at the most.
    pub rows_at_once: usize,
    /// How precise the images between the network's layers are.
    pub precision: Precision,
    /// Where the network is.
    pub device: Device,
}

impl NetworkDenoiser {
    /// How many rows are evaluated together: parts of even size, none larger than what may be evaluated at once.
    fn rows_together(&self, rows: usize) -> usize {
        let most = if is_cpu(&self.device) { self.network.rows_in_cache() } else { usize::MAX };
        let rows = rows.max(1);
        rows.div_ceil(rows.div_ceil(self.rows_at_once.min(most).clamp(1, rows)))
    }

    /// What guidance makes of values with the class and without.
    fn guide(&self, with: &mut [f64], without: &[f64]) {
        with.iter_mut().zip(without).for_each(|(with, without)| *with = without + self.guidance * (*with - without));
    }

    /// Whether the estimate of some items needs the one without their classes as well.
    fn is_guided(&self, item: &[usize]) -> bool {
        self.guidance != 1.0 && self.labels_of(item).iter().any(Option::is_some)
    }

    /// The classes of some items.
    fn labels_of(&self, item: &[usize]) -> Vec<Option<u32>> {
        item.iter().map(|&item| self.labels.get(item).copied().flatten()).collect()
    }

    /// What the network is told of some items: with their classes, or without.
    fn told(&self, item: &[usize], with_classes: bool) -> Told {
        let labels = if with_classes { self.labels_of(item) } else { vec![None; item.len()] };
        let maps: Vec<f32> = match self.maps.as_slice() {
            [] => return Told { labels, maps: None },
            [same] => same.repeat(item.len()),
            maps => item.iter().flat_map(|&item| &maps[item]).copied().collect(),
        };
        let width = maps.len() / item.len().max(1);
        Told { labels, maps: Some(Tensor::from_data(TensorData::new(maps, [item.len(), width]), &self.device)) }
    }

    /// `yhat` of a few rows with the given classes.
    fn evaluate(&self, x: &[f64], sigma: &[f64], told: Told, out: &mut [f64]) {
        let factors = self.parametrisation.of_rows(x, sigma);
        let raw = self.raw_of(x, &factors, told);
        let width = raw.len() / sigma.len().max(1);
        let rows = out.chunks_exact_mut(self.dim).zip(x.chunks_exact(self.dim)).zip(raw.chunks_exact(width));
        for (((out, x), raw), (factors, &sigma)) in rows.zip(factors.iter().zip(sigma)) {
            self.parametrisation.estimate(factors, sigma, x, raw, out);
        }
    }

    /// The network's own output, as many values a row as it has: N, or N + 1 for a field.
    pub fn raw(&self, x: &[f64], factors: &[Factors], labels: &[Option<u32>]) -> Vec<f32> {
        let items: Vec<usize> = (0..labels.len()).collect();
        self.raw_of(x, factors, Told { labels: labels.to_vec(), ..self.told(&items, false) })
    }

    fn raw_of(&self, x: &[f64], factors: &[Factors], told: Told) -> Vec<f32> {
        let [x, far] = [self.scaled(x, factors), column(factors, |factors| factors.far, &self.device)];
        let output = self.network.forward(self.input(x, far, factors, told));
        output.into_data().try_to_vec().expect("networks compute in single precision")
    }

    /// The points as the network sees them.
    fn scaled(&self, x: &[f64], factors: &[Factors]) -> Tensor<2> {
        let rows = x.chunks_exact(self.dim).zip(factors);
        let scaled: Vec<f32> =
            rows.flat_map(|(row, factors)| row.iter().map(|value| (value * factors.input) as f32)).collect();
        Tensor::from_data(TensorData::new(scaled, [factors.len(), self.dim]), &self.device)
    }

    fn input(&self, x: Tensor<2>, far: Tensor<2>, factors: &[Factors], told: Told) -> NetworkInput<'static> {
        NetworkInput {
            x,
            maps: told.maps,
            noise: column(factors, |factors| factors.noise, &self.device),
            far,
            classes: one_hot(&told.labels, self.classes, &self.device),
            deformation: None,
            dropout: None,
            precision: self.precision,
        }
    }

    /// `yhat` of a few rows with the given classes, and their probes times its Jacobian.
    fn evaluate_and_pull(&self, rows: Part, told: Told, out: &mut [f64], pulled: &mut [f64]) {
        let Part { x, sigma, probes } = rows;
        let (parametrisation, dim) = (self.parametrisation, self.dim);
        let factors = parametrisation.of_rows(x, sigma);
        // The weights have no gradients, the points do.
        let points = self.scaled(x, &factors).autodiff().require_grad();
        let far = column(&factors, |factors| factors.far, &self.device).autodiff().require_grad();
        let output = self.network.forward(self.input(points.clone(), far.clone(), &factors, told));
        let [_, width] = output.dims();
        let raw: Vec<f32> = output.clone().into_data().try_to_vec().expect("networks compute in single precision");
        let mut cotangents = Vec::with_capacity(raw.len());
        for (row, (factors, &sigma)) in factors.iter().zip(sigma).enumerate() {
            let (range, raw) = (row * dim..(row + 1) * dim, &raw[row * width..(row + 1) * width]);
            let x = &x[range.clone()];
            parametrisation.estimate(factors, sigma, x, raw, &mut out[range.clone()]);
            let back = parametrisation.vjp(factors, sigma, x, raw, &probes[range.clone()]);
            pulled[range].copy_from_slice(&back.point);
            cotangents.extend(back.raw.iter().map(|&value| value as f32));
        }
        let cotangents = Tensor::<2>::from_data(TensorData::new(cotangents, output.dims()), &self.device).autodiff();
        let gradients = (output * cotangents).sum().backward();
        let values = |tensor: &Tensor<2>| -> Vec<f32> {
            let found = tensor.grad(&gradients).map(|gradient| gradient.into_data().try_to_vec());
            found.map_or_else(Vec::new, |values| values.expect("gradients are in single precision"))
        };
        let (on_points, on_far) = (values(&points), values(&far));
        for (row, (factors, &sigma)) in factors.iter().zip(sigma).enumerate() {
            let range = row * dim..(row + 1) * dim;
            let input: Vec<f64> = on_points[range.clone()].iter().map(|&value| f64::from(value)).collect();
            let far = on_far.get(row).map_or(0.0, |&value| f64::from(value));
            parametrisation.through_network(factors, sigma, &x[range.clone()], &input, far, &mut pulled[range]);
        }
    }
}

/// What the network is told of a few rows beside their points and levels.
struct Told {
    labels: Vec<Option<u32>>,
    maps: Option<Tensor<2>>,
}

/// A few rows of a query, and their probes.
#[derive(Clone, Copy)]
struct Part<'a> {
    x: &'a [f64],
    sigma: &'a [f64],
    probes: &'a [f64],
}

impl Differentiable for NetworkDenoiser {
    fn vjp(&self, query: &Query, probes: &[f64], out: &mut [f64], pulled: &mut [f64]) {
        let chunk = self.rows_together(query.sigma.len());
        let of_rows = chunk * self.dim;
        let given = query.x.chunks(of_rows).zip(probes.chunks(of_rows));
        let given = given.zip(query.sigma.chunks(chunk).zip(query.item.chunks(chunk)));
        let wanted = out.chunks_mut(of_rows).zip(pulled.chunks_mut(of_rows));
        for (((x, probes), (sigma, item)), (out, pulled)) in given.zip(wanted) {
            let part = Part { x, sigma, probes };
            self.evaluate_and_pull(part, self.told(item, true), out, pulled);
            if self.is_guided(item) {
                let (mut free, mut free_pulled) = (vec![0.0; out.len()], vec![0.0; out.len()]);
                self.evaluate_and_pull(part, self.told(item, false), &mut free, &mut free_pulled);
                self.guide(out, &free);
                self.guide(pulled, &free_pulled);
            }
        }
    }
}

impl Denoiser for NetworkDenoiser {
    fn dim(&self) -> usize {
        self.dim
    }

    fn denoise(&self, query: &Query, out: &mut [f64]) {
        let chunk = self.rows_together(query.sigma.len());
        let rows = query.x.chunks(chunk * self.dim).zip(out.chunks_mut(chunk * self.dim));
        for ((x, out), (sigma, item)) in rows.zip(query.sigma.chunks(chunk).zip(query.item.chunks(chunk))) {
            self.evaluate(x, sigma, self.told(item, true), out);
            if self.is_guided(item) {
                let mut free = vec![0.0; out.len()];
                self.evaluate(x, sigma, self.told(item, false), &mut free);
                self.guide(out, &free);
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
