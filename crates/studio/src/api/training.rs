//! Training logs, streamed while they grow.

use std::{
    collections::BTreeSet,
    convert::Infallible,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use axum::{
    extract::State,
    response::{
        IntoResponse, Response,
        sse::{KeepAlive, Sse},
    },
};
use futures_util::{StreamExt, stream};
use pfgm::{checkpoint, train::LogLine};
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, watch};

use crate::{api::events::event, error::ApiError, extract::QueryParams, limits::MAX_WATCHERS, state::Studio};

/// Time between two reads of the logs.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// Largest number of runs in one stream.
const MAX_RUNS: usize = 16;
/// Largest number of bytes that are read from a log at once.
const MAX_READ: u64 = 4 << 20;

/// New lines of a log: data of the event `log`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct LogUpdate {
    /// Name of the run.
    pub run: String,
    /// Whether earlier lines are void, because the log was truncated or this is the first update.
    pub anew: bool,
    /// New lines.
    #[cfg_attr(test, schema(value_type = Vec<Object>))]
    pub lines: Vec<LogLine>,
    /// Step of the latest checkpoint; null if there is none.
    pub checkpoint: Option<u64>,
}

/// Query of `GET /api/v1/training/events`.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(utoipa::IntoParams))]
#[serde(deny_unknown_fields)]
pub struct WatchQuery {
    /// Names of 1 to 16 runs, separated by commas.
    runs: String,
}

/// Reads a log incrementally.
struct LogReader {
    run: String,
    folder: PathBuf,
    offset: u64,
    started: bool,
    checkpoint: Option<u64>,
}

impl LogReader {
    fn new(run: String, folder: PathBuf) -> Self {
        Self { run, folder, offset: 0, started: false, checkpoint: None }
    }

    /// Returns what is new; None if nothing is.
    fn update(&mut self) -> Option<LogUpdate> {
        let mut anew = !std::mem::replace(&mut self.started, true);
        let is_first = anew;
        let bytes = self.read(&mut anew).unwrap_or_default();
        // An incomplete line is read next time.
        let complete = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        self.offset += complete as u64;
        let lines: Vec<LogLine> = bytes[..complete]
            .split(|byte| *byte == b'\n')
            .filter_map(|line| serde_json::from_slice(line).ok())
            .collect();
        let checkpoint = latest_checkpoint(&self.folder);
        let is_changed = std::mem::replace(&mut self.checkpoint, checkpoint) != checkpoint;
        (is_first || anew || is_changed || !lines.is_empty()).then(|| LogUpdate {
            run: self.run.clone(),
            anew,
            lines,
            checkpoint,
        })
    }

    fn read(&mut self, anew: &mut bool) -> io::Result<Vec<u8>> {
        let path = self.folder.join("log.jsonl");
        // To open a FIFO would block.
        if !path.metadata()?.is_file() {
            return Ok(Vec::new());
        }
        let mut file = File::open(path)?;
        if file.metadata()?.len() < self.offset {
            (self.offset, *anew) = (0, true);
        }
        file.seek(SeekFrom::Start(self.offset))?;
        let mut bytes = Vec::new();
        file.take(MAX_READ).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// Returns the step of a run's latest checkpoint.
fn latest_checkpoint(folder: &Path) -> Option<u64> {
    let path = checkpoint::list(folder).pop()?;
    path.file_stem()?.to_str()?.strip_prefix("step-")?.parse().ok()
}

/// Streams the logs of runs: events `log`.
#[cfg_attr(test, utoipa::path(get, path = "/api/v1/training/events", params(WatchQuery),
    responses((status = 200, content_type = "text/event-stream", body = LogUpdate), crate::openapi::StreamErrors)))]
pub async fn watch(State(studio): State<Arc<Studio>>, QueryParams(query): QueryParams<WatchQuery>) -> Response {
    open_stream(&studio, query).await.unwrap_or_else(IntoResponse::into_response)
}

async fn open_stream(studio: &Arc<Studio>, query: WatchQuery) -> Result<Response, ApiError> {
    let names: BTreeSet<String> = query.runs.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    if names.is_empty() || names.len() > MAX_RUNS {
        return Err(ApiError::unprocessable(format!("runs: {} of them; give 1 to {MAX_RUNS}", names.len())));
    }
    let permit = Arc::clone(&studio.watchers)
        .try_acquire_owned()
        .map_err(|_| ApiError::busy(format!("{MAX_WATCHERS} pages watch trainings; close one")))?;
    let runs = studio.runs.list().await;
    let reader = |name: String| {
        let run = runs.iter().find(|run| run.name == name);
        let run = run.ok_or_else(|| ApiError::not_found(format!("run `{name}`: there is no such run")))?;
        let folder = run.folder.clone().ok_or_else(|| ApiError::not_found(format!("run `{name}` has no log")))?;
        Ok(LogReader::new(name, folder))
    };
    let readers = names.into_iter().map(reader).collect::<Result<Vec<_>, ApiError>>()?;
    let poll = Poll { readers, is_first: true, stopping: studio.stopping.clone(), _permit: permit };
    let updates = stream::unfold(poll, Poll::next);
    let events = updates
        .flat_map(|updates| stream::iter(updates.into_iter().map(|update| Ok::<_, Infallible>(event("log", &update)))));
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(10))).into_response())
}

/// State of a stream.
struct Poll {
    readers: Vec<LogReader>,
    is_first: bool,
    stopping: watch::Receiver<bool>,
    _permit: OwnedSemaphorePermit,
}

impl Poll {
    /// Waits, then reads all logs; returns None when the server is stopping.
    async fn next(mut self) -> Option<(Vec<LogUpdate>, Self)> {
        if !std::mem::replace(&mut self.is_first, false) {
            tokio::select! {
                () = tokio::time::sleep(POLL_INTERVAL) => {}
                _ = self.stopping.wait_for(|stopping| *stopping) => return None,
            }
        }
        let mut readers = std::mem::take(&mut self.readers);
        let read = tokio::task::spawn_blocking(move || {
            let updates: Vec<LogUpdate> = readers.iter_mut().filter_map(LogReader::update).collect();
            (updates, readers)
        });
        let (updates, readers) = read.await.ok()?;
        self.readers = readers;
        Some((updates, self))
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write};

    use super::*;

    fn line(step: u64) -> String {
        format!(
            "{{\"step\":{step},\"loss\":0.5,\"gradient_norm\":1,\"lr\":0.1,\"images_per_second\":9,\"seconds\":1}}\n"
        )
    }

    #[test]
    fn a_log_is_read_incrementally() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        fs::write(&path, line(1)).unwrap();
        let mut reader = LogReader::new("a".into(), folder.path().into());
        assert_eq!(reader.update().unwrap().lines.len(), 1);
        assert_eq!(reader.update(), None);
        let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
        let text = line(2);
        file.write_all(&text.as_bytes()[..20]).unwrap();
        assert_eq!(reader.update(), None, "half a line");
        file.write_all(&text.as_bytes()[20..]).unwrap();
        assert_eq!(reader.update().unwrap().lines[0].step, 2);
        fs::write(&path, line(7)).unwrap();
        let update = reader.update().unwrap();
        assert!(update.anew && update.lines[0].step == 7, "{update:?}");
    }
}
