//! Compares derivatives of networks with finite differences, and tests densities of trained networks.
#![allow(missing_docs)]

use std::path::Path;

use burn::tensor::Device;
use pfgm::{
    Model,
    config::Config,
    denoiser::NetworkDenoiser,
    extra_dims::ExtraDims::{self, Finite, Infinite},
    flow::{Denoiser, Differentiable, Query},
    likelihood::Probe,
    model::{Likelihood, Rows, Trace},
    network::{MlpConfig, NetworkConfig, ScoreUnetConfig},
    prediction::Output,
    prior,
    random::{Purpose, stream},
    solver::Solver,
    spec::ModelSpec,
    train::Trainer,
    weights,
};
use pfgm_data::{Dataset, OpenOptions, Shape, Values};
use rand::RngExt;

fn digits() -> Dataset {
    pfgm_data::open("digits", &OpenOptions::default()).unwrap()
}

/// A small network whose layers all have an effect, with the meaning of its output.
fn network(network: NetworkConfig, output: Output, extra_dims: ExtraDims, data: &Dataset) -> NetworkDenoiser {
    let mut config = Config { network, ..Config::default() };
    config.flow.extra_dims = extra_dims;
    config.flow.output = output;
    let spec = ModelSpec::resolve(config, data).unwrap();
    let device = Device::flex();
    let mut rng = stream(4, Purpose::Weights, 1, 0);
    let plain = spec.network(&device).unwrap();
    let named = weights::collect(&plain).into_iter().map(|mut weight| {
        weight.values.iter_mut().for_each(|value| *value += rng.random_range(-0.1..0.1));
        (weight.name.clone(), weight)
    });
    let network = weights::assign(plain, &named.collect()).unwrap();
    spec.denoiser(&network, Vec::new(), 1.0, 64, &device)
}

fn table(dim: usize) -> Dataset {
    let values = (0..40 * dim).map(|at| ((at * 31) % 17) as f32 / 8.0 - 1.0).collect();
    Dataset::new(Path::new("table"), Shape::Vector { len: dim }, Values::Floats(values), None, None).unwrap()
}

#[test]
fn derivatives_of_every_output_are_those_of_differences() {
    let mlp = NetworkConfig::Mlp(MlpConfig { width: 16, blocks: 1, dropout: 0.0 });
    let unet = ScoreUnetConfig {
        width: 8,
        multipliers: vec![1, 2],
        blocks: 1,
        attention: vec![4],
        dropout: 0.0,
        ..ScoreUnetConfig::default()
    };
    let radial = NetworkConfig::ScoreUnet(ScoreUnetConfig { radial: true, ..unet.clone() });
    let unet = NetworkConfig::ScoreUnet(unet);
    let (beta_min, beta_max) = (0.1, 20.0);
    for (config, output, extra_dims) in [
        (mlp.clone(), Output::Edm, Infinite),
        (mlp.clone(), Output::Edm, Finite(2.0)),
        (unet.clone(), Output::Edm, Finite(2.0)),
        (mlp, Output::Ve { scaled: false, unit: 2.0 }, Infinite),
        (unet.clone(), Output::Ve { scaled: true, unit: 1.0 }, Infinite),
        (unet.clone(), Output::Vp { beta_min, beta_max }, Infinite),
        (unet, Output::SubVp { beta_min, beta_max }, Infinite),
        (radial, Output::Field { gamma: 5.0 }, Finite(1.0)),
    ] {
        let denoiser = network(config, output.clone(), extra_dims, &digits());
        let dim = denoiser.dim();
        let mut rng = stream(6, Purpose::Latent, 0, 0);
        // Near the data, at the noise level, and far away, where the coefficients depend on the point.
        for (size, sigma) in [(0.5, 0.8), (3.0, 2.5), (40.0, 0.7)] {
            let mut draw = |size: f64| -> Vec<f64> { (0..dim).map(|_| size * rng.random_range(-1.0..1.0)).collect() };
            let (x, probe, direction) = (draw(size), draw(1.0), draw(1.0));
            let yhat = |x: &[f64]| {
                let mut out = vec![0.0; dim];
                denoiser.denoise(&Query { x, sigma: &[sigma], item: &[0] }, &mut out);
                out
            };
            let (mut out, mut pulled) = (vec![0.0; dim], vec![0.0; dim]);
            denoiser.vjp(&Query { x: &x, sigma: &[sigma], item: &[0] }, &probe, &mut out, &mut pulled);
            assert!(out.iter().zip(yhat(&x)).all(|(a, b)| (a - b).abs() < 1e-4 * (1.0 + b.abs())));
            // Computes probe^T J direction in two ways; single precision requires a large difference.
            let step = 0.01 * size;
            let moved =
                |sign: f64| -> Vec<f64> { x.iter().zip(&direction).map(|(x, d)| x + sign * step * d).collect() };
            let (ahead, behind) = (yhat(&moved(1.0)), yhat(&moved(-1.0)));
            let slope =
                ahead.iter().zip(&behind).zip(&probe).map(|((a, b), p)| (a - b) * p).sum::<f64>() / (2.0 * step);
            let found: f64 = pulled.iter().zip(&direction).map(|(p, d)| p * d).sum();
            let scale = pulled.iter().map(|p| p * p).sum::<f64>().sqrt();
            assert!(
                (found - slope).abs() < 2e-2 * scale.max(1e-3),
                "{output:?}, {extra_dims}, size {size}: {found} against {slope}"
            );
        }
    }
}

