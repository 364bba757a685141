//! `cargo xtask repository URL`: the address of the repository in every manifest, before a release.
//!
//! The committed manifests have none, because the address is that of whoever publishes. The release workflows know theirs.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

/// Writes `url` into the manifest of the workspace, those of the published crates, the citation and the Python project.
pub fn set(root: &Path, url: Option<&str>) -> Result<()> {
    let Some(url) = url.filter(|url| url.starts_with("https://") && !url.contains(['"', '\\', ' '])) else {
        bail!("`cargo xtask repository https://HOST/OWNER/NAME`: the address is missing, or is none");
    };
    for path in files(root)? {
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        fs::write(&path, with_address(&text, url)).with_context(|| path.display().to_string())?;
    }
    println!("repository = {url}");
    Ok(())
}

/// The files that state the address.
fn files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut files = ["Cargo.toml", "CITATION.cff", "pyproject.toml"].map(|name| root.join(name)).to_vec();
    for entry in fs::read_dir(root.join("crates"))? {
        files.push(entry?.path().join("Cargo.toml"));
    }
    Ok(files)
}

/// The text with the address after the line that it belongs to, in place of an address that it has.
fn with_address(text: &str, url: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines().filter(|line| !states_address(line)) {
        lines.push(line.to_owned());
        match line {
            "publish = true" => lines.push(format!("repository = \"{url}\"")),
            "publish.workspace = true" => lines.push("repository.workspace = true".to_owned()),
            "type: software" => lines.push(format!("repository-code: \"{url}\"")),
            "dynamic = [\"version\"]" => lines.push(format!("urls.Repository = \"{url}\"")),
            _ => {}
        }
    }
    lines.join("\n") + "\n"
}

fn states_address(line: &str) -> bool {
    ["repository = ", "repository.workspace", "repository-code:", "urls.Repository"]
        .iter()
        .any(|start| line.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://example.org/owner/pfgm";

    /// The value at a path of keys of a TOML file, after the address was written twice.
    fn value(path: &Path, keys: &[&str]) -> Option<toml::Value> {
        let text = fs::read_to_string(path).expect("a manifest");
        let once = with_address(&text, "https://example.org/another");
        let mut value: toml::Value = toml::from_str(&with_address(&once, URL)).expect("still TOML");
        for key in keys {
            value = value.get(key)?.clone();
        }
        Some(value)
    }

    #[test]
    fn every_published_crate_states_the_address() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository");
        let mut published = 0;
        for path in files(root).expect("manifests") {
            let keys: &[&str] = match path.strip_prefix(root).expect("below").to_str().expect("plain") {
                "CITATION.cff" => {
                    let text = with_address(&fs::read_to_string(&path).expect("a citation"), URL);
                    assert!(text.contains(&format!("\nrepository-code: \"{URL}\"\n")), "{text}");
                    continue;
                }
                "Cargo.toml" => &["workspace", "package", "repository"],
                "pyproject.toml" => &["project", "urls", "Repository"],
                _ if value(&path, &["package", "publish"]) == Some(toml::Value::Boolean(false)) => continue,
                _ => {
                    let inherited = value(&path, &["package", "repository", "workspace"]);
                    assert_eq!(inherited, Some(toml::Value::Boolean(true)), "{}", path.display());
                    published += 1;
                    continue;
                }
            };
            assert_eq!(value(&path, keys), Some(toml::Value::String(URL.to_owned())), "{}", path.display());
        }
        assert!(published >= 14, "{published} crates");
    }
}
