//! The document that says what can be asked.

use utoipa::OpenApi;

use crate::{api, events, points, training};

/// The document, made of the handlers themselves.
#[derive(OpenApi)]
#[openapi(
    info(title = "pfgm studio", description = "Poisson flow generative models over HTTP"),
    paths(
        api::runs,
        api::run,
        api::sample,
        events::sample,
        api::interpolate,
        api::encode,
        api::decode,
        api::denoise,
        api::likelihood,
        training::watch,
        points::points,
    )
)]
pub struct Document;
