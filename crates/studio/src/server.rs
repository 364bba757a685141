//! The server: options, routes, start and end.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    panic,
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
use tokio::{net::TcpListener, sync::watch};
use tower_http::compression::{
    CompressionLayer, Predicate,
    predicate::{NotForContentType, SizeAbove},
};

use crate::{
    api,
    connection::Acceptor,
    error::ApiError,
    guard::{self, Guard},
    limits::{ConnectionLimits, MAX_BODY_BYTES},
    options::Options,
    page,
    queue::Queue,
    state::Studio,
    track::track,
};

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
