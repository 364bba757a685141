//! The library from end to end: a small flow of a heart, trained and sampled in a few lines.
//!
//! `cargo run --release -p pfgm --example train_in_code`

use std::ops::ControlFlow;

use pfgm::{
    config::Config,
    network::{MlpConfig, NetworkConfig},
    sample::{SampleRequest, sample},
    spec::ModelSpec,
    train::Trainer,
};
use pfgm_data::{OpenOptions, generate::inside_heart};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = pfgm::device::open("cpu")?;
    let data = pfgm_data::open("heart", &OpenOptions::default())?;
    let network = NetworkConfig::Mlp(MlpConfig { width: 64, blocks: 2, dropout: 0.0 });
    let mut config = Config { network, ..Config::default() };
    config.train.steps = 1000;
    config.train.cooldown = 300;
    let record = ModelSpec::resolve(config, &data)?;

    let mut trainer = Trainer::new(record.clone(), data, None, &device)?;
    trainer.run(None, &mut |report| {
        if report.step.is_multiple_of(200) {
            println!("step {:>4}  loss {:.4}", report.step, report.loss);
        }
        ControlFlow::Continue(())
    })?;

    let request = SampleRequest {
        seeds: (0..500).collect(),
        classes: Vec::new(),
        solver: record.config.sample.solver.clone(),
        guidance: 1.0,
        batch: 500,
        released: None,
    };
    let samples = sample(&record, &trainer.averaged(), &request, &device, &mut |_| {})?;
    let inside = samples.values.chunks_exact(2).filter(|p| inside_heart(p[0], p[1])).count();
    println!("{inside} of 500 samples lie in the heart, {} evaluations each", samples.nfe);
    Ok(())
}
