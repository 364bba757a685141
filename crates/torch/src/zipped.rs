//! Entries of zip archives.

use std::io::{BufReader, Read};

use flate2::read::DeflateDecoder;
use zip::{
    CompressionMethod, ZipArchive,
    read::{ArchiveOffset, Config},
};

use crate::{
    TorchError,
    source::{Span, Window},
};

/// An entry, which may be compressed. `torch.save` does not compress, but other tools may have repacked the checkpoint.
pub struct Entry {
    span: Span,
    /// Decompresses deflated bytes.
    inflated: Option<u64>,
}

impl Entry {
    pub fn stored(span: Span) -> Self {
        Self { span, inflated: None }
    }

    /// Bytes of the content.
    pub fn len(&self) -> u64 {
        self.inflated.unwrap_or(self.span.len())
    }

    /// Number of bytes after decompression; 0 if it is not compressed.
    pub fn inflated(&self) -> u64 {
        self.inflated.unwrap_or(0)
    }

    /// Returns the content: its span in the file, or decompressed in memory. The caller has accounted for [`Entry::inflated`].
    pub fn open(&self) -> Result<Span, TorchError> {
        let Some(len) = self.inflated else { return Ok(self.span.clone()) };
        let mut content = self.span.room(len)?;
        DeflateDecoder::new(Window::new(self.span.clone()))
            .take(len.saturating_add(1))
            .read_to_end(&mut content)
            .map_err(|error| self.span.malformed(format!("a compressed entry is damaged ({error})")))?;
        if content.len() as u64 != len {
            return Err(self.span.malformed(format!("a compressed entry is not of the {len} bytes that it claims")));
        }
        Ok(Span::of_memory(self.span.path(), content))
    }
}

/// A zip that `torch.save` wrote.
pub struct Archive {
    zip: ZipArchive<BufReader<Window>>,
    span: Span,
    /// The top-level folder, with its slash.
    folder: String,
}

impl Archive {
    pub fn new(span: Span) -> Result<Self, TorchError> {
        let damaged = |error: zip::result::ZipError| span.malformed(format!("the zip is damaged ({error})"));
        // The archive starts at byte 0. The automatic search for its start fails if PyTorch's zip64 records are exactly as long as
        // the first header of the directory, as they are for `training-state-000777/data.pkl`.
        let config = Config { archive_offset: ArchiveOffset::Known(0) };
        let reader = BufReader::new(Window::new(span.clone()));
        let zip = ZipArchive::with_config(config, reader).map_err(damaged)?;
        let folder = zip
            .file_names()
            .filter_map(|name| name.ok()?.strip_suffix("data.pkl").map(str::to_owned))
            .filter(|folder| folder.is_empty() || folder.ends_with('/'))
            .min_by_key(String::len);
        let Some(folder) = folder else {
            return Err(span.malformed("a zip without data.pkl: not a checkpoint of torch.save"));
        };
        Ok(Self { zip, span, folder })
    }

    /// Returns the entry `name` in the folder of the archive.
    pub fn entry(&mut self, name: &str) -> Result<Option<Entry>, TorchError> {
        let damaged = |problem: &dyn std::fmt::Display| self.span.malformed(format!("the zip's {name}: {problem}"));
        let Some(index) = self.zip.index_for_name(&format!("{}{name}", self.folder)) else { return Ok(None) };
        let file = self.zip.by_index_raw(index).map_err(|error| damaged(&error))?;
        let span = file.data_start().and_then(|start| self.span.part(start, file.compressed_size()));
        let Some(span) = span else { return Err(damaged(&"lies outside of the file")) };
        if file.encrypted() {
            return Err(damaged(&"is encrypted"));
        }
        match file.compression() {
            CompressionMethod::Stored if file.size() == span.len() => Ok(Some(Entry::stored(span))),
            CompressionMethod::Stored => Err(damaged(&"does not have the size that it claims")),
            CompressionMethod::Deflated => Ok(Some(Entry { span, inflated: Some(file.size()) })),
            other => Err(damaged(&format!("compressed in an unknown way ({other})"))),
        }
    }
}
