//! The program under `mpirun`: `cargo test -p pfgm-cli --features mpi --test mpi`. Needs Open MPI.
#![allow(missing_docs)]

use std::{
    fs,
    path::Path,
    process::{Child, Command, Output, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use safetensors::SafeTensors;
use serde_json::Value;
use tempfile::TempDir;

/// A network small enough to train in a moment.
const SMALL: &[&str] = &[
    "--set",
    "network.width=8",
    "--set",
    "train.batch=16",
    "--set",
    "train.warmup=1",
    "--set",
    "train.cooldown=0",
    "--set",
    "train.log_every=1",
    "--set",
    "data.hold_out=20",
];

/// PFGM's objective: every rank needs the field of the whole batch and of the other charges.
const FIELD: &[&str] =
    &["--set", "flow.extra_dims=1", "--set", "objective.kind=pfgm", "--set", "objective.field_batch=64"];

fn pfgm(folder: &Path, arguments: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_pfgm")).current_dir(folder).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", said(&output));
    output
}

/// Returns an `mpirun` command with this many ranks, which may exceed the number of processors, also as root in a container.
fn mpirun(folder: &Path) -> Command {
    let mut command = Command::new("mpirun");
    command
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .env("OMPI_ALLOW_RUN_AS_ROOT", "1")
        .env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
        .env("OMPI_MCA_rmaps_base_oversubscribe", "1")
        .env("OMPI_MCA_btl_vader_single_copy_mechanism", "none");
    command
}

fn ranks(folder: &Path, count: usize, arguments: &[&str]) -> Command {
    let mut command = mpirun(folder);
    command.args(["-n", &count.to_string(), env!("CARGO_BIN_EXE_pfgm")]).args(arguments).arg("--distributed");
    command
}

fn succeeds(folder: &Path, count: usize, arguments: &[&str]) -> String {
    let output = ranks(folder, count, arguments).output().expect("mpirun: install Open MPI");
    assert!(output.status.success(), "{arguments:?}: {}", said(&output));
    said(&output)
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn train<'a>(run: &'a str, steps: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["train", "digits", "--out", run, "--set", steps], SMALL, more].concat()
}

