//! A thread that detects ranks that hang.
//!
//! Each rank sends rank 0, and rank 0 each other rank, a heartbeat: the number of collectives that it has entered. The job ends if
//!
//! - a rank has sent no heartbeat for the time-out: its process is stopped, or its host is lost; or
//! - a collective has lasted for the time-out, and a rank has not entered it: it computes, reads or waits for something else.
//!
//! Rank 0 watches all others, and they watch rank 0, so that any rank that hangs is found.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::{
    abort,
    request::{Message, Request, has_message},
};

/// Tag of heartbeats.
const HEARTBEAT: i32 = 2;
/// Number of heartbeats per time-out; at least one every two seconds.
const BEATS: u32 = 10;
const SLOWEST_BEAT: Duration = Duration::from_secs(2);
/// Exit code of a job that ends because a rank hangs.
const EXIT_CODE: u8 = 2;

/// Heartbeats of this rank, sent and watched by a thread until it is dropped.
pub(crate) struct Monitor {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// State that the thread and the collectives share.
struct Shared {
    /// Number of collectives that were entered.
    entered: AtomicU64,
    /// Start of the collective that this rank is in.
    waiting: Mutex<Option<Instant>>,
    is_stopped: AtomicBool,
}

/// A collective, until it is dropped.
pub(crate) struct Deadline<'a>(Option<&'a Monitor>);

impl<'a> Deadline<'a> {
    /// Marks the start of a collective.
    pub(crate) fn new(monitor: Option<&'a Monitor>) -> Self {
        if let Some(monitor) = monitor {
            monitor.shared.entered.fetch_add(1, Ordering::SeqCst);
            *monitor.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
        Self(monitor)
    }
}

impl Drop for Deadline<'_> {
    fn drop(&mut self) {
        if let Some(monitor) = self.0 {
            *monitor.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }
}

impl Monitor {
    /// Starts the heartbeats of this rank. `hosts` are the names of the ranks' hosts.
    pub(crate) fn start(rank: usize, hosts: Vec<String>, timeout: Duration) -> Self {
        let shared = Arc::new(Shared {
            entered: AtomicU64::new(0),
            waiting: Mutex::new(None),
            is_stopped: AtomicBool::new(false),
        });
        let watched: Vec<usize> = if rank == 0 { (1..hosts.len()).collect() } else { vec![0] };
        if watched.is_empty() {
            return Self { shared, thread: None };
        }
        let watch = Watch { rank, hosts, timeout, shared: Arc::clone(&shared) };
        let thread = thread::Builder::new().name("heartbeat".into()).spawn(move || watch.run(&watched));
        Self { shared, thread: thread.ok() }
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.shared.is_stopped.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

/// The thread's view of the job.
struct Watch {
    rank: usize,
    hosts: Vec<String>,
    timeout: Duration,
    shared: Arc<Shared>,
}

/// State of another rank, from its heartbeats.
struct Peer {
    rank: usize,
    seen: Instant,
    /// Number of collectives that it has entered.
    entered: u64,
    /// The last heartbeat to it.
    sent: Option<Message>,
}

impl Watch {
    fn run(&self, watched: &[usize]) {
        let interval = (self.timeout / BEATS).min(SLOWEST_BEAT);
        let new = |&rank: &usize| Peer { rank, seen: Instant::now(), entered: 0, sent: None };
        let mut peers: Vec<Peer> = watched.iter().map(new).collect();
        let mut last = Instant::now();
        while !self.shared.is_stopped.load(Ordering::SeqCst) {
            // If the whole job was suspended, all heartbeats were missed, including those of this rank.
            let was_suspended = last.elapsed() > 3 * interval + Duration::from_secs(1);
            last = Instant::now();
            for peer in &mut peers {
                if was_suspended {
                    peer.seen = last;
                }
                self.exchange(peer);
            }
            self.check(&peers, was_suspended);
            thread::park_timeout(interval);
        }
    }

    /// Receives the heartbeats of a peer, and sends it one.
    fn exchange(&self, peer: &mut Peer) {
        while has_message(peer.rank, HEARTBEAT) {
            let mut entered = [0; 8];
            Request::receive(&mut entered, peer.rank, HEARTBEAT).wait();
            (peer.seen, peer.entered) = (Instant::now(), u64::from_le_bytes(entered));
        }
        if peer.sent.as_mut().is_none_or(Message::is_done) {
            let entered = self.shared.entered.load(Ordering::SeqCst).to_le_bytes();
            peer.sent = Some(Message::send(&entered, peer.rank, HEARTBEAT));
        }
    }

    fn check(&self, peers: &[Peer], was_suspended: bool) {
        let silent = peers.iter().find(|peer| peer.seen.elapsed() > self.timeout);
        if let Some(peer) = silent {
            self.end(peer.rank, &format!("has given no sign of life for {} s", peer.seen.elapsed().as_secs()));
        }
        let waiting = *self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(waited) = waiting.map(|since| since.elapsed()).filter(|_| !was_suspended) else { return };
        let entered = self.shared.entered.load(Ordering::SeqCst);
        let (late, seconds) = (peers.iter().find(|peer| peer.entered < entered), waited.as_secs());
        if let Some(peer) = late.filter(|_| waited > self.timeout) {
            self.end(peer.rank, &format!("lives, but is {seconds} s late for an operation of all ranks"));
        }
        // All ranks that this one watches have entered. Another rank may be late; rank 0 will name it.
        if waited > 2 * self.timeout {
            self.end(self.rank, &format!("has waited for an operation of all ranks for {seconds} s"));
        }
    }

    /// Prints which rank hangs, and ends the job.
    fn end(&self, rank: usize, problem: &str) -> ! {
        // If several ranks detect it, the first of them prints the message.
        thread::sleep(Duration::from_millis(300) * self.rank.min(10) as u32);
        eprintln!(
            "error: rank {rank} on {} {problem} (--rank-timeout {}); the job ends, and can be resumed from its last checkpoint",
            self.hosts[rank],
            self.timeout.as_secs()
        );
        abort(EXIT_CODE)
    }
}
