//! Numerical kernels of the exact Poisson field, on plain slices.
//!
//! - [`pairwise`] computes softmax-weighted means of charges, the inner loop of every exact field and of the PFGM
//!   training targets.
//! - [`fastmath`] has logarithm and exponential without branches, which compilers turn into vector code.
//! - [`simd`] chooses the vector instructions at run time.
//!
//! The crate needs no tensor framework. Without the feature `threads` it compiles to WebAssembly.
//!
//! ```
//! use pfgm_numerics::pairwise::weighted_mean;
//!
//! // Two charges on a line. Halfway between them both have the same weight.
//! let (charges, queries) = ([0.0, 1.0], [0.5]);
//! let mut mean = [0.0];
//! weighted_mean(&queries, &charges, 1, |_query, squared_distance: f64| -squared_distance, &mut mean);
//! assert_eq!(mean, [0.5]);
//! ```

pub mod fastmath;
pub mod pairwise;
pub mod simd;
