//! `scheduler_config.json`: the noise levels of training, and what the network estimates. The rest is about sampling.

use serde::Deserialize;

use crate::prediction::{DiscreteSchedule, Output, Quantity};

/// What a scheduler's configuration says about training.
#[derive(Debug, Deserialize)]
#[serde(default)]
pub struct Scheduler {
    #[serde(rename = "_class_name")]
    class_name: String,
    beta_start: f64,
    beta_end: f64,
    beta_schedule: String,
    num_train_timesteps: usize,
    prediction_type: String,
    trained_betas: Option<Vec<f64>>,
    rescale_betas_zero_snr: bool,
    clip_sample: bool,
    thresholding: bool,
}

impl Default for Scheduler {
    fn default() -> Self {
        Self {
            class_name: "DDPMScheduler".into(),
            beta_start: 1e-4,
            beta_end: 0.02,
            beta_schedule: "linear".into(),
            num_train_timesteps: 1000,
            prediction_type: "epsilon".into(),
            trained_betas: None,
            rescale_betas_zero_snr: false,
            clip_sample: false,
            thresholding: false,
        }
    }
}

/// Parts of the names of schedulers whose networks were trained on other noise than DDPM's.
const OTHER_PROCESSES: [&str; 10] =
    ["Sde", "Karras", "EDM", "Cosine", "FlowMatch", "CMStochastic", "IPNDM", "VQDiffusion", "Amused", "Wuerstchen"];

impl Scheduler {
    /// What the network estimates at which noise levels. The error names a value that is not supported.
    pub fn output(&self) -> Result<Output, String> {
        // The SDE solvers of DPM-Solver sample networks of DDPM's kind.
        let is_solver = self.class_name.starts_with("DPMSolver");
        if !is_solver && OTHER_PROCESSES.iter().any(|name| self.class_name.contains(name)) {
            return Err(format!("the scheduler {} is not supported; those of DDPM's kind are", self.class_name));
        }
        let mut schedule = self.schedule()?;
        if self.rescale_betas_zero_snr {
            schedule = DiscreteSchedule::ZeroTerminalSnr { of: Box::new(schedule) };
        }
        let quantity = match self.prediction_type.as_str() {
            "epsilon" => Quantity::Epsilon,
            "v_prediction" => Quantity::V,
            "sample" => Quantity::Sample,
            other => {
                return Err(format!("prediction_type {other} is not supported; epsilon, v_prediction and sample are"));
            }
        };
        let output = Output::Discrete { schedule, quantity };
        output.check().map_err(|error| error.to_string())?;
        Ok(output)
    }

    fn schedule(&self) -> Result<DiscreteSchedule, String> {
        let Self { beta_start, beta_end, num_train_timesteps: steps, .. } = *self;
        if let Some(betas) = &self.trained_betas {
            if betas.len() != steps {
                return Err(format!("trained_betas has {} numbers for {steps} steps", betas.len()));
            }
            return Ok(DiscreteSchedule::Trained { betas: betas.clone() });
        }
        match self.beta_schedule.as_str() {
            "linear" => Ok(DiscreteSchedule::Linear { beta_start, beta_end, steps }),
            "scaled_linear" => Ok(DiscreteSchedule::ScaledLinear { beta_start, beta_end, steps }),
            "sigmoid" => Ok(DiscreteSchedule::Sigmoid { beta_start, beta_end, steps }),
            "squaredcos_cap_v2" => Ok(DiscreteSchedule::SquaredCosine { steps }),
            "laplace" => Ok(DiscreteSchedule::Laplace { steps }),
            other => Err(format!(
                "beta_schedule {other} is not supported; linear, scaled_linear, sigmoid, squaredcos_cap_v2 and laplace are"
            )),
        }
    }

    /// Notices about what is not done as the scheduler would do it.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.rescale_betas_zero_snr {
            notes
                .push("the last step has no signal (rescale_betas_zero_snr): flows begin at the step before it".into());
        }
        if self.clip_sample || self.thresholding {
            let key = if self.clip_sample { "clip_sample" } else { "thresholding" };
            notes.push(format!("the scheduler's {key} is about sampling: estimates are not clipped here"));
        }
        notes
    }
}
