//! Types of numbers in files.

use serde::{Deserialize, Serialize};

/// Type of the numbers in a file. Samples are written with the same type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum NumberType {
    Bool,
    U8,
    U16,
    U32,
    U64,
    I8,
    I16,
    I32,
    I64,
    F16,
    #[default]
    F32,
    F64,
}

/// Runs a body with the Rust type of a number; `f16` has none and is handled separately.
macro_rules! with_type {
    ($number:expr, $type:ident => $body:expr, $half:expr) => {
        with_type!(
            $number, $type, $body, $half,
            Bool u8, U8 u8, U16 u16, U32 u32, U64 u64, I8 i8, I16 i16, I32 i32, I64 i64, F32 f32, F64 f64
        )
    };
    ($number:expr, $type:ident, $body:expr, $half:expr, $($variant:ident $rust:ty),+) => {
        match $number {
            $(NumberType::$variant => {
                type $type = $rust;
                $body
            })+
            NumberType::F16 => $half,
        }
    };
}

impl NumberType {
    /// Bytes of a number.
    pub fn size(self) -> usize {
        with_type!(self, T => size_of::<T>(), 2)
    }

    /// Whether the numbers are integers.
    pub fn is_integer(self) -> bool {
        !matches!(self, Self::F16 | Self::F32 | Self::F64)
    }

    /// Whether single precision cannot represent every value.
    pub(crate) fn is_wide(self) -> bool {
        matches!(self, Self::U32 | Self::U64 | Self::I32 | Self::I64 | Self::F64)
    }

    /// Whether every number is a byte.
    pub(crate) fn is_byte(self) -> bool {
        matches!(self, Self::Bool | Self::U8)
    }

    /// Converts numbers to the bytes of their type, the lowest byte first. Halves become single precision, which the type says.
    #[allow(clippy::unnecessary_cast, reason = "one of the types is f64 itself")]
    pub(crate) fn encode(self, values: &[f64]) -> (Self, Vec<u8>) {
        with_type!(self, T => (self, values.iter().flat_map(|&value| (value as T).to_le_bytes()).collect()), {
            Self::F32.encode(values)
        })
    }

    /// Converts numbers of a file to single precision.
    #[allow(clippy::unnecessary_cast, reason = "one of the types is f32 itself")]
    pub(crate) fn decode(self, big_endian: bool, bytes: &[u8], out: &mut [f32]) {
        let half =
            |pair: [u8; 2]| half_to_f32(if big_endian { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) });
        with_type!(self, T => {
            for (out, value) in out.iter_mut().zip(bytes.as_chunks::<{ size_of::<T>() }>().0) {
                *out = (if big_endian { T::from_be_bytes(*value) } else { T::from_le_bytes(*value) }) as f32;
            }
        }, {
            out.iter_mut().zip(bytes.as_chunks::<2>().0).for_each(|(out, pair)| *out = half(*pair));
        });
    }

    /// Converts numbers of a file to double precision.
    #[allow(clippy::unnecessary_cast, reason = "one of the types is f64 itself")]
    pub(crate) fn decode_wide(self, big_endian: bool, bytes: &[u8], out: &mut [f64]) {
        let half =
            |pair: [u8; 2]| half_to_f32(if big_endian { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) });
        with_type!(self, T => {
            for (out, value) in out.iter_mut().zip(bytes.as_chunks::<{ size_of::<T>() }>().0) {
                *out = (if big_endian { T::from_be_bytes(*value) } else { T::from_le_bytes(*value) }) as f64;
            }
        }, {
            out.iter_mut().zip(bytes.as_chunks::<2>().0).for_each(|(out, pair)| *out = half(*pair).into());
        });
    }
}

/// IEEE 754 half precision: a sign, 5 bits of exponent, 10 of fraction.
fn half_to_f32(bits: u16) -> f32 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1F), f32::from(bits & 0x3FF) / 1024.0);
    sign * match exponent {
        0 => fraction * 2.0_f32.powi(-14),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1.0 + fraction) * 2.0_f32.powi(exponent - 15),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_both_orders() {
        let mut out = [0.0; 2];
        NumberType::I16.decode(false, &[0xFE, 0xFF, 3, 0], &mut out);
        assert_eq!(out, [-2.0, 3.0]);
        NumberType::I16.decode(true, &[0xFF, 0xFE, 0, 3], &mut out);
        assert_eq!(out, [-2.0, 3.0]);
        let mut wide = [0.0];
        NumberType::F64.decode_wide(true, &4_512_345.678_f64.to_be_bytes(), &mut wide);
        assert_eq!(wide, [4_512_345.678]);
    }

    #[test]
    fn halves_are_ieee_halves() {
        for (bits, value) in [
            (0x3C00, 1.0),
            (0xC000, -2.0),
            (0x3555, 0.333_251_95),
            (0x7BFF, 65504.0),
            (0x0001, 5.960_464_5e-8),
            (0, 0.0),
        ] {
            assert_eq!(half_to_f32(bits), value, "{bits:#x}");
        }
        assert!(half_to_f32(0x7C00).is_infinite() && half_to_f32(0x7C01).is_nan());
    }
}
