//! `Model` agrees with its parts, for every batch size, and stops on request.

use std::{cell::Cell, ops::ControlFlow, path::Path};

use pfgm::{
    CancelToken, Error, ExactField, Model,
    config::{Config, DataConfig},
    extra_dims::ExtraDims,
    flow::{Denoiser, Flow, Query},
    guided::Guided,
    likelihood::{Density, Prior, Probe, Trace as TraceOf},
    model::{Anomaly, Denoise, Fit, Inpaint, Likelihood, Posterior, ScheduleSearch, Trace, WeightNames},
    posterior::{Downsampling, LinearOperator, Matrix},
    random::{Purpose, stream},
    solver::{self, Heun, Solver},
};
use pfgm_data::{Dataset, Labels, OpenOptions, Shape, Values};
use rand::RngExt;

fn heun(steps: usize) -> Heun {
    Solver::heun(steps)
}

fn open(name: &str) -> Dataset {
    pfgm_data::open(name, &OpenOptions::default()).unwrap()
}

/// Two clouds of points, of which the first class has three times as many, and a third class that no point has.
fn clouds(rows: usize) -> Dataset {
    let mut rng = stream(3, Purpose::Evaluation, 0, 0);
    let of_row: Vec<u32> = (0..rows as u32).map(|row| u32::from(row % 4 == 0)).collect();
    let values = of_row.iter().flat_map(|&class| [class as f32 * 4.0, 0.0]).map(|x| x + rng.random_range(-0.5..0.5));
    let names = ["left", "right", "nowhere"].map(String::from).to_vec();
    let labels = Some(Labels { of_row: of_row.clone(), names });
    Dataset::new(Path::new("clouds"), Shape::Vector { len: 2 }, Values::Floats(values.collect()), None, labels).unwrap()
}

#[test]
fn samples_are_points_of_the_prior_moved_down_the_flow() {
    let model = Model::load("digits").unwrap();
    let classes = [Some(3), None, Some(7), Some(0), Some(3)];
    let drawn = model.sample(5).seed(11).classes(classes).guidance(1.5).solver(heun(3)).draw().unwrap();

    let spec = model.spec();
    let denoiser = model.denoiser(classes.to_vec(), 1.5);
    let flow = Flow { denoiser: &denoiser, extra_dims: spec.extra_dims() };
    let mut x = flow.latents(spec.range().1, 0, 11..16);
    solver::sample(&flow, &heun(3).into(), spec.range(), &mut x).unwrap();
    assert_eq!(drawn.values(), spec.to_data_units(&x));
    assert_eq!((drawn.rows(), drawn.row_shape(), drawn.nfe()), (5, &[8, 8][..], 5.0));
    assert_eq!((&drawn.seeds[..], &drawn.classes[..]), (&[11, 12, 13, 14, 15][..], &classes[..]));

    let in_parts = model.sample(5).seed(11).classes(classes).guidance(1.5).solver(heun(3)).batch(2).draw().unwrap();
    assert_eq!(in_parts, drawn);
}

