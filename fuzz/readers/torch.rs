//! Bytes as a checkpoint of PyTorch.

/// Opens the bytes, walks everything in them, and reads every tensor.
pub fn read(bytes: &[u8]) {
    let Ok(file) = pfgm_torch::from_bytes(bytes.to_vec()) else { return };
    let root = file.root();
    let _ = root.state_dict();
    for (_, value) in root.entries() {
        let _ = value.state_dict();
    }
    for (_, tensor) in root.tensors().unwrap_or_default() {
        let _ = file.values(tensor);
    }
}
