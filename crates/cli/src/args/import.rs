//! Arguments of `pfgm import` and `pfgm export`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Training method of a published network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ImportMethod {
    /// PFGM: the normalized Poisson field
    Pfgm,
    /// Variance-exploding score model
    Ve,
    /// Variance-preserving score model
    Vp,
    /// Sub-variance-preserving score model
    SubVp,
    /// PFGM++
    Pfgmpp,
    /// EDM
    Edm,
}

impl From<ImportMethod> for pfgm::import::Method {
    fn from(method: ImportMethod) -> Self {
        match method {
            ImportMethod::Pfgm => Self::Pfgm,
            ImportMethod::Ve => Self::Ve,
            ImportMethod::Vp => Self::Vp,
            ImportMethod::SubVp => Self::SubVp,
            ImportMethod::Pfgmpp => Self::PfgmPp,
            ImportMethod::Edm => Self::Edm,
        }
    }
}

#[derive(Debug, Args)]
pub struct ImportArgs {
    /// A PyTorch checkpoint (.pth, .pt, .pkl), a safetensors file, a folder of diffusers, or hf:OWNER/NAME in the local cache of the
    /// Hugging Face Hub
    #[arg(required_unless_present = "list")]
    pub file: Option<PathBuf>,

    /// The folder to write the run to
    #[arg(short = 'o', long, value_name = "DIR", required_unless_present = "list")]
    pub out: Option<PathBuf>,

    /// List the kinds of files that can be imported
    #[arg(long)]
    pub list: bool,

    /// Training method of the network [default: inferred from its tensors, or as published]
    #[arg(long, value_enum)]
    pub method: Option<ImportMethod>,

    /// Height and width of the images in pixels, as in 32x32 [default: inferred from its tensors, or 32x32]
    #[arg(long, value_name = "HxW")]
    pub size: Option<String>,

    /// Range that images were scaled to in training, for VE models [default: -1,1; for score-SDE's own VE configurations 0,1]
    #[arg(long, value_name = "LOW,HIGH", allow_hyphen_values = true)]
    pub images: Option<String>,

    /// A preset or configuration whose noise range and solver are used, as in celeba64 [default: as published for CIFAR-10]
    #[arg(long, value_name = "PRESET|FILE.toml")]
    pub like: Option<String>,

    /// Autoencoder of a network of latents (EDM2's networks of 4 channels): samples are decoded with it to images. A folder of diffusers'
    /// AutoencoderKL, or hf:OWNER/NAME
    #[arg(long, value_name = "DIR|hf:NAME")]
    pub autoencoder: Option<String>,

    /// D, the number of extra dimensions, for PFGM++ [default: 2048]
    #[arg(short = 'D', long = "extra-dims", alias = "augmentation", value_name = "D")]
    pub extra_dims: Option<String>,
}

/// Formats of exported models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// A file of weights
    Safetensors,
    /// A folder of diffusers: UNet2DModel with a DDPMScheduler; for networks of kind diffusers-unet with a discrete schedule
    Diffusers,
    /// A graph of ONNX, opset 18: yhat(x, sigma, labels) in the model's space, for any batch size and, for images, any height and width;
    /// of a distilled run the consistency function f(x, sigma, labels)
    Onnx,
}

/// Parts of a run that are exported to ONNX.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportPart {
    /// The network with the formulas around it
    Flow,
    /// The encoder of the run's autoencoder: images in [-1, 1] to means and standard deviations of latents
    Encoder,
    /// The decoder of the run's autoencoder: latents, in the units of the flow's data, to images in [-1, 1]
    Decoder,
}

/// Names of exported weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportNames {
    /// Paths in this program's networks
    Own,
    /// Names and layouts of PFGM's and the score models' published checkpoints
    Pfgm,
    /// Names of a checkpoint, without the optimizer's state; every command accepts the file as a run
    Run,
}

#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The folder of a run, a checkpoint file, or a bundled model
    pub run: PathBuf,

    /// The file to write, or the folder for diffusers
    #[arg(short = 'o', long, value_name = "FILE.safetensors|FILE.onnx|DIR")]
    pub out: PathBuf,

    /// What is written
    #[arg(long, value_enum, default_value = "safetensors")]
    pub format: ExportFormat,

    /// Which part of a run of latents (data.autoencoder) is written as ONNX
    #[arg(long, value_enum, default_value = "flow")]
    pub part: ExportPart,

    /// Names of the weights in a safetensors file
    #[arg(long, value_enum, default_value = "own")]
    pub names: ExportNames,
}
