//! Files of a folder or an archive: their names and the positions of their bytes.

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    path::{Path, PathBuf},
};

use crate::{
    DataError, Labels, Limit, Limits, Notice,
    parquet::Blobs,
    picture,
    source::{Source, Span},
    table, tar, zip,
};

/// Position of the bytes of a file.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// A separate file.
    File(PathBuf),
    /// An entry of a zip.
    Zip(zip::Entry),
    /// A range of one of the listing's sources.
    Span(usize, Span),
    /// A row of the listing's column.
    Row(usize),
}

/// Files by name. Names use `/`.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub path: PathBuf,
    /// The files in the order of their names.
    pub files: Vec<(String, Place)>,
    /// Files that are not images.
    pub others: Vec<(String, Place)>,
    /// The sources that places refer to.
    pub sources: Vec<Source>,
    /// A column whose rows are files.
    pub blobs: Option<Blobs>,
    /// The classes of a column's rows, which no name of a file says.
    pub labels: Option<Labels>,
    pub notices: Vec<Notice>,
}

impl Listing {
    /// The files below a folder.
    pub(crate) fn folder(path: &Path, limits: &Limits) -> Result<Self, DataError> {
        let mut walk = Walk { limits, links: Vec::new(), files: Vec::new() };
        walk.below(path, 0)?;
        walk.follow_links(path)?;
        let name = |file: &PathBuf| {
            file.strip_prefix(path).unwrap_or(file).to_string_lossy().replace(std::path::MAIN_SEPARATOR, "/")
        };
        let files = walk.files.into_iter().map(|file| (name(&file), Place::File(file))).collect();
        Ok(Self::new(path, files, Vec::new()))
    }

    /// The entries of a zip.
    pub(crate) fn zip(path: &Path, source: Source) -> Result<Self, DataError> {
        let entries = zip::directory(path, &source)?;
        let files = entries.into_iter().map(|entry| (entry.name.clone(), Place::Zip(entry))).collect();
        Ok(Self::new(path, files, vec![source]))
    }

    /// The files of a tar, or of several as one.
    pub(crate) fn tars(path: &Path, sources: Vec<(PathBuf, Source)>, limits: &Limits) -> Result<Self, DataError> {
        let (mut files, mut all) = (Vec::new(), Vec::new());
        for (index, (tar, source)) in sources.into_iter().enumerate() {
            let spans = tar::directory(&tar, &source, limits)?;
            files.extend(spans.into_iter().map(|(name, span)| (name, Place::Span(index, span))));
            all.push(source);
        }
        Ok(Self::new(path, files, all))
    }

    /// Creates a listing of values without names, in order.
    pub(crate) fn spans(path: &Path, source: Source, spans: Vec<Span>) -> Self {
        let files = spans.into_iter().enumerate().map(|(row, span)| (format!("image {row}"), Place::Span(0, span)));
        Self { path: path.to_owned(), files: files.collect(), sources: vec![source], ..Self::default() }
    }

    /// The rows of a column, each a file, with their classes.
    pub(crate) fn blobs(path: &Path, blobs: Blobs, labels: Option<Labels>) -> Self {
        let files = (0..blobs.rows()).map(|row| (format!("row {row}"), Place::Row(row))).collect();
        Self { path: path.to_owned(), files, blobs: Some(blobs), labels, ..Self::default() }
    }

    /// The listing with a name for its only file.
    pub(crate) fn named(mut self, name: &str) -> Self {
        self.files.iter_mut().for_each(|(found, _)| name.clone_into(found));
        self
    }

    /// The files that may be tables.
    pub(crate) fn tables(&self) -> Vec<&(String, Place)> {
        self.others.iter().filter(|(name, _)| table::is_table(&name.to_lowercase())).collect()
    }

    fn new(path: &Path, all: Vec<(String, Place)>, sources: Vec<Source>) -> Self {
        let mut listing = Self { path: path.to_owned(), sources, ..Self::default() };
        let mut hidden = 0;
        for (name, place) in all {
            let name = name.replace('\\', "/");
            let name = name.trim_start_matches("./").to_owned();
            if name.is_empty() || name.ends_with('/') {
                continue;
            }
            if name.split('/').any(|part| part.starts_with('.') || part == "__MACOSX" || part == "Thumbs.db") {
                hidden += 1;
            } else if picture::is_image(&name) {
                listing.files.push((name, place));
            } else {
                listing.others.push((name, place));
            }
        }
        listing.files.sort_by(|a, b| a.0.cmp(&b.0));
        listing.others.sort_by(|a, b| a.0.cmp(&b.0));
        if hidden > 0 {
            listing.notices.push(Notice::HiddenSkipped { count: hidden });
        }
        // Files next to the images with their classes.
        let is_used = |name: &str| name.ends_with(".cls") || name.ends_with(".json");
        let skipped = listing.others_skipped(&is_used);
        listing.notices.extend(skipped);
        listing
    }

    /// The notices about hidden files and about files that are not images, where others of these are used.
    pub(crate) fn notices_besides(&self, is_used: &dyn Fn(&str) -> bool) -> Vec<Notice> {
        let hidden = self.notices.iter().filter(|notice| matches!(notice, Notice::HiddenSkipped { .. })).cloned();
        hidden.chain(self.others_skipped(is_used)).collect()
    }

