//! Motion with inertia, travel times, regions that the flow carries, flux tubes: the statements of docs/physics.md as numbers.
#![allow(missing_docs)]

use std::f64::consts::PI;

use pfgm_flow::{
    coulomb::PointCharges,
    dynamics::{Particle, travel_times},
    extra_dims::ExtraDims::{Finite, Infinite},
    field::ExactField,
    field_lines,
    flow::Flow,
    region::{circle, contains, integral},
    solver::{Tolerance, rk45},
};

const PRECISE: Tolerance = Tolerance { rtol: 1e-9, atol: 1e-9 };

/// Three unequal charges on a line, in the plane of the line and the height.
fn charges() -> PointCharges {
    PointCharges::new(2, vec![-1.0, 0.0, 0.2, 0.0, 1.1, 0.0], vec![1.0, 0.5, 2.0])
}

#[test]
fn a_constant_field_has_the_known_solution() {
    let down = |_: &[f64], e: &mut [f64]| e.copy_from_slice(&[0.0, -2.0]);
    for drag in [0.0, 0.3, 40.0] {
        let particle = Particle { mass: 0.5, charge: 1.5, drag };
        let motion = particle.motion(&down, (&[1.0, 5.0], &[0.7, 0.0]), 3.0, PRECISE).unwrap();
        for (t, x, v) in motion.points(3) {
            // Relaxation with the time m/c to the velocity qE/c.
            let (rate, limit) = (drag / particle.mass, -3.0 / drag);
            let known = if drag == 0.0 {
                [1.0 + 0.7 * t, 5.0 - 3.0 * t * t]
            } else {
                let gone = (1.0 - (-rate * t).exp()) / rate;
                [1.0 + 0.7 * gone, 5.0 + limit * (t - gone)]
            };
            assert!((x[0] - known[0]).abs() < 1e-5 && (x[1] - known[1]).abs() < 1e-5, "{drag} {t}: {x:?} {known:?}");
            assert!(v[1] <= 0.0);
        }
    }
}

#[test]
fn the_force_integrates_to_the_potential() {
    let charges = charges();
    let field = |x: &[f64], e: &mut [f64]| e.copy_from_slice(&charges.field(x));
    for drag in [0.0, 0.5] {
        let particle = Particle { mass: 0.8, charge: 1.3, drag };
        let motion = particle.motion(&field, (&[0.1, 0.3], &[0.0, 0.0]), 6.0, PRECISE).unwrap();
        let points = motion.points(20);
        let energy = |(_, x, v): &(f64, Vec<f64>, Vec<f64>)| {
            0.5 * 0.8 * (v[0] * v[0] + v[1] * v[1]) + 1.3 * charges.potential(x)
        };
        // The drag takes c v^2 per unit of time.
        let power = |v: &[f64]| drag * (v[0] * v[0] + v[1] * v[1]);
        let lost: f64 = points.windows(2).map(|p| 0.5 * (p[1].0 - p[0].0) * (power(&p[0].2) + power(&p[1].2))).sum();
        let missed = energy(&points[0]) - energy(points.last().unwrap()) - lost;
        assert!(missed.abs() < 2e-4, "{drag}: {missed}");
        assert!(drag == 0.0 || lost > 0.01, "the drag takes energy: {lost}");
    }
}

/// The largest distance of a motion from a field line, above the height where both begin.
fn away(drag: f64) -> f64 {
    let charges = charges();
    let field = |x: &[f64], e: &mut [f64]| e.copy_from_slice(&charges.field(x));
    let start = [0.1, 0.3];
    // N = 1, D = 1: the flow's lines are those of the field of the charges in the plane.
    let exact = ExactField::new(vec![-1.0, 0.2, 1.1], 1, Finite(1.0)).reweighted(&[0.0, 0.5_f64.ln(), 2.0_f64.ln()]);
    let flow = Flow { denoiser: &exact, extra_dims: Finite(1.0) };
    let line = field_lines::trace(&flow, (start[1], 3.0), PRECISE, &mut [start[0]]).unwrap().remove(0);
    let line: Vec<Vec<f64>> = (0..=4000).map(|part| line.at(f64::from(part) / 4000.0)).collect();
    let particle = Particle { mass: 1.0, charge: 1.0, drag };
    let motion = particle.motion(&field, (&start, &[0.0, 0.0]), 2.0 * drag + 8.0, PRECISE).unwrap();
    let above: Vec<_> = motion.points(6).into_iter().filter(|(_, x, _)| x[1] < 2.9).collect();
    assert!(above.len() > 20);
    let distance = |x: &[f64]| line.iter().map(|p| (p[0] - x[0]).hypot(p[1] - x[1])).fold(f64::INFINITY, f64::min);
    above.iter().map(|(_, x, _)| distance(x)).fold(0.0, f64::max)
}

