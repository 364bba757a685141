//! Configurations that follow from a data set, for data without a preset.
//!
//! The rules use the shape of a row, the number of rows and the classes alone. They favor a training that ends within minutes
//! or hours on a few processor cores; each choice can be set by its key of the configuration.
//!
//! | key | rule |
//! |---|---|
//! | `network` | rows of numbers: `mlp`, 128 wide with 3 blocks for points of up to three coordinates, otherwise 256 (from 65 columns on 512) with 4. Images: `unet` with levels until the smallest image has at most 8 pixels a side, attention at 16 pixels and fewer |
//! | `network.width` | images up to 32 pixels: 32, one block a level; larger ones: 64, two blocks |
//! | `network.dropout` | 0.1 below 10 000 rows, 0.05 below 50 000, else 0; 0 for points of up to three coordinates |
//! | `data.hold_out` | a tenth of the rows, at most 1000; none below 50 rows |
//! | `data.conditional` | true if there are 2 classes or more, and 10 rows a class on average |
//! | `objective` | `pfgm` at D = 1, with at most 4096 charges in the field; otherwise `pfgm++` |
//! | `train.batch` | 256 rows of numbers; of images, as many as have 100 000 values, from 16 to 128; never more than there are rows |
//! | `train.steps` | 100 passes over the data, but at least 200 000 and at most 1 000 000 rows |
//! | `train.warmup`, `train.cooldown` | a fifteenth and a quarter of the steps |
//! | `train.ema` | a memory of a tenth of the steps |
//! | `train.lr` | 2e-3 for networks 32 wide, else 1e-3 |

use pfgm_data::{DataError, Dataset, Shape};

use crate::{
    config::{Config, TrainConfig},
    extra_dims::ExtraDims,
    network::{MlpConfig, NetworkConfig, UnetConfig},
    objective::{FieldObjective, Objective},
};

/// Longest side of images for training; larger images should be downscaled.
pub const MAX_SIDE: usize = 128;

/// Maximum number of charges in the field of a step.
const MAX_FIELD_BATCH: usize = 4096;

/// Reason why a data set cannot be used for training.
#[derive(Debug, thiserror::Error)]
pub enum UnusableData {
    /// There are too few rows.
    #[error("{name}: only one row; give at least 2 rows")]
    OneRow {
        /// The data set.
        name: String,
    },
    /// All rows are the same.
    #[error("{name}: all {rows} rows are equal, so there is nothing to learn; give other data")]
    Constant {
        /// The data set.
        name: String,
        /// How many rows there are.
        rows: usize,
    },
    /// A row cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
}

/// Checks that a data set can be used for training. Returns warnings, one line each.
///
/// # Errors
/// Returns [`UnusableData`] if there is one row, or if all rows are equal.
pub fn check(data: &Dataset) -> Result<Vec<String>, UnusableData> {
    let (rows, dim, name) = (data.len(), data.shape.dim(), || data.name.clone());
    if rows < 2 {
        return Err(UnusableData::OneRow { name: name() });
    }
    let (mut first, mut row) = (vec![0.0; dim], vec![0.0; dim]);
    data.read_wide(0, &mut first)?;
    let mut differs = vec![false; dim];
    let mut all_differ = false;
    for index in 1..rows {
        data.read_wide(index, &mut row)?;
        differs.iter_mut().zip(first.iter().zip(&row)).for_each(|(differs, (a, b))| *differs |= a != b);
        // Constant columns are reported for tables only.
        let needed = if matches!(data.shape, Shape::Vector { .. }) { dim } else { 1 };
        all_differ = differs.iter().filter(|differs| **differs).count() >= needed;
        if all_differ {
            break;
        }
    }
    if !differs.contains(&true) {
        return Err(UnusableData::Constant { name: name(), rows });
    }
    if all_differ {
        return Ok(Vec::new());
    }
    let constant = (0..dim).filter(|&column| !differs[column]);
    let named = |column: usize| data.columns.get(column).cloned().unwrap_or_else(|| (column + 1).to_string());
    Ok(constant
        .map(|column| format!("column {}: all values are equal; nothing is learned of it", named(column)))
        .collect())
}

