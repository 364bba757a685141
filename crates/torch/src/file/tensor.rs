//! Tensors: their layout in the file, and reading their elements.

use half::{bf16, f16};

use crate::{File, TorchError, limits, zipped::Entry};

/// Element type of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum DType {
    F64,
    F32,
    F16,
    BF16,
    I64,
    I32,
    I16,
    I8,
    U64,
    U32,
    U16,
    U8,
    Bool,
    /// Two [`DType::F32`]. Recognized, but cannot be read.
    Complex64,
    /// Two [`DType::F64`]. Recognized, but cannot be read.
    Complex128,
}

impl DType {
    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            Self::Complex128 => 16,
            Self::F64 | Self::I64 | Self::U64 | Self::Complex64 => 8,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F16 | Self::BF16 | Self::I16 | Self::U16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }

    /// Returns the type of `torch.NAME`, if there is one.
    pub(crate) fn of_torch(name: &str) -> Option<Self> {
        Some(match name {
            "float64" | "double" => Self::F64,
            "float32" | "float" => Self::F32,
            "float16" | "half" => Self::F16,
            "bfloat16" => Self::BF16,
            "int64" | "long" => Self::I64,
            "int32" | "int" => Self::I32,
            "int16" | "short" => Self::I16,
            "int8" => Self::I8,
            "uint64" => Self::U64,
            "uint32" => Self::U32,
            "uint16" => Self::U16,
            "uint8" => Self::U8,
            "bool" => Self::Bool,
            "complex64" | "cfloat" => Self::Complex64,
            "complex128" | "cdouble" => Self::Complex128,
            _ => return None,
        })
    }

    /// Returns the type with this name in safetensors files, if it is known.
    pub(crate) fn of_safetensors(name: &str) -> Option<Self> {
        Some(match name {
            "F64" => Self::F64,
            "F32" => Self::F32,
            "F16" => Self::F16,
            "BF16" => Self::BF16,
            "I64" => Self::I64,
            "I32" => Self::I32,
            "I16" => Self::I16,
            "I8" => Self::I8,
            "U64" => Self::U64,
            "U32" => Self::U32,
            "U16" => Self::U16,
            "U8" => Self::U8,
            "BOOL" => Self::Bool,
            _ => return None,
        })
    }

    /// Returns the element type of a storage class, if it is one. Untyped storages hold bytes.
    pub(crate) fn of_storage(class: &str) -> Option<Self> {
        let name = class.strip_prefix("torch.")?;
        Some(match name.strip_prefix("cuda.").unwrap_or(name) {
            "DoubleStorage" => Self::F64,
            "FloatStorage" => Self::F32,
            "HalfStorage" => Self::F16,
            "BFloat16Storage" => Self::BF16,
            "LongStorage" => Self::I64,
            "IntStorage" => Self::I32,
            "ShortStorage" => Self::I16,
            "CharStorage" => Self::I8,
            "ByteStorage" | "UntypedStorage" | "storage.UntypedStorage" | "storage._UntypedStorage" => Self::U8,
            "BoolStorage" => Self::Bool,
            "ComplexFloatStorage" => Self::Complex64,
            "ComplexDoubleStorage" => Self::Complex128,
            _ => return None,
        })
    }

    fn is_whole(self) -> bool {
        use DType::{Bool, I8, I16, I32, I64, U8, U16, U32};
        matches!(self, I64 | I32 | I16 | I8 | U32 | U16 | U8 | Bool)
    }
}

/// A tensor whose elements are in the file. Its indices have been checked against its storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// The type of its elements.
    pub dtype: DType,
    /// Size of each dimension, outermost first; empty for a scalar.
    pub shape: Vec<usize>,
    /// Stride of each dimension in elements; 0 if all indices share one element.
    pub strides: Vec<usize>,
    /// Offset of the first element from the start of the storage, in elements.
    pub offset: usize,
    /// Index of the storage in the file. Tensors with the same storage share memory.
    pub storage: usize,
}

impl Tensor {
    /// Creates a contiguous tensor in row-major order.
    pub(crate) fn contiguous(dtype: DType, shape: Vec<usize>, offset: usize, storage: usize) -> Self {
        let strides = row_major(&shape);
        Self { dtype, shape, strides, offset, storage }
    }

