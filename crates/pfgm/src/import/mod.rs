//! Import of published checkpoints: names and layouts of weights, and the meaning of the networks' outputs.
//!
//! Missing properties are inferred from the names and shapes of the tensors, or assumed as published; [`Imported::assumed`] lists them.

mod autoencoder;
mod contents;
mod diffusers;
mod edm;
mod edm2;
mod export;
mod folder;
mod latent_units;
mod list;
mod ncsnv2;
mod own;
mod preconditioner;
mod score_sde;
mod specification;
mod tensors;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use pfgm_torch::{File, TorchError};

use self::{
    contents::Contents, edm2::Magnitudes, latent_units::LatentUnits, preconditioner::Preconditioner,
    specification::specification, tensors::Tensors,
};
use crate::{
    checkpoint::CheckpointError,
    config::Config,
    device,
    extra_dims::ExtraDims,
    memory::{self, MemoryError},
    network::NetworkConfig,
    spec::{ModelError, ModelSpec},
    weights::{self, Weight, WeightError},
};

pub(crate) use autoencoder::{ReadAutoencoder, read_autoencoder};
pub use diffusers::{DiffusersFolder, diffusers_folder};
pub use edm2::snapshot_name;
pub use export::released_names;
pub use list::{READABLE, Readable};
pub(crate) use specification::LATENTS;

/// Training method of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// PFGM (arXiv 2209.11178): the normalized Poisson field, D = 1.
    Pfgm,
    /// Variance-exploding score model (arXiv 2011.13456).
    Ve,
    /// Variance-preserving score model.
    Vp,
    /// Sub-variance-preserving score model.
    SubVp,
    /// PFGM++ (arXiv 2302.04265): EDM's denoiser, any D.
    PfgmPp,
    /// EDM (arXiv 2206.00364): PFGM++ with D = infinity.
    Edm,
}

/// Properties of a file that the user gives.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// The method, if the file does not contain it.
    pub method: Option<Method>,
    /// Height and width of the images, if the file does not contain them.
    pub size: Option<[usize; 2]>,
    /// D, for PFGM++.
    pub extra_dims: Option<ExtraDims>,
    /// The range that images were scaled to in training, if it is not [-1, 1].
    pub images: Option<(f64, f64)>,
    /// A configuration whose noise levels and solver are used instead of those published for CIFAR-10.
    pub like: Option<Config>,
    /// The autoencoder (AutoencoderKL of diffusers) whose latents the network draws: a folder, or `hf:NAME`. For EDM2's networks of latents.
    pub autoencoder: Option<String>,
}

/// A published checkpoint as a run.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The specification of the model.
    pub spec: ModelSpec,
    /// Number of training steps; 0 if unknown.
    pub step: u64,
    /// The averaged weights.
    pub average: Vec<Weight>,
    /// Assumptions about properties that the file does not contain, one sentence each.
    pub assumed: Vec<String>,
}

/// Reason why a file cannot be imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// It cannot be read.
    #[error(transparent)]
    Torch(#[from] TorchError),
    /// It is a checkpoint of this crate that cannot be read.
    #[error(transparent)]
    Checkpoint(Box<CheckpointError>),
    /// It holds a network that is not supported.
    #[error("{path}: {}", problem.replace(char::is_control, " "))]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What is not supported, and what is.
        problem: String,
    },
    /// A field of the request contradicts the file.
    #[error("{path}: {field}: {}", problem.replace(char::is_control, " "))]
    Contradiction {
        /// The file.
        path: PathBuf,
        /// The field.
        field: &'static str,
        /// The contradiction, and what to do.
        problem: String,
    },
    /// A field of the request is required, because the file does not contain it.
    #[error("{path}: {field}: {}", problem.replace(char::is_control, " "))]
    Missing {
        /// The file.
        path: PathBuf,
        /// The field.
        field: &'static str,
        /// What to give.
        problem: String,
    },
    /// The weights do not match the network that their names describe.
    #[error("{path}: {source}")]
    Weights {
        /// The file.
        path: PathBuf,
        /// Which weight.
        source: WeightError,
    },
    /// The network does not fit the images, or a number of the file is invalid.
    #[error("{path}: {source}")]
    Spec {
        /// The file.
        path: PathBuf,
        /// The invalid value.
        source: ModelError,
    },
    /// The machine has too little memory for the network.
    #[error("{path}: {source}")]
    Memory {
        /// The file.
        path: PathBuf,
        /// Memory that is needed and available.
        source: MemoryError,
    },
}

impl ImportError {
    fn unsupported(file: &File, problem: impl Into<String>) -> Self {
        Self::Unsupported { path: file.path().into(), problem: problem.into() }
    }
}

