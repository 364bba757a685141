//! A small U-Net for benchmarks, which also exists in PyTorch (`bench/torch_resunet.py`).

use burn::{
    module::Module,
    tensor::{Device, Tensor},
};
use pfgm_burn_ops::{Filter, Heads};

use crate::{
    initializer::Initializer,
    layers::{Conv, GroupNorm, Linear},
};

/// 64 channels at 32x32 pixels and 128 at 16x16, with attention there; 1.19 million weights.
#[derive(Module, Debug)]
pub struct ResUnet {
    input: Conv,
    first: Block,
    second: Block,
    down: Conv,
    third: Block,
    fourth: Block,
    attention: Attention,
    up: Conv,
    fifth: Block,
    norm: GroupNorm,
    output: Conv,
}

#[derive(Module, Debug)]
struct Block {
    norm0: GroupNorm,
    conv0: Conv,
    embedding: Linear,
    norm1: GroupNorm,
    conv1: Conv,
    skip: Option<Conv>,
}

#[derive(Module, Debug)]
struct Attention {
    norm: GroupNorm,
    qkv: Conv,
    project: Conv,
}

fn norm(channels: usize, init: &mut Initializer) -> GroupNorm {
    GroupNorm::with_groups(channels, 16, 1e-5, init)
}

impl Block {
    fn new(inputs: usize, outputs: usize, init: &mut Initializer) -> Self {
        Self {
            norm0: norm(inputs, init),
            conv0: Conv::new(3, [inputs, outputs], 1.0, init),
            embedding: Linear::new(ResUnet::EMBEDDING, outputs, 1.0, init),
            norm1: norm(outputs, init),
            conv1: Conv::new(3, [outputs, outputs], 1.0, init),
            skip: (inputs != outputs).then(|| Conv::new(1, [inputs, outputs], 1.0, init)),
        }
    }

    fn forward(&self, x: Tensor<4>, embedding: Tensor<2>) -> Tensor<4> {
        let shift = self.embedding.forward(embedding);
        let h = self.conv0.fused(self.norm0.forward(x.clone(), true), Some(shift), None, 1.0);
        let x = match &self.skip {
            Some(skip) => skip.forward(x),
            None => x,
        };
        self.conv1.fused(self.norm1.forward(h, true), None, Some(x), 1.0)
    }
}

impl Attention {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [batch, height, width, channels] = x.dims();
        let qkv = self.qkv.forward(self.norm.forward(x.clone(), false));
        let mixed = pfgm_burn_ops::attention(qkv.reshape([batch, height * width, 3 * channels]), Heads(1));
        self.project.fused(mixed.reshape([batch, height, width, channels]), None, Some(x), 1.0)
    }
}

impl ResUnet {
    /// Height, width and channels of the image.
    pub const IMAGE: [usize; 3] = [32, 32, 3];
    /// Values of the embedding of each block.
    pub const EMBEDDING: usize = 256;

    /// Creates the network with weights drawn from `seed`.
    pub fn new(seed: u64, device: &Device) -> Self {
        let init = &mut Initializer::new(seed, device.clone());
        Self {
            input: Conv::new(3, [3, 64], 1.0, init),
            first: Block::new(64, 64, init),
            second: Block::new(64, 64, init),
            down: Conv::new(3, [64, 128], 1.0, init),
            third: Block::new(128, 128, init),
            fourth: Block::new(128, 128, init),
            attention: Attention {
                norm: norm(128, init),
                qkv: Conv::new(1, [128, 384], 1.0, init),
                project: Conv::new(1, [128, 128], 1.0, init),
            },
            up: Conv::new(3, [128, 64], 1.0, init),
            fifth: Block::new(128, 64, init),
            norm: norm(64, init),
            output: Conv::new(3, [64, 3], 1.0, init),
        }
    }

    /// # Shapes
    /// `x` and result: `[batch, 32, 32, 3]`, `embedding`: `[batch, 256]`
    pub fn forward(&self, x: Tensor<4>, embedding: Tensor<2>) -> Tensor<4> {
        let h = self.first.forward(self.input.forward(x), embedding.clone());
        let skip = self.second.forward(h, embedding.clone());
        let h = self.down.strided(skip.clone(), 2);
        let h = self.third.forward(h, embedding.clone());
        let h = self.attention.forward(self.fourth.forward(h, embedding.clone()));
        let h = self.up.forward(pfgm_burn_ops::upsample2x(h, Filter::Box));
        let h = self.fifth.forward(pfgm_burn_ops::concat(h, skip), embedding);
        self.output.forward(self.norm.forward(h, true))
    }
}