#[test]
fn with_much_drag_a_particle_follows_its_field_line() {
    let (none, some, much, more) = (away(0.0), away(0.5), away(5.0), away(10.0));
    assert!(none > 0.05 && none > some && some > much, "{none} {some} {much}");
    assert!(more < 1e-3, "{more}");
    // The distance falls with the square of the drag.
    assert!((much / more - 4.0).abs() < 0.8, "{much} {more}");
}

#[test]
fn times_along_a_line_are_known() {
    // One charge, N = 1, D = 1: |E| = 1 / (2 pi rho), so the way from rho_0 down to rho takes pi (rho_0^2 - rho^2).
    let field = ExactField::new(vec![0.5], 1, Finite(1.0));
    let flow = Flow { denoiser: &field, extra_dims: Finite(1.0) };
    let charges = PointCharges::new(2, vec![0.5, 0.0], vec![1.0]);
    let line = field_lines::trace(&flow, (2.0, 0.1), PRECISE, &mut [2.0]).unwrap().remove(0);
    let times = travel_times(&line, |x| charges.field(x)[0].hypot(charges.field(x)[1]));
    let rho = |p: &[f64]| (p[0] - 0.5).hypot(p[1]);
    let first = rho(line.points().next().unwrap());
    for (point, time) in line.points().zip(&times) {
        let known = PI * (first * first - rho(point).powi(2));
        assert!((time - known).abs() < 1e-4 * (1.0 + known), "{time} {known}");
    }
    assert_eq!(times.len(), line.points().count());
}

#[test]
fn a_region_keeps_its_mass() {
    let points = vec![-0.8, 0.1, 0.3, -0.4, 0.9, 0.5, 0.2, 0.8];
    for extra_dims in [Finite(1.0), Finite(20.0), Infinite] {
        let field = ExactField::new(points.clone(), 2, extra_dims);
        let flow = Flow { denoiser: &field, extra_dims };
        let (mut level, mut outline) = (0.3, circle([0.4, 0.2], 0.45, 600));
        let mass = |outline: &[[f64; 2]], level: f64| integral(outline, 240, |x| field.log_density(&x, level).exp());
        let before = mass(&outline, level);
        assert!((0.05..0.9).contains(&before), "{before}");
        for next in [0.6, 1.5, 5.0] {
            let mut x: Vec<f64> = outline.concat();
            rk45(&flow, level, next, PRECISE, &mut x).unwrap();
            outline = x.chunks_exact(2).map(|p| [p[0], p[1]]).collect();
            level = next;
            let now = mass(&outline, level);
            assert!((now / before - 1.0).abs() < 1e-3, "D = {extra_dims}, {level}: {now} of {before}");
            // A region that stays does not keep it.
            let stays = mass(&circle([0.4, 0.2], 0.45, 600), level);
            assert!(stays < 0.95 * before, "{stays}");
        }
    }
}

#[test]
fn tubes_of_equal_angle_carry_equal_charge() {
    // N = 1, D = 1: lines that start at equal angles far away enclose equal shares of the charges.
    let charges: Vec<f64> = (0..900)
        .map(|i| {
            let u = (f64::from(i) + 0.5) / 900.0;
            2.0 * u * u - 0.3 * u
        })
        .collect();
    let field = ExactField::new(charges.clone(), 1, Finite(1.0));
    let flow = Flow { denoiser: &field, extra_dims: Finite(1.0) };
    let center = charges.iter().sum::<f64>() / 900.0;
    let far = 1e4;
    let mut ends: Vec<f64> = (1..9).map(|part| center + far / (PI * f64::from(part) / 9.0).tan()).collect();
    rk45(&flow, far, 1e-4, PRECISE, &mut ends).unwrap();
    ends.sort_by(f64::total_cmp);
    for pair in ends.windows(2) {
        let within = charges.iter().filter(|y| (pair[0]..pair[1]).contains(*y)).count();
        assert!(within.abs_diff(100) <= 2, "{within}");
    }
    assert!(contains(&circle([0.0; 2], 1.0, 12), [0.5, 0.5]));
}
