//! Of the columns of a Parquet file: which are the data, and which the labels.

use super::{
    Blobs, Set,
    schema::{Leaf, Meaning},
};
use crate::{Classes, DataError, Notice, OpenOptions, picture};

/// Names that columns of images go by, the first found is taken.
const IMAGES: [&str; 12] =
    ["image", "img", "images", "jpg", "png", "jpeg", "webp", "picture", "photo", "pixel_values", "x", "data"];
/// Names that columns of lists go by.
const LISTS: [&str; 10] =
    ["x", "image", "images", "img", "data", "features", "embedding", "embeddings", "vector", "pixel_values"];
/// Names that columns of labels go by.
const LABELS: [&str; 13] = [
    "label",
    "labels",
    "fine_label",
    "fine_labels",
    "class",
    "classes",
    "target",
    "targets",
    "y",
    "category",
    "cls",
    "class_label",
    "class_id",
];
/// The column that pandas writes its index to.
const INDEX: &str = "__index_level_0__";
/// Names of columns that number the rows.
const NUMBERS_OF_ROWS: [&str; 5] = [INDEX, "index", "idx", "id", "__key__"];

/// What is read of the files.
pub(super) enum Data {
    /// The files of images.
    Images(Leaf),
    /// Lists of numbers, of one shape.
    Lists(Leaf),
    /// A number each.
    Table(Vec<Leaf>),
}

/// The column of labels, and whether it was asked for.
#[derive(Clone)]
pub(super) struct Label {
    pub leaf: Leaf,
    pub asked: bool,
}

pub(super) struct Choice {
    pub data: Data,
    pub label: Option<Label>,
    pub notices: Vec<Notice>,
}

/// An outermost column.
struct Field<'a> {
    name: &'a str,
    kind: FieldKind<'a>,
}

#[derive(Clone, Copy)]
enum FieldKind<'a> {
    Images(&'a Leaf),
    Lists(&'a Leaf),
    Number(&'a Leaf),
    Text(&'a Leaf),
    Other(&'static str),
}

fn fields<'a>(set: &'a Set) -> Vec<Field<'a>> {
    let leaves = &set.footer().leaves;
    let parts = leaves.chunk_by(|a, b| a.field() == b.field());
    let field = |part: &'a [Leaf]| Field { name: part[0].field(), kind: kind(set, part) };
    parts.map(field).collect()
}

fn kind<'a>(set: &Set, leaves: &'a [Leaf]) -> FieldKind<'a> {
    let bytes = |leaf: &&Leaf| matches!(leaf.path.as_slice(), [_, bytes] if bytes == "bytes") && leaf.repetition == 0;
    match leaves {
        [leaf] if leaf.path.len() == 1 && leaf.repetition == 0 => match leaf.meaning {
            Meaning::Number(..) => FieldKind::Number(leaf),
            Meaning::Text => FieldKind::Text(leaf),
            Meaning::Bytes if is_of_images(set, leaf) => FieldKind::Images(leaf),
            Meaning::Bytes => FieldKind::Text(leaf),
            Meaning::Other(what) => FieldKind::Other(what),
        },
        [leaf] if leaf.repetition > 0 && matches!(leaf.meaning, Meaning::Number(..)) => FieldKind::Lists(leaf),
        [_] => FieldKind::Other("lists of text"),
        several => match several.iter().find(bytes) {
            Some(leaf) => FieldKind::Images(leaf),
            None => FieldKind::Other("a structure of several values"),
        },
    }
}

/// Whether the first row of a column of bytes is an image.
fn is_of_images(set: &Set, leaf: &Leaf) -> bool {
    let first = Blobs::open(set, leaf).and_then(|blobs| blobs.read(0));
    first.is_ok_and(|bytes| picture::read_header("", &bytes).is_ok())
}

fn names(fields: &[&Field]) -> String {
    fields.iter().map(|field| field.name).collect::<Vec<_>>().join(", ")
}

/// The field with a name, which the option of this name asked for.
fn named<'f, 'a>(set: &Set, fields: &'f [Field<'a>], name: &str, option: &str) -> Result<&'f Field<'a>, DataError> {
    let exact = fields.iter().find(|field| field.name == name);
    let found = exact.or_else(|| fields.iter().find(|field| field.name.eq_ignore_ascii_case(name)));
    found.ok_or_else(|| {
        let all = names(&fields.iter().collect::<Vec<_>>());
        DataError::malformed(set.path, format!("{option} = {name:?}: no such column; there are {all}"))
    })
}

pub(super) fn choose(set: &Set, options: &OpenOptions) -> Result<Choice, DataError> {
    let fields = fields(set);
    let label = label(set, &fields, options)?;
    let is_label = |field: &&Field| label.as_ref().is_none_or(|label| label.leaf.field() != field.name);
    let others: Vec<&Field> = fields.iter().filter(is_label).collect();
    let images: Vec<&Field> = of_kind(&others, |kind| matches!(kind, FieldKind::Images(_)));
    let lists: Vec<&Field> = of_kind(&others, |kind| matches!(kind, FieldKind::Lists(_)));
    let data = match &options.array {
        Some(name) => Some(named(set, &fields, name, "array")?),
        None if !options.columns.is_empty() => None,
        None if !images.is_empty() => Some(pick(set, &images, &IMAGES)?),
        None if !lists.is_empty() => {
            let numbers = of_kind(&others, |kind| matches!(kind, FieldKind::Number(_)));
            let numbers: Vec<&Field> =
                numbers.into_iter().filter(|field| !NUMBERS_OF_ROWS.contains(&field.name)).collect();
            if !numbers.is_empty() {
                let problem = format!(
                    "columns of lists ({}) and of numbers ({}) may be the data",
                    names(&lists),
                    names(&numbers)
                );
                return Err(DataError::ambiguous(set.path, problem, "array", "the name of one"));
            }
            Some(pick(set, &lists, &LISTS)?)
        }
        None => None,
    };
    let Some(data) = data else { return table(set, &fields, label, options) };
    let leaf = match data.kind {
        FieldKind::Images(leaf) => Data::Images(leaf.clone()),
        FieldKind::Lists(leaf) => Data::Lists(leaf.clone()),
        FieldKind::Number(leaf) => Data::Table(vec![leaf.clone()]),
        FieldKind::Text(_) | FieldKind::Other(_) => {
            let problem = format!("column {} holds neither images nor numbers", data.name);
            return Err(DataError::malformed(set.path, problem));
        }
    };
    let ignored = others.iter().filter(|field| field.name != data.name && field.name != INDEX);
    let ignored = ignored.map(|field| field.name.to_owned()).collect();
    let labels = label.as_ref().map(|label| label.leaf.field().to_owned());
    let notices = vec![Notice::ArraysTaken { data: data.name.to_owned(), labels, ignored }];
    Ok(Choice { data: leaf, label, notices })
}

