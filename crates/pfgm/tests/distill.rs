//! Consistency tuning against the exact consistency function of charges, and what breaks it.
#![allow(missing_docs)]

use burn::tensor::Device;
use pfgm::{
    Model,
    config::Config,
    consistency::flow_line_ends,
    extra_dims::ExtraDims::{self, Finite, Infinite},
    field::ExactField,
    flow::{Denoiser, Flow, Query},
    model::{Denoise, Distill, Fit, FitProgress, Likelihood},
    network::{MlpConfig, NetworkConfig},
    objective::{Charges, ConsistencyObjective, Noise, Objective},
    prior,
    process::Process,
    random::{Purpose, stream},
    solver::{Solver, Tolerance},
};
use pfgm_data::{Dataset, Shape};

#[test]
fn both_points_of_a_pair_share_one_draw_of_noise() {
    let objective = ConsistencyObjective::default();
    let y: Vec<f32> = (0..64 * 4).map(|at| ((at * 37) % 101) as f32 / 50.0 - 1.0).collect();
    let labels = [None; 64];
    let shape = Shape::Vector { len: 4 };
    for extra_dims in [Finite(1.0), Finite(64.0), Infinite] {
        let charges = Charges { shape, batch: &y, field: &[], labels: &labels, field_labels: &[], augmentations: &[] };
        let noise = Noise { extra_dims, process: Process::Ve, range: (2e-3, 80.0) };
        let mut streams: Vec<_> = (0..64).map(|item| stream(1, Purpose::Perturbation, 0, item)).collect();
        let upper = Objective::Consistency(objective.clone()).draw(noise, charges, &mut streams);
        for stage in 1..=8 {
            let lower = objective.lower_points(&upper, stage, 2e-3);
            for (at, y) in y.iter().enumerate() {
                let row = at / 4;
                let (t, s) = (upper.sigma[row], lower.sigma[row]);
                assert!((2e-3..=80.0).contains(&t) && (0.0..t).contains(&s));
                let [of_t, of_s] = [&upper, &lower].map(|points| f64::from(points.x[at] - y));
                let rounding = 1e-6 * (f64::from(upper.x[at]).abs() + 1.0);
                assert!((of_t * s - of_s * t).abs() < rounding * t, "D = {extra_dims}: {of_t} at {t}, {of_s} at {s}");
            }
        }
    }
}

#[test]
fn the_levels_approach_each_other_in_stages() {
    let objective = ConsistencyObjective { stage_steps: 10, stages: 3, ..ConsistencyObjective::default() };
    assert_eq!([0, 9, 10, 20, 1000, u64::MAX].map(|step| objective.stage(step)), [1, 1, 2, 3, 3, 3]);
    // 1 - n / q^k with n = 1 + 8 / (1 + exp(t)).
    let expected = |t: f64, stage: i32| t * (1.0 - (1.0 + 8.0 / (1.0 + t.exp())) / 2.0_f64.powi(stage));
    assert!((objective.lower_level(20.0, 2, 0.0) - expected(20.0, 2)).abs() < 1e-12);
    assert_eq!(objective.lower_level(0.1, 2, 0.0), 0.0, "near the data, the first stages lead to sigma = 0");
    assert!(objective.lower_level(0.1, 6, 0.0) > 0.9 * 0.1);
    assert_eq!(objective.lower_level(0.1, 6, 0.1), 0.0, "below the range of the flow there is only the data");
}

/// A configuration for points in the plane.
fn in_the_plane(extra_dims: ExtraDims) -> Config {
    let mut config = Config::default();
    config.data.source = "two-moons".into();
    config.network = NetworkConfig::Mlp(MlpConfig { width: 64, blocks: 2, dropout: 0.0 });
    config.flow.extra_dims = extra_dims;
    (config.flow.sigma_min, config.flow.sigma_max) = (0.05, Some(20.0));
    (config.train.batch, config.train.steps, config.train.warmup) = (128, 300, 30);
    (config.train.lr, config.train.ema, config.train.cooldown) = (2e-3, 0.99, 100);
    config
}

