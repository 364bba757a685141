//! Slow, stalled and hostile clients and files do not affect others.
#![allow(missing_docs)]

mod support;

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    process::Command,
    time::Duration,
};

use pfgm_studio::{Options, limits::ConnectionLimits};
use serde_json::{Value, json};
use support::{Studio, options, parse};

/// Long enough never to be reached in a test.
const NEVER: Duration = Duration::from_secs(600);
/// Short enough to wait for.
const SOON: Duration = Duration::from_millis(100);

fn limits() -> ConnectionLimits {
    ConnectionLimits { connections: 64, header: NEVER, body: NEVER, write: NEVER, drain: NEVER }
}

fn studio(limits: ConnectionLimits) -> Studio {
    Studio::with(Options { limits, ..options(None, Vec::new()) })
}

/// Opens a connection and sends bytes.
fn open(studio: &Studio, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(&studio.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.write_all(bytes).unwrap();
    stream
}

/// Reads until the server closes the connection.
fn rest(mut stream: TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("the server closes the connection");
    bytes
}

#[test]
fn connections_without_a_complete_header_are_closed() {
    let studio = studio(ConnectionLimits { header: SOON, ..limits() });
    for bytes in [&b""[..], b"GET /healthz HT", b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n"] {
        let answer = String::from_utf8(rest(open(&studio, bytes))).unwrap();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
    }
    // A connection that was used and is idle now is closed, too.
    let idle = open(&studio, b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n");
    assert_eq!(parse(&rest(idle)).status, 200);
}

#[test]
fn a_body_that_does_not_arrive_is_not_waited_for() {
    let studio = studio(ConnectionLimits { body: SOON, ..limits() });
    let head = b"POST /api/v1/sample HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{";
    let answer = parse(&rest(open(&studio, head)));
    assert_eq!((answer.status, answer.json()["status"].as_u64()), (408, Some(408)));
}

#[test]
fn too_many_connections_are_rejected_until_one_is_closed() {
    let studio = studio(ConnectionLimits { connections: 2, ..limits() });
    let mut idle: Vec<TcpStream> = (0..2).map(|_| open(&studio, b"")).collect();
    let answer = studio.get("/healthz");
    assert_eq!((answer.status, answer.json()["status"].as_u64()), (503, Some(503)));
    idle.pop();
    let answered = (0..1000).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        studio.get("/healthz").status == 200
    });
    assert!(answered, "the closed connection makes no room");
}

#[test]
fn idle_connections_lock_nobody_out() {
    let studio = studio(ConnectionLimits { connections: 256, ..limits() });
    let _idle: Vec<TcpStream> = (0..200).map(|_| open(&studio, b"")).collect();
    assert_eq!(studio.get("/healthz").status, 200);
}

#[test]
fn a_client_that_does_not_read_is_disconnected() {
    let studio = studio(ConnectionLimits { connections: 1, write: SOON, ..limits() });
    // Pipelined requests for a large file fill the buffers of both sides.
    let request = b"GET /field.wasm HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".repeat(400);
    let _stalled = open(&studio, &request);
    let answered = (0..3000).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        studio.get("/healthz").status == 200
    });
    assert!(answered, "the stalled connection is never closed");
}

#[test]
fn a_stopping_server_finishes_requests_and_rejects_new_ones() {
    let mut studio = studio(limits());
    let seeds: Vec<u64> = (0..64).collect();
    let request =
        json!({ "run": "digits", "seeds": seeds, "solving": { "solver": "euler", "steps": 1000 } }).to_string();
    let json = ("content-type", "application/json");
    let mut stream = studio.send("POST", "/api/v1/sample/events", &[json], request.as_bytes());
    let mut bytes = Vec::new();
    let mut buffer = [0; 1 << 16];
    while !String::from_utf8_lossy(&bytes).contains("event: look") {
        let count = stream.read(&mut buffer).unwrap();
        assert!(count > 0, "{}", String::from_utf8_lossy(&bytes));
        bytes.extend(&buffer[..count]);
    }
    studio.stop();
    // A connection that is opened at the moment of the stop may be closed without an answer.
    let is_rejected = || rest(studio.send("GET", "/healthz", &[], &[])).starts_with(b"HTTP/1.1 503");
    let rejected = (0..1000).any(|_| is_rejected());
    assert!(rejected, "new requests are served while the server is stopping");
    stream.read_to_end(&mut bytes).unwrap();
    assert!(String::from_utf8_lossy(&bytes).contains("event: done"), "the request in progress was not finished");
}

