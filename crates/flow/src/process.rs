//! The diffusion processes of score models (arXiv 2011.13456, section 3.4 and appendix B; docs/equations.md, section 10).

use serde::{Deserialize, Serialize};

/// beta_min of the published VP and sub-VP models.
pub const BETA_MIN: f64 = 0.1;
/// beta_max of the published VP and sub-VP models.
pub const BETA_MAX: f64 = 20.0;

fn beta_min() -> f64 {
    BETA_MIN
}

fn beta_max() -> f64 {
    BETA_MAX
}

/// A process from data to noise with time t in (0, 1]: `x_t = mean(t) x`, where x is at noise level sigma(t) of the flow.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Process {
    /// Variance exploding: the noise grows geometrically and the data keep their scale.
    Ve,
    /// Variance preserving: the data shrink so that the variance stays one.
    Vp {
        /// The rate at t = 0, above 0.
        #[serde(default = "beta_min")]
        beta_min: f64,
        /// The rate at t = 1, above `beta_min`.
        #[serde(default = "beta_max")]
        beta_max: f64,
    },
    /// Sub-VP: the data shrink as in VP, with less noise.
    SubVp {
        /// The rate at t = 0, above 0.
        #[serde(default = "beta_min")]
        beta_min: f64,
        /// The rate at t = 1, above `beta_min`.
        #[serde(default = "beta_max")]
        beta_max: f64,
    },
}

impl Process {
    /// VP with the published rates.
    pub const VP: Self = Self::Vp { beta_min: BETA_MIN, beta_max: BETA_MAX };
    /// Sub-VP with the published rates.
    pub const SUB_VP: Self = Self::SubVp { beta_min: BETA_MIN, beta_max: BETA_MAX };

    /// Checks the rates.
    ///
    /// # Errors
    /// The name of a rate that cannot work, its value, and what to give instead.
    pub fn check(self) -> Result<(), (&'static str, f64, &'static str)> {
        match self {
            Self::Vp { beta_min, .. } | Self::SubVp { beta_min, .. } if !(beta_min > 0.0 && beta_min.is_finite()) => {
                Err(("beta_min", beta_min, "give a number above 0"))
            }
            Self::Vp { beta_min, beta_max } | Self::SubVp { beta_min, beta_max }
                if !(beta_max > beta_min && beta_max.is_finite()) =>
            {
                Err(("beta_max", beta_max, "give a number above beta_min"))
            }
            Self::Ve | Self::Vp { .. } | Self::SubVp { .. } => Ok(()),
        }
    }

    /// The name, as it is written in files, flags and requests.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ve => "ve",
            Self::Vp { .. } => "vp",
            Self::SubVp { .. } => "sub-vp",
        }
    }

    /// The factor of the data at noise level `sigma` of the flow.
    pub fn mean_at(self, sigma: f64) -> f64 {
        match self {
            Self::Ve => 1.0,
            // sigma = sqrt(1 - mean^2) / mean
            Self::Vp { .. } => 1.0 / (1.0 + sigma * sigma).sqrt(),
            // sigma = (1 - mean^2) / mean
            Self::SubVp { .. } => 2.0 / (sigma + (sigma * sigma + 4.0).sqrt()),
        }
    }

    /// The time at noise level `sigma`; of VE the share of ln sigma between `low` and `high`.
    pub fn time(self, sigma: f64, (low, high): (f64, f64)) -> f64 {
        match self {
            Self::Ve => (sigma / low).ln() / (high / low).ln(),
            Self::Vp { beta_min, beta_max } | Self::SubVp { beta_min, beta_max } => {
                // The root of -ln mean = t^2 (b1 - b0)/4 + t b0/2.
                let (slope, twice) = (beta_max - beta_min, -2.0 * self.mean_at(sigma).ln());
                (2.0 * twice) / (beta_min + (beta_min * beta_min + 2.0 * slope * twice).sqrt())
            }
        }
    }

    /// The noise level of the flow at time `t`; of VE the level at that share of ln sigma between `low` and `high`.
    pub fn sigma(self, t: f64, (low, high): (f64, f64)) -> f64 {
        let mean = |low: f64, high: f64| (-t * t * (high - low) / 4.0 - t * low / 2.0).exp();
        match self {
            Self::Ve => low * (high / low).powf(t),
            Self::Vp { beta_min, beta_max } => (mean(beta_min, beta_max).powi(-2) - 1.0).sqrt(),
            Self::SubVp { beta_min, beta_max } => {
                let mean = mean(beta_min, beta_max);
                (1.0 - mean * mean) / mean
            }
        }
    }

    /// The noise level at a share of the times that score models are trained at: 1e-5 to 1 of VP and sub-VP, the whole range of VE.
    pub fn trained_at(self, share: f64, range: (f64, f64)) -> f64 {
        const FIRST: f64 = 1e-5;
        match self {
            Self::Ve => self.sigma(share, range),
            Self::Vp { .. } | Self::SubVp { .. } => self.sigma(FIRST + share * (1.0 - FIRST), range),
        }
    }

    /// `beta(t) = b0 + t (b1 - b0)`, the rate at which the data shrink; 0 for VE.
    pub fn beta(self, t: f64) -> f64 {
        match self {
            Self::Ve => 0.0,
            Self::Vp { beta_min, beta_max } | Self::SubVp { beta_min, beta_max } => {
                beta_min + t * (beta_max - beta_min)
            }
        }
    }

    /// The squared diffusion coefficient `g(t)^2`: VE `d sigma^2/dt`, VP beta, sub-VP `beta (1 - mean^4)`.
    pub fn diffusion(self, t: f64, range: (f64, f64)) -> f64 {
        let sigma = self.sigma(t, range);
        match self {
            Self::Ve => 2.0 * sigma * sigma * (range.1 / range.0).ln(),
            Self::Vp { .. } => self.beta(t),
            Self::SubVp { .. } => self.beta(t) * (1.0 - self.mean_at(sigma).powi(4)),
        }
    }
}
