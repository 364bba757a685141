//! Samples of a model, and other generated rows.

use pfgm_data::{DataError, Dataset, Labels, Shape, Transform, Values};

use crate::{
    autoencoder::Autoencoder,
    error::{Error, Result},
    spec::{DataInfo, ModelSpec},
};

/// Generated rows in the units of the data.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Samples {
    values: Vec<f32>,
    /// The values in double precision, if single precision would round them visibly.
    wide: Option<Vec<f64>>,
    row_shape: Vec<usize>,
    /// The class of each row; `None` where it has none.
    pub classes: Vec<Option<u32>>,
    /// The seed of each row; empty if rows were not drawn from seeds.
    pub seeds: Vec<u64>,
    nfe: f64,
    data: DataInfo,
    /// Share of the latents whose norm was clipped, with the authors' code.
    pub clipped: f64,
}

impl Samples {
    pub(crate) fn new(values: Vec<f32>, classes: Vec<Option<u32>>, nfe: f64, data: &DataInfo) -> Self {
        let row_shape = match data.shape {
            Shape::Image { height, width, channels: 1 } => vec![height, width],
            Shape::Image { height, width, channels } => vec![height, width, channels],
            Shape::Vector { len } => vec![len],
        };
        Self { values, wide: None, row_shape, classes, seeds: Vec::new(), nfe, data: data.clone(), clipped: 0.0 }
    }

    /// Converts points of the model's space to samples.
    pub(crate) fn of_points(spec: &ModelSpec, x: &[f64], classes: Vec<Option<u32>>, nfe: f64) -> Self {
        let transform = &spec.data.transform;
        let wide = transform.is_wide().then(|| {
            let row =
                |row: &[f64]| transform.inverse_wide(&row.iter().map(|&value| value as f32).collect::<Vec<f32>>());
            x.chunks_exact(spec.dim()).flat_map(row).collect()
        });
        Self { wide, ..Self::new(spec.to_data_units(x), classes, nfe, &spec.data) }
    }

    /// Decodes samples of a flow of latents to images of bytes.
    ///
    /// # Errors
    /// Returns an error if the samples are not latents of the autoencoder.
    pub fn decoded(self, autoencoder: &Autoencoder) -> Result<Self> {
        let size = match self.data.shape {
            Shape::Image { height, width, channels } if channels == autoencoder.latent_channels() => [height, width],
            shape => {
                let channels = autoencoder.latent_channels();
                let problem = format!("its latents have {channels} channels, but the samples are {shape}");
                return Err(Error::argument("autoencoder", problem));
            }
        };
        let mut values = self.values;
        autoencoder.unscaled(&mut values);
        let mut images =
            autoencoder.decode(&values, size).map_err(|error| Error::argument("autoencoder", error.to_string()))?;
        images.iter_mut().for_each(|value| *value = (127.5 * (*value + 1.0)).clamp(0.0, 255.0));
        let [height, width] = size.map(|side| side * autoencoder.factor());
        let shape = Shape::Image { height, width, channels: autoencoder.image_channels() };
        let transform = Transform { offset: vec![127.5], scale: vec![127.5] };
        let data = DataInfo { shape, transform, range: (0.0, 255.0), ..self.data };
        let decoded = Self::new(images, self.classes, self.nfe, &data);
        Ok(Self { seeds: self.seeds, clipped: self.clipped, ..decoded })
    }

    pub(crate) fn with_seeds(self, seeds: Vec<u64>) -> Self {
        Self { seeds, ..self }
    }

    /// Returns the rows with these indices.
    ///
    /// # Panics
    /// Panics if there is no such row.
    pub fn select(&self, rows: &[usize]) -> Self {
        fn of<T: Copy>(all: &[T], rows: &[usize], dim: usize) -> Vec<T> {
            rows.iter().flat_map(|&row| &all[row * dim..(row + 1) * dim]).copied().collect()
        }
        let dim = self.data.shape.dim();
        let seeds = if self.seeds.is_empty() { Vec::new() } else { of(&self.seeds, rows, 1) };
        Self {
            values: of(&self.values, rows, dim),
            wide: self.wide.as_ref().map(|wide| of(wide, rows, dim)),
            row_shape: self.row_shape.clone(),
            classes: of(&self.classes, rows, 1),
            seeds,
            data: self.data.clone(),
            ..*self
        }
    }

    /// Appends the rows of other samples of the same model.
    pub fn append(&mut self, other: Self) {
        let (own, others) = (self.rows() as f64, other.rows() as f64);
        self.nfe = (own * self.nfe + others * other.nfe) / (own + others).max(1.0);
        self.values.extend(other.values);
        self.wide = self.wide.take().zip(other.wide).map(|(own, other)| [own, other].concat());
        self.classes.extend(other.classes);
        self.seeds.extend(other.seeds);
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.values.len() / self.data.shape.dim()
    }

    /// The shape of a row: `[N]`, `[height, width]`, or `[height, width, channels]`.
    pub fn row_shape(&self) -> &[usize] {
        &self.row_shape
    }

    /// The values in the units of the data, `[rows, N]`; images are clipped to the data's range.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The values in double precision, which preserves the digits of columns far from zero, such as coordinates in meters.
    pub fn values_f64(&self) -> Vec<f64> {
        self.wide.clone().unwrap_or_else(|| self.values.iter().map(|&value| f64::from(value)).collect())
    }

    /// The values in double precision, if single precision would round them visibly.
    pub fn wide_values(&self) -> Option<&[f64]> {
        self.wide.as_deref()
    }

    /// The rows as cells of the table that the model learned from, in the order of its columns; `None` if the data were no table with
    /// kinds of columns. If `with_missing` is false, every cell has a value.
    pub fn cells(&self, with_missing: bool) -> Option<Vec<Vec<String>>> {
        let table = self.data.table.as_ref()?;
        let (values, classes) = (self.values_f64(), &self.data.classes);
        let rows = values.chunks_exact(table.dim()).zip(&self.classes);
        let class = |class: &Option<u32>| class.and_then(|class| classes.get(class as usize)).map(String::as_str);
        Some(rows.map(|(row, number)| table.decode(row, class(number), with_missing)).collect())
    }

    /// One row.
    ///
    /// # Panics
    /// Panics if there is no such row.
    pub fn row(&self, index: usize) -> &[f32] {
        let dim = self.data.shape.dim();
        &self.values[index * dim..(index + 1) * dim]
    }

    /// The values, without a copy.
    pub fn into_values(self) -> Vec<f32> {
        self.values
    }

    /// Mean number of evaluations of `yhat` per row.
    pub fn nfe(&self) -> f64 {
        self.nfe
    }

    /// Properties of the training data.
    pub fn data(&self) -> &DataInfo {
        &self.data
    }

    /// Converts the samples to a data set with the range and the classes of the training data.
    ///
    /// # Errors
    /// Returns an error if a value is not finite.
    pub fn to_dataset(&self) -> Result<Dataset, DataError> {
        let of_row: Option<Vec<u32>> = self.classes.iter().copied().collect();
        let names = &self.data.classes;
        let labels = of_row.filter(|_| !names.is_empty()).map(|of_row| Labels { of_row, names: names.clone() });
        let values = Values::Floats(self.values.clone());
        let range = Some(self.data.range);
        let name = std::path::Path::new(&self.data.name);
        let mut set = Dataset::new(name, self.data.shape, values, range, labels)?;
        set.columns.clone_from(&self.data.columns);
        set.table = self.data.table.clone().map(std::sync::Arc::new);
        Ok(set)
    }
}
