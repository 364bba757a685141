//! The exact field: figures, animations, sampling without a network.

use std::{fs, path::Path};

use crate::support::{fails, pfgm, png_size, refuses, succeeds, temporary, train};

/// A picture's pixels.
fn pixels(path: &Path) -> image::RgbImage {
    image::open(path).unwrap().into_rgb8()
}

/// Counts the pixels with a similar color in a part of a picture, given by shares of its size.
fn colored(picture: &image::RgbImage, [left, top, right, bottom]: [f64; 4], like: fn([u8; 3]) -> bool) -> usize {
    let (width, height) = (f64::from(picture.width()), f64::from(picture.height()));
    let inside = |x: u32, y: u32| {
        let (x, y) = (f64::from(x) / width, f64::from(y) / height);
        (left..right).contains(&x) && (top..bottom).contains(&y)
    };
    picture.enumerate_pixels().filter(|(x, y, pixel)| inside(*x, *y) && like(pixel.0)).count()
}

fn red([r, g, b]: [u8; 3]) -> bool {
    r > 160 && g < 140 && b < 120
}

fn blue([r, g, b]: [u8; 3]) -> bool {
    r < 110 && b > 120 && b > g
}

const WHOLE: [f64; 4] = [0.0, 0.0, 1.0, 1.0];