/// The error of a model's jumps, relative to the spread of the exact ends, at noise levels.
fn relative_errors(model: &Model, data: &Dataset, levels: &[f64]) -> Vec<f64> {
    const POINTS: usize = 200;
    let spec = model.spec();
    let (dim, extra_dims) = (spec.dim(), spec.extra_dims());
    let rows = spec.rows(data).unwrap();
    let charges = spec.to_model_space(&rows.values);
    let field = ExactField::new(charges.clone(), dim, extra_dims);
    let flow = Flow { denoiser: &field, extra_dims };
    let learned = model.denoiser(vec![None; POINTS], 1.0);
    let item: Vec<usize> = (0..POINTS).collect();
    let of_level = |&sigma: &f64| {
        let point = |item: usize| {
            let mut x = charges[(item * 7 % rows.len()) * dim..][..dim].to_vec();
            prior::perturb(extra_dims, sigma, &mut stream(9, Purpose::Evaluation, 0, item as u64), &mut x);
            x
        };
        let x: Vec<f64> = (0..POINTS).flat_map(point).collect();
        let (mut exact, mut found) = (x.clone(), vec![0.0; x.len()]);
        let tolerance = Tolerance { rtol: 1e-4, atol: 1e-4 };
        flow_line_ends(&flow, &[sigma; POINTS], spec.range().0, tolerance, &mut exact).unwrap();
        learned.denoise(&Query { x: &x, sigma: &[sigma; POINTS], item: &item }, &mut found);
        let mean = |axis: usize| exact.iter().skip(axis).step_by(dim).sum::<f64>() / POINTS as f64;
        let means: Vec<f64> = (0..dim).map(mean).collect();
        let squares = exact.iter().zip(&found).map(|(a, b)| (a - b) * (a - b)).sum::<f64>();
        let spread = exact.iter().enumerate().map(|(at, a)| (a - means[at % dim]).powi(2)).sum::<f64>();
        (squares / spread).sqrt()
    };
    levels.iter().map(of_level).collect()
}

#[test]
fn learned_jumps_end_where_the_exact_flow_lines_of_the_charges_end() {
    // Few charges: the exact ends are computed for each of them.
    let data = Dataset::open("two-moons").unwrap().select(&(0..400).collect::<Vec<_>>());
    for extra_dims in [Finite(1.0), Finite(8.0), Infinite] {
        let mut model = Model::from_config(in_the_plane(extra_dims), &data).unwrap();
        model.fit(&data, Fit::configured()).unwrap();
        let mut fast = model.distill(&data, Distill::consistency(1000)).unwrap();
        fast.fit(&data, Fit::configured()).unwrap();
        let levels = [0.1, 0.3, 1.0, 4.0, 20.0];
        let errors = relative_errors(&fast, &data, &levels);
        println!("D = {extra_dims}: {errors:.3?}");
        // Means, which the first model estimates, are no ends of flow lines: its error at large sigma is about 1.
        let of_means = relative_errors(&model, &data, &levels);
        println!("D = {extra_dims}, before: {of_means:.3?}");
        assert!(of_means[4] > 0.8);
        // Seen: at most 0.31, after one second of training. Where there is much noise, the first model is three times as far.
        for ((error, of_mean), level) in errors.iter().zip(&of_means).zip(levels) {
            assert!(*error < 0.38, "D = {extra_dims}, sigma = {level}: {error}");
            assert!(
                level < 4.0 || *error < 0.45 * of_mean,
                "D = {extra_dims}, sigma = {level}: {error}, before {of_mean}"
            );
        }
        // Where there is no noise, there is no way to go.
        let rows = fast.spec().to_model_space(&fast.spec().rows(&data).unwrap().values);
        let x = &rows[..2 * 50];
        let mut ends = vec![0.0; x.len()];
        let item: Vec<usize> = (0..50).collect();
        fast.denoiser(vec![None; 50], 1.0).denoise(&Query { x, sigma: &[1e-7; 50], item: &item }, &mut ends);
        assert!(x.iter().zip(&ends).all(|(x, end)| (x - end).abs() < 1e-5));
    }
}

