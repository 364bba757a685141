//! The reference of every key of a configuration file: what it means, its default, its range, and its symbol in the papers.
//!
//! Meanings are the doc comments of the types that serde reads (`meanings.rs`, written by `tests/reference.rs`). Tests compare the keys
//! with those that serde reads, and each default with the one that serde fills in. `pfgm config` prints the reference, and
//! `docs/reference/configuration.md` has it as a page.

mod keys;
mod meanings;

use std::fmt::Write;

use toml::{Table, Value};

pub use self::keys::KEYS;
use super::Config;

/// A key of a configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its path, such as `train.lr`.
    pub path: &'static str,
    /// The values of `kind` (of `method`, for a solver) that have it; all if there is none.
    pub kinds: &'static [&'static str],
    /// Its default as TOML, or in words in parentheses.
    pub default: &'static str,
    /// Its unit and the values that it can have.
    pub range: &'static str,
    /// Its symbol in the papers, or nothing.
    pub symbol: &'static str,
}

const fn key(path: &'static str, default: &'static str, range: &'static str) -> Key {
    Key { path, kinds: &[], default, range, symbol: "" }
}

impl Key {
    const fn symbol(self, symbol: &'static str) -> Self {
        Self { symbol, ..self }
    }

    const fn of(self, kinds: &'static [&'static str]) -> Self {
        Self { kinds, ..self }
    }

    /// What it means: the doc comment of its field.
    pub fn meaning(&self) -> &'static str {
        let own = meanings::MEANINGS.iter().find(|(path, kinds, _)| *path == self.path && *kinds == self.kinds);
        own.map_or("", |(.., meaning)| meaning)
    }

    /// The table that it is in.
    pub fn section(&self) -> &'static str {
        self.path.rsplit_once('.').map_or("", |(section, _)| section)
    }

    /// Its name in that table.
    pub fn name(&self) -> &'static str {
        self.path.rsplit_once('.').map_or(self.path, |(_, name)| name)
    }

    /// The default as a TOML value; none if it is in words.
    pub fn default_value(&self) -> Option<Value> {
        if self.default.starts_with('(') {
            return None;
        }
        format!("value = {}", self.default).parse::<Table>().ok()?.remove("value")
    }
}

/// The key that says which kind of table a section is.
fn tag_of(section: &str) -> &'static str {
    if section == "sample.solver" { "method" } else { "kind" }
}

/// Titles of the sections, in order.
const SECTIONS: [(&str, &str); 9] = [
    ("data", "The training data"),
    ("flow", "The flow: D and the range of noise levels"),
    ("flow.output", "What the network's raw output estimates"),
    ("objective", "The training objective"),
    ("network", "The network"),
    ("upscale", "Super-resolution: only for models that upscale images"),
    ("train", "Training"),
    ("sample", "Sampling"),
    ("sample.solver", "The solver that samples are drawn with by default"),
];

/// The keys whose path or name is `name`, or whose section is; all keys for an empty name.
pub fn find(name: &str) -> Vec<&'static Key> {
    let is_in = |key: &Key| name.is_empty() || key.path.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
    let exact: Vec<&Key> = KEYS.iter().filter(|key| key.path == name || is_in(key)).collect();
    if exact.is_empty() { KEYS.iter().filter(|key| key.name() == name).collect() } else { exact }
}

/// The reference as a page of Markdown.
pub fn markdown() -> String {
    let mut page = String::from(
        "# Configuration keys\n\nEvery key of a configuration file. `pfgm train ... --set KEY=VALUE` sets one, `pfgm config KEY` explains one, and \
         `pfgm train ... --dry-run` prints all that are in force. A default in parentheses is not a value to write. The model's units \
         are those in which images span [-1, 1] and columns of a table have unit variance.\n",
    );
    for (section, title) in SECTIONS {
        let _ = write!(page, "\n## `[{section}]`: {title}\n\n");
        page.push_str("| key | for | default | values | symbol | meaning |\n|---|---|---|---|---|---|\n");
        for key in KEYS.iter().filter(|key| key.section() == section) {
            let default = if key.default.starts_with('(') {
                key.default.trim_matches(['(', ')']).to_owned()
            } else {
                format!("`{}`", key.default)
            };
            let symbol = if key.symbol.is_empty() { String::new() } else { format!("`{}`", key.symbol) };
            let kinds: Vec<String> = key.kinds.iter().map(|kind| format!("`{kind}`")).collect();
            let (name, kinds, range, meaning) = (key.name(), kinds.join(", "), key.range, key.meaning());
            let _ = writeln!(page, "| `{name}` | {kinds} | {default} | {range} | {symbol} | {meaning} |");
        }
    }
    page
}

impl Config {
    /// The configuration as TOML, with every key that is in force: those that are left out of files because they have their
    /// default are written too.
    pub fn to_full_toml(&self) -> String {
        let mut table = Table::try_from(self).expect("a configuration is plain data");
        for key in KEYS {
            let Some(default) = key.default_value() else { continue };
            let Some(section) = section_of(&mut table, key.section()) else { continue };
            let tag = tag_of(key.section());
            let kind = section.get(tag).and_then(Value::as_str).unwrap_or_default();
            if key.kinds.is_empty() || key.kinds.contains(&kind) {
                section.entry(key.name()).or_insert(default);
            }
        }
        toml::to_string(&table).expect("a table is TOML")
    }
}

