//! The specification of an imported network: from the file, from the request, and otherwise with the published values.

use std::mem::discriminant;

use pfgm_data::{Shape, Transform};

use super::{
    Converted, Method, Problem, Request,
    autoencoder::read_scale,
    latent_units::LatentUnits,
    preconditioner::{Kind, Preconditioner},
};
use crate::{
    config::{Config, DataConfig, FlowConfig, SampleConfig, TrainConfig},
    extra_dims::ExtraDims,
    network::NetworkConfig,
    objective::{DenoisingObjective, Objective},
    prediction::{DiscreteSchedule, Output, Quantity},
    process::{BETA_MAX, BETA_MIN},
    solver::Solver,
    spec::{DataInfo, ModelSpec},
};

/// The probability of each kind of augmentation that EDM and PFGM++ publish for CIFAR-10.
const PUBLISHED_AUGMENT: f64 = 0.12;

/// The range of latents, far beyond what they reach: they have no nominal range.
pub(crate) const LATENTS: f32 = 1e6;

/// The noise levels that EDM publishes for sampling.
const EDM_RANGE: (f64, f64) = (2e-3, 80.0);

/// Returns the specification of a network. Adds a sentence to `notes` for each assumed value.
pub fn specification(
    name: &str,
    request: &Request,
    converted: &Converted,
    notes: &mut Vec<String>,
) -> Result<ModelSpec, Problem> {
    let [height, width] = image_size(request, converted, notes)?;
    let network = network(converted, height);
    let method = method(request, converted, notes)?;
    check_request(request, method)?;
    let mut space = Space::of(method, request, converted, notes);
    let mut sample = SampleConfig { solver: solver(&space.output), ..SampleConfig::default() };
    if let Some(like) = &request.like {
        space.take(like, method, notes)?;
        sample.solver = like.sample.solver.clone();
        (sample.z_exp, sample.upper_norm) = (like.sample.z_exp, like.sample.upper_norm);
    }
    let has_augmentation = converted.weights.iter().any(|weight| weight.name.ends_with("deformation.weight"));
    let preserves_magnitudes = matches!(network, NetworkConfig::Edm2Unet(_));
    let log_variance = matches!(&network, NetworkConfig::Edm2Unet(config) if config.variance > 0);
    let train = TrainConfig {
        augment: if has_augmentation { PUBLISHED_AUGMENT } else { 0.0 },
        normalize_weights: preserves_magnitudes,
        ..TrainConfig::default()
    };
    let objective = DenoisingObjective { log_variance, ..DenoisingObjective::default() };
    let classes = converted.classes;
    let (transform, range, autoencoder) = units(request, converted, notes)?;
    let autoencoder_range = match autoencoder {
        Some(_) => LatentUnits::PIXELS,
        None => DataConfig::default().autoencoder_range,
    };
    let source = name.to_owned();
    let config = Config {
        data: DataConfig {
            source,
            autoencoder,
            autoencoder_range,
            conditional: classes > 0,
            hold_out: 0,
            ..DataConfig::default()
        },
        flow: space.flow(),
        objective: Objective::Denoising(objective),
        network,
        train,
        sample,
        ..Config::default()
    };
    let data = DataInfo {
        name: name.to_owned(),
        shape: Shape::Image { height, width, channels: converted.channels },
        transform,
        range,
        columns: Vec::new(),
        whole_columns: Vec::new(),
        table: None,
        classes: (0..classes).map(|class| class.to_string()).collect(),
        class_counts: Vec::new(),
        rows: 0,
    };
    Ok(ModelSpec { config, data })
}

/// The map from the data's units to the model's space, the range of the data, and their autoencoder.
type Units = (Transform, (f32, f32), Option<String>);

fn units(request: &Request, converted: &Converted, notes: &mut Vec<String>) -> Result<Units, Problem> {
    let wrong = |problem: String| Problem::Contradiction("autoencoder", problem);
    let has_latents = matches!(converted.network, NetworkConfig::Edm2Unet(_)) && converted.channels > 3;
    let range = (-LATENTS, LATENTS);
    match &request.autoencoder {
        Some(_) if !has_latents => Err(wrong("only EDM2's networks of latents have one; omit it".into())),
        Some(path) => {
            let scale = read_scale(path.as_ref()).map_err(|error| wrong(error.to_string()))?;
            let units = converted.latents.clone().unwrap_or_else(|| {
                notes.push("latents in the units that EDM2 publishes for stabilityai/sd-vae-ft-mse".into());
                LatentUnits::published()
            });
            let transform = units.transform(&scale, converted.channels).map_err(wrong)?;
            Ok((transform, range, Some(path.clone())))
        }
        None if has_latents => {
            notes.push(format!(
                "images of {} channels are latents in the network's own units (`autoencoder` decodes them)",
                converted.channels
            ));
            Ok((Transform { offset: vec![0.0], scale: vec![1.0] }, range, None))
        }
        // Bytes to [-1, 1].
        None => Ok((Transform { offset: vec![127.5], scale: vec![127.5] }, (0.0, 255.0), None)),
    }
}

