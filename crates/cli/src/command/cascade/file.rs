//! The file of a cascade: keys that all models share, and a `[[stage]]` with its own keys for each model.

use anyhow::{Context, Result, bail};
use pfgm::{
    config::Config,
    presets::{self, CASCADES},
};
use toml::{Table, Value};

use crate::{
    args::cascade::CascadeTrainArgs,
    resolve::{self, Changes},
};

/// The file of a cascade, with the changes of the command line.
pub struct File {
    pub name: String,
    table: Table,
}

/// A model of a cascade.
pub struct Stage {
    /// The name of its run's folder.
    pub name: String,
    pub config: Config,
}

/// The name of a model by its number from 0.
pub fn name_of(number: usize) -> String {
    if number == 0 { "base".into() } else { format!("upscale-{number}") }
}

impl File {
    /// Reads a preset or a file, with --data and --set.
    pub fn read(args: &CascadeTrainArgs) -> Result<Self> {
        let (name, text) = match presets::find_cascade(&args.what) {
            Some(preset) => (preset.name.to_owned(), preset.text.to_owned()),
            None if std::path::Path::new(&args.what).exists() => {
                (resolve::stem(&args.what), resolve::config_file(&args.what)?)
            }
            None => {
                let names = CASCADES.iter().map(|preset| preset.name);
                let hint = resolve::nearest(&args.what, names.clone());
                let hint = hint.map_or_else(String::new, |name| format!(" did you mean `{name}`?"));
                let names: Vec<_> = names.collect();
                bail!(
                    "{}: no cascade and no file of that name;{hint} the cascades are {}",
                    args.what,
                    names.join(", ")
                );
            }
        };
        Self::parse(name, &text, args)
    }

    /// Parses the text of a cascade's file, with --data and --set.
    pub fn parse(name: String, text: &str, args: &CascadeTrainArgs) -> Result<Self> {
        let table: Table = text.parse().map_err(|error| resolve::one_line(&args.what, &error))?;
        let mut file = Self { name, table };
        for (path, value) in resolve::assignments(&args.set)? {
            file.set(&path, value)?;
        }
        if let Some(data) = &args.data {
            file.set_all("data.source", &Value::String(data.clone()))?;
        }
        // The path of the data must be valid from any folder in which the cascade is resumed.
        let source = file.stages().with_context(|| args.what.clone())?[0].config.data.source.clone();
        file.set_all("data.source", &Value::String(source))?;
        Ok(file)
    }

    /// The text for the file in the folder of the cascade.
    pub fn text(&self) -> Result<String> {
        toml::to_string(&self.table).context("the cascade cannot be written as TOML")
    }

    fn own(&mut self) -> Result<&mut Vec<Value>> {
        let stages = self.table.get_mut("stage").and_then(Value::as_array_mut);
        stages
            .filter(|stages| stages.len() > 1)
            .context("a cascade has a [[stage]] for its base and one for each upscaling")
    }

    fn set(&mut self, path: &str, value: Value) -> Result<()> {
        let stages = self.own()?.len();
        let named =
            path.split_once('.').and_then(|(head, rest)| Some(((0..stages).find(|&n| name_of(n) == head)?, rest)));
        match named {
            Some((number, rest)) => set_in(&mut self.own()?[number], rest, value),
            None if path.starts_with("base.") || path.starts_with("upscale-") => {
                let names: Vec<_> = (0..stages).map(name_of).collect();
                bail!("--set {path}: the models of this cascade are {}", names.join(", "));
            }
            None => self.set_all(path, &value),
        }
    }

    fn set_all(&mut self, path: &str, value: &Value) -> Result<()> {
        self.own()?.iter_mut().try_for_each(|stage| set_in(stage, path, value.clone()))
    }

