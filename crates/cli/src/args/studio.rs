//! `pfgm studio` as it is typed.

use std::{net::IpAddr, path::PathBuf};

use clap::Args;

#[derive(Debug, Args)]
pub struct StudioArgs {
    /// The port to listen at; 0 for any that is free
    #[arg(long, value_name = "PORT", default_value_t = 7860)]
    pub port: u16,

    /// The address to listen at; any but this computer's own needs --token
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub host: IpAddr,

    /// What everybody who asks has to know: at least 8 letters and digits
    #[arg(long, value_name = "SECRET", env = "PFGM_TOKEN", hide_env_values = true)]
    pub token: Option<String>,

    /// Folders of runs, or runs
    #[arg(long, value_name = "DIR", num_args = 1.., default_value = "runs")]
    pub runs: Vec<PathBuf>,

    /// How long a request may wait and compute, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub timeout: u64,

    /// Do not open the browser
    #[arg(long)]
    pub no_open: bool,

    /// Where to compute: cpu, cuda, cuda:1, wgpu (as far as built in)
    #[arg(long, default_value = "cpu")]
    pub device: String,
}
