//! Bytes as a checkpoint of a run or of another program, and text as a configuration.

use std::path::{Path, PathBuf};

use pfgm::{
    checkpoint::Checkpoint,
    config::Config,
    import::{Request, import},
    network::ConditioningSizes,
};
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

/// Imports a file of another program.
///
/// # Panics
/// If an error does not name the file in one line.
pub fn import_file(bytes: &[u8]) {
    let path = temporary("import.pkl");
    std::fs::write(&path, bytes).expect("a temporary file");
    if let Err(error) = import(&path, &Request::default()) {
        let error = error.to_string();
        assert!(error.contains("import.pkl") && !error.contains('\n'), "{error}");
    }
    std::fs::remove_file(&path).expect("the temporary file");
}

/// Imports a folder of diffusers without weights. A zero byte separates the configuration of the network from that of the scheduler.
///
/// # Panics
/// If an error does not name the folder in one line.
pub fn import_folder(bytes: &[u8]) {
    let (unet, scheduler) = bytes.split_at(bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len()));
    let folder = temporary("pipeline");
    for (name, text) in
        [("unet/config.json", unet), ("scheduler/scheduler_config.json", scheduler.get(1..).unwrap_or(b"{}"))]
    {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a temporary folder");
        std::fs::write(&path, text).expect("a temporary file");
    }
    let error = import(&folder, &Request::default()).map(|_| ()).expect_err("it has no weights").to_string();
    assert!(error.contains("pipeline") && !error.contains('\n'), "{error}");
}

fn temporary(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("pfgm-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a temporary folder");
    folder.join(name)
}
