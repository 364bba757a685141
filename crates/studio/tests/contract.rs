//! Every operation and every answer of the OpenAPI document, provoked and compared with its schema.
#![allow(missing_docs)]

mod support;

use std::{collections::BTreeSet, fs, io::Read, net::TcpStream, time::Duration};

use pfgm_studio::{Options, limits::ConnectionLimits};
use serde_json::{Value, json};
use support::{Answer, Studio, options};

const JSON: (&str, &str) = ("content-type", "application/json");

/// A valid request of an operation: query and body.
fn example(path: &str) -> (&'static str, Value) {
    let solving = json!({ "solver": "heun", "steps": 2 });
    let row = json!({ "rows": [vec![3.0; 64]] });
    match path {
        "/api/v1/run" => ("?run=digits", Value::Null),
        "/api/v1/points" => ("?name=heart&count=5", Value::Null),
        "/api/v1/training/events" => ("?runs=logged", Value::Null),
        "/api/v1/sample" | "/api/v1/sample/events" => {
            ("", json!({ "run": "digits", "seeds": [0, 1], "solving": solving, "values": true }))
        }
        "/api/v1/interpolate" => {
            ("", json!({ "run": "digits", "from": 0, "to": 1, "pictures": 2, "solving": solving }))
        }
        "/api/v1/encode" => ("", json!({ "run": "digits", "input": row, "solving": solving })),
        "/api/v1/decode" => ("", json!({ "run": "digits", "latents": [vec![0.5; 64]], "solving": solving })),
        "/api/v1/denoise" => ("", json!({ "run": "digits", "input": row, "sigma": 0.5, "solving": solving })),
        "/api/v1/likelihood" => ("", json!({ "run": "digits", "input": row, "probes": 1, "solving": solving })),
        "/api/v1/runs" | "/healthz" | "/metrics" | "/openapi.json" => ("", Value::Null),
        other => panic!("{other} is documented, but not tested"),
    }
}

/// Servers in the states that answers need.
struct Servers {
    /// Connections that keep servers full or alive. They are closed before the servers stop.
    held: Vec<TcpStream>,
    plain: Studio,
    with_token: Studio,
    /// Waits for bodies for a moment only.
    impatient: Studio,
    full: Studio,
    stopping: Studio,
}

impl Servers {
    fn start(runs: &std::path::Path) -> Self {
        let start = |limits| Studio::with(Options { limits, ..options(None, vec![runs.into()]) });
        let hour = Duration::from_secs(3600);
        let limits = ConnectionLimits { connections: 256, drain: hour, ..ConnectionLimits::default() };
        let (full, mut stopping) = (start(limits), start(limits));
        let mut held = Vec::new();
        let long = |at: usize| {
            let seeds: Vec<usize> = (0..256).collect();
            let solving = json!({ "solver": "euler", "steps": 1000 - at });
            json!({ "run": "digits", "seeds": seeds, "solving": solving }).to_string()
        };
        for at in 0..68 {
            held.push(full.send("POST", "/api/v1/sample", &[JSON], long(at).as_bytes()));
        }
        for _ in 0..64 {
            held.push(full.send("GET", "/api/v1/training/events?runs=logged", &[], &[]));
        }
        let mut stream = stopping.send("POST", "/api/v1/sample/events", &[JSON], long(0).as_bytes());
        read_until(&mut stream, "event: look");
        held.push(stream);
        stopping.stop();
        Self {
            held,
            plain: start(limits),
            with_token: Studio::start(Some("open-sesame"), Vec::new()),
            impatient: start(ConnectionLimits { body: Duration::from_millis(50), ..limits }),
            full,
            stopping,
        }
    }

    /// Provokes a status. Returns None for 500, which only a defect can provoke.
    fn provoke(&self, method: &str, path: &str, status: u16) -> Option<Answer> {
        let (query, body) = example(path);
        let (address, text) = (format!("{path}{query}"), body.to_string());
        let bytes = if body.is_null() { &[][..] } else { text.as_bytes() };
        let is_post = method == "POST";
        let unknown = |text: &str| {
            text.replace("digits", "no-such-run").replace("heart", "no-such-set").replace("logged", "none")
        };
        let answer = match status {
            200 if path == "/api/v1/training/events" => {
                let mut stream = self.plain.send(method, &address, &[], bytes);
                support::parse(read_until(&mut stream, "\"step\":1").as_bytes())
            }
            200 => self.plain.ask(method, &address, &[JSON], bytes),
            400 => self.plain.ask(method, &address, &[JSON], b"{ no json"),
            401 => self.with_token.ask(method, &address, &[JSON], bytes),
            403 => self.plain.ask(method, &address, &[JSON, ("origin", "https://evil.example")], bytes),
            404 => self.plain.ask(method, &unknown(&address), &[JSON], unknown(&text).as_bytes()),
            405 => self.plain.ask("DELETE", &address, &[JSON], bytes),
            408 => self.impatient.ask(method, &address, &[JSON, ("content-length", "99999")], b"{"),
            413 => self.plain.ask(method, &address, &[JSON, ("content-length", "99999999")], b""),
            415 => self.plain.ask(method, &address, &[], bytes),
            422 if is_post => self.plain.ask(method, &address, &[JSON], b"{\"no-such-field\": 1}"),
            422 => self.plain.ask(method, path, &[], &[]),
            429 => self.busy(method, &address, bytes),
            503 => self.stopping.ask(method, &address, &[JSON], bytes),
            500 => return None,
            other => panic!("{path}: {other} is documented, but not tested"),
        };
        Some(answer)
    }

