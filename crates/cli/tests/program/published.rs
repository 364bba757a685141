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
    let evaluate = ["evaluate", "run", "-n", "20", "--steps", "2", "--solver", "euler"];
    let said = with_cache(&evaluate);
    assert!(said.contains("FD") && said.contains("192 features"), "pixels of decoded images: {said}");
    with_cache(&["sample", "run", "-n", "20", "--steps", "2", "--solver", "euler", "--images", "files"]);
    let of_files = with_cache(&["evaluate", "files", "--data", "images.npz"]);
    let distance = |said: &str| -> f64 {
        let found = said.lines().find_map(|line| line.strip_prefix("FD ")).unwrap();
        found.split_whitespace().next().unwrap().parse().unwrap()
    };
    // Files have whole numbers, and samples of a run fractions.
    assert!((distance(&said) / distance(&of_files) - 1.0).abs() < 0.02, "{said}{of_files}");
    refuses(here, &["train", "digits", "--out", "no", "--set", &autoencoder], &["8x8", "3 channels"]);
    // The run's autoencoder, with a key of its own.
    let tune = ["train", "--from", "run", "--data", "images.npz", "--out", "tuned", "--set", "train.steps=2"];
    with_cache(&[&tune[..], &["--set", "data.tile=64"]].concat());
    let config = fs::read_to_string(here.join("tuned/config.toml")).unwrap();
    assert!(config.contains("tile = 64") && config.contains("autoencoder_kl"), "{config}");
    let tune = ["train", "--from", "digits", "--data", "digits", "--out", "no", "--set", "data.tile=64"];
    refuses(here, &tune, &["data.tile", "only an autoencoder"]);
}

#[test]
fn networks_of_latents_draw_images_with_their_autoencoder() {
    let dir = temporary();
    let here = dir.path();
    let (network, vae) = (parity("edm2_cond.pkl"), parity("autoencoder_kl"));
    succeeds(here, &["import", &network, "-o", "latents"]);
    let said = succeeds(here, &["import", &network, "--autoencoder", &vae, "-o", "images"]);
    assert!(said.contains("units that EDM2 publishes") && said.contains("autoencoder_range = [0.0, 1.0]"), "{said}");
    let few = ["--steps", "2", "--solver", "euler", "--seeds", "3,4", "--class", "1"];
    succeeds(here, &[&["sample", "latents", "--npz", "latents.npz"], &few[..]].concat());
    let said = succeeds(here, &[&["sample", "images", "--npz", "images.npz", "--images", "files"], &few[..]].concat());
    assert!(said.contains("images of 64x64 at once, about"), "{said}");
    let (latents, images) = (arrays(&here.join("latents.npz")), arrays(&here.join("images.npz")));
    assert_eq!((&latents["x"].shape[..], &images["x"].shape[..]), (&[2, 16, 16, 4][..], &[2, 64, 64, 3][..]));
    assert_eq!(png_size(&here.join("files/000003.png")), (64, 64));
    // As EDM2 does it: latents of deviation 0.5 back to the autoencoder's, whose images are in [0, 1].
    let (means, deviations) = ([5.81, 3.25, 0.12, -2.15], [4.17, 4.62, 3.71, 3.28]);
    let raw: Vec<f32> =
        latents["x"].values.iter().enumerate().map(|(at, z)| z / 0.5 * deviations[at % 4] + means[at % 4]).collect();
    let autoencoder = pfgm::autoencoder::Autoencoder::open(&vae, &pfgm::device::open("cpu").unwrap()).unwrap();
    let expected = autoencoder.decode(&raw, [16, 16]).unwrap();
    for (found, expected) in images["x"].values.iter().zip(&expected) {
        // Rounded to bytes.
        assert!((found - (255.0 * expected).clamp(0.0, 255.0)).abs() < 0.51, "{found} and {expected}");
    }
    let tiled = ["sample", "images", "--npz", "tiled.npz", "--tile", "32"];
    let said = succeeds(here, &[&tiled, &few[..]].concat());
    assert!(said.contains("in 9 tiles of 32x32 that overlap"), "{said}");
    assert!(arrays(&here.join("tiled.npz"))["x"].shape == [2, 64, 64, 3]);
    // Too little memory for the whole image, and then for the smallest tiles.
    let refused = |budget: &str| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_pfgm"))
            .current_dir(here)
            .env("PFGM_MEMORY", budget)
            .args(["sample", "images", "-n", "1", "--steps", "1", "--solver", "euler"])
            .output()
            .unwrap();
        (output.status.success(), format!("{:?}{:?}", output.stdout, output.stderr))
    };
    assert!(!refused("0.01").0, "{}", refused("0.01").1);
    refuses(here, &["sample", "latents", "-n", "1", "--tile", "32"], &["--tile", "data.autoencoder"]);
    refuses(
        here,
        &["import", &parity("edm_adm.pth"), "--method", "edm", "--autoencoder", &vae, "-o", "x"],
        &["autoencoder", "omit it"],
    );
    let pictures = ["interpolate", "images", "0", "1", "--pictures", "3", "--steps", "2", "--solver", "euler"];
    succeeds(here, &pictures);
    assert!(png_size(&here.join("images/interpolation.png")).0 >= 3 * 64);
    let evaluate = ["evaluate", "images", "-n", "20", "--data", "files", "--steps", "1", "--solver", "euler"];
    refuses(here, &evaluate, &["the reference: 2 rows"]);
    // It can be trained further, on the latents of images.
    let train = ["train", "--from", "images", "--data", "files", "--out", "tuned", "--set", "train.steps=1"];
    let more = ["--set", "train.batch=2", "--set", "data.conditional=false"];
    let said = succeeds(here, &[&train[..], &more].concat());
    assert!(said.contains("16x16x4 from images of 64x64x3"), "{said}");
}
