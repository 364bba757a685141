//! The precision of the images between a network's layers.

use burn::tensor::DType;
use serde::{Deserialize, Serialize};

/// The precision of the images between the layers of a network. Weights, gradients, embeddings and the point itself are
/// always in single precision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Single precision.
    #[default]
    F32,
    /// bf16, a format with 8 significant bits: half the memory, and faster on devices with bf16 arithmetic.
    Bf16,
}

impl Precision {
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
