//! Folders of configurations and weights as the library diffusers writes them, also in the local cache of the Hugging Face Hub.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, de::DeserializeOwned};

use super::{ImportError, tensors::Tensors};

/// The largest configuration file.
const MOST_BYTES: u64 = 1 << 20;

/// The largest list of shards.
const MOST_INDEX_BYTES: u64 = 1 << 26;

/// Files of weights, and lists of several files.
const WEIGHTS: [&str; 6] = [
    "diffusion_pytorch_model.safetensors",
    "diffusion_pytorch_model.safetensors.index.json",
    "diffusion_pytorch_model.fp16.safetensors",
    "diffusion_pytorch_model.bin",
    "diffusion_pytorch_model.bin.index.json",
    "diffusion_pytorch_model.fp16.bin",
];

/// What a path begins with that names a repository in the cache.
const CACHED: &str = "hf:";

/// Which file has each tensor.
#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

fn unsupported(path: &Path, problem: impl Into<String>) -> ImportError {
    ImportError::Unsupported { path: path.to_owned(), problem: problem.into() }
}

/// Reads a configuration file.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, ImportError> {
    read_limited(path, MOST_BYTES)
}

fn read_limited<T: DeserializeOwned>(path: &Path, most: u64) -> Result<T, ImportError> {
    let unreadable = |error: std::io::Error| unsupported(path, format!("cannot be read: {error}"));
    let length = fs::metadata(path).map_err(unreadable)?.len();
    if length > most {
        return Err(unsupported(path, format!("{length} bytes: no configuration is as long")));
    }
    let text = fs::read(path).map_err(unreadable)?;
    serde_json::from_slice(&text).map_err(|error| unsupported(path, format!("is not understood: {error}")))
}

/// Reads the weights of a network's folder, whichever file has them.
pub fn read_weights(folder: &Path) -> Result<(PathBuf, Tensors), ImportError> {
    let found = WEIGHTS.iter().map(|name| folder.join(name)).find(|path| path.is_file());
    let path = found.ok_or_else(|| unsupported(folder, format!("none of the files {}", WEIGHTS.join(", "))))?;
    let is_index = path.extension().is_some_and(|extension| extension == "json");
    let tensors = if is_index { read_shards(folder, &path)? } else { read_file(&path)? };
    Ok((path, tensors))
}

fn read_file(path: &Path) -> Result<Tensors, ImportError> {
    let file = pfgm_torch::open(path)?;
    Tensors::read(&file, &file.root().state_dict()?, "")
}

/// Reads the files that a list names.
fn read_shards(folder: &Path, path: &Path) -> Result<Tensors, ImportError> {
    let Index { weight_map } = read_limited(path, MOST_INDEX_BYTES)?;
    let names: BTreeSet<&String> = weight_map.values().collect();
    let mut all = Tensors::default();
    for name in names {
        if name.contains(['/', '\\']) || name.starts_with('.') {
            return Err(unsupported(path, format!("names the file {name:?}, which is not beside it")));
        }
        let shard = read_file(&folder.join(name))?;
        all.extend(shard).map_err(|problem| unsupported(path, problem))?;
    }
    if let Some(name) = weight_map.keys().find(|name| all.shape(name).is_none()) {
        return Err(unsupported(path, format!("no file has the tensor `{name}`")));
    }
    Ok(all)
}

/// Returns the folder that a path means: itself, or for `hf:NAME` the snapshot of a repository in the local cache of the Hugging Face
/// Hub. `hf:NAME@REVISION` is another branch, tag or commit than `main`. Nothing is downloaded.
///
/// # Errors
/// Returns an error if the cache does not have the repository or the revision.
pub fn located(path: &Path) -> Result<PathBuf, ImportError> {
    match path.to_str().and_then(|text| text.strip_prefix(CACHED)) {
        None => Ok(path.to_owned()),
        Some(name) => snapshot(&cache(|name| env::var_os(name).map(PathBuf::from)), name),
    }
}

