//! Pickled NumPy scalars and arrays.

use crate::{
    DType, TorchError,
    build::{Builder, FALSE, TRUE},
    file::value::{Id, Node},
    source::Span,
};

/// Element type of a `numpy.dtype` object; `None` for types that are not plain numbers.
fn dtype(build: &Builder, id: Id) -> Result<Option<DType>, TorchError> {
    let Node::Object(object) = build.node(id) else { return Ok(None) };
    if &*object.class != "numpy.dtype" {
        return Ok(None);
    }
    let name = build.sequence(object.arguments).and_then(|arguments| build.str(*arguments.first()?));
    let order = object.state.and_then(|state| build.str(*build.sequence(state)?.get(1)?));
    let dtype = match name {
        Some("f8") => DType::F64,
        Some("f4") => DType::F32,
        Some("f2") => DType::F16,
        Some("i8") => DType::I64,
        Some("i4") => DType::I32,
        Some("i2") => DType::I16,
        Some("i1") => DType::I8,
        Some("u8") => DType::U64,
        Some("u4") => DType::U32,
        Some("u2") => DType::U16,
        Some("u1") => DType::U8,
        Some("b1") => DType::Bool,
        Some("c8") => DType::Complex64,
        Some("c16") => DType::Complex128,
        _ => return Ok(None),
    };
    if order == Some(">") && dtype.size() > 1 {
        return Err(build.span.malformed("a NumPy array of a big-endian machine, which is not supported"));
    }
    Ok(Some(dtype))
}

/// Bytes of a `bytes` object or of a Python 2 string.
fn data(build: &Builder, id: Id) -> Option<Span> {
    match build.node(id) {
        Node::Bytes(span) => Some(span.clone()),
        Node::Str(text) if text.len() <= 64 => Some(Span::of_memory(build.span.path(), text.clone().into_bytes())),
        _ => None,
    }
}

/// Value of `scalar(dtype, bytes)` if it is a plain number.
pub fn scalar(build: &mut Builder, number: Id, bytes: Id) -> Result<Option<Id>, TorchError> {
    let (Some(dtype), Some(data)) = (dtype(build, number)?, data(build, bytes)) else { return Ok(None) };
    if data.len() != dtype.size() as u64 {
        return Err(build.span.malformed(format!("a NumPy number of {dtype:?} has {} bytes", data.len())));
    }
    let mut bytes = [0; 16];
    data.read_at(0, &mut bytes[..dtype.size()])?;
    let whole = i64::from_le_bytes(bytes[..8].try_into().unwrap_or_default());
    let node = match dtype {
        DType::F64 => Node::Float(f64::from_bits(whole as u64)),
        DType::F32 => Node::Float(f32::from_bits(whole as u32).into()),
        DType::F16 => Node::Float(half::f16::from_bits(whole as u16).into()),
        DType::I64 => Node::Int(whole),
        DType::I32 => Node::Int((whole as i32).into()),
        DType::I16 => Node::Int((whole as i16).into()),
        DType::I8 => Node::Int((whole as i8).into()),
        DType::U64 if whole < 0 => Node::BigInt((whole as u64).to_string()),
        // The other bytes are zeros.
        DType::U64 | DType::U32 | DType::U16 | DType::U8 => Node::Int(whole),
        DType::Bool => return Ok(Some(if whole == 0 { FALSE } else { TRUE })),
        DType::BF16 | DType::Complex64 | DType::Complex128 => return Ok(None),
    };
    build.add(node).map(Some)
}

/// Converts an array of plain numbers to a tensor.
pub fn array(build: &mut Builder, kind: Id, shape: Id, fortran: bool, bytes: Id) -> Result<Option<Id>, TorchError> {
    let (Some(dtype), Some(data)) = (dtype(build, kind)?, data(build, bytes)) else { return Ok(None) };
    let shape = build.sizes(shape)?;
    let elements = shape.iter().try_fold(1usize, |all, &size| all.checked_mul(size));
    let bytes = elements.and_then(|elements| elements.checked_mul(dtype.size()));
    if bytes.is_none_or(|bytes| bytes as u64 != data.len()) {
        let problem = format!("a NumPy array of shape {shape:?} and {dtype:?} has {} bytes", data.len());
        return Err(build.span.malformed(problem));
    }
    build.array(dtype, shape, fortran, data).map(Some)
}

/// Returns the array that an object represents after its state was set; `None` for other objects.
pub fn finished(build: &mut Builder, id: Id) -> Result<Option<Id>, TorchError> {
    let Node::Object(object) = build.node(id) else { return Ok(None) };
    if &*object.class != "numpy.ndarray" {
        return Ok(None);
    }
    match object.state.and_then(|state| build.sequence(state)) {
        // The version of the format, then these.
        Some(&[_, shape, dtype, fortran, bytes]) => array(build, dtype, shape, fortran == TRUE, bytes),
        _ => Ok(None),
    }
}
