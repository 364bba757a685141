//! An imported autoencoder against what diffusers gave for it.
#![allow(missing_docs)]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use pfgm::autoencoder::Autoencoder;
use pfgm_data::npz::{Floats, read_arrays};

fn parity(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity").join(name)
}

fn case() -> BTreeMap<String, Floats> {
    let path = parity("autoencoder_kl.npz");
    read_arrays(&path, &fs::read(&path).unwrap()).unwrap()
}

/// An image array with channels last, row after row.
fn rows(array: &Floats) -> Vec<f32> {
    let [_, channels, height, width] = array.shape[..] else { panic!("{:?}", array.shape) };
    let plane = height * width;
    let row = |row: &[f32]| -> Vec<f32> {
        (0..plane * channels).map(|at| row[at % channels * plane + at / channels]).collect()
    };
    array.values.chunks_exact(plane * channels).flat_map(row).collect()
}

/// The largest difference, relative to the largest value.
fn difference(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(0.0, |most: f32, value| most.max(value.abs()));
    found.iter().zip(expected).fold(0.0, |most: f32, (a, b)| most.max((a - b).abs())) / largest
}

fn open(path: &Path) -> Result<Autoencoder, pfgm::import::ImportError> {
    Autoencoder::open(path, &pfgm::device::open("cpu").unwrap())
}

#[test]
fn moments_and_images() {
    let (case, autoencoder) = (case(), open(&parity("autoencoder_kl")).unwrap());
    assert_eq!((autoencoder.image_channels(), autoencoder.latent_channels(), autoencoder.factor()), (3, 4, 4));
    assert_eq!((autoencoder.latent_size([32, 32]), autoencoder.latent_size([32, 30])), (Some([8, 8]), None));
    let moments = autoencoder.encode(&rows(&case["x"]), [32, 32]).unwrap();
    let [mean, std] = ["mean", "std"].map(|name| rows(&case[name]));
    assert!(difference(&moments.mean, &mean) < 1e-4, "{:.1e}", difference(&moments.mean, &mean));
    assert!(difference(&moments.std, &std) < 1e-4, "{:.1e}", difference(&moments.std, &std));
    let decoded = difference(&autoencoder.decode(&mean, [8, 8]).unwrap(), &rows(&case["decoded"]));
    assert!(decoded < 1e-4, "{decoded:.1e}");
    let mut scaled = mean.clone();
    autoencoder.scaled(&mut scaled);
    assert!((scaled[5] - mean[5] * 0.18215).abs() < 1e-6);
    autoencoder.unscaled(&mut scaled);
    assert!(difference(&scaled, &mean) < 1e-6);
}

/// Smooth latents of the size of the case's: a mosaic of its two rows.
fn large_latents(size: usize) -> Vec<f32> {
    let mean = rows(&case()["mean"]);
    let (side, dim) = (8, 8 * 8 * 4);
    let of = |y: usize, x: usize, channel: usize| {
        let row = (y / side + x / side) % (mean.len() / dim);
        mean[row * dim + (y % side * side + x % side) * 4 + channel]
    };
    (0..size * size * 4).map(|at| of(at / 4 / size, at / 4 % size, at % 4)).collect()
}

/// The root mean square of the difference, relative to the standard deviation.
fn deviation(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let count = expected.len() as f32;
    let mean = expected.iter().sum::<f32>() / count;
    let spread = expected.iter().map(|value| (value - mean).powi(2)).sum::<f32>();
    let apart = found.iter().zip(expected).map(|(a, b)| (a - b).powi(2)).sum::<f32>();
    (apart / spread).sqrt()
}

