//! Runs, checkpoints and configurations written in November 2026 (`frozen/make.sh`) still work, and give the same samples.
#![allow(missing_docs)]

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use npyz::NpyFile;
use pfgm::config::Config;
use zip::ZipArchive;

fn frozen() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/frozen")
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)?.flatten() {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() { copy(&from, &to)? } else { fs::copy(from, to).map(drop)? }
    }
    Ok(())
}

fn pfgm(folder: &Path, arguments: &[&str]) {
    let output = Command::new(env!("CARGO_BIN_EXE_pfgm"))
        .current_dir(folder)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The arrays of a file, with name, shape, and values as the bits of single-precision numbers.
fn arrays(path: &Path) -> Vec<(String, Vec<u64>, Vec<f32>)> {
    let file = fs::File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut archive = ZipArchive::new(file).unwrap();
    let mut names: Vec<String> = archive.file_names().map(|name| name.unwrap().into_owned()).collect();
    names.sort();
    let mut read = |name: String| {
        let file = NpyFile::new(archive.by_name(&name).unwrap()).unwrap();
        let shape = file.shape().to_vec();
        let values = match file.dtype().descr().as_str() {
            "'|u1'" => file.into_vec::<u8>().unwrap().into_iter().map(f32::from).collect(),
            "'<f4'" => file.into_vec::<f32>().unwrap(),
            "'<i8'" => file.into_vec::<i64>().unwrap().into_iter().map(|value| value as f32).collect(),
            "'<u8'" => file.into_vec::<u64>().unwrap().into_iter().map(|value| value as f32).collect(),
            "'<f8'" => file.into_vec::<f64>().unwrap().into_iter().map(|value| value as f32).collect(),
            other => panic!("{name}: type {other}"),
        };
        (name, shape, values)
    };
    names.drain(..).map(&mut read).collect()
}

/// Whether this processor has the vector unit that the expected numbers were made with.
fn is_same_processor() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("avx512f");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

fn compare(name: &str, found: &Path, expected: &Path) {
    let (found, expected) = (arrays(found), arrays(expected));
    for (array, shape, values) in expected {
        let same = found.iter().find(|(name, ..)| *name == array);
        let (_, found_shape, found) = same.unwrap_or_else(|| panic!("{name}: array `{array}` is missing"));
        assert_eq!(*found_shape, shape, "{name}: shape of `{array}`");
        let size = values.iter().fold(1.0_f32, |most, value| most.max(value.abs()));
        for (at, (found, expected)) in found.iter().zip(&values).enumerate() {
            let holds = if is_same_processor() {
                found.to_bits() == expected.to_bits()
            } else {
                // Allows rounding by another order of sums, and a byte that rounds the other way.
                (found - expected).abs() <= 1e-3 * size + if size > 2.0 && expected.fract() == 0.0 { 1.0 } else { 0.0 }
            };
            assert!(holds, "{name}: `{array}`[{at}] is {found:e}, was {expected:e}");
        }
    }
}

#[test]
fn runs_of_every_kind_give_the_same_samples() {
    let (frozen, folder) = (frozen(), tempfile::tempdir().unwrap());
    copy(&frozen.join("runs"), &folder.path().join("runs")).unwrap();
    fs::copy(frozen.join("table.csv"), folder.path().join("table.csv")).unwrap();
    let parity = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pfgm/tests/parity");
    let commands = fs::read_to_string(frozen.join("commands.txt")).unwrap();
    let mut compared = 0;
    for line in commands.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (name, command) = line.split_once(' ').unwrap();
        let out = format!("{name}.npz");
        let command = command.replace("PARITY", parity.to_str().unwrap());
        let arguments: Vec<&str> = command.split(' ').map(|word| if word == "OUT" { &out } else { word }).collect();
        pfgm(folder.path(), &arguments);
        if name != "-" {
            compare(name, &folder.path().join(&out), &frozen.join("expected").join(&out));
            compared += 1;
        }
    }
    assert_eq!(compared, fs::read_dir(frozen.join("expected")).unwrap().count());
}

#[test]
fn configurations_are_read() {
    let mut read = 0;
    for entry in fs::read_dir(frozen().join("toml")).unwrap().flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|ending| ending == "toml") {
            let text = fs::read_to_string(&path).unwrap();
            let config: Config = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            config.check().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            // A written configuration is read again without changes.
            let written = toml::to_string(&config).unwrap();
            assert_eq!(toml::from_str::<Config>(&written).unwrap(), config, "{}", path.display());
            read += 1;
        }
    }
    assert_eq!(read, 28);
}

#[test]
fn cascades_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = frozen().join("toml/cascades/digits-4-8.toml");
    pfgm(folder.path(), &["cascade", "train", file.to_str().unwrap(), "--dry-run"]);
}
