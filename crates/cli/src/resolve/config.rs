//! Configurations: a preset or a TOML file, and the keys that the command line sets.

use std::{fs, io::Read, path::Path};

use anyhow::{Context, Result, bail};
use pfgm::{
    config::{Config, RENAMED_KEYS},
    presets,
};
use pfgm_data::BUILT_IN;
use toml::{Table, Value};

use super::data_keys;
use crate::args::{DataArgs, TrainArgs};

/// The configuration's key of D.
const EXTRA_DIMS: &str = "flow.extra_dims";

/// Changes of a configuration on the command line.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// The data set, which replaces that of the configuration.
    pub data: Option<String>,
    /// Columns and label of a table.
    pub table: DataArgs,
    /// Assignments KEY=VALUE. Their order does not matter, except that the last assignment of a key counts.
    pub set: Vec<String>,
}

impl Changes {
    /// Returns the changes by the flags of `train`.
    pub fn of(args: &TrainArgs) -> Self {
        let dims = args.extra_dims.as_ref().map(|dims| format!("{EXTRA_DIMS}={dims}"));
        let set = dims.into_iter().chain(args.set.iter().cloned()).collect();
        Self { data: args.data.clone(), table: args.table.clone(), set }
    }

    /// Returns only the changes of the data.
    pub fn of_data(&self) -> Result<Self> {
        let set = self.set.iter().filter(|assignment| assignment.trim_start().starts_with("data.")).cloned().collect();
        Ok(Self { set, ..self.clone() })
    }

    /// Whether a key is assigned.
    pub fn sets(&self, key: &str) -> bool {
        self.set.iter().any(|assignment| assignment.split('=').next().is_some_and(|name| name.trim() == key))
    }
}

/// Sorts assignments KEY=VALUE: a table before its keys, and `kind`, which clears the keys of another kind, before the other keys of
/// its table.
pub fn assignments(set: &[String]) -> Result<Vec<(String, Value)>> {
    let mut assignments = Vec::new();
    for assignment in set {
        let Some((path, value)) = assignment.split_once('=') else {
            bail!("--set {assignment}: write KEY=VALUE, as in --set train.batch=64");
        };
        assignments.push((path.trim().to_owned(), value_of(value.trim())));
    }
    assignments.sort_by_key(|(path, _)| (path.split('.').count(), path != "kind" && !path.ends_with(".kind")));
    Ok(assignments)
}

/// A configuration with changes, checked.
pub fn change(mut table: Table, changes: &Changes) -> Result<Config> {
    let has_kinds = table.get("data").and_then(|data| data.get("kinds")).is_some();
    let mut set = |path: &str, value: Value| set_key(&mut table, path, value);
    if let Some(data) = &changes.data {
        set("data.source", Value::String(data.clone()))?;
        // Another data set has other columns.
        set("data.columns", Value::Array(Vec::new()))?;
        if has_kinds {
            set("data.kinds", Value::Table(Table::new()))?;
        }
    }
    for (key, value) in data_keys(&changes.table)? {
        set(key, value)?;
    }
    for (path, value) in assignments(&changes.set)? {
        set(&path, value)?;
    }
    set_kinds(&mut table, &changes.table)?;
    let mut config: Config = serde_path_to_error::deserialize(Value::Table(table)).map_err(explain)?;
    let source = &mut config.data.source;
    if !BUILT_IN.contains(&source.as_str())
        && let Ok(absolute) = fs::canonicalize(&source)
    {
        // The path of the data must be valid from any folder in which the run is resumed.
        *source = absolute.to_string_lossy().into_owned();
    }
    if let Some(autoencoder) = &mut config.data.autoencoder {
        *autoencoder = absolute(autoencoder);
    }
    // An empty name unsets a preset's label.
    config.data.label.take_if(|label| label.is_empty());
    config.check()?;
    Ok(config)
}

