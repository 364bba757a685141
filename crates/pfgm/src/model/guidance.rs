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

/// What guides an estimate, and at which noise levels.
#[derive(Clone, Default)]
pub(crate) struct Guidance<'a> {
    /// The scale; by default that of the model.
    pub(crate) scale: Option<f64>,
    /// The weaker model; by default the model itself without classes.
    pub(crate) weaker: Option<&'a Model>,
    /// The guided noise levels; by default all.
    pub(crate) levels: Option<RangeInclusive<f64>>,
}

impl<'a> Guidance<'a> {
    /// Returns the scale, checked against the model.
    pub(crate) fn checked_scale(&self, spec: &ModelSpec) -> Result<f64> {
        if let Some(levels) = &self.levels
            && !(*levels.start() >= 0.0 && levels.start() < levels.end())
        {
            let given = format!("{} to {}", levels.start(), levels.end());
            return Err(Error::argument(
                "guidance_levels",
                format!("{given}: give two noise levels, the lower one first"),
            ));
        }
        if let Some(weaker) = self.weaker {
            return self.scale_against(spec, weaker.spec());
        }
        let (default, classes) = (spec.config.sample.guidance, &spec.data.classes);
        let name = if self.scale.is_some() { "guidance" } else { "guidance_levels" };
        if (self.scale.is_some() || self.levels.is_some()) && classes.is_empty() {
            return Err(Error::argument(name, "the model is not conditioned on classes; omit it"));
        }
        let scale = self.scale.unwrap_or(default);
        check_guidance("guidance", scale, &spec.config)?;
        if self.levels.is_some() && scale == 1.0 {
            return Err(Error::argument("guidance_levels", "guidance is 1, which disables it; give another scale"));
        }
        Ok(scale)
    }

    /// Returns the scale if the weaker model fits.
    fn scale_against(&self, spec: &ModelSpec, weaker: &ModelSpec) -> Result<f64> {
        let fail = |problem: String| Err(Error::argument("weaker", problem));
        let (own, other) = (&spec.data, &weaker.data);
        if spec.is_distilled() || weaker.is_distilled() {
            return fail(
                "guidance applies to yhat, and a distilled model jumps; use models that are not distilled".into(),
            );
        }
        if own.shape != other.shape {
            return fail(format!(
                "its rows are {}, those of the model {}; use a model of the same data",
                other.shape, own.shape
            ));
        }
        if spec.extra_dims() != weaker.extra_dims() {
            let [own, other] = [spec, weaker].map(|spec| spec.extra_dims().to_string());
            return fail(format!("its D is {other}, that of the model {own}; use a model of the same D"));
        }
        if own.transform != other.transform || own.columns != other.columns || own.table != other.table {
            return fail(
                "its transform or columns of the data differ from those of the model; use a model of the same data"
                    .into(),
            );
        }
        if spec.config.data.autoencoder != weaker.config.data.autoencoder {
            return fail("its autoencoder differs from that of the model; use a model of the same latents".into());
        }
        let levels = self.levels.clone().unwrap_or(0.0..=f64::INFINITY);
        let ((own_low, own_high), (low, high)) = (spec.range(), weaker.range());
        let [needed_low, needed_high] = [own_low.max(*levels.start()), own_high.min(*levels.end())];
        if needed_low < needed_high && (low > needed_low * 1.000_001 || high < needed_high * 0.999_999) {
            return fail(format!(
                "it was trained on noise levels from {low} to {high}, and levels from {needed_low} to {needed_high} are guided; guide \
                 fewer levels, or use another model"
            ));
        }
        if spec.config.upscale != weaker.config.upscale {
            return fail(
                "its settings of upscaling differ from those of the model; use a model of the same stage".into(),
            );
        }
        if !other.classes.is_empty() && other.classes != own.classes {
            return fail(
                "its classes differ from those of the model; use a model of the same classes, or of none".into(),
            );
        }
        match self.scale {
            Some(scale) if scale.is_finite() => Ok(scale),
            Some(scale) => Err(Error::argument("guidance", format!("{scale}: give a number; 1 is no guidance"))),
            None => Err(Error::argument("guidance", "a weaker model guides by a scale; give one above 1, such as 2")),
        }
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
        let levels = self.levels.clone().unwrap_or(0.0..=f64::INFINITY);
        GuidedEstimator { of, weaker: self.weaker, levels }
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
