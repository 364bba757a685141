//! Likelihoods, latents, restoration and anomalies on the command line, with a network trained for a few steps.

use std::{fs, io::Cursor, path::Path};

use image::AnimationDecoder;
use tempfile::TempDir;

use crate::support::{fails, refuses, succeeds, temporary, train};

/// Returns a folder with a class-conditional run `run` and an unconditional run `plain`.
fn trained() -> TempDir {
    let folder = temporary();
    for (name, conditional) in [("run", "true"), ("plain", "false")] {
        train(folder.path(), "digits", 4, name, &["--set", &format!("data.conditional={conditional}")]);
    }
    folder
}

/// A gray image as a portable graymap.
fn graymap(path: &Path, side: usize, pixel: impl Fn(usize) -> u8) {
    let mut bytes = format!("P5 {side} {side} 255\n").into_bytes();
    bytes.extend((0..side * side).map(pixel));
    fs::write(path, bytes).unwrap();
}

fn picture(path: &Path) -> (u32, u32) {
    let image = image::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    (image.width(), image.height())
}

/// The shape of the array `x` of an archive.
fn rows(path: &Path) -> Vec<usize> {
    pfgm_data::npz::read_arrays(path, &fs::read(path).unwrap()).unwrap()["x"].shape.clone()
}

#[test]
fn likelihoods_are_told_with_their_uncertainty_and_can_be_wrong_in_one_line() {
    let folder = trained();
    let folder = folder.path();
    let loose = ["--rtol", "1e-2", "--atol", "1e-2"];
    let with = |more: &[&str]| -> Vec<String> {
        let base = ["likelihood", "run", "--data", "digits", "-n", "6"];
        base.iter().chain(&loose).chain(more).map(ToString::to_string).collect()
    };
    let run = |more: &[&str]| succeeds(folder, &with(more).iter().map(String::as_str).collect::<Vec<_>>());
    let said = run(&["--trace", "rademacher", "--probes", "2", "--csv", "logs.csv", "-o", "likelihood.png"]);
    assert!(said.contains("nats per row") && said.contains("bits/dim") && said.contains("probes 0."), "{said}");
    assert!(said.contains(", steps "), "{said}");
    let table = fs::read_to_string(folder.join("logs.csv")).unwrap();
    assert_eq!(table.lines().count(), 7);
    picture(&folder.join("likelihood.png"));
    // Reproducible, and exact for short rows.
    assert_eq!(
        run(&["--trace", "rademacher"]).lines().nth(1).unwrap().to_owned(),
        run(&["--trace", "rademacher"]).lines().nth(1).unwrap()
    );
    assert!(run(&[]).contains("probes none (exact)"));

    let refused = |more: &[&str]| fails(folder, &with(more).iter().map(String::as_str).collect::<Vec<_>>());
    assert!(refused(&["--prior", "released"]).contains("--prior"));
    assert!(refused(&["--probes", "0"]).contains("--probes 0"));
    assert!(refused(&["--trace", "exact", "--probes", "3"]).contains("--probes 3"));
    refuses(
        folder,
        &["likelihood", "run", "--data", "digits", "--solver", "reverse-sde", "--steps", "5"],
        &["--solver reverse-sde"],
    );
    let error = fails(folder, &["likelihood", "run", "--data", "heart"]);
    assert!(error.contains("heart") && error.contains("8x8"), "{error}");
    // Images with another scale, another size, or without the classes of the run.
    fs::create_dir(folder.join("images")).unwrap();
    graymap(&folder.join("images/a.pgm"), 9, |at| at as u8);
    let error = fails(folder, &["likelihood", "run", "--data", "images"]);
    assert!(error.contains("9x9") && error.contains("8x8"), "{error}");
    graymap(&folder.join("images/a.pgm"), 8, |at| 4 * at as u8);
    let said = succeeds(folder, &["likelihood", "plain", "--data", "images", "--trace", "rademacher"]);
    assert!(said.contains("0 to 255 are scaled to the 0 to 16"), "{said}");
    let samples = ["sample", "plain", "-n", "3", "--solver", "euler", "--steps", "2", "--npz", "rows.npz"];
    succeeds(folder, &samples);
    let said = succeeds(folder, &["likelihood", "run", "--data", "rows.npz", "--trace", "rademacher"]);
    assert!(said.contains("without classes"), "{said}");
}

