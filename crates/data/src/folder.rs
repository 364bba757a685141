//! Images in a folder, with or without labels.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
};

use image::DynamicImage;
use rayon::prelude::*;
use serde::Deserialize;

use crate::{DataError, Dataset, Labels, Shape, Values, tiff};

const ENDINGS: [&str; 9] = ["png", "jpg", "jpeg", "bmp", "gif", "tif", "tiff", "webp", "pgm"];

/// Whether a file is called like an image.
pub fn is_image(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, ending)| ENDINGS.contains(&ending.to_ascii_lowercase().as_str()))
}

/// Reads every image below a folder, in the order of their names, cropped and scaled to squares of `side` pixels unless that is 0.
///
/// # Errors
/// When a file cannot be read or decoded, or the images differ in size.
pub fn read(path: &Path, side: usize) -> Result<Dataset, DataError> {
    let images = list(path)?;
    let json = dataset_json(path)?;
    let read = |file: &PathBuf| fs::read(file).map_err(|error| DataError::read(file, error));
    assemble(path, &images, read, json.as_deref(), side)
}

/// The images below a folder with their names, in the order of those.
pub(crate) fn list(path: &Path) -> Result<Vec<(String, PathBuf)>, DataError> {
    let mut files = Vec::new();
    walk(path, &mut files)?;
    let name = |file: &PathBuf| {
        file.strip_prefix(path).unwrap_or(file).to_string_lossy().replace(std::path::MAIN_SEPARATOR, "/")
    };
    let mut images: Vec<(String, PathBuf)> =
        files.into_iter().map(|file| (name(&file), file)).filter(|(name, _)| is_image(name)).collect();
    images.sort();
    Ok(images)
}

