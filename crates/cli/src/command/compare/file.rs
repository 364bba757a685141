//! The file of a comparison.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use pfgm::{features::Extractor, network::Precision, solver::Solver, weights::MAX_BITS};
use serde::Deserialize;
use toml::{Table, Value};

use crate::{
    args::{ComputeArgs, evaluate::ExtractorName},
    resolve::{self, Guidance},
};

/// Number of bits of weights that are not rounded.
pub const ALL_BITS: u32 = 32;

/// The parsed file. A list instead of a single value is an axis of the comparison.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// The reference, as in `evaluate --data`; by default the training data of the first run.
    pub reference: Option<String>,
    /// Statistics of the reference.
    pub reference_statistics: Option<PathBuf>,
    /// Number of rows of the reference, chosen at random; all by default.
    pub reference_rows: Option<usize>,
    /// Number of samples of each cell.
    #[serde(default = "samples")]
    pub samples: usize,
    /// The extractor of features.
    #[serde(default = "features")]
    features: String,
    /// The extractor's weights.
    pub weights: Option<PathBuf>,
    /// Seed of the first sample.
    #[serde(default)]
    pub seed: u64,
    /// Number of repetitions of each cell, each with the samples of other seeds.
    #[serde(default = "seeds")]
    pub seeds: usize,
    /// Batch size.
    #[serde(default = "batch")]
    pub batch: usize,
    /// Device to sample on.
    #[serde(default = "device")]
    pub device: String,
    /// Noise added before each step, as a share of sigma; the default of every solver.
    noise: Option<Value>,
    /// Bits that weights are rounded to; the default of every run.
    bits: Option<Value>,
    /// The runs.
    #[serde(default)]
    pub run: Vec<Run>,
    /// The solvers.
    #[serde(default)]
    solver: Vec<Table>,
}

/// A run to sample from.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// Its folder, or a checkpoint file.
    pub path: PathBuf,
    /// Its name; by default the last part of its path.
    name: Option<String>,
    /// Scale of classifier-free guidance, or of `autoguide`, which needs it; by default the run's.
    pub guidance: Option<f64>,
    /// A weaker run that guides, with all bits of its weights; by default the same network without the class.
    pub autoguide: Option<PathBuf>,
    /// The lowest and the highest noise level that are guided; by default all are.
    pub guidance_levels: Option<[f64; 2]>,
    /// Precision of the activations; by default the run's.
    pub precision: Option<Precision>,
    bits: Option<Value>,
}

impl Run {
    /// The guidance of its samples, with the weaker run.
    pub fn open_guidance(&self, compute: &ComputeArgs) -> Result<Guidance> {
        let weaker = Guidance::weaker(self.autoguide.as_deref(), compute)?;
        Ok(Guidance { scale: self.guidance, weaker, levels: self.guidance_levels.map(|[low, high]| low..=high) })
    }

    pub fn name(&self) -> String {
        let last = || self.path.file_stem().unwrap_or(self.path.as_os_str()).to_string_lossy().into_owned();
        self.name.clone().unwrap_or_else(last)
    }
}

/// A solver with one value for each of its keys.
#[derive(Clone, Debug)]
pub struct Choice {
    /// The number of its entry in the file.
    pub entry: usize,
    pub solver: Solver,
    /// Names of the runs that use it; all runs if empty.
    pub runs: Vec<String>,
    /// Bits that weights are rounded to; by default those of the run.
    pub bits: Option<Vec<u32>>,
    /// Its keys and values in the file, apart from method and steps.
    pub settings: Vec<(String, String)>,
}

fn samples() -> usize {
    10_000
}

fn features() -> String {
    "pixels".into()
}

fn seeds() -> usize {
    1
}

fn batch() -> usize {
    64
}

fn device() -> String {
    "cpu".into()
}

impl Choice {
    /// Whether the run of this name uses it.
    pub fn is_for(&self, run: &str) -> bool {
        self.runs.is_empty() || self.runs.iter().any(|name| name == run)
    }
}

