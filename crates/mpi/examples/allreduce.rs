//! Time of a sum over the ranks, by the number of values: `mpirun -n 2 target/release/examples/allreduce`.

use std::{
    sync::mpsc,
    time::{Duration, Instant},
};

use pfgm::parallel::Communicator;
use pfgm_mpi::Mpi;

/// Timed sums of each size.
const ROUNDS: usize = 15;
/// Values of a bucket in a training.
const BUCKET: usize = 1 << 18;

fn main() {
    let ranks = Mpi::start(Duration::from_secs(600)).expect("MPI is started once");
    if ranks.is_root() {
        println!("{:>12} {:>10} {:>12} {:>12}   {} ranks", "values", "MB", "median ms", "best ms", ranks.size());
    }
    for count in (8..=24).step_by(2).map(|power| 1 << power) {
        let mut seconds: Vec<f64> = (0..ROUNDS).map(|_| time(&ranks, count)).collect();
        seconds.sort_by(f64::total_cmp);
        if ranks.is_root() {
            let megabytes = (size_of::<f32>() * count) as f64 / 1e6;
            let [median, best] = [seconds[ROUNDS / 2], seconds[0]].map(|seconds| 1e3 * seconds);
            println!("{count:>12} {megabytes:>10.3} {median:>12.3} {best:>12.3}");
        }
    }
}

/// Returns the seconds for one sum of `count` values, with all buckets available at the start.
fn time(ranks: &Mpi, count: usize) -> f64 {
    let (sender, buckets) = mpsc::channel();
    for start in (0..count).step_by(BUCKET) {
        let values = vec![1.0 + ranks.rank() as f32; BUCKET.min(count - start)];
        sender.send(values).expect("the other end is here");
    }
    drop(sender);
    ranks.barrier();
    let started = Instant::now();
    let sums = ranks.all_reduce_stream(&buckets);
    let seconds = started.elapsed().as_secs_f64();
    let wanted = (ranks.size() * (ranks.size() + 1) / 2) as f32;
    assert!(sums.iter().flatten().all(|sum| *sum == wanted), "the sums of all ranks");
    seconds
}
