//! Training and sampling on several ranks, here threads of one process; crates/cli/tests/mpi.rs uses MPI.
#![allow(missing_docs)]

use std::{
    fs,
    sync::{Arc, Barrier, Mutex, mpsc::Receiver},
    thread,
};

use burn::tensor::Device;
use pfgm::{
    Model,
    conditioning::UpscaleConfig,
    config::Config,
    extra_dims::ExtraDims::Finite,
    likelihood::Probe,
    model::{Distill, Likelihood, Rows, Trace},
    network::{NetworkConfig, UnetConfig},
    objective::{FieldObjective, Objective},
    parallel::Communicator,
    random::{Purpose, stream},
    solver::{Method, Solver},
    spec::ModelSpec,
    train::{TrainError, Trainer},
    weights::{self, Weight},
};
use pfgm_data::{Dataset, Load, OpenOptions};
use rand::RngExt;

/// A rank on a thread; ranks communicate through a shared table.
struct Rank {
    rank: usize,
    table: Arc<(Barrier, Mutex<Vec<Vec<u8>>>)>,
    size: usize,
}

impl Rank {
    /// The contribution of each rank.
    fn meet(&self, bytes: Vec<u8>) -> Vec<Vec<u8>> {
        let (barrier, table) = &*self.table;
        table.lock().unwrap()[self.rank] = bytes;
        barrier.wait();
        let all = table.lock().unwrap().clone();
        barrier.wait();
        all
    }
}

impl Communicator for Rank {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn on_host(&self) -> (usize, usize) {
        (self.rank, self.size)
    }

    fn all_reduce_stream(&self, buckets: &Receiver<Vec<f32>>) -> Vec<Vec<f32>> {
        let buckets: Vec<Vec<f32>> = buckets.iter().collect();
        let lengths: Vec<u8> = buckets.iter().flat_map(|bucket| bucket.len().to_le_bytes()).collect();
        let all = self.meet(lengths.clone());
        assert!(all.iter().all(|other| *other == lengths), "all ranks send buckets of the same lengths");
        let sum = |bucket: Vec<f32>| {
            let all = self.meet(bytemuck::cast_slice(&bucket).to_vec());
            let mut sum = vec![0.0; bucket.len()];
            for other in all {
                sum.iter_mut().zip(bytemuck::pod_collect_to_vec::<u8, f32>(&other)).for_each(|(sum, x)| *sum += x);
            }
            sum
        };
        buckets.into_iter().map(sum).collect()
    }

    fn sum(&self, values: &mut [f64]) {
        let all = self.meet(bytemuck::cast_slice(values).to_vec());
        values.fill(0.0);
        for other in all {
            values.iter_mut().zip(bytemuck::pod_collect_to_vec::<u8, f64>(&other)).for_each(|(sum, x)| *sum += x);
        }
    }

    fn broadcast(&self, bytes: Vec<u8>) -> Vec<u8> {
        self.meet(bytes).swap_remove(0)
    }

    fn gather(&self, bytes: Vec<u8>) -> Option<Vec<Vec<u8>>> {
        let all = self.meet(bytes);
        (self.rank == 0).then_some(all)
    }

    fn abort(&self, code: u8) -> ! {
        panic!("rank {} gives up with {code}", self.rank)
    }
}

