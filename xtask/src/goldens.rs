//! `cargo xtask goldens`: checks that tests contain the numbers that the programs in goldens/ print.
//!
//! Words have to be equal, numbers to a few units in their tenth digit: the last ones differ between processors.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, bail};

use crate::files;

/// Largest relative difference of two numbers that count as equal.
const TOLERANCE: f64 = 1e-9;

/// Runs the programs and looks for their lines in the tests that each names in its first line. Needs Python with the packages that
/// CONTRIBUTING.md lists. With `available_only`, programs whose packages are not installed are skipped with a message.
pub fn check(root: &Path, available_only: bool) -> Result<()> {
    let mut checked = 0;
    for program in files(&root.join("goldens"), "py")? {
        let source = fs::read_to_string(&program)?;
        if available_only && !has_imports(&source) {
            println!("{}: skipped, its packages are not installed", program.display());
            continue;
        }
        let tests = named_tests(root, &source).with_context(|| program.display().to_string())?;
        let output = Command::new("python3").arg(&program).output().context("python3 cannot be started")?;
        if !output.status.success() {
            bail!("{}: {}", program.display(), String::from_utf8_lossy(&output.stderr));
        }
        let printed = String::from_utf8_lossy(&output.stdout).replace("(inf,", "(f64::INFINITY,");
        if let Some(missing) = missing_line(&printed, &tests) {
            bail!("{}: its test does not hold `{missing}`", program.display());
        }
        println!("{}: {} lines, all in its test", program.display(), printed.lines().count());
        checked += 1;
    }
    if checked == 0 {
        bail!("goldens: no program could be run; `pip install numpy scipy` is enough for some");
    }
    Ok(())
}

/// Returns the first printed line that the tests do not contain.
fn missing_line<'a>(printed: &'a str, tests: &str) -> Option<&'a str> {
    let held: Vec<_> = tests.lines().map(tokens).collect();
    printed.lines().find(|line| {
        let wanted = tokens(line);
        !wanted.is_empty() && !held.iter().any(|line| holds(line, &wanted))
    })
}

/// A piece of a line.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Token<'a> {
    Number(f64),
    Word(&'a str),
}

/// Splits a line into numbers and the text between them.
fn tokens(line: &str) -> Vec<Token<'_>> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+' | ':');
    let pieces = line.split_inclusive(|c| !is_part(c)).flat_map(|piece| match piece.char_indices().last() {
        Some((at, last)) if !is_part(last) => [&piece[..at], &piece[at..]],
        _ => [piece, ""],
    });
    let pieces = pieces.map(str::trim).filter(|piece| !piece.is_empty());
    pieces.map(|piece| piece.replace('_', "").parse().map_or(Token::Word(piece), Token::Number)).collect()
}

/// Whether the tokens of a line occur in another one, with numbers equal up to [`TOLERANCE`].
fn holds(line: &[Token], wanted: &[Token]) -> bool {
    let equal = |(a, b): (&Token, &Token)| match (a, b) {
        (Token::Number(a), Token::Number(b)) => a == b || (a - b).abs() <= TOLERANCE * a.abs().max(b.abs()),
        (a, b) => a == b,
    };
    line.windows(wanted.len()).any(|window| window.iter().zip(wanted).all(equal))
}

/// Whether Python has every package that a program imports.
fn has_imports(source: &str) -> bool {
    let imports = source.lines().filter(|line| line.starts_with("import ") || line.starts_with("from "));
    let imports = imports.collect::<Vec<_>>().join("\n");
    Command::new("python3").args(["-c", &imports]).output().is_ok_and(|output| output.status.success())
}

/// Returns the text of the tests that the first line of a program names: a file, or all files of a folder.
fn named_tests(root: &Path, source: &str) -> Result<String> {
    let first = source.lines().next().unwrap_or_default();
    let name =
        first.split([' ', ':']).find(|word| word.starts_with("crates/")).context("its first line names no test")?;
    let path = root.join(name.trim_end_matches('.'));
    let files = if path.is_dir() { files(&path, "rs")? } else { vec![path] };
    files.iter().map(|path| fs::read_to_string(path).with_context(|| path.display().to_string())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_may_differ_in_their_last_digits_and_words_may_not() {
        let tests = "    (1.0, [30.0, -4.0], 80, [0.500732316631189, 1e-12]), // f64::INFINITY\n";
        assert_eq!(missing_line("(1.0, [30.0, -4.0], 80, [0.500732316631187, 1e-12]),", tests), None);
        assert!(missing_line("(1.0, [30.0, -4.0], 80, [0.5007323, 1e-12]),", tests).is_some());
        assert!(missing_line("(1.0, [30.0, 4.0], 80, [0.500732316631189, 1e-12]),", tests).is_some());
        assert!(missing_line("(1.0; [30.0, -4.0], 80, [0.500732316631189, 1e-12]),", tests).is_some());
        assert!(missing_line("80, [0.500732316631189, 1e-12, 2]", tests).is_some());
    }
}
