//! `pfgm average`

use crate::support::{refuses, succeeds, temporary, train};

#[test]
fn averages_are_made_of_snapshots() {
    let dir = temporary();
    train(dir.path(), "digits", 6, "run", &["--set", "train.snapshot_every=2"]);
    let said = succeeds(dir.path(), &["average", "run", "--sigma-rel", "0.13", "-o", "wide"]);
    assert!(said.contains("0.13 after 6 steps") && said.contains("sample wide"), "{said}");
    succeeds(dir.path(), &["sample", "wide", "-n", "2", "--steps", "2"]);
    let said = succeeds(dir.path(), &["average", "run", "--search", "-o", "best"]);
    assert_eq!(said.matches("held-out loss").count(), 9, "{said}");
    train(dir.path(), "digits", 2, "other", &[]);
    refuses(dir.path(), &["average", "other", "--sigma-rel", "0.1"], &["other", "train.snapshot_every"]);
    refuses(dir.path(), &["average", "run", "--sigma-rel", "0.5", "-o", "x"], &["--sigma-rel 0.5", "0.288"]);
    refuses(dir.path(), &["train", "digits", "--set", "train.sigma_rel=[0.2, 0.1]"], &["train.sigma_rel"]);
}

#[test]
fn averages_are_made_of_edm2_s_files() {
    let dir = temporary();
    let seed = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds/import/edm2");
    let files = ["toy-0000100-0.050.pkl", "toy-0000100-0.100.pkl"];
    files.iter().for_each(|file| std::fs::copy(seed, dir.path().join(file)).map(drop).unwrap());
    let said = succeeds(dir.path(), &["average", files[0], files[1], "--sigma-rel", "0.07", "-o", "wide"]);
    assert!(
        said.contains("of toy-0000100-0.050.pkl") && said.contains("mismatch") && said.contains("0.07: wide"),
        "{said}"
    );
    succeeds(dir.path(), &["sample", "wide", "-n", "1", "--steps", "2"]);
    refuses(dir.path(), &["average", files[0], "--search", "-o", "x"], &["--search", "--sigma-rel"]);
    refuses(dir.path(), &["average", "wide", "other", "--sigma-rel", "0.1", "-o", "x"], &["other", "one run"]);
    std::fs::copy(seed, dir.path().join("plain.pkl")).unwrap();
    refuses(dir.path(), &["average", "plain.pkl", "--sigma-rel", "0.1", "-o", "x"], &["plain.pkl", "edm2-img512"]);
    // The program writes a graph; `python/tests/test_onnx.py` runs it.
    let said = succeeds(dir.path(), &["export", "wide", "--format", "onnx", "-o", "wide.onnx"]);
    assert!(said.contains("yhat(x, sigma, labels), opset 18"), "{said}");
    assert!(std::fs::metadata(dir.path().join("wide.onnx")).unwrap().len() > 40_000);
}
