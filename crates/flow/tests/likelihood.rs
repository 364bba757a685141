//! Compares densities of flows with closed forms.
#![allow(missing_docs)]

use pfgm_flow::{
    extra_dims::ExtraDims::{self, Finite, Infinite},
    field::ExactField,
    flow::Differentiable,
    likelihood::{Density, Prior, Probe, Trace},
    prior,
    random::{Purpose, stream},
    solver::{Rk45, Solver},
    testing::Gaussian,
};

fn tight() -> Rk45 {
    Solver::rk45(1e-7).atol(1e-9)
}

fn density(denoiser: &dyn Differentiable, extra_dims: ExtraDims, range: (f64, f64)) -> Density<'_> {
    Density { denoiser, extra_dims, range, solver: tight().into(), prior: Prior::Exact }
}

#[test]
fn one_charge_at_the_origin_has_the_kernels_density() {
    for extra_dims in [Finite(1.0), Finite(2.5), Finite(64.0), Infinite] {
        let field = ExactField::new(vec![0.0; 3], 3, extra_dims);
        let x = [0.3, -0.2, 0.9, 2.0, 0.1, -1.0];
        let found = density(&field, extra_dims, (0.4, 50.0)).log(&x, Trace::Exact).unwrap();
        for (found, row) in found.values.iter().zip(x.chunks_exact(3)) {
            let expected = prior::log_density(extra_dims, 3, 0.4, row.iter().map(|x| x * x).sum());
            assert!((found - expected).abs() < 1e-5, "{extra_dims}: {found} against {expected}");
        }
    }
}

#[test]
fn gaussian_data_have_a_gaussian_density() {
    let data = Gaussian { dim: 4, mean: 0.0, spread: 0.7 };
    let (lowest, highest) = (0.05, 4000.0);
    let x = [0.3, -1.2, 0.5, 2.0, 0.0, 0.0, 0.1, -0.4];
    let expected = |row: &[f64]| data.log_density(row, lowest);
    let density = density(&data, Infinite, (lowest, highest));
    let probe = Probe::Rademacher.draw(8, &mut stream(1, Purpose::Latent, 0, 0));
    // A multiple of the identity has no off-diagonal elements: one Rademacher probe is exact.
    for trace in [Trace::Exact, Trace::Probes(&probe)] {
        for (found, row) in density.log(&x, trace).unwrap().values.iter().zip(x.chunks_exact(4)) {
            assert!((found - expected(row)).abs() < 1e-5, "{found} against {}", expected(row));
        }
    }
}

#[test]
fn charges_have_the_density_of_the_field() {
    let charges = vec![0.5, 0.2, -0.4, 0.6, 0.1, -0.8, 0.3, 0.3];
    for extra_dims in [Finite(1.0), Finite(3.0), Finite(200.0), Infinite] {
        let field = ExactField::new(charges.clone(), 2, extra_dims);
        let x = [0.4, 0.1, -1.0, 0.7, 0.0, 0.0];
        // Far up the prior around the origin is the field of the charges to O(|y| / sigma).
        let found = density(&field, extra_dims, (0.3, 3e4)).log(&x, Trace::Exact).unwrap();
        for (found, row) in found.values.iter().zip(x.chunks_exact(2)) {
            let expected = field.log_density(row, 0.3);
            assert!((found - expected).abs() < 1e-3, "{extra_dims}: {found} against {expected}");
        }
    }
}

#[test]
fn densities_of_mixtures_add_up_to_one() {
    // On a line and in the plane, for a flow with a tail and one without.
    for extra_dims in [Finite(8.0), Infinite] {
        for dim in [1, 2] {
            let charges: Vec<f64> = if dim == 1 { vec![-0.5, 0.7] } else { vec![-0.5, 0.3, 0.6, -0.4, 0.1, 0.8] };
            let field = ExactField::new(charges, dim, extra_dims);
            let (cells, width) = (if dim == 1 { 400_usize } else { 60 }, 12.0);
            let place = |cell: usize| (cell as f64 + 0.5) / cells as f64 * width - width / 2.0;
            let x: Vec<f64> = (0..cells.pow(dim as u32))
                .flat_map(|cell| (0..dim).map(move |axis| place(cell / cells.pow(axis as u32) % cells)))
                .collect();
            let mut density = density(&field, extra_dims, (0.3, 1e3));
            density.solver = Solver::rk45(1e-5).atol(1e-6).into();
            let sum: f64 = density.log(&x, Trace::Exact).unwrap().values.iter().map(|log| log.exp()).sum();
            let total = sum * (width / cells as f64).powi(dim as i32);
            // What lies outside the square is less than a thousandth.
            assert!((total - 1.0).abs() < 5e-3, "{extra_dims} in {dim} dimensions: {total}");
        }
    }
}

#[test]
fn the_released_constant_is_off_by_the_ratio_of_two_spheres() {
    // docs/equations.md, section 8: the authors' code gives 0.0015 bits per dimension more at N = 3072, half a bit less at N = 2.
    for (dim, bits) in [(3072, 0.001454_f64), (2, -0.5)] {
        let field = ExactField::new(vec![0.0; dim], dim, Finite(1.0));
        let x = vec![0.1; dim];
        let log =
            |prior| Density { prior, ..density(&field, Finite(1.0), (1.0, 40.0)) }.log(&x, Trace::Probes(&x)).unwrap();
        let difference = (log(Prior::Exact).values[0] - log(Prior::AuthorsCode).values[0]) / (dim as f64 * 2_f64.ln());
        assert!((difference - bits).abs() < 1e-3 * bits.abs(), "{difference} at N = {dim}");
    }
}