/// Runs the same work on `count` ranks, and returns their results.
fn with_ranks<T: Send>(size: usize, work: impl Fn(Arc<dyn Communicator>) -> T + Sync) -> Vec<T> {
    let table = Arc::new((Barrier::new(size), Mutex::new(vec![Vec::new(); size])));
    thread::scope(|scope| {
        let start = |rank| {
            let (table, work) = (Arc::clone(&table), &work);
            scope.spawn(move || work(Arc::new(Rank { rank, table, size })))
        };
        let threads: Vec<_> = (0..size).map(start).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

fn digits() -> Dataset {
    pfgm_data::open("digits", &OpenOptions::default()).unwrap()
}

/// A configuration with all kinds of random numbers: label dropout, mirroring, dropout in the network, augmentations.
fn config() -> Config {
    let mut config = Config::default();
    config.data.source = "digits".into();
    config.data.conditional = true;
    let unet = UnetConfig { width: 8, multipliers: vec![1, 2], blocks: 1, attention: vec![4], dropout: 0.1 };
    config.network = NetworkConfig::Unet(unet);
    config.train.batch = 16;
    config.train.steps = 20;
    config.train.warmup = 2;
    config.train.flip = true;
    config.train.label_dropout = 0.2;
    config
}

fn field_config() -> Config {
    let mut config = config();
    config.flow.extra_dims = Finite(1.0);
    config.objective = Objective::Field(FieldObjective { field_batch: 64, ..FieldObjective::default() });
    config
}

fn trainer(config: Config) -> Trainer {
    let data = digits();
    Trainer::new(ModelSpec::resolve(config, &data).unwrap(), data, None, &Device::flex()).unwrap()
}

/// Losses of twenty steps, and the weights after them.
type Outcome = (Vec<f64>, Vec<Weight>);

fn train(mut trainer: Trainer) -> Outcome {
    let losses = (0..20).map(|_| trainer.take_step().unwrap().0).collect();
    (losses, weights::collect(trainer.network()))
}

/// Returns the largest difference of weights, relative to the largest change of a weight in these steps.
fn apart(a: &[Weight], b: &[Weight], fresh: &[Weight]) -> f32 {
    let most = |a: &[Weight], b: &[Weight]| {
        let pairs = a.iter().zip(b).flat_map(|(a, b)| a.values.iter().zip(&b.values));
        pairs.fold(0.0_f32, |most, (a, b)| most.max((a - b).abs()))
    };
    most(a, b) / most(a, fresh)
}

#[test]
fn many_ranks_train_as_one_process_does() {
    let mut augmented = config();
    augmented.train.flip = false;
    augmented.train.augment = 0.5;
    augmented.train.accumulate = 2;
    let mut reference = config();
    if let Objective::Denoising(objective) = &mut reference.objective {
        objective.reference = 48;
    }
    let mut upscaling = config();
    upscaling.upscale = Some(UpscaleConfig::default());
    upscaling.train.patch = 4;
    for config in [config(), field_config(), augmented, reference, upscaling] {
        let fresh = weights::collect(trainer(config.clone()).network());
        let (losses, alone) = train(trainer(config.clone()));
        for ranks in [2, 3, 4] {
            let outcomes: Vec<Outcome> =
                with_ranks(ranks, |rank| train(trainer(config.clone()).distributed(rank).unwrap()));
            for other in &outcomes[1..] {
                assert!(*other == outcomes[0], "every rank has the same weights, to the bit");
            }
            for (step, (a, b)) in losses.iter().zip(&outcomes[0].0).enumerate() {
                assert!((a - b).abs() < 2e-5 * a, "step {step} with {ranks} ranks: {b} against {a}");
            }
            let apart = apart(&outcomes[0].1, &alone, &fresh);
            println!("{ranks} ranks: weights {apart:.1e} of their way apart");
            assert!(apart < 2e-4, "{ranks} ranks: weights are {apart} of their way apart");
        }
    }
}

#[test]
fn a_generator_is_distilled_on_many_ranks() {
    let few = digits().select(&(0..100).collect::<Vec<_>>());
    let model = Model::load("digits").unwrap().distill(&few, Distill::ipfm(3)).unwrap();
    let trained = |trainer: Trainer| {
        let mut trainer = trainer;
        for _ in 0..3 {
            trainer.take_step().unwrap();
        }
        weights::collect(trainer.network())
    };
    let fresh = weights::collect(model.network());
    let alone = trained(model.trainer(&few, None).unwrap());
    let of_ranks = with_ranks(2, |rank| trained(model.trainer(&few, None).unwrap().distributed(rank).unwrap()));
    assert!(of_ranks[0] == of_ranks[1], "every rank has the same weights, to the bit");
    let apart = apart(&of_ranks[0], &alone, &fresh);
    assert!(apart < 1e-2, "weights are {apart} of their way apart");
}

/// The order of sums is all that tells ranks from one process: one that adds the gradients of the same parts in the same order gets the same
/// weights, to the bit. One that takes the whole batch at once adds the items' gradients within each kernel, and rounds differently by about 1e-7
/// of the largest addend. Adam divides by the gradient's own size, so where addends cancel, the step differs by much more than 1e-7 of it.
#[test]
fn ranks_add_what_a_process_with_parts_adds() {
    for config in [config(), field_config()] {
        for count in [2, 4] {
            let mut parts = config.clone();
            parts.train.accumulate = count;
            let alone = train(trainer(parts));
            let outcomes: Vec<Outcome> =
                with_ranks(count, |rank| train(trainer(config.clone()).distributed(rank).unwrap()));
            assert!(outcomes[0] == alone, "{count} ranks: another sum than that of {count} parts");
        }
    }
}

#[test]
fn many_ranks_learn_from_files_what_they_learn_from_memory() {
    let folder = tempfile::tempdir().unwrap();
    let (path, data) = (folder.path().join("images-idx3-ubyte"), digits());
    let mut bytes: Vec<u8> = [0x803, data.len() as u32, 8, 8].into_iter().flat_map(u32::to_be_bytes).collect();
    let mut row = [0.0; 64];
    for index in 0..data.len() {
        data.read(index, &mut row).unwrap();
        bytes.extend(row.map(|value| value as u8));
    }
    fs::write(&path, bytes).unwrap();
    for mut config in [config(), field_config()] {
        config.data.conditional = false;
        let trained = |load: Load| {
            let options = OpenOptions { load, ..OpenOptions::default() };
            let data = pfgm_data::open(path.to_str().unwrap(), &options).unwrap();
            // Epochs that end within a batch.
            let data = data.select(&(0..100).collect::<Vec<_>>());
            with_ranks(3, |rank| {
                let spec = ModelSpec::resolve(config.clone(), &data).unwrap();
                train(Trainer::new(spec, data.clone(), None, &Device::flex()).unwrap().distributed(rank).unwrap())
            })
        };
        assert!(trained(Load::Whole) == trained(Load::Stream), "the weights differ");
    }
}

#[test]
fn ranks_that_differ_say_in_what() {
    let differ = |change: fn(&mut Config)| {
        let outcomes = with_ranks(3, |rank| {
            let mut config = config();
            if rank.rank() == 2 {
                change(&mut config);
            }
            trainer(config).distributed(rank).map(|_| ()).map_err(|error| error.to_string())
        });
        assert!(outcomes.iter().all(|outcome| *outcome == outcomes[0]), "all say the same: {outcomes:?}");
        outcomes[0].clone().unwrap_err()
    };
    let said = differ(|config| config.train.lr = 0.1);
    assert!(said.starts_with("rank 2 has another configuration than rank 0"), "{said}");
    let outcomes = with_ranks(2, |rank| {
        let mut trainer = trainer(config());
        // A step that the others have not taken.
        if rank.rank() == 1 {
            trainer.take_step().unwrap();
        }
        trainer.distributed(rank).map(|_| ()).map_err(|error| error.to_string())
    });
    assert!(outcomes[0].as_ref().unwrap_err().starts_with("rank 1 has other weights than rank 0"), "{outcomes:?}");
    let outcomes = with_ranks(2, |rank| {
        let rows: Vec<usize> = (rank.rank()..100).collect();
        let data = digits();
        let spec = ModelSpec::resolve(config(), &data).unwrap();
        let trainer = Trainer::new(spec, data.select(&rows), None, &Device::flex()).unwrap();
        trainer.distributed(rank).map(|_| ()).map_err(|error| error.to_string())
    });
    assert!(outcomes[1].as_ref().unwrap_err().starts_with("rank 1 has other data than rank 0"), "{outcomes:?}");
}

#[test]
fn a_single_row_that_differs_is_found() {
    let data = digits();
    let rows: Vec<usize> = (0..1000).collect();
    let spec = ModelSpec::resolve(config(), &data.select(&rows)).unwrap();
    let label = |row: usize| data.labels.as_ref().unwrap().of_row[row];
    for row in [617, 999] {
        // Another image of the same class: only the values differ.
        let other = (1000..data.len()).find(|&other| label(other) == label(row)).unwrap();
        let outcomes = with_ranks(2, |rank| {
            let mut rows = rows.clone();
            if rank.rank() == 1 {
                rows[row] = other;
            }
            let trainer = Trainer::new(spec.clone(), data.select(&rows), None, &Device::flex()).unwrap();
            trainer.distributed(rank).map(|_| ()).map_err(|error| error.to_string())
        });
        assert!(outcomes[0].as_ref().unwrap_err().starts_with("rank 1 has other data than rank 0"), "{outcomes:?}");
    }
}

#[test]
fn more_ranks_than_items_are_refused() {
    let mut config = config();
    config.train.batch = 2;
    let refused = with_ranks(3, |rank| {
        matches!(trainer(config.clone()).distributed(rank), Err(TrainError::Ranks { batch: 2, ranks: 3 }))
    });
    assert_eq!(refused, [true; 3]);
}

#[test]
fn many_ranks_sample_and_measure_as_one_process_does() {
    // A network in which every layer has an effect.
    let spec = ModelSpec::resolve(config(), &digits()).unwrap();
    let network = spec.network(&Device::flex()).unwrap();
    let mut rng = stream(9, Purpose::Weights, 1, 0);
    let named = weights::collect(&network).into_iter().map(|mut weight| {
        weight.values.iter_mut().for_each(|value| *value += rng.random_range(-0.05..0.05));
        (weight.name.clone(), weight)
    });
    let network = weights::assign(network, &named.collect()).unwrap();
    let model = Model::from_parts(spec, network, &Device::flex());
    for method in [Method::Heun, Method::Rk45] {
        let classes = (5..28).map(|seed| (seed % 3 > 0).then_some(seed % 10));
        let sampling = || {
            let solver = Solver::of_method(method).with_steps(4);
            model.sample(23).seed(5).classes(classes.clone()).solver(solver).batch(8)
        };
        let alone = sampling().draw().unwrap();
        let shared = with_ranks(3, |rank| sampling().draw_distributed(&*rank).unwrap());
        let together = shared[0].as_ref().unwrap();
        assert!(together.values() == alone.values(), "{method:?}: the samples differ");
        assert!((together.nfe() - alone.nfe()).abs() < 1e-9, "{} and {}", together.nfe(), alone.nfe());
        assert_eq!(shared[1..], [None, None]);
    }
    let (mut values, data) = (vec![0.0; 5 * 64], digits());
    values.chunks_exact_mut(64).enumerate().for_each(|(index, row)| data.read(7 * index, row).unwrap());
    let rows = Rows::new(values, vec![Some(1), None, Some(3), Some(9), None], true);
    let how = || {
        let likelihood = Likelihood::default().solver(Solver::rk45(1e-2)).trace(Trace::Probes(Probe::Rademacher));
        likelihood.probes(2).draws(2).seed(4).batch(6)
    };
    let alone = model.log_likelihood_of_rows(&rows, how()).unwrap();
    let shared = with_ranks(3, |rank| model.log_likelihood_distributed(&rows, how(), &*rank).unwrap());
    let together = shared[0].as_ref().unwrap();
    assert!(together.values() == alone.values() && together.summary() == alone.summary(), "{together:?} and {alone:?}");
    assert_eq!(shared[1..], [None, None]);
}