/// An [`ImportError`] without the name of the file.
enum Problem {
    /// A field of the request contradicts the file.
    Contradiction(&'static str, String),
    /// A field of the request is needed.
    Missing(&'static str, String),
}

impl Problem {
    fn at(self, path: &Path) -> ImportError {
        let path = path.to_owned();
        match self {
            Self::Contradiction(field, problem) => ImportError::Contradiction { path, field, problem },
            Self::Missing(field, problem) => ImportError::Missing { path, field, problem },
        }
    }
}

/// A converted network.
struct Converted {
    network: NetworkConfig,
    /// Channels of the images.
    channels: usize,
    /// Height and width, if the names of tensors contain them.
    size: Option<[usize; 2]>,
    /// Whether it is the network of a preconditioned denoiser.
    preconditioned: bool,
    /// The preconditioner, if the file has it.
    preconditioner: Option<Preconditioner>,
    classes: usize,
    /// Whether the network had further outputs for a variance, which were dropped.
    has_variance: bool,
    /// The highest and the lowest noise level, if the file lists them.
    levels: Option<(f32, f32)>,
    /// Units of the latents, if the file has them.
    latents: Option<LatentUnits>,
    weights: Vec<Weight>,
    /// Assumptions, one sentence each.
    notes: Vec<String>,
}

/// Imports a checkpoint of PFGM, a score model, EDM, EDM2 or PFGM++, a file that this crate exported, or a folder of diffusers (`UNet2DModel`).
/// `hf:NAME` is the folder of a repository in the local cache of the Hugging Face Hub; nothing is downloaded.
///
/// # Errors
/// Returns an error if the file cannot be read, holds an unsupported network, contradicts the request, or lacks a required property.
pub fn import(path: &Path, request: &Request) -> Result<Imported, ImportError> {
    let path = &folder::located(path)?;
    if path.is_dir() {
        return diffusers::import(path, request);
    }
    let file = pfgm_torch::open(path)?;
    if let Some(imported) = own::import(&file, path, request)? {
        return Ok(imported);
    }
    let Contents { tensors, preconditioner, magnitudes, step, levels, latents, mut notes } = Contents::read(&file)?;
    let converted = convert(tensors, magnitudes).map_err(|problem| ImportError::unsupported(&file, problem))?;
    let wants_variance = preconditioner.is_some_and(|found| matches!(found.kind, preconditioner::Kind::Iddpm { .. }));
    if converted.has_variance != wants_variance {
        let problem = "twice as many outputs as channels go with iDDPMPrecond, and only with that";
        return Err(ImportError::unsupported(&file, problem));
    }
    // Networks of other kinds store levels, too, which are not those of their training.
    let levels = levels.filter(|_| matches!(converted.network, NetworkConfig::Ncsnv2(_)));
    let mut converted = Converted { preconditioner, levels, latents, ..converted };
    notes.append(&mut converted.notes);
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let spec = specification(&name, request, &converted, &mut notes).map_err(|problem| problem.at(path))?;
    check(path, &spec, &converted.weights)?;
    Ok(Imported { spec, step, average: converted.weights, assumed: notes })
}

/// Recognizes a network by the names of its tensors.
fn convert(tensors: Tensors, magnitudes: Option<Magnitudes>) -> Result<Converted, String> {
    if tensors.has("all_modules.0.") {
        score_sde::convert(tensors)
    } else if tensors.has("enc.") && tensors.has("map_layer0.") {
        edm::convert(tensors)
    } else if tensors.has("unet.enc.") && tensors.has("unet.emb_fourier.") {
        edm2::convert(tensors, magnitudes)
    } else if tensors.has("begin_conv.") && tensors.has("refine1.") {
        ncsnv2::convert(tensors)
    } else {
        Err(format!("none of the networks that can be imported; it has the tensors {}", tensors.some_names()))
    }
}

/// Checks the specification, and the weights against its network, before any network is built.
fn check(path: &Path, spec: &ModelSpec, weights: &[Weight]) -> Result<(), ImportError> {
    let wrong = |source: ModelError| ImportError::Spec { path: path.to_owned(), source };
    spec.check().map_err(wrong)?;
    let network = spec.network_shapes(&device::cpu()).map_err(|error| wrong(error.into()))?;
    let by_name: HashMap<_, _> = weights.iter().map(|weight| (weight.name.clone(), weight.clone())).collect();
    weights::check(&network, &by_name).map_err(|source| ImportError::Weights { path: path.to_owned(), source })?;
    memory::require_rows(spec.dim()).map_err(|source| ImportError::Memory { path: path.to_owned(), source })
}

impl Method {
    /// The method's name in requests and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pfgm => "pfgm",
            Self::Ve => "ve",
            Self::Vp => "vp",
            Self::SubVp => "sub-vp",
            Self::PfgmPp => "pfgmpp",
            Self::Edm => "edm",
        }
    }
}
