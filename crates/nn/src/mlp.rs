//! A residual multilayer perceptron for vectors: points in the plane, rows of a table.

mod onnx;

use burn::{
    module::Module,
    tensor::{Tensor, activation::silu},
};
use serde::{Deserialize, Serialize};

use crate::{
    ConditioningSizes, MAX_CHANNELS, NetworkError, NetworkInput, check_blocks,
    dropout::{Dropout, dropout},
    embedding::Embedding,
    initializer::Initializer,
    layers::{GroupNorm, Linear},
};

/// Configuration of an [`Mlp`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MlpConfig {
    /// Width of the hidden layers, an even number.
    pub width: usize,
    /// Residual blocks of two layers.
    pub blocks: usize,
    /// Probability of dropout in the blocks.
    pub dropout: f64,
}

impl Default for MlpConfig {
    fn default() -> Self {
        Self { width: 256, blocks: 4, dropout: 0.0 }
    }
}

/// Residual blocks between two linear layers.
#[derive(Module, Debug)]
pub struct Mlp {
    embedding: Embedding,
    input: Linear,
    blocks: Vec<Block>,
    norm: GroupNorm,
    output: Linear,
}

/// Computes `x + W2 silu(norm(W1 silu(norm(x)) + embedding))`.
#[derive(Module, Debug)]
struct Block {
    norm0: GroupNorm,
    linear0: Linear,
    embedding: Linear,
    norm1: GroupNorm,
    linear1: Linear,
    dropout: f64,
}

impl MlpConfig {
    pub(crate) fn init(
        &self,
        dim: usize,
        conditioning: ConditioningSizes,
        init: &mut Initializer,
    ) -> Result<Mlp, NetworkError> {
        if !(2..=MAX_CHANNELS).contains(&self.width) || self.width % 2 == 1 {
            let problem = "give an even number from 2 to 1048576";
            return Err(NetworkError::Size { key: "width", value: self.width.to_string(), problem });
        }
        if self.blocks > 0 {
            check_blocks(self.blocks)?;
        }
        let width = self.width;
        let embedding = Embedding::new(width, width, conditioning, init);
        let input = Linear::new(dim, width, 1.0, init);
        let blocks = (0..self.blocks)
            .map(|_| Block {
                norm0: GroupNorm::layer(width, init),
                linear0: Linear::new(width, width, 1.0, init),
                embedding: Linear::new(width, width, 1.0, init),
                norm1: GroupNorm::layer(width, init),
                linear1: Linear::new(width, width, 1e-5, init),
                dropout: self.dropout,
            })
            .collect();
        let norm = GroupNorm::layer(width, init);
        Ok(Mlp { embedding, input, blocks, norm, output: Linear::new(width, dim, 1e-5, init) })
    }

    pub(crate) fn activations(&self, dim: usize) -> usize {
        dim.saturating_mul(2).saturating_add(self.width.saturating_mul(12 * self.blocks + 6))
    }
}

impl Mlp {
    /// # Shapes
    /// `[batch, N]` to `[batch, N]`
    pub(crate) fn forward(&self, mut input: NetworkInput) -> Tensor<2> {
        let embedding = self.embedding.forward(input.noise, input.log_sigma_ratio, &input.conditioning);
        let mut x = self.input.forward(input.x);
        for block in &self.blocks {
            x = block.forward(x, embedding.clone(), &mut input.dropout);
        }
        self.output.forward(silu(self.norm.forward_vector(x, false)))
    }
}

impl Block {
    fn forward(&self, x: Tensor<2>, embedding: Tensor<2>, masks: &mut Option<&mut Dropout>) -> Tensor<2> {
        let h = self.linear0.forward(self.norm0.forward_vector(x.clone(), true));
        let h = self.norm1.forward_vector(h + self.embedding.forward(embedding), true);
        x + self.linear1.forward(dropout(masks, h, self.dropout))
    }
}
