//! Distillation: a network that jumps to the data in one or two evaluations.

use pfgm_data::Dataset;

use super::{Model, fine_tune::without_dropout};
use crate::{
    config::{Config, SampleConfig},
    defaults::set_budget,
    error::{Error, Result},
    objective::{ConsistencyObjective, InverseObjective, Objective},
    solver::Solver,
    spec::ModelSpec,
};

/// Learning rate of a generator as a multiple of its run's.
const INVERSE_RATE: f64 = 0.1;

/// Settings of a distillation: [`Model::distill`].
#[derive(Clone, Debug, PartialEq)]
#[must_use = "nothing is distilled before `Model::distill`"]
pub struct Distill {
    steps: u64,
    objective: Objective,
}

impl Distill {
    /// Consistency tuning of `steps` optimizer steps (arXiv 2406.14548). The stages of its schedule divide the steps evenly.
    pub fn consistency(steps: u64) -> Self {
        let objective = ConsistencyObjective::default();
        let stage_steps = (steps / u64::from(objective.stages)).max(1);
        Self { steps, objective: Objective::Consistency(ConsistencyObjective { stage_steps, ..objective }) }
    }

    /// Inverse Poisson flow matching in `steps` optimizer steps (arXiv 2509.22454): a generator of one evaluation, which does not see the rows of
    /// the data, only the shares of their classes.
    pub fn ipfm(steps: u64) -> Self {
        Self { steps, objective: Objective::Inverse(InverseObjective::default()) }
    }

    /// Sets all parameters of consistency tuning, its schedule included.
    pub fn objective(mut self, objective: ConsistencyObjective) -> Self {
        self.objective = Objective::Consistency(objective);
        self
    }

    /// Builds classifier-free guidance of this scale into the jumps; 1 disables it.
    pub fn guidance(mut self, scale: f64) -> Self {
        match &mut self.objective {
            Objective::Consistency(consistency) => consistency.guidance = scale,
            Objective::Inverse(inverse) => inverse.guidance = scale,
            Objective::Field(_) | Objective::Denoising(_) => unreachable!("not objectives of a distillation"),
        }
        self
    }

    /// Configuration of the training of a model that is distilled from a model of this specification: its network, flow and data, with
    /// another objective, budget and solver.
    pub fn config(&self, spec: &ModelSpec) -> Config {
        let mut config = spec.config.clone();
        set_budget(&mut config.train, self.steps);
        config.objective = self.objective.clone();
        let steps = match &self.objective {
            Objective::Inverse(_) => {
                config.flow.sigma_max = Some(InverseObjective::START);
                config.network = without_dropout(&config.network);
                // Two networks that learn from each other oscillate with momentum.
                config.train.betas[0] = 0.0;
                config.train.lr *= INVERSE_RATE;
                1
            }
            _ => 2,
        };
        config.sample = SampleConfig {
            solver: Solver::consistency(steps).into(),
            precision: config.sample.precision,
            ..SampleConfig::default()
        };
        config
    }
}

impl Model {
    /// Prepares the distillation of this model on its training data. The result has this model's averaged weights; after
    /// [`Model::fit`] it draws samples in one or a few evaluations by [`Solver::consistency`].
    ///
    /// ```
    /// use pfgm::prelude::*;
    ///
    /// let (model, digits) = (Model::load("digits")?, Dataset::open("digits")?);
    /// let mut fast = model.distill(&digits, Distill::consistency(2))?;
    /// fast.fit(&digits, Fit::configured().batch(8))?;
    /// let samples = fast.sample(4).class("3").solver(Solver::consistency(1)).draw()?;
    /// assert_eq!((samples.rows(), samples.nfe()), (4, 1.0));
    /// // A distilled model has no flow that could be followed from data to noise.
    /// assert!(fast.encode(&digits, Solver::rk45(1e-3)).is_err());
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// Returns an error if the model is distilled already, the rows have another shape, or the network does not predict `yhat` with EDM's
    /// preconditioning.
    pub fn distill(&self, train: &Dataset, distill: Distill) -> Result<Self> {
        if self.spec.is_distilled() {
            return Err(Error::argument("distill", "this model is distilled already; use the model that it came from"));
        }
        self.fine_tune(distill.config(&self.spec), train)
    }
}
