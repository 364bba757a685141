//! Checks of a configuration: one function for each table of the TOML file.
//!
//! The same checks serve the TOML file, the specification in a checkpoint, an imported network and a request over HTTP.

mod data;
mod magnitudes;
mod objectives;

use super::{Config, FlowConfig, SampleConfig, TrainConfig};
use crate::{
    conditioning::UpscaleConfig,
    network::NetworkConfig,
    objective::Objective,
    power_average,
    prediction::Output,
    solver::{Method, Solver},
};

/// An invalid value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key} = {value}: {problem}")]
pub struct ConfigError {
    /// The key, with its table.
    pub key: String,
    /// The value.
    pub value: String,
    /// What is wrong and what to do.
    pub problem: String,
}

impl ConfigError {
    pub(crate) fn new(key: impl Into<String>, value: impl ToString, problem: impl Into<String>) -> Self {
        Self { key: key.into(), value: value.to_string(), problem: problem.into() }
    }
}

type Checked = Result<(), ConfigError>;

fn fail(key: &str, value: impl ToString, problem: &str) -> Checked {
    Err(ConfigError::new(key, value, problem))
}

/// Valid noise levels, in the model's space, where data have a standard deviation of about 1.
const LEVELS: std::ops::RangeInclusive<f64> = 1e-9..=1e9;

/// Largest batch and field batch.
const MOST_ITEMS: usize = 1 << 24;

pub(crate) fn check_level(key: &str, value: f64) -> Checked {
    if LEVELS.contains(&value) { Ok(()) } else { fail(key, value, "give a number from 1e-9 to 1e9") }
}

fn check_positive(key: &str, value: f64) -> Checked {
    if value > 0.0 && value.is_finite() { Ok(()) } else { fail(key, value, "give a number above 0") }
}

fn check_not_negative(key: &str, value: f64) -> Checked {
    if value >= 0.0 && value.is_finite() { Ok(()) } else { fail(key, value, "give 0 or a number above it") }
}

fn check_share(key: &str, value: f64) -> Checked {
    if (0.0..1.0).contains(&value) { Ok(()) } else { fail(key, value, "give a share in [0, 1)") }
}

fn check_count(key: &str, value: u64) -> Checked {
    if value > 0 { Ok(()) } else { fail(key, value, "give at least 1") }
}

fn check_items(key: &str, value: usize) -> Checked {
    if (1..=MOST_ITEMS).contains(&value) { Ok(()) } else { fail(key, value, "give a number from 1 to 16777216") }
}

