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
