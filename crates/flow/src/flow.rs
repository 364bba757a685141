//! The one ordinary differential equation of the project.
//!
//! `dx / d ln sigma = x - yhat(x, sigma)` (docs/equations.md, section 3) is PFGM's backward equation anchored at z, its
//! counterpart for every D, and the probability flow of a variance-exploding diffusion model. A [`Denoiser`] estimates
//! `yhat`; samplers, encoders and likelihoods use it through a [`Flow`].

use std::sync::atomic::{AtomicU64, Ordering};

use rand::Rng;

use crate::{extra_dims::ExtraDims, prior};

/// Points at which a denoiser evaluates `yhat`.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// The points, `[rows, dim]`.
    pub x: &'a [f64],
    /// The noise level of each row.
    pub sigma: &'a [f64],
    /// Index of each row's item in the caller's batch, by which a denoiser finds what depends on the item, such as its class.
    pub item: &'a [usize],
}

/// An estimate of `yhat(x, sigma)`, the field-weighted mean of the charges.
pub trait Denoiser {
    /// N, the number of coordinates of a point.
    fn dim(&self) -> usize;

    /// Writes `yhat` of every row of the query to `out`, `[rows, dim]`.
    fn denoise(&self, query: &Query, out: &mut [f64]);
}

/// Number of rows in an evaluation of the exact divergence, if there are fewer points than that.
const TOGETHER: usize = 64;

/// An estimate of `yhat` that can be differentiated with respect to the point.
pub trait Differentiable: Denoiser {
    /// Writes `yhat` of every row to `out`, and the vector-Jacobian product `probe^T (d yhat / dx)` to `pulled`, in one evaluation.
    ///
    /// # Shapes
    /// `probes`, `out` and `pulled`: `[rows, dim]`
    fn vjp(&self, query: &Query, probes: &[f64], out: &mut [f64], pulled: &mut [f64]);

    /// Writes `yhat` of every row to `out` and the exact divergence of `yhat` to `divergence`, `[rows]`; by default with N
    /// vector-Jacobian products.
    fn divergence(&self, query: &Query, out: &mut [f64], divergence: &mut [f64]) {
        let (rows, dim) = (query.sigma.len(), self.dim());
        divergence.fill(0.0);
        // Few rows are evaluated along several axes at once: a network is slow on few rows.
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

impl<T: Denoiser + ?Sized> Denoiser for &T {
    fn dim(&self) -> usize {
        (**self).dim()
    }

    fn denoise(&self, query: &Query, out: &mut [f64]) {
        (**self).denoise(query, out);
    }
}

impl<T: Differentiable + ?Sized> Differentiable for &T {
    fn vjp(&self, query: &Query, probes: &[f64], out: &mut [f64], pulled: &mut [f64]) {
        (**self).vjp(query, probes, out, pulled);
    }

    fn divergence(&self, query: &Query, out: &mut [f64], divergence: &mut [f64]) {
        (**self).divergence(query, out, divergence);
    }
}

impl<T: Denoiser + ?Sized> Denoiser for Box<T> {
    fn dim(&self) -> usize {
        (**self).dim()
    }

    fn denoise(&self, query: &Query, out: &mut [f64]) {
        (**self).denoise(query, out);
    }
}

impl<T: Differentiable + ?Sized> Differentiable for Box<T> {
    fn vjp(&self, query: &Query, probes: &[f64], out: &mut [f64], pulled: &mut [f64]) {
        (**self).vjp(query, probes, out, pulled);
    }

    fn divergence(&self, query: &Query, out: &mut [f64], divergence: &mut [f64]) {
        (**self).divergence(query, out, divergence);
    }
}

/// A denoiser and D, the number of extra dimensions: the ordinary differential equation that solvers integrate.
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

    /// Draws a point of the prior at noise level `sigma`: the uniform hemisphere projected onto r = sigma sqrt(D).
    pub fn latent(&self, sigma: f64, rng: &mut impl Rng) -> Vec<f64> {
        let mut x = vec![0.0; self.denoiser.dim()];
        prior::perturb(self.extra_dims, sigma, rng, &mut x);
        x
    }

    /// Draws the latents of samples: [`prior::latents`] with the flow's D and N.
    pub fn latents(&self, sigma: f64, stage: u64, seeds: impl IntoIterator<Item = u64>) -> Vec<f64> {
        prior::latents(self.extra_dims, self.denoiser.dim(), sigma, stage, seeds)
    }
}

/// A denoiser that counts evaluated rows.
pub struct Counted<'a> {
    inner: &'a dyn Denoiser,
    rows: AtomicU64,
}

impl<'a> Counted<'a> {
    /// Starts to count the evaluations of `inner`.
    pub fn new(inner: &'a dyn Denoiser) -> Self {
        Self { inner, rows: AtomicU64::new(0) }
    }

    /// Number of rows so far; divided by the number of samples, the mean NFE.
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

/// A denoiser that is evaluated at one noise level, whatever the level of the query. In its flow ln sigma is only a time.
pub struct AtLevel<T> {
    /// The denoiser.
    pub inner: T,
    /// The noise level.
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

/// A denoiser that replaces `yhat` by 0 at one noise level, without an evaluation: the analytical first step (AFS, arXiv 2210.05475).
///
/// At the highest noise level the data act as one point charge at the origin of the model's space, so `yhat` is nearly 0. The next term
/// is their mean; the error that the first step makes by leaving it out shrinks with sigma.
pub struct FarField<'a> {
    /// The denoiser.
    pub inner: &'a dyn Denoiser,
    /// The noise level at which it is not evaluated.
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
