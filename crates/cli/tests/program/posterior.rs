//! `pfgm restore`: draws from posterior distributions.

use std::{fs, path::Path};

use crate::support::{fails, png_size, refuses, succeeds, temporary, train};

/// Writes an array of double precision.
fn npy(path: &Path, shape: &str, values: &[f64]) {
    let mut header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({shape}), }}");
    header.push_str(&" ".repeat(63 - (header.len() + 10) % 64));
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    values.iter().for_each(|value| bytes.extend(value.to_le_bytes()));
    fs::write(path, bytes).unwrap();
}

/// The number after a word.
fn number(said: &str, word: &str) -> f64 {
    let rest = said.split(word).nth(1).unwrap_or_else(|| panic!("no `{word}` in {said}"));
    rest.split_whitespace().find_map(|word| word.trim_end_matches([',', ';', '%']).parse().ok()).unwrap()
}

/// Eight points in the plane; the first column is measured as 0.9.
fn points(folder: &Path) {
    let rows = ["1,0", "1.1,2", "-1,5", "-1.2,-3", "0.9,-2", "-0.8,1", "-1.1,0", "1.05,4"];
    fs::write(folder.join("points.csv"), format!("x,y\n{}\n", rows.join("\n"))).unwrap();
    npy(&folder.join("first.npy"), "1, 2", &[1.0, 0.0]);
    npy(&folder.join("measured.npy"), "1,", &[0.95]);
}

#[test]
fn the_exact_posterior_draws_rows_that_agree_with_the_measurement() {
    let dir = temporary();
    let here = dir.path();
    points(here);
    let common = ["restore", "--exact", "points.csv", "--data", "measured.npy", "--operator", "matrix=first.npy"];
    for d in ["1", "8", "inf"] {
        let flags = ["--noise", "0.1", "--draws", "60", "-D", d, "--csv", "draws.csv", "-o", "a.png"];
        let said = succeeds(here, &[&common[..], &flags].concat());
        assert!(said.contains("1 measurements of 1 values, 60 draws each"), "{said}");
        assert!(number(&said, "misfit") < 4.0, "{said}");
        let table = fs::read_to_string(here.join("draws.csv")).unwrap();
        let rows: Vec<Vec<f64>> =
            table.lines().skip(1).map(|row| row.split(',').map(|v| v.parse().unwrap()).collect()).collect();
        assert_eq!((table.lines().next(), rows.len()), (Some("measurement,x,y"), 60));
        assert!(rows.iter().all(|row| row[0] == 0.0), "{rows:?}");
        // At D = 1 a particle may come in so low that it ends between points.
        let agree = rows.iter().filter(|row| (row[1] - 0.95).abs() < 0.35).count();
        assert!(agree >= 58, "D = {d}: {rows:?}");
        // All four points that agree are drawn.
        let near = |y: f64| rows.iter().filter(|row| (row[2] - y).abs() < 0.3).count();
        assert!([0.0, 2.0, -2.0, 4.0].iter().all(|&y| near(y) > 1), "D = {d}: {rows:?}");
    }
    // Particles tend to the same, and say how they were made.
    let flags = ["--noise", "0.1", "--method", "tds", "--particles", "400", "--draws", "200", "--json", "a.json"];
    succeeds(here, &[&common[..], &flags, &["-o", "a.png"]].concat());
    let report: serde_json::Value = serde_json::from_slice(&fs::read(here.join("a.json")).unwrap()).unwrap();
    assert_eq!((&report["method"], &report["draws"]), (&"tds".into(), &200.into()));
    assert!(report["scores"]["misfit"].as_f64().unwrap() < 4.0, "{report}");
    refuses(here, &[&common[..], &["--noise", "0"]].concat(), &["--noise", "above 0"]);
    refuses(here, &[&common[..], &["--noise", "1", "--class", "1"]].concat(), &["--class"]);
    refuses(here, &[&common[..], &["--noise", "1", "--method", "repaint"]].concat(), &["repaint"]);
}

