//! Rows of data in the representation of a model.

use pfgm_data::{Dataset, Shape};
use pfgm_eval::{is_nominal, nominal_range};

use crate::{
    error::{Error, Result},
    import::LATENTS,
    spec::ModelSpec,
};

/// Rows in the units of the data, with the class numbers of the model.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Rows {
    /// The values, `[rows, N]`.
    pub values: Vec<f32>,
    /// The class of each row; `None` where the model is not conditioned on classes.
    pub labels: Vec<Option<u32>>,
    /// Whether the values are integers, which need dequantization before they have a density.
    pub is_integer: bool,
    /// What was done to the values to bring them to the model's scale.
    pub note: Option<String>,
    /// The rows in the model's space, if single precision would round their values in the units of the data.
    pub(super) points: Option<Vec<f64>>,
}

impl Rows {
    /// Rows without classes.
    pub fn new(values: Vec<f32>, labels: Vec<Option<u32>>, is_integer: bool) -> Self {
        Self { values, labels, is_integer, note: None, points: None }
    }

    /// Returns these rows followed by others, without classes.
    pub(super) fn followed_by(&self, others: &Self) -> Self {
        let points = self.points.as_ref().zip(others.points.as_ref()).map(|(a, b)| [&a[..], &b[..]].concat());
        let values = [&self.values[..], &others.values[..]].concat();
        let labels = vec![None; self.len() + others.len()];
        let is_integer = self.is_integer && others.is_integer;
        Self { values, labels, is_integer, note: self.note.clone(), points }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The rows without their classes.
    pub fn without_labels(mut self) -> Self {
        self.labels.fill(None);
        self
    }
}

impl ModelSpec {
    /// Reads all rows of a data set, and maps their classes by name. Rows without labels are allowed if the model was trained with label
    /// dropout.
    ///
    /// # Errors
    /// Returns an error if the rows have another shape or scale than the model's data, or an unknown class, or if they
    /// cannot be read.
    pub fn rows(&self, dataset: &Dataset) -> Result<Rows> {
        let labels = self.labels_of(dataset)?;
        Ok(Rows { labels, ..self.unlabeled_rows(dataset)? })
    }

    /// Reads all rows of a data set without their classes.
    ///
    /// # Errors
    /// Returns an error if the rows have another shape or scale than the model's data, or cannot be read.
    pub fn unlabeled_rows(&self, dataset: &Dataset) -> Result<Rows> {
        self.check_rows(dataset)?;
        let mut values = vec![0.0; dataset.len() * dataset.shape.dim()];
        for (index, row) in values.chunks_exact_mut(dataset.shape.dim()).enumerate() {
            dataset.read(index, row)?;
        }
        if self.is_gray_of(dataset.shape) {
            values = gray(&values).ok_or_else(|| {
                let problem = format!(
                    "{}: images have colors, but the model learned from gray images; convert them",
                    dataset.name
                );
                Error::argument("data", problem)
            })?;
        }
        let (mut is_integer, mut note) = (dataset.values.are_bytes(), None);
        if let Some(high) = self.fewer_levels(dataset) {
            is_integer = scale_bytes(&mut values, high);
            note = Some(format!("images of 0 to 255 are scaled to the 0 to {high} that the model learned from"));
        }
        let mut points = None;
        if !dataset.origin.is_empty() {
            let points = points.insert(Vec::with_capacity(values.len()));
            let transform = &self.data.transform;
            dataset.each_transformed(transform, &mut |row| points.extend(row.iter().map(|&value| f64::from(value))))?;
        }
        Ok(Rows { values, labels: vec![None; dataset.len()], is_integer, note, points })
    }

    /// Returns the class of each row of a data set, with the numbers of the model.
    fn labels_of(&self, dataset: &Dataset) -> Result<Vec<Option<u32>>> {
        let (name, known) = (&dataset.name, &self.data.classes);
        if known.is_empty() {
            return Ok(vec![None; dataset.len()]);
        }
        let Some(labels) = &dataset.labels else {
            // A network trained with label dropout also estimates the unconditional density.
            if self.config.train.label_dropout > 0.0 {
                return Ok(vec![None; dataset.len()]);
            }
            let problem = format!(
                "{name} has no labels, but the model is conditioned on classes and knows no estimate without them; give data \
                 with labels"
            );
            return Err(Error::argument("data", problem));
        };
        let number = |class: &String| known.iter().position(|known| known == class).map(|class| class as u32);
        let numbers: Vec<Option<u32>> = labels.names.iter().map(number).collect();
        let of_row = labels.of_row.iter().map(|&class| {
            numbers[class as usize].ok_or_else(|| {
                let class = &labels.names[class as usize];
                Error::argument(
                    "data",
                    format!("{name}: the model has no class `{class}`; its classes are {}", known.join(", ")),
                )
            })
        });
        of_row.map(|class| class.map(Some)).collect()
    }

    fn check_rows(&self, dataset: &Dataset) -> Result<()> {
        let (name, learned) = (&dataset.name, &self.data);
        if dataset.shape != learned.shape && !self.is_gray_of(dataset.shape) {
            let problem = format!("{name}: rows are {}, but the model learned from {}", dataset.shape, learned.shape);
            return Err(Error::argument("data", problem));
        }
        self.check_scale(dataset)
    }

