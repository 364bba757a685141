//! Random streams that depend on what they are for, and on nothing else.
//!
//! Every draw of the library comes from a stream named by a seed, a purpose, a step and an item. No generator's state
//! is carried from one step to the next, so a resumed training draws what an uninterrupted one would, a sample depends
//! on its own seed alone, and work can be split over threads or processes without changing a number.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// A generator of one stream.
pub type Stream = ChaCha8Rng;

/// What a stream is drawn for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    /// Initial weights of a network.
    Weights = 1,
    /// The order in which an epoch visits the data.
    Order = 2,
    /// Noise levels and noise of a training batch, flips, and dropped labels.
    Perturbation = 3,
    /// Dropout masks.
    Dropout = 4,
    /// The charges of a field batch that are not in the loss batch.
    FieldBatch = 5,
    /// The latent of a sample.
    Latent = 6,
    /// Which rows are held out.
    Split = 7,
    /// Which samples are compared with which.
    Evaluation = 8,
    /// The class of a sample.
    Class = 9,
    /// The noise that a stochastic sampler adds on its way.
    SolverNoise = 20,
    /// The noise of a Langevin corrector.
    Corrector = 21,
    /// Probes of a divergence.
    Probe = 30,
    /// What is added to whole numbers so that they have a density.
    Dequantisation = 31,
    /// The noise of what fills a hole.
    Filling = 32,
    /// The noise of low-resolution images, and how much of it there is.
    Guide = 40,
    /// Where patches are cut.
    Patch = 41,
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
