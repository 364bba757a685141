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

use crate::{error::ApiError, state::Studio};

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

#[cfg(test)]
mod tests {
    use axum::{
        Router,
        body::{Body, to_bytes},
        middleware,
        routing::get,
    };
    use hyper::service::Service;
    use hyper_util::service::TowerToHyperService;

    use super::*;
    use crate::state::tests::options;

    #[tokio::test]
    async fn a_panic_is_a_500_with_a_request_id_and_others_are_served() {
        let (studio, switch) = Studio::new(&options());
        let failing = || async {
            if true {
                panic!("on purpose");
            }
        };
        let router = Router::new()
            .route("/panic", get(failing))
            .route("/fine", get(|| async { "fine" }))
            .layer(middleware::from_fn_with_state(Arc::clone(&studio), track));
        let service = TowerToHyperService::new(router);
        let ask = |path| service.call(Request::get(path).body(Body::empty()).unwrap());

        let response = ask("/panic").await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let id = response.headers()[REQUEST_ID].to_str().unwrap().to_owned();
        let body = to_bytes(response.into_body(), 1 << 16).await.unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((body["status"].as_u64(), body["request_id"].as_str()), (Some(500), Some(id.as_str())));

        let response = ask("/fine").await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_ne!(response.headers()[REQUEST_ID], id);
        switch.send(true).unwrap();
        assert_eq!(ask("/fine").await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    }
}
