//! Training points: noise levels, targets, losses.
#![allow(missing_docs)]

use burn::tensor::{Device, Tensor, TensorData};
use pfgm::{
    augmentation::Augmentation,
    config::Config,
    extra_dims::ExtraDims::{self, Finite, Infinite},
    field::ExactField,
    flow::{Denoiser, Query},
    objective::{Charges, DenoisingObjective, FieldObjective, Levels, Noise, Objective},
    precondition::Precondition,
    prediction::{DiscreteSchedule, Output, Prediction, Quantity, TrainingPoints},
    process::Process,
    random::{Purpose, stream},
    spec::ModelSpec,
};
use pfgm_data::{OpenOptions, Shape};
use rand::RngExt;
use rand_distr::StandardNormal;

fn noise(extra_dims: ExtraDims) -> Noise {
    Noise { extra_dims, process: Process::Ve, range: (2e-3, 80.0) }
}

#[test]
fn targets_are_the_field_of_images_augmented_as_the_item_is() {
    // Six charges of 4x4; of four items one is as it was, two are alike, one is by itself.
    let (shape, dim) = (Shape::Image { height: 4, width: 4, channels: 1 }, 16);
    let mut rng = stream(5, Purpose::Perturbation, 0, 0);
    let field: Vec<f32> = (0..6 * dim).map(|at| ((at * 29) % 17) as f32 / 8.0 - 1.0).collect();
    let plain = loop {
        let drawn = Augmentation::draw(shape, 0.1, &mut rng);
        if drawn.is_identity() {
            break drawn;
        }
    };
    let [once, other] = [(); 2].map(|()| Augmentation::draw(shape, 0.9, &mut rng));
    let augmentations = [plain, once, once, other];
    let rows = field.chunks_exact(dim).zip(&augmentations);
    let batch: Vec<f32> = rows.flat_map(|(row, augmentation)| augmentation.apply(shape, row)).collect();
    let (labels, field_labels) = ([None; 4], [None; 6]);
    let charges = Charges {
        shape,
        batch: &batch,
        field: &field,
        labels: &labels,
        field_labels: &field_labels,
        augmentations: &augmentations,
    };
    let objective = Objective::Denoising(DenoisingObjective { reference: 6, ..DenoisingObjective::default() });
    let mut streams: Vec<_> = (0..4).map(|item| stream(1, Purpose::Perturbation, 0, item)).collect();
    let targets = objective.draw(noise(Finite(128.0)), charges, &mut streams);
    for (item, augmentation) in augmentations.iter().enumerate() {
        let seen = field.chunks_exact(dim).flat_map(|row| augmentation.apply(shape, row)).map(f64::from).collect();
        let exact = ExactField::new(seen, dim, Finite(128.0));
        let x: Vec<f64> = targets.x[dim * item..][..dim].iter().map(|&v| f64::from(v)).collect();
        let mut expected = [0.0; 16];
        exact.denoise(&Query { x: &x, sigma: &[targets.sigma[item]], item: &[0] }, &mut expected);
        for (found, expected) in targets.yhat[dim * item..].iter().zip(expected) {
            assert!((f64::from(*found) - expected).abs() < 1e-4, "item {item}: {found} against {expected}");
        }
    }
}

