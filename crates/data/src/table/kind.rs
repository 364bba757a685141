//! Kinds of columns, as they are asked for and as they are found.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Kinds that are set for columns, by the name of the column. Other columns follow the rule.
pub type Kinds = BTreeMap<String, KindChoice>;

/// A kind that is set for a column. Written as `integer`, `bounded:0,1`, `ordinal:low,middle,high`, `date:dd/mm/yyyy`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum KindChoice {
    /// Any number.
    Real,
    /// Numbers that are never negative.
    Positive,
    /// Whole numbers.
    Integer,
    /// Whole numbers that are never negative.
    Count,
    /// Numbers from the first to the second.
    Bounded(f64, f64),
    /// Texts without an order.
    Category,
    /// Texts or numbers with an order: the given one, or else that of numbers, or else that of the alphabet.
    Ordinal(Vec<String>),
    /// Days or times, in a format such as `dd/mm/yyyy`; an empty one is found by rule.
    Date(String),
    /// The column is not used.
    Drop,
}

impl FromStr for KindChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, rest) = text.split_once(':').map_or((text, None), |(name, rest)| (name, Some(rest)));
        let choice = match (name, rest) {
            ("real", None) => Self::Real,
            ("positive", None) => Self::Positive,
            ("integer", None) => Self::Integer,
            ("count", None) => Self::Count,
            ("category", None) => Self::Category,
            ("drop", None) => Self::Drop,
            ("ordinal", None) => Self::Ordinal(Vec::new()),
            ("ordinal", Some(levels)) => Self::Ordinal(levels.split(',').map(|level| level.trim().into()).collect()),
            ("date", format) => Self::Date(format.unwrap_or_default().to_owned()),
            ("bounded", Some(range)) => {
                let number = |text: &str| text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
                match range.split_once(',').map(|(low, high)| (number(low), number(high))) {
                    Some((Some(low), Some(high))) if low < high => Self::Bounded(low, high),
                    _ => return Err(format!("`{text}`: write bounded:LOW,HIGH with the lower number first")),
                }
            }
            _ => {
                return Err(format!(
                    "`{text}` is not a kind of column; write real, positive, integer, count, bounded:LOW,HIGH, category, \
                     ordinal, date or drop"
                ));
            }
        };
        Ok(choice)
    }
}

impl fmt::Display for KindChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Real => f.write_str("real"),
            Self::Positive => f.write_str("positive"),
            Self::Integer => f.write_str("integer"),
            Self::Count => f.write_str("count"),
            Self::Bounded(low, high) => write!(f, "bounded:{low},{high}"),
            Self::Category => f.write_str("category"),
            Self::Ordinal(levels) if levels.is_empty() => f.write_str("ordinal"),
            Self::Ordinal(levels) => write!(f, "ordinal:{}", levels.join(",")),
            Self::Date(format) if format.is_empty() => f.write_str("date"),
            Self::Date(format) => write!(f, "date:{format}"),
            Self::Drop => f.write_str("drop"),
        }
    }
}

impl TryFrom<String> for KindChoice {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<KindChoice> for String {
    fn from(choice: KindChoice) -> Self {
        choice.to_string()
    }
}

/// The kind of a column with everything that its encoding needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum ColumnKind {
    /// Any number, as it is.
    Real,
    /// Numbers of at least `least`: as they are, or `ln(v + shift)`.
    Positive {
        /// The smallest number that is written: 0, or the smallest one of the data's precision.
        least: f64,
        /// What is added before the logarithm; `None` encodes the number as it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        shift: Option<f64>,
    },
    /// Whole numbers, as they are, with dequantization.
    Integer,
    /// Whole numbers from 0: as they are or `ln(1 + v)`, with dequantization.
    Count {
        /// Whether the logarithm is encoded.
        log: bool,
    },
    /// Numbers in a range: the logit of the place in the range.
    Bounded {
        /// Smallest number.
        low: f64,
        /// Largest number.
        high: f64,
    },
    /// One of several texts: one value for each text, or a single one if there are two.
    Category {
        /// The texts.
        levels: Vec<String>,
    },
    /// One of several texts in their order: its place, with dequantization.
    Ordinal {
        /// The texts in order.
        levels: Vec<String>,
    },
    /// Days, minutes or seconds since 1970, with dequantization.
    Date {
        /// How a date is written: `yyyy-mm-dd`.
        format: String,
    },
    /// One text in every row, which is not encoded.
    Constant {
        /// The text.
        value: String,
    },
    /// The class of the row, which is not encoded.
    Label,
}

impl ColumnKind {
    /// Returns the name of the kind.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Real => "real",
            Self::Positive { .. } => "positive",
            Self::Integer => "integer",
            Self::Count { .. } => "count",
            Self::Bounded { .. } => "bounded",
            Self::Category { .. } => "category",
            Self::Ordinal { .. } => "ordinal",
            Self::Date { .. } => "date",
            Self::Constant { .. } => "constant",
            Self::Label => "label",
        }
    }

    /// Whether cells are texts, for which words such as `none` are values.
    pub(super) fn is_text(&self) -> bool {
        matches!(self, Self::Category { .. } | Self::Ordinal { .. } | Self::Date { .. } | Self::Constant { .. })
    }

    /// Returns how many values encode a cell that is not missing.
    pub fn width(&self) -> usize {
        match self {
            Self::Category { levels } if levels.len() > 2 => levels.len(),
            Self::Constant { .. } | Self::Label => 0,
            _ => 1,
        }
    }
}