#[test]
fn a_field_is_drawn_and_its_hemisphere_is_uniform() {
    let dir = temporary();
    let here = dir.path();
    let said = succeeds(here, &["field", "heart", "--charges", "300", "--lines", "60", "--particles", "300"]);
    assert!(said.contains("heart: 300 charges, N = 2, D = 1") && said.contains("of 60 field lines"), "{said}");
    // Both p-values in brackets.
    let p: Vec<f64> =
        said.split("(p = ").skip(1).map(|rest| rest.split(')').next().unwrap().parse().unwrap()).collect();
    assert!(p.len() == 2 && p.iter().all(|p| *p > 0.01), "{said}");
    let picture = pixels(&here.join("heart-field.png"));
    assert_eq!(picture.dimensions(), (2400, 740));
    // Charges on the left, lines and their blue ends in the middle, the blue hemisphere on the right; white around.
    assert!(colored(&picture, [0.0, 0.0, 0.25, 1.0], red) > 2000);
    assert_eq!(colored(&picture, [0.0, 0.0, 0.25, 1.0], blue), 0);
    assert!(colored(&picture, [0.25, 0.0, 0.57, 1.0], red) > 1000);
    assert!(colored(&picture, [0.25, 0.0, 0.57, 1.0], blue) > 1000);
    assert!(colored(&picture, [0.6, 0.0, 0.8, 1.0], blue) > 3000);
    assert_eq!(colored(&picture, [0.6, 0.0, 0.8, 1.0], red), 0);
    let white = colored(&picture, WHOLE, |pixel| pixel == [255; 3]) as f64 / (2400.0 * 740.0);
    assert!((0.6..0.97).contains(&white), "{white}");
    // Uniform: the four quarters of the hemisphere have about the same amount of blue.
    let quarter = |left: f64, top: f64| colored(&picture, [left, top, left + 0.086, top + 0.28], blue) as f64;
    let (mid_x, mid_y) = (0.7015, 0.487);
    let quarters = [(mid_x - 0.086, mid_y - 0.28), (mid_x, mid_y - 0.28), (mid_x - 0.086, mid_y), (mid_x, mid_y)]
        .map(|(left, top)| quarter(left, top));
    let total: f64 = quarters.iter().sum();
    assert!(quarters.iter().all(|blue| (blue / total - 0.25).abs() < 0.1), "{quarters:?}");

    // A table of one or of three columns, other dimensions, a smaller picture.
    let rows: String = (0..60).map(|i| format!("{},{},{}\n", i % 7, (i * i) % 11, i % 5)).collect();
    fs::write(here.join("t.csv"), format!("a,b,c\n{rows}")).unwrap();
    let common = ["--lines", "20", "--particles", "50", "--scale", "0.5"];
    succeeds(here, &[&["field", "t.csv", "-D", "64"], &common[..]].concat());
    assert_eq!(png_size(&here.join("t-field.png")), (600, 185));
    let said =
        succeeds(here, &[&["field", "t.csv", "--columns", "b", "-D", "inf", "-o", "b.png"], &common[..]].concat());
    assert!(said.contains("N = 1, D = inf") && said.contains("angle"), "{said}");
    let said = succeeds(here, &["field", "disk", "--charges", "200", "--density", "--scale", "0.5"]);
    assert_eq!(png_size(&here.join("disk-density.png")), (600, 175));
    for line in said.lines().filter(|line| line.starts_with("sigma")) {
        let missed: f64 = line.split("at most ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
        assert!(missed < 1e-4, "{line}");
    }
    assert_eq!(said.lines().filter(|line| line.starts_with("sigma")).count(), 4, "{said}");
}

#[test]
fn every_figure_of_the_story_is_drawn() {
    let dir = temporary();
    let here = dir.path();
    let said = succeeds(here, &["field", "--story", "all", "-o", "figures", "--charges", "120", "--scale", "0.5"]);
    let figures = ["near-far", "extra-dimension", "empirical-field", "training-points", "projection"];
    let others = ["change-of-variable", "dimensions", "non-compact", "posterior", "greens-function", "superposition"];
    let more = ["zoom-out", "flux-tube", "inertia", "anchoring", "diffusion", "norms", "continuity"];
    for name in figures.iter().chain(&others).chain(&more) {
        let picture = pixels(&here.join(format!("figures/{name}.png")));
        assert!((500..=650).contains(&picture.width()), "{name}: {:?}", picture.dimensions());
        let drawn = colored(&picture, WHOLE, |pixel| pixel != [255; 3]) as f64;
        let share = drawn / f64::from(picture.width() * picture.height());
        assert!((0.05..0.9).contains(&share), "{name}: {share}");
        assert!(colored(&picture, WHOLE, blue) > 100 && said.contains(name), "{name}");
    }
    let number = |start: &str| -> f64 {
        let line = said.lines().find(|line| line.starts_with(start)).unwrap();
        let rest = &line[start.len()..];
        rest.split_whitespace().find_map(|word| word.trim_end_matches(',').parse().ok()).unwrap()
    };
    assert!(number("without the extra dimension") < 0.1, "{said}");
    assert!((number("with it") - 1.0).abs() < 0.1, "{said}");
    let slope: f64 = said.split("slope ").nth(1).unwrap().lines().next().unwrap().parse().unwrap();
    assert!((slope + 2.0).abs() < 0.05, "{slope}");
    let exact = said.lines().find(|line| line.starts_with("exact flow")).unwrap();
    let p: f64 = exact.split("p = ").nth(1).unwrap().trim_end_matches([')', '.']).parse().unwrap();
    assert!(p > 0.001, "{exact}");
    let adaptive = said.lines().find(|line| line.starts_with("RK45")).unwrap();
    let times: f64 = adaptive.split(", ").last().unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(times > 1.3, "{adaptive}");
    let after = |start: &str| -> f64 {
        let rest = said.split(start).nth(1).unwrap_or_else(|| panic!("{start}: {said}"));
        rest.split(|c: char| c.is_whitespace() || ",;%".contains(c)).find_map(|word| word.parse().ok()).unwrap()
    };
    assert!(after("a region changes by at most") < 1e-3, "{said}");
    assert!(after("the distance falls with the drag: slope") < -1.8, "{said}");
    assert!(after("equal density: relative error") < 1e-2 && after("head to tail end within") < 1e-12, "{said}");
    assert!(after("diffusion, D = ∞") < 1.0 && (after("Poisson, D = 1") - 24.25).abs() < 6.0, "{said}");
    assert!(after("their charge differs from that share by") < 6.0, "{said}");
    // One figure alone, of other charges.
    succeeds(here, &["field", "two-moons", "--story", "projection", "--scale", "0.5", "-o", "p.png"]);
    assert_eq!(png_size(&here.join("p.png")), (600, 200));
}

#[test]
fn a_figure_has_another_language_theme_format_and_resolution() {
    let dir = temporary();
    let here = dir.path();
    let common = ["field", "--story", "all", "-o", "zh", "--charges", "60", "--format", "svg", "--lang", "zh"];
    succeeds(here, &[&common[..], &["--theme", "dark"]].concat());
    // Names of methods and of quantities stay; the rest is Chinese.
    const KEPT: [&str; 11] =
        ["RK45", "Euler", "MMPS", "Student", "PFGM", "z_max", "ln z", "spread", "log", "x", "second"];
    let mut texts = 0;
    for entry in fs::read_dir(here.join("zh")).unwrap() {
        let path = entry.unwrap().path();
        let svg = fs::read_to_string(&path).unwrap();
        assert!(svg.contains("fill=\"#121212\""), "{}: a dark background", path.display());
        for text in svg.split("<text ").skip(1) {
            let text = text.split('>').nth(1).unwrap().split('<').next().unwrap();
            texts += 1;
            let words = text.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| word.len() > 3);
            let unknown: Vec<&str> = words.filter(|word| !KEPT.iter().any(|kept| kept.contains(*word))).collect();
            assert!(unknown.is_empty(), "{}: {text}: add it to crates/plot/assets/chinese.tsv", path.display());
        }
    }
    assert!(texts > 500, "{texts}");
    succeeds(here, &["field", "disk", "--charges", "50", "--lines", "5", "--particles", "20", "--dpi", "48"]);
    assert_eq!(png_size(&here.join("disk-field.png")), (600, 185));
    let wrong = [
        (&["--dpi", "7"][..], "48 to 768"),
        (&["--scale", "0"], "0.5 to 8"),
        (&["--dpi", "96", "--scale", "2"], "--scale"),
    ];
    for (flags, part) in wrong {
        let output = pfgm(here, &[&["field", "disk"], flags].concat());
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains(part), "{flags:?}");
    }
    refuses(here, &["field", "disk", "--format", "svg", "-o", "x.pdf"], &["--format svg", "x.pdf"]);
}

