//! Rows of data that a run is asked about: of its shape, in its units.

use anyhow::{Result, bail};
use pfgm::spec::ModelSpec;
use pfgm_data::{BUILT_IN, Dataset, Shape};

use crate::{args::latents::RowsArgs, resolve};

/// Rows in the data's own units.
pub struct Given {
    pub values: Vec<f32>,
    /// The class of each as the run numbers them; none where the run knows no classes.
    pub labels: Vec<Option<u32>>,
    /// The class of each as the data number them, where they have any.
    pub classes: Option<Vec<u32>>,
    pub class_names: Vec<String>,
    /// Whether values are whole numbers.
    pub whole: bool,
}

impl Given {
    /// Reads what `args` name.
    pub fn read(args: &RowsArgs, record: &ModelSpec) -> Result<Self> {
        let dataset = resolve::dataset(&args.data, &args.table)?;
        if args.count == Some(0) {
            bail!("-n 0: give at least 1");
        }
        let built_in = BUILT_IN.contains(&args.data.as_str());
        if built_in && (args.table.columns.is_some() || args.table.label.is_some()) {
            bail!("--columns and --label: `{}` is no table; omit them", args.data);
        }
        Self::of(&dataset, &args.data, args.count, record)
    }

    /// Rows of a data set, at most `most`, spread over it.
    pub fn of(dataset: &Dataset, source: &str, most: Option<usize>, record: &ModelSpec) -> Result<Self> {
        check(dataset, source, record)?;
        let (dim, count) = (record.dim(), most.unwrap_or(usize::MAX).min(dataset.len()));
        let rows: Vec<usize> = (0..count).map(|index| index * dataset.len() / count).collect();
        let mut values = vec![0.0; count * dim];
        for (row, &index) in values.chunks_exact_mut(dim).zip(&rows) {
            dataset.read(index, row)?;
        }
        let classes: Option<Vec<u32>> =
            dataset.labels.as_ref().map(|labels| rows.iter().map(|&row| labels.of_row[row]).collect());
        let class_names = dataset.labels.as_ref().map_or_else(Vec::new, |labels| labels.names.clone());
        let known = &record.data.classes;
        let labels = match &classes {
            _ if known.is_empty() => vec![None; count],
            None => {
                bail!("{source}: the run is told classes, but these rows have none; give --label, or data with labels")
            }
            Some(classes) => {
                let number = |class: &u32| {
                    let name = &class_names[*class as usize];
                    known.iter().position(|known| known == name).map(|class| class as u32)
                };
                let found: Vec<Option<u32>> = classes.iter().map(number).collect();
                if let Some(at) = found.iter().position(Option::is_none) {
                    let name = &class_names[classes[at] as usize];
                    bail!("{source}: the run knows no class `{name}`; it knows {}", known.join(", "));
                }
                found
            }
        };
        let whole = dataset.values.are_bytes();
        Ok(Self { values, labels, classes, class_names, whole })
    }

    /// How many rows there are.
    pub fn count(&self) -> usize {
        self.labels.len()
    }

    /// The rows as points of the model's space.
    pub fn points(&self, record: &ModelSpec) -> Vec<f64> {
        let mut values = self.values.clone();
        values.chunks_exact_mut(record.dim()).for_each(|row| record.data.transform.forward(row));
        values.into_iter().map(f64::from).collect()
    }
}

/// Points of the model's space in the data's own units, images within their range.
pub fn in_units(record: &ModelSpec, points: &[f64]) -> Vec<f32> {
    points.chunks_exact(record.dim()).flat_map(|point| pfgm::sample::to_data(record, point)).collect()
}

/// Height, width and channels of the images that a run learned from.
pub fn image_size(record: &ModelSpec) -> Result<[usize; 3]> {
    match record.data.shape {
        Shape::Image { height, width, channels } => Ok([height, width, channels]),
        shape => bail!("the run's rows are {shape}; this is about images"),
    }
}

/// Whether rows are what the run learned from.
fn check(dataset: &Dataset, source: &str, record: &ModelSpec) -> Result<()> {
    let learned = &record.data;
    if dataset.shape != learned.shape {
        bail!("{source}: rows are {}, but the run learned from {}", dataset.shape, learned.shape);
    }
    if let Shape::Image { .. } = learned.shape {
        let ((low, high), (a, b)) = (learned.range, dataset.range);
        let span = high - low;
        let (inside, wide) = (a >= low - span / 2.0 && b <= high + span / 2.0, b - a > span / 20.0);
        if !inside || !wide {
            bail!(
                "{source}: values lie between {a} and {b}, but the run learned from {low} to {high}; bring them to the same scale"
            );
        }
    }
    Ok(())
}

/// The class that is called like this, or has this number.
pub fn class(flag: &str, classes: &[String], name: &str) -> Result<u32> {
    let number = || name.parse::<usize>().ok().filter(|&number| number < classes.len());
    let found = classes.iter().position(|class| class == name).or_else(number);
    match found {
        Some(class) => Ok(class as u32),
        None if classes.is_empty() => bail!("{flag} {name}: there are no classes"),
        None => bail!("{flag} {name}: no such class; there are {}", classes.join(", ")),
    }
}
