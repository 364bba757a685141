//! Figures that explain Poisson flows.

use anyhow::Result;
use pfgm::extra_dims::ExtraDims;
use pfgm_plot::Canvas;

use super::{compare, near_far, posterior, scene::Scene, shapes, training};
use crate::args::Story;

impl Story {
    /// The figures, each with the name of its file.
    pub fn figures(self) -> Vec<(Self, &'static str)> {
        const FIGURES: [(Story, &str); 9] = [
            (Story::NearFar, "near-far.png"),
            (Story::ExtraDimension, "extra-dimension.png"),
            (Story::EmpiricalField, "empirical-field.png"),
            (Story::TrainingPoints, "training-points.png"),
            (Story::Projection, "projection.png"),
            (Story::ChangeOfVariable, "change-of-variable.png"),
            (Story::Dimensions, "dimensions.png"),
            (Story::NonCompact, "non-compact.png"),
            (Story::Posterior, "posterior.png"),
        ];
        FIGURES.into_iter().filter(|(story, _)| self == Self::All || *story == self).collect()
    }

    /// The default charges.
    pub fn charges(self) -> &'static str {
        match self {
            Self::ExtraDimension => "disk",
            _ => "heart",
        }
    }

    /// Draws the figure, and prints its measurements.
    pub fn draw(self, scene: &Scene) -> Result<Canvas> {
        debug_assert_eq!(scene.extra_dims, ExtraDims::Finite(1.0));
        match self {
            Self::NearFar | Self::All => near_far::near_far(scene),
            Self::ExtraDimension => compare::extra_dimension(scene),
            Self::EmpiricalField => near_far::empirical_field(scene),
            Self::TrainingPoints => training::training_points(scene),
            Self::Projection => training::projection(scene),
            Self::ChangeOfVariable => compare::change_of_variable(scene),
            Self::Dimensions => shapes::dimensions(scene),
            Self::NonCompact => shapes::non_compact(scene),
            Self::Posterior => posterior::posterior(scene),
        }
    }
}
