//! `pfgm bench`

use std::{fs, path::Path, time::Instant};

use anyhow::{Context, Result, bail};
use burn::tensor::{Device, Tensor, TensorData};
use pfgm::{
    Model,
    config::TrainConfig,
    flow::{Denoiser, Query},
    network::ResUnet,
    train::{FlatGradients, Optimizer},
};
use pfgm_burn_ops::flop_count;
use pfgm_cpu::{arch, probe, simd};
use pfgm_data::{Dataset, Shape};
use rand::{RngExt, SeedableRng};
use serde_json::{Map, Value, json};

use crate::{
    args::{BenchArgs, BenchNetwork, BenchTask, TrainArgs},
    command::train,
    render::line,
    resolve,
};

/// Warm-up rounds, which allocate memory and transform filters.
const WARM_UP: usize = 2;
/// Rows and classes of noise images.
const NOISE: (usize, u32) = (512, 10);

/// A timed task.
type Work<'a> = Box<dyn FnMut() -> Result<()> + 'a>;

pub fn run(args: &BenchArgs) -> Result<()> {
    if args.probe {
        let bandwidth = probe::bandwidth(arch()) / 1e9;
        line(json!({ "peak_gflops": peak().round(), "bandwidth_gbs": (10.0 * bandwidth).round() / 10.0 }).to_string());
        return Ok(());
    }
    if args.rounds == 0 {
        bail!("--rounds 0: give at least 1");
    }
    let device = pfgm::device::open(&args.compute.device)?;
    let report = match (args.network, &args.what) {
        (Some(BenchNetwork::Resunet), None) if args.compute.precision.is_some() => {
            bail!("--precision: this network is computed in single precision, as in PyTorch; omit it")
        }
        (Some(BenchNetwork::Resunet), None) => resunet(args, &device)?,
        (None, Some(what)) => flow(args, what, &device)?,
        (Some(_), Some(_)) => bail!("--network: omit it with a preset or run, which defines its own network"),
        (None, None) => bail!("give a preset, a configuration, a run, or --network resunet"),
    };
    line(serde_json::to_string_pretty(&report)?);
    Ok(())
}

/// Billions of operations per second on registers, all threads together.
fn peak() -> f64 {
    probe::peak(arch()) / 1e9
}

/// Times the requested tasks.
fn report(
    args: &BenchArgs,
    name: &str,
    batch: usize,
    mut inference: Work,
    mut training: Option<Work>,
) -> Result<Value> {
    let mut failed = None;
    let forward = flop_count::count(|| failed = inference().err());
    if let Some(error) = failed {
        return Err(error);
    }
    let mut tasks = Map::new();
    if args.task != Some(BenchTask::Training) {
        tasks.insert("inference".into(), time(args.rounds, batch, forward, &mut inference)?);
    }
    if let Some(training) = &mut training {
        // A backward pass is two more products for each of the forward pass.
        tasks.insert("training".into(), time(args.rounds, batch, 3 * forward, training)?);
    }
    Ok(json!({
        "network": name,
        "batch": batch,
        "threads": rayon::current_num_threads(),
        "vectors": simd::name(arch()),
        "tasks": tasks,
        "peak_memory_mb": status("VmHWM:").map(|kilobytes| kilobytes / 1024.0),
    }))
}

/// Times a task, with the speed of the processor before and after each round.
fn time(rounds: usize, batch: usize, operations: u64, work: &mut Work) -> Result<Value> {
    for _ in 0..WARM_UP {
        work()?;
    }
    let (mut seconds, mut peaks, mut faults) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let (before, faults_before) = (peak(), page_faults());
        let started = Instant::now();
        work()?;
        seconds.push(started.elapsed().as_secs_f64());
        faults.extend(page_faults().zip(faults_before).map(|(after, before)| after - before));
        peaks.push(before.min(peak()));
    }
    let mut sorted = seconds.clone();
    sorted.sort_by(f64::total_cmp);
    let median = (sorted[(rounds - 1) / 2] + sorted[rounds / 2]) / 2.0;
    let mean_faults = (!faults.is_empty()).then(|| faults.iter().sum::<u64>() as f64 / faults.len() as f64);
    let milliseconds = |seconds: f64| (seconds * 1e6).round() / 1e3;
    Ok(json!({
        "median_ms": milliseconds(median),
        "min_ms": milliseconds(sorted[0]),
        "max_ms": milliseconds(sorted[rounds - 1]),
        "images_per_second": (batch as f64 / median).round(),
        "gflop": (operations as f64 / 1e7).round() / 100.0,
        "gflops": (operations as f64 / median / 1e8).round() / 10.0,
        "page_faults": mean_faults,
        "samples_ms": seconds.into_iter().map(milliseconds).collect::<Vec<_>>(),
        "peak_gflops": peaks.into_iter().map(f64::round).collect::<Vec<_>>(),
    }))
}

/// A number of /proc/self/status, if there is one.
fn status(key: &str) -> Option<f64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    text.lines().find_map(|line| line.strip_prefix(key)?.split_whitespace().next()?.parse().ok())
}

/// Page faults of this process, if the system counts them.
fn page_faults() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program may contain spaces, the fields after it do not.
    text.rsplit(')').next()?.split_whitespace().nth(7)?.parse().ok()
}