fn run_folder(root: &Path, name: &str) -> std::path::PathBuf {
    let folder = root.join(name).join("checkpoints");
    fs::create_dir_all(&folder).unwrap();
    folder.join("step-00000001.safetensors")
}

#[test]
fn a_fifo_in_place_of_a_checkpoint_blocks_nobody() {
    let root = tempfile::tempdir().unwrap();
    let fifos = [run_folder(root.path(), "fifo"), root.path().join("fifo/log.jsonl")];
    for fifo in fifos {
        let made = Command::new("mkfifo").arg(&fifo).status();
        if !made.is_ok_and(|status| status.success()) {
            eprintln!("SKIPPED: no mkfifo here");
            return;
        }
    }
    let studio = Studio::start(None, vec![root.path().into()]);
    assert_eq!(studio.get("/api/v1/run?run=fifo").status, 422);
    let mut log = studio.send("GET", "/api/v1/training/events?runs=fifo", &[], &[]);
    let mut byte = [0];
    assert_eq!(log.read(&mut byte).unwrap(), 1, "a log that is a FIFO blocks its stream");
    assert_eq!(studio.get("/api/v1/run?run=digits").status, 200);
}

/// Returns the checkpoint of a bundled model with another value in its specification.
fn patched(key: &str, value: Value) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("digits.safetensors");
    pfgm::Model::load("digits").unwrap().export(&path, pfgm::model::WeightNames::Checkpoint).unwrap();
    let bytes = fs::read(path).unwrap();
    let (length, rest) = bytes.split_first_chunk::<8>().unwrap();
    let (header, weights) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let mut header: Value = serde_json::from_slice(header).unwrap();
    let text = header["__metadata__"]["pfgm"].as_str().unwrap();
    let mut state: Value = serde_json::from_str(text).unwrap();
    *state["record"].pointer_mut(key).unwrap_or_else(|| panic!("no {key}")) = value;
    header["__metadata__"]["pfgm"] = json!(state.to_string());
    let mut header = header.to_string();
    header += &" ".repeat(header.len().next_multiple_of(8) - header.len());
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), weights].concat()
}

#[test]
fn hostile_runs_are_errors_and_the_server_lives() {
    let root = tempfile::tempdir().unwrap();
    let hostile = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile");
    let mut names = Vec::new();
    for entry in fs::read_dir(hostile).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        fs::copy(&path, run_folder(root.path(), &name)).unwrap();
        names.push(name);
    }
    for (name, key, value) in [
        ("range", "/data/range", json!([3e38, -3e38])),
        ("scale", "/data/transform/scale", json!([])),
        ("shape", "/data/shape", json!({ "image": { "height": 1_u64 << 32, "width": 1_u64 << 32, "channels": 1 } })),
        ("sigma", "/config/flow/sigma_max", json!(-1.0)),
        ("steps", "/config/network", json!(null)),
    ] {
        fs::write(run_folder(root.path(), name), patched(key, value)).unwrap();
        names.push(name.to_owned());
    }
    fs::write(run_folder(root.path(), "garbage"), vec![255; 4096]).unwrap();
    fs::write(run_folder(root.path(), "empty"), []).unwrap();
    names.extend(["garbage".to_owned(), "empty".to_owned()]);
    let studio = Studio::start(None, vec![root.path().into()]);
    for name in names {
        let answer = studio.post("/api/v1/sample", &json!({ "run": name, "seeds": [0] }));
        assert_eq!(answer.status, 422, "{name}: {}", answer.text());
        assert_eq!(studio.get("/api/v1/run?run=digits").status, 200, "after {name}");
    }
}
