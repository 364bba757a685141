//! The exact Poisson field of a set of charges, the flow along its lines, and the solvers of the flow, without a tensor framework.
//!
//! Data points are charges in a space with D extra dimensions ([`extra_dims`]). A [`Denoiser`](flow::Denoiser) estimates
//! `yhat(x, sigma)`, the field-weighted mean of the charges; [`ExactField`](field::ExactField) computes it. The one ordinary
//! differential equation `dx / d ln sigma = x - yhat` ([`flow`]) carries the [`prior`] to the data and back. A [`Solver`](solver::Solver)
//! integrates it; the stochastic samplers of score models reverse a [`process`]. From the flow follow densities ([`likelihood`]),
//! operations on [`latent`]s, [`restoration`] of images, and [`field_lines`]. Everything runs on slices of `f64` and compiles to
//! WebAssembly; the library `pfgm` re-exports all of it and adds networks.
//!
//! ```
//! use pfgm_flow::{extra_dims::ExtraDims, field::ExactField, flow::Flow, solver::{self, Solver}};
//!
//! // Two charges in the plane, D = 1 (PFGM): samples of the exact field end at the charges.
//! let extra_dims = ExtraDims::Finite(1.0);
//! let field = ExactField::new(vec![-1.0, 0.0, 1.0, 0.5], 2, extra_dims);
//! let flow = Flow { denoiser: &field, extra_dims };
//! let (solver, range) = (Solver::heun(18).into(), (1e-3, 50.0));
//! let mut x = flow.latents(range.1, 0, 0..4);
//! solver::sample(&flow, &solver, range, &mut x).unwrap();
//! assert!(x.chunks_exact(2).all(|x| x[0].hypot(x[1]) > 0.9 && x[0].abs() < 1.1));
//!
//! // The flow is invertible: RK45 carries samples back to their latents.
//! solver::encode(&flow, &Solver::rk45(1e-6).into(), range, &mut x).unwrap();
//! assert!(x.iter().any(|x| x.abs() > 5.0));
//! ```

pub mod consistency;
pub mod coulomb;
pub mod dynamics;
pub mod extra_dims;
pub mod field;
pub mod field_lines;
pub mod flow;
pub mod guided;
pub mod hemisphere;
pub mod latent;
pub mod likelihood;
pub mod particles;
pub mod posterior;
pub mod prior;
pub mod process;
pub mod random;
pub mod region;
pub mod restoration;
pub mod solver;
pub mod testing;