    /// Number of elements.
    pub fn elements(&self) -> usize {
        // In a tensor without elements, the other sizes are arbitrary.
        if self.shape.contains(&0) { 0 } else { self.shape.iter().fold(1, |all, &size| all.saturating_mul(size)) }
    }

    /// Returns the number of elements, and one more than the largest index into the storage.
    ///
    /// Returns an error if the storage is too small for the tensor.
    pub(crate) fn extent(&self, storage_bytes: u64) -> Result<(usize, usize), String> {
        let shape = &self.shape;
        let overflow = || format!("a tensor of shape {shape:?} and strides {:?} is beyond all memory", self.strides);
        if shape.len() != self.strides.len() {
            return Err(format!("a tensor of shape {shape:?} has strides {:?}", self.strides));
        }
        if shape.contains(&0) {
            return Ok((0, self.offset));
        }
        let elements = shape.iter().try_fold(1usize, |all, &size| all.checked_mul(size)).ok_or_else(overflow)?;
        let last = shape
            .iter()
            .zip(&self.strides)
            .try_fold(self.offset, |last, (&size, &stride)| last.checked_add((size - 1).checked_mul(stride)?));
        let end = last.and_then(|last| last.checked_add(1)).ok_or_else(overflow)?;
        let bytes = end.checked_mul(self.dtype.size()).ok_or_else(overflow)?;
        if bytes as u64 > storage_bytes {
            return Err(format!(
                "a tensor of shape {shape:?}, strides {:?} and offset {} reaches byte {bytes} of a storage of \
                 {storage_bytes}",
                self.strides, self.offset
            ));
        }
        Ok((elements, end))
    }

    /// Returns the bytes needed to read it: the larger of its elements and the range from its first to its last element, with at least four
    /// bytes per element.
    pub(crate) fn bytes_read(&self, storage_bytes: u64) -> Result<u64, String> {
        let (elements, end) = self.extent(storage_bytes)?;
        let count = elements.max(end.saturating_sub(self.offset)) as u64;
        Ok(count.saturating_mul(self.dtype.size().max(4) as u64))
    }

    fn is_contiguous(&self) -> bool {
        let packed = row_major(&self.shape);
        self.shape.iter().zip(self.strides.iter().zip(packed)).all(|(&size, (&stride, packed))| {
            // The stride of a dimension with one index is never used.
            size == 1 || stride == packed
        })
    }
}

fn row_major(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1usize; shape.len()];
    for dimension in (1..shape.len()).rev() {
        strides[dimension - 1] = strides[dimension].saturating_mul(shape[dimension]);
    }
    strides
}

/// Memory that tensors are views of.
pub struct Storage {
    pub dtype: DType,
    pub bytes: u64,
    /// Position in the file; `None` until it is known.
    pub data: Option<Entry>,
}

/// Bytes read at once; a multiple of every element's size.
const CHUNK: u64 = 1 << 20;

/// Function that decodes numbers from bytes and appends them to a vector.
macro_rules! decoder {
    ($name:ident, $number:ty) => {
        fn $name(dtype: DType, bytes: &[u8], out: &mut Vec<$number>) {
            match dtype {
                DType::F64 => out.extend(bytes.as_chunks().0.iter().map(|&b| f64::from_le_bytes(b) as $number)),
                DType::F32 => out.extend(bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b) as $number)),
                DType::F16 => {
                    out.extend(bytes.as_chunks().0.iter().map(|&b| f16::from_le_bytes(b).to_f32() as $number))
                }
                DType::BF16 => {
                    out.extend(bytes.as_chunks().0.iter().map(|&b| bf16::from_le_bytes(b).to_f32() as $number));
                }
                DType::I64 => out.extend(bytes.as_chunks().0.iter().map(|&b| i64::from_le_bytes(b) as $number)),
                DType::I32 => out.extend(bytes.as_chunks().0.iter().map(|&b| i32::from_le_bytes(b) as $number)),
                DType::I16 => out.extend(bytes.as_chunks().0.iter().map(|&b| i16::from_le_bytes(b) as $number)),
                DType::I8 => out.extend(bytes.iter().map(|&b| b as i8 as $number)),
                DType::U64 => out.extend(bytes.as_chunks().0.iter().map(|&b| u64::from_le_bytes(b) as $number)),
                DType::U32 => out.extend(bytes.as_chunks().0.iter().map(|&b| u32::from_le_bytes(b) as $number)),
                DType::U16 => out.extend(bytes.as_chunks().0.iter().map(|&b| u16::from_le_bytes(b) as $number)),
                DType::U8 => out.extend(bytes.iter().map(|&b| b as $number)),
                DType::Bool => out.extend(bytes.iter().map(|&b| u8::from(b != 0) as $number)),
                // Checked before anything is read.
                DType::Complex64 | DType::Complex128 => {}
            }
        }
    };
}

