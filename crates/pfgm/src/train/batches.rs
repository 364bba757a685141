//! Batches of training, which depend only on the seed and the step.

use std::{collections::HashSet, ops::Range};

use pfgm_data::{DataError, Shape, flip_horizontally};
use rand::RngExt;
use rayon::prelude::*;

use super::{
    patches::Patches,
    training_set::{EpochPermutation, TrainingSet},
};
use crate::{
    augmentation::Augmentation,
    conditioning::Conditioning,
    objective::Charges,
    prediction::TrainingPoints,
    random::{Purpose, Stream, stream},
    spec::ModelSpec,
};

/// Step of the random streams of held-out rows. Training ends long before it.
const HELD_OUT: u64 = u64::MAX;

/// Items of a batch that one rank computes.
pub(super) struct Batch {
    /// Step of the batch.
    pub step: u64,
    /// Range of these items in the whole batch.
    pub items: Range<usize>,
    /// Shape of an item: that of the data, or of a patch.
    pub shape: Shape,
    /// Perturbed points, and `yhat` there.
    pub points: TrainingPoints,
    /// Conditioning of each item.
    pub conditioning: Conditioning,
}

/// Charges of a field.
#[derive(Default)]
struct Field {
    /// `[charges, N]`
    values: Vec<f32>,
    labels: Vec<Option<u32>>,
}

impl Field {
    /// Reads rows of the data.
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

/// Items of a batch without their images.
struct Items {
    step: u64,
    numbers: Range<usize>,
    labels: Vec<Option<u32>>,
    augmentations: Vec<Augmentation>,
}

/// Draws the batches of a run.
pub(super) struct BatchSampler<'a> {
    /// ModelSpec of the run.
    pub spec: &'a ModelSpec,
    /// Rows to train on.
    pub data: &'a TrainingSet,
    /// Range of the items of each batch that this rank computes.
    pub share: Range<usize>,
}

