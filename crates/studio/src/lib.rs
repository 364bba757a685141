//! `pfgm studio`: a local server with one web page and a JSON API.
//!
//! The page computes exact fields itself, with the library's own code compiled to WebAssembly (`crates/web`). Everything that needs a
//! network is a request to the server. A handler ([`api`]) validates the request ([`request`]) and submits it to one bounded
//! [`queue`].

pub mod api;
mod connection;
pub mod error;
pub mod extract;
pub mod guard;
pub mod limits;
pub mod metrics;
pub mod models;
#[cfg(test)]
mod openapi;
pub mod options;
pub mod page;
pub mod progress;
pub mod queue;
pub mod request;
pub mod runs;
pub mod server;
pub mod state;
mod track;

pub use options::Options;
pub use server::{Server, StudioError, run};
