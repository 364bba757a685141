//! Bundled models: pretrained weights inside the library (feature `pretrained`).

use std::path::Path;

#[cfg(feature = "pretrained")]
pub use pfgm_pretrained::Pretrained;

use crate::checkpoint::{self, Checkpoint, CheckpointError};

/// A pretrained model; without the feature `pretrained` there is none.
#[cfg(not(feature = "pretrained"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pretrained {
    /// The name of the model.
    pub name: &'static str,
    /// What the model generates, in one line.
    pub description: &'static str,
    /// Its checkpoint in the safetensors format.
    pub checkpoint: &'static [u8],
}

/// All bundled models.
#[cfg(feature = "pretrained")]
pub static BUNDLED: &[Pretrained] = pfgm_pretrained::MODELS;
/// All bundled models.
#[cfg(not(feature = "pretrained"))]
pub static BUNDLED: &[Pretrained] = &[];

/// Returns the bundled model of a name.
pub fn find(name: &Path) -> Option<&'static Pretrained> {
    BUNDLED.iter().find(|model| Path::new(model.name) == name)
}

/// Whether a file or folder of this name exists, or a bundled model.
pub fn exists(run: &Path) -> bool {
    run.exists() || find(run).is_some()
}

/// Returns the checkpoint of a bundled model, which has averaged weights only.
///
/// # Panics
/// Panics if the program was built with damaged weights.
pub fn checkpoint(model: &Pretrained) -> Checkpoint {
    Checkpoint::parse(Path::new(model.name), model.checkpoint).expect("a checkpoint that a test has read")
}

/// Reads the latest checkpoint in the folder of a run, a checkpoint file, or a bundled model if no file has this name.
///
/// # Errors
/// Returns an error if there is none, or it is damaged.
pub fn open(run: &Path) -> Result<Checkpoint, CheckpointError> {
    match find(run) {
        Some(model) if !run.exists() => Ok(checkpoint(model)),
        _ => Checkpoint::read(&checkpoint::find(run)?),
    }
}

#[cfg(all(test, feature = "pretrained"))]
mod tests {
    use super::*;
    use crate::{checkpoint::Group, weights};

    #[test]
    fn bundled_models_are_complete_and_small() {
        let device = crate::device::open("cpu").unwrap();
        assert_eq!(BUNDLED.len(), 2);
        for model in BUNDLED {
            assert!(model.checkpoint.len() <= 10_000_000, "{}: {} bytes", model.name, model.checkpoint.len());
            let checkpoint = open(Path::new(model.name)).unwrap();
            checkpoint.spec.config.check().unwrap();
            let network = checkpoint.spec.network(&device).unwrap();
            weights::assign(network, checkpoint.group(Group::Average)).unwrap();
            // Samples do not need the state of a training.
            assert!(checkpoint.group(Group::Network).is_empty() && checkpoint.group(Group::First).is_empty());
        }
        assert!(open(Path::new("no-such-run")).is_err());
    }
}
