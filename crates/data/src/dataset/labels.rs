//! Classes of rows.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::Path,
};

use crate::{DataError, Notice};

/// One class a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    /// The class of each row, below `names.len()`.
    pub of_row: Vec<u32>,
    /// Names of the classes.
    pub names: Vec<String>,
}

impl Labels {
    /// Class numbers are below this.
    pub(crate) const MOST: u32 = 100_000;

    /// Labels from class numbers, with a name for every number up to the largest. `path` names the data in the error.
    ///
    /// # Errors
    /// Returns an error if a number is so large that it cannot count classes.
    pub fn numbered(path: &Path, of_row: Vec<u32>) -> Result<Self, DataError> {
        let largest = of_row.iter().copied().max().unwrap_or(0);
        check_number(path, largest)?;
        Ok(Self { of_row, names: (0..=largest).map(|class| class.to_string()).collect() })
    }

    /// Labels from class numbers, of the classes that some row has. Classes without rows are named by the notice.
    ///
    /// `names` are those of the classes from 0 on; classes beyond them are named by their numbers.
    pub(crate) fn of_numbers(
        path: &Path,
        numbers: &[u32],
        names: &[String],
    ) -> Result<(Self, Option<Notice>), DataError> {
        let present: BTreeSet<u32> = numbers.iter().copied().collect();
        let largest = present.last().copied().unwrap_or(0);
        check_number(path, largest)?;
        let name = |class: u32| names.get(class as usize).cloned().unwrap_or_else(|| class.to_string());
        let all = (largest + 1).max(names.len() as u32);
        let absent: Vec<String> = (0..all).filter(|class| !present.contains(class)).map(name).collect();
        let index: BTreeMap<u32, u32> = present.iter().copied().zip(0..).collect();
        let labels = Self {
            of_row: numbers.iter().map(|class| index[class]).collect(),
            names: present.iter().map(|&class| name(class)).collect(),
        };
        let notice = (!absent.is_empty()).then_some(Notice::ClassesWithoutRows { count: absent.len(), names: absent });
        Ok((labels, notice))
    }

    /// Labels from texts, numbered in the order of their values where all are numbers, else of their names.
    pub(crate) fn of_texts<'a>(texts: impl Iterator<Item = &'a str> + Clone) -> Self {
        let mut names: Vec<&str> = texts.clone().collect::<BTreeSet<_>>().into_iter().collect();
        let value = |name: &str| name.parse::<f64>().unwrap_or(f64::NAN);
        if names.iter().all(|name| name.parse::<f64>().is_ok()) {
            names.sort_by(|a, b| value(a).total_cmp(&value(b)));
        }
        let number: HashMap<&str, u32> = names.iter().zip(0..).map(|(&name, number)| (name, number)).collect();
        Self { of_row: texts.map(|text| number[text]).collect(), names: names.into_iter().map(str::to_owned).collect() }
    }

    /// How many rows each class has.
    pub fn counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.names.len()];
        self.of_row.iter().for_each(|&class| counts[class as usize] += 1);
        counts
    }
}

fn check_number(path: &Path, largest: u32) -> Result<(), DataError> {
    if largest < Labels::MOST {
        return Ok(());
    }
    let problem = format!("label {largest} is no class number; classes count from 0, up to {} of them", Labels::MOST);
    Err(DataError::malformed(path, problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_without_rows_are_left_out_and_named() {
        let (labels, notice) = Labels::of_numbers(Path::new("x"), &[7, 2, 7], &[]).unwrap();
        assert_eq!((labels.of_row, labels.names), (vec![1, 0, 1], vec!["2".to_owned(), "7".to_owned()]));
        let Some(Notice::ClassesWithoutRows { count: 6, names }) = notice else { panic!("{notice:?}") };
        assert_eq!(names, ["0", "1", "3", "4", "5", "6"]);
        let names: Vec<String> = ["cat", "dog"].map(String::from).to_vec();
        let (labels, notice) = Labels::of_numbers(Path::new("x"), &[0, 1, 2], &names).unwrap();
        assert_eq!((labels.names, notice), (vec!["cat".to_owned(), "dog".to_owned(), "2".to_owned()], None));
        assert!(Labels::of_numbers(Path::new("x"), &[u32::MAX], &[]).is_err());
    }
}
