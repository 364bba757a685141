//! The choice of a network.

mod onnx;

use burn::{
    module::Module,
    tensor::{DType, Device, Tensor},
};
use pfgm_data::Shape;
use serde::{Deserialize, Serialize};

use crate::{
    AdmUnet, AdmUnetConfig, ConditioningSizes, DiffusersUnet, DiffusersUnetConfig, Edm2Unet, Edm2UnetConfig,
    Initializer, Mlp, MlpConfig, Ncsnv2, Ncsnv2Config, NetworkError, NetworkInput, Precision, PrecisionError,
    ScoreUnet, ScoreUnetConfig, Unet, UnetConfig, UnusedAttention,
};

/// The kind of a network and its sizes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum NetworkConfig {
    /// A residual multilayer perceptron, for vectors.
    Mlp(MlpConfig),
    /// The DDPM++ U-Net of EDM and PFGM++, for images.
    Unet(UnetConfig),
    /// The DDPM++ and NCSN++ U-Nets of score-based models and of PFGM, for images.
    ScoreUnet(ScoreUnetConfig),
    /// The ADM U-Net, for images.
    AdmUnet(AdmUnetConfig),
    /// DDPM's U-Net as diffusers configures it, for images.
    DiffusersUnet(DiffusersUnetConfig),
    /// EDM2's U-Net, for images.
    Edm2Unet(Edm2UnetConfig),
    /// NCSNv2, for images.
    Ncsnv2(Ncsnv2Config),
}

impl Default for NetworkConfig {
    fn default() -> Self {
        Self::Unet(UnetConfig::default())
    }
}

/// A network with its weights.
#[derive(Module, Debug)]
pub enum Network {
    /// A residual multilayer perceptron, for vectors.
    Mlp(Mlp),
    /// The DDPM++ U-Net of EDM and PFGM++.
    Unet(Unet),
    /// The U-Nets of score-based models and PFGM.
    ScoreUnet(ScoreUnet),
    /// The ADM U-Net.
    AdmUnet(AdmUnet),
    /// DDPM's U-Net as diffusers configures it.
    DiffusersUnet(DiffusersUnet),
    /// EDM2's U-Net.
    Edm2Unet(Edm2Unet),
    /// NCSNv2.
    Ncsnv2(Ncsnv2),
}

impl NetworkConfig {
    /// Creates a network with initial weights drawn from `seed`.
    ///
    /// # Errors
    /// Returns an error if the sizes do not fit the shape of the data, or the network has no input for the conditioning.
    pub fn init(
        &self,
        shape: Shape,
        conditioning: ConditioningSizes,
        seed: u64,
        device: &Device,
    ) -> Result<Network, NetworkError> {
        self.build(shape, conditioning, &mut Initializer::new(seed, device.clone()))
    }

    /// Creates a network whose weights have shapes but no values, and take no memory, until values are assigned to them.
    ///
    /// # Errors
    /// As [`NetworkConfig::init`].
    pub fn shapes(
        &self,
        shape: Shape,
        conditioning: ConditioningSizes,
        device: &Device,
    ) -> Result<Network, NetworkError> {
        self.build(shape, conditioning, &mut Initializer::shapes_only(device.clone()))
    }

    fn build(
        &self,
        shape: Shape,
        conditioning: ConditioningSizes,
        initializer: &mut Initializer,
    ) -> Result<Network, NetworkError> {
        match self {
            Self::Mlp(_) if conditioning.spatial > 0 => Err(NetworkError::NoPixels),
            Self::Mlp(config) => Ok(Network::Mlp(config.init(shape.dim(), conditioning, initializer)?)),
            Self::Unet(config) => Ok(Network::Unet(config.init(shape, conditioning, initializer)?)),
            Self::AdmUnet(config) => Ok(Network::AdmUnet(config.init(shape, conditioning, initializer)?)),
            Self::DiffusersUnet(config) => Ok(Network::DiffusersUnet(config.init(shape, conditioning, initializer)?)),
            Self::Edm2Unet(config) => Ok(Network::Edm2Unet(config.init(shape, conditioning, initializer)?)),
            Self::Ncsnv2(_) if conditioning != ConditioningSizes::default() => Err(NetworkError::NoConditioning),
            Self::Ncsnv2(config) => Ok(Network::Ncsnv2(config.init(shape, initializer)?)),
            Self::ScoreUnet(config) => Ok(Network::ScoreUnet(config.init(shape, conditioning, initializer)?)),
        }
    }

    /// Returns whether the network's output has a component along r at the end.
    pub fn is_radial(&self) -> bool {
        match self {
            Self::ScoreUnet(config) => config.radial,
            Self::Ncsnv2(config) => config.radial,
            Self::Mlp(_) | Self::Unet(_) | Self::AdmUnet(_) | Self::DiffusersUnet(_) | Self::Edm2Unet(_) => false,
        }
    }

