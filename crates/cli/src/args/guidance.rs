//! Arguments of guidance.

use std::path::PathBuf;

use clap::Args;

/// Guidance of samples.
#[derive(Debug, Args)]
pub struct GuidanceArgs {
    /// Guidance scale: of classifier-free guidance, or of --autoguide; 1 disables it [default: the run's, or 1]
    #[arg(long, value_name = "W", allow_negative_numbers = true)]
    pub guidance: Option<f64>,

    /// Guide by a weaker run of the same data and D instead of the run without classes: a smaller network, or an earlier checkpoint (autoguidance)
    #[arg(long, value_name = "RUN")]
    pub autoguide: Option<PathBuf>,

    /// Guide only at these noise levels, as in 0.3..5 [default: at all]
    #[arg(long, value_name = "LOW..HIGH")]
    pub guidance_levels: Option<String>,
}

impl GuidanceArgs {
    /// Whether any of the options is given.
    pub fn is_given(&self) -> bool {
        self.guidance.is_some() || self.autoguide.is_some() || self.guidance_levels.is_some()
    }
}