/// The folder of the cache, as huggingface_hub finds it.
fn cache(variable: impl Fn(&str) -> Option<PathBuf>) -> PathBuf {
    let set = |name: &str| variable(name).filter(|path| !path.as_os_str().is_empty());
    let home = || match set("XDG_CACHE_HOME") {
        Some(cache) => cache.join("huggingface"),
        None => set("HOME").or_else(|| set("USERPROFILE")).unwrap_or_default().join(".cache/huggingface"),
    };
    set("HF_HUB_CACHE")
        .or_else(|| set("HUGGINGFACE_HUB_CACHE"))
        .unwrap_or_else(|| set("HF_HOME").unwrap_or_else(home).join("hub"))
}

/// The snapshot of a repository in a cache.
fn snapshot(cache: &Path, name: &str) -> Result<PathBuf, ImportError> {
    let (name, revision) = name.split_once('@').unwrap_or((name, "main"));
    let is_plain = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.contains('\\');
    if !name.split('/').all(is_plain) || name.split('/').count() > 2 || !revision.split('/').all(is_plain) {
        return Err(unsupported(
            Path::new(name),
            "no name of a repository; write hf:OWNER/NAME or hf:OWNER/NAME@REVISION",
        ));
    }
    let folder = cache.join(format!("models--{}", name.replace('/', "--")));
    if !folder.is_dir() {
        let problem = format!(
            "not in the local cache of the Hugging Face Hub; nothing is downloaded: fetch it with `hf download {name}`"
        );
        return Err(unsupported(&folder, problem));
    }
    let commit = fs::read_to_string(folder.join("refs").join(revision)).unwrap_or_else(|_| revision.to_owned());
    let snapshot = folder.join("snapshots").join(commit.trim());
    if !is_plain(commit.trim()) || commit.contains('/') || !snapshot.is_dir() {
        return Err(unsupported(&folder, format!("the cache has no snapshot of `{revision}`; give another revision")));
    }
    Ok(snapshot)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_is_where_huggingface_hub_has_it() {
        let of = |variables: &[(&str, &str)]| {
            cache(|name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| PathBuf::from(value)))
        };
        assert_eq!(of(&[("HOME", "/home/a")]), Path::new("/home/a/.cache/huggingface/hub"));
        assert_eq!(of(&[("HOME", "/home/a"), ("XDG_CACHE_HOME", "/c")]), Path::new("/c/huggingface/hub"));
        assert_eq!(of(&[("HOME", "/home/a"), ("HF_HOME", "/h")]), Path::new("/h/hub"));
        assert_eq!(of(&[("HF_HUB_CACHE", "/b"), ("HF_HOME", "/h")]), Path::new("/b"));
        assert_eq!(of(&[("HF_HUB_CACHE", ""), ("HF_HOME", "/h")]), Path::new("/h/hub"));
    }

    #[test]
    fn snapshots_of_names_and_revisions() {
        let cache = tempfile::tempdir().unwrap();
        let folder = cache.path().join("models--google--ddpm");
        for part in ["refs", "snapshots/abc", "snapshots/def"] {
            fs::create_dir_all(folder.join(part)).unwrap();
        }
        fs::write(folder.join("refs/main"), "abc\n").unwrap();
        fs::write(folder.join("refs/v2"), "def").unwrap();
        for (name, commit) in [("google/ddpm", "abc"), ("google/ddpm@v2", "def"), ("google/ddpm@def", "def")] {
            assert_eq!(snapshot(cache.path(), name).unwrap(), folder.join("snapshots").join(commit), "{name}");
        }
        for name in ["google/other", "google/ddpm@v3", "../ddpm", "google/ddpm@../..", "", "a/b/c"] {
            assert!(snapshot(cache.path(), name).is_err(), "{name}");
        }
        fs::write(folder.join("refs/main"), "../../elsewhere").unwrap();
        assert!(snapshot(cache.path(), "google/ddpm").is_err());
    }
}
