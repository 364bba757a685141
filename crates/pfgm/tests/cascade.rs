//! Networks with spatial conditioning (a low-resolution image, positions of pixels), and streamed data.
#![allow(missing_docs)]

use std::{fs, path::Path};

use burn::tensor::Device;
use pfgm::{
    Model,
    cascade::disagreement,
    conditioning::UpscaleConfig,
    config::Config,
    extra_dims::ExtraDims::{Finite, Infinite},
    network::{NetworkConfig, UnetConfig},
    objective::{FieldObjective, Objective},
    solver::Solver,
    spec::ModelSpec,
    train::Trainer,
};
use pfgm_data::{Dataset, Load, OpenOptions, Shape, Values, resize::shrink};

fn digits() -> Dataset {
    pfgm_data::open("digits", &OpenOptions::default()).unwrap()
}

fn small(width: usize) -> Config {
    let mut config = Config::default();
    config.data.source = "digits".into();
    let unet = UnetConfig { width, multipliers: vec![1, 2], blocks: 1, attention: vec![], dropout: 0.0 };
    config.network = NetworkConfig::Unet(unet);
    config.train.batch = 64;
    config.train.lr = 4e-3;
    config.train.warmup = 10;
    config.train.ema = 0.9;
    config
}

fn trained(config: Config, data: Dataset, steps: usize) -> Trainer {
    let mut trainer = Trainer::new(ModelSpec::resolve(config, &data).unwrap(), data, None, &Device::flex()).unwrap();
    for _ in 0..steps {
        trainer.take_step().unwrap();
    }
    trainer
}

/// The averaged weights of a training as a model.
fn model_of(trainer: &Trainer) -> Model {
    Model::from_parts(trainer.spec().clone(), trainer.averaged(), &Device::flex())
}

#[test]
fn upscaled_images_made_smaller_are_those_they_were_made_from() {
    let data = digits();
    let dim = data.shape.dim();
    let mut truth = vec![0.0; 40 * dim];
    truth.chunks_exact_mut(dim).enumerate().for_each(|(index, row)| data.read(40 * index, row).unwrap());
    let low: Vec<f32> = truth.chunks_exact(dim).flat_map(|image| shrink(data.shape, image, 2)).collect();
    let others: Vec<f32> = low.chunks_exact(16).rev().flatten().copied().collect();
    for extra_dims in [Finite(1.0), Finite(128.0), Infinite] {
        let mut config = small(16);
        config.flow.extra_dims = extra_dims;
        config.upscale = Some(UpscaleConfig { factor: 2, noise: 0.2, sample_noise: 0.0 });
        let trainer = trained(config, data.clone(), 120);
        let model = model_of(&trainer);
        let made = |images: &[f32], noise: f64| {
            let sampling = model.upscale(images).low_resolution_noise(noise).solver(Solver::dpmpp(2, 12));
            sampling.draw().unwrap().into_values()
        };
        let images = made(&low, 0.0);
        let (own, of_others) =
            (disagreement(data.shape, &images, &low, 2), disagreement(data.shape, &images, &others, 2));
        println!("D = {extra_dims}: {own:.3} from their own, {of_others:.3} from others'");
        assert!(own < 0.35 * of_others, "D = {extra_dims}: {own} against {of_others}");
        // The same seeds with swapped images.
        let swapped = made(&others, 0.0);
        assert!(disagreement(data.shape, &swapped, &others, 2) < 0.35 * disagreement(data.shape, &swapped, &low, 2));
        // With a higher noise level, the network relies less on the low-resolution image.
        let noisy = disagreement(data.shape, &made(&low, 0.2), &low, 2);
        assert!(noisy > own, "D = {extra_dims}: {noisy} with noise, {own} without");
        assert!(model.sample(1).draw().is_err(), "nothing to upscale");
        assert!(
            model.upscale(&low[..17]).draw().is_err()
                && model.upscale(&low[..16]).low_resolution_noise(0.3).draw().is_err()
        );
    }
}

