//! A server for each test, and an HTTP client that sends exactly the given bytes.
#![allow(dead_code)]

pub mod browser;

use std::{
    io::{Read, Write},
    net::{IpAddr, TcpStream},
    path::PathBuf,
    thread,
    time::Duration,
};

use pfgm_studio::{Options, Server, limits::ConnectionLimits};
use tokio::sync::oneshot;

pub struct Studio {
    /// Host and port.
    pub address: String,
    /// Address of the page, with the one-time link.
    pub page: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// Reason of an error.
    pub fn reason(&self) -> String {
        self.json()["reason"].as_str().unwrap_or_default().to_owned()
    }
}

/// Options of a server for tests.
pub fn options(token: Option<&str>, runs: Vec<PathBuf>) -> Options {
    Options {
        host: IpAddr::from([127, 0, 0, 1]),
        port: 0,
        token: token.map(str::to_owned),
        runs,
        timeout: Duration::from_secs(120),
        device: pfgm::device::open("cpu").unwrap(),
        limits: ConnectionLimits::default(),
    }
}

impl Studio {
    pub fn start(token: Option<&str>, runs: Vec<PathBuf>) -> Self {
        Self::with(options(token, runs))
    }

    pub fn with(options: Options) -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let (sender, bound) = std::sync::mpsc::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(2).build().unwrap();
            runtime.block_on(async {
                let server = Server::bind(options).await.unwrap();
                sender.send(server.address().unwrap()).unwrap();
                server.serve(async { drop(stopped.await) }).await;
            });
            runtime.shutdown_timeout(Duration::from_millis(100));
        });
        let page = bound.recv().unwrap();
        let address = page.trim_start_matches("http://").split('/').next().unwrap().to_owned();
        Self { address, page, stop: Some(stop), thread: Some(thread) }
    }

    /// Starts to stop the server, without waiting.
    pub fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }

    pub fn plain() -> Self {
        Self::start(None, Vec::new())
    }

    /// Opens a connection and writes a request.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut head = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
        let given = |name: &str| headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
        if !given("host") {
            head += &format!("host: {}\r\n", self.address);
        }
        if !given("content-length") && !given("transfer-encoding") && !body.is_empty() {
            head += &format!("content-length: {}\r\n", body.len());
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += "\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        // A server that has rejected the request may not read on.
        let _ = stream.write_all(body);
        stream
    }

    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut stream = self.send(method, path, headers, body);
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        parse(&bytes)
    }

    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], &[])
    }

    pub fn post(&self, path: &str, body: &serde_json::Value) -> Answer {
        self.ask("POST", path, &[("content-type", "application/json")], body.to_string().as_bytes())
    }
}

impl Drop for Studio {
    fn drop(&mut self) {
        self.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

pub fn parse(bytes: &[u8]) -> Answer {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("no answer: {}", String::from_utf8_lossy(bytes)));
    let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let rest = &bytes[end + 4..];
    let body = if head.contains("transfer-encoding: chunked") { unchunk(rest) } else { rest.to_vec() };
    Answer { status, head, body }
}

fn unchunk(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = rest.windows(2).position(|window| window == b"\r\n") {
        let size = usize::from_str_radix(String::from_utf8_lossy(&rest[..end]).trim(), 16).unwrap_or(0);
        if size == 0 || rest.len() < end + 2 + size {
            break;
        }
        body.extend(&rest[end + 2..end + 2 + size]);
        rest = &rest[(end + 4 + size).min(rest.len())..];
    }
    body
}
