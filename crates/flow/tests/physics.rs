//! Charges, field lines and hemisphere: the statements of docs/physics.md as numbers.
#![allow(missing_docs)]

use std::f64::consts::PI;

use pfgm_data::OpenOptions;
use pfgm_eval::{chi_square, kolmogorov_smirnov, shares};
use pfgm_flow::{
    extra_dims::ExtraDims::{self, Finite, Infinite},
    field::ExactField,
    field_lines::{self, Line},
    flow::{Counted, Denoiser, Flow, Query},
    hemisphere::angles,
    random::{Purpose, stream},
    solver::{Course, Tolerance, Variable, rk45, rk45_along, rk45_paths},
};

const PRECISE: Tolerance = Tolerance { rtol: 1e-8, atol: 1e-8 };
const ROUGH: Tolerance = Tolerance { rtol: 1e-5, atol: 1e-5 };

/// The first points of a built-in set in the plane.
fn points(name: &str, count: usize) -> Vec<f64> {
    let set = pfgm_data::open(name, &OpenOptions::default()).unwrap();
    let mut row = [0.0; 2];
    (0..count)
        .flat_map(|index| {
            set.read(index, &mut row).unwrap();
            row.map(f64::from)
        })
        .collect()
}

fn mean(values: &[f64], dim: usize) -> Vec<f64> {
    let count = (values.len() / dim) as f64;
    (0..dim).map(|axis| values.iter().skip(axis).step_by(dim).sum::<f64>() / count).collect()
}

/// The root mean square distance from the mean.
fn spread(values: &[f64], dim: usize) -> f64 {
    let mean = mean(values, dim);
    let square = |row: &[f64]| row.iter().zip(&mean).map(|(x, m)| (x - m) * (x - m)).sum::<f64>();
    (values.chunks_exact(dim).map(square).sum::<f64>() / (values.len() / dim) as f64).sqrt()
}

fn assert_uniform(values: &[f64], what: &str) {
    let test = kolmogorov_smirnov(values, |share| share);
    assert!(test.p_value > 0.01, "{what}: {test:?}");
}

#[test]
fn particles_of_every_charge_distribution_arrive_uniformly() {
    for name in ["disk", "spiral", "checkerboard", "two-moons", "swiss-roll-2d"] {
        for extra_dims in [Finite(1.0), Finite(8.0), Infinite] {
            let charges = points(name, 300);
            let field = ExactField::new(charges.clone(), 2, extra_dims);
            let flow = Flow { denoiser: &field, extra_dims };
            let mut x = field_lines::on_charges(extra_dims, &charges, 2, (400, 1e-3), 5);
            rk45(&flow, 1e-3, 1e3, ROUGH, &mut x).unwrap();
            let found = angles(extra_dims, &mean(&charges, 2), &x, 1e3);
            assert_uniform(&found.height, &format!("{name}, D = {extra_dims}, height"));
            assert_uniform(&found.azimuth, &format!("{name}, D = {extra_dims}, azimuth"));
            // With a wrong center or height, they are not uniform: the test detects this.
            let off = angles(extra_dims, &[2000.0, 0.0], &x, 1e3);
            assert!(kolmogorov_smirnov(&off.azimuth, |share| share).p_value < 1e-6);
            let low = angles(extra_dims, &mean(&charges, 2), &x, 500.0);
            assert!(kolmogorov_smirnov(&low.height, |share| share).p_value < 1e-6);
        }
    }
}

#[test]
fn the_prior_is_the_hemisphere_in_any_dimension() {
    for dim in [1, 2, 3, 7] {
        for extra_dims in [Finite(0.5), Finite(1.0), Finite(30.0), Infinite] {
            let field = ExactField::new(vec![0.0; dim], dim, extra_dims);
            let flow = Flow { denoiser: &field, extra_dims };
            let x: Vec<f64> =
                (0..1500).flat_map(|item| flow.latent(7.0, &mut stream(2, Purpose::Latent, 0, item))).collect();
            let found = angles(extra_dims, &vec![0.0; dim], &x, 7.0);
            assert_uniform(&found.height, &format!("N = {dim}, D = {extra_dims}, height"));
            if dim > 1 {
                assert_uniform(&found.azimuth, &format!("N = {dim}, D = {extra_dims}, azimuth"));
            }
        }
    }
}

