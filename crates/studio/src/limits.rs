//! How much may be asked of a server, and how it says no.

use axum::{
    Json,
    extract::{FromRequest, FromRequestParts, Query, Request, rejection::JsonRejection},
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use serde::{Serialize, de::DeserializeOwned};
use utoipa::ToSchema;

/// Bytes of a request at the most.
pub const MOST_BYTES: usize = 4 << 20;
/// Rows of a request at the most.
pub const MOST_ROWS: usize = 256;
/// Rows that are computed together.
pub const ROWS_TOGETHER: usize = 256;
/// Steps of a solver at the most.
pub const MOST_STEPS: usize = 1000;
/// Values of a request at the most, rows times values of a row.
pub const MOST_VALUES: usize = 1 << 20;
/// Requests that wait at the most.
pub const MOST_WAITING: usize = 64;
/// Streams of training logs at the most.
pub const MOST_WATCHERS: usize = 64;
/// Pixels of a picture that is sent in, on each side.
pub const MOST_PIXELS: u32 = 8192;

/// Why a request is not answered: a status and a reason that a person understands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Refusal {
    /// The HTTP status.
    #[schema(example = 422)]
    pub status: u16,
    /// What is wrong, and what to do.
    #[schema(example = "seeds: give 1 to 256")]
    pub reason: String,
}

impl Refusal {
    /// A refusal with a status.
    pub fn new(status: StatusCode, reason: impl Into<String>) -> Self {
        Self { status: status.as_u16(), reason: reason.into() }
    }

    /// The request can be read, but what it asks for cannot be done.
    pub fn unprocessable(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, reason)
    }

    /// Nothing has that name.
    pub fn not_found(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, reason)
    }

    /// Come back in a moment.
    pub fn busy(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, reason)
    }

    /// The server cannot do it now.
    pub fn unavailable(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, reason)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(&self)).into_response();
        if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// A body of JSON whose faults become a [`Refusal`].
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        // What is announced as too large is not waited for.
        let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
        if announced.and_then(|length| length.parse::<u64>().ok()).is_some_and(|length| length > MOST_BYTES as u64) {
            return Err(too_large());
        }
        match Json::<T>::from_request(request, state).await {
            Ok(Json(value)) => Ok(Self(value)),
            Err(rejection) => Err(explain(&rejection)),
        }
    }
}

fn too_large() -> Refusal {
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the request is larger than {} MiB", MOST_BYTES >> 20))
}

fn explain(rejection: &JsonRejection) -> Refusal {
    let reason = match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => return too_large(),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "send JSON, with `content-type: application/json`".to_owned(),
        _ => rejection.body_text(),
    };
    Refusal::new(rejection.status(), reason)
}

/// What stands behind the question mark, whose faults become a [`Refusal`].
pub struct Params<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(Refusal::unprocessable(rejection.body_text())),
        }
    }
}