impl Config {
    /// Returns the configuration that follows from a data set, by the rules of [`defaults`](crate::defaults). `data.source` keeps its
    /// default.
    pub fn for_data(data: &Dataset) -> Self {
        let mut config = Self::default();
        let rows = data.len();
        config.data.hold_out = if rows < 50 { 0 } else { (rows / 10).min(1000) };
        config.data.conditional = use_classes(data);
        config.network = network(data.shape, rows);
        config.train.batch = batch(data.shape, rows - config.data.hold_out);
        config.train.lr = match &config.network {
            NetworkConfig::Unet(unet) if unet.width <= 32 => 2e-3,
            _ => 1e-3,
        };
        let seen = (100 * rows as u64).clamp(200_000, 1_000_000);
        let steps = seen.div_ceil(config.train.batch as u64);
        set_budget(&mut config.train, steps);
        config
    }
}

/// The objective for a D and a number of rows to train on: PFGM's field matching at D = 1, otherwise PFGM++'s denoising.
pub fn objective(extra_dims: ExtraDims, rows: usize) -> Objective {
    if extra_dims == ExtraDims::Finite(1.0) {
        Objective::Field(FieldObjective { field_batch: MAX_FIELD_BATCH.min(rows), ..FieldObjective::default() })
    } else {
        Objective::default()
    }
}

/// Sets the number of steps, and what depends on it: warm-up, cool-down, moving average, checkpoints and the log.
pub fn set_budget(train: &mut TrainConfig, steps: u64) {
    let steps = steps.max(1);
    train.steps = steps;
    train.warmup = (steps / 15).clamp(1, 500);
    train.cooldown = steps / 4;
    // The average's memory of 1 / (1 - ema) steps is a tenth of the training.
    train.ema = (1.0 - 10.0 / steps as f64).clamp(0.0, 0.9999);
    train.checkpoint_every = (steps / 6).clamp(1, 1000);
    train.log_every = (steps / 60).clamp(1, 50);
}

/// Whether the network should be conditioned on the classes of a data set.
fn use_classes(data: &Dataset) -> bool {
    let Some(labels) = &data.labels else { return false };
    let mut seen = vec![false; labels.names.len()];
    labels.of_row.iter().for_each(|&class| seen[class as usize] = true);
    let classes = seen.into_iter().filter(|seen| *seen).count();
    classes >= 2 && data.len() >= 10 * classes
}

fn network(shape: Shape, rows: usize) -> NetworkConfig {
    let dropout = match rows {
        0..10_000 => 0.1,
        10_000..50_000 => 0.05,
        _ => 0.0,
    };
    match shape {
        Shape::Vector { len } => NetworkConfig::Mlp(MlpConfig {
            width: match len {
                0..=3 => 128,
                4..=64 => 256,
                _ => 512,
            },
            blocks: if len <= 3 { 3 } else { 4 },
            dropout: if len <= 3 { 0.0 } else { dropout },
        }),
        Shape::Image { height, width, .. } => {
            let (smaller, side) = (height.min(width), height.max(width));
            // Levels until the smallest image has at most 8 pixels a side, as far as the shorter side can be halved.
            let mut levels = 1;
            while side.div_ceil(1 << (levels - 1)) > 8 && (1 << levels) <= smaller {
                levels += 1;
            }
            if levels == 1 && smaller >= 4 {
                levels = 2;
            }
            let padded = height.next_multiple_of(1 << (levels - 1));
            let sides = (1..levels).map(|level| padded >> level).filter(|side| (4..=16).contains(side));
            // At 8 pixels and below, the receptive field of a few convolutions is the whole image.
            let attention = if side > 8 { sides.collect() } else { Vec::new() };
            let small = side <= 32;
            NetworkConfig::Unet(UnetConfig {
                width: if small { 32 } else { 64 },
                multipliers: (0..levels).map(|level| if level == 0 { 1 } else { 2 }).collect(),
                blocks: if small { 1 } else { 2 },
                attention,
                dropout,
            })
        }
    }
}

fn batch(shape: Shape, rows: usize) -> usize {
    let wanted = match shape {
        Shape::Vector { .. } => 256,
        Shape::Image { .. } => {
            let fit = 100_000 / shape.dim().max(1);
            1 << fit.clamp(16, 128).ilog2()
        }
    };
    wanted.min(rows).max(1)
}