    fn others_skipped(&self, is_used: &dyn Fn(&str) -> bool) -> Option<Notice> {
        let mut skipped: BTreeMap<String, (usize, String)> = BTreeMap::new();
        for (name, _) in self.others.iter().filter(|(name, _)| !is_used(name)) {
            let ending = name.rsplit_once('.').map_or("no ending", |(_, ending)| ending).to_ascii_lowercase();
            skipped.entry(ending).or_insert((0, name.clone())).0 += 1;
        }
        let mut endings: Vec<(usize, String)> =
            skipped.iter().map(|(ending, (count, _))| (*count, ending.clone())).collect();
        endings.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        let example = skipped.get(&endings.first()?.1)?.1.clone();
        let count = endings.iter().map(|(count, _)| count).sum();
        Some(Notice::FilesSkipped { count, endings: endings.into_iter().map(|(_, ending)| ending).collect(), example })
    }

    /// Returns the file with this name among those that are not images, below any common top-level folder.
    pub(crate) fn other(&self, name: &str) -> Option<&Place> {
        let depth = |full: &String| full.matches('/').count();
        let matching = self.others.iter().filter(|(full, _)| full.rsplit('/').next() == Some(name));
        matching.min_by_key(|(full, _)| depth(full)).map(|(_, place)| place)
    }

    /// The bytes of a file.
    pub(crate) fn read(&self, name: &str, place: &Place, limits: &Limits) -> Result<Vec<u8>, DataError> {
        match place {
            Place::File(file) => fs::read(file).map_err(|error| DataError::read(file, error)),
            Place::Zip(entry) => zip::read(&self.path, &self.sources[0], entry, limits),
            Place::Span(source, span) => self.sources[*source]
                .span(*span)
                .map_err(|error| DataError::malformed(&self.path, format!("{name} cannot be read: {error}"))),
            Place::Row(row) => match &self.blobs {
                Some(blobs) => blobs.read(*row),
                None => Err(DataError::malformed(&self.path, format!("{name} is in no column"))),
            },
        }
    }

    /// Bytes of all images together, as they are stored: what an archive says they expand to is only a claim.
    pub(crate) fn bytes(&self) -> u64 {
        let size = |place: &Place| match place {
            Place::File(file) => fs::metadata(file).map_or(0, |metadata| metadata.len()),
            Place::Zip(entry) => entry.packed,
            Place::Span(_, span) => span.size,
            Place::Row(_) => 0,
        };
        let column = self.blobs.as_ref().map_or(0, Blobs::len);
        self.files.iter().map(|(_, place)| size(place)).fold(column, u64::saturating_add)
    }
}

/// A walk over a folder that visits every file once.
struct Walk<'a> {
    limits: &'a Limits,
    /// Symbolic links, which are followed last.
    links: Vec<PathBuf>,
    files: Vec<PathBuf>,
}

impl Walk<'_> {
    fn below(&mut self, folder: &Path, depth: usize) -> Result<(), DataError> {
        let wrong = |error| DataError::read(folder, error);
        if depth > self.limits.depth {
            let most = self.limits.depth as u64;
            return Err(DataError::too_large(folder, "the path of folders", depth as u64, (Limit::Depth, most)));
        }
        for entry in fs::read_dir(folder).map_err(wrong)? {
            let entry = entry.map_err(wrong)?;
            let (kind, path) = (entry.file_type().map_err(wrong)?, entry.path());
            let is_hidden = entry.file_name().to_string_lossy().starts_with('.');
            if kind.is_symlink() {
                self.links.push(path);
            } else if kind.is_dir() && !is_hidden {
                self.below(&path, depth + 1)?;
            } else if !kind.is_dir() {
                self.files.push(path);
            }
            if self.files.len() > self.limits.entries {
                let (files, most) = (self.files.len() as u64, self.limits.entries as u64);
                return Err(DataError::too_large(folder, "the folder", files, (Limit::Entries, most)));
            }
        }
        Ok(())
    }

    /// Adds the targets of links, unless they were visited.
    fn follow_links(&mut self, root: &Path) -> Result<(), DataError> {
        if self.links.is_empty() {
            return Ok(());
        }
        let canonical = |path: &Path| fs::canonicalize(path).ok();
        let root = canonical(root).unwrap_or_else(|| root.to_owned());
        let mut visited: HashSet<PathBuf> = self.files.iter().filter_map(|file| canonical(file)).collect();
        let mut folders: HashSet<PathBuf> = HashSet::new();
        while let Some(link) = self.links.pop() {
            let Some(target) = canonical(&link) else { continue };
            if target.is_dir() {
                // Skips folders inside or around the tree, which would be visited repeatedly.
                if target.starts_with(&root) || root.starts_with(&target) || !folders.insert(target) {
                    continue;
                }
                let from = self.files.len();
                self.below(&link, 0)?;
                let new = self.files.split_off(from);
                self.files
                    .extend(new.into_iter().filter(|file| canonical(file).is_some_and(|file| visited.insert(file))));
            } else if visited.insert(target) {
                self.files.push(link);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn every_file_is_listed_once_whatever_links_say() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for name in ["tree/cats", "tree/dogs", "tree/.cache", "outside"] {
            fs::create_dir_all(at(name)).unwrap();
        }
        for name in ["tree/cats/a.png", "tree/dogs/b.png", "tree/.cache/c.png", "outside/d.png", "tree/notes.txt"] {
            fs::write(at(name), "x").unwrap();
        }
        let link = |from: &str, to: &Path| std::os::unix::fs::symlink(to, at(from)).unwrap();
        link("tree/cats/up", Path::new(".."));
        link("tree/again.png", &at("tree/cats/a.png"));
        link("tree/elsewhere", &at("outside"));
        link("tree/broken.png", Path::new("nowhere"));
        let listing = Listing::folder(&at("tree"), &Limits::of(0)).unwrap();
        let names: Vec<&str> = listing.files.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["cats/a.png", "dogs/b.png", "elsewhere/d.png"]);
        let skipped = Notice::FilesSkipped { count: 1, endings: vec!["txt".into()], example: "notes.txt".into() };
        assert_eq!(listing.notices, [skipped]);
    }
}
