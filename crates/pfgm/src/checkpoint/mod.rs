//! Checkpoints: one safetensors file with the weights, their moving average, the state of the optimizer, and the specification of the run.
//!
//! A checkpoint is written whole or not at all ([`pfgm_data::atomic`]). It stands alone: the specification says which network the weights
//! belong to and which data they were trained on.

mod safetensors_file;

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
};

use burn::tensor::Device;
use pfgm_data::atomic;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

use crate::{
    device::cpu,
    memory::{self, MemoryError},
    network::Network,
    spec::{ModelError, ModelSpec},
    weights::{self, Weight, WeightError},
};

/// Version of the layout.
const FORMAT: u32 = 1;
const ENDING: &str = "safetensors";

/// One of the sets of values that a checkpoint has for each weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Weights that the optimizer updates.
    Network,
    /// Moving average of the weights, with which samples are drawn.
    Average,
    /// First moments of Adam.
    First,
    /// Second moments of Adam.
    Second,
    /// Fixed weights of the network that is distilled, or whose guidance is, if any.
    Teacher,
    /// Weights of the network that learns a generator's samples, if any.
    Fake,
    /// First moments of its optimizer.
    FakeFirst,
    /// Second moments of its optimizer.
    FakeSecond,
    /// The narrower of two power-function averages, if the training keeps them.
    PowerNarrow,
    /// The wider of two power-function averages.
    PowerWide,
}

impl Group {
    /// All groups, in the order of a checkpoint.
    pub const ALL: [Self; 10] = [
        Self::Network,
        Self::Average,
        Self::First,
        Self::Second,
        Self::Teacher,
        Self::Fake,
        Self::FakeFirst,
        Self::FakeSecond,
        Self::PowerNarrow,
        Self::PowerWide,
    ];

    fn prefix(self) -> &'static str {
        match self {
            Self::Network => "network.",
            Self::Average => "ema.",
            Self::First => "adam.first.",
            Self::Second => "adam.second.",
            Self::Teacher => "teacher.",
            Self::Fake => "fake.network.",
            Self::FakeFirst => "fake.first.",
            Self::FakeSecond => "fake.second.",
            Self::PowerNarrow => "power.narrow.",
            Self::PowerWide => "power.wide.",
        }
    }
}

/// Metadata of a checkpoint file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Header {
    format: u32,
    step: u64,
    // The key in files is older than the name of the type.
    #[serde(rename = "record")]
    spec: ModelSpec,
}

/// A checkpoint in memory.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// Number of training steps taken.
    pub step: u64,
    /// Specification of the run: its configuration and data.
    pub spec: ModelSpec,
    groups: HashMap<&'static str, HashMap<String, Weight>>,
}

/// Reason why a checkpoint cannot be read or written. Each message names the file and what to do.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The system reported an error.
    #[error("{path}: cannot be {action}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// "read" or "written".
        action: &'static str,
        /// Error of the system.
        source: io::Error,
    },
    /// The file is damaged, or is not a checkpoint.
    #[error("{path}: {}; the file is truncated, damaged, or not a checkpoint of pfgm: use another one", problem.replace(char::is_control, " "))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Problem that was found.
        problem: String,
    },
    /// The specification of the run is not valid.
    #[error("{path}: invalid specification: {source}; the file is damaged or malicious")]
    Specification {
        /// The file.
        path: PathBuf,
        /// Problem that was found.
        source: ModelError,
    },
    /// The machine has too little memory.
    #[error("{path}: {source}")]
    Memory {
        /// The file.
        path: PathBuf,
        /// Memory that is needed and available.
        source: MemoryError,
    },
    /// The weights do not fit the network of the specification.
    #[error("{path}: {source}; the checkpoint is of another configuration")]
    Weights {
        /// The file.
        path: PathBuf,
        /// Weight that does not fit.
        source: WeightError,
    },
    /// The folder contains no checkpoint.
    #[error("{0}: no checkpoint in it; give a run's folder or a checkpoint file")]
    None(PathBuf),
}

impl Checkpoint {
    /// Creates a checkpoint from groups of weights.
    pub fn new(step: u64, spec: ModelSpec, groups: impl IntoIterator<Item = (Group, Vec<Weight>)>) -> Self {
        let by_name = |weights: Vec<Weight>| weights.into_iter().map(|weight| (weight.name.clone(), weight)).collect();
        let groups = groups.into_iter().map(|(group, weights)| (group.prefix(), by_name(weights))).collect();
        Self { step, spec, groups }
    }

    /// Weights of one group, by name; empty if the checkpoint lacks the group.
    pub fn group(&self, group: Group) -> &HashMap<String, Weight> {
        static EMPTY: std::sync::LazyLock<HashMap<String, Weight>> = std::sync::LazyLock::new(HashMap::new);
        self.groups.get(group.prefix()).unwrap_or(&EMPTY)
    }

    /// Writes the checkpoint to `path`, whole or not at all.
    ///
    /// # Errors
    /// Returns an error if the system refuses, as on a full disk. A file that was at `path` stays.
    pub fn write(&self, path: &Path) -> Result<(), CheckpointError> {
        let (header, weights) = self.contents();
        atomic::write_with(path, |file| safetensors_file::write(file, header, weights))
            .map_err(|source| CheckpointError::Io { path: path.to_owned(), action: "written", source })
    }

    /// The checkpoint as the bytes of its file; [`Checkpoint::parse`] is the inverse.
    ///
    /// # Errors
    /// Returns an error if two weights have the same name.
    pub fn to_bytes(&self) -> Result<Vec<u8>, CheckpointError> {
        let ((header, weights), mut bytes) = (self.contents(), Vec::new());
        let path = || PathBuf::from("the bytes");
        safetensors_file::write(&mut bytes, header, weights).map_err(|source| CheckpointError::Io {
            path: path(),
            action: "written",
            source,
        })?;
        Ok(bytes)
    }

