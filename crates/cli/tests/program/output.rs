//! Output to standard output, devices, pipes, links, and pictures in several formats.
#![cfg(unix)]

use std::{
    fs::{self, File},
    os::unix::fs::{FileTypeExt, symlink},
    process::{Command, Stdio},
};

use crate::support::{fails, pfgm, png_size, succeeds, temporary};

/// Returns exit code and standard error, with standard output on a device.
fn printed_to(device: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_pfgm"))
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(File::options().write(true).open(device).unwrap())
        .output()
        .unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_full_standard_output_is_an_error() {
    for arguments in [&["presets", "digits"][..], &["presets"], &["--help"], &["--version"], &["train", "--help"]] {
        let (code, error) = printed_to("/dev/full", arguments);
        assert!(code == Some(2) && error.starts_with("error: standard output"), "{arguments:?}: {code:?} {error}");
        assert_eq!(printed_to("/dev/null", arguments), (Some(0), String::new()));
    }
    // Without standard error, the exit code still reports the failure.
    let output = Command::new(env!("CARGO_BIN_EXE_pfgm"))
        .args(["train", "nowhere"])
        .stderr(File::options().write(true).open("/dev/full").unwrap())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_closed_pipe_is_no_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_pfgm"))
        .arg("presets")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn devices_pipes_and_links_are_written_to() {
    let dir = temporary();
    let at = |name: &str| dir.path().join(name);
    succeeds(dir.path(), &["data", "heart", "-o", "/dev/null"]);
    assert!(fs::symlink_metadata("/dev/null").unwrap().file_type().is_char_device());
    let error = fails(dir.path(), &["data", "heart", "-o", "/dev/full"]);
    assert!(error.contains("/dev/full"), "{error}");

    fs::write(at("old.png"), "old").unwrap();
    symlink("old.png", at("link.png")).unwrap();
    succeeds(dir.path(), &["data", "heart", "-o", "link.png"]);
    assert!(at("link.png").is_symlink() && fs::read(at("old.png")).unwrap().starts_with(b"\x89PNG"));

    assert!(Command::new("mkfifo").arg(at("pipe.png")).status().unwrap().success());
    let reader = std::thread::spawn({
        let pipe = at("pipe.png");
        move || fs::read(pipe).unwrap()
    });
    succeeds(dir.path(), &["data", "heart", "-o", "pipe.png"]);
    assert_eq!(reader.join().unwrap(), fs::read(at("old.png")).unwrap());
    assert!(fs::symlink_metadata(at("pipe.png")).unwrap().file_type().is_fifo());

    // With a picture on standard output, nothing else is written there.
    let output = pfgm(dir.path(), &["data", "heart", "-o", "/dev/stdout"]);
    assert!(output.status.success() && output.stdout == fs::read(at("old.png")).unwrap());
    assert!(String::from_utf8_lossy(&output.stderr).contains("rows"));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3, "nothing else is left");
}

#[test]
fn the_ending_of_a_picture_decides_its_format() {
    let dir = temporary();
    for (name, format) in [
        ("a.png", image::ImageFormat::Png),
        ("a.JPG", image::ImageFormat::Jpeg),
        ("a.webp", image::ImageFormat::WebP),
        ("a.tiff", image::ImageFormat::Tiff),
    ] {
        succeeds(dir.path(), &["data", "digits", "-o", name]);
        let bytes = fs::read(dir.path().join(name)).unwrap();
        assert_eq!(image::guess_format(&bytes).unwrap(), format);
        assert!(image::load_from_memory(&bytes).unwrap().width() > 100, "{name}");
    }
    for name in ["a.npz", "a.jepg"] {
        let error = fails(dir.path(), &["data", "digits", "-o", name]);
        assert!(error.contains(name) && error.contains(".webp"), "{error}");
        assert!(!dir.path().join(name).exists());
    }
    // In files of shapes and texts, images are embedded, and their captions are text.
    let sample =
        ["sample", "digits", "--seeds", "0-9", "--balanced", "--steps", "2", "--solver", "euler", "--lang", "zh"];
    succeeds(dir.path(), &[&sample[..], &["--theme", "dark", "-o", "b.svg"]].concat());
    let svg = fs::read_to_string(dir.path().join("b.svg")).unwrap();
    assert!(
        svg.contains("fill=\"#121212\"") && svg.contains("<image ") && svg.matches("<text ").count() == 10,
        "{svg}"
    );
    succeeds(dir.path(), &[&sample[..], &["--format", "pdf", "-o", "b"]].concat());
    assert!(fs::read(dir.path().join("b.pdf")).unwrap().starts_with(b"%PDF-"));
}

#[test]
fn charts_are_written_as_shapes_and_texts() {
    let dir = temporary();
    let read = |name: &str| fs::read(dir.path().join(name)).unwrap();
    let table = ["sample", "--exact", "heart", "-n", "50", "-o"];
    succeeds(dir.path(), &[&table[..], &["a.svg"]].concat());
    succeeds(dir.path(), &[&table[..], &["a.pdf"]].concat());
    succeeds(dir.path(), &["field", "--charges", "40", "--lines", "6", "--particles", "20", "-o", "b.SVG"]);
    let (points, field) = (String::from_utf8(read("a.svg")).unwrap(), String::from_utf8(read("b.SVG")).unwrap());
    // A dot for each sample and for each row of the data, and two in the legend.
    assert_eq!(points.matches("<circle").count(), 50 + 2000 + 2);
    assert!(
        points.contains(">samples</text>") && points.contains(">data</text>") && points.trim_end().ends_with("</svg>")
    );
    assert!(field.contains(">the far hemisphere, equal areas equal</text>"));
    assert!(read("a.pdf").starts_with(b"%PDF-") && read("a.pdf").ends_with(b"%%EOF"));
    let error = fails(dir.path(), &[&table[..], &["a.gif"]].concat());
    assert!(error.contains("a.gif") && error.contains(".svg, .pdf"), "{error}");
}

#[test]
fn drawn_images_have_the_channels_of_the_data() {
    let dir = temporary();
    succeeds(dir.path(), &["sample", "fashion-mnist", "-n", "1", "--steps", "2", "--images", "drawn", "-o", "x.png"]);
    let image = image::open(dir.path().join("drawn/000000.png")).unwrap();
    assert_eq!(image.color(), image::ColorType::L8);
}

#[test]
fn scale_enlarges_pictures_and_animations() {
    let dir = temporary();
    let here = dir.path();
    let few = ["--solver", "euler", "--steps", "2"];
    let draw = |what: &[&str], scale: &str| succeeds(here, &[what, &few[..], &["--scale", scale]].concat());
    let doubles = |what: &[&str], files: &[&str]| {
        draw(what, "1");
        let before: Vec<(u32, u32)> = files.iter().map(|file| png_size(&here.join(file))).collect();
        draw(what, "2");
        for (file, (width, height)) in files.iter().zip(before) {
            assert_eq!(png_size(&here.join(file)), (2 * width, 2 * height), "{file}");
        }
    };
    let sample =
        ["sample", "digits", "-n", "4", "--frames", "3", "--animate", "a.png", "--frames", "film", "-o", "s.png"];
    doubles(&sample, &["s.png", "a.png", "film/frame-0000.png"]);
    doubles(
        &["interpolate", "digits", "0", "1", "--pictures", "3", "--animate", "w.png", "-o", "i.png"],
        &["i.png", "w.png"],
    );
    doubles(&["denoise", "digits", "--data", "digits", "-n", "2", "--sigma", "0.5", "-o", "d.png"], &["d.png"]);
    succeeds(here, &["data", "digits", "-o", "c.png", "--scale", "0.5"]);
    assert_eq!(png_size(&here.join("c.png")).0, 331, "ten columns of 64 pixels with their gaps, at half the size");
}