/// Keys that only change the number of evaluations.
pub const LENGTHS: [&str; 3] = ["steps", "rtol", "atol"];
/// Maximum number of repetitions.
const MOST_SEEDS: usize = 1000;
/// Maximum number of cells: a larger matrix is likely a typing error.
const MOST: usize = 10_000;

impl File {
    /// Parses the text of a file.
    pub fn parse(text: &str) -> Result<Self> {
        let table: Table = text.parse().map_err(|error: toml::de::Error| resolve::one_line("not TOML", &error))?;
        let file: Self = serde_path_to_error::deserialize(Value::Table(table)).map_err(resolve::explain)?;
        file.check()?;
        Ok(file)
    }

    pub fn read(path: &std::path::Path) -> Result<(Self, String)> {
        let text = resolve::read_text(path)?;
        Ok((Self::parse(&text)?, text))
    }

    fn check(&self) -> Result<()> {
        if self.run.is_empty() {
            bail!("run: there is none; add [[run]] with path = \"runs/digits\"");
        }
        if self.solver.is_empty() {
            bail!("solver: there is none; add [[solver]] with method = \"heun\"");
        }
        if self.reference.is_some() && self.reference_statistics.is_some() {
            bail!("reference_statistics: there is a reference, too; omit one of them");
        }
        if self.reference_rows.is_some() && self.reference_statistics.is_some() {
            bail!("reference_rows: statistics cover all rows; omit one of them");
        }
        let fewest = pfgm::evaluate::FEWEST;
        if !(fewest..=resolve::MAX_SAMPLES).contains(&self.samples) {
            bail!("samples = {}: give a number from {fewest} to {}", self.samples, resolve::MAX_SAMPLES);
        }
        if !(1..=MOST_SEEDS).contains(&self.seeds) {
            bail!("seeds = {}: give a number from 1 to {MOST_SEEDS}", self.seeds);
        }
        if !(1..=resolve::MAX_SAMPLES).contains(&self.batch) {
            bail!("batch = {}: give a number from 1 to {}", self.batch, resolve::MAX_SAMPLES);
        }
        if let Some(rows) = self.reference_rows
            && rows < fewest
        {
            bail!("reference_rows = {rows}: give at least {fewest}");
        }
        let names: Vec<String> = self.run.iter().map(Run::name).collect();
        if let Some(second) = (1..names.len()).find(|&second| names[..second].contains(&names[second])) {
            bail!(
                "run[{second}].name: {} is also the name of another run; give each run a different name",
                names[second]
            );
        }
        Ok(())
    }

    pub fn extractor(&self) -> Result<Extractor> {
        let name = ExtractorName::from_str(&self.features, false).map_err(|_| {
            let known = ExtractorName::value_variants().iter().filter_map(ValueEnum::to_possible_value);
            let known: Vec<_> = known.map(|known| known.get_name().to_owned()).collect();
            anyhow::anyhow!("features = {}: there is no such extractor; there are {}", self.features, known.join(", "))
        })?;
        Ok(name.into())
    }

    /// Returns the bits that the weights of a run are rounded to, unless a solver overrides them.
    pub fn bits(&self, run: usize) -> Result<Vec<u32>> {
        match (&self.run[run].bits, &self.bits) {
            (Some(own), _) => bits_of(own).with_context(|| format!("run[{run}].bits")),
            (None, Some(all)) => bits_of(all).context("bits"),
            (None, None) => Ok(vec![ALL_BITS]),
        }
    }

    /// Every solver with each value of its lists.
    pub fn choices(&self) -> Result<Vec<Choice>> {
        let mut choices = Vec::new();
        for (entry, table) in self.solver.iter().enumerate() {
            let mut table = table.clone();
            if let Some(noise) = &self.noise {
                table.entry("noise").or_insert_with(|| noise.clone());
            }
            let runs = self.runs_of(table.remove("runs")).with_context(|| format!("solver[{entry}].runs"))?;
            let bits = table.remove("bits").as_ref().map(bits_of).transpose();
            let bits = bits.with_context(|| format!("solver[{entry}].bits"))?;
            for table in expand(&table).with_context(|| format!("solver[{entry}]"))? {
                choices.push(Choice {
                    runs: runs.clone(),
                    bits: bits.clone(),
                    ..choice(entry, table).with_context(|| format!("solver[{entry}]"))?
                });
                if choices.len() > MOST {
                    bail!("solver: more than {MOST} of them; omit some values");
                }
            }
        }
        Ok(choices)
    }