#[test]
fn a_weaker_model_guides_as_the_model_without_classes_does() {
    let model = Model::load("digits").unwrap();
    let classes = [Some(3), None, Some(7)];
    let request = || model.sample(3).seed(11).classes(classes).solver(heun(3));
    let plain = request().draw().unwrap();
    let guided = request().guidance(2.0).draw().unwrap();
    assert_ne!(plain.values(), guided.values());
    // At all levels, at none, and between.
    let (low, high) = model.spec().range();
    let at = |levels| request().guidance(2.0).guidance_levels(levels).draw().unwrap();
    assert_eq!(at(low..=high), guided);
    assert_eq!(at(2.0 * high..=3.0 * high), plain);
    let part = at(1.0..=high);
    assert_ne!(part, plain);
    assert_ne!(part, guided);
    // A model guides itself nowhere: u + w (c - u) with c = u.
    let alone = request().autoguide(&model).guidance(3.0).draw().unwrap();
    let largest = alone.values().iter().zip(plain.values()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(largest < 1e-3, "{largest}");
    // A weaker one guides rows with and without a class, by u + w (c - u).
    let mut weaker = model.clone();
    weaker.quantize(3);
    let found = request().autoguide(&weaker).guidance(1.7).draw().unwrap();
    let (estimate, of_weaker) = (model.denoiser(classes.to_vec(), 1.0), weaker.denoiser(classes.to_vec(), 1.0));
    let denoiser = Guided { estimate, weaker: of_weaker, scale: 1.7, levels: 0.0..=f64::INFINITY };
    let flow = Flow { denoiser: &denoiser, extra_dims: model.spec().extra_dims() };
    let mut x = flow.latents(high, 0, 11..14);
    solver::sample(&flow, &heun(3).into(), (low, high), &mut x).unwrap();
    assert_eq!(found.values(), model.spec().to_data_units(&x));
    let in_parts = request().autoguide(&weaker).guidance(1.7).batch(2).draw().unwrap();
    assert_eq!(in_parts, found);
}

#[test]
fn guidance_that_does_not_fit_is_refused() {
    let model = Model::load("digits").unwrap();
    let (data, points) = (open("digits"), open("heart"));
    let other = |change: &dyn Fn(&mut Config), data: &Dataset| {
        let mut config = model.spec().config.clone();
        change(&mut config);
        Model::from_config(config, data).unwrap()
    };
    let other_d = other(&|config| config.flow.extra_dims = ExtraDims::Finite(1.0), &data);
    let of_points = Model::from_config(
        Config { data: DataConfig { source: "heart".into(), ..DataConfig::default() }, ..Config::for_data(&points) },
        &points,
    )
    .unwrap();
    let without_classes = other(&|config| config.data.conditional = false, &data);
    let narrower = other(&|config| config.flow.sigma_max = Some(5.0), &data);
    let of_levels = |levels| {
        let request = model.sample(1).autoguide(&narrower).guidance(2.0).guidance_levels(levels);
        request.solver(heun(1)).draw()
    };
    assert!(of_levels(0.1..=5.0).is_ok());
    match of_levels(0.1..=6.0) {
        Err(Error::Argument { name: "weaker", problem }) => assert!(problem.contains("from 0.1 to 6"), "{problem}"),
        found => panic!("{found:?}"),
    }
    for (weaker, part) in
        [(&other_d, "its D is 1"), (&of_points, "its rows are"), (&narrower, "it was trained on noise levels")]
    {
        match model.sample(1).autoguide(weaker).guidance(2.0).draw() {
            Err(Error::Argument { name: "weaker", problem }) => assert!(problem.contains(part), "{problem}"),
            found => panic!("{found:?}"),
        }
    }
    model.sample(1).autoguide(&without_classes).guidance(2.0).solver(heun(1)).draw().unwrap();
    let error = without_classes.sample(1).autoguide(&model).guidance(2.0).draw().unwrap_err();
    assert!(matches!(error, Error::Argument { name: "weaker", .. }), "{error}");
    for (request, name) in [
        (model.sample(1).autoguide(&without_classes), "guidance"),
        (model.sample(1).autoguide(&without_classes).guidance(f64::NAN), "guidance"),
        (model.sample(1).guidance_levels(1.0..=2.0), "guidance_levels"),
        (model.sample(1).guidance(2.0).guidance_levels(2.0..=1.0), "guidance_levels"),
        (without_classes.sample(1).guidance_levels(1.0..=2.0), "guidance_levels"),
        (without_classes.sample(1).guidance(2.0), "guidance"),
    ] {
        let error = request.draw().unwrap_err();
        assert!(matches!(error, Error::Argument { name: found, .. } if found == name), "{error}");
    }
}

#[test]
fn a_sample_depends_on_its_seed_alone_to_the_bit() {
    let model = Model::load("digits").unwrap();
    for solver in [Solver::from(heun(2)), Solver::unipc(2, 3).into(), Solver::rk45(1e-1).into()] {
        let draw = |seeds: &[u64], batch: usize| {
            let classes = seeds.iter().map(|seed| Some((seed % 10) as u32));
            model.sample(0).seeds(seeds.to_vec()).classes(classes).solver(solver.clone()).batch(batch).draw().unwrap()
        };
        let seeds: Vec<u64> = (0..70).collect();
        let whole = draw(&seeds, 70);
        for batch in [1, 3, 17, 64] {
            assert!(draw(&seeds, batch).values() == whole.values(), "{solver:?}, batches of {batch}");
        }
        let backwards: Vec<u64> = seeds.iter().rev().copied().collect();
        let drawn = draw(&backwards, 64);
        assert!((0..70).all(|row| drawn.row(row) == whole.row(69 - row)), "{solver:?}, in another order");
    }
}

#[test]
fn likelihoods_are_those_of_the_density_in_the_data_units() {
    let model = Model::load("digits").unwrap();
    let rows = open("digits").select(&[5, 77]);
    // Numbers that are not integers are not dequantized.
    let rows = Dataset { values: Values::Floats(rows.some(2).unwrap()), ..rows };
    let found = model.log_likelihood(&rows, Likelihood::default().solver(heun(6)).trace(Trace::Exact)).unwrap();

    let (spec, given) = (model.spec(), model.spec().rows(&rows).unwrap());
    let denoiser = model.denoiser(given.labels.clone(), 1.0);
    let (extra_dims, range) = (spec.extra_dims(), spec.range());
    let density = Density { denoiser: &denoiser, extra_dims, range, solver: heun(6).into(), prior: Prior::Exact };
    let logs = density.log(&spec.to_model_space(&given.values), TraceOf::Exact).unwrap().values;
    // A digit's values go from 0 to 16, the model's from -1 to 1.
    let expected: Vec<f64> = logs.iter().map(|log| log - 64.0 * 8.0_f64.ln()).collect();
    for (found, expected) in found.values().iter().zip(&expected) {
        assert!((found - expected).abs() < 1e-9, "{found} and {expected}");
    }
    assert_eq!(found.mean(), (found.values()[0] + found.values()[1]) / 2.0);
    let of_rows = found.summary().of_rows.unwrap();
    assert!((of_rows - (found.values()[0] - found.values()[1]).abs() / 2.0).abs() < 1e-9);
    assert_eq!(found.standard_error(), of_rows.hypot(found.summary().of_steps.unwrap()));
}

#[test]
fn the_error_of_a_likelihood_contains_that_of_long_steps() {
    let model = Model::load("digits").unwrap();
    let rows = open("digits").select(&[5, 77, 300, 900]);
    let with = |solver: Solver| {
        let how = Likelihood::default().solver(solver).trace(Trace::Probes(Probe::Rademacher));
        *model.log_likelihood(&rows, how).unwrap().summary()
    };
    let exact = with(Solver::rk45(1e-5).into());
    assert!(exact.of_steps.unwrap() < 0.05, "{exact:?}");
    for solver in [Solver::euler(8).into(), Solver::improved_euler(4).into(), Solver::rk45(1e-1).into()] {
        let coarse = with(solver);
        let apart = (coarse.mean - exact.mean).abs();
        assert!(apart > 0.1 && apart < 1.5 * coarse.of_steps.unwrap(), "{apart} apart: {coarse:?}");
        assert!(coarse.error.unwrap() > coarse.of_rows.unwrap(), "{coarse:?}");
    }
    let how = Likelihood::default().solver(Solver::euler(8)).discretization_error(false);
    assert_eq!(model.log_likelihood(&rows, how).unwrap().summary().of_steps, None);
}

#[test]
fn encoding_and_decoding_are_inverse() {
    let model = Model::load("digits").unwrap();
    let rows = open("digits").select(&[0, 1, 2]);
    let rk45 = Solver::rk45(1e-5);
    let latents = model.encode(&rows, rk45).unwrap();
    let back = model.decode(&latents, rk45).unwrap();
    let values = rows.some(3).unwrap();
    let worst = back.values().iter().zip(&values).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst < 0.05, "{worst} of 16");
    let with_another = latents.clone().with_class(Some(5));
    let other = model.decode(&with_another, heun(8)).unwrap();
    assert_ne!(other.values(), back.values());
    let way = model.interpolate(&latents, &with_another.scaled(1.0), 3, heun(4)).unwrap();
    assert_eq!(way.rows(), 9);
}

