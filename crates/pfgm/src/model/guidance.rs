//! Guidance by a weaker model, and guidance at some noise levels only.

use std::ops::RangeInclusive;

use super::{
    Model,
    integrate::{Conditions, Estimator},
};
use crate::{
    config::check_guidance,
    error::{Error, Result},
    flow::Differentiable,
    guided::Guided,
    spec::ModelSpec,
};

/// Guidance of samples: its scale, what guides, and at which noise levels.
///
/// ```
/// use pfgm::prelude::*;
///
/// let model = Model::load("digits")?;
/// let mut weaker = model.clone();
/// weaker.quantize(3);
/// let guided = model.sample(2).class("3").autoguide(&weaker).guidance(2.0).solver(Solver::heun(3)).draw()?;
/// assert_eq!(guided.rows(), 2);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Default)]
pub struct GuidanceOptions<'a> {
    /// The scale; by default that of the model.
    pub scale: Option<f64>,
    /// The weaker model; by default the model itself without classes.
    pub weaker: Option<&'a Model>,
    /// The guided noise levels, in the model's space; by default all.
    pub levels: Option<RangeInclusive<f64>>,
}

/// Defines the options of guidance, which are in the field `guidance`.
macro_rules! guidance_options {
    ($lifetime:lifetime) => {
        /// Sets the scale of classifier-free guidance (arXiv 2207.12598), or of a weaker model; 1 disables it. Default: that of the model.
        pub fn guidance(mut self, scale: f64) -> Self {
            self.guidance.scale = Some(scale);
            self
        }

        /// Guides by a weaker model of the same data and D instead of the model without classes (autoguidance, arXiv 2406.02507): a smaller
        /// network, or an earlier checkpoint. Needs a scale. Works without classes, too.
        pub fn autoguide(mut self, weaker: &$lifetime Model) -> Self {
            self.guidance.weaker = Some(weaker);
            self
        }

        /// Sets the range of noise levels that are guided, in the model's space (arXiv 2404.07724). Default: all.
        pub fn guidance_levels(mut self, levels: std::ops::RangeInclusive<f64>) -> Self {
            self.guidance.levels = Some(levels);
            self
        }

        /// Sets all options of guidance.
        pub fn guided(mut self, guidance: crate::model::GuidanceOptions<$lifetime>) -> Self {
            self.guidance = guidance;
            self
        }
    };
}
pub(crate) use guidance_options;

impl<'a> GuidanceOptions<'a> {
    /// Returns the scale, checked against the model.
    pub(crate) fn checked_scale(&self, spec: &ModelSpec) -> Result<f64> {
        if let Some(levels) = &self.levels
            && !(*levels.start() >= 0.0 && levels.start() < levels.end())
        {
            let problem = format!("{} to {}: give two noise levels, the lower one first", levels.start(), levels.end());
            return Err(Error::argument("guidance_levels", problem));
        }
        if let Some(weaker) = self.weaker {
            return match (self.misfit(spec, weaker.spec()), self.scale) {
                (Some(problem), _) => Err(Error::argument("weaker", problem)),
                (None, Some(scale)) if scale.is_finite() => Ok(scale),
                (None, Some(scale)) => {
                    Err(Error::argument("guidance", format!("{scale}: give a number; 1 is no guidance")))
                }
                (None, None) => {
                    Err(Error::argument("guidance", "a weaker model guides by a scale; give one above 1, such as 2"))
                }
            };
        }
        let name = if self.scale.is_some() { "guidance" } else { "guidance_levels" };
        if (self.scale.is_some() || self.levels.is_some()) && spec.data.classes.is_empty() {
            return Err(Error::argument(name, "the model is not conditioned on classes; omit it"));
        }
        let scale = self.scale.unwrap_or(spec.config.sample.guidance);
        check_guidance("guidance", scale, &spec.config)?;
        if self.levels.is_some() && scale == 1.0 {
            return Err(Error::argument("guidance_levels", "guidance is 1, which disables it; give another scale"));
        }
        Ok(scale)
    }

    /// Why a weaker model cannot guide a model, if it cannot.
    fn misfit(&self, spec: &ModelSpec, weaker: &ModelSpec) -> Option<String> {
        let (own, other) = (&spec.data, &weaker.data);
        let [own_d, other_d] = [spec, weaker].map(ModelSpec::extra_dims);
        if own.shape != other.shape {
            return Some(format!(
                "its rows are {}, those of the model {}; use a model of the same data",
                other.shape, own.shape
            ));
        }
        if own_d != other_d {
            return Some(format!("its D is {other_d}, that of the model {own_d}; use a model of the same D"));
        }
        let is_distilled = spec.is_distilled() || weaker.is_distilled();
        let is_encoded_otherwise =
            own.transform != other.transform || own.columns != other.columns || own.table != other.table;
        let has_other_classes = !other.classes.is_empty() && other.classes != own.classes;
        for (does_not_fit, problem) in [
            (is_distilled, "guidance applies to yhat, and a distilled model jumps; use models that are not distilled"),
            (
                is_encoded_otherwise,
                "its transform or columns of the data differ from those of the model; use a model of the same data",
            ),
            (
                spec.config.data.autoencoder != weaker.config.data.autoencoder,
                "its autoencoder differs from that of the model; use a model of the same latents",
            ),
            (
                spec.config.upscale != weaker.config.upscale,
                "its settings of upscaling differ from those of the model; use a model of the same stage",
            ),
            (
                has_other_classes,
                "its classes differ from those of the model; use a model of the same classes, or of none",
            ),
        ] {
            if does_not_fit {
                return Some(problem.into());
            }
        }
        let (guided, (own_low, own_high), (low, high)) = (self.guided_levels(), spec.range(), weaker.range());
        let [from, to] = [own_low.max(*guided.start()), own_high.min(*guided.end())];
        (from < to && (low > 1.000_001 * from || high < 0.999_999 * to)).then(|| {
            format!("it was trained on noise levels from {low} to {high}, and those from {from} to {to} are guided; guide fewer, or use another model")
        })
    }

    /// The guided levels, of the model or not.
    fn guided_levels(&self) -> RangeInclusive<f64> {
        self.levels.clone().unwrap_or(0.0..=f64::INFINITY)
    }

    /// Whether the estimate needs a [`GuidedEstimator`], not only a scale.
    pub(crate) fn is_special(&self) -> bool {
        self.weaker.is_some() || self.levels.is_some()
    }

    /// The estimator with this guidance.
    pub(crate) fn estimator<'b>(&self, of: &'b dyn Estimator) -> GuidedEstimator<'b>
    where
        'a: 'b,
    {
        GuidedEstimator { of, weaker: self.weaker, levels: self.guided_levels() }
    }
}

/// An estimator that a weaker one guides; the scale is that of the conditions.
pub(crate) struct GuidedEstimator<'a> {
    of: &'a dyn Estimator,
    weaker: Option<&'a Model>,
    levels: RangeInclusive<f64>,
}

impl Estimator for GuidedEstimator<'_> {
    fn spec(&self) -> &ModelSpec {
        self.of.spec()
    }

    fn conditioned(&self, conditions: Conditions) -> Box<dyn Differentiable + '_> {
        let scale = conditions.guidance;
        let conditions = Conditions { guidance: 1.0, ..conditions };
        let weaker = match self.weaker {
            Some(weaker) => weaker.conditioned(conditions.clone()),
            None => self.of.conditioned(Conditions {
                conditioning: conditions.conditioning.clone().without_classes(),
                ..conditions.clone()
            }),
        };
        Box::new(Guided { estimate: self.of.conditioned(conditions), weaker, scale, levels: self.levels.clone() })
    }
}
