//! Numbers of tables, and how they are written.

use serde::{Deserialize, Serialize};

/// Decimal sign of numbers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Point {
    /// Decimal point.
    Dot,
    /// The same, with commas between thousands.
    Thousands,
    /// Commas are decimal points.
    Comma,
}

pub(super) fn number(cell: &str, point: Point) -> Option<f64> {
    match cell.parse::<f64>() {
        Ok(value) => Some(value),
        Err(_) if point == Point::Comma && cell.matches(',').count() == 1 && !cell.contains('.') => {
            cell.replace(',', ".").parse().ok()
        }
        Err(_) if point == Point::Thousands && are_thousands(cell) => cell.replace(',', "").parse().ok(),
        Err(_) => None,
    }
}

/// Whether a cell may be a number with commas between its thousands: `-1,234,567.5`.
pub(super) fn are_thousands(cell: &str) -> bool {
    let whole = cell.trim_start_matches(['-', '+']).split('.').next().unwrap_or_default();
    let is_group = |group: &str| group.len() == 3 && group.bytes().all(|byte| byte.is_ascii_digit());
    whole.split_once(',').is_some_and(|(first, rest)| {
        matches!(first.len(), 1..=3)
            && first.bytes().all(|byte| byte.is_ascii_digit())
            && !first.starts_with('0')
            && rest.split(',').all(is_group)
    })
}

/// How the numbers of a column are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NumberFormat {
    /// Digits after the decimal sign, at most; `None` for numbers with an exponent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decimals: Option<u8>,
    /// Whether every number has all of these digits.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_fixed: bool,
}

/// Digits after the decimal sign that double precision can have.
const MOST_DECIMALS: usize = 17;

impl NumberFormat {
    /// The format of numbers as they stand in cells.
    pub(super) fn of<'a>(cells: impl Iterator<Item = &'a str>, point: Point) -> Self {
        let sign = if point == Point::Comma { ',' } else { '.' };
        let (mut most, mut least) = (0, MOST_DECIMALS);
        for cell in cells {
            if cell.contains(['e', 'E']) {
                return Self { decimals: None, is_fixed: false };
            }
            // A number with a comma between its cells was joined by a point.
            let fraction = cell.rsplit_once(sign).or_else(|| cell.rsplit_once('.'));
            let digits = fraction.map_or(0, |(_, fraction)| fraction.len().min(MOST_DECIMALS));
            (most, least) = (most.max(digits), least.min(digits));
        }
        Self { decimals: Some(most as u8), is_fixed: most > 0 && most == least }
    }

    /// The distance of neighboring numbers; 0 if it is not known.
    pub(super) fn step(self) -> f64 {
        self.decimals.map_or(0.0, |decimals| 0.1_f64.powi(decimals.into()))
    }

    /// The number as it is written.
    pub(super) fn rounded(self, value: f64) -> f64 {
        match self.decimals {
            // Powers of ten up to this one are exact.
            Some(decimals) if decimals <= 15 && value.abs() < 1e15 => {
                let power = 10_f64.powi(decimals.into());
                (value * power).round() / power
            }
            _ => value,
        }
    }

    /// The text of a number, rounded to the digits of the column.
    pub(super) fn write(self, value: f64, decimal_comma: bool) -> String {
        let text = match self.decimals {
            Some(decimals) => {
                let text = format!("{value:.*}", usize::from(decimals));
                let trims = !self.is_fixed && text.contains('.');
                if trims { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
            }
            // Nine digits are what single precision has.
            None => format!("{value:.8e}").parse::<f64>().map_or_else(|_| value.to_string(), |value| value.to_string()),
        };
        let is_zero = text.starts_with('-') && !text.bytes().any(|byte| (b'1'..=b'9').contains(&byte));
        let text = if is_zero { text[1..].to_owned() } else { text };
        if decimal_comma { text.replace('.', ",") } else { text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_they_were() {
        let format = |cells: &[&str]| NumberFormat::of(cells.iter().copied(), Point::Dot);
        let money = format(&["1.50", "20.00"]);
        assert_eq!(money, NumberFormat { decimals: Some(2), is_fixed: true });
        assert_eq!([money.write(3.1421, false), money.write(-0.001, true)], ["3.14", "0,00"]);
        let loose = format(&["1.5", "20", "0.125"]);
        assert_eq!(
            [loose.write(2.0, false), loose.write(100.0, false), loose.write(-0.12345, false)],
            ["2", "100", "-0.123"]
        );
        assert_eq!(format(&["7", "-3"]).write(1e3, false), "1000");
        assert_eq!(format(&["1e-5"]).write(0.1 + 0.2, false), "0.3");
        let comma = NumberFormat::of(["1,25", "3,5"].into_iter(), Point::Comma);
        assert_eq!((comma.decimals, comma.write(2.5, true)), (Some(2), "2,5".to_owned()));
    }
}
