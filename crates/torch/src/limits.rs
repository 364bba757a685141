//! How much a file may ask for. Real checkpoints stay far below each of these.

/// Values in a file: each takes some tens of bytes.
pub const VALUES: u64 = 1 << 23;
/// Instructions of all the pickles in a file.
pub const STEPS: u64 = 1 << 26;
/// Marks that are open at once.
pub const NESTING: usize = 10_000;
/// Bytes of a name (a class, a storage's key, a number in decimals).
pub const NAME: usize = 1024;
/// Bytes of a whole number.
pub const INTEGER: usize = 128;
/// Bytes of text that constructors may copy.
pub const COPIED: u64 = 1 << 30;
/// Dimensions of a tensor.
pub const DIMENSIONS: usize = 64;
/// Bytes that the tensors and the compressed entries of a file may take together, beyond [`EXPANDED_PER_BYTE`] for each of its own: one number
/// may stand for many, tensors may overlap, and zeros compress to nothing.
pub const EXPANDED: u64 = 1 << 26;
/// Bytes that tensors and compressed entries may take for each byte of the file.
pub const EXPANDED_PER_BYTE: u64 = 8;

/// Bytes that the tensors and the compressed entries of a file of so many bytes may take together.
pub fn expanded(file_bytes: u64) -> u64 {
    file_bytes.saturating_mul(EXPANDED_PER_BYTE).saturating_add(EXPANDED)
}
/// Checkpoints inside checkpoints: a pickle, and its tensors' storages.
pub const NESTED_FILES: usize = 2;
/// Levels that a walk over the values goes down.
pub const DEPTH: usize = 256;
/// Modules that a walk over modules visits.
pub const MODULES: usize = 1 << 16;
/// Bytes of all the names that a walk makes.
pub const NAMES: usize = 1 << 28;
/// Bytes of the header of a safetensors file.
pub const HEADER: u64 = 1 << 25;
