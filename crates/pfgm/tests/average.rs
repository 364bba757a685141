//! Averages made after training against averages kept during it.
#![allow(missing_docs)]

use std::ops::ControlFlow;

use burn::tensor::Device;
use pfgm::{
    Model,
    checkpoint::{self, Checkpoint, Group},
    config::Config,
    model::{Fit, FitProgress},
    network::{MlpConfig, NetworkConfig},
    weights::{self, Weight},
};
use pfgm_data::Dataset;

fn config(sigma_rel: [f64; 2]) -> Config {
    let mut config = Config::default();
    config.data.source = "two-moons".into();
    config.network = NetworkConfig::Mlp(MlpConfig { width: 16, blocks: 1, dropout: 0.0 });
    (config.train.batch, config.train.steps, config.train.warmup) = (32, 200, 10);
    (config.train.snapshot_every, config.train.sigma_rel) = (10, sigma_rel);
    config
}

/// Trains in a folder; every stop is followed by a resumed training.
fn trained(sigma_rel: [f64; 2], stops: &[u64]) -> tempfile::TempDir {
    let (data, folder) = (Dataset::open("two-moons").unwrap(), tempfile::tempdir().unwrap());
    let mut model = Model::from_config(config(sigma_rel), &data).unwrap();
    for &stop in stops {
        let observer = |progress: &FitProgress| {
            if progress.step < stop { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        model.fit(&data, Fit::configured().folder(folder.path()).observer(observer)).unwrap();
        model = Model::resume(folder.path(), &Device::flex()).unwrap();
    }
    folder
}

/// Root mean square of the difference of two sets of weights.
fn distance(a: &[Weight], b: &[Weight]) -> f64 {
    let of = |weights: &[Weight]| -> Vec<f64> {
        let mut weights: Vec<&Weight> = weights.iter().collect();
        weights.sort_by(|a, b| a.name.cmp(&b.name));
        weights.iter().flat_map(|weight| weight.values.iter().map(|&value| f64::from(value))).collect()
    };
    let (a, b) = (of(a), of(b));
    (a.iter().zip(&b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>() / a.len() as f64).sqrt()
}

#[test]
fn an_average_made_afterwards_is_the_one_that_training_would_have_kept() {
    let (run, other) = (trained([0.05, 0.10], &[200]), trained([0.07, 0.13], &[200]));
    let direct = Checkpoint::read(&checkpoint::find(other.path()).unwrap()).unwrap();
    let group = |group: Group| direct.group(group).values().cloned().collect::<Vec<Weight>>();
    let latest = group(Group::Network);
    for (width, kept) in [(0.07, Group::PowerNarrow), (0.13, Group::PowerWide)] {
        let made = weights::collect(Model::load_average(run.path(), width, &Device::flex()).unwrap().network());
        let (error, size) = (distance(&made, &group(kept)), distance(&latest, &group(kept)));
        assert!(
            error < 0.03 * size,
            "sigma_rel {width}: error {error}, distance of the average from the weights {size}"
        );
    }
    // One that was kept is found again to rounding.
    let own = Checkpoint::read(&checkpoint::find(run.path()).unwrap()).unwrap();
    let narrow: Vec<Weight> = own.group(Group::PowerNarrow).values().cloned().collect();
    let made = weights::collect(Model::load_average(run.path(), 0.05, &Device::flex()).unwrap().network());
    assert!(distance(&made, &narrow) < 1e-4 * distance(&latest, &narrow), "{}", distance(&made, &narrow));
}

#[test]
fn snapshots_survive_a_stop() {
    let (whole, parts) = (trained([0.05, 0.10], &[200]), trained([0.05, 0.10], &[95, 200]));
    let files = |run: &tempfile::TempDir| {
        let paths = checkpoint::snapshots(run.path());
        paths.iter().map(|path| std::fs::read(path).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(files(&whole).len(), 20);
    assert!(files(&whole) == files(&parts));
}
