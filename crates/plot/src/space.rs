//! Views of the space above the plane of the data, in parallel projection.

use std::f64::consts::PI;

use crate::{
    canvas::{Area, Canvas, Position},
    color::{Color, FAINT, GRAY},
};

/// A direction of view.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    /// Azimuth of the eye in radians.
    pub azimuth: f64,
    /// Elevation of the eye in radians: 0 looks along the plane, pi/2 down on it.
    pub elevation: f64,
    /// The point of the plane in the center.
    pub center: [f64; 3],
    /// The radius of the hemisphere that fits into the area.
    pub radius: f64,
}

/// A view in an area of a canvas.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Space {
    view: View,
    origin: Position,
    unit: f64,
}

impl Space {
    /// Creates the view of a hemisphere that fits into an area.
    pub fn new(area: Area, view: View) -> Self {
        let (sin, cos) = (view.elevation.sin(), view.elevation.cos());
        // The outline of the hemisphere: the ball's circle above, the plane's ellipse below.
        let top = if sin > 0.0 { 1.0_f64 } else { cos };
        let unit = (0.5 * area.width).min(area.height / (top + sin)) / view.radius;
        let spare = area.height - (top + sin) * view.radius * unit;
        let origin = (area.left + 0.5 * area.width, area.top + 0.5 * spare + top * view.radius * unit);
        Self { view, origin, unit }
    }

    /// The position of a point on the canvas, and its depth: larger is nearer to the eye.
    pub fn place(&self, point: [f64; 3]) -> (Position, f64) {
        let View { azimuth, elevation, center, .. } = self.view;
        let [x, y, z] = [point[0] - center[0], point[1] - center[1], point[2] - center[2]];
        let (right, away) = (x * azimuth.cos() + y * azimuth.sin(), -x * azimuth.sin() + y * azimuth.cos());
        let up = z * elevation.cos() + away * elevation.sin();
        let near = z * elevation.sin() - away * elevation.cos();
        ((self.origin.0 + right * self.unit, self.origin.1 - up * self.unit), near)
    }

    /// Draws a curve through points.
    pub fn curve(&self, canvas: &mut Canvas, points: &[[f64; 3]], width: f64, color: Color) {
        canvas.curve(points.iter().map(|&point| self.place(point).0), width, color);
    }

    /// Draws a curve with a color for each point.
    pub fn shaded_curve(&self, canvas: &mut Canvas, points: &[([f64; 3], Color)], width: f64) {
        let places: Vec<(Position, Color)> =
            points.iter().map(|(point, color)| (self.place(*point).0, *color)).collect();
        canvas.shaded_curve(&places, width);
    }

    /// Draws dots, the nearest last.
    pub fn dots(&self, canvas: &mut Canvas, points: impl IntoIterator<Item = ([f64; 3], Color)>, radius: f64) {
        let mut placed: Vec<(Position, f64, Color)> = points
            .into_iter()
            .map(|(point, color)| {
                let (place, near) = self.place(point);
                (place, near, color)
            })
            .collect();
        placed.sort_by(|a, b| a.1.total_cmp(&b.1));
        for (place, near, color) in placed {
            // Nearer dots are a little larger.
            let size = radius * (1.0 + 0.25 * (near / self.view.radius).clamp(-1.0, 1.0));
            canvas.disc(place, size, color);
        }
    }

    /// Draws the plane under the hemisphere: a disc with circles and spokes.
    pub fn plane(&self, canvas: &mut Canvas) {
        let tint = Color { rgb: [247, 248, 250], alpha: 255 };
        canvas.fill(self.circle(0.0, 1.0).map(|point| self.place(point).0), tint);
        for part in 1..4 {
            let circle: Vec<_> = self.circle(0.0, f64::from(part) / 4.0).collect();
            self.curve(canvas, &circle, 0.6, FAINT);
        }
        for spoke in 0..6 {
            let angle = PI * f64::from(spoke) / 6.0;
            let end = |side: f64| self.on_sphere(angle, 0.0, side);
            self.curve(canvas, &[end(1.0), end(-1.0)], 0.6, FAINT);
        }
        let rim: Vec<_> = self.circle(0.0, 1.0).collect();
        self.curve(canvas, &rim, 1.0, GRAY.faded(0.8));
    }

    /// Draws meridians and parallels of the hemisphere: those at the back, or those in front.
    pub fn dome(&self, canvas: &mut Canvas, front: bool) {
        let color = GRAY.faded(if front { 0.30 } else { 0.22 });
        let mut arcs: Vec<Vec<[f64; 3]>> = Vec::new();
        for part in 1..4 {
            let height = (PI / 8.0 * f64::from(part)).sin();
            arcs.push(self.circle(height, (1.0 - height * height).sqrt()).collect());
        }
        for meridian in 0..12 {
            let angle = 2.0 * PI * f64::from(meridian) / 12.0;
            arcs.push((0..=24).map(|step| self.on_sphere(angle, PI / 2.0 * f64::from(step) / 24.0, 1.0)).collect());
        }
        let origin = self.place(self.view.center).1;
        for arc in arcs {
            for pair in arc.windows(2) {
                if (self.place(pair[0]).1 > origin) == front {
                    self.curve(canvas, pair, 0.7, color);
                }
            }
        }
    }

    fn circle(&self, height: f64, radius: f64) -> impl Iterator<Item = [f64; 3]> {
        let View { center, radius: whole, .. } = self.view;
        (0..=96).map(move |step| {
            let angle = 2.0 * PI * f64::from(step) / 96.0;
            let (x, y) = (radius * whole * angle.cos(), radius * whole * angle.sin());
            [center[0] + x, center[1] + y, center[2] + height * whole]
        })
    }

    fn on_sphere(&self, angle: f64, elevation: f64, side: f64) -> [f64; 3] {
        let View { center, radius, .. } = self.view;
        let flat = side * radius * elevation.cos();
        [center[0] + flat * angle.cos(), center[1] + flat * angle.sin(), center[2] + radius * elevation.sin()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hemisphere_fits_and_up_is_up() {
        let area = Area { left: 10.0, top: 20.0, width: 300.0, height: 200.0 };
        for elevation in [0.1, 0.5, 1.2] {
            let space = Space::new(area, View { azimuth: 0.7, elevation, center: [1.0, 2.0, 0.0], radius: 3.0 });
            let mut highest = f64::INFINITY;
            for step in 0..=40 {
                for turn in 0..40 {
                    let point = space.on_sphere(PI * f64::from(turn) / 20.0, PI / 80.0 * f64::from(step), 1.0);
                    let ((x, y), _) = space.place(point);
                    assert!((9.9..310.1).contains(&x) && (19.9..220.1).contains(&y), "{elevation}: {x} {y}");
                    highest = highest.min(y);
                }
            }
            let (foot, head) = (space.place([1.0, 2.0, 0.0]).0, space.place([1.0, 2.0, 1.0]).0);
            assert!((foot.0 - head.0).abs() < 1e-9 && head.1 < foot.1);
        }
        // Nearer points have a larger depth: seen from above, higher points.
        let space = Space::new(area, View { azimuth: 0.0, elevation: 1.5, center: [0.0; 3], radius: 1.0 });
        assert!(space.place([0.0, 0.0, 1.0]).1 > space.place([0.0, 0.0, 0.0]).1);
    }
}
