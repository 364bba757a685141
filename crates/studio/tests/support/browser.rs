//! A real browser, controlled through the WebDriver protocol: JSON over HTTP to chromedriver.

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

/// Time after which a test gives up; other work may keep the cores busy.
const PATIENCE: Duration = Duration::from_secs(240);
/// Key of an element in answers.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// True when the fine field lines and map of the present charges have arrived.
pub const FIELD: &str = "document.body.dataset.field === String(window.studioField?.().version)";

pub struct Browser {
    driver: Child,
    port: u16,
    session: String,
    /// Prefix of its screenshots.
    pub name: String,
    /// Whether it emulates a phone, with touch.
    pub phone: bool,
}

/// Returns true if there is a browser; on CI there must be one.
pub fn is_there() -> bool {
    let found = Command::new("chromedriver").arg("--version").output().is_ok();
    let needed = std::env::var_os("CI").is_some();
    assert!(found || !needed, "chromedriver is missing: apt-get install chromium chromium-driver");
    if !found {
        eprintln!("SKIPPED: no chromedriver here; `apt-get install chromium chromium-driver` brings it");
    }
    found
}

/// Opens a page at the size of a desktop and then of a phone, waits until an expression is true, and visits it.
pub fn at_desk_and_phone(address: &str, ready: &str, visit: impl Fn(&Browser)) {
    if !is_there() {
        return;
    }
    for (name, size, phone) in [("desk", (1366, 850), false), ("phone", (390, 844), true)] {
        let browser = Browser::open(name, size, phone);
        browser.go(address);
        browser.wait(ready);
        visit(&browser);
    }
}