    /// Fills the queue up where it has become shorter, until a request is rejected.
    fn busy(&self, method: &str, address: &str, body: &[u8]) -> Answer {
        let mut accepted = Vec::new();
        for _ in 0..100 {
            let mut stream = self.full.send(method, address, &[JSON], body);
            stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
            let mut bytes = Vec::new();
            let _ = stream.read_to_end(&mut bytes);
            if bytes.starts_with(b"HTTP/1.1 429") {
                return support::parse(&bytes);
            }
            accepted.push(stream);
        }
        panic!("{address}: the server is never full");
    }
}

/// Reads until a text has arrived.
fn read_until(stream: &mut TcpStream, text: &str) -> String {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 1 << 16]);
    loop {
        let count = stream.read(&mut buffer).unwrap();
        assert!(count > 0, "never: {text}");
        bytes.extend(&buffer[..count]);
        let seen = String::from_utf8_lossy(&bytes).into_owned();
        if seen.contains(text) {
            return seen;
        }
    }
}

/// Compares a value with a schema of the document; returns what is wrong.
fn mismatch(document: &Value, schema: &Value, value: &Value) -> Option<String> {
    if let Some(name) = schema["$ref"].as_str() {
        let schema = document.pointer(name.trim_start_matches('#')).unwrap_or_else(|| panic!("no {name}"));
        return mismatch(document, schema, value);
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let all: Option<Vec<String>> = choices.iter().map(|choice| mismatch(document, choice, value)).collect();
        return all.map(|all| all.join(" and "));
    }
    let kinds: BTreeSet<&str> = match &schema["type"] {
        Value::String(kind) => [kind.as_str()].into(),
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => return None,
    };
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if !(kinds.contains(kind) || kind == "integer" && kinds.contains("number")) {
        return Some(format!("{value} is of type {kind}, documented is {kinds:?}"));
    }
    match value {
        Value::Array(items) if !schema["items"].is_null() => {
            items.iter().find_map(|item| mismatch(document, &schema["items"], item))
        }
        Value::Object(object) if !schema["properties"].is_null() => {
            let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let missing = required.into_iter().find(|key| !object.contains_key(*key)).map(|key| format!("no {key}"));
            missing.or_else(|| {
                object.iter().find_map(|(key, value)| match schema["properties"].get(key) {
                    Some(schema) => mismatch(document, schema, value).map(|problem| format!("{key}: {problem}")),
                    None => Some(format!("{key} is not documented")),
                })
            })
        }
        _ => None,
    }
}

#[test]
fn the_comparison_with_a_schema_can_fail() {
    let document = json!({ "a": { "type": "object", "required": ["b"], "properties": { "b": { "type": ["array", "null"], "items": { "type": "integer" } } } } });
    let schema = json!({ "$ref": "#/a" });
    for (value, is_right) in [
        (json!({ "b": [1] }), true),
        (json!({ "b": null }), true),
        (json!({ "b": [1.5] }), false),
        (json!({ "b": "1" }), false),
        (json!({}), false),
        (json!({ "b": null, "c": 1 }), false),
        (json!([]), false),
    ] {
        assert_eq!(mismatch(&document, &schema, &value).is_none(), is_right, "{value}");
    }
}

#[test]
fn every_documented_answer_is_given() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("logged")).unwrap();
    let line = "{\"step\":1,\"loss\":0.5,\"gradient_norm\":1,\"lr\":0.1,\"images_per_second\":9,\"seconds\":1}\n";
    fs::write(folder.path().join("logged/log.jsonl"), line).unwrap();
    let servers = Servers::start(folder.path());
    assert_eq!(servers.held.len(), 68 + 64 + 1);
    let document = servers.plain.get("/openapi.json").json();
    let mut documented = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            for (status, response) in operation["responses"].as_object().unwrap() {
                documented.push((status.parse::<u16>().unwrap(), method, path, &response["content"]));
            }
        }
    }
    // The stopping server lives as long as its last request.
    documented.sort_by_key(|(status, ..)| u16::MAX - status);
    let mut count = 0;
    for (status, method, path, content) in documented {
        let Some(answer) = servers.provoke(&method.to_uppercase(), path, status) else { continue };
        count += 1;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
        assert!(answer.head.contains("x-request-id: "), "{method} {path} {status}: {}", answer.head);
        let (kind, content) = content.as_object().unwrap().iter().next().unwrap();
        assert!(answer.head.contains(&format!("content-type: {kind}")), "{path} {status}: {}", answer.head);
        if kind == "application/json" {
            let problem = mismatch(&document, &content["schema"], &answer.json());
            assert_eq!(problem, None, "{method} {path} {status}: {}", answer.text());
        }
    }
    assert!(count > 100, "{count} answers");
    println!("{count} documented answers");
}