#[test]
fn score_models_are_trained_at_uniform_times() {
    let (beta_min, beta_max) = (0.1, 20.0);
    let field = [0.0_f32; 2];
    for (output, level) in [
        (Output::Ve { scaled: true, unit: 1.0 }, (|t: f64| 0.01 * 5000_f64.powf(t)) as fn(f64) -> f64),
        (Output::Vp { beta_min, beta_max }, |t| (0.1 * t + 9.95 * t * t).exp_m1().sqrt()),
        (Output::SubVp { beta_min, beta_max }, |t| 2.0 * (0.05 * t + 4.975 * t * t).sinh()),
    ] {
        let labels = [None];
        let charges = Charges {
            shape: Shape::Vector { len: 2 },
            batch: &field,
            field: &field,
            labels: &labels,
            field_labels: &labels,
            augmentations: &[],
        };
        let objective = DenoisingObjective { levels: Levels::Uniform, ..DenoisingObjective::default() };
        let noise = Noise { extra_dims: Infinite, process: output.process(), range: (0.01, 50.0) };
        let mut drawn: Vec<f64> = (0..2000)
            .map(|item| {
                let mut streams = [stream(3, Purpose::Perturbation, 0, item)];
                Objective::Denoising(objective.clone()).draw(noise, charges, &mut streams).sigma[0]
            })
            .collect();
        drawn.sort_by(f64::total_cmp);
        // The largest distance between shares and times: beyond 0.0435 once in a thousand draws of 2000.
        let worst = drawn.iter().enumerate().map(|(at, sigma)| {
            let (mut low, mut high) = (0.0, 1.0);
            for _ in 0..60 {
                let middle = (low + high) / 2.0;
                if level(middle) < *sigma { low = middle } else { high = middle }
            }
            (low - (at as f64 + 0.5) / 2000.0_f64).abs()
        });
        let worst = worst.fold(0.0, f64::max);
        assert!(worst < 0.0435, "{output:?}: {worst}");
    }
}

#[test]
fn targets_are_the_field_of_the_items_class() {
    // Six charges of two classes in the plane; four items, one of which has no class.
    let (dim, field) = (2, [0.0_f32, 0.1, 1.0, -1.0, 0.5, 0.4, 2.0, 1.0, -1.0, 0.3, 0.2, -2.0]);
    let field_labels: Vec<_> = [0, 1, 0, 1, 1, 0].map(Some).into();
    let labels = [Some(0), Some(1), None, Some(1)];
    let charges = Charges {
        shape: Shape::Vector { len: dim },
        batch: &field[..8],
        field: &field,
        labels: &labels,
        field_labels: &field_labels,
        augmentations: &[],
    };
    let stable = DenoisingObjective { reference: 6, ..DenoisingObjective::default() };
    let pfgm = FieldObjective { m: Some(100), field_batch: 6, ..FieldObjective::default() };
    for objective in [Objective::Denoising(stable), Objective::Field(pfgm)] {
        for extra_dims in [Finite(1.0), Finite(128.0), Infinite] {
            let mut streams: Vec<_> = (0..4).map(|item| stream(1, Purpose::Perturbation, 0, item)).collect();
            let targets = objective.draw(noise(extra_dims), charges, &mut streams);
            for (item, label) in labels.iter().enumerate() {
                let of_class =
                    |(row, _): &(&[f32], &Option<u32>)| row.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
                let kept = field.chunks_exact(dim).zip(&field_labels).filter(|(_, l)| label.is_none() || *l == label);
                let exact = ExactField::new(kept.flat_map(|pair| of_class(&pair)).collect(), dim, extra_dims);
                let x: Vec<f64> = targets.x[2 * item..2 * item + 2].iter().map(|&v| f64::from(v)).collect();
                let mut expected = [0.0; 2];
                let sigma = [targets.sigma[item]];
                exact.denoise(&Query { x: &x, sigma: &sigma, item: &[0] }, &mut expected);
                for (found, expected) in targets.yhat[2 * item..].iter().zip(expected) {
                    assert!((f64::from(*found) - expected).abs() < 1e-4, "{objective:?}, {extra_dims}, item {item}");
                }
            }
        }
    }
}

