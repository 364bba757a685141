//! Operators of measurements: `--operator NAME=VALUE`.

use std::path::Path;

use anyhow::{Context, Result, bail};
use pfgm::posterior::{Blur, Composition, Downsampling, Fourier, Identity, LinearOperator, Mask, Matrix, Radon};
use pfgm_data::{Shape, npz::read_npy};

use super::dataset;
use crate::args::DataArgs;

/// Most values of a matrix or of a projection's measurement.
const MOST_VALUES: usize = 1 << 28;

/// An operator as it was typed.
#[derive(Clone, Debug, PartialEq)]
enum Part {
    Identity,
    Mask(String),
    Blur(String),
    Downsampling(usize),
    Fourier(String),
    Radon(String),
    Matrix(String),
}

/// How the values of a measurement lie in a file.
#[derive(Clone, Debug, PartialEq)]
pub enum Layout {
    /// One after another, in this shape.
    Plain(Vec<usize>),
    /// In rows of this shape, of which only the values at these places were measured.
    Masked {
        /// The shape of a row.
        shape: Vec<usize>,
        /// The places.
        kept: Vec<usize>,
    },
}

impl Layout {
    /// The shape of a measurement in a file.
    pub fn shape(&self) -> &[usize] {
        match self {
            Self::Plain(shape) | Self::Masked { shape, .. } => shape,
        }
    }

    /// Whether every value of the file was measured.
    pub fn is_plain(&self) -> bool {
        matches!(self, Self::Plain(_))
    }

    /// The values that were measured.
    pub fn measured(&self, row: &[f64]) -> Vec<f64> {
        match self {
            Self::Plain(_) => row.to_vec(),
            Self::Masked { kept, .. } => kept.iter().map(|&at| row[at]).collect(),
        }
    }

    /// A row of the file with the values that were measured, and `other` elsewhere.
    pub fn filled(&self, values: &[f64], other: f64) -> Vec<f64> {
        match self {
            Self::Plain(_) => values.to_vec(),
            Self::Masked { shape, kept } => {
                let mut row = vec![other; shape.iter().product()];
                kept.iter().zip(values).for_each(|(&at, value)| row[at] = *value);
                row
            }
        }
    }
}

/// What is measured of a row.
pub struct Operator {
    /// The map itself.
    pub operator: Box<dyn LinearOperator>,
    /// How its output lies in a file.
    pub layout: Layout,
    /// Height, width and channels of the output, if it is an image whose pixels have their own noise.
    pub image: Option<[usize; 3]>,
    /// Whether the values of the output have the range of the data.
    pub has_range: bool,
    /// Which values of a row are known, if the operator is one mask and nothing else.
    pub known: Option<Vec<bool>>,
}

/// What the next operator is applied to.
struct Stage {
    shape: Vec<usize>,
    image: Option<[usize; 3]>,
}

/// Reads operators, which are applied to rows of this shape one after another.
pub fn operator(texts: &[String], shape: Shape) -> Result<Operator> {
    let (mut stage, dim) = match shape {
        Shape::Image { height, width, channels } => {
            let row = if channels == 1 { vec![height, width] } else { vec![height, width, channels] };
            (Stage { shape: row, image: Some([height, width, channels]) }, height * width * channels)
        }
        Shape::Vector { len } => (Stage { shape: vec![len], image: None }, len),
    };
    let mut whole = Operator {
        operator: Box::new(Identity { dim }),
        layout: Layout::Plain(stage.shape.clone()),
        image: stage.image,
        has_range: true,
        known: None,
    };
    for text in texts {
        let step = part(text)?.build(text, &stage)?;
        let previous = std::mem::replace(&mut whole.operator, Box::new(Identity { dim: 0 }));
        whole.operator = Box::new(Composition::new(previous, step.operator).with_context(|| flag(text))?);
        whole.has_range &= step.has_range;
        whole.known = if texts.len() == 1 { step.known } else { None };
        stage = Stage { shape: step.layout.shape().to_vec(), image: step.image };
        if let Layout::Masked { kept, .. } = &step.layout {
            stage = Stage { shape: vec![kept.len()], image: None };
        }
        (whole.layout, whole.image) = (step.layout, step.image);
    }
    Ok(whole)
}

fn flag(text: &str) -> String {
    format!("--operator {text}")
}

