//! Lengths of DICOM's elements, checked before the library reads them: it allocates what a length states.

/// Length of a sequence that ends with a mark.
const UNDEFINED: u32 = u32::MAX;
/// Sequences within sequences at the most.
const DEEPEST: usize = 16;
/// The end of an item and the end of a sequence, as group and element.
const ITEM: (u16, u16) = (0xFFFE, 0xE000);
const ITEM_END: (u16, u16) = (0xFFFE, 0xE00D);
const SEQUENCE_END: (u16, u16) = (0xFFFE, 0xE0DD);
const PIXELS: (u16, u16) = (0x7FE0, 0x0010);

/// Returns an error if an element is longer than the file, or the data set is written in a way that cannot be checked.
pub(super) fn check(bytes: &[u8]) -> Result<(), String> {
    let too_long = || "is damaged: an element is longer than the file".to_owned();
    let mut walk = Walk { bytes, at: 132, explicit: true };
    let mut syntax = String::new();
    while walk.peek().is_some_and(|(group, _)| group == 2) {
        let (tag, _, size) = walk.header().ok_or_else(too_long)?;
        let value = walk.take(size as usize).ok_or_else(too_long)?;
        if tag == (2, 0x10) {
            syntax = String::from_utf8_lossy(value).trim_matches(['\0', ' ']).to_owned();
        }
    }
    match syntax.as_str() {
        "1.2.840.10008.1.2.2" | "1.2.840.10008.1.2.1.99" => {
            return Err("is big-endian or deflated, which is not read; convert it with pydicom".into());
        }
        "1.2.840.10008.1.2" => walk.explicit = false,
        _ => {}
    }
    walk.elements(bytes.len(), DEEPEST).ok_or_else(too_long)
}

struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    explicit: bool,
}

impl<'a> Walk<'a> {
    fn take(&mut self, size: usize) -> Option<&'a [u8]> {
        let part = self.bytes.get(self.at..self.at.checked_add(size)?)?;
        self.at += size;
        Some(part)
    }

    fn peek(&self) -> Option<(u16, u16)> {
        let field = self.bytes.get(self.at..)?.first_chunk::<4>()?;
        Some((u16::from_le_bytes([field[0], field[1]]), u16::from_le_bytes([field[2], field[3]])))
    }

    fn long(&mut self) -> Option<u32> {
        self.take(4)?.first_chunk().map(|field| u32::from_le_bytes(*field))
    }

    /// The tag of the next element, whether it is a sequence, and its length.
    fn header(&mut self) -> Option<((u16, u16), bool, u32)> {
        let tag = self.peek()?;
        self.at += 4;
        if !self.explicit || tag.0 == ITEM.0 {
            return Some((tag, false, self.long()?));
        }
        let kind = self.take(2)?;
        let is_long = matches!(
            kind,
            b"OB" | b"OW" | b"OF" | b"OD" | b"OL" | b"OV" | b"SQ" | b"SV" | b"UC" | b"UN" | b"UR" | b"UT" | b"UV"
        );
        let short = u32::from(u16::from_le_bytes(*self.take(2)?.first_chunk()?));
        Some((tag, kind == b"SQ", if is_long { self.long()? } else { short }))
    }

    /// Passes the elements up to a position, or up to the mark that ends an item.
    fn elements(&mut self, end: usize, depth: usize) -> Option<()> {
        while self.at < end {
            let (tag, is_sequence, size) = self.header()?;
            if tag == ITEM_END || tag == SEQUENCE_END {
                return Some(());
            }
            match size {
                UNDEFINED => self.items(self.bytes.len(), tag != PIXELS, depth.checked_sub(1)?)?,
                _ if is_sequence => {
                    let end = self.at.checked_add(size as usize).filter(|&end| end <= self.bytes.len())?;
                    self.items(end, true, depth.checked_sub(1)?)?;
                }
                _ => {
                    self.take(size as usize)?;
                }
            }
        }
        Some(())
    }

    /// Passes the items of a sequence, which hold elements, or bytes if they are the frames of an image.
    fn items(&mut self, end: usize, hold_elements: bool, depth: usize) -> Option<()> {
        while self.at < end {
            let (tag, _, size) = self.header()?;
            match (tag, size) {
                (SEQUENCE_END, _) => return Some(()),
                (ITEM, UNDEFINED) => self.elements(self.bytes.len(), depth)?,
                (ITEM, _) if hold_elements => {
                    let end = self.at.checked_add(size as usize).filter(|&end| end <= self.bytes.len())?;
                    self.elements(end, depth)?;
                }
                (ITEM, _) => {
                    self.take(size as usize)?;
                }
                _ => return None,
            }
        }
        Some(())
    }
}
