//! Tests that the commands in README and docs exist, with their flags.

use std::{fs, path::Path};

use clap::Parser;

use super::Cli;

/// The words of a command line, up to a comment or another command; quotes hold words together.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for letter in line.chars() {
        match letter {
            '"' | '\'' => quoted = !quoted,
            '#' | '|' | '>' | '&' | ';' if !quoted => break,
            ' ' if !quoted => words.extend((!word.is_empty()).then(|| std::mem::take(&mut word))),
            _ => word.push(letter),
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}

/// The `pfgm` commands in the `sh` blocks of a page.
fn commands(page: &str) -> Vec<Vec<String>> {
    let (mut found, mut is_shell) = (Vec::new(), false);
    for line in page.lines() {
        if let Some(kind) = line.trim_start().strip_prefix("```") {
            is_shell = kind.starts_with("sh");
        } else if is_shell {
            let parts = line.split("&&").map(str::trim);
            found.extend(parts.filter(|part| part.starts_with("pfgm ")).map(words));
        }
    }
    found
}

#[test]
fn commands_in_the_documentation_are_accepted() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let docs = fs::read_dir(root.join("docs")).unwrap().flatten().map(|entry| entry.path());
    let readme = ["README.md", "README.zh-CN.md"].map(|name| root.join(name));
    let mut checked = 0;
    for page in docs.chain(readme).filter(|path| path.extension().is_some_and(|ending| ending == "md")) {
        for command in commands(&fs::read_to_string(&page).unwrap()) {
            let is_placeholder = command.iter().any(|word| word == "..." || word.contains('$'));
            if is_placeholder {
                continue;
            }
            if let Err(error) = Cli::try_parse_from(&command) {
                let is_help = matches!(error.kind(), clap::error::ErrorKind::DisplayHelp);
                assert!(is_help, "{}: {}: {error}", page.display(), command.join(" "));
            }
            checked += 1;
        }
    }
    assert!(checked > 50, "{checked} commands");
}