#[test]
fn what_needs_yhat_is_refused_with_a_reason() {
    let (model, digits) = (Model::load("digits").unwrap(), Dataset::open("digits").unwrap());
    let few = digits.select(&(0..20).collect::<Vec<_>>());
    let mut fast = model.distill(&few, Distill::consistency(2)).unwrap();
    fast.fit(&few, Fit::configured().batch(4)).unwrap();
    let samples = fast.sample(3).seed(5).class("7").draw().unwrap();
    assert_eq!(samples.nfe(), 2.0);
    assert!(samples.values().iter().all(|value| value.is_finite()));
    let again = fast.sample(2).seeds([7, 6]).class("7").draw().unwrap();
    assert_eq!(again.values()[64..], samples.values()[64..128], "a sample depends on its seed alone");
    let errors = [
        fast.encode(&few, Solver::rk45(1e-3)).unwrap_err(),
        fast.log_likelihood(&few, Likelihood::default()).unwrap_err(),
        fast.denoise(&few, Denoise::sigma(0.5)).unwrap_err(),
        fast.distill(&few, Distill::consistency(2)).unwrap_err(),
        fast.sample(1).solver(Solver::heun(4)).draw().unwrap_err(),
        fast.sample(1).guidance(2.0).draw().unwrap_err(),
    ];
    for error in errors.map(|error| error.to_string()) {
        assert!(error.contains("distilled"), "{error}");
    }
    let error = model.sample(1).solver(Solver::consistency(1)).draw().unwrap_err().to_string();
    assert!(error.contains("pfgm distill") || error.contains("distilled"), "{error}");
    // Latents are decoded: the jump is the way down.
    let decoded = fast.decode(&fast.latents([5, 6, 7]), Solver::consistency(1)).unwrap();
    assert_eq!(decoded.rows(), 3);
}

/// A distillation of four steps with a stop at each of `parts`, resumed from its folder.
fn distilled(model: &Model, data: &Dataset, distill: Distill, parts: &[u64]) -> Model {
    let folder = tempfile::tempdir().unwrap();
    let mut fast = model.distill(data, distill).unwrap();
    for &end in parts {
        let observer = |progress: &FitProgress| {
            if progress.step < end { std::ops::ControlFlow::Continue(()) } else { std::ops::ControlFlow::Break(()) }
        };
        fast.fit(data, Fit::configured().batch(8).folder(folder.path()).observer(observer)).unwrap();
        fast = Model::resume(folder.path(), &Device::flex()).unwrap();
    }
    fast
}

/// A model of a Gaussian in two dimensions.
fn gaussian_model(extra_dims: ExtraDims) -> (Model, Dataset) {
    let data = Dataset::open("gaussian").unwrap();
    let mut config =
        Config { network: NetworkConfig::Mlp(MlpConfig { width: 48, blocks: 2, dropout: 0.0 }), ..Config::default() };
    config.flow.extra_dims = extra_dims;
    (config.train.steps, config.train.batch, config.train.lr, config.train.ema) = (300, 128, 3e-3, 0.97);
    config.train.cooldown = 100;
    config.data.source = "gaussian".into();
    let mut model = Model::from_config(config, &data).unwrap();
    model.fit(&data, Fit::configured()).unwrap();
    (model, data)
}

/// Root mean square of the coordinates of a model's samples.
fn spread(model: &Model) -> f64 {
    let samples = model.sample(2000).solver(Solver::consistency(1)).draw().unwrap();
    rms(samples.values())
}

fn rms(values: &[f32]) -> f64 {
    (values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>() / values.len() as f64).sqrt()
}

#[test]
fn a_generator_learns_the_spread_of_data_that_it_never_sees() {
    for extra_dims in [Finite(8.0), Infinite] {
        let (model, data) = gaussian_model(extra_dims);
        let truth = rms(&data.values().unwrap());
        let mut fast = model.distill(&data, Distill::ipfm(300)).unwrap();
        // The first generator is the teacher's estimate, which lies near the mean.
        assert!(spread(&fast) < 0.6 * truth, "D = {extra_dims}: {} of {truth}", spread(&fast));
        fast.fit(&data, Fit::configured()).unwrap();
        let found = spread(&fast) / truth;
        assert!((found - 1.0).abs() < 0.15, "D = {extra_dims}: {found}");
    }
}

