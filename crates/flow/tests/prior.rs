//! The noise kernel and the prior are the same distribution.
#![allow(missing_docs)]

use pfgm_eval::kolmogorov_smirnov;
use pfgm_flow::{
    extra_dims::ExtraDims::{Finite, Infinite},
    prior::{log_density, perturb},
    random::{Purpose, stream},
};

#[test]
fn the_density_integrates_to_one() {
    for extra_dims in [Finite(0.7), Finite(1.0), Finite(5.0), Finite(1000.0), Infinite] {
        let sigma = 1.7;
        // In one dimension, by x = sigma sinh(t), which reaches into the heavy tails.
        let (step, reach) = (1e-3, 45.0);
        let steps = (reach / step) as i32;
        let line: f64 = (-steps..=steps)
            .map(|i| {
                let t = f64::from(i) * step;
                let x = sigma * t.sinh();
                (log_density(extra_dims, 1, sigma, x * x) + (sigma * t.cosh()).ln()).exp() * step
            })
            .sum();
        assert!((line - 1.0).abs() < 1e-6, "{extra_dims}: {line} on the line");
        // In the plane by rings.
        let plane: f64 = (0..=steps)
            .map(|i| {
                let t = f64::from(i) * step;
                let radius = sigma * t.sinh();
                let ring = 2.0 * std::f64::consts::PI * radius * sigma * t.cosh();
                if ring == 0.0 {
                    0.0
                } else {
                    (log_density(extra_dims, 2, sigma, radius * radius) + ring.ln()).exp() * step
                }
            })
            .sum();
        assert!((plane - 1.0).abs() < 1e-4, "{extra_dims}: {plane} in the plane");
    }
}

#[test]
fn the_prior_of_one_dimension_is_the_projected_hemisphere() {
    // D = 1, N = 2: a uniform direction of the upper hemisphere, projected radially onto z = z_max, has an even height
    // z / |.|; so u = z_max / sqrt(|x|^2 + z_max^2) is uniform on [0, 1], and the azimuth is uniform.
    let z_max = 3.0;
    let (mut heights, mut angles) = (Vec::new(), Vec::new());
    for item in 0..20_000 {
        let mut x = [0.0; 2];
        perturb(Finite(1.0), z_max, &mut stream(5, Purpose::Latent, 0, item), &mut x);
        heights.push(z_max / (x[0] * x[0] + x[1] * x[1] + z_max * z_max).sqrt());
        angles.push(x[1].atan2(x[0]) / (2.0 * std::f64::consts::PI) + 0.5);
    }
    assert!(kolmogorov_smirnov(&heights, |u| u).p_value > 1e-3);
    assert!(kolmogorov_smirnov(&angles, |u| u).p_value > 1e-3);
    // And its density is that of equations.md, section 4: 2 z / (S_2 (|x|^2 + z^2)^(3/2)) with S_2 = 4 pi.
    let density = 2.0 * z_max / (4.0 * std::f64::consts::PI * (2.0_f64 + z_max * z_max).powf(1.5));
    assert!((log_density(Finite(1.0), 2, z_max, 2.0) - density.ln()).abs() < 1e-12);
}

#[test]
fn samples_follow_the_density() {
    // The cumulative distribution of the radius in N = 2 is 1 - (1 + R^2/r^2)^(-D/2), Gaussian: 1 - exp(-R^2/2 sigma^2).
    for extra_dims in [Finite(0.7), Finite(3.0), Finite(64.0), Infinite] {
        let sigma = 0.8;
        let radii: Vec<f64> = (0..20_000)
            .map(|item| {
                let mut x = [0.0; 2];
                perturb(extra_dims, sigma, &mut stream(6, Purpose::Latent, 0, item), &mut x);
                (x[0] * x[0] + x[1] * x[1]).sqrt()
            })
            .collect();
        let cdf = |radius: f64| match extra_dims {
            Finite(d) => 1.0 - (1.0 + radius * radius / (d * sigma * sigma)).powf(-d / 2.0),
            Infinite => 1.0 - (-radius * radius / (2.0 * sigma * sigma)).exp(),
        };
        let found = kolmogorov_smirnov(&radii, cdf);
        assert!(found.p_value > 1e-3, "{extra_dims}: {found:?}");
    }
}
