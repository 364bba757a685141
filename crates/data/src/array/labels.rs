//! Classes from arrays: numbers, one-hot vectors, or text.

use std::path::Path;

use super::Array;
use crate::{DataError, Labels, Notice};

/// Labels and a notice about classes without rows, or the reason why the array does not hold classes.
type Found = Result<(Labels, Option<Notice>), String>;

/// Returns the labels in an array, one for each row.
pub(crate) fn labels_of(path: &Path, array: &Array, rows: usize) -> Result<Found, DataError> {
    if array.text.is_some() {
        return text_labels(path, array, rows);
    }
    let count = array.shape.first().copied().unwrap_or(1);
    let each = array.len().checked_div(count).unwrap_or(0);
    let transposed = rows != count && array.shape.len() == 2 && count == 1;
    if count != rows && !transposed {
        let problem = format!("{count} labels for {rows} rows; take labels and data from one set");
        return Err(DataError::malformed(path, format!("array {}: {problem}", array.name)));
    }
    if array.len() > 1 << 28 {
        return Ok(Err(format!("an array of the shape {:?} is too large for classes", array.shape)));
    }
    if each == 0 {
        return Ok(Err(format!("an array of the shape {:?} has no values", array.shape)));
    }
    let values = array.values(path)?;
    let numbers = match each {
        1 => values,
        _ if transposed => values,
        _ => match values.chunks_exact(each).map(one_hot).collect::<Option<Vec<f64>>>() {
            Some(classes) => classes,
            None => {
                return Ok(Err(format!(
                    "each row has {each} of them and not a single one is 1, so they are no classes"
                )));
            }
        },
    };
    let is_class = |value: &f64| *value >= 0.0 && value.fract() == 0.0 && *value < f64::from(Labels::MOST);
    if let Some(wrong) = numbers.iter().find(|value| !is_class(value)) {
        return Ok(Err(format!("{wrong} is not a class number 0, 1, 2, ...")));
    }
    let numbers: Vec<u32> = numbers.into_iter().map(|value| value as u32).collect();
    Labels::of_numbers(path, &numbers, &[]).map(Ok)
}

/// Returns the index of the 1 in a one-hot row.
fn one_hot(row: &[f64]) -> Option<f64> {
    let is_clean = row.iter().all(|&value| value == 0.0 || value == 1.0) && row.iter().sum::<f64>() == 1.0;
    row.iter().position(|&value| value == 1.0).filter(|_| is_clean).map(|class| class as f64)
}

fn text_labels(path: &Path, array: &Array, rows: usize) -> Result<Found, DataError> {
    let (Some((size, count)), true) = (array.text, array.len() == rows) else {
        return Ok(Err(format!("{} texts for {rows} rows", array.len())));
    };
    let bytes = array.bytes(path)?;
    let character = |bytes: &[u8]| match bytes {
        &[byte] => char::from(byte),
        _ => {
            let wide: [u8; 4] = bytes.try_into().unwrap_or_default();
            let code = if array.big_endian { u32::from_be_bytes(wide) } else { u32::from_le_bytes(wide) };
            char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
        }
    };
    let text = |row: &[u8]| -> String {
        row.chunks_exact(size).map(character).collect::<String>().trim_end_matches('\0').to_owned()
    };
    let texts: Vec<String> = bytes.chunks_exact(size * count).map(text).collect();
    Ok(Ok((Labels::of_texts(texts.iter().map(String::as_str)), None)))
}
