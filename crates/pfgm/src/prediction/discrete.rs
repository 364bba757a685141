//! Discrete noise schedules: the tables of DDPM (arXiv 2006.11239), of its improvement (arXiv 2102.09672), and of EDM's `iDDPMPrecond`.

use std::f64::consts::FRAC_PI_2;

use serde::{Deserialize, Serialize};

/// The quantity that a network of a discrete schedule estimates, with `x_t = a y + b n`, `a^2 + b^2 = 1`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quantity {
    /// The noise n.
    #[default]
    Epsilon,
    /// `v = a n - b y` (arXiv 2202.00512).
    V,
    /// The data y.
    Sample,
}

/// How the noise grows over the steps 0, 1, ... of a discrete process. `alpha_bar = a^2` is the product of `1 - beta` up to a step, and
/// `sigma = sqrt(1 / alpha_bar - 1)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum DiscreteSchedule {
    /// beta grows linearly.
    Linear {
        /// First beta.
        beta_start: f64,
        /// Last beta.
        beta_end: f64,
        /// Number of steps.
        steps: usize,
    },
    /// sqrt(beta) grows linearly.
    ScaledLinear {
        /// First beta.
        beta_start: f64,
        /// Last beta.
        beta_end: f64,
        /// Number of steps.
        steps: usize,
    },
    /// beta grows as the sigmoid from -6 to 6 (GeoDiff, arXiv 2203.02923).
    Sigmoid {
        /// beta at the lower end of the sigmoid.
        beta_start: f64,
        /// beta at the upper end of the sigmoid.
        beta_end: f64,
        /// Number of steps.
        steps: usize,
    },
    /// `alpha_bar = cos^2((t + 0.008) / 1.008 pi/2)` for t from 0 to 1, with beta at most 0.999.
    SquaredCosine {
        /// Number of steps.
        steps: usize,
    },
    /// `alpha_bar^2` is the sigmoid of a Laplace distribution's quantile at 1 - t (arXiv 2407.03297), with beta at most 0.999.
    Laplace {
        /// Number of steps.
        steps: usize,
    },
    /// A list of betas.
    Trained {
        /// beta of each step.
        betas: Vec<f64>,
    },
    /// Another schedule, rescaled so that its last step has no signal (arXiv 2305.08891, algorithm 1). The last level is infinite: a flow
    /// begins at the level before it.
    ZeroTerminalSnr {
        /// The other schedule.
        of: Box<DiscreteSchedule>,
    },
}

/// The largest beta of schedules that alpha-bar defines.
const MOST_BETA: f64 = 0.999;

impl DiscreteSchedule {
    /// Number of steps.
    pub fn steps(&self) -> usize {
        match self {
            Self::Linear { steps, .. }
            | Self::ScaledLinear { steps, .. }
            | Self::Sigmoid { steps, .. }
            | Self::SquaredCosine { steps }
            | Self::Laplace { steps } => *steps,
            Self::Trained { betas } => betas.len(),
            Self::ZeroTerminalSnr { of } => of.steps(),
        }
    }

    /// Noise level of each step, from the lowest to the highest, which is infinite if the last step has no signal.
    pub fn levels(&self) -> Vec<f64> {
        self.alpha_bars().into_iter().map(|alpha_bar| (1.0 / alpha_bar - 1.0_f64).sqrt()).collect()
    }

    /// The highest finite noise level; 0 if there is none.
    pub fn highest(&self) -> f64 {
        self.levels().into_iter().rev().find(|level| level.is_finite()).unwrap_or(0.0)
    }

    fn alpha_bars(&self) -> Vec<f64> {
        if let Self::ZeroTerminalSnr { of } = self {
            let roots: Vec<f64> = of.alpha_bars().into_iter().map(f64::sqrt).collect();
            let (Some(&first), Some(&last)) = (roots.first(), roots.last()) else { return Vec::new() };
            return roots.into_iter().map(|root| ((root - last) * first / (first - last)).powi(2)).collect();
        }
        let mut alpha_bar = 1.0;
        let next = |step: usize| {
            alpha_bar *= 1.0 - self.beta(step);
            alpha_bar
        };
        (0..self.steps()).map(next).collect()
    }

