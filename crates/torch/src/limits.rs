//! How much a file may ask for. Real checkpoints stay far below each of these.

/// Values in a file: each takes some tens of bytes.
pub const VALUES: u64 = 1 << 24;
/// Instructions of all the pickles in a file.
pub const STEPS: u64 = 1 << 26;
/// Marks that are open at once.
pub const NESTING: usize = 10_000;
/// Bytes of a name (a class, a storage's key, a number in decimals).
pub const NAME: usize = 1024;
/// Bytes of a whole number.
pub const INTEGER: usize = 128;
/// Bytes that a compressed entry of a zip may inflate to.
pub const INFLATED: u64 = 1 << 30;
/// Bytes of text that constructors may copy.
pub const COPIED: u64 = 1 << 30;
/// Dimensions of a tensor.
pub const DIMENSIONS: usize = 64;
/// Elements that a tensor may have beyond those that are stored (one number expanded to many).
pub const EXPANDED: u64 = 1 << 26;
/// Checkpoints inside checkpoints: a pickle, and its tensors' storages.
pub const NESTED_FILES: usize = 2;
/// Levels that a walk over the values goes down.
pub const DEPTH: usize = 256;
/// Modules that a walk over modules visits.
pub const MODULES: usize = 1 << 16;
/// Bytes of all the names that a walk makes.
pub const NAMES: usize = 1 << 28;
