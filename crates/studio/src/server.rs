//! The server: its routes, where it listens, how it ends.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    extract::{DefaultBodyLimit, MatchedPath, Request, State},
    http::header,
    middleware::{self, Next},
    response::{IntoResponse, Response},
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
use utoipa::OpenApi;

use crate::{
    api, events, guard,
    guard::Guard,
    limits::{MOST_BYTES, MOST_WATCHERS, Refusal},
    metrics::Metrics,
    openapi, page, points,
    queue::Queue,
    runs::{Model, Runs},
    training,
};

/// What is served, where, to whom.
#[derive(Clone, Debug)]
pub struct Options {
    /// The address to listen at.
    pub host: IpAddr,
    /// The port; 0 for any that is free.
    pub port: u16,
    /// What everybody has to know who asks; needed wherever others than this computer can ask.
    pub token: Option<String>,
    /// Folders of runs.
    pub runs: Vec<PathBuf>,
    /// How long a request may wait and compute.
    pub timeout: Duration,
    /// Where networks compute.
    pub device: Device,
}

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
pub enum StudioError {
    /// Everybody could ask.
    #[error("--host {0}: others than this computer can reach it; add --token SECRET, of at least 8 letters and digits")]
    NoToken(IpAddr),
    /// The token cannot be sent.
    #[error("--token: give at least 8 characters, of letters, digits, `-`, `_` and `.`")]
    Token,
    /// The address is taken, or not ours.
    #[error("{address}: cannot listen there: {source}; choose another --port")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// The system refused something else.
    #[error("the server stopped: {0}")]
    Io(#[from] io::Error),
}

/// Everything that handlers share.
pub struct Studio {
    /// The runs.
    pub runs: Runs,
    /// Who waits.
    pub queue: Arc<Queue>,
    /// What happened.
    pub metrics: Arc<Metrics>,
    /// Room for pages that watch trainings.
    pub watchers: Arc<Semaphore>,
    /// Becomes true when the server ends.
    pub stopping: watch::Receiver<bool>,
}

impl Studio {
    /// Does something that reads files, beside the threads that serve.
    ///
    /// # Errors
    /// As `work` does.
    pub async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let studio = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || work(&studio)).await;
        done.unwrap_or_else(|error| Err(Refusal::unavailable(error.to_string())))
    }

    /// A run's model.
    ///
    /// # Errors
    /// As [`Runs::model`].
    pub async fn model(self: &Arc<Self>, run: String) -> Result<Arc<Model>, Refusal> {
        self.blocking(move |studio| studio.runs.model(&run)).await
    }
}

/// A server that listens and does not yet answer.
pub struct Server {
    listener: TcpListener,
    router: Router,
    queue: Arc<Queue>,
    stop: watch::Sender<bool>,
    token: Option<String>,
}

impl Server {
    /// Starts to listen.
    ///
    /// # Errors
    /// When the address cannot be had, or would be open to others without a token.
    pub async fn bind(options: Options) -> Result<Self, StudioError> {
        let Options { host, port, token, runs, timeout, device } = options;
        if token.as_deref().is_some_and(|token| !guard::is_token(token)) {
            return Err(StudioError::Token);
        }
        if !host.is_loopback() && token.is_none() {
            return Err(StudioError::NoToken(host));
        }
        let address = SocketAddr::new(host, port);
        let listener = TcpListener::bind(address).await.map_err(|source| StudioError::Bind { address, source })?;
        let metrics = Arc::new(Metrics::default());
        let queue = Queue::start(Arc::clone(&metrics), timeout);
        let (stop, stopping) = watch::channel(false);
        let studio = Arc::new(Studio {
            runs: Runs::new(runs, device),
            queue: Arc::clone(&queue),
            metrics,
            watchers: Arc::new(Semaphore::new(MOST_WATCHERS)),
            stopping,
        });
        let guard = Guard { token: token.clone(), local: host.is_loopback() };
        Ok(Self { listener, router: router(studio, guard), queue, stop, token })
    }

