//! Evaluation of samples and images.

use std::fs;

use pfgm_data::npz::{Column, Named, write_npz};

use crate::support::{SMALL, fails, succeeds, temporary, train};

#[test]
fn samples_and_images_are_measured() {
    let dir = temporary();
    let here = dir.path();
    let number = |file: &str, key: &str| -> f64 {
        let report: serde_json::Value = serde_json::from_slice(&fs::read(here.join(file)).unwrap()).unwrap();
        report[key]["value"].as_f64().unwrap_or_else(|| panic!("{key}: {report}"))
    };
    train(here, "digits", 2, "run", &[]);
    let said = succeeds(here, &["evaluate", "run", "-n", "40", "--steps", "3", "--seed", "7", "--json", "run.json"]);
    for part in ["pixels (64 features)", "40 of run, seeds 7-46", "1797 of digits", "the bias of 40 samples", "seed 7"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(said.contains("warning: 40 samples for 64 features"), "{said}");
    assert!(number("run.json", "frechet_distance") > 1.0 && number("run.json", "coverage") < 0.5);

    // The same samples from a file, whose range differs from that of the reference.
    succeeds(here, &["sample", "run", "--seeds", "7-46", "--steps", "3", "--npz", "x.npz", "-o", "x.png"]);
    succeeds(here, &["evaluate", "x.npz", "--data", "digits", "--seed", "7", "--json", "file.json"]);
    for key in ["frechet_distance", "kid", "precision", "recall", "density", "coverage"] {
        assert_eq!(number("file.json", key), number("run.json", key), "{key}");
    }

    // Digits compared with themselves, from their rows and from both layouts of statistics.
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
    expect(&["digits", "--data", "digits", "--solver", "rk45"], &["digits: is not a run"]);
    expect(&["digits"], &["--data"]);
    expect(&[], &["--data"]);
    expect(&["nowhere", "--data", "digits"], &["nowhere"]);
    expect(&["heart", "--reference-statistics", "s.npz"], &["--reference-statistics", "--data"]);
    expect(&["digits", "--reference-statistics", "x.npz"], &["x.npz", "`mu`"]);
    expect(&["digits", "--reference-statistics", "gone.npz"], &["gone.npz"]);
    // The covariance of two columns, and one of digits whose first variance is NaN.
    succeeds(here, &["evaluate", "--data", "heart", "--save-statistics", "two.npz"]);
    expect(&["digits", "--reference-statistics", "two.npz"], &["two.npz: statistics of 2 features", "has 64"]);
    let arrays =
        [(String::from("mu"), vec![64], vec![0.0; 64]), (String::from("sigma"), vec![64, 64], vec![f64::NAN; 4096])];
    let named: Vec<_> =
        arrays.iter().map(|(name, shape, values)| Named { name, shape, values: Column::Doubles(values) }).collect();
    write_npz(fs::File::create(here.join("nan.npz")).unwrap(), &named).unwrap();
    expect(&["digits", "--reference-statistics", "nan.npz"], &["nan.npz", "not finite"]);
    // Uses the columns of a table that the run was trained on, without the label.
    let mut arguments =
        vec!["train", "wine", "--data", "t.csv", "--label", "c", "--out", "table", "--set", "train.steps=2"];
    arguments.extend(SMALL);
    let rows: String = (0..64).map(|i| format!("{},{},7\n", i % 10, i % 7)).collect();
    fs::write(here.join("t.csv"), format!("a,b,c\n{rows}")).unwrap();
    succeeds(here, &arguments[..]);
    let said = succeeds(here, &["evaluate", "table", "-n", "50"]);
    assert!(said.contains("pixels (2 features)") && said.contains("64 of t"), "{said}");
}
