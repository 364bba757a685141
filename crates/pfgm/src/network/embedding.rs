//! Embeddings of the noise level and of the class.

use burn::tensor::Tensor;

use super::{
    Conditions,
    layers::{EmbeddingMlp, Initializer, Linear},
};
use burn::module::Module;

/// The ratio of the fastest to the slowest frequency.
const PERIODS: f64 = 10_000.0;

/// `(cos(c w_k), sin(c w_k))` with frequencies `w_k` from 1 down to 1/10000.
///
/// # Shapes
/// `[batch, 1]` to `[batch, width]`; `width` is even
fn sinusoidal(noise: Tensor<2>, width: usize) -> Tensor<2> {
    let half = width / 2;
    let last = half.saturating_sub(1).max(1) as f64;
    let frequencies: Vec<f32> = (0..half).map(|k| PERIODS.powf(-(k as f64) / last) as f32).collect();
    let frequencies = Tensor::<1>::from_floats(frequencies.as_slice(), &noise.device());
    let angles = noise * frequencies.unsqueeze();
    Tensor::cat(vec![angles.clone().cos(), angles.sin()], 1)
}

/// The embedding that every block is conditioned on: the noise level, how far out the point is, the class, and how the
/// image was deformed, through two layers.
#[derive(Module, Debug)]
pub struct Embedding {
    far: Linear,
    classes: Option<Linear>,
    deformation: Option<Linear>,
    mlp: EmbeddingMlp,
    width: usize,
}

impl Embedding {
    /// Sinusoids of `width` values, then layers of `outputs`.
    pub fn new(width: usize, outputs: usize, conditions: Conditions, init: &mut Initializer) -> Self {
        let far = Linear::without_bias(1, width, init);
        let mlp = EmbeddingMlp::new(width, outputs, init);
        let told =
            |values: usize, init: &mut Initializer| (values > 0).then(|| Linear::without_bias(values, width, init));
        let (classes, deformation) = (told(conditions.classes, init), told(conditions.deformation, init));
        Self { far, classes, deformation, mlp, width }
    }

    /// # Shapes
    /// `noise` and `far`: `[batch, 1]`, `classes`: `[batch, classes]`, `deformation`: `[batch, values]`,
    /// result: `[batch, outputs]`
    pub fn forward(
        &self,
        noise: Tensor<2>,
        log_sigma_ratio: Tensor<2>,
        classes: Option<Tensor<2>>,
        deformation: Option<Tensor<2>>,
    ) -> Tensor<2> {
        let embedding = sinusoidal(noise, self.width) + self.far.forward(log_sigma_ratio);
        let embedding = match (&self.classes, classes) {
            (Some(linear), Some(classes)) => {
                // One of many entries is one: the factor restores unit variance.
                let count = classes.dims()[1] as f64;
                embedding + linear.forward(classes.mul_scalar(count.sqrt()))
            }
            _ => embedding,
        };
        let embedding = match (&self.deformation, deformation) {
            (Some(linear), Some(deformation)) => embedding + linear.forward(deformation),
            _ => embedding,
        };
        self.mlp.forward(embedding)
    }
}
