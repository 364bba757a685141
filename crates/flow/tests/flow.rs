//! The flow of the exact field as a map between distributions.
#![allow(missing_docs)]

use std::f64::consts::PI;

use pfgm_data::OpenOptions;
use pfgm_eval::kolmogorov_smirnov;
use pfgm_flow::{
    extra_dims::ExtraDims::{self, Finite, Infinite},
    field::ExactField,
    flow::{Flow, Query},
    prior,
    random::{Purpose, stream},
    solver::{Tolerance, rk45},
};

const PRECISE: Tolerance = Tolerance { rtol: 1e-8, atol: 1e-8 };

fn heart(points: usize) -> Vec<f64> {
    let heart = pfgm_data::open("heart", &OpenOptions::default()).unwrap();
    let mut row = [0.0; 2];
    (0..points)
        .flat_map(|index| {
            heart.read(index, &mut row).unwrap();
            row.map(f64::from)
        })
        .collect()
}

#[test]
fn a_heart_becomes_a_uniform_hemisphere() {
    // Start a little above the heart's points, spread by the kernel of that height as the flow's own density is, and
    // rise to a plane far away; seen from there, u = z / |(x, z)| and the azimuth are uniform.
    let charges = heart(600);
    let field = ExactField::new(charges.clone(), 2, Finite(1.0));
    let flow = Flow { denoiser: &field, extra_dims: Finite(1.0) };
    let (low, high) = (0.02, 1000.0);
    let mut x = charges;
    for (item, point) in x.chunks_exact_mut(2).enumerate() {
        prior::perturb(Finite(1.0), low, &mut stream(1, Purpose::Latent, 0, item as u64), point);
    }
    rk45(&flow, low, high, PRECISE, &mut x).unwrap();
    let heights: Vec<f64> =
        x.chunks_exact(2).map(|p| high / (p[0] * p[0] + p[1] * p[1] + high * high).sqrt()).collect();
    let angles: Vec<f64> = x.chunks_exact(2).map(|p| p[1].atan2(p[0]) / (2.0 * PI) + 0.5).collect();
    let (heights, angles) = (kolmogorov_smirnov(&heights, |u| u), kolmogorov_smirnov(&angles, |u| u));
    assert!(heights.p_value > 0.01 && angles.p_value > 0.01, "{heights:?} {angles:?}");
}

#[test]
fn the_density_obeys_the_continuity_equation() {
    // Along the flow, d ln p / d ln sigma = -div v = div yhat - N. Checked by differences at a point in the plane.
    for extra_dims in [Finite(1.0), Finite(6.0), Infinite] {
        let field = ExactField::new(vec![0.0, 0.0, 1.0, 0.5, -0.3, 0.8], 2, extra_dims);
        let flow = Flow { denoiser: &field, extra_dims };
        let (x, sigma, h) = ([0.4, 0.3], 0.5_f64, 1e-5);
        let v = |x: [f64; 2]| {
            let mut out = [0.0; 2];
            flow.velocity(&Query { x: &x, sigma: &[sigma], item: &[0] }, &mut out);
            out
        };
        let here = v(x);
        let divergence = (v([x[0] + h, x[1]])[0] - v([x[0] - h, x[1]])[0] + v([x[0], x[1] + h])[1]
            - v([x[0], x[1] - h])[1])
            / (2.0 * h);
        let at = |s: f64| field.log_density(&[x[0] + s * here[0], x[1] + s * here[1]], sigma * s.exp());
        let change = (at(h) - at(-h)) / (2.0 * h);
        assert!((change + divergence).abs() < 1e-5, "{extra_dims}: {change} against {}", -divergence);
    }
}

#[test]
fn the_likelihood_integral_gives_the_density() {
    // equations.md, section 8: ln p(x0) = ln p_max(x1) + the integral of div v, with the exact divergence by
    // differences, against the density of the exact field itself at the lower level.
    for extra_dims in [Finite(1.0), Finite(20.0), Infinite] {
        let field = ExactField::new(vec![-1.0, 1.0, 0.25], 1, extra_dims);
        let truth = field.log_density(&[0.6], 0.3);
        let mut x = [0.6];
        let (low, high) = (0.3_f64, 300.0_f64);
        let flow = Flow { denoiser: &field, extra_dims };
        let steps = 20_000;
        let step = (high.ln() - low.ln()) / f64::from(steps);
        let mut integral = 0.0;
        for i in 0..steps {
            // The midpoint rule, for the state and for the integral.
            let t = low.ln() + f64::from(i) * step;
            let velocity = |x: f64, t: f64| {
                let mut out = [0.0];
                flow.velocity(&Query { x: &[x], sigma: &[t.exp()], item: &[0] }, &mut out);
                out[0]
            };
            let middle = x[0] + 0.5 * step * velocity(x[0], t);
            let t = t + 0.5 * step;
            let h = 1e-5 * t.exp();
            integral += step * (velocity(middle + h, t) - velocity(middle - h, t)) / (2.0 * h);
            x[0] += step * velocity(middle, t);
        }
        let prior = prior::log_density(extra_dims, 1, high, x[0] * x[0]);
        assert!((prior + integral - truth).abs() < 1e-3, "{extra_dims}: {} against {truth}", prior + integral);
    }
}

#[test]
fn the_prior_comes_back_to_the_charges_in_their_shares() {
    // Three charges, one of them twice: particles from the prior end at each in proportion.
    for extra_dims in [Finite(1.0), Finite(32.0), Infinite] {
        let charges = vec![0.0, 0.0, 1.0, 0.5, 1.0, 0.5, -0.3, 0.8];
        let field = ExactField::new(charges, 2, extra_dims);
        let flow = Flow { denoiser: &field, extra_dims };
        let count = 2000;
        let mut x: Vec<f64> =
            (0..count).flat_map(|item| flow.latent(200.0, &mut stream(3, Purpose::Latent, 0, item))).collect();
        rk45(&flow, 200.0, 1e-3, Tolerance { rtol: 1e-5, atol: 1e-5 }, &mut x).unwrap();
        let share = |y: [f64; 2]| {
            let near = x.chunks_exact(2).filter(|p| (p[0] - y[0]).hypot(p[1] - y[1]) < 0.1).count();
            near as f64 / count as f64
        };
        let observed = [share([0.0, 0.0]), share([1.0, 0.5]), share([-0.3, 0.8])];
        let chi_square: f64 =
            observed.iter().zip([0.25, 0.5, 0.25]).map(|(o, e)| count as f64 * (o - e).powi(2) / e).sum();
        // Two degrees of freedom: 13.8 is exceeded once in a thousand.
        assert!(chi_square < 13.8, "{extra_dims}: {observed:?}, chi-square {chi_square}");
    }
}

#[test]
fn extra_dims_are_numbers_in_configurations() {
    #[derive(serde::Deserialize, serde::Serialize, Debug, PartialEq)]
    struct Holder {
        d: ExtraDims,
    }
    let parse = |text: &str| toml::from_str::<Holder>(text);
    assert_eq!(parse("d = 1").unwrap().d, Finite(1.0));
    assert_eq!(parse("d = 0.5").unwrap().d, Finite(0.5));
    assert_eq!(parse("d = \"inf\"").unwrap().d, Infinite);
    assert_eq!(parse("d = inf").unwrap().d, Infinite);
    for wrong in ["d = 0", "d = -3", "d = \"many\"", "d = nan"] {
        assert!(parse(wrong).is_err(), "{wrong}");
    }
    assert_eq!(toml::to_string(&Holder { d: Infinite }).unwrap().trim(), "d = \"inf\"");
}
