//! Answers and errors of the HTTP API.
#![allow(missing_docs)]

mod support;

use std::{io::Read, thread, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use pfgm_studio::{Options, Server, StudioError};
use serde_json::{Value, json};
use support::{Studio, options};

#[test]
fn samples_depend_on_their_seed_alone() {
    let studio = Studio::plain();
    let ask = |seeds: &[u64]| {
        let request =
            json!({ "run": "digits", "seeds": seeds, "solving": { "solver": "heun", "steps": 4 }, "values": true });
        let answer = studio.post("/api/v1/sample", &request);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    };
    let many = ask(&[5, 6, 7]);
    assert_eq!(many["nfe"], 7.0);
    assert_eq!(many["shape"], json!([8, 8, 1]));
    assert_eq!(many["classes"], json!(["5", "6", "7"]));
    assert_eq!(many["command"], "pfgm sample digits --seeds 5-7 --balanced --solver heun --steps 4");
    let close = |a: &Value, b: &Value| {
        let numbers =
            |row: &Value| -> Vec<f64> { row.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect() };
        numbers(a).iter().zip(numbers(b)).all(|(a, b)| (a - b).abs() < 1e-3)
    };
    let alone = ask(&[6]);
    assert!(close(&many["values"][1], &alone["values"][0]));
    assert!(!close(&many["values"][1], &many["values"][2]));
    // The PNG has the three images, stacked vertically.
    let png = BASE64_STANDARD.decode(many["png"].as_str().unwrap()).unwrap();
    let picture = image::load_from_memory(&png).unwrap();
    assert_eq!((picture.width(), picture.height()), (8, 24));
}

#[test]
fn snapshots_sharpen() {
    let studio = Studio::plain();
    let request = json!({ "run": "digits", "seeds": [0, 1], "solving": { "solver": "euler", "steps": 400 } });
    let answer = studio.post("/api/v1/sample/events", &request);
    assert_eq!(answer.status, 200);
    let text = answer.text();
    let of = |name: &str| -> Vec<Value> {
        let blocks = text.split("\n\n").filter(|block| block.contains(&format!("event: {name}\n")));
        blocks.map(|block| serde_json::from_str(block.split_once("data: ").unwrap().1).unwrap()).collect()
    };
    let (looks, done) = (of("look"), of("done"));
    assert!(looks.len() >= 2, "{} looks", looks.len());
    assert_eq!(done.len(), 1);
    assert_eq!(done[0]["nfe"], 400.0);
    let norm = |look: &Value| look["norm"][0].as_f64().unwrap();
    assert!(norm(&looks[looks.len() - 1]) < 0.1 * norm(&looks[0]));
    for pair in looks.windows(2) {
        assert!(pair[0]["nfe"].as_u64() < pair[1]["nfe"].as_u64());
        assert!(pair[0]["sigma"][0].as_f64() > pair[1]["sigma"][0].as_f64());
    }
}

#[test]
fn decoding_inverts_encoding() {
    let studio = Studio::plain();
    let request = json!({ "run": "digits", "seeds": [3], "values": true });
    let row = studio.post("/api/v1/sample", &request).json()["values"][0].clone();
    let solving = json!({ "tolerance": 1e-5 });
    let request = json!({ "run": "digits", "input": { "rows": [row] }, "class": "3", "solving": solving });
    let up = studio.post("/api/v1/encode", &request);
    assert_eq!(up.status, 200, "{}", up.text());
    let up = up.json();
    let ratio = up["norms"][0].as_f64().unwrap() / up["usual_norm"].as_f64().unwrap();
    assert!((0.5..2.0).contains(&ratio), "norm {ratio}");
    let request =
        json!({ "run": "digits", "latents": up["latents"], "class": "3", "solving": solving, "values": true });
    let down = studio.post("/api/v1/decode", &request).json();
    let far = (0..64).map(|at| (down["values"][0][at].as_f64().unwrap() - row[at].as_f64().unwrap()).abs());
    assert!(far.fold(0.0, f64::max) < 0.5, "of 16 grey levels");
}

#[test]
fn a_digit_is_likelier_than_noise() {
    let studio = Studio::plain();
    let row = studio.post("/api/v1/sample", &json!({ "run": "digits", "seeds": [3], "values": true })).json()["values"]
        [0]
    .clone();
    let noise: Vec<f64> = (0..64).map(|at| f64::from(at * 37 % 17)).collect();
    let request = json!({ "run": "digits", "input": { "rows": [row, noise] } });
    let answer = studio.post("/api/v1/likelihood", &request);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let bits = &answer.json()["bits_per_dim"];
    assert!(bits[0].as_f64().unwrap() + 1.0 < bits[1].as_f64().unwrap(), "{bits}");
}

#[test]
fn images_are_resized_and_denoised() {
    let studio = Studio::plain();
    let mut file = Vec::new();
    let picture = image::RgbImage::from_fn(40, 20, |x, y| image::Rgb([(6 * x) as u8, (12 * y) as u8, 90]));
    picture.write_to(&mut std::io::Cursor::new(&mut file), image::ImageFormat::Png).unwrap();
    let text = format!("data:image/png;base64,{}", BASE64_STANDARD.encode(&file));
    for guess in [false, true] {
        let request = json!({ "run": "digits", "input": { "images": [text] }, "sigma": 0.5, "posterior_mean": guess });
        let answer = studio.post("/api/v1/denoise", &request);
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json()["nfe"].as_f64().unwrap() == 1.0, guess);
    }
    let request = json!({ "run": "digits", "input": { "images": ["bm8gaW1hZ2U="] } });
    let answer = studio.post("/api/v1/denoise", &request);
    assert!(answer.status == 422 && answer.reason().starts_with("images[0]"), "{}", answer.text());
}