/// The factor by which images are downscaled so that no side exceeds [`MAX_SIDE`]: a divisor of both sides, if there is one;
/// 1 for smaller images and for rows of numbers.
pub fn downscaling(shape: Shape) -> usize {
    let Shape::Image { height, width, .. } = shape else { return 1 };
    let side = height.max(width);
    if side <= MAX_SIDE {
        return 1;
    }
    let divides = |factor: &usize| height.is_multiple_of(*factor) && width.is_multiple_of(*factor);
    (side.div_ceil(MAX_SIDE)..=side / 16).find(divides).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use pfgm_data::{Labels, Values};

    use super::*;

    fn images(rows: usize, [height, width, channels]: [usize; 3], classes: u32) -> Dataset {
        let shape = Shape::Image { height, width, channels };
        let values = Values::Bytes((0..rows * shape.dim()).map(|at| (at % 251) as u8).collect());
        let labels = (classes > 0)
            .then(|| Labels::numbered(Path::new("test"), (0..rows as u32).map(|row| row % classes).collect()).unwrap());
        Dataset::new(Path::new("test"), shape, values, None, labels).unwrap()
    }

    fn table(rows: &[[f32; 2]]) -> Dataset {
        Dataset::from_rows(rows.concat(), [2]).and_then(|set| set.with_columns(["a", "b"])).unwrap()
    }

    #[test]
    fn every_shape_has_a_valid_configuration() {
        let sizes = [
            [1, 1, 1],
            [1, 28, 1],
            [3, 5, 1],
            [8, 8, 1],
            [9, 31, 2],
            [28, 28, 1],
            [32, 32, 3],
            [64, 48, 3],
            [128, 128, 3],
        ];
        for size in sizes {
            for rows in [2, 49, 50, 400] {
                let data = images(rows, size, 2);
                let mut config = Config::for_data(&data);
                config.data.source = "digits".into();
                config.check().unwrap_or_else(|error| panic!("{size:?}, {rows} rows: {error}"));
                let model = crate::spec::ModelSpec::resolve(config.clone(), &data).unwrap();
                model.network(&crate::device::open("cpu").unwrap()).unwrap_or_else(|error| panic!("{size:?}: {error}"));
                assert!(
                    config.train.batch + config.data.hold_out <= rows && config.train.warmup > 0,
                    "{size:?}, {rows}"
                );
            }
        }
    }

    #[test]
    fn classes_are_used_if_there_are_enough_rows_of_them() {
        assert!(Config::for_data(&images(100, [8, 8, 1], 10)).data.conditional);
        assert!(!Config::for_data(&images(100, [8, 8, 1], 1)).data.conditional);
        assert!(!Config::for_data(&images(100, [8, 8, 1], 50)).data.conditional);
        assert!(!Config::for_data(&images(100, [8, 8, 1], 0)).data.conditional);
    }

    #[test]
    fn digits_and_points_get_what_their_presets_have() {
        let digits = Config::for_data(&images(1797, [8, 8, 1], 10));
        assert!(matches!(&digits.network, NetworkConfig::Unet(unet) if unet.width == 32 && unet.multipliers == [1, 2]));
        assert_eq!((digits.train.batch, digits.train.steps, digits.data.hold_out), (128, 1563, 179));
        let points = Config::for_data(&table(&[[0.0, 1.0]; 2000]));
        assert!(matches!(&points.network, NetworkConfig::Mlp(mlp) if mlp.dropout == 0.0));
        assert_eq!(points.train.batch, 256);
    }

    #[test]
    fn data_without_variance_are_refused_or_named() {
        assert!(matches!(check(&table(&[[1.0, 2.0]])), Err(UnusableData::OneRow { .. })));
        assert!(matches!(check(&table(&[[1.0, 2.0]; 9])), Err(UnusableData::Constant { rows: 9, .. })));
        assert_eq!(check(&table(&[[1.0, 2.0], [3.0, 4.0]])).unwrap(), Vec::<String>::new());
        let notes = check(&table(&[[1.0, 2.0], [1.0, 4.0]])).unwrap();
        assert!(notes.len() == 1 && notes[0].starts_with("column a:"), "{notes:?}");
        let gray = Dataset::from_bytes(vec![7; 640], [8, 8, 1]).unwrap();
        assert!(matches!(check(&gray), Err(UnusableData::Constant { .. })));
    }

    #[test]
    fn large_images_are_downscaled_by_a_divisor() {
        let factor = |height, width| downscaling(Shape::Image { height, width, channels: 3 });
        assert_eq!([factor(128, 128), factor(256, 256), factor(512, 384), factor(300, 200)], [1, 2, 4, 4]);
        assert_eq!(factor(257, 257), 1, "a prime has no divisor");
    }
}
