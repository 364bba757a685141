//! Runs below the given folders, and the bundled models.

use std::{
    path::{MAIN_SEPARATOR, Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::future::join_all;
use pfgm::{
    bundled::{self, BUNDLED},
    checkpoint,
    config::Config,
};
use serde::Serialize;
use tokio::{sync::Mutex as AsyncMutex, time::timeout};

use crate::error::ApiError;

/// Largest depth of a run below a folder of runs.
const MAX_DEPTH: usize = 3;
/// Longest time that a scan of a folder may take before its previous result is used.
const SCAN_TIMEOUT: Duration = Duration::from_secs(5);

/// A run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct RunSummary {
    /// Name of the run in requests.
    #[cfg_attr(test, schema(example = "digits"))]
    pub name: String,
    /// Whether the model is bundled with the program.
    pub bundled: bool,
    /// Whether the run has a checkpoint to sample from.
    pub trained: bool,
    /// Whether the run has a training log.
    pub logged: bool,
    /// Whether the run upscales images of another run, as a stage of a cascade, and draws none by itself.
    pub upscales: bool,
    /// Number of steps of the whole training; null if the run has no configuration file.
    pub steps: Option<u64>,
    /// Folder of the run; None for a bundled model.
    #[serde(skip)]
    pub folder: Option<PathBuf>,
}

impl RunSummary {
    fn bundled(name: &str) -> Self {
        let (upscales, steps) = (false, None);
        Self { name: name.to_owned(), bundled: true, trained: true, logged: false, upscales, steps, folder: None }
    }
}

/// Finds runs. A file system that does not respond costs one blocked thread for each folder of runs, not one for each request.
pub struct Runs {
    roots: Vec<Root>,
}

/// A folder of runs, and the result of its latest scan.
struct Root {
    folder: PathBuf,
    scanning: Arc<AsyncMutex<()>>,
    found: Arc<Mutex<Vec<RunSummary>>>,
}

impl Runs {
    /// Creates a finder of runs in and below the given folders.
    pub fn new(folders: Vec<PathBuf>) -> Self {
        let root = |folder| Root { folder, scanning: Arc::default(), found: Arc::default() };
        Self { roots: folders.into_iter().map(root).collect() }
    }

    /// Lists all runs, the bundled models first.
    pub async fn list(&self) -> Vec<RunSummary> {
        let mut all: Vec<RunSummary> = BUNDLED.iter().map(|model| RunSummary::bundled(model.name)).collect();
        for run in join_all(self.roots.iter().map(Root::scan)).await.into_iter().flatten() {
            let name = unused_name(&run, &all);
            all.push(RunSummary { name, ..run });
        }
        all
    }

    /// Returns the run of a name. Names are compared with those of the list; no path is made of them.
    ///
    /// # Errors
    /// If there is no such run.
    pub async fn find(&self, name: &str) -> Result<RunSummary, ApiError> {
        if bundled::find(Path::new(name)).is_some() {
            return Ok(RunSummary::bundled(name));
        }
        let found = self.list().await.into_iter().find(|run| run.name == name);
        found.ok_or_else(|| ApiError::not_found(format!("run `{name}`: there is no such run; see /api/v1/runs")))
    }
}

/// Returns the name of a run below its root, or its path if another run has that name.
fn unused_name(run: &RunSummary, others: &[RunSummary]) -> String {
    let path = || run.folder.as_ref().map(|folder| folder.display().to_string().replace(MAIN_SEPARATOR, "/"));
    let is_unused = |name: &String| others.iter().all(|other| other.name != *name);
    Some(run.name.clone()).filter(is_unused).or_else(path).unwrap_or_default()
}

impl Root {
    async fn scan(&self) -> Vec<RunSummary> {
        let scan = async {
            let guard = Arc::clone(&self.scanning).lock_owned().await;
            let (folder, found) = (self.folder.clone(), Arc::clone(&self.found));
            let work = move || {
                let _guard = guard;
                let mut runs = Vec::new();
                walk(&folder, &folder, MAX_DEPTH, &mut runs);
                runs.sort_by(|a, b| a.folder.cmp(&b.folder));
                *lock(&found) = runs;
            };
            let _ = tokio::task::spawn_blocking(work).await;
        };
        let _ = timeout(SCAN_TIMEOUT, scan).await;
        lock(&self.found).clone()
    }
}

fn lock(found: &Mutex<Vec<RunSummary>>) -> MutexGuard<'_, Vec<RunSummary>> {
    found.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads the configuration of a run. If it cannot be read, the run is listed without its contents.
fn read_config(path: &Path) -> Option<Config> {
    /// Far above the size of any configuration.
    const MAX_BYTES: u64 = 1 << 20;
    let file = path.metadata().ok().filter(|file| file.is_file() && file.len() <= MAX_BYTES);
    file.and_then(|_| toml::from_str(&std::fs::read_to_string(path).ok()?).ok())
}

/// Collects the runs in and below `folder`.
fn walk(root: &Path, folder: &Path, depth: usize, runs: &mut Vec<RunSummary>) {
    let (has_checkpoints, has_log) = (folder.join("checkpoints").is_dir(), folder.join("log.jsonl").is_file());
    if has_checkpoints || has_log {
        let below = folder.strip_prefix(root).ok().filter(|below| !below.as_os_str().is_empty());
        let name = below.unwrap_or(Path::new(folder.file_name().unwrap_or_default()));
        let config = read_config(&folder.join("config.toml"));
        runs.push(RunSummary {
            name: name.to_string_lossy().replace(MAIN_SEPARATOR, "/"),
            bundled: false,
            trained: !checkpoint::list(folder).is_empty(),
            logged: has_log,
            upscales: config.as_ref().is_some_and(|config| config.upscale.is_some()),
            steps: config.map(|config| config.train.steps),
            folder: Some(folder.to_owned()),
        });
        return;
    }
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    // Links are not followed: they may lead out of the root.
    for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        if depth > 0 {
            walk(root, &entry.path(), depth - 1, runs);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_run_named_as_a_bundled_model_is_called_by_its_path() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["digits", "mine"] {
            std::fs::create_dir_all(folder.path().join(name).join("checkpoints")).unwrap();
        }
        std::fs::write(folder.path().join("mine/config.toml"), "[train]\nsteps = 7\n[upscale]\nfactor = 2\n").unwrap();
        let runs = Runs::new(vec![folder.path().into()]);
        let mine = runs.find("mine").await.unwrap();
        assert_eq!((mine.steps, mine.upscales), (Some(7), true));
        let names: Vec<String> = runs.list().await.into_iter().map(|run| run.name).collect();
        let path = folder.path().join("digits").display().to_string();
        assert_eq!(names, ["digits", "fashion-mnist", &path, "mine"]);
        assert!(runs.find("digits").await.unwrap().bundled);
        assert!(!runs.find(&path).await.unwrap().bundled);
        assert_eq!(runs.find("../mine").await.unwrap_err().status, 404);
    }
}
