//! Weights that were made ready for a convolution, kept as long as the weights live where they do not learn.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use burn_std::Bytes;

use crate::cpu::{
    self,
    conv2d::{Filters, Geometry},
};

/// What filters were made from, and for.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    start: usize,
    kernel: [usize; 2],
    inputs: usize,
    outputs: usize,
    strided: bool,
    mirrored: bool,
}

/// Filters, and the memory of the weights. While a weak reference to it exists nobody can write to that memory in place, so
/// that the same memory means the same weights.
struct Entry {
    memory: Weak<Bytes>,
    filters: Arc<Filters>,
}

static CACHE: Mutex<Option<HashMap<Key, Entry>>> = Mutex::new(None);

/// Whether weights stay what they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weights {
    /// They do: filters made from them are kept for the next call.
    Stay,
    /// They are other ones after the next step: filters made from them, several times their size, are not kept.
    Learn,
}

/// The filters of weights that lie at `weight` in `memory`, for [`forward`](crate::cpu::conv2d::forward) or, if `mirrored`,
/// for [`input_gradient`](crate::cpu::conv2d::input_gradient).
pub fn filters(
    geometry: Geometry,
    weight: &[f32],
    memory: &Arc<Bytes>,
    weights: Weights,
    mirrored: bool,
) -> Arc<Filters> {
    let arch = cpu::arch();
    let make = || {
        Arc::new(if mirrored {
            Filters::mirrored(arch, geometry, weight)
        } else {
            Filters::new(arch, geometry, weight)
        })
    };
    if weights == Weights::Learn {
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
