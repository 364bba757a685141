//! The processes of a command: one, or all that MPI started.

use std::{sync::Arc, time::Duration};

#[cfg(feature = "mpi")]
use anyhow::Context;
use anyhow::Result;
use pfgm::parallel::{Communicator, Solo};

use crate::args::{ComputeArgs, RanksArgs};

/// Default of `--rank-timeout` in seconds.
const RANK_TIMEOUT: u64 = 600;

/// All processes of a command.
pub type Ranks = Arc<dyn Communicator>;

/// Joins the processes that MPI started, if `--distributed` is given.
pub fn join(args: &RanksArgs) -> Result<Ranks> {
    let rank_timeout = Duration::from_secs(args.rank_timeout.unwrap_or(RANK_TIMEOUT));
    if args.distributed { start(rank_timeout) } else { Ok(Arc::new(Solo)) }
}

#[cfg(not(feature = "mpi"))]
fn start(_rank_timeout: Duration) -> Result<Ranks> {
    anyhow::bail!("--distributed: this program was built without MPI; build with `--features mpi`")
}

#[cfg(feature = "mpi")]
fn start(rank_timeout: Duration) -> Result<Ranks> {
    let ranks = pfgm_mpi::Mpi::start(rank_timeout).context("--distributed")?;
    let ranks: Ranks = Arc::new(ranks);
    if ranks.rank() > 0 {
        crate::render::silence();
    }
    // The other ranks would wait forever for one that panicked. The hook must not keep MPI alive.
    let (report, all) = (std::panic::take_hook(), Arc::downgrade(&ranks));
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        if let Some(all) = all.upgrade() {
            all.abort(101);
        }
    }));
    Ok(ranks)
}

/// Prints an error, and ends this process and all others of the command.
pub fn fail(ranks: &dyn Communicator, problem: &str, code: u8) -> ! {
    if ranks.size() == 1 {
        crate::render::warn(format!("error: {problem}"));
    } else {
        if !ranks.is_root() {
            // An error of all ranks is printed by rank 0.
            std::thread::sleep(std::time::Duration::from_millis(500));
        }
        crate::render::warn(format!("error: rank {}: {problem}", ranks.rank()));
    }
    ranks.abort(code)
}

/// The number of threads of a rank: the processors that it may run on, divided by the ranks of its host that may run on the same.
/// `None` for a single process, which uses all.
pub fn threads(ranks: &dyn Communicator) -> Option<usize> {
    if ranks.size() == 1 {
        return None;
    }
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let status = read("/proc/self/status");
    let allowed = status.lines().find(|line| line.starts_with("Cpus_allowed:")).unwrap_or_default();
    let place = format!("{} {allowed}", read("/proc/sys/kernel/hostname").trim());
    let places = pfgm::parallel::exchange(ranks, place.clone().into_bytes());
    let sharing = places.iter().filter(|other| other.as_slice() == place.as_bytes()).count();
    Some((processors / sharing).max(1))
}

/// The device of this rank: ranks of a host use different devices unless the name has a number.
pub fn device(name: &str, ranks: &dyn Communicator) -> String {
    // Schedulers give a job some of a host's devices, or each rank one; they are numbered from 0.
    let visible = std::env::var("CUDA_VISIBLE_DEVICES").ok().map(|list| list.split(',').count());
    pfgm::device::of_rank(name, ranks.on_host(), visible.filter(|_| name == "cuda"))
}

/// The device and precision of this rank.
pub fn compute(args: &ComputeArgs, ranks: &dyn Communicator) -> ComputeArgs {
    ComputeArgs { device: device(&args.device, ranks), ..args.clone() }
}