#[test]
fn hutchinsons_estimate_is_unbiased() {
    let mlp = NetworkConfig::Mlp(MlpConfig { width: 16, blocks: 1, dropout: 0.0 });
    let denoiser = network(mlp, Output::Edm, Finite(4.0), &table(5));
    let (x, sigma, probes) = ([0.3, -0.4, 1.0, 0.2, -0.7], 0.6, 4000);
    let (mut out, mut exact) = (vec![0.0; 5], [0.0]);
    denoiser.divergence(&Query { x: &x, sigma: &[sigma], item: &[0] }, &mut out, &mut exact);
    let many: Vec<f64> = x.repeat(probes);
    let (levels, items) = (vec![sigma; probes], (0..probes).collect::<Vec<_>>());
    for kind in [Probe::Rademacher, Probe::Gaussian] {
        let drawn = kind.draw(5 * probes, &mut stream(8, Purpose::Latent, 0, 0));
        let (mut out, mut pulled) = (vec![0.0; many.len()], vec![0.0; many.len()]);
        denoiser.vjp(&Query { x: &many, sigma: &levels, item: &items }, &drawn, &mut out, &mut pulled);
        let estimates: Vec<f64> = drawn
            .chunks_exact(5)
            .zip(pulled.chunks_exact(5))
            .map(|(a, b)| a.iter().zip(b).map(|(a, b)| a * b).sum())
            .collect();
        let mean = estimates.iter().sum::<f64>() / probes as f64;
        let variance = estimates.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / probes as f64;
        let error = (variance / probes as f64).sqrt();
        assert!((mean - exact[0]).abs() < 4.0 * error.max(1e-6), "{kind:?}: {mean} +- {error} against {}", exact[0]);
    }
}

/// Six Gaussians on a circle, of spread 0.25.
fn mixture() -> (Vec<[f64; 2]>, f64) {
    let center = |index: usize| {
        let angle = index as f64 / 6.0 * std::f64::consts::TAU;
        [1.5 * angle.cos(), 1.5 * angle.sin()]
    };
    ((0..6).map(center).collect(), 0.25)
}

#[test]
fn a_trained_mixture_is_as_likely_as_it_is() {
    let (centers, spread) = mixture();
    let mut rng = stream(11, Purpose::Latent, 0, 0);
    let mut draw = |count: usize| -> Vec<f64> {
        let mut point = |index: usize| {
            let mut point = centers[index % 6].to_vec();
            prior::perturb(Infinite, spread, &mut rng, &mut point);
            point
        };
        (0..count).flat_map(&mut point).collect()
    };
    let values: Vec<f32> = draw(12_000).iter().map(|&value| value as f32).collect();
    let shape = Shape::Vector { len: 2 };
    let data = Dataset::new(Path::new("mixture"), shape, Values::Floats(values), None, None).unwrap();
    let held_out = draw(600);
    let truth = |point: &[f64]| {
        let of = |center: &[f64; 2]| {
            let squared = (point[0] - center[0]).powi(2) + (point[1] - center[1]).powi(2);
            prior::log_density(Infinite, 2, spread, squared).exp()
        };
        (centers.iter().map(of).sum::<f64>() / 6.0).ln()
    };
    let expected = held_out.chunks_exact(2).map(truth).sum::<f64>() / 600.0;

    let network = NetworkConfig::Mlp(MlpConfig { width: 64, blocks: 2, dropout: 0.0 });
    let mut config = Config { network, ..Config::default() };
    config.flow.extra_dims = Finite(64.0);
    config.flow.sigma_min = 0.01;
    config.train.batch = 256;
    config.train.steps = 2500;
    config.train.cooldown = 1200;
    config.train.lr = 2e-3;
    config.train.ema = 0.99;
    let spec = ModelSpec::resolve(config, &data).unwrap();
    let device = Device::flex();
    let mut trainer = Trainer::new(spec.clone(), data, None, &device).unwrap();
    for _ in 0..2500 {
        trainer.take_step().unwrap();
    }
    let held_out: Vec<f32> = held_out.iter().map(|&value| value as f32).collect();
    let rows = Rows::new(held_out, vec![None; 600], false);
    let how = Likelihood::default().solver(Solver::rk45(1e-4)).trace(Trace::Exact).batch(600);
    let model = Model::from_parts(spec, trainer.averaged(), &device);
    let found = model.log_likelihood_of_rows(&rows, how).unwrap();
    assert!((found.mean() - expected).abs() < 0.05, "{} against {expected}", found.mean());
    assert!(found.summary().of_steps.unwrap() < 0.01, "{:?}", found.summary());
    // A few long steps are far off, and the error says so.
    let how = Likelihood::default().solver(Solver::euler(5)).trace(Trace::Exact).batch(600);
    let coarse = *model.log_likelihood_of_rows(&rows, how).unwrap().summary();
    let apart = (coarse.mean - expected).abs();
    assert!(apart > 0.3 && apart < 2.0 * coarse.error.unwrap(), "{apart} apart: {coarse:?}");
    assert!(coarse.of_steps.unwrap() > 3.0 * coarse.of_rows.unwrap(), "{coarse:?}");
}
