//! Weights of small pretrained Poisson flow generative models, as bytes of checkpoint files.
//!
//! `pfgm::Model::load` reads them by name. docs/results.md says how each model was trained.

/// A pretrained model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pretrained {
    /// The name that the model is loaded by.
    pub name: &'static str,
    /// What the model generates, in one line.
    pub description: &'static str,
    /// Its checkpoint in the safetensors format: averaged weights and specification.
    pub checkpoint: &'static [u8],
}

/// All pretrained models. A static: every use of a constant in another crate would be a copy of the weights in the program.
pub static MODELS: &[Pretrained] = &[
    Pretrained {
        name: "digits",
        description: "handwritten digits of 8x8 pixels, ten classes, D = 128: 0.72 million weights",
        checkpoint: include_bytes!("../weights/digits.safetensors"),
    },
    Pretrained {
        name: "fashion-mnist",
        description: "Fashion-MNIST, ten classes, D = 128: 1.26 million weights",
        checkpoint: include_bytes!("../weights/fashion-mnist.safetensors"),
    },
];