#[test]
fn latents_lead_there_and_back() {
    let folder = trained();
    let folder = folder.path();
    let tight = ["--rtol", "1e-5", "--atol", "1e-6"];
    let said = succeeds(
        folder,
        &[&["encode", "run", "--data", "digits", "-n", "5", "-o", "latents.npz"], &tight[..]].concat(),
    );
    let off = said.split("differs by ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
    assert!(off.parse::<f64>().unwrap() < 1e-3, "{said}");
    let said = succeeds(
        folder,
        &[&["decode", "run", "--latents", "latents.npz", "-o", "back.npz", "--solver", "rk45"], &tight[..]].concat(),
    );
    assert!(said.contains("5 latents"), "{said}");

    let few = ["--solver", "euler", "--steps", "4"];
    succeeds(
        folder,
        &[&["interpolate", "run", "0-1", "7-8", "--pictures", "5", "--animate", "way.gif"], &few[..]].concat(),
    );
    let (width, height) = picture(&folder.join("run/interpolation.png"));
    assert!(width > 2 * height && width < 3 * height, "five across, two down: {width}x{height}");
    // Five pictures there, three back.
    let frames = image::codecs::gif::GifDecoder::new(Cursor::new(fs::read(folder.join("way.gif")).unwrap())).unwrap();
    assert_eq!(frames.into_frames().count(), 8);
    graymap(&folder.join("a.pgm"), 8, |at| (at % 16) as u8);
    let said = succeeds(folder, &[&["interpolate", "run", "a.pgm", "3"], &few[..]].concat());
    assert!(said.contains("0 to 255 are scaled to the 0 to 16"), "{said}");
    succeeds(
        folder,
        &[&["temperature", "run", "--scale", "0.8,1.2", "--seeds", "0-2", "--class", "4"], &few[..]].concat(),
    );
    succeeds(
        folder,
        &[&["arithmetic", "run", "--data", "digits", "-n", "60", "--minus", "1", "--plus", "7"], &few[..]].concat(),
    );
    // Two scales by three seeds; five strengths by six rows of that class.
    let (width, height) = picture(&folder.join("run/temperature.png"));
    assert!(height > width, "{width}x{height}");
    let (width, height) = picture(&folder.join("run/arithmetic.png"));
    assert!(height > width, "{width}x{height}");
    let back = ["arithmetic", "run", "--data", "digits", "-n", "60", "--minus", "1", "--plus", "7"];
    succeeds(folder, &[&back[..], &["--shown", "2", "--strength", "-1,0,1", "-o", "back.png"], &few[..]].concat());
    let (width, height) = picture(&folder.join("back.png"));
    assert!(width > height, "three across, two down: {width}x{height}");
    refuses(folder, &[&back[..], &["--strength", "nan"]].concat(), &["--strength NaN"]);
    refuses(folder, &[&back[..], &["--shown", "0"]].concat(), &["--shown 0"]);
    refuses(folder, &["interpolate", "run", "back.npz", "3"], &["back.npz", "5 images"]);
    refuses(folder, &["interpolate", "run", "0", "1", "--pictures", "100000000000"], &["--pictures"]);
    refuses(folder, &["temperature", "run", "--scale", "1e300"], &["--scale"]);
    refuses(folder, &["temperature", "run", "--seeds", "3-1"], &["3-1"]);
    // A file that cannot be written is an error before the computation, which would take an hour here.
    let long = ["--solver", "euler", "--steps", "1000000"];
    let nowhere = ["encode", "run", "--data", "digits", "-o", "a.pgm/latents.npz"];
    refuses(folder, &[&nowhere[..], &long[..]].concat(), &["a.pgm"]);
    let nowhere = ["interpolate", "run", "0", "1", "--animate", "a.pgm/way.gif"];
    refuses(folder, &[&nowhere[..], &long[..]].concat(), &["a.pgm"]);
    let nowhere = ["denoise", "run", "--data", "digits", "--sigma", "0.3", "--npz", "a.pgm/x.npz"];
    refuses(folder, &[&nowhere[..], &long[..]].concat(), &["a.pgm"]);
    assert!(fails(folder, &["interpolate", "run", "0-1", "2"]).contains("2 and 1"));
    assert!(fails(folder, &["interpolate", "run", "0", "nothing.png"]).contains("nothing.png"));
    assert!(fails(folder, &["interpolate", "run", "0", "1", "--animate", "way.mp4"]).contains("--animate"));
    assert!(fails(folder, &["temperature", "run", "--scale", "0"]).contains("--scale"));
    assert!(fails(folder, &["temperature", "run", "--class", "x"]).contains("--class: no class `x`"));
    assert!(
        fails(folder, &["arithmetic", "run", "--data", "digits", "--minus", "1", "--plus", "12"]).contains("--plus 12")
    );
    let error = fails(folder, &["encode", "run", "--data", "missing", "-o", "x.npz"]);
    assert!(error.contains("missing"), "{error}");
}

#[test]
fn images_are_restored_and_scored() {
    let folder = trained();
    let folder = folder.path();
    let few = ["--solver", "euler", "--steps", "3"];
    for sigma in ["0.3", "auto"] {
        let denoise = ["denoise", "run", "--data", "digits", "-n", "4", "--sigma", sigma, "--npz", "clean.npz"];
        succeeds(folder, &[&denoise[..], &few[..]].concat());
    }
    succeeds(folder, &["denoise", "run", "--data", "digits", "-n", "4", "--sigma", "0.3", "--one-step"]);
    let (width, height) = picture(&folder.join("run/denoised.png"));
    assert!(width > height, "four across, two down: {width}x{height}");
    assert_eq!(rows(&folder.join("clean.npz")), [4, 8, 8, 1]);
    let one_step = ["denoise", "run", "--data", "digits", "--sigma", "0.3", "--one-step", "--steps", "3"];
    refuses(folder, &one_step, &["--one-step"]);
    let found = ["denoise", "run", "--data", "digits", "--sigma", "0.3", "--solver", "ipndm", "--schedule", "gits"];
    refuses(folder, &found, &["--schedule gits"]);
    refuses(folder, &["denoise", "run", "--data", "digits", "--sigma", "0.3", "--label", "a"], &["--label"]);
    assert!(fails(folder, &["denoise", "run", "--data", "digits", "--sigma", "none"]).contains("--sigma none"));
    assert!(fails(folder, &["denoise", "run", "--data", "digits", "--sigma", "1e9"]).contains("noise levels"));

    graymap(&folder.join("mask.pgm"), 8, |at| if at % 8 < 4 { 255 } else { 0 });
    let inpaint =
        ["inpaint", "run", "--data", "digits", "-n", "3", "--fillings", "2", "--steps", "3", "--npz", "filled.npz"];
    succeeds(folder, &[&inpaint[..], &["--mask", "mask.pgm"]].concat());
    let (width, height) = picture(&folder.join("run/inpainted.png"));
    assert!(width > height, "four across, three down: {width}x{height}");
    assert_eq!(rows(&folder.join("filled.npz")), [6, 8, 8, 1]);
    // Known pixels are unchanged.
    let filled = pfgm_data::open(folder.join("filled.npz").to_str().unwrap(), &Default::default()).unwrap();
    let digits = pfgm_data::open("digits", &Default::default()).unwrap();
    let (mut image, mut digit) = (vec![0.0; 64], vec![0.0; 64]);
    filled.read(0, &mut image).unwrap();
    digits.read(0, &mut digit).unwrap();
    assert!((0..64).filter(|at| at % 8 < 4).all(|at| (image[at] - digit[at]).abs() < 1e-3));
    for (flag, value) in [("--completions", "100000000000000"), ("--steps", "0"), ("--rounds", "99999999")] {
        let many = ["inpaint", "run", "--data", "digits", "-n", "3", "--mask", "mask.pgm", flag, value];
        refuses(folder, &many, &[flag, value]);
    }
    graymap(&folder.join("wide.pgm"), 9, |_| 0);
    let error = fails(folder, &[&inpaint[..], &["--mask", "wide.pgm"]].concat());
    assert!(error.contains("wide.pgm") && error.contains("9 high"), "{error}");
    graymap(&folder.join("white.pgm"), 8, |_| 255);
    assert!(fails(folder, &[&inpaint[..], &["--mask", "white.pgm"]].concat()).contains("no pixel is black"));

    // Noise and digits: independent of the quality of the run, there are a table, a picture and areas.
    succeeds(folder, &["sample", "plain", "-n", "6", "--solver", "euler", "--steps", "1", "--npz", "odd.npz"]);
    let said = succeeds(
        folder,
        &[
            "anomaly",
            "plain",
            "--data",
            "odd.npz",
            "--usual",
            "digits",
            "-n",
            "6",
            "--rtol",
            "1e-2",
            "--atol",
            "1e-2",
            "--csv",
            "scores.csv",
        ],
    );
    assert!(said.contains("typicality") && said.contains("area under ROC"), "{said}");
    assert_eq!(fs::read_to_string(folder.join("scores.csv")).unwrap().lines().count(), 13);
    picture(&folder.join("plain/anomaly.png"));
    let labeled = [
        "anomaly",
        "plain",
        "--data",
        "digits",
        "-n",
        "8",
        "--trace",
        "rademacher",
        "--rtol",
        "1e-1",
        "--atol",
        "1e-1",
    ];
    let said = succeeds(folder, &[&labeled[..], &["--normal", "0,1,2", "--roc", "curve.png"]].concat());
    assert!(said.contains("8 normal rows, 8 scored"), "{said}");
    picture(&folder.join("curve.png"));
    assert!(fails(folder, &[&labeled[..], &["--normal", "cat"]].concat()).contains("--normal-classes cat"));
    let error = fails(folder, &["anomaly", "plain", "--data", "odd.npz", "--normal", "0"]);
    assert!(error.contains("no labels"), "{error}");
    let error = fails(folder, &["anomaly", "plain", "--data", "digits", "--usual", "digits", "--sigma", "1e6"]);
    assert!(error.contains("--sigma 1000000"), "{error}");
    let nowhere = ["anomaly", "plain", "--data", "digits", "--usual", "digits"];
    refuses(folder, &[&nowhere[..], &["--sigma", "nan"]].concat(), &["--sigma NaN"]);
    refuses(folder, &[&nowhere[..], &["--roc", "mask.pgm/roc.png"]].concat(), &["mask.pgm"]);
    refuses(folder, &[&nowhere[..], &["--draws", "10000000", "--probes", "10000000"]].concat(), &["--probes"]);
}
