//! Notices about unused parts and assumptions of a reader.

use std::fmt::{self, Write};

use serde::Serialize;

use crate::error::one_line;

/// One unused part or assumption of a reader. [`Dataset::notices`](crate::Dataset::notices) lists them; each prints as one line.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Notice {
    /// Files that are not images were skipped.
    FilesSkipped {
        /// How many.
        count: usize,
        /// Their extensions, the most frequent first.
        endings: Vec<String>,
        /// One of them.
        example: String,
    },
    /// Hidden files and folders (`.name`, `__MACOSX`) were skipped.
    HiddenSkipped {
        /// How many.
        count: usize,
    },
    /// Only one of the parts of a data set (train, test, ...) was read.
    PartTaken {
        /// The part that was read.
        used: String,
        /// The parts that were not read.
        skipped: Vec<String>,
    },
    /// A single top-level folder was ignored; it is not a class.
    TopFolderPassed {
        /// Its name.
        name: String,
    },
    /// The names of folders were used as classes.
    FoldersAsClasses {
        /// How many classes.
        count: usize,
    },
    /// Numbered folders were read as shards of one set.
    FoldersAsShards {
        /// How many folders.
        count: usize,
    },
    /// Images outside of the folders of classes were skipped.
    ImagesBesideClasses {
        /// How many.
        count: usize,
        /// One of them.
        example: String,
    },
    /// The prefixes of file names were used as classes.
    PrefixesAsClasses {
        /// How many classes.
        count: usize,
    },
    /// Classes were read from a file.
    ClassesFrom {
        /// The file.
        file: String,
    },
    /// Classes without rows were removed.
    ClassesWithoutRows {
        /// How many.
        count: usize,
        /// The first of them.
        names: Vec<String>,
    },
    /// Labels exist but were not used.
    LabelsDropped {
        /// Where they are.
        name: String,
        /// Why.
        reason: String,
    },
    /// Only some of several arrays were read.
    ArraysTaken {
        /// The array of data.
        data: String,
        /// The array of labels, if any.
        labels: Option<String>,
        /// The arrays that were not read.
        ignored: Vec<String>,
    },
    /// Rows of bytes were read as channels-first images (planes).
    RowsAsPlanes {
        /// Height and width.
        side: usize,
        /// Planes.
        channels: usize,
    },
    /// Rows have as many values as a square image, but were read as vectors.
    SquareRows {
        /// How many values.
        len: usize,
        /// The side of the square.
        side: usize,
    },
    /// Every file was read as one row.
    FilesAsRows {
        /// How many.
        count: usize,
    },
    /// The files of a folder were joined.
    FilesJoined {
        /// How many.
        count: usize,
    },
    /// Transparent pixels were composited over a color.
    AlphaComposited {
        /// How many images.
        count: usize,
        /// The color.
        over: String,
    },
    /// Images have an alpha channel that is opaque everywhere; it was removed.
    AlphaOpaque {
        /// How many images.
        count: usize,
    },
    /// Images were rotated or mirrored according to their EXIF orientation.
    OrientationApplied {
        /// How many images.
        count: usize,
    },
    /// Only the first frame of animations, or the first page of files whose pages differ, was read.
    FramesSkipped {
        /// How many files.
        count: usize,
        /// One of them.
        example: String,
        /// How many frames or pages that one has.
        frames: usize,
    },
    /// Every page of TIFF files was read as one row.
    PagesAsRows {
        /// How many files have several pages.
        files: usize,
        /// How many rows there are in all.
        rows: usize,
    },
    /// The three color channels are equal in every image.
    ChannelsAgree,
    /// The values of images use only part of their nominal range.
    PartOfRange {
        /// Minimum and maximum of the values.
        observed: (f32, f32),
        /// The nominal range.
        nominal: (f32, f32),
    },
    /// The nominal range of floating point values was inferred from the values.
    RangeFound {
        /// The nominal range.
        nominal: (f32, f32),
        /// Minimum and maximum of the values.
        observed: (f32, f32),
    },
    /// The first line of a table was read as its header.
    HeaderTaken {
        /// Its first cells.
        names: Vec<String>,
    },
    /// The first line of a table was read as data although it may be a header.
    FirstLineIsData {
        /// Its first cells.
        cells: Vec<String>,
    },
    /// A column of a table was not used.
    ColumnSkipped {
        /// Its name.
        name: String,
        /// Why.
        reason: String,
    },
    /// Lines of a table that start with `#` were skipped.
    CommentsSkipped {
        /// How many.
        count: usize,
    },
    /// The table was decoded from an encoding other than UTF-8.
    Decoded {
        /// The encoding.
        encoding: String,
    },
    /// Commas were read as decimal points.
    DecimalCommas,
    /// A column has the same value in every row.
    ConstantColumns {
        /// Their names.
        names: Vec<String>,
    },
    /// Columns hold whole numbers that double precision rounds.
    DigitsLost {
        /// Their names.
        names: Vec<String>,
    },
    /// Every row is the same.
    ConstantRows,
    /// Values are in the units of the file, after its scale was applied.
    Units {
        /// The units, or how values were scaled.
        text: String,
    },
}

