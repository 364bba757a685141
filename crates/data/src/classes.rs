//! Classes of images, from `dataset.json`, from the names of folders and files, or from a given file.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::Path,
};

use serde::Deserialize;
use serde_json::Value;

use crate::{Classes, DataError, Labels, Notice};

/// Names of the parts of a data set; the first ones are training parts.
const PARTS: [&str; 10] =
    ["train", "training", "val", "valid", "validation", "test", "testing", "dev", "eval", "holdout"];
/// Prefixes of file names by cameras and programs, which are not classes.
const NO_CLASSES: [&str; 22] = [
    "img",
    "image",
    "images",
    "dsc",
    "dscn",
    "dscf",
    "pic",
    "picture",
    "photo",
    "frame",
    "scan",
    "page",
    "sample",
    "samples",
    "screenshot",
    "pxl",
    "vid",
    "file",
    "slice",
    "mask",
    "train",
    "test",
];

/// Names of folders that hold the inputs and the outputs of pairs, which are no classes.
const PAIRS: [[&str; 10]; 2] = [
    ["image", "images", "img", "imgs", "input", "inputs", "source", "photos", "x", "a"],
    ["mask", "masks", "label", "labels", "annotation", "annotations", "segmentation", "output", "outputs", "target"],
];

/// The images to read, and their classes.
#[derive(Debug, Default)]
pub(crate) struct Classified {
    /// Indices of the images that are read.
    pub keep: Vec<usize>,
    pub labels: Option<Labels>,
    pub notices: Vec<Notice>,
}

/// Sources of classes other than the names of images.
pub(crate) struct Hints<'a> {
    /// The content of `dataset.json`.
    pub json: Option<&'a [u8]>,
    /// Classes in files next to the images, as in WebDataset, by the name of the image without its extension.
    pub beside: HashMap<String, String>,
    /// The content of the file of the option.
    pub file: Option<(String, Vec<u8>)>,
}

/// Finds out the classes of files that are no images.
pub(crate) fn classify_names(path: &Path, names: &[String], classes: &Classes) -> Result<Classified, DataError> {
    classify(path, names, &Hints { json: None, beside: HashMap::new(), file: None }, classes)
}

/// Determines the classes of images.
pub(crate) fn classify(
    path: &Path,
    names: &[String],
    hints: &Hints,
    classes: &Classes,
) -> Result<Classified, DataError> {
    let mut found = Classified { keep: (0..names.len()).collect(), ..Classified::default() };
    let mut short: Vec<&str> = names.iter().map(String::as_str).collect();
    pass_top_folder(&mut short, &mut found.notices);
    take_part(path, &mut short, &mut found)?;
    match classes {
        Classes::None => {}
        Classes::File(file) => {
            let (name, content) = hints.file.as_ref().ok_or_else(|| {
                DataError::malformed(path, format!("classes: {file} is neither folders, prefix, none nor a file"))
            })?;
            let kept: Vec<&str> = found.keep.iter().map(|&index| names[index].as_str()).collect();
            found.labels = Some(from_file(Path::new(name), content, &kept, &short)?);
            found.notices.push(Notice::ClassesFrom { file: name.clone() });
        }
        Classes::Folders => by_folder(path, &short, &mut found, true)?,
        Classes::Prefix => by_prefix(path, &short, &mut found, true)?,
        Classes::Auto if hints.json.is_some() => by_json(path, names, hints.json.unwrap_or_default(), &mut found)?,
        Classes::Auto if !hints.beside.is_empty() => by_files_beside(path, names, hints, &mut found)?,
        Classes::Auto => {
            by_folder(path, &short, &mut found, false)?;
            if found.labels.is_none() {
                by_prefix(path, &short, &mut found, false)?;
            }
        }
    }
    Ok(found)
}

fn first_folder(name: &str) -> Option<&str> {
    name.split_once('/').map(|(folder, _)| folder)
}

