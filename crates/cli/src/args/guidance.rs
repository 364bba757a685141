//! Arguments of guidance.

use std::path::PathBuf;

use clap::Args;

/// Guidance of samples.
#[derive(Debug, Args)]
pub struct GuidanceArgs {
    /// Scale of classifier-free guidance, or of --autoguide; 1 disables it [default: the run's, or 1; --autoguide needs it]
    #[arg(long, value_name = "W", allow_negative_numbers = true)]
    pub guidance: Option<f64>,

    /// Autoguidance: a weaker run of the same data and D that guides in place of the same network without the class, such as a smaller network or an earlier checkpoint
    #[arg(long, value_name = "RUN")]
    pub autoguide: Option<PathBuf>,

    /// Range of the noise levels that are guided, in the units of sigma, as in 0.3..5 [default: all]
    #[arg(long, value_name = "LOW..HIGH")]
    pub guidance_levels: Option<String>,
}

impl GuidanceArgs {
    /// Whether any of the options is given.
    pub fn is_given(&self) -> bool {
        self.guidance.is_some() || self.autoguide.is_some() || self.guidance_levels.is_some()
    }
}
