//! Pages: where the values of a column lie, and their bytes, expanded and never beyond what their header announces.

use std::io::Read;

use super::{
    schema::Chunk,
    thrift::{Fields, Reader},
};
use crate::source::{Source, Span};

/// Bytes in which the header of a page is looked for, first and at the most. Headers may hold the lowest and highest value.
const HEADER: [u64; 2] = [1 << 12, 1 << 22];

/// How values are written in a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Plain,
    /// Numbers of entries of the dictionary.
    Dictionary,
    /// Runs of equal values.
    Runs,
    /// Differences of whole numbers.
    Deltas,
    /// Lengths as differences, then bytes.
    DeltaLengths,
    /// First bytes of all values, then second bytes, ...
    Split,
}

/// Levels of definition and repetition: within the page's values, or of so many bytes before them.
#[derive(Clone, Copy, Debug)]
pub(super) enum Levels {
    Within,
    Before { definition: usize, repetition: usize },
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Page {
    span: Span,
    codec: i64,
    /// Bytes once it is expanded.
    pub size: usize,
    pub values: usize,
    pub encoding: Encoding,
    pub levels: Levels,
    pub is_dictionary: bool,
    is_packed: bool,
    crc: Option<u32>,
}

/// The pages of a chunk, the dictionary first if there is one.
///
/// The error says what is wrong.
pub(super) fn pages(source: &Source, chunk: Chunk) -> Result<Vec<Page>, String> {
    let Span { mut at, size } = chunk.span;
    let end = at + size;
    let (mut pages, mut values) = (Vec::new(), 0_usize);
    while at < end && values < chunk.values {
        let (page, after) = next(source, at, end, chunk.codec)?;
        at = after;
        if let Some(page) = page {
            if !page.is_dictionary {
                values = values.saturating_add(page.values);
            }
            pages.push(page);
        }
    }
    if values != chunk.values {
        return Err(format!("its pages hold {values} values where {} are announced", chunk.values));
    }
    let dictionaries = pages.iter().filter(|page| page.is_dictionary).count();
    let is_first = pages.first().is_some_and(|page| page.is_dictionary);
    if dictionaries > usize::from(is_first) {
        return Err("a dictionary is not at its beginning".into());
    }
    if !is_first && pages.iter().any(|page| page.encoding == Encoding::Dictionary) {
        return Err("its dictionary is missing".into());
    }
    pages.retain(|page| page.is_dictionary || page.values > 0);
    Ok(pages)
}

/// The page at a position, none if it holds no values, and the position behind it.
fn next(source: &Source, at: u64, end: u64, codec: i64) -> Result<(Option<Page>, u64), String> {
    for most in HEADER {
        let bytes = source.start(at, most.min(end - at)).map_err(|error| error.to_string())?;
        let mut reader = Reader::new(&bytes);
        let Some(fields) = reader.fields() else { continue };
        let begin = at + reader.position() as u64;
        let packed = fields.count(3).ok_or("a page without a size")? as u64;
        if packed > end - begin {
            return Err("a page is longer than its column".into());
        }
        return Ok((page(&fields, Span { at: begin, size: packed }, codec)?, begin + packed));
    }
    Err("the header of a page cannot be read".into())
}

/// The page that a header describes; none for one that holds no values.
fn page(fields: &Fields, span: Span, codec: i64) -> Result<Option<Page>, String> {
    let kind = fields.int(1).ok_or("a page of no kind")?;
    let details = match kind {
        0 => fields.fields(5),
        1 => return Ok(None),
        2 => fields.fields(7),
        3 => fields.fields(8),
        _ => return Err("a page of a kind that is not known".into()),
    };
    let details = details.ok_or("a page without a description")?;
    let size = fields.count(2).ok_or("a page without a size")?;
    let values = details.count(1).ok_or("a page without a number of values")?;
    let encoding = encoding(details.int(if kind == 3 { 4 } else { 2 }).ok_or("a page without an encoding")?)?;
    let levels = match kind {
        3 => {
            let (Some(definition), Some(repetition)) = (details.count(5), details.count(6)) else {
                return Err("a page without sizes of its levels".into());
            };
            Levels::Before { definition, repetition }
        }
        _ => Levels::Within,
    };
    // Runs are the only way that programs of the last ten years write levels in.
    if kind == 0 && [3, 4].into_iter().any(|field| details.int(field).is_some_and(|encoding| encoding != 3)) {
        return Err("levels are packed in an old way, which is not read".into());
    }
    let is_packed = codec != 0 && (kind != 3 || details.bool(7).unwrap_or(true));
    let is_dictionary = kind == 2;
    let crc = fields.int(4).map(|crc| crc as u32);
    Ok(Some(Page { span, codec, size, values, encoding, levels, is_dictionary, is_packed, crc }))
}

fn encoding(number: i64) -> Result<Encoding, String> {
    Ok(match number {
        0 => Encoding::Plain,
        2 | 8 => Encoding::Dictionary,
        3 => Encoding::Runs,
        5 => Encoding::Deltas,
        6 => Encoding::DeltaLengths,
        9 => Encoding::Split,
        7 => return Err(again("its values are written in the encoding DELTA_BYTE_ARRAY")),
        _ => return Err(again("its values are written in an encoding that is not known")),
    })
}

fn again(problem: &str) -> String {
    format!(
        "{problem}, which is not read; write it again with python -c 'import pyarrow.parquet as p; \
         p.write_table(p.read_table(\"FILE\"), \"NEW.parquet\")'"
    )
}

impl Page {
    /// The expanded bytes of the page.
    pub(super) fn bytes(&self, source: &Source) -> Result<Vec<u8>, String> {
        let bytes = source.span(self.span).map_err(|error| error.to_string())?;
        if let Some(expected) = self.crc {
            let mut crc = flate2::Crc::new();
            crc.update(&bytes);
            if crc.sum() != expected {
                return Err("the checksum of a page is another".into());
            }
        }
        // Levels that stand before the values are not packed.
        let plain = match self.levels {
            Levels::Before { definition, repetition } => definition.saturating_add(repetition),
            Levels::Within => 0,
        };
        if !self.is_packed {
            return if bytes.len() == self.size { Ok(bytes) } else { Err("a page has another size".into()) };
        }
        let (plain, packed) = bytes.split_at_checked(plain).ok_or("levels are longer than their page")?;
        let due = self.size.checked_sub(plain.len()).ok_or("levels are longer than their page")?;
        let expanded = expand(self.codec, packed, due)?;
        if expanded.len() != due {
            return Err("a page expands to another size than its header says".into());
        }
        Ok([plain, &expanded].concat())
    }
}

/// Expands bytes, to one byte more than are due at the most.
fn expand(codec: i64, packed: &[u8], due: usize) -> Result<Vec<u8>, String> {
    if due == 0 {
        return Ok(Vec::new());
    }
    let mut bytes = Vec::new();
    let mut fill = |stream: &mut dyn Read| {
        let filled = stream.take(due as u64 + 1).read_to_end(&mut bytes);
        filled.map_err(|error| format!("a page cannot be expanded: {error}"))
    };
    match codec {
        1 => {
            if snap::raw::decompress_len(packed).ok() != Some(due) {
                return Err("a page expands to another size than its header says".into());
            }
            let expanded = snap::raw::Decoder::new().decompress_vec(packed);
            return expanded.map_err(|error| format!("a page cannot be expanded: {error}"));
        }
        2 => fill(&mut flate2::read::MultiGzDecoder::new(packed))?,
        6 => {
            let stream = ruzstd::decoding::StreamingDecoder::new(packed);
            fill(&mut stream.map_err(|error| format!("a page cannot be expanded: {error}"))?)?
        }
        7 => {
            let expanded = lz4_flex::block::decompress(packed, due);
            return expanded.map_err(|error| format!("a page cannot be expanded: {error}"));
        }
        3 => return Err(again("it is packed with LZO")),
        4 => return Err(again("it is packed with Brotli")),
        5 => return Err(again("it is packed with LZ4 in Hadoop's frames")),
        _ => return Err(again("it is packed by a method that is not known")),
    };
    Ok(bytes)
}
