//! The start of a training: from data, a preset, a configuration file, or another run.

use std::path::Path;

use anyhow::{Context, Result, bail};
use pfgm::{
    Model,
    config::{Config, DataConfig},
    defaults, presets,
    spec::ModelSpec,
};
use pfgm_data::{BUILT_IN, DataError, Dataset, Shape};
use toml::Table;

use super::{Changes, change, config_file, flatten, known, latents, nearest, one_line, stem};
use crate::args::TrainArgs;

/// Side to which images of different or large sizes are resized.
const SIDE: usize = 64;
/// Learning rate of fine-tuning, relative to that of the run.
const FINE_TUNING_RATE: f64 = 0.1;

/// A requested new run.
pub struct Plan {
    /// Name of the run.
    pub name: String,
    pub config: Config,
    /// The preset that it starts from, if any.
    pub preset: Option<String>,
    /// Choices that were made, one line each.
    pub notes: Vec<String>,
    /// The data set, if it has been read.
    pub data: Option<Dataset>,
    /// The model whose weights the training starts from.
    pub start: Option<Model>,
    /// The time budget in minutes, and the given keys.
    pub minutes: Option<(f64, Changes)>,
}

impl Plan {
    pub fn new(name: String, config: Config) -> Self {
        Self { name, config, preset: None, notes: Vec::new(), data: None, start: None, minutes: None }
    }
}

/// Meaning of the positional argument.
enum Base {
    /// A preset or configuration file: its name, its text, and whether it is a preset.
    Text { name: String, text: String, is_preset: bool },
    /// Data.
    Data(String),
}

/// Returns the requested training, without `--from`.
pub fn plan(args: &TrainArgs) -> Result<Plan> {
    let (base, source) = base(args)?;
    let changes = Changes { data: source, ..Changes::of(args) };
    match base {
        Base::Text { name, text, is_preset } => {
            let table: Table = text.parse().map_err(|error: toml::de::Error| one_line(&name, &error))?;
            let config = change(table, &changes).with_context(|| name.clone())?;
            let preset = is_preset.then(|| name.clone());
            let name = if is_preset { name } else { stem(&name) };
            Ok(Plan { preset, ..Plan::new(name, config) })
        }
        Base::Data(source) => from_data(&source, &changes),
    }
}

/// Returns what the training starts from, and its data if they are given.
fn base(args: &TrainArgs) -> Result<(Base, Option<String>)> {
    if let Some(name) = &args.preset {
        let Some(preset) = presets::find(name) else {
            let hint = nearest(name, presets::PRESETS.iter().map(|preset| preset.name));
            let hint = hint.map_or_else(String::new, |name| format!("; did you mean `{name}`?"));
            bail!("--preset {name}: no preset of that name{hint}; `pfgm presets` lists them");
        };
        let text = Base::Text { name: preset.name.into(), text: preset.text.into(), is_preset: true };
        return Ok((text, data_of(args)?));
    }
    let Some(what) = args.what.as_deref() else {
        let Some(data) = &args.data else {
            bail!("name the data to train on, a preset (see `pfgm presets`), or a TOML file");
        };
        return Ok((Base::Data(data.clone()), None));
    };
    if let Some(preset) = presets::find(what) {
        let text = Base::Text { name: preset.name.into(), text: preset.text.into(), is_preset: true };
        return Ok((text, args.data.clone()));
    }
    let path = Path::new(what);
    if path.join("checkpoints").is_dir() {
        bail!("{what}: is the folder of a run; add --resume to resume it, or give --from {what} to fine-tune it");
    }
    let is_toml = path.extension().is_some_and(|ending| ending == "toml");
    if !is_toml && (BUILT_IN.contains(&what) || path.exists()) {
        return Ok((Base::Data(data_of(args)?.unwrap_or_default()), None));
    }
    Ok((Base::Text { name: what.into(), text: config_file(what)?, is_preset: false }, args.data.clone()))
}

/// Returns the given data: the positional argument or `--data`.
fn data_of(args: &TrainArgs) -> Result<Option<String>> {
    match (&args.what, &args.data) {
        (Some(what), Some(data)) => bail!("{what} and --data {data}: name the data once"),
        (what, data) => Ok(what.clone().or_else(|| data.clone())),
    }
}

