//! The precision of the images between a network's layers.

use burn::tensor::{DType, Device};
use serde::{Deserialize, Serialize};

use crate::{NetworkConfig, PrecisionError};

/// The precision of the images between the layers of a network. Weights, gradients, embeddings and the point itself are
/// always in single precision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Single precision.
    #[default]
    F32,
    /// bf16, a format with 8 significant bits: half the memory, and faster on devices that multiply in it.
    Bf16,
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

    pub(crate) fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::Bf16 => DType::BF16,
        }
    }
}

impl std::str::FromStr for Precision {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "f32" => Ok(Self::F32),
            "bf16" => Ok(Self::Bf16),
            _ => Err("give f32 or bf16".into()),
        }
    }
}
