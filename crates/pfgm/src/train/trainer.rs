//! The loop.

use std::{
    cell::RefCell,
    hash::Hash,
    io,
    ops::Range,
    path::{Path, PathBuf},
    rc::Rc,
    sync::{Arc, mpsc},
    thread,
    time::Instant,
};

use burn::tensor::{Device, Tensor, TensorData};
use pfgm_burn_ops::gradient_hooks;
use pfgm_data::{DataError, Dataset};

use super::{
    batches::{Batch, BatchSampler},
    log::{Log, LogLine},
    memory::memory_estimate,
    optimizer::{FlatGradients, Optimizer, learning_rate},
    ranks::{Common, GradientBuckets, add_values, fingerprint, gradients_of},
    training_set::{EpochPermutation, TrainingSet},
};
use crate::{
    checkpoint::{self, Checkpoint, CheckpointError, Group},
    config::{Config, TrainConfig},
    memory::MemoryError,
    network::{Dropout, Network, NetworkInput, PrecisionError},
    parallel::{Communicator, Solo},
    precondition::{PreconditionCoefficients, column},
    spec::{ModelError, ModelSpec},
    weights::{self, Weight},
};

/// Whoever wants to know how a training goes, and may stop it.
pub trait Observer {
    /// A step was taken.
    fn step(&mut self, report: &StepReport);
    /// A line was written to the log.
    fn logged(&mut self, _line: &LogLine) {}
    /// Whether training should save and stop now.
    fn stop_requested(&mut self) -> bool {
        false
    }
}

/// A step that was taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepReport {
    /// Its number, from 1.
    pub step: u64,
    /// The last step's number.
    pub steps: u64,
    /// Its loss, per item and coordinate.
    pub loss: f64,
    /// The norm of its gradient before clipping.
    pub gradient_norm: f64,
    /// Items per second, smoothed.
    pub images_per_second: f64,
}

