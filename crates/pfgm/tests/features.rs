//! The networks of `features` against the published implementations, with weights that a hash makes.
#![allow(missing_docs)]

use pfgm::features::{EfficientNetLite0, Extractor, FeatureError, Features, Inception};
use pfgm_data::Shape;

fn hash(mut x: u32) -> u32 {
    x = (x ^ (x >> 16)).wrapping_mul(0x7feb_352d);
    x = (x ^ (x >> 15)).wrapping_mul(0x846c_a68b);
    x ^ (x >> 16)
}

/// Numbers in [0, 1), named like a weight (FNV-1a).
fn uniform(name: &str, count: usize) -> impl Iterator<Item = f64> + use<> {
    let start = name.bytes().fold(0x811c_9dc5, |hash: u32, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    (0..count as u32).map(move |at| f64::from(hash(start.wrapping_add(at))) / 4_294_967_296.0)
}

/// As goldens/features.py has it.
fn weight(name: &str, shape: &[usize]) -> Result<Vec<f32>, FeatureError> {
    let value = |u: f64| match name.rsplit('.').next() {
        Some("running_var") => 0.5 + u,
        Some("running_mean" | "bias") => 0.4 * (u - 0.5),
        _ if shape.len() == 1 => 0.75 + 0.5 * u,
        _ => (u - 0.5) * (24.0 / shape[1..].iter().product::<usize>() as f64).sqrt(),
    };
    Ok(uniform(name, shape.iter().product()).map(|u| value(u) as f32).collect())
}

const SHAPE: Shape = Shape::Image { height: 40, width: 48, channels: 3 };

/// Features and logits of two images agree with every so many of the published network's, to 1e-4 of the largest.
fn agrees(features: &Features, every: [usize; 2], expected: [&[f32]; 2]) {
    let images: Vec<f32> = uniform("images", 2 * SHAPE.dim()).map(|u| u as f32).collect();
    let mut done = 0;
    let mut read = |row: usize, values: &mut [f32]| values.copy_from_slice(&images[row * SHAPE.dim()..][..SHAPE.dim()]);
    let found = features.extract(SHAPE, 2, &mut read, &mut |rows| done = rows).unwrap();
    assert_eq!(done, 2);
    let (dim, classes) = (features.dim(SHAPE).unwrap(), features.classes().unwrap());
    for (values, width, every, expected) in
        [(found.features, dim, every[0], expected[0]), (found.logits, classes, every[1], expected[1])]
    {
        assert_eq!(values.len(), 2 * width);
        let some: Vec<f32> = values.chunks(width).flat_map(|row| row.iter().step_by(every).copied()).collect();
        assert_eq!(some.len(), expected.len());
        let largest = expected.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
        let error = some.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        println!("{}: {:.1e} of the largest", features.extractor().name(), error / largest);
        assert!(error < 1e-4 * largest, "{some:?}\n{expected:?}");
    }
}

#[test]
fn inception_agrees_with_pytorch_fid() {
    let network = Inception::load(&mut weight).unwrap();
    agrees(&Features::Inception(network), [171, 84], [&INCEPTION_FEATURES, &INCEPTION_LOGITS]);
}

#[test]
fn efficientnet_agrees_with_its_package() {
    let network = EfficientNetLite0::load(&mut weight).unwrap();
    agrees(&Features::EfficientNetLite0(network), [107, 84], [&EFFICIENTNET_FEATURES, &EFFICIENTNET_LOGITS]);
}

#[test]
fn pixels_are_themselves_and_networks_look_at_images() {
    let pixels = Features::open(Extractor::Pixels, None).unwrap();
    let mut read = |row: usize, values: &mut [f32]| values.fill(row as f32);
    let found = pixels.extract(Shape::Vector { len: 2 }, 11, &mut read, &mut |_| ()).unwrap();
    assert!(found.features.len() == 22 && found.features[18..] == [9.0, 9.0, 10.0, 10.0]);
    assert_eq!(pixels.classes(), None);
    let error = Features::open(Extractor::Inception, None).err().unwrap().to_string();
    assert!(error.contains("--weights") && error.contains("pt_inception"), "{error}");
    let network = EfficientNetLite0::load(&mut weight).unwrap();
    let error = Features::EfficientNetLite0(network).dim(Shape::Vector { len: 2 }).unwrap_err().to_string();
    assert!(error.contains("--features pixels"), "{error}");
}

// goldens/features.py

#[rustfmt::skip]
const INCEPTION_FEATURES: [f32; 24] = [
    // inception, features
    0.00000e+00, 1.16881e+00, 1.16426e+00, 3.84125e-01, 2.67664e+00, 2.50924e+00, 2.33043e-01, 0.00000e+00,
    0.00000e+00, 2.39593e+00, 2.67477e-01, 3.52056e+00, 3.64598e-03, 1.08429e+00, 1.16469e+00, 3.73521e-01,
    2.66116e+00, 2.49706e+00, 2.38260e-01, 0.00000e+00, 0.00000e+00, 2.37024e+00, 2.55099e-01, 3.67015e+00,
];

#[rustfmt::skip]
const INCEPTION_LOGITS: [f32; 24] = [
    // inception, logits
    3.09780e+00, 3.11782e+00, 8.12172e-01, -1.03092e+00, -3.20821e+00, 3.30606e+00, -1.92568e+00, 3.75816e+00,
    4.58725e+00, -6.13402e-01, -1.89008e+00, 3.82230e+00, 3.01627e+00, 3.09042e+00, 8.28746e-01, -9.61420e-01,
    -3.23745e+00, 3.35774e+00, -1.84848e+00, 3.76627e+00, 4.59873e+00, -5.62766e-01, -1.90562e+00, 3.72374e+00,
];

#[rustfmt::skip]
const EFFICIENTNET_FEATURES: [f32; 24] = [
    // efficientnet-lite0, features
    8.75630e-01, 5.70810e+00, 1.09785e+00, 1.49112e+00, 2.72580e+00, 0.00000e+00, 3.00000e-01, 3.63053e+00,
    4.18519e+00, 1.12881e+00, 2.94710e+00, 9.50981e-01, 7.47951e-01, 5.65204e+00, 7.50740e-01, 1.64851e+00,
    3.10125e+00, 0.00000e+00, 3.00371e-02, 3.41392e+00, 4.49021e+00, 1.24491e+00, 2.90186e+00, 5.36908e-01,
];

#[rustfmt::skip]
const EFFICIENTNET_LOGITS: [f32; 24] = [
    // efficientnet-lite0, logits
    -1.09724e+00, -3.87578e+00, 1.04952e+00, -3.42153e+00, 1.16214e+00, 1.56174e+00, -4.85455e+00, 5.18378e-01,
    1.64739e+00, 5.12051e+00, 5.10659e-01, 1.33691e-01, -1.21633e+00, -3.97336e+00, 1.16942e+00, -3.47603e+00,
    1.31836e+00, 1.05588e+00, -5.15295e+00, -1.77007e-01, 1.80341e+00, 5.31973e+00, 1.20387e+00, -2.89984e-02,
];
