//! Arguments of `pfgm studio`.

use std::{net::IpAddr, path::PathBuf};

use clap::Args;

#[derive(Debug, Args)]
pub struct StudioArgs {
    /// Port to listen on; 0 chooses a free one
    #[arg(long, value_name = "PORT", default_value_t = 7860)]
    pub port: u16,

    /// Address to listen on; addresses other than loopback need --token
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub host: IpAddr,

    /// Token that each request must carry: at least 8 letters and digits
    #[arg(long, value_name = "SECRET", env = "PFGM_TOKEN", hide_env_values = true)]
    pub token: Option<String>,

    /// Folders of runs, or runs
    #[arg(long, value_name = "DIR", num_args = 1.., default_value = "runs")]
    pub runs: Vec<PathBuf>,

    /// Time limit of a request, waiting included, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub timeout: u64,

    /// Do not open the browser
    #[arg(long)]
    pub no_open: bool,

    /// Where to compute: cpu, cuda, cuda:1, wgpu (if built in)
    #[arg(long, default_value = "cpu")]
    pub device: String,
}
