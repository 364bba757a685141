//! Embeddings of the noise level and of the class.

use burn::tensor::Tensor;

use super::layers::{EmbeddingMlp, Initializer, Linear};
use burn::module::Module;

/// The ratio of the fastest to the slowest frequency.
const PERIODS: f64 = 10_000.0;

/// `(cos(c w_k), sin(c w_k))` with frequencies `w_k` from 1 down to 1/10000.
///
/// # Shapes
/// `[batch]` to `[batch, width]`; `width` is even
fn sinusoidal(noise: Tensor<1>, width: usize) -> Tensor<2> {
    let half = width / 2;
    let last = half.saturating_sub(1).max(1) as f64;
    let frequencies: Vec<f32> = (0..half).map(|k| PERIODS.powf(-(k as f64) / last) as f32).collect();
    let frequencies = Tensor::<1>::from_floats(frequencies.as_slice(), &noise.device());
    let angles = noise.unsqueeze_dim::<2>(1) * frequencies.unsqueeze();
    Tensor::cat(vec![angles.clone().cos(), angles.sin()], 1)
}

/// The embedding that every block is conditioned on: the noise level, plus the class, through two layers.
#[derive(Module, Debug)]
pub struct Embedding {
    classes: Option<Linear>,
    mlp: EmbeddingMlp,
    width: usize,
}

impl Embedding {
    /// Sinusoids of `width` values, then layers of `outputs`; `classes` is 0 for none.
    pub fn new(width: usize, outputs: usize, classes: usize, init: &mut Initializer) -> Self {
        let mlp = EmbeddingMlp::new(width, outputs, init);
        let classes = (classes > 0).then(|| Linear::without_bias(classes, width, init));
        Self { classes, mlp, width }
    }

    /// # Shapes
    /// `noise`: `[batch]`, `classes`: `[batch, classes]`, result: `[batch, outputs]`
    pub fn forward(&self, noise: Tensor<1>, classes: Option<Tensor<2>>) -> Tensor<2> {
        let embedding = sinusoidal(noise, self.width);
        let embedding = match (&self.classes, classes) {
            (Some(linear), Some(classes)) => {
                // One of many entries is one: the factor restores unit variance.
                let count = classes.dims()[1] as f64;
                embedding + linear.forward(classes.mul_scalar(count.sqrt()))
            }
            _ => embedding,
        };
        self.mlp.forward(embedding)
    }
}
