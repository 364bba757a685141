//! Messages of Protocol Buffers (protobuf.dev/programming-guides/encoding): fields of a number, and of bytes or an integer.

use std::io::{self, Write};

/// A message: bytes, some of which are borrowed.
#[derive(Default)]
pub struct Message<'a> {
    parts: Vec<Part<'a>>,
}

enum Part<'a> {
    Bytes(Vec<u8>),
    /// Numbers of four bytes each, as they are in memory.
    Floats(&'a [f32]),
}

/// A field's type: how its bytes end.
const VARINT: u64 = 0;
const DELIMITED: u64 = 2;
const FOUR_BYTES: u64 = 5;

impl<'a> Message<'a> {
    /// The number of bytes.
    pub fn len(&self) -> usize {
        let part = |part: &Part| match part {
            Part::Bytes(bytes) => bytes.len(),
            Part::Floats(values) => size_of_val(*values),
        };
        self.parts.iter().map(part).sum()
    }

    /// Adds an integer.
    pub fn integer(&mut self, field: u64, value: i64) -> &mut Self {
        // Negative numbers are their two's complement of 64 bits.
        self.tag(field, VARINT).varint(value as u64)
    }

    /// Adds a number in single precision.
    pub fn float(&mut self, field: u64, value: f32) -> &mut Self {
        self.tag(field, FOUR_BYTES).append(&value.to_le_bytes())
    }

    /// Adds a text or bytes.
    pub fn bytes(&mut self, field: u64, bytes: &[u8]) -> &mut Self {
        self.tag(field, DELIMITED).varint(bytes.len() as u64).append(bytes)
    }

    /// Adds single-precision numbers as bytes, without copying them.
    pub fn floats(&mut self, field: u64, values: &'a [f32]) -> &mut Self {
        self.tag(field, DELIMITED).varint(size_of_val(values) as u64);
        self.parts.push(Part::Floats(values));
        self
    }

    /// Adds a message.
    pub fn message(&mut self, field: u64, message: Message<'a>) -> &mut Self {
        self.tag(field, DELIMITED).varint(message.len() as u64);
        self.parts.extend(message.parts);
        self
    }

    /// Writes the bytes.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        for part in &self.parts {
            match part {
                Part::Bytes(bytes) => out.write_all(bytes)?,
                Part::Floats(values) => write_floats(values, out)?,
            }
        }
        Ok(())
    }

    fn tag(&mut self, field: u64, kind: u64) -> &mut Self {
        self.varint(field << 3 | kind)
    }

    /// Seven bits a byte, the lowest first; all bytes but the last have the eighth bit.
    fn varint(&mut self, mut value: u64) -> &mut Self {
        let mut bytes = Vec::new();
        while value >= 0x80 {
            bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        bytes.push(value as u8);
        self.append(&bytes)
    }

    fn append(&mut self, bytes: &[u8]) -> &mut Self {
        match self.parts.last_mut() {
            Some(Part::Bytes(last)) => last.extend_from_slice(bytes),
            _ => self.parts.push(Part::Bytes(bytes.to_vec())),
        }
        self
    }
}

/// Writes numbers as little-endian bytes.
pub fn write_floats(values: &[f32], out: &mut impl Write) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(4 << 14);
    for values in values.chunks(1 << 14) {
        buffer.clear();
        buffer.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        out.write_all(&buffer)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(message: &Message) -> Vec<u8> {
        let mut bytes = Vec::new();
        message.write(&mut bytes).unwrap();
        assert_eq!(bytes.len(), message.len());
        bytes
    }

    #[test]
    fn bytes_are_those_of_the_encoding_guide() {
        // The examples of protobuf.dev/programming-guides/encoding.
        let mut test1 = Message::default();
        test1.integer(1, 150);
        assert_eq!(bytes(&test1), [0x08, 0x96, 0x01]);
        let mut test3 = Message::default();
        test3.message(3, test1);
        assert_eq!(bytes(&test3), [0x1a, 0x03, 0x08, 0x96, 0x01]);
        let mut test2 = Message::default();
        test2.bytes(2, b"testing");
        assert_eq!(bytes(&test2), [&[0x12, 0x07][..], b"testing"].concat());
    }

    #[test]
    fn numbers_are_little_endian() {
        let values = [1.5_f32; 20_000];
        let mut message = Message::default();
        message.float(2, 1.0).integer(3, -2).floats(9, &values);
        let written = bytes(&message);
        assert_eq!(written[..5], [0x15, 0, 0, 0x80, 0x3f]);
        assert_eq!(written[5..16], [0x18, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
        assert_eq!(written[16..24], [0x4a, 0x80, 0xf1, 0x04, 0, 0, 0xc0, 0x3f]);
        assert_eq!(written.len(), 20 + 80_000);
    }
}