#[test]
fn an_interpolation_has_both_samples_at_its_ends() {
    let studio = Studio::plain();
    let sample = |seed: u64| {
        let solving = json!({ "solver": "heun", "steps": 8 });
        let request = json!({ "run": "digits", "seeds": [seed], "class": "4", "values": true, "solving": solving });
        studio.post("/api/v1/sample", &request).json()["values"][0].clone()
    };
    let solving = json!({ "solver": "heun", "steps": 8 });
    let request =
        json!({ "run": "digits", "from": 1, "to": 2, "pictures": 5, "class": "4", "values": true, "solving": solving });
    let between = studio.post("/api/v1/interpolate", &request).json();
    for (at, seed) in [(0, 1), (4, 2)] {
        let (a, b) = (&between["values"][at], sample(seed));
        let far = (0..64).map(|i| (a[i].as_f64().unwrap() - b[i].as_f64().unwrap()).abs()).fold(0.0, f64::max);
        assert!(far < 0.05, "end {at}: {far}");
    }
}

#[test]
fn errors_have_a_status_and_name_the_field() {
    let studio = Studio::plain();
    let sample = |change: Value| {
        let mut request = json!({ "run": "digits", "seeds": [0] });
        request.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let answer = studio.post("/api/v1/sample", &request);
        (answer.status, answer.reason())
    };
    let too_many: Vec<u64> = (0..257).collect();
    for (change, status, field) in [
        (json!({ "seeds": [] }), 422, "seeds"),
        (json!({ "seeds": too_many }), 422, "seeds"),
        (json!({ "run": "../../etc/passwd" }), 404, "run"),
        (json!({ "class": "eleven" }), 422, "class"),
        (json!({ "solving": { "steps": 100_000 } }), 422, "steps"),
        (json!({ "solving": { "steps": 0 } }), 422, "steps"),
        (json!({ "solving": { "solver": "magic" } }), 422, "solver"),
        (json!({ "solving": { "solver": "ancestral" } }), 422, "solver"),
        (json!({ "solving": { "solver": "rk45", "tolerance": 1e-300 } }), 422, "tol"),
        (json!({ "scale": -1.0 }), 422, "scale"),
        (json!({ "sneed": 1 }), 422, "sneed"),
        (json!({ "seeds": [-1] }), 422, "seeds"),
    ] {
        let (found, reason) = sample(change.clone());
        assert!(found == status && reason.contains(field), "{change}: {found} {reason}");
    }
    let json = ("content-type", "application/json");
    let status = |method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]| {
        let answer = studio.ask(method, path, headers, body);
        assert_eq!(answer.json()["status"], answer.status, "{}", answer.text());
        answer.status
    };
    assert_eq!(status("POST", "/api/v1/sample", &[json], b"{ no json"), 400);
    assert_eq!(status("POST", "/api/v1/sample", &[], b"{}"), 415);
    assert_eq!(status("GET", "/api/v1/sample", &[], &[]), 405);
    let large = vec![b' '; (4 << 20) + 1];
    assert_eq!(status("POST", "/api/v1/sample", &[json, ("content-length", "99999999")], &[]), 413);
    assert_eq!(status("POST", "/api/v1/encode", &[json], &large), 413);
    let short = json!({ "run": "digits", "input": { "rows": [[1.0, 2.0]] } });
    let answer = studio.post("/api/v1/encode", &short);
    assert!(answer.status == 422 && answer.reason().starts_with("rows[0]"), "{}", answer.text());
}

