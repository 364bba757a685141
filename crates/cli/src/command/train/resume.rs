//! Resuming a run.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result, bail};
use burn::tensor::Device;
use pfgm::{
    Model,
    checkpoint::{self, Checkpoint, Group},
    config::Config,
    spec::ModelSpec,
    train::{CONFIG, FolderState, RunLock, Trainer},
};

use pfgm_data::Dataset;
use serde_json::Value;

use super::{
    Training,
    begin::{begin, describe, load},
};
use crate::{
    args::TrainArgs,
    distributed::Ranks,
    render::{display, line},
    resolve::{self, Changes, Plan},
};

/// Keys that may change when a run is resumed, for the error about all others.
const MAY_CHANGE: &str = "train.steps, train.checkpoint_every, train.keep, train.log_every, and the path of the data";

/// Resumes a run at its last checkpoint. A run that ended before its first checkpoint starts again.
pub fn resume(args: &TrainArgs, device: &Device, ranks: &Ranks) -> Result<Training> {
    if args.from.is_some() || args.minutes.is_some() {
        bail!("--resume: --from and --minutes are for new runs; omit them");
    }
    let what = args.what.as_deref().context("--resume: name the folder of a run")?;
    let is_run = matches!(FolderState::of(Path::new(what)), FolderState::Trained | FolderState::Begun(_));
    let folder = match (&args.out, is_run) {
        (Some(out), false) => out.clone(),
        (None, true) => PathBuf::from(what),
        (Some(_), true) => bail!("--out: a run is resumed in its own folder; omit --out"),
        (None, false) => latest_run(what)?,
    };
    match FolderState::of(&folder) {
        FolderState::Begun(_) => return begin_again(args, folder, device, ranks),
        FolderState::Free if folder.is_dir() && !is_run => {
            return begin(resolve::plan(args)?, args.dry_run, |_, _| Ok(folder), device, ranks);
        }
        FolderState::Free | FolderState::Trained | FolderState::Other => {}
    }
    // Locked before the last checkpoint is determined, so that no other process writes one.
    let writes = ranks.is_root() && !args.dry_run && folder.is_dir();
    let lock = writes.then(|| RunLock::acquire(&folder)).transpose()?;
    let (path, checkpoint) = read(&folder)?;
    let mut config = if is_run {
        let text = toml::to_string(&checkpoint.spec.config).context("the checkpoint's configuration")?;
        resolve::change(text.parse()?, &Changes::of(args))?
    } else {
        resolve::plan(args)?.config
    };
    // The cells of a table are encoded as before, even if other rows would give other encodings.
    let options = resolve::known(config.data.options(), &checkpoint.spec);
    let table = checkpoint.spec.data.table.as_ref().map(|_| pfgm_data::open(&config.data.source, &options));
    let (data, held_out) = load(&config, table.transpose()?)?;
    let data = with_kept_range(data, &checkpoint.spec);
    let held_out = held_out.map(|rows| with_kept_range(rows, &checkpoint.spec));
    let wanted = config.train.clone();
    keep_schedule(&mut config, &checkpoint.spec.config);
    let spec = Model::builder().config(config).spec(&data)?;
    if let Some(difference) = difference(&checkpoint.spec, &spec)? {
        bail!(
            "{}: the checkpoint is of another configuration ({difference}); on --resume, only {MAY_CHANGE} may change: \
             start another run with `pfgm train --from {}`",
            path.display(),
            display(&folder)
        );
    }
    let trainer = Trainer::resume(&checkpoint, &path, data.clone(), held_out, device)?;
    let mut trainer = trainer.distributed(Arc::clone(ranks))?.with_lock(lock);
    trainer.reschedule(&wanted);
    if args.dry_run {
        describe(trainer.spec(), &data)?;
    } else {
        line(format!("resuming {} at step {}", display(&folder), trainer.steps_taken()));
    }
    Ok(Training { folder, trainer, data })
}

/// The last checkpoint of a run, with the state of its training.
fn read(folder: &Path) -> Result<(PathBuf, Checkpoint)> {
    let path = checkpoint::find(folder)?;
    let checkpoint = Checkpoint::read(&path)?;
    if checkpoint.group(Group::First).is_empty() {
        bail!(
            "{}: holds averaged weights alone, without the state of a training; start another with \
             `pfgm train --from {}`",
            path.display(),
            display(folder)
        );
    }
    Ok((path, checkpoint))
}

/// A run whose folder has a configuration, but no checkpoint yet.
fn begin_again(args: &TrainArgs, folder: PathBuf, device: &Device, ranks: &Ranks) -> Result<Training> {
    let path = folder.join(CONFIG);
    let text = resolve::read_text(&path).with_context(|| path.display().to_string())?;
    let table = text.parse().map_err(|error| resolve::one_line(&path.display().to_string(), &error))?;
    let config = resolve::change(table, &Changes::of(args)).with_context(|| path.display().to_string())?;
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    line(format!("{}: no checkpoint yet; the training starts again", display(&folder)));
    begin(Plan::new(name, config), args.dry_run, |_, _| Ok(folder), device, ranks)
}

