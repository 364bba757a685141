//! Charges in the plane and what the page asks about them.

use pfgm_flow::{
    extra_dims::ExtraDims,
    field::ExactField,
    flow::{AtLevel, Denoiser, Flow},
    particles,
    random::{Purpose, stream},
    solver::{Schedule, heun},
};

/// Charges in the plane, and the field that is looked at: that of the augmented space, or that of the plane alone.
#[derive(Default)]
pub struct Playground {
    /// The charges, `[charges, 2]`.
    pub charges: Vec<f64>,
    /// The points of the last question or answer, `[points, 2]`.
    pub points: Vec<f64>,
    /// Where points were on their way, `[steps + 1, points, 2]`.
    pub paths: Vec<f64>,
    /// The map that was asked for last, `[height, width]`.
    pub map: Vec<f32>,
    field: Option<Field>,
}

enum Field {
    Augmented(ExactField, ExtraDims),
    Plane(AtLevel<ExactField>, f64),
}

/// A map of the potential: the middle of its first cell, the distance of two cells, and how many there are.
#[derive(Clone, Copy, Debug)]
pub struct Map {
    /// x and y of the middle of the first cell.
    pub first: [f64; 2],
    /// From each cell to the next.
    pub step: [f64; 2],
    /// Columns and rows.
    pub cells: [usize; 2],
}

impl Playground {
    /// The charges as they are now make the field of `d` extra dimensions, which may be infinite; `softening` above zero makes it
    /// that of the plane alone. False when there is no charge, or a number makes no sense.
    pub fn set(&mut self, d: f64, softening: f64) -> bool {
        self.field = None;
        if self.charges.is_empty() || !self.charges.iter().all(|value| value.is_finite()) || d.is_nan() || d <= 0.0 {
            return false;
        }
        let charges = self.charges.clone();
        self.field = Some(if softening > 0.0 {
            Field::Plane(ExactField::without_extra_dims(charges, 2, softening), softening)
        } else {
            let extra_dims = if d.is_finite() { ExtraDims::Finite(d) } else { ExtraDims::Infinite };
            Field::Augmented(ExactField::new(charges, 2, extra_dims), extra_dims)
        });
        true
    }

    /// Carries the points along their field lines from one noise level to another by Heun's method, in equal steps of the logarithm,
    /// and keeps where they were. False when there is no field.
    pub fn carry(&mut self, from: f64, to: f64, steps: usize) -> bool {
        let Some(field) = &self.field else { return false };
        let (denoiser, extra_dims): (&dyn Denoiser, _) = match field {
            Field::Augmented(field, extra_dims) => (field, *extra_dims),
            // Without a height ln sigma is nothing but time.
            Field::Plane(field, _) => (field, ExtraDims::Infinite),
        };
        let flow = Flow { denoiser, extra_dims };
        self.paths.clear();
        self.paths.extend(&self.points);
        for pair in Schedule::LogUniform.grid(from, to, steps).windows(2) {
            heun(&flow, pair, &mut self.points);
            self.paths.extend(&self.points);
        }
        true
    }

    /// The logarithm of the potential at height `sigma`, up to a constant. False when there is no field.
    pub fn potential(&mut self, map: Map, sigma: f64) -> bool {
        let Some(field) = &self.field else { return false };
        let [columns, rows] = map.cells;
        self.map.clear();
        let mut values = vec![0.0; columns];
        for row in 0..rows {
            let y = map.first[1] + row as f64 * map.step[1];
            let x: Vec<f64> = (0..columns).flat_map(|at| [map.first[0] + at as f64 * map.step[0], y]).collect();
            match field {
                Field::Augmented(field, _) => field.log_potentials(&x, sigma, &mut values),
                Field::Plane(_, softening) => {
                    ExactField::plane_potentials(&self.charges, *softening, &x, &mut values);
                }
            }
            self.map.extend(values.iter().map(|&value| value as f32));
        }
        true
    }

    /// Puts `count` points on the hemisphere: what is uniform there, projected along the rays to the plane at level `sigma`.
    pub fn on_hemisphere(&mut self, count: usize, sigma: f64, seed: u64) -> bool {
        let Some(Field::Augmented(field, extra_dims)) = &self.field else { return false };
        let flow = Flow { denoiser: field, extra_dims: *extra_dims };
        let latent = |item| flow.latent(sigma, &mut stream(seed, Purpose::Latent, 0, item));
        self.points = (0..count as u64).flat_map(latent).collect();
        true
    }

    /// Puts `count` points on the charges, in the cloud that the field makes of them at level `sigma`.
    pub fn on_charges(&mut self, count: usize, sigma: f64, seed: u64) -> bool {
        let Some(Field::Augmented(_, extra_dims)) = &self.field else { return false };
        self.points = particles::on_charges(*extra_dims, &self.charges, 2, (count, sigma), seed);
        true
    }
}
