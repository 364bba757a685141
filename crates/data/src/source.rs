//! Bytes of a file or in memory, read at a position.

use std::{fs::File, io, sync::Arc};

/// Bytes that are read at a position, by any thread.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// A file. It is not mapped, so that a truncated file is an error and not a crash.
    File(Arc<File>, u64),
    /// Memory.
    Bytes(Arc<[u8]>),
}

/// A range of bytes of a [`Source`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub at: u64,
    pub size: u64,
}

impl Source {
    pub(crate) fn file(file: File) -> io::Result<Self> {
        let size = file.metadata()?.len();
        Ok(Self::File(Arc::new(file), size))
    }

    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::File(_, size) => *size,
            Self::Bytes(bytes) => bytes.len() as u64,
        }
    }

    /// Fills a buffer with the bytes from `at` on.
    pub(crate) fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<()> {
        match self {
            Self::File(file, _) => read_at(file, at, buffer),
            Self::Bytes(bytes) => {
                let part = usize::try_from(at).ok().and_then(|at| bytes.get(at..at.checked_add(buffer.len())?));
                buffer.copy_from_slice(part.ok_or_else(end)?);
                Ok(())
            }
        }
    }

    /// Reads the bytes of a range. A range beyond the end is an error before memory is allocated.
    pub(crate) fn span(&self, Span { at, size }: Span) -> io::Result<Vec<u8>> {
        if at.checked_add(size).is_none_or(|end| end > self.len()) {
            return Err(end());
        }
        let mut bytes = vec![0; usize::try_from(size).map_err(|_| end())?];
        self.read_at(at, &mut bytes)?;
        Ok(bytes)
    }

    /// Reads at most `most` bytes from `at` on.
    pub(crate) fn start(&self, at: u64, most: u64) -> io::Result<Vec<u8>> {
        self.span(Span { at, size: most.min(self.len().saturating_sub(at)) })
    }
}

fn end() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the file ends before it")
}

/// Reads at a position; every thread may.
pub(crate) fn read_at(file: &File, mut at: u64, mut buffer: &mut [u8]) -> io::Result<()> {
    while !buffer.is_empty() {
        #[cfg(unix)]
        let read = std::os::unix::fs::FileExt::read_at(file, buffer, at);
        #[cfg(windows)]
        let read = std::os::windows::fs::FileExt::seek_read(file, buffer, at);
        match read {
            Ok(0) => return Err(end()),
            Ok(count) => {
                at += count as u64;
                buffer = &mut buffer[count..];
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
