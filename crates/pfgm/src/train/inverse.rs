//! Steps of inverse Poisson flow matching: the fake network, and the gradient of the generator.

use std::ops::Range;

use burn::{
    module::Module,
    tensor::{Tensor, TensorData},
};

use super::{
    batches::Batch,
    error::TrainError,
    optimizer::{FlatGradients, Optimizer},
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
        let moment = |of| Ok(Optimizer::new(&group(of)?).weights().clone());
        let (first, second) = (moment(Group::FakeFirst)?, moment(Group::FakeSecond)?);
        let average = Optimizer::new(&network).weights().clone();
        Ok(Self { optimizer: Optimizer::restore(&network, first, second, average), network })
    }
}

impl Trainer {
    /// Trains the fake for one step on samples of the generator. Does nothing for other objectives.
    pub(super) fn fake_step(&mut self, batch: &Batch) -> Result<(), TrainError> {
        let (Objective::Inverse(objective), Some(mut fake)) = (self.spec.config.objective.clone(), self.fake.take())
        else {
            return Ok(());
        };
        let train = &self.spec.config.train;
        let (count, part) = (batch.items.len(), train.batch.div_ceil(train.accumulate));
        let (mut loss, mut sum) = (0.0, None::<FlatGradients>);
        for first in (0..count).step_by(part) {
            let items = first..(first + part).min(count);
            let points = self.perturbed((&objective, batch), &items, NoiseOf::Fake);
            let part_loss = self.fake_loss(&fake.network, batch, items, &points).div_scalar(train.batch as f64);
            let mut graph = part_loss.backward();
            loss += f64::from(part_loss.into_scalar::<f32>());
            let gradients = FlatGradients::take(&fake.network, &mut graph);
            sum = Some(match sum {
                Some(sum) => gradients.plus(sum),
                None => gradients,
            });
        }
        let gradients = self.summed_over_ranks(sum.expect("a batch has at least one part"));
        let (norm, step) = (gradients.norm(), self.step + 1);
        if !loss.is_finite() || !norm.is_finite() {
            return Err(TrainError::Diverged { step, loss });
        }
        let rate = TrainConfig { lr: train.lr * objective.fake_rate, ..train.clone() };
        fake.network = fake.optimizer.step(fake.network, gradients, norm, step, &rate);
        self.fake = Some(fake);
        Ok(())
    }

    /// Loss of the generator on some items of a batch, summed, and its derivative with respect to their samples, `[batch, N]`.
    /// `points` are where the generator starts.
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
        let starts = batch.points.slice(items.clone());
        let rows: Vec<usize> = items.clone().collect();
        let device = self.device.clone().inner();
        let conditioning = batch.conditioning.tensors(&rows, self.spec.data.classes.len(), &device);
        let samples =
            TrainingPoints { yhat: self.estimates(&self.network.valid(), &starts, conditioning, None), ..starts };
        let (seed, whole) = (self.spec.config.train.seed, self.spec.config.train.batch);
        let streams = items.clone().map(|item| {
            let number = batch.items.start + item + whole * noise as usize;
            stream(seed, Purpose::Distillation, batch.step, number as u64)
        });
        objective.perturb(self.spec.extra_dims(), self.spec.range().0, samples, streams)
    }

    /// Denoising loss of the fake on perturbed samples, summed.
    fn fake_loss(&self, network: &Network, batch: &Batch, items: Range<usize>, points: &TrainingPoints) -> Tensor<1> {
        let mut prediction = self.spec.prediction();
        prediction.loss = Loss::Denoising;
        let coefficients = prediction.coefficients(&points.x, &points.sigma);
        let rows: Vec<usize> = items.collect();
        let conditioning = batch.conditioning.tensors(&rows, self.spec.data.classes.len(), &self.device);
        let raw = self.raw(network, conditioning, (points, &coefficients), None, &self.device);
        prediction.loss(points, raw, &coefficients)
    }

    /// Sum of all ranks' gradients.
    fn summed_over_ranks(&self, gradients: FlatGradients) -> FlatGradients {
        if self.ranks.size() == 1 {
            return gradients;
        }
        let flat = gradients.narrow(0, gradients.len());
        let values: Vec<f32> = flat.clone().into_data().try_into_vec().expect("gradients are in single precision");
        let mut sums: Vec<f64> = values.into_iter().map(f64::from).collect();
        self.ranks.sum(&mut sums);
        let count = sums.len();
        let sums: Vec<f32> = sums.into_iter().map(|value| value as f32).collect();
        FlatGradients::from_flat(Tensor::from_data(TensorData::new(sums, [count]), &flat.device()))
    }
}
