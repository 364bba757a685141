//! Sampling without a network: points of the prior follow the exact field of a heart back to its points.
//!
//! `cargo run --release -p pfgm --example exact_field`

use pfgm::prelude::*;

fn main() -> Result<(), Error> {
    let heart = Dataset::open("heart")?;
    let charges = heart.values()?;
    for d in [1.0, 64.0, f64::INFINITY] {
        let samples = ExactField::new(&heart, d)?.sample(500).seed(0).solver(Solver::rk45(1e-5)).draw()?;
        let distance = |row: &[f32]| {
            let distances = charges.chunks_exact(2).map(|y| (row[0] - y[0]).hypot(row[1] - y[1]));
            distances.fold(f32::INFINITY, f32::min)
        };
        let mut distances: Vec<f32> = samples.values().chunks_exact(2).map(distance).collect();
        distances.sort_by(f32::total_cmp);
        println!(
            "D = {d:<4} half of 500 samples end within {:.5} of a charge, {:.0} evaluations each",
            distances[250],
            samples.nfe()
        );
    }
    Ok(())
}