/// Returns the data with the range stored in the run. The range of older runs is the minimum and maximum of floating point values, which
/// lie within the range of the current rule.
fn with_kept_range(data: Dataset, kept: &ModelSpec) -> Dataset {
    let ((low, high), (kept_low, kept_high)) = (data.range, kept.data.range);
    let is_within = low <= kept_low && kept_high <= high;
    if kept.config.data.range.is_some() || data.values.are_bytes() || !is_within {
        return data;
    }
    Dataset { range: kept.data.range, ..data }
}

/// Copies the values that may differ from the stored configuration.
fn keep_schedule(config: &mut Config, kept: &Config) {
    config.train.steps = kept.train.steps;
    config.train.checkpoint_every = kept.train.checkpoint_every;
    config.train.keep = kept.train.keep;
    config.train.log_every = kept.train.log_every;
}

/// Returns the run with the newest checkpoint among runs/NAME, runs/NAME-2, ...
fn latest_run(what: &str) -> Result<PathBuf> {
    let name = Path::new(what).file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let is_ours = |folder: &str| {
        let rest = folder.strip_prefix(&name).unwrap_or("?");
        rest.is_empty() || rest.strip_prefix('-').is_some_and(|number| number.parse::<u32>().is_ok())
    };
    let newest = |run: &PathBuf| fs::metadata(checkpoint::list(run).pop()?).ok()?.modified().ok();
    let runs = fs::read_dir("runs").into_iter().flatten().flatten();
    runs.filter(|entry| is_ours(&entry.file_name().to_string_lossy()))
        .filter_map(|entry| Some((newest(&entry.path())?, entry.path())))
        .max()
        .map(|(_, path)| path)
        .with_context(|| format!("--resume: no run with a checkpoint in runs/{name}; name its folder with --out DIR"))
}

/// Returns the first key in which two specifications differ, with both values.
fn difference(kept: &ModelSpec, wanted: &ModelSpec) -> Result<Option<String>> {
    let flat = |spec: &ModelSpec| -> Result<Vec<(String, String)>> {
        let mut leaves = Vec::new();
        resolve::flatten("", &serde_json::to_value(spec)?, &mut leaves);
        Ok(leaves)
    };
    let unused: Vec<String> = [kept, wanted]
        .iter()
        .flat_map(|spec| spec.config.unused_keys())
        .map(|(key, _)| format!("config.{key}"))
        .collect();
    let (kept, wanted) = (flat(kept)?, flat(wanted)?);
    let value = |of: &[(String, String)], key: &str| {
        of.iter().find(|(name, _)| name == key).map_or_else(|| "nothing".to_owned(), |(_, value)| value.clone())
    };
    // The path of the data may change; shape, size and scale identify them. Older runs do not store class counts
    // and whole columns.
    let ignored = ["config.data.source", "data.name", "data.class_counts", "data.whole_columns"];
    let is_compared = |key: &&String| !ignored.contains(&key.as_str()) && !unused.contains(key);
    let mut keys = kept.iter().chain(&wanted).map(|(key, _)| key).filter(is_compared);
    let found = keys.find(|key| !is_same(&value(&kept, key), &value(&wanted, key)));
    Ok(found.map(|key| {
        let shown = key.trim_start_matches("config.");
        format!("{shown} is {} there, {} here", value(&kept, key), value(&wanted, key))
    }))
}

/// Whether two values are equal. Older runs store measured values in single precision.
fn is_same(a: &str, b: &str) -> bool {
    fn close(a: &Value, b: &Value) -> bool {
        match (a, b) {
            (Value::Number(a), Value::Number(b)) if a.is_f64() || b.is_f64() => {
                let (a, b) = (a.as_f64().unwrap_or(f64::NAN), b.as_f64().unwrap_or(f64::NAN));
                (a - b).abs() <= 1e-6 * a.abs().max(b.abs())
            }
            (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| close(a, b)),
            (a, b) => a == b,
        }
    }
    match (serde_json::from_str(a), serde_json::from_str(b)) {
        (Ok(a), Ok(b)) => close(&a, &b),
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::is_same;

    #[test]
    fn values_in_single_precision_are_the_same() {
        assert!(is_same("[-0.010305849,0.29378626]", "[-0.010305848903954029,0.29378625750541687]"));
        assert!(is_same("\"mlp\"", "\"mlp\"") && is_same("nothing", "nothing") && is_same("0.0", "0.0"));
        assert!(
            !is_same("0.001", "0.002")
                && !is_same("8", "9")
                && !is_same("[1.0]", "[1.0,2.0]")
                && !is_same("1", "nothing")
        );
    }
}