    /// Returns the names of the runs that use a solver.
    fn runs_of(&self, value: Option<Value>) -> Result<Vec<String>> {
        let Some(value) = value else { return Ok(Vec::new()) };
        let known: Vec<String> = self.run.iter().map(Run::name).collect();
        let named = axis(&value);
        if named.is_empty() {
            bail!("name at least one run, or omit it");
        }
        let name = |value: &Value| match value.as_str() {
            Some(name) if known.iter().any(|known| known == name) => Ok(name.to_owned()),
            _ => bail!("{value}: is not the name of a run; there are {}", known.join(", ")),
        };
        named.iter().map(name).collect()
    }
}

/// Parses the value of `bits`.
fn bits_of(value: &Value) -> Result<Vec<u32>> {
    let number = |value: &Value| match value.as_integer().and_then(|bits| u32::try_from(bits).ok()) {
        Some(bits) if (1..=MAX_BITS).contains(&bits) || bits == ALL_BITS => Ok(bits),
        _ => bail!("{value}: give a number from 1 to {MAX_BITS}, or {ALL_BITS} for weights that are not rounded"),
    };
    let bits = axis(value).iter().map(number).collect::<Result<Vec<_>>>()?;
    if bits.is_empty() {
        bail!("[]: give at least one value");
    }
    Ok(bits)
}

/// The values of an axis: those of a list, or the single one.
fn axis(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(values) => values.clone(),
        value => vec![value.clone()],
    }
}

/// All tables with one value for each key; numbers of steps change fastest.
fn expand(table: &Table) -> Result<Vec<Table>> {
    let is_length = |key: &str| LENGTHS.contains(&key);
    let (lengths, others): (Vec<_>, Vec<_>) = table.iter().partition(|(key, _)| is_length(key));
    let mut tables = vec![Table::new()];
    for (key, value) in others.into_iter().chain(lengths) {
        let values = match value {
            // Levels are a list; a list of lists is an axis.
            Value::Array(levels) if key == "levels" && !levels.iter().any(Value::is_array) => vec![value.clone()],
            value => axis(value),
        };
        if values.is_empty() {
            bail!("{key} = []: give at least one value");
        }
        let mut longer = Vec::new();
        for table in &tables {
            for value in &values {
                let mut table = table.clone();
                table.insert(key.clone(), value.clone());
                longer.push(table);
            }
        }
        tables = longer;
        if tables.len() > MOST {
            bail!("{key}: more than {MOST} cells; omit some values");
        }
    }
    Ok(tables)
}

fn choice(entry: usize, table: Table) -> Result<Choice> {
    if !table.contains_key("method") {
        bail!("method: missing; name a solver, as in method = \"heun\"");
    }
    let in_words = |(key, value): (&String, &Value)| match value {
        Value::String(text) => (key.clone(), text.clone()),
        value => (key.clone(), value.to_string()),
    };
    let no_noise = |key: &str, value: &Value| key == "noise" && value.as_float() == Some(0.0);
    let said = table.iter().filter(|(key, value)| *key != "method" && *key != "steps" && !no_noise(key, value));
    let settings = said.map(in_words).collect();
    let solver: Solver = serde_path_to_error::deserialize(Value::Table(table)).map_err(resolve::explain)?;
    Ok(Choice { entry, solver, runs: Vec::new(), bits: None, settings })
}

#[cfg(test)]
mod tests {
    use pfgm::extra_dims::ExtraDims;

    use std::fs;

    use super::*;