#[test]
fn one_and_three_dimensions_have_a_hemisphere_too() {
    let one = vec![-1.0, -0.9, 0.5, 2.0];
    let three: Vec<f64> = (0..60).map(|i| (f64::from(i) * 0.7).sin() * f64::from(i % 5)).collect();
    for (charges, dim) in [(one, 1), (three, 3)] {
        let field = ExactField::new(charges.clone(), dim, Finite(1.0));
        let flow = Flow { denoiser: &field, extra_dims: Finite(1.0) };
        let mut x = field_lines::on_charges(Finite(1.0), &charges, dim, (6000, 1e-3), 6);
        rk45(&flow, 1e-3, 1e4, ROUGH, &mut x).unwrap();
        let found = angles(Finite(1.0), &mean(&charges, dim), &x, 1e4);
        assert_uniform(&found.height, &format!("N = {dim}"));
    }
}

/// The flux of the field of unit charges through the surface of a box in the augmented space of D = 1, by the midpoint
/// rule: `F = sum_i (x - y_i, z) / |(x - y_i, z)|^(N+1)`, from the library's direction and strength.
fn flux_through_box(field: &ExactField, charges: usize, low: &[f64], high: &[f64], cells: usize) -> f64 {
    let dim = low.len();
    let mut flux = 0.0;
    for axis in 0..dim {
        for (side, outward) in [(low[axis], -1.0), (high[axis], 1.0)] {
            let others: Vec<usize> = (0..dim).filter(|other| *other != axis).collect();
            let area: f64 = others.iter().map(|&other| (high[other] - low[other]) / cells as f64).product();
            for cell in 0..cells.pow(others.len() as u32) {
                let mut point = vec![side; dim];
                let mut rest = cell;
                for &other in &others {
                    let share = ((rest % cells) as f64 + 0.5) / cells as f64;
                    point[other] = low[other] + share * (high[other] - low[other]);
                    rest /= cells;
                }
                // The field is even in z; the library has it above the charges.
                let (x, z) = (&point[..dim - 1], point[dim - 1]);
                let mut direction = field.field(x, z.abs());
                direction[dim - 1] *= z.signum();
                let norm = direction.iter().map(|e| e * e).sum::<f64>().sqrt();
                let strength = charges as f64 * field.log_strength(x, z.abs()).exp();
                flux += outward * direction[axis] / norm * strength * area;
            }
        }
    }
    flux
}

#[test]
fn the_flux_through_a_box_is_the_charge_within() {
    // N = 1: a plane, where a charge sends out 2 pi. N = 2: ordinary space, 4 pi. Three of four charges are inside.
    let field = ExactField::new(vec![0.3, -0.2, 0.1, 2.0], 1, Finite(1.0));
    let flux = flux_through_box(&field, 4, &[-0.7, -0.5], &[0.9, 0.6], 4000);
    assert!((flux / (2.0 * PI) - 3.0).abs() < 1e-4, "{}", flux / (2.0 * PI));
    let field = ExactField::new(vec![0.3, 0.1, -0.2, 0.0, 0.1, -0.3, 2.0, 0.0], 2, Finite(1.0));
    let flux = flux_through_box(&field, 4, &[-0.7, -0.8, -0.5], &[0.9, 0.6, 0.6], 120);
    assert!((flux / (4.0 * PI) - 3.0).abs() < 2e-3, "{}", flux / (4.0 * PI));
}

#[test]
fn strength_and_direction_are_coulombs_sum() {
    let charges = [[0.0, 1.0], [0.5, -1.0], [-2.0, 0.25]];
    for d in [1.0, 5.0] {
        let field = ExactField::new(charges.concat(), 2, Finite(d));
        let (x, sigma) = ([0.75, -0.5], 0.6);
        let r = Finite(d).r(sigma);
        let mut sum = [0.0; 3];
        for y in charges {
            let along = [x[0] - y[0], x[1] - y[1], r];
            let norm = along.iter().map(|v| v * v).sum::<f64>().sqrt();
            sum.iter_mut().zip(along).for_each(|(sum, v)| *sum += v / norm.powf(2.0 + d) / 3.0);
        }
        let truth = sum.iter().map(|v| v * v).sum::<f64>().sqrt();
        assert!((field.log_strength(&x, sigma).exp() / truth - 1.0).abs() < 1e-12, "D = {d}");
    }
}

#[test]
fn without_extra_dims_it_is_the_field_of_the_space_itself() {
    // E = sum_i (x - y_i) / |x - y_i|^N, normalized by the sum of the weights |x - y_i|^-N.
    for (charges, x, dim) in [
        (vec![0.0, 1.0, 0.5, -1.0, -2.0, 0.25], vec![0.4, 0.3], 2),
        (vec![0.0, 1.0, 0.2, 0.5, -1.0, 0.1, -2.0, 0.25, 1.0], vec![0.4, 0.3, -0.5], 3),
    ] {
        let field = ExactField::without_extra_dims(charges.clone(), dim, 1e-6);
        let mut found = vec![0.0; dim];
        field.denoise(&Query { x: &x, sigma: &[123.0], item: &[0] }, &mut found);
        let (mut mean, mut total) = (vec![0.0; dim], 0.0);
        for y in charges.chunks_exact(dim) {
            let weight = x.iter().zip(y).map(|(x, y)| (x - y).powi(2)).sum::<f64>().powf(-0.5 * dim as f64);
            total += weight;
            mean.iter_mut().zip(y).for_each(|(mean, y)| *mean += weight * y);
        }
        for (found, mean) in found.iter().zip(&mean) {
            assert!((found - mean / total).abs() < 1e-7, "N = {dim}: {found} against {}", mean / total);
        }
    }
}