/// Parses one operator.
fn part(text: &str) -> Result<Part> {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    let value = value.to_owned();
    if value.is_empty() && name != "none" {
        let names =
            "none, mask=FILE, blur=SIGMA|KERNEL.npy, downsample=FACTOR, fourier=MASK, radon=ANGLES, matrix=A.npy";
        bail!("{}: write one of {names}", flag(text));
    }
    Ok(match name {
        "none" => Part::Identity,
        "mask" => Part::Mask(value),
        "blur" => Part::Blur(value),
        "downsample" => Part::Downsampling(
            value.parse().with_context(|| format!("{}: give a whole number, as in downsample=4", flag(text)))?,
        ),
        "fourier" => Part::Fourier(value),
        "radon" => Part::Radon(value),
        "matrix" => Part::Matrix(value),
        other => bail!(
            "{}: there is no operator `{other}`; there are none, mask, blur, downsample, fourier, radon and matrix",
            flag(text)
        ),
    })
}

impl Part {
    fn build(self, text: &str, stage: &Stage) -> Result<Operator> {
        let named = || flag(text);
        let image = || {
            let problem = format!("{}: is for images, but here are rows of {:?} values", named(), stage.shape);
            stage.image.with_context(|| problem)
        };
        let plain = |operator: Box<dyn LinearOperator>, shape: Vec<usize>, image, has_range| Operator {
            operator,
            layout: Layout::Plain(shape),
            image,
            has_range,
            known: None,
        };
        let dim: usize = stage.shape.iter().product();
        Ok(match self {
            Self::Identity => plain(Box::new(Identity { dim }), stage.shape.clone(), stage.image, true),
            Self::Blur(value) => {
                let (size, [is_average, blur]) = (image()?, [true, false]);
                let (blur, has_range) = match value.parse::<f64>() {
                    Ok(sigma) => (Blur::gaussian(size, sigma), is_average),
                    Err(_) => {
                        let (shape, values) = array(&value).with_context(named)?;
                        let &[height, width] = &shape[..] else {
                            bail!("{}: the kernel has shape {shape:?}; give [height, width]", named())
                        };
                        (Blur::new(size, [height, width], values), blur)
                    }
                };
                plain(Box::new(blur.with_context(named)?), stage.shape.clone(), stage.image, has_range)
            }
            Self::Downsampling(factor) => {
                let smaller = Downsampling::new(image()?, factor).with_context(named)?;
                let size = smaller.output_size();
                let mut shape = stage.shape.clone();
                shape[..2].copy_from_slice(&size[..2]);
                plain(Box::new(smaller), shape, Some(size), true)
            }
            Self::Radon(value) => {
                let (size, angles) = (image()?, angles(&value).with_context(named)?);
                let radon = Radon::new(size, &angles).with_context(named)?;
                let mut shape = stage.shape.clone();
                shape[0] = angles.len();
                plain(Box::new(radon), shape, Some([angles.len(), size[1], size[2]]), false)
            }
            Self::Matrix(value) => {
                let (shape, values) = array(&value).with_context(named)?;
                if shape.len() != 2 || shape[1] != dim {
                    bail!("{}: has shape {shape:?}; give [M, {dim}], a column for each value of a row", named());
                }
                plain(Box::new(Matrix::new(values, dim).with_context(named)?), vec![shape[0]], None, false)
            }
            Self::Mask(value) => masked(&value, stage).with_context(named)?,
            Self::Fourier(value) => fourier(&value, image()?).with_context(named)?,
        })
    }
}

/// A mask of the values of rows.
fn masked(path: &str, stage: &Stage) -> Result<Operator> {
    let known = mask(path, &stage.shape, stage.image)?;
    let kept = (0..known.len()).filter(|&at| known[at]).collect();
    Ok(Operator {
        operator: Box::new(Mask::new(&known)?),
        layout: Layout::Masked { shape: stage.shape.clone(), kept },
        image: None,
        has_range: true,
        known: Some(known),
    })
}

