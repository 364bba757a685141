//! What a training step learns from: a function of the seed and the step alone.

use std::{collections::HashSet, ops::Range};

use burn::tensor::{Device, Tensor, TensorData};
use pfgm_data::{DataError, Shape, flip_horizontally};
use rand::RngExt;
use rayon::prelude::*;

use super::{
    beside::Beside,
    training_set::{Order, TrainingSet},
};
use crate::{
    deformation::{self, Deformation},
    objective::{Charges, Targets},
    random::{Purpose, Stream, stream},
    spec::ModelSpec,
};

/// The step that held-out rows are perturbed for: steps of training end long before it.
const HELD_OUT: u64 = u64::MAX;

/// What a rank computes of a batch.
pub(super) struct Batch {
    /// The step that it is for.
    pub step: u64,
    /// Which items of the whole batch they are.
    pub items: Range<usize>,
    /// The shape of an item: the data's, or a patch's.
    shape: Shape,
    /// Where the network is asked, and what it should say.
    pub targets: Targets,
    labels: Vec<Option<u32>>,
    /// Empty where images are not deformed.
    deformations: Vec<Deformation>,
    /// What is seen beside each item; empty where nothing is.
    maps: Vec<f32>,
}

/// What a network is told of some items.
#[derive(Clone, Copy)]
pub(super) struct Told<'a> {
    /// The shape of each.
    pub shape: Shape,
    /// The class of each.
    pub labels: &'a [Option<u32>],
    deformations: &'a [Deformation],
    maps: &'a [f32],
}

impl Batch {
    /// What a network is told of some of the items.
    pub(super) fn told(&self, items: Range<usize>) -> Told<'_> {
        let width = self.maps.len() / self.labels.len();
        Told {
            shape: self.shape,
            labels: &self.labels[items.clone()],
            deformations: self.deformations.get(items.clone()).unwrap_or_default(),
            maps: &self.maps[items.start * width..items.end * width],
        }
    }
}

impl Told<'_> {
    /// What a network is told of how images were deformed, `[batch, values]`.
    pub(super) fn deformation(self, device: &Device) -> Option<Tensor<2>> {
        let values: Vec<f32> = self.deformations.iter().flat_map(|deformation| deformation.labels).collect();
        let shape = [self.deformations.len(), deformation::LABELS];
        (!self.deformations.is_empty()).then(|| Tensor::from_data(TensorData::new(values, shape), device))
    }

    /// What a network sees beside images, `[batch, pixels * maps]`.
    pub(super) fn maps(self, device: &Device) -> Option<Tensor<2>> {
        let shape = [self.labels.len(), self.maps.len() / self.labels.len().max(1)];
        (!self.maps.is_empty()).then(|| Tensor::from_data(TensorData::new(self.maps.to_vec(), shape), device))
    }
}

/// Charges that a field is made of.
#[derive(Default)]
struct Field {
    /// `[charges, N]`
    values: Vec<f32>,
    labels: Vec<Option<u32>>,
}

impl Field {
    /// Rows as they are.
    fn read(data: &TrainingSet, rows: &[usize]) -> Result<Self, DataError> {
        let mut values = Vec::new();
        data.read(rows, &mut values)?;
        Ok(Self { values, labels: rows.iter().map(|&row| data.label(row)).collect() })
    }

    fn extend(&mut self, others: &Self) {
        self.values.extend_from_slice(&others.values);
        self.labels.extend_from_slice(&others.labels);
    }
}

/// What a batch is made of beside its images.
struct Items {
    step: u64,
    numbers: Range<usize>,
    labels: Vec<Option<u32>>,
    deformations: Vec<Deformation>,
}

/// What batches are drawn from.
pub(super) struct Drawing<'a> {
    /// The run's record.
    pub record: &'a ModelSpec,
    /// The rows.
    pub data: &'a TrainingSet,
    /// Which items of each batch this rank computes.
    pub share: Range<usize>,
}

