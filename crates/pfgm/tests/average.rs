//! Averages made after training against averages kept during it.
#![allow(missing_docs)]

use std::{fs, ops::ControlFlow, path::PathBuf};

use burn::tensor::Device;
use pfgm::{
    Model,
    checkpoint::{self, Checkpoint, Group},
    config::Config,
    import::{Request, import},
    model::{Fit, FitProgress},
    network::{MlpConfig, NetworkConfig},
    power_average::{Profile, combination},
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

/// Snapshots of one training of EDM2 with other weights in each, and the share of one weight: files in the published layout
/// (`fuzz/seeds/import.py` made the first).
fn snapshots(folder: &std::path::Path, names: &[&str]) -> Vec<PathBuf> {
    let bytes = fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds/import/edm2")).unwrap();
    let gain = 0.7_f32.to_le_bytes();
    let places: Vec<usize> = (0..bytes.len() - 4).filter(|&at| bytes[at..at + 4] == gain).collect();
    assert_eq!(places.len(), 1, "the factor of the output is the only weight of this value");
    let write = |(at, name): (usize, &&str)| {
        let (path, mut bytes) = (folder.join(name), bytes.clone());
        bytes[places[0]..places[0] + 4].copy_from_slice(&(0.7 + at as f32).to_le_bytes());
        fs::write(&path, bytes).unwrap();
        path
    };
    names.iter().enumerate().map(write).collect()
}

#[test]
fn averages_of_edm2_s_snapshots_are_the_least_squares() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["toy-0000100-0.050.pkl", "toy-0000100-0.100.pkl", "toy-0000200-0.050.pkl", "toy-0000200-0.100.pkl"];
    let files = snapshots(folder.path(), &names);
    let profile = |steps: f64, width: f64| Profile::with_width(width, steps).unwrap();
    let kept = [profile(100.0, 0.05), profile(100.0, 0.1), profile(200.0, 0.05), profile(200.0, 0.1)];
    for width in [0.05, 0.07, 0.13] {
        let found = Model::average_snapshots(&files, width, &Device::flex()).unwrap();
        let shares = combination(&kept, profile(200.0, width));
        let wanted: f64 = shares.iter().enumerate().map(|(at, share)| share * (0.7 + at as f64)).sum();
        let weights = weights::collect(found.model.network());
        let gain = weights.iter().find(|weight| weight.name == "gain").unwrap().values[0];
        assert!((f64::from(gain) - wanted).abs() < 1e-5, "sigma_rel {width}: {gain}, {wanted}");
        // All other weights are equal in the files, and shares sum to 1.
        let first = import(&files[0], &Request::default()).unwrap().average;
        for a in &weights {
            let b = first.iter().find(|weight| weight.name == a.name).unwrap();
            let apart = a.values.iter().zip(&b.values).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(a.name == "gain" || apart < 1e-5, "{}: {apart}", a.name);
        }
        assert!((found.shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!(found.mismatch < if width == 0.05 { 1e-6 } else { 0.3 }, "{}", found.mismatch);
    }
}

#[test]
fn snapshots_that_do_not_belong_together_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let files = snapshots(folder.path(), &["toy-0000100-0.050.pkl", "toy-0100-0.05.pkl", "toy.pkl", "toy-1-0.500.pkl"]);
    let problem = |files: &[PathBuf], width: f64| {
        Model::average_snapshots(files, width, &Device::flex()).map(|_| ()).unwrap_err().to_string()
    };
    assert!(problem(&files[..2], 0.07).contains("same training time and width"));
    assert!(problem(&files[2..3], 0.07).contains("toy.pkl: its name does not end with a training time"));
    assert!(problem(&files[3..], 0.07).contains("relative width 0.5"));
    assert!(problem(&files[..1], 0.5).contains("sigma_rel: 0.5"));
    let other = folder.path().join("other-0000200-0.050.pkl");
    fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/parity/edm2_cond.pkl"), &other).unwrap();
    let said = problem(&[files[0].clone(), other], 0.07);
    assert!(
        said.contains("other-0000200-0.050.pkl: it has another network than") && said.contains("toy-0000100"),
        "{said}"
    );
}
