//! Where and how precisely a trained network is evaluated.

use clap::Args;
use pfgm::network::Precision;

#[derive(Clone, Debug, Args)]
pub struct ComputeArgs {
    /// Where to compute: cpu, cuda, cuda:1, wgpu (as far as built in)
    #[arg(long, default_value = "cpu")]
    pub device: String,

    /// How precise images between the layers are: f32, or bf16 for half the memory [default: the run's sample.precision]
    #[arg(long)]
    pub precision: Option<Precision>,
}
