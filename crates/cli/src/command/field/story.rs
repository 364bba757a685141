//! Figures that explain Poisson flows.

use anyhow::Result;
use pfgm::extra_dims::ExtraDims;
use pfgm_plot::Canvas;

use super::{
    compare, images, inertia,
    moving::{self, Frames},
    near_far, norms, posterior, potential,
    scene::Scene,
    shapes, training, tube,
};
use crate::{args::Story, render::AnimationFile};

/// The figures, each with the name of its file, in the order of docs/physics.md.
const FIGURES: [(Story, &str); 19] = [
    (Story::GreensFunction, "greens-function.png"),
    (Story::Superposition, "superposition.png"),
    (Story::EmpiricalField, "empirical-field.png"),
    (Story::NearFar, "near-far.png"),
    (Story::ZoomOut, "zoom-out.png"),
    (Story::FluxTube, "flux-tube.png"),
    (Story::ExtraDimension, "extra-dimension.png"),
    (Story::Inertia, "inertia.png"),
    (Story::Anchoring, "anchoring.png"),
    (Story::TrainingPoints, "training-points.png"),
    (Story::TrainingImages, "training-images.png"),
    (Story::Projection, "projection.png"),
    (Story::ChangeOfVariable, "change-of-variable.png"),
    (Story::Dimensions, "dimensions.png"),
    (Story::Diffusion, "diffusion.png"),
    (Story::Norms, "norms.png"),
    (Story::NonCompact, "non-compact.png"),
    (Story::Posterior, "posterior.png"),
    (Story::Continuity, "continuity.png"),
];

impl Story {
    /// The figures, each with the name of its file.
    pub fn figures(self) -> Vec<(Self, &'static str)> {
        let wanted = |story: Self| story != Self::All && (self == Self::All || story == self);
        FIGURES.into_iter().filter(|(story, _)| wanted(*story)).collect()
    }

    /// Whether the figure has its own charges, so that it cannot be drawn for other data.
    pub fn has_own_charges(self) -> bool {
        matches!(
            self,
            Self::GreensFunction
                | Self::Superposition
                | Self::Inertia
                | Self::Anchoring
                | Self::NonCompact
                | Self::Norms
                | Self::TrainingImages
        )
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
            Self::GreensFunction => potential::greens_function(scene.scale),
            Self::Superposition => potential::superposition(scene.scale),
            Self::NearFar | Self::All => near_far::near_far(scene),
            Self::ZoomOut => moving::zoom_out(scene),
            Self::FluxTube => tube::flux_tube(scene),
            Self::ExtraDimension => compare::extra_dimension(scene),
            Self::Inertia => inertia::inertia(scene.scale),
            Self::Anchoring => inertia::anchoring(scene.scale),
            Self::EmpiricalField => near_far::empirical_field(scene),
            Self::TrainingPoints => training::training_points(scene),
            Self::TrainingImages => images::training_images(scene.scale, scene.seed),
            Self::Projection => training::projection(scene),
            Self::ChangeOfVariable => compare::change_of_variable(scene),
            Self::Dimensions => shapes::dimensions(scene),
            Self::Diffusion => moving::diffusion(scene),
            Self::Norms => norms::norms(scene.scale, scene.seed),
            Self::NonCompact => shapes::non_compact(scene),
            Self::Posterior => posterior::posterior(scene),
            Self::Continuity => moving::continuity(scene),
        }
    }

    /// Whether [`Story::frames`] has an animation.
    pub fn moves(self) -> bool {
        matches!(self, Self::ZoomOut | Self::Projection | Self::Diffusion | Self::Continuity)
    }

    /// The animation; `None` if the figure does not move.
    fn frames(self, scene: &Scene, count: usize) -> Result<Option<Frames<'_>>> {
        Ok(match self {
            Self::ZoomOut => Some(moving::zooming(scene)),
            Self::Projection => Some(moving::projecting(scene)),
            Self::Diffusion => Some(moving::spreading(scene, count)),
            Self::Continuity => Some(moving::carrying(scene, count)?),
            _ => None,
        })
    }

    /// Draws and writes the animation of a figure that moves.
    pub fn animate(self, scene: &Scene, file: &AnimationFile, count: usize) -> Result<()> {
        let Some(frames) = self.frames(scene, count)? else { return Ok(()) };
        file.write_charts(count, |frame| frames(frame as f64 / count as f64))
    }
}
