//! Measurements: the rows of `--data` that an operator returned.

use anyhow::{Result, bail};
use pfgm::{restoration::estimate_noise, spec::ModelSpec};
use pfgm_data::Shape;

use super::{Operator, about, array, selected_rows};
use crate::args::latents::RowsArgs;

/// Measurements, one after another.
pub struct Measurements {
    /// The measured values, `[count, M]`.
    pub values: Vec<f64>,
    /// How many there are.
    pub count: usize,
}

/// Reads the measurements that the command line names, and checks that the operator can have returned them.
pub fn measurements(args: &RowsArgs, spec: &ModelSpec, operator: &Operator) -> Result<Measurements> {
    let (rows, width) =
        if args.data.ends_with(".npy") { of_array(args, spec, operator)? } else { of_dataset(args, spec, operator)? };
    let values: Vec<f64> = rows.chunks_exact(width).flat_map(|row| operator.layout.measured(row)).collect();
    if let Some(at) = values.iter().position(|value| !value.is_finite()) {
        let row = at / operator.operator.outputs();
        bail!("{}: measurement {row} has a value that is not finite; give numbers", args.data);
    }
    Ok(Measurements { count: rows.len() / width, values })
}

/// Rows of an array, and their length.
fn of_array(args: &RowsArgs, spec: &ModelSpec, operator: &Operator) -> Result<(Vec<f64>, usize)> {
    let (shape, values) = array(&args.data)?;
    let wanted = operator.layout.shape();
    let width: usize = wanted.iter().product();
    if shape != wanted && shape.get(1..) != Some(wanted) {
        bail!(
            "{}: has shape {shape:?}, but the operator returns {wanted:?}; give one measurement of that shape, or [rows, ...]",
            args.data
        );
    }
    let count = values.len() / width;
    if count == 0 {
        bail!("{}: has no rows", args.data);
    }
    if operator.layout.is_plain() && values.iter().any(|value| !value.is_finite()) {
        bail!("{}: has values that are not finite; give numbers", args.data);
    }
    check_range(&args.data, spec, operator, &values)?;
    let taken = args.count.unwrap_or(count).min(count);
    if taken == 0 {
        bail!("-n 0: give at least 1");
    }
    let row = |index: usize| &values[index * count / taken * width..][..width];
    Ok(((0..taken).flat_map(row).copied().collect(), width))
}

/// Rows of a data set, and their length.
fn of_dataset(args: &RowsArgs, spec: &ModelSpec, operator: &Operator) -> Result<(Vec<f64>, usize)> {
    let data = selected_rows(args, spec)?;
    let wanted = operator.layout.shape();
    let is_of_model = operator.has_range && wanted.iter().product::<usize>() == spec.dim();
    if is_of_model {
        let rows = spec.unlabeled_rows(&data).map_err(|error| about(error, &data, &args.data))?;
        return Ok((rows.values.iter().map(|&value| f64::from(value)).collect(), spec.dim()));
    }
    let found = match data.shape {
        Shape::Image { height, width, channels: 1 } => vec![height, width],
        Shape::Image { height, width, channels } => vec![height, width, channels],
        Shape::Vector { len } => vec![len],
    };
    if found != wanted {
        bail!("{}: rows are {}, but the operator returns {wanted:?}", args.data, data.shape);
    }
    if operator.has_range {
        spec.check_scale(&data).map_err(|error| about(error, &data, &args.data))?;
    }
    let width = data.shape.dim();
    let mut values = vec![0.0; data.len() * width];
    for (index, row) in values.chunks_exact_mut(width).enumerate() {
        data.read_wide(index, row)?;
    }
    Ok((values, width))
}

/// Refuses images on another scale than the run's.
fn check_range(source: &str, spec: &ModelSpec, operator: &Operator, values: &[f64]) -> Result<()> {
    if !operator.has_range || !matches!(spec.data.shape, Shape::Image { .. }) {
        return Ok(());
    }
    let width: usize = operator.layout.shape().iter().product();
    let measured = values.chunks_exact(width).flat_map(|row| operator.layout.measured(row));
    let (low, high) = measured.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    let (black, white) = (f64::from(spec.data.range.0), f64::from(spec.data.range.1));
    let span = white - black;
    // Noise leads a little outside.
    if high - low < span / 50.0 || low < black - 2.0 * span || high > white + 2.0 * span {
        bail!(
            "{source}: values lie between {low} and {high}, but the run's images between {black} and {white}; bring them to \
             the same scale"
        );
    }
    Ok(())
}

/// The standard deviation of the noise of each measurement: a number, or an estimate.
pub fn noises(text: &str, operator: &Operator, measurements: &Measurements) -> Result<Vec<f64>> {
    if text == "auto" {
        let Some(size) = operator.image.filter(|[height, width, _]| *height > 1 && *width > 1) else {
            bail!(
                "--noise auto: noise can be estimated in measurements that are images of 2x2 pixels or more (none, blur, \
                 downsample, radon); give a number"
            )
        };
        let rows = measurements.values.chunks_exact(operator.operator.outputs());
        return Ok(rows.map(|row| estimate_noise(row, size).unwrap_or(0.0)).collect());
    }
    match text.parse::<f64>() {
        Ok(noise) if noise.is_finite() && noise >= 0.0 => Ok(vec![noise; measurements.count]),
        _ => bail!("--noise {text}: give a number of at least 0, in units of the measurement, or auto"),
    }
}
