//! State that all handlers share.

use std::{panic, sync::Arc};

use tokio::sync::{Semaphore, watch};

use crate::{
    error::ApiError,
    limits::{ConnectionLimits, MAX_WATCHERS},
    metrics::Metrics,
    models::{LoadedModel, Models},
    options::Options,
    queue::Queue,
    runs::Runs,
};

/// State that all handlers share.
pub struct Studio {
    /// Finder of runs.
    pub runs: Runs,
    /// Loader of models.
    pub models: Models,
    /// Queue of requests for networks.
    pub queue: Arc<Queue>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Permits for streams of training logs.
    pub watchers: Arc<Semaphore>,
    /// Limits on connections.
    pub limits: ConnectionLimits,
    /// Becomes true when the server is stopping.
    pub stopping: watch::Receiver<bool>,
    /// Permits for work outside of the asynchronous threads.
    workers: Arc<Semaphore>,
}

impl Studio {
    /// Creates the state of a server, and the switch that stops it.
    pub fn new(options: &Options) -> (Arc<Self>, watch::Sender<bool>) {
        let (switch, stopping) = watch::channel(false);
        let metrics = Arc::new(Metrics::default());
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let studio = Self {
            runs: Runs::new(options.runs.clone()),
            models: Models::new(options.device.clone(), options.timeout),
            queue: Queue::start(Arc::clone(&metrics), options.timeout),
            metrics,
            watchers: Arc::new(Semaphore::new(MAX_WATCHERS)),
            limits: options.limits,
            stopping,
            workers: Arc::new(Semaphore::new(cores)),
        };
        (Arc::new(studio), switch)
    }

    /// Runs CPU-bound work, as decoding images, on a thread of its own. At most one such work runs per core.
    ///
    /// # Errors
    /// As `work`.
    ///
    /// # Panics
    /// If `work` panics.
    pub async fn offload<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let permit = Arc::clone(&self.workers).acquire_owned().await.map_err(|_| ApiError::stopping())?;
        let work = move || {
            let _permit = permit;
            work()
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(result) => result,
            Err(error) if error.is_panic() => panic::resume_unwind(error.into_panic()),
            Err(_) => Err(ApiError::stopping()),
        }
    }

    /// Returns the model of a run.
    ///
    /// # Errors
    /// If there is no such run, or it cannot be loaded.
    pub async fn model(&self, run: &str) -> Result<Arc<LoadedModel>, ApiError> {
        self.models.get(self.runs.find(run).await?).await
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::{net::IpAddr, time::Duration};

    use super::*;

    pub(crate) fn options() -> Options {
        Options {
            host: IpAddr::from([127, 0, 0, 1]),
            port: 0,
            token: None,
            runs: Vec::new(),
            timeout: Duration::from_secs(600),
            device: pfgm::device::open("cpu").unwrap(),
            limits: ConnectionLimits::default(),
        }
    }

    #[tokio::test]
    async fn offloaded_work_does_not_block_the_asynchronous_thread() {
        let (studio, _switch) = Studio::new(&options());
        let (sender, receiver) = std::sync::mpsc::channel();
        let work = move || receiver.recv_timeout(Duration::from_secs(60)).map_err(|_| ApiError::internal());
        let (received, ()) = tokio::join!(studio.offload(work), async { sender.send(7).unwrap() });
        assert_eq!(received, Ok(7));
    }

    #[tokio::test]
    #[should_panic(expected = "on purpose")]
    async fn a_panic_of_offloaded_work_reaches_its_request() {
        let (studio, _switch) = Studio::new(&options());
        let _ = studio.offload(|| -> Result<(), ApiError> { panic!("on purpose") }).await;
    }
}
