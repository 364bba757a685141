//! The footer of a Parquet file: its columns, and where their values are.

use std::{collections::HashMap, path::Path};

use super::thrift::{Fields, Reader};
use crate::{
    DataError, NumberType,
    source::{Source, Span},
};

/// The mark at both ends of a file.
const MARK: &[u8; 4] = b"PAR1";
/// Bytes of a footer at the most; those of tables with thousands of columns have some megabytes.
const LONGEST: u64 = 64 << 20;
/// Columns within columns at the most.
const DEEPEST: usize = 16;

/// How values lie in a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Physical {
    Boolean,
    Int32,
    Int64,
    Float,
    Double,
    /// Bytes, each value with its length before it.
    Bytes,
    /// Values of so many bytes.
    Fixed(usize),
}

/// What values are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Meaning {
    /// Numbers of this type. Those of decimals are divided by a power of ten.
    Number(NumberType, f64),
    Text,
    Bytes,
    /// What is neither, in words.
    Other(&'static str),
}

/// A column of values.
#[derive(Clone, Debug)]
pub(super) struct Leaf {
    /// The names that lead to it, from the outermost.
    pub path: Vec<String>,
    pub physical: Physical,
    pub meaning: Meaning,
    /// Levels of values that may be missing, and of lists.
    pub definition: u32,
    pub repetition: u32,
}

impl Leaf {
    /// The outermost name.
    pub(super) fn field(&self) -> &str {
        &self.path[0]
    }
}

/// The values of a column in a group of rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chunk {
    pub codec: i64,
    pub values: usize,
    pub span: Span,
}

/// What a footer says.
#[derive(Clone, Debug)]
pub(super) struct Footer {
    pub rows: usize,
    pub leaves: Vec<Leaf>,
    /// Rows of each group, and its chunks in the order of the leaves.
    pub groups: Vec<(usize, Vec<Chunk>)>,
    /// Names of classes by column, as the library `datasets` writes them.
    pub class_names: HashMap<String, Vec<String>>,
}

impl Footer {
    pub(super) fn read(path: &Path, source: &Source) -> Result<Self, DataError> {
        let damaged = |problem: &str| {
            DataError::malformed(path, format!("the Parquet file is damaged or cut short ({problem}); fetch it again"))
        };
        let tail = source.len().checked_sub(8).ok_or_else(|| damaged("it has no footer"))?;
        let tail_bytes = source.start(tail, 8).map_err(|error| DataError::read(path, error))?;
        if tail_bytes[4..] == *b"PARE" {
            return Err(DataError::malformed(path, "the Parquet file is encrypted; decrypt it first"));
        }
        if tail_bytes[4..] != *MARK {
            return Err(damaged("it does not end with PAR1"));
        }
        let size = u64::from(u32::from_le_bytes([tail_bytes[0], tail_bytes[1], tail_bytes[2], tail_bytes[3]]));
        if size > LONGEST || size > tail {
            return Err(damaged("its footer is longer than it"));
        }
        let bytes = source.span(Span { at: tail - size, size }).map_err(|error| DataError::read(path, error))?;
        let fields = Reader::new(&bytes).fields().ok_or_else(|| damaged("its footer cannot be read"))?;
        footer(&fields, tail).map_err(|problem| damaged(&problem))
    }
}

fn footer(fields: &Fields, end: u64) -> Result<Footer, String> {
    let leaves = leaves(&fields.list(2)).ok_or("its columns are not described as they must be")?;
    let rows = fields.count(3).ok_or("no number of rows")?;
    let mut groups = Vec::new();
    for group in fields.list(4) {
        let chunks = group.list(1).into_iter().map(|fields| chunk(fields, end)).collect::<Result<Vec<_>, _>>()?;
        if chunks.len() != leaves.len() {
            return Err(format!("{} parts for {} columns", chunks.len(), leaves.len()));
        }
        let rows = group.count(3).ok_or("a group without a number of rows")?;
        groups.push((rows, chunks));
    }
    if groups.iter().try_fold(0_usize, |sum, (rows, _)| sum.checked_add(*rows)) != Some(rows) {
        return Err("the rows of its groups are not those of the file".into());
    }
    Ok(Footer { rows, leaves, groups, class_names: class_names(fields).unwrap_or_default() })
}

fn chunk(fields: &Fields, end: u64) -> Result<Chunk, String> {
    if fields.has(1) {
        return Err("columns lie in files of their own, which are not read".into());
    }
    if fields.has(8) {
        return Err("a column is encrypted".into());
    }
    let data = fields.fields(3).ok_or("a column without a place")?;
    let (first, size) = (data.count(9), data.count(7));
    let (Some(first), Some(size), Some(codec), Some(values)) = (first, size, data.int(4), data.count(5)) else {
        return Err("a column without a place".into());
    };
    let at =
        data.count(11).filter(|&dictionary| dictionary > 0).map_or(first, |dictionary| dictionary.min(first)) as u64;
    let span = Span { at, size: size as u64 };
    if at.checked_add(span.size).is_none_or(|stop| stop > end) {
        return Err("a column lies beyond its end".into());
    }
    Ok(Chunk { codec, values, span })
}

/// The columns of values in the tree of columns, whose nodes follow one another, parents first.
fn leaves(nodes: &[&Fields]) -> Option<Vec<Leaf>> {
    let (root, rest) = nodes.split_first()?;
    let mut tree = Tree { nodes: rest, leaves: Vec::new(), path: Vec::new() };
    for _ in 0..root.count(5)? {
        tree.node((0, 0), DEEPEST)?;
    }
    tree.nodes.is_empty().then_some(tree.leaves)
}

