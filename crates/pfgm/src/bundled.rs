//! Runs that come along with the program: averaged weights of small networks, ready to be sampled from.

use std::path::Path;

use crate::checkpoint::{self, Checkpoint, CheckpointError};

/// A run that comes along.
#[derive(Clone, Copy, Debug)]
pub struct Bundled {
    /// What it is called where a run is asked for.
    pub name: &'static str,
    /// What it has learned, in a line.
    pub about: &'static str,
    checkpoint: &'static [u8],
}

/// All of them. docs/results.md says how each was trained.
pub const BUNDLED: [Bundled; 2] = [
    Bundled {
        name: "digits",
        about: "handwritten digits of 8x8 pixels, ten classes, D = 128: 0.72 million weights",
        checkpoint: include_bytes!("../models/digits.safetensors"),
    },
    Bundled {
        name: "fashion-mnist",
        about: "Fashion-MNIST, ten classes, D = 128: 1.26 million weights",
        checkpoint: include_bytes!("../models/fashion-mnist.safetensors"),
    },
];

impl Bundled {
    /// The checkpoint, which has averaged weights only.
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint::parse(Path::new(self.name), self.checkpoint).expect("it was looked at before it was put here")
    }
}

/// The run of a name.
pub fn find(name: &Path) -> Option<&'static Bundled> {
    BUNDLED.iter().find(|bundled| Path::new(bundled.name) == name)
}

/// Whether something lies where a run is asked for, or comes along.
pub fn exists(run: &Path) -> bool {
    run.exists() || find(run).is_some()
}

/// The latest checkpoint of a run's folder, a checkpoint file, or, where nothing of that name lies, a run that comes along.
///
/// # Errors
/// When there is none, or it is damaged.
pub fn open(run: &Path) -> Result<Checkpoint, CheckpointError> {
    match find(run) {
        Some(bundled) if !run.exists() => Ok(bundled.checkpoint()),
        _ => Checkpoint::read(&checkpoint::find(run)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{checkpoint::Group, weights};

    #[test]
    fn every_one_is_whole_and_small() {
        let device = crate::device::open("cpu").unwrap();
        for bundled in BUNDLED {
            assert!(bundled.checkpoint.len() <= 10_000_000, "{}: {} bytes", bundled.name, bundled.checkpoint.len());
            let checkpoint = open(Path::new(bundled.name)).unwrap();
            checkpoint.record.config.check().unwrap();
            let network = checkpoint.record.network(&device).unwrap();
            weights::assign(network, checkpoint.group(Group::Average)).unwrap();
            // Whoever samples does not need them.
            assert!(checkpoint.group(Group::Network).is_empty() && checkpoint.group(Group::First).is_empty());
        }
        assert!(open(Path::new("no-such-run")).is_err());
    }
}