#[test]
fn names_of_older_versions_are_still_read() {
    let studio = Studio::plain();
    let rows = json!({ "rows": [vec![3.0; 64]] });
    let solving = json!({ "solver": "heun", "steps": 3 });
    for request in [
        json!({ "run": "digits", "given": rows, "guess": true, "sigma": 0.5 }),
        json!({ "run": "digits", "input": rows, "posterior_mean": true, "sigma": 0.5 }),
    ] {
        let answer = studio.post("/api/v1/denoise", &request);
        assert_eq!((answer.status, answer.json()["nfe"].as_f64()), (200, Some(1.0)), "{}", answer.text());
    }
    for path in ["/api/v1/encode", "/api/v1/likelihood"] {
        let answer = studio.post(path, &json!({ "run": "digits", "given": rows, "solving": solving }));
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    }
}

#[test]
fn work_that_takes_too_long_is_given_up() {
    let studio = Studio::with(Options { timeout: Duration::ZERO, ..options(None, Vec::new()) });
    // The bundled model is loaded within the time-out, too; the queue gives up before the first evaluation.
    let answer = studio.post("/api/v1/sample", &json!({ "run": "digits", "seeds": [1] }));
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(answer.head.contains("retry-after: 1"), "{}", answer.head);
    assert_eq!(counter(&studio, "pfgm_evaluations_total"), 0.0);
}

/// Value of a metric without labels.
fn counter(studio: &Studio, name: &str) -> f64 {
    let text = studio.get("/metrics").text();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
    value.unwrap_or_else(|| panic!("no {name} in {text}"))
}

