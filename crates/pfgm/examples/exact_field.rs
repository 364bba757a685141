//! Sampling without a network: particles of the prior follow the exact field of a heart back to its points.
//!
//! `cargo run --release -p pfgm --example exact_field`

use pfgm::{
    extra_dims::ExtraDims,
    field::ExactField,
    flow::{Counted, Flow},
    random::{Purpose, stream},
    solver::{Tolerance, rk45},
};
use pfgm_data::OpenOptions;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let heart = pfgm_data::open("heart", &OpenOptions::default())?;
    let charges: Vec<f64> = heart.some(heart.len())?.into_iter().map(f64::from).collect();
    for extra_dims in [ExtraDims::Finite(1.0), ExtraDims::Finite(64.0), ExtraDims::Infinite] {
        let field = ExactField::new(charges.clone(), 2, extra_dims);
        let counted = Counted::new(&field);
        let flow = Flow { denoiser: &counted, extra_dims };
        let particles = 500;
        let mut x: Vec<f64> =
            (0..particles).flat_map(|seed| flow.latent(100.0, &mut stream(seed, Purpose::Latent, 0, 0))).collect();
        rk45(&flow, 100.0, 1e-3, Tolerance { rtol: 1e-5, atol: 1e-5 }, &mut x)?;
        let nearest = |p: &[f64]| {
            let distances = charges.chunks_exact(2).map(|y| (p[0] - y[0]).hypot(p[1] - y[1]));
            distances.fold(f64::INFINITY, f64::min)
        };
        let farthest = x.chunks_exact(2).map(nearest).fold(0.0, f64::max);
        println!(
            "D = {extra_dims:<4} {particles} particles end at most {farthest:.4} from a charge, {:.0} evaluations each",
            counted.rows() as f64 / particles as f64
        );
    }
    Ok(())
}
