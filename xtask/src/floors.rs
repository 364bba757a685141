//! Checks that imports inside the library go down only.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context, Result, bail};

/// The modules of `crates/pfgm` from the ground up. A module may use those of lower floors, and no other.
const FLOORS: &[&[&str]] = &[
    // Re-exported from crates/flow.
    &[
        "consistency",
        "extra_dims",
        "field",
        "field_lines",
        "flow",
        "guided",
        "hemisphere",
        "latent",
        "likelihood",
        "particles",
        "posterior",
        "prior",
        "process",
        "random",
        "restoration",
        "solver",
    ],
    &["device", "features", "memory", "parallel", "power_average", "presets"],
    &["augmentation", "network"],
    &["conditioning"],
    &["weights"],
    &["precondition"],
    &["prediction"],
    &["denoiser"],
    &["objective"],
    &["config"],
    &["spec"],
    &["checkpoint"],
    &["defaults", "import", "measure", "sample"],
    &["autoencoder", "evaluate", "train"],
    &["bundled"],
    &["error", "progress"],
    &["onnx_file"],
    &["model"],
    &["cascade"],
    &["prelude"],
];

fn floor_of(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

/// Checks every file of the library.
pub fn check(source: &Path) -> Result<()> {
    let mut wrong = Vec::new();
    for path in super::files(source, "rs")? {
        let relative = path.strip_prefix(source).context("files lie below the source folder")?;
        let first = relative.iter().next().unwrap_or_default().to_string_lossy().into_owned();
        let module = first.trim_end_matches(".rs");
        if module == "lib" {
            continue;
        }
        let Some(floor) = floor_of(module) else {
            bail!("{}: module `{module}` has no floor in xtask/src/floors.rs", path.display());
        };
        for used in imports(&fs::read_to_string(&path)?) {
            let allowed = used == module || floor_of(&used).is_some_and(|below| below < floor);
            if !allowed {
                wrong.push(format!("{}: `{module}` must not use `{used}`", relative.display()));
            }
        }
    }
    if wrong.is_empty() {
        println!("floors: imports go down only");
        return Ok(());
    }
    bail!("imports go down only:\n{}", wrong.join("\n"));
}

/// The modules named behind `crate::`, one by one or in braces, outside comments.
fn imports(source: &str) -> BTreeSet<String> {
    let code: String =
        source.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n");
    let mut modules = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            Some(group) => modules.extend(group_heads(group)),
            None => modules.extend(head(rest)),
        }
    }
    modules
}

/// The first name of a path, if it is a module's: lower case.
fn head(path: &str) -> Option<String> {
    let name: String = path.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    name.starts_with(|c: char| c.is_lowercase()).then_some(name)
}

/// The first name of each path of a group in braces.
fn group_heads(group: &str) -> Vec<String> {
    let (mut heads, mut depth, mut item) = (Vec::new(), 0, String::new());
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => heads.extend(head(&std::mem::take(&mut item))),
            _ => {}
        }
        if !(c == ',' && depth == 0) {
            item.push(c);
        }
    }
    heads.extend(head(&item));
    heads
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_single_and_grouped_imports() {
        let source =
            "use crate::{\n    flow::{Denoiser, Query},\n    prior,\n};\n// crate::train\nlet x = crate::field::y();";
        assert_eq!(imports(source), ["field", "flow", "prior"].map(String::from).into());
    }

    #[test]
    fn finds_an_import_that_goes_up() {
        let folder = std::env::temp_dir().join(format!("floors-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("augmentation.rs"), "use crate::extra_dims::ExtraDims;").unwrap();
        assert!(check(&folder).is_ok());
        fs::write(folder.join("augmentation.rs"), "use crate::train::Trainer;").unwrap();
        let error = check(&folder).unwrap_err().to_string();
        fs::remove_dir_all(&folder).unwrap();
        assert!(error.contains("`augmentation` must not use `train`"), "{error}");
    }
}