/// A mask of frequencies. A measurement in a file is the whole centered transform, real and imaginary parts last.
fn fourier(path: &str, size: [usize; 3]) -> Result<Operator> {
    let [height, width, channels] = size;
    let is_kept = mask(path, &[height, width], Some([height, width, 1]))?;
    let uncentered = Fourier::uncentered(&is_kept, [height, width]);
    // The places of the kept frequencies in the centered transform, in the order of the operator.
    let centered = |at: usize| (at / width + height / 2) % height * width + (at % width + width / 2) % width;
    let values = 2 * channels;
    let frequencies = (0..uncentered.len()).filter(|&at| uncentered[at]).map(centered);
    let kept = frequencies.flat_map(|at| at * values..(at + 1) * values).collect();
    let mut shape = vec![height, width, channels, 2];
    if channels == 1 {
        shape.remove(2);
    }
    Ok(Operator {
        operator: Box::new(Fourier::new(size, &uncentered)?),
        layout: Layout::Masked { shape, kept },
        image: None,
        has_range: false,
        known: None,
    })
}

/// Which values a mask keeps: those where an image is white, or an array or a table is not zero.
fn mask(path: &str, shape: &[usize], image: Option<[usize; 3]>) -> Result<Vec<bool>> {
    let dim: usize = shape.iter().product();
    if path.ends_with(".npy") {
        let (found, values) = array(path)?;
        let of_pixels = image.filter(|[height, width, _]| values.len() == height * width);
        return match of_pixels {
            _ if values.len() == dim => Ok(values.iter().map(|&value| value != 0.0).collect()),
            Some([.., channels]) => Ok(values.iter().flat_map(|&value| vec![value != 0.0; channels]).collect()),
            None => bail!("has shape {found:?}, but rows are {shape:?}"),
        };
    }
    match image {
        Some(size) => image_mask(Path::new(path), size),
        None => {
            let table = dataset(path, &DataArgs::default())?;
            if table.len() != 1 || table.shape.dim() != dim {
                bail!("has {} rows of {} values; give one row of {dim}", table.len(), table.shape.dim());
            }
            Ok(table.values()?.iter().map(|&value| value != 0.0).collect())
        }
    }
}

/// Which values of an image are kept: those where the mask is white.
pub fn image_mask(path: &Path, [height, width, channels]: [usize; 3]) -> Result<Vec<bool>> {
    let shown = path.display();
    let source = path.to_str().with_context(|| format!("{shown}: the name is not UTF-8; rename the file"))?;
    let mask = dataset(source, &DataArgs::default())?;
    let Shape::Image { height: h, width: w, channels: c } = mask.shape else {
        bail!("{shown}: {} is not an image", mask.shape)
    };
    if mask.len() != 1 {
        bail!("{shown}: has {} images; give one", mask.len());
    }
    if (h, w) != (height, width) {
        bail!("{shown}: is {h} high and {w} wide; the run's images are {height} and {width}");
    }
    let mut values = vec![0.0; h * w * c];
    mask.read(0, &mut values)?;
    let pixels: Vec<f32> = values.chunks_exact(c).map(|pixel| pixel[0]).collect();
    let (low, high) = pixels.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), &v| (l.min(v), h.max(v)));
    let (black, white) = mask.range;
    // A mask of 0 and 1 as numbers means what one of black and white means.
    let is_binary = low == 0.0 && high == 1.0 && pixels.iter().all(|value| [0.0, 1.0].contains(value));
    let middle = if is_binary { 0.5 } else { (black + white) / 2.0 };
    Ok(pixels.iter().flat_map(|&pixel| vec![pixel > middle; channels]).collect())
}

/// The angles of projections in degrees: so many over half a turn, or those of a file.
fn angles(text: &str) -> Result<Vec<f64>> {
    match text.parse::<usize>() {
        Ok(count) if count > 0 && count <= 100_000 => Ok(Radon::evenly_spaced(count)),
        Ok(_) => bail!("give a number of angles from 1 to 100000"),
        Err(_) => Ok(array(text)?.1),
    }
}

/// Reads an array of a `.npy` file.
pub fn array(path: &str) -> Result<(Vec<usize>, Vec<f64>)> {
    let bytes = std::fs::read(path).with_context(|| format!("{path}: cannot be read"))?;
    let (shape, values) = read_npy(Path::new(path), &bytes)?;
    if values.len() > MOST_VALUES {
        bail!("{path}: {} values; give at most {MOST_VALUES}", values.len());
    }
    Ok((shape, values))
}