impl Drawing<'_> {
    /// This rank's part of a step's batch. The next one's rows are read meanwhile.
    ///
    /// # Errors
    /// When a row lies in a file that cannot be read.
    pub(super) fn batch(&self, step: u64, order: &mut Order) -> Result<Batch, DataError> {
        let train = &self.record.config.train;
        let (items, drawn) = (self.share.clone(), self.drawn_items());
        let own = items.start - drawn.start..items.end - drawn.start;
        let rows = self.rows_of(step, order);
        let mut streams: Vec<Stream> =
            drawn.map(|item| stream(train.seed, Purpose::Perturbation, step, item as u64)).collect();
        let mut field = Field::read(self.data, &rows)?;
        let mut labels = field.labels.clone();
        let dim = self.record.dim();
        for (item, rng) in streams.iter_mut().enumerate() {
            if train.flip && rng.random_bool(0.5) {
                flip_horizontally(self.record.data.shape, &mut field.values[item * dim..(item + 1) * dim]);
            }
            if labels[item].is_some() && rng.random_bool(train.label_dropout) {
                labels[item] = None;
            }
        }
        let (labels, streams) = (labels[own.clone()].to_vec(), &mut streams[own.clone()]);
        let (shape, probability) = (self.record.data.shape, train.augment);
        let deformations: Vec<Deformation> = match probability > 0.0 {
            true => streams.iter_mut().map(|rng| Deformation::draw(shape, probability, rng)).collect(),
            false => Vec::new(),
        };
        let mut images = field.values[own.start * dim..own.end * dim].to_vec();
        let deformed = images.par_chunks_exact_mut(dim).zip(&deformations);
        deformed.for_each(|(row, deformation)| row.copy_from_slice(&deformation.apply(shape, row)));
        field.extend(&self.others(step, &rows)?);
        let beside = Beside::cut(self.record, step, items.start as u64..items.end as u64, images);
        let batch = self.perturb(Items { step, numbers: items, labels, deformations }, beside, &field, streams);
        self.read_ahead(step, order);
        Ok(batch)
    }

    /// The batches that held-out rows make, from number `first` on, every `step`-th: as they are, with noise that depends on
    /// each row alone, in a field of the rows and of the same training rows.
    pub(super) fn held_out<'a>(
        &'a self,
        rows: &'a TrainingSet,
        (first, step): (usize, usize),
    ) -> Result<impl Iterator<Item = Result<Batch, DataError>> + 'a, DataError> {
        let others = self.others(HELD_OUT, &[])?;
        let size = self.record.config.train.batch;
        let parts = (0..rows.len().div_ceil(size)).skip(first).step_by(step);
        Ok(parts.map(move |part| {
            let items = part * size..((part + 1) * size).min(rows.len());
            let mut field = Field::read(rows, &items.clone().collect::<Vec<_>>())?;
            let (images, labels) = (field.values.clone(), field.labels.clone());
            field.extend(&others);
            let numbers = items.start as u64..items.end as u64;
            let seed = self.record.config.train.seed;
            let mut streams: Vec<Stream> =
                numbers.clone().map(|row| stream(seed, Purpose::Perturbation, HELD_OUT, row)).collect();
            let beside = Beside::whole(self.record, HELD_OUT, numbers, images);
            let items = Items { step: HELD_OUT, numbers: items, labels, deformations: Vec::new() };
            Ok(self.perturb(items, beside, &field, &mut streams))
        }))
    }

    /// Draws where the network is asked, and what it should say there.
    fn perturb(&self, items: Items, beside: Beside, field: &Field, streams: &mut [Stream]) -> Batch {
        let (Items { step, numbers, labels, deformations }, Beside { shape, images, maps }) = (items, beside);
        let charges = Charges {
            shape,
            batch: &images,
            field: &field.values,
            labels: &labels,
            field_labels: &field.labels,
            deformations: &deformations,
        };
        let targets = self.record.config.objective.draw(self.record.noise(), charges, streams);
        Batch { step, items: numbers, shape, targets, labels, deformations, maps }
    }

    /// Which items of a batch this rank draws: its own, or all where a field is made of them, whoever computes which of its items.
    fn drawn_items(&self) -> Range<usize> {
        match self.record.config.objective.field_batch() {
            Some(_) => 0..self.record.config.train.batch,
            None => self.share.clone(),
        }
    }

    /// The rows of what this rank draws of a step's batch.
    fn rows_of(&self, step: u64, order: &mut Order) -> Vec<usize> {
        let train = &self.record.config.train;
        let first = step * train.batch as u64;
        let places = self.drawn_items().map(|item| first + item as u64);
        places.map(|at| order.row(train.seed, self.data.len(), at)).collect()
    }

    /// Has the rows of the step after `step` read while that one is computed.
    fn read_ahead(&self, step: u64, order: &mut Order) {
        // An epoch's last step does not look into the next epoch's order: both would have to be kept.
        let (next, batch, rows) = (step + 1, self.record.config.train.batch as u64, self.data.len() as u64);
        let same_epoch = (next + 1) * batch / rows == step * batch / rows;
        if !self.data.reads_ahead() || !same_epoch || next >= self.record.config.train.steps {
            return;
        }
        let rows = self.rows_of(next, order);
        let others = self.record.config.objective.field_batch().map(|count| self.other_rows(next, &rows, count).0);
        self.data.read_ahead([Some(rows), others].into_iter().flatten());
    }

    /// The rows that fill a step's field batch of `count` up, and the stream that they were drawn from.
    fn other_rows(&self, step: u64, batch: &[usize], count: usize) -> (Vec<usize>, Stream) {
        let taken: HashSet<usize> = batch.iter().copied().collect();
        let mut rng = stream(self.record.config.train.seed, Purpose::FieldBatch, step, 0);
        let candidates = rand::seq::index::sample(&mut rng, self.data.len(), count);
        let wanted = count.saturating_sub(batch.len());
        (candidates.into_iter().filter(|row| !taken.contains(row)).take(wanted).collect(), rng)
    }

    /// What fills a step's field batch up beside the rows of its loss batch, mirrored as often as those are; nothing where no
    /// field is made of a batch.
    fn others(&self, step: u64, batch: &[usize]) -> Result<Field, DataError> {
        let Some(count) = self.record.config.objective.field_batch() else { return Ok(Field::default()) };
        let (rows, mut rng) = self.other_rows(step, batch, count);
        let mut field = Field::read(self.data, &rows)?;
        if self.record.config.train.flip {
            for row in field.values.chunks_exact_mut(self.record.dim()) {
                if rng.random_bool(0.5) {
                    flip_horizontally(self.record.data.shape, row);
                }
            }
        }
        Ok(field)
    }
}