/// The table of a section; that of the output, which is left out of files, is made.
fn section_of<'a>(table: &'a mut Table, path: &str) -> Option<&'a mut Table> {
    let mut table = table;
    for name in path.split('.') {
        if path == "flow.output" && name == "output" {
            table.entry(name).or_insert_with(|| Value::Table(Table::from_iter([("kind".to_owned(), "edm".into())])));
        }
        table = table.get_mut(name)?.as_table_mut()?;
    }
    Some(table)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{super::RENAMED_KEYS, *};

    /// The kinds that serde accepts for a section, as its error about an unknown one lists them; none for sections without kinds.
    fn kinds_of_serde(section: &str) -> Vec<String> {
        let error = toml::from_str::<Config>(&format!("[{section}]\nkind = \"no-such-kind\"")).unwrap_err().to_string();
        match error.split_once("unknown variant") {
            // A unit variant does not refuse keys.
            Some((_, rest)) => {
                rest.split('`').skip(3).step_by(2).filter(|kind| *kind != "edm").map(Into::into).collect()
            }
            None => Vec::new(),
        }
    }

    /// The names that serde accepts in a section, as its error about an unknown one lists them.
    fn names_of_serde(section: &str, kind: Option<&str>) -> BTreeSet<String> {
        let kind = kind.map_or_else(String::new, |kind| format!("kind = \"{kind}\"\n"));
        let error = toml::from_str::<Config>(&format!("[{section}]\n{kind}no-such-key = 1")).unwrap_err().to_string();
        let names = error.split("expected").nth(1).unwrap_or_else(|| panic!("[{section}] {kind}: {error}"));
        let old = |name: &str| RENAMED_KEYS.iter().any(|(old, _)| *old == format!("{section}.{name}"));
        names.split('`').skip(1).step_by(2).filter(|name| !old(name)).map(ToOwned::to_owned).collect()
    }

    #[test]
    fn the_reference_has_the_keys_that_serde_reads() {
        for (section, _) in SECTIONS {
            let kinds = kinds_of_serde(section);
            assert!(
                kinds.len() > 1 || !["network", "objective", "flow.output"].contains(&section),
                "{section}: {kinds:?}"
            );
            let kinds: Vec<Option<&str>> =
                if kinds.is_empty() { vec![None] } else { kinds.iter().map(|kind| Some(kind.as_str())).collect() };
            for kind in kinds {
                let mut known: BTreeSet<String> = KEYS
                    .iter()
                    .filter(|key| key.section() == section)
                    .filter(|key| kind.is_none_or(|kind| key.kinds.is_empty() || key.kinds.contains(&kind)))
                    .map(|key| key.name().to_owned())
                    .collect();
                known.remove("kind");
                let mut read = names_of_serde(section, kind);
                // Tables within a table are sections of their own.
                read.retain(|name| !SECTIONS.iter().any(|(other, _)| *other == format!("{section}.{name}")));
                read.remove("kind");
                assert_eq!(known, read, "[{section}] {kind:?}");
            }
        }
        let top = toml::from_str::<Config>("no-such-key = 1").unwrap_err().to_string();
        for name in top.split("expected").nth(1).unwrap().split('`').skip(1).step_by(2) {
            assert!(SECTIONS.iter().any(|(section, _)| *section == name), "{name}");
        }
    }

    #[test]
    fn defaults_are_those_that_serde_fills_in() {
        for key in KEYS {
            let Some(default) = key.default_value() else { continue };
            let (section, tag) = (key.section(), tag_of(key.section()));
            let read = |text: &str| -> Config {
                toml::from_str(text).unwrap_or_else(|error| panic!("{}: {text}: {error}", key.path))
            };
            if key.name() == tag {
                assert_eq!(read(&format!("[{section}]\n{tag} = {default}")), Config::default(), "{}", key.path);
                continue;
            }
            let kinds = if key.kinds.is_empty() { &[""][..] } else { key.kinds };
            for kind in kinds {
                let tagged = if kind.is_empty() { String::new() } else { format!("{tag} = \"{kind}\"\n") };
                let required = match *kind {
                    "ve" => "scaled = true\n",
                    "discrete" => "schedule = { kind = \"squared-cosine\", steps = 10 }\n",
                    _ => "",
                };
                let text = format!("[{section}]\n{tagged}{required}");
                assert_eq!(read(&format!("{text}{} = {default}", key.name())), read(&text), "{} ({kind})", key.path);
            }
        }
    }

    #[test]
    fn a_full_configuration_is_the_same_configuration() {
        for preset in crate::presets::PRESETS {
            let config: Config = toml::from_str(preset.text).unwrap();
            let full = config.to_full_toml();
            assert_eq!(toml::from_str::<Config>(&full).unwrap(), config, "{}: {full}", preset.name);
            for key in ["precision", "recompute", "patch", "augment", "epsilon", "label_dropout", "shrink", "far_field"]
            {
                assert!(full.contains(&format!("\n{key} = ")), "{}: {key}", preset.name);
            }
        }
    }

    #[test]
    fn keys_are_found_by_path_name_and_section() {
        assert_eq!(find("train.lr").len(), 1);
        assert_eq!(find("lr"), find("train.lr"));
        assert!(find("sample").len() > 10 && find("network.width").len() == 4 && find("nothing").is_empty());
        assert_eq!(find("").len(), KEYS.len());
    }
}