    /// Estimates the floats for each item that a training step keeps for the backward pass.
    pub fn activations(&self, shape: Shape) -> usize {
        match self {
            Self::Mlp(config) => config.activations(shape.dim()),
            Self::Unet(config) => config.activations(shape),
            Self::ScoreUnet(config) => config.activations(shape),
            Self::AdmUnet(config) => config.activations(shape),
            Self::DiffusersUnet(config) => config.activations(shape),
            Self::Edm2Unet(config) => config.activations(shape),
            Self::Ncsnv2(config) => config.activations(shape),
        }
    }

    /// Returns the heights in `network.attention` at which the network has no level, for a notice to the user.
    ///
    /// ```
    /// use pfgm_data::Shape;
    /// use pfgm_nn::{NetworkConfig, UnetConfig};
    ///
    /// let config = NetworkConfig::Unet(UnetConfig { attention: vec![16, 7], ..UnetConfig::default() });
    /// let notice = config.unused_attention(Shape::Image { height: 28, width: 28, channels: 1 }).unwrap();
    /// assert_eq!(notice.unused, [16]);
    /// assert_eq!(notice.levels, [28, 14, 7]);
    /// ```
    pub fn unused_attention(&self, shape: Shape) -> Option<UnusedAttention> {
        let (attention, multipliers) = match self {
            Self::Unet(config) => (&config.attention, &config.multipliers),
            Self::ScoreUnet(config) => (&config.attention, &config.multipliers),
            Self::AdmUnet(config) => (&config.attention, &config.multipliers),
            Self::Edm2Unet(config) => (&config.attention, &config.multipliers),
            Self::Mlp(_) | Self::Ncsnv2(_) | Self::DiffusersUnet(_) => return None,
        };
        let Shape::Image { height, .. } = shape else { return None };
        let stride = u32::try_from(multipliers.len()).ok()?.checked_sub(1).and_then(|n| 1_usize.checked_shl(n))?;
        let padded = height.checked_next_multiple_of(stride)?;
        let levels: Vec<usize> = (0..multipliers.len()).map(|level| padded >> level).collect();
        let unused: Vec<usize> = attention.iter().copied().filter(|height| !levels.contains(height)).collect();
        (!unused.is_empty()).then_some(UnusedAttention { unused, levels })
    }
}

impl Network {
    /// Returns the number of items whose images at full size fit into the caches. Evaluating more at once is slower.
    pub fn rows_in_cache(&self) -> usize {
        match self {
            Self::Mlp(_) => usize::MAX,
            Self::Unet(network) => network.rows_in_cache(),
            Self::ScoreUnet(network) => network.rows_in_cache(),
            Self::AdmUnet(network) => network.rows_in_cache(),
            Self::DiffusersUnet(network) => network.rows_in_cache(),
            Self::Edm2Unet(network) => network.rows_in_cache(),
            Self::Ncsnv2(network) => network.rows_in_cache(),
        }
    }

    /// Prepares the network for sampling: what depends on the weights alone is computed once. It cannot be trained afterwards.
    #[must_use]
    pub fn for_sampling(self) -> Self {
        match self {
            Self::Edm2Unet(network) => Self::Edm2Unet(network.ready()),
            other => other,
        }
    }

    /// The logarithm of the loss's variance that the network expects at noise levels; `None` if it does not estimate it.
    ///
    /// # Shapes
    /// `noise` and result: `[batch, 1]`
    pub fn log_variance(&self, noise: Tensor<2>) -> Option<Tensor<2>> {
        match self {
            Self::Edm2Unet(network) => network.log_variance(noise),
            _ => None,
        }
    }

    /// Computes the raw output in single precision. On the CPU each row depends on its own input alone, to the bit.
    ///
    /// # Shapes
    /// `[batch, N]`, or `[batch, N + 1]` if the network is radial, with the component along r at the end
    pub fn forward(&self, mut input: NetworkInput) -> Tensor<2> {
        let dtype = input.precision.dtype();
        input.x = input.x.cast(dtype);
        input.conditioning.spatial = input.conditioning.spatial.map(|spatial| spatial.cast(dtype));
        let raw = match self {
            Self::Mlp(network) => network.forward(input),
            Self::Unet(network) => network.forward(input),
            Self::ScoreUnet(network) => network.forward(input),
            Self::AdmUnet(network) => network.forward(input),
            Self::DiffusersUnet(network) => network.forward(input),
            Self::Edm2Unet(network) => network.forward(input),
            Self::Ncsnv2(network) => network.forward(input),
        };
        raw.cast(DType::F32)
    }
}

impl Precision {
    /// Returns an error if a network cannot be computed in this precision on a device.
    ///
    /// # Errors
    /// See [`PrecisionError`].
    pub fn check(self, network: &NetworkConfig, device: &Device) -> Result<(), PrecisionError> {
        self.suits(network)?;
        if device.supports_dtype(self.dtype()) { Ok(()) } else { Err(PrecisionError::Device) }
    }

    /// Returns an error if a network cannot be computed in this precision on any device.
    ///
    /// # Errors
    /// See [`PrecisionError::NoImages`].
    pub fn suits(self, network: &NetworkConfig) -> Result<(), PrecisionError> {
        match (self, network) {
            (Self::Bf16, NetworkConfig::Mlp(_)) => Err(PrecisionError::NoImages),
            _ => Ok(()),
        }
    }
}
