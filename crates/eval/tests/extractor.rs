//! Compares the extractor networks with the published implementations, with weights from a hash.
#![allow(missing_docs)]

use pfgm_data::Shape;
use pfgm_eval::extractor::{EfficientNetLite0, Extractor, FeatureError, Features, Inception};

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

/// The weight as in goldens/features.py.
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

/// Asserts that every `every`-th feature and logit of two images agrees with the published network, to 1e-4 of the largest.
fn agrees(features: &Features, every: [usize; 2], expected: [&[f32]; 2]) {
    let images: Vec<f32> = uniform("images", 2 * SHAPE.dim()).map(|u| u as f32).collect();
    let mut done = 0;
    let mut read = |row: usize, values: &mut [f32]| {
        values.copy_from_slice(&images[row * SHAPE.dim()..][..SHAPE.dim()]);
        Ok(())
    };
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
    agrees(&Features::Inception(Box::new(network)), [171, 84], [&INCEPTION_FEATURES, &INCEPTION_LOGITS]);
}

#[test]
fn efficientnet_agrees_with_its_package() {
    let network = EfficientNetLite0::load(&mut weight).unwrap();
    agrees(&Features::EfficientNetLite0(Box::new(network)), [107, 84], [&EFFICIENTNET_FEATURES, &EFFICIENTNET_LOGITS]);
}

#[test]
fn pixels_are_themselves_and_networks_look_at_images() {
    let pixels = Features::open(Extractor::Pixels, None).unwrap();
    let mut read = |row: usize, values: &mut [f32]| {
        values.fill(row as f32);
        Ok(())
    };
    let found = pixels.extract(Shape::Vector { len: 2 }, 11, &mut read, &mut |_| ()).unwrap();
    assert!(found.features.len() == 22 && found.features[18..] == [9.0, 9.0, 10.0, 10.0]);
    assert_eq!(pixels.classes(), None);
    let error = Features::open(Extractor::Inception, None).err().unwrap().to_string();
    assert!(error.contains("inception") && error.contains("pt_inception"), "{error}");
    let network = EfficientNetLite0::load(&mut weight).unwrap();
    let error = Features::EfficientNetLite0(Box::new(network)).dim(Shape::Vector { len: 2 }).unwrap_err().to_string();
    assert!(error.contains("use pixels"), "{error}");
}

// goldens/features.py

#[rustfmt::skip]
const INCEPTION_FEATURES: [f32; 24] = [
    // inception, features
    0.0, 1.16881, 1.16426, 0.384125, 2.67664, 2.50924, 0.233043, 0.0,
    0.0, 2.39593, 0.267477, 3.52056, 0.00364598, 1.08429, 1.16469, 0.373521,
    2.66116, 2.49706, 0.23826, 0.0, 0.0, 2.37024, 0.255099, 3.67015,
];

#[rustfmt::skip]
const INCEPTION_LOGITS: [f32; 24] = [
    // inception, logits
    3.0978, 3.11782, 0.812172, -1.03092, -3.20821, 3.30606, -1.92568, 3.75816,
    4.58725, -0.613402, -1.89008, 3.8223, 3.01627, 3.09042, 0.828746, -0.96142,
    -3.23745, 3.35774, -1.84848, 3.76627, 4.59873, -0.562766, -1.90562, 3.72374,
];

#[rustfmt::skip]
const EFFICIENTNET_FEATURES: [f32; 24] = [
    // efficientnet-lite0, features
    0.87563, 5.7081, 1.09785, 1.49112, 2.7258, 0.0, 0.3, 3.63053,
    4.18519, 1.12881, 2.9471, 0.950981, 0.747951, 5.65204, 0.75074, 1.64851,
    3.10125, 0.0, 0.0300371, 3.41392, 4.49021, 1.24491, 2.90186, 0.536908,
];

#[rustfmt::skip]
const EFFICIENTNET_LOGITS: [f32; 24] = [
    // efficientnet-lite0, logits
    -1.09724, -3.87578, 1.04952, -3.42153, 1.16214, 1.56174, -4.85455, 0.518378,
    1.64739, 5.12051, 0.510659, 0.133691, -1.21633, -3.97336, 1.16942, -3.47603,
    1.31836, 1.05588, -5.15295, -0.177007, 1.80341, 5.31973, 1.20387, -0.0289984,
];