fn log(run: &Path) -> Vec<Value> {
    let text = fs::read_to_string(run.join("log.jsonl")).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Returns the largest difference between the weights, averages and moments of two checkpoints.
fn apart(a: &Path, b: &Path) -> f32 {
    let (a, b) = (fs::read(a).unwrap(), fs::read(b).unwrap());
    let (a, b) = (SafeTensors::deserialize(&a).unwrap(), SafeTensors::deserialize(&b).unwrap());
    assert_eq!(a.len(), b.len());
    let floats = |bytes: &[u8]| -> Vec<f32> {
        bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
    };
    let pairs =
        a.tensors().into_iter().map(|(name, view)| (floats(view.data()), floats(b.tensor(&name).unwrap().data())));
    let pairs = pairs.flat_map(|(a, b)| a.into_iter().zip(b).collect::<Vec<_>>());
    pairs.fold(0.0, |most, (a, b)| most.max((a - b).abs()))
}

fn checkpoint(run: &Path, step: u32) -> std::path::PathBuf {
    run.join(format!("checkpoints/step-{step:08}.safetensors"))
}

#[test]
fn ranks_train_as_one_process_does() {
    let dir = TempDir::new().unwrap();
    for (name, objective) in [("pfgmpp", &[][..]), ("field", FIELD)] {
        let alone = format!("{name}-1");
        pfgm(dir.path(), &train(&alone, "train.steps=20", objective));
        for count in [2, 4] {
            let run = format!("{name}-{count}");
            let said = succeeds(dir.path(), count, &train(&run, "train.steps=20", objective));
            assert_eq!(said.matches("trained after 20 of 20 steps").count(), 1, "one rank speaks: {said}");
            assert!(said.contains(&format!("training digits with {count} ranks")), "{said}");
            let (one, many) = (log(&dir.path().join(&alone)), log(&dir.path().join(&run)));
            assert_eq!((one.len(), many.len()), (20, 20));
            for (one, many) in one.iter().zip(&many) {
                for key in ["loss", "gradient_norm"] {
                    let (one, many) = (one[key].as_f64().unwrap(), many[key].as_f64().unwrap());
                    assert!((one - many).abs() < 1e-4 * one, "{run}: {key} {many} against {one}");
                }
            }
            let held_out = |log: &[Value]| log.last().unwrap()["held_out_loss"].as_f64().unwrap();
            assert!((held_out(&one) - held_out(&many)).abs() < 1e-4 * held_out(&one));
            let apart = apart(&checkpoint(&dir.path().join(&alone), 20), &checkpoint(&dir.path().join(&run), 20));
            // The learning rate is 2e-3, so a weight may have changed by 0.04: the bound is 2e-4 of it, as in crates/pfgm/tests/ranks.rs.
            assert!(apart < 8e-6, "{run}: weights are {apart} apart");
            assert!(dir.path().join(&run).join("samples.png").exists());
        }
    }
}

#[test]
fn ranks_sample_and_measure_as_one_process_does() {
    let dir = TempDir::new().unwrap();
    pfgm(dir.path(), &train("run", "train.steps=30", &[]));
    let same = |arguments: &[&str], file: &str, options: &[&str]| {
        let named = |name: &str| -> Vec<String> {
            let own = format!("{name}-{file}");
            let picture: &[&str] = if arguments[0] == "evaluate" { &[] } else { &["-o", "out.png"] };
            [arguments, options, &[&own], picture].concat().into_iter().map(String::from).collect()
        };
        let run = |arguments: &[String]| arguments.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
        let (alone, many) = (named("one"), named("many"));
        pfgm(dir.path(), &alone.iter().map(String::as_str).collect::<Vec<_>>());
        for count in [2, 3] {
            succeeds(dir.path(), count, &many.iter().map(String::as_str).collect::<Vec<_>>());
            let read = |name: &str| fs::read(dir.path().join(format!("{name}-{file}"))).unwrap();
            assert!(read("one") == read("many"), "{count} ranks: {}", run(&many));
        }
    };
    same(&["sample", "run", "--seeds", "3-40", "--batch", "16"], "heun.npz", &["--npz"]);
    same(&["sample", "run", "-n", "9", "--solver", "rk45", "--class", "4"], "rk45.csv", &["--csv"]);
    let released = ["sample", "run", "-n", "2", "--solver", "euler", "--steps", "5"];
    same(&released, "euler.csv", &["--csv"]);
    let rows = ["likelihood", "run", "--data", "digits", "-n", "5", "--trace", "rademacher", "--draws", "2"];
    same(&rows, "likelihood.csv", &["--csv"]);
    same(&["evaluate", "run", "-n", "61", "--steps", "4", "--seed", "7"], "run.json", &["--json"]);
    let images = ["evaluate", "digits", "--data", "digits", "-n", "100", "--reference-rows", "301"];
    same(&images, "images.json", &["--json"]);
}

/// Starts a training that runs until it is stopped, and waits for some lines of its log.
fn endless(folder: &Path, run: &str, lines: usize) -> Child {
    let every = ["--set", "train.checkpoint_every=10"];
    let child = ranks(folder, 2, &train(run, "train.steps=1000000", &every)).spawn().unwrap();
    let started = Instant::now();
    while log(&folder.join(run)).len() < lines {
        assert!(started.elapsed() < Duration::from_secs(120), "training never started");
        sleep(Duration::from_millis(50));
    }
    child
}

fn signal(name: &str, process: &str) {
    assert!(Command::new("kill").args(["-s", name, process]).status().unwrap().success());
}

/// Waits for the end of a job, which must be soon.
fn end_of(mut child: Child) -> Output {
    let started = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if started.elapsed() > Duration::from_secs(30) {
            child.kill().unwrap();
            panic!("the job hangs");
        }
        sleep(Duration::from_millis(50));
    }
    child.wait_with_output().unwrap()
}

