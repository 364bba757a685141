//! Loss and gradients of a batch, on one rank and on many.

use std::{
    cell::RefCell,
    ops::Range,
    rc::Rc,
    sync::{atomic::Ordering, mpsc},
    thread,
};

use burn::tensor::{Device, Tensor};
use pfgm_burn_ops::gradient_hooks;
use pfgm_data::DataError;

use super::{
    batches::{Batch, BatchSampler},
    optimizer::FlatGradients,
    ranks::{GradientBuckets, gradients_of},
    trainer::Trainer,
    training_set::EpochPermutation,
};
use crate::{
    network::{ConditioningTensors, Dropout, Network, NetworkInput},
    objective::Objective,
    precondition::{PreconditionCoefficients, column},
    prediction::{Loss, Prediction, TrainingPoints},
};

impl Trainer {
    /// Loss and gradients of this rank's items. `buckets` sends the gradients of convolutions to the other ranks as soon as they are
    /// computed.
    pub(super) fn gradients(
        &self,
        batch: &Batch,
        buckets: Option<&Rc<RefCell<GradientBuckets>>>,
    ) -> (f64, FlatGradients) {
        self.gradients_of(&self.network, batch, buckets, &|items| self.loss(&self.network, batch, items, true))
    }

    /// The parts that a batch is computed in (`train.accumulate`).
    pub(super) fn parts_of(&self, batch: &Batch) -> impl Iterator<Item = Range<usize>> + use<> {
        let part = self.spec.config.train.batch.div_ceil(self.spec.config.train.accumulate);
        let count = batch.items.len();
        (0..count).step_by(part).map(move |first| first..(first + part).min(count))
    }

    /// Loss of this rank's items and its gradients with respect to the weights of a network; `loss_of` is the sum over some items.
    pub(super) fn gradients_of(
        &self,
        network: &Network,
        batch: &Batch,
        buckets: Option<&Rc<RefCell<GradientBuckets>>>,
        loss_of: &dyn Fn(Range<usize>) -> Tensor<1>,
    ) -> (f64, FlatGradients) {
        let (mut loss, mut gradients) = (0.0, None);
        let count = batch.items.len();
        for items in self.parts_of(batch) {
            let is_last = items.end == count;
            let part_loss = loss_of(items).div_scalar(self.spec.config.train.batch as f64);
            let mut graph = match buckets.filter(|_| is_last) {
                Some(buckets) => {
                    buckets.borrow_mut().expect_last_part(gradients.as_ref());
                    let buckets = Rc::clone(buckets);
                    let push = move |node: u64, gradient: &[f32]| buckets.borrow_mut().push(node, gradient);
                    gradient_hooks::with_hook(push, || part_loss.backward())
                }
                None => part_loss.backward(),
            };
            self.micro_batches.fetch_add(1, Ordering::Relaxed);
            loss += f64::from(part_loss.into_scalar::<f32>());
            let part_gradients = FlatGradients::take(network, &mut graph);
            gradients = Some(match gradients {
                Some(gradients) => part_gradients.plus(gradients),
                None => part_gradients,
            });
        }
        (loss, gradients.expect("a batch has at least one part"))
    }

