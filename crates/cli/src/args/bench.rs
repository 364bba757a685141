//! Arguments of `pfgm bench`.

use clap::{Args, ValueEnum};

use super::ComputeArgs;

/// Networks for benchmarks only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BenchNetwork {
    /// The same network as bench/torch_resunet.py
    Resunet,
}

/// Timed tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BenchTask {
    /// One evaluation of the network
    Inference,
    /// Forward pass, backward pass, optimizer and moving average
    Training,
}

#[derive(Debug, Args)]
pub struct BenchArgs {
    /// A preset (see `pfgm presets`), a TOML file, or the folder of a run
    #[arg(value_name = "PRESET|FILE.toml|RUN")]
    pub what: Option<String>,

    /// A network for benchmarks only
    #[arg(long, value_enum)]
    pub network: Option<BenchNetwork>,

    /// Time one task only
    #[arg(long, value_enum)]
    pub task: Option<BenchTask>,

    /// Batch size [default: the preset's or run's; 32 for resunet]
    #[arg(long, value_name = "N")]
    pub batch: Option<usize>,

    /// Timed rounds, after two warm-up rounds
    #[arg(long, value_name = "N", default_value_t = 9)]
    pub rounds: usize,

    /// Use noise images of this size instead of the preset's data, as in 28x28x1
    #[arg(long, value_name = "HxWxC")]
    pub shape: Option<String>,

    /// Set a key of the configuration, as in --set network.width=64
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,

    /// Measure only the processor: operations per second on registers, bytes per second beyond the L2 cache
    #[arg(long)]
    pub probe: bool,

    #[command(flatten)]
    pub compute: ComputeArgs,
}
