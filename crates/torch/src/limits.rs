//! Limits on the resources that reading a file may use. Real checkpoints stay far below each of them.

/// Values in a file, some tens of bytes each.
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
/// Bytes for all tensors and decompressed entries of a file, in addition to [`EXPANDED_PER_BYTE`] per byte of the file. A small file
/// can describe large tensors: strides may be 0, tensors may overlap, and zeros compress well.
pub const EXPANDED: u64 = 1 << 26;
/// Bytes for tensors and decompressed entries, per byte of the file.
pub const EXPANDED_PER_BYTE: u64 = 8;

/// Returns the limit for all tensors and decompressed entries of a file with `file_bytes` bytes.
pub fn expanded(file_bytes: u64) -> u64 {
    file_bytes.saturating_mul(EXPANDED_PER_BYTE).saturating_add(EXPANDED)
}
/// Nesting depth of checkpoints inside pickles (tensors and their storages).
pub const NESTED_FILES: usize = 2;
/// Depth of a walk over the values.
pub const DEPTH: usize = 256;
/// Modules visited by a walk over modules.
pub const MODULES: usize = 1 << 16;
/// Bytes of all names that a walk creates.
pub const NAMES: usize = 1 << 28;
/// Bytes of the header of a safetensors file.
pub const HEADER: u64 = 1 << 25;
