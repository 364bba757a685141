//! Decoding of a table and splitting into cells.

use std::{borrow::Cow, path::Path};

use crate::{DataError, Limit, Limits, Notice};

/// Number of lines that are examined to find the separator.
const LOOKED_AT: usize = 50;
/// Separators in order of preference: a comma may be a decimal point, a space may be part of a name.
const SEPARATORS: [char; 5] = [';', '\t', '|', ',', ' '];

/// Decodes a table: UTF-8, UTF-16 as spreadsheets save "Unicode text", or else Latin-1.
pub(super) fn decode<'a>(bytes: &'a [u8], notices: &mut Vec<Notice>) -> Cow<'a, str> {
    let wide = |big_endian: bool| {
        let unit = |pair: &[u8; 2]| if big_endian { u16::from_be_bytes(*pair) } else { u16::from_le_bytes(*pair) };
        let text = char::decode_utf16(bytes.as_chunks::<2>().0.iter().map(unit))
            .map(|decoded| decoded.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect::<String>();
        text.trim_start_matches('\u{FEFF}').to_owned()
    };
    // Without a byte order mark, every other byte of ASCII letters is zero.
    let zeros = |from: usize| bytes.len() >= 4 && bytes.iter().skip(from).step_by(2).take(100).all(|&byte| byte == 0);
    let (text, encoding): (Cow<str>, &str) = match bytes {
        [0xFF, 0xFE, ..] => (wide(false).into(), "UTF-16"),
        [0xFE, 0xFF, ..] => (wide(true).into(), "UTF-16"),
        _ if zeros(1) => (wide(false).into(), "UTF-16"),
        _ if zeros(0) => (wide(true).into(), "UTF-16"),
        _ => match std::str::from_utf8(bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes)) {
            Ok(text) if text.contains('\r') && !text.contains('\n') => return text.replace('\r', "\n").into(),
            Ok(text) => return text.into(),
            Err(_) => (bytes.iter().map(|&byte| char::from(byte)).collect::<String>().into(), "Latin-1"),
        },
    };
    notices.push(Notice::Decoded { encoding: encoding.into() });
    text
}

/// A row of cells, and the line on which it starts, from 1.
#[derive(Debug)]
pub(super) struct Record<'a> {
    pub line: u64,
    pub cells: Vec<Cow<'a, str>>,
}

/// Returns the separator that occurs equally often in every line, or else the most frequent one in the first line.
pub(super) fn separator(text: &str) -> char {
    let mut rest = text;
    let records = std::iter::from_fn(|| {
        let (record, after) = (!rest.is_empty()).then(|| record_end(rest))?;
        rest = after;
        Some(record)
    });
    let lines: Vec<&str> =
        records.filter(|line| !line.trim().is_empty() && !line.starts_with('#')).take(LOOKED_AT).collect();
    let count = |line: &str, separator: char| match separator {
        ' ' => line.split_whitespace().count().saturating_sub(1),
        _ => outside_quotes(line, separator),
    };
    let agree = |&separator: &char| {
        let counts: Vec<usize> = lines.iter().map(|line| count(line, separator)).collect();
        counts.first().is_some_and(|&first| first > 0) && counts.windows(2).all(|pair| pair[0] == pair[1])
    };
    let most = || {
        let first = lines.first().copied().unwrap_or_default();
        SEPARATORS[..4].iter().copied().rev().max_by_key(|&separator| count(first, separator)).unwrap_or(',')
    };
    SEPARATORS.into_iter().find(agree).unwrap_or_else(most)
}

fn outside_quotes(line: &str, separator: char) -> usize {
    let mut quoted = false;
    let mut count = 0;
    for character in line.chars() {
        quoted ^= character == '"';
        count += usize::from(character == separator && !quoted);
    }
    count
}

/// Splits a table into records. Empty lines and lines that start with `#` are skipped.
pub(super) fn records<'a>(
    path: &Path,
    text: &'a str,
    separator: char,
    limits: &Limits,
    notices: &mut Vec<Notice>,
) -> Result<Vec<Record<'a>>, DataError> {
    let (mut records, mut comments) = (Vec::new(), 0);
    let (mut rest, mut line) = (text, 1);
    while !rest.is_empty() {
        let (whole, after) = record_end(rest);
        let begins = line;
        line += whole.matches('\n').count() as u64 + 1;
        rest = after;
        let trimmed = whole.trim_matches(['\r', ' ']);
        if trimmed.starts_with('#') {
            comments += 1;
        } else if !trimmed.trim().is_empty() {
            let cells = cells(trimmed, separator, limits.columns);
            let most = limits.columns as u64;
            let what = || format!("line {begins}, which is no line of a table,");
            let cells = cells.ok_or_else(|| {
                let fields = trimmed.matches(separator).count() as u64 + 1;
                DataError::too_large(path, what(), fields, (Limit::Columns, most))
            })?;
            records.push(Record { line: begins, cells });
        }
    }
    if comments > 0 {
        notices.push(Notice::CommentsSkipped { count: comments });
    }
    Ok(records)
}