fn of_kind<'f, 'a>(fields: &[&'f Field<'a>], is: fn(FieldKind) -> bool) -> Vec<&'f Field<'a>> {
    fields.iter().copied().filter(|field| is(field.kind)).collect()
}

/// The only one of some fields, or the first that has a usual name.
fn pick<'f, 'a>(set: &Set, fields: &[&'f Field<'a>], usual: &[&str]) -> Result<&'f Field<'a>, DataError> {
    if let [one] = fields {
        return Ok(one);
    }
    let has = |name: &&str| fields.iter().find(|field| field.name.eq_ignore_ascii_case(name)).copied();
    usual.iter().find_map(has).ok_or_else(|| {
        let problem = format!("several columns may be the data: {}", names(fields));
        DataError::ambiguous(set.path, problem, "array", "the name of one")
    })
}

/// The column of labels: the one that options name, one with a usual name, or the only one whose classes have names.
fn label(set: &Set, fields: &[Field], options: &OpenOptions) -> Result<Option<Label>, DataError> {
    let asked = options.labels.as_deref().or(options.label.as_deref());
    let leaf = |field: &Field| match field.kind {
        FieldKind::Number(leaf) | FieldKind::Text(leaf) => Some(leaf.clone()),
        _ => None,
    };
    if let Some(name) = asked {
        if name.is_empty() {
            return Ok(None);
        }
        let field = named(set, fields, name, if options.labels.is_some() { "labels" } else { "label" })?;
        let leaf = leaf(field).ok_or_else(|| {
            DataError::malformed(set.path, format!("column {name} holds no classes: neither a number nor a text a row"))
        })?;
        return Ok(Some(Label { leaf, asked: true }));
    }
    // A table has a column of classes only if it is named.
    let is_data = |field: &Field| matches!(field.kind, FieldKind::Images(_) | FieldKind::Lists(_));
    if options.classes == Classes::None || !options.columns.is_empty() || !fields.iter().any(is_data) {
        return Ok(None);
    }
    let usual = LABELS.iter().find_map(|name| fields.iter().find(|field| field.name.eq_ignore_ascii_case(name)));
    if let Some(leaf) = usual.and_then(leaf) {
        return Ok(Some(Label { leaf, asked: false }));
    }
    let has_names = |field: &&Field| set.footer().class_names.contains_key(field.name) && leaf(field).is_some();
    let candidates: Vec<&Field> = fields.iter().filter(has_names).collect();
    match candidates.as_slice() {
        [] => Ok(None),
        [one] => Ok(leaf(one).map(|leaf| Label { leaf, asked: false })),
        several => {
            let problem = format!("several columns may be the classes: {}", names(several));
            Err(DataError::ambiguous(set.path, problem, "labels", "the name of one, or to \"\" for none"))
        }
    }
}

/// Columns of numbers. Those of text and other types are left out, and the notice says so.
fn table(set: &Set, fields: &[Field], label: Option<Label>, options: &OpenOptions) -> Result<Choice, DataError> {
    let (mut leaves, mut notices) = (Vec::new(), Vec::new());
    if options.columns.is_empty() {
        for field in fields {
            let reason = match field.kind {
                _ if label.as_ref().is_some_and(|label| label.leaf.field() == field.name) => continue,
                _ if field.name == INDEX => "an index without a name".to_owned(),
                FieldKind::Number(leaf) => {
                    leaves.push(leaf.clone());
                    continue;
                }
                FieldKind::Text(_) => "it holds text; label makes it the classes".to_owned(),
                FieldKind::Images(_) | FieldKind::Lists(_) => "it holds images or lists".to_owned(),
                FieldKind::Other(what) => format!("it holds {what}"),
            };
            notices.push(Notice::ColumnSkipped { name: field.name.to_owned(), reason });
        }
    }
    for name in &options.columns {
        let by_number = || name.parse::<usize>().ok().and_then(|number| fields.get(number.checked_sub(1)?));
        let field = match fields.iter().find(|field| field.name == name).or_else(by_number) {
            Some(field) => field,
            None => named(set, fields, name, "columns")?,
        };
        let FieldKind::Number(leaf) = field.kind else {
            return Err(DataError::malformed(set.path, format!("column {} does not hold numbers", field.name)));
        };
        leaves.push(leaf.clone());
    }
    if leaves.is_empty() {
        let all = names(&fields.iter().collect::<Vec<_>>());
        return Err(DataError::empty(set.path, format!("no column of images or numbers among {all}")));
    }
    Ok(Choice { data: Data::Table(leaves), label, notices })
}
