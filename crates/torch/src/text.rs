//! Whole numbers and strings as pickles write them.

use crate::limits;

/// An integer: most fit 64 bits, the others are stored as decimals.
pub enum Whole {
    Int(i64),
    Big(String),
}

/// A number in little-endian two's complement, of at most [`limits::INTEGER`] bytes.
pub fn whole_from_bytes(bytes: &[u8]) -> Whole {
    let negative = bytes.last().is_some_and(|&byte| byte >= 0x80);
    let fill = if negative { 0xff } else { 0 };
    if bytes.len() <= 8 {
        let mut all = [fill; 8];
        all[..bytes.len()].copy_from_slice(bytes);
        return Whole::Int(i64::from_le_bytes(all));
    }
    // The magnitude in limbs of 32 bits, the least first.
    let mut carry = negative;
    let mut limbs: Vec<u32> = bytes
        .chunks(4)
        .map(|chunk| {
            let mut all = [fill; 4];
            all[..chunk.len()].copy_from_slice(chunk);
            let limb = u32::from_le_bytes(all);
            if !negative {
                return limb;
            }
            let (limb, overflow) = (!limb).overflowing_add(u32::from(carry));
            carry = overflow;
            limb
        })
        .collect();
    if carry {
        limbs.push(1);
    }
    let mut groups = Vec::new();
    while limbs.iter().any(|&limb| limb != 0) {
        let mut rest = 0u64;
        for limb in limbs.iter_mut().rev() {
            let value = rest << 32 | u64::from(*limb);
            *limb = (value / 1_000_000_000) as u32;
            rest = value % 1_000_000_000;
        }
        groups.push(rest);
    }
    let mut decimals = String::from(if negative { "-" } else { "" });
    let mut groups = groups.into_iter().rev();
    decimals += &groups.next().unwrap_or(0).to_string();
    decimals.extend(groups.map(|group| format!("{group:09}")));
    decimals.parse().map_or(Whole::Big(decimals), Whole::Int)
}

/// Parses a decimal integer; `None` if it is malformed, or longer than any integer of [`limits::INTEGER`] bytes.
pub fn whole_from_text(text: &str) -> Option<Whole> {
    if let Ok(int) = text.parse() {
        return Some(Whole::Int(int));
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    let number = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    (number && digits.len() <= limits::INTEGER * 5 / 2).then(|| Whole::Big(text.to_owned()))
}

/// Returns the bytes of a quoted string of protocol 0 (`'a\x00'`); `None` if it is malformed.
pub fn unquote(line: &[u8]) -> Option<Vec<u8>> {
    let (&quote, rest) = line.split_first()?;
    let (&last, inside) = rest.split_last()?;
    if last != quote || !matches!(quote, b'\'' | b'"') {
        return None;
    }
    let mut bytes = Vec::with_capacity(inside.len());
    let mut rest = inside.iter().copied();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        match rest.next()? {
            b'n' => bytes.push(b'\n'),
            b'r' => bytes.push(b'\r'),
            b't' => bytes.push(b'\t'),
            b'x' => {
                let digits = [rest.next()?, rest.next()?];
                bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
            }
            plain @ (b'\\' | b'\'' | b'"') => bytes.push(plain),
            _ => return None,
        }
    }
    Some(bytes)
}

/// Returns the text of a Unicode string of protocol 0: Latin-1 with `\uXXXX` and `\UXXXXXXXX`; `None` if an escape is malformed.
pub fn unescape(line: &[u8]) -> Option<String> {
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((&byte, after)) = rest.split_first() {
        let digits = match (byte, after.first()) {
            (b'\\', Some(b'u')) => 4,
            (b'\\', Some(b'U')) => 8,
            _ => {
                text.push(char::from(byte));
                rest = after;
                continue;
            }
        };
        let code = std::str::from_utf8(after.get(1..=digits)?).ok()?;
        // A lone surrogate is not a character.
        text.push(char::from_u32(u32::from_str_radix(code, 16).ok()?).unwrap_or(char::REPLACEMENT_CHARACTER));
        rest = &after[digits + 1..];
    }
    Some(text)
}

/// Encodes a text in Latin-1; `None` if a character cannot be encoded.
pub fn latin1(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|character| u8::try_from(character).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(bytes: &[u8]) -> String {
        match whole_from_bytes(bytes) {
            Whole::Int(int) => int.to_string(),
            Whole::Big(text) => text,
        }
    }

    #[test]
    fn whole_numbers() {
        // pickle.encode_long of each.
        assert_eq!(decimal(b""), "0");
        assert_eq!(decimal(b"\xff"), "-1");
        assert_eq!(decimal(b"\x00\x01"), "256");
        assert_eq!(decimal(&i64::MIN.to_le_bytes()), i64::MIN.to_string());
        assert_eq!(decimal(b"\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"), "119547037146038801333356");
        assert_eq!(decimal(&(-119547037146038801333356i128).to_le_bytes()), "-119547037146038801333356");
        assert_eq!(decimal(&i128::MIN.to_le_bytes()), i128::MIN.to_string());
        assert_eq!(decimal(&10i128.pow(27).to_le_bytes()), 10i128.pow(27).to_string());
        assert_eq!(decimal(&7i128.to_le_bytes()), "7");
    }

    #[test]
    fn strings() {
        assert_eq!(unquote(br"'a\x00\'\n'").as_deref(), Some(&b"a\0'\n"[..]));
        assert_eq!(unquote(b"'"), None);
        assert_eq!(unquote(br"'\'"), None);
        assert_eq!(unescape(b"a\\u00e9\xe9\\U0001f600").as_deref(), Some("a\u{e9}\u{e9}\u{1f600}"));
        assert_eq!(unescape(b"\\u12"), None);
        assert_eq!(latin1("a\u{e9}"), Some(vec![b'a', 0xe9]));
        assert_eq!(latin1("\u{100}"), None);
    }
}