impl Browser {
    /// Opens a window of this size in CSS pixels.
    pub fn open(name: &str, (width, height): (u32, u32), phone: bool) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut browser = Self { driver, port, session: String::new(), name: name.to_owned(), phone };
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(started.elapsed() < PATIENCE, "chromedriver does not listen");
            thread::sleep(Duration::from_millis(50));
        }
        let mut options = json!({
            "args": [
                "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
                "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars",
                "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
                format!("--window-size={width},{height}"),
            ],
        });
        if phone {
            let metrics = json!({ "width": width, "height": height, "pixelRatio": 2.0, "touch": true });
            options["mobileEmulation"] = json!({ "deviceMetrics": metrics });
        }
        let logs = json!({ "browser": "ALL" });
        let wanted = json!({ "browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": logs, "timeouts": { "script": PATIENCE.as_millis() as u64 } });
        let answer = browser.call("POST", "/session", &json!({ "capabilities": { "alwaysMatch": wanted } }));
        browser.session = answer["sessionId"].as_str().expect("a session").to_owned();
        browser
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let path = path.replace("{session}", &format!("/session/{}", self.session));
        let body = if method == "GET" { String::new() } else { body.to_string() };
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            self.port,
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        // The driver never closes connections; the length header determines the end of an answer.
        let (mut bytes, mut part) = (Vec::new(), [0; 65536]);
        while !is_whole(&bytes) {
            let count = stream.read(&mut part).unwrap();
            assert!(count > 0, "{method} {path}: the driver hung up");
            bytes.extend(&part[..count]);
        }
        let answer = super::parse(&bytes).json()["value"].clone();
        assert!(answer.get("error").is_none(), "{method} {path}: {}", answer["message"]);
        answer
    }

    pub fn go(&self, address: &str) {
        self.call("POST", "{session}/url", &json!({ "url": address }));
    }

    /// Returns the value of a script.
    pub fn run(&self, script: &str) -> Value {
        self.call("POST", "{session}/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Waits until an expression is true.
    pub fn wait(&self, expression: &str) {
        let started = Instant::now();
        while self.run(&format!("return Boolean({expression})")) != json!(true) {
            let status =
                self.run("return [...document.querySelectorAll('.status')].map((s) => s.textContent).join(' | ')");
            assert!(started.elapsed() < PATIENCE, "never true: {expression}; the page says {status}; {}", self.log());
            thread::sleep(Duration::from_millis(30));
        }
    }

    /// Opens the controls, which on a phone are a closed sheet at the lower edge.
    pub fn open_controls(&self) {
        self.run("document.querySelector('.panel:not([hidden]) .controls:not(.open) .sheet')?.click()");
    }

    /// Sets the languages that the browser asks for, for the pages that are opened from now on.
    pub fn ask_for_language(&self, languages: &str) {
        let agent = self.run("return navigator.userAgent");
        let command = json!({ "cmd": "Emulation.setUserAgentOverride", "params": { "userAgent": agent, "acceptLanguage": languages } });
        self.call("POST", "{session}/goog/cdp/execute", &command);
    }

    fn find(&self, selector: &str) -> String {
        let found = self.call("POST", "{session}/element", &json!({ "using": "css selector", "value": selector }));
        found[ELEMENT].as_str().expect("an element").to_owned()
    }

    pub fn click(&self, selector: &str) {
        let element = self.find(selector);
        self.call("POST", &format!("{{session}}/element/{element}/click"), &json!({}));
    }

    pub fn keys(&self, selector: &str, text: &str) {
        let element = self.find(selector);
        self.call("POST", &format!("{{session}}/element/{element}/value"), &json!({ "text": text }));
    }

    /// Presses at the first point, given as shares of an element's size, moves through the others, and lets go.
    pub fn drag(&self, selector: &str, points: &[(f64, f64)], kind: &str) {
        let script = format!("document.querySelector('{selector}').scrollIntoView({{ block: 'center' }});
            const b = document.querySelector('{selector}').getBoundingClientRect(); return [b.left, b.top, b.width, b.height]");
        let area = self.run(&script);
        let of = |at: usize| area[at].as_f64().unwrap();
        let moved = |&(x, y): &(f64, f64)| {
            let (x, y) = ((of(0) + x * of(2)).round(), (of(1) + y * of(3)).round());
            json!({ "type": "pointerMove", "duration": 30, "x": x, "y": y })
        };
        let mut actions = vec![moved(&points[0]), json!({ "type": "pointerDown", "button": 0 })];
        actions.extend(points[1..].iter().map(moved));
        actions.push(json!({ "type": "pointerUp", "button": 0 }));
        let pointer =
            json!({ "type": "pointer", "id": kind, "parameters": { "pointerType": kind }, "actions": actions });
        self.call("POST", "{session}/actions", &json!({ "actions": [pointer] }));
    }

    /// Writes a screenshot to target/studio-screenshots.
    pub fn shot(&self, name: &str) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/studio-screenshots");
        fs::create_dir_all(&folder).unwrap();
        let picture = self.call("GET", "{session}/screenshot", &Value::Null);
        let bytes = BASE64_STANDARD.decode(picture.as_str().expect("a picture")).unwrap();
        fs::write(folder.join(format!("{}-{name}.png", self.name)), bytes).unwrap();
    }

    /// Returns a screenshot of an element.
    pub fn part(&self, selector: &str) -> image::RgbImage {
        let element = self.find(selector);
        let picture = self.call("GET", &format!("{{session}}/element/{element}/screenshot"), &Value::Null);
        let bytes = BASE64_STANDARD.decode(picture.as_str().expect("a picture")).unwrap();
        image::load_from_memory(&bytes).unwrap().to_rgb8()
    }

    /// Emulates `prefers-reduced-motion`.
    pub fn reduce_motion(&self) {
        let features = json!([{ "name": "prefers-reduced-motion", "value": "reduce" }]);
        let command = json!({ "cmd": "Emulation.setEmulatedMedia", "params": { "features": features } });
        self.call("POST", "{session}/goog/cdp/execute", &command);
    }

    /// Returns the errors and warnings in the console.
    pub fn log(&self) -> String {
        let entries = self.call("POST", "{session}/se/log", &json!({ "type": "browser" }));
        // Without a graphics card, the driver warns that reading pictures is slow.
        let severe = |entry: &&Value| {
            let of_driver = entry["message"].as_str().is_some_and(|text| text.contains("GPU stall"));
            !of_driver && ["SEVERE", "WARNING"].iter().any(|level| entry["level"] == *level)
        };
        let entries = entries.as_array().cloned().unwrap_or_default();
        entries.iter().filter(severe).map(|entry| entry["message"].to_string()).collect::<Vec<_>>().join("\n")
    }
}

/// Returns true if an answer is complete.
fn is_whole(bytes: &[u8]) -> bool {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    bytes.len() >= end + 4 + length.unwrap_or(0)
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver closes its browser only on request, not when it is killed. This must not panic, because a test may be
        // panicking already.
        let ask = || -> std::io::Result<()> {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
            stream.set_read_timeout(Some(Duration::from_secs(10)))?;
            stream.write_all(b"GET /shutdown HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n")?;
            stream.read(&mut [0; 1024]).map(drop)
        };
        let ended = |driver: &mut Child| matches!(driver.try_wait(), Ok(Some(_)));
        let _ = ask();
        let asked = Instant::now();
        while !ended(&mut self.driver) && asked.elapsed() < Duration::from_secs(5) {
            thread::sleep(Duration::from_millis(20));
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
