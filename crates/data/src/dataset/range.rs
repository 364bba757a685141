//! The nominal range of values: the rule that finds it, and what is said about it.

use super::{Dataset, Shape, Values};
use crate::{DataError, Notice, NumberType, OpenOptions};

/// Rows that are looked at where they are not in memory.
const LOOKED_AT: usize = 64;
/// The part of the nominal range that values must use to go without a notice.
const PART: f32 = 0.5;

/// What the values of a set have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Observed {
    pub low: f32,
    pub high: f32,
}

/// The nominal range of images of floating point or wide values, by the first rule that holds:
///
/// 1. values in [0, 1] have the range [0, 1];
/// 2. values in [-1, 1] have the range [-1, 1];
/// 3. values in [0, 255] that reach beyond 128 have the range [0, 255];
/// 4. other values have their own lowest and highest value.
pub(super) fn nominal(observed: Observed) -> (f32, f32) {
    let Observed { low, high } = observed;
    match () {
        () if low >= 0.0 && high <= 1.0 => (0.0, 1.0),
        () if low >= -1.0 && high <= 1.0 => (-1.0, 1.0),
        () if low >= 0.0 && high <= 255.0 && high > 128.0 => (0.0, 255.0),
        () => (low, high),
    }
}

impl Dataset {
    /// Sets the range that options give, else completes what is known of it; notes what is unusual about the values.
    pub(crate) fn finish(mut self, options: &OpenOptions) -> Result<Self, DataError> {
        if let Shape::Image { channels, .. } = self.shape {
            let rows = self.looked_at()?;
            let observed = observe(&rows);
            if let Some((low, high)) = options.range {
                self = self.with_range(low, high)?;
            } else if self.values.are_bytes() && self.range == (0.0, 255.0) && observed.high <= 1.0 {
                self.range = (0.0, 1.0);
                self.notices.push(Notice::RangeFound { nominal: (0.0, 1.0), observed: (observed.low, observed.high) });
            } else if self.range_was_found() {
                self.notices.push(Notice::RangeFound { nominal: self.range, observed: (observed.low, observed.high) });
            }
            let span = self.range.1 - self.range.0;
            let outside = observed.low < self.range.0 || observed.high > self.range.1;
            if outside || observed.high - observed.low < PART * span {
                let observed = (observed.low, observed.high);
                self.notices.push(Notice::PartOfRange { observed, nominal: self.range });
            }
            if channels == 3 && rows.chunks_exact(3).all(|pixel| pixel[0] == pixel[1] && pixel[1] == pixel[2]) {
                self.notices.push(Notice::ChannelsAgree);
            }
        } else if let Some((low, high)) = options.range {
            self = self.with_range(low, high)?;
        }
        self.note_constants()?;
        Ok(self)
    }

    fn range_was_found(&self) -> bool {
        !self.values.are_bytes()
            && self.number != NumberType::U16
            && self.number != NumberType::Bool
            && self.range_is_nominal
    }

    /// All values in memory, or those of some rows.
    fn looked_at(&self) -> Result<Vec<f32>, DataError> {
        match &self.values {
            Values::OnDisk(_) => self.some(LOOKED_AT),
            _ => self.values(),
        }
    }

    /// Notes columns, or rows, that are all the same.
    fn note_constants(&mut self) -> Result<(), DataError> {
        let dim = self.shape.dim();
        let rows = match &self.values {
            Values::Floats(values) => std::borrow::Cow::Borrowed(values.as_slice()),
            _ => self.looked_at()?.into(),
        };
        if rows.len() <= dim {
            return Ok(());
        }
        let is_constant = |column: usize| rows.chunks_exact(dim).all(|row| row[column] == rows[column]);
        let constant: Vec<usize> = match self.shape {
            Shape::Vector { .. } => (0..dim).filter(|&column| is_constant(column)).collect(),
            Shape::Image { .. } => Vec::new(),
        };
        let all = rows.chunks_exact(dim).all(|row| row == &rows[..dim]);
        drop(rows);
        if all {
            self.notices.push(Notice::ConstantRows);
        } else if !constant.is_empty() {
            let name = |&column: &usize| self.columns.get(column).cloned().unwrap_or_else(|| (column + 1).to_string());
            let names = constant.iter().map(name).collect();
            self.notices.push(Notice::ConstantColumns { names });
        }
        Ok(())
    }
}

pub(super) fn observe(values: &[f32]) -> Observed {
    let start = Observed { low: f32::INFINITY, high: f32::NEG_INFINITY };
    values.iter().fold(start, |seen, &value| Observed { low: seen.low.min(value), high: seen.high.max(value) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_follow_the_rule_and_not_the_extremes() {
        let range = |values: &[f32]| nominal(observe(values));
        assert_eq!(range(&[0.1, 0.4]), (0.0, 1.0));
        assert_eq!(range(&[-0.2, 0.4]), (-1.0, 1.0));
        assert_eq!(range(&[3.0, 250.0]), (0.0, 255.0));
        assert_eq!(range(&[3.5, 250.25]), (0.0, 255.0));
        assert_eq!(range(&[0.0, 16.0]), (0.0, 16.0));
        assert_eq!(range(&[-1000.0, 400.0]), (-1000.0, 400.0));
        // Beyond [0, 1] by a little, as filters leave images: their own range.
        assert_eq!(range(&[-0.01, 1.02]), (-0.01, 1.02));
    }
}
