//! Steps of inverse Poisson flow matching: the fake network, and the gradient of the generator.

use std::ops::Range;

use burn::{
    module::Module,
    tensor::{Tensor, TensorData},
};

use super::{
    batches::Batch,
    error::TrainError,
    optimizer::{FlatGradients, Optimizer, flatten},
    trainer::{Trainer, weights_like},
};
use crate::{
    checkpoint::{Checkpoint, Group},
    config::TrainConfig,
    flow::{Denoiser, Differentiable, Query},
    network::Network,
    objective::{InverseObjective, Objective},
    prediction::{Loss, TrainingPoints},
    random::{Purpose, stream},
    weights::{self, Weight, WeightError},
};

/// The network that learns `yhat` of the generator's samples.
pub(super) struct Fake {
    pub(super) network: Network,
    pub(super) optimizer: Optimizer,
}

/// What the noise of a sample is drawn for.
#[derive(Clone, Copy)]
enum NoiseOf {
    Fake,
    Generator,
}

impl Fake {
    /// Its part of a checkpoint.
    pub(super) fn groups(&self) -> [(Group, Vec<Weight>); 3] {
        let network = weights::collect(&self.network);
        let [first, second, _] = self.optimizer.state().map(|flat| weights_like(&network, flat));
        [(Group::Fake, network), (Group::FakeFirst, first), (Group::FakeSecond, second)]
    }

    /// The fake of a checkpoint; the teacher, if the training has not begun.
    pub(super) fn restore(checkpoint: &Checkpoint, like: &Network) -> Result<Self, WeightError> {
        let group = |group| weights::assign(like.clone(), checkpoint.group(group));
        if checkpoint.group(Group::Fake).is_empty() {
            let network = group(Group::Teacher)?;
            return Ok(Self { optimizer: Optimizer::new(&network), network });
        }
        let network = group(Group::Fake)?;
        let [first, second] = [group(Group::FakeFirst)?, group(Group::FakeSecond)?].map(|moment| flatten(&moment));
        let average = flatten(&network);
        Ok(Self { optimizer: Optimizer::restore(&network, first, second, average), network })
    }
}

impl Trainer {
    /// The batch with the generator's samples as `yhat` of its points. Batches of other objectives stay as they are.
    pub(super) fn with_samples(&self, mut batch: Batch) -> Batch {
        if self.fake.is_none() {
            return batch;
        }
        let (generator, device) = (self.network.valid(), self.device.clone().inner());
        let samples = self.parts_of(&batch).flat_map(|items| {
            let rows: Vec<usize> = items.clone().collect();
            let conditioning = batch.conditioning.tensors(&rows, self.spec.data.classes.len(), &device);
            self.estimates(&generator, &batch.points.slice(items), conditioning, None)
        });
        batch.points.yhat = samples.collect();
        batch
    }

    /// Trains the fake for one step on the generator's samples. Does nothing for other objectives.
    pub(super) fn fake_step(&mut self, batch: &Batch) -> Result<(), TrainError> {
        let (Objective::Inverse(objective), Some(fake)) = (&self.spec.config.objective, &self.fake) else {
            return Ok(());
        };
        let loss_of = |items: Range<usize>| {
            let points = self.perturbed((objective, batch), &items, NoiseOf::Fake);
            self.loss_at((&fake.network, Loss::Denoising), batch, items, points, true)
        };
        let (loss, gradients) = self.gradients_of(&fake.network, batch, None, &loss_of);
        let (loss, gradients) = self.summed_over_ranks(loss, gradients);
        let (norm, step) = (gradients.norm(), self.step + 1);
        if !loss.is_finite() || !norm.is_finite() {
            return Err(TrainError::Diverged { step, loss });
        }
        let train = &self.spec.config.train;
        let train = TrainConfig { lr: train.lr * objective.fake_rate, ..train.clone() };
        if let Some(fake) = &mut self.fake {
            fake.network = fake.optimizer.step(fake.network.clone(), gradients, norm, step, &train);
        }
        Ok(())
    }

    /// Loss of the generator on some items of a batch, summed, and its derivative with respect to their samples, `[batch, N]`.
    pub(super) fn generator_slopes(
        &self,
        objective: &InverseObjective,
        batch: &Batch,
        items: &Range<usize>,
    ) -> (f64, Vec<f32>) {
        let points = self.perturbed((objective, batch), items, NoiseOf::Generator);
        let rows: Vec<usize> = items.clone().collect();
        let double = |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect::<Vec<f64>>();
        let (x, y) = (double(&points.x), double(&points.yhat));
        let query = Query { x: &x, sigma: &points.sigma, item: &rows };
        let of = |network: &Network, guidance| {
            self.spec.denoiser(network, batch.conditioning.clone(), guidance, rows.len(), &self.device)
        };
        let teacher = of(self.teacher.as_ref().expect("the objective has a teacher"), objective.guidance);
        let fake = of(&self.fake.as_ref().expect("the objective has a fake").network, 1.0);
        let (mut t, mut p) = (vec![0.0; y.len()], vec![0.0; y.len()]);
        teacher.denoise(&query, &mut t);
        fake.denoise(&query, &mut p);
        let (mut loss, mut probes, mut sum) = (0.0, [Vec::new(), Vec::new()], Vec::with_capacity(y.len()));
        let each = y.chunks_exact(points.dim).zip(t.chunks_exact(points.dim)).zip(p.chunks_exact(points.dim));
        for ((y, teacher), fake) in each {
            let slopes = objective.slopes(y, teacher, fake);
            loss += slopes.loss;
            probes[0].extend(slopes.teacher);
            probes[1].extend(slopes.fake);
            sum.extend(slopes.sample);
        }
        // The perturbed sample moves as the sample does.
        let mut pulled = vec![0.0; y.len()];
        teacher.vjp(&query, &probes[0], &mut t, &mut pulled);
        sum.iter_mut().zip(&pulled).for_each(|(sum, pulled)| *sum += pulled);
        fake.vjp(&query, &probes[1], &mut p, &mut pulled);
        (loss, sum.iter().zip(&pulled).map(|(sum, pulled)| (sum + pulled) as f32).collect())
    }

    /// Perturbed samples of the generator.
    fn perturbed(
        &self,
        (objective, batch): (&InverseObjective, &Batch),
        items: &Range<usize>,
        noise: NoiseOf,
    ) -> TrainingPoints {
        let (seed, whole) = (self.spec.config.train.seed, self.spec.config.train.batch);
        let streams = items.clone().map(|item| {
            let number = batch.items.start + item + whole * noise as usize;
            stream(seed, Purpose::Distillation, batch.step, number as u64)
        });
        objective.perturb(self.spec.extra_dims(), self.spec.range().0, batch.points.slice(items.clone()), streams)
    }

    /// Sums of all ranks' losses and gradients.
    fn summed_over_ranks(&self, loss: f64, gradients: FlatGradients) -> (f64, FlatGradients) {
        if self.ranks.size() == 1 {
            return (loss, gradients);
        }
        let flat = gradients.narrow(0, gradients.len());
        let values: Vec<f32> = flat.clone().into_data().try_into_vec().expect("gradients are in single precision");
        let mut sums: Vec<f64> = values.into_iter().map(f64::from).chain([loss]).collect();
        self.ranks.sum(&mut sums);
        let loss = sums.pop().expect("the loss");
        let (count, sums) = (sums.len(), sums.into_iter().map(|value| value as f32).collect::<Vec<f32>>());
        (loss, FlatGradients::from_flat(Tensor::from_data(TensorData::new(sums, [count]), &flat.device())))
    }
}