fn normal(count: usize, seed: u64) -> Vec<f32> {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    // Only the variance matters: a uniform distribution with unit variance.
    (0..count).map(|_| rng.random_range(-1.732..1.732)).collect()
}

/// The network of bench/torch_resunet.py.
fn resunet(args: &BenchArgs, device: &Device) -> Result<Value> {
    let batch = args.batch.unwrap_or(32);
    let [height, width, channels] = ResUnet::IMAGE;
    let image = normal(batch * height * width * channels, 1);
    let embedding = normal(batch * ResUnet::EMBEDDING, 2);
    let inputs = |device: &Device| {
        let image = TensorData::new(image.clone(), [batch, height, width, channels]);
        let embedding = TensorData::new(embedding.clone(), [batch, ResUnet::EMBEDDING]);
        (Tensor::<4>::from_data(image, device), Tensor::<2>::from_data(embedding, device))
    };
    let network = ResUnet::new(0, device);
    let (x, e) = inputs(device);
    let inference = Box::new(move || {
        let y = network.forward(x.clone(), e.clone()).into_data();
        std::hint::black_box(y.as_slice::<f32>().context("single precision")?[0]);
        Ok(())
    });
    let training: Option<Work> = (args.task != Some(BenchTask::Inference)).then(|| {
        let device = device.clone().autodiff();
        let mut network = ResUnet::new(0, &device);
        let mut optimizer = Optimizer::new(&network);
        let (x, e) = inputs(&device);
        let config = TrainConfig { clip: 0.0, ..TrainConfig::default() };
        let mut step = 0;
        let work: Work = Box::new(move || {
            let loss = (network.forward(x.clone(), e.clone()) - x.clone()).square().sum();
            let gradients = FlatGradients::take(&network, &mut loss.backward());
            step += 1;
            network = optimizer.step(network.clone(), gradients, 0.0, step, &config);
            Ok(())
        });
        work
    });
    report(args, "resunet", batch, inference, training)
}

/// The network of a preset, a configuration or a run.
fn flow(args: &BenchArgs, what: &str, device: &Device) -> Result<Value> {
    let saved = Path::new(what).exists() && !what.ends_with(".toml");
    let run = saved.then(|| resolve::model(Path::new(what), &args.compute)).transpose()?;
    let mut config = match &run {
        Some(run) => run.spec().config.clone(),
        None => {
            let mut set = args.set.clone();
            set.extend(args.batch.map(|batch| format!("train.batch={batch}")));
            resolve::plan(&TrainArgs { what: Some(what.to_owned()), set, ..TrainArgs::default() })?.config
        }
    };
    config.train.batch = args.batch.unwrap_or(config.train.batch);
    if let Some(precision) = args.compute.precision {
        precision.check(&config.network, device).context("--precision")?;
        (config.train.precision, config.sample.precision) = (precision, precision);
    }
    let batch = config.train.batch;
    let data = match (&args.shape, &run) {
        (Some(shape), _) => noise_images(shape)?,
        // An imported checkpoint has no data.
        (None, Some(run)) if run.spec().data.rows == 0 => noise(run.spec().data.shape, run.classes().len() as u32)?,
        (None, _) => train::load(&config, None).context("--shape 28x28x1 measures without data")?.0,
    };
    let new = || Model::builder().config(config.clone()).device(device).build(&data);
    let model = run.map_or_else(new, Ok)?;
    let classes = model.classes().len() as u32;
    let labels: Vec<Option<u32>> = (0..batch as u32).map(|item| item.checked_rem(classes)).collect();
    let dim = model.dim();
    let x: Vec<f64> = normal(batch * dim, 1).into_iter().map(f64::from).collect();
    let (sigma, item) = (vec![1.0; batch], (0..batch).collect::<Vec<_>>());
    let mut out = vec![0.0; batch * dim];
    let training: Option<Work> = if args.task == Some(BenchTask::Inference) {
        None
    } else {
        let mut trainer = new()?.trainer(&data, None)?;
        Some(Box::new(move || Ok(trainer.take_step().map(|_| ())?)))
    };
    let denoiser = model.denoiser(labels, 1.0);
    let inference = Box::new(|| {
        denoiser.denoise(&Query { x: &x, sigma: &sigma, item: &item }, &mut out);
        Ok(())
    });
    report(args, what, batch, inference, training)
}

/// Images of noise, of the size that the command line names.
fn noise_images(shape: &str) -> Result<Dataset> {
    let sides: Vec<usize> = shape.split('x').filter_map(|side| side.parse().ok()).collect();
    let [height, width, channels @ (1 | 3)] = sides[..] else {
        bail!("--shape {shape}: write height, width and 1 or 3 channels, as in 28x28x1");
    };
    noise(Shape::Image { height, width, channels }, NOISE.1)
}

/// Rows of noise, with labels if there are classes.
fn noise(shape: Shape, classes: u32) -> Result<Dataset> {
    let (rows, mut rng) = (NOISE.0, rand_chacha::ChaCha8Rng::seed_from_u64(3));
    let pixels = (0..rows * shape.dim()).map(|_| rng.random()).collect();
    let data = Dataset::from_bytes(pixels, shape)?.with_name("noise");
    if classes == 0 {
        return Ok(data);
    }
    let names = (0..classes).map(|class| class.to_string());
    let labels = (0..rows as u32).map(|row| row % classes).collect();
    Ok(data.with_labels(labels)?.with_class_names(names)?)
}
