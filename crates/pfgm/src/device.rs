//! Devices for networks, selected at run time.

use burn::tensor::Device;

/// Reason why a device cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// The name is unknown.
    #[error("device `{0}`: unknown; this build has {1}")]
    Unknown(String, String),
    /// The program was built without it.
    #[error("device `{0}`: this program was built without it; build with `--features {1}`, or use one of {2}")]
    NotBuilt(String, &'static str, String),
}

/// Returns the names of the devices in this build, for [`open`].
pub fn available() -> Vec<&'static str> {
    let mut names = vec!["cpu"];
    if cfg!(feature = "cuda") {
        names.push("cuda");
    }
    if cfg!(feature = "wgpu") {
        names.push("wgpu");
    }
    names
}

/// Returns the CPU, which is always available.
pub fn cpu() -> Device {
    Device::flex()
}

/// Whether the device is the CPU.
pub fn is_cpu(device: &Device) -> bool {
    device.clone().inner() == cpu()
}

/// Opens a device by name: `cpu`, `cuda`, `cuda:1`, `wgpu`.
///
/// # Errors
/// Returns an error if the name is unknown, or this build does not have the device.
pub fn open(name: &str) -> Result<Device, DeviceError> {
    let unknown = || DeviceError::Unknown(name.to_owned(), available().join(", "));
    let (kind, index) = match name.split_once(':') {
        Some((kind, index)) => (kind, Some(index.parse::<usize>().map_err(|_| unknown())?)),
        None => (name, None),
    };
    match kind {
        "cpu" if index.is_none() => Ok(cpu()),
        "cuda" => cuda(name, index),
        "wgpu" => wgpu(name, index),
        _ => Err(unknown()),
    }
}

/// Returns the name of the device of a rank. Several ranks on a host use the `devices` in turn (as many as there are
/// ranks if the number is unknown), unless the name has a device number.
pub fn of_rank(name: &str, (rank, ranks): (usize, usize), devices: Option<usize>) -> String {
    match name {
        "cuda" | "wgpu" if ranks > 1 => format!("{name}:{}", rank % devices.unwrap_or(ranks).max(1)),
        name => name.to_owned(),
    }
}

#[cfg(feature = "cuda")]
fn cuda(_name: &str, index: Option<usize>) -> Result<Device, DeviceError> {
    Ok(Device::cuda(index.unwrap_or(0)))
}

#[cfg(not(feature = "cuda"))]
fn cuda(name: &str, _index: Option<usize>) -> Result<Device, DeviceError> {
    Err(DeviceError::NotBuilt(name.to_owned(), "cuda", available().join(", ")))
}

#[cfg(feature = "wgpu")]
fn wgpu(_name: &str, index: Option<usize>) -> Result<Device, DeviceError> {
    use burn::tensor::DeviceKind;
    Ok(Device::wgpu(index.map_or(DeviceKind::DefaultDevice, DeviceKind::DiscreteGpu)))
}

#[cfg(not(feature = "wgpu"))]
fn wgpu(name: &str, _index: Option<usize>) -> Result<Device, DeviceError> {
    Err(DeviceError::NotBuilt(name.to_owned(), "wgpu", available().join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rank_of_a_host_has_a_device() {
        let named = |name, devices| (0..4).map(|rank| of_rank(name, (rank, 4), devices)).collect::<Vec<_>>();
        assert_eq!(named("cuda", None), ["cuda:0", "cuda:1", "cuda:2", "cuda:3"]);
        assert_eq!(named("cuda", Some(2)), ["cuda:0", "cuda:1", "cuda:0", "cuda:1"]);
        assert_eq!(named("cuda:1", None), ["cuda:1"; 4]);
        assert_eq!(named("cpu", None), ["cpu"; 4]);
        assert_eq!(of_rank("cuda", (0, 1), None), "cuda");
    }
}
