//! Generation of the OpenAPI document from the handlers. It exists in tests only: the server answers with the committed file
//! `openapi.json`, so that the program does not contain the generator.

use std::collections::BTreeMap;

use utoipa::{
    IntoResponses, Modify, OpenApi,
    openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder},
};

use crate::{api, error::ApiError};

#[derive(OpenApi)]
#[openapi(
    info(title = "pfgm studio", description = "Poisson flow generative models over HTTP"),
    paths(
        api::runs::runs,
        api::runs::run,
        api::sample::sample,
        api::events::sample,
        api::latents::interpolate,
        api::latents::encode,
        api::latents::decode,
        api::latents::denoise,
        api::likelihood::likelihood,
        api::training::watch,
        api::points::points,
        api::status::health,
        api::status::metrics,
        api::status::document,
    ),
    components(schemas(ApiError)),
    modifiers(&CommonErrors)
)]
struct Document;

fn error(status: u16) -> (String, RefOr<Response>) {
    let description = match status {
        400 => "The body is not JSON.",
        401 => "The token is missing or wrong.",
        403 => "The request comes from another site or for another host name.",
        404 => "There is no such run or data set.",
        405 => "The path has no such method.",
        408 => "The body did not arrive in time.",
        413 => "The body is too large.",
        415 => "The content type is not application/json.",
        422 => "The request is well formed, but cannot be done.",
        429 => "The server is busy; `Retry-After` says when to try again.",
        500 => "The server failed.",
        503 => "The work takes too long, or the server is stopping.",
        _ => unreachable!(),
    };
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("ApiError"))).build();
    let response = ResponseBuilder::new().description(description).content("application/json", content).build();
    (status.to_string(), response.into())
}

/// Errors of operations that name a run or data set in the query.
pub struct RunErrors;

impl IntoResponses for RunErrors {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        [404, 422].map(error).into()
    }
}

/// Errors of operations that stream the logs of runs.
pub struct StreamErrors;

impl IntoResponses for StreamErrors {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        [404, 422, 429].map(error).into()
    }
}

/// Errors of operations that compute with a network.
pub struct ModelErrors;

impl IntoResponses for ModelErrors {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        [400, 404, 408, 413, 415, 422, 429].map(error).into()
    }
}

/// Errors that every operation has.
struct CommonErrors;

impl Modify for CommonErrors {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        for (path, item) in &mut document.paths.paths {
            for operation in [&mut item.get, &mut item.post].into_iter().flatten() {
                operation.responses.responses.extend([403, 405, 500, 503].map(error));
                if path != "/healthz" {
                    operation.responses.responses.extend([401].map(error));
                }
            }
        }
    }
}

#[test]
fn the_committed_document_is_up_to_date() {
    let generated = Document::openapi().to_pretty_json().unwrap() + "\n";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(path, &generated).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap();
    assert!(
        committed == generated,
        "openapi.json is out of date: UPDATE_OPENAPI=1 cargo test -p pfgm-studio --lib committed_document"
    );
}
