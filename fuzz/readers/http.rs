//! Bytes as a request to the studio. The first byte chooses the path; the rest is the body, or the query of a GET.

use std::{cell::OnceCell, net::IpAddr, time::Duration};

use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use pfgm_studio::{Options, guard::Guard, limits::ConnectionLimits, server::router, state::Studio};

/// Paths with a JSON body.
const POSTS: [&str; 7] = ["sample", "sample/events", "interpolate", "encode", "decode", "denoise", "likelihood"];
/// Paths with a query.
const GETS: [&str; 3] = ["run", "points", "training/events"];

type Router = TowerToHyperService<axum::Router>;

thread_local! {
    static SERVER: OnceCell<(tokio::runtime::Runtime, Router)> = const { OnceCell::new() };
}

/// A server without a socket. Requests may compute for a hundredth of a second.
fn start() -> (tokio::runtime::Runtime, Router) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let options = Options {
        host: IpAddr::from([127, 0, 0, 1]),
        port: 0,
        token: None,
        runs: Vec::new(),
        timeout: Duration::from_millis(10),
        device: pfgm::device::cpu(),
        limits: ConnectionLimits::default(),
    };
    let guard = Guard::new(None, true).expect("random numbers");
    let router = runtime.block_on(async {
        let (studio, switch) = Studio::new(&options);
        // Nobody stops this server.
        std::mem::forget(switch);
        router(studio, guard)
    });
    (runtime, TowerToHyperService::new(router))
}

/// Sends the request.
///
/// # Panics
/// If the server answers with 500.
pub fn read(bytes: &[u8]) {
    let Some((choice, content)) = bytes.split_first() else { return };
    let choice = usize::from(*choice);
    let request = axum::http::Request::builder().header("host", "127.0.0.1").header("content-type", "application/json");
    let request = match POSTS.get(choice % (POSTS.len() + GETS.len())) {
        Some(path) => {
            let body = axum::body::Body::from(content.to_vec());
            request.method("POST").uri(format!("/api/v1/{path}")).body(body)
        }
        None => {
            let path = GETS[choice % (POSTS.len() + GETS.len()) - POSTS.len()];
            let uri = [format!("/api/v1/{path}?").as_bytes(), content].concat();
            request.uri(uri).body(axum::body::Body::empty())
        }
    };
    // Bytes that are no address do not arrive at a server.
    let Ok(request) = request else { return };
    SERVER.with(|server| {
        let (runtime, router) = server.get_or_init(start);
        let answer = runtime.block_on(router.call(request)).expect("the router has no errors");
        assert_ne!(answer.status().as_u16(), 500, "the server failed");
    });
}
