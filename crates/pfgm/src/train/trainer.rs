//! The state of a training, and its steps.

use std::{
    hash::Hash,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use burn::{
    module::Module,
    tensor::{Device, Tensor, TensorData},
};
use pfgm_data::Dataset;

use super::{
    batches::Batch,
    error::TrainError,
    inverse::Fake,
    memory::memory_estimate,
    optimizer::Optimizer,
    power::PowerAverages,
    ranks::{Fingerprints, add_values, fingerprint},
    run_lock::RunLock,
    training_set::{EpochPermutation, TrainingSet},
};
use crate::{
    checkpoint::{Checkpoint, CheckpointError, Group},
    config::{Config, TrainConfig},
    network::Network,
    objective::Objective,
    parallel::{Communicator, Solo},
    spec::{ModelError, ModelSpec},
    weights::{self, Weight},
};

/// A training in progress.
///
/// Each step is a function of the configuration, the seed and the number of the step, on any number of ranks: see
/// [`Trainer::distributed`].
pub struct Trainer {
    pub(super) spec: ModelSpec,
    pub(super) data: TrainingSet,
    pub(super) held_out: Option<TrainingSet>,
    pub(super) network: Network,
    /// Network that is distilled, or whose guidance is, if any.
    pub(super) teacher: Option<Network>,
    /// Network that learns the samples of a generator, if the objective has one.
    pub(super) fake: Option<Fake>,
    optimizer: Optimizer,
    /// Averages of `train.snapshot_every`, if the training keeps them.
    power: Option<PowerAverages>,
    pub(super) step: u64,
    pub(super) device: Device,
    /// Order of the epoch that the last batch came from.
    order: EpochPermutation,
    pub(super) ranks: Arc<dyn Communicator>,
    /// The next batch, if it was drawn while gradients were exchanged.
    next: Option<Batch>,
    /// Memory of the last step's buckets.
    spare: Vec<Vec<f32>>,
    /// Lock on the folder of the run.
    lock: Option<RunLock>,
    pub(super) micro_batches: AtomicU64,
}

impl Trainer {
    /// Creates a training that begins with fresh weights. Rows of `held_out` are not trained on; the loss is measured on them.
    ///
    /// # Errors
    /// Returns an error if the network does not fit the data, the device or the memory, or the objective needs the weights of a trained run.
    pub fn new(spec: ModelSpec, data: Dataset, held_out: Option<Dataset>, device: &Device) -> Result<Self, TrainError> {
        if spec.config.objective.needs_teacher() {
            return Err(TrainError::NoTeacher);
        }
        Self::with_fresh_weights(spec, data, held_out, device)
    }

    fn with_fresh_weights(
        spec: ModelSpec,
        data: Dataset,
        held_out: Option<Dataset>,
        device: &Device,
    ) -> Result<Self, TrainError> {
        let mut device = device.clone().autodiff();
        let Config { network, train, sample, .. } = &spec.config;
        for (key, precision) in [("train.precision", train.precision), ("sample.precision", sample.precision)] {
            precision.check(network, &device).map_err(|error| TrainError::Precision(key, error))?;
        }
        if train.recompute {
            device = device.gradient_checkpointing();
        }
        memory_estimate(&spec, spec.weight_count()?, &data).check()?;
        let network = spec.network(&device).map_err(ModelError::from)?;
        let (optimizer, network) = match spec.config.train.normalize_weights {
            true => Optimizer::normalizing(network),
            false => (Optimizer::new(&network), network),
        };
        let TrainConfig { snapshot_every, sigma_rel, .. } = spec.config.train;
        Ok(Self {
            power: (snapshot_every > 0).then(|| PowerAverages::new(sigma_rel, optimizer.weights())),
            optimizer,
            data: TrainingSet::new(data, &spec),
            held_out: held_out.map(|rows| TrainingSet::new(rows, &spec)),
            spec,
            network,
            teacher: None,
            fake: None,
            step: 0,
            device,
            order: EpochPermutation::default(),
            ranks: Arc::new(Solo),
            next: None,
            spare: Vec::new(),
            lock: None,
            micro_batches: AtomicU64::new(0),
        })
    }

    /// Locks the folder of a run for this training, until the trainer is dropped. Does nothing on ranks other than 0, which do not write.
    ///
    /// # Errors
    /// Returns an error if another process or trainer holds the lock, or the folder cannot be written to.
    pub fn claim(&mut self, folder: &Path) -> Result<(), TrainError> {
        if self.ranks.is_root() && self.lock.as_ref().is_none_or(|lock| lock.folder() != folder) {
            self.lock = Some(RunLock::acquire(folder)?);
        }
        Ok(())
    }

    /// The same training with a lock that was acquired before.
    #[must_use]
    pub fn with_lock(self, lock: Option<RunLock>) -> Self {
        Self { lock, ..self }
    }

    /// The same training on many ranks. Each rank computes its share of every batch, all take the same steps, and rank 0 writes.
    ///
    /// # Errors
    /// Returns an error if the ranks differ in configuration, data or weights, or there are more ranks than items in a batch.
    pub fn distributed(mut self, ranks: Arc<dyn Communicator>) -> Result<Self, TrainError> {
        let batch = self.spec.config.train.batch;
        if ranks.size() > batch {
            return Err(TrainError::Ranks { batch, ranks: ranks.size() });
        }
        self.ranks = ranks;
        self.check_ranks()?;
        Ok(self)
    }

    /// Checks that all ranks are in the same state.
    ///
    /// # Errors
    /// Returns the same error on each rank: the first rank that differs from rank 0, and in what.
    pub(super) fn check_ranks(&self) -> Result<(), TrainError> {
        if self.ranks.size() == 1 {
            return Ok(());
        }
        let spec = serde_json::to_string(&self.spec).expect("a specification is plain data");
        let weights = fingerprint(|hasher| {
            self.step.hash(hasher);
            weights::collect(&self.network).iter().for_each(|weight| add_values(hasher, &weight.values));
            let fake = self.fake.iter().flat_map(Fake::groups).flat_map(|(_, weights)| weights);
            fake.for_each(|weight| add_values(hasher, &weight.values));
            for state in self.optimizer.state() {
                add_values(hasher, &state.to_data().try_to_vec::<f32>().expect("single precision"));
            }
        });
        let configuration = fingerprint(|hasher| spec.hash(hasher));
        Fingerprints { configuration, data: self.data.fingerprint()?, weights }.check(&*self.ranks)
    }

    /// Creates a training that continues from a checkpoint. Errors name `path`.
    ///
    /// # Errors
    /// Returns an error if the weights or the state of the optimizer do not fit the network.
    pub fn resume(
        checkpoint: &Checkpoint,
        path: &Path,
        data: Dataset,
        held_out: Option<Dataset>,
        device: &Device,
    ) -> Result<Self, TrainError> {
        let mut trainer = Self::with_fresh_weights(checkpoint.spec.clone(), data, held_out, device)?;
        let wrong = |source| CheckpointError::Weights { path: path.to_owned(), source };
        trainer.network = weights::assign(trainer.network, checkpoint.group(Group::Network)).map_err(wrong)?;
        if trainer.spec.config.objective.needs_teacher() {
            if checkpoint.group(Group::Teacher).is_empty() {
                return Err(TrainError::NoTeacher);
            }
            let teacher = weights::assign(trainer.network.clone(), checkpoint.group(Group::Teacher)).map_err(wrong)?;
            trainer.teacher = Some(teacher.valid());
        }
        if let Objective::Inverse(_) = trainer.spec.config.objective {
            trainer.fake = Some(Fake::restore(checkpoint, &trainer.network).map_err(wrong)?);
        }
        let inner = trainer.device.clone().inner();
        let names = weights::names_and_shapes(&trainer.network);
        let values = |group: Group| -> Result<Vec<f32>, CheckpointError> {
            weights::check(&trainer.network, checkpoint.group(group)).map_err(wrong)?;
            let weights = names.iter().map(|(name, _)| &checkpoint.group(group)[name]);
            Ok(weights.flat_map(|weight| &weight.values).copied().collect())
        };
        let flat = |group: Group| -> Result<Tensor<1>, CheckpointError> {
            let values = values(group)?;
            let count = values.len();
            Ok(Tensor::from_data(TensorData::new(values, [count]), &inner))
        };
        let power = match checkpoint.group(Group::PowerNarrow).is_empty() || trainer.power.is_none() {
            true => None,
            false => Some([values(Group::PowerNarrow)?, values(Group::PowerWide)?]),
        };
        let (first, second, average) = (flat(Group::First)?, flat(Group::Second)?, flat(Group::Average)?);
        trainer.optimizer = Optimizer::restore(&trainer.network, first, second, average);
        trainer.step = checkpoint.step;
        if trainer.spec.config.train.normalize_weights && trainer.step == 0 {
            // Weights that a training starts from, such as averages, are not normalized yet.
            (trainer.optimizer, trainer.network) = Optimizer::normalizing(trainer.network);
        }
        if let Some(averages) = power {
            let sigma_rel = trainer.spec.config.train.sigma_rel;
            trainer.power = Some(PowerAverages::restore(sigma_rel, averages, &inner));
        }
        Ok(trainer)
    }

    /// Number of steps taken so far.
    pub fn steps_taken(&self) -> u64 {
        self.step
    }

    /// Number of backward passes so far: one for each part that a batch is computed in (`train.accumulate`).
    pub fn micro_batches(&self) -> u64 {
        self.micro_batches.load(Ordering::Relaxed)
    }

    /// Takes over the settings that may change in a run that is resumed: its length, and when it saves and logs.
    pub fn reschedule(&mut self, wanted: &TrainConfig) {
        let train = &mut self.spec.config.train;
        train.steps = wanted.steps;
        train.checkpoint_every = wanted.checkpoint_every;
        train.keep = wanted.keep;
        train.log_every = wanted.log_every;
    }

    /// Specification of the run.
    pub fn spec(&self) -> &ModelSpec {
        &self.spec
    }

    /// The network with its current weights.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The network with averaged weights.
    pub fn averaged(&self) -> Network {
        self.optimizer.averaged(&self.network)
    }

    /// Copies the state of the training into a checkpoint.
    pub fn checkpoint(&self) -> Checkpoint {
        let network = weights::collect(&self.network);
        let [first, second, average] = self.optimizer.state().map(|flat| weights_like(&network, flat));
        let power = self.power_groups(&network);
        let groups =
            [(Group::Average, average), (Group::First, first), (Group::Second, second), (Group::Network, network)];
        let teacher = self.teacher.iter().map(|teacher| (Group::Teacher, weights::collect(teacher)));
        let others = teacher.chain(self.fake.iter().flat_map(Fake::groups));
        Checkpoint::new(self.step, self.spec.clone(), groups.into_iter().chain(others).chain(power))
    }

    /// Copies the power-function averages into a checkpoint of their own; `None` if the training keeps none.
    pub(super) fn snapshot(&self) -> Option<Checkpoint> {
        let groups = self.power_groups(&weights::collect(&self.network));
        (!groups.is_empty()).then(|| Checkpoint::new(self.step, self.spec.clone(), groups))
    }

    fn power_groups(&self, like: &[Weight]) -> Vec<(Group, Vec<Weight>)> {
        let Some(power) = &self.power else { return Vec::new() };
        let groups = [Group::PowerNarrow, Group::PowerWide].into_iter().zip(power.values());
        groups.map(|(group, flat)| (group, weights_like(like, flat))).collect()
    }

    /// Takes one step of the optimizer, without log or checkpoint. Returns the loss and the norm of the gradient.
    ///
    /// # Errors
    /// Returns an error if the loss or a gradient is not finite, or a row cannot be read.
    pub fn take_step(&mut self) -> Result<(f64, f64), TrainError> {
        let train = self.spec.config.train.clone();
        let mut order = std::mem::take(&mut self.order);
        let batch = match self.next.take() {
            Some(batch) if batch.step == self.step => batch,
            _ => self.sampler().batch(self.step, &mut order)?,
        };
        let batch = self.with_samples(batch);
        self.fake_step(&batch)?;
        let (loss, gradients) = if self.ranks.size() == 1 {
            self.gradients(&batch, None)
        } else {
            let mut spare = std::mem::take(&mut self.spare);
            let (loss, gradients, next) = self.summed_gradients(&batch, &mut order, &mut spare);
            // A batch that cannot be read is drawn again, and the error returned, in its own step.
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
        if let Some(power) = &mut self.power {
            power.add(self.optimizer.weights(), self.step);
        }
        Ok((loss, norm))
    }
}

/// Values of all weights, concatenated, with the names and shapes of `like`.
pub(super) fn weights_like(like: &[Weight], flat: &Tensor<1>) -> Vec<Weight> {
    let values: Vec<f32> = flat.to_data().try_to_vec().expect("single precision");
    let mut rest = values.as_slice();
    let part = |weight: &Weight| {
        let (values, others) = rest.split_at(weight.values.len());
        rest = others;
        Weight { values: values.to_vec(), ..weight.clone() }
    };
    like.iter().map(part).collect()
}
