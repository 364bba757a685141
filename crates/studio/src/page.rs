//! The page: files that are part of the program.

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};

use crate::limits::Refusal;

/// A file of the page.
struct Asset {
    path: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
}

macro_rules! page {
    ($($path:literal: $kind:expr),* $(,)?) => {
        const ASSETS: &[Asset] =
            &[$(Asset { path: $path, kind: $kind, bytes: include_bytes!(concat!("../page/", $path)) }),*];
    };
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

page![
    "index.html": HTML,
    "studio.css": CSS,
    "main.js": SCRIPT,
    "wasm.js": SCRIPT,
    "charges.js": SCRIPT,
    "playground.js": SCRIPT,
    "plane.js": SCRIPT,
    "space.js": SCRIPT,
    "layer.js": SCRIPT,
    "worker.js": SCRIPT,
    "api.js": SCRIPT,
    "generate.js": SCRIPT,
    "upload.js": SCRIPT,
    "training.js": SCRIPT,
    "charts.js": SCRIPT,
    "png.js": SCRIPT,
    "vendor/ogl.js": SCRIPT,
    "field.wasm": "application/wasm",
    "icon.svg": "image/svg+xml",
];

/// The compiled field, as the page gets it.
pub const WASM: &[u8] = include_bytes!("../page/field.wasm");

/// A file of the page, looked up by name: no path leads out of the list.
pub async fn file(uri: Uri, headers: HeaderMap) -> Response {
    let path = match uri.path() {
        "/" => "index.html",
        path => path.trim_start_matches('/'),
    };
    let Some(asset) = ASSETS.iter().find(|asset| asset.path == path) else {
        return Refusal::not_found("there is no such page").into_response();
    };
    let tag = tag(asset.bytes);
    if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known == tag.as_str()) {
        return StatusCode::NOT_MODIFIED.into_response();
    }
    let mut response = asset.bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    response
}

/// A number made of the bytes (FNV-1a), by which a browser knows whether it has them.
fn tag(bytes: &[u8]) -> String {
    let hash = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    format!("\"{hash:016x}\"")
}
