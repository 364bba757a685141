//! NumPy's `.npy` format: a header, then the elements.

use std::{
    io::{self, Write},
    path::Path,
};

use super::Array;
use crate::{
    DataError, NumberType,
    source::{Source, Span},
};

/// Maximum size of a header in bytes; NumPy writes some hundreds.
const LONGEST: u64 = 1 << 20;

/// Whether bytes start like a `.npy` file.
pub(crate) fn recognizes(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x93NUMPY")
}

/// Reads the header of the array at `start` of a source.
pub(crate) fn open(path: &Path, name: &str, source: &Source, start: u64) -> Result<Array, DataError> {
    let wrong = |problem: &dyn std::fmt::Display| {
        DataError::malformed(path, format!("array {name} cannot be read ({problem}); save it again with numpy.save"))
    };
    let read = |at: u64, size: u64| source.span(Span { at: start + at, size }).map_err(|_| wrong(&"it is cut short"));
    let head = read(0, 10)?;
    if !recognizes(&head) {
        return Err(wrong(&"it does not begin as a .npy file"));
    }
    let (size, begins) = match head[6] {
        1 => (u64::from(u16::from_le_bytes([head[8], head[9]])), 10),
        2 | 3 => {
            let field = read(8, 4)?;
            (u64::from(u32::from_le_bytes([field[0], field[1], field[2], field[3]])), 12)
        }
        version => return Err(wrong(&format!("version {version} of the format"))),
    };
    if size > LONGEST {
        return Err(wrong(&"its header is too long"));
    }
    let text = String::from_utf8_lossy(&read(begins, size)?).into_owned();
    let description = quoted(&text, "descr");
    let shape = shape(&text).ok_or_else(|| wrong(&"its header has no shape"))?;
    let fortran = value(&text, "fortran_order").is_some_and(|rest| rest.starts_with("True"));
    let big_endian = description.is_some_and(|description| description.starts_with('>'));
    let mut array = Array {
        name: name.to_owned(),
        shape,
        number: None,
        text: None,
        unread: None,
        big_endian,
        source: source.clone(),
        start: start + begins + size,
    };
    let kind = description.unwrap_or_default().trim_start_matches(['<', '>', '|', '=']);
    match number(kind) {
        Some(number) => array.number = Some(number),
        None => array.text = text_type(kind),
    }
    if array.number.is_none() && array.text.is_none() {
        // Only an array that is wanted must be readable.
        array.unread = Some(match description {
            None => "records; save its fields as arrays of their own".into(),
            Some(_) if kind.starts_with('O') => {
                "Python objects, which are not read; save x.astype(\"float32\"), or texts as x.astype(\"U\")".into()
            }
            Some(description) => {
                format!("numbers of the type {description}, which are not read; save x.astype(\"float32\")")
            }
        });
        return Ok(array);
    }
    array.check_size(path)?;
    if fortran { array.transposed(path) } else { Ok(array) }
}

/// Returns the text after a key in the dictionary of the header.
fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let at = text.find(&format!("'{key}'")).or_else(|| text.find(&format!("\"{key}\"")))?;
    Some(text[at + key.len() + 2..].trim_start().strip_prefix(':')?.trim_start())
}

fn quoted<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let rest = value(text, key)?;
    let quote = rest.chars().next().filter(|quote| ['\'', '"'].contains(quote))?;
    rest[1..].split(quote).next()
}

fn shape(text: &str) -> Option<Vec<usize>> {
    let inner = value(text, "shape")?.strip_prefix('(')?.split(')').next()?;
    let sizes = inner.split(',').map(str::trim).filter(|size| !size.is_empty());
    // Python 2 writes long integers with the suffix L.
    sizes.map(|size| size.trim_end_matches('L').parse().ok()).collect()
}

fn number(kind: &str) -> Option<NumberType> {
    Some(match kind {
        "b1" | "?" => NumberType::Bool,
        "u1" | "B" => NumberType::U8,
        "u2" => NumberType::U16,
        "u4" => NumberType::U32,
        "u8" => NumberType::U64,
        "i1" | "b" => NumberType::I8,
        "i2" => NumberType::I16,
        "i4" => NumberType::I32,
        "i8" => NumberType::I64,
        "f2" => NumberType::F16,
        "f4" => NumberType::F32,
        "f8" => NumberType::F64,
        _ => return None,
    })
}

/// Returns the bytes per character and the characters per string.
fn text_type(kind: &str) -> Option<(usize, usize)> {
    let (size, count) = match kind.split_at_checked(1)? {
        ("U", count) => (4, count),
        ("S" | "a", count) => (1, count),
        _ => return None,
    };
    Some((size, count.parse().ok().filter(|&count| count > 0 && count < 1 << 16)?))
}

/// Element types that can be written.
pub(crate) trait Element: Copy {
    /// NumPy's name of the type.
    const DESCRIPTION: &'static str;
    /// Appends the number's bytes.
    fn append(self, bytes: &mut Vec<u8>);
}

macro_rules! element {
    ($($type:ty => $description:literal),*) => {
        $(impl Element for $type {
            const DESCRIPTION: &'static str = $description;
            fn append(self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&self.to_le_bytes());
            }
        })*
    };
}

element!(u8 => "|u1", u16 => "<u2", f32 => "<f4", f64 => "<f8", i64 => "<i8", u64 => "<u8");

/// Writes an array.
pub(crate) fn write<T: Element>(out: &mut dyn Write, shape: &[usize], values: &[T]) -> io::Result<()> {
    let sizes: String = shape.iter().map(|size| format!("{size},")).collect();
    let sizes = if shape.len() > 1 { sizes.trim_end_matches(',').replace(',', ", ") } else { sizes };
    let text = format!("{{'descr': '{}', 'fortran_order': False, 'shape': ({sizes}), }}", T::DESCRIPTION);
    // The elements start at a multiple of 64 bytes, after a line break.
    let size = (10 + text.len() + 1).next_multiple_of(64) - 10;
    out.write_all(b"\x93NUMPY\x01\x00")?;
    out.write_all(&(size as u16).to_le_bytes())?;
    out.write_all(format!("{text:<width$}\n", width = size - 1).as_bytes())?;
    let mut bytes = Vec::new();
    for part in values.chunks(1 << 16) {
        bytes.clear();
        part.iter().for_each(|value| value.append(&mut bytes));
        out.write_all(&bytes)?;
    }
    Ok(())
}
