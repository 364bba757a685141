//! Random streams, each named by a seed, a purpose, a step and an item.
//!
//! No generator keeps a state from one step to the next. So a resumed training draws the same numbers as an uninterrupted one, a
//! sample depends on its seed alone, and the number of threads or processes changes no result.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// The generator of a stream.
pub type Stream = ChaCha8Rng;

/// The purpose of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    /// Initial weights of a network.
    Weights = 1,
    /// The order in which an epoch visits the data.
    Order = 2,
    /// Noise levels, noise, flips and dropped labels of a training batch.
    Perturbation = 3,
    /// Dropout masks.
    Dropout = 4,
    /// Charges of a large batch beyond those of the loss.
    FieldBatch = 5,
    /// The latent of a sample.
    Latent = 6,
    /// Held-out rows.
    Split = 7,
    /// Pairs of compared samples.
    Evaluation = 8,
    /// The class of a sample.
    Class = 9,
    /// Noise that a stochastic solver adds.
    SolverNoise = 20,
    /// The noise of a Langevin corrector.
    Corrector = 21,
    /// Probes of a divergence.
    Probe = 30,
    /// Noise that turns integers into real numbers.
    Dequantisation = 31,
    /// Noise of inpainting.
    Filling = 32,
    /// Resampling of particles.
    Resampling = 33,
    /// Noise of simulated measurements.
    Measurement = 34,
    /// Noise level and noise of low-resolution images.
    Guide = 40,
    /// Positions of patches.
    Patch = 41,
    /// Noise at which a generator is compared with its teacher.
    Distillation = 42,
}

/// The stream of one item of one step.
pub fn stream(seed: u64, purpose: Purpose, step: u64, item: u64) -> Stream {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&(purpose as u64).to_le_bytes());
    key[16..24].copy_from_slice(&step.to_le_bytes());
    let mut stream = Stream::from_seed(key);
    stream.set_stream(item);
    stream
}
