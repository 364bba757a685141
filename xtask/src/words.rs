//! Checks that replaced words and names are not used again.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, bail};

/// Replaced phrases and names, each with its replacement.
const BANNED: &[(&str, &str)] = &[
    ("Refusal", "ApiError"),
    ("judged", "loss_weight, or: weighted"),
    ("pull_back", "vjp"),
    ("pulled back", "multiplied by the transposed Jacobian (VJP)"),
    ("climb", "noise_increment, or: add noise"),
    ("Outbox", "GradientBuckets"),
    ("sum_as_they_come", "all_reduce_stream"),
    ("fn word(", "as_str"),
    (".word()", "as_str"),
    ("Told", "Conditioning"),
    ("is told", "receives, is conditioned on"),
    ("are told", "receive, are conditioned on"),
    ("comes along", "is bundled"),
    ("come along", "are bundled"),
    ("came along", "was bundled"),
    ("leave it away", "omit it"),
    ("leave them away", "omit them"),
    ("held against", "compared with"),
    ("hold against", "compare with"),
    ("once for all", "one name for it"),
    ("beside.rs", "patches.rs"),
    ("asked.rs", "request.rs"),
    ("watched.rs", "progress.rs"),
    ("parametrisation", "parameterization"),
    ("Parametrisation", "Prediction"),
    ("denoisier", "noisier"),
    ("released code", "authors' code"),
    ("bits a dimension", "bits per dimension"),
    ("made to do harm", "malicious"),
    ("As built", "Implementation"),
];

/// Files that may contain the words.
const EXCEPT: &[&str] = &["xtask/src/words.rs", "CHANGELOG.md", "crates/cli/tests/frozen/", "Cargo.lock"];

/// Checks every text file that git tracks.
pub fn check(root: &Path) -> Result<()> {
    let output = Command::new("git").args(["ls-files", "-z"]).current_dir(root).output().context("git")?;
    if !output.status.success() {
        println!("words: not a git checkout, nothing is checked");
        return Ok(());
    }
    let mut found = Vec::new();
    for name in String::from_utf8_lossy(&output.stdout).split('\0') {
        let text =
            ["rs", "md", "toml", "js", "html", "css", "py"].iter().any(|ending| name.ends_with(&format!(".{ending}")));
        if !text || EXCEPT.iter().any(|except| name.starts_with(except)) {
            continue;
        }
        // A file that was deleted but not yet committed.
        let Ok(content) = fs::read_to_string(root.join(name)) else { continue };
        for (at, line) in content.lines().enumerate() {
            for (banned, instead) in BANNED {
                if has_word(line, banned) {
                    found.push(format!("{name}:{}: `{banned}`: write `{instead}`", at + 1));
                }
            }
        }
    }
    if found.is_empty() {
        println!("words: none of {} that were replaced", BANNED.len());
        return Ok(());
    }
    bail!("{} places use replaced words:\n{}", found.len(), found.join("\n"))
}

/// Whether a line has a phrase that is not part of a longer word.
fn has_word(line: &str, phrase: &str) -> bool {
    let is_letter = |c: char| c.is_alphanumeric();
    line.match_indices(phrase).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + phrase.len()..].chars().next();
        let inside_before = phrase.starts_with(is_letter) && before.is_some_and(is_letter);
        let inside_after = phrase.ends_with(is_letter) && after.is_some_and(is_letter);
        !inside_before && !inside_after
    })
}

#[cfg(test)]
mod tests {
    use super::has_word;

    #[test]
    fn parts_of_words_do_not_count() {
        assert!(has_word("the loss is judged here", "judged"));
        assert!(!has_word("misjudged", "judged"));
        assert!(has_word("x.word()", ".word()"));
        assert!(has_word("Told.", "Told"));
        assert!(!has_word("ToldOff", "Told"));
    }
}