    /// The configuration of each model: the shared keys, its own keys, and the downscaling of its images.
    pub fn stages(&self) -> Result<Vec<Stage>> {
        let mut common = self.table.clone();
        let Some(Value::Array(own)) =
            common.remove("stage").filter(|stage| stage.as_array().is_some_and(|s| s.len() > 1))
        else {
            bail!("a cascade has a [[stage]] for its base and one for each upscaling");
        };
        let mut stages = Vec::new();
        for (number, own) in own.into_iter().enumerate() {
            let (name, Value::Table(own)) = (name_of(number), own) else { bail!("stage: write [[stage]] for each") };
            let mut table = merged(common.clone(), own);
            match (number, table.contains_key("upscale")) {
                (0, true) => bail!("{name}: the base does not upscale; omit its upscale"),
                (1.., false) => {
                    table.insert("upscale".into(), Value::Table(Table::new()));
                }
                _ => {}
            }
            let config = resolve::change(table, &Changes::default()).with_context(|| name.clone())?;
            stages.push(Stage { name, config });
        }
        let mut shrink = 1;
        for stage in stages.iter_mut().rev() {
            stage.config.data.shrink *= shrink;
            shrink *= stage.config.upscale.map_or(1, |upscale| upscale.factor);
        }
        Ok(stages)
    }
}

fn set_in(stage: &mut Value, path: &str, value: Value) -> Result<()> {
    let table = stage.as_table_mut().context("stage: write [[stage]] for each")?;
    resolve::set_key(table, path, value)
}

/// Merges two tables; the entries of `above` take precedence. A table with another `kind` replaces the whole table.
fn merged(mut below: Table, above: Table) -> Table {
    for (key, value) in above {
        let value = match (below.remove(&key), value) {
            (Some(Value::Table(below)), Value::Table(above))
                if above.get("kind").is_none_or(|kind| below.get("kind") == Some(kind)) =>
            {
                Value::Table(merged(below, above))
            }
            (_, value) => value,
        };
        below.insert(key, value);
    }
    below
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(set: &[&str]) -> Result<Vec<Stage>> {
        let text = "
            [data]
            source = \"digits\"
            [network]
            kind = \"unet\"
            width = 32
            [[stage]]
            train.steps = 7
            [[stage]]
            network = { kind = \"unet\", blocks = 1 }
            [[stage]]
            network = { kind = \"adm-unet\", width = 64 }
            upscale.factor = 4
        ";
        let args = CascadeTrainArgs {
            what: "x".into(),
            data: None,
            set: set.iter().map(ToString::to_string).collect(),
            out: None,
            resume: false,
            dry_run: false,
            device: "cpu".into(),
        };
        File::parse("x".into(), text, &args)?.stages()
    }

    #[test]
    fn stages_share_what_is_common_and_shrink_what_is_upscaled_later() {
        let stages = file(&["train.batch=9", "upscale-1.train.lr=0.5"]).unwrap();
        let names: Vec<_> = stages.iter().map(|stage| stage.name.as_str()).collect();
        assert_eq!(names, ["base", "upscale-1", "upscale-2"]);
        assert_eq!(stages.iter().map(|stage| stage.config.data.shrink).collect::<Vec<_>>(), [8, 4, 1]);
        let [base, first, second] = &stages[..] else { panic!("three") };
        assert_eq!((base.config.train.steps, first.config.train.steps), (7, 10_000));
        assert_eq!((base.config.train.lr, first.config.train.lr), (1e-3, 0.5));
        assert!(stages.iter().all(|stage| stage.config.train.batch == 9));
        let pfgm::network::NetworkConfig::Unet(unet) = &first.config.network else { panic!("unet") };
        assert_eq!((unet.width, unet.blocks), (32, 1));
        assert!(matches!(&second.config.network, pfgm::network::NetworkConfig::AdmUnet(unet) if unet.blocks == 3));
    }

    #[test]
    fn what_cannot_be_is_said() {
        let fails = |set: &[&str]| format!("{:#}", file(set).err().expect("an error"));
        assert!(fails(&["upscale-7.train.lr=1"]).contains("base, upscale-1, upscale-2"));
        assert!(fails(&["base.upscale.factor=2"]).contains("does not upscale"));
        assert!(fails(&["upscale-1.upscale.factor=1"]).contains("upscale.factor = 1: give at least 2"));
        assert!(fails(&["objective.kind=pfgm"]).contains("field"));
    }
}