#[test]
fn a_generator_sees_no_data_and_survives_a_stop() {
    let (model, digits) = (Model::load("digits").unwrap(), Dataset::open("digits").unwrap());
    let few = digits.select(&(0..40).collect::<Vec<_>>());
    let tuned = |data: &Dataset, guidance: f64, parts: &[u64]| {
        let fast = distilled(&model, data, Distill::ipfm(4).guidance(guidance), parts);
        fast.sample(4).draw().unwrap().values().to_vec()
    };
    let whole = tuned(&few, 1.0, &[4]);
    assert_eq!(whole, tuned(&few, 1.0, &[2, 4]), "teacher, fake and its moments are in the checkpoint");
    assert_ne!(whole, tuned(&few, 3.0, &[4]), "guidance is the teacher's");
    // Other rows with the same classes.
    let others: Vec<usize> = {
        let labels = &digits.labels.as_ref().unwrap().of_row;
        let of = |row: usize| (40..digits.len()).find(|&other| labels[other] == labels[row]).unwrap();
        (0..40).map(of).collect()
    };
    assert_eq!(whole, tuned(&digits.select(&others), 1.0, &[4]));
    let fast = distilled(&model, &few, Distill::ipfm(4), &[4]);
    let error = fast.sample(1).solver(Solver::consistency(2)).draw().unwrap_err().to_string();
    assert!(error.contains("ipfm"), "{error}");
    let mut config = Distill::ipfm(4).config(model.spec());
    let Objective::Inverse(ipfm) = &mut config.objective else { unreachable!() };
    ipfm.highest = config.flow.sigma_min;
    assert!(Model::from_config(config, &few).unwrap_err().to_string().contains("objective.highest"));
    let mut config = Distill::ipfm(4).config(model.spec());
    config.train.batch = 8;
    assert!(Model::from_config(config, &few).unwrap().fit(&few, Fit::configured()).is_err(), "nothing to learn from");
}

#[test]
fn guidance_is_built_in_and_survives_a_stop() {
    let (model, digits) = (Model::load("digits").unwrap(), Dataset::open("digits").unwrap());
    let few = digits.select(&(0..40).collect::<Vec<_>>());
    let tuned = |guidance: f64, parts: &[u64]| {
        distilled(&model, &few, Distill::consistency(4).guidance(guidance), parts).to_bytes().unwrap()
    };
    let whole = tuned(2.0, &[4]);
    assert!(whole == tuned(2.0, &[2, 4]), "the teacher is in the checkpoint, so a resumed training is the same");
    assert!(whole != tuned(1.0, &[4]));
    // Without a trained run there is nothing to take guidance from.
    let mut config = Distill::consistency(4).guidance(2.0).config(model.spec());
    config.train.batch = 8;
    let error = Model::from_config(config, &few).unwrap().fit(&few, Fit::configured()).unwrap_err().to_string();
    assert!(error.contains("objective.guidance"), "{error}");
}

#[test]
fn a_teacher_is_followed_and_survives_a_stop() {
    let (model, digits) = (Model::load("digits").unwrap(), Dataset::open("digits").unwrap());
    let few = digits.select(&(0..40).collect::<Vec<_>>());
    let tuned = |teacher: bool, guidance: f64, parts: &[u64]| {
        let objective = ConsistencyObjective { teacher, guidance, stage_steps: 1, ..ConsistencyObjective::default() };
        distilled(&model, &few, Distill::consistency(4).objective(objective), parts).to_bytes().unwrap()
    };
    let whole = tuned(true, 1.0, &[4]);
    assert!(whole == tuned(true, 1.0, &[2, 4]), "the teacher is in the checkpoint, so a resumed training is the same");
    assert!(whole != tuned(false, 1.0, &[4]));
    assert!(tuned(true, 2.0, &[4]) != tuned(false, 2.0, &[4]) && tuned(true, 2.0, &[4]) != whole);
}
