//! Forced weight normalization (EDM2, arXiv 2312.02696, section 2.3).
//!
//! The layers of a magnitude-preserving network divide their weights by their norms, so the loss does not depend on the norms, and the gradient is
//! orthogonal to the weights. Steps would lengthen the weights and so shrink the effective learning rate in an uncontrolled way. Therefore each
//! step ends with weights of fixed norm: sqrt(n) for those of an output with n inputs, so that a weight has unit variance.

use burn::tensor::Tensor;

use super::matrices::Part;

/// Smallest norm that is divided by: weights that are all zero stay zero.
const SMALLEST: f64 = 1e-12;

/// Gives the weights of each output with n inputs the norm sqrt(n), in all matrices and convolutions.
///
/// # Shapes
/// `[weights]` to `[weights]`
pub(super) fn normalized_weights(flat: &Tensor<1>, parts: &[Part]) -> Tensor<1> {
    let mut start = 0;
    let parts = parts.iter().map(|&Part { size, outputs }| {
        let part = flat.clone().narrow(0, start, size);
        start += size;
        match outputs {
            Some(outputs) => normalized(part.reshape([size / outputs, outputs])).reshape([size]),
            None => part,
        }
    });
    Tensor::cat(parts.collect(), 0)
}

/// Gives each column of a matrix the norm sqrt(n), where n is its length.
fn normalized(matrix: Tensor<2>) -> Tensor<2> {
    let inputs = matrix.dims()[0] as f64;
    let norm = matrix.clone().square().sum_dim(0).sqrt().clamp_min(SMALLEST);
    matrix * norm.recip().mul_scalar(inputs.sqrt())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use burn::tensor::{Device, TensorData};
    use pfgm_data::Dataset;

    use super::*;
    use crate::{
        checkpoint::Group,
        config::Config,
        network::Network,
        precondition::PreconditionCoefficients,
        prediction::TrainingPoints,
        presets,
        spec::ModelSpec,
        train::{Trainer, optimizer::FlatGradients, training_set::EpochPermutation},
        weights::{self, Weight},
    };

    /// The preset `edm2-digits` with fewer channels, without classes.
    fn config() -> Config {
        let mut config: Config = toml::from_str(presets::find("edm2-digits").unwrap().text).unwrap();
        let crate::network::NetworkConfig::Edm2Unet(network) = &mut config.network else { unreachable!() };
        (network.width, network.head) = (16, 16);
        config.data.conditional = false;
        config.train.batch = 16;
        config
    }

    fn trainer(config: Config, rows: usize) -> Trainer {
        let data = Dataset::open("digits").unwrap().select(&(0..rows).collect::<Vec<_>>());
        Trainer::new(ModelSpec::resolve(config, &data).unwrap(), data, None, &Device::flex()).unwrap()
    }

    /// The columns of each matrix and convolution, in order.
    fn columns(weights: &[Weight]) -> Vec<Vec<f64>> {
        let column = |weight: &Weight, at: usize| {
            let outputs = *weight.shape.last().unwrap();
            weight.values.iter().skip(at).step_by(outputs).map(|&value| f64::from(value)).collect()
        };
        let matrices = weights.iter().filter(|weight| weight.shape.len() > 1);
        matrices.flat_map(|weight| (0..*weight.shape.last().unwrap()).map(|at| column(weight, at))).collect()
    }

    fn dot(a: &[f64], b: &[f64]) -> f64 {
        a.iter().zip(b).map(|(a, b)| a * b).sum()
    }

    /// The largest relative distance of a norm from the root of the number of inputs.
    fn off(network: &Network) -> f64 {
        let columns = columns(&weights::collect(network));
        assert!(columns.len() > 500);
        let off = |column: &Vec<f64>| ((dot(column, column) / column.len() as f64).sqrt() - 1.0).abs();
        columns.iter().map(off).fold(0.0, f64::max)
    }

    #[test]
    fn columns_get_the_root_of_their_length_and_zeros_stay() {
        let parts = vec![Part { size: 2, outputs: None }, Part { size: 6, outputs: Some(2) }];
        let flat = [5.0, -7.0, 3.0, 0.0, 0.0, 0.0, 4.0, 0.0];
        let flat = Tensor::<1>::from_data(TensorData::new(flat.to_vec(), [8]), &Device::flex());
        let found: Vec<f32> = normalized_weights(&flat, &parts).into_data().try_to_vec().unwrap();
        let root = 3.0_f32.sqrt();
        let expected = [5.0, -7.0, 0.6 * root, 0.0, 0.0, 0.0, 0.8 * root, 0.0];
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?}");
    }

    #[test]
    fn weights_keep_their_norms_and_others_are_free() {
        let mut trainer = trainer(config(), 64);
        assert!(off(trainer.network()) < 1e-5);
        let start = weights::collect(trainer.network());
        for _ in 0..3 {
            trainer.take_step().unwrap();
        }
        assert!(off(trainer.network()) < 1e-5, "{:.1e}", off(trainer.network()));
        let end = weights::collect(trainer.network());
        let changed = |name: &str| {
            let of = |weights: &[Weight]| weights.iter().find(|weight| weight.name == name).unwrap().values.clone();
            of(&start) != of(&end)
        };
        assert!(changed("gain") && changed("input.weight") && changed("variance.weight"));
        assert!(!changed("fourier.frequencies") && !changed("variance_fourier.phases"), "features are not trained");
        // Without it, steps lengthen the weights.
        let mut free = config();
        free.train.normalize_weights = false;
        let mut free = self::trainer(free, 64);
        free.take_step().unwrap();
        assert!(off(free.network()) > 1e-2);
    }

    #[test]
    fn the_gradient_is_orthogonal_to_the_weights() {
        let mut trainer = trainer(config(), 64);
        // The first step only moves the gain, which is 0.
        for _ in 0..3 {
            trainer.take_step().unwrap();
        }
        let batch = trainer.sampler().batch(3, &mut EpochPermutation::default()).unwrap();
        let (_, gradients) = trainer.gradients(&batch, None);
        let flat: Vec<f32> = gradients.narrow(0, gradients.len()).into_data().try_to_vec().unwrap();
        let own = weights::collect(trainer.network());
        let mut rest = flat.as_slice();
        let like = |weight: &Weight| {
            let (values, others) = rest.split_at(weight.values.len());
            rest = others;
            Weight { values: values.to_vec(), ..weight.clone() }
        };
        let gradients: Vec<Weight> = own.iter().map(like).collect();
        let (mut moved, mut largest) = (0, 0.0_f64);
        for (weight, gradient) in columns(&own).iter().zip(&columns(&gradients)) {
            let (length, slope) = (dot(weight, weight).sqrt(), dot(gradient, gradient).sqrt());
            // Columns of one input have no direction to turn to.
            if weight.len() > 1 && slope > 1e-6 {
                (moved, largest) = (moved + 1, largest.max(dot(weight, gradient).abs() / (length * slope)));
            }
        }
        assert!(moved > 300 && largest < 1e-3, "{moved} columns, {largest:.1e}");
    }

    #[test]
    fn the_loss_falls_and_a_resumed_training_is_the_same() {
        let loss = |trainer: &mut Trainer, steps: u64| -> Vec<f64> {
            (0..steps).map(|_| trainer.take_step().unwrap().0).collect()
        };
        let mut config = config();
        config.train.snapshot_every = 4;
        let mut whole = trainer(config.clone(), 32);
        let losses = loss(&mut whole, 40);
        let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
        assert!(mean(&losses[32..]) < mean(&losses[..8]) - 0.2, "{losses:?}");

        let mut first = trainer(config, 32);
        let mut again = loss(&mut first, 5);
        let (checkpoint, data) = (first.checkpoint(), Dataset::open("digits").unwrap());
        let data = data.select(&(0..32).collect::<Vec<_>>());
        let mut second = Trainer::resume(&checkpoint, Path::new("memory"), data, None, &Device::flex()).unwrap();
        again.extend(loss(&mut second, 35));
        assert_eq!(again, losses);
        let (second, whole) = (second.checkpoint(), whole.checkpoint());
        for group in [Group::Network, Group::Average, Group::Second, Group::PowerNarrow, Group::PowerWide] {
            assert!(!whole.group(group).is_empty() && second.group(group) == whole.group(group), "{group:?}");
        }
    }

    #[test]
    fn the_log_variance_of_a_constant_loss_is_its_logarithm() {
        // |yhat - y|^2 / c_out^2 is 2.25 for each row: yhat = out raw with raw = 1.5, y = 0.
        let trainer = trainer(config(), 32);
        let prediction = trainer.spec().prediction();
        let (device, expected) = (Device::flex().autodiff(), 2.25_f64.ln());
        let sigma: Vec<f64> = (0..32).map(|row| (0.2 * f64::from(row) - 4.0).exp()).collect();
        let points = TrainingPoints { dim: 64, x: vec![0.0; 32 * 64], yhat: vec![0.0; 32 * 64], sigma: sigma.clone() };
        let coefficients: Vec<PreconditionCoefficients> = prediction.coefficients(&points.x, &sigma);
        let raw = || Tensor::<2>::full([32, 64], 1.5, &device);
        let at = |u: f64| {
            let u = Tensor::<2>::full([32, 1], u, &device);
            f64::from(prediction.uncertain_loss(&points, raw(), u, &coefficients).into_scalar::<f32>()) / 32.0
        };
        assert!((at(expected) - (1.0 + expected)).abs() < 1e-5 && (at(0.0) - 2.25).abs() < 1e-5);
        assert!(at(expected + 0.3) > at(expected) && at(expected - 0.3) > at(expected));

        // The head of the network alone finds it at all levels.
        let mut network = trainer.network().clone();
        let train =
            crate::config::TrainConfig { lr: 0.03, warmup: 0, clip: 0.0, ..trainer.spec().config.train.clone() };
        let noise = crate::precondition::column(&coefficients, |row| row.noise, &device);
        let mut optimizer = crate::train::Optimizer::new(&network);
        for step in 1..=500 {
            let u = network.log_variance(noise.clone()).unwrap();
            let loss = prediction.uncertain_loss(&points, raw(), u, &coefficients);
            let gradients = FlatGradients::take(&network, &mut loss.backward());
            let norm = gradients.norm();
            network = optimizer.step(network, gradients, norm, step, &train);
        }
        let u: Vec<f32> = network.log_variance(noise).unwrap().into_data().try_to_vec().unwrap();
        let off = u.iter().map(|u| (f64::from(*u) - expected).abs()).fold(0.0, f64::max);
        // A few random features make a constant up to this; the untrained head is 0.81 away.
        assert!(off < 0.1, "{u:?} instead of {expected}");
    }
}