/// Images that are dark on the left and bright on the right, in steps of noise.
fn ramps(height: usize, width: usize) -> Dataset {
    let rows = 256;
    let value = |at: usize| {
        let noise = (at as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 58;
        (200 * (at % width) / width) as u8 + noise as u8 / 2
    };
    let values = Values::Bytes((0..rows * height * width).map(value).collect());
    Dataset::new(Path::new("ramps"), Shape::Image { height, width, channels: 1 }, values, None, None).unwrap()
}

#[test]
fn a_network_of_patches_makes_whole_images() {
    let (height, width) = (12, 20);
    let mut config = small(16);
    config.train.patch = 8;
    let trainer = trained(config, ramps(height, width), 150);
    let spec = trainer.spec();
    assert_eq!(spec.trained_shape(), Shape::Image { height: 8, width: 8, channels: 1 });
    let made = model_of(&trainer).sample(16).solver(Solver::dpmpp(2, 12)).draw().unwrap().into_values();
    assert_eq!(made.len(), 16 * height * width);
    // A patch does not show its position: without it, a network could not distinguish left and right.
    let mean = |column: usize| {
        made.iter().skip(column).step_by(width).map(|&value| f64::from(value)).sum::<f64>() / (16 * height) as f64
    };
    for (column, expected) in [(0, 15.0), (5, 65.0), (10, 115.0), (19, 205.0)] {
        println!("column {column}: {:.1}, of the data {expected}", mean(column));
        assert!((mean(column) - expected).abs() < 25.0, "column {column}: {} for {expected}", mean(column));
    }
}

#[test]
fn patches_and_upscaling_ask_for_what_goes_with_them() {
    let data = digits();
    let fails = |change: &dyn Fn(&mut Config)| {
        let mut config = small(8);
        change(&mut config);
        let checked = config.check().map_err(|error| error.to_string());
        let made = |spec: ModelSpec| spec.network(&Device::flex()).map(drop).map_err(|error| error.to_string());
        checked
            .and_then(|()| ModelSpec::resolve(config, &data).map_err(|error| error.to_string()))
            .and_then(made)
            .expect_err("what cannot be")
    };
    assert!(fails(&|config| config.train.patch = 9).contains("train.patch = 9: the images are 8x8x1"));
    let upscale = |factor| Some(UpscaleConfig { factor, ..UpscaleConfig::default() });
    assert!(fails(&|config| config.upscale = upscale(3)).contains("upscale.factor = 3"));
    assert!(fails(&|config| config.upscale = upscale(1)).contains("at least 2"));
    let field = || Objective::Field(FieldObjective::default());
    assert!(fails(&|config| (config.upscale, config.objective) = (upscale(2), field())).contains("with upscale use"));
    assert!(fails(&|config| (config.train.patch, config.objective) = (4, field())).contains("with train.patch use"));
    let mlp = || NetworkConfig::Mlp(Default::default());
    assert!(fails(&|config| (config.train.patch, config.network) = (4, mlp())).contains("need a network on images"));
    let ncsnv2 = || NetworkConfig::Ncsnv2(Default::default());
    assert!(!fails(&|config| (config.upscale, config.network) = (upscale(2), ncsnv2())).is_empty());
}

#[test]
fn what_is_learned_from_files_is_what_is_learned_from_memory() {
    let folder = tempfile::tempdir().unwrap();
    let data = digits();
    let mut values = vec![0.0; data.len() * 64];
    values.chunks_exact_mut(64).enumerate().for_each(|(index, row)| data.read(index, row).unwrap());
    let bytes: Vec<u8> = values.iter().map(|&value| value as u8).collect();
    let classes: Vec<u8> = data.labels.unwrap().of_row.iter().map(|&class| class as u8).collect();
    let idx = |magic: u32, sizes: &[u32], payload: &[u8]| -> Vec<u8> {
        let words = [magic].into_iter().chain(sizes.iter().copied()).flat_map(u32::to_be_bytes);
        words.chain(payload.iter().copied()).collect()
    };
    let (path, rows) = (folder.path().join("images-idx3-ubyte"), classes.len() as u32);
    fs::write(&path, idx(0x803, &[rows, 8, 8], &bytes)).unwrap();
    fs::write(folder.path().join("labels-idx1-ubyte"), idx(0x801, &[rows], &classes)).unwrap();

    let field = Objective::Field(FieldObjective { field_batch: 200, ..FieldObjective::default() });
    for objective in [Objective::default(), field] {
        let checkpoint = |load: Load| {
            let options = OpenOptions { load, ..OpenOptions::default() };
            let data = pfgm_data::open(path.to_str().unwrap(), &options).unwrap();
            assert_eq!(matches!(data.values, Values::OnDisk(_)), load == Load::Stream);
            let mut config = small(8);
            config.objective = objective.clone();
            config.data.conditional = true;
            config.train.flip = true;
            // Three epochs of small batches; an epoch ends within a batch.
            config.train.batch = 50;
            let rows: Vec<usize> = (0..data.len()).filter(|row| row % 4 != 1).take(330).collect();
            let trainer = trained(config, data.select(&rows), 20);
            let file = folder.path().join("checkpoint.safetensors");
            trainer.checkpoint().write(&file).unwrap();
            fs::read(&file).unwrap()
        };
        assert!(checkpoint(Load::Whole) == checkpoint(Load::Stream), "the checkpoints differ");
    }
}