impl BatchSampler<'_> {
    /// Draws the items of a step that this rank computes, and starts to read the rows of the next step.
    ///
    /// # Errors
    /// Returns an error if a row cannot be read from its file.
    pub(super) fn batch(&self, step: u64, order: &mut EpochPermutation) -> Result<Batch, DataError> {
        let train = &self.spec.config.train;
        let (items, drawn) = (self.share.clone(), self.drawn_items());
        let own = items.start - drawn.start..items.end - drawn.start;
        let rows = self.rows_of(step, order);
        let mut streams: Vec<Stream> =
            drawn.map(|item| stream(train.seed, Purpose::Perturbation, step, item as u64)).collect();
        let mut field = Field::read(self.data, &rows)?;
        let mut labels = field.labels.clone();
        let dim = self.spec.dim();
        for (item, rng) in streams.iter_mut().enumerate() {
            if train.flip && rng.random_bool(0.5) {
                flip_horizontally(self.spec.data.shape, &mut field.values[item * dim..(item + 1) * dim]);
            }
            if labels[item].is_some() && rng.random_bool(train.label_dropout) {
                labels[item] = None;
            }
        }
        let (labels, streams) = (labels[own.clone()].to_vec(), &mut streams[own.clone()]);
        let (shape, probability) = (self.spec.data.shape, train.augment);
        let augmentations: Vec<Augmentation> = match probability > 0.0 {
            true => streams.iter_mut().map(|rng| Augmentation::draw(shape, probability, rng)).collect(),
            false => Vec::new(),
        };
        let mut images = field.values[own.start * dim..own.end * dim].to_vec();
        let augmented = images.par_chunks_exact_mut(dim).zip(&augmentations);
        augmented.for_each(|(row, augmentation)| row.copy_from_slice(&augmentation.apply(shape, row)));
        field.extend(&self.others(step, &rows)?);
        let patches = Patches::cut(self.spec, step, items.start as u64..items.end as u64, images);
        let batch = self.perturb(Items { step, numbers: items, labels, augmentations }, patches, &field, streams);
        self.read_ahead(step, order);
        Ok(batch)
    }

    /// Batches of held-out rows, from number `first` on, every `step`-th. Rows are not augmented. Their noise depends on the row
    /// alone, and their field is made of them and of the same training rows.
    pub(super) fn held_out<'a>(
        &'a self,
        rows: &'a TrainingSet,
        (first, step): (usize, usize),
    ) -> Result<impl Iterator<Item = Result<Batch, DataError>> + 'a, DataError> {
        let others = self.others(HELD_OUT, &[])?;
        let size = self.spec.config.train.batch;
        let parts = (0..rows.len().div_ceil(size)).skip(first).step_by(step);
        Ok(parts.map(move |part| {
            let items = part * size..((part + 1) * size).min(rows.len());
            let mut field = Field::read(rows, &items.clone().collect::<Vec<_>>())?;
            let (images, labels) = (field.values.clone(), field.labels.clone());
            field.extend(&others);
            let numbers = items.start as u64..items.end as u64;
            let seed = self.spec.config.train.seed;
            let mut streams: Vec<Stream> =
                numbers.clone().map(|row| stream(seed, Purpose::Perturbation, HELD_OUT, row)).collect();
            let patches = Patches::whole(self.spec, HELD_OUT, numbers, images);
            let items = Items { step: HELD_OUT, numbers: items, labels, augmentations: Vec::new() };
            Ok(self.perturb(items, patches, &field, &mut streams))
        }))
    }

    /// Perturbs the images of some items.
    fn perturb(&self, items: Items, patches: Patches, field: &Field, streams: &mut [Stream]) -> Batch {
        let Items { step, numbers, labels, augmentations } = items;
        let Patches { shape, images, spatial } = patches;
        let charges = Charges {
            shape,
            batch: &images,
            field: &field.values,
            labels: &labels,
            field_labels: &field.labels,
            augmentations: &augmentations,
        };
        let points = self.spec.config.objective.draw(self.spec.noise(), charges, streams);
        let conditioning = Conditioning::from(labels)
            .with_spatial(spatial, numbers.len())
            .with_augmentation(augmentations.iter().map(|augmentation| augmentation.labels).collect());
        Batch { step, items: numbers, shape, points, conditioning }
    }

    /// Range of the items that this rank draws: its own, or the whole batch if a field is made of it.
    fn drawn_items(&self) -> Range<usize> {
        match self.spec.config.objective.field_batch() {
            Some(_) => 0..self.spec.config.train.batch,
            None => self.share.clone(),
        }
    }

    /// Rows of the items that this rank draws.
    fn rows_of(&self, step: u64, order: &mut EpochPermutation) -> Vec<usize> {
        let train = &self.spec.config.train;
        let first = step * train.batch as u64;
        let places = self.drawn_items().map(|item| first + item as u64);
        places.map(|at| order.row(train.seed, self.data.len(), at)).collect()
    }

    /// Starts to read the rows of the step after `step`.
    fn read_ahead(&self, step: u64, order: &mut EpochPermutation) {
        // The last step of an epoch does not read ahead, because the order of the next epoch would have to be stored as well.
        let (next, batch, rows) = (step + 1, self.spec.config.train.batch as u64, self.data.len() as u64);
        let same_epoch = (next + 1) * batch / rows == step * batch / rows;
        if !self.data.reads_ahead() || !same_epoch || next >= self.spec.config.train.steps {
            return;
        }
        let rows = self.rows_of(next, order);
        let others = self.spec.config.objective.field_batch().map(|count| self.other_rows(next, &rows, count).0);
        self.data.read_ahead([Some(rows), others].into_iter().flatten());
    }

    /// Rows that complete a step's field batch of `count`, and the stream from which they were drawn.
    fn other_rows(&self, step: u64, batch: &[usize], count: usize) -> (Vec<usize>, Stream) {
        let taken: HashSet<usize> = batch.iter().copied().collect();
        let mut rng = stream(self.spec.config.train.seed, Purpose::FieldBatch, step, 0);
        let candidates = rand::seq::index::sample(&mut rng, self.data.len(), count);
        let wanted = count.saturating_sub(batch.len());
        (candidates.into_iter().filter(|row| !taken.contains(row)).take(wanted).collect(), rng)
    }

    /// Charges that complete a step's field batch, mirrored as often as those of the loss batch; none if the objective needs no field.
    fn others(&self, step: u64, batch: &[usize]) -> Result<Field, DataError> {
        let Some(count) = self.spec.config.objective.field_batch() else { return Ok(Field::default()) };
        let (rows, mut rng) = self.other_rows(step, batch, count);
        let mut field = Field::read(self.data, &rows)?;
        if self.spec.config.train.flip {
            for row in field.values.chunks_exact_mut(self.spec.dim()) {
                if rng.random_bool(0.5) {
                    flip_horizontally(self.spec.data.shape, row);
                }
            }
        }
        Ok(field)
    }
}