impl Config {
    /// Checks every value that can be checked without the data.
    ///
    /// # Errors
    /// Returns the first key with an invalid value.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.data.source.is_empty() {
            return fail("data.source", "\"\"", "name a data set or a path, or give it with --data");
        }
        self.check_model()
    }

    /// Checks every value except the source of the data, which a trained model does not need.
    ///
    /// # Errors
    /// Returns the first key with an invalid value.
    pub fn check_model(&self) -> Result<(), ConfigError> {
        self.data.check()?;
        self.flow.check()?;
        self.objective.check(self.train.batch)?;
        check_network(&self.network)?;
        self.check_radial()?;
        self.train.check()?;
        self.check_precision()?;
        self.check_upscale()?;
        self.check_patch()?;
        self.check_distilled()?;
        self.check_magnitudes()?;
        self.sample.check(self)
    }

    /// A network has a radial component if and only if its output is PFGM's field.
    fn check_radial(&self) -> Checked {
        let radial = self.network.is_radial();
        if radial == matches!(self.flow.output, Output::Field { .. }) {
            return Ok(());
        }
        let problem = "a radial component, which score-unet and ncsnv2 have, goes with flow.output.kind = \"field\", and only with \
                       that";
        fail("network.radial", radial, problem)
    }

    fn check_precision(&self) -> Checked {
        for (key, precision) in [("train.precision", self.train.precision), ("sample.precision", self.sample.precision)]
        {
            precision.suits(&self.network).or_else(|error| fail(key, "\"bf16\"", &error.to_string()))?;
        }
        Ok(())
    }

    fn check_upscale(&self) -> Checked {
        let Some(UpscaleConfig { factor, noise, sample_noise }) = self.upscale else { return Ok(()) };
        if factor < 2 {
            return fail("upscale.factor", factor, "give at least 2");
        }
        check_not_negative("upscale.noise", noise)?;
        if !(0.0..=noise).contains(&sample_noise) {
            let problem = format!("the network learns levels from 0 to upscale.noise = {noise}: give one of them");
            return fail("upscale.sample_noise", sample_noise, &problem);
        }
        self.check_no_field_batch("upscale")
    }

    fn check_patch(&self) -> Checked {
        if self.train.patch == 0 {
            return Ok(());
        }
        if self.network.is_radial() {
            return fail("network.radial", true, "patches have a radial component of their own: use another network");
        }
        self.check_no_field_batch("train.patch")
    }

    /// Rejects what does not go with a network that jumps to the data.
    fn check_distilled(&self) -> Checked {
        const KIND: &str = "objective.kind";
        if let Objective::Inverse(inverse) = &self.objective
            && inverse.highest <= self.flow.sigma_min
        {
            return fail("objective.highest", inverse.highest, "give a level above flow.sigma_min");
        }
        let (value, guidance) = match &self.objective {
            Objective::Consistency(consistency) => ("\"consistency\"", consistency.guidance),
            Objective::Inverse(inverse) => ("\"ipfm\"", inverse.guidance),
            Objective::Field(_) | Objective::Denoising(_) => return Ok(()),
        };
        if self.flow.output != Output::Edm {
            let problem = "the jump needs c_skip(0) = 1 and c_out(0) = 0, which flow.output.kind = \"edm\" has; use a run with that output";
            return fail(KIND, value, problem);
        }
        let others = [("upscale", self.upscale.is_some()), ("train.patch", self.train.patch > 0)];
        if let Some((key, _)) = others.into_iter().find(|&(_, is_set)| is_set) {
            return fail(KIND, value, &format!("it is not built for {key}; use a run without it"));
        }
        if guidance != 1.0 && !(self.data.conditional && self.train.label_dropout > 0.0) {
            let problem =
                "guidance needs a run that is conditioned on classes and was trained with label dropout; use 1";
            return fail("objective.guidance", guidance, problem);
        }
        Ok(())
    }

    /// Rejects objectives with a field batch: images with the same low-resolution image, or patches at the same position, have a different field
    /// than the batch.
    fn check_no_field_batch(&self, key: &str) -> Checked {
        if self.objective.field_batch().is_none() {
            return Ok(());
        }
        let problem = format!(
            "the field of other charges is not that of images with the same low-resolution image or place: with {key} use \
             objective.kind = \"pfgm++\" and objective.reference = 0"
        );
        fail("objective", "a field batch", &problem)
    }
}

impl FlowConfig {
    fn check(&self) -> Checked {
        check_level("flow.sigma_min", self.sigma_min)?;
        if let Some(sigma_max) = self.sigma_max {
            check_level("flow.sigma_max", sigma_max)?;
            if sigma_max <= self.sigma_min {
                return fail("flow.sigma_max", sigma_max, "give a number above flow.sigma_min");
            }
        }
        if let Some(sigma_data) = self.sigma_data {
            check_level("flow.sigma_data", sigma_data)?;
        }
        for (key, value) in [("flow.max_row_rms", self.max_row_rms), ("flow.detail_rms", self.detail_rms)] {
            if let Some(value) = value.filter(|&value| !(value.is_finite() && value >= 0.0)) {
                return fail(key, value, "give a number that is not negative, or omit it to have it measured");
            }
        }
        self.output.check()
    }
}

impl Output {
    pub(crate) fn check(&self) -> Checked {
        match self {
            Self::Ve { unit, .. } => check_level("flow.output.unit", *unit)?,
            Self::Field { gamma } => check_level("flow.output.gamma", *gamma)?,
            Self::Discrete { schedule, .. } => schedule
                .check()
                .or_else(|(key, value, problem)| fail(&format!("flow.output.schedule.{key}"), value, problem))?,
            Self::Edm | Self::Vp { .. } | Self::SubVp { .. } => {}
        }
        self.process().check().or_else(|(rate, value, problem)| fail(&format!("flow.output.{rate}"), value, problem))
    }
}

/// Checks what does not depend on the shape of the data. Sizes are checked when the network is built.
fn check_network(network: &NetworkConfig) -> Checked {
    let dropout = match network {
        NetworkConfig::Mlp(mlp) => mlp.dropout,
        NetworkConfig::Unet(unet) => unet.dropout,
        NetworkConfig::AdmUnet(unet) => unet.dropout,
        NetworkConfig::DiffusersUnet(unet) => unet.dropout,
        NetworkConfig::Edm2Unet(unet) => unet.dropout,
        NetworkConfig::ScoreUnet(unet) => {
            check_not_negative("network.fourier_scale", unet.fourier_scale)?;
            unet.dropout
        }
        NetworkConfig::Ncsnv2(_) => 0.0,
    };
    check_share("network.dropout", dropout)
}

