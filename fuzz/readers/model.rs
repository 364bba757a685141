//! Bytes as a checkpoint of a run, and text as a configuration.

use std::path::Path;

use pfgm::{checkpoint::Checkpoint, config::Config, network::ConditioningSizes};
use pfgm_data::Shape;

/// Reads a checkpoint of a run. Its specification and its weights are checked before a network is built.
///
/// # Panics
/// If weights that were checked make no network.
pub fn run_checkpoint(bytes: &[u8]) {
    let path = Path::new("fuzz.safetensors");
    let Ok(checkpoint) = Checkpoint::parse(path, bytes) else { return };
    checkpoint.averaged(path, &pfgm::device::cpu()).expect("weights were checked");
}

/// Reads a configuration, checks it, and counts the weights of its network.
///
/// # Panics
/// If what was read cannot be written and read again.
pub fn configuration(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(config) = toml::from_str::<Config>(text) else { return };
    if config.check().is_err() {
        return;
    }
    let shape = Shape::Image { height: 16, width: 16, channels: 3 };
    if let Ok(network) = config.network.shapes(shape, ConditioningSizes::default(), &pfgm::device::cpu()) {
        let _ = pfgm::weights::count(&network);
    }
    let again = toml::to_string(&config).expect("what was read can be written");
    assert_eq!(toml::from_str::<Config>(&again).expect("what was written can be read"), config);
}
