//! Charges in the plane, with their field lines and potential.

use pfgm_flow::{
    extra_dims::ExtraDims,
    field::ExactField,
    flow::{AtLevel, Denoiser, Flow},
    particles,
    random::{Purpose, stream},
    solver::{Schedule, heun},
};

/// Charges in the plane with their field, in the augmented space or in the plane alone.
#[derive(Default)]
pub struct Playground {
    /// The charges, `[charges, 2]`.
    pub charges: Vec<f64>,
    /// Points, `[points, 2]`, which the methods read and write.
    pub points: Vec<f64>,
    /// Positions of the points after each step, `[steps + 1, points, 2]`.
    pub paths: Vec<f64>,
    /// The last map of the potential, `[height, width]`.
    pub map: Vec<f32>,
    field: Option<Field>,
}

enum Field {
    Augmented(ExactField, ExtraDims),
    Plane(AtLevel<ExactField>, f64),
}

/// The cells of a map of the potential.
#[derive(Clone, Copy, Debug)]
pub struct Map {
    /// x and y of the center of the first cell.
    pub first: [f64; 2],
    /// x and y distances between cells.
    pub step: [f64; 2],
    /// Numbers of columns and rows.
    pub cells: [usize; 2],
}

impl Playground {
    /// Sets the field to that of the present charges with `d` extra dimensions, which may be infinite, or, if `softening` is above zero, of the
    /// plane alone. Returns false if there is no charge, or a number is not valid.
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

    /// Carries the points along their field lines from one noise level to another by Heun's method, in equal steps of ln sigma, and stores
    /// their paths. Returns false if there is no field.
    pub fn carry(&mut self, from: f64, to: f64, steps: usize) -> bool {
        let Some(field) = &self.field else { return false };
        let (denoiser, extra_dims): (&dyn Denoiser, _) = match field {
            Field::Augmented(field, extra_dims) => (field, *extra_dims),
            // Without extra dimensions ln sigma is only a time.
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

    /// Computes a map of the logarithm of the potential at height `sigma`, up to a constant. Returns false if there is no field.
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

    /// Draws `count` uniform points of the hemisphere, projected onto the plane at noise level `sigma`.
    pub fn on_hemisphere(&mut self, count: usize, sigma: f64, seed: u64) -> bool {
        let Some(Field::Augmented(field, extra_dims)) = &self.field else { return false };
        let flow = Flow { denoiser: field, extra_dims: *extra_dims };
        let latent = |item| flow.latent(sigma, &mut stream(seed, Purpose::Latent, 0, item));
        self.points = (0..count as u64).flat_map(latent).collect();
        true
    }

    /// Draws `count` points from the density of the flow at noise level `sigma`, near the charges.
    pub fn on_charges(&mut self, count: usize, sigma: f64, seed: u64) -> bool {
        let Some(Field::Augmented(_, extra_dims)) = &self.field else { return false };
        self.points = particles::on_charges(*extra_dims, &self.charges, 2, (count, sigma), seed);
        true
    }
}
