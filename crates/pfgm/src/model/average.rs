//! Averages of the weights that are chosen after training.

use std::path::Path;

use burn::tensor::Device;
use pfgm_data::Dataset;

use super::Model;
use crate::{
    checkpoint::{self, Checkpoint, Group},
    error::{Error, Result},
    power_average::{self, Profile},
    weights::{self, Weight},
};

impl Model {
    /// Loads a run with the power-function average of relative width `sigma_rel` instead of the average that its training kept
    /// (EDM2, arXiv 2312.02696). The average is made of the snapshots of `train.snapshot_every`.
    ///
    /// ```
    /// use pfgm::{config::Config, device, prelude::*};
    ///
    /// let (data, folder) = (Dataset::open("disk")?, tempfile::tempdir().unwrap());
    /// let mut config = Config::for_data(&data);
    /// config.data.source = "disk".into();
    /// (config.train.steps, config.train.snapshot_every) = (8, 2);
    /// Model::from_config(config, &data)?.fit(&data, Fit::configured().folder(folder.path()))?;
    /// let model = Model::load_average(folder.path(), 0.13, &device::open("cpu")?)?;
    /// assert_eq!(model.step(), 8);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// Returns an error if the run has no snapshots, or the width is not from 0.001 to [`power_average::MAX_WIDTH`].
    pub fn load_average(run: impl AsRef<Path>, sigma_rel: f64, device: &Device) -> Result<Self> {
        let run = run.as_ref();
        let paths = checkpoint::snapshots(run);
        let Some(latest) = paths.last() else {
            let problem = format!("{}: no snapshots; train with train.snapshot_every above 0", run.display());
            return Err(Error::argument("path", problem));
        };
        let latest = Checkpoint::read(latest)?;
        let wanted = profile("sigma_rel", sigma_rel, latest.step)?;
        let mut kept = Vec::new();
        let mut files = Vec::new();
        for path in &paths {
            let snapshot = Checkpoint::read(path)?;
            for (group, width) in
                [Group::PowerNarrow, Group::PowerWide].into_iter().zip(latest.spec.config.train.sigma_rel)
            {
                kept.push(profile("train.sigma_rel", width, snapshot.step)?);
                files.push((path, group));
            }
        }
        let shares = power_average::combination(&kept, wanted);
        let network = latest.spec.network(device)?;
        let mut sums: Vec<(Weight, Vec<f64>)> = weights::collect(&network)
            .into_iter()
            .map(|weight| (Weight { values: Vec::new(), ..weight.clone() }, vec![0.0; weight.values.len()]))
            .collect();
        for (pair, shares) in files.chunks_exact(2).zip(shares.chunks_exact(2)) {
            let snapshot = Checkpoint::read(pair[0].0)?;
            for ((_, group), share) in pair.iter().zip(shares) {
                add(&mut sums, &snapshot, *group, *share).map_err(|name| {
                    Error::argument(
                        "path",
                        format!("{}: has no weight `{name}`; the file is damaged", pair[0].0.display()),
                    )
                })?;
            }
        }
        let average = sums.into_iter().map(|(weight, values)| {
            (weight.name.clone(), Weight { values: values.into_iter().map(|value| value as f32).collect(), ..weight })
        });
        let network = weights::assign(network, &average.collect())?;
        Ok(Self::assemble(latest.spec.clone(), network, device, latest.step))
    }

    /// Loss per row of this model's weights on held-out rows, with the same noise each time.
    ///
    /// # Errors
    /// Returns an error if the rows do not fit the model, or cannot be read.
    pub fn held_out_loss(&self, train: &Dataset, held_out: &Dataset) -> Result<f64> {
        let mut evaluated = self.clone();
        evaluated.training = super::TrainingState::WeightsOnly;
        let loss = evaluated.trainer(train, Some(held_out))?.held_out_loss()?;
        Ok(loss.unwrap_or(f64::NAN))
    }
}

/// Adds a share of a snapshot's weights to sums. Returns the name of a weight that the snapshot lacks as an error.
fn add(sums: &mut [(Weight, Vec<f64>)], snapshot: &Checkpoint, group: Group, share: f64) -> Result<(), String> {
    let found = snapshot.group(group);
    for (weight, sum) in sums {
        let values = &found.get(&weight.name).ok_or_else(|| weight.name.clone())?.values;
        sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += share * f64::from(*value));
    }
    Ok(())
}

fn profile(name: &'static str, sigma_rel: f64, step: u64) -> Result<Profile> {
    Profile::with_width(sigma_rel, step as f64).ok_or_else(|| {
        let problem = format!("{sigma_rel}: give a width from 0.001 to {}", power_average::MAX_WIDTH);
        Error::argument(name, problem)
    })
}