/// Returns the end points of 200 distant particles that follow the field backwards, in the plane or in space.
fn ends(charges: &[f64], softening: Option<f64>) -> Vec<f64> {
    let center = mean(charges, 2);
    if let Some(softening) = softening {
        let field = ExactField::without_extra_dims(charges.to_vec(), 2, softening);
        let mut x: Vec<f64> = (0..200)
            .flat_map(|index| {
                let angle = 2.0 * PI * f64::from(index) / 200.0;
                [center[0] + 5.0 * angle.cos(), center[1] + 5.0 * angle.sin()]
            })
            .collect();
        rk45(&Flow { denoiser: &field, extra_dims: Infinite }, 1e12, 1.0, ROUGH, &mut x).unwrap();
        return x;
    }
    let field = ExactField::new(charges.to_vec(), 2, Finite(1.0));
    let flow = Flow { denoiser: &field, extra_dims: Finite(1.0) };
    let mut x: Vec<f64> =
        (0..200).flat_map(|item| flow.latent(1e3, &mut stream(1, Purpose::Latent, 0, item))).collect();
    rk45(&flow, 1e3, 1e-3, ROUGH, &mut x).unwrap();
    x
}

#[test]
fn without_the_extra_dimension_everything_collapses() {
    let charges = points("disk", 1000);
    let relative = |softening| spread(&ends(&charges, softening), 2) / spread(&charges, 2);
    // The smooth distribution, with each charge smoothed over the distance to its neighbors: all particles end at the center.
    let flat = relative(Some(0.15));
    assert!(flat < 0.03, "{flat}");
    let augmented = relative(None);
    assert!((augmented - 1.0).abs() < 0.1, "{augmented}");
    // Isolated charges attract field lines even in the plane, since flux equals charge. The collapse is that of the
    // smooth field, which a network learns.
    let points = relative(Some(1e-4));
    assert!((points - 1.0).abs() < 0.1, "{points}");
}

#[test]
fn the_flow_carries_the_density() {
    for extra_dims in [Finite(1.0), Finite(6.0), Infinite] {
        let charges = vec![-1.0, 1.0, 0.25, 0.3];
        let field = ExactField::new(charges.clone(), 1, extra_dims);
        let flow = Flow { denoiser: &field, extra_dims };
        let particles = 4000;
        let (low, level) = (1e-3, 0.4);
        let mut x = field_lines::on_charges(extra_dims, &charges, 1, (particles, low), 9);
        rk45(&flow, low, level, ROUGH, &mut x).unwrap();
        // The density's mass in bins, by Simpson's rule; what lies outside is the last bin.
        let edges: Vec<f64> = (0..=24).map(|i| -2.0 + f64::from(i) / 6.0).collect();
        let p = |x: f64| field.log_density(&[x], level).exp();
        let mut expected: Vec<f64> = edges
            .windows(2)
            .map(|e| (e[1] - e[0]) / 6.0 * (p(e[0]) + 4.0 * p(0.5 * (e[0] + e[1])) + p(e[1])))
            .collect();
        let inside: f64 = expected.iter().sum();
        assert!((0.7..1.0).contains(&inside), "{extra_dims}: {inside}");
        expected.push(1.0 - inside);
        let mut observed = vec![0; 25];
        for x in &x {
            let bin = (x + 2.0) * 6.0;
            observed[if (0.0..24.0).contains(&bin) { bin as usize } else { 24 }] += 1;
        }
        expected.iter_mut().for_each(|share| *share *= particles as f64);
        let test = chi_square(&observed, &expected);
        assert!(test.p_value > 0.001, "{extra_dims}: {test:?}");
        // And at every particle the continuity equation holds.
        for x in x.iter().take(100) {
            let missed = field.continuity_residual(&[*x], level);
            assert!(missed.abs() < 1e-5, "{extra_dims}: {missed} at {x}");
        }
    }
}

