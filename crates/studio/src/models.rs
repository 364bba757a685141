//! Models of runs, loaded on demand.

use std::{
    collections::HashMap,
    fs,
    ops::Deref,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use burn::tensor::Device;
use pfgm::{Model, bundled};
use tokio::{sync::Mutex as AsyncMutex, time::timeout};

use crate::{error::ApiError, runs::RunSummary};

/// Largest number of models that are kept in memory, bundled ones apart.
const MAX_LOADED: usize = 4;

/// A model and the names of its run.
pub struct LoadedModel {
    /// Name of the run in requests.
    pub name: String,
    /// Name of the run on a command line.
    pub path: String,
    model: Model,
}

impl Deref for LoadedModel {
    type Target = Model;

    fn deref(&self) -> &Model {
        &self.model
    }
}

/// Loads models. A file that does not respond blocks requests for its own run only.
pub struct Models {
    device: Device,
    timeout: Duration,
    slots: Mutex<HashMap<String, Arc<Slot>>>,
    clock: AtomicU64,
}

/// Place of one run's model.
#[derive(Default)]
struct Slot {
    /// Held while files are read.
    loading: Arc<AsyncMutex<()>>,
    loaded: Mutex<Option<(SystemTime, Arc<LoadedModel>)>>,
    last_used: AtomicU64,
}

impl Models {
    /// Creates a loader. A request waits for files for at most `timeout`.
    pub fn new(device: Device, timeout: Duration) -> Self {
        Self { device, timeout, slots: Mutex::default(), clock: AtomicU64::default() }
    }

    /// Returns the model of a run's latest checkpoint.
    ///
    /// # Errors
    /// If the run has no checkpoint that can be used, or its files do not respond in time.
    ///
    /// # Panics
    /// If loading panics.
    pub async fn get(&self, run: RunSummary) -> Result<Arc<LoadedModel>, ApiError> {
        let (slot, device) = (self.slot(&run), self.device.clone());
        let name = run.name.clone();
        let load = async {
            let guard = Arc::clone(&slot.loading).lock_owned().await;
            let work = move || {
                let _guard = guard;
                slot.refresh(&run, &device)
            };
            tokio::task::spawn_blocking(work).await
        };
        match timeout(self.timeout, load).await {
            Ok(Ok(model)) => model,
            Ok(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Ok(Err(_)) => Err(ApiError::stopping()),
            Err(_) => {
                let seconds = self.timeout.as_secs_f64();
                Err(ApiError::unavailable(format!("run `{name}`: its files cannot be read within {seconds} s")))
            }
        }
    }

    /// Returns the slot of a run, and removes the least recently used one if there are too many.
    fn slot(&self, run: &RunSummary) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let is_own = |name: &str| bundled::find(Path::new(name)).is_none();
        if !slots.contains_key(&run.name) && slots.keys().filter(|name| is_own(name)).count() >= MAX_LOADED {
            let own = slots.iter().filter(|(name, slot)| is_own(name) && slot.loading.try_lock().is_ok());
            let oldest = own.min_by_key(|(_, slot)| slot.last_used.load(Ordering::Relaxed));
            if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
                slots.remove(&oldest);
            }
        }
        let slot = Arc::clone(slots.entry(run.name.clone()).or_default());
        slot.last_used.store(self.clock.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        slot
    }
}

impl Slot {
    /// Loads the latest checkpoint unless it is loaded already.
    fn refresh(&self, run: &RunSummary, device: &Device) -> Result<Arc<LoadedModel>, ApiError> {
        let path = run.folder.as_deref().map(Model::latest_checkpoint).transpose().map_err(pfgm::Error::from)?;
        let mut changed = SystemTime::UNIX_EPOCH;
        if let Some(path) = &path {
            let file = fs::metadata(path)
                .map_err(|error| ApiError::unprocessable(format!("{}: cannot be read: {error}", path.display())))?;
            // To open a FIFO would block.
            if !file.is_file() {
                return Err(ApiError::unprocessable(format!("{}: is not a regular file", path.display())));
            }
            changed = file.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        }
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, model)) = &*loaded
            && *of == changed
        {
            return Ok(Arc::clone(model));
        }
        let model = Arc::new(load(run, path.as_deref(), device)?);
        *loaded = Some((changed, Arc::clone(&model)));
        Ok(model)
    }
}

fn load(run: &RunSummary, checkpoint: Option<&Path>, device: &Device) -> Result<LoadedModel, ApiError> {
    let name = run.name.clone();
    let model = match checkpoint {
        Some(path) => Model::load_on(path, device)?,
        None => Model::bundled(&name, device)?,
    };
    if model.spec().config.upscale.is_some() {
        let reason = format!("run `{name}` upscales images and draws none by itself; use `pfgm cascade sample`");
        return Err(ApiError::unprocessable(reason));
    }
    let path = run.folder.as_ref().map_or_else(|| name.clone(), |folder| folder.display().to_string());
    Ok(LoadedModel { name, path, model })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(name: &str, folder: Option<&Path>) -> RunSummary {
        RunSummary {
            name: name.to_owned(),
            bundled: folder.is_none(),
            trained: true,
            logged: false,
            upscales: false,
            steps: None,
            folder: folder.map(Path::to_owned),
        }
    }

    #[tokio::test]
    async fn a_stalled_file_blocks_its_own_run_only() {
        let device = pfgm::device::open("cpu").unwrap();
        let models = Arc::new(Models::new(device, Duration::from_secs(600)));
        let folder = tempfile::tempdir().unwrap();
        let mine = run("mine", Some(folder.path()));
        // What a thread that reads a stalled file holds.
        let stalled = Arc::clone(&models.slot(&mine).loading).lock_owned().await;
        let waiting = tokio::spawn({
            let models = Arc::clone(&models);
            async move { models.get(mine).await.map(drop) }
        });
        assert!(models.get(run("digits", None)).await.is_ok());
        assert!(!waiting.is_finished());
        drop(stalled);
        assert_eq!(waiting.await.unwrap().unwrap_err().status, 422, "the folder has no checkpoint");
    }

    #[tokio::test]
    async fn a_stalled_file_is_given_up() {
        let models = Models::new(pfgm::device::open("cpu").unwrap(), Duration::ZERO);
        let folder = tempfile::tempdir().unwrap();
        let mine = run("mine", Some(folder.path()));
        let _stalled = Arc::clone(&models.slot(&mine).loading).lock_owned().await;
        assert_eq!(models.get(mine).await.map(drop).unwrap_err().status, 503);
    }

    #[tokio::test]
    async fn a_model_is_loaded_once() {
        let models = Models::new(pfgm::device::open("cpu").unwrap(), Duration::from_secs(600));
        let (first, again) = (models.get(run("digits", None)).await, models.get(run("digits", None)).await);
        assert!(Arc::ptr_eq(&first.unwrap(), &again.unwrap()));
    }
}