/// The first record, which may have line breaks in quotes, and the rest.
fn record_end(text: &str) -> (&str, &str) {
    let mut quoted = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' if !quoted => return (&text[..at], &text[at + 1..]),
            _ => {}
        }
    }
    // An unterminated quote is an ordinary character.
    match text.find('\n').filter(|_| quoted) {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, ""),
    }
}

/// Returns the cells of a line; `None` if there are more than `most`.
fn cells(line: &str, separator: char, most: usize) -> Option<Vec<Cow<'_, str>>> {
    let mut cells = Vec::new();
    if separator == ' ' {
        for cell in line.split_whitespace() {
            cells.push(cell.into());
            if cells.len() > most {
                return None;
            }
        }
        return Some(cells);
    }
    let mut rest = Some(line);
    while let Some(text) = rest {
        if cells.len() == most {
            return None;
        }
        let trimmed = text.trim_start_matches(' ');
        let (cell, after) = match trimmed.strip_prefix('"') {
            Some(inside) => quoted(inside, separator),
            None => match text.split_once(separator) {
                Some((cell, after)) => (cell.trim().into(), Some(after)),
                None => (text.trim().into(), None),
            },
        };
        cells.push(cell);
        rest = after;
    }
    Some(cells)
}

/// Parses a quoted cell after its opening quote. Returns the cell and the text after the next separator.
fn quoted(inside: &str, separator: char) -> (Cow<'_, str>, Option<&str>) {
    let mut from = 0;
    let end = loop {
        match inside[from..].find('"') {
            Some(at) if inside[from + at + 1..].starts_with('"') => from += at + 2,
            Some(at) => break from + at,
            None => break inside.len(),
        }
    };
    let cell = &inside[..end];
    let cell = if cell.contains('"') { cell.replace("\"\"", "\"").into() } else { cell.into() };
    let after = inside.get(end + 1..).unwrap_or_default();
    (cell, after.split_once(separator).map(|(_, after)| after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<Vec<String>> {
        let separator = separator(text);
        let found = records(Path::new("t"), text, separator, &Limits::of(0), &mut Vec::new()).unwrap();
        found.into_iter().map(|record| record.cells.into_iter().map(Cow::into_owned).collect()).collect()
    }

    #[test]
    fn cells_are_split_where_lines_agree() {
        assert_eq!(split("a,b\n1,2\n"), [["a", "b"], ["1", "2"]]);
        assert_eq!(split("0,784;-2,498\r\n1,1;2,2"), [["0,784", "-2,498"], ["1,1", "2,2"]]);
        assert_eq!(split("  1.0   2.0\n 3.5 4\n"), [["1.0", "2.0"], ["3.5", "4"]]);
        assert_eq!(split("a\tb c\n1\t2 3\n"), [["a", "b c"], ["1", "2 3"]]);
        assert_eq!(split("# note\n\"x, y\",\"say \"\"hi\"\"\"\n\"1\",2"), [["x, y", "say \"hi\""], ["1", "2"]]);
        assert_eq!(split("a,\"line\nbreak\"\n1,2"), [["a", "line\nbreak"], ["1", "2"]]);
        assert_eq!(split("\"line\nbreak\",b\n1,2\n"), [["line\nbreak", "b"], ["1", "2"]]);
        assert_eq!(split("a,b,\n1,2,\n"), [["a", "b", ""], ["1", "2", ""]]);
        assert_eq!(split("5\n6\n"), [["5"], ["6"]]);
    }

    #[test]
    fn tables_of_spreadsheets_are_decoded() {
        let wide: Vec<u8> = "\u{FEFF}a,b\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let mut notices = Vec::new();
        assert_eq!(decode(&wide, &mut notices), "a,b\n");
        assert_eq!(decode(&wide[2..], &mut notices), "a,b\n");
        let big: Vec<u8> = "a,b\n".encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(decode(&big, &mut notices), "a,b\n");
        assert_eq!(notices.len(), 3);
        assert_eq!(decode(b"\xEF\xBB\xBFa", &mut Vec::new()), "a");
        // As old programs of the Macintosh end lines.
        assert_eq!(decode(b"a,b\r1,2\r", &mut Vec::new()), "a,b\n1,2\n");
        assert_eq!(decode(b"caf\xE9", &mut Vec::new()), "café");
    }

    #[test]
    fn a_line_of_endless_cells_is_refused() {
        let limits = Limits { columns: 1000, ..Limits::of(0) };
        let line = "1,".repeat(2000);
        assert!(records(Path::new("t"), &line, ',', &limits, &mut Vec::new()).is_err());
    }
}
