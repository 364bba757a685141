//! Grey images of floating point values, which only TIFF has.

use std::{io::Cursor, path::Path};

use tiff::{
    ColorType,
    decoder::{Decoder, DecodingResult},
};

use crate::{DataError, Dataset, Shape, Values};

/// A grey image of floating point values: height, width, values.
pub struct FloatImage {
    height: usize,
    width: usize,
    values: Vec<f32>,
}

/// The image in a file, if it is a TIFF of one floating point value a pixel.
pub fn float_image(bytes: &[u8]) -> Option<FloatImage> {
    let mut decoder = Decoder::new(Cursor::new(bytes)).ok()?;
    if !matches!(decoder.colortype().ok()?, ColorType::Gray(32 | 64)) {
        return None;
    }
    let (width, height) = decoder.dimensions().ok()?;
    let values = match decoder.read_image().ok()? {
        DecodingResult::F32(values) => values,
        DecodingResult::F64(values) => values.into_iter().map(|value| value as f32).collect(),
        _ => return None,
    };
    Some(FloatImage { height: height as usize, width: width as usize, values })
}

/// A data set of images with their names, all of the size of the first.
pub fn dataset(path: &Path, images: Vec<(String, FloatImage)>) -> Result<Dataset, DataError> {
    let (height, width) = (images[0].1.height, images[0].1.width);
    let size = |image: &FloatImage| format!("{} pixels wide and {} high", image.width, image.height);
    let other = images.iter().find(|(_, image)| (image.height, image.width) != (height, width));
    if let Some((name, image)) = other {
        return Err(DataError::MixedSizes {
            path: path.display().to_string(),
            file: name.clone(),
            found: size(image),
            expected: size(&images[0].1),
        });
    }
    let values = images.into_iter().flat_map(|(_, image)| image.values).collect();
    Dataset::new(path, Shape::Image { height, width, channels: 1 }, Values::Floats(values), None, None)
}
