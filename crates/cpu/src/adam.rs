//! Adam (arXiv 1412.6980) with a moving average of the weights, in one pass over all weights.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// Values that a thread takes at once.
const CHUNK: usize = 1 << 14;

/// Hyperparameters of one step of Adam.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamStep {
    /// Factor of the gradient, which bounds its norm.
    pub clip: f64,
    /// Decay of the first and of the second moment.
    pub betas: [f64; 2],
    /// Learning rate, divided by the bias correction of the first moment.
    pub rate: f64,
    /// Bias correction of the second moment.
    pub correction: f64,
    /// Term added to the root of the second moment.
    pub epsilon: f64,
    /// Decay of the weights' moving average.
    pub decay: f64,
}

/// The state that a step changes in place: moments and moving average, as many values as weights.
pub struct AdamState<'a> {
    /// First moments of the gradients.
    pub first: &'a mut [f32],
    /// Second moments.
    pub second: &'a mut [f32],
    /// Moving average of the weights.
    pub average: &'a mut [f32],
}

struct Chunk<'a> {
    weights: &'a [f32],
    gradient: &'a [f32],
    state: AdamState<'a>,
    stepped: &'a mut [f32],
    step: AdamStep,
}

impl WithSimd for Chunk<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { weights, gradient, state: AdamState { first, second, average }, stepped, step } = self;
        let [beta1, beta2] = step.betas.map(|beta| beta as f32);
        let (keep1, keep2) = step.betas.map(|beta| (1.0 - beta) as f32).into();
        let (clip, rate, epsilon) = (step.clip as f32, step.rate as f32, step.epsilon as f32);
        let correction = (1.0 / step.correction) as f32;
        let (decay, rest) = (step.decay as f32, (1.0 - step.decay) as f32);
        let count = weights.len();
        let (gradient, first, second) = (&gradient[..count], &mut first[..count], &mut second[..count]);
        let (average, stepped) = (&mut average[..count], &mut stepped[..count]);
        for i in 0..count {
            let slope = gradient[i] * clip;
            first[i] = first[i] * beta1 + slope * keep1;
            second[i] = second[i] * beta2 + slope * slope * keep2;
            let spread = (second[i] * correction).sqrt() + epsilon;
            stepped[i] = weights[i] - first[i] * rate / spread;
            average[i] = average[i] * decay + stepped[i] * rest;
        }
    }
}

/// Writes the stepped weights to `stepped` and updates moments and average.
///
/// # Panics
/// If the slices differ in length.
pub fn adam(
    arch: Arch,
    step: AdamStep,
    [weights, gradient]: [&[f32]; 2],
    AdamState { first, second, average }: AdamState,
    stepped: &mut [f32],
) {
    for len in [gradient.len(), first.len(), second.len(), average.len(), stepped.len()] {
        assert_eq!(len, weights.len(), "adam: weights against gradient and moments");
    }
    let states = first.par_chunks_mut(CHUNK).zip(second.par_chunks_mut(CHUNK)).zip(average.par_chunks_mut(CHUNK));
    weights.par_chunks(CHUNK).zip(gradient.par_chunks(CHUNK)).zip(stepped.par_chunks_mut(CHUNK)).zip(states).for_each(
        |(((weights, gradient), stepped), ((first, second), average))| {
            let state = AdamState { first, second, average };
            arch.dispatch(Chunk { weights, gradient, state, stepped, step });
        },
    );
}

/// Computes the sum of squares. The result does not depend on the number of threads.
pub fn square_sum(x: &[f32]) -> f64 {
    let sums: Vec<f64> = x
        .par_chunks(CHUNK)
        .map(|chunk| {
            let mut sums = [0.0_f32; 16];
            let (lines, rest) = chunk.as_chunks::<16>();
            for line in lines {
                sums.iter_mut().zip(line).for_each(|(sum, value)| *sum += value * value);
            }
            let rest = rest.iter().map(|value| value * value);
            sums.into_iter().chain(rest).map(f64::from).sum::<f64>()
        })
        .collect();
    sums.into_iter().sum()
}