/// The labels that EDM's `dataset_tool` writes beside its images, if they are there.
pub(crate) fn dataset_json(path: &Path) -> Result<Option<Vec<u8>>, DataError> {
    let json = path.join("dataset.json");
    match fs::read(&json) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(DataError::read(&json, error)),
    }
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), DataError> {
    let entries = fs::read_dir(folder).map_err(|error| DataError::read(folder, error))?;
    for entry in entries {
        let path = entry.map_err(|error| DataError::read(folder, error))?.path();
        if path.is_dir() {
            walk(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// What EDM's `dataset_tool` writes beside its images.
#[derive(Deserialize)]
struct DatasetJson {
    labels: Option<Vec<(String, u32)>>,
}

/// Makes a data set of images that `read` fetches by their second element. Names use `/`.
pub(crate) fn assemble<S: Sync>(
    path: &Path,
    images: &[(String, S)],
    read: impl Fn(&S) -> Result<Vec<u8>, DataError> + Sync,
    dataset_json: Option<&[u8]>,
    side: usize,
) -> Result<Dataset, DataError> {
    if images.is_empty() {
        return Err(DataError::empty(path, format!("no image in it ({})", ENDINGS.join(", "))));
    }
    let labels = labels(path, images, dataset_json)?;
    let is_tiff =
        |name: &str| name.to_ascii_lowercase().ends_with(".tif") || name.to_ascii_lowercase().ends_with(".tiff");
    if is_tiff(&images[0].0)
        && let Some(first) = tiff::float_image(&read(&images[0].1)?)
    {
        let others = images[1..].iter().map(|(name, source)| {
            let image = tiff::float_image(&read(source)?);
            let problem =
                || DataError::malformed(path, format!("{name} is no TIFF of floating point values as the first is"));
            Ok((name.clone(), image.ok_or_else(problem)?))
        });
        let all =
            [Ok((images[0].0.clone(), first))].into_iter().chain(others).collect::<Result<Vec<_>, DataError>>()?;
        return Ok(Dataset { labels, ..tiff::dataset(path, all)? });
    }
    let decoded: Vec<DynamicImage> = images
        .par_iter()
        .map(|(name, source)| {
            image::load_from_memory(&read(source)?)
                .map(|image| fit(image, side))
                .map_err(|error| DataError::malformed(path, format!("{name} cannot be decoded: {error}")))
        })
        .collect::<Result<_, DataError>>()?;
    let (width, height) = (decoded[0].width(), decoded[0].height());
    if let Some(other) = decoded.iter().position(|image| (image.width(), image.height()) != (width, height)) {
        let size = |image: &DynamicImage| format!("{} pixels wide and {} high", image.width(), image.height());
        return Err(DataError::MixedSizes {
            path: path.display().to_string(),
            file: images[other].0.clone(),
            found: size(&decoded[other]),
            expected: size(&decoded[0]),
        });
    }
    let colour = decoded.iter().any(|image| image.color().has_color());
    let deep = decoded.iter().any(|image| image.color().bytes_per_pixel() / image.color().channel_count() > 1);
    let shape = Shape::Image { height: height as usize, width: width as usize, channels: if colour { 3 } else { 1 } };
    let (values, range) = if deep {
        (Values::Floats(decoded.into_iter().flat_map(|image| floats(image, colour)).collect()), Some((0.0, 1.0)))
    } else {
        (Values::Bytes(decoded.into_iter().flat_map(|image| bytes(image, colour)).collect()), None)
    };
    Dataset::new(path, shape, values, range, labels)
}

/// The middle square of an image, scaled to `side` pixels; the image itself where that is 0.
pub(crate) fn fit(image: DynamicImage, side: usize) -> DynamicImage {
    if side == 0 {
        return image;
    }
    let (width, height) = (image.width(), image.height());
    let square = width.min(height);
    let middle = image.crop_imm((width - square) / 2, (height - square) / 2, square, square);
    // Triangle filters as wide as the step: means where images shrink, straight lines where they grow.
    middle.resize_exact(side as u32, side as u32, image::imageops::FilterType::Triangle)
}

/// The values of an image of more than 8 bits.
pub(crate) fn floats(image: DynamicImage, colour: bool) -> Vec<f32> {
    if colour { image.into_rgb32f().into_raw() } else { grey_floats(&image) }
}

/// The values of an image of 8 bits.
pub(crate) fn bytes(image: DynamicImage, colour: bool) -> Vec<u8> {
    if colour { image.into_rgb8().into_raw() } else { image.into_luma8().into_raw() }
}

fn grey_floats(image: &DynamicImage) -> Vec<f32> {
    image.to_luma16().iter().map(|&value| f32::from(value) / f32::from(u16::MAX)).collect()
}

/// From `dataset.json` where there is one, else from the names of the first folders, else none.
pub(crate) fn labels<S>(
    path: &Path,
    images: &[(String, S)],
    dataset_json: Option<&[u8]>,
) -> Result<Option<Labels>, DataError> {
    if let Some(json) = dataset_json {
        let json: DatasetJson = serde_json::from_slice(json)
            .map_err(|error| DataError::malformed(path, format!("dataset.json: {error}")))?;
        let Some(pairs) = json.labels else { return Ok(None) };
        let by_name: HashMap<_, _> = pairs.into_iter().collect();
        let of_row = images
            .iter()
            .map(|(name, _)| {
                by_name.get(name).copied().ok_or_else(|| {
                    DataError::malformed(
                        path,
                        format!("dataset.json has no label for {name}; add it or remove the image"),
                    )
                })
            })
            .collect::<Result<_, _>>()?;
        return Labels::numbered(path, of_row).map(Some);
    }
    let folders: Vec<Option<&str>> =
        images.iter().map(|(name, _)| name.split_once('/').map(|(folder, _)| folder)).collect();
    let mut names: Vec<&str> = folders.iter().flatten().copied().collect();
    names.dedup();
    if names.len() < 2 || folders.contains(&None) {
        return Ok(None);
    }
    let class = |folder: &str| names.iter().position(|&name| name == folder).expect("listed above") as u32;
    let of_row = folders.iter().flatten().map(|folder| class(folder)).collect();
    Ok(Some(Labels { of_row, names: names.into_iter().map(str::to_owned).collect() }))
}
