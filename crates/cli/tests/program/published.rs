//! Checkpoints of diffusers and EDM2, and flows of latents.

use std::{collections::BTreeMap, fs, path::Path};

use pfgm_data::npz::{Column, Floats, Named, read_arrays, write_npz};

use crate::support::*;

fn parity(name: &str) -> String {
    format!("{}/../pfgm/tests/parity/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn arrays(path: &Path) -> BTreeMap<String, Floats> {
    read_arrays(path, &fs::read(path).unwrap()).unwrap()
}

/// The largest difference, relative to the largest value.
fn difference(found: &Floats, expected: &Floats) -> f32 {
    assert_eq!(found.shape, expected.shape);
    let largest = expected.values.iter().fold(0.0, |most: f32, value| most.max(value.abs()));
    let apart = found.values.iter().zip(&expected.values).map(|(a, b)| (a - b).abs());
    apart.fold(0.0, f32::max) / largest
}

#[test]
fn networks_of_diffusers_and_edm2_say_what_their_libraries_say() {
    let dir = temporary();
    let here = dir.path();
    for name in ["diffusers_resnet", "diffusers_learned"] {
        succeeds(here, &["import", &parity(name), "-o", name]);
        let at = parity(&format!("{name}.npz"));
        succeeds(here, &["predict", name, "--at", &at, "-o", "out.npz"]);
        let (found, expected) = (arrays(&here.join("out.npz")), arrays(Path::new(&at)));
        let apart = difference(&found["output"], &expected["output"]);
        assert!(apart < 1e-4, "{name}: {apart:.1e}");
    }
    let said = succeeds(here, &["import", &parity("edm2_cond.pkl"), "-o", "edm2"]);
    assert!(said.contains("latents in the network's own units"), "{said}");
    let at = parity("edm2_cond.npz");
    succeeds(here, &["predict", "edm2", "--at", &at, "-o", "out.npz"]);
    let (found, expected) = (arrays(&here.join("out.npz")), arrays(Path::new(&at)));
    assert!(difference(&found["yhat"], &expected["denoised"]) < 1e-4);
    for (found, expected) in found["logvar"].values.iter().zip(&expected["logvar"].values) {
        assert!((found - expected).abs() < 1e-4);
    }
    // An imported run has no data: noise of its shape is timed.
    let said = succeeds(here, &["bench", "diffusers_resnet", "--rounds", "1", "--batch", "2", "--task", "inference"]);
    assert!(said.contains("images_per_second"), "{said}");
    refuses(here, &["import", "hf:nobody/nothing", "-o", "x"], &["models--nobody--nothing", "nothing is downloaded"]);
    refuses(here, &["import", "no-such-file", "-o", "x"], &["no-such-file"]);
    let said = succeeds(here, &["import", "--list"]);
    assert!(said.contains("UNet2DModel") && said.contains("hf:OWNER/NAME"), "{said}");
}

#[test]
fn flows_of_latents_train_and_draw_images() {
    let dir = temporary();
    let here = dir.path();
    let images: Vec<u8> = (0..24 * 8 * 8 * 3).map(|at: usize| (at * at % 251) as u8).collect();
    let named = [Named { name: "x", shape: &[24, 8, 8, 3], values: Column::Bytes(&images) }];
    write_npz(fs::File::create(here.join("images.npz")).unwrap(), &named).unwrap();
    let autoencoder = format!("data.autoencoder={}", parity("autoencoder_kl"));
    let cache = here.join("cache");
    let with_cache = |arguments: &[&str]| -> String {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_pfgm"))
            .current_dir(here)
            .env("PFGM_CACHE", &cache)
            .args(arguments)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
        said
    };
    let mut train = vec!["train", "images.npz", "--out", "run", "--set", "train.steps=4", "--set", &autoencoder];
    train.extend(SMALL);
    let said = with_cache(&train);
    assert!(said.contains("2x2x4 from images of 8x8x3"), "{said}");
    let files: Vec<_> = fs::read_dir(&cache).unwrap().collect();
    assert_eq!(files.len(), 1);
    with_cache(&["sample", "run", "-n", "2", "--steps", "2", "--npz", "x.npz", "--images", "drawn"]);
    let drawn = arrays(&here.join("x.npz"));
    assert_eq!(drawn["x"].shape, [2, 8, 8, 3]);
    assert!(drawn["x"].values.iter().all(|value| (0.0..=255.0).contains(value)));
    assert_eq!(png_size(&here.join("drawn/000000.png")), (8, 8));
    with_cache(&["interpolate", "run", "0", "1", "--pictures", "3", "--steps", "2", "--solver", "euler"]);
    assert!(png_size(&here.join("run/interpolation.png")).0 >= 3 * 8);
    refuses(here, &["denoise", "run", "--data", "images.npz", "--sigma", "1"], &["latents"]);
    let said = with_cache(&["likelihood", "run", "--data", "images.npz", "-n", "2"]);
    assert!(said.contains("densities of latents"), "{said}");
    // Nothing is encoded anew for the training, and other rows are.
    with_cache(&["train", "run", "--resume", "--set", "train.steps=6"]);
    assert_eq!(fs::read_dir(&cache).unwrap().count(), 2);
    refuses(here, &["evaluate", "run"], &["latents", "--images"]);
    refuses(here, &["train", "digits", "--out", "no", "--set", &autoencoder], &["8x8", "3 channels"]);
}
