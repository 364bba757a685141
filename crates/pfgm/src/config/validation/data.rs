//! Checks of the table of the data.

use super::{super::DataConfig, Checked, check_count, fail};

impl DataConfig {
    pub(super) fn check(&self) -> Checked {
        let (low, high) = self.autoencoder_range;
        if !(low < high && low.is_finite() && high.is_finite()) {
            let problem = "give two numbers, the lower one first";
            return fail("data.autoencoder_range", format!("[{low}, {high}]"), problem);
        }
        if self.tile > 0 && self.autoencoder.is_none() {
            return fail(
                "data.tile",
                self.tile,
                "only an autoencoder computes in tiles; set data.autoencoder, or omit it",
            );
        }
        check_count("data.shrink", self.shrink as u64)
    }
}
