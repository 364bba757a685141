//! Averages made of snapshots that other programs wrote.

use std::path::{Path, PathBuf};

use burn::tensor::Device;

use super::Model;
use crate::{
    error::{Error, Result},
    import::{self, Imported, Request, snapshot_name},
    power_average::{self, Profile},
    spec::ModelSpec,
    weights::{self, Weight},
};

/// An average of the weights of a training, made of its snapshots.
#[derive(Debug)]
#[non_exhaustive]
pub struct SnapshotAverage {
    /// The model with this average.
    pub model: Model,
    /// The share of each snapshot; they sum to 1.
    pub shares: Vec<f64>,
    /// Relative distance of its profile from the wanted one: 0 is the same, 1 is nothing in common.
    pub mismatch: f64,
}

impl Model {
    /// Makes a power-function average of relative width `sigma_rel` from EDM2's snapshots of one training (arXiv 2312.02696, section 3.2).
    ///
    /// The names of the files end with the training time in thousands of images and the relative width of their own average, as in
    /// `edm2-img512-xs-2147483-0.135.pkl`. The average is the one at the latest of these times.
    ///
    /// ```no_run
    /// use pfgm::{device, prelude::*};
    ///
    /// let files = ["edm2-img512-xs-2147483-0.050.pkl", "edm2-img512-xs-2147483-0.100.pkl"];
    /// let found = Model::average_snapshots(&files, 0.07, &device::open("cpu")?)?;
    /// println!("shares {:?}, mismatch {:.2}", found.shares, found.mismatch);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// Returns an error if the width is not from 0.001 to [`power_average::MAX_WIDTH`], a name has no time and width, a file cannot be read, or
    /// the files are not of the same network.
    pub fn average_snapshots<P: AsRef<Path>>(files: &[P], sigma_rel: f64, device: &Device) -> Result<SnapshotAverage> {
        let files: Vec<PathBuf> = files.iter().map(|file| file.as_ref().to_owned()).collect();
        let kept = files.iter().map(|file| profile_of(file)).collect::<Result<Vec<_>>>()?;
        check_distinct(&files, &kept)?;
        let latest = kept.iter().map(|profile| profile.steps).fold(0.0, f64::max);
        let Some(wanted) = Profile::with_width(sigma_rel, latest) else {
            let problem = format!("{sigma_rel}: give a width from 0.001 to {}", power_average::MAX_WIDTH);
            return Err(Error::argument("sigma_rel", problem));
        };
        let shares = power_average::combination(&kept, wanted);
        let mut sum: Option<Sum> = None;
        for (file, &share) in files.iter().zip(&shares) {
            let imported = import::import(file, &Request::default())?;
            match &mut sum {
                None => sum = Some(Sum::of(imported, share)),
                Some(sum) => sum.add(imported, share).map_err(|problem| {
                    let first = files[0].display();
                    Error::argument("path", format!("{}: {problem} than {first}", file.display()))
                })?,
            }
        }
        let Some(sum) = sum else { return Err(Error::argument("path", "no files; give one or more snapshots")) };
        let Sum { spec, step, assumptions, weights } = sum;
        let average = weights.into_iter().map(|(weight, values)| {
            (weight.name.clone(), Weight { values: values.into_iter().map(|value| value as f32).collect(), ..weight })
        });
        let network = weights::assign(spec.network(device)?, &average.collect())?;
        let model = Self { assumptions, ..Self::assemble(spec, network, device, step) };
        Ok(SnapshotAverage { model, mismatch: power_average::mismatch(&kept, &shares, wanted), shares })
    }
}

/// A sum of shares of weights, in double precision.
struct Sum {
    spec: ModelSpec,
    step: u64,
    assumptions: Vec<String>,
    weights: Vec<(Weight, Vec<f64>)>,
}

impl Sum {
    fn of(imported: Imported, share: f64) -> Self {
        let scaled = |weight: Weight| {
            let values = weight.values.iter().map(|&value| share * f64::from(value)).collect();
            (Weight { values: Vec::new(), ..weight }, values)
        };
        let weights = imported.average.into_iter().map(scaled).collect();
        Self { spec: imported.spec, step: imported.step, assumptions: imported.assumed, weights }
    }

    /// The error says what the file has that the first one has not.
    fn add(&mut self, imported: Imported, share: f64) -> Result<(), String> {
        let (ours, theirs) = (&self.spec, &imported.spec);
        if ours.config.network != theirs.config.network || ours.data.shape != theirs.data.shape {
            return Err("it has another network".into());
        }
        self.step = self.step.max(imported.step);
        if self.weights.len() != imported.average.len() {
            return Err("it has other weights".into());
        }
        for ((kept, sum), weight) in self.weights.iter_mut().zip(imported.average) {
            if (&kept.name, &kept.shape) != (&weight.name, &weight.shape) {
                return Err("it has other weights".into());
            }
            sum.iter_mut().zip(&weight.values).for_each(|(sum, &value)| *sum += share * f64::from(value));
        }
        Ok(())
    }
}

/// The profile of a snapshot, from its name.
fn profile_of(file: &Path) -> Result<Profile> {
    let wrong = |problem: &str| Error::argument("path", format!("{}: {problem}", file.display()));
    let Some((time, width)) = snapshot_name(file) else {
        return Err(wrong(
            "its name does not end with a training time and a relative width, as in edm2-img512-xs-2147483-0.135.pkl; rename it",
        ));
    };
    let problem = format!("the relative width {width} in its name is not from 0.001 to {}", power_average::MAX_WIDTH);
    Profile::with_width(width, time).ok_or_else(|| wrong(&problem))
}

/// Returns an error if two files have the same profile: the least squares could not tell them apart.
fn check_distinct(files: &[PathBuf], kept: &[Profile]) -> Result<()> {
    for (at, profile) in kept.iter().enumerate() {
        if let Some(before) = kept[..at].iter().position(|other| other == profile) {
            let problem = "has the same training time and width";
            return Err(Error::argument(
                "path",
                format!("{}: {problem} as {}; give each once", files[at].display(), files[before].display()),
            ));
        }
    }
    Ok(())
}