/// Removes folders that contain all files.
fn pass_top_folder(names: &mut [&str], notices: &mut Vec<Notice>) {
    let mut passed = Vec::new();
    while let Some(top) = names.first().and_then(|name| first_folder(name))
        && names.iter().all(|name| first_folder(name) == Some(top))
    {
        passed.push(top.to_owned());
        names.iter_mut().for_each(|name| *name = &name[top.len() + 1..]);
    }
    // A folder with images only needs no notice.
    if !passed.is_empty() && names.iter().any(|name| name.contains('/')) {
        notices.push(Notice::TopFolderPassed { name: passed.join("/") });
    }
}

/// Selects the training part if the top-level folders are parts of a data set.
fn take_part(path: &Path, names: &mut Vec<&str>, found: &mut Classified) -> Result<(), DataError> {
    let parts: BTreeSet<&str> = names.iter().filter_map(|name| first_folder(name)).collect();
    let rank = |part: &str| PARTS.iter().position(|known| part.eq_ignore_ascii_case(known));
    if parts.len() < 2 || !parts.iter().all(|part| rank(part).is_some()) {
        return Ok(());
    }
    let used = parts.iter().copied().min_by_key(|part| rank(part)).unwrap_or_default();
    if rank(used).is_none_or(|rank| rank > 1) {
        let problem =
            format!("it has the parts {}, and none to train on", parts.into_iter().collect::<Vec<_>>().join(", "));
        return Err(DataError::malformed(path, format!("{problem}; give the path of one of them")));
    }
    let count = |part: &str| names.iter().filter(|name| first_folder(name) == Some(part)).count();
    let outside = names.iter().filter(|name| first_folder(name).is_none()).count();
    let mut skipped: Vec<String> =
        parts.iter().filter(|part| **part != used).map(|part| format!("{part} ({} images)", count(part))).collect();
    if outside > 0 {
        skipped.push(format!("{outside} images beside the parts"));
    }
    found.notices.push(Notice::PartTaken { used: used.to_owned(), skipped });
    let is_used = |name: &str| first_folder(name) == Some(used);
    let kept: Vec<(usize, &str)> =
        found.keep.iter().copied().zip(names.iter().copied()).filter(|(_, name)| is_used(name)).collect();
    found.keep = kept.iter().map(|&(index, _)| index).collect();
    *names = kept.into_iter().map(|(_, name)| &name[used.len() + 1..]).collect();
    Ok(())
}

fn labels_of(of_row: &[&str]) -> Labels {
    let names: BTreeSet<&str> = of_row.iter().copied().collect();
    let mut names: Vec<&str> = names.into_iter().collect();
    if let Some(mut numbers) =
        names.iter().map(|name| Some((name.parse::<u64>().ok()?, *name))).collect::<Option<Vec<_>>>()
    {
        numbers.sort_unstable();
        names = numbers.into_iter().map(|(_, name)| name).collect();
    }
    let number: HashMap<&str, u32> = names.iter().zip(0..).map(|(&name, number)| (name, number)).collect();
    Labels {
        of_row: of_row.iter().map(|name| number[name]).collect(),
        names: names.into_iter().map(str::to_owned).collect(),
    }
}

/// Reads classes from the top-level folders. Unless `asked`, numbered shards and a single folder are not classes.
fn by_folder(path: &Path, names: &[&str], found: &mut Classified, asked: bool) -> Result<(), DataError> {
    let folders: BTreeSet<&str> = names.iter().filter_map(|name| first_folder(name)).collect();
    if folders.is_empty() && asked {
        return Err(DataError::malformed(path, "classes = \"folders\", but the images are in no folders"));
    }
    if folders.len() < 2 && !asked {
        return Ok(());
    }
    let has = |side: &[&str]| folders.iter().any(|folder| side.contains(&folder.to_lowercase().as_str()));
    if !asked && folders.len() == 2 && PAIRS.iter().all(|side| has(side)) {
        let names = folders.into_iter().collect::<Vec<_>>().join(" and ");
        let problem = format!("its folders {names} look like pairs, not classes; give the path of one");
        return Err(DataError::ambiguous(path, problem, "classes", "folders or none"));
    }
    if !asked && are_shards(names) {
        found.notices.push(Notice::FoldersAsShards { count: folders.len() });
        return Ok(());
    }
    let stray: Vec<&str> = names.iter().copied().filter(|name| first_folder(name).is_none()).collect();
    if 2 * stray.len() > names.len() - stray.len() && !asked {
        let problem = format!(
            "{} images are in {} folders and {} beside them",
            names.len() - stray.len(),
            folders.len(),
            stray.len()
        );
        return Err(DataError::ambiguous(path, problem, "classes", "folders (the others are left out) or none"));
    }
    found.notices.push(Notice::FoldersAsClasses { count: folders.len() });
    if let Some(example) = stray.first() {
        found.notices.push(Notice::ImagesBesideClasses { count: stray.len(), example: (*example).to_owned() });
    }
    let of_row: Vec<&str> = names.iter().filter_map(|name| first_folder(name)).collect();
    found.keep = found
        .keep
        .iter()
        .zip(names)
        .filter(|(_, name)| first_folder(name).is_some())
        .map(|(&index, _)| index)
        .collect();
    found.labels = Some(labels_of(&of_row));
    Ok(())
}

