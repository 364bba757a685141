//! Numbers: ranges, counts, seeds, D.

use std::{fmt::Display, ops::RangeInclusive};

use anyhow::{Context, Result, bail};
use pfgm::extra_dims::ExtraDims;

/// Parses D.
pub fn extra_dims(flag: &str, text: &str) -> Result<ExtraDims> {
    match text.parse::<f64>() {
        Ok(f64::INFINITY) => Ok(ExtraDims::Infinite),
        Ok(d) if d > 0.0 => Ok(ExtraDims::Finite(d)),
        _ => bail!("{flag} {text}: give a number above 0, or inf"),
    }
}

/// Maximum number of samples of a command.
pub const MAX_SAMPLES: usize = 10_000_000;
/// Maximum number of noise levels.
pub const MAX_LEVELS: usize = 10_000;

/// Returns an error if a number is outside of a range.
pub fn within<T: PartialOrd + Display>(flag: &str, value: T, range: RangeInclusive<T>) -> Result<()> {
    // NaN is in no range.
    if range.contains(&value) {
        return Ok(());
    }
    bail!("{flag} {value}: give a number from {} to {}", range.start(), range.end())
}

/// Returns an error if a product is above [`MAX_SAMPLES`].
pub fn product(flags: &str, count: usize, each: usize) -> Result<()> {
    match count.checked_mul(each) {
        Some(all) if all <= MAX_SAMPLES => Ok(()),
        _ => bail!("{flags}: {count} times {each} is more than {MAX_SAMPLES}; split the work"),
    }
}

/// Parses seeds such as `0-63` or `3,7,12-15`. Errors name `flag`.
pub fn seeds(flag: &str, text: &str) -> Result<Vec<u64>> {
    let wrong = || format!("{flag} {text}: write numbers and ranges, as in 0-63 or 3,7,12-15");
    let mut seeds = Vec::new();
    for part in text.split(',') {
        let part = part.trim();
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u64, u64) =
            (first.trim().parse().with_context(wrong)?, last.trim().parse().with_context(wrong)?);
        if last < first || last - first >= MAX_SAMPLES as u64 {
            bail!("{}", wrong());
        }
        seeds.extend(first..=last);
        if seeds.len() > MAX_SAMPLES {
            bail!("{flag} {text}: more than {MAX_SAMPLES} samples; draw them in parts");
        }
    }
    Ok(seeds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_numbers_and_ranges() {
        assert_eq!(seeds("--seeds", "3,7,12-15").unwrap(), [3, 7, 12, 13, 14, 15]);
        assert_eq!(seeds("--seeds", "0-2").unwrap(), [0, 1, 2]);
        for wrong in ["", "a", "5-3", "1-", "-1", "0-99999999999"] {
            assert!(seeds("--seeds", wrong).is_err(), "{wrong}");
        }
    }
}
