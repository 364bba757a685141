//! Training, sampling, importing, and their errors.

use std::{
    fs,
    process::{Command, Stdio},
    time::Duration,
};

use crate::support::{SMALL, fails, pfgm, png_size, refuses, succeeds, temporary, train};

#[test]
fn trains_samples_and_resumes() {
    let dir = temporary();
    let at = |name: &str| dir.path().join(name);
    let said = train(dir.path(), "digits", 4, "run", &[]);
    assert!(said.contains("trained after 4 of 4 steps") && said.contains("sample run"), "{said}");
    // Eight rows of ten classes, enlarged six times, two pixels apart, below a line of captions.
    assert_eq!(png_size(&at("run/samples.png")), (10 * 66 + 2, 22 + 8 * 66 + 2));
    let checkpoints: Vec<_> = fs::read_dir(at("run/checkpoints")).unwrap().collect();
    assert_eq!(checkpoints.len(), 2);
    let log = fs::read_to_string(at("run/log.jsonl")).unwrap();
    assert!(log.lines().last().unwrap().contains("held_out_loss"), "{log}");

    let said = succeeds(
        dir.path(),
        &[
            "sample",
            "run",
            "--seeds",
            "3,7-8",
            "--steps",
            "3",
            "--npz",
            "out/x.npz",
            "--images",
            "out/images",
            "-o",
            "out/x.png",
        ],
    );
    assert!(said.contains("3 samples, 5.0 evaluations each"), "{said}");
    assert!(at("out/images/000007.png").exists() && at("out/x.npz").exists());
    let said = succeeds(dir.path(), &["data", "out/x.npz", "-o", "out/sheet.png"]);
    assert!(said.contains("rows       3") && said.contains("8 high, 8 wide"), "{said}");

    // A sample depends only on its seed, not on the other samples.
    let image = |arguments: &[&str]| {
        succeeds(
            dir.path(),
            &[&["sample", "run", "--class", "4", "--images", "one", "-o", "one.png"], arguments].concat(),
        );
        let bytes = fs::read(at("one/000005.png")).unwrap();
        fs::remove_dir_all(at("one")).unwrap();
        bytes
    };
    assert_eq!(image(&["--seeds", "5"]), image(&["-n", "9", "--batch", "4", "--threads", "1"]));

    // An interrupted and resumed run ends like an uninterrupted one.
    train(dir.path(), "digits", 2, "parts", &[]);
    let said = succeeds(dir.path(), &["train", "parts", "--resume", "--set", "train.steps=4"]);
    assert!(said.contains("resuming parts at step 2"), "{said}");
    let last = |run: &str| fs::read(at(run).join("checkpoints/step-00000004.safetensors")).unwrap();
    assert!(last("run") == last("parts"), "the checkpoints differ");
}

#[test]
fn images_between_the_layers_may_be_bf16() {
    let dir = temporary();
    let said = train(dir.path(), "digits", 2, "half", &["--set", "train.precision=bf16"]);
    assert!(said.contains("trained after 2 of 2 steps"), "{said}");
    let draw = |out: &str, more: &[&str]| {
        succeeds(dir.path(), &[&["sample", "half", "-n", "4", "--steps", "3", "--npz", out], more].concat());
        fs::read(dir.path().join(out)).unwrap()
    };
    let single = draw("single.npz", &[]);
    assert!(single == draw("again.npz", &["--precision", "f32"]), "samples are in single precision unless asked for");
    assert!(single != draw("half.npz", &["--precision", "bf16"]), "and in bf16 if asked for");
    // The memory estimate is smaller; without images it is an error before anything is written.
    let need = |precision: &str| {
        let precision = format!("train.precision={precision}");
        let said = succeeds(dir.path(), &["train", "digits", "--dry-run", "--set", &precision]);
        let about = said.lines().find_map(|line| line.strip_prefix("# about ")).unwrap().to_owned();
        about.split(' ').next().unwrap().parse::<u32>().unwrap()
    };
    assert!(need("bf16") < need("f32"));
    let arguments = ["train", "heart", "--out", "heart", "--set", "train.precision=bf16"];
    refuses(dir.path(), &arguments, &["train.precision", "network.kind", "f32"]);
    assert!(!dir.path().join("heart").exists());
    let exact = ["sample", "--exact", "heart", "--precision", "bf16"];
    refuses(dir.path(), &exact, &["--precision", "--run"]);
    refuses(dir.path(), &["evaluate", "digits", "--data", "digits", "--precision", "bf16"], &["digits", "--precision"]);
    let output = pfgm(dir.path(), &["sample", "half", "--precision", "bf8"]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.code() == Some(2) && error.contains("--precision") && error.contains("f32 or bf16"),
        "{error}"
    );
}

