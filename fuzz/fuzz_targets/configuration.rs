//! Any text at all as a configuration: read, checked, and the weights of its network counted.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pfgm::{config::Config, network::ConditioningSizes};
use pfgm_data::Shape;

fuzz_target!(|text: &str| {
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
});
