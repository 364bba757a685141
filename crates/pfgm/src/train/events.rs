//! Log of a training as an event file of TensorBoard.
//!
//! The file is a sequence of TFRecords, `length, crc(length), bytes, crc(bytes)`, with TensorFlow's masked CRC-32C. The bytes of a record
//! are a protocol buffer `Event` (tensorflow/core/util/event.proto). Only four of its fields are needed; they are written here.

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::LogLine;

/// An open event file.
pub struct Events(File);

impl Events {
    /// Creates an event file in the folder of a run. TensorBoard joins the files of a folder.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    pub fn create(run: &Path) -> io::Result<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // Files that are created within a second have different names.
        let name = format!("events.out.tfevents.{}.{}.{}", now.as_secs(), std::process::id(), now.subsec_nanos());
        let mut events = Self(File::create(run.join(name))?);
        let mut event = Message::default();
        event.double(1, now.as_secs_f64());
        event.bytes(3, b"brain.Event:2");
        events.record(&event.0)?;
        Ok(events)
    }

    /// Adds a line of the log: its loss, norm of the gradient, learning rate, speed, and held-out loss if it was measured.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    pub fn add(&mut self, line: &LogLine) -> io::Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.record(&scalars(line, now).0)
    }

    fn record(&mut self, bytes: &[u8]) -> io::Result<()> {
        let length = (bytes.len() as u64).to_le_bytes();
        let mut record = Vec::with_capacity(bytes.len() + 16);
        record.extend(length);
        record.extend(masked(&length).to_le_bytes());
        record.extend(bytes);
        record.extend(masked(bytes).to_le_bytes());
        self.0.write_all(&record)
    }
}

/// Event of a line.
fn scalars(line: &LogLine, now: Duration) -> Message {
    let values = [
        ("loss", Some(line.loss)),
        ("held_out_loss", line.held_out_loss),
        ("gradient_norm", Some(line.gradient_norm)),
        ("learning_rate", Some(line.lr)),
        ("images_per_second", Some(line.images_per_second)),
    ];
    let mut summary = Message::default();
    for (tag, value) in values {
        let Some(value) = value else { continue };
        let mut entry = Message::default();
        entry.bytes(1, tag.as_bytes());
        entry.float(2, value as f32);
        summary.bytes(1, &entry.0);
    }
    let mut event = Message::default();
    event.double(1, now.as_secs_f64());
    event.number(2, line.step);
    event.bytes(5, &summary.0);
    event
}

/// CRC-32C, turned and moved as TFRecord has it.
fn masked(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// A protocol buffer.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn number(&mut self, field: u64, value: u64) {
        self.varint(field << 3);
        self.varint(value);
    }

    fn double(&mut self, field: u64, value: f64) {
        self.varint(field << 3 | 1);
        self.0.extend(value.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, value: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend(value);
    }

    fn float(&mut self, field: u64, value: f32) {
        self.varint(field << 3 | 5);
        self.0.extend(value.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_those_of_the_format() {
        // RFC 3720, B.4: thirty-two bytes of zeros.
        assert_eq!(crc32c::crc32c(&[0; 32]), 0x8a91_36aa);
        let folder = tempfile::tempdir().unwrap();
        let mut events = Events::create(folder.path()).unwrap();
        let line = LogLine {
            step: 300,
            loss: 0.5,
            gradient_norm: 2.0,
            lr: 0.25,
            images_per_second: 1.0,
            seconds: 1.0,
            held_out_loss: None,
        };
        events.add(&line).unwrap();
        let path = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
        let bytes = std::fs::read(path).unwrap();
        let (mut rest, mut records) = (&bytes[..], Vec::new());
        while !rest.is_empty() {
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
            let sum = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().unwrap());
            assert_eq!(sum(8), masked(&rest[..8]));
            assert_eq!(sum(12 + length), masked(&rest[12..12 + length]));
            records.push(&rest[12..12 + length]);
            rest = &rest[16 + length..];
        }
        assert_eq!(records.len(), 2);
        assert!(records[0].ends_with(b"\x1a\x0dbrain.Event:2"));
        // The step, 300, is the bytes ac 02; then the summary's first value.
        assert_eq!(&records[1][9..12], b"\x10\xac\x02");
        assert_eq!(&records[1][14..27], b"\x0a\x0b\x0a\x04loss\x15\0\0\0\x3f");
    }
}