#[test]
fn simulated_measurements_are_scored_and_calibrated() {
    let dir = temporary();
    let here = dir.path();
    let common = ["restore", "--exact", "digits", "--data", "digits", "-n", "20", "--simulate", "--draws", "9"];
    let flags = ["--operator", "downsample=2", "--noise", "2", "-D", "inf", "--npz", "a.npz", "-o", "a.png"];
    let said = succeeds(here, &[&common[..], &flags].concat());
    // Truth and draws are exchangeable: 8 of 10 values lie between the lowest and the highest of nine draws.
    let covered = number(&said, "coverage");
    assert!((covered - 80.0).abs() < 6.0 && said.contains("calibrated: 80.0 %"), "{said}");
    assert!((number(&said, "misfit") - 1.0).abs() < 0.3, "{said}");
    let (of_mean, of_draws) = (number(&said, "error"), number(&said, "of the mean,"));
    assert!(of_mean > of_draws && of_mean > 10.0, "{said}");
    // Truth, measurement, mean, deviation and eight draws across, sixteen measurements down.
    let (width, height) = png_size(&here.join("a.png"));
    assert!(height > width, "{width}x{height}");
    let arrays = pfgm_data::npz::read_arrays(Path::new("a.npz"), &fs::read(here.join("a.npz")).unwrap()).unwrap();
    let shape = |name: &str| arrays[name].shape.clone();
    assert_eq!((shape("x"), shape("mean"), shape("std")), (vec![20, 9, 8, 8], vec![20, 8, 8], vec![20, 8, 8]));
    assert_eq!((shape("measurement"), shape("truth")), (vec![20, 16], vec![20, 8, 8]));
    assert!(arrays["std"].values.iter().all(|value| *value >= 0.0));
    // The same command draws the same.
    let again = succeeds(here, &[&common[..], &flags].concat());
    assert_eq!(number(&again, "coverage"), covered);
}

#[test]
fn every_operator_and_every_method_runs() {
    let dir = temporary();
    let here = dir.path();
    train(here, "digits", 2, "run", &[]);
    let mask: Vec<f64> = (0..64).map(|at| f64::from(at % 8 < 4)).collect();
    npy(&here.join("mask.npy"), "8, 8", &mask);
    npy(&here.join("kernel.npy"), "3, 3", &[1.0 / 9.0; 9]);
    npy(&here.join("matrix.npy"), "5, 64", &(0..320).map(|at| f64::from(at).sin()).collect::<Vec<_>>());
    npy(&here.join("angles.npy"), "3,", &[0.0, 45.0, 100.0]);
    let common = ["restore", "run", "--data", "digits", "-n", "2", "--simulate", "--draws", "2", "-o", "a.png"];
    let solver = ["--solver", "heun", "--steps", "2"];
    let operators = [
        (vec!["none"], 64),
        (vec!["mask=mask.npy"], 32),
        (vec!["blur=1.5"], 64),
        (vec!["blur=kernel.npy"], 64),
        (vec!["downsample=4"], 4),
        (vec!["fourier=mask.npy"], 64),
        (vec!["radon=5"], 40),
        (vec!["radon=angles.npy"], 24),
        (vec!["matrix=matrix.npy"], 5),
        (vec!["blur=1", "downsample=2"], 16),
    ];
    for (names, values) in operators {
        let flags: Vec<&str> = names.iter().flat_map(|name| ["--operator", name]).collect();
        let said = succeeds(here, &[&common[..], &flags, &["--noise", "0.5"], &solver].concat());
        assert!(said.contains(&format!("2 measurements of {values} values, 2 draws each")), "{names:?}: {said}");
    }
    let masked = [&common[..], &["--operator", "mask=mask.npy"]].concat();
    for (method, more) in [
        ("mmps", &["--noise", "1", "--iterations", "2", "--class", "3", "--guidance", "1.5"][..]),
        ("pigdm", &["--noise", "1", "--solver", "unipc-2"]),
        ("dps", &["--noise", "0", "--zeta", "0.5", "--solver", "rk45", "--rtol", "0.1"]),
        ("tds", &["--noise", "1", "--particles", "4"]),
        ("repaint", &["--rounds", "2"]),
    ] {
        let steps = if method == "dps" { vec![] } else { vec!["--steps", "3"] };
        let said = succeeds(here, &[&masked[..], &["--method", method], more, &steps].concat());
        assert!(said.contains("2 measurements of 32 values"), "{method}: {said}");
    }
}