fn some(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let shown = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN { format!("{shown}, ... ({} in all)", names.len()) } else { shown }
}

fn plural(count: usize, what: &str) -> String {
    match (count, what.strip_suffix('y').filter(|stem| !stem.ends_with('a'))) {
        (1, _) => format!("1 {what}"),
        (_, Some(stem)) => format!("{count} {stem}ies"),
        _ if what.ends_with("ss") => format!("{count} {what}es"),
        _ => format!("{count} {what}s"),
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        match self {
            Self::FilesSkipped { .. }
            | Self::HiddenSkipped { .. }
            | Self::PartTaken { .. }
            | Self::TopFolderPassed { .. }
            | Self::FilesAsRows { .. }
            | Self::FilesJoined { .. } => self.fmt_files(&mut text),
            Self::FoldersAsClasses { .. }
            | Self::FoldersAsShards { .. }
            | Self::ImagesBesideClasses { .. }
            | Self::PrefixesAsClasses { .. }
            | Self::ClassesFrom { .. }
            | Self::ClassesWithoutRows { .. }
            | Self::LabelsDropped { .. } => self.fmt_classes(&mut text),
            Self::HeaderTaken { .. }
            | Self::FirstLineIsData { .. }
            | Self::ColumnSkipped { .. }
            | Self::CommentsSkipped { .. }
            | Self::Decoded { .. }
            | Self::DecimalCommas
            | Self::ConstantColumns { .. }
            | Self::DigitsLost { .. } => self.fmt_table(&mut text),
            _ => self.fmt_values(&mut text),
        }?;
        // Names come from files and may hold line breaks.
        f.write_str(&one_line(&text))
    }
}

impl Notice {
    fn fmt_files(&self, f: &mut String) -> fmt::Result {
        match self {
            Self::FilesSkipped { count, endings, example } => {
                write!(f, "{} skipped, not an image or array ({}): {example}", plural(*count, "file"), some(endings))
            }
            Self::HiddenSkipped { count } => write!(f, "{} skipped (.name, __MACOSX)", plural(*count, "hidden file")),
            Self::PartTaken { used, skipped } => {
                write!(f, "{used} is read; {} left out; give the path of a part to read it", some(skipped))
            }
            Self::TopFolderPassed { name } => write!(f, "the folder {name} contains everything and is not a class"),
            Self::FilesAsRows { count } => write!(f, "each of the {count} files is one row"),
            Self::FilesJoined { count } => write!(f, "the rows of {count} files are joined"),
            _ => Ok(()),
        }
    }

    fn fmt_classes(&self, f: &mut String) -> fmt::Result {
        match self {
            Self::FoldersAsClasses { count } => write!(f, "the names of {count} folders are the classes"),
            Self::FoldersAsShards { count } => {
                write!(f, "{count} numbered folders are shards, not classes; classes = \"folders\" makes them classes")
            }
            Self::ImagesBesideClasses { count, example } => {
                write!(f, "{} beside the folders of classes left out: {example}", plural(*count, "image"))
            }
            Self::PrefixesAsClasses { count } => {
                write!(f, "{count} beginnings of file names are the classes; classes = \"none\" ignores them")
            }
            Self::ClassesFrom { file } => write!(f, "classes are read from {file}"),
            Self::ClassesWithoutRows { count, names } => {
                write!(f, "{} without a single row left out: {}", plural(*count, "class"), some(names))
            }
            Self::LabelsDropped { name, reason } => write!(f, "labels {name} are not used: {reason}"),
            _ => Ok(()),
        }
    }

