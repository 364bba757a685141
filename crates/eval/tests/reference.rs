//! Reference statistics in common formats, and comparisons of data sets with different scales and sizes.
#![allow(missing_docs)]

use std::{fs::File, path::Path};

use pfgm_data::{
    Dataset, Shape, Values,
    npz::{Column, Named, write_npz},
};
use pfgm_eval::{EvaluateError, Features, MetricError, Reference, compare};

#[test]
fn the_pickle_of_edm2_is_read_as_data() {
    // {"fid": {"mu": [12], "sigma": [12, 12]}, "fd_dinov2": {...}}, written by Python's pickle.
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/edm2.pkl");
    let reference = Reference::read(&path, 12).unwrap();
    let moments = reference.moments().unwrap();
    // The first doubles of both arrays, by Python's struct.
    assert!((moments.mean[0] - 0.477_712_418_300_653_53).abs() < 1e-15, "{}", moments.mean[0]);
    assert!((moments.covariance[0] - 0.087_293_409_531_753_31).abs() < 1e-15, "{}", moments.covariance[0]);
    assert_eq!((moments.mean.len(), moments.covariance.len(), reference.rows()), (12, 144, None));
    let error = Reference::read(&path, 108).err().unwrap().to_string();
    assert!(error.contains("edm2.pkl") && error.contains("12 features") && error.contains("108"), "{error}");
}

#[test]
fn means_may_be_a_row_of_a_matrix() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("statistics.npz");
    let write = |shape: &[usize]| {
        let named = [
            Named { name: "mu", shape, values: Column::Doubles(&[1.0, 2.0]) },
            Named { name: "sigma", shape: &[2, 2], values: Column::Doubles(&[1.0, 0.5, 0.5, 2.0]) },
        ];
        write_npz(File::create(&path).unwrap(), &named).unwrap();
        Reference::read(&path, 2)
    };
    for shape in [&[2][..], &[1, 2]] {
        assert_eq!(write(shape).unwrap().moments().unwrap().mean, [1.0, 2.0]);
    }
    assert!(write(&[2, 1]).is_err());
}

/// Noise images with values from 0 to `top`.
fn images(seed: u32, side: usize, channels: usize, top: f32) -> Vec<f32> {
    let hash = |at: u32| (at ^ seed).wrapping_mul(0x9E37_79B9).rotate_left(13).wrapping_mul(0x85EB_CA6B) >> 8;
    (0..(60 * side * side * channels) as u32).map(|at| top * hash(at) as f32 / (1 << 24) as f32).collect()
}

fn floats(values: Vec<f32>, side: usize) -> Dataset {
    Dataset::from_rows(values, [side, side]).unwrap()
}

#[test]
fn dark_images_are_dark_in_any_scale() {
    let reference = floats(images(1, 4, 1, 1.0), 4);
    let dark = images(2, 4, 1, 0.3);
    let bytes = Values::Bytes(dark.iter().map(|value| (255.0 * value).round() as u8).collect());
    let shape = Shape::Image { height: 4, width: 4, channels: 1 };
    let bytes = Dataset::new(Path::new("dark"), shape, bytes, None, None).unwrap();
    let signed = floats(dark.iter().map(|value| 2.0 * value - 1.0).collect(), 4);
    let distance =
        |samples: &Dataset| compare(samples, &reference, &Features::Pixels, 0).unwrap().frechet.unwrap().distance;
    let (of_floats, of_bytes, of_signed) = (distance(&floats(dark.clone(), 4)), distance(&bytes), distance(&signed));
    // The means differ by 0.35 in each of 16 pixels, the standard deviations by 0.2: about 16 (0.35^2 + 0.2^2) = 2.6.
    assert!(of_floats > 2.0, "{of_floats}");
    assert!(
        (of_bytes / of_floats - 1.0).abs() < 0.02 && (of_signed / of_floats - 1.0).abs() < 1e-3,
        "{of_bytes}, {of_signed}"
    );
}

#[test]
fn pixels_of_other_sizes_are_refused_and_copies_are_named() {
    let (small, large) = (floats(images(1, 4, 1, 1.0), 4), floats(images(2, 5, 1, 1.0), 5));
    let error = compare(&small, &large, &Features::Pixels, 0).unwrap_err();
    assert!(matches!(error, EvaluateError::Metric(MetricError::Dimensions { reference: 25, found: 16 })), "{error}");
    let warns = |samples: &Dataset| {
        let report = compare(samples, &small, &Features::Pixels, 0).unwrap();
        report.warnings.iter().any(|warning| warning.contains("compares data with themselves"))
    };
    assert!(warns(&small) && !warns(&floats(images(3, 4, 1, 1.0), 4)));
}
