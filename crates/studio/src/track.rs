//! Middleware around all handlers: request identifiers, panics, draining, metrics.

use std::{
    fmt,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;

use crate::{error::ApiError, server::Studio};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Identifier of a request, unique in this process.
struct RequestId(u64);

impl RequestId {
    fn next() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        Self(COUNT.fetch_add(1, Ordering::Relaxed))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}-{:06x}", std::process::id(), self.0)
    }
}

/// Handles a request: gives it an identifier, turns a panic into a 500, rejects it if the server is stopping, and counts it.
pub async fn track(State(studio): State<Arc<Studio>>, request: Request, next: Next) -> Response {
    let id = RequestId::next().to_string();
    let route =
        request.extensions().get::<MatchedPath>().map_or_else(|| "page".to_owned(), |path| path.as_str().into());
    let mut response = if *studio.stopping.borrow() {
        let mut response = ApiError::stopping().into_response();
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        response
    } else {
        let handled = AssertUnwindSafe(next.run(request)).catch_unwind().await;
        handled.unwrap_or_else(|_| ApiError::internal().into_response())
    };
    if response.status() == StatusCode::INTERNAL_SERVER_ERROR {
        // The panic hook has printed the reason; this line connects it to the answer.
        eprintln!("studio: request {id} to {route} failed");
        response = ApiError { request_id: Some(id.clone()), ..ApiError::internal() }.into_response();
    }
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    studio.metrics.answered(&route, response.status().as_u16());
    response
}
