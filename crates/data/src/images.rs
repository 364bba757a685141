//! Data sets of image files in a folder, a zip, tars, or an LMDB file as in LSUN.

use std::{collections::HashMap, fs, path::Path};

use image::metadata::Orientation;
use rayon::prelude::*;

use crate::{
    Alpha, Classes, DataError, Dataset, Labels, Limit, Limits, Notice, NumberType, OpenOptions, Shape, Values,
    classes::{self, Classified, Hints},
    dataset::on_disk::{OnDisk, Rows},
    error::one_line,
    listing::{Listing, Place},
    picture::{self, Depth, Ground, Header, Kind},
};

/// Images of equal size, decoded when they are read.
#[derive(Debug)]
struct Images {
    listing: Listing,
    /// The image and the page of each row.
    rows: Vec<(u32, u32)>,
    kind: Kind,
    limits: Limits,
}

impl Rows for Images {
    fn read(&self, row: usize, out: &mut [f32]) -> Result<(), DataError> {
        let (file, page) = self.rows[row];
        let (name, place) = &self.listing.files[file as usize];
        let bytes = self.listing.read(name, place, &self.limits)?;
        picture::read_values(name, &bytes, page as usize, self.kind, out)
            .map_err(|problem| DataError::malformed(&self.listing.path, format!("{name} {problem}")))
    }
}

/// Properties of a file before its images are read.
struct Scan {
    header: Header,
    /// Number of pages that are rows.
    pages: usize,
    /// Number of frames that are not rows.
    skipped: usize,
    transparent: bool,
    visible_on_white: bool,
}

/// Opens the images of a listing as rows that are read on demand.
pub(crate) fn open(mut listing: Listing, options: &OpenOptions) -> Result<Dataset, DataError> {
    let path = listing.path.clone();
    if listing.files.is_empty() {
        return Err(no_image(&listing));
    }
    let limits = options.limits.of(listing.bytes());
    let mut found = classify(&listing, options, &limits)?;
    let mut notices = std::mem::take(&mut listing.notices);
    notices.append(&mut found.notices);
    let all = std::mem::take(&mut listing.files);
    let mut all: Vec<Option<(String, Place)>> = all.into_iter().map(Some).collect();
    listing.files = found.keep.iter().filter_map(|&index| all[index].take()).collect();
    listing.others = Vec::new();
    let scans = scan(&listing, options, &limits)?;
    let kind = kind(&scans, options);
    let (width, height) = scans[0].header.turned();
    let shape = match options.side {
        0 => Shape::Image { height: height as usize, width: width as usize, channels: kind.channels() },
        side => Shape::Image { height: side, width: side, channels: kind.channels() },
    };
    check_sizes(&listing, &scans, options)?;
    report(&listing, &scans, kind, options, &mut notices)?;
    let pages = |(file, scan): (usize, &Scan)| (0..scan.pages).map(move |page| (file as u32, page as u32));
    let rows: Vec<(u32, u32)> = scans.iter().enumerate().flat_map(pages).collect();
    let labels = found.labels.map(|labels| Labels {
        of_row: rows.iter().map(|&(file, _)| labels.of_row[file as usize]).collect(),
        names: labels.names,
    });
    let count = rows.len();
    let is_bytes = kind.depth == Depth::Byte;
    let range = match kind.depth {
        Depth::Byte => Some((0.0, 255.0)),
        Depth::Word => Some((0.0, 65535.0)),
        Depth::Float => None,
    };
    let images = Images { listing, rows, kind, limits };
    let values = Values::OnDisk(OnDisk::new(images, count, shape.dim(), is_bytes));
    let mut set = Dataset::new(&path, shape, values, range, labels)?;
    set.number = match kind.depth {
        Depth::Byte => NumberType::U8,
        Depth::Word => NumberType::U16,
        Depth::Float => NumberType::F32,
    };
    set.notices.splice(0..0, notices);
    Ok(set)
}

fn no_image(listing: &Listing) -> DataError {
    let found = listing.notices.iter().map(|notice| format!("; {notice}")).collect::<String>();
    let problem = format!("no image in it ({}){found}", picture::ENDINGS.join(", "));
    DataError::empty(&listing.path, problem)
}

fn classify(listing: &Listing, options: &OpenOptions, limits: &Limits) -> Result<Classified, DataError> {
    if listing.blobs.is_some() {
        let labels = listing.labels.clone().filter(|_| options.classes != Classes::None);
        return Ok(Classified { keep: (0..listing.files.len()).collect(), labels, notices: Vec::new() });
    }
    let names: Vec<String> = listing.files.iter().map(|(name, _)| name.clone()).collect();
    let read = |name: &str| listing.other(name).map(|place| listing.read(name, place, limits)).transpose();
    let json = read("dataset.json")?;
    let mut beside = HashMap::new();
    for (name, place) in &listing.others {
        if let Some(stem) = name.strip_suffix(".cls") {
            let class = String::from_utf8_lossy(&listing.read(name, place, limits)?).into_owned();
            beside.insert(stem.to_owned(), class);
        }
    }
    let file = match &options.classes {
        Classes::File(file) => {
            let inside = listing.path.join(file);
            let outside = [Path::new(file), inside.as_path()].into_iter().find(|path| path.is_file());
            match outside {
                Some(path) => Some((file.clone(), fs::read(path).map_err(|error| DataError::read(path, error))?)),
                None => read(file)?.map(|content| (file.clone(), content)),
            }
        }
        _ => None,
    };
    let hints = Hints { json: json.as_deref(), beside, file };
    classes::classify(&listing.path, &names, &hints, &options.classes)
}