/// Whether folders are shards: their names are numbers that follow from the numbers of the files, as in FFHQ
/// (`01000/01234.png`) and EDM's tool (`00001/img00001234.png`).
fn are_shards(names: &[&str]) -> bool {
    let mut seen = BTreeSet::new();
    names.iter().all(|name| {
        let Some((folder, file)) = name.split_once('/') else { return false };
        let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
        let digits = &stem[stem.trim_end_matches(|c: char| c.is_ascii_digit()).len()..];
        let is_number = folder.len() >= 3 && folder.bytes().all(|byte| byte.is_ascii_digit());
        let (Ok(number), Ok(shard)) = (digits.parse::<u64>(), folder.parse::<u64>()) else { return false };
        let implied = (digits.len() > folder.len() && digits.starts_with(folder)) || number / 1000 * 1000 == shard;
        is_number && implied && seen.insert(number)
    })
}

/// Reads classes from the prefixes of file names, up to the first `_` or `-`.
fn by_prefix(path: &Path, names: &[&str], found: &mut Classified, asked: bool) -> Result<(), DataError> {
    let prefix = |name: &str| -> Option<String> {
        let file = name.rsplit('/').next()?;
        let (prefix, rest) = file.split_once(['_', '-'])?;
        let is_word = !prefix.is_empty() && prefix.chars().all(char::is_alphabetic);
        let is_numbered = rest.starts_with(|c: char| c.is_ascii_digit());
        let is_camera = NO_CLASSES.contains(&prefix.to_lowercase().as_str());
        (asked || (is_word && is_numbered && !is_camera)).then(|| prefix.to_owned())
    };
    let Some(prefixes) = names.iter().map(|name| prefix(name)).collect::<Option<Vec<String>>>() else {
        if asked {
            return Err(DataError::malformed(path, "classes = \"prefix\", but a file name has no `_` or `-`"));
        }
        return Ok(());
    };
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    prefixes.iter().for_each(|prefix| *counts.entry(prefix).or_default() += 1);
    if !asked && (counts.len() < 2 || counts.values().any(|&count| count < 2)) {
        return Ok(());
    }
    found.notices.push(Notice::PrefixesAsClasses { count: counts.len() });
    found.labels = Some(labels_of(&prefixes.iter().map(String::as_str).collect::<Vec<_>>()));
    Ok(())
}

/// `dataset.json` of EDM's `dataset_tool`.
#[derive(Deserialize)]
struct DatasetJson {
    labels: Option<Vec<(String, Value)>>,
}

/// Returns the class of a label in `dataset.json`: a number or a one-hot vector. The error says why it is not a class.
fn class_of(label: &Value) -> Result<u32, String> {
    let whole = |number: f64| (number >= 0.0 && number.fract() == 0.0 && number < 1e6).then_some(number as u32);
    match label {
        Value::Number(number) => {
            number.as_f64().and_then(whole).ok_or_else(|| format!("{number} is not a class number"))
        }
        Value::Array(values) => {
            let numbers: Vec<f64> = values.iter().filter_map(Value::as_f64).collect();
            let ones = numbers.iter().filter(|&&value| value == 1.0).count();
            let zeros = numbers.iter().filter(|&&value| value == 0.0).count();
            match numbers.iter().position(|&value| value == 1.0) {
                Some(class) if ones == 1 && zeros == values.len() - 1 => Ok(class as u32),
                _ => Err("they are vectors of attributes, not classes".into()),
            }
        }
        other => Err(format!("{other} is not a class number")),
    }
}