    /// The address of the page, with the token where there is one.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn address(&self) -> io::Result<String> {
        let address = self.listener.local_addr()?;
        let token = self.token.as_ref().map_or_else(String::new, |token| format!("?token={token}"));
        Ok(format!("http://{address}/{token}"))
    }

    /// Answers until `ended` is.
    ///
    /// # Errors
    /// When the system takes the listener away.
    pub async fn serve(self, ended: impl Future<Output = ()> + Send + 'static) -> Result<(), StudioError> {
        /// How long answers that are under way may take.
        const GRACE: Duration = Duration::from_secs(3);
        let Self { listener, router, queue, stop, .. } = self;
        let (told, mut heard) = watch::channel(false);
        let shutdown = async move {
            ended.await;
            queue.stop();
            let _ = stop.send(true);
            let _ = told.send(true);
        };
        let served = axum::serve(listener, router).with_graceful_shutdown(shutdown);
        let forced = async move {
            let _ = heard.wait_for(|told| *told).await;
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            served = served.into_future() => Ok(served?),
            () = forced => Ok(()),
        }
    }
}

/// All routes.
pub fn router(studio: Arc<Studio>, guard: Guard) -> Router {
    let compressed = CompressionLayer::new()
        .gzip(true)
        .compress_when(SizeAbove::new(1024).and(NotForContentType::SSE).and(NotForContentType::IMAGES));
    Router::new()
        .route("/api/v1/runs", get(api::runs))
        .route("/api/v1/run", get(api::run))
        .route("/api/v1/sample", post(api::sample))
        .route("/api/v1/sample/events", post(events::sample))
        .route("/api/v1/interpolate", post(api::interpolate))
        .route("/api/v1/encode", post(api::encode))
        .route("/api/v1/decode", post(api::decode))
        .route("/api/v1/denoise", post(api::denoise))
        .route("/api/v1/likelihood", post(api::likelihood))
        .route("/api/v1/training/events", get(training::watch))
        .route("/api/v1/points", get(points::points))
        .route("/openapi.json", get(|| async { axum::Json(openapi::Document::openapi()) }))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/metrics", get(metrics))
        .fallback_service(get(page::file).fallback(|| async {
            Refusal::new(axum::http::StatusCode::METHOD_NOT_ALLOWED, "there is nothing to send there").into_response()
        }))
        .method_not_allowed_fallback(|| async {
            Refusal::new(axum::http::StatusCode::METHOD_NOT_ALLOWED, "another method; see /openapi.json")
        })
        .layer(DefaultBodyLimit::max(MOST_BYTES))
        .layer(compressed)
        .layer(middleware::from_fn_with_state(Arc::clone(&studio), count))
        .layer(middleware::from_fn_with_state(guard, guard::check))
        .with_state(studio)
}

/// The counts, as Prometheus wants them.
async fn metrics(State(studio): State<Arc<Studio>>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], studio.metrics.text()).into_response()
}

/// Counts every answer by its route.
async fn count(State(studio): State<Arc<Studio>>, request: Request, next: Next) -> Response {
    let route =
        request.extensions().get::<MatchedPath>().map_or_else(|| "page".to_owned(), |path| path.as_str().into());
    let response = next.run(request).await;
    studio.metrics.answered(&route, response.status().as_u16());
    response
}

/// Serves until the program is told to end. `ready` hears the page's address.
///
/// # Errors
/// As [`Server::bind`] and [`Server::serve`].
pub fn run(options: Options, ready: impl FnOnce(&str)) -> Result<(), StudioError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(2).build()?;
    let result = runtime.block_on(async {
        let server = Server::bind(options).await?;
        ready(&server.address()?);
        server.serve(ended()).await
    });
    // What a thread is still at is nobody's any more.
    runtime.shutdown_timeout(Duration::from_millis(200));
    result
}

/// Ctrl-C or SIGTERM.
async fn ended() {
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