    fn beta(&self, step: usize) -> f64 {
        let share = |steps: usize| step as f64 / (steps.saturating_sub(1).max(1)) as f64;
        let of_alpha_bar = |steps: usize, alpha_bar: fn(f64) -> f64| {
            let at = |step: usize| alpha_bar(step as f64 / steps as f64);
            (1.0 - at(step + 1) / at(step)).min(MOST_BETA)
        };
        match *self {
            Self::Linear { beta_start, beta_end, steps } => beta_start + share(steps) * (beta_end - beta_start),
            Self::ScaledLinear { beta_start, beta_end, steps } => {
                (beta_start.sqrt() + share(steps) * (beta_end.sqrt() - beta_start.sqrt())).powi(2)
            }
            Self::Sigmoid { beta_start, beta_end, steps } => {
                let sigmoid = 1.0 / (1.0 + (6.0 - 12.0 * share(steps)).exp());
                beta_start + sigmoid * (beta_end - beta_start)
            }
            Self::SquaredCosine { steps } => of_alpha_bar(steps, |t| ((t + 0.008) / 1.008 * FRAC_PI_2).cos().powi(2)),
            Self::Laplace { steps } => of_alpha_bar(steps, |t| {
                let log_snr = -0.5 * (0.5 - t).signum() * (1.0 - 2.0 * (0.5 - t).abs() + 1e-6).ln();
                (1.0 / (1.0 + (-log_snr).exp())).sqrt()
            }),
            Self::Trained { ref betas } => betas[step],
            Self::ZeroTerminalSnr { .. } => unreachable!("it is made from alpha-bars"),
        }
    }

    /// Returns the key that cannot work, its value, and what to give instead.
    pub(crate) fn check(&self) -> Result<(), (&'static str, String, &'static str)> {
        let wrong = |key, value: String, problem| Err((key, value, problem));
        if let Self::ZeroTerminalSnr { of } = self {
            if matches!(**of, Self::ZeroTerminalSnr { .. }) {
                return wrong("of", "zero-terminal-snr".into(), "give another kind");
            }
            of.check()?;
        }
        if !(2..=100_000).contains(&self.steps()) {
            return wrong("steps", self.steps().to_string(), "give a number from 2 to 100000");
        }
        if let Self::Linear { beta_start, beta_end, .. }
        | Self::ScaledLinear { beta_start, beta_end, .. }
        | Self::Sigmoid { beta_start, beta_end, .. } = *self
        {
            if !(beta_start > 0.0 && beta_start < 1.0) {
                return wrong("beta_start", beta_start.to_string(), "give a number between 0 and 1");
            }
            if !(beta_end >= beta_start && beta_end < 1.0) {
                return wrong("beta_end", beta_end.to_string(), "give a number from beta_start to 1");
            }
        }
        if let Self::Trained { betas } = self
            && let Some(beta) = betas.iter().find(|beta| !(**beta > 0.0 && **beta < 1.0))
        {
            return wrong("betas", beta.to_string(), "give numbers between 0 and 1");
        }
        let mut levels = self.levels();
        if matches!(self, Self::ZeroTerminalSnr { .. }) {
            levels.pop();
        }
        if !levels.windows(2).all(|pair| pair[0] > 0.0 && pair[1] > pair[0] && pair[1].is_finite()) {
            return wrong("kind", format!("{self:?}"), "its noise levels do not grow; give smaller betas");
        }
        Ok(())
    }
}

/// The step of a noise level, between two steps by the logarithm of the level; the ends beyond the ends. Before an infinite level it is
/// found by the signal, 1 / sigma.
///
/// `levels` grow.
pub(super) fn step(levels: &[f64], sigma: f64) -> f64 {
    let last = levels.len().saturating_sub(1) as f64;
    let above = levels.partition_point(|&level| level < sigma);
    match above {
        0 => 0.0,
        above if above == levels.len() => last,
        above => {
            let (low, high) = (levels[above - 1], levels[above]);
            if high == f64::INFINITY {
                return above as f64 - low / sigma;
            }
            (above - 1) as f64 + (sigma / low).ln() / (high / low).ln()
        }
    }
}