#[test]
fn measurements_are_read_and_their_noise_is_estimated() {
    let dir = temporary();
    let here = dir.path();
    // Smooth images with noise of 2 in the data's units.
    let noise = |at: usize| 2.0 * 3.46 * (((at as f64 * 12.9898).sin() * 43758.5453).rem_euclid(1.0) - 0.5);
    let image: Vec<f64> = (0..3 * 64).map(|at| 8.0 + 4.0 * ((at % 64) as f64 / 20.0).sin() + noise(at)).collect();
    npy(&here.join("noisy.npy"), "3, 8, 8", &image);
    npy(&here.join("one.npy"), "4, 4", &image[..16]);
    npy(&here.join("bright.npy"), "3, 8, 8", &image.iter().map(|v| 100.0 * v).collect::<Vec<_>>());
    npy(&here.join("dim.npy"), "3, 8, 8", &image.iter().map(|v| 0.001 * v).collect::<Vec<_>>());
    npy(&here.join("nan.npy"), "3, 8, 8", &[f64::NAN; 192]);
    let common = ["restore", "--exact", "digits", "--draws", "2", "-o", "a.png", "--data"];
    let said = succeeds(here, &[&common[..], &["noisy.npy", "--operator", "none", "--noise", "auto"]].concat());
    assert!((1.0..4.0).contains(&number(&said, "noise")), "{said}");
    succeeds(here, &[&common[..], &["one.npy", "--operator", "downsample=2", "--noise", "1"]].concat());
    for (more, parts) in [
        (&["one.npy", "--operator", "none", "--noise", "1"][..], &["one.npy", "[4, 4]", "[8, 8]"][..]),
        (&["bright.npy", "--operator", "none", "--noise", "1"], &["bright.npy", "same scale"]),
        (&["dim.npy", "--operator", "blur=1", "--noise", "1"], &["dim.npy", "same scale"]),
        (&["nan.npy", "--operator", "none", "--noise", "1"], &["nan.npy", "not finite"]),
        (&["noisy.npy", "--operator", "radon=4", "--noise", "auto"], &["noisy.npy", "[4, 8]"]),
        (&["digits", "--operator", "downsample=2", "--noise", "1"], &["digits", "[4, 4]"]),
        (&["heart", "--operator", "none", "--noise", "1"], &["heart"]),
    ] {
        refuses(here, &[&common[..], more].concat(), parts);
    }
}

#[test]
fn restorations_that_cannot_be_made_are_refused() {
    let dir = temporary();
    let here = dir.path();
    npy(&here.join("even.npy"), "2, 2", &[1.0; 4]);
    npy(&here.join("none.npy"), "8, 8", &[0.0; 64]);
    let common = ["restore", "--exact", "digits", "--data", "digits", "-n", "2", "--simulate", "--operator"];
    for (more, parts) in [
        (&["blurr=1", "--noise", "1"][..], &["--operator blurr=1", "downsample"][..]),
        (&["blur", "--noise", "1"], &["--operator blur", "KERNEL.npy"]),
        (&["blur=0", "--noise", "1"], &["--operator blur=0", "above 0"]),
        (&["blur=even.npy", "--noise", "1"], &["blur=even.npy", "odd"]),
        (&["blur=missing.npy", "--noise", "1"], &["missing.npy", "cannot be read"]),
        (&["downsample=3", "--noise", "1"], &["downsample=3", "divide 8x8"]),
        (&["downsample=x", "--noise", "1"], &["downsample=x", "whole number"]),
        (&["radon=0", "--noise", "1"], &["radon=0", "angles"]),
        (&["matrix=even.npy", "--noise", "1"], &["matrix=even.npy", "[M, 64]"]),
        (&["mask=none.npy", "--noise", "1"], &["mask=none.npy", "keep at least one"]),
        (&["mask=even.npy", "--noise", "1"], &["mask=even.npy", "[2, 2]"]),
        (&["none"], &["--noise"]),
        (&["none", "--noise", "-1"], &["--noise -1"]),
        (&["none", "--noise", "auto"], &["--noise auto", "--simulate"]),
        (&["none", "--noise", "1", "--iterations", "3"], &["--iterations", "mmps"]),
        (&["none", "--noise", "1", "--method", "mmps", "--zeta", "3"], &["--zeta", "dps"]),
        (&["none", "--noise", "1", "--method", "tds", "--particles", "2"], &["--particles", "draws"]),
        (&["none", "--noise", "1", "--draws", "0"], &["--draws 0"]),
        (&["none", "--noise", "1", "--csv", "a.csv"], &["--csv", "--npz"]),
        (&["none", "--noise", "1", "-D", "-2"], &["-D -2"]),
    ] {
        refuses(here, &[&common[..], more].concat(), parts);
    }
    let error = fails(here, &["restore", "nothing", "--data", "digits", "--operator", "none", "--noise", "1"]);
    assert!(error.contains("nothing: no such run"), "{error}");
}
