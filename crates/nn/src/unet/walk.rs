//! The forward pass of a U-Net along the stages of its plan.

mod onnx;

use burn::tensor::Tensor;

use super::{
    block::{Attention, ResidualBlock},
    plan::{BlockPlan, Plan, Stage},
    pyramid,
};
use crate::{dropout::Dropout, initializer::Initializer, layers::Conv};

/// The layers of a plan, in its order.
pub struct Layers<B> {
    pub down: Vec<B>,
    pub pyramid: Vec<Conv>,
    pub middle: Vec<B>,
    pub attention: Option<Attention>,
    pub up: Vec<B>,
}

impl<B> Layers<B> {
    /// Creates the layers of a plan. `block` and `attention` create a block and the attention at the bottom.
    pub fn new(
        plan: &Plan,
        init: &mut Initializer,
        block: impl Fn(BlockPlan, &mut Initializer) -> B,
        attention: impl Fn(usize, &mut Initializer) -> Attention,
    ) -> Self {
        let (mut down, mut pyramid) = (Vec::new(), Vec::new());
        for stage in &plan.down {
            match *stage {
                Stage::Block(sizes) => down.push(block(sizes, init)),
                Stage::Pyramid { inputs, outputs } => pyramid.push(Conv::new(3, [inputs, outputs], 1.0, init)),
                _ => {}
            }
        }
        let blocks = |stages: &[Stage], init: &mut Initializer| -> Vec<B> {
            let sizes = stages.iter().filter_map(|stage| match stage {
                Stage::Block(sizes) => Some(*sizes),
                _ => None,
            });
            sizes.map(|sizes| block(sizes, init)).collect()
        };
        let middle = blocks(&plan.middle, init);
        // Created after the blocks, so that a seed gives the same initial weights as in earlier versions.
        let channels = plan.middle.iter().find_map(|stage| match stage {
            Stage::Attention(channels) => Some(*channels),
            _ => None,
        });
        let attention = channels.map(|channels| attention(channels, init));
        Self { down, pyramid, middle, attention, up: blocks(&plan.up, init) }
    }
}

/// Borrowed layers of a U-Net for the forward pass.
pub struct Walk<'a, B> {
    pub plan: &'a Plan,
    pub down: &'a [B],
    pub pyramid: &'a [Conv],
    pub middle: &'a [B],
    pub attention: Option<&'a Attention>,
    pub up: &'a [B],
}

/// The images during a forward pass.
struct State {
    x: Tensor<4>,
    /// The input, downsampled as often as `x`.
    pyramid: Option<Tensor<4>>,
    stored: Vec<Tensor<4>>,
}

impl<B: ResidualBlock> Walk<'_, B> {
    /// Walks from the features of the input convolution to those before the output convolution. `image` is the input
    /// itself, which plans with a pyramid need.
    ///
    /// # Shapes
    /// `x` and result: `[batch, height, width, channels]`, `embedding`: `[batch, values]`
    pub fn run(
        &self,
        x: Tensor<4>,
        image: Option<Tensor<4>>,
        embedding: Tensor<2>,
        masks: &mut Option<&mut Dropout>,
    ) -> Tensor<4> {
        let mut state = State { x, pyramid: image, stored: Vec::new() };
        let sections = [(&self.plan.down, self.down), (&self.plan.middle, self.middle), (&self.plan.up, self.up)];
        let mut pyramid = self.pyramid.iter();
        for (stages, blocks) in sections {
            let mut blocks = blocks.iter();
            for stage in stages {
                state = match stage {
                    Stage::Block(_) => {
                        let block = blocks.next().expect("a block for every stage");
                        State { x: block.forward(state.x, embedding.clone(), masks), ..state }
                    }
                    Stage::Pyramid { .. } => {
                        let conv = pyramid.next().expect("a convolution for every stage");
                        let joined = pyramid::join(conv, state.pyramid.expect("the input image"), state.x);
                        State { x: joined.clone(), pyramid: Some(joined), stored: state.stored }
                    }
                    Stage::Concat => {
                        let stored = state.stored.pop().expect("a stored image for every concatenation");
                        let block = blocks.as_slice().first().expect("a block after every concatenation");
                        State { x: block.concat(state.x, stored), ..state }
                    }
                    _ => self.step(stage, state),
                };
            }
        }
        state.x
    }

    /// A stage without layers in lists.
    fn step(&self, stage: &Stage, mut state: State) -> State {
        match stage {
            Stage::Store => state.stored.push(state.x.clone()),
            Stage::Attention(_) => {
                state.x = self.attention.expect("attention at the bottom").forward(state.x);
            }
            Stage::Block(_) | Stage::Pyramid { .. } | Stage::Concat => unreachable!("stages with layers in lists"),
        }
        state
    }
}
