//! Embeddings of the noise level, the class and the augmentation labels.

pub mod onnx;

use burn::{
    module::Module,
    tensor::{Tensor, TensorData},
};

use crate::{
    ConditioningSizes, ConditioningTensors,
    initializer::Initializer,
    layers::{EmbeddingMlp, Linear},
};

/// The ratio of the fastest to the slowest frequency of sinusoids.
pub const PERIODS: f64 = 10_000.0;

/// Returns the angles `noise w_k` for `count` frequencies.
///
/// # Shapes
/// `[batch, 1]` to `[batch, count]`
pub fn sinusoid_angles(noise: Tensor<2>, count: usize, frequency: impl Fn(usize) -> f64) -> Tensor<2> {
    let frequencies: Vec<f32> = (0..count).map(|k| frequency(k) as f32).collect();
    let frequencies = Tensor::from_data(TensorData::new(frequencies, [1, count]), &noise.device());
    noise * frequencies
}

/// Adds the embedding of the classes, if the network has one and they are given.
///
/// # Shapes
/// `embedding`: `[batch, values]`, `classes`: `[batch, classes]`
pub fn add_classes(embedding: Tensor<2>, layer: Option<&Linear>, classes: Option<Tensor<2>>) -> Tensor<2> {
    match (layer, classes) {
        (Some(layer), Some(classes)) => {
            // A one-hot vector has small variance: the factor restores unit variance.
            let count = classes.dims()[1] as f64;
            embedding + layer.forward(classes.mul_scalar(count.sqrt()))
        }
        _ => embedding,
    }
}

/// Adds the embedding of the augmentation labels, if the network has one and they are given.
///
/// # Shapes
/// `embedding`: `[batch, values]`, `labels`: `[batch, labels]`
pub fn add_augmentation(embedding: Tensor<2>, layer: Option<&Linear>, labels: Option<Tensor<2>>) -> Tensor<2> {
    match (layer, labels) {
        (Some(layer), Some(labels)) => embedding + layer.forward(labels),
        _ => embedding,
    }
}

/// The embedding on which all blocks are conditioned: sinusoids of the noise level, plus linear maps of the noise estimate,
/// the class and the augmentation labels, through two layers.
#[derive(Module, Debug)]
pub struct Embedding {
    /// Of the noise estimate, `log_sigma_ratio`. Names of weights in checkpoints do not change.
    far: Linear,
    classes: Option<Linear>,
    /// Of the augmentation labels.
    deformation: Option<Linear>,
    mlp: EmbeddingMlp,
    width: usize,
}

impl Embedding {
    /// Creates sinusoids of `width` values, an even number, and layers of `outputs` values.
    pub fn new(width: usize, outputs: usize, conditioning: ConditioningSizes, init: &mut Initializer) -> Self {
        let far = Linear::without_bias(1, width, init);
        let mlp = EmbeddingMlp::new(width, outputs, init);
        let classes = Linear::of_values(conditioning.classes, width, init);
        let deformation = Linear::of_values(conditioning.augmentation, width, init);
        Self { far, classes, deformation, mlp, width }
    }

    /// # Shapes
    /// `noise` and `log_sigma_ratio`: `[batch, 1]`, result: `[batch, outputs]`
    pub fn forward(
        &self,
        noise: Tensor<2>,
        log_sigma_ratio: Tensor<2>,
        conditioning: &ConditioningTensors,
    ) -> Tensor<2> {
        let half = self.width / 2;
        let last = half.saturating_sub(1).max(1) as f64;
        let angles = sinusoid_angles(noise, half, |k| PERIODS.powf(-(k as f64) / last));
        let waves = Tensor::cat(vec![angles.clone().cos(), angles.sin()], 1);
        let embedding = waves + self.far.forward(log_sigma_ratio);
        let embedding = add_classes(embedding, self.classes.as_ref(), conditioning.classes.clone());
        let embedding = add_augmentation(embedding, self.deformation.as_ref(), conditioning.augmentation.clone());
        self.mlp.forward(embedding)
    }
}
