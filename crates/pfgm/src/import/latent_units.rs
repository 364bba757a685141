//! Units of the latents that EDM2's networks draw.
//!
//! EDM2 (arXiv 2312.02696) feeds its autoencoder images of [0, 1], does not use its scaling factor, and brings each channel to mean 0 and standard
//! deviation 0.5. A snapshot has these numbers in its `encoder`.

use pfgm_data::Transform;
use pfgm_torch::{File, Value};

use super::{ImportError, autoencoder::LatentScale};

/// The affine map from an autoencoder's latents to those of a network, `scale latent + bias` for each channel.
#[derive(Clone, Debug, PartialEq)]
pub struct LatentUnits {
    scale: Vec<f64>,
    bias: Vec<f64>,
}

impl LatentUnits {
    /// Range of the pixels that EDM2's autoencoder gets.
    pub const PIXELS: (f32, f32) = (0.0, 1.0);

    /// The units that EDM2 publishes, for `stabilityai/sd-vae-ft-mse`.
    pub fn published() -> Self {
        let (means, deviations) = ([5.81, 3.25, 0.12, -2.15], [4.17, 4.62, 3.71, 3.28]);
        let scale: Vec<f64> = deviations.iter().map(|deviation| 0.5 / deviation).collect();
        let bias = means.iter().zip(&scale).map(|(mean, scale)| -mean * scale).collect();
        Self { scale, bias }
    }

    /// Reads the units from a snapshot; `None` if it has none.
    ///
    /// # Errors
    /// Returns an error if their numbers cannot be used.
    pub fn read(file: &File) -> Result<Option<Self>, ImportError> {
        let Some(encoder) = file.root().get("encoder") else { return Ok(None) };
        let list = |name: &str| encoder.get(name).map(|value| numbers(file, value)).transpose();
        let (Some(scale), Some(bias)) = (list("scale")?, list("bias")?) else { return Ok(None) };
        let are_finite =
            scale.iter().all(|scale| *scale > 0.0) && scale.iter().chain(&bias).all(|value| value.is_finite());
        if !are_finite || scale.len() != bias.len() {
            return Err(ImportError::unsupported(
                file,
                "its encoder has no finite `scale` above 0 and `bias` of each channel",
            ));
        }
        Ok(Some(Self { scale, bias }))
    }

    /// The map between latents as [`Autoencoder::scaled`](crate::autoencoder::Autoencoder::scaled) gives them and the network's.
    ///
    /// # Errors
    /// Returns an error if the numbers of channels differ.
    pub fn transform(&self, latents: &LatentScale, channels: usize) -> Result<Transform, String> {
        if latents.scale.len() != channels || self.scale.len() != channels {
            let (of_autoencoder, of_file) = (latents.scale.len(), self.scale.len());
            return Err(format!(
                "its latents have {of_autoencoder} channels, the units of the file {of_file}, and the network has {channels}"
            ));
        }
        // network = scale (divisor v + shift) + bias
        let channel = |at: usize| {
            let factor = self.scale[at] * latents.scale[at];
            (-(self.scale[at] * latents.shift[at] + self.bias[at]) / factor, (1.0 / factor) as f32)
        };
        let (offset, scale) = (0..channels).map(channel).unzip();
        Ok(Transform { offset, scale })
    }
}

/// The numbers of an array, or of a list.
fn numbers(file: &File, value: Value<'_>) -> Result<Vec<f64>, ImportError> {
    if let Some(tensor) = value.as_tensor() {
        return Ok(file.values(tensor)?.into_iter().map(f64::from).collect());
    }
    Ok(value.as_list().into_iter().flatten().filter_map(Value::as_f64).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_units_of_a_snapshot_are_read() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/edm2_encoder.pkl");
        let found = LatentUnits::read(&pfgm_torch::open(&path).unwrap()).unwrap().unwrap();
        let published = LatentUnits::published();
        let (all, expected) = ([found.scale, found.bias].concat(), [published.scale, published.bias].concat());
        assert_eq!(all.len(), 8);
        assert!(all.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-6), "{all:?}");
    }

    #[test]
    fn latents_of_the_published_moments_have_mean_zero_and_deviation_one_half() {
        let (shift, scale) = (vec![0.5, 0.0, 0.0, 0.0], vec![5.49; 4]);
        let transform = LatentUnits::published().transform(&LatentScale { shift, scale }, 4).unwrap();
        // A raw latent one standard deviation above its mean, for each channel.
        let raw = [5.81 + 4.17, 3.25 + 4.62, 0.12 + 3.71, -2.15 + 3.28];
        let mut row: Vec<f32> =
            raw.iter().zip([0.5, 0.0, 0.0, 0.0]).map(|(raw, shift)| ((raw - shift) / 5.49) as f32).collect();
        transform.forward(&mut row);
        assert!(row.iter().all(|value| (value - 0.5).abs() < 1e-5), "{row:?}");
        let three = LatentScale { shift: vec![0.0; 3], scale: vec![1.0; 3] };
        assert!(LatentUnits::published().transform(&three, 4).unwrap_err().contains("3 channels"));
    }
}
