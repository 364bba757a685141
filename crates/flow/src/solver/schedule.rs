//! Grids of noise levels.

/// How the noise levels of a grid are spread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Schedule {
    /// Equal steps of ln sigma.
    LogUniform,
    /// Equal steps of `sigma^(1/rho)` (EDM, arXiv 2206.00364, eq. 5).
    Edm {
        /// 7 in the paper: large values crowd the levels towards zero.
        rho: f64,
    },
}

impl Schedule {
    /// `steps + 1` noise levels from `from` to `to`, both included.
    pub fn grid(self, from: f64, to: f64, steps: usize) -> Vec<f64> {
        let between = |i: usize| {
            let share = if steps == 0 { 0.0 } else { i as f64 / steps as f64 };
            match self {
                Self::LogUniform => (from.ln() + share * (to.ln() - from.ln())).exp(),
                Self::Edm { rho } => {
                    let (a, b) = (from.powf(1.0 / rho), to.powf(1.0 / rho));
                    (a + share * (b - a)).powf(rho)
                }
            }
        };
        let mut grid: Vec<f64> = (0..=steps).map(between).collect();
        // The ends are given numbers: rounding must not move them.
        grid[0] = from;
        if steps > 0 {
            grid[steps] = to;
        }
        grid
    }
}
