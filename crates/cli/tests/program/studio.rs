//! `pfgm studio` and related features.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Command, Stdio},
};

use crate::support::{SMALL, refuses, succeeds, temporary};

#[test]
fn the_studio_says_where_it_is_answers_and_ends() {
    let folder = temporary();
    let mut studio = Command::new(env!("CARGO_BIN_EXE_pfgm"))
        .current_dir(folder.path())
        .args(["studio", "--port", "0", "--no-open"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(studio.stdout.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    let address = line.split("http://").nth(1).and_then(|rest| rest.split('/').next()).expect("an address").to_owned();
    let ask = |start: &str, body: &str| {
        let mut stream = TcpStream::connect(&address).unwrap();
        let header = format!("host: {address}\r\nconnection: close\r\ncontent-type: application/json");
        write!(stream, "{start} HTTP/1.1\r\n{header}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let answer = ask("GET /healthz", "");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("ok\n"), "{answer}");
    // The program accepts the command lines of answers, with and without a temperature.
    for (scale, command) in [("", "sample"), (", \"scale\": 0.8", "temperature")] {
        let request = format!(
            "{{\"run\": \"digits\", \"seeds\": [3, 4], \"class\": \"7\", \"solving\": {{\"solver\": \"euler\", \"steps\": 2}}{scale}}}"
        );
        let answer = ask("POST /api/v1/sample", &request);
        let line = answer.split("\"command\":\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a command");
        let words: Vec<&str> = line.split(' ').skip(1).collect();
        assert_eq!(words[0], command, "{line}");
        succeeds(folder.path(), &[&words[..], &["-o", "x.png"]].concat());
    }
    let killed = Command::new("kill").arg(studio.id().to_string()).status();
    let asked = killed.is_ok_and(|status| status.success());
    if !asked {
        studio.kill().unwrap();
    }
    let code = studio.wait().unwrap().code();
    assert!(!asked || code == Some(0), "{code:?}");
}

#[test]
fn the_studio_refuses_what_cannot_be() {
    let folder = temporary();
    let here = folder.path();
    refuses(here, &["studio", "--no-open", "--host", "0.0.0.0"], &["--host 0.0.0.0", "add --token"]);
    refuses(here, &["studio", "--no-open", "--token", "short"], &["--token: give at least 8"]);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    refuses(here, &["studio", "--no-open", "--port", &port], &[&port, "choose another --port"]);
}

#[test]
fn digits_come_along() {
    let folder = temporary();
    let said = succeeds(folder.path(), &["sample", "digits", "-n", "4", "--steps", "3", "-o", "four.png"]);
    assert!(said.starts_with("4 samples, 5.0 evaluations each"), "{said}");
    assert!(fs::metadata(folder.path().join("four.png")).unwrap().len() > 200);
}

#[test]
fn tensorboard_gets_a_file() {
    let folder = temporary();
    let train =
        ["train", "digits", "--tensorboard", "--out", "run", "--set", "train.steps=4", "--set", "train.log_every=1"];
    succeeds(folder.path(), &[&train[..], &SMALL].concat());
    let files = fs::read_dir(folder.path().join("run")).unwrap().map(|entry| entry.unwrap().path());
    let events: Vec<_> = files.filter(|path| path.to_string_lossy().contains("events.out.tfevents.")).collect();
    assert_eq!(events.len(), 1);
    let bytes = fs::read(&events[0]).unwrap();
    for tag in ["brain.Event:2", "loss", "held_out_loss", "images_per_second"] {
        assert!(bytes.windows(tag.len()).any(|window| window == tag.as_bytes()), "{tag}");
    }
}