#[test]
fn an_interrupted_training_goes_on_exactly() {
    let data = clouds(64);
    let new = || Model::builder().extra_dims(f64::INFINITY).seed(5).build(&data).unwrap();
    let fit = || Fit::steps(12).batch(16);
    let (mut whole, mut parts) = (new(), new());
    let report = whole.fit(&data, fit().held_out(&data)).unwrap();
    assert!(report.held_out_loss.is_some_and(f64::is_finite) && !report.is_canceled);

    let stop = |step| {
        move |progress: &pfgm::model::FitProgress| {
            if progress.step == step { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    };
    let first = parts.fit(&data, fit().observer(stop(4))).unwrap();
    assert_eq!((first.steps, first.is_canceled), (4, true));
    let folder = tempfile::tempdir().unwrap();
    parts.save(folder.path()).unwrap();
    let device = pfgm::device::open("cpu").unwrap();
    let mut resumed = Model::resume(folder.path(), &device).unwrap();
    assert_eq!(resumed.fit(&data, fit()).unwrap().steps, 12);
    parts.fit(&data, fit()).unwrap();
    let draw = |model: &Model| model.sample(4).solver(heun(4)).draw().unwrap();
    assert_eq!(draw(&parts), draw(&whole));
    assert_eq!(draw(&resumed), draw(&whole));

    // A later checkpoint is not hidden behind an earlier one.
    whole.save(folder.path()).unwrap();
    assert!(matches!(Model::load(folder.path()).unwrap().step(), 12));
    let mut early = new();
    early.fit(&data, Fit::steps(2).batch(16)).unwrap();
    assert!(matches!(early.save(folder.path()), Err(Error::Argument { name: "folder", .. })));

    // Weights alone are enough to go on, as well.
    let file = folder.path().join("weights.safetensors");
    whole.export(&file, WeightNames::Checkpoint).unwrap();
    let mut tuned = Model::load(&file).unwrap();
    assert_eq!(draw(&tuned), draw(&whole));
    assert_eq!(tuned.fit(&data, Fit::steps(3).batch(16)).unwrap().steps, 3);
    assert_ne!(draw(&tuned), draw(&whole));
    assert!(matches!(Model::resume(&file, &device), Err(Error::Argument { name: "path", .. })));
}

#[test]
fn classes_are_drawn_in_the_shares_of_the_data() {
    let data = clouds(64);
    let model = Model::builder().build(&data).unwrap();
    assert_eq!(model.classes(), ["left", "right", "nowhere"]);
    let classes = model.sample(2000).resolved_classes().unwrap();
    let share = |class: u32| classes.iter().filter(|found| **found == Some(class)).count() as f64 / 2000.0;
    // Five standard deviations of 2000 draws are 0.05.
    assert!(
        (share(1) - 0.25).abs() < 0.05 && share(2) == 0.0 && share(0) + share(1) == 1.0,
        "{} {}",
        share(0),
        share(1)
    );
    // A class depends only on the seed.
    assert_eq!(model.sample(1).seed(1234).resolved_classes().unwrap(), [classes[1234]]);
    assert_eq!(model.sample(4).balanced().resolved_classes().unwrap(), [Some(0), Some(1), Some(0), Some(1)]);
    assert_eq!(model.sample(2).class("right").resolved_classes().unwrap(), [Some(1); 2]);
    for (wrong, part) in [("nowhere", "no row"), ("middle", "left, right")] {
        let error = model.sample(1).class(wrong).draw().unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    assert!(model.sample(2).classes([Some(3), None]).draw().is_err());
    assert!(model.sample(2).classes([None]).draw().is_err());
}

#[test]
fn computations_end_when_they_are_canceled() {
    let model = Model::load("digits").unwrap();
    let calls = Cell::new(0);
    let stop = |_: &pfgm::Progress| {
        calls.set(calls.get() + 1);
        if calls.get() == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    assert!(matches!(model.sample(2).solver(heun(18)).observer(stop).draw(), Err(Error::Canceled)));
    // In the remaining evaluations of the solver, all rows are inactive and the observer sees no evaluated row.
    let evaluations = Cell::new(0);
    let count = |progress: &pfgm::Progress| {
        evaluations.set(progress.evaluations);
        if progress.evaluations >= 6 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    assert!(model.sample(2).solver(heun(18)).observer(count).draw().is_err());
    assert_eq!(evaluations.get(), 6);
    let token = CancelToken::new();
    token.cancel();
    assert!(matches!(model.sample(2).cancel(&token).draw(), Err(Error::Canceled)));
    let rows = open("digits").select(&[0]);
    assert!(matches!(model.log_likelihood(&rows, Likelihood::default().cancel(&token)), Err(Error::Canceled)));
    assert!(matches!(model.denoise(&rows, Denoise::sigma(0.3).cancel(&token)), Err(Error::Canceled)));
}

#[test]
fn restored_images_keep_what_is_known() {
    let model = Model::load("digits").unwrap();
    let rows = open("digits").select(&[8, 9]);
    let values = rows.some(2).unwrap();
    let known: Vec<bool> = (0..64).map(|at| at % 8 < 4).collect();
    let how = || Inpaint::default().steps(6).rounds(1).fillings(2);
    let filled = model.inpaint(&rows, &known, how()).unwrap();
    assert_eq!(filled.rows(), 4);
    for (at, (filled, known)) in filled.values().iter().zip(known.repeat(4)).enumerate() {
        let original = values[at / 128 * 64 + at % 64];
        assert!(!known || (filled - original).abs() < 1e-4, "{at}: {filled} and {original}");
    }
    assert_ne!(filled.row(0), filled.row(1));
    assert_eq!(model.inpaint(&rows, &known, how().batch(1)).unwrap(), filled);
    assert!(model.inpaint(&rows, &[true; 64], how()).is_err() && model.inpaint(&rows, &[true; 3], how()).is_err());

    let mean = model.denoise(&rows, Denoise::sigma(0.3).posterior_mean()).unwrap();
    let given = model.spec().rows(&rows).unwrap();
    let yhat = model.yhat(&model.spec().to_model_space(&given.values), &[0.3; 2], &given.labels).unwrap();
    assert_eq!(mean.samples.values(), model.spec().to_data_units(&yhat));
    let own = model.denoise(&rows, Denoise::estimated().solver(heun(4))).unwrap();
    assert!(own.sigma.iter().all(|sigma| (0.001..2.0).contains(sigma)), "{:?}", own.sigma);
    assert!(model.denoise(&rows, Denoise::sigma(1e9)).is_err());
}

#[test]
fn what_was_not_learned_is_more_unusual() {
    let model = Model::load("digits").unwrap();
    let digits = open("digits");
    let usual = digits.select(&(0..20).collect::<Vec<_>>());
    let noise: Vec<f32> = (0..20 * 64).map(|at| (at * 7919 % 17) as f32).collect();
    let shape = Shape::Image { height: 8, width: 8, channels: 1 };
    let noise = Dataset::new(Path::new("noise"), shape, Values::Floats(noise), Some((0.0, 16.0)), None).unwrap();
    let found = model.anomaly_scores(&usual, &noise, Anomaly::default().reconstruction([0.3])).unwrap();
    let [score] = &found.scores[..] else { panic!("one score: {found:?}") };
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    assert!(mean(&score.of_rows) > 2.0 * mean(&score.usual), "{score:?}");
}

#[test]
fn products_with_the_jacobian_are_derivatives() {
    let model = Model::load("digits").unwrap();
    let (x, sigma, class) = (model.latents([4]).scaled(0.02).x, [1.5], [Some(2)]);
    let vector: Vec<f64> = (0..64).map(|at| ((at * 13) as f64).sin()).collect();
    let direction: Vec<f64> = (0..64).map(|at| ((at * 5) as f64).cos()).collect();
    let (yhat, product) = model.vjp(&x, &sigma, &class, &vector).unwrap();
    assert_eq!(yhat, model.yhat(&x, &sigma, &class).unwrap());
    let moved = |h: f64| -> Vec<f64> { x.iter().zip(&direction).map(|(x, d)| x + h * d).collect() };
    let at = |h: f64| -> f64 {
        model.yhat(&moved(h), &sigma, &class).unwrap().iter().zip(&vector).map(|(y, v)| y * v).sum()
    };
    let (slope, along) =
        ((at(1e-2) - at(-1e-2)) / 2e-2, product.iter().zip(&direction).map(|(p, d)| p * d).sum::<f64>());
    assert!((slope - along).abs() < 2e-2 * along.abs().max(1.0), "{slope} and {along}");
}

#[test]
fn samples_of_the_exact_field_are_its_charges() {
    let data = open("heart").select(&[0, 10, 20, 30, 40]);
    let rk45 = Solver::rk45(1e-5);
    for d in [1.0, 64.0, f64::INFINITY] {
        let field = ExactField::new(&data, d).unwrap();
        let drawn = field.sample(40).seed(2).solver(rk45).draw().unwrap();
        let charges = data.some(5).unwrap();
        let is_near = |row: &[f32]| charges.chunks_exact(2).any(|y| (row[0] - y[0]).hypot(row[1] - y[1]) < 0.02);
        // Samples end at the lowest level, 0.001, where one of twenty is more than 0.02 away at D = 1.
        let near = drawn.values().chunks_exact(2).filter(|row| is_near(row)).count();
        assert!(near >= if d == 1.0 { 32 } else { 40 }, "D = {d}: {near} of 40");
        let x = field.spec().to_model_space(&charges);
        let yhat = field.yhat(&x, &[1e-3; 5]).unwrap();
        assert!(yhat.iter().zip(&x).all(|(a, b)| (a - b).abs() < 1e-2));
        assert!(matches!(field.sample(1).guidance(2.0).draw(), Err(Error::Argument { name: "guidance", .. })));
    }
    assert!(ExactField::new(&data, 0.0).is_err() && ExactField::new(&data, f64::NAN).is_err());
}

#[test]
fn found_levels_go_from_the_highest_to_the_lowest() {
    let model = Model::load("digits").unwrap();
    let solver = Solver::dpmpp(2, 4);
    let levels = model.search_schedule(ScheduleSearch::new(solver).trajectories(4).grid(12)).unwrap();
    let (low, high) = model.spec().range();
    assert_eq!(levels.len(), 5);
    assert!(
        levels.windows(2).all(|pair| pair[0] > pair[1])
            && (levels[0] - high).abs() < 1e-9
            && (levels[4] - low).abs() < 1e-9
    );
    assert!(model.search_schedule(ScheduleSearch::new(Solver::rk45(1e-4))).is_err());
}

#[test]
fn rows_that_do_not_fit_are_rejected() {
    let model = Model::load("digits").unwrap();
    let (heart, digits) = (open("heart"), open("digits").select(&[0]));
    assert!(matches!(model.encode(&heart, heun(2)), Err(Error::Argument { name: "data", .. })));
    // Rows without labels are allowed if there is an unconditional model.
    let unlabeled = Dataset { labels: None, ..digits.clone() };
    assert_eq!(model.encode(&unlabeled, heun(2)).unwrap().classes, [None]);
    let mut spec = model.spec().clone();
    spec.config.train.label_dropout = 0.0;
    assert!(matches!(spec.rows(&unlabeled), Err(Error::Argument { name: "data", .. })));
    let stochastic = heun(4).churn(10.0);
    assert!(model.encode(&digits, stochastic).is_err());
    assert!(model.sample(1).latent_scale(0.0).draw().is_err());
    assert!(model.sample(1).batch(0).draw().is_err());
    let points = Model::builder().build(&heart).unwrap();
    assert!(matches!(points.sample(1).class("3").draw(), Err(Error::Argument { name: "class", .. })));
    assert!(Model::builder().extra_dims(-1.0).build(&heart).is_err());
    let query = Query { x: &[0.0; 2], sigma: &[1.0], item: &[0] };
    points.denoiser(vec![None], 1.0).denoise(&query, &mut [0.0; 2]);
}

#[test]
fn columns_far_from_zero_keep_their_digits() {
    // Millimeters on top of millions of meters, of which single precision keeps half a meter.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("survey.csv");
    let northing = |row: usize| 5_400_000.0 + (row % 8) as f64 * 0.001;
    let line = |row: usize| format!("{},{:.3}\n", 0.1 * (row % 5) as f64, northing(row));
    std::fs::write(&path, format!("height,northing\n{}", (0..64).map(line).collect::<String>())).unwrap();
    let data = open(path.to_str().unwrap());
    let field = ExactField::new(&data, f64::INFINITY).unwrap();
    let drawn = field.sample(20).solver(Solver::heun(20)).draw().unwrap();
    assert!(drawn.wide_values().is_some());
    for row in drawn.values_f64().chunks_exact(2) {
        let (nearest, off) =
            (0..8).map(|at| (at, (row[1] - northing(at)).abs())).min_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
        assert!(off < 2e-4, "{} is {off} from {nearest} mm", row[1]);
    }
    let model = Model::builder().build(&data).unwrap();
    let rows = model.spec().rows(&data).unwrap();
    let points = model.spec().points(&rows);
    // Eight equal steps of a column of unit variance.
    let steps: Vec<f64> = (0..7).map(|row| points[2 * (row + 1) + 1] - points[2 * row + 1]).collect();
    assert!(steps.iter().all(|step| (step - steps[0]).abs() < 1e-3 && *step > 0.1), "{steps:?}");
}

#[test]
fn each_measurement_has_its_own_draws() {
    let model = Model::load("digits").unwrap();
    let rows = open("digits").select(&[3, 4]).values().unwrap();
    let operator = Downsampling::new([8, 8, 1], 2).unwrap();
    let measured = |row: &[f32]| {
        let (row, mut out): (Vec<f64>, _) = (row.iter().map(|&v| f64::from(v)).collect(), vec![0.0; 16]);
        operator.apply(&row, &mut out);
        out
    };
    let both: Vec<f64> = rows.chunks_exact(64).flat_map(measured).collect();
    let how = || Posterior::new(3, 0.5).solver(heun(8)).classes(vec![Some(3), Some(4)]);
    let drawn = model.posterior(&both, &operator, how()).unwrap();
    assert_eq!((drawn.rows(), drawn.seeds.clone()), (6, (0..6).collect()));
    assert_eq!(drawn.classes, [[Some(3); 3], [Some(4); 3]].concat());
    // In any batches, and alone.
    assert_eq!(model.posterior(&both, &operator, how().batch(1)).unwrap(), drawn);
    let alone = Posterior::new(3, 0.5).solver(heun(8)).class(4).seed(3);
    let second = model.posterior(&both[16..], &operator, alone).unwrap();
    assert_eq!(second.values(), &drawn.values()[3 * 64..]);
    // Draws agree with their measurement better than with the other one.
    let (mean, deviation) = drawn.mean_and_deviation(3);
    let apart = |mean: &[f64], measurement: &[f64]| {
        let mut out = vec![0.0; 16];
        operator.apply(mean, &mut out);
        out.iter().zip(measurement).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
    };
    let (own, other) = (apart(&mean[..64], &both[..16]), apart(&mean[..64], &both[16..]));
    assert!(own < 0.6 * other, "{own} and {other}");
    assert!(deviation.iter().any(|value| *value > 0.1));
    let mut wrong = both.clone();
    wrong.pop();
    assert!(model.posterior(&wrong, &operator, how()).is_err());
    assert!(model.posterior(&both, &operator, how().noises(vec![1.0; 3])).is_err());
    assert!(model.posterior(&both, &operator, how().particles(2)).is_err());
    let tds = model.posterior(&both, &operator, how().particles(6)).unwrap();
    assert_eq!(tds.rows(), 6);
}

#[test]
fn the_exact_posterior_is_drawn_from_weighted_rows() {
    let points = Dataset::from_rows(vec![1.0, 0.0, 1.0, 2.0, -1.0, 5.0, -1.0, -4.0], [2]).unwrap();
    let first = Matrix::new(vec![1.0, 0.0], 2).unwrap();
    for d in [1.0, 8.0, 128.0, f64::INFINITY] {
        let field = ExactField::new(&points, d).unwrap();
        let drawn = field.posterior(&[0.9, -1.2], &first, Posterior::new(40, 0.3)).unwrap();
        let agrees = |(at, row): &(usize, &[f32])| (row[0] - if *at < 40 { 1.0 } else { -1.0 }).abs() < 0.2;
        let agree = drawn.values().chunks_exact(2).enumerate().filter(agrees).count();
        // At D = 1 a particle may come in so low that it ends between points.
        assert!(agree >= 76, "D = {d}: {agree} of 80");
        let upper = drawn.values().chunks_exact(2).take(40).filter(|row| row[1] > 1.0).count();
        assert!((8..=32).contains(&upper), "D = {d}: {upper} of 40");
        assert!(field.posterior(&[0.9], &first, Posterior::new(1, 0.0)).is_err());
        assert!(field.posterior(&[0.9], &first, Posterior::new(1, 0.1).class(0)).is_err());
    }
}