impl TrainConfig {
    fn check(&self) -> Checked {
        check_count("train.steps", self.steps)?;
        check_items("train.batch", self.batch)?;
        check_count("train.accumulate", self.accumulate as u64)?;
        check_count("train.checkpoint_every", self.checkpoint_every)?;
        check_count("train.keep", self.keep as u64)?;
        check_count("train.log_every", self.log_every)?;
        if self.accumulate > self.batch {
            let problem = format!("a batch of {} cannot be split into more parts", self.batch);
            return fail("train.accumulate", self.accumulate, &problem);
        }
        check_positive("train.lr", self.lr)?;
        check_positive("train.epsilon", self.epsilon)?;
        check_not_negative("train.weight_decay", self.weight_decay)?;
        if self.weight_decay * self.lr >= 1.0 {
            let problem =
                "times train.lr it must be below 1, or a step would reverse the weights; give a smaller number";
            return fail("train.weight_decay", self.weight_decay, problem);
        }
        check_count("train.decay_after", self.decay_after)?;
        check_share("train.momentum", self.momentum)?;
        check_share("train.betas", self.betas[0])?;
        check_share("train.betas", self.betas[1])?;
        check_share("train.ema", self.ema)?;
        check_not_negative("train.ema_rampup", self.ema_rampup)?;
        let [narrow, wide] = self.sigma_rel;
        if [narrow, wide].into_iter().any(|width| power_average::gamma(width).is_none()) || narrow >= wide {
            let problem = format!("give two widths from 0.001 to {}, the narrow one first", power_average::MAX_WIDTH);
            return fail("train.sigma_rel", format!("{:?}", self.sigma_rel), &problem);
        }
        check_share("train.label_dropout", self.label_dropout)?;
        check_share("train.augment", self.augment)?;
        if self.augment > 0.0 && self.flip {
            return fail("train.flip", true, "train.augment mirrors images as well, and tells the network; omit it");
        }
        if self.clip < 0.0 || !self.clip.is_finite() {
            return fail("train.clip", self.clip, "give a norm above 0, or 0 for no clipping");
        }
        Ok(())
    }
}

impl SampleConfig {
    fn check(&self, config: &Config) -> Checked {
        check_guidance("sample.guidance", self.guidance, config)?;
        let method = self.solver.method();
        if (method == Method::Consistency) == config.objective.has_yhat() {
            return fail("sample.solver.method", method, solver_problem(config));
        }
        if let Some(steps) = several_jumps(&self.solver, config) {
            return fail("sample.solver.steps", steps, ONE_JUMP);
        }
        self.z_exp.map_or(Ok(()), |z| check_not_negative("sample.z_exp", z))?;
        if let Some(norm) = self.upper_norm.filter(|norm| !(*norm >= 1.0 && norm.is_finite())) {
            return fail("sample.upper_norm", norm, "give a number of at least 1");
        }
        let solver = self.solver.clone().for_process(config.flow.output.process());
        solver
            .check(config.flow.extra_dims)
            .or_else(|wrong| fail(&format!("sample.solver.{}", wrong.option), wrong.value, &wrong.problem))
    }
}

/// Why a generator has one step.
pub(crate) const ONE_JUMP: &str = "a run distilled by ipfm jumps from its highest noise level only; use 1";

/// Number of jumps of a solver, if it is more than a generator can make.
pub(crate) fn several_jumps(solver: &Solver, config: &Config) -> Option<usize> {
    let jumps = matches!(config.objective, Objective::Inverse(_)).then(|| solver.steps()).flatten();
    jumps.filter(|&jumps| jumps > 1)
}

/// Why a solver does not go with a configuration: `consistency` goes with objective consistency, and only with that.
pub(crate) fn solver_problem(config: &Config) -> &'static str {
    if config.objective.has_yhat() {
        "consistency is for distilled runs, whose network jumps to the data (`pfgm distill`); use another solver"
    } else {
        "this run is distilled: its network jumps to the data and has no yhat to integrate; use consistency"
    }
}

/// Checks a classifier-free guidance scale against a configuration; `key` names it in the error.
///
/// # Errors
/// Returns an error if it is not finite, or if the network was trained without label dropout.
pub fn check_guidance(key: &str, guidance: f64, config: &Config) -> Result<(), ConfigError> {
    if !guidance.is_finite() {
        return fail(key, guidance, "give a number; 1 is no guidance");
    }
    if guidance != 1.0 && !config.objective.has_yhat() {
        let problem =
            "the run is distilled, and guidance applies to yhat, not to jumps; use 1, or distill with guidance";
        return fail(key, guidance, problem);
    }
    if guidance != 1.0 && config.train.label_dropout == 0.0 {
        let problem = "the run was trained with train.label_dropout = 0 and knows no estimate without a class; use 1";
        return fail(key, guidance, problem);
    }
    Ok(())
}