#[test]
fn figures_that_move_are_animations_or_frames() {
    use image::AnimationDecoder;
    let dir = temporary();
    let here = dir.path();
    for (story, width) in [("zoom-out", 380), ("projection", 570), ("diffusion", 760), ("continuity", 380)] {
        let common = ["field", "--story", story, "--charges", "60", "--frames", "4", "--animate"];
        succeeds(here, &[&common[..], &["a.gif"]].concat());
        let file = std::io::BufReader::new(fs::File::open(here.join("a.gif")).unwrap());
        let frames = image::codecs::gif::GifDecoder::new(file).unwrap().into_frames().collect_frames().unwrap();
        assert_eq!((frames.len(), frames[0].buffer().width()), (4, width), "{story}");
        assert!(frames[0].buffer().as_raw() != frames[2].buffer().as_raw(), "{story} moves");
    }
    let half = ["--frames", "4", "--animate", "frames/", "--scale", "0.5"];
    let said = succeeds(here, &[&["field", "--story", "projection", "--charges", "60"][..], &half].concat());
    assert!(said.contains("frame-0000.png"), "{said}");
    let (across, down) = png_size(&here.join("frames/frame-0003.png"));
    assert_eq!((across, down % 2), (286, 0), "encoders of films need even sizes");
    let common = ["field", "--story", "continuity", "--charges", "60", "--frames", "3", "--frames"];
    let said = succeeds(here, &[&common[..], &["film"]].concat());
    assert!(said.contains("ffmpeg") && fs::read_dir(here.join("film")).unwrap().count() == 3, "{said}");
    refuses(here, &["field", "--story", "inertia", "--animate", "x.gif"], &["--animate", "zoom-out", "continuity"]);
    refuses(here, &["field", "--story", "inertia", "--frames", "film"], &["--frames DIR", "zoom-out"]);
}

