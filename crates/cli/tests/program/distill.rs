//! `pfgm distill`, and what a distilled run can and cannot do.

use std::fs;

use crate::support::{pfgm, refuses, succeeds, temporary, train};

#[test]
fn a_distilled_run_is_a_run() {
    let dir = temporary();
    let at = |name: &str| dir.path().join(name);
    train(dir.path(), "digits", 2, "run", &[]);
    let said = succeeds(dir.path(), &["distill", "run", "--steps", "4", "--dry-run", "--set", "objective.q=4"]);
    assert!(said.contains("kind = \"consistency\"") && said.contains("q = 4.0") && said.contains("MB"), "{said}");
    assert!(!at("runs").exists());
    let said =
        succeeds(dir.path(), &["distill", "run", "--steps", "4", "-o", "fast", "--set", "train.checkpoint_every=2"]);
    assert!(said.contains("trained after 4 of 4 steps") && said.contains("sample fast -n 100 --steps 1"), "{said}");
    for steps in ["1", "2", "4"] {
        let said = succeeds(dir.path(), &["sample", "fast", "--seeds", "3-5", "--class", "4", "--steps", steps]);
        assert!(said.contains(&format!("3 samples, {steps}.0 evaluations each")), "{said}");
    }
    let said = succeeds(dir.path(), &["evaluate", "fast", "--data", "digits", "-n", "100", "--extractor", "pixels"]);
    assert!(said.contains("100 of fast"), "{said}");
    succeeds(dir.path(), &["export", "fast", "--names", "run", "-o", "fast.safetensors"]);
    let said = succeeds(dir.path(), &["sample", "fast.safetensors", "-n", "2", "--steps", "1", "-o", "exported.png"]);
    assert!(said.contains("1.0 evaluations"), "{said}");
    let said = succeeds(dir.path(), &["export", "fast", "--format", "onnx", "-o", "fast.onnx"]);
    assert!(said.contains("f(x, sigma, labels), opset 18"), "{said}");
    succeeds(dir.path(), &["bench", "fast", "--rounds", "1"]);
    succeeds(dir.path(), &["temperature", "fast", "-o", "warm.png"]);
    // It is resumed as any run.
    let said = succeeds(dir.path(), &["train", "fast", "--resume", "--set", "train.steps=6"]);
    assert!(said.contains("resuming fast at step 4") && said.contains("6 of 6"), "{said}");

    for (arguments, reason) in [
        (&["encode", "fast", "--data", "digits", "-n", "2", "-o", "x.npz"][..], "distilled"),
        (&["likelihood", "fast", "--data", "digits", "-n", "2"], "distilled"),
        (&["denoise", "fast", "--data", "digits", "-n", "2", "--sigma", "0.5"], "distilled"),
        (&["schedule", "fast", "--steps", "4"], "distilled"),
        (&["distill", "fast"], "distilled already"),
        (&["sample", "fast", "--solver", "heun"], "distilled"),
        (&["sample", "fast", "--guidance", "2"], "distilled"),
        (&["sample", "run", "--solver", "consistency"], "distilled"),
        (&["distill", "run", "--steps", "0"], "--steps 0"),
        (&["distill", "run", "--set", "objective.q=1"], "objective.q"),
        (&["distill", "run", "--method", "magic"], "magic"),
    ] {
        let output = pfgm(dir.path(), arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
        assert!(error.contains(reason), "{arguments:?} should say {reason}: {error}");
    }
    refuses(dir.path(), &["distill", "nothing"], &["nothing"]);
}

#[test]
fn a_generator_is_distilled_without_data() {
    let dir = temporary();
    train(dir.path(), "digits", 2, "run", &[]);
    let ipfm = ["distill", "run", "--method", "ipfm", "--steps", "4"];
    let said = succeeds(dir.path(), &[&ipfm[..], &["--dry-run"]].concat());
    for key in ["kind = \"ipfm\"", "alpha = 1.0", "sigma_max = 2.5", "steps = 1", "dropout = 0.0"] {
        assert!(said.contains(key), "{key}: {said}");
    }
    let said = succeeds(dir.path(), &[&ipfm[..], &["-o", "fast", "--set", "train.checkpoint_every=2"]].concat());
    assert!(said.contains("trained after 4 of 4 steps"), "{said}");
    let said = succeeds(dir.path(), &["sample", "fast", "--seeds", "3-5", "--class", "4"]);
    assert!(said.contains("3 samples, 1.0 evaluations each"), "{said}");
    let said = succeeds(dir.path(), &["train", "fast", "--resume", "--set", "train.steps=6"]);
    assert!(said.contains("resuming fast at step 4") && said.contains("6 of 6"), "{said}");
    refuses(dir.path(), &["sample", "fast", "--steps", "2"], &["ipfm", "use 1"]);
    refuses(dir.path(), &["encode", "fast", "--data", "digits", "-n", "2", "-o", "x.npz"], &["distilled"]);
    refuses(dir.path(), &[&ipfm[..], &["--set", "objective.highest=0"]].concat(), &["objective.highest"]);
}

#[test]
fn tables_and_points_are_distilled_at_every_d() {
    let dir = temporary();
    let table: String = (0..60).map(|row| format!("{},{}\n", row % 7, (row * row) % 11)).collect();
    fs::write(dir.path().join("table.csv"), format!("a,b\n{table}")).unwrap();
    for dims in ["1", "64", "inf"] {
        let run = format!("run-{dims}");
        let of_mlp = ["-D", dims, "--set", "train.batch=16", "--set", "network.width=8", "--set", "data.hold_out=5"];
        succeeds(dir.path(), &[&["train", "table.csv", "--out", &run, "--set", "train.steps=2"], &of_mlp[..]].concat());
        let fast = format!("fast-{dims}");
        succeeds(dir.path(), &["distill", &run, "--steps", "2", "-o", &fast]);
        let csv = format!("{fast}.csv");
        succeeds(dir.path(), &["sample", &fast, "-n", "5", "--steps", "1", "--csv", &csv]);
        assert_eq!(fs::read_to_string(dir.path().join(csv)).unwrap().lines().count(), 6);
    }
}
