//! Network conditioning: the inputs of a network for each row apart from the point and its noise level.

mod spatial;

use burn::tensor::{Device, Tensor, TensorData};

pub use self::spatial::{LowResolution, SpatialConditioning, UpscaleConfig, add_noise};
use crate::augmentation;
pub use crate::network::ConditioningTensors;

/// Conditioning of the rows of a batch.
///
/// ```
/// use pfgm::conditioning::Conditioning;
///
/// let two_sevens_and_one_without_class = Conditioning::from(vec![Some(7), Some(7), None]);
/// assert_eq!(two_sevens_and_one_without_class.class(1), Some(7));
/// assert_eq!(Conditioning::default().class(0), None);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Conditioning {
    classes: Vec<Option<u32>>,
    spatial: SpatialValues,
    augmentation: Vec<[f32; augmentation::LABELS]>,
}

/// Spatial conditioning: values at each pixel in addition to those of the image.
#[derive(Clone, Debug, Default, PartialEq)]
enum SpatialValues {
    #[default]
    None,
    /// The same values for each row, `[pixels * channels]`.
    Shared(Vec<f32>),
    /// `[rows, pixels * channels]`
    PerRow { values: Vec<f32>, width: usize },
}

impl From<Vec<Option<u32>>> for Conditioning {
    /// Conditioning on the class of each row; a row beyond the end has no class.
    fn from(classes: Vec<Option<u32>>) -> Self {
        Self { classes, ..Self::default() }
    }
}

impl Conditioning {
    /// Adds a low-resolution image for each row, and the positions of pixels if `spatial` has them.
    ///
    /// # Shapes
    /// `images`: rows of [`SpatialConditioning::low_shape`] in the model's space; their noise has standard deviation `noise`
    ///
    /// # Panics
    /// Panics if `spatial` has no low-resolution images.
    #[must_use]
    pub fn with_low_resolution(self, spatial: &SpatialConditioning, images: &[f32], noise: f64) -> Self {
        let dim = spatial.low_shape().expect("conditioning on low-resolution images").dim();
        let rows = images.chunks_exact(dim).map(|image| spatial.values(Some(LowResolution { image, noise })));
        self.with_spatial(rows.flatten().collect(), images.len() / dim)
    }

    /// Adds values at each pixel, `[rows, pixels * channels]`.
    #[must_use]
    pub fn with_spatial(self, values: Vec<f32>, rows: usize) -> Self {
        if values.is_empty() {
            return self;
        }
        let width = values.len() / rows;
        Self { spatial: SpatialValues::PerRow { values, width }, ..self }
    }

    /// Adds the positions of pixels, if `spatial` has nothing else and they have not been added yet.
    #[must_use]
    pub(crate) fn with_positions(self, spatial: &SpatialConditioning) -> Self {
        if self.spatial != SpatialValues::None || !spatial.positions || spatial.upscale.is_some() {
            return self;
        }
        Self { spatial: SpatialValues::Shared(spatial.values(None)), ..self }
    }

    /// Adds the augmentation labels of each row; empty if no image was augmented.
    #[must_use]
    pub fn with_augmentation(self, augmentation: Vec<[f32; augmentation::LABELS]>) -> Self {
        Self { augmentation, ..self }
    }

    /// Removes the classes of all rows.
    #[must_use]
    pub fn without_classes(self) -> Self {
        Self { classes: Vec::new(), ..self }
    }

    /// Class of a row.
    pub fn class(&self, row: usize) -> Option<u32> {
        self.classes.get(row).copied().flatten()
    }

    /// Returns the conditioning of some rows as tensors, for a network with `classes` classes.
    ///
    /// # Panics
    /// Panics if a class is not below `classes`, or a row has no values at pixels where others have.
    pub fn tensors(&self, rows: &[usize], classes: usize, device: &Device) -> ConditioningTensors {
        let tensor = |values: Vec<f32>| {
            let width = values.len() / rows.len().max(1);
            Tensor::from_data(TensorData::new(values, [rows.len(), width]), device)
        };
        let spatial = match &self.spatial {
            SpatialValues::None => None,
            SpatialValues::Shared(values) => Some(tensor(values.repeat(rows.len()))),
            SpatialValues::PerRow { values, width } => {
                Some(tensor(rows.iter().flat_map(|row| &values[row * width..(row + 1) * width]).copied().collect()))
            }
        };
        let augmentation = (!self.augmentation.is_empty())
            .then(|| tensor(rows.iter().flat_map(|&row| self.augmentation[row]).collect()));
        ConditioningTensors { classes: self.one_hot(rows, classes).map(tensor), spatial, augmentation }
    }

    fn one_hot(&self, rows: &[usize], classes: usize) -> Option<Vec<f32>> {
        if classes == 0 {
            return None;
        }
        let mut values = vec![0.0; rows.len() * classes];
        for (values, &row) in values.chunks_exact_mut(classes).zip(rows) {
            if let Some(class) = self.class(row) {
                values[class as usize] = 1.0;
            }
        }
        Some(values)
    }
}

#[cfg(test)]
mod tests {
    use pfgm_data::Shape;

    use super::*;

    fn values(tensor: Option<Tensor<2>>) -> Vec<f32> {
        tensor.map_or_else(Vec::new, |tensor| tensor.into_data().try_to_vec().unwrap())
    }

    #[test]
    fn rows_get_their_own_conditioning() {
        let shape = Shape::Image { height: 2, width: 2, channels: 1 };
        let upscale = UpscaleConfig { factor: 2, ..UpscaleConfig::default() };
        let spatial = SpatialConditioning { shape, upscale: Some(upscale), positions: false };
        let mut labels = [[0.0; augmentation::LABELS]; 3];
        labels[2][1] = 0.5;
        let conditioning = Conditioning::from(vec![Some(1), None])
            .with_low_resolution(&spatial, &[0.1, 0.2, 0.3], 0.7)
            .with_augmentation(labels.to_vec());
        let device = Device::flex();
        let found = conditioning.tensors(&[2, 0, 1], 2, &device);
        assert_eq!(values(found.classes.clone()), [0.0, 0.0, 0.0, 1.0, 0.0, 0.0]);
        assert_eq!(values(found.spatial.clone())[..10], [0.3, 0.7, 0.3, 0.7, 0.3, 0.7, 0.3, 0.7, 0.1, 0.7]);
        assert_eq!(values(found.augmentation.clone())[..2], [0.0, 0.5]);
        let without = found.without_classes();
        assert_eq!(values(without.classes), [0.0; 6]);
        assert!(without.spatial.is_some());
        assert!(conditioning.tensors(&[0], 0, &device).classes.is_none());
    }

    #[test]
    fn positions_are_added_once_and_not_to_super_resolution() {
        let shape = Shape::Image { height: 2, width: 2, channels: 1 };
        let positions = SpatialConditioning { shape, upscale: None, positions: true };
        let added = Conditioning::default().with_positions(&positions);
        let device = Device::flex();
        let found = added.tensors(&[0, 5], 0, &device);
        assert_eq!(values(found.spatial)[..4], [-0.5, -0.5, 0.5, -0.5]);
        assert_eq!(added.clone().with_positions(&positions), added);
        let none = SpatialConditioning { positions: false, ..positions };
        assert_eq!(Conditioning::default().with_positions(&none), Conditioning::default());
        let super_resolution = SpatialConditioning { upscale: Some(UpscaleConfig::default()), ..positions };
        assert_eq!(Conditioning::default().with_positions(&super_resolution), Conditioning::default());
    }
}