#[test]
fn an_animation_rises_and_falls() {
    use image::AnimationDecoder;
    let dir = temporary();
    let here = dir.path();
    let arguments = ["field", "heart", "--charges", "200", "--particles", "80", "--frames", "20", "--animate"];
    succeeds(here, &[&arguments[..], &["a.gif"]].concat());
    succeeds(here, &[&arguments[..], &["a.png"]].concat());
    let open = |name: &str| std::io::BufReader::new(fs::File::open(here.join(name)).unwrap());
    let gif = image::codecs::gif::GifDecoder::new(open("a.gif")).unwrap().into_frames();
    let png = image::codecs::png::PngDecoder::new(open("a.png")).unwrap().apng().unwrap().into_frames();
    for frames in [gif.collect_frames().unwrap(), png.collect_frames().unwrap()] {
        assert_eq!(frames.len(), 20);
        let frames: Vec<image::RgbImage> =
            frames.into_iter().map(|f| image::DynamicImage::ImageRgba8(f.into_buffer()).into_rgb8()).collect();
        assert_eq!(frames[0].dimensions(), (560, 400));
        // Particles are red on the charges and blue at the top; at first there are none above the charges.
        let (first, top) = (&frames[0], &frames[9]);
        assert!(colored(first, WHOLE, red) > 300 && colored(first, WHOLE, blue) < 20);
        assert!(colored(top, WHOLE, blue) > 200);
        assert!(colored(top, [0.0, 0.0, 1.0, 0.3], blue) > 50);
        assert_eq!(colored(first, [0.0, 0.0, 1.0, 0.3], |p| red(p) || blue(p)), 0);
        assert!(colored(&frames[19], [0.25, 0.4, 0.75, 0.9], red) > 300, "they are back");
    }
    assert!(!here.join("heart-field.png").exists(), "an animation alone");
}