/// Sets the kinds of columns, whose names may have points.
fn set_kinds(table: &mut Table, args: &DataArgs) -> Result<()> {
    if args.kinds.is_empty() {
        return Ok(());
    }
    let given = table.get("data").and_then(|data| data.get("kinds")).and_then(Value::as_table);
    let mut kinds = given.cloned().unwrap_or_default();
    kinds.extend(args.kinds.iter().map(|(name, kind)| (name.clone(), Value::String(kind.to_string()))));
    set_key(table, "data.kinds", Value::Table(kinds))
}

/// The leaves of a JSON value, each with its path: `train.lr` and `0.001`.
pub fn flatten(path: &str, value: &serde_json::Value, leaves: &mut Vec<(String, String)>) {
    match value {
        serde_json::Value::Object(entries) => {
            for (key, value) in entries {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                flatten(&path, value, leaves);
            }
        }
        leaf => leaves.push((path.to_owned(), leaf.to_string())),
    }
}

/// The text of a configuration file.
pub fn config_file(what: &str) -> Result<String> {
    let path = Path::new(what);
    if path.is_dir() {
        bail!("{what}: is a folder; to go on with a run add --resume");
    }
    if !path.exists() {
        let names = presets::PRESETS.iter().map(|preset| preset.name);
        let hint = nearest(what, names.clone()).map_or_else(String::new, |name| format!(" did you mean `{name}`?"));
        let names: Vec<_> = names.collect();
        bail!("{what}: no preset, file or folder of that name;{hint} the presets are {}", names.join(", "));
    }
    read_text(path).with_context(|| what.to_owned())
}

/// Bytes of a configuration file, at most.
const MAX_CONFIG: u64 = 1 << 20;

/// Reads the text of a configuration file. Errors do not name it.
pub fn read_text(path: &Path) -> Result<String> {
    let mut text = String::new();
    let file = fs::File::open(path).context("cannot be read")?;
    file.take(MAX_CONFIG + 1).read_to_string(&mut text).context("cannot be read")?;
    if text.len() as u64 > MAX_CONFIG {
        bail!("is larger than 1 MB, which no configuration is; give another file");
    }
    Ok(text)
}

pub fn stem(path: &str) -> String {
    Path::new(path).file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// Parses a value as TOML; a bare word is a string.
pub fn value_of(text: &str) -> Value {
    match format!("value = {text}").parse::<Table>() {
        Ok(mut table) => table.remove("value").unwrap_or_else(|| Value::String(text.to_owned())),
        Err(_) => Value::String(text.to_owned()),
    }
}

pub fn set_key(table: &mut Table, path: &str, value: Value) -> Result<()> {
    // A file may have the old name of a key, and so may --set.
    rename_keys(table);
    let path = RENAMED_KEYS.iter().find(|(old, _)| *old == path).map_or(path, |(_, new)| new);
    insert_key(table, path, value)
}

/// Renames the keys of older configurations.
fn rename_keys(table: &mut Table) {
    for (old, new) in RENAMED_KEYS {
        let (section, old) = old.split_once('.').expect("a key in a section");
        let (_, new) = new.split_once('.').expect("a key in a section");
        if let Some(section) = table.get_mut(section).and_then(Value::as_table_mut)
            && !section.contains_key(new)
            && let Some(value) = section.remove(old)
        {
            section.insert(new.to_owned(), value);
        }
    }
}

fn insert_key(table: &mut Table, path: &str, value: Value) -> Result<()> {
    match path.split_once('.') {
        None => {
            // Another kind of network or objective has other keys.
            if path == "kind" && table.get(path) != Some(&value) {
                table.clear();
            }
            table.insert(path.to_owned(), value);
            Ok(())
        }
        Some((head, rest)) => {
            let inner = table.entry(head).or_insert_with(|| Value::Table(Table::new()));
            match inner.as_table_mut() {
                Some(inner) => insert_key(inner, rest, value),
                None => bail!("--set {path}: `{head}` is a value, it has no keys"),
            }
        }
    }
}

/// Returns an error of a configuration in one line, with the most similar known name for an unknown one.
pub fn explain(error: serde_path_to_error::Error<toml::de::Error>) -> anyhow::Error {
    let path = error.path().to_string();
    let message = error.inner().message().trim().to_owned();
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let wrong_name = ["unknown field", "unknown variant"].iter().any(|start| message.starts_with(start));
    let hint = match quoted.split_first() {
        Some((wrong, known)) if wrong_name => {
            nearest(wrong, known.iter().copied()).map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
        }
        _ => String::new(),
    };
    // A section's own message begins with the key that it is about.
    let names_key =
        message.split_once(" = ").is_some_and(|(key, _)| key.chars().all(|c| c.is_ascii_lowercase() || c == '_'));
    let place = match path.as_str() {
        "." => String::new(),
        section if names_key => format!("{section}."),
        key => format!("{key}: "),
    };
    anyhow::anyhow!("{place}{message}{hint}")
}

/// An error of TOML in one line, with at most so many characters of each line that it quotes.
pub fn one_line(file: &str, error: &toml::de::Error) -> anyhow::Error {
    const QUOTED: usize = 120;
    let shorten = |line: &str| match line.trim().char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{}...", &line.trim()[..end]),
        None => line.trim().to_owned(),
    };
    anyhow::anyhow!("{file}: {}", error.to_string().split('\n').map(shorten).collect::<Vec<_>>().join(" "))
}