fn image_size(request: &Request, converted: &Converted, notes: &mut Vec<String>) -> Result<[usize; 2], Problem> {
    match (request.size, converted.size) {
        (Some(asked), Some(found)) if asked != found => {
            let [height, width] = found;
            let problem = format!("the names of its tensors say that images are {height}x{width}; omit it");
            Err(Problem::Contradiction("size", problem))
        }
        (Some(size), _) | (None, Some(size)) => Ok(size),
        (None, None) => {
            notes.push("images of 32x32, as published for CIFAR-10 (`size` overrides it)".into());
            Ok([32, 32])
        }
    }
}

/// Returns the network's configuration, with levels converted to heights.
fn network(converted: &Converted, height: usize) -> NetworkConfig {
    let mut network = converted.network.clone();
    if let (NetworkConfig::ScoreUnet(unet), false) = (&mut network, converted.preconditioned) {
        // The heights of its attention are those of the padded image.
        let levels = unet.multipliers.len();
        let stride = 1_usize.checked_shl(levels.saturating_sub(1) as u32).unwrap_or(1);
        let padded = height.checked_next_multiple_of(stride).unwrap_or(height);
        unet.attention.iter_mut().for_each(|level| *level = padded >> (*level).min(63));
    }
    network
}

/// Returns the training method of a network: from its file, from its layers, from the request, or as published.
fn method(request: &Request, converted: &Converted, notes: &mut Vec<String>) -> Result<Method, Problem> {
    let possible = possible_methods(converted);
    if let Some(method) = request.method {
        if possible.contains(&method) {
            return Ok(method);
        }
        let names: Vec<_> = possible.iter().map(|method| method.as_str()).collect();
        let problem = format!("{}: its network is one of {}", method.as_str(), names.join(", "));
        return Err(Problem::Contradiction("method", problem));
    }
    let (method, why) = match (possible, &converted.network) {
        _ if request.extra_dims.is_some() && possible.contains(&Method::PfgmPp) => return Ok(Method::PfgmPp),
        (&[method, ..], _) if possible.len() == 1 || converted.preconditioner.is_some() => return Ok(method),
        (&[Method::PfgmPp, ..], _) => {
            let problem = "the file does not say whether it is EDM's or PFGM++'s; give `edm` or `pfgmpp`";
            return Err(Problem::Missing("method", problem.into()));
        }
        (_, NetworkConfig::ScoreUnet(unet)) if unet.pyramid => (Method::Ve, "NCSN++ is published with VE"),
        _ => (Method::Vp, "DDPM++ is published with VP"),
    };
    notes.push(format!("{}: {why} (`method` overrides it)", method.as_str()));
    Ok(method)
}

/// Returns the possible training methods of a network. If the file contains the method, it is the first one.
fn possible_methods(converted: &Converted) -> &'static [Method] {
    if let Some(preconditioner) = converted.preconditioner {
        return match preconditioner.kind {
            Kind::Edm { .. } if preconditioner.extra_dims.is_some() => &[Method::PfgmPp, Method::Edm],
            Kind::Edm { .. } => &[Method::Edm, Method::PfgmPp],
            Kind::Vp { .. } => &[Method::Edm, Method::Vp],
            Kind::Ve => &[Method::Edm, Method::Ve],
            Kind::Iddpm { .. } => &[Method::Edm],
        };
    }
    match &converted.network {
        network if network.is_radial() => &[Method::Pfgm],
        _ if converted.preconditioned => &[Method::PfgmPp, Method::Edm],
        NetworkConfig::ScoreUnet(_) => &[Method::Ve, Method::Vp, Method::SubVp],
        NetworkConfig::Ncsnv2(_) => &[Method::Ve],
        _ => &[Method::PfgmPp, Method::Edm],
    }
}

fn check_request(request: &Request, method: Method) -> Result<(), Problem> {
    if request.images.is_some() && method != Method::Ve {
        let problem = "only VE models are published for images of other ranges than [-1, 1]";
        return Err(Problem::Contradiction("images", problem.into()));
    }
    if request.extra_dims.is_some() && method != Method::PfgmPp {
        return Err(Problem::Contradiction("extra_dims", "only PFGM++ has a D to choose".into()));
    }
    Ok(())
}

/// Noise levels, D and output of an imported network.
struct Space {
    extra_dims: ExtraDims,
    range: (f64, f64),
    sigma_data: f64,
    output: Output,
    log_level: Option<bool>,
}

