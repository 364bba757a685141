//! Options of the server.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use burn::tensor::Device;

use crate::limits::ConnectionLimits;

/// Options of the server.
#[derive(Clone, Debug)]
pub struct Options {
    /// Address to listen at.
    pub host: IpAddr,
    /// Port to listen at; 0 for any free one.
    pub port: u16,
    /// Token that clients need. Required unless `host` is a loopback address.
    pub token: Option<String>,
    /// Folders of runs.
    pub runs: Vec<PathBuf>,
    /// Longest time that a request may wait and compute.
    pub timeout: Duration,
    /// Device of the networks.
    pub device: Device,
    /// Limits on connections.
    pub limits: ConnectionLimits,
}
