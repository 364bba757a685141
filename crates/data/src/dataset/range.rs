//! The nominal range of values: the rule that finds it, and what is said about it.

use super::{Dataset, Shape, Values};
use crate::{DataError, Notice, NumberType, OpenOptions};

/// Rows that are looked at where they are not in memory.
const LOOKED_AT: usize = 64;
/// Values in those rows at the most.
const LOOKED_AT_VALUES: usize = 1 << 26;
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
///
/// Returns no range if the last rule holds.
pub(super) fn nominal(observed: Observed) -> Option<(f32, f32)> {
    let Observed { low, high } = observed;
    match () {
        () if low >= 0.0 && high <= 1.0 => Some((0.0, 1.0)),
        () if low >= -1.0 && high <= 1.0 => Some((-1.0, 1.0)),
        () if low >= 0.0 && high <= 255.0 && high > 128.0 => Some((0.0, 255.0)),
        () => None,
    }
}

/// What a pass over rows finds.
struct Look {
    observed: Observed,
    /// The first row.
    first: Vec<f32>,
    /// Which values differ from those of the first row in some row.
    differs: Vec<bool>,
    /// Whether the three colors of every pixel agree.
    is_gray: bool,
    rows: usize,
}

impl Look {
    fn add(&mut self, row: &[f32]) {
        let Observed { mut low, mut high } = self.observed;
        for &value in row {
            (low, high) = (low.min(value), high.max(value));
        }
        self.observed = Observed { low, high };
        self.is_gray = self.is_gray && row.chunks_exact(3).all(|pixel| pixel[0] == pixel[1] && pixel[1] == pixel[2]);
        if self.rows == 0 {
            self.first.extend_from_slice(row);
        }
        let values = self.first.iter().zip(row);
        self.differs.iter_mut().zip(values).for_each(|(differs, (first, value))| *differs |= first != value);
        self.rows += 1;
    }
}

impl Dataset {
    /// Sets the range that options give, else completes what is known of it; notes what is unusual about the values.
    pub(crate) fn finish(mut self, options: &OpenOptions) -> Result<Self, DataError> {
        let look = self.look()?;
        let Observed { low, high } = look.observed;
        let is_image = matches!(self.shape, Shape::Image { .. });
        if let Some((low, high)) = options.range {
            self = self.with_range(low, high)?;
        } else if is_image && self.values.are_bytes() && self.range == (0.0, 255.0) && high <= 1.0 {
            self.range = (0.0, 1.0);
            self.notices.push(Notice::RangeFound { nominal: (0.0, 1.0), observed: (low, high) });
        } else if is_image && self.range_was_found() {
            self.notices.push(Notice::RangeFound { nominal: self.range, observed: (low, high) });
        }
        let span = self.range.1 - self.range.0;
        let outside = low < self.range.0 || high > self.range.1;
        if is_image && (outside || high - low < PART * span) {
            self.notices.push(Notice::PartOfRange { observed: (low, high), nominal: self.range });
        }
        if matches!(self.shape, Shape::Image { channels: 3, .. }) && look.is_gray {
            self.notices.push(Notice::ChannelsAgree);
        }
        self.note_constants(&look);
        Ok(self)
    }

    fn range_was_found(&self) -> bool {
        !self.values.are_bytes()
            && self.number != NumberType::U16
            && self.number != NumberType::Bool
            && self.range_is_nominal
    }

    /// Looks at all rows in memory, or at some of those on disk.
    fn look(&self) -> Result<Look, DataError> {
        let dim = self.shape.dim();
        let rows = match &self.values {
            Values::OnDisk(_) => self.len().min((LOOKED_AT_VALUES / dim).clamp(2, LOOKED_AT)),
            _ => self.len(),
        };
        let observed = Observed { low: f32::INFINITY, high: f32::NEG_INFINITY };
        let mut look = Look { observed, first: Vec::new(), differs: vec![false; dim], is_gray: true, rows: 0 };
        let mut row = vec![0.0; dim];
        for index in 0..rows {
            self.read_values(index * self.len() / rows, &mut row)?;
            look.add(&row);
        }
        Ok(look)
    }

    /// Notes columns, or rows, that are all the same.
    fn note_constants(&mut self, look: &Look) {
        if look.rows < 2 {
            return;
        }
        if !look.differs.contains(&true) {
            self.notices.push(Notice::ConstantRows);
        } else if matches!(self.shape, Shape::Vector { .. }) && look.differs.contains(&false) {
            let name = |column: usize| self.columns.get(column).cloned().unwrap_or_else(|| (column + 1).to_string());
            let constant = look.differs.iter().enumerate().filter(|(_, differs)| !**differs);
            let names = constant.map(|(column, _)| name(column)).collect();
            self.notices.push(Notice::ConstantColumns { names });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_follow_the_rule_and_not_the_extremes() {
        let range = |values: &[f32]| {
            let of = |join: fn(f32, f32) -> f32| values.iter().copied().reduce(join).unwrap_or(0.0);
            nominal(Observed { low: of(f32::min), high: of(f32::max) })
        };
        assert_eq!(range(&[0.1, 0.4]), Some((0.0, 1.0)));
        assert_eq!(range(&[0.0, 1.0]), Some((0.0, 1.0)), "by rule, although it is its own");
        assert_eq!(range(&[-0.2, 0.4]), Some((-1.0, 1.0)));
        assert_eq!(range(&[3.0, 250.0]), Some((0.0, 255.0)));
        assert_eq!(range(&[3.5, 250.25]), Some((0.0, 255.0)));
        assert_eq!(range(&[0.0, 16.0]), None);
        assert_eq!(range(&[-1000.0, 400.0]), None);
        // Beyond [0, 1] by a little, as filters leave images: their own range.
        assert_eq!(range(&[-0.01, 1.02]), None);
    }
}