#[test]
fn a_killed_rank_ends_the_job_and_others_go_on() {
    let dir = TempDir::new().unwrap();
    let job = endless(dir.path(), "run", 15);
    let children = Command::new("pgrep").args(["-P", &job.id().to_string()]).output().unwrap();
    let children = String::from_utf8(children.stdout).unwrap();
    signal("KILL", children.lines().last().expect("mpirun has children"));
    let output = end_of(job);
    assert!(!output.status.success());
    assert!(said(&output).contains("signal 9"), "{}", said(&output));
    // From the last checkpoint, with another number of ranks.
    let saved = fs::read_dir(dir.path().join("run/checkpoints")).unwrap().flatten();
    let names = saved.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let last = names.filter(|name| name.starts_with("step-")).max().unwrap();
    let last: u64 = last.trim_start_matches("step-").trim_end_matches(".safetensors").parse().unwrap();
    let steps = format!("train.steps={}", last + 5);
    let said = succeeds(dir.path(), 3, &["train", "run", "--resume", "--set", &steps]);
    assert!(said.contains(&format!("resuming run at step {last}")) && said.contains("trained after"), "{said}");
    assert_eq!(log(&dir.path().join("run")).last().unwrap()["step"], last + 5);
}

#[test]
fn a_rank_that_hangs_ends_the_job_and_is_named() {
    let dir = TempDir::new().unwrap();
    for hung in [0, 1] {
        let run = format!("run-{hung}");
        let more = ["--set", "train.checkpoint_every=10", "--rank-timeout", "3"];
        let job = ranks(dir.path(), 2, &train(&run, "train.steps=1000000", &more)).spawn().unwrap();
        let started = Instant::now();
        while log(&dir.path().join(&run)).len() < 15 {
            assert!(started.elapsed() < Duration::from_secs(120), "training never started");
            sleep(Duration::from_millis(50));
        }
        let children = Command::new("pgrep").args(["-P", &job.id().to_string()]).output().unwrap();
        let mut children: Vec<u32> =
            String::from_utf8(children.stdout).unwrap().lines().map(|line| line.parse().unwrap()).collect();
        children.sort_unstable();
        signal("STOP", &children[hung].to_string());
        let output = end_of(job);
        assert!(!output.status.success());
        let said = said(&output);
        assert!(
            said.contains(&format!("error: rank {hung} on ")) && said.contains("no sign of life"),
            "{hung}: {said}"
        );
        assert!(said.contains("--rank-timeout 3"), "{said}");
    }
}

#[test]
fn a_stopped_job_saves_first() {
    let dir = TempDir::new().unwrap();
    // The signal that mpirun forwards at once, and the one with which it ends a job.
    for name in ["USR1", "TERM"] {
        let job = endless(dir.path(), name, 3);
        signal(name, &job.id().to_string());
        let output = end_of(job);
        let said = said(&output);
        assert!(said.contains("stopped after") && said.contains("--resume"), "{name}: {said}");
        let logged = log(&dir.path().join(name)).last().unwrap()["step"].as_u64().unwrap();
        assert!(checkpoint(&dir.path().join(name), logged as u32).exists(), "{name}: {said}");
    }
}

#[test]
fn what_goes_wrong_is_said_in_one_line() {
    let dir = TempDir::new().unwrap();
    let problem = |output: Output| {
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        let lines: Vec<String> = said(&output).lines().filter(|l| l.starts_with("error: ")).map(String::from).collect();
        assert_eq!(lines.len(), 1, "{}", said(&output));
        lines[0].clone()
    };
    let pfgm = env!("CARGO_BIN_EXE_pfgm");
    let other = ["-n", "1", pfgm, "train", "digits", "--distributed", "--out", "run"];
    let more = [&other[..], &[":"], &other[..], &["--set", "train.lr=0.5"]].concat();
    let line = problem(mpirun(dir.path()).args(more).output().unwrap());
    assert!(line.contains("rank 1 has another configuration than rank 0"), "{line}");
    let line = problem(ranks(dir.path(), 3, &["train", "digits", "--set", "train.batch=2"]).output().unwrap());
    assert!(line.contains("train.batch = 2 for 3 ranks"), "{line}");
    let line = problem(ranks(dir.path(), 2, &["sample", "no-such-run"]).output().unwrap());
    assert!(line.contains("no-such-run: no such run"), "{line}");
    assert!(!dir.path().join("run").exists(), "nothing is left behind");
}
