//! The input of a network.

use burn::tensor::Tensor;

use crate::{Dropout, Precision};

/// The sizes of the conditioning for which a network has inputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConditioningSizes {
    /// Number of classes; 0 if the network is not class-conditional.
    pub classes: usize,
    /// Number of augmentation labels; 0 if images are not augmented.
    pub augmentation: usize,
    /// Channels of the spatial conditioning, which are concatenated to those of the image.
    pub spatial: usize,
}

/// The conditioning of a batch, apart from the noise level. A network ignores parts for which it has no inputs.
#[derive(Clone, Debug, Default)]
pub struct ConditioningTensors {
    /// One-hot classes, `[batch, classes]`; a row of zeros has no class.
    pub classes: Option<Tensor<2>>,
    /// Spatial conditioning, `[batch, pixels * channels]`: further channels of each pixel, such as a low-resolution image.
    pub spatial: Option<Tensor<2>>,
    /// Augmentation labels, `[batch, labels]`: the parameters by which each image was augmented.
    pub augmentation: Option<Tensor<2>>,
}

impl ConditioningTensors {
    /// Returns the same conditioning without classes.
    #[must_use]
    pub fn without_classes(self) -> Self {
        Self { classes: self.classes.map(|classes| classes.zeros_like()), ..self }
    }
}

/// The input of a network for a batch.
pub struct NetworkInput<'a> {
    /// Scaled points, `[batch, N]`. Patches of images are square.
    pub x: Tensor<2>,
    /// Embedded noise level, `[batch, 1]`.
    pub noise: Tensor<2>,
    /// `ln(s / sigma) / 4` with the noise level s estimated from the point, `[batch, 1]`; 0 if s is not above sigma.
    pub log_sigma_ratio: Tensor<2>,
    /// Conditioning.
    pub conditioning: ConditioningTensors,
    /// The source of dropout masks; `None` outside training.
    pub dropout: Option<&'a mut Dropout>,
    /// Precision of the images between the layers.
    pub precision: Precision,
}
