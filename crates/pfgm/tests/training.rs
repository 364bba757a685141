//! Training and sampling with real networks on the digits.
#![allow(missing_docs)]

use std::{ops::ControlFlow, path::Path};

use burn::{
    module::Module,
    tensor::{Device, Tensor},
};
use pfgm::{
    Model, augmentation,
    checkpoint::{self, Checkpoint},
    config::{Config, OptimizerKind},
    extra_dims::ExtraDims::{Finite, Infinite},
    flow::{Denoiser, Flow, Query},
    network::{
        AdmUnetConfig, ConditioningTensors, LevelEmbedding, MlpConfig, Ncsnv2Config, NetworkConfig, NetworkInput,
        Precision, ScoreUnetConfig, UnetConfig,
    },
    objective::{FieldObjective, Objective},
    prediction::Output,
    random::{Purpose, stream},
    solver::{Method, Solver},
    spec::ModelSpec,
    train::{Log, StepReport, TrainError, Trainer},
    weights,
};
use pfgm_burn_ops::recompute_count;
use pfgm_data::{Dataset, OpenOptions};
use pfgm_eval::{classify, neighborhoods, two_sample_accuracy};

fn digits() -> Dataset {
    pfgm_data::open("digits", &OpenOptions::default()).unwrap()
}

/// A configuration with twenty thousand weights and a few steps, sufficient to compare numbers.
fn small() -> Config {
    let mut config = Config::default();
    config.data.source = "digits".into();
    config.data.conditional = true;
    let unet = UnetConfig { width: 8, multipliers: vec![1, 2], blocks: 1, attention: vec![4], dropout: 0.1 };
    config.network = NetworkConfig::Unet(unet);
    config.train.batch = 16;
    config.train.steps = 6;
    config.train.warmup = 2;
    config.train.flip = true;
    config.train.checkpoint_every = 100;
    config
}

fn trainer(config: Config) -> Trainer {
    let data = digits();
    Trainer::new(ModelSpec::resolve(config, &data).unwrap(), data, None, &Device::flex()).unwrap()
}

