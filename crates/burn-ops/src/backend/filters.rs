//! A cache of the filters that convolutions compute from their weights, while the weights exist and are not trained.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use burn_std::Bytes;

use pfgm_cpu::{
    arch,
    conv2d::{Filters, Geometry},
};

/// The weights and the convolution that filters were prepared for.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    start: usize,
    kernel: [usize; 2],
    inputs: usize,
    outputs: usize,
    strided: bool,
    mirrored: bool,
}

/// Filters, and a weak reference to the memory of their weights. While the reference exists, the memory cannot be written in place, so
/// the same memory implies the same weights.
struct Entry {
    memory: Weak<Bytes>,
    filters: Arc<Filters>,
}

static CACHE: Mutex<Option<HashMap<Key, Entry>>> = Mutex::new(None);

/// Whether a step of training changes the weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weights {
    /// The weights are constant: filters are cached for the next call.
    Frozen,
    /// The weights change with the next step: filters, which are several times as large as the weights, are not cached.
    Trained,
}

/// Returns the filters of weights that lie at `weight` in `memory`, for [`forward`](pfgm_cpu::conv2d::forward) or, if
/// `mirrored`, for [`input_gradient`](pfgm_cpu::conv2d::input_gradient).
pub fn filters(
    geometry: Geometry,
    weight: &[f32],
    memory: &Arc<Bytes>,
    weights: Weights,
    mirrored: bool,
) -> Arc<Filters> {
    let make = || {
        Arc::new(if mirrored {
            Filters::mirrored(arch(), geometry, weight)
        } else {
            Filters::new(arch(), geometry, weight)
        })
    };
    if weights == Weights::Trained {
        return make();
    }
    let Geometry { inputs, outputs, kernel, stride, .. } = geometry;
    let start = weight.as_ptr() as usize;
    let key = Key { start, kernel, inputs, outputs, strided: stride > 1, mirrored };
    let mut cache = CACHE.lock().unwrap_or_else(PoisonError::into_inner);
    let cache = cache.get_or_insert_default();
    if let Some(entry) = cache.get(&key)
        && entry.memory.strong_count() > 0
        && std::ptr::eq(entry.memory.as_ptr(), Arc::as_ptr(memory))
    {
        return Arc::clone(&entry.filters);
    }
    cache.retain(|_, entry| entry.memory.strong_count() > 0);
    let filters = make();
    cache.insert(key, Entry { memory: Arc::downgrade(memory), filters: Arc::clone(&filters) });
    filters
}
