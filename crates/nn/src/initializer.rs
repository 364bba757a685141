//! Initial weights of a network.

use burn::{
    module::{Param, ParamId},
    tensor::{Device, Tensor, TensorData},
};
use pfgm_flow::random::{Purpose, Stream, stream};
use rand::RngExt;
use rand_distr::StandardNormal;

/// Creates the weights of a network, layer by layer: drawn from one random stream, or shapes without values.
pub struct Initializer {
    /// The random stream of the weights; `None` if only shapes are created.
    rng: Option<Stream>,
    device: Device,
}

impl Initializer {
    /// Creates an initializer that draws weights on `device` from a stream that depends only on `seed`.
    pub fn new(seed: u64, device: Device) -> Self {
        Self { rng: Some(stream(seed, Purpose::Weights, 0, 0)), device }
    }

    /// Creates an initializer of weights that have a shape and take no memory; the first access fills one with zeros.
    pub fn shapes_only(device: Device) -> Self {
        Self { rng: None, device }
    }

    fn weight<const D: usize>(
        &mut self,
        shape: [usize; D],
        draw: impl FnOnce(&mut Stream, usize) -> Vec<f32>,
    ) -> Param<Tensor<D>> {
        if let Some(rng) = &mut self.rng {
            let values = draw(rng, shape.iter().product());
            return Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), &self.device));
        }
        let zeros = move |device: &Device, gradient| Tensor::zeros(shape, device).set_require_grad(gradient);
        Param::uninitialized(ParamId::new(), zeros, self.device.clone(), true, shape.into())
    }

    /// Draws from Xavier's uniform distribution, `U(-k, k)` with `k = gain sqrt(6 / (fan_in + fan_out))`.
    pub(crate) fn uniform<const D: usize>(
        &mut self,
        shape: [usize; D],
        fans: (usize, usize),
        gain: f32,
    ) -> Param<Tensor<D>> {
        let bound = gain * (6.0 / (fans.0 + fans.1) as f32).sqrt();
        self.weight(shape, |rng, count| (0..count).map(|_| bound * rng.random_range(-1.0..1.0_f32)).collect())
    }

    /// Draws from a normal distribution of the given mean and standard deviation.
    pub(crate) fn normal(&mut self, len: usize, mean: f32, spread: f32) -> Param<Tensor<1>> {
        self.weight([len], |rng, count| {
            (0..count).map(|_| mean + spread * rng.sample::<f32, _>(StandardNormal)).collect()
        })
    }

    /// Creates a vector of equal values.
    pub(crate) fn constant(&mut self, len: usize, value: f32) -> Param<Tensor<1>> {
        self.weight([len], |_, count| vec![value; count])
    }
}
