//! Available memory, which is checked before large allocations.

/// More memory is needed than is available.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("needs {} of memory, {} available; lower {lower}, or set PFGM_MEMORY to the gigabytes to use", gigabytes(*needed), gigabytes(*available))]
pub struct MemoryError {
    /// Bytes that are needed.
    pub needed: u64,
    /// Bytes that are available.
    pub available: u64,
    /// What to lower.
    pub lower: &'static str,
}

fn gigabytes(bytes: u64) -> String {
    let value = bytes as f64 / 1e9;
    if value < 10.0 { format!("{value:.1} GB") } else { format!("{value:.0} GB") }
}

/// Checks that `needed` bytes are available; `lower` names the setting to reduce.
///
/// # Errors
/// Returns an error if the machine, the control group or a limit of the process has less.
pub fn require(needed: u64, lower: &'static str) -> Result<(), MemoryError> {
    let available = available();
    if needed <= available { Ok(()) } else { Err(MemoryError { needed, available, lower }) }
}

/// Returns the bytes that this process can still allocate, as [`pfgm_data::memory::available`].
pub fn available() -> u64 {
    pfgm_data::memory::available()
}

/// Minimum number of copies of a row in double precision for sampling one item.
const COPIES_OF_A_ROW: u64 = 8;

/// Returns an error if the available memory is too small for sampling one row of `dim` values.
///
/// # Errors
/// As [`require`].
pub fn require_rows(dim: usize) -> Result<(), MemoryError> {
    let row = (dim as u64).saturating_mul(size_of::<f64>() as u64);
    require(row.saturating_mul(COPIES_OF_A_ROW), "the size of the images")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_memory_and_not_without_end() {
        let available = available();
        assert!(available > 10_000_000, "{available}");
        assert_eq!(require(available / 2, "train.batch"), Ok(()));
        let error = require(u64::MAX, "train.batch").unwrap_err();
        assert_eq!((error.needed, error.lower), (u64::MAX, "train.batch"));
    }
}
