//! Checks of what only a network that preserves magnitudes has.

use super::{Checked, Config, fail};
use crate::{network::NetworkConfig, prediction::Output};

impl Config {
    /// Checks what only a network that preserves magnitudes has.
    pub(super) fn check_magnitudes(&self) -> Checked {
        let (log_variance, normalize) = (self.objective.uses_log_variance(), self.train.normalize_weights);
        match &self.network {
            NetworkConfig::Edm2Unet(config) if log_variance && config.variance == 0 => {
                let problem = "the network does not estimate it: set network.variance, such as 128";
                return fail("objective.log_variance", true, problem);
            }
            NetworkConfig::Edm2Unet(_) => {}
            _ if log_variance => {
                return fail("objective.log_variance", true, "only the network edm2-unet estimates it; omit it");
            }
            _ if normalize => {
                let problem = "only the network edm2-unet keeps its outputs at fixed magnitudes; omit it";
                return fail("train.normalize_weights", true, problem);
            }
            _ => {}
        }
        if log_variance && self.flow.output != Output::Edm {
            return fail("objective.log_variance", true, "it goes with flow.output.kind = \"edm\"; omit it");
        }
        if normalize && self.train.weight_decay > 0.0 {
            let problem = "train.normalize_weights undoes the decay of the weights; give 0";
            return fail("train.weight_decay", self.train.weight_decay, problem);
        }
        Ok(())
    }
}
