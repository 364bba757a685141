//! Where something was drawn.

use super::{Area, Canvas, Element, Position, Shape, font};

impl Canvas {
    /// Positions on the shapes and texts that were drawn within an area, a few units apart. Cells, which are a background, and faint lines are
    /// not among them.
    pub(crate) fn ink_within(&self, area: Area) -> Vec<Position> {
        const APART: f64 = 4.0;
        let mut found = Vec::new();
        let mut segment = |a: Position, b: Position| {
            let steps = ((b.0 - a.0).hypot(b.1 - a.1) / APART).clamp(1.0, 1000.0) as usize;
            let at = |step: usize| {
                let share = step as f64 / steps as f64;
                (a.0 + share * (b.0 - a.0), a.1 + share * (b.1 - a.1))
            };
            found.extend((0..=steps).map(at).filter(|at| area.contains(*at)));
        };
        for Element { shape, clip } in &self.elements {
            match shape {
                // The grid of a panel is not clipped.
                Shape::Curve { pieces, .. } if clip.is_some() => {
                    pieces.iter().flat_map(|piece| piece.windows(2)).for_each(|pair| segment(pair[0], pair[1]));
                }
                Shape::Polygon { corners, .. } => {
                    let ends = |axis: fn(&Position) -> f64| {
                        let values = || corners.iter().map(axis);
                        (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max))
                    };
                    let ((left, right), (top, bottom)) = (ends(|at| at.0), ends(|at| at.1));
                    let rows = ((bottom - top) / APART).clamp(1.0, 1000.0) as usize;
                    for row in 0..=rows {
                        let y = top + (bottom - top) * row as f64 / rows as f64;
                        segment((left, y), (right, y));
                    }
                }
                Shape::Disc { center, .. } => segment(*center, *center),
                Shape::Text { text, at, size, anchor, .. } => {
                    let width = Self::text_width(text, *size);
                    let left = at.0 - font::part_before(*anchor) * width;
                    segment((left, at.1 - 0.4 * size), (left + width, at.1 - 0.4 * size));
                }
                Shape::Curve { .. } | Shape::Cells { .. } | Shape::Pixels { .. } => {}
            }
        }
        found
    }
}
