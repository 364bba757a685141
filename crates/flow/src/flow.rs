//! The one ordinary differential equation of the project.
//!
//! `dx / d ln sigma = x - yhat(x, sigma)` (docs/equations.md, section 3) is PFGM's backward equation anchored at z, its
//! counterpart for every D, and the probability flow of a variance-exploding diffusion model. Whoever estimates `yhat`
//! is a [`Denoiser`]; samplers, encoders and likelihoods only ever see a [`Flow`].

use std::sync::atomic::{AtomicU64, Ordering};

use rand::Rng;

use crate::{
    extra_dims::ExtraDims,
    prior,
    random::{Purpose, stream},
};

/// Points at which `yhat` is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// The points, `[rows, dim]`.
    pub x: &'a [f64],
    /// The noise level of each row.
    pub sigma: &'a [f64],
    /// Which item of the caller's batch each row belongs to; what depends on the item (its class) is found by it.
    pub item: &'a [usize],
}

/// An estimate of `yhat(x, sigma)`, the field-weighted mean of the charges.
pub trait Denoiser {
    /// N, the number of coordinates of a point.
    fn dim(&self) -> usize;

    /// Writes `yhat` of every row of the query to `out`, `[rows, dim]`.
    fn denoise(&self, query: &Query, out: &mut [f64]);
}

/// Rows that a divergence is found with at once, where there are fewer points than that.
const TOGETHER: usize = 64;

/// An estimate of `yhat` that can be differentiated with respect to the point.
pub trait Differentiable: Denoiser {
    /// Writes `yhat` of every row to `out`, and the transpose of its Jacobian `d yhat / dx` times the row's probe to `pulled`, from
    /// one evaluation.
    ///
    /// # Shapes
    /// `probes`, `out` and `pulled`: `[rows, dim]`
    fn vjp(&self, query: &Query, probes: &[f64], out: &mut [f64], pulled: &mut [f64]);

    /// Writes `yhat` of every row to `out` and the exact divergence of `yhat` to `divergence`, `[rows]`; N evaluations unless there is
    /// a better way.
    fn divergence(&self, query: &Query, out: &mut [f64], divergence: &mut [f64]) {
        let (rows, dim) = (query.sigma.len(), self.dim());
        divergence.fill(0.0);
        // Few rows are asked along several axes at once: a network is slow on few.
        let axes: Vec<usize> = (0..dim).collect();
        for axes in axes.chunks((TOGETHER / rows.max(1)).max(1)) {
            let (x, sigma, item) =
                (query.x.repeat(axes.len()), query.sigma.repeat(axes.len()), query.item.repeat(axes.len()));
            let (mut probes, mut pulled, mut yhat) = (vec![0.0; x.len()], vec![0.0; x.len()], vec![0.0; x.len()]);
            let blocks = probes.chunks_exact_mut((rows * dim).max(1)).zip(axes);
            blocks.for_each(|(block, axis)| block.iter_mut().skip(*axis).step_by(dim).for_each(|probe| *probe = 1.0));
            self.vjp(&Query { x: &x, sigma: &sigma, item: &item }, &probes, &mut yhat, &mut pulled);
            for (block, axis) in pulled.chunks_exact((rows * dim).max(1)).zip(axes) {
                divergence.iter_mut().zip(block.chunks_exact(dim)).for_each(|(sum, row)| *sum += row[*axis]);
            }
            out.copy_from_slice(&yhat[..rows * dim]);
        }
    }
}

/// A denoiser together with the number of augmented dimensions whose field it estimates.
pub struct Flow<'a> {
    /// The estimate of `yhat`.
    pub denoiser: &'a dyn Denoiser,
    /// D.
    pub extra_dims: ExtraDims,
}

impl Flow<'_> {
    /// The right-hand side: writes `x - yhat(x, sigma)` to `out`, `[rows, dim]`.
    pub fn velocity(&self, query: &Query, out: &mut [f64]) {
        self.denoiser.denoise(query, out);
        out.iter_mut().zip(query.x).for_each(|(out, x)| *out = x - *out);
    }

    /// The right-hand side of all rows of a batch at one noise level, `[rows, dim]`.
    pub fn velocity_at(&self, x: &[f64], sigma: f64, out: &mut [f64]) {
        let rows = x.len() / self.denoiser.dim();
        let item: Vec<usize> = (0..rows).collect();
        self.velocity(&Query { x, sigma: &vec![sigma; rows], item: &item }, out);
    }

    /// A point of the prior at noise level `sigma`: what the uniform hemisphere is at r = sigma sqrt(D).
    pub fn latent(&self, sigma: f64, rng: &mut impl Rng) -> Vec<f64> {
        let mut x = vec![0.0; self.denoiser.dim()];
        prior::perturb(self.extra_dims, sigma, rng, &mut x);
        x
    }

    /// The latents of samples: a point of the prior at noise level `sigma` for each seed, which depends on it and the stage alone. The
    /// flows of a cascade are its stages, from 0 on; a flow by itself is stage 0.
    pub fn latents(&self, sigma: f64, stage: u64, seeds: impl IntoIterator<Item = u64>) -> Vec<f64> {
        let of_seed = |seed| self.latent(sigma, &mut stream(seed, Purpose::Latent, stage, 0));
        seeds.into_iter().flat_map(of_seed).collect()
    }
}

/// A denoiser that counts the rows it was asked for.
pub struct Counted<'a> {
    inner: &'a dyn Denoiser,
    rows: AtomicU64,
}

impl<'a> Counted<'a> {
    /// Counts what `inner` is asked for from now on.
    pub fn new(inner: &'a dyn Denoiser) -> Self {
        Self { inner, rows: AtomicU64::new(0) }
    }

    /// Rows so far; divided by the number of samples, the mean NFE.
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }
}

impl Denoiser for Counted<'_> {
    fn dim(&self) -> usize {
        self.inner.dim()
    }

    fn denoise(&self, query: &Query, out: &mut [f64]) {
        self.rows.fetch_add(query.sigma.len() as u64, Ordering::Relaxed);
        self.inner.denoise(query, out);
    }
}

/// A denoiser that answers for one noise level whatever it is asked for. In its flow ln sigma is nothing but time.
pub struct AtLevel<T> {
    /// Who answers.
    pub inner: T,
    /// The level.
    pub sigma: f64,
}

impl<T: Denoiser> Denoiser for AtLevel<T> {
    fn dim(&self) -> usize {
        self.inner.dim()
    }

    fn denoise(&self, query: &Query, out: &mut [f64]) {
        self.inner.denoise(&Query { sigma: &vec![self.sigma; query.sigma.len()], ..*query }, out);
    }
}

/// The field at one noise level from far away, without an evaluation; elsewhere the denoiser's own. An analytical first step (AFS,
/// arXiv 2210.05475) is a solver that starts on it.
///
/// At the prior's noise level the data are one point charge at the origin, the middle of the model's space: `yhat = 0`. The next
/// term would be their mean; what the first step leaves out of it shrinks with sigma.
pub struct FarField<'a> {
    /// The denoiser.
    pub inner: &'a dyn Denoiser,
    /// The noise level at which it is not asked.
    pub at: f64,
}

impl Denoiser for FarField<'_> {
    fn dim(&self) -> usize {
        self.inner.dim()
    }

    fn denoise(&self, query: &Query, out: &mut [f64]) {
        if query.sigma.iter().all(|&sigma| sigma == self.at) {
            out.fill(0.0);
        } else {
            self.inner.denoise(query, out);
        }
    }
}