/// Returns a training whose configuration follows from the data.
fn from_data(source: &str, changes: &Changes) -> Result<Plan> {
    let changes = Changes { data: Some(source.to_owned()), ..changes.clone() };
    let (data, options, mut notes) = open(&changes, None)?;
    let config = chosen(&data, options, &changes)?;
    notes.extend(describe(&data, &config)?);
    Ok(Plan { notes, data: Some(data), ..Plan::new(stem(source), config) })
}

/// Opens the given data; images of different or large sizes are resized, and columns of text tables have kinds, those of a run if there
/// is one. Returns the data, their options, and notes.
fn open(changes: &Changes, run: Option<&ModelSpec>) -> Result<(Dataset, DataConfig, Vec<String>)> {
    let mut data = change(autoencoder_keys(changes, run)?, &changes.of_data()?)?.data;
    let are_given = data.kinds.is_some();
    data.kinds = match run {
        Some(spec) => spec.config.data.kinds.clone(),
        None => Some(data.kinds.unwrap_or_default()),
    };
    let options = |data: &DataConfig| run.map_or_else(|| data.options(), |spec| known(data.options(), spec));
    let mut notes = Vec::new();
    let mut dataset = pfgm_data::open(&data.source, &options(&data));
    if matches!(dataset, Err(DataError::MixedSizes { .. })) && data.side == 0 {
        data.side = SIDE;
        notes.push(format!(
            "chosen       data.side = {SIDE}: images of different sizes; the central square of each is resized to {SIDE}x{SIDE}"
        ));
        dataset = pfgm_data::open(&data.source, &options(&data));
    }
    let mut dataset = dataset?;
    if dataset.table.is_none() {
        if are_given {
            bail!("--kind: {} is not a text table; omit it", data.source);
        }
        data.kinds = None;
    }
    let factor = defaults::downscaling(dataset.shape);
    if data.autoencoder.is_none() && factor > 1 && data.shrink <= 1 && data.side == 0 {
        data.shrink = factor;
        notes.push(format!(
            "chosen       data.shrink = {factor}: images of {} are large; each pixel is the mean of {factor}x{factor}",
            dataset.shape
        ));
        dataset = pfgm_data::open(&data.source, &options(&data))?;
    }
    let dataset = latents::of(&data, dataset)?;
    Ok((dataset, data, notes))
}

/// Returns the keys of a run's autoencoder, whose latents the network knows; no keys if another autoencoder is given.
fn autoencoder_keys(changes: &Changes, run: Option<&ModelSpec>) -> Result<Table> {
    let Some(own) = run.map(|spec| &spec.config.data).filter(|_| !changes.sets("data.autoencoder")) else {
        return Ok(Table::new());
    };
    let (autoencoder, autoencoder_range, tile) = (own.autoencoder.clone(), own.autoencoder_range, own.tile);
    let own = DataConfig { autoencoder, autoencoder_range, tile, ..DataConfig::default() };
    let data = toml::Value::try_from(&own).context("the data")?;
    Ok(Table::from_iter([("data".to_owned(), data)]))
}

/// Returns the configuration that follows from a data set and the given keys.
fn chosen(data: &Dataset, options: DataConfig, changes: &Changes) -> Result<Config> {
    let mut config = Config::for_data(data);
    let DataConfig { conditional, hold_out, .. } = config.data;
    config.data = DataConfig { conditional, hold_out, ..options };
    // Values that are derived from given keys follow them.
    let given = change(Table::new(), changes);
    if let Ok(given) = given {
        let rows = config.train.steps * config.train.batch as u64;
        if changes.sets("train.batch") {
            config.train.batch = given.train.batch;
            defaults::set_budget(&mut config.train, rows.div_ceil(given.train.batch.max(1) as u64));
        }
        if changes.sets("train.steps") {
            defaults::set_budget(&mut config.train, given.train.steps);
        }
        config.objective = defaults::objective(given.flow.extra_dims, data.len().saturating_sub(config.data.hold_out));
    }
    let table = Table::try_from(&config).context("the configuration")?;
    change(table, changes)
}

