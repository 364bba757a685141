//! Poisson flows in the browser: `pfgm studio`.
//!
//! A server for this computer that has one page in it and a JSON API beneath. The page's field is the library's own, compiled to
//! WebAssembly (`crates/web`); what needs a network is asked of the server, whose handlers only check what is asked ([`asked`]) and put
//! it into one bounded [`queue`].

pub mod api;
pub mod asked;
pub mod events;
pub mod guard;
pub mod limits;
pub mod metrics;
pub mod openapi;
pub mod page;
pub mod points;
pub mod queue;
pub mod runs;
pub mod server;
pub mod training;
pub mod watched;

pub use server::{Options, Server, StudioError, run};
