//! The program as a person runs it: what it says, what it writes, and how it fails.
#![allow(missing_docs)]

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
    time::Duration,
};

use pfgm_data::npz::{Column, Named, write_npz};
use tempfile::TempDir;

/// A network small enough to train in a moment.
const SMALL: [&str; 12] = [
    "--set",
    "network.width=8",
    "--set",
    "train.batch=8",
    "--set",
    "train.warmup=1",
    "--set",
    "train.cooldown=0",
    "--set",
    "train.checkpoint_every=2",
    "--set",
    "data.hold_out=5",
];

fn pfgm(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pfgm")).current_dir(folder).args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn succeeds(folder: &Path, arguments: &[&str]) -> String {
    let output = pfgm(folder, arguments);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{arguments:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

/// One line on standard error, exit code 2.
fn fails(folder: &Path, arguments: &[&str]) -> String {
    let output = pfgm(folder, arguments);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
    assert!(error.starts_with("error: ") && error.trim_end().lines().count() == 1, "{arguments:?}: {error}");
    error
}

fn train(folder: &Path, steps: u32, out: &str, more: &[&str]) -> String {
    let steps = format!("train.steps={steps}");
    let mut arguments = vec!["train", "digits", "--out", out, "--set", &steps];
    arguments.extend(SMALL);
    arguments.extend(more);
    succeeds(folder, &arguments)
}

fn temporary() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn png_size(path: &Path) -> (u32, u32) {
    let bytes = fs::read(path).unwrap();
    assert!(bytes.starts_with(b"\x89PNG"), "{}", path.display());
    let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    (number(16), number(20))
}

#[test]
fn trains_samples_and_resumes() {
    let dir = temporary();
    let at = |name: &str| dir.path().join(name);
    let said = train(dir.path(), 4, "run", &[]);
    assert!(said.contains("trained after 4 of 4 steps") && said.contains("sample run"), "{said}");
    // Eight rounds of ten classes, six times enlarged, two pixels apart.
    assert_eq!(png_size(&at("run/samples.png")), (10 * 50 + 2, 8 * 50 + 2));
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

    // One seed gives one picture, whatever else is drawn.
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

    // A run that was stopped and resumed ends where an uninterrupted one does.
    train(dir.path(), 2, "parts", &[]);
    let said = succeeds(dir.path(), &["train", "parts", "--resume", "--set", "train.steps=4"]);
    assert!(said.contains("resuming parts at step 2"), "{said}");
    let last = |run: &str| fs::read(at(run).join("checkpoints/step-00000004.safetensors")).unwrap();
    assert!(last("run") == last("parts"), "the checkpoints differ");
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
    assert!(said.contains("a: mean 104.3"), "{said}");
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
    let said = succeeds(dir.path(), &["train", "digits", "--dry-run", "--set", "flow.augmentation=inf"]);
    for part in ["augmentation = \"inf\"", "sigma_data = ", "weights", "MB"] {
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
        // Those whose data come with the program run; the others say which file is missing, and nothing else.
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
    train(dir.path(), 2, "run", &[]);
    assert_eq!(report(&["run", "--batch", "2"])["network"], "run");
    let probe: serde_json::Value = serde_json::from_str(&succeeds(dir.path(), &["bench", "--probe"])).unwrap();
    assert!(probe["peak_gflops"].as_f64() > Some(0.0) && probe["bandwidth_gbs"].as_f64() > Some(0.0), "{probe}");
}

#[test]
fn every_kind_of_vector_instructions_trains_alike() {
    let dir = temporary();
    let losses = |vectors: &[&str], out: &str| -> Vec<f64> {
        train(dir.path(), 6, out, &[&["--set", "train.log_every=1"], vectors].concat());
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
fn a_published_checkpoint_becomes_a_run() {
    let dir = temporary();
    let here = dir.path();
    let parity = |name: &str| format!("{}/../pfgm/tests/parity/{name}", env!("CARGO_MANIFEST_DIR"));
    let said = succeeds(here, &["import", &parity("pfgmpp.pt"), "-o", "run", "--augmentation", "128"]);
    for part in ["images of 16x16x3", "D = 128", "step-00000777", "attention = [8]"] {
        assert!(said.contains(part), "{said}");
    }
    succeeds(here, &["sample", "run", "-n", "4", "--steps", "3", "--class", "2"]);
    assert!(png_size(&here.join("run/samples.png")).0 > 16);
    let said = succeeds(here, &["predict", "run", "--at", &parity("pfgmpp.npz"), "-o", "out.npz"]);
    assert!(said.contains("yhat of 3 points"), "{said}");
    // Any images will do as latents.
    let said = succeeds(here, &["decode", "run", "--latents", &parity("pfgmpp.npz"), "-o", "x.npz", "--steps", "3"]);
    assert!(said.contains("5.0 evaluations each"), "{said}");
    let said = succeeds(here, &["export", "run", "-o", "weights.safetensors"]);
    assert!(said.contains("averaged weights"), "{said}");
    let bytes = fs::read(here.join("weights.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(tensors.tensor("input.weight").unwrap().shape(), [3, 3, 3, 16]);

    let field = parity("pfgm_ddpmpp.pth");
    succeeds(here, &["import", &field, "-o", "field", "--size", "16x16"]);
    let said = succeeds(here, &["import", &field, "-o", "celeba", "--size", "16x16", "--like", "celeba64"]);
    assert!(said.contains("sigma_max = 60") && !said.contains("z from"), "{said}");
    let error = fails(here, &["import", &field, "-o", "other", "--size", "16x16", "--like", "digits"]);
    assert!(error.contains("--like"), "{error}");
    let released = ["sample", "field", "-n", "3", "--arithmetic", "reference", "--solver", "euler", "--steps", "4"];
    let said = succeeds(here, &released);
    assert!(said.contains("4.0 evaluations each") && said.contains("clipped to a norm of 3000"), "{said}");
    let error = fails(here, &["sample", "field", "--arithmetic", "reference", "--solver", "heun"]);
    assert!(error.contains("released samplers"), "{error}");
    let error = fails(here, &["sample", "run", "--arithmetic", "reference"]);
    assert!(error.contains("--arithmetic reference"), "{error}");

    let error = fails(here, &["export", "run", "-o", "x.safetensors", "--names", "pfgm"]);
    assert!(error.contains("score-unet"), "{error}");
    let error = fails(here, &["import", "nowhere.pth", "-o", "other"]);
    assert!(error.contains("nowhere.pth"), "{error}");
    let error = fails(here, &["import", &parity("pfgmpp.pt"), "-o", "run"]);
    assert!(error.contains("run") && error.contains("not empty"), "{error}");
    let error = fails(here, &["import", &parity("vp_ddpmpp.pth"), "-o", "other", "--size", "sixteen"]);
    assert!(error.contains("--size sixteen"), "{error}");
    let error = fails(here, &["import", &parity("pfgmpp.npz"), "-o", "other"]);
    assert!(error.contains("pfgmpp.npz"), "{error}");
    let error = fails(here, &["decode", "run", "--latents", "out.npz", "-o", "x.npz"]);
    assert!(error.contains("out.npz") && error.contains("`x`"), "{error}");
    let with_reference = ["decode", "run", "--latents", "out.npz", "-o", "x.npz", "--arithmetic", "reference"];
    assert!(fails(here, &with_reference).contains("out.npz"));
    assert!(!here.join("other").exists(), "failures leave nothing behind");
}

#[test]
fn samples_and_images_are_measured() {
    let dir = temporary();
    let here = dir.path();
    let number = |file: &str, key: &str| -> f64 {
        let report: serde_json::Value = serde_json::from_slice(&fs::read(here.join(file)).unwrap()).unwrap();
        report[key]["value"].as_f64().unwrap_or_else(|| panic!("{key}: {report}"))
    };
    train(here, 2, "run", &[]);
    let said = succeeds(here, &["evaluate", "run", "-n", "40", "--steps", "3", "--seed", "7", "--json", "run.json"]);
    for part in ["pixels (64 features)", "40 of run, seeds 7-46", "1797 of digits", "the bias of 40 samples", "seed 7"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(said.contains("warning: 40 samples for 64 features"), "{said}");
    assert!(number("run.json", "frechet_distance") > 1.0 && number("run.json", "coverage") < 0.5);

    // The same samples from a file, whose own range is not the reference's.
    succeeds(here, &["sample", "run", "--seeds", "7-46", "--steps", "3", "--npz", "x.npz", "-o", "x.png"]);
    succeeds(here, &["evaluate", "x.npz", "--data", "digits", "--seed", "7", "--json", "file.json"]);
    for key in ["frechet_distance", "kid", "precision", "recall", "density", "coverage"] {
        assert_eq!(number("file.json", key), number("run.json", key), "{key}");
    }

    // Digits against themselves, by way of their rows and of both layouts of statistics.
    let said =
        succeeds(here, &["evaluate", "--data", "digits", "--save-statistics", "s.npz", "--save-features", "f.npz"]);
    assert!(said.contains("s.npz") && said.contains("f.npz"), "{said}");
    for (reference, rows) in [("digits", true), ("s.npz", false), ("f.npz", true)] {
        let from = if reference == "digits" { "--data" } else { "--reference-statistics" };
        succeeds(here, &["evaluate", "digits", from, reference, "--json", "same.json"]);
        assert!(number("same.json", "frechet_distance").abs() < 1e-9);
        let report: serde_json::Value = serde_json::from_slice(&fs::read(here.join("same.json")).unwrap()).unwrap();
        assert_eq!(report["kid"].is_null(), !rows);
        assert!(report["inception_score"].is_null() && report["samples"]["count"] == 1797, "{report}");
        if rows {
            assert_eq!((number("same.json", "precision"), number("same.json", "coverage")), (1.0, 1.0));
        }
    }

    let expect = |arguments: &[&str], parts: &[&str]| {
        let error = fails(here, &[&["evaluate"], arguments].concat());
        for part in parts {
            assert!(error.contains(part), "{arguments:?} should say {part}: {error}");
        }
    };
    let parity = format!("{}/../pfgm/tests/parity/pfgmpp.pt", env!("CARGO_MANIFEST_DIR"));
    expect(&["run", "-n", "5"], &["the samples: 5 rows", "20"]);
    expect(&["run", "-n", "0"], &["-n"]);
    expect(&["run", "--data", "heart"], &["run: rows of 8x8x1", "heart are 2 columns"]);
    expect(&["run", "--steps", "0"], &["--steps 0"]);
    expect(&["run", "--features", "inception"], &["--weights", "pt_inception-2015-12-05"]);
    let network = ["run", "--features", "efficientnet-lite0", "--weights"];
    expect(&[&network[..], &["nowhere.pth"]].concat(), &["nowhere.pth"]);
    expect(&[&network[..], &[&parity]].concat(), &["pfgmpp.pt", "no `_conv_stem.weight`", "efficientnet-lite0"]);
    expect(&["digits", "--data", "digits", "--solver", "rk45"], &["digits: is no run"]);
    expect(&["digits"], &["--data"]);
    expect(&[], &["--data"]);
    expect(&["nowhere", "--data", "digits"], &["nowhere"]);
    expect(&["heart", "--reference-statistics", "s.npz"], &["--reference-statistics", "--data"]);
    expect(&["digits", "--reference-statistics", "x.npz"], &["x.npz", "`mu`", "--save-statistics"]);
    expect(&["digits", "--reference-statistics", "gone.npz"], &["gone.npz"]);
    // The covariance of two columns, and one of digits whose first variance is no number.
    succeeds(here, &["evaluate", "--data", "heart", "--save-statistics", "two.npz"]);
    expect(&["digits", "--reference-statistics", "two.npz"], &["two.npz: statistics of 2 features", "has 64"]);
    let arrays =
        [(String::from("mu"), vec![64], vec![0.0; 64]), (String::from("sigma"), vec![64, 64], vec![f64::NAN; 4096])];
    let named: Vec<_> =
        arrays.iter().map(|(name, shape, values)| Named { name, shape, values: Column::Doubles(values) }).collect();
    write_npz(fs::File::create(here.join("nan.npz")).unwrap(), &named).unwrap();
    expect(&["digits", "--reference-statistics", "nan.npz"], &["nan.npz", "not finite"]);
    // Of a table the columns that the run was trained on, without its label.
    let mut arguments =
        vec!["train", "wine", "--data", "t.csv", "--label", "c", "--out", "table", "--set", "train.steps=2"];
    arguments.extend(SMALL);
    let rows: String = (0..64).map(|i| format!("{},{},7\n", i % 10, i % 7)).collect();
    fs::write(here.join("t.csv"), format!("a,b,c\n{rows}")).unwrap();
    succeeds(here, &arguments[..]);
    let said = succeeds(here, &["evaluate", "table", "-n", "50"]);
    assert!(said.contains("pixels (2 features)") && said.contains("64 of t"), "{said}");
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
    expect(&["train", "digits", "--set", "flow.augmentation=-1"], &["augmentation"]);
    expect(&["train", "digits", "--set", "network.multipliers=[1,1,1,1,1]"], &["16x16", "8x8x1", "leave levels away"]);
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
    train(here, 2, "run", &[]);
    expect(&["train", "digits", "--out", "run"], &["run", "not empty", "--resume"]);
    expect(&["train", "run"], &["--resume"]);
    expect(&["train", "run", "--resume", "--set", "network.width=16"], &["another configuration", "network.width"]);
    expect(&["sample", "run", "--class", "ten"], &["--class ten", "0, 1, 2"]);
    expect(&["sample", "run", "--seeds", "9-3"], &["--seeds 9-3"]);
    expect(&["sample", "run", "--steps", "0"], &["--steps 0"]);

    // A checkpoint that is cut short, one that is something else, one of another network.
    let whole = at("run/checkpoints/step-00000002.safetensors");
    let bytes = fs::read(&whole).unwrap();
    fs::write(at("cut.safetensors"), &bytes[..bytes.len() / 2]).unwrap();
    expect(&["sample", "cut.safetensors"], &["cut.safetensors", "cut short"]);
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

/// A picture's pixels.
fn pixels(path: &Path) -> image::RgbImage {
    image::open(path).unwrap().into_rgb8()
}

/// How many of the pixels in a part of a picture, given by shares of its size, have a colour like this one.
fn coloured(picture: &image::RgbImage, [left, top, right, bottom]: [f64; 4], like: fn([u8; 3]) -> bool) -> usize {
    let (width, height) = (f64::from(picture.width()), f64::from(picture.height()));
    let inside = |x: u32, y: u32| {
        let (x, y) = (f64::from(x) / width, f64::from(y) / height);
        (left..right).contains(&x) && (top..bottom).contains(&y)
    };
    picture.enumerate_pixels().filter(|(x, y, pixel)| inside(*x, *y) && like(pixel.0)).count()
}

fn red([r, g, b]: [u8; 3]) -> bool {
    r > 160 && g < 140 && b < 120
}

fn blue([r, g, b]: [u8; 3]) -> bool {
    r < 110 && b > 120 && b > g
}

const WHOLE: [f64; 4] = [0.0, 0.0, 1.0, 1.0];

#[test]
fn a_field_is_drawn_and_its_hemisphere_is_uniform() {
    let dir = temporary();
    let here = dir.path();
    let said = succeeds(here, &["field", "heart", "--charges", "300", "--lines", "60", "--particles", "300"]);
    assert!(said.contains("heart: 300 charges, N = 2, D = 1") && said.contains("of 60 field lines"), "{said}");
    // Both p-values in brackets.
    let p: Vec<f64> =
        said.split("(p = ").skip(1).map(|rest| rest.split(')').next().unwrap().parse().unwrap()).collect();
    assert!(p.len() == 2 && p.iter().all(|p| *p > 0.01), "{said}");
    let picture = pixels(&here.join("heart-field.png"));
    assert_eq!(picture.dimensions(), (2400, 740));
    // Charges on the left, lines and their blue ends in the middle, the blue hemisphere on the right; white around.
    assert!(coloured(&picture, [0.0, 0.0, 0.25, 1.0], red) > 2000);
    assert_eq!(coloured(&picture, [0.0, 0.0, 0.25, 1.0], blue), 0);
    assert!(coloured(&picture, [0.25, 0.0, 0.57, 1.0], red) > 1000);
    assert!(coloured(&picture, [0.25, 0.0, 0.57, 1.0], blue) > 1000);
    assert!(coloured(&picture, [0.6, 0.0, 0.8, 1.0], blue) > 3000);
    assert_eq!(coloured(&picture, [0.6, 0.0, 0.8, 1.0], red), 0);
    let white = coloured(&picture, WHOLE, |pixel| pixel == [255; 3]) as f64 / (2400.0 * 740.0);
    assert!((0.6..0.97).contains(&white), "{white}");
    // Evenly: the four quarters of the hemisphere hold about as much blue.
    let quarter = |left: f64, top: f64| coloured(&picture, [left, top, left + 0.086, top + 0.28], blue) as f64;
    let (mid_x, mid_y) = (0.7015, 0.487);
    let quarters = [(mid_x - 0.086, mid_y - 0.28), (mid_x, mid_y - 0.28), (mid_x - 0.086, mid_y), (mid_x, mid_y)]
        .map(|(left, top)| quarter(left, top));
    let total: f64 = quarters.iter().sum();
    assert!(quarters.iter().all(|blue| (blue / total - 0.25).abs() < 0.1), "{quarters:?}");

    // A table of one or of three columns, other dimensions, a smaller picture.
    let rows: String = (0..60).map(|i| format!("{},{},{}\n", i % 7, (i * i) % 11, i % 5)).collect();
    fs::write(here.join("t.csv"), format!("a,b,c\n{rows}")).unwrap();
    let common = ["--lines", "20", "--particles", "50", "--scale", "0.5"];
    succeeds(here, &[&["field", "t.csv", "-D", "64"], &common[..]].concat());
    assert_eq!(png_size(&here.join("t-field.png")), (600, 185));
    let said =
        succeeds(here, &[&["field", "t.csv", "--columns", "b", "-D", "inf", "-o", "b.png"], &common[..]].concat());
    assert!(said.contains("N = 1, D = inf") && said.contains("angle"), "{said}");
    let said = succeeds(here, &["field", "disk", "--charges", "200", "--density", "--scale", "0.5"]);
    assert_eq!(png_size(&here.join("disk-density.png")), (600, 175));
    for line in said.lines().filter(|line| line.starts_with("sigma")) {
        let missed: f64 = line.split("at most ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
        assert!(missed < 1e-4, "{line}");
    }
    assert_eq!(said.lines().filter(|line| line.starts_with("sigma")).count(), 4, "{said}");
}

#[test]
fn every_figure_of_the_story_is_drawn() {
    let dir = temporary();
    let here = dir.path();
    let said = succeeds(here, &["field", "--story", "all", "-o", "figures", "--charges", "120", "--scale", "0.5"]);
    let figures = ["near-far", "extra-dimension", "empirical-field", "training-points", "projection"];
    for name in figures.iter().chain(&["change-of-variable", "dimensions", "non-compact"]) {
        let picture = pixels(&here.join(format!("figures/{name}.png")));
        assert!((500..=650).contains(&picture.width()), "{name}: {:?}", picture.dimensions());
        let drawn = coloured(&picture, WHOLE, |pixel| pixel != [255; 3]) as f64;
        let share = drawn / f64::from(picture.width() * picture.height());
        assert!((0.05..0.9).contains(&share), "{name}: {share}");
        assert!(coloured(&picture, WHOLE, blue) > 100 && said.contains(name), "{name}");
    }
    let number = |start: &str| -> f64 {
        let line = said.lines().find(|line| line.starts_with(start)).unwrap();
        let rest = &line[start.len()..];
        rest.split_whitespace().find_map(|word| word.trim_end_matches(',').parse().ok()).unwrap()
    };
    assert!(number("without the extra dimension") < 0.1, "{said}");
    assert!((number("with it") - 1.0).abs() < 0.1, "{said}");
    let slope: f64 = said.split("slope ").nth(1).unwrap().lines().next().unwrap().parse().unwrap();
    assert!((slope + 2.0).abs() < 0.05, "{slope}");
    let adaptive = said.lines().find(|line| line.starts_with("RK45")).unwrap();
    let times: f64 = adaptive.split(", ").last().unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(times > 1.3, "{adaptive}");
    // One figure alone, of other charges.
    succeeds(here, &["field", "two-moons", "--story", "projection", "--scale", "0.5", "-o", "p.png"]);
    assert_eq!(png_size(&here.join("p.png")), (600, 200));
}

#[test]
fn an_animation_rises_and_falls() {
    use image::AnimationDecoder;
    let dir = temporary();
    let here = dir.path();
    let arguments = ["field", "heart", "--charges", "200", "--particles", "80", "--frames", "20", "--animate"];
    succeeds(here, &[&arguments[..], &["a.gif"]].concat());
    succeeds(here, &[&arguments[..], &["a.png"]].concat());
    let open = |name: &str| std::io::BufReader::new(fs::File::open(here.join(name)).unwrap());
    let gif = image::codecs::gif::GifDecoder::new(open("a.gif")).unwrap().into_frames();
    let png = image::codecs::png::PngDecoder::new(open("a.png")).unwrap().apng().unwrap().into_frames();
    for frames in [gif.collect_frames().unwrap(), png.collect_frames().unwrap()] {
        assert_eq!(frames.len(), 20);
        let frames: Vec<image::RgbImage> =
            frames.into_iter().map(|f| image::DynamicImage::ImageRgba8(f.into_buffer()).into_rgb8()).collect();
        assert_eq!(frames[0].dimensions(), (560, 400));
        // Red while they are on the charges, blue when they are up; and nothing is above the charges at first.
        let (first, top) = (&frames[0], &frames[9]);
        assert!(coloured(first, WHOLE, red) > 300 && coloured(first, WHOLE, blue) < 20);
        assert!(coloured(top, WHOLE, blue) > 200);
        assert!(coloured(top, [0.0, 0.0, 1.0, 0.3], blue) > 50);
        assert_eq!(coloured(first, [0.0, 0.0, 1.0, 0.3], |p| red(p) || blue(p)), 0);
        assert!(coloured(&frames[19], [0.25, 0.4, 0.75, 0.9], red) > 300, "they are back");
    }
    assert!(!here.join("heart-field.png").exists(), "an animation alone");
}

#[test]
fn the_exact_field_samples_and_judges_a_run() {
    let dir = temporary();
    let here = dir.path();
    let said = succeeds(here, &["sample", "--exact", "two-moons", "-n", "300", "--csv", "x.csv", "-D", "inf"]);
    assert!(said.contains("300 samples") && said.contains("2000 charges, D = inf"), "{said}");
    let p: f64 = said.split("p = ").nth(1).unwrap().trim().lines().next().unwrap().parse().unwrap();
    assert!(p > 0.01, "{said}");
    assert_eq!(fs::read_to_string(here.join("x.csv")).unwrap().lines().count(), 301);
    assert_eq!(png_size(&here.join("two-moons-exact.png")), (640, 640));
    // Images too: with a last step to zero each sample is one of the digits, pixel for pixel.
    let said = succeeds(here, &["sample", "--exact", "digits", "-n", "12", "-D", "128", "--denoise", "--npz", "d.npz"]);
    let farthest: f64 = said.split("ends ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(farthest < 1e-3, "{said}");
    let mut arguments = vec!["train", "heart", "--out", "r", "--set", "train.steps=20"];
    arguments.extend(["--set", "network.width=16", "--set", "train.batch=32", "--set", "train.cooldown=0"]);
    arguments.extend(["--set", "train.warmup=1", "--set", "objective.field_batch=100"]);
    succeeds(here, &arguments);
    let said = succeeds(here, &["sample", "--exact", "heart", "--run", "r", "-n", "30"]);
    let errors: Vec<f64> = said
        .lines()
        .filter(|line| line.starts_with("r = "))
        .map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
        .collect();
    assert!(errors.len() == 7 && errors.iter().all(|error| *error > 1e-4), "a hardly trained network errs: {said}");
    let picture = pixels(&here.join("heart-against-exact.png"));
    assert_eq!(picture.dimensions(), (2400, 840));
    assert!(coloured(&picture, [0.0, 0.0, 0.33, 1.0], red) > 100 && coloured(&picture, WHOLE, blue) > 500);
}

#[test]
fn bad_charges_are_one_clear_line() {
    let dir = temporary();
    let here = dir.path();
    let write = |name: &str, text: &str| fs::write(here.join(name), text).unwrap();
    let expect = |arguments: &[&str], parts: &[&str]| {
        let error = fails(here, arguments);
        for part in parts {
            assert!(error.contains(part), "{arguments:?} should say {part}: {error}");
        }
    };
    write("nan.csv", "x,y\n1,2\n3,nan\n");
    write("one.csv", "x,y\n1,2\n");
    write("same.csv", "x,y\n1,2\n1,2\n");
    write("four.csv", "a,b,c,d\n1,2,3,4\n5,6,7,8\n");
    write("three.csv", "a,b,c\n1,2,3\n5,6,7\n");
    write("file", "");
    fs::create_dir(here.join("folder")).unwrap();
    expect(&["field", "nan.csv"], &["nan.csv", "line 3", "nan"]);
    expect(&["field", "one.csv"], &["one", "two different points"]);
    expect(&["field", "same.csv"], &["same", "two different points"]);
    expect(&["field", "four.csv"], &["four", "4 columns", "--columns"]);
    expect(&["field", "digits"], &["digits", "8x8x1"]);
    expect(&["field", "nowhere.csv"], &["nowhere.csv", "swiss-roll-2d"]);
    expect(&["field", "heart", "-o", "file/x.png"], &["file"]);
    expect(&["field", "heart", "-o", "folder"], &["folder", "name a file"]);
    expect(&["field", "heart", "--animate", "file/x.gif"], &["file"]);
    expect(&["field", "heart", "--animate", "x.mp4"], &["--animate x.mp4", ".gif"]);
    expect(&["field", "heart", "-D", "0"], &["-D 0"]);
    expect(&["field", "heart", "-D", "many"], &["-D many", "inf"]);
    expect(&["field", "heart", "--charges", "1"], &["--charges 1"]);
    expect(&["field", "heart", "--lines", "0"], &["--lines 0"]);
    expect(&["field", "heart", "--scale", "0"], &["--scale 0"]);
    expect(&["field", "three.csv", "--density"], &["--density", "three", "--columns"]);
    expect(&["field", "three.csv", "--story", "near-far"], &["--story", "three"]);
    expect(&["field", "heart", "--story", "non-compact"], &["non-compact", "DATA"]);
    expect(&["field", "--story", "near-far", "-D", "8"], &["-D 8", "dimensions"]);
    expect(&["sample", "--exact", "heart", "-D", "-1"], &["-D -1"]);
    expect(&["sample", "--exact", "heart", "--class", "1"], &["--class"]);
    expect(&["sample", "--exact", "heart", "--images", "i"], &["--images", "--csv"]);
    expect(&["sample", "--exact", "heart", "--arithmetic", "reference"], &["--arithmetic"]);
    expect(&["sample", "--exact", "nan.csv"], &["nan.csv", "line 3"]);
    expect(&["sample", "--exact", "heart", "--run", "nowhere"], &["nowhere"]);
    expect(&["sample", "--exact", "heart", "-o", "file/x.png"], &["file"]);
    train(here, 2, "run", &[]);
    expect(&["sample", "--exact", "heart", "--run", "run"], &["--run", "8x8x1", "2 columns"]);
    expect(&["sample", "--exact", "digits", "--run", "run"], &["--run", "classes"]);
    expect(&["sample", "run", "--columns", "a"], &["--columns", "--exact"]);
    let left = fs::read_dir(here).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let pictures: Vec<String> = left.filter(|name| name.ends_with(".png") || name.ends_with(".gif")).collect();
    assert!(pictures.is_empty(), "failures leave nothing behind: {pictures:?}");
}
