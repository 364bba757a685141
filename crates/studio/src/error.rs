//! Errors of the HTTP API.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

/// Body of every answer that is an error: an HTTP status and a reason in plain words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct ApiError {
    /// HTTP status.
    #[cfg_attr(test, schema(example = 422))]
    pub status: u16,
    /// What is wrong, in which field, and what to do.
    #[cfg_attr(test, schema(example = "seeds: give 1 to 256"))]
    pub reason: String,
    /// Identifier of the request in the server's log, with status 500 only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl ApiError {
    /// Creates an error with a status.
    pub fn new(status: StatusCode, reason: impl Into<String>) -> Self {
        Self { status: status.as_u16(), reason: reason.into(), request_id: None }
    }

    /// Creates a 422: the request is well formed, but cannot be done.
    pub fn unprocessable(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, reason)
    }

    /// Creates a 404.
    pub fn not_found(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, reason)
    }

    /// Creates a 429: the client may try again in a second.
    pub fn busy(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, reason)
    }

    /// Creates a 503: the server cannot do it now.
    pub fn unavailable(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, reason)
    }

    /// Creates the 503 of a server that is stopping.
    pub fn stopping() -> Self {
        Self::unavailable("the server is stopping")
    }

    /// Creates a 500.
    pub fn internal() -> Self {
        let reason = "the server failed; its standard error says why";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, reason)
    }
}

/// An error of the library is the client's: it names an argument of the request, or a file of a run.
impl From<pfgm::Error> for ApiError {
    fn from(error: pfgm::Error) -> Self {
        Self::unprocessable(error.to_string())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(&self)).into_response();
        if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
