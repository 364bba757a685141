//! The server: options, routes, start and end.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    panic,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::StatusCode,
    middleware,
    response::IntoResponse,
    routing::{get, post},
};
use burn::tensor::Device;
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
};
use tower_http::compression::{
    CompressionLayer, Predicate,
    predicate::{NotForContentType, SizeAbove},
};

use crate::{
    api,
    connection::Acceptor,
    error::ApiError,
    guard::{self, Guard},
    limits::{ConnectionLimits, MAX_BODY_BYTES, MAX_WATCHERS},
    metrics::Metrics,
    models::{LoadedModel, Models},
    page,
    queue::Queue,
    runs::Runs,
    track::track,
};

/// Options of the server.
#[derive(Clone, Debug)]
pub struct Options {
    /// Address to listen at.
    pub host: IpAddr,
    /// Port to listen at; 0 for any free one.
    pub port: u16,
    /// Token that clients need. Required unless `host` is a loopback address.
    pub token: Option<String>,
    /// Folders of runs.
    pub runs: Vec<PathBuf>,
    /// Longest time that a request may wait and compute.
    pub timeout: Duration,
    /// Device of the networks.
    pub device: Device,
    /// Limits on connections.
    pub limits: ConnectionLimits,
}

/// Why the server cannot run.
#[derive(Debug, thiserror::Error)]
pub enum StudioError {
    /// Other computers could connect without a token.
    #[error("--host {0}: other computers can connect; add --token SECRET, of at least 8 letters and digits")]
    NoToken(IpAddr),
    /// The token is too short, or has characters that cannot be sent.
    #[error("--token: give at least 8 characters, of letters, digits, `-`, `_` and `.`")]
    Token,
    /// The address cannot be used.
    #[error("{address}: cannot listen there: {source}; choose another --port")]
    Bind {
        /// Address to listen at.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// Another error of the system.
    #[error("the server stopped: {0}")]
    Io(#[from] io::Error),
}

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

/// A server that listens, but does not answer yet.
pub struct Server {
    listener: TcpListener,
    router: Router,
    limits: ConnectionLimits,
    queue: Arc<Queue>,
    stopping: watch::Sender<bool>,
    guard: Guard,
}

impl Server {
    /// Binds the address.
    ///
    /// # Errors
    /// If the address cannot be used, or other computers could connect without a token.
    pub async fn bind(options: Options) -> Result<Self, StudioError> {
        let Options { host, port, limits, ref token, .. } = options;
        if token.as_deref().is_some_and(|token| !guard::is_token(token)) {
            return Err(StudioError::Token);
        }
        if !host.is_loopback() && token.is_none() {
            return Err(StudioError::NoToken(host));
        }
        let address = SocketAddr::new(host, port);
        let listener = TcpListener::bind(address).await.map_err(|source| StudioError::Bind { address, source })?;
        let (studio, stopping) = Studio::new(&options);
        let (guard, queue) = (Guard::new(options.token, host.is_loopback())?, Arc::clone(&studio.queue));
        Ok(Self { listener, router: router(studio, guard.clone()), limits, queue, stopping, guard })
    }

    /// Returns the address of the page. If a token is needed, the address contains a code that signs one browser in, once; it does
    /// not contain the token.
    ///
    /// # Errors
    /// If the system does not tell the port.
    pub fn address(&self) -> io::Result<String> {
        Ok(format!("http://{}/{}", self.listener.local_addr()?, self.guard.link_query()))
    }

    /// Serves until `stop` completes. Then new requests are answered with 503, and those in progress may end within
    /// [`ConnectionLimits::drain`].
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        let Self { listener, router, limits, queue, stopping, .. } = self;
        Acceptor::new(listener, router, limits).serve(stop, stopping).await;
        queue.stop();
        // What is rejected now still has to be sent.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Returns all routes.
pub fn router(studio: Arc<Studio>, guard: Guard) -> Router {
    let compressed = CompressionLayer::new()
        .gzip(true)
        .compress_when(SizeAbove::new(1024).and(NotForContentType::SSE).and(NotForContentType::IMAGES));
    let wrong_method = || async {
        let reason = "this path has no such method; see /openapi.json";
        ApiError::new(StatusCode::METHOD_NOT_ALLOWED, reason).into_response()
    };
    Router::new()
        .route("/api/v1/runs", get(api::runs::runs))
        .route("/api/v1/run", get(api::runs::run))
        .route("/api/v1/sample", post(api::sample::sample))
        .route("/api/v1/sample/events", post(api::events::sample))
        .route("/api/v1/interpolate", post(api::latents::interpolate))
        .route("/api/v1/encode", post(api::latents::encode))
        .route("/api/v1/decode", post(api::latents::decode))
        .route("/api/v1/denoise", post(api::latents::denoise))
        .route("/api/v1/likelihood", post(api::likelihood::likelihood))
        .route("/api/v1/training/events", get(api::training::watch))
        .route("/api/v1/points", get(api::points::points))
        .route("/openapi.json", get(api::status::document))
        .route("/healthz", get(api::status::health))
        .route("/metrics", get(api::status::metrics))
        .fallback_service(get(page::file).fallback(wrong_method))
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(compressed)
        .layer(middleware::from_fn_with_state(guard, guard::check))
        .layer(middleware::from_fn_with_state(Arc::clone(&studio), track))
        .with_state(studio)
}

/// Serves until Ctrl-C or SIGTERM; a second one ends the server at once. Calls `ready` with the page's address.
///
/// # Errors
/// As [`Server::bind`].
pub fn run(options: Options, ready: impl FnOnce(&str)) -> Result<(), StudioError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(2).build()?;
    let result = runtime.block_on(async {
        let server = Server::bind(options).await?;
        ready(&server.address()?);
        let second_signal = async {
            signal().await;
            signal().await;
        };
        tokio::select! {
            () = server.serve(signal()) => {}
            () = second_signal => {}
        }
        Ok(())
    });
    // A thread that is blocked by a file is not waited for.
    runtime.shutdown_timeout(Duration::from_millis(200));
    result
}

/// Waits for Ctrl-C or SIGTERM.
async fn signal() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        let mut terminate = match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(terminate) => terminate,
            Err(_) => return drop(interrupt.await),
        };
        tokio::select! {
            _ = interrupt => {}
            _ = terminate.recv() => {}
        }
    }
    #[cfg(not(unix))]
    drop(interrupt.await);
}

#[cfg(test)]
pub(crate) mod tests {
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