impl Space {
    fn of(method: Method, request: &Request, converted: &Converted, notes: &mut Vec<String>) -> Self {
        if let Some(preconditioner) = converted.preconditioner {
            return Self::of_preconditioner(preconditioner, method, request, notes);
        }
        let plain = Self {
            extra_dims: ExtraDims::Infinite,
            range: EDM_RANGE,
            sigma_data: 0.5,
            output: Output::Edm,
            log_level: None,
        };
        match method {
            Method::Pfgm => {
                notes.push("gamma = 5, z from 1e-3 to 40, as published for CIFAR-10".into());
                let (extra_dims, output) = (ExtraDims::Finite(1.0), Output::Field { gamma: 5.0 });
                Self { extra_dims, range: (1e-3, 40.0), output, ..plain }
            }
            Method::Ve => {
                let (output, range) = score(request, converted.levels, notes);
                Self { output, range, ..plain }
            }
            Method::Vp | Method::SubVp => {
                notes.push("beta from 0.1 to 20, t from 1e-3 to 1, as published".into());
                let (beta_min, beta_max) = (BETA_MIN, BETA_MAX);
                let output = match method {
                    Method::Vp => Output::Vp { beta_min, beta_max },
                    _ => Output::SubVp { beta_min, beta_max },
                };
                let process = output.process();
                let at = |t: f64| process.sigma(t, (0.0, 0.0));
                Self { output, range: (at(1e-3), at(1.0)), ..plain }
            }
            Method::Edm | Method::PfgmPp => {
                notes.push("sigma_data = 0.5, as published".into());
                let extra_dims =
                    if method == Method::Edm { ExtraDims::Infinite } else { published_dims(request, notes) };
                Self { extra_dims, ..plain }
            }
        }
    }

    /// Returns the properties in files of EDM and PFGM++.
    fn of_preconditioner(
        preconditioner: Preconditioner,
        method: Method,
        request: &Request,
        notes: &mut Vec<String>,
    ) -> Self {
        let Preconditioner { kind, range: (lowest, highest), extra_dims: given } = preconditioner;
        let extra_dims = match (method, request.extra_dims, given) {
            (Method::PfgmPp, None, Some(d)) => {
                notes
                    .push(format!("PFGM++ with D = {d}, as its network says (`method` or `extra_dims` say otherwise)"));
                ExtraDims::Finite(d)
            }
            (Method::PfgmPp, ..) => published_dims(request, notes),
            _ => ExtraDims::Infinite,
        };
        let (output, sigma_data, log_level) = match kind {
            Kind::Edm { sigma_data } => (Output::Edm, sigma_data, None),
            // The network is conditioned on the time itself with every embedding.
            Kind::Vp { beta_min, beta_max } => (Output::Vp { beta_min, beta_max }, 0.5, Some(false)),
            // c_noise = ln(sigma / 2)
            Kind::Ve => (Output::Ve { scaled: true, unit: 2.0 }, 0.5, Some(true)),
            Kind::Iddpm { steps } => {
                let schedule = DiscreteSchedule::SquaredCosine { steps };
                (Output::Discrete { schedule, quantity: Quantity::Epsilon }, 0.5, Some(false))
            }
        };
        let range = (lowest.max(EDM_RANGE.0), highest.min(EDM_RANGE.1));
        Self { extra_dims, range, sigma_data, output, log_level }
    }

    /// Uses the noise levels and the output of a configuration.
    fn take(&mut self, like: &Config, method: Method, notes: &mut Vec<String>) -> Result<(), Problem> {
        if discriminant(&like.flow.output) != discriminant(&self.output) {
            let problem = format!("that configuration's flow.output is not {}'s", method.as_str());
            return Err(Problem::Contradiction("like", problem));
        }
        notes.retain(|sentence| !sentence.starts_with("gamma"));
        self.output = like.flow.output.clone();
        self.range = (like.flow.sigma_min, like.flow.sigma_max.unwrap_or(self.range.1));
        Ok(())
    }

    fn flow(&self) -> FlowConfig {
        FlowConfig {
            extra_dims: self.extra_dims,
            sigma_min: self.range.0,
            sigma_max: Some(self.range.1),
            sigma_data: Some(self.sigma_data),
            far_field: false,
            max_row_rms: None,
            detail_rms: None,
            output: self.output.clone(),
            log_level: self.log_level,
        }
    }
}

/// Returns D of PFGM++, from the request or as published.
fn published_dims(request: &Request, notes: &mut Vec<String>) -> ExtraDims {
    request.extra_dims.unwrap_or_else(|| {
        notes.push("D = 2048, as published for CIFAR-10 (`extra_dims` overrides it)".into());
        ExtraDims::Finite(2048.0)
    })
}

/// The output and the noise levels of a VE model.
fn score(request: &Request, levels: Option<(f32, f32)>, notes: &mut Vec<String>) -> (Output, (f64, f64)) {
    // Networks with a list of levels are published for images in [0, 1].
    let images = request.images.unwrap_or(if levels.is_some() { (0.0, 1.0) } else { (-1.0, 1.0) });
    let unit = 2.0 / (images.1 - images.0);
    let (highest, lowest) = levels.map_or((50.0, 0.01), |(highest, lowest)| (highest.into(), lowest.into()));
    if levels.is_none() {
        notes.push("sigma from 0.01 to 50, the output divided by sigma, as published".into());
    }
    if request.images.is_none() {
        let (low, high) = images;
        notes.push(format!("noise levels of images scaled to [{low}, {high}] (`images` overrides it)"));
    }
    (Output::Ve { scaled: true, unit }, (unit * lowest, unit * highest))
}

fn solver(output: &Output) -> Solver {
    match output {
        Output::Edm => Solver::heun(18).into(),
        _ => Solver::rk45(1e-4).into(),
    }
}