    /// Loss and gradients of all ranks together, and the next batch, which is drawn while gradients are exchanged. `spare` is memory of
    /// the last step's buckets.
    pub(super) fn summed_gradients(
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
            let next = self.sampler().batch(batch.step + 1, order);
            ([loss], places, next, sums.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        });
        self.ranks.sum(&mut loss);
        let gradients = gradients_of(&sums, &places, &self.device.clone().inner());
        *spare = sums;
        (loss[0], gradients, next)
    }

    /// Sampler of this rank's batches.
    pub(super) fn sampler(&self) -> BatchSampler<'_> {
        BatchSampler { spec: &self.spec, data: &self.data, share: self.ranks.share(self.spec.config.train.batch) }
    }

    /// Loss of some items of a batch, summed; in training with gradients and dropout.
    fn loss(&self, network: &Network, batch: &Batch, items: Range<usize>, is_training: bool) -> Tensor<1> {
        let (mut points, loss) = (batch.points.slice(items.clone()), self.spec.config.objective.loss());
        match &self.spec.config.objective {
            Objective::Consistency(objective) => {
                let masks = is_training.then(|| self.masks(batch, &items));
                points.yhat = self.consistency_targets(network, (objective, batch), items.clone(), &points, masks);
            }
            Objective::Inverse(objective) => {
                let (value, slopes) = self.generator_slopes(objective, batch, &items);
                points.yhat = slopes;
                let product = self.loss_at((network, loss), batch, items, points, is_training);
                // The product has the gradient of the loss, but not its value.
                let own = f64::from(product.clone().into_scalar::<f32>());
                return product.add_scalar(value - own);
            }
            Objective::Field(_) | Objective::Denoising(_) => {}
        }
        self.loss_at((network, loss), batch, items, points, is_training)
    }

    /// Dropout masks of some items of a batch.
    pub(super) fn masks(&self, batch: &Batch, items: &Range<usize>) -> Dropout {
        Dropout::new(self.spec.config.train.seed, batch.step, batch.items.start + items.start, items.len())
    }

    /// Loss at points with known targets, summed.
    pub(super) fn loss_at(
        &self,
        (network, loss): (&Network, Loss),
        batch: &Batch,
        items: Range<usize>,
        points: TrainingPoints,
        is_training: bool,
    ) -> Tensor<1> {
        let device = if is_training { self.device.clone() } else { self.device.clone().inner() };
        let masks = is_training.then(|| self.masks(batch, &items));
        let prediction = Prediction { loss, ..self.spec.prediction_of(batch.shape) };
        let coefficients = prediction.coefficients(&points.x, &points.sigma);
        let rows: Vec<usize> = items.collect();
        let conditioning = batch.conditioning.tensors(&rows, self.spec.data.classes.len(), &device);
        let raw = self.raw(network, conditioning, (&points, &coefficients), masks, &device);
        if self.spec.config.objective.uses_log_variance() {
            let noise = column(&coefficients, |row| row.noise, &device);
            let log_variance = network.log_variance(noise).expect("the configuration was checked");
            return prediction.uncertain_loss(&points, raw, log_variance, &coefficients);
        }
        prediction.loss(&points, raw, &coefficients)
    }

    /// Raw output of a network.
    pub(super) fn raw(
        &self,
        network: &Network,
        conditioning: ConditioningTensors,
        (points, coefficients): (&TrainingPoints, &[PreconditionCoefficients]),
        mut masks: Option<Dropout>,
        device: &Device,
    ) -> Tensor<2> {
        let of_rows = |of: fn(&PreconditionCoefficients) -> f64| column(coefficients, of, device);
        network.forward(NetworkInput {
            x: points.tensor(&points.x, device) * of_rows(|row| row.input),
            noise: of_rows(|row| row.noise),
            log_sigma_ratio: of_rows(|row| row.log_sigma_ratio),
            conditioning,
            dropout: masks.as_mut(),
            precision: self.spec.config.train.precision,
        })
    }

    /// Loss per item of the averaged weights on held-out rows, with the same noise at each step; `None` without held-out rows, or if the
    /// objective sees no data.
    ///
    /// # Errors
    /// Returns an error if a row cannot be read.
    pub fn held_out_loss(&self) -> Result<Option<f64>, DataError> {
        let Some(data) = self.held_out.as_ref().filter(|_| self.fake.is_none()) else { return Ok(None) };
        let network = self.averaged();
        let mut total = [0.0];
        for batch in self.sampler().held_out(data, (self.ranks.rank(), self.ranks.size()))? {
            let batch = batch?;
            let loss = self.loss(&network, &batch, 0..batch.items.len(), false);
            total[0] += f64::from(loss.into_scalar::<f32>());
        }
        self.ranks.sum(&mut total);
        Ok(Some(total[0] / data.len() as f64))
    }
}