    fn fmt_table(&self, f: &mut String) -> fmt::Result {
        match self {
            Self::HeaderTaken { names } => write!(f, "the first line is the header: {}", some(names)),
            Self::FirstLineIsData { cells } => {
                write!(f, "the first line is data, not a header: {}; header = \"yes\" reads it as names", some(cells))
            }
            Self::ColumnSkipped { name, reason } => write!(f, "column {name} is not used: {reason}"),
            Self::CommentsSkipped { count } => write!(f, "{} skipped, beginning with #", plural(*count, "line")),
            Self::Decoded { encoding } => write!(f, "the table is decoded from {encoding}"),
            Self::DecimalCommas => write!(f, "commas are read as decimal points"),
            Self::ConstantColumns { names } => {
                write!(f, "{} with one value in every row: {}", plural(names.len(), "column"), some(names))
            }
            Self::DigitsLost { names } => write!(
                f,
                "{} with whole numbers beyond 2^53, which are rounded: {}; subtract what they have in common first",
                plural(names.len(), "column"),
                some(names)
            ),
            _ => Ok(()),
        }
    }

    fn fmt_values(&self, f: &mut String) -> fmt::Result {
        match self {
            Self::ArraysTaken { data, labels, ignored } => {
                write!(f, "array {data} is the data")?;
                if let Some(labels) = labels {
                    write!(f, ", {labels} the labels")?;
                }
                if ignored.is_empty() { Ok(()) } else { write!(f, "; not used: {}", some(ignored)) }
            }
            Self::RowsAsPlanes { side, channels } => {
                write!(f, "rows of {} bytes are images of {side}x{side} in {channels} planes", side * side * channels)
            }
            Self::SquareRows { len, side } => {
                write!(f, "rows of {len} values are vectors; save the array as [n, {side}, {side}] if they are images")
            }
            Self::AlphaComposited { count, over } => {
                write!(f, "transparency of {} composited over {over}", plural(*count, "image"))
            }
            Self::AlphaOpaque { count } => {
                write!(f, "the alpha channel of {} is opaque and is left out", plural(*count, "image"))
            }
            Self::OrientationApplied { count } => {
                write!(f, "{} turned or mirrored as EXIF says", plural(*count, "image"))
            }
            Self::FramesSkipped { count, example, frames } => {
                write!(f, "only the first frame of {} is read; {example} has {frames}", plural(*count, "file"))
            }
            Self::PagesAsRows { files, rows } => {
                write!(f, "every page of {} is a row, {rows} in all", plural(*files, "TIFF file"))
            }
            Self::ChannelsAgree => write!(f, "red, green and blue agree in every image: the images are gray"),
            Self::PartOfRange { observed: (a, b), nominal: (low, high) } => write!(
                f,
                "values lie between {a} and {b} of a nominal range of {low} to {high}; set range if it is another"
            ),
            Self::RangeFound { nominal: (low, high), observed: (a, b) } => {
                write!(f, "values between {a} and {b} are taken to have the range {low} to {high}")
            }
            Self::ConstantRows => write!(f, "every row is the same"),
            Self::Units { text } => write!(f, "{text}"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notices_are_one_line_and_have_a_kind() {
        let notice = Notice::FilesSkipped { count: 2, endings: vec!["avi".into()], example: "a/b.avi".into() };
        assert_eq!(notice.to_string(), "2 files skipped, not an image or array (avi): a/b.avi");
        assert_eq!(serde_json::to_value(&notice).unwrap()["kind"], "files-skipped");
        let notice = Notice::ClassesWithoutRows { count: 1, names: vec!["3".into()] };
        assert_eq!(notice.to_string(), "1 class without a single row left out: 3");
        let names = (0..20).map(|name| name.to_string()).collect();
        let notice = Notice::ClassesWithoutRows { count: 20, names };
        assert_eq!(
            notice.to_string(),
            "20 classes without a single row left out: 0, 1, 2, 3, 4, 5, 6, 7, ... (20 in all)"
        );
    }
}
