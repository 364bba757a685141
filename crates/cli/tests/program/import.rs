//! Published checkpoints become runs, which are evaluated, sampled and exported.

use std::{fs, path::Path};

use crate::support::{fails, png_size, refuses, succeeds, temporary};

/// The raw output of a VP model is the noise of points in the coordinates of its process.
fn noise_of_a_vp_model(here: &Path) {
    let parity = |name: &str| format!("{}/../pfgm/tests/parity/{name}", env!("CARGO_MANIFEST_DIR"));
    succeeds(here, &["import", &parity("vp_ddpmpp.pth"), "-o", "vp", "--size", "16x16"]);
    let points = parity("vp_ddpmpp.npz");
    let said = succeeds(here, &["predict", "vp", "--at", &points, "-o", "vp.npz"]);
    assert!(said.contains("yhat, output, score of 2 points") && said.contains("mean(t) (y + sigma noise)"), "{said}");
    let read = |path: &Path| pfgm_data::npz::read_arrays(path, &fs::read(path).unwrap()).unwrap();
    let (given, found) = (read(Path::new(&points)), read(&here.join("vp.npz")));
    let row = |values: &[f32]| values[..768].iter().map(|&value| f64::from(value)).collect::<Vec<_>>();
    let (x, yhat, raw) = (row(&given["x"].values), row(&found["yhat"].values), row(&found["output"].values));
    // x = mean yhat + std noise, with mean^2 + std^2 = 1: least squares for the two.
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let (yy, yn, nn, xy, xn) = (dot(&yhat, &yhat), dot(&yhat, &raw), dot(&raw, &raw), dot(&x, &yhat), dot(&x, &raw));
    let determinant = yy * nn - yn * yn;
    let (mean, std) = ((xy * nn - xn * yn) / determinant, (xn * yy - xy * yn) / determinant);
    assert!((mean * mean + std * std - 1.0).abs() < 1e-3, "{mean} and {std}");
    let rest =
        x.iter().zip(yhat.iter().zip(&raw)).map(|(x, (y, n))| (x - mean * y - std * n).abs()).fold(0.0, f64::max);
    assert!(rest < 1e-3, "{rest}");
}

#[test]
fn a_published_checkpoint_becomes_a_run() {
    let dir = temporary();
    let here = dir.path();
    let parity = |name: &str| format!("{}/../pfgm/tests/parity/{name}", env!("CARGO_MANIFEST_DIR"));
    let said = succeeds(here, &["import", &parity("pfgmpp.pt"), "-o", "run", "--extra-dims", "128"]);
    for part in ["images of 16x16x3", "D = 128", "step-00000777", "attention = [8]"] {
        assert!(said.contains(part), "{said}");
    }
    succeeds(here, &["sample", "run", "-n", "4", "--steps", "3", "--class", "2"]);
    assert!(png_size(&here.join("run/sampled.png")).0 > 16);
    let said = succeeds(here, &["predict", "run", "--at", &parity("pfgmpp.npz"), "-o", "out.npz"]);
    assert!(said.contains("yhat, output of 3 points"), "{said}");
    noise_of_a_vp_model(here);
    // Any images will do as latents.
    let said = succeeds(here, &["decode", "run", "--latents", &parity("pfgmpp.npz"), "-o", "x.npz", "--steps", "3"]);
    assert!(said.contains("5.0 evaluations each"), "{said}");
    let said = succeeds(here, &["export", "run", "-o", "weights.safetensors"]);
    assert!(said.contains("averaged weights"), "{said}");
    let bytes = fs::read(here.join("weights.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(tensors.tensor("input.weight").unwrap().shape(), [3, 3, 3, 16]);

    let field = parity("pfgm_ddpmpp.pth");
    succeeds(here, &["import", &field, "-o", "field", "--size", "16x16"]);
    let said = succeeds(here, &["import", &field, "-o", "celeba", "--size", "16x16", "--like", "celeba64"]);
    assert!(said.contains("sigma_max = 60") && !said.contains("z from"), "{said}");
    let said = succeeds(
        here,
        &["sample", "celeba", "-n", "2", "--arithmetic", "authors-code", "--solver", "euler", "--steps", "2"],
    );
    assert!(said.contains("clipped to a norm of 6000"), "{said}");
    let error = fails(here, &["import", &field, "-o", "other", "--size", "16x16", "--like", "digits"]);
    assert!(error.contains("--like"), "{error}");
    let released = ["sample", "field", "-n", "3", "--arithmetic", "reference", "--solver", "euler", "--steps", "4"];
    let said = succeeds(here, &released);
    assert!(said.contains("4.0 evaluations each") && said.contains("clipped to a norm of 3000"), "{said}");
    let error = fails(here, &["sample", "field", "--arithmetic", "reference", "--solver", "heun"]);
    assert!(error.contains("authors' code"), "{error}");
    let error = fails(here, &["sample", "run", "--arithmetic", "reference"]);
    assert!(error.contains("--arithmetic"), "{error}");

    // Averaged weights alone are a run as well, which cannot be trained further.
    succeeds(here, &["export", "run", "-o", "small.safetensors", "--names", "run"]);
    let size = |path: &str| fs::metadata(here.join(path)).unwrap().len();
    assert!(size("small.safetensors") < size("weights.safetensors") + 4096);
    for (run, to) in [("run", "a.npz"), ("small.safetensors", "b.npz")] {
        succeeds(here, &["sample", run, "-n", "2", "--steps", "2", "--npz", to, "-o", "x.png"]);
    }
    assert!(fs::read(here.join("a.npz")).unwrap() == fs::read(here.join("b.npz")).unwrap());
    // A run that is bundled needs no training, and no file.
    let said = succeeds(here, &["sample", "fashion-mnist", "-n", "2", "--steps", "2", "-o", "fashion.png"]);
    assert!(said.contains("fashion.png"), "{said}");
    refuses(here, &["sample", "fashion", "-n", "2"], &["fashion: no such run", "fashion-mnist"]);

    let error = fails(here, &["export", "run", "-o", "x.safetensors", "--names", "pfgm"]);
    assert!(error.contains("score-unet"), "{error}");
    let error = fails(here, &["import", "nowhere.pth", "-o", "other"]);
    assert!(error.contains("nowhere.pth"), "{error}");
    let error = fails(here, &["import", &parity("pfgmpp.pt"), "-o", "run"]);
    assert!(error.contains("run") && error.contains("not empty"), "{error}");
    let error = fails(here, &["import", &parity("vp_ddpmpp.pth"), "-o", "other", "--size", "sixteen"]);
    assert!(error.contains("--size sixteen"), "{error}");
    let error = fails(here, &["import", &parity("pfgmpp.npz"), "-o", "other"]);
    assert!(error.contains("pfgmpp.npz"), "{error}");
    let error = fails(here, &["decode", "run", "--latents", "out.npz", "-o", "x.npz"]);
    assert!(error.contains("out.npz") && error.contains("`x`"), "{error}");
    let with_reference = ["decode", "run", "--latents", "out.npz", "-o", "x.npz", "--arithmetic", "reference"];
    assert!(fails(here, &with_reference).contains("out.npz"));
    assert!(!here.join("other").exists(), "failures leave nothing behind");
}
