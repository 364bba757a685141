//! The generated pages of the reference, and `pfgm config`.

use std::{fs, path::PathBuf};

use crate::support::{fails, succeeds, temporary};

/// Fails if a page is not what the program prints. With UPDATE_REFERENCE set, the pages are written instead.
#[test]
fn the_pages_of_the_reference_are_up_to_date() {
    let dir = temporary();
    for page in ["configuration", "commands"] {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../../docs/reference/{page}.md"));
        let text = succeeds(dir.path(), &["reference", page]);
        if std::env::var_os("UPDATE_REFERENCE").is_some() {
            fs::write(&path, &text).unwrap();
        }
        let kept = fs::read_to_string(&path).unwrap();
        assert!(
            kept == text,
            "docs/reference/{page}.md is stale: run UPDATE_REFERENCE=1 cargo test -p pfgm-cli --test program reference"
        );
    }
}

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