/// Trains until `steps` steps are taken, and returns the losses.
fn train_until(trainer: &mut Trainer, run: &Path, step: u64) -> Vec<f64> {
    let mut losses = Vec::new();
    let mut observer = |report: &StepReport| {
        losses.push(report.loss);
        if report.step >= step { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    trainer.run(Some(run), &mut observer).unwrap();
    losses
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("checkpoints")).unwrap();
    folder
}

fn field_config() -> Config {
    let mut config = small();
    config.flow.extra_dims = Finite(1.0);
    config.objective = Objective::Field(FieldObjective { field_batch: 64, ..FieldObjective::default() });
    config.train.accumulate = 2;
    config
}

#[test]
fn resumed_training_is_bit_identical() {
    let mut augmented = small();
    augmented.train.flip = false;
    augmented.train.augment = 0.5;
    let mut half = small();
    half.train.precision = Precision::Bf16;
    let mut muon = small();
    muon.train.optimizer = OptimizerKind::Muon;
    for config in [small(), field_config(), augmented, half, muon] {
        let (whole, parts) = (folder(), folder());
        train_until(&mut trainer(config.clone()), whole.path(), 6);
        train_until(&mut trainer(config), parts.path(), 3);
        let path = checkpoint::path_of(parts.path(), 3);
        let checkpoint = Checkpoint::read(&path).unwrap();
        let mut resumed = Trainer::resume(&checkpoint, &path, digits(), None, &Device::flex()).unwrap();
        train_until(&mut resumed, parts.path(), 6);
        // The whole file: weights, average, both moments, step and spec.
        let bytes = |run: &Path| std::fs::read(checkpoint::path_of(run, 6)).unwrap();
        assert!(bytes(whole.path()) == bytes(parts.path()), "the checkpoints differ");
        assert!(bytes(whole.path()) != std::fs::read(&path).unwrap(), "three more steps change something");
    }
}

#[test]
fn a_training_in_memory_is_one_in_a_folder() {
    let (run, mut reports) = (folder(), Vec::new());
    let mut in_folder = trainer(small());
    train_until(&mut in_folder, run.path(), 6);
    let mut in_memory = trainer(small());
    let mut observer = |report: &StepReport| {
        reports.push(report.clone());
        ControlFlow::Continue(())
    };
    in_memory.run(None, &mut observer).unwrap();
    assert!(weights::collect(in_folder.network()) == weights::collect(in_memory.network()), "the weights differ");
    assert_eq!(reports.iter().map(|report| report.step).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    let logged: Vec<f64> = reports.iter().filter_map(|report| report.log.as_ref()).map(|line| line.loss).collect();
    let log: Vec<f64> = Log::read(&run.path().join("log.jsonl")).unwrap().iter().map(|line| line.loss).collect();
    assert_eq!(logged, log);
}

#[test]
fn a_folder_has_one_training_at_a_time() {
    let run = folder();
    let mut first = trainer(small());
    train_until(&mut first, run.path(), 2);
    let mut second = trainer(small());
    let error = second.run(Some(run.path()), &mut |_| ControlFlow::Break(())).unwrap_err();
    let pid = std::process::id().to_string();
    assert!(matches!(error, TrainError::Lock(_)) && error.to_string().contains(&pid), "{error}");
    assert_eq!(second.steps_taken(), 0);
    drop(first);
    train_until(&mut second, run.path(), 1);
}

#[test]
fn accumulation_changes_nothing_but_rounding() {
    let trained = |accumulate: usize| {
        let mut config = small();
        config.train.accumulate = accumulate;
        let (run, mut trainer) = (folder(), trainer(config));
        let losses = train_until(&mut trainer, run.path(), 6);
        (losses, trainer.micro_batches())
    };
    let ((whole, passes), (parts, more_passes)) = (trained(1), trained(3));
    // A batch of 16 in three parts of at most six.
    assert_eq!((passes, more_passes), (6, 18), "backward passes of six steps");
    for (whole, parts) in whole.into_iter().zip(parts) {
        assert!((whole - parts).abs() < 1e-4 * whole, "{whole} against {parts}");
    }
}

#[test]
fn recomputing_changes_nothing_but_what_is_kept() {
    for precision in [Precision::F32, Precision::Bf16] {
        let trained = |recompute: bool| {
            let mut config = small();
            config.train.recompute = recompute;
            config.train.precision = precision;
            let mut trainer = trainer(config);
            let recomputed = recompute_count::count(|| {
                for _ in 0..4 {
                    trainer.take_step().unwrap();
                }
            });
            (weights::collect(trainer.network()), recomputed)
        };
        let ((kept, none), (again, recomputed)) = (trained(false), trained(true));
        assert_eq!(none, 0, "{precision:?}: operations are recomputed without train.recompute");
        // Each of the four steps recomputes at least the normalizations, two of each block.
        assert!(recomputed >= 4 * 2 * 5, "{precision:?}: {recomputed} operations are recomputed");
        for (kept, again) in kept.into_iter().zip(again) {
            assert!(kept.values == again.values, "{precision:?}: {}", kept.name);
        }
    }
}

/// With bf16 activations, every network on images gives nearly the same output as in single precision, learns as fast,
/// and has weights with more bits than bf16.
#[test]
fn networks_in_bf16_learn_as_in_single_precision() {
    let data = digits();
    let score = ScoreUnetConfig {
        width: 8,
        multipliers: vec![1, 2],
        blocks: 1,
        attention: vec![4],
        embedding: LevelEmbedding::Fourier,
        fir: true,
        pyramid: true,
        ..ScoreUnetConfig::default()
    };
    let adm = AdmUnetConfig { width: 8, multipliers: vec![1, 2], blocks: 1, attention: vec![4], head: 8, dropout: 0.0 };
    let ncsnv2 = Ncsnv2Config { width: 8, multipliers: vec![1, 1, 1, 1], radial: false };
    for network in
        [small().network, NetworkConfig::ScoreUnet(score), NetworkConfig::AdmUnet(adm), NetworkConfig::Ncsnv2(ncsnv2)]
    {
        let what = format!("{network:?}");
        let mut config = Config { network, ..Config::default() };
        take_thirty_steps(&mut config);
        let train = |precision: Precision| {
            let mut config = config.clone();
            config.train.precision = precision;
            learned(config, &data)
        };
        let ((single, fallen), (half, fallen_half)) = (train(Precision::F32), train(Precision::Bf16));
        assert!(fallen_half < 0.97 && (fallen_half / fallen - 1.0).abs() < 0.03, "{what}: {fallen_half} and {fallen}");
        let [weights, others] = [half.network(), single.network()].map(weights::collect);
        assert!(weights.iter().zip(&others).any(|(a, b)| a.values != b.values), "{what}: trained in single precision");
        let learned = weights.iter().flat_map(|weight| &weight.values).filter(|value| value.to_bits() & 0xffff != 0);
        assert!(2 * learned.count() > half.network().num_params(), "{what}: weights are rounded");
        let answer = |precision: Precision| {
            let mut spec = single.spec().clone();
            spec.config.sample.precision = precision;
            let denoiser = spec.denoiser(&single.averaged(), vec![None; 4], 1.0, 4, &Device::flex());
            let (x, mut out): (Vec<f64>, _) = ((0..256).map(|at| f64::from(at).sin()).collect(), vec![0.0; 256]);
            denoiser.denoise(&Query { x: &x, sigma: &[0.05, 0.3, 1.0, 20.0], item: &[0, 1, 2, 3] }, &mut out);
            out
        };
        let (exact, rounded) = (answer(Precision::F32), answer(Precision::Bf16));
        let size = exact.iter().map(|value| value * value).sum::<f64>().sqrt();
        let error = exact.iter().zip(&rounded).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt() / size;
        assert!(0.0 < error && error < 0.02, "{what}: {error}");
    }
}

#[test]
fn a_perceptron_has_no_bf16() {
    for key in ["train.precision", "sample.precision"] {
        let mut config = small();
        config.network = NetworkConfig::Mlp(MlpConfig { width: 8, blocks: 1, dropout: 0.0 });
        let precision =
            if key.starts_with("train") { &mut config.train.precision } else { &mut config.sample.precision };
        *precision = Precision::Bf16;
        let error = config.check().unwrap_err().to_string();
        assert!(error.contains(key) && error.contains("network.kind"), "{error}");
    }
}

#[test]
fn a_network_sample_depends_on_its_seed_alone() {
    // A network with weights as after some training: every layer has an effect.
    let config = small();
    let spec = ModelSpec::resolve(config, &digits()).unwrap();
    let network = spec.network(&Device::flex()).unwrap();
    let mut named = std::collections::HashMap::new();
    let mut rng = stream(9, Purpose::Weights, 1, 0);
    for mut weight in weights::collect(&network) {
        use rand::RngExt;
        weight.values.iter_mut().for_each(|value| *value += rng.random_range(-0.05..0.05));
        named.insert(weight.name.clone(), weight);
    }
    let network = weights::assign(network, &named).unwrap();
    let model = Model::from_parts(spec, network, &Device::flex());
    let draw = |seeds: &[u64], batch: usize, method: Method| {
        let classes = seeds.iter().map(|seed| Some((seed % 10) as u32));
        let sampling = model.sample(seeds.len()).seeds(seeds.to_vec()).classes(classes).guidance(1.5).batch(batch);
        sampling.solver(Solver::of_method(method).with_steps(8)).draw().unwrap().into_values()
    };
    for method in [Method::Euler, Method::ImprovedEuler, Method::Heun, Method::Rk45] {
        let seeds: Vec<u64> = (0..13).collect();
        let together = draw(&seeds, 13, method);
        let in_batches = draw(&seeds, 4, method);
        let single_threaded =
            rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap().install(|| draw(&seeds, 13, method));
        for (index, &seed) in seeds.iter().enumerate() {
            let alone = draw(&[seed], 1, method);
            let range = index * 64..(index + 1) * 64;
            for other in [&together[range.clone()], &in_batches[range.clone()], &single_threaded[range]] {
                for (a, b) in alone.iter().zip(other) {
                    // Values are 0 to 16; networks compute in single precision, states in double.
                    assert!((a - b).abs() < 2e-4, "{method:?}, seed {seed}: {a} against {b}");
                }
            }
        }
        assert!(together[..64] != together[64..128], "seeds differ");
    }
}

#[test]
fn guidance_extrapolates_from_the_estimate_without_a_class() {
    let spec = ModelSpec::resolve(small(), &digits()).unwrap();
    let network = spec.network(&Device::flex()).unwrap();
    let estimate = |label: Option<u32>, guidance: f64| {
        let denoiser = spec.denoiser(&network, vec![label], guidance, 8, &Device::flex());
        let x: Vec<f64> = (0..64).map(|i| f64::from(i) / 32.0 - 1.0).collect();
        let mut out = vec![0.0; 64];
        denoiser.denoise(&Query { x: &x, sigma: &[0.7], item: &[0] }, &mut out);
        out
    };
    let (with, without, guided) = (estimate(Some(3), 1.0), estimate(None, 1.0), estimate(Some(3), 2.5));
    for ((with, without), guided) in with.iter().zip(&without).zip(&guided) {
        assert!((guided - (without + 2.5 * (with - without))).abs() < 1e-9);
    }
}

/// Number of steps in which a small network makes progress on the digits.
fn take_thirty_steps(config: &mut Config) {
    config.data.source = "digits".into();
    config.train.batch = 64;
    config.train.steps = 30;
    config.train.warmup = 3;
    config.train.lr = 3e-3;
    config.train.ema = 0.5;
    config.train.checkpoint_every = 5;
}

/// A finished training, and the ratio of its last to its first held-out loss. The held-out noise is the same at
/// every step; with heavy tails, losses would not be comparable otherwise.
fn learned(config: Config, data: &Dataset) -> (Trainer, f64) {
    let (run, steps) = (folder(), config.train.steps);
    let spec = ModelSpec::resolve(config, data).unwrap();
    let held_out = data.select(&(0..data.len()).step_by(6).collect::<Vec<_>>());
    let mut trainer = Trainer::new(spec, data.clone(), Some(held_out), &Device::flex()).unwrap();
    train_until(&mut trainer, run.path(), steps);
    let log = Log::read(&run.path().join("log.jsonl")).unwrap();
    let [first, last] = [log.first(), log.last()].map(|line| line.unwrap().held_out_loss.unwrap());
    (trainer, last / first)
}

#[test]
fn every_d_and_objective_learns() {
    // Sixty steps of a perceptron on the digits: the loss falls for each pair.
    let data = digits();
    for extra_dims in [Finite(1.0), Finite(2.5), Finite(128.0), Infinite] {
        for objective in
            [Objective::default(), Objective::Field(FieldObjective { field_batch: 256, ..FieldObjective::default() })]
        {
            let network = NetworkConfig::Mlp(MlpConfig { width: 64, blocks: 1, dropout: 0.0 });
            let mut config = Config { network, objective: objective.clone(), ..Config::default() };
            config.flow.extra_dims = extra_dims;
            config.train.batch = 128;
            config.train.steps = 60;
            config.train.warmup = 5;
            config.train.lr = 3e-3;
            config.train.ema = 0.5;
            config.train.checkpoint_every = 2;
            let (_, fallen) = learned(config, &data);
            assert!(fallen < 0.99, "D = {extra_dims}, {objective:?}: {fallen}");
        }
    }
}

#[test]
fn every_published_network_and_output_learns() {
    let data = digits();
    let score = |unet: ScoreUnetConfig| {
        let small =
            ScoreUnetConfig { width: 8, multipliers: vec![1, 2], blocks: 1, attention: vec![4], dropout: 0.0, ..unet };
        NetworkConfig::ScoreUnet(small)
    };
    let ncsnpp =
        ScoreUnetConfig { embedding: LevelEmbedding::Fourier, fir: true, pyramid: true, ..ScoreUnetConfig::default() };
    let radial = ScoreUnetConfig { radial: true, ..ScoreUnetConfig::default() };
    let adm = AdmUnetConfig { width: 8, multipliers: vec![1, 2], blocks: 1, attention: vec![4], head: 8, dropout: 0.0 };
    let field = Objective::Field(FieldObjective { field_batch: 256, ..FieldObjective::default() });
    let ncsnv2 = |radial| NetworkConfig::Ncsnv2(Ncsnv2Config { width: 8, multipliers: vec![1, 1, 1, 1], radial });
    let (beta_min, beta_max) = (0.1, 20.0);
    for (network, output, extra_dims, objective) in [
        (score(radial), Output::Field { gamma: 5.0 }, Finite(1.0), field.clone()),
        (score(ncsnpp.clone()), Output::Ve { scaled: true, unit: 1.0 }, Infinite, Objective::default()),
        (score(ncsnpp.clone()), Output::Ve { scaled: false, unit: 2.0 }, Infinite, Objective::default()),
        (score(ScoreUnetConfig::default()), Output::Vp { beta_min, beta_max }, Infinite, Objective::default()),
        (score(ScoreUnetConfig::default()), Output::SubVp { beta_min, beta_max }, Infinite, Objective::default()),
        (score(ncsnpp), Output::Edm, Finite(128.0), Objective::default()),
        (NetworkConfig::AdmUnet(adm), Output::Edm, Finite(128.0), Objective::default()),
        (ncsnv2(false), Output::Edm, Infinite, Objective::default()),
        (ncsnv2(false), Output::Vp { beta_min, beta_max }, Infinite, Objective::default()),
        (ncsnv2(true), Output::Field { gamma: 5.0 }, Finite(1.0), field),
    ] {
        let what = format!("{network:?}, {output:?}");
        let mut config = Config { network, objective, ..Config::default() };
        config.flow.extra_dims = extra_dims;
        config.flow.output = output;
        config.data.conditional = !matches!(config.network, NetworkConfig::Ncsnv2(_));
        take_thirty_steps(&mut config);
        config.check().unwrap();
        let (_, fallen) = learned(config, &data);
        assert!(fallen < 0.97, "{what}: {fallen}");
    }
}

#[test]
fn a_network_learns_from_augmentation_and_uses_its_labels() {
    let data = digits();
    let (score, edm) = (ScoreUnetConfig::default(), Output::Edm);
    let score =
        ScoreUnetConfig { width: 8, multipliers: vec![1, 2], blocks: 1, attention: vec![4], dropout: 0.0, ..score };
    let adm = AdmUnetConfig { width: 8, multipliers: vec![1, 2], blocks: 1, attention: vec![4], head: 8, dropout: 0.0 };
    for network in [small().network, NetworkConfig::ScoreUnet(score), NetworkConfig::AdmUnet(adm)] {
        let mut config = Config { network, ..small() };
        config.flow.output = edm.clone();
        config.train.flip = false;
        config.train.augment = 0.3;
        config.train.steps = 40;
        config.train.batch = 64;
        config.train.lr = 3e-3;
        config.train.ema = 0.5;
        config.train.checkpoint_every = 5;
        config.check().unwrap();
        let (trainer, fallen) = learned(config, &data);
        assert!(fallen < 0.97, "{fallen}");
        let network = trainer.averaged();
        let device = Device::flex();
        let answer = |augmentation: Option<[f32; augmentation::LABELS]>| {
            let input = NetworkInput {
                x: Tensor::ones([1, 64], &device),
                noise: Tensor::zeros([1, 1], &device),
                log_sigma_ratio: Tensor::zeros([1, 1], &device),
                conditioning: ConditioningTensors {
                    augmentation: augmentation.map(|labels| Tensor::from_data([labels], &device)),
                    ..ConditioningTensors::default()
                },
                dropout: None,
                precision: Precision::F32,
            };
            network.forward(input).into_data().try_to_vec::<f32>().unwrap()
        };
        let mut mirrored = [0.0; augmentation::LABELS];
        // Without labels, the network assumes the identity.
        assert!(answer(None) == answer(Some(mirrored)));
        mirrored[0] = 1.0;
        assert!(answer(None) != answer(Some(mirrored)));
    }
}

/// Scores of generated digits compared with held-out ones.
#[derive(Debug)]
struct Quality {
    /// Two-sample accuracy: 1/2 is perfect, 1 means that samples and data are separable.
    two_sample: f64,
    /// The share of held-out digits with a sample nearby.
    coverage: f64,
    /// The share of samples whose nearest training digit has the requested class.
    right_class: f64,
    /// Number of classes that occur.
    classes: usize,
}

impl Quality {
    fn measure(train: &Dataset, held_out: &Dataset, samples: &[f32], asked: &[u32]) -> Self {
        let rows = |data: &Dataset| -> Vec<f32> {
            let mut values = vec![0.0; 64 * data.len()];
            values.chunks_exact_mut(64).enumerate().for_each(|(index, row)| data.read(index, row).unwrap());
            values
        };
        let (real, points) = (rows(held_out), rows(train));
        let found = classify(samples, &points, &train.labels.as_ref().unwrap().of_row, 64);
        let right = found.iter().zip(asked).filter(|(found, asked)| found == asked).count();
        let mut classes = found.clone();
        classes.sort_unstable();
        classes.dedup();
        Self {
            two_sample: two_sample_accuracy(&real, samples, 64),
            coverage: neighborhoods(&real, samples, 64, 5, &|_| ()).coverage.value,
            right_class: right as f64 / asked.len() as f64,
            classes: classes.len(),
        }
    }

    fn is_good(&self) -> bool {
        self.two_sample < 0.75 && self.coverage > 0.75 && self.right_class > 0.85 && self.classes == 10
    }
}

#[test]
fn trained_digits_look_like_held_out_digits() {
    let mut config: Config = toml::from_str(pfgm::presets::find("digits").unwrap().text).unwrap();
    config.train.steps = 500;
    config.train.cooldown = 150;
    let digits = digits();
    let rows: Vec<usize> = (0..digits.len()).collect();
    let (held_out, train): (Vec<usize>, Vec<usize>) = rows.iter().partition(|&&row| row % 6 == 0);
    let (held_out, train) = (digits.select(&held_out), digits.select(&train));
    let spec = ModelSpec::resolve(config, &train).unwrap();
    let mut trainer = Trainer::new(spec.clone(), train.clone(), None, &Device::flex()).unwrap();
    let run = folder();
    train_until(&mut trainer, run.path(), 500);
    let network = trainer.averaged();

    let asked: Vec<u32> = (0..held_out.len() as u32).map(|seed| seed % 10).collect();
    let classes: Vec<Option<u32>> = asked.iter().map(|&class| Some(class)).collect();
    let draw = |spec: &ModelSpec, classes: &[Option<u32>], solver: Solver| {
        let model = Model::from_parts(spec.clone(), network.clone(), &Device::flex());
        let sampling = model.sample(classes.len()).classes(classes.to_vec()).guidance(1.0).solver(solver);
        sampling.draw().unwrap().into_values()
    };
    let solver = spec.config.sample.solver.clone();
    let samples = draw(&spec, &classes, solver.clone());
    let quality = Quality::measure(&train, &held_out, &samples, &asked);
    println!("trained: {quality:?}");
    assert!(quality.is_good(), "{quality:?}");

    // The same thresholds reject broken samplers. One that stops at a high noise level:
    let mut noisy = spec.clone();
    noisy.config.flow.sigma_min = 0.8;
    let stopped = draw(&noisy, &classes, Solver::euler(30).into());
    let quality = Quality::measure(&train, &held_out, &stopped, &asked);
    println!("stopped at sigma = 0.8: {quality:?}");
    assert!(!quality.is_good(), "stopped at sigma = 0.8: {quality:?}");
    // One that ignores the class label:
    let forgotten = draw(&spec, &vec![Some(4); asked.len()], solver.clone());
    let quality = Quality::measure(&train, &held_out, &forgotten, &asked);
    println!("one class only: {quality:?}");
    assert!(!quality.is_good(), "one class only: {quality:?}");
    // One that starts from a prior with the wrong scale, and therefore averages:
    let denoiser = spec.denoiser(&network, classes.clone(), 1.0, 512, &Device::flex());
    let flow = Flow { denoiser: &denoiser, extra_dims: spec.extra_dims() };
    let mut x: Vec<f64> = (0..asked.len() as u64)
        .flat_map(|seed| flow.latent(0.2 * 80.0, &mut stream(seed, Purpose::Latent, 0, 0)))
        .collect();
    pfgm::solver::sample(&flow, &solver, spec.range(), &mut x).unwrap();
    let small: Vec<f32> = x.iter().map(|value| (value * 8.0 + 8.0).clamp(0.0, 16.0) as f32).collect();
    let quality = Quality::measure(&train, &held_out, &small, &asked);
    println!("a prior of a fifth of its size: {quality:?}");
    assert!(!quality.is_good(), "a prior of a fifth of its size: {quality:?}");
}