#[test]
fn exact_sampling_gives_every_charge_its_share() {
    let charges = points("two-moons", 40);
    for extra_dims in [Finite(1.0), Finite(64.0), Infinite] {
        let field = ExactField::new(charges.clone(), 2, extra_dims);
        let flow = Flow { denoiser: &field, extra_dims };
        let mut x: Vec<f64> =
            (0..1200).flat_map(|item| flow.latent(300.0, &mut stream(4, Purpose::Latent, 0, item))).collect();
        rk45(&flow, 300.0, 1e-4, ROUGH, &mut x).unwrap();
        let found = shares(&charges, &x, 2, 40);
        let test = chi_square(&found.observed, &found.expected);
        assert_eq!(test.degrees, 39);
        assert!(test.p_value > 0.01, "{extra_dims}: {test:?}");
        // A prior of half the size favors the center, and the test detects it.
        let mut x: Vec<f64> =
            (0..1200).flat_map(|item| flow.latent(0.5, &mut stream(4, Purpose::Latent, 0, item))).collect();
        rk45(&flow, 1.0, 1e-4, ROUGH, &mut x).unwrap();
        let found = shares(&charges, &x, 2, 40);
        let test = chi_square(&found.observed, &found.expected);
        assert!(test.p_value < 1e-4, "{extra_dims}: {test:?}");
    }
}

#[test]
fn paths_follow_the_exact_solution_between_the_steps() {
    // One charge: x - y is proportional to sigma.
    let charge = [0.3, -0.2];
    for extra_dims in [Finite(1.0), Infinite] {
        let field = ExactField::new(charge.to_vec(), 2, extra_dims);
        let flow = Flow { denoiser: &field, extra_dims };
        let start = [40.0, -70.0];
        let mut x = start;
        let path = rk45_paths(&flow, 50.0, 0.01, PRECISE, &mut x).unwrap().remove(0);
        assert_eq!((path.dim(), path.t[0], *path.t.last().unwrap()), (2, 50.0_f64.ln(), 0.01_f64.ln()));
        assert_eq!(&path.x[path.x.len() - 2..], &x);
        for step in 0..path.t.len() - 1 {
            for share in [0.0, 0.3, 0.5, 0.9, 1.0] {
                let t = path.t[step] + share * (path.t[step + 1] - path.t[step]);
                let found = path.between(step, share);
                for axis in 0..2 {
                    let truth = charge[axis] + (start[axis] - charge[axis]) * t.exp() / 50.0;
                    assert!((found[axis] - truth).abs() < 1e-4 * (1.0 + truth.abs()), "{found:?} at {t}: {truth}");
                }
            }
        }
        // A field line of one charge is straight for every D; in (x, r) it ends on the charge.
        let line = Line::of_path(&path, extra_dims, 8);
        let first: Vec<f64> = line.points().next().unwrap().to_vec();
        let target = [charge[0], charge[1], 0.0];
        let length = first.iter().zip(target).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
        assert!((line.length() / length - (1.0 - 0.01 / 50.0)).abs() < 1e-6, "{} of {length}", line.length());
        let half = line.at(0.5 / (1.0 - 0.01 / 50.0));
        for axis in 0..3 {
            assert!((half[axis] - 0.5 * (first[axis] + target[axis])).abs() < 1e-3 * length);
        }
        // Cut at a hemisphere: the last point lies on it.
        let up = line.reversed();
        let cut = up.within(&target, 5.0);
        let last = cut.points().last().unwrap();
        let radius = last.iter().zip(target).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
        assert!((radius - 5.0).abs() < 1e-9, "{radius}");
        assert!(up.within(&[500.0, 0.0, 0.0], 5.0).length() == 0.0, "never inside");
    }
}

#[test]
fn a_change_of_variable_changes_the_cost_but_not_the_end() {
    let charges = points("heart", 50);
    let field = ExactField::new(charges, 2, Finite(1.0));
    let run = |variable| {
        let counted = Counted::new(&field);
        let flow = Flow { denoiser: &counted, extra_dims: Finite(1.0) };
        let mut x = vec![10.0, 4.0, -30.0, 25.0];
        rk45_along(&flow, &Course { from: 40.0, to: 1e-2, variable, tolerance: PRECISE }, &mut x).unwrap();
        (x, counted.rows())
    };
    let ((log, cheap), (level, dear)) = (run(Variable::Log), run(Variable::Level));
    for (a, b) in log.iter().zip(&level) {
        assert!((a - b).abs() < 1e-5, "{log:?} against {level:?}");
    }
    assert!(dear > cheap + cheap / 5, "{dear} evaluations in z, {cheap} in ln z");
}

#[test]
fn heights_are_r_or_sigma() {
    assert_eq!(field_lines::height(Finite(4.0), 3.0), 6.0);
    assert_eq!(field_lines::height(ExtraDims::Infinite, 3.0), 3.0);
}