#[cfg(unix)]
#[test]
fn a_stopped_training_saves_first() {
    let dir = temporary();
    for signal in ["TERM", "INT"] {
        let run = format!("run-{signal}");
        let mut arguments = vec!["train", "digits", "--out", &run, "--set", "train.steps=100000"];
        arguments.extend(SMALL);
        arguments.extend(["--set", "train.checkpoint_every=100000"]);
        let child = Command::new(env!("CARGO_BIN_EXE_pfgm"))
            .current_dir(dir.path())
            .args(&arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let log = dir.path().join(&run).join("log.jsonl");
        let started = std::time::Instant::now();
        while fs::read_to_string(&log).unwrap_or_default().is_empty() {
            assert!(started.elapsed() < Duration::from_secs(120), "training never started");
            std::thread::sleep(Duration::from_millis(50));
        }
        let id = child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &id]).status().unwrap().success());
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("stopped after") && said.contains("--resume"), "{said}");
        assert_eq!(fs::read_dir(dir.path().join(&run).join("checkpoints")).unwrap().count(), 1);
    }
}

#[test]
fn a_table_is_learned_and_written_in_its_own_units() {
    let dir = temporary();
    let rows: String = (0..64).map(|i| format!("{},{},7\n", 100 + i % 10, f64::from(i % 7) * 0.01)).collect();
    fs::write(dir.path().join("t.csv"), format!("a,b,c\n{rows}")).unwrap();
    let said = succeeds(dir.path(), &["data", "t.csv", "-o", "t.png"]);
    assert!(said.contains("a: ordinal of 10") && said.contains("b: positive, 0 to 0.06"), "{said}");
    let mut arguments =
        vec!["train", "wine", "--data", "t.csv", "--label", "c", "--out", "r", "--set", "train.steps=3"];
    arguments.extend(SMALL);
    succeeds(dir.path(), &arguments);
    succeeds(dir.path(), &["sample", "r", "-n", "20", "--csv", "s.csv"]);
    let table = fs::read_to_string(dir.path().join("s.csv")).unwrap();
    assert_eq!(table.lines().next(), Some("a,b"));
    let first: Vec<f64> = table.lines().skip(1).map(|line| line.split(',').next().unwrap().parse().unwrap()).collect();
    assert_eq!(first.len(), 20);
    assert!(first.iter().all(|value| (50.0..150.0).contains(value)), "{first:?}");
}

#[test]
fn says_what_it_would_do() {
    let dir = temporary();
    let said = succeeds(dir.path(), &["train", "digits", "--dry-run", "--set", "flow.extra_dims=inf"]);
    for part in ["extra_dims = \"inf\"", "sigma_data = ", "weights", "MB"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "a dry run writes nothing");
    let said = succeeds(dir.path(), &["calibrate", "--data", "digits"]);
    assert!(said.contains("z_max") && said.contains("upper_norm"), "{said}");
    let preset = succeeds(dir.path(), &["presets", "heart"]);
    fs::write(dir.path().join("mine.toml"), preset).unwrap();
    succeeds(dir.path(), &["train", "mine.toml", "--dry-run"]);
}

#[test]
fn every_preset_is_a_valid_configuration() {
    let dir = temporary();
    for line in succeeds(dir.path(), &["presets"]).lines().take_while(|line| !line.is_empty()) {
        let name = line.split_whitespace().next().unwrap();
        let pfgm = pfgm(dir.path(), &["train", name, "--dry-run"]);
        let error = String::from_utf8_lossy(&pfgm.stderr).into_owned();
        // Presets with built-in data run; the others only report the missing file.
        let runs = pfgm.status.success();
        assert!(runs || error.contains("no such file or folder"), "{name}: {error}");
    }
}

#[test]
fn bench_reports_what_it_measured() {
    let dir = temporary();
    let report = |arguments: &[&str]| -> serde_json::Value {
        serde_json::from_str(&succeeds(dir.path(), &[&["bench", "--rounds", "2"], arguments].concat())).unwrap()
    };
    // 35.5 GFLOP for a batch of 32.
    let resunet = report(&["--network", "resunet", "--batch", "1", "--task", "inference"]);
    assert_eq!(resunet["tasks"]["inference"]["gflop"], 1.11);
    assert!(resunet["tasks"]["training"].is_null());
    let flow = report(&["digits", "--batch", "4", "--set", "network.width=8", "--shape", "8x12x3"]);
    for task in ["inference", "training"] {
        let task = &flow["tasks"][task];
        let number = |key: &str| task[key].as_f64().unwrap();
        assert!(number("min_ms") > 0.0 && number("min_ms") <= number("median_ms"), "{task}");
        assert!(number("median_ms") <= number("max_ms") && number("gflops") > 0.0, "{task}");
        assert_eq!(task["samples_ms"].as_array().unwrap().len(), 2);
    }
    train(dir.path(), "digits", 2, "run", &[]);
    assert_eq!(report(&["run", "--batch", "2"])["network"], "run");
    let probe: serde_json::Value = serde_json::from_str(&succeeds(dir.path(), &["bench", "--probe"])).unwrap();
    assert!(probe["peak_gflops"].as_f64() > Some(0.0) && probe["bandwidth_gbs"].as_f64() > Some(0.0), "{probe}");
}

