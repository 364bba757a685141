//! Checkpoints: one safetensors file with the weights, their average, the optimiser's state, and the run's record.
//!
//! A file is written aside, synced, and renamed, so that a name always stands for a whole file. It needs nothing beside
//! it: the record says what network the weights belong to and what data they were trained on.

use std::{
    borrow::Cow,
    collections::HashMap,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use burn::tensor::Device;
use safetensors::{Dtype, SafeTensorError, SafeTensors, View};
use serde::{Deserialize, Serialize};

use crate::{
    device::cpu,
    memory::{self, MemoryError},
    network::Network,
    spec::{ModelError, ModelSpec},
    weights::{self, Weight, WeightError},
};

/// The version of the layout.
const FORMAT: u32 = 1;
const ENDING: &str = "safetensors";
/// Copies of a row in double precision that sampling one item needs, at the least.
const SAMPLING_ROWS: u64 = 8;

/// Weights of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// The weights that the optimiser moves.
    Network,
    /// Their moving average, which samples are drawn with.
    Average,
    /// Adam's first moments.
    First,
    /// Adam's second moments.
    Second,
}

impl Group {
    /// All of them, as a checkpoint holds them.
    pub const ALL: [Self; 4] = [Self::Network, Self::Average, Self::First, Self::Second];

    fn prefix(self) -> &'static str {
        match self {
            Self::Network => "network.",
            Self::Average => "ema.",
            Self::First => "adam.first.",
            Self::Second => "adam.second.",
        }
    }
}

/// What a checkpoint says about itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Header {
    format: u32,
    step: u64,
    record: ModelSpec,
}

/// A checkpoint in memory.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// Steps taken.
    pub step: u64,
    /// The run.
    pub record: ModelSpec,
    groups: HashMap<&'static str, HashMap<String, Weight>>,
}

/// Why a checkpoint could not be read or written. Every message names the file and what to do.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The system refused.
    #[error("{path}: cannot be {action}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Read or written.
        action: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// The file is no checkpoint, or not a whole one.
    #[error("{path}: {problem}; the file is cut short, damaged, or no checkpoint of pfgm: use another one")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The specification in it cannot work.
    #[error("{path}: its specification: {source}; the file is damaged, or was made to do harm")]
    Specification {
        /// The file.
        path: PathBuf,
        /// What cannot work.
        source: ModelError,
    },
    /// The machine has too little memory for it.
    #[error("{path}: {source}")]
    Memory {
        /// The file.
        path: PathBuf,
        /// How much is missing.
        source: MemoryError,
    },
    /// The weights are those of another network.
    #[error("{path}: {source}; the checkpoint is of another configuration")]
    Weights {
        /// The file.
        path: PathBuf,
        /// Which weight.
        source: WeightError,
    },
    /// There is no checkpoint.
    #[error("{0}: no checkpoint in it; give a run's folder or a checkpoint file")]
    None(PathBuf),
}

impl Checkpoint {
    /// A checkpoint of the given groups.
    pub fn new(step: u64, record: ModelSpec, groups: impl IntoIterator<Item = (Group, Vec<Weight>)>) -> Self {
        let by_name = |weights: Vec<Weight>| weights.into_iter().map(|weight| (weight.name.clone(), weight)).collect();
        let groups = groups.into_iter().map(|(group, weights)| (group.prefix(), by_name(weights))).collect();
        Self { step, record, groups }
    }

    /// The weights of one kind, by name.
    pub fn group(&self, group: Group) -> &HashMap<String, Weight> {
        static EMPTY: std::sync::LazyLock<HashMap<String, Weight>> = std::sync::LazyLock::new(HashMap::new);
        self.groups.get(group.prefix()).unwrap_or(&EMPTY)
    }

    /// Writes the checkpoint to `path`, whole or not at all.
    ///
    /// # Errors
    /// When the system refuses, as on a full disk; what stood at `path` before stays.
    pub fn write(&self, path: &Path) -> Result<(), CheckpointError> {
        let groups = self.groups.iter();
        let tensors = groups.flat_map(|(prefix, weights)| {
            weights.iter().map(move |(name, weight)| (format!("{prefix}{name}"), Stored(weight)))
        });
        let header = Header { format: FORMAT, step: self.step, record: self.record.clone() };
        let header = serde_json::to_string(&header).expect("a record is plain data");
        let header = HashMap::from([("pfgm".to_owned(), header)]);
        let write = |aside: &Path| {
            // That library's file can be read by its owner alone; ours by whom the system says.
            let permissions = File::create(aside)?.metadata()?.permissions();
            safetensors::serialize_to_file(tensors, Some(header), aside).map_err(|error| match error {
                SafeTensorError::IoError(source) => source,
                other => io::Error::other(other),
            })?;
            fs::set_permissions(aside, permissions)
        };
        replace(path, write).map_err(|source| CheckpointError::Io { path: path.to_owned(), action: "written", source })
    }

