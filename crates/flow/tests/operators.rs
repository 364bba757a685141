//! Operators against SciPy's, NumPy's and scikit-image's numbers, which `goldens/operators.py` prints, and their transposes.
#![allow(missing_docs)]

use pfgm_flow::{
    posterior::{
        Blur, Composition, Downsampling, Fourier, Identity, LinearOperator, Mask, Matrix, MeasurementError, Radon,
        Scaled,
    },
    random::{Purpose, stream},
};
use rand::RngExt;

const SIDE: usize = 6;
const ANGLES: [f64; 4] = [0.0, 35.0, 90.0, 118.5];

#[rustfmt::skip]
const GAUSSIAN: [f64; 36] = [
    1.8842268924756103, 1.896176432718923, 1.8989068076305924, 1.8849545552052864, 1.8666335156146323,
    1.8559177494087982, 1.7455494771981828, 1.6994844097043922, 1.6056294505675475, 1.4952286384103042,
    1.4147712109911774, 1.3803278232021463, 1.379904453365372, 1.2372540518230668, 1.008494701301471,
    0.8122653152159701, 0.7346165616146596, 0.7402233219057475, 0.8133484969402986, 0.5742495356660565,
    0.25966161121620296, 0.10170850739421873, 0.17320331361298402, 0.30870895170254536, 0.23677674778762475,
    -0.06445860131509001, -0.37623785194712767, -0.3850473959490359, -0.11423158519665226, 0.1346950915537059,
    -0.12203301572953132, -0.4469959864154431, -0.7187250889673616, -0.5976357551707965, -0.21339890575761605,
    0.06448934965353645,
];
#[rustfmt::skip]
const KERNEL: [f64; 36] = [
    1.8520046337204574, 1.9050718441239858, 1.972098157879217, 2.044428069436793, 2.124533265388802,
    2.2289848189652055, 1.9516499155322933, 1.9230874970337315, 1.847768940730689, 1.7833681250683333,
    1.752380358986961, 1.7292947591765855, 1.7294414093098271, 1.554516311499067, 1.244843629030961,
    1.0227299130398753, 0.943590661094714, 0.8611281621715733, 1.142553848155907, 0.7851727816721642,
    0.2859956298897945, 0.12638887705569105, 0.2542775168607634, 0.4355466892947539, 0.454655965981587,
    -0.08569228624860453, -0.6129053186639938, -0.46296160691501453, -0.14108762696296287, 0.08591341101302094,
    0.004079546906101489, -0.6687007307018846, -1.276114471550858, -0.7253197909479759, -0.008558447485875177,
    -0.20357114034968446,
];
#[rustfmt::skip]
const SMALLER: [f64; 4] = [
    1.8215736000951317, 1.46954594944609, -0.18258949121592355, -0.2009030819439206,
];
#[rustfmt::skip]
const RADON: [f64; 24] = [
    6.960791629636991, 5.396168658087317, 2.3938966921885645, 2.1435731454325815, 4.136666522328084,
    5.137546139758861, 0.1252643182796765, 0.41889132489544323, 1.929309144820805, 3.634441938092949,
    5.840630050905238, 5.445759318712216, 0.0, -3.188426195868712, -1.3952724529652203,
    1.1322654903953353, 5.785884145858479, 11.285365891165139, -0.017344353823528953, -0.16592411202091395,
    -3.5039059471741325, -1.3425570959113866, 5.412561699162554, 9.595856268113,
];
#[rustfmt::skip]
const FOURIER: [f64; 18] = [
    4.361440464572068, 0.0, 0.0953709614813598, -0.2888761027855108, 0.0953709614813598,
    0.2888761027855108, 0.0451503598368969, -0.2322076782813313, -0.12551454286875485, 0.18995960252990896,
    -0.145886331506449, 0.11276395439168058, 1.2395526175246456, 1.052601265554987, -0.30220268781450094,
    -1.3597399555105185e-16, 0.13308224087144804, -0.3915653049021403,
];

fn image() -> Vec<f64> {
    let value = |i: f64, j: f64| (1.0 + 0.7 * i).sin() + (0.3 * i * j).cos() + 0.1 * j;
    (0..SIDE * SIDE).map(|at| value((at / SIDE) as f64, (at % SIDE) as f64)).collect()
}

