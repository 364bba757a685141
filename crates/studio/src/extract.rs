//! Extractors of bodies and queries that answer malformed input with an [`ApiError`].

use std::sync::Arc;

use axum::{
    Json,
    extract::{FromRequest, FromRequestParts, Query, Request, rejection::JsonRejection},
    http::{StatusCode, header, request::Parts},
};
use serde::de::DeserializeOwned;

use crate::{error::ApiError, limits::MAX_BODY_BYTES, state::Studio};

/// JSON body of a request.
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Arc<Studio>> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, studio: &Arc<Studio>) -> Result<Self, ApiError> {
        // A body that is announced as too large is rejected before it arrives.
        let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
        if announced.and_then(|length| length.parse::<u64>().ok()).is_some_and(|length| length > MAX_BODY_BYTES as u64)
        {
            return Err(too_large());
        }
        let timeout = studio.limits.body;
        match tokio::time::timeout(timeout, Json::<T>::from_request(request, studio)).await {
            Ok(Ok(Json(value))) => Ok(Self(value)),
            Ok(Err(rejection)) => Err(explain(&rejection)),
            Err(_) => {
                let reason = format!("the request body did not arrive within {} s", timeout.as_secs_f64());
                Err(ApiError::new(StatusCode::REQUEST_TIMEOUT, reason))
            }
        }
    }
}

fn too_large() -> ApiError {
    let reason = format!("the request body is larger than {} MiB", MAX_BODY_BYTES >> 20);
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, reason)
}

fn explain(rejection: &JsonRejection) -> ApiError {
    let reason = match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => return too_large(),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "send JSON, with `content-type: application/json`".to_owned(),
        _ => rejection.body_text(),
    };
    ApiError::new(rejection.status(), reason)
}

/// Query string of a request.
pub struct QueryParams<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for QueryParams<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(ApiError::unprocessable(rejection.body_text())),
        }
    }
}