/// Returns the data, and the keys that follow from them, as lines of a configuration.
fn describe(data: &Dataset, config: &Config) -> Result<Vec<String>> {
    let classes = data.labels.as_ref().map_or(0, |labels| labels.names.len());
    let used = match (classes, config.data.conditional) {
        (0, _) => String::new(),
        (_, true) => format!(", {classes} classes"),
        (_, false) => format!(", {classes} classes, which are not used (data.conditional = false)"),
    };
    let kind = if matches!(data.shape, Shape::Image { .. }) { "images of " } else { "rows of " };
    let mut keys = Vec::new();
    flatten("", &serde_json::to_value(config)?, &mut keys);
    let follows = |key: &str| {
        let chosen = ["data.hold_out", "train.batch", "train.steps", "train.lr"];
        key.starts_with("network.") || chosen.contains(&key)
    };
    let keys: Vec<String> =
        keys.iter().filter(|(key, _)| follows(key)).map(|(key, value)| format!("{key}={value}")).collect();
    Ok(vec![
        format!("data         {}: {} {kind}{}{used}", data.name, data.len(), data.shape),
        format!("chosen       {}", keys.join(" ")),
    ])
}

/// Returns a training that starts from the weights of a model, with its network, flow and objective; the budget follows from the data.
pub fn fine_tuning(args: &TrainArgs, model: Model) -> Result<Plan> {
    if args.preset.is_some() {
        bail!("--preset: fine-tuning keeps the run's network; omit --preset");
    }
    let spec = model.spec();
    if spec.config.upscale.is_some() {
        bail!("--from: this run upscales images; resume it, or train a new cascade");
    }
    let changes = Changes { data: data_of(args)?, ..Changes::of(args) };
    let own = &spec.config;
    let (data, options, mut notes) = match &changes.data {
        Some(_) => open(&changes, Some(spec))?,
        None => {
            let source = Changes { data: Some(own.data.source.clone()), ..changes.clone() };
            let same = DataConfig { ..own.data.clone() };
            let table = Table::from_iter([("data".to_owned(), toml::Value::try_from(&same).context("the data")?)]);
            let data = change(table, &Changes { data: None, ..source.of_data()? })?.data;
            let missing = || format!("--from: the run's data are not at {}; give data with --data PATH", data.source);
            let opened = pfgm_data::open(&data.source, &known(data.options(), spec)).map_err(anyhow::Error::from);
            (opened.and_then(|set| latents::of(&data, set)).with_context(missing)?, data, Vec::new())
        }
    };
    if data.shape != spec.data.shape {
        bail!("--from: rows of {} are {}, but the run was trained on {}", data.name, data.shape, spec.data.shape);
    }
    let follows = Config::for_data(&data);
    let mut config = own.clone();
    config.data = DataConfig { conditional: follows.data.conditional, hold_out: follows.data.hold_out, ..options };
    // max_row_rms and detail_rms are measured on the new data; the data scale of the network is unchanged.
    (config.flow.max_row_rms, config.flow.detail_rms) = (None, None);
    config.train.batch = own.train.batch.min(follows.train.batch.max(1));
    config.train.lr = FINE_TUNING_RATE * own.train.lr;
    let rows = follows.train.steps * follows.train.batch as u64;
    let steps = rows.div_ceil(config.train.batch as u64);
    defaults::set_budget(&mut config.train, steps);
    let table = Table::try_from(&config).context("the configuration")?;
    let config = change(table, &changes)?;
    notes.extend(describe(&data, &config)?);
    let name = format!("{}-tuned", stem(args.from.as_deref().unwrap_or(Path::new("run")).to_string_lossy().as_ref()));
    let same_classes = data.labels.as_ref().is_some_and(|labels| labels.names == spec.data.classes);
    if config.data.conditional && !same_classes {
        notes.push(
            "chosen       the class embedding is initialized again: the classes differ from those of the run"
                .to_owned(),
        );
    }
    Ok(Plan { notes, data: Some(data), start: Some(model), ..Plan::new(name, config) })
}