/// Scans every file.
fn scan(listing: &Listing, options: &OpenOptions, limits: &Limits) -> Result<Vec<Scan>, DataError> {
    let one = |(name, place): &(String, Place)| -> Result<Scan, DataError> {
        let wrong = |problem: String| DataError::malformed(&listing.path, format!("{name} {problem}"));
        let bytes = listing.read(name, place, limits)?;
        let header = picture::read_header(name, &bytes).map_err(wrong)?;
        if header.size.0 == 0 || header.size.1 == 0 {
            return Err(wrong("has no pixels".into()));
        }
        if header.decoded() > limits.image {
            let (width, height) = header.size;
            let what = format!("{name}, {width} pixels wide and {height} high,");
            return Err(DataError::too_large(&listing.path, what, header.decoded(), (Limit::Image, limits.image)));
        }
        let is_tiff = matches!(bytes[..2], [b'I', b'I'] | [b'M', b'M']);
        let pages = if is_tiff && picture::pages_agree(&bytes) { header.frames } else { 1 };
        let seen = match header.alpha && options.alpha != Alpha::Keep && header.depth != Depth::Float {
            true => picture::transparency(name, &bytes, 0, &header).map_err(wrong)?,
            false => picture::Transparency::default(),
        };
        let skipped = header.frames - pages;
        Ok(Scan { header, pages, skipped, transparent: seen.any, visible_on_white: seen.visible_on_white })
    };
    listing.files.par_iter().map(one).collect()
}

/// Returns the common kind to which all images are converted.
fn kind(scans: &[Scan], options: &OpenOptions) -> Kind {
    let transparent = || scans.iter().filter(|scan| scan.transparent);
    let ground = match options.alpha {
        Alpha::Black => Ground::Black,
        // White on transparent is visible only on black.
        Alpha::Auto if transparent().next().is_some() && transparent().all(|scan| !scan.visible_on_white) => {
            Ground::Black
        }
        _ => Ground::White,
    };
    Kind {
        color: scans.iter().any(|scan| scan.header.color),
        alpha: options.alpha == Alpha::Keep && scans.iter().any(|scan| scan.header.alpha),
        depth: scans.iter().map(|scan| scan.header.depth).max().unwrap_or(Depth::Byte),
        ground,
        side: options.side,
    }
}

fn check_sizes(listing: &Listing, scans: &[Scan], options: &OpenOptions) -> Result<(), DataError> {
    let floats = scans.iter().filter(|scan| scan.header.depth == Depth::Float).count();
    if floats > 0 && floats < scans.len() {
        let other = scans.iter().position(|scan| scan.header.depth != Depth::Float).unwrap_or(0);
        let problem = format!("{} has other values than the images of floating point values", listing.files[other].0);
        return Err(DataError::malformed(&listing.path, problem));
    }
    if floats > 0 && options.side > 0 {
        let problem = "images of floating point values cannot be scaled; save them in one size, or as .npy";
        return Err(DataError::malformed(&listing.path, problem));
    }
    if options.side > 0 {
        return Ok(());
    }
    let size = |scan: &Scan| {
        let (width, height) = scan.header.turned();
        format!("{width} pixels wide and {height} high")
    };
    match scans.iter().position(|scan| scan.header.turned() != scans[0].header.turned()) {
        None => Ok(()),
        Some(other) => Err(DataError::MixedSizes {
            path: listing.path.display().to_string(),
            file: one_line(&listing.files[other].0),
            found: size(&scans[other]),
            expected: size(&scans[0]),
        }),
    }
}

/// Adds notices about the conversion of the images.
fn report(
    listing: &Listing,
    scans: &[Scan],
    kind: Kind,
    options: &OpenOptions,
    notices: &mut Vec<Notice>,
) -> Result<(), DataError> {
    let count = |is: &dyn Fn(&Scan) -> bool| scans.iter().filter(|scan| is(scan)).count();
    let turned = count(&|scan| scan.header.orientation != Orientation::NoTransforms);
    if turned > 0 {
        notices.push(Notice::OrientationApplied { count: turned });
    }
    let transparent = count(&|scan| scan.transparent);
    if transparent > 0 && options.alpha == Alpha::Refuse {
        let first = scans.iter().position(|scan| scan.transparent).unwrap_or(0);
        let problem = format!("{} images are transparent, {} for one", transparent, listing.files[first].0);
        return Err(DataError::ambiguous(&listing.path, problem, "alpha", "white, black or keep"));
    }
    if transparent > 0 {
        let over = if kind.ground == Ground::White { "white" } else { "black" };
        notices.push(Notice::AlphaComposited { count: transparent, over: over.into() });
    }
    let opaque = if kind.alpha { 0 } else { count(&|scan| scan.header.alpha && !scan.transparent) };
    if opaque > 0 {
        notices.push(Notice::AlphaOpaque { count: opaque });
    }
    let pages = count(&|scan| scan.pages > 1);
    if pages > 0 {
        notices.push(Notice::PagesAsRows { files: pages, rows: scans.iter().map(|scan| scan.pages).sum() });
    }
    if let Some(first) = scans.iter().position(|scan| scan.skipped > 0) {
        notices.push(Notice::FramesSkipped {
            count: count(&|scan| scan.skipped > 0),
            example: listing.files[first].0.clone(),
            frames: scans[first].header.frames,
        });
    }
    Ok(())
}
