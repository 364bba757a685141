//! `pfgm config`, completions and manual pages.

use crate::support::{fails, succeeds, temporary};

#[test]
fn keys_are_explained() {
    let dir = temporary();
    let said = succeeds(dir.path(), &["config", "train.lr"]);
    for part in ["learning rate", "0.001", "alpha"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(succeeds(dir.path(), &["config", "lr"]), said);
    let all = succeeds(dir.path(), &["config"]);
    for key in ["train.precision", "train.recompute", "train.patch", "train.label_dropout", "train.epsilon"] {
        assert!(all.contains(key), "{key}");
    }
    assert!(fails(dir.path(), &["config", "lerning"]).contains("no such key"));
}

#[test]
fn completions_and_manual_pages_are_printed() {
    let dir = temporary();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(succeeds(dir.path(), &["completions", shell]).contains("pfgm"), "{shell}");
    }
    assert!(succeeds(dir.path(), &["reference", "man", "sample"]).contains(".TH"));
    assert!(fails(dir.path(), &["reference", "man", "smaple"]).contains("smaple"));
}
