//! Fine-tuning: another training that starts from a model's weights.

use std::collections::{HashMap, HashSet};

use pfgm_data::Dataset;

use super::Model;
use crate::{
    config::Config,
    error::{Error, Result},
    network::NetworkConfig,
    spec::ModelSpec,
    weights::{self, Weight},
};

impl Model {
    /// Prepares a training on `train` that starts from this model's averaged weights, with a new optimizer. Quantities that depend on the data
    /// are measured again, unless `config` gives them.
    ///
    /// If the classes of `train` differ from those of the model, the weights that depend on their number, such as the class embedding,
    /// are initialized again. The network and its output must be those of the model.
    ///
    /// ```
    /// use pfgm::prelude::*;
    ///
    /// let model = Model::load("digits")?;
    /// let few = Dataset::open("digits")?.select(&[0, 1, 2, 3, 4, 5, 6, 7]);
    /// let mut tuned = model.fine_tune(model.spec().config.clone(), &few)?;
    /// tuned.fit(&few, Fit::steps(2).batch(4))?;
    /// assert_eq!(tuned.step(), 2);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// Returns an error if the rows have another shape than the model's, or `config` has another network or output.
    pub fn fine_tune(&self, config: Config, train: &Dataset) -> Result<Self> {
        let learned = &self.spec.data;
        if train.shape != learned.shape {
            let problem =
                format!("{}: rows are {}, but the model learned from {}", train.name, train.shape, learned.shape);
            return Err(Error::argument("data", problem));
        }
        let own = &self.spec.config;
        if without_dropout(&config.network) != without_dropout(&own.network) {
            return Err(Error::argument(
                "network",
                "fine-tuning keeps the model's network; only its dropout can change",
            ));
        }
        if config.flow.output != own.flow.output || config.upscale != own.upscale {
            return Err(Error::argument("flow.output", "fine-tuning keeps what the network predicts"));
        }
        config.check()?;
        let spec = match (&config.data.autoencoder, &own.data.autoencoder) {
            // The network knows latents in its own units.
            (Some(_), Some(_)) => ModelSpec::resolve_latents(config, train, learned.transform.clone())?,
            _ => ModelSpec::resolve(config, train)?,
        };
        let fresh = weights::collect(&spec.network(&self.device)?);
        let class_weights =
            if spec.data.classes == learned.classes { HashSet::new() } else { class_weights(&spec, self)? };
        let mut trained: HashMap<String, Weight> =
            weights::collect(&self.network).into_iter().map(|weight| (weight.name.clone(), weight)).collect();
        let choose = |weight: Weight| match trained.remove(&weight.name) {
            Some(trained) if !class_weights.contains(&weight.name) => (weight.name, trained),
            _ => (weight.name.clone(), weight),
        };
        let start = fresh.into_iter().map(choose).collect();
        let network = weights::assign(spec.network(&self.device)?, &start)?;
        Ok(Self::assemble(spec, network, &self.device, 0))
    }
}

/// Returns the names of the weights whose shape or existence depends on the number of classes.
fn class_weights(spec: &ModelSpec, model: &Model) -> Result<HashSet<String>> {
    let shapes = |spec: &ModelSpec| -> Result<HashMap<String, Vec<usize>>> {
        Ok(weights::names_and_shapes(&spec.network(&model.device)?).into_iter().collect())
    };
    let mut more = spec.clone();
    more.data.classes.push("one more".into());
    let (now, more) = (shapes(spec)?, shapes(&more)?);
    Ok(more.into_iter().filter(|(name, shape)| now.get(name) != Some(shape)).map(|(name, _)| name).collect())
}

/// Returns a network's configuration without its dropout, on which no weight depends.
pub(super) fn without_dropout(network: &NetworkConfig) -> NetworkConfig {
    let mut network = network.clone();
    match &mut network {
        NetworkConfig::Mlp(mlp) => mlp.dropout = 0.0,
        NetworkConfig::Unet(unet) => unet.dropout = 0.0,
        NetworkConfig::AdmUnet(unet) => unet.dropout = 0.0,
        NetworkConfig::DiffusersUnet(unet) => unet.dropout = 0.0,
        NetworkConfig::Edm2Unet(unet) => unet.dropout = 0.0,
        NetworkConfig::ScoreUnet(unet) => unet.dropout = 0.0,
        NetworkConfig::Ncsnv2(_) => {}
    }
    network
}

#[cfg(test)]
mod tests {
    use pfgm_data::Labels;

    use super::*;
    use crate::Result;

    fn digits(rows: usize) -> Dataset {
        Dataset::open("digits").unwrap().select(&(0..rows).collect::<Vec<_>>())
    }

    fn weights_of(model: &Model) -> HashMap<String, Weight> {
        weights::collect(&model.network).into_iter().map(|weight| (weight.name.clone(), weight)).collect()
    }

    #[test]
    fn weights_are_kept_and_those_of_other_classes_start_fresh() -> Result<()> {
        let model = Model::load("digits")?;
        let data = digits(20);
        let own = weights_of(&model);
        assert_eq!(weights_of(&model.fine_tune(model.spec.config.clone(), &data)?), own);

        let two = Labels { of_row: (0..20).map(|row| row % 2).collect(), names: vec!["even".into(), "odd".into()] };
        let mut others = data.clone();
        others.labels = Some(two);
        let tuned = weights_of(&model.fine_tune(model.spec.config.clone(), &others)?);
        let changed: Vec<&String> = tuned.keys().filter(|name| tuned[*name] != own[*name]).collect();
        assert!(changed.len() == 1 && tuned[changed[0]].shape != own[changed[0]].shape, "{changed:?}");

        // Without classes, the embedding is dropped.
        let mut config = model.spec.config.clone();
        config.data.conditional = false;
        let plain = weights_of(&model.fine_tune(config, &data)?);
        assert!(plain.len() < own.len() && plain.iter().all(|(name, weight)| own[name] == *weight));
        Ok(())
    }

    #[test]
    fn another_network_or_shape_is_refused() {
        let model = Model::load("digits").unwrap();
        let refused = |config: Config, data: &Dataset| model.fine_tune(config, data).unwrap_err().to_string();
        let config = model.spec.config.clone();
        assert!(refused(config.clone(), &Dataset::open("heart").unwrap()).starts_with("data: "));
        let other = Config { network: NetworkConfig::default(), ..config };
        assert!(refused(other, &digits(9)).starts_with("network: "));
    }
}