#[test]
fn what_a_network_should_say_makes_yhat() {
    let (x, yhat) = ([0.3_f32, -1.0, 2.0, 0.7], [0.1_f32, -0.5, 1.0, 0.2]);
    let (beta_min, beta_max) = (0.1, 20.0);
    let digits = pfgm_data::open("digits", &OpenOptions::default()).unwrap();
    let spec = ModelSpec::resolve(Config::default(), &digits).unwrap();
    let linear = DiscreteSchedule::Linear { beta_start: 1e-4, beta_end: 0.02, steps: 1000 };
    for output in [
        Output::Field { gamma: 5.0 },
        Output::Ve { scaled: true, unit: 1.0 },
        Output::Ve { scaled: true, unit: 2.0 },
        Output::Ve { scaled: false, unit: 2.0 },
        Output::Vp { beta_min, beta_max },
        Output::SubVp { beta_min, beta_max },
        Output::Discrete { schedule: linear.clone(), quantity: Quantity::Epsilon },
        Output::Discrete { schedule: linear.clone(), quantity: Quantity::V },
        Output::Discrete { schedule: linear, quantity: Quantity::Sample },
    ] {
        for sigma in [0.05, 1.0, 30.0] {
            let prediction = Prediction { output: output.clone(), ..spec.prediction() };
            let raw = prediction.target(&x, &[sigma], &yhat).unwrap();
            let coefficients = prediction.coefficients(&x, &[sigma]);
            let mut out = vec![0.0; x.len()];
            prediction.to_yhat(&coefficients[0], &x.map(f64::from), &raw, &mut out);
            for (found, &expected) in out.iter().zip(&yhat) {
                assert!((found - f64::from(expected)).abs() < 2e-5 * sigma.max(1.0), "{output:?} at {sigma}: {out:?}");
            }
        }
        // Levels converted to the network's input and back.
        for t in [0.01, 0.4, 1.0] {
            let prediction = Prediction { output: output.clone(), ..spec.prediction() };
            let level_at = |t: f64| match &output {
                Output::Vp { .. } | Output::SubVp { .. } => output.process().sigma(t, (0.0, 0.0)),
                Output::Discrete { schedule, .. } => {
                    // Between two steps, by the logarithm.
                    let (levels, step) = (schedule.levels(), 999.0 * t);
                    let (low, share) = (step.floor() as usize, step.fract());
                    let high = (low + 1).min(levels.len() - 1);
                    levels[low].powf(1.0 - share) * levels[high].powf(share)
                }
                Output::Edm | Output::Field { .. } | Output::Ve { .. } => t,
            };
            let level = prediction.coefficients(&x, &[level_at(t)])[0].noise;
            let scale = match output {
                Output::Vp { .. } | Output::SubVp { .. } | Output::Discrete { .. } => 999.0,
                Output::Ve { unit, .. } => 1.0 / unit,
                Output::Edm | Output::Field { .. } => 1.0,
            };
            assert!((level - scale * t).abs() < 1e-9 * scale, "{output:?}: {t} becomes {level}");
        }
    }
}

#[test]
fn images_show_their_noise_before_it_hides_them() {
    // An image of the data with noise twenty times its level, at D = 1.
    let digits = pfgm_data::open("digits", &OpenOptions::default()).unwrap();
    let mut config = Config::default();
    config.flow.extra_dims = Finite(1.0);
    let spec = ModelSpec::resolve(config.clone(), &digits).unwrap();
    assert!(spec.config.flow.detail_rms.is_some_and(|most| most > 0.1 && most < spec.config.flow.max_row_rms.unwrap()));
    let mut row = vec![0.0; 64];
    digits.read(0, &mut row).unwrap();
    spec.data.transform.forward(&mut row);
    let noisy = |size: f32| -> Vec<f32> {
        let mut rng = stream(3, Purpose::Perturbation, 0, 0);
        row.iter().map(|value| value + size * rng.sample::<f32, _>(StandardNormal)).collect()
    };
    let far = |spec: &ModelSpec, size: f32| spec.prediction().coefficients(&noisy(size), &[0.05])[0].log_sigma_ratio;
    assert_eq!(far(&spec, 0.0), 0.0);
    // The network's input is a quarter of the logarithm of the ratio.
    assert!((far(&spec, 1.0) - 20.0_f64.ln() / 4.0).abs() < 0.1, "{}", far(&spec, 1.0));
    // An old run uses the norm, Gaussian noise uses the level.
    let mut before = spec.clone();
    before.config.flow.detail_rms = None;
    assert!(far(&before, 5.0) > 0.0 && far(&before, 1.0) != far(&spec, 1.0));
    config.flow.extra_dims = Infinite;
    assert_eq!(far(&ModelSpec::resolve(config, &digits).unwrap(), 1.0), 0.0);
    // A patch uses its shape, and its norm if it has no block of 2x2 pixels.
    let pixel = spec.prediction_of(Shape::Image { height: 1, width: 1, channels: 1 });
    assert!(pixel.coefficients(&[9.0_f32], &[0.05])[0].log_sigma_ratio > 0.5);
    let shape = Shape::Image { height: 4, width: 4, channels: 1 };
    let patch = spec.prediction_of(shape).coefficients(&noisy(5.0)[..16], &[0.05]);
    assert!(patch[0].log_sigma_ratio > 0.5);
}