#[test]
fn every_kind_of_vector_instructions_trains_alike() {
    let dir = temporary();
    let losses = |vectors: &[&str], out: &str| -> Vec<f64> {
        train(dir.path(), "digits", 6, out, &[&["--set", "train.log_every=1"], vectors].concat());
        let log = fs::read_to_string(dir.path().join(out).join("log.jsonl")).unwrap();
        let line = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["loss"].as_f64().unwrap();
        log.lines().map(line).collect()
    };
    let portable = losses(&["--vectors", "portable"], "portable");
    let best = losses(&[], "best");
    assert_eq!(portable.len(), 6);
    for (a, b) in portable.iter().zip(&best) {
        assert!((a - b).abs() < 1e-3 * a, "{portable:?} and {best:?}");
    }
}

#[test]
fn bad_input_is_one_clear_line() {
    let dir = temporary();
    let here = dir.path();
    let at = |name: &str| here.join(name);
    let expect = |arguments: &[&str], parts: &[&str]| {
        let error = fails(here, arguments);
        for part in parts {
            assert!(error.contains(part), "{arguments:?} should say {part}: {error}");
        }
    };
    expect(&["train", "digts"], &["digts", "did you mean `digits`"]);
    expect(&["train", "digits", "--set", "train.bach=3"], &["bach", "did you mean `batch`"]);
    expect(&["train", "digits", "--set", "network.widht=3"], &["widht", "did you mean `width`"]);
    expect(&["train", "digits", "--set", "network.kind=resnet"], &["resnet", "unet"]);
    expect(&["train", "digits", "--set", "train.batch=many"], &["train.batch"]);
    expect(&["train", "digits", "--set", "train.batch=0"], &["train.batch = 0"]);
    expect(&["train", "digits", "--set", "train.batch"], &["KEY=VALUE"]);
    expect(&["train", "digits", "--set", "flow.extra_dims=-1"], &["extra_dims"]);
    expect(&["train", "digits", "--set", "flow.detail_rms=-1"], &["flow.detail_rms = -1", "not negative"]);
    expect(&["train", "digits", "--set", "network.multipliers=[1,1,1,1,1]"], &["by 16", "8x8x1"]);
    expect(&["train", "digits", "--data", "nowhere"], &["nowhere", "no such file"]);
    expect(&["train", "digits", "--data", "heart"], &["data.conditional"]);
    expect(&["train", "heart", "--set", "objective.field_batch=5000"], &["objective.field_batch = 5000", "2000"]);
    expect(&["train", "heart", "--set", "objective.field_batch=10"], &["objective.field_batch = 10", "256"]);
    expect(&["train", "digits", "--set", "objective.reference=5000"], &["objective.reference = 5000", "1500"]);
    expect(&["train", "digits", "--set", "objective.reference=5"], &["objective.reference = 5", "128"]);
    expect(&["train", "digits", "--set", "data.hold_out=2000"], &["data.hold_out = 2000", "1797"]);
    expect(&["train", "digits", "--device", "tpu"], &["tpu", "cpu"]);
    expect(&["train", "digits", "--device", "cuda"], &["cuda"]);
    expect(&["sample", "nowhere"], &["nowhere", "pfgm train"]);
    expect(&["calibrate", "--data", "digits", "--s", "0"], &["--s 0"]);
    expect(&["presets", "digits", "--vectors", "mmx"], &["--vectors mmx", "portable"]);
    expect(&["bench"], &["--network resunet"]);
    expect(&["bench", "digits", "--network", "resunet"], &["--network"]);
    expect(&["bench", "digits", "--rounds", "0"], &["--rounds 0"]);
    expect(&["bench", "digits", "--shape", "8x8"], &["--shape 8x8", "28x28x1"]);
    expect(&["bench", "nowhere"], &["nowhere"]);
    expect(&["presets", "herat"], &["did you mean `heart`"]);
    assert_eq!(fs::read_dir(here).unwrap().count(), 0, "failures leave nothing behind");

    fs::write(at("broken.toml"), "[train\nbatch = 3").unwrap();
    expect(&["train", "broken.toml"], &["broken.toml"]);
    fs::write(at("deep.toml"), format!("a = {}", "[".repeat(1 << 19))).unwrap();
    let error = fails(here, &["train", "deep.toml"]);
    assert!(error.starts_with("error: deep.toml: ") && error.len() < 1000, "{} bytes", error.len());
    fs::write(at("large.toml"), "#".repeat(2 << 20)).unwrap();
    expect(&["train", "large.toml"], &["large.toml", "1 MB"]);
    expect(&["compare", "large.toml"], &["large.toml", "1 MB"]);
    train(here, "digits", 2, "run", &[]);
    expect(&["train", "digits", "--out", "run"], &["run", "not empty", "--resume"]);
    expect(&["train", "run"], &["--resume"]);
    expect(&["train", "run", "--resume", "--set", "network.width=16"], &["another configuration", "network.width"]);
    expect(&["sample", "run", "--class", "ten"], &["--class", "ten", "0, 1, 2"]);
    expect(&["sample", "run", "--seeds", "9-3"], &["--seeds 9-3"]);
    expect(&["sample", "run", "--steps", "0"], &["--steps 0"]);

    // A truncated checkpoint, a file that is not a checkpoint, and a checkpoint of another network.
    let whole = at("run/checkpoints/step-00000002.safetensors");
    let bytes = fs::read(&whole).unwrap();
    fs::write(at("cut.safetensors"), &bytes[..bytes.len() / 2]).unwrap();
    expect(&["sample", "cut.safetensors"], &["cut.safetensors", "truncated"]);
    fs::write(at("junk.safetensors"), b"not a checkpoint").unwrap();
    expect(&["sample", "junk.safetensors"], &["junk.safetensors"]);
    let text = String::from_utf8_lossy(&bytes[8..]).into_owned();
    assert!(text.contains("\\\"width\\\":8"));
    let mut other = bytes.clone();
    let place = bytes.windows(11).position(|window| window == b"\\\"width\\\":8").unwrap();
    other[place + 10] = b'4';
    fs::write(at("other.safetensors"), other).unwrap();
    expect(&["sample", "other.safetensors"], &["other.safetensors", "another configuration"]);
    assert_eq!(fs::read(&whole).unwrap(), bytes, "nothing was overwritten");
}

