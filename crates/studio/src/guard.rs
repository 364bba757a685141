//! Access control: host names, origins, and the token.

use std::{
    fmt::Write,
    io,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};

use crate::error::ApiError;

const COOKIE: &str = "pfgm_session";

/// Access policy. Clones share the one-time link.
#[derive(Clone, Debug)]
pub struct Guard {
    /// Token that clients need, if any.
    token: Option<String>,
    /// Whether only this computer can connect.
    is_local: bool,
    /// Value of the cookie of browsers that have shown the token or the link.
    session: String,
    /// Code of the link, until it is used.
    link: Arc<Mutex<Option<String>>>,
}

/// Security headers of every response.
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

/// Passes a request on, or rejects it.
pub async fn check(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let mut response = match guard.verdict(request.method(), request.uri(), request.headers()) {
        Verdict::Pass => next.run(request).await,
        Verdict::SignIn => guard.sign_in(),
        Verdict::Reject(error) => error.into_response(),
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

enum Verdict {
    Pass,
    /// The address of the page has the token or the one-time link.
    SignIn,
    Reject(ApiError),
}

impl Guard {
    /// Creates a policy with a fresh one-time link.
    ///
    /// # Errors
    /// If the system gives no random numbers.
    pub fn new(token: Option<String>, is_local: bool) -> io::Result<Self> {
        let link = Arc::new(Mutex::new(Some(random_code()?)));
        Ok(Self { token, is_local, session: random_code()?, link })
    }

    /// Returns the query of the one-time link; empty if no token is needed.
    pub fn link_query(&self) -> String {
        let link = self.link.lock().unwrap_or_else(PoisonError::into_inner);
        link.as_ref().filter(|_| self.token.is_some()).map_or_else(String::new, |code| format!("?link={code}"))
    }

    fn verdict(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Verdict {
        let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let host = text(&header::HOST).or_else(|| uri.authority().map(|authority| authority.as_str()));
        let forbidden = |reason: &str| Verdict::Reject(ApiError::new(StatusCode::FORBIDDEN, reason));
        let Some(host) = host else { return forbidden("the request has no Host header") };
        // DNS rebinding: another site's name that resolves to this computer.
        if self.is_local && !is_loopback(host) {
            return forbidden("Host: this server answers to localhost and 127.0.0.1 only");
        }
        let is_foreign = text(&header::ORIGIN)
            .is_some_and(|origin| origin.split_once("://").is_none_or(|(_, from)| !from.eq_ignore_ascii_case(host)));
        let is_cross_site = headers.get("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none");
        let is_navigation = method == Method::GET && uri.path() == "/";
        if is_foreign || (is_cross_site && !is_navigation) {
            return forbidden("pages of other sites may not use this server");
        }
        if uri.path() == "/healthz" || self.is_signed_in(headers) {
            return Verdict::Pass;
        }
        if is_navigation && self.has_secret(uri) {
            return Verdict::SignIn;
        }
        let reason = "a token is needed: open /?token=TOKEN, or send `authorization: Bearer TOKEN`; a link works once";
        Verdict::Reject(ApiError::new(StatusCode::UNAUTHORIZED, reason))
    }

    fn is_signed_in(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.token else { return true };
        let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let bearer = text(&header::AUTHORIZATION).strip_prefix("Bearer ").is_some_and(|given| is_equal(given, token));
        let cookies = text(&header::COOKIE).split(';').filter_map(|cookie| cookie.trim().split_once('='));
        bearer || cookies.into_iter().any(|(name, value)| name == COOKIE && is_equal(value, &self.session))
    }

    /// Returns true if an address has the token or the unused link. Uses the link up.
    fn has_secret(&self, uri: &Uri) -> bool {
        let value = |key: &str| {
            let pairs = uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
            pairs.into_iter().find(|(name, _)| *name == key).map(|(_, value)| value)
        };
        let is_token = value("token").zip(self.token.as_deref()).is_some_and(|(given, token)| is_equal(given, token));
        let mut link = self.link.lock().unwrap_or_else(PoisonError::into_inner);
        let is_link = value("link").zip(link.as_deref()).is_some_and(|(given, code)| is_equal(given, code));
        if is_link {
            *link = None;
        }
        is_token || is_link
    }

    /// Sets the cookie and redirects to the page, so that the secret does not stay in the browser's address bar.
    fn sign_in(&self) -> Response {
        let mut response = Redirect::to("/").into_response();
        let cookie = format!("{COOKIE}={}; HttpOnly; SameSite=Strict; Path=/", self.session);
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            response.headers_mut().insert(header::SET_COOKIE, cookie);
        }
        response
    }
}

/// Returns 128 random bits in hexadecimal.
fn random_code() -> io::Result<String> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

/// Returns true if a host, with or without a port, is a name of this computer.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Compares in a time that does not depend on where the difference is.
fn is_equal(given: &str, secret: &str) -> bool {
    let difference = given.bytes().zip(secret.bytes()).fold(0, |all, (a, b)| all | (a ^ b));
    given.len() == secret.len() && difference == 0
}

/// Returns true if a token is long enough and can stand in a header and in an address.
pub fn is_token(text: &str) -> bool {
    text.len() >= 8 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}