/// Why a training stopped early.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The configuration does not go with the data.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The network cannot be computed as precisely as asked.
    #[error("{0}: {1}")]
    Precision(&'static str, PrecisionError),
    /// The machine has too little memory for the training.
    #[error("the training {0}")]
    Memory(#[from] MemoryError),
    /// A checkpoint could not be read or written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A row could not be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The log could not be written.
    #[error("{path}: cannot be written: {source}")]
    Log {
        /// The log.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The loss is not a number.
    #[error("the loss of step {step} is {loss}: training has diverged; lower train.lr or raise train.warmup")]
    Diverged {
        /// The step.
        step: u64,
        /// Its loss.
        loss: f64,
    },
    /// The ranks of a training do not do the same.
    #[error("rank {rank} has {what} than rank 0; start every rank with the same program, arguments, data and run")]
    Apart {
        /// The first that differs from rank 0.
        rank: usize,
        /// In what.
        what: &'static str,
    },
    /// There is nothing to do for some ranks.
    #[error("train.batch = {batch} for {ranks} ranks: start at most as many ranks, or raise train.batch")]
    Ranks {
        /// Items of a batch.
        batch: usize,
        /// Ranks.
        ranks: usize,
    },
}

/// Rows that two data sets are told apart by.
const FINGERPRINT_ROWS: usize = 64;

/// A training in progress.
pub struct Trainer {
    record: ModelSpec,
    data: TrainingSet,
    held_out: Option<TrainingSet>,
    network: Network,
    optimizer: Optimizer,
    step: u64,
    device: Device,
    /// The order of the epoch that the last batch came from.
    order: EpochPermutation,
    ranks: Arc<dyn Communicator>,
    /// The next batch, where it was drawn while gradients were summed.
    next: Option<Batch>,
    /// Memory of the last step's buckets.
    spare: Vec<Vec<f32>>,
}

impl Trainer {
    /// A training that begins with fresh weights.
    ///
    /// # Errors
    /// When the network does not fit the data.
    pub fn new(
        record: ModelSpec,
        data: Dataset,
        held_out: Option<Dataset>,
        device: &Device,
    ) -> Result<Self, TrainError> {
        let mut device = device.clone().autodiff();
        let Config { network, train, sample, .. } = &record.config;
        for (key, precision) in [("train.precision", train.precision), ("sample.precision", sample.precision)] {
            precision.check(network, &device).map_err(|error| TrainError::Precision(key, error))?;
        }
        if record.config.train.recompute {
            device = device.gradient_checkpointing();
        }
        let weights = record.weight_count()?;
        memory_estimate(&record, weights, &data).check()?;
        let network = record.network(&device).map_err(ModelError::from)?;
        let optimizer = Optimizer::new(&network);
        let data = TrainingSet::new(data, &record);
        let held_out = held_out.map(|rows| TrainingSet::new(rows, &record));
        let ranks = Arc::new(Solo);
        Ok(Self {
            record,
            data,
            held_out,
            network,
            optimizer,
            step: 0,
            device,
            order: EpochPermutation::default(),
            ranks,
            next: None,
            spare: Vec::new(),
        })
    }

    /// The same training on many ranks: each computes its share of every batch, and all take the same steps. Rank 0 writes.
    ///
    /// # Errors
    /// When the ranks do not have the same configuration, data and weights, or are more than a batch has items.
    pub fn distributed(mut self, ranks: Arc<dyn Communicator>) -> Result<Self, TrainError> {
        let batch = self.record.config.train.batch;
        if ranks.size() > batch {
            return Err(TrainError::Ranks { batch, ranks: ranks.size() });
        }
        self.ranks = ranks;
        self.check_ranks()?;
        Ok(self)
    }

    /// Checks that all ranks are in the same state.
    fn check_ranks(&self) -> Result<(), TrainError> {
        if self.ranks.size() == 1 {
            return Ok(());
        }
        let record = serde_json::to_string(&self.record).expect("a record is plain data");
        let configuration = fingerprint(|hasher| record.hash(hasher));
        // Rows far apart tell data sets apart.
        let rows: Vec<usize> = (0..FINGERPRINT_ROWS).map(|at| at * self.data.len() / FINGERPRINT_ROWS).collect();
        let mut values = Vec::new();
        self.data.read(&rows, &mut values)?;
        let data = fingerprint(|hasher| {
            self.data.len().hash(hasher);
            add_values(hasher, &values);
        });
        let weights = fingerprint(|hasher| {
            self.step.hash(hasher);
            weights::collect(&self.network).iter().for_each(|weight| add_values(hasher, &weight.values));
            for state in self.optimizer.state() {
                add_values(hasher, &state.to_data().try_to_vec::<f32>().expect("single precision"));
            }
        });
        Common { configuration, data, weights }.check(&*self.ranks)
    }

    /// A training that goes on where a checkpoint was written.
    ///
    /// # Errors
    /// When the checkpoint's weights are not those of its network.
    pub fn resume(
        checkpoint: &Checkpoint,
        path: &Path,
        data: Dataset,
        held_out: Option<Dataset>,
        device: &Device,
    ) -> Result<Self, TrainError> {
        let mut trainer = Self::new(checkpoint.record.clone(), data, held_out, device)?;
        let wrong = |source| CheckpointError::Weights { path: path.to_owned(), source };
        trainer.network = weights::assign(trainer.network, checkpoint.group(Group::Network)).map_err(wrong)?;
        let names = weights::names_and_shapes(&trainer.network);
        let flat = |group: Group| -> Result<Tensor<1>, CheckpointError> {
            let mut values = Vec::new();
            for (name, shape) in &names {
                let weight = checkpoint.group(group).get(name);
                let weight = weight.ok_or_else(|| wrong(weights::WeightError::Missing(name.clone())))?;
                if weight.shape != *shape {
                    let (name, found, wanted) = (name.clone(), weight.shape.clone(), shape.clone());
                    return Err(wrong(weights::WeightError::Shape { name, found, wanted }));
                }
                values.extend_from_slice(&weight.values);
            }
            let count = values.len();
            Ok(Tensor::from_data(TensorData::new(values, [count]), &trainer.device.clone().inner()))
        };
        let (first, second, average) = (flat(Group::First)?, flat(Group::Second)?, flat(Group::Average)?);
        trainer.optimizer = Optimizer::restore(&trainer.network, first, second, average);
        trainer.step = checkpoint.step;
        Ok(trainer)
    }

    /// Steps taken so far.
    pub fn steps_taken(&self) -> u64 {
        self.step
    }

    /// Takes over what a user may change in a run that goes on: how far it goes, and when it saves and logs.
    pub fn reschedule(&mut self, wanted: &TrainConfig) {
        let train = &mut self.record.config.train;
        train.steps = wanted.steps;
        train.checkpoint_every = wanted.checkpoint_every;
        train.keep = wanted.keep;
        train.log_every = wanted.log_every;
    }

    /// The run's record.
    pub fn record(&self) -> &ModelSpec {
        &self.record
    }

    /// The network as it is.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The network with averaged weights.
    pub fn averaged(&self) -> Network {
        self.optimizer.averaged(&self.network)
    }

    /// The state as a checkpoint.
    pub fn checkpoint(&self) -> Checkpoint {
        let network = weights::collect(&self.network);
        let like = |flat: &Tensor<1>| -> Vec<Weight> {
            let values: Vec<f32> = flat.to_data().try_to_vec().expect("single precision");
            let mut rest = values.as_slice();
            let part = |weight: &Weight| {
                let (values, others) = rest.split_at(weight.values.len());
                rest = others;
                Weight { values: values.to_vec(), ..weight.clone() }
            };
            network.iter().map(part).collect()
        };
        let [first, second, average] = self.optimizer.state().map(like);
        let groups =
            [(Group::Average, average), (Group::First, first), (Group::Second, second), (Group::Network, network)];
        Checkpoint::new(self.step, self.record.clone(), groups)
    }

    /// Trains until the last step, or until the observer wants to stop; writes checkpoints and the log to `run`.
    ///
    /// # Errors
    /// When the loss diverges, or a file cannot be written.
    pub fn run(&mut self, run: &Path, observer: &mut dyn Observer) -> Result<(), TrainError> {
        let log_path = run.join("log.jsonl");
        let log_error = |source| TrainError::Log { path: log_path.clone(), source };
        let mut log = self.ranks.is_root().then(|| Log::open(&log_path, self.step)).transpose().map_err(log_error)?;
        let started = Instant::now();
        let (mut since, mut losses, mut rate) = (Instant::now(), Vec::new(), 0.0);
        let mut saved = None;
        while self.step < self.record.config.train.steps {
            let step_started = Instant::now();
            let (loss, gradient_norm) = self.take_step()?;
            let train = self.record.config.train.clone();
            let now = train.batch as f64 / step_started.elapsed().as_secs_f64();
            rate = if rate == 0.0 { now } else { 0.95 * rate + 0.05 * now };
            losses.push(loss);
            observer.step(&StepReport {
                step: self.step,
                steps: train.steps,
                loss,
                gradient_norm,
                images_per_second: rate,
            });
            let last = self.step == train.steps;
            let save = last || self.step.is_multiple_of(train.checkpoint_every);
            if save || self.step.is_multiple_of(train.log_every) {
                let line = LogLine {
                    step: self.step,
                    loss: losses.iter().sum::<f64>() / losses.len() as f64,
                    gradient_norm,
                    lr: learning_rate(self.step, &train),
                    images_per_second: (losses.len() * train.batch) as f64 / since.elapsed().as_secs_f64(),
                    seconds: started.elapsed().as_secs_f64(),
                    held_out_loss: if save { self.held_out_loss()? } else { None },
                };
                if let Some(log) = &mut log {
                    log.add(&line).map_err(log_error)?;
                    observer.logged(&line);
                }
                (since, losses) = (Instant::now(), Vec::new());
            }
            if save {
                self.save(run)?;
                saved = Some(self.step);
            }
            // One that is asked to stop stops all, after the same step.
            let mut stop = [f64::from(u8::from(observer.stop_requested()))];
            self.ranks.sum(&mut stop);
            if stop[0] > 0.0 {
                break;
            }
        }
        if saved != Some(self.step) {
            self.save(run)?;
        }
        Ok(())
    }

    fn save(&self, run: &Path) -> Result<(), TrainError> {
        self.check_ranks()?;
        if !self.ranks.is_root() {
            return Ok(());
        }
        let path = checkpoint::path_of(run, self.step);
        self.checkpoint().write(&path)?;
        checkpoint::prune(run, self.record.config.train.keep);
        Ok(())
    }

    /// One step of the optimiser, without log or checkpoint. Returns the loss and the norm of the gradient.
    ///
    /// # Errors
    /// When the loss diverges.
    pub fn take_step(&mut self) -> Result<(f64, f64), TrainError> {
        let train = self.record.config.train.clone();
        let mut order = std::mem::take(&mut self.order);
        let batch = match self.next.take() {
            Some(batch) if batch.step == self.step => batch,
            _ => self.drawing().batch(self.step, &mut order)?,
        };
        let (loss, gradients) = if self.ranks.size() == 1 {
            self.gradients(&batch, None)
        } else {
            let mut spare = std::mem::take(&mut self.spare);
            let (loss, gradients, next) = self.summed_gradients(&batch, &mut order, &mut spare);
            // One that cannot be read is asked for again when its step comes.
            (self.next, self.spare) = (next.ok(), spare);
            (loss, gradients)
        };
        self.order = order;
        let norm = gradients.norm();
        self.step += 1;
        if !loss.is_finite() || !norm.is_finite() {
            return Err(TrainError::Diverged { step: self.step, loss });
        }
        self.network = self.optimizer.step(self.network.clone(), gradients, norm, self.step, &train);
        Ok((loss, norm))
    }

    /// The loss of a batch's items, and its gradients; `buckets` sends gradients of convolutions to the other ranks as soon as they are computed.
    fn gradients(&self, batch: &Batch, buckets: Option<&Rc<RefCell<GradientBuckets>>>) -> (f64, FlatGradients) {
        let train = &self.record.config.train;
        let part = train.batch.div_ceil(train.accumulate);
        let (mut loss, mut gradients) = (0.0, None);
        let count = batch.items.len();
        for first in (0..count).step_by(part) {
            let items = first..(first + part).min(count);
            let masks = Dropout::new(train.seed, batch.step, batch.items.start + items.start, items.len());
            let part_loss = self.loss(&self.network, batch, items, Some(masks)).div_scalar(train.batch as f64);
            let mut graph = match buckets.filter(|_| first + part >= count) {
                Some(buckets) => {
                    buckets.borrow_mut().expect_last_part(gradients.as_ref());
                    let buckets = Rc::clone(buckets);
                    let push = move |node: u64, gradient: &[f32]| buckets.borrow_mut().push(node, gradient);
                    gradient_hooks::with_hook(push, || part_loss.backward())
                }
                None => part_loss.backward(),
            };
            loss += f64::from(part_loss.into_scalar::<f32>());
            let part_gradients = FlatGradients::take(&self.network, &mut graph);
            gradients = Some(match gradients {
                Some(gradients) => part_gradients.plus(gradients),
                None => part_gradients,
            });
        }
        (loss, gradients.expect("a batch has at least one part"))
    }

    /// The loss and the gradients of all ranks together, and the next batch, which is drawn while gradients are on their way.
    /// `spare` is memory of the last step's buckets.
    fn summed_gradients(
        &self,
        batch: &Batch,
        order: &mut EpochPermutation,
        spare: &mut Vec<Vec<f32>>,
    ) -> (f64, FlatGradients, Result<Batch, DataError>) {
        let (sender, receiver) = mpsc::channel();
        let buckets = GradientBuckets::new(&self.network, sender, std::mem::take(spare));
        let (mut loss, places, next, sums) = thread::scope(|scope| {
            let sums = scope.spawn(move || self.ranks.all_reduce_stream(&receiver));
            let (loss, gradients) = self.gradients(batch, Some(&buckets));
            let places = buckets.borrow_mut().finish(&gradients);
            // The sums are complete when no sender is left.
            drop(buckets);
            let next = self.drawing().batch(batch.step + 1, order);
            ([loss], places, next, sums.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        });
        self.ranks.sum(&mut loss);
        let gradients = gradients_of(&sums, &places, &self.device.clone().inner());
        *spare = sums;
        (loss[0], gradients, next)
    }

    /// What batches are drawn from.
    fn drawing(&self) -> BatchSampler<'_> {
        BatchSampler { record: &self.record, data: &self.data, share: self.ranks.share(self.record.config.train.batch) }
    }

    /// Loss of some items of a batch, summed.
    fn loss(&self, network: &Network, batch: &Batch, items: Range<usize>, mut masks: Option<Dropout>) -> Tensor<1> {
        let device = if masks.is_some() { self.device.clone() } else { self.device.clone().inner() };
        let points = batch.points.slice(items.clone());
        let prediction = self.record.prediction_of(batch.shape);
        let coefficients = prediction.coefficients(&points.x, &points.sigma);
        let of_rows = |of: fn(&PreconditionCoefficients) -> f64| column(&coefficients, of, &device);
        let rows: Vec<usize> = items.collect();
        let conditioning = batch.conditioning.tensors(&rows, self.record.data.classes.len(), &device);
        let raw = network.forward(NetworkInput {
            x: points.tensor(&points.x, &device) * of_rows(|row| row.input),
            noise: of_rows(|row| row.noise),
            log_sigma_ratio: of_rows(|row| row.log_sigma_ratio),
            conditioning,
            dropout: masks.as_mut(),
            precision: self.record.config.train.precision,
        });
        prediction.loss(&points, raw, &coefficients)
    }

    /// The loss per item of the averaged weights on held-out rows, with noise that is the same at every step.
    pub fn held_out_loss(&self) -> Result<Option<f64>, DataError> {
        let Some(data) = self.held_out.as_ref() else { return Ok(None) };
        let network = self.averaged();
        let mut total = [0.0];
        for batch in self.drawing().held_out(data, (self.ranks.rank(), self.ranks.size()))? {
            let batch = batch?;
            let loss = self.loss(&network, &batch, 0..batch.items.len(), None);
            total[0] += f64::from(loss.into_scalar::<f32>());
        }
        self.ranks.sum(&mut total);
        Ok(Some(total[0] / data.len() as f64))
    }
}
