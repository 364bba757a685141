//! D, the number of extra dimensions.

use std::fmt;

use pfgm_numerics::fastmath;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// D, the number of extra dimensions: 1 is PFGM, any other positive real is PFGM++, infinity is a diffusion model.
///
/// The noise level `sigma = r / sqrt(D)` (docs/equations.md, section 1) exists for every D and is the variable of all functions
/// here; at D = 1 it is PFGM's z.
///
/// ```
/// use pfgm_flow::extra_dims::ExtraDims;
///
/// assert_eq!(ExtraDims::Finite(4.0).r(1.5), 3.0);
/// assert_eq!(ExtraDims::Infinite.to_string(), "inf");
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ExtraDims {
    /// A positive real number.
    Finite(f64),
    /// The limit in which the field's weights are Gaussian.
    Infinite,
}

impl ExtraDims {
    /// The norm r of the extra coordinates at a noise level; infinite if D is.
    pub fn r(self, sigma: f64) -> f64 {
        match self {
            Self::Finite(d) => sigma * d.sqrt(),
            Self::Infinite => f64::INFINITY,
        }
    }

    /// The level of the independent noise that turns the distribution of the flow at noise level `from` into that at `to` >= `from`.
    ///
    /// Gaussian distributions add their variances and Cauchy distributions (D = 1) their scales, since both are stable. Other Student-t
    /// distributions are not stable, so the result is None.
    pub fn noise_increment(self, from: f64, to: f64) -> Option<f64> {
        match self {
            Self::Infinite => Some((to * to - from * from).sqrt()),
            Self::Finite(1.0) => Some(to - from),
            Self::Finite(_) => None,
        }
    }

    /// The logarithm of a charge's weight in the field at noise level `sigma`, up to a constant that all charges share:
    /// `-(N+D)/2 ln(|x-y|^2 + r^2)`, or `-|x-y|^2 / (2 sigma^2)` in the limit (section 2).
    ///
    /// `squared_distance` is `|x-y|^2` in the data's space of `dim` = N dimensions.
    pub fn log_weight(self, dim: usize, sigma: f64, squared_distance: f64) -> f64 {
        let mut value = [squared_distance];
        self.log_weights(dim, &[self.scale(sigma)], &mut value);
        value[0]
    }

    /// The factor of squared distances in [`ExtraDims::log_weights`] at a noise level.
    pub fn scale(self, sigma: f64) -> f64 {
        match self {
            Self::Finite(d) => 1.0 / (d * sigma * sigma),
            Self::Infinite => 0.5 / (sigma * sigma),
        }
    }

    /// Replaces squared distances by their [`ExtraDims::log_weight`], each with the scale of its noise level.
    #[inline(always)]
    pub fn log_weights(self, dim: usize, scales: &[f64], squared_distances: &mut [f64]) {
        match self {
            // ln(d2 + r^2) - ln(r^2): the constant keeps the logarithm precise where r is much larger than the distance.
            Self::Finite(d) => {
                let exponent = -0.5 * (dim as f64 + d);
                for (value, scale) in squared_distances.iter_mut().zip(scales) {
                    *value = exponent * fastmath::ln_1p(*value * scale);
                }
            }
            Self::Infinite => {
                squared_distances.iter_mut().zip(scales).for_each(|(value, scale)| *value *= -scale);
            }
        }
    }
}

impl fmt::Display for ExtraDims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Finite(d) => write!(f, "{d}"),
            Self::Infinite => write!(f, "inf"),
        }
    }
}

impl Serialize for ExtraDims {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Finite(d) => serializer.serialize_f64(*d),
            Self::Infinite => serializer.serialize_str("inf"),
        }
    }
}

impl<'de> Deserialize<'de> for ExtraDims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Raw {
            Number(f64),
            Text(String),
        }
        match Raw::deserialize(deserializer)? {
            Raw::Number(d) if d > 0.0 && d.is_finite() => Ok(Self::Finite(d)),
            Raw::Number(d) if d == f64::INFINITY => Ok(Self::Infinite),
            Raw::Text(text) if text == "inf" => Ok(Self::Infinite),
            Raw::Number(d) => Err(D::Error::custom(format!("D = {d}: give a number above 0, or \"inf\""))),
            Raw::Text(text) => Err(D::Error::custom(format!("D = \"{text}\": give a number above 0, or \"inf\""))),
        }
    }
}