#[test]
fn gamma_of_the_objective_is_that_of_the_loss() {
    let digits = pfgm_data::open("digits", &OpenOptions::default()).unwrap();
    let of = |gamma: Option<f64>| {
        let field = FieldObjective { gamma, ..FieldObjective::default() };
        let mut config = Config { objective: Objective::Field(field), ..Config::default() };
        config.flow.extra_dims = Finite(1.0);
        ModelSpec::resolve(config, &digits).unwrap().prediction()
    };
    // Two points of the plane, and a raw output there.
    let (x, yhat, raw) = ([1.0_f32, 0.0, 0.5, -0.3], [0.2_f32, 0.1, -0.4, 0.6], [0.3_f32, -0.2, 0.1, 0.4]);
    let points = TrainingPoints { dim: 2, x: x.to_vec(), sigma: vec![0.7, 2.0], yhat: yhat.to_vec() };
    let field = |along: [f64; 2], z: f64, gamma: f64| {
        let [a, b] = along;
        let factor = -(2.0_f64).sqrt() / ((a * a + b * b + z * z).sqrt() + gamma);
        [factor * a, factor * b, factor * z]
    };
    for (given, gamma) in [(None, 5.0), (Some(5.0), 5.0), (Some(0.5), 0.5)] {
        let prediction =
            Prediction { precondition: Precondition { sigma_data: 0.5, noise_estimate: None }, ..of(given) };
        let coefficients = prediction.coefficients(&x, &points.sigma);
        let raw_tensor = Tensor::from_data(TensorData::new(raw.to_vec(), [2, 2]), &Device::flex());
        let found = f64::from(prediction.loss(&points, raw_tensor, &coefficients).into_scalar::<f32>());
        let mut expected = 0.0;
        for (row, coefficients) in coefficients.iter().enumerate() {
            let at = |values: &[f32; 4], axis: usize| f64::from(values[2 * row + axis]);
            let estimate = |axis| coefficients.skip * at(&x, axis) + coefficients.out * at(&raw, axis);
            let v = field([0, 1].map(|axis| at(&x, axis) - estimate(axis)), coefficients.sigma, gamma);
            let w = field([0, 1].map(|axis| at(&x, axis) - at(&yhat, axis)), coefficients.sigma, gamma);
            expected += v.iter().zip(w).map(|(v, w)| (v - w).powi(2)).sum::<f64>() / 3.0;
        }
        assert!((found / expected - 1.0).abs() < 1e-5, "gamma = {gamma}: {found} instead of {expected}");
    }
}

#[test]
fn a_gamma_without_effect_is_read_and_named() {
    let read = |objective: &str, output: &str| -> Config {
        toml::from_str(&format!("[objective]\nkind = \"pfgm\"\n{objective}\n[flow.output]\n{output}")).unwrap()
    };
    let field = "kind = \"field\"\ngamma = 5";
    let notices = read("gamma = 3", field).unused_keys();
    assert_eq!(notices.len(), 1);
    assert!(notices[0].0 == "objective.gamma" && notices[0].1.contains("flow.output.gamma = 5"), "{notices:?}");
    assert_eq!(read("", field).unused_keys(), []);
    assert_eq!(read("gamma = 3", "kind = \"edm\"").unused_keys(), []);
    for preset in pfgm::presets::PRESETS {
        let config: Config = toml::from_str(preset.text).unwrap();
        assert_eq!(config.unused_keys(), [], "{}", preset.name);
    }
}