    /// Checks that the values of images are on the scale of the model's data, whatever the size of the images.
    ///
    /// # Errors
    /// Returns an error if they are not.
    pub fn check_scale(&self, dataset: &Dataset) -> Result<()> {
        let (name, learned) = (&dataset.name, &self.data);
        let is_image = matches!(learned.shape, Shape::Image { .. }) && learned.range.1 < LATENTS;
        if is_image && self.fewer_levels(dataset).is_none() && !is_same_scale(learned.range, dataset.range) {
            let ((low, high), (a, b)) = (nominal_range(learned.range), nominal_range(dataset.range));
            let problem = format!(
                "{name}: values lie between {a} and {b}, but the model learned from {low} to {high}; bring them to the same scale"
            );
            return Err(Error::argument("data", problem));
        }
        Ok(())
    }

    /// The value of white, if the model learned from images of fewer levels than the bytes that a data set has, such as 0 to 16.
    fn fewer_levels(&self, dataset: &Dataset) -> Option<f32> {
        let (low, high) = self.data.range;
        let has_bytes = dataset.values.are_bytes() && dataset.range == (0.0, 255.0);
        (has_bytes && low == 0.0 && high > 1.0 && high < 255.0 && high.fract() == 0.0).then_some(high)
    }

    /// Whether `shape` is that of the model's data with three channels instead of one.
    fn is_gray_of(&self, shape: Shape) -> bool {
        match (self.data.shape, shape) {
            (Shape::Image { height, width, channels: 1 }, given) => {
                given == Shape::Image { height, width, channels: 3 }
            }
            _ => false,
        }
    }

    /// Maps rows in the units of the data to the model's space.
    ///
    /// # Shapes
    /// `values` and the result: `[rows, N]`
    pub fn to_model_space(&self, values: &[f32]) -> Vec<f64> {
        let mut values = values.to_vec();
        values.chunks_exact_mut(self.dim()).for_each(|row| self.data.transform.forward(row));
        values.into_iter().map(f64::from).collect()
    }

    /// Rows as points of the model's space, `[rows, N]`.
    pub fn points(&self, rows: &Rows) -> Vec<f64> {
        rows.points.clone().unwrap_or_else(|| self.to_model_space(&rows.values))
    }

    /// Maps points of the model's space to the units of the data; images are clipped to the data's range.
    ///
    /// # Shapes
    /// `points` and the result: `[rows, N]`
    pub fn to_data_units(&self, points: &[f64]) -> Vec<f32> {
        let mut values: Vec<f32> = points.iter().map(|&value| value as f32).collect();
        values.chunks_exact_mut(self.dim()).for_each(|row| self.data.transform.inverse(row));
        if matches!(self.data.shape, Shape::Image { .. }) {
            let (low, high) = self.data.range;
            values.iter_mut().for_each(|value| *value = value.clamp(low, high));
        }
        values
    }

    /// Returns the number of the class with this name or number.
    ///
    /// # Errors
    /// Returns an error if there is no such class.
    pub fn class(&self, name: &str) -> Result<u32> {
        find_class(&self.data.classes, name)
    }
}

/// Returns the number of the class among `classes` with this name or number.
///
/// # Errors
/// Returns an error if there is none.
pub fn find_class(classes: &[String], name: &str) -> Result<u32> {
    let number = || name.parse::<usize>().ok().filter(|&number| number < classes.len());
    match classes.iter().position(|class| class == name).or_else(number) {
        Some(class) => Ok(class as u32),
        None if classes.is_empty() => Err(Error::argument("class", "the model is not conditioned on classes; omit it")),
        None => Err(Error::argument("class", format!("no class `{name}`; there are {}", classes.join(", ")))),
    }
}

/// Returns one channel of images with three equal channels; `None` if the channels differ.
fn gray(values: &[f32]) -> Option<Vec<f32>> {
    let pixels = values.chunks_exact(3);
    pixels.map(|pixel| (pixel[0] == pixel[1] && pixel[1] == pixel[2]).then_some(pixel[0])).collect()
}

/// Scales bytes so that 255 becomes `high`. Returns whether each stood for a whole number, as in a picture of such an image; then it is
/// that number.
fn scale_bytes(values: &mut [f32], high: f32) -> bool {
    let level = |value: f32| (value * high / 255.0).round();
    let is_whole = values.iter().all(|&value| (level(value) * 255.0 / high).round() == value);
    values.iter_mut().for_each(|value| *value = if is_whole { level(*value) } else { *value * high / 255.0 });
    is_whole
}

/// Whether two value ranges of images are the same scale.
fn is_same_scale(learned: (f32, f32), given: (f32, f32)) -> bool {
    let (learned, given) = (nominal_range(learned), nominal_range(given));
    if learned == given {
        return true;
    }
    if [learned, given].into_iter().all(is_nominal) {
        return false;
    }
    let ((low, high), (a, b)) = (learned, given);
    let span = high - low;
    a >= low - span / 2.0 && b <= high + span / 2.0 && b - a > span / 20.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_of_few_levels_become_these_levels() {
        // What a picture has for 0, 1, 8 and 16 of 16.
        let mut exact = [0.0, 16.0, 128.0, 255.0];
        assert!(scale_bytes(&mut exact, 16.0));
        assert_eq!(exact, [0.0, 1.0, 8.0, 16.0]);
        let mut between = [0.0, 24.0, 255.0];
        assert!(!scale_bytes(&mut between, 16.0));
        assert_eq!(between, [0.0, 24.0 * 16.0 / 255.0, 16.0]);
    }
}
