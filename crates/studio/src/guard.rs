//! Who may ask: this computer's own pages, or whoever knows the token.

use std::net::IpAddr;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};

use crate::limits::Refusal;

const COOKIE: &str = "pfgm_token";

/// What requests are held against.
#[derive(Clone, Debug)]
pub struct Guard {
    /// Whoever asks has to know it, where there is one.
    pub token: Option<String>,
    /// Whether the server listens to this computer alone.
    pub local: bool,
}

/// What browsers are told with every answer.
const HEADERS: [(HeaderName, &str); 5] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data: blob:; \
         connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// Lets a request pass, or refuses it.
pub async fn check(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let mut response = match guard.verdict(request.method(), request.uri(), request.headers()) {
        Verdict::Pass => next.run(request).await,
        Verdict::Remember(token) => remember(&token),
        Verdict::Refuse(refusal) => refusal.into_response(),
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

enum Verdict {
    Pass,
    /// The page was opened with the token in its address: it moves to a cookie.
    Remember(String),
    Refuse(Refusal),
}

impl Guard {
    fn verdict(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Verdict {
        let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let host = text(&header::HOST).or_else(|| uri.authority().map(|authority| authority.as_str()));
        let forbidden = |reason: &str| Verdict::Refuse(Refusal::new(StatusCode::FORBIDDEN, reason));
        let Some(host) = host else { return forbidden("no Host header") };
        // A foreign name that leads here is a page's trick to be taken for ours.
        if self.local && !is_loopback(host) {
            return forbidden("Host: this server answers to localhost and 127.0.0.1 only");
        }
        let foreign = text(&header::ORIGIN)
            .is_some_and(|origin| origin.split_once("://").is_none_or(|(_, from)| !from.eq_ignore_ascii_case(host)));
        let cross = headers.get("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none");
        let navigation = method == Method::GET && uri.path() == "/";
        if foreign || (cross && !navigation) {
            return forbidden("another site's page may not ask this server");
        }
        let Some(token) = &self.token else { return Verdict::Pass };
        if uri.path() == "/healthz" || self.knows(headers) {
            return Verdict::Pass;
        }
        let given = uri.query().and_then(|query| query.split('&').find_map(|part| part.strip_prefix("token=")));
        match given {
            Some(given) if uri.path() == "/" && same(given, token) => Verdict::Remember(token.clone()),
            _ => {
                let reason = "a token is needed: open /?token=TOKEN, or send `authorization: Bearer TOKEN`";
                Verdict::Refuse(Refusal::new(StatusCode::UNAUTHORIZED, reason))
            }
        }
    }

    fn knows(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.token else { return true };
        let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let bearer = text(&header::AUTHORIZATION).strip_prefix("Bearer ").is_some_and(|given| same(given, token));
        let cookies = text(&header::COOKIE);
        let cookie = cookies.split(';').filter_map(|cookie| cookie.trim().split_once('='));
        bearer || cookie.into_iter().any(|(name, value)| name == COOKIE && same(value, token))
    }
}

/// The page without the token in its address, which it would leave in the history.
fn remember(token: &str) -> Response {
    let mut response = Redirect::to("/").into_response();
    let cookie = format!("{COOKIE}={token}; HttpOnly; SameSite=Strict; Path=/");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

/// Whether a host, with or without a port, is this computer's own name.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Comparison that takes as long wherever the difference is.
fn same(given: &str, token: &str) -> bool {
    let difference = given.bytes().zip(token.bytes()).fold(0, |all, (a, b)| all | (a ^ b));
    given.len() == token.len() && difference == 0
}

/// Whether a token can stand in a header, a cookie and an address.
pub fn is_token(text: &str) -> bool {
    text.len() >= 8 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}
