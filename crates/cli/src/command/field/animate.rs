//! Particles that rise from the charges to the hemisphere, rotate with it, and fall back to the charges.

use anyhow::Result;
use pfgm::field_lines::{self, Line};
use pfgm_plot::{Canvas, PlotError, Space, color::RED};

use super::{
    overview::{dot_size, shade, stage, view},
    scene::{Scene, TOLERANCE},
};
use crate::render::AnimationFile;

/// Rotation of the hemisphere in radians. Uniform points stay uniform, but fall to other charges.
const TURN: f64 = 2.4;
/// Shares of the frames in which the particles rise, rotate and fall, with short pauses between.
const RISE: f64 = 0.40;
const FALL: f64 = 0.58;
/// Share of its line that is drawn behind a particle.
const TRAIL: f64 = 0.05;

/// A particle: its way up, and its way down after the rotation.
struct Particle {
    up: Line,
    down: Line,
}

/// Draws the animation.
pub fn draw(scene: &Scene, file: &AnimationFile, (particles, frames): (usize, usize)) -> Result<()> {
    let (mut far, up) = scene.rise(particles)?;
    if scene.dim > 1 {
        for point in far.chunks_exact_mut(scene.dim) {
            let (x, y) = (point[0] - scene.center[0], point[1] - scene.center[1]);
            point[0] = scene.center[0] + x * TURN.cos() - y * TURN.sin();
            point[1] = scene.center[1] + x * TURN.sin() + y * TURN.cos();
        }
    }
    let span = (scene.far(), scene.low());
    let down = field_lines::trace(&scene.flow(), span, scene.scaled(TOLERANCE), &mut far)?;
    let foot = scene.foot();
    let particles: Vec<Particle> = up
        .iter()
        .zip(&down)
        // A charge may lie outside the hemisphere that is drawn.
        .map(|(up, down)| Particle {
            up: up.within(&foot, scene.dome()),
            down: down.reversed().within(&foot, scene.dome()),
        })
        .filter(|particle| particle.up.length() > 0.0 && particle.down.length() > 0.0)
        .collect();
    file.write_charts(frames, |frame| picture(scene, &particles, frame as f64 / frames as f64))
}

/// Draws the frame at a share of the time.
fn picture(scene: &Scene, particles: &[Particle], time: f64) -> Result<Canvas, PlotError> {
    let mut canvas = Canvas::new(560.0, 400.0, scene.scale)?;
    let space = Space::new(canvas.area().inset([14.0, 14.0, 14.0, 14.0]), view(scene, scene.dome()));
    stage(&mut canvas, &space, scene);
    space.dots(&mut canvas, scene.charges_in_space().map(|y| (y, RED.faded(0.35))), 0.5 * dot_size(scene.count()));
    let mut dots = Vec::with_capacity(particles.len());
    for particle in particles {
        let (point, trail) = particle.at(scene, time);
        let color = shade(point[scene.dim], scene.dome());
        if let Some(trail) = trail {
            let trail: Vec<[f64; 3]> = trail.iter().map(|point| scene.in_space(point)).collect();
            space.curve(&mut canvas, &trail, 0.8, color.faded(0.35));
        }
        dots.push((scene.in_space(&point), color));
    }
    space.dots(&mut canvas, dots, 1.6);
    if scene.dim == 2 {
        space.dome(&mut canvas, true);
    }
    Ok(canvas)
}

impl Particle {
    /// Its position at a share of the time, and the line behind it while it rises or falls.
    fn at(&self, scene: &Scene, time: f64) -> (Vec<f64>, Option<Vec<Vec<f64>>>) {
        let along = |line: &Line, share: f64, behind: f64| {
            let trail = (0..=4).map(|step| line.at(share + behind * f64::from(step) / 4.0)).collect();
            (line.at(share), Some(trail))
        };
        if time < RISE {
            let share = ease(time / RISE);
            along(&self.up, share, -TRAIL.min(share))
        } else if time < FALL {
            let share = ease((time - RISE) / (FALL - RISE));
            (self.turned(scene, share), None)
        } else {
            let share = 1.0 - ease((time - FALL) / (1.0 - FALL));
            along(&self.down, share, TRAIL.min(1.0 - share))
        }
    }

    /// Returns its position on the hemisphere between the ends of its two lines. Their heights differ slightly because the hemisphere is at
    /// a finite distance.
    fn turned(&self, scene: &Scene, share: f64) -> Vec<f64> {
        let (from, to) = (self.up.at(1.0), self.down.at(1.0));
        let rotated = |point: &[f64], angle: f64| {
            let mut point = point.to_vec();
            if scene.dim > 1 {
                let (x, y) = (point[0] - scene.center[0], point[1] - scene.center[1]);
                point[0] = scene.center[0] + x * angle.cos() - y * angle.sin();
                point[1] = scene.center[1] + x * angle.sin() + y * angle.cos();
            }
            point
        };
        let (ahead, behind) = (rotated(&from, TURN * share), rotated(&to, TURN * (share - 1.0)));
        ahead.iter().zip(&behind).map(|(a, b)| a + share * (b - a)).collect()
    }
}

/// A smooth step from 0 to 1.
fn ease(share: f64) -> f64 {
    share * share * (3.0 - 2.0 * share)
}