fn random(count: usize, seed: u64) -> Vec<f64> {
    let mut rng = stream(seed, Purpose::Latent, 0, 0);
    (0..count).map(|_| rng.random_range(-1.0..1.0)).collect()
}

fn applied(operator: &dyn LinearOperator, y: &[f64]) -> Vec<f64> {
    let mut out = vec![f64::NAN; operator.outputs()];
    operator.apply(y, &mut out);
    out
}

fn transposed(operator: &dyn LinearOperator, v: &[f64]) -> Vec<f64> {
    let mut out = vec![f64::NAN; operator.inputs()];
    operator.transpose(v, &mut out);
    out
}

fn inner(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn mask(height: usize, width: usize) -> Vec<bool> {
    (0..height * width).map(|at| (at / width + 2 * (at % width)).is_multiple_of(4)).collect()
}

/// Every kind of operator, on images that are not square where that is allowed, with two channels.
fn operators() -> Vec<(&'static str, Box<dyn LinearOperator>)> {
    let (size, square) = ([5, 8, 2], [7, 7, 2]);
    let blur = || Blur::gaussian(size, 1.3).unwrap();
    let kernel = Blur::new(size, [3, 5], random(15, 1)).unwrap();
    let smaller = Downsampling::new([6, 9, 2], 3).unwrap();
    let fourier = Fourier::new(size, &mask(5, 8)).unwrap();
    let radon = Radon::new(square, &ANGLES).unwrap();
    let is_known: Vec<bool> = (0..80).map(|at| at % 3 == 0).collect();
    let known = || Mask::new(&is_known).unwrap();
    let both = Composition::new(Box::new(blur()), Box::new(known())).unwrap();
    vec![
        ("blur", Box::new(blur())),
        ("kernel", Box::new(kernel)),
        ("downsampling", Box::new(smaller)),
        ("fourier", Box::new(fourier)),
        ("radon", Box::new(radon)),
        ("mask", Box::new(known())),
        ("matrix", Box::new(Matrix::new(random(28, 2), 7).unwrap())),
        ("identity", Box::new(Identity { dim: 5 })),
        ("composition", Box::new(both)),
    ]
}

#[test]
fn transposes_are_transposes() {
    for (name, operator) in operators() {
        let operator = &*operator;
        let scaled = Scaled { operator, factors: random(operator.inputs(), 3) };
        for operator in [operator, &scaled] {
            let (y, v) = (random(operator.inputs(), 4), random(operator.outputs(), 5));
            let (forth, back) = (inner(&applied(operator, &y), &v), inner(&y, &transposed(operator, &v)));
            assert!((forth - back).abs() < 1e-10, "{name}: {forth} and {back}");
            assert!(forth.abs() > 1e-3, "{name}: a product that says something");
        }
    }
}

#[test]
fn operators_are_linear() {
    for (name, operator) in operators() {
        let (a, b) = (random(operator.inputs(), 6), random(operator.inputs(), 7));
        let sum: Vec<f64> = a.iter().zip(&b).map(|(a, b)| 2.0 * a - b).collect();
        let (a, b, sum) = (applied(&*operator, &a), applied(&*operator, &b), applied(&*operator, &sum));
        assert!(a.iter().zip(&b).zip(&sum).all(|((a, b), sum)| (2.0 * a - b - sum).abs() < 1e-10), "{name}");
    }
}

#[test]
fn operators_agree_with_other_programs() {
    let size = [SIDE, SIDE, 1];
    let kernel = vec![0.1, 0.2, -0.3, 0.0, 0.5, 0.25, 0.05, -0.1, 0.3];
    let cases: [(&str, Box<dyn LinearOperator>, &[f64]); 5] = [
        ("SciPy's gaussian_filter", Box::new(Blur::gaussian(size, 1.2).unwrap()), &GAUSSIAN),
        ("SciPy's convolve", Box::new(Blur::new(size, [3, 3], kernel).unwrap()), &KERNEL),
        ("scikit-image's downscale_local_mean", Box::new(Downsampling::new(size, 3).unwrap()), &SMALLER),
        ("scikit-image's radon", Box::new(Radon::new(size, &ANGLES).unwrap()), &RADON),
        ("NumPy's fft2", Box::new(Fourier::new(size, &mask(SIDE, SIDE)).unwrap()), &FOURIER),
    ];
    for (name, operator, expected) in cases {
        let found = applied(&*operator, &image());
        assert_eq!(found.len(), expected.len(), "{name}");
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-10, "{name}: {found}, not {expected}");
        }
    }
}

