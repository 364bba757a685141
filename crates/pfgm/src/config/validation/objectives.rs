//! Checks of the objectives.

use super::{Checked, check_count, check_items, check_level, check_not_negative, check_positive, fail};
use crate::objective::{ConsistencyObjective, DenoisingObjective, FieldObjective, InverseObjective, Objective};

impl Objective {
    /// `batch` is the number of items of a training step.
    pub(super) fn check(&self, batch: usize) -> Checked {
        match self {
            Self::Field(field) => field.check(batch),
            Self::Denoising(denoising) => denoising.check(batch),
            Self::Consistency(consistency) => consistency.check(),
            Self::Inverse(inverse) => inverse.check(),
        }
    }
}

fn check_number(key: &str, value: f64, problem: &str) -> Checked {
    if value.is_finite() { Ok(()) } else { fail(key, value, problem) }
}

/// Checks the parameters of ln sigma ~ N(mean, std^2).
fn check_levels(mean: f64, std: f64) -> Checked {
    check_number("objective.mean", mean, "give a number")?;
    check_positive("objective.std", std)
}

impl FieldObjective {
    fn check(&self, batch: usize) -> Checked {
        check_level("objective.s", self.s)?;
        check_level("objective.tau", self.tau)?;
        self.gamma.map_or(Ok(()), |gamma| check_level("objective.gamma", gamma))?;
        check_items("objective.field_batch", self.field_batch)?;
        if self.field_batch < batch {
            let problem = format!("the field batch contains the loss batch: give at least {batch}");
            return fail("objective.field_batch", self.field_batch, &problem);
        }
        Ok(())
    }
}

impl DenoisingObjective {
    fn check(&self, batch: usize) -> Checked {
        check_levels(self.mean, self.std)?;
        if self.reference == 0 {
            return Ok(());
        }
        check_items("objective.reference", self.reference)?;
        if self.reference < batch {
            let problem = format!("the reference batch contains the loss batch: give at least {batch}, or 0");
            return fail("objective.reference", self.reference, &problem);
        }
        Ok(())
    }
}

impl ConsistencyObjective {
    fn check(&self) -> Checked {
        check_levels(self.mean, self.std)?;
        if !(self.q > 1.0 && self.q.is_finite()) {
            return fail("objective.q", self.q, "give a number above 1");
        }
        check_count("objective.stages", self.stages.into())?;
        check_count("objective.stage_steps", self.stage_steps)?;
        check_not_negative("objective.n_scale", self.n_scale)?;
        check_not_negative("objective.n_rate", self.n_rate)?;
        check_positive("objective.huber", self.huber)?;
        check_number("objective.guidance", self.guidance, "give a number; 1 is no guidance")
    }
}

impl InverseObjective {
    fn check(&self) -> Checked {
        check_levels(self.mean, self.std)?;
        check_number("objective.alpha", self.alpha, "give a number")?;
        check_positive("objective.highest", self.highest)?;
        check_positive("objective.fake_rate", self.fake_rate)?;
        check_number("objective.guidance", self.guidance, "give a number; 1 is no guidance")
    }
}
