//! Classes from a column: numbers with names beside them, numbers, or text.

use super::{Set, choose::Label, schema::Leaf, values::Values};
use crate::{DataError, Labels, Notice};

/// Bytes of the name of a class at the most.
const LONGEST: usize = 4096;

/// The labels of a column. Those that are no classes are left out, and the notice says why; if they were asked for it is an error.
pub(super) fn read(set: &Set, label: &Label) -> Result<(Option<Labels>, Vec<Notice>), DataError> {
    set.checked_rows(1)?;
    let found = match super::is_number(&label.leaf) {
        true => numbers(set, label)?,
        false => texts(set, &label.leaf)?,
    };
    let name = label.leaf.field();
    match found {
        Ok((labels, mut notices)) => {
            let coarse = name.replace("fine", "coarse");
            if coarse != name && set.footer().leaves.iter().any(|leaf| leaf.field() == coarse) {
                notices.push(Notice::LabelsDropped { name: coarse, reason: "the fine labels are read".into() });
            }
            Ok((Some(labels), notices))
        }
        Err(reason) if label.asked => Err(DataError::malformed(set.path, format!("labels {name}: {reason}"))),
        Err(reason) => Ok((None, vec![Notice::LabelsDropped { name: name.to_owned(), reason }])),
    }
}

type Found = Result<(Labels, Vec<Notice>), String>;

fn numbers(set: &Set, label: &Label) -> Result<Found, DataError> {
    let mut values = Vec::new();
    let mut missing = None;
    set.each_page(&label.leaf, &mut |row, content| {
        missing = missing.or(content.present.iter().position(|present| !present).map(|at| row + at));
        if let Values::Numbers(numbers) = content.values {
            values.extend(numbers);
        }
        Ok(())
    })?;
    if let Some(row) = missing {
        return Ok(Err(format!("row {row} is null")));
    }
    let is_class = |value: &f64| *value >= 0.0 && value.fract() == 0.0 && *value < f64::from(Labels::MOST);
    let names = class_names(set, label.leaf.field())?;
    match values.iter().find(|value| !is_class(value)) {
        None => {
            let classes: Vec<u32> = values.into_iter().map(|value| value as u32).collect();
            let (labels, notice) = Labels::of_numbers(set.path, &classes, &names)?;
            Ok(Ok((labels, notice.into_iter().collect())))
        }
        // Programs that split data into two kinds call them -1 and 1; `datasets` calls rows without a class -1.
        Some(_) if label.asked && names.is_empty() && values.iter().all(|value| value.fract() == 0.0) => {
            let texts: Vec<String> = values.iter().map(ToString::to_string).collect();
            Ok(Ok((Labels::of_texts(texts.iter().map(String::as_str)), Vec::new())))
        }
        Some(wrong) => Ok(Err(format!("{wrong} is not a class number 0, 1, 2, ..."))),
    }
}

/// The names of the classes, which all files must have alike.
fn class_names(set: &Set, field: &str) -> Result<Vec<String>, DataError> {
    let names = |part: &super::Part| part.footer.class_names.get(field).cloned().unwrap_or_default();
    let first = names(&set.parts[0]);
    if let Some(other) = set.parts.iter().find(|part| names(part) != first) {
        let problem = format!("the classes of column {field} have other names than in the first file");
        return Err(DataError::malformed(&other.path, problem));
    }
    Ok(first)
}

fn texts(set: &Set, leaf: &Leaf) -> Result<Found, DataError> {
    let (mut rows, mut problem) = (Vec::new(), None);
    set.each_page(leaf, &mut |row, content| {
        let Values::Places(bytes, places) = content.values else { return Ok(()) };
        if let Some(at) = content.present.iter().position(|present| !present) {
            problem.get_or_insert_with(|| format!("row {} is null", row + at));
        }
        for (at, place) in places.into_iter().enumerate() {
            if place.len() > LONGEST || std::str::from_utf8(&bytes[place.clone()]).is_err() {
                problem.get_or_insert_with(|| format!("row {} is not the name of a class", row + at));
                break;
            }
            rows.push((bytes.clone(), place));
        }
        Ok(())
    })?;
    if let Some(problem) = problem {
        return Ok(Err(problem));
    }
    let names = rows.iter().map(|(bytes, place)| std::str::from_utf8(&bytes[place.clone()]).unwrap_or_default());
    Ok(Ok((Labels::of_texts(names), Vec::new())))
}