decoder!(decode_f32, f32);
decoder!(decode_f64, f64);
decoder!(decode_i64, i64);

impl File {
    /// Reads the elements of a tensor in single precision, in row-major order. Only its storage is read.
    ///
    /// Wider types are rounded; booleans become 0 and 1.
    ///
    /// # Errors
    /// Returns an error if the file can no longer be read, the tensor is complex or from another file, or there is not enough memory.
    pub fn values(&self, tensor: &Tensor) -> Result<Vec<f32>, TorchError> {
        self.gather(tensor, decode_f32)
    }

    /// As [`File::values`], in double precision.
    ///
    /// # Errors
    /// As [`File::values`].
    pub fn values_f64(&self, tensor: &Tensor) -> Result<Vec<f64>, TorchError> {
        self.gather(tensor, decode_f64)
    }

    /// Reads the elements of an integer tensor, in row-major order.
    ///
    /// # Errors
    /// As [`File::values`]; also if the element type is not an integer type that fits.
    pub fn values_i64(&self, tensor: &Tensor) -> Result<Vec<i64>, TorchError> {
        if !tensor.dtype.is_whole() {
            return Err(self.span.malformed(format!("a tensor of {:?} is not one of whole numbers", tensor.dtype)));
        }
        self.gather(tensor, decode_i64)
    }

    fn gather<T: Copy>(&self, tensor: &Tensor, decode: fn(DType, &[u8], &mut Vec<T>)) -> Result<Vec<T>, TorchError> {
        if matches!(tensor.dtype, DType::Complex64 | DType::Complex128) {
            return Err(self.span.malformed("a complex tensor, which is not supported"));
        }
        let storage = self.storages.get(tensor.storage);
        let Some((storage, data)) = storage.and_then(|storage| Some((storage, storage.data.as_ref()?))) else {
            return Err(self.span.malformed(format!("has no storage {}", tensor.storage)));
        };
        let (elements, end) = tensor.extent(storage.bytes).map_err(|problem| self.span.malformed(problem))?;
        if elements == 0 {
            return Ok(Vec::new());
        }
        // Tensors of this file have been checked; others may have any size.
        if elements as u64 > limits::expanded(self.span.len()) {
            let problem = format!("a tensor spreads {} bytes over {elements} elements", storage.bytes);
            return Err(self.span.too_much(problem));
        }

        // Reads the range from the first to the last element, then gathers the elements in order.
        let span = data.open()?;
        let size = tensor.dtype.size() as u64;
        let (start, stop) = (tensor.offset as u64 * size, end as u64 * size);
        let mut flat = span.room((end - tensor.offset) as u64)?;
        let mut buffer = vec![0; CHUNK.min(stop - start) as usize];
        for from in (start..stop).step_by(CHUNK as usize) {
            let chunk = &mut buffer[..CHUNK.min(stop - from) as usize];
            span.read_at(from, chunk)?;
            decode(tensor.dtype, chunk, &mut flat);
        }
        if tensor.is_contiguous() {
            return Ok(flat);
        }
        let mut values = span.room(elements as u64)?;
        each_position(&tensor.shape, &tensor.strides, |position| values.push(flat[position]));
        Ok(values)
    }
}

/// Calls `visit` with the position of every element, in row-major order. No size may be 0.
fn each_position(shape: &[usize], strides: &[usize], mut visit: impl FnMut(usize)) {
    let mut index = vec![0; shape.len()];
    let mut position = 0;
    loop {
        visit(position);
        let Some(dimension) = (0..shape.len()).rev().find(|&dimension| {
            // A dimension that reached its end restarts, and the dimension before it advances.
            if index[dimension] + 1 < shape[dimension] {
                return true;
            }
            position -= index[dimension] * strides[dimension];
            index[dimension] = 0;
            false
        }) else {
            return;
        };
        index[dimension] += 1;
        position += strides[dimension];
    }
}
