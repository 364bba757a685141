//! Constructors of solvers, and setters of their options.

use super::{
    Churn, Consistency, Euler, Formula, Grid, Heun, Langevin, LinearMultistep, Method, Multistep, Predictor,
    ReverseSde, Rk45, Schedule, Solver, StochasticHeun, Tolerance,
};
use crate::process::Process;

impl Solver {
    /// Euler's method of `steps` steps on a log-uniform grid.
    pub fn euler(steps: usize) -> Euler {
        let grid = Grid::of_method(Method::Euler, steps);
        Euler { improved: false, grid, afs: false, denoise: false, perturbation: 0.0 }
    }

    /// Improved Euler's method of `steps` steps on a log-uniform grid: two evaluations a step.
    pub fn improved_euler(steps: usize) -> Euler {
        Euler { improved: true, ..Self::euler(steps) }
    }

    /// Heun's method of `steps` steps on EDM's grid, the last of them to sigma = 0 (arXiv 2206.00364, algorithm 1).
    pub fn heun(steps: usize) -> Heun {
        Heun { grid: Grid::of_method(Method::Heun, steps), afs: false, perturbation: 0.0 }
    }

    /// RK45 with this relative and absolute tolerance.
    pub fn rk45(tolerance: f64) -> Rk45 {
        Rk45 { tolerance: Tolerance { rtol: tolerance, atol: tolerance }, denoise: false }
    }

    /// iPNDM of order 3.
    pub fn ipndm(steps: usize) -> Multistep {
        Self::multistep(Formula::Ipndm, 3, steps)
    }

    /// DEIS tAB of order 3.
    pub fn deis(steps: usize) -> Multistep {
        Self::multistep(Formula::Deis, 3, steps)
    }

    /// DPM-Solver++ of order 2 or 3.
    pub fn dpmpp(order: usize, steps: usize) -> Multistep {
        Self::multistep(Formula::DpmPp, order, steps)
    }

    /// UniPC with a predictor of order 2 or 3.
    pub fn unipc(order: usize, steps: usize) -> Multistep {
        Self::multistep(Formula::UniPc, order, steps)
    }

    fn multistep(formula: Formula, order: usize, steps: usize) -> Multistep {
        let method = LinearMultistep { formula, order, lower_order_final: formula.lowers_final_orders() };
        Multistep { method, grid: Grid::of_method(method.name(), steps), afs: false, denoise: false }
    }

    /// The reverse SDE by the method of Euler and Maruyama; infinite D.
    pub fn reverse_sde(steps: usize) -> ReverseSde {
        Self::stochastic(Predictor::EulerMaruyama, steps)
    }

    /// The reverse-diffusion sampler; infinite D.
    pub fn reverse_diffusion(steps: usize) -> ReverseSde {
        Self::stochastic(Predictor::ReverseDiffusion, steps)
    }

    /// Ancestral sampling; infinite D.
    pub fn ancestral(steps: usize) -> ReverseSde {
        Self::stochastic(Predictor::Ancestral, steps)
    }

    fn stochastic(predictor: Predictor, steps: usize) -> ReverseSde {
        ReverseSde { process: None, predictor, corrector: None, steps }
    }

    /// Sampling with a consistency function in `steps` evaluations, for distilled models.
    pub fn consistency(steps: usize) -> Consistency {
        Consistency { grid: Grid::of_method(Method::Consistency, steps) }
    }

    /// The method with its default options.
    pub fn of_method(method: Method) -> Self {
        let steps = method.default_steps();
        match method {
            Method::Euler => Self::euler(steps).into(),
            Method::ImprovedEuler => Self::improved_euler(steps).into(),
            Method::Heun => Self::heun(steps).into(),
            Method::Rk45 => Self::rk45(1e-4).into(),
            Method::Ipndm => Self::ipndm(steps).into(),
            Method::Deis => Self::deis(steps).into(),
            Method::DpmPp2m => Self::dpmpp(2, steps).into(),
            Method::DpmPp3m => Self::dpmpp(3, steps).into(),
            Method::UniPc2 => Self::unipc(2, steps).into(),
            Method::UniPc3 => Self::unipc(3, steps).into(),
            Method::ReverseSde => Self::reverse_sde(steps).into(),
            Method::ReverseDiffusion => Self::reverse_diffusion(steps).into(),
            Method::Ancestral => Self::ancestral(steps).into(),
            Method::Consistency => Self::consistency(steps).into(),
        }
    }
}

