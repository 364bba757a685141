//! Which runs there are, and their models as far as they are loaded.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use burn::tensor::Device;
use pfgm::{
    bundled::{self, BUNDLED},
    checkpoint::{self, Checkpoint, CheckpointError},
    network::Network,
    spec::ModelSpec,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::limits::Refusal;

/// Models that are kept in memory, those that come along not counted.
const KEPT: usize = 4;
/// How deep runs may lie below a folder of runs.
const DEPTH: usize = 3;

/// A trained network, ready to be asked.
pub struct Model {
    /// What the run is called here.
    pub name: String,
    /// What a command line calls it.
    pub typed: String,
    /// The run.
    pub record: ModelSpec,
    /// Its averaged weights.
    pub network: Network,
    /// Where it computes.
    pub device: Device,
}

/// A run that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What it is called here: the folder's name below the folder of runs.
    pub name: String,
    /// Its folder; none of a model that comes along.
    pub folder: Option<PathBuf>,
}

/// What the page is told of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct RunName {
    /// The name, as in other requests.
    #[schema(example = "digits")]
    pub name: String,
    /// Whether it came along with the program.
    pub bundled: bool,
    /// Whether samples can be drawn: there is a checkpoint.
    pub trained: bool,
    /// Whether there is a log of its training.
    pub logged: bool,
}

/// What is loaded, by name, and of which moment.
type Loaded = HashMap<String, (SystemTime, Arc<Model>)>;

/// The folders that are looked into, and what was loaded.
pub struct Runs {
    roots: Vec<PathBuf>,
    device: Device,
    loaded: Mutex<Loaded>,
}

impl Runs {
    /// Looks for runs in these folders.
    pub fn new(roots: Vec<PathBuf>, device: Device) -> Self {
        Self { roots, device, loaded: Mutex::default() }
    }

    /// All runs, those that come along first.
    pub fn list(&self) -> Vec<Found> {
        let mut all: Vec<Found> =
            BUNDLED.iter().map(|model| Found { name: model.name.to_owned(), folder: None }).collect();
        for root in &self.roots {
            let mut folders = Vec::new();
            walk(root, DEPTH, &mut folders);
            folders.sort();
            for folder in folders {
                let below = folder.strip_prefix(root).ok().filter(|below| !below.as_os_str().is_empty());
                let plain = below.unwrap_or(Path::new(folder.file_name().unwrap_or_default()));
                let plain = plain.to_string_lossy().replace(std::path::MAIN_SEPARATOR, "/");
                let free = |name: &String| all.iter().all(|run| run.name != *name);
                let name = std::iter::once(plain.clone())
                    .chain((2..).map(|number| format!("{plain} ({number})")))
                    .find(free)
                    .unwrap_or(plain);
                all.push(Found { name, folder: Some(folder) });
            }
        }
        all
    }

    /// The run of a name. Names are looked up among what is there: no name leads anywhere else.
    ///
    /// # Errors
    /// When there is none.
    pub fn find(&self, name: &str) -> Result<Found, Refusal> {
        let found = self.list().into_iter().find(|run| run.name == name);
        found.ok_or_else(|| Refusal::not_found(format!("run `{name}`: there is no such run; see /api/v1/runs")))
    }

    /// The model of a run's latest checkpoint.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn model(&self, name: &str) -> Result<Arc<Model>, Refusal> {
        let found = self.find(name)?;
        let unreadable = |error: CheckpointError| Refusal::unprocessable(error.to_string());
        let path = found.folder.as_deref().map(checkpoint::find).transpose().map_err(unreadable)?;
        let changed = path.as_deref().and_then(|path| fs::metadata(path).and_then(|file| file.modified()).ok());
        let changed = changed.unwrap_or(SystemTime::UNIX_EPOCH);
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, model)) = loaded.get(name)
            && *of == changed
        {
            return Ok(Arc::clone(model));
        }
        let checkpoint = match (&path, bundled::find(Path::new(name))) {
            (Some(path), _) => Checkpoint::read(path),
            (None, Some(bundled)) => Ok(bundled.checkpoint()),
            (None, None) => return Err(Refusal::not_found(format!("run `{name}`: has no checkpoint"))),
        };
        let checkpoint = checkpoint.map_err(unreadable)?;
        if checkpoint.record.config.upscale.is_some() {
            let reason = format!("run `{name}`: upscales images and makes none by itself; use `pfgm cascade sample`");
            return Err(Refusal::unprocessable(reason));
        }
        let sampling = checkpoint.record.config.sample.precision;
        if let Err(error) = sampling.check(&checkpoint.record.config.network, &self.device) {
            return Err(Refusal::unprocessable(format!("run `{name}`: sample.precision: {error}")));
        }
        let network = checkpoint.averaged(path.as_deref().unwrap_or(Path::new(name)), &self.device);
        let model = Arc::new(Model {
            name: name.to_owned(),
            typed: found.folder.map_or_else(|| name.to_owned(), |folder| folder.display().to_string()),
            network: network.map_err(unreadable)?,
            record: checkpoint.record,
            device: self.device.clone(),
        });
        if loaded.len() >= KEPT + BUNDLED.len() {
            let oldest = loaded
                .iter()
                .filter(|(name, _)| bundled::find(Path::new(name)).is_none())
                .min_by_key(|(_, (of, _))| *of);
            if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
                loaded.remove(&oldest);
            }
        }
        loaded.insert(name.to_owned(), (changed, Arc::clone(&model)));
        Ok(model)
    }
}

impl Found {
    /// The log of its training, whether or not it is there.
    pub fn log(&self) -> Option<PathBuf> {
        self.folder.as_deref().map(|folder| folder.join("log.jsonl"))
    }

    /// As the page is told.
    pub fn described(self) -> RunName {
        let folder = self.folder.as_deref();
        RunName {
            bundled: folder.is_none(),
            trained: folder.is_none_or(|folder| !checkpoint::list(folder).is_empty()),
            logged: self.log().is_some_and(|log| log.is_file()),
            name: self.name,
        }
    }
}

/// The folders below one that hold a run.
fn walk(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    if folder.join("checkpoints").is_dir() || folder.join("log.jsonl").is_file() {
        found.push(folder.to_owned());
        return;
    }
    let Ok(entries) = fs::read_dir(folder) else { return };
    // Links are not followed: a run lies where it was looked for.
    for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        if depth > 0 {
            walk(&entry.path(), depth - 1, found);
        }
    }
}
