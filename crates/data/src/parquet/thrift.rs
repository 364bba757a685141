//! Thrift's compact protocol, in which Parquet writes its metadata: values by the numbers of their fields.

/// Structures within structures at the most.
const DEEPEST: usize = 32;

/// A value. Maps are left out, for Parquet's metadata has none.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Bool(bool),
    Int(i64),
    Bytes(&'a [u8]),
    List(Vec<Value<'a>>),
    Struct(Fields<'a>),
    /// A value that is not used.
    Other,
}

/// The fields of a structure by their numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Fields<'a>(Vec<(i16, Value<'a>)>);

impl<'a> Fields<'a> {
    fn get(&self, field: i16) -> Option<&Value<'a>> {
        self.0.iter().find(|(number, _)| *number == field).map(|(_, value)| value)
    }

    pub(super) fn has(&self, field: i16) -> bool {
        self.get(field).is_some()
    }

    pub(super) fn int(&self, field: i16) -> Option<i64> {
        match self.get(field)? {
            Value::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// A number that counts something.
    pub(super) fn count(&self, field: i16) -> Option<usize> {
        usize::try_from(self.int(field)?).ok()
    }

    pub(super) fn bool(&self, field: i16) -> Option<bool> {
        match self.get(field)? {
            Value::Bool(value) => Some(*value),
            _ => None,
        }
    }

    pub(super) fn text(&self, field: i16) -> Option<String> {
        match self.get(field)? {
            Value::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            _ => None,
        }
    }

    pub(super) fn fields(&self, field: i16) -> Option<&Fields<'a>> {
        match self.get(field)? {
            Value::Struct(fields) => Some(fields),
            _ => None,
        }
    }

    /// The structures of a list; none if there is no such list.
    pub(super) fn list(&self, field: i16) -> Vec<&Fields<'a>> {
        let Some(Value::List(values)) = self.get(field) else { return Vec::new() };
        values.iter().filter_map(|value| if let Value::Struct(fields) = value { Some(fields) } else { None }).collect()
    }

    /// The number of the first field, which says what a union is.
    pub(super) fn first(&self) -> Option<i16> {
        self.0.first().map(|(number, _)| *number)
    }
}

/// A position in bytes. `None` where bytes break the protocol or end too soon.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes were read.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    pub(super) fn take(&mut self, size: usize) -> Option<&'a [u8]> {
        let part = self.bytes.get(self.at..self.at.checked_add(size)?)?;
        self.at += size;
        Some(part)
    }

    /// A number in groups of seven bits, the lowest first.
    pub(super) fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// A signed number, whose lowest bit is its sign.
    pub(super) fn zigzag(&mut self) -> Option<i64> {
        let value = self.varint()?;
        Some((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    pub(super) fn fields(&mut self) -> Option<Fields<'a>> {
        self.structure(DEEPEST)
    }

    fn structure(&mut self, depth: usize) -> Option<Fields<'a>> {
        let mut fields = Vec::new();
        let mut number = 0_i16;
        loop {
            let head = self.byte()?;
            let kind = head & 0x0F;
            if kind == 0 {
                return Some(Fields(fields));
            }
            number = match head >> 4 {
                0 => i16::try_from(self.zigzag()?).ok()?,
                step => number.checked_add(i16::from(step))?,
            };
            let value = match kind {
                1 | 2 => Value::Bool(kind == 1),
                _ => self.value(kind, depth)?,
            };
            fields.push((number, value));
        }
    }

    fn value(&mut self, kind: u8, depth: usize) -> Option<Value<'a>> {
        Some(match kind {
            // Booleans of a list have a byte each.
            1 | 2 => Value::Bool(self.byte()? == 1),
            3 => Value::Int(i64::from(self.byte()? as i8)),
            4..=6 => Value::Int(self.zigzag()?),
            7 => {
                self.take(8)?;
                Value::Other
            }
            8 => {
                let size = usize::try_from(self.varint()?).ok()?;
                Value::Bytes(self.take(size)?)
            }
            9 | 10 => self.list(depth.checked_sub(1)?)?,
            12 => Value::Struct(self.structure(depth.checked_sub(1)?)?),
            _ => return None,
        })
    }

    fn list(&mut self, depth: usize) -> Option<Value<'a>> {
        let head = self.byte()?;
        let count = match head >> 4 {
            15 => usize::try_from(self.varint()?).ok()?,
            count => usize::from(count),
        };
        // Every element has a byte at least, so that the list cannot be larger than its file.
        if count > self.bytes.len() - self.at {
            return None;
        }
        (0..count).map(|_| self.value(head & 0x0F, depth)).collect::<Option<Vec<_>>>().map(Value::List)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structures_lists_and_numbers_are_read() {
        // 1: i32 -3, 2: true, 4: list of two strings, 20: a structure with 1: i64 300, and the end.
        let bytes = [0x15, 5, 0x11, 0x29, 0x28, 1, b'a', 2, b'b', b'c', 0x0C, 40, 0x16, 0xD8, 4, 0, 0, 99];
        let mut reader = Reader::new(&bytes);
        let fields = reader.fields().unwrap();
        assert_eq!((fields.int(1), fields.bool(2), reader.position()), (Some(-3), Some(true), bytes.len() - 1));
        assert_eq!(fields.fields(20).unwrap().int(1), Some(300));
        let texts = Value::List(vec![Value::Bytes(b"a"), Value::Bytes(b"bc")]);
        assert_eq!(fields.get(4), Some(&texts));
        for length in 0..bytes.len() - 1 {
            assert_eq!(Reader::new(&bytes[..length]).fields(), None, "{length}");
        }
    }

    #[test]
    fn neither_depth_nor_counts_are_believed() {
        assert_eq!(Reader::new(&[0x1C; 10_000]).fields(), None);
        assert_eq!(Reader::new(&[0x19, 0xFC, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F]).fields(), None);
        assert_eq!(Reader::new(&[0xFF; 20]).varint(), None);
    }
}
