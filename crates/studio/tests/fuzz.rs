//! Malformed requests, compared with the OpenAPI document, and many clients at once.
#![allow(missing_docs)]

mod support;

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use rand::{RngExt, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value, json};
use support::Studio;

/// Generates values of a schema, and values that nearly match it.
struct Maker<'a> {
    document: &'a Value,
    rng: ChaCha8Rng,
}

impl Maker<'_> {
    /// Returns a value of the schema. Each part is replaced by nonsense with probability `wrong`.
    fn value(&mut self, schema: &Value, wrong: f64) -> Value {
        if self.rng.random_bool(wrong) {
            return self.nonsense();
        }
        if let Some(name) = schema["$ref"].as_str() {
            let schema = &self.document["components"]["schemas"][name.rsplit('/').next().unwrap()];
            return self.value(&schema.clone(), wrong);
        }
        if let Some(choices) = schema["oneOf"].as_array().or(schema["allOf"].as_array()) {
            let choice = choices.choose(&mut self.rng).unwrap().clone();
            return self.value(&choice, wrong);
        }
        let kinds: Vec<String> = match &schema["type"] {
            Value::String(kind) => vec![kind.clone()],
            Value::Array(kinds) => kinds.iter().map(|kind| kind.as_str().unwrap().to_owned()).collect(),
            _ => vec!["null".into()],
        };
        match kinds.choose(&mut self.rng).unwrap().as_str() {
            "object" => {
                let mut object = Map::new();
                for (key, schema) in schema["properties"].as_object().unwrap() {
                    let needed = schema.get("default").is_none() && key != "class" && key != "solving";
                    if self.rng.random_bool(if needed { 1.0 - wrong } else { 0.4 }) {
                        object.insert(key.clone(), self.value(schema, wrong));
                    }
                }
                if self.rng.random_bool(wrong) {
                    object.insert("more".into(), self.nonsense());
                }
                Value::Object(object)
            }
            "array" => {
                let count = self.rng.random_range(0..4);
                (0..count).map(|_| self.value(&schema["items"], wrong)).collect()
            }
            "string" => {
                let known = ["digits", "heun", "euler", "rk45", "3", "zero", "", "iVBORw0KGgo="];
                json!(known.choose(&mut self.rng).unwrap())
            }
            "integer" => json!(*[0_u64, 1, 2, 3, 7, 300, u64::MAX].choose(&mut self.rng).unwrap()),
            "number" => json!(*[0.0, 1.0, -1.0, 0.5, 1e-3, 1e300].choose(&mut self.rng).unwrap()),
            "boolean" => json!(self.rng.random_bool(0.5)),
            _ => Value::Null,
        }
    }

    fn nonsense(&mut self) -> Value {
        let deep = (0..100).fold(json!(1), |inner, _| json!([inner]));
        let all = [
            json!(null),
            json!(-1),
            json!(1.5),
            json!(1e308),
            json!(u64::MAX),
            json!("../../etc/passwd"),
            json!("\u{0}\u{fffd}"),
            json!([]),
            json!({}),
            json!([[]]),
            json!({ "$ref": "#" }),
            json!("a".repeat(5000)),
            json!(true),
            deep,
        ];
        all.choose(&mut self.rng).unwrap().clone()
    }
}

#[test]
fn no_request_breaks_the_server_and_every_answer_is_in_the_document() {
    let studio = Studio::plain();
    let document = studio.get("/openapi.json").json();
    let mut maker = Maker { document: &document, rng: ChaCha8Rng::seed_from_u64(4) };
    let mut statuses = std::collections::BTreeMap::<u16, usize>::new();
    let posts: Vec<(String, Value)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .filter_map(|(path, item)| item.get("post").map(|post| (path.clone(), post.clone())))
        .collect();
    assert_eq!(posts.len(), 7);
    for round in 0..700 {
        let (path, post) = &posts[round % posts.len()];
        let schema = &post["requestBody"]["content"]["application/json"]["schema"];
        let request = maker.value(schema, [0.0, 0.03, 0.1, 0.3][round / 7 % 4]);
        let mut body = request.to_string().into_bytes();
        if round % 5 == 4 {
            // Truncated, doubled or changed bytes.
            let at = maker.rng.random_range(0..body.len());
            match maker.rng.random_range(0..3) {
                0 => body.truncate(at),
                1 => body.extend_from_within(at..),
                _ => body[at] = maker.rng.random(),
            }
        }
        if body.is_empty() {
            continue;
        }
        let answer = studio.ask("POST", path, &[("content-type", "application/json")], &body);
        let shown = String::from_utf8_lossy(&body[..body.len().min(400)]).into_owned();
        *statuses.entry(answer.status).or_default() += 1;
        assert!(post["responses"].get(answer.status.to_string()).is_some(), "{path} {}: {shown}", answer.status);
        assert!(answer.status < 500, "{path} {}: {shown}: {}", answer.status, answer.text());
        if answer.status != 200 {
            assert!(!answer.reason().is_empty(), "{path} {}: no reason for {shown}", answer.status);
        } else if !path.ends_with("events") {
            let name = post["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].as_str().unwrap();
            let schema = &document["components"]["schemas"][name.rsplit('/').next().unwrap()];
            let answer = answer.json();
            for key in schema["required"].as_array().unwrap() {
                assert!(answer.get(key.as_str().unwrap()).is_some(), "{path}: no {key} in {answer}");
            }
            for key in answer.as_object().unwrap().keys() {
                assert!(schema["properties"].get(key).is_some(), "{path}: the document knows no {key}");
            }
        }
    }
    println!("answers by status: {statuses:?}");
    assert!(statuses.contains_key(&200) && statuses.contains_key(&400) && statuses.contains_key(&422), "{statuses:?}");
    assert_eq!(studio.get("/healthz").status, 200);
}

/// Each client repeats its request until it is answered: once here, `STUDIO_LOAD_ROUNDS` times if that is set.
#[test]
fn two_hundred_clients_are_all_answered() {
    let studio = Studio::plain();
    let rounds: u64 = std::env::var("STUDIO_LOAD_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let busy = AtomicUsize::new(0);
    let before = resident();
    thread::scope(|scope| {
        for client in 0..200_u64 {
            let (studio, busy) = (&studio, &busy);
            scope.spawn(move || {
                for round in 0..rounds {
                    let solving = json!({ "solver": "heun", "steps": 3 + client % 3 });
                    let request = json!({ "run": "digits", "seeds": [client + 200 * round], "solving": solving });
                    loop {
                        let answer = studio.post("/api/v1/sample", &request);
                        match answer.status {
                            200 => break,
                            // The queue has room for 64 requests, the server for 256 connections.
                            429 | 503 => busy.fetch_add(1, Ordering::Relaxed),
                            other => panic!("{other}: {}", answer.text()),
                        };
                        thread::sleep(Duration::from_millis(100));
                    }
                }
            });
        }
    });
    println!("{} answers, {} times busy, {before:.0} MB -> {:.0} MB", 200 * rounds, busy.into_inner(), resident());
    assert!(resident() < before + 300.0, "memory grows");
}

/// Returns the resident memory of this process in megabytes; zero where the system does not tell.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<f64>().ok()).map_or(0.0, |kb| kb / 1024.0)
}
