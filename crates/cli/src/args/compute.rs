//! The device and the precision of a trained network.

use clap::Args;
use pfgm::network::Precision;

/// The processes of a command.
#[derive(Clone, Debug, Default, Args)]
pub struct RanksArgs {
    /// Divide the work among the processes that MPI started (`mpirun -n 4 pfgm ...`; needs a build with --features mpi)
    #[arg(long)]
    pub distributed: bool,

    /// With --distributed, seconds without a heartbeat of a process, or of waiting for it in a collective operation, until the job ends [default: 600]
    #[arg(long, value_name = "SECONDS", requires = "distributed", value_parser = clap::value_parser!(u64).range(1..))]
    pub rank_timeout: Option<u64>,
}

#[derive(Clone, Debug, Args)]
pub struct ComputeArgs {
    /// Where to compute: cpu, cuda, cuda:1, wgpu (if built in)
    #[arg(long, default_value = "cpu")]
    pub device: String,

    /// Precision of the network's activations: f32, or bf16 for half the memory [default: the run's]
    #[arg(long)]
    pub precision: Option<Precision>,
}