#[test]
fn the_exact_field_samples_and_judges_a_run() {
    let dir = temporary();
    let here = dir.path();
    let said = succeeds(here, &["sample", "--exact", "two-moons", "-n", "300", "--csv", "x.csv", "-D", "inf"]);
    assert!(said.contains("300 samples") && said.contains("2000 charges, D = inf"), "{said}");
    let p: f64 = said.split("p = ").nth(1).unwrap().trim().lines().next().unwrap().parse().unwrap();
    assert!(p > 0.01, "{said}");
    assert_eq!(fs::read_to_string(here.join("x.csv")).unwrap().lines().count(), 301);
    // With a small D a large part of the density lies far from all charges.
    let said = succeeds(here, &["sample", "--exact", "two-moons", "-n", "600", "-D", "0.3", "-o", "small.png"]);
    let p: f64 = said.split("p = ").nth(1).unwrap().trim().lines().next().unwrap().parse().unwrap();
    assert!(p > 0.01, "{said}");
    assert_eq!(png_size(&here.join("two-moons-exact.png")), (640, 662));
    // Images: with a last step to zero, each sample equals one of the digits.
    let said = succeeds(here, &["sample", "--exact", "digits", "-n", "12", "-D", "128", "--denoise", "--npz", "d.npz"]);
    let farthest: f64 = said.split("ends ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(farthest < 1e-3, "{said}");
    let mut arguments = vec!["train", "heart", "--out", "r", "--set", "train.steps=20"];
    arguments.extend(["--set", "network.width=16", "--set", "train.batch=32", "--set", "train.cooldown=0"]);
    arguments.extend(["--set", "train.warmup=1", "--set", "objective.field_batch=100"]);
    succeeds(here, &arguments);
    let said = succeeds(here, &["sample", "--exact", "heart", "--run", "r", "-n", "30"]);
    let errors: Vec<f64> = said
        .lines()
        .filter(|line| line.starts_with("r = "))
        .map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
        .collect();
    assert!(errors.len() == 7 && errors.iter().all(|error| *error > 1e-4), "a hardly trained network errs: {said}");
    let picture = pixels(&here.join("heart-against-exact.png"));
    assert_eq!(picture.dimensions(), (2400, 840));
    assert!(colored(&picture, [0.0, 0.0, 0.33, 1.0], red) > 100 && colored(&picture, WHOLE, blue) > 500);
}

#[test]
fn bad_charges_are_one_clear_line() {
    let dir = temporary();
    let here = dir.path();
    let write = |name: &str, text: &str| fs::write(here.join(name), text).unwrap();
    let expect = |arguments: &[&str], parts: &[&str]| {
        let error = fails(here, arguments);
        for part in parts {
            assert!(error.contains(part), "{arguments:?} should say {part}: {error}");
        }
    };
    write("nan.csv", "x,y\n1,2\n3,nan\n");
    write("one.csv", "x,y\n1,2\n");
    write("same.csv", "x,y\n1,2\n1,2\n");
    write("four.csv", "a,b,c,d\n1,2,3,4\n5,6,7,8\n");
    write("three.csv", "a,b,c\n1,2,3\n5,6,7\n");
    write("file", "");
    fs::create_dir(here.join("folder")).unwrap();
    expect(&["field", "nan.csv"], &["nan.csv", "line 3", "nan"]);
    expect(&["field", "one.csv"], &["one", "two different points"]);
    expect(&["field", "same.csv"], &["same", "two different points"]);
    expect(&["field", "four.csv"], &["four", "4 columns", "--columns"]);
    expect(&["field", "digits"], &["digits", "8x8x1"]);
    expect(&["field", "nowhere.csv"], &["nowhere.csv", "swiss-roll-2d"]);
    expect(&["field", "heart", "-o", "file/x.png"], &["file"]);
    expect(&["field", "heart", "-o", "folder"], &["folder", "name a file"]);
    expect(&["field", "heart", "--animate", "file/x.gif"], &["file"]);
    expect(&["field", "heart", "--animate", "x.mp4"], &["--animate x.mp4", ".gif"]);
    expect(&["field", "heart", "-D", "0"], &["-D 0"]);
    expect(&["field", "heart", "-D", "many"], &["-D many", "inf"]);
    expect(&["field", "heart", "--charges", "1"], &["--charges 1"]);
    expect(&["field", "heart", "--lines", "0"], &["--lines 0"]);
    expect(&["field", "three.csv", "--density"], &["--density", "three", "--columns"]);
    expect(&["field", "three.csv", "--story", "near-far"], &["--story", "three"]);
    expect(&["field", "heart", "--story", "non-compact"], &["non-compact", "DATA"]);
    expect(&["field", "heart", "--story", "inertia"], &["inertia", "DATA"]);
    expect(&["field", "--story", "near-far", "-D", "8"], &["-D 8", "dimensions"]);
    expect(&["sample", "--exact", "heart", "-D", "-1"], &["-D -1"]);
    expect(&["sample", "--exact", "heart", "--class", "1"], &["--class"]);
    expect(&["sample", "--exact", "heart", "--images", "i"], &["--images", "--csv"]);
    expect(&["sample", "--exact", "heart", "--arithmetic", "reference"], &["--arithmetic"]);
    expect(&["sample", "--exact", "nan.csv"], &["nan.csv", "line 3"]);
    expect(&["sample", "--exact", "heart", "--run", "nowhere"], &["nowhere"]);
    expect(&["sample", "--exact", "heart", "-o", "file/x.png"], &["file"]);
    train(here, "digits", 2, "run", &[]);
    expect(&["sample", "--exact", "heart", "--run", "run"], &["--run", "8x8x1", "2 columns"]);
    expect(&["sample", "--exact", "digits", "--run", "run"], &["--run", "classes"]);
    expect(&["sample", "run", "--columns", "a"], &["--columns", "--exact"]);
    let left = fs::read_dir(here).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let pictures: Vec<String> = left.filter(|name| name.ends_with(".png") || name.ends_with(".gif")).collect();
    assert!(pictures.is_empty(), "failures leave nothing behind: {pictures:?}");
}