#[test]
fn a_run_that_was_killed_before_its_first_checkpoint_begins_again() {
    let dir = temporary();
    let at = |name: &str| dir.path().join(name);
    let arguments = |out: &'static str| [&["train", "digits", "--out", out][..], &SMALL].concat();
    let begin_and_kill = |out: &'static str| {
        let more = ["--set", "train.steps=1000000", "--set", "train.checkpoint_every=1000000"];
        let command = [&arguments(out)[..], &more].concat();
        let mut child = Command::new(env!("CARGO_BIN_EXE_pfgm"));
        let mut child = child.current_dir(dir.path()).args(&command).stdout(Stdio::null()).spawn().unwrap();
        while !at(out).join("checkpoints").exists() {
            std::thread::sleep(Duration::from_millis(20));
        }
        // One training per folder: another one is an error while this one runs.
        let error = fails(dir.path(), &["train", out, "--resume"]);
        assert!(error.contains(&format!("process {}", child.id())) && error.contains("writing to this run"), "{error}");
        child.kill().unwrap();
        child.wait().unwrap();
        command
    };
    // By --resume, as the scripts of docs/cluster.md do when the folder has `checkpoints`.
    begin_and_kill("resumed");
    let said = succeeds(dir.path(), &["train", "resumed", "--resume", "--set", "train.steps=2"]);
    assert!(said.contains("trained after 2 of 2 steps"), "{said}");
    // With the same command, but no other.
    begin_and_kill("again");
    let other = [&arguments("again")[..], &["--set", "train.lr=0.5"]].concat();
    refuses(dir.path(), &other, &["again", "another run", "--resume"]);
    let config = fs::read_to_string(at("again/config.toml")).unwrap();
    fs::write(at("again/config.toml"), config.replace("steps = 1000000", "steps = 2")).unwrap();
    let same =
        [&arguments("again")[..], &["--set", "train.steps=2", "--set", "train.checkpoint_every=1000000"]].concat();
    let said = succeeds(dir.path(), &same);
    assert!(said.contains("trained after 2 of 2 steps"), "{said}");
    assert!(!at("again/train.lock").exists() && !at("resumed/train.lock").exists());
}

#[test]
fn leftovers_of_killed_processes_are_removed_by_the_next_training() {
    let dir = temporary();
    train(dir.path(), "digits", 2, "run", &[]);
    let leftover = dir.path().join("run/checkpoints/.step-00000004.safetensors.4711.part");
    fs::write(&leftover, "half a checkpoint").unwrap();
    succeeds(dir.path(), &["sample", "run", "-n", "2", "--steps", "2", "-o", "x.png"]);
    assert!(leftover.exists(), "readers remove nothing");
    succeeds(dir.path(), &["train", "run", "--resume", "--set", "train.steps=4"]);
    assert!(!leftover.exists());
}
