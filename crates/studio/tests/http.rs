//! The server over its own protocol: what it answers, what it refuses, and why.
#![allow(missing_docs)]

mod support;

use std::{io::Read, net::IpAddr, thread, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use pfgm_studio::{Options, Server, StudioError};
use serde_json::{Value, json};
use support::Studio;

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
    assert_eq!(many["command"], "pfgm sample digits --seeds 5-7 --solver heun --steps 4");
    let close = |a: &Value, b: &Value| {
        let numbers =
            |row: &Value| -> Vec<f64> { row.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect() };
        numbers(a).iter().zip(numbers(b)).all(|(a, b)| (a - b).abs() < 1e-3)
    };
    let alone = ask(&[6]);
    assert!(close(&many["values"][1], &alone["values"][0]));
    assert!(!close(&many["values"][1], &many["values"][2]));
    // The picture holds the three images, one below the other.
    let png = BASE64_STANDARD.decode(many["png"].as_str().unwrap()).unwrap();
    let picture = image::load_from_memory(&png).unwrap();
    assert_eq!((picture.width(), picture.height()), (8, 24));
}

#[test]
fn images_sharpen_in_events() {
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
fn an_image_survives_the_way_up_and_down() {
    let studio = Studio::plain();
    let request = json!({ "run": "digits", "seeds": [3], "values": true });
    let row = studio.post("/api/v1/sample", &request).json()["values"][0].clone();
    let solving = json!({ "tolerance": 1e-5 });
    let request = json!({ "run": "digits", "given": { "rows": [row] }, "class": "3", "solving": solving });
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
fn what_looks_like_a_digit_is_likelier_than_what_does_not() {
    let studio = Studio::plain();
    let row = studio.post("/api/v1/sample", &json!({ "run": "digits", "seeds": [3], "values": true })).json()["values"]
        [0]
    .clone();
    let noise: Vec<f64> = (0..64).map(|at| f64::from(at * 37 % 17)).collect();
    let request = json!({ "run": "digits", "given": { "rows": [row, noise] } });
    let answer = studio.post("/api/v1/likelihood", &request);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let bits = &answer.json()["bits_per_dim"];
    assert!(bits[0].as_f64().unwrap() + 1.0 < bits[1].as_f64().unwrap(), "{bits}");
}

#[test]
fn pictures_are_brought_to_size_and_cleaned() {
    let studio = Studio::plain();
    let mut file = Vec::new();
    let picture = image::RgbImage::from_fn(40, 20, |x, y| image::Rgb([(6 * x) as u8, (12 * y) as u8, 90]));
    picture.write_to(&mut std::io::Cursor::new(&mut file), image::ImageFormat::Png).unwrap();
    let text = format!("data:image/png;base64,{}", BASE64_STANDARD.encode(&file));
    for guess in [false, true] {
        let request = json!({ "run": "digits", "given": { "images": [text] }, "sigma": 0.5, "guess": guess });
        let answer = studio.post("/api/v1/denoise", &request);
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json()["nfe"].as_f64().unwrap() == 1.0, guess);
    }
    let request = json!({ "run": "digits", "given": { "images": ["bm8gaW1hZ2U="] } });
    let answer = studio.post("/api/v1/denoise", &request);
    assert_eq!((answer.status, answer.reason().contains("images[0]: no image")), (422, true), "{}", answer.text());
}

#[test]
fn the_way_between_two_has_both_at_its_ends() {
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
fn refusals_have_a_status_and_a_reason() {
    let studio = Studio::plain();
    let sample = |change: Value| {
        let mut request = json!({ "run": "digits", "seeds": [0] });
        request.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let answer = studio.post("/api/v1/sample", &request);
        (answer.status, answer.reason())
    };
    let too_many: Vec<u64> = (0..257).collect();
    for (change, status, reason) in [
        (json!({ "seeds": [] }), 422, "give 1 to 256"),
        (json!({ "seeds": too_many }), 422, "257 of them; give 1 to 256"),
        (json!({ "run": "../../etc/passwd" }), 404, "no such run"),
        (json!({ "class": "eleven" }), 422, "this run knows 0, 1"),
        (json!({ "solving": { "steps": 100_000 } }), 422, "steps 100000: give 1 to 1000"),
        (json!({ "solving": { "steps": 0 } }), 422, "steps 0"),
        (json!({ "solving": { "solver": "magic" } }), 422, "there are euler"),
        (json!({ "solving": { "solver": "ancestral" } }), 422, "solver ancestral"),
        (json!({ "solving": { "solver": "rk45", "tolerance": 1e-300 } }), 422, "give at least 1e-9"),
        (json!({ "scale": -1.0 }), 422, "scale -1"),
        (json!({ "sneed": 1 }), 422, "unknown field `sneed`"),
        (json!({ "seeds": [-1] }), 422, "seeds"),
    ] {
        let (found, why) = sample(change.clone());
        assert!(found == status && why.contains(reason), "{change}: {found} {why}");
    }
    let json = ("content-type", "application/json");
    let answer = studio.ask("POST", "/api/v1/sample", &[json], b"{ no json");
    assert_eq!(answer.status, 400, "{}", answer.text());
    let answer = studio.ask("POST", "/api/v1/sample", &[], b"{}");
    assert!(answer.status == 415 && answer.reason().contains("content-type"), "{}", answer.text());
    let answer = studio.ask("GET", "/api/v1/sample", &[], &[]);
    assert_eq!(answer.status, 405);
    let large = vec![b' '; (4 << 20) + 1];
    let answer = studio.ask("POST", "/api/v1/sample", &[json, ("content-length", "99999999")], &[]);
    assert!(answer.status == 413 && answer.reason().contains("4 MiB"), "{}", answer.text());
    let answer = studio.ask("POST", "/api/v1/encode", &[json], &large);
    assert_eq!(answer.status, 413);
    let huge = json!({ "run": "digits", "given": { "rows": [[1.0, 2.0]] } });
    let answer = studio.post("/api/v1/encode", &huge);
    assert!(answer.status == 422 && answer.reason().contains("give 64 finite numbers"), "{}", answer.text());
}

#[test]
fn what_takes_too_long_is_given_up() {
    let studio = Studio::patient(None, Vec::new(), Duration::from_secs(1));
    let ask = |seeds: Vec<usize>, steps: usize| {
        let solving = json!({ "solver": "euler", "steps": steps });
        studio.post("/api/v1/sample", &json!({ "run": "digits", "seeds": seeds, "class": "7", "solving": solving }))
    };
    let answer = ask((0..256).collect(), 1000);
    assert!(answer.status == 503 && answer.reason().contains("not done within 1 s"), "{}", answer.text());
    // It is given up, not only waited for no longer: most of its evaluations were never made.
    let metrics = studio.get("/metrics").text();
    let line = metrics.lines().find(|line| line.contains("evaluations_total ")).expect("they are counted");
    let evaluations: usize = line.rsplit(' ').next().unwrap().parse().unwrap();
    assert!(0 < evaluations && evaluations < 200_000, "{evaluations}");
    assert_eq!(ask(vec![1], 1).status, 200);
}

#[test]
fn a_full_queue_says_so_and_clients_that_go_away_make_room() {
    let studio = Studio::plain();
    let long = |seeds: usize, class: usize| {
        let seeds: Vec<usize> = (0..seeds).collect();
        let request = json!({ "run": "digits", "seeds": seeds, "class": class.to_string(), "solving": { "solver": "euler", "steps": 1000 - class } });
        request.to_string()
    };
    let json = ("content-type", "application/json");
    let send = |body: &str| studio.send("POST", "/api/v1/sample", &[json], body.as_bytes());
    // Different steps: none of these can be computed together.
    let mut busy: Vec<_> = (0..5).map(|at| send(&long(256, at))).collect();
    thread::sleep(Duration::from_millis(300));
    busy.extend((0..64).map(|at| send(&long(256 - at, 9))));
    thread::sleep(Duration::from_millis(500));
    let answer = studio.ask("POST", "/api/v1/sample", &[json], long(1, 1).as_bytes());
    assert_eq!((answer.status, answer.head.contains("retry-after: 1")), (429, true), "{}", answer.text());
    // The server itself is alive meanwhile.
    assert_eq!(studio.get("/healthz").text(), "ok\n");
    drop(busy);
    thread::sleep(Duration::from_millis(500));
    let request = json!({ "run": "digits", "seeds": [1], "solving": { "solver": "euler", "steps": 2 } });
    let answer = studio.post("/api/v1/sample", &request);
    assert_eq!(answer.status, 200, "everybody else went away: {}", answer.text());
    let metrics = studio.get("/metrics").text();
    let cancelled = metrics.lines().find_map(|line| line.strip_prefix("pfgm_cancelled_total ")).unwrap();
    assert!(cancelled.parse::<f64>().unwrap() >= 60.0, "{cancelled}");
}

#[test]
fn nobody_leads_out_of_the_page_or_the_runs() {
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
fn other_sites_and_other_names_are_refused() {
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
    assert_eq!(post(&[("host", "evil.example:7860")]), 403, "a foreign name that leads here");
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
fn a_token_is_asked_for() {
    let studio = Studio::start(Some("open-sesame"), Vec::new());
    assert_eq!(studio.get("/api/v1/runs").status, 401);
    assert_eq!(studio.get("/").status, 401);
    assert_eq!(studio.get("/?token=open-sesamf").status, 401);
    assert_eq!(studio.get("/healthz").status, 200);
    assert_eq!(studio.get("/metrics").status, 401);
    let page = studio.get("/?token=open-sesame");
    assert_eq!(page.status, 303);
    assert!(page.head.contains("set-cookie: pfgm_token=open-sesame; httponly; samesite=strict"), "{}", page.head);
    let with = |headers: &[(&str, &str)]| studio.ask("GET", "/api/v1/runs", headers, &[]).status;
    assert_eq!(with(&[("cookie", "a=b; pfgm_token=open-sesame")]), 200);
    assert_eq!(with(&[("authorization", "Bearer open-sesame")]), 200);
    assert_eq!(with(&[("authorization", "Bearer open")]), 401);
}

#[test]
fn others_are_let_in_with_a_token_only() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let bind = |host: &str, token: Option<&str>| {
        let host: IpAddr = host.parse().unwrap();
        let device = pfgm::device::open("cpu").unwrap();
        let token = token.map(str::to_owned);
        runtime
            .block_on(Server::bind(Options {
                host,
                port: 0,
                token,
                runs: Vec::new(),
                timeout: Duration::from_secs(9),
                device,
            }))
            .map(|_| ())
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
    assert_eq!(studio.get("/api/v1/training/events?runs=digits").status, 404, "what comes along has no log");
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
