//! EDM2's residual block.

mod onnx;

use burn::{
    module::{Module, Param},
    tensor::Tensor,
};
use pfgm_burn_ops::{Filter, Heads};

use super::{
    Edm2UnetConfig,
    layers::{MpConv, MpLinear, mp_silu, mp_sum, pixel_norm},
};
use crate::{
    dropout::{Dropout, dropout},
    initializer::Initializer,
    unet::{
        block::ResidualBlock,
        plan::{BlockPlan, Resample, Side},
    },
};

/// A residual block, then attention. In the encoder the shortcut comes first and its pixels are normalized.
#[derive(Module, Debug)]
pub struct Edm2Block {
    conv0: MpConv,
    embedding: MpLinear,
    /// The factor of the embedding.
    gain: Param<Tensor<1>>,
    conv1: MpConv,
    skip: Option<MpConv>,
    qkv: Option<MpConv>,
    project: Option<MpConv>,
    #[module(skip)]
    resample: Resample,
    encoder: bool,
    heads: usize,
    concat_balance: f64,
    residual_balance: f64,
    attention_balance: f64,
    clip: f64,
    dropout: f64,
}

impl Edm2UnetConfig {
    /// Creates a block of the plan.
    pub(super) fn block(&self, sizes: BlockPlan, init: &mut Initializer) -> Edm2Block {
        let BlockPlan { inputs, outputs, resample, attention, side, .. } = sizes;
        let encoder = side == Side::Down;
        Edm2Block {
            conv0: MpConv::new(3, [if encoder { outputs } else { inputs }, outputs], init),
            embedding: MpLinear::new(self.embedding, outputs, init),
            gain: init.constant(1, 0.0),
            conv1: MpConv::new(3, [outputs, outputs], init),
            skip: (inputs != outputs).then(|| MpConv::new(1, [inputs, outputs], init)),
            qkv: attention.then(|| MpConv::new(1, [outputs, 3 * outputs], init)),
            project: attention.then(|| MpConv::new(1, [outputs, outputs], init)),
            resample,
            encoder,
            heads: outputs / self.head,
            concat_balance: self.concat_balance,
            residual_balance: self.residual_balance,
            attention_balance: self.attention_balance,
            clip: self.clip,
            dropout: self.dropout,
        }
    }
}

impl Edm2Block {
    fn attend(&self, x: Tensor<4>, qkv: &MpConv, project: &MpConv) -> Tensor<4> {
        let [batch, height, width, channels] = x.dims();
        // Queries, keys and values of each head have unit root mean square.
        let parts = qkv.forward(x.clone()).reshape([batch, height * width, 3 * self.heads, channels / self.heads]);
        let parts = pixel_norm(parts).reshape([batch, height * width, 3 * channels]);
        let mixed = pfgm_burn_ops::attention(parts, Heads(self.heads)).reshape([batch, height, width, channels]);
        mp_sum(x, project.forward(mixed), self.attention_balance)
    }

    /// The block with its weights normalized.
    #[must_use]
    pub fn ready(self) -> Self {
        Self {
            conv0: self.conv0.ready(),
            embedding: self.embedding.ready(),
            conv1: self.conv1.ready(),
            skip: self.skip.map(MpConv::ready),
            qkv: self.qkv.map(MpConv::ready),
            project: self.project.map(MpConv::ready),
            ..self
        }
    }
}

impl ResidualBlock for Edm2Block {
    fn forward(&self, x: Tensor<4>, embedding: Tensor<2>, masks: &mut Option<&mut Dropout>) -> Tensor<4> {
        let x = self.resample.apply(x, Filter::Box);
        let skip = |x: Tensor<4>| match &self.skip {
            Some(skip) => skip.forward(x),
            None => x,
        };
        let x = if self.encoder { pixel_norm(skip(x)) } else { x };
        let y = self.conv0.forward(mp_silu(x.clone()));
        let factor = self.embedding.forward(embedding) * self.gain.val().unsqueeze();
        let [batch, channels] = factor.dims();
        let factor = factor.add_scalar(1.0).reshape([batch, 1, 1, channels]).cast(y.dtype());
        let y = dropout(masks, mp_silu(y * factor), self.dropout);
        let y = self.conv1.forward(y);
        let x = if self.encoder { x } else { skip(x) };
        let x = mp_sum(x, y, self.residual_balance);
        let x = match (&self.qkv, &self.project) {
            (Some(qkv), Some(project)) => self.attend(x, qkv, project),
            _ => x,
        };
        x.clamp(-self.clip, self.clip)
    }

    fn concat(&self, x: Tensor<4>, stored: Tensor<4>) -> Tensor<4> {
        let (t, a, b) = (self.concat_balance, x.dims()[3] as f64, stored.dims()[3] as f64);
        let scale = ((a + b) / ((1.0 - t).powi(2) + t * t)).sqrt();
        let x = x.mul_scalar(scale * (1.0 - t) / a.sqrt());
        pfgm_burn_ops::concat(x, stored.mul_scalar(scale * t / b.sqrt()))
    }
}