fn by_json(path: &Path, names: &[String], json: &[u8], found: &mut Classified) -> Result<(), DataError> {
    let json: DatasetJson =
        serde_json::from_slice(json).map_err(|error| DataError::malformed(path, format!("dataset.json: {error}")))?;
    let Some(pairs) = json.labels else { return Ok(()) };
    let by_name: HashMap<String, Value> =
        pairs.into_iter().map(|(name, label)| (name.replace('\\', "/"), label)).collect();
    let mut of_row = Vec::with_capacity(found.keep.len());
    // Names may lack top-level folders that were added later.
    let inside = |name: &str| -> Option<&Value> {
        let starts = std::iter::once(0).chain(name.match_indices('/').map(|(at, _)| at + 1));
        starts.take(8).find_map(|start| by_name.get(&name[start..]))
    };
    for &index in &found.keep {
        let Some(label) = inside(&names[index]) else {
            let problem = format!(
                "dataset.json has no label for {}; add it, remove the image, or set classes to none",
                names[index]
            );
            return Err(DataError::malformed(path, problem));
        };
        match class_of(label) {
            Ok(class) => of_row.push(class),
            Err(reason) => {
                found.notices.push(Notice::LabelsDropped { name: "of dataset.json".into(), reason });
                return Ok(());
            }
        }
    }
    let (labels, notice) = Labels::of_numbers(path, &of_row, &[])?;
    found.labels = Some(labels);
    found.notices.extend(notice);
    Ok(())
}

fn by_files_beside(path: &Path, names: &[String], hints: &Hints, found: &mut Classified) -> Result<(), DataError> {
    let stem = |name: &str| name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_owned();
    let class = |&index: &usize| hints.beside.get(&stem(&names[index])).map(|class| class.trim());
    match found.keep.iter().map(class).collect::<Option<Vec<&str>>>() {
        Some(of_row) => {
            found.labels = Some(labels_of(&of_row));
            found.notices.push(Notice::ClassesFrom { file: "the .cls file beside each image".into() });
            Ok(())
        }
        None => Err(DataError::malformed(
            path,
            "some images have a .cls file beside them and some do not; set classes to none",
        )),
    }
}

