//! Contents of a checkpoint file: the weights for sampling, and properties of the network.

use std::collections::BTreeSet;

use pfgm_torch::{File, Tensor, Value};

use super::{
    ImportError, edm2::Magnitudes, latent_units::LatentUnits, preconditioner::Preconditioner, tensors::Tensors,
};

/// Keys of moving averages of the weights in common training programs.
const AVERAGES: [&str; 12] = [
    "ema",
    "model_ema",
    "state_dict_ema",
    "ema_state_dict",
    "ema_model",
    "ema_model_state_dict",
    "model_state_dict_ema",
    "params_ema",
    "ema_params",
    "averaged_model",
    "average",
    "net_ema",
];

/// Keys of the weights without averaging.
const WEIGHTS: [&str; 8] = ["model", "net", "state_dict", "model_state_dict", "network", "unet", "params", "module"];

/// Maximum nesting of dictionaries that are searched for weights.
const DEPTH: usize = 3;

/// Names of tensors that every network has which can be imported: what stands before them is a wrapper's prefix.
const MARKERS: [&str; 4] = ["all_modules.0.", "map_layer0.weight", "begin_conv.weight", "unet.emb_fourier.freqs"];

/// The contents of a file.
pub struct Contents {
    /// Tensors of the network, without prefixes.
    pub tensors: Tensors,
    /// The preconditioner of the network, if the file has it.
    pub preconditioner: Option<Preconditioner>,
    /// What the modules of EDM2's network say about their sums.
    pub magnitudes: Option<Magnitudes>,
    /// Steps of training; 0 if the file does not say.
    pub step: u64,
    /// The highest and the lowest noise level, if the file lists them.
    pub levels: Option<(f32, f32)>,
    /// Units of the latents that the network draws, if the file has them.
    pub latents: Option<LatentUnits>,
    /// Notes about which weights were used, one sentence each.
    pub notes: Vec<String>,
}

impl Contents {
    /// Finds the weights in a file: averages are preferred.
    pub fn read(file: &File) -> Result<Self, ImportError> {
        let root = file.root();
        // A list holds the network, other objects, and the averages of its trained weights.
        let networks: Vec<Value> = root.as_list().into_iter().flatten().filter(|&item| has_weights(item)).collect();
        let shadow = root.get("ema").and_then(|ema| ema.get("shadow_params"));
        let found = match networks.last() {
            Some(&last) => Found { value: last, key: None, is_average: networks.len() > 1 },
            None => find(root, DEPTH).unwrap_or(Found { value: root, key: None, is_average: false }),
        };
        let list = found.value.state_dict()?;
        let (prefix, is_average) = prefix(&list);
        let mut tensors = Tensors::read(file, &list, &prefix)?;
        if let Some(name) = tensors.empty() {
            return Err(ImportError::unsupported(file, format!("the tensor `{name}` has no values")));
        }
        let mut is_average = is_average || found.is_average;
        if let Some(shadow) = shadow.filter(|_| !is_average) {
            tensors.replace_learned(file, shadow).map_err(|problem| ImportError::unsupported(file, problem))?;
            is_average = true;
        }
        let place = [found.key.unwrap_or_default(), prefix.trim_end_matches('.')];
        let place = place.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(".");
        let levels = networks.first().copied().unwrap_or(found.value);
        Ok(Self {
            preconditioner: Preconditioner::read(found.value)
                .map_err(|problem| ImportError::unsupported(file, problem))?,
            magnitudes: Magnitudes::read(found.value).map_err(|problem| ImportError::unsupported(file, problem))?,
            tensors,
            step: step(file),
            levels: noise_levels(file, levels)?,
            latents: LatentUnits::read(file)?,
            notes: vec![note(&place, is_average)],
        })
    }
}

/// Returns a note about which weights were used.
fn note(place: &str, is_average: bool) -> String {
    let place = if place.is_empty() { String::new() } else { format!(" (`{place}`)") };
    if is_average {
        format!("weights: their moving average{place}")
    } else {
        format!("weights: as the optimizer left them{place}; no moving average was found in the file")
    }
}

fn step(file: &File) -> u64 {
    let said = file.metadata("step").and_then(|step| step.parse::<u64>().ok());
    said.or_else(|| file.root().get("step")?.as_int()?.try_into().ok()).unwrap_or(0)
}

/// Returns the first and last entry of the list of noise levels that NCSN networks store.
fn noise_levels(file: &File, network: Value) -> Result<Option<(f32, f32)>, ImportError> {
    let is_list = |(name, _): &&(String, &Tensor)| name.rsplit('.').next() == Some("sigmas");
    let list = network.state_dict()?;
    let Some((_, sigmas)) = list.iter().find(is_list) else { return Ok(None) };
    let values = file.values(sigmas)?;
    Ok(values.first().copied().zip(values.last().copied()))
}

/// Weights, and their key in the file.
struct Found<'a> {
    value: Value<'a>,
    key: Option<&'static str>,
    is_average: bool,
}

/// Whether a value is a module, or a dictionary that holds tensors.
fn has_weights(value: Value<'_>) -> bool {
    value.get("shadow_params").is_none() && value.state_dict().is_ok_and(|tensors| tensors.len() > 1)
}

/// Finds the weights below a value. Averages are preferred to others, and entries of dictionaries to the value itself.
fn find(value: Value<'_>, depth: usize) -> Option<Found<'_>> {
    let below = |keys: &[&'static str], is_average: bool| {
        keys.iter().find_map(|key| {
            let below = value.get(key)?;
            let inner = if depth > 0 { find(below, depth - 1) } else { None };
            let inner = inner.or_else(|| has_weights(below).then_some(Found { value: below, key: None, is_average }));
            inner.map(|found| Found { key: Some(*key), is_average: is_average || found.is_average, ..found })
        })
    };
    below(&AVERAGES, true).or_else(|| {
        if has_weights(value) {
            return Some(Found { value, key: None, is_average: false });
        }
        below(&WEIGHTS, false)
    })
}

/// Returns the prefix of the network's tensors, and whether it is that of an average. Averages are preferred, then short prefixes.
fn prefix(tensors: &[(String, &Tensor)]) -> (String, bool) {
    let before = |name: &str| {
        MARKERS.iter().find_map(|marker| {
            let before = &name[..name.find(marker)?];
            (before.is_empty() || before.ends_with('.')).then(|| before.to_owned())
        })
    };
    let is_average = |prefix: &str| prefix.split('.').any(|part| part.contains("ema") || part.contains("average"));
    let prefixes: BTreeSet<String> = tensors.iter().filter_map(|(name, _)| before(name)).collect();
    let best = prefixes.into_iter().min_by_key(|prefix| (!is_average(prefix), prefix.len())).unwrap_or_default();
    let average = is_average(&best);
    (best, average)
}