#[test]
fn channels_are_measured_apart() {
    // The first channel is the image, the second is zero.
    let two: Vec<f64> = image().into_iter().flat_map(|value| [value, 0.0]).collect();
    let (one_size, two_size) = ([SIDE, SIDE, 1], [SIDE, SIDE, 2]);
    let pairs: [[Box<dyn LinearOperator>; 2]; 3] = [
        [Box::new(Blur::gaussian(one_size, 0.9).unwrap()), Box::new(Blur::gaussian(two_size, 0.9).unwrap())],
        [Box::new(Downsampling::new(one_size, 2).unwrap()), Box::new(Downsampling::new(two_size, 2).unwrap())],
        [Box::new(Radon::new(one_size, &ANGLES).unwrap()), Box::new(Radon::new(two_size, &ANGLES).unwrap())],
    ];
    for [one, both] in pairs {
        let (one, both) = (applied(&*one, &image()), applied(&*both, &two));
        for (one, both) in one.iter().zip(both.chunks_exact(2)) {
            assert!((one - both[0]).abs() < 1e-12 && both[1] == 0.0);
        }
    }
}

#[test]
fn all_frequencies_keep_the_norm() {
    for [height, width] in [[4, 4], [3, 5]] {
        let fourier = Fourier::new([height, width, 1], &vec![true; height * width]).unwrap();
        let y = random(height * width, 8);
        let back = transposed(&fourier, &applied(&fourier, &y));
        assert!(y.iter().zip(back).all(|(y, back)| (y - back).abs() < 1e-12));
    }
    // The middle of a picture of k-space is frequency 0.
    for size in [[4, 4], [3, 5]] {
        let middle: Vec<bool> = (0..size[0] * size[1]).map(|at| at == size[0] / 2 * size[1] + size[1] / 2).collect();
        assert_eq!(Fourier::uncentered(&middle, size).iter().position(|kept| *kept), Some(0));
    }
}

#[test]
fn what_cannot_be_an_operator_is_refused() {
    let problem = |error: MeasurementError| error.to_string();
    assert!(problem(Downsampling::new([6, 9, 1], 2).unwrap_err()).contains("2 does not divide 6x9"));
    assert!(problem(Blur::gaussian([5, 5, 1], 0.0).unwrap_err()).contains("above 0"));
    assert!(problem(Blur::new([5, 5, 1], [2, 3], vec![0.0; 6]).unwrap_err()).contains("must be odd"));
    assert!(problem(Radon::new([5, 6, 1], &[0.0]).unwrap_err()).contains("needs square images, not 5x6"));
    assert!(problem(Radon::new([5, 5, 1], &[]).unwrap_err()).contains("no angles"));
    assert!(problem(Fourier::new([2, 2, 1], &[true; 3]).unwrap_err()).contains("3 values"));
    assert!(matches!(Fourier::new([2, 2, 1], &[false; 4]), Err(MeasurementError::EmptyMask { .. })));
    assert!(matches!(Matrix::new(vec![1.0; 5], 2), Err(MeasurementError::Ragged { .. })));
    assert!(matches!(Matrix::new(vec![f64::NAN; 2], 2), Err(MeasurementError::Number { .. })));
    assert!(matches!(Mask::new(&[false; 3]), Err(MeasurementError::EmptyMask { .. })));
    let pair = |a: usize, b: usize| Composition::new(Box::new(Identity { dim: a }), Box::new(Identity { dim: b }));
    assert!(pair(3, 3).is_ok() && matches!(pair(3, 4), Err(MeasurementError::Operator { .. })));
}
