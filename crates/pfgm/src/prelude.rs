//! Common imports: `use pfgm::prelude::*;`.

pub use std::ops::ControlFlow;

pub use pfgm_data::{Dataset, Labels, Shape};

pub use crate::{
    error::Error,
    likelihood::Probe,
    model::{
        Anomaly, Denoise, Distill, ExactField, Fit, FitProgress, FitReport, Inpaint, Integration, Latents, Likelihood,
        LogLikelihoods, Model, Posterior, Samples, Trace, WeightNames,
    },
    progress::{CancelToken, Progress},
    solver::Solver,
    spec::ModelSpec,
};
