//! Trainings as their logs tell them, also while they go on.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    fs::File,
    io::{Read, Seek, SeekFrom},
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
use utoipa::ToSchema;

use crate::{
    events::event,
    limits::{MOST_WATCHERS, Params, Refusal},
    server::Studio,
};

/// Between two looks at the logs.
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);
/// Runs that are watched together at the most.
const MOST_RUNS: usize = 16;
/// Bytes of a log that are read at a time.
const MOST_READ: u64 = 4 << 20;

/// What is new in a log: the data of an event `log`.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct News {
    /// The run.
    pub run: String,
    /// Whether the lines that were sent before hold no longer: the log was begun anew.
    pub anew: bool,
    /// Lines.
    #[schema(value_type = Vec<Object>)]
    pub lines: Vec<LogLine>,
    /// The step of the latest checkpoint.
    pub checkpoint: Option<u64>,
}

/// Which runs.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunsQuery {
    runs: String,
}

/// A log as far as it was read.
struct Reader {
    run: String,
    folder: PathBuf,
    at: u64,
    begun: bool,
    checkpoint: Option<u64>,
}

impl Reader {
    /// What is new; None when nothing is.
    fn news(&mut self) -> Option<News> {
        let mut anew = false;
        let text = File::open(self.folder.join("log.jsonl")).and_then(|mut file| {
            let length = file.metadata()?.len();
            if length < self.at {
                (self.at, anew) = (0, true);
            }
            file.seek(SeekFrom::Start(self.at))?;
            let mut bytes = Vec::new();
            file.take(MOST_READ).read_to_end(&mut bytes)?;
            Ok(bytes)
        });
        let bytes = text.unwrap_or_default();
        // A line that is being written is read next time.
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        self.at += whole as u64;
        let lines: Vec<LogLine> =
            bytes[..whole].split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
        let latest = latest(&self.folder);
        let changed = latest != self.checkpoint;
        self.checkpoint = latest;
        let first = !std::mem::replace(&mut self.begun, true);
        (first || anew || changed || !lines.is_empty()).then(|| News {
            run: self.run.clone(),
            anew: anew || first,
            lines,
            checkpoint: latest,
        })
    }
}

/// The step of a run's latest checkpoint.
fn latest(folder: &Path) -> Option<u64> {
    let path = checkpoint::list(folder).pop()?;
    path.file_stem()?.to_str()?.strip_prefix("step-")?.parse().ok()
}

/// Logs of runs as they grow: events `log`.
#[utoipa::path(get, path = "/api/v1/training/events",
    params(("runs" = String, Query, description = "The runs, with commas between them")),
    responses((status = 200, content_type = "text/event-stream", body = News), (status = 404, body = Refusal),
        (status = 422, body = Refusal), (status = 429, body = Refusal)))]
pub async fn watch(State(studio): State<Arc<Studio>>, Params(query): Params<RunsQuery>) -> Response {
    match begin(&studio, query).await {
        Ok(response) => response,
        Err(refusal) => refusal.into_response(),
    }
}

async fn begin(studio: &Arc<Studio>, query: RunsQuery) -> Result<Response, Refusal> {
    let names: BTreeMap<String, ()> =
        query.runs.split(',').filter(|name| !name.is_empty()).map(|name| (name.to_owned(), ())).collect();
    if names.is_empty() || names.len() > MOST_RUNS {
        return Err(Refusal::unprocessable(format!("runs: {} of them; give 1 to {MOST_RUNS}", names.len())));
    }
    let permit = Arc::clone(&studio.watchers)
        .try_acquire_owned()
        .map_err(|_| Refusal::busy(format!("{MOST_WATCHERS} pages watch trainings; close one")))?;
    let readers = studio
        .blocking(move |studio| {
            let reader = |name: &String| {
                let found = studio.runs.find(name)?;
                let folder = found.folder.ok_or_else(|| Refusal::not_found(format!("run `{name}`: has no log")))?;
                Ok(Reader { run: name.clone(), folder, at: 0, begun: false, checkpoint: None })
            };
            names.keys().map(reader).collect::<Result<Vec<_>, Refusal>>()
        })
        .await?;
    let stopping = studio.stopping.clone();
    let rounds =
        stream::unfold((readers, true, stopping, permit), |(mut readers, first, mut stopping, permit)| async move {
            if !first {
                tokio::select! {
                    () = tokio::time::sleep(BETWEEN_LOOKS) => {}
                    _ = stopping.wait_for(|stopping| *stopping) => return None,
                }
            }
            let (readers, news) = tokio::task::spawn_blocking(move || {
                let news: Vec<News> = readers.iter_mut().filter_map(Reader::news).collect();
                (readers, news)
            })
            .await
            .ok()?;
            Some((news, (readers, false, stopping, permit)))
        });
    let events =
        rounds.flat_map(|news| stream::iter(news.into_iter().map(|news| Ok::<_, Infallible>(event("log", &news)))));
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(10))).into_response())
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write};

    use super::*;

    #[test]
    fn a_log_is_read_line_by_line_as_it_grows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        let line = |step: u64| {
            format!(
                "{{\"step\":{step},\"loss\":0.5,\"gradient_norm\":1,\"lr\":0.1,\"images_per_second\":9,\"seconds\":1}}\n"
            )
        };
        fs::write(&path, line(1)).unwrap();
        let mut reader =
            Reader { run: "a".into(), folder: folder.path().into(), at: 0, begun: false, checkpoint: None };
        assert_eq!(reader.news().unwrap().lines.len(), 1);
        assert_eq!(reader.news(), None);
        let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
        let text = line(2);
        file.write_all(&text.as_bytes()[..20]).unwrap();
        assert_eq!(reader.news(), None, "half a line");
        file.write_all(&text.as_bytes()[20..]).unwrap();
        assert_eq!(reader.news().unwrap().lines[0].step, 2);
        fs::write(&path, line(7)).unwrap();
        let news = reader.news().unwrap();
        assert!(news.anew && news.lines[0].step == 7, "{news:?}");
    }
}