    /// The header and the named weights of the file.
    fn contents(&self) -> (String, Vec<(String, &Weight)>) {
        let groups = self.groups.iter();
        let weights = groups.flat_map(|(prefix, weights)| {
            weights.iter().map(move |(name, weight)| (format!("{prefix}{name}"), weight))
        });
        let header = Header { format: FORMAT, step: self.step, spec: self.spec.clone() };
        (serde_json::to_string(&header).expect("a specification is plain data"), weights.collect())
    }

    /// Reads the checkpoint at `path`.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read, is damaged, or is not a checkpoint.
    pub fn read(path: &Path) -> Result<Self, CheckpointError> {
        let bytes =
            fs::read(path).map_err(|source| CheckpointError::Io { path: path.to_owned(), action: "read", source })?;
        Self::parse(path, &bytes)
    }

    /// Reads a checkpoint from memory. Errors name `path`.
    ///
    /// # Errors
    /// Returns an error if the bytes are damaged or are not a checkpoint.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self, CheckpointError> {
        let damaged = |problem: String| CheckpointError::Damaged { path: path.to_owned(), problem };
        let tensors = SafeTensors::deserialize(bytes).map_err(|error| damaged(error.to_string()))?;
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|error| damaged(error.to_string()))?;
        let header = metadata.metadata().as_ref().and_then(|entries| entries.get("pfgm"));
        let header = header.ok_or_else(|| damaged("no record of a run in it".into()))?;
        let header: Header = serde_json::from_str(header).map_err(|error| damaged(error.to_string()))?;
        if header.format != FORMAT {
            return Err(damaged(format!("layout {} where this program knows {FORMAT}", header.format)));
        }
        let mut groups: HashMap<&'static str, HashMap<String, Weight>> = HashMap::new();
        for (full_name, view) in tensors.tensors() {
            let group = Group::ALL.into_iter().find(|group| full_name.starts_with(group.prefix()));
            let group = group.ok_or_else(|| damaged(format!("unknown tensor `{full_name}`")))?;
            if view.dtype() != Dtype::F32 {
                return Err(damaged(format!("tensor `{full_name}` is {:?}, not F32", view.dtype())));
            }
            let name = full_name[group.prefix().len()..].to_owned();
            let values = view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().expect("four bytes")));
            let weight = Weight { name: name.clone(), shape: view.shape().to_vec(), values: values.collect() };
            groups.entry(group.prefix()).or_default().insert(name, weight);
        }
        let checkpoint = Self { step: header.step, spec: header.spec, groups };
        checkpoint.check(path)?;
        Ok(checkpoint)
    }

    /// Checks the specification, and the weights against it, before any network is built.
    fn check(&self, path: &Path) -> Result<(), CheckpointError> {
        let specification = |source| CheckpointError::Specification { path: path.to_owned(), source };
        self.spec.check().map_err(specification)?;
        let network = self.spec.network_shapes(&cpu()).map_err(|source| specification(source.into()))?;
        for weights in self.groups.values() {
            weights::check(&network, weights)
                .map_err(|source| CheckpointError::Weights { path: path.to_owned(), source })?;
        }
        memory::require_rows(self.spec.dim())
            .map_err(|source| CheckpointError::Memory { path: path.to_owned(), source })
    }

    /// Creates the network with the averaged weights. Errors name `path`.
    ///
    /// # Errors
    /// Returns an error if the weights do not fit the network of the specification.
    pub fn averaged(&self, path: &Path, device: &Device) -> Result<Network, CheckpointError> {
        let wrong = |source| CheckpointError::Weights { path: path.to_owned(), source };
        let network = self
            .spec
            .network_shapes(device)
            .map_err(|source| CheckpointError::Specification { path: path.to_owned(), source: source.into() })?;
        weights::assign(network, self.group(Group::Average)).map_err(wrong)
    }
}

/// Path of the checkpoint after `step` steps in the folder of a run.
pub fn path_of(run: &Path, step: u64) -> PathBuf {
    run.join("checkpoints").join(format!("step-{step:08}.{ENDING}"))
}

/// Path of the snapshot of averages after `step` steps in the folder of a run.
pub fn snapshot_path(run: &Path, step: u64) -> PathBuf {
    run.join("snapshots").join(format!("step-{step:08}.{ENDING}"))
}

/// Snapshots of averages in the folder of a run, oldest first.
pub fn snapshots(run: &Path) -> Vec<PathBuf> {
    list_in(&run.join("snapshots"))
}

/// Checkpoints in the folder of a run, oldest first.
pub fn list(run: &Path) -> Vec<PathBuf> {
    list_in(&run.join("checkpoints"))
}

fn list_in(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == ENDING))
        .collect();
    paths.sort();
    paths
}

/// Path of a checkpoint: `run` itself if it is a file, or else the latest checkpoint in the folder of a run.
///
/// # Errors
/// Returns an error if there is no checkpoint.
pub fn find(run: &Path) -> Result<PathBuf, CheckpointError> {
    if run.is_file() {
        return Ok(run.to_owned());
    }
    list(run).pop().ok_or_else(|| CheckpointError::None(run.to_owned()))
}

/// Removes the oldest checkpoints of a run, and keeps the latest `keep`.
pub fn prune(run: &Path, keep: usize) {
    let paths = list(run);
    for path in &paths[..paths.len().saturating_sub(keep)] {
        // A checkpoint that cannot be removed costs only space.
        let _ = fs::remove_file(path);
    }
}