#[test]
fn tiles_give_about_the_whole_image() {
    let size = [40, 40];
    let whole = open(&parity("autoencoder_kl")).unwrap();
    let tiled = open(&parity("autoencoder_kl")).unwrap().with_tile(96);
    let (one, four) = (whole.tiling(size).unwrap(), tiled.tiling(size).unwrap());
    assert!(one.is_whole() && one.count() == 1);
    assert_eq!((four.tile, four.count()), ([24, 24], 4));
    assert!(four.bytes < one.bytes);
    let latents = large_latents(40);
    let (image, of_tiles) = (whole.decode(&latents, size).unwrap(), tiled.decode(&latents, size).unwrap());
    let apart = deviation(&of_tiles, &image);
    // Each tile has its own statistics in group normalizations, and its own attention.
    assert!(apart > 1e-6 && apart < TILES, "{apart}");
    let sides = [160, 160];
    let (moments, of_tiles) = (whole.encode(&image, sides).unwrap(), tiled.encode(&image, sides).unwrap());
    let apart = deviation(&of_tiles.mean, &moments.mean);
    assert!(apart > 1e-6 && apart < TILES, "{apart}");
    // A tile of the size of the image is the image.
    assert_eq!(whole.with_tile(160).decode(&latents, size).unwrap(), image);
}

/// Largest difference of tiles from the whole, with random weights.
const TILES: f32 = 0.15;

#[test]
fn pixels_of_another_range() {
    let (case, usual) = (case(), open(&parity("autoencoder_kl")).unwrap());
    let other = open(&parity("autoencoder_kl")).unwrap().with_pixels((0.0, 1.0));
    let images = rows(&case["x"]);
    let halved: Vec<f32> = images.iter().map(|value| 0.5 * (value + 1.0)).collect();
    let (found, expected) = (other.encode(&images, [32, 32]).unwrap(), usual.encode(&halved, [32, 32]).unwrap());
    assert!(difference(&found.mean, &expected.mean) < 1e-5);
    let decoded = usual.decode(&found.mean, [8, 8]).unwrap();
    let doubled: Vec<f32> = decoded.iter().map(|value| 2.0 * value - 1.0).collect();
    assert!(difference(&other.decode(&found.mean, [8, 8]).unwrap(), &doubled) < 1e-5);
}

#[test]
fn latents_are_drawn_of_their_moments() {
    let autoencoder = open(&parity("autoencoder_kl")).unwrap();
    let moments = autoencoder.encode(&rows(&case()["x"]), [32, 32]).unwrap();
    let drawn = moments.sample(2, 7);
    assert_eq!(drawn, moments.sample(2, 7));
    assert_ne!(drawn, moments.sample(2, 8));
    let scores: Vec<f32> =
        drawn.iter().zip(&moments.mean).zip(&moments.std).map(|((z, mean), std)| (z - mean) / std).collect();
    let count = scores.len() as f32;
    let (mean, square) = (scores.iter().sum::<f32>() / count, scores.iter().map(|z| z * z).sum::<f32>() / count);
    // 512 standard normal numbers.
    assert!(mean.abs() < 0.2 && (square - 1.0).abs() < 0.3, "{mean} {square}");
}

#[test]
fn options_that_are_not_supported_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(parity("autoencoder_kl").join("config.json")).unwrap();
    let weights = "diffusion_pytorch_model.safetensors";
    fs::copy(parity("autoencoder_kl").join(weights), folder.path().join(weights)).unwrap();
    for (from, to, name) in [
        ("AutoencoderKL\"", "VQModel\"", "_class_name"),
        ("\"DownEncoderBlock2D\"", "\"AttnDownEncoderBlock2D\"", "AttnDownEncoderBlock2D"),
        ("\"norm_num_groups\": 4", "\"norm_num_groups\": 3", "groups"),
        ("\"latents_mean\": null", "\"latents_mean\": [1.0]", "latents_mean"),
        ("\"scaling_factor\": 0.18215", "\"scaling_factor\": 0", "scaling_factor"),
        ("\"mid_block_add_attention\": true", "\"mid_block_add_attention\": false", "mid_block.attentions"),
        ("\"use_quant_conv\": true", "\"use_quant_conv\": false", "quant_conv"),
        ("\"sample_size\": 32", "\"sample_size\": 32, \"tomorrow\": 1", "tomorrow"),
        ("\"layers_per_block\": 1", "\"layers_per_block\": 1000000000", "resnets.1"),
    ] {
        assert!(text.contains(from), "{from}");
        fs::write(folder.path().join("config.json"), text.replace(from, to)).unwrap();
        let error = open(folder.path()).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(name), "{name}: {error}");
    }
    assert!(open(&parity("edm_adm.pth")).is_err());
}