/// Returns the known name that is most similar to a wrong one, if any is similar.
pub fn nearest<'a>(wrong: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|name| (strsim::jaro_winkler(wrong, name), name))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

/// An absolute path if there is a file of this name, and otherwise the name itself, such as `hf:OWNER/NAME`.
pub fn absolute(name: &str) -> String {
    fs::canonicalize(name).map_or_else(|_| name.to_owned(), |path| path.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_keys_are_set_under_either_name() {
        for (written, set) in [("augmentation", "extra_dims"), ("extra_dims", "augmentation")] {
            let mut table: Table = format!("[flow]\n{written} = 2").parse().unwrap();
            set_key(&mut table, &format!("flow.{set}"), Value::Integer(64)).unwrap();
            let flow = table["flow"].as_table().unwrap();
            assert_eq!((flow.len(), &flow["extra_dims"]), (1, &Value::Integer(64)));
        }
    }

    #[test]
    fn old_keys_are_read_and_current_ones_written() {
        let table: Table = "data.source = \"digits\"\nflow.reach = 0.5\nflow.details = 0.25".parse().unwrap();
        let set = vec!["flow.details=0.125".to_owned()];
        let config = change(table, &Changes { set, ..Changes::default() }).unwrap();
        assert_eq!((config.flow.max_row_rms, config.flow.detail_rms), (Some(0.5), Some(0.125)));
        let written = toml::to_string(&config).unwrap();
        assert!(written.contains("max_row_rms = 0.5") && !written.contains("reach"), "{written}");
        let read: Config = toml::from_str("flow.reach = 0.5\nflow.details = 0.25").unwrap();
        assert_eq!((read.flow.max_row_rms, read.flow.detail_rms), (Some(0.5), Some(0.25)));
    }

    #[test]
    fn assignments_do_not_depend_on_their_order() {
        let config = |set: [&str; 4]| {
            let set = set.iter().map(ToString::to_string).collect();
            change(Table::new(), &Changes { data: Some("heart".into()), set, ..Changes::default() }).unwrap()
        };
        let one = config(["network.width=32", "network.kind=mlp", "train.batch=8", "network.blocks=1"]);
        let other = config(["network.blocks=1", "train.batch=8", "network.kind=mlp", "network.width=32"]);
        assert_eq!(one, other);
        assert!(matches!(&one.network, pfgm::network::NetworkConfig::Mlp(mlp) if mlp.width == 32 && mlp.blocks == 1));
    }

    #[test]
    fn values_are_toml_or_words() {
        assert_eq!(value_of("64"), Value::Integer(64));
        assert_eq!(value_of("[1, 2]"), Value::Array(vec![Value::Integer(1), Value::Integer(2)]));
        assert_eq!(value_of("rk45"), Value::String("rk45".into()));
        assert_eq!(value_of("\"inf\""), Value::String("inf".into()));
    }
}
