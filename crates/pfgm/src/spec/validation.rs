//! Checks of a specification that was read from a file, which is not trusted.

use pfgm_data::Shape;

use super::{DataInfo, ModelError, ModelSpec, check_sides};
use crate::config::{ConfigError, FlowConfig};

/// Maximum number of values of a row: 17 GB in single precision.
const MOST_VALUES: usize = 1 << 32;

/// Largest absolute value of data and their scale.
const LARGEST: f32 = 1e30;

impl ModelSpec {
    /// Checks an untrusted specification: every number is finite and in its range, and the parts are consistent.
    ///
    /// All users of a specification rely on this check.
    ///
    /// # Errors
    /// Returns the first key with an invalid value.
    pub fn check(&self) -> Result<(), ModelError> {
        self.config.check_model()?;
        let FlowConfig { sigma_max, sigma_data, .. } = self.config.flow;
        for (key, value) in [("flow.sigma_max", sigma_max), ("flow.sigma_data", sigma_data)] {
            if value.is_none() {
                return Err(ConfigError::new(key, "nothing", "a trained model has a number there").into());
            }
        }
        self.data.check()?;
        check_sides(&self.config, self.data.shape)
    }
}

impl DataInfo {
    fn check(&self) -> Result<(), ConfigError> {
        let fail = |key: &str, value: String, problem: &str| Err(ConfigError::new(key, value, problem));
        let Some(dim) = values(self.shape) else {
            return fail(
                "data.shape",
                format!("{:?}", self.shape),
                "give sizes of at least 1, at most 2^32 values in all",
            );
        };
        let (offset, scale) = (&self.transform.offset, &self.transform.scale);
        if offset.len() != scale.len() || offset.is_empty() || !dim.is_multiple_of(offset.len()) {
            let lengths = format!("{} offsets, {} scales", offset.len(), scale.len());
            return fail("data.transform", lengths, "give one of each, or one for each column");
        }
        if let Some(value) = offset.iter().find(|value| value.is_nan() || value.abs() > f64::from(LARGEST)) {
            return fail("data.transform.offset", value.to_string(), "give a number of at most 1e30");
        }
        if let Some(value) = scale.iter().find(|value| !(f32::MIN_POSITIVE..=LARGEST).contains(*value)) {
            return fail("data.transform.scale", value.to_string(), "give a number above 0, at most 1e30");
        }
        let (low, high) = self.range;
        if !(low <= high && low >= -LARGEST && high <= LARGEST) {
            return fail("data.range", format!("{low} to {high}"), "give two numbers, the lower one first");
        }
        let counts = &self.class_counts;
        let total = counts.iter().try_fold(0_u64, |total, &count| total.checked_add(count));
        if !(counts.is_empty() || counts.len() == self.classes.len()) || total.is_none() {
            return fail("data.class_counts", format!("{} numbers", counts.len()), "give one for each class");
        }
        if let Some(table) = &self.table {
            if let Some(problem) = table.problem() {
                return fail("data.table", problem, "give the table of a trained run");
            }
            if table.dim() != dim {
                return fail("data.table", format!("{} values", table.dim()), "give one for each value of a row");
            }
        }
        if !(self.columns.is_empty() || self.columns.len() == dim) {
            return fail("data.columns", format!("{} names", self.columns.len()), "give one for each value of a row");
        }
        Ok(())
    }
}

/// The number of values of a row; None if a size is 0 or the number is out of range.
fn values(shape: Shape) -> Option<usize> {
    let dim = match shape {
        Shape::Image { height, width, channels } => height.checked_mul(width)?.checked_mul(channels)?,
        Shape::Vector { len } => len,
    };
    (1..=MOST_VALUES).contains(&dim).then_some(dim)
}