struct Tree<'a, 'b> {
    nodes: &'a [&'a Fields<'b>],
    leaves: Vec<Leaf>,
    path: Vec<String>,
}

impl Tree<'_, '_> {
    /// Reads the next node and what is below it; `levels` are those of definition and repetition above it.
    fn node(&mut self, levels: (u32, u32), depth: usize) -> Option<()> {
        let (node, rest) = self.nodes.split_first()?;
        self.nodes = rest;
        let (definition, repetition) = match node.int(3) {
            Some(1) => (levels.0 + 1, levels.1),
            Some(2) => (levels.0 + 1, levels.1 + 1),
            _ => levels,
        };
        self.path.push(node.text(4)?);
        match node.count(5).filter(|_| !node.has(1)) {
            Some(children) => {
                let depth = depth.checked_sub(1)?;
                for _ in 0..children {
                    self.node((definition, repetition), depth)?;
                }
            }
            None => {
                let physical = physical(node)?;
                let meaning = meaning(node, physical);
                self.leaves.push(Leaf { path: self.path.clone(), physical, meaning, definition, repetition });
            }
        }
        self.path.pop();
        Some(())
    }
}

fn physical(node: &Fields) -> Option<Physical> {
    Some(match node.int(1)? {
        0 => Physical::Boolean,
        1 => Physical::Int32,
        2 => Physical::Int64,
        // Times of an old kind, in twelve bytes.
        3 => Physical::Fixed(12),
        4 => Physical::Float,
        5 => Physical::Double,
        6 => Physical::Bytes,
        7 => Physical::Fixed(node.count(2).filter(|&length| length > 0 && length < 1 << 24)?),
        _ => return None,
    })
}

/// What values are: by their logical type, the older converted type, or how they lie in pages.
fn meaning(node: &Fields, physical: Physical) -> Meaning {
    let logical = node.fields(10);
    let kind = logical.and_then(Fields::first);
    let converted = node.int(6);
    let scale = || logical.and_then(|logical| logical.fields(5)?.int(1)).or(node.int(7)).unwrap_or(0);
    let integer = logical.and_then(|logical| logical.fields(10)).map(|fields| (fields.int(1), fields.bool(2)));
    match (kind, converted) {
        (Some(1 | 4 | 12), _) | (None, Some(0 | 4 | 19)) => return Meaning::Text,
        (Some(5), _) | (None, Some(5)) => {
            return match (physical, u32::try_from(scale()).ok().filter(|&scale| scale <= 38)) {
                (Physical::Int32 | Physical::Int64 | Physical::Fixed(1..=16), Some(scale)) => {
                    Meaning::Number(NumberType::F64, 10_f64.powi(scale as i32))
                }
                _ => Meaning::Other("decimals of a kind that is not read"),
            };
        }
        (Some(6..=8), _) | (None, Some(6..=10)) => return Meaning::Other("dates or times"),
        _ => {}
    }
    let number = match (physical, integer, converted) {
        (Physical::Boolean, ..) => NumberType::Bool,
        (Physical::Int32, Some((Some(8), Some(false))), _) | (Physical::Int32, None, Some(11)) => NumberType::U8,
        (Physical::Int32, Some((Some(16), Some(false))), _) | (Physical::Int32, None, Some(12)) => NumberType::U16,
        (Physical::Int32, Some((_, Some(false))), _) | (Physical::Int32, None, Some(13)) => NumberType::U32,
        (Physical::Int32, Some((Some(8), _)), _) | (Physical::Int32, None, Some(15)) => NumberType::I8,
        (Physical::Int32, Some((Some(16), _)), _) | (Physical::Int32, None, Some(16)) => NumberType::I16,
        (Physical::Int32, ..) => NumberType::I32,
        (Physical::Int64, Some((_, Some(false))), _) | (Physical::Int64, None, Some(14)) => NumberType::U64,
        (Physical::Int64, ..) => NumberType::I64,
        (Physical::Float, ..) => NumberType::F32,
        (Physical::Double, ..) => NumberType::F64,
        (Physical::Fixed(2), ..) if kind == Some(15) => NumberType::F16,
        (Physical::Fixed(12), ..) if node.int(1) == Some(3) => return Meaning::Other("dates or times"),
        (Physical::Bytes | Physical::Fixed(_), ..) => return Meaning::Bytes,
    };
    Meaning::Number(number, 1.0)
}

/// The names of classes in what `datasets` writes beside the columns: `{"info": {"features": {"label": {"names": [...]}}}}`.
fn class_names(fields: &Fields) -> Option<HashMap<String, Vec<String>>> {
    let entries = fields.list(5);
    let text = entries.iter().find(|entry| entry.text(1).as_deref() == Some("huggingface"))?.text(2)?;
    let value: serde_json::Value = serde_json::from_str(&text).ok()?;
    let features = value.get("info")?.get("features")?.as_object()?;
    let names = |feature: &serde_json::Value| -> Option<Vec<String>> {
        feature.get("names")?.as_array()?.iter().map(|name| name.as_str().map(str::to_owned)).collect()
    };
    Some(features.iter().filter_map(|(column, feature)| Some((column.clone(), names(feature)?))).collect())
}
