//! Published checkpoints as runs of this program: names and layouts of weights, and what the networks' outputs say.
//!
//! What a file does not say is inferred from the names and shapes of its tensors, or asked for; whatever was assumed is told.

mod edm;
mod export;
mod ncsnv2;
mod score_sde;
mod tensors;

use std::{
    collections::HashMap,
    mem::discriminant,
    path::{Path, PathBuf},
};

use pfgm_data::{Shape, Transform};
use pfgm_torch::{TorchError, Value};

use crate::{
    config::{Config, DataConfig, FlowConfig, SampleConfig, TrainConfig},
    extra_dims::ExtraDims,
    network::{NetworkConfig, NetworkError},
    prediction::Output,
    process::{BETA_MAX, BETA_MIN},
    solver::Solver,
    spec::{DataInfo, ModelSpec},
    weights::{Weight, WeightError},
};
use tensors::Tensors;

pub use export::released_names;

/// The model that a network was trained as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// PFGM (arXiv 2209.11178): the normalised Poisson field, D = 1.
    Pfgm,
    /// Variance-exploding score model (arXiv 2011.13456).
    Ve,
    /// Variance-preserving score model.
    Vp,
    /// The same with less noise.
    SubVp,
    /// PFGM++ (arXiv 2302.04265): EDM's denoiser, any D.
    PfgmPp,
    /// EDM (arXiv 2206.00364): PFGM++ with D = infinity.
    Edm,
}

/// What a person says about a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// The model, where the file does not say.
    pub method: Option<Method>,
    /// Height and width of the images, where the file does not say.
    pub size: Option<[usize; 2]>,
    /// D, for PFGM++.
    pub extra_dims: Option<ExtraDims>,
    /// The range that images were scaled to in training, where it is not [-1, 1].
    pub images: Option<(f64, f64)>,
    /// A configuration whose noise levels and solver are the checkpoint's, instead of those published for CIFAR-10.
    pub like: Option<Config>,
}

/// The probability of each kind of augmentation that EDM and PFGM++ publish for CIFAR-10.
const PUBLISHED_AUGMENT: f64 = 0.12;

/// A published checkpoint as a run.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The run's record.
    pub record: ModelSpec,
    /// Steps that it was trained for; 0 where the file does not say.
    pub step: u64,
    /// The weights that samples are drawn with.
    pub average: Vec<Weight>,
    /// What was assumed because the file does not say it, a sentence each.
    pub assumed: Vec<String>,
}

/// Why a file is no checkpoint that can be imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It cannot be read.
    #[error(transparent)]
    Torch(#[from] TorchError),
    /// It holds something else, or something more.
    #[error("{path}: {problem}")]
    Unknown {
        /// The file.
        path: PathBuf,
        /// What is not understood, and what to do.
        problem: String,
    },
    /// The weights do not make up the network that their names describe.
    #[error("{path}: {source}")]
    Weights {
        /// The file.
        path: PathBuf,
        /// Which.
        source: WeightError,
    },
    /// The network does not fit the images.
    #[error("{path}: {source}")]
    Network {
        /// The file.
        path: PathBuf,
        /// Why.
        source: NetworkError,
    },
}

/// A network in this program's terms.
struct Converted {
    network: NetworkConfig,
    /// Channels of the images.
    channels: usize,
    /// Height and width, where the names tell them.
    size: Option<[usize; 2]>,
    /// Whether it is a preconditioned denoiser.
    preconditioned: bool,
    classes: usize,
    /// The highest and the lowest noise level, where the file tells them.
    levels: Option<(f32, f32)>,
    weights: Vec<Weight>,
    assumed: Vec<String>,
}

/// Reads a checkpoint of PFGM, of a score model, of EDM or of PFGM++.
///
/// # Errors
/// When the file cannot be read, is none of these, or leaves open what has to be asked for.
pub fn import(path: &Path, request: &Request) -> Result<Imported, ImportError> {
    let unknown = |problem: String| ImportError::Unknown { path: path.to_owned(), problem };
    let file = pfgm_torch::open(path)?;
    let root = file.root();
    // A list holds the network, other things, and the averages of what it learns.
    let networks: Vec<Value> = match root.as_list() {
        Some(items) => items.filter(|&item| holds_weights(item)).collect(),
        None => vec![averaged_module(root)],
    };
    let (Some(first), Some(last)) = (networks.first(), networks.last()) else {
        return Err(unknown("a list without a network in it".into()));
    };
    let mut tensors = Tensors::read(&file, last)?;
    if let Some(name) = tensors.empty() {
        return Err(unknown(format!("the tensor `{name}` has no values")));
    }
    if let Some(shadow) = root.get("ema").and_then(|ema| ema.get("shadow_params")) {
        tensors.replace_learned(&file, shadow).map_err(&unknown)?;
    }
    let step = root.get("step").and_then(Value::as_int).unwrap_or(0).max(0) as u64;
    let converted = if tensors.has("all_modules.0.") {
        score_sde::convert(tensors)
    } else if tensors.has("enc.") && tensors.has("map_layer0.") {
        edm::convert(tensors)
    } else if tensors.has("begin_conv.") && tensors.has("refine1.") {
        let whole = Tensors::read(&file, first)?;
        let levels = whole.values("sigmas").and_then(|sigmas| Some((*sigmas.first()?, *sigmas.last()?)));
        ncsnv2::convert(tensors).map(|converted| Converted { levels, ..converted })
    } else {
        let names = tensors.some_names();
        Err(format!("none of the networks that can be imported; it has the tensors {names}"))
    };
    let converted = converted.map_err(&unknown)?;
    record(path, request, converted, step)
}

