//! Bytes by position: of a file on disk, or in memory.

use std::{
    fs,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use crate::TorchError;

/// Source of the bytes of a checkpoint.
struct Source {
    path: String,
    bytes: Bytes,
}

enum Bytes {
    Memory(Vec<u8>),
    Disk(Mutex<fs::File>),
}

/// A range of bytes in a source.
#[derive(Clone)]
pub struct Span {
    source: Arc<Source>,
    start: u64,
    len: u64,
}

impl Span {
    /// Opens a file and returns a span over all of it.
    pub fn of_file(path: &Path) -> Result<Self, TorchError> {
        let name = path.display().to_string();
        let opened = fs::File::open(path).and_then(|file| Ok((file.metadata()?, file)));
        match opened {
            Ok((metadata, _)) if metadata.is_dir() => {
                Err(TorchError::Malformed { path: name, problem: "is a folder, not a checkpoint".to_owned() })
            }
            Ok((metadata, file)) => {
                let source = Source { path: name, bytes: Bytes::Disk(Mutex::new(file)) };
                Ok(Self { source: Arc::new(source), start: 0, len: metadata.len() })
            }
            Err(source) => Err(TorchError::Read { path: name, source }),
        }
    }

    /// Returns a span over bytes in memory; `path` is their name in error messages.
    pub fn of_memory(path: &str, bytes: Vec<u8>) -> Self {
        let len = bytes.len() as u64;
        Self { source: Arc::new(Source { path: path.to_owned(), bytes: Bytes::Memory(bytes) }), start: 0, len }
    }

    pub fn path(&self) -> &str {
        &self.source.path
    }

    pub fn len(&self) -> u64 {
        self.len
    }

    /// Returns a part of this span; `None` if it is not inside.
    pub fn part(&self, start: u64, len: u64) -> Option<Self> {
        let end = start.checked_add(len)?;
        (end <= self.len).then(|| Self { source: Arc::clone(&self.source), start: self.start + start, len })
    }

    /// Fills `buffer` from `offset` on.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), TorchError> {
        if offset.checked_add(buffer.len() as u64).is_none_or(|end| end > self.len) {
            return Err(self.malformed("ends too early: it is cut off or damaged"));
        }
        let start = self.start + offset;
        let read = match &self.source.bytes {
            Bytes::Memory(bytes) => {
                let mut rest = usize::try_from(start).ok().and_then(|start| bytes.get(start..)).unwrap_or_default();
                rest.read_exact(buffer)
            }
            Bytes::Disk(file) => {
                // Every reader seeks first, so the position that a panicking thread left is irrelevant.
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                file.seek(SeekFrom::Start(start)).and_then(|_| file.read_exact(buffer))
            }
        };
        read.map_err(|source| TorchError::Read { path: self.path().to_owned(), source })
    }

    /// Reads the bytes of this span into memory.
    pub fn to_vec(&self) -> Result<Vec<u8>, TorchError> {
        let mut bytes = self.room(self.len)?;
        bytes.resize(self.len as usize, 0);
        self.read_at(0, &mut bytes)?;
        Ok(bytes)
    }

    /// Returns an empty vector with capacity `len`, or an error if there is not enough memory.
    pub fn room<T>(&self, len: u64) -> Result<Vec<T>, TorchError> {
        let mut vector = Vec::new();
        let reserved = usize::try_from(len).is_ok_and(|len| vector.try_reserve_exact(len).is_ok());
        if reserved { Ok(vector) } else { Err(self.too_much(format!("no memory for {len} elements"))) }
    }

    pub fn malformed(&self, problem: impl Into<String>) -> TorchError {
        TorchError::Malformed { path: self.path().to_owned(), problem: problem.into() }
    }

    pub fn too_much(&self, problem: impl Into<String>) -> TorchError {
        TorchError::TooMuch { path: self.path().to_owned(), problem: problem.into() }
    }
}

/// Adapter from a span to `std::io::Read` and `Seek`.
pub struct Window {
    span: Span,
    position: u64,
}

impl Window {
    pub fn new(span: Span) -> Self {
        Self { span, position: 0 }
    }
}

impl Read for Window {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.span.len.saturating_sub(self.position);
        let len = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        self.span.read_at(self.position.min(self.span.len), &mut buffer[..len]).map_err(io::Error::other)?;
        self.position += len as u64;
        Ok(len)
    }
}

impl Seek for Window {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(delta) => self.span.len.checked_add_signed(delta),
            SeekFrom::Current(delta) => self.position.checked_add_signed(delta),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
