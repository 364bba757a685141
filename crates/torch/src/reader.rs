//! Sequential reading of bytes with bounds checks.

use crate::{TorchError, limits, source::Span};

/// Bytes of a pickle in sequence.
pub struct Reader<'a> {
    pub span: &'a Span,
    pub position: u64,
    buffer: Vec<u8>,
    /// Where in the span the buffer starts.
    start: u64,
}

const BUFFER: u64 = 1 << 16;

impl<'a> Reader<'a> {
    pub fn new(span: &'a Span, start: u64) -> Self {
        Self { span, position: start, buffer: Vec::new(), start }
    }

    /// Returns the buffered bytes from the position on; empty at the end of the span.
    fn ahead(&mut self) -> Result<&[u8], TorchError> {
        let end = self.start + self.buffer.len() as u64;
        if !(self.start..end).contains(&self.position) {
            let len = self.span.len().saturating_sub(self.position).min(BUFFER);
            self.buffer.resize(len as usize, 0);
            self.start = self.position;
            self.span.read_at(self.start, &mut self.buffer)?;
        }
        Ok(&self.buffer[(self.position - self.start) as usize..])
    }

    pub fn byte(&mut self) -> Result<u8, TorchError> {
        let Some(&byte) = self.ahead()?.first() else { return Err(self.cut_off()) };
        self.position += 1;
        Ok(byte)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], TorchError> {
        let mut bytes = [0; N];
        for byte in &mut bytes {
            *byte = self.byte()?;
        }
        Ok(bytes)
    }

    /// Skips bytes without reading them.
    pub fn skip(&mut self, len: u64) -> Result<Span, TorchError> {
        let Some(span) = self.span.part(self.position, len) else { return Err(self.cut_off()) };
        self.position += len;
        Ok(span)
    }

    pub fn bytes(&mut self, len: u64) -> Result<Vec<u8>, TorchError> {
        let ahead = self.ahead()?;
        match usize::try_from(len).ok().and_then(|len| ahead.get(..len)) {
            Some(bytes) => {
                let bytes = bytes.to_vec();
                self.position += len;
                Ok(bytes)
            }
            None => self.skip(len)?.to_vec(),
        }
    }

    /// The bytes up to the end of the line, without it.
    pub fn line(&mut self, limit: usize) -> Result<Vec<u8>, TorchError> {
        let mut line = Vec::new();
        loop {
            let ahead = self.ahead()?;
            if ahead.is_empty() {
                return Err(self.cut_off());
            }
            let end = ahead.iter().position(|&byte| byte == b'\n');
            line.extend_from_slice(&ahead[..end.unwrap_or(ahead.len())]);
            self.position += end.map_or(ahead.len(), |end| end + 1) as u64;
            if line.len() > limit {
                return Err(self.span.too_much(format!("a line of more than {limit} bytes where a name is due")));
            }
            if end.is_some() {
                return Ok(line);
            }
        }
    }

    pub fn text_line(&mut self) -> Result<String, TorchError> {
        let line = self.line(limits::NAME)?;
        String::from_utf8(line).map_err(|_| self.malformed("a name that is no UTF-8"))
    }

    fn cut_off(&self) -> TorchError {
        self.malformed("the pickle ends too early: the file is cut off or damaged")
    }

    pub fn malformed(&self, problem: impl std::fmt::Display) -> TorchError {
        self.span.malformed(format!("at byte {}: {problem}", self.position))
    }
}