/// Whether a value is a dictionary of weights.
fn holds_weights(value: Value<'_>) -> bool {
    let is_weight = |key: Value<'_>| key.as_str().is_some_and(|name| name.ends_with(".weight"));
    value.entries().any(|(key, value)| is_weight(key) && value.as_tensor().is_some())
}

/// The module or dictionary of a file that holds the weights: averaged ones before others.
fn averaged_module(root: Value<'_>) -> Value<'_> {
    let holds = |key: &str| root.get(key).filter(|value| value.get("shadow_params").is_none());
    ["ema", "model", "net", "state_dict"].into_iter().find_map(holds).unwrap_or(root)
}

/// The run that a network makes up together with what was asked for.
fn record(path: &Path, request: &Request, converted: Converted, step: u64) -> Result<Imported, ImportError> {
    let unknown = |problem: String| ImportError::Unknown { path: path.to_owned(), problem };
    let Converted { mut network, channels, size, preconditioned, classes, levels, weights, mut assumed } = converted;
    let [height, width] = match (request.size, size) {
        (Some(asked), Some(found)) if asked != found => {
            let [h, w] = found;
            return Err(unknown(format!("its names say that images are {h}x{w}; leave --size away")));
        }
        (Some(size), _) | (None, Some(size)) => size,
        (None, None) => {
            assumed.push("images of 32x32, as published for CIFAR-10 (--size says otherwise)".into());
            [32, 32]
        }
    };
    if let (NetworkConfig::ScoreUnet(unet), false) = (&mut network, preconditioned) {
        // The names tell the levels that attend; their heights are of the image with the zeros beside it.
        let padded = height.next_multiple_of(1 << unet.multipliers.len().saturating_sub(1));
        unet.attention.iter_mut().for_each(|level| *level = padded >> *level);
    }
    let method = method(request, &network, preconditioned, &mut assumed).map_err(&unknown)?;
    if request.images.is_some() && method != Method::Ve {
        return Err(unknown("--images: only VE models are published for images of other ranges than [-1, 1]".into()));
    }
    if request.extra_dims.is_some() && method != Method::PfgmPp {
        return Err(unknown("extra_dims: only PFGM++ has a D to choose".into()));
    }
    let (beta_min, beta_max) = (BETA_MIN, BETA_MAX);
    let infinite = ExtraDims::Infinite;
    let (output, extra_dims, range) = match method {
        Method::Pfgm => {
            assumed.push("gamma = 5, z from 1e-3 to 40, as published for CIFAR-10".into());
            (Output::Field { gamma: 5.0 }, ExtraDims::Finite(1.0), (1e-3, 40.0))
        }
        Method::Ve => {
            // Levels told by a file are of images in [0, 1]: so are the networks that have them released.
            let images = request.images.unwrap_or(if levels.is_some() { (0.0, 1.0) } else { (-1.0, 1.0) });
            let unit = 2.0 / (images.1 - images.0);
            let (highest, lowest) = levels.map_or((50.0, 0.01), |(highest, lowest)| (highest.into(), lowest.into()));
            if levels.is_none() {
                assumed.push("sigma from 0.01 to 50, the output divided by sigma, as published".into());
            }
            if request.images.is_none() {
                let (low, high) = images;
                assumed.push(format!("noise levels of images scaled to [{low}, {high}] (--images says otherwise)"));
            }
            (Output::Ve { scaled: true, unit }, infinite, (unit * lowest, unit * highest))
        }
        Method::Vp | Method::SubVp => {
            assumed.push("beta from 0.1 to 20, t from 1e-3 to 1, as published".into());
            let output = if method == Method::Vp {
                Output::Vp { beta_min, beta_max }
            } else {
                Output::SubVp { beta_min, beta_max }
            };
            let at = |t: f64| output.process().sigma(t, (0.0, 0.0));
            (output, infinite, (at(1e-3), at(1.0)))
        }
        Method::Edm => (Output::Edm, infinite, (2e-3, 80.0)),
        Method::PfgmPp => {
            let extra_dims = request.extra_dims.unwrap_or_else(|| {
                assumed.push("D = 2048, as published for CIFAR-10 (`extra_dims` says otherwise)".into());
                ExtraDims::Finite(2048.0)
            });
            (Output::Edm, extra_dims, (2e-3, 80.0))
        }
    };
    let solver = match output {
        Output::Edm => Solver::heun(18).into(),
        _ => Solver::rk45(1e-4).into(),
    };
    let (output, range, solver) = match &request.like {
        None => (output, range, solver),
        Some(like) if discriminant(&like.flow.output) != discriminant(&output) => {
            return Err(unknown(format!("--like: that configuration's flow.output is not {}'s", method.name())));
        }
        Some(like) => {
            assumed.retain(|sentence| !sentence.starts_with("gamma"));
            let highest = like.flow.sigma_max.unwrap_or(range.1);
            (like.flow.output, (like.flow.sigma_min, highest), like.sample.solver.clone())
        }
    };
    let deformed = weights.iter().any(|weight| weight.name.ends_with("deformation.weight"));
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let config = Config {
        data: DataConfig { source: name.clone(), conditional: classes > 0, hold_out: 0, ..DataConfig::default() },
        flow: FlowConfig {
            extra_dims,
            sigma_min: range.0,
            sigma_max: Some(range.1),
            sigma_data: Some(0.5),
            far_field: false,
            max_row_rms: None,
            detail_rms: None,
            output,
        },
        network,
        train: TrainConfig { augment: if deformed { PUBLISHED_AUGMENT } else { 0.0 }, ..TrainConfig::default() },
        sample: SampleConfig { solver, ..SampleConfig::default() },
        ..Config::default()
    };
    let data = DataInfo {
        name,
        shape: Shape::Image { height, width, channels },
        // Bytes to [-1, 1].
        transform: Transform { offset: vec![127.5], scale: vec![127.5] },
        range: (0.0, 255.0),
        columns: Vec::new(),
        classes: (0..classes).map(|class| class.to_string()).collect(),
        class_counts: Vec::new(),
        rows: 0,
    };
    let record = ModelSpec { config, data };
    let device = crate::device::open("cpu").expect("the processor is always there");
    let network = record.network(&device).map_err(|source| ImportError::Network { path: path.to_owned(), source })?;
    let by_name: HashMap<_, _> = weights.iter().map(|weight| (weight.name.clone(), weight.clone())).collect();
    crate::weights::assign(network, &by_name)
        .map_err(|source| ImportError::Weights { path: path.to_owned(), source })?;
    Ok(Imported { record, step, average: weights, assumed })
}

/// Which model it is: by the network where that says it, by request, or as published.
fn method(
    request: &Request,
    network: &NetworkConfig,
    preconditioned: bool,
    assumed: &mut Vec<String>,
) -> Result<Method, String> {
    let possible: &[Method] = match network {
        network if network.is_radial() => &[Method::Pfgm],
        _ if preconditioned => &[Method::PfgmPp, Method::Edm],
        NetworkConfig::ScoreUnet(_) => &[Method::Ve, Method::Vp, Method::SubVp],
        NetworkConfig::Ncsnv2(_) => &[Method::Ve],
        NetworkConfig::Unet(_) | NetworkConfig::AdmUnet(_) | NetworkConfig::Mlp(_) => &[Method::PfgmPp, Method::Edm],
    };
    if let Some(method) = request.method {
        if possible.contains(&method) {
            return Ok(method);
        }
        let names: Vec<_> = possible.iter().map(|method| method.name()).collect();
        return Err(format!("--method {}: its network is one of {}", method.name(), names.join(", ")));
    }
    let (method, why) = match network {
        network if network.is_radial() => return Ok(Method::Pfgm),
        NetworkConfig::Ncsnv2(_) => return Ok(Method::Ve),
        _ if preconditioned && request.extra_dims.is_some() => return Ok(Method::PfgmPp),
        _ if preconditioned => (Method::PfgmPp, "the file does not say; for EDM's give --method edm"),
        NetworkConfig::ScoreUnet(unet) if unet.pyramid => (Method::Ve, "NCSN++ is published with VE"),
        _ => (Method::Vp, "DDPM++ is published with VP"),
    };
    assumed.push(format!("{}: {why} (--method says otherwise)", method.name()));
    Ok(method)
}

impl Method {
    /// What it is called.
    pub fn name(self) -> &'static str {
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
