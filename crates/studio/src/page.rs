//! Files of the web page, which are part of the program.

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};

use crate::error::ApiError;

/// A file of the page.
struct Asset {
    path: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
}

macro_rules! page {
    ($($path:literal: $kind:expr),* $(,)?) => {
        static ASSETS: &[Asset] =
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
    "language.js": SCRIPT,
    "words/en.js": SCRIPT,
    "words/zh.js": SCRIPT,
    "words/reasons-zh.js": SCRIPT,
    "wasm.js": SCRIPT,
    "charges.js": SCRIPT,
    "playground.js": SCRIPT,
    "particles.js": SCRIPT,
    "tours.js": SCRIPT,
    "stories.js": SCRIPT,
    "plane.js": SCRIPT,
    "space.js": SCRIPT,
    "layer.js": SCRIPT,
    "names.js": SCRIPT,
    "theme.js": SCRIPT,
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

/// WebAssembly module of the exact field.
pub static WASM: &[u8] = include_bytes!("../page/field.wasm");

/// Answers with a file of the page. The path is compared with a fixed list.
pub async fn file(uri: Uri, headers: HeaderMap) -> Response {
    let path = match uri.path() {
        "/" => "index.html",
        path => path.trim_start_matches('/'),
    };
    let Some(asset) = ASSETS.iter().find(|asset| asset.path == path) else {
        return ApiError::not_found("there is no such page; the API is described by /openapi.json").into_response();
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

/// Returns the entity tag of bytes: their FNV-1a hash.
fn tag(bytes: &[u8]) -> String {
    let hash = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    format!("\"{hash:016x}\"")
}