    #[test]
    fn lists_are_axes() {
        let text = "noise = [0.0, 0.1]\nbits = [5, 32]\n[[run]]\npath = \"runs/a\"\n[[run]]\npath = \"b\"\nbits = 7\n\
            [[solver]]\nmethod = [\"euler\", \"heun\"]\nsteps = [3, 4]\n[[solver]]\nmethod = \"rk45\"\nnoise = 0.0\n\
            [[solver]]\nmethod = \"euler\"\nsteps = 2\nnoise = 0.0\nlevels = [3.0, 2, 1]\n";
        let file = File::parse(text).unwrap();
        let choices = file.choices().unwrap();
        assert_eq!(choices.len(), 8 + 2);
        let steps: Vec<usize> = choices[..4].iter().map(|choice| choice.solver.steps().unwrap()).collect();
        assert_eq!(steps, [3, 4, 3, 4]);
        let noise = vec![("noise".to_owned(), "0.1".to_owned())];
        assert_eq!((&choices[0].settings, &choices[2].settings), (&Vec::new(), &noise));
        assert_eq!(choices[9].solver.grid(), Some(&pfgm::solver::Grid::Levels(vec![3.0, 2.0, 1.0])));
        assert_eq!((file.bits(0).unwrap(), file.bits(1).unwrap()), (vec![5, 32], vec![7]));
        assert_eq!(file.run[0].name(), "a");
    }

    #[test]
    fn wrong_files_say_what_is_wrong() {
        let run = "[[run]]\npath = \"r\"\n";
        let solver = "[[solver]]\nmethod = \"heun\"\n";
        for (text, parts) in [
            (String::new(), &["run", "[[run]]"][..]),
            (run.to_owned(), &["solver", "[[solver]]"]),
            (format!("sample = 5\n{run}{solver}"), &["sample", "samples"]),
            (format!("samples = 5\n{run}{solver}"), &["samples = 5", "20"]),
            (format!("features = \"pixel\"\n{run}{solver}"), &["features = pixel", "pixels"]),
            (format!("{run}pth = 1\n{solver}"), &["run[0]", "pth", "path"]),
            (format!("{run}{run}{solver}"), &["run[1].name", "r"]),
            (format!("bits = 40\n{run}{solver}"), &["bits", "40", "24"]),
            (format!("{run}{solver}setps = 5"), &["solver[0]", "setps", "steps"]),
            (format!("{run}{solver}steps = []"), &["solver[0]", "steps = []"]),
            (format!("{run}[[solver]]\nsteps = 5"), &["solver[0]", "method"]),
            (format!("{run}{solver}runs = [\"q\"]"), &["solver[0].runs", "q", "there are r"]),
            (format!("reference = \"a\"\nreference_statistics = \"b\"\n{run}{solver}"), &["reference_statistics"]),
        ] {
            let all = |file: File| -> Result<()> {
                file.extractor()?;
                file.bits(0)?;
                file.choices().map(|_| ())
            };
            let error = format!("{:#}", File::parse(&text).and_then(all).unwrap_err());
            assert!(parts.iter().all(|part| error.contains(part)) && !error.contains('\n'), "{parts:?}: {error}");
        }
    }

    #[test]
    fn the_files_that_come_along_are_right() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../compare");
        let mut count = 0;
        let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        for path in paths.filter(|path| path.extension().is_some_and(|ending| ending == "toml")) {
            let shown = path.display();
            let (file, text) = File::read(&path).unwrap_or_else(|error| panic!("{shown}: {error:#}"));
            assert!(text.starts_with("# "), "{shown}: begins with what it shows");
            file.extractor().unwrap();
            (0..file.run.len()).for_each(|run| drop(file.bits(run).unwrap()));
            for choice in file.choices().unwrap_or_else(|error| panic!("{shown}: {error:#}")) {
                // Reverse SDEs need infinite D; all other solvers work with every D.
                let sde = choice.solver.method().is_sde();
                let d = if sde { ExtraDims::Infinite } else { ExtraDims::Finite(128.0) };
                choice.solver.check(d).unwrap_or_else(|problem| panic!("{shown}: {problem:?}"));
            }
            count += 1;
        }
        assert!(count >= 5);
    }
}