impl Quantity {
    /// `c_skip` and `c_out` at a noise level: `yhat = c_skip x + c_out F` for `x = y + sigma n`.
    pub(super) fn coefficients(self, sigma: f64) -> (f64, f64) {
        let alpha_bar = 1.0 / (1.0 + sigma * sigma);
        match self {
            Self::Epsilon => (1.0, -sigma),
            Self::V => (alpha_bar, -sigma * alpha_bar.sqrt()),
            Self::Sample => (0.0, 1.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_last_step_without_signal() {
        let linear = DiscreteSchedule::Linear { beta_start: 1e-4, beta_end: 0.02, steps: 1000 };
        let rescaled = DiscreteSchedule::ZeroTerminalSnr { of: Box::new(linear.clone()) };
        rescaled.check().unwrap();
        let (before, after) = (linear.levels(), rescaled.levels());
        assert!((before[0] / after[0] - 1.0).abs() < 1e-9 && after[999] == f64::INFINITY);
        assert_eq!(rescaled.highest(), after[998]);
        assert!((step(&after, after[998]) - 998.0).abs() < 1e-12);
        assert!((step(&after, 2.0 * after[998]) - 998.5).abs() < 1e-12);
        let nested = DiscreteSchedule::ZeroTerminalSnr { of: Box::new(rescaled) };
        assert!(nested.check().is_err());
        let short = vec![0.1, 1.0];
        assert!(DiscreteSchedule::Trained { betas: short }.check().is_err());
    }

    #[test]
    fn steps_and_levels_are_inverse() {
        for schedule in [
            DiscreteSchedule::Linear { beta_start: 1e-4, beta_end: 0.02, steps: 1000 },
            DiscreteSchedule::ScaledLinear { beta_start: 0.00085, beta_end: 0.012, steps: 1000 },
            DiscreteSchedule::SquaredCosine { steps: 100 },
            DiscreteSchedule::Laplace { steps: 100 },
            DiscreteSchedule::Sigmoid { beta_start: 1e-4, beta_end: 0.02, steps: 1000 },
            DiscreteSchedule::Trained { betas: vec![0.01; 50] },
        ] {
            schedule.check().unwrap();
            let levels = schedule.levels();
            for (index, &level) in levels.iter().enumerate() {
                assert!((step(&levels, level) - index as f64).abs() < 1e-9);
            }
            let middle = (levels[6] * levels[7]).sqrt();
            assert!((step(&levels, middle) - 6.5).abs() < 1e-9);
            assert_eq!((step(&levels, 0.0), step(&levels, 1e9)), (0.0, (levels.len() - 1) as f64));
        }
        assert!(DiscreteSchedule::Linear { beta_start: 0.5, beta_end: 0.4, steps: 10 }.check().is_err());
        assert!(DiscreteSchedule::Linear { beta_start: 0.9, beta_end: 0.99, steps: 100_000 }.check().is_err());
    }

    #[test]
    fn the_squared_cosine_is_iddpms() {
        // u_M = 0, u_(j-1)^2 = (u_j^2 + 1) / max(a_(j-1) / a_j, C_1) - 1 with a_j = sin^2(pi/2 j / (M (1 + C_2))): EDM, table 1.
        let steps = 1000;
        let a = |j: usize| (FRAC_PI_2 * j as f64 / (steps as f64 * 1.008)).sin().powi(2);
        let mut u = 0.0_f64;
        let levels = DiscreteSchedule::SquaredCosine { steps }.levels();
        for (level, j) in levels.into_iter().zip((1..=steps).rev()) {
            u = ((u * u + 1.0) / (a(j - 1) / a(j)).max(1e-3) - 1.0).sqrt();
            assert!((level / u - 1.0).abs() < 1e-6, "{j}: {level} {u}");
        }
    }

    #[test]
    fn quantities_give_the_data_back() {
        let (y, n, sigma) = (0.7, -1.3, 2.5_f64);
        let (a, b) = (1.0 / (1.0 + sigma * sigma).sqrt(), sigma / (1.0 + sigma * sigma).sqrt());
        for (quantity, raw) in [(Quantity::Epsilon, n), (Quantity::V, a * n - b * y), (Quantity::Sample, y)] {
            let (skip, out) = quantity.coefficients(sigma);
            assert!((skip * (y + sigma * n) + out * raw - y).abs() < 1e-12, "{quantity:?}");
        }
    }
}