/// Waits until a condition holds; gives up after a minute.
fn wait_until(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..6000 {
        if condition() {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("never: {what}");
}

#[test]
fn a_full_queue_says_so_and_disconnected_clients_make_room() {
    let studio = Studio::plain();
    let request = |seeds: usize, steps: usize| {
        let seeds: Vec<usize> = (0..seeds).collect();
        let solving = json!({ "solver": "euler", "steps": steps });
        json!({ "run": "digits", "seeds": seeds, "class": "1", "solving": solving }).to_string()
    };
    let json = ("content-type", "application/json");
    let send = |body: &str| studio.send("POST", "/api/v1/sample", &[json], body.as_bytes());
    // Requests with different steps cannot be computed together. The first ones keep the queue from getting shorter.
    let mut clients: Vec<_> = (0..5).map(|at| send(&request(256, 1000 - at))).collect();
    wait_until("the queue has taken the first requests", || counter(&studio, "pfgm_waiting") >= 4.0);
    clients.extend((0..64).map(|at| send(&request(256 - at, 900))));
    wait_until("the queue is full", || counter(&studio, "pfgm_waiting") >= 64.0);
    let answer = studio.ask("POST", "/api/v1/sample", &[json], request(1, 1).as_bytes());
    assert_eq!((answer.status, answer.head.contains("retry-after: 1")), (429, true), "{}", answer.text());
    assert_eq!(studio.get("/healthz").text(), "ok\n");
    drop(clients);
    wait_until("a new request is answered", || {
        studio.ask("POST", "/api/v1/sample", &[json], request(1, 2).as_bytes()).status == 200
    });
    assert!(counter(&studio, "pfgm_cancelled_total") >= 60.0);
}

#[test]
fn no_path_leads_out_of_the_page_or_the_runs() {
    let secret = tempfile::tempdir().unwrap();
    let runs = secret.path().join("runs");
    std::fs::create_dir_all(&runs).unwrap();
    std::fs::write(secret.path().join("secret.txt"), "secret").unwrap();
    std::fs::write(secret.path().join("log.jsonl"), "{}").unwrap();
    let studio = Studio::start(None, vec![runs]);
    for path in [
        "/../secret.txt",
        "/..%2fsecret.txt",
        "/%2e%2e/secret.txt",
        "/vendor/../../Cargo.toml",
        "//etc/passwd",
        "/etc/passwd",
        "/page.rs",
        "/api/v1/training/events?runs=..%2F..",
        "/api/v1/training/events?runs=../secret.txt",
        "/api/v1/points?name=..%2F..%2Fsecret.txt",
        "/api/v1/points?name=%2Fetc%2Fpasswd",
        "/api/v1/run?run=%2Fetc",
    ] {
        let answer = studio.get(path);
        assert!(
            answer.status == 404 && !answer.text().contains("root:"),
            "{path}: {} {}",
            answer.status,
            answer.text()
        );
    }
}

#[test]
fn other_sites_and_other_host_names_are_rejected() {
    let studio = Studio::plain();
    let body = json!({ "run": "digits", "seeds": [0], "solving": { "solver": "euler", "steps": 1 } }).to_string();
    let json = ("content-type", "application/json");
    let own = format!("http://{}", studio.address);
    let post = |headers: &[(&str, &str)]| {
        studio.ask("POST", "/api/v1/sample", &[&[json], headers].concat(), body.as_bytes()).status
    };
    assert_eq!(post(&[("origin", &own)]), 200);
    assert_eq!(post(&[("origin", "https://evil.example")]), 403);
    assert_eq!(post(&[("origin", "null")]), 403);
    assert_eq!(post(&[("sec-fetch-site", "cross-site")]), 403);
    assert_eq!(post(&[("host", "evil.example:7860")]), 403, "DNS rebinding");
    assert_eq!(post(&[("host", "localhost:7860")]), 200);
    assert_eq!(post(&[("host", "localhost.evil.example")]), 403);
    let page = studio.get("/");
    for header in
        ["content-security-policy: default-src 'none'", "x-content-type-options: nosniff", "frame-ancestors 'none'"]
    {
        assert!(page.head.contains(header), "{header}: {}", page.head);
    }
    assert!(!page.head.contains("access-control-allow-origin"));
}

#[test]
fn a_token_is_required() {
    let studio = Studio::start(Some("open-sesame"), Vec::new());
    assert_eq!(studio.get("/api/v1/runs").status, 401);
    assert_eq!(studio.get("/").status, 401);
    assert_eq!(studio.get("/?token=open-sesamf").status, 401);
    assert_eq!(studio.get("/healthz").status, 200);
    assert_eq!(studio.get("/metrics").status, 401);
    let page = studio.get("/?token=open-sesame");
    assert_eq!(page.status, 303);
    let cookie = page.head.split("set-cookie: ").nth(1).unwrap().split(';').next().unwrap().to_owned();
    assert!(page.head.contains("httponly; samesite=strict") && !page.head.contains("sesame"), "{}", page.head);
    let with = |headers: &[(&str, &str)]| studio.ask("GET", "/api/v1/runs", headers, &[]).status;
    assert_eq!(with(&[("cookie", &format!("a=b; {cookie}"))]), 200);
    assert_eq!(with(&[("cookie", "pfgm_session=open-sesame")]), 401);
    assert_eq!(with(&[("authorization", "Bearer open-sesame")]), 200);
    assert_eq!(with(&[("authorization", "Bearer open")]), 401);
}

#[test]
fn the_printed_address_works_once_and_does_not_contain_the_token() {
    let studio = Studio::start(Some("open-sesame"), Vec::new());
    let link = studio.page.rsplit('/').next().unwrap();
    assert!(link.starts_with("?link=") && !studio.page.contains("sesame"), "{}", studio.page);
    let open = |query: &str| studio.get(&format!("/{query}")).status;
    assert_eq!(open("?link=00000000000000000000000000000000"), 401);
    assert_eq!(studio.get(&format!("/api/v1/runs{link}")).status, 401, "only the page takes the link");
    assert_eq!(open(link), 303);
    assert_eq!(open(link), 401);
    assert!(!Studio::plain().page.contains('?'), "without a token there is no link");
}

#[test]
fn other_computers_need_a_token() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let bind = |host: &str, token: Option<&str>| {
        let options = Options { host: host.parse().unwrap(), ..options(token, Vec::new()) };
        runtime.block_on(Server::bind(options)).map(|_| ())
    };
    assert!(matches!(bind("0.0.0.0", None), Err(StudioError::NoToken(_))));
    assert!(matches!(bind("::", None), Err(StudioError::NoToken(_))));
    assert!(matches!(bind("0.0.0.0", Some("short")), Err(StudioError::Token)));
    assert!(bind("0.0.0.0", Some("long-enough-a-token")).is_ok());
    assert!(bind("127.0.0.1", None).is_ok());
}

#[test]
fn a_log_is_followed_while_it_grows() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("mine");
    std::fs::create_dir_all(&run).unwrap();
    let line = |step: u64| {
        format!(
            "{{\"step\":{step},\"loss\":0.5,\"gradient_norm\":1,\"lr\":0.1,\"images_per_second\":9,\"seconds\":1}}\n"
        )
    };
    std::fs::write(run.join("log.jsonl"), line(10)).unwrap();
    let studio = Studio::start(None, vec![folder.path().into()]);
    let runs = studio.get("/api/v1/runs").json();
    let mine = runs.as_array().unwrap().iter().find(|run| run["name"] == "mine").unwrap().clone();
    assert_eq!((&mine["logged"], &mine["trained"]), (&json!(true), &json!(false)));
    let mut stream = studio.send("GET", "/api/v1/training/events?runs=mine", &[], &[]);
    let mut seen = String::new();
    let mut wait_for = |what: &str| {
        let mut part = [0; 4096];
        while !seen.contains(what) {
            let count = stream.read(&mut part).unwrap();
            assert!(count > 0, "{seen}");
            seen += &String::from_utf8_lossy(&part[..count]);
        }
    };
    wait_for("\"step\":10");
    std::fs::write(run.join("log.jsonl"), line(10) + &line(11)).unwrap();
    wait_for("\"step\":11");
    assert_eq!(studio.get("/api/v1/training/events?runs=digits").status, 404, "bundled models have no log");
    assert_eq!(studio.get("/api/v1/training/events?runs=").status, 422);
}

#[test]
fn counts_are_kept_for_prometheus() {
    let studio = Studio::plain();
    let request = json!({ "run": "digits", "seeds": [1, 2, 3], "solving": { "solver": "euler", "steps": 2 } });
    assert_eq!(studio.post("/api/v1/sample", &request).status, 200);
    studio.get("/nowhere");
    let text = studio.get("/metrics").text();
    for line in [
        "pfgm_answers_total{route=\"/api/v1/sample\",status=\"200\"} 1",
        "pfgm_answers_total{route=\"page\",status=\"404\"} 1",
        "pfgm_rows_total 3",
        "pfgm_evaluations_total 6",
        "pfgm_waiting 0",
        "# EOF",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
}