    /// Reads a checkpoint.
    ///
    /// # Errors
    /// When there is none at `path`, or it is damaged.
    pub fn read(path: &Path) -> Result<Self, CheckpointError> {
        let bytes =
            fs::read(path).map_err(|source| CheckpointError::Io { path: path.to_owned(), action: "read", source })?;
        Self::parse(path, &bytes)
    }

    /// Reads a checkpoint that is in memory already; `path` is what to call it.
    ///
    /// # Errors
    /// When it is damaged.
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
        let checkpoint = Self { step: header.step, record: header.record, groups };
        checkpoint.check(path)?;
        Ok(checkpoint)
    }

    /// Checks the specification, and the weights against it, before any network is built.
    fn check(&self, path: &Path) -> Result<(), CheckpointError> {
        let specification = |source| CheckpointError::Specification { path: path.to_owned(), source };
        self.record.check().map_err(specification)?;
        let network = self.record.network_shapes(&cpu()).map_err(|source| specification(source.into()))?;
        for weights in self.groups.values() {
            weights::check(&network, weights)
                .map_err(|source| CheckpointError::Weights { path: path.to_owned(), source })?;
        }
        let row = (self.record.dim() * size_of::<f64>()) as u64;
        memory::require(SAMPLING_ROWS * row, "the sizes of the images")
            .map_err(|source| CheckpointError::Memory { path: path.to_owned(), source })
    }

    /// The network with its averaged weights; `path` is what errors call the checkpoint.
    ///
    /// # Errors
    /// When the weights are those of another network.
    pub fn averaged(&self, path: &Path, device: &Device) -> Result<Network, CheckpointError> {
        let wrong = |source| CheckpointError::Weights { path: path.to_owned(), source };
        let network = self
            .record
            .network_shapes(device)
            .map_err(|source| CheckpointError::Specification { path: path.to_owned(), source: source.into() })?;
        weights::assign(network, self.group(Group::Average)).map_err(wrong)
    }
}

/// A weight as it lies in a file: little-endian single precision.
struct Stored<'a>(&'a Weight);

impl View for Stored<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.0.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        self.0.values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    fn data_len(&self) -> usize {
        size_of_val(self.0.values.as_slice())
    }
}

/// Writes bytes aside, syncs them, and renames the file to its place.
///
/// # Errors
/// When the system refuses; the file that stood there before stays, and nothing is left aside.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace(path, |aside| fs::write(aside, bytes))
}

/// Has a file written aside, syncs it, and renames it to its place.
fn replace(path: &Path, write: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let aside = path.with_file_name(format!(".{name}.{}.part", std::process::id()));
    let written = (|| {
        write(&aside)?;
        File::open(&aside)?.sync_all()?;
        fs::rename(&aside, path)
    })();
    // The new name should survive a power cut too; where folders cannot be synced, the file is whole all the same.
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty())
        && let Ok(folder) = File::open(folder)
    {
        let _ = folder.sync_all();
    }
    if written.is_err() {
        let _ = fs::remove_file(&aside);
    }
    written
}

/// The file of the checkpoint after `step` steps in a run's folder.
pub fn path_of(run: &Path, step: u64) -> PathBuf {
    run.join("checkpoints").join(format!("step-{step:08}.{ENDING}"))
}

/// The checkpoints of a run's folder, oldest first.
pub fn list(run: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(run.join("checkpoints")) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == ENDING))
        .collect();
    paths.sort();
    paths
}

/// The checkpoint that a user means: the file itself, or the latest of a run's folder.
///
/// # Errors
/// When there is none.
pub fn find(run: &Path) -> Result<PathBuf, CheckpointError> {
    if run.is_file() {
        return Ok(run.to_owned());
    }
    list(run).pop().ok_or_else(|| CheckpointError::None(run.to_owned()))
}

/// Removes the oldest checkpoints of a run, so that `keep` stay.
pub fn prune(run: &Path, keep: usize) {
    let paths = list(run);
    for path in &paths[..paths.len().saturating_sub(keep)] {
        // One that cannot be removed costs only space.
        let _ = fs::remove_file(path);
    }
}
