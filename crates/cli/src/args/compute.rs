//! The device and the precision of a trained network.

use clap::Args;
use pfgm::network::Precision;

#[derive(Clone, Debug, Args)]
pub struct ComputeArgs {
    /// Where to compute: cpu, cuda, cuda:1, wgpu (if built in)
    #[arg(long, default_value = "cpu")]
    pub device: String,

    /// Precision of the network's activations: f32, or bf16 for half the memory [default: the run's]
    #[arg(long)]
    pub precision: Option<Precision>,
}