/// Heun's method of 18 steps.
impl Default for Solver {
    fn default() -> Self {
        Self::of_method(Method::Heun)
    }
}

/// Setters that several methods share.
macro_rules! setters {
    ($type:ident, $method:expr; $($setter:ident),*) => {
        impl $type {
            $( setters!(@$setter $method); )*
        }
        impl From<$type> for Solver {
            fn from(options: $type) -> Self {
                Self::$type(options)
            }
        }
    };
    (@schedule $method:expr) => {
        /// Spreads the noise levels by another schedule; given levels are replaced by as many steps.
        #[must_use]
        pub fn schedule(mut self, schedule: Schedule) -> Self {
            self.grid = Grid::Spread { steps: self.grid.steps($method), schedule };
            self
        }
    };
    (@levels $method:expr) => {
        /// Uses these noise levels, from the highest to the lowest, which are the ends of the flow's range.
        #[must_use]
        pub fn levels(mut self, levels: Vec<f64>) -> Self {
            self.grid = Grid::Levels(levels);
            self
        }
    };
    (@afs $method:expr) => {
        /// Sets whether the far field replaces the first evaluation (analytical first step).
        #[must_use]
        pub fn afs(mut self, afs: bool) -> Self {
            self.afs = afs;
            self
        }
    };
    (@denoise $method:expr) => {
        /// Sets whether a last Euler step to sigma = 0 replaces the state by yhat.
        #[must_use]
        pub fn denoise(mut self, denoise: bool) -> Self {
            self.denoise = denoise;
            self
        }
    };
    (@perturbation $method:expr) => {
        /// Adds Gaussian noise before each step, of a standard deviation that is this share of sigma.
        #[must_use]
        pub fn perturbation(mut self, share: f64) -> Self {
            self.perturbation = share;
            self
        }
    };
}

setters!(Euler, Method::Euler; schedule, levels, afs, denoise, perturbation);
setters!(Heun, Method::Heun; schedule, levels, afs, perturbation);
setters!(StochasticHeun, Method::Heun; schedule, levels);
setters!(Rk45, Method::Rk45; denoise);
setters!(Multistep, Method::Ipndm; schedule, levels, afs, denoise);
setters!(ReverseSde, Method::ReverseSde;);
setters!(Consistency, Method::Consistency; schedule, levels);

impl Heun {
    /// EDM's stochastic sampler with this `S_churn` (arXiv 2206.00364, algorithm 2).
    ///
    /// # Panics
    /// If an analytical first step or a perturbation was set, which the stochastic sampler has not.
    #[must_use]
    pub fn churn(self, amount: f64) -> StochasticHeun {
        assert!(!self.afs && self.perturbation == 0.0, "churn: the stochastic sampler has no afs and no perturbation");
        StochasticHeun { grid: self.grid, churn: Churn::new(amount) }
    }
}

impl StochasticHeun {
    /// `S_min` and `S_max`: noise is added at levels between them.
    #[must_use]
    pub fn churn_levels(mut self, low: f64, high: f64) -> Self {
        self.churn.levels = (low, high);
        self
    }

    /// `S_noise`: the size of the noise, 1 in theory.
    #[must_use]
    pub fn churn_noise(mut self, noise: f64) -> Self {
        self.churn.noise = noise;
        self
    }
}

impl Rk45 {
    /// Sets the absolute tolerance alone.
    #[must_use]
    pub fn atol(mut self, atol: f64) -> Self {
        self.tolerance.atol = atol;
        self
    }
}

impl Multistep {
    /// Sets the order, 1 to 4 of iPNDM and DEIS.
    #[must_use]
    pub fn order(mut self, order: usize) -> Self {
        self.method.order = order;
        self
    }

    /// Sets whether the last steps have lower orders, the very last order 1; by default those of DPM-Solver++ and UniPC have.
    #[must_use]
    pub fn lower_order_final(mut self, lower: bool) -> Self {
        self.method.lower_order_final = lower;
        self
    }
}

impl ReverseSde {
    /// Reverses this process instead of that of the model.
    #[must_use]
    pub fn process(mut self, process: Process) -> Self {
        self.process = Some(process);
        self
    }

    /// Takes `steps` steps of Langevin dynamics at each noise level, with this signal-to-noise ratio.
    #[must_use]
    pub fn langevin(mut self, steps: usize, snr: f64) -> Self {
        self.corrector = Some(Langevin { steps, snr });
        self
    }
}