/// Reads classes from a file: `dataset.json`, or lines of a name and a class. `names` are full names, `short` without common folders.
fn from_file(path: &Path, content: &[u8], names: &[&str], short: &[&str]) -> Result<Labels, DataError> {
    if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json")) {
        let full: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut found = Classified { keep: (0..full.len()).collect(), ..Classified::default() };
        by_json(path, &full, content, &mut found)?;
        return found.labels.ok_or_else(|| DataError::malformed(path, "it has no classes"));
    }
    let text = String::from_utf8_lossy(content);
    let mut class: HashMap<&str, &str> = HashMap::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let separators: &[char] = if line.contains([',', ';', '\t']) { &[',', ';', '\t'] } else { &[' '] };
        if let Some((name, rest)) = line.split_once(separators) {
            let of_row = rest.split(separators).next().unwrap_or_default();
            class.insert(name.trim().trim_matches('"'), of_row.trim().trim_matches('"'));
        }
    }
    let find = |(full, short): (&&str, &&str)| {
        let base = short.rsplit('/').next().unwrap_or(short);
        let stem = base.rsplit_once('.').map_or(base, |(stem, _)| stem);
        [*full, *short, base, stem].iter().find_map(|name| class.get(name).copied()).ok_or_else(|| {
            DataError::malformed(
                path,
                format!("no class for {full}; write lines of a file name and a class, with a comma between"),
            )
        })
    };
    let of_row: Vec<&str> = names.iter().zip(short).map(find).collect::<Result<_, _>>()?;
    Ok(labels_of(&of_row))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classified(names: &[&str], classes: Classes) -> Result<Classified, DataError> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let hints = Hints { json: None, beside: HashMap::new(), file: None };
        classify(Path::new("set"), &names, &hints, &classes)
    }

    fn names(found: &Classified) -> Vec<&str> {
        found.labels.iter().flat_map(|labels| labels.names.iter().map(String::as_str)).collect()
    }

    #[test]
    fn folders_are_classes_unless_they_are_parts_or_shards() {
        let found = classified(&["set/cats/1.png", "set/cats/2.png", "set/dogs/1.png"], Classes::Auto).unwrap();
        assert_eq!(
            (names(&found), found.labels.as_ref().unwrap().of_row.clone()),
            (vec!["cats", "dogs"], vec![0, 0, 1])
        );
        let found = classified(&["test/cats/1.png", "train/cats/2.png", "train/dogs/1.png"], Classes::Auto).unwrap();
        assert_eq!((names(&found), &found.keep[..]), (vec!["cats", "dogs"], &[1, 2][..]));
        for shards in [
            ["00000/img00000000.png", "00000/img00000999.png", "00001/img00001000.png"],
            ["00000/00000.png", "00000/00999.png", "01000/01000.png"],
        ] {
            assert!(classified(&shards, Classes::Auto).unwrap().labels.is_none());
            assert_eq!(classified(&shards, Classes::Folders).unwrap().labels.unwrap().of_row, [0, 0, 1]);
        }
        // As in the German traffic signs data set: file numbers restart in each class.
        let signs = ["00000/00000_00000.ppm", "00000/00000_00001.ppm", "00001/00000_00000.ppm"];
        assert_eq!(classified(&signs, Classes::Auto).unwrap().labels.unwrap().of_row, [0, 0, 1]);
        assert!(classified(&signs, Classes::None).unwrap().labels.is_none());
        let numbered = ["10/a.png", "9/a.png", "9/b.png"];
        assert_eq!(names(&classified(&numbered, Classes::Auto).unwrap()), ["9", "10"]);
    }

    #[test]
    fn images_beside_classes_are_left_out_or_asked_about() {
        let found = classified(&["cats/1.png", "cats/2.png", "cover.png", "dogs/1.png"], Classes::Auto).unwrap();
        assert_eq!((names(&found), &found.keep[..]), (vec!["cats", "dogs"], &[0, 1, 3][..]));
        let many = ["a.png", "b.png", "c.png", "cats/1.png", "dogs/1.png"];
        let error = classified(&many, Classes::Auto).unwrap_err();
        assert!(matches!(error, DataError::Ambiguous { option: "classes", .. }), "{error}");
        assert_eq!(classified(&many, Classes::None).unwrap().keep.len(), 5);
    }

    #[test]
    fn beginnings_of_names_are_classes_where_they_are_words() {
        let found = classified(&["cat_0001.png", "cat_0002.png", "dog_1.png", "dog_2.png"], Classes::Auto).unwrap();
        assert_eq!(names(&found), ["cat", "dog"]);
        for none in [["IMG_1.jpg", "IMG_2.jpg", "DSC_1.jpg", "DSC_2.jpg"], ["a1.png", "a2.png", "b1.png", "b2.png"]] {
            assert!(classified(&none, Classes::Auto).unwrap().labels.is_none());
        }
    }

    #[test]
    fn a_file_says_classes_by_name_or_stem() {
        let names = ["x/1.png", "x/2.png"];
        let labels =
            from_file(Path::new("l.csv"), b"id,label\n2,dog\n1.png,cat\n", &names, &["1.png", "2.png"]).unwrap();
        assert_eq!((labels.names, labels.of_row), (vec!["cat".to_owned(), "dog".to_owned()], vec![0, 1]));
        let error = from_file(Path::new("l.csv"), b"1,cat\n", &names, &["1.png", "2.png"]).unwrap_err().to_string();
        assert!(error.contains("x/2.png"), "{error}");
    }

    #[test]
    fn labels_of_json_are_numbers_or_vectors_with_a_single_one() {
        assert_eq!(class_of(&serde_json::json!(2.0)), Ok(2));
        assert_eq!(class_of(&serde_json::json!([0.0, 0.0, 1.0])), Ok(2));
        for none in
            [serde_json::json!(2.5), serde_json::json!(-1), serde_json::json!([0.3, 0.7]), serde_json::json!("cat")]
        {
            assert!(class_of(&none).is_err(), "{none}");
        }
    }
}
