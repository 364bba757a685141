//! Training on user data: without a preset, from another run, within a time budget, and errors.

use std::{fs, path::Path};

use crate::support::{SMALL, fails, refuses, succeeds, temporary, train};

/// Images of a side in folders of classes.
fn images(folder: &Path, sides: &[u32], classes: &[&str], each: u32) {
    for (number, class) in classes.iter().enumerate() {
        fs::create_dir_all(folder.join(class)).unwrap();
        for index in 0..each {
            let side = sides[index as usize % sides.len()];
            let pixel = |x: u32, y: u32| image::Rgb([(x * 9 + index * 5) as u8, (y * 7) as u8, 100 * number as u8]);
            image::RgbImage::from_fn(side, side, pixel).save(folder.join(class).join(format!("{index}.png"))).unwrap();
        }
    }
}

/// A run's configuration.
fn config(run: &Path) -> toml::Table {
    fs::read_to_string(run.join("config.toml")).unwrap().parse().unwrap()
}

const FEW_STEPS: [&str; 8] = [
    "--set",
    "train.steps=2",
    "--set",
    "network.width=8",
    "--set",
    "train.batch=4",
    "--set",
    "train.checkpoint_every=1",
];

#[test]
fn images_tables_and_arrays_train_as_they_stand() {
    let dir = temporary();
    let here = dir.path();
    let run = |data: &str, out: &str| {
        let said = succeeds(here, &[&["train", data, "--out", out], &FEW_STEPS[..]].concat());
        assert!(said.contains("trained after 2 of 2 steps") && said.contains("network.kind"), "{said}");
        config(&here.join(out))
    };
    images(&here.join("pets"), &[12], &["cats", "dogs"], 30);
    let pets = run("pets", "pets-run");
    assert_eq!(pets["data"]["conditional"].as_bool(), Some(true));
    assert_eq!(pets["data"]["hold_out"].as_integer(), Some(6));
    assert_eq!(pets["network"]["kind"].as_str(), Some("unet"));
    let said = succeeds(here, &["sample", "pets-run", "-n", "2", "--steps", "2", "--class", "dogs", "-o", "x.png"]);
    assert!(said.contains("2 samples"), "{said}");

    let rows: String = (0..60).map(|row| format!("{},{}\n", row % 7, f64::from(row) * 0.5)).collect();
    fs::write(here.join("t.csv"), format!("a,b\n{rows}")).unwrap();
    assert_eq!(run("t.csv", "table-run")["network"]["kind"].as_str(), Some("mlp"));

    let values: Vec<f32> = (0..20 * 10 * 6).map(|at| (at % 97) as f32 / 96.0).collect();
    let mut file = Vec::from(*b"\x93NUMPY\x01\x00\x76\x00");
    file.extend(format!("{:<117}\n", "{'descr': '<f4', 'fortran_order': False, 'shape': (20, 10, 6)}").bytes());
    file.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    fs::write(here.join("scans.npy"), file).unwrap();
    let scans = run("scans.npy", "scans-run");
    assert_eq!((scans["network"]["kind"].as_str(), scans["data"]["hold_out"].as_integer()), (Some("unet"), Some(0)));

    // Images of several sizes are resized, and the run opens them in the same way again.
    images(&here.join("photos"), &[70, 90], &[""], 12);
    let photos = run("photos", "photos-run");
    assert_eq!(photos["data"]["side"].as_integer(), Some(64));
    let said = succeeds(here, &["train", "photos-run", "--resume", "--set", "train.steps=3"]);
    assert!(said.contains("trained after 3 of 3 steps"), "{said}");
}

#[test]
fn a_table_gets_its_class_column_back() {
    let dir = temporary();
    let rows: String = (0..60).map(|row| format!("{row},{},{}\n", row % 7, ["red", "white"][row % 2])).collect();
    fs::write(dir.path().join("t.csv"), format!("a,b,kind\n{rows}")).unwrap();
    succeeds(dir.path(), &[&["train", "t.csv", "--label", "kind", "--out", "run"], &FEW_STEPS[..]].concat());
    succeeds(dir.path(), &["sample", "run", "-n", "9", "--steps", "2", "--csv", "s.csv"]);
    let table = fs::read_to_string(dir.path().join("s.csv")).unwrap();
    assert_eq!(table.lines().next(), Some("a,b,kind"));
    assert!(table.lines().skip(1).all(|line| line.ends_with(",red") || line.ends_with(",white")), "{table}");
}

#[test]
fn keys_that_are_given_decide_what_follows_from_them() {
    let dir = temporary();
    let said = succeeds(
        dir.path(),
        &[
            "train",
            "heart",
            "--dry-run",
            "--preset",
            "digits",
            "--set",
            "data.conditional=false",
            "--set",
            "network.kind=mlp",
        ],
    );
    assert!(said.contains("source = \"heart\"") && said.contains("steps = 1500"), "{said}");
    let said = succeeds(dir.path(), &["train", "two-moons", "--dry-run", "--set", "train.steps=150", "-D", "1"]);
    assert!(
        said.contains("cooldown = 37") && said.contains("extra_dims = 1") && said.contains("field_batch = 1800"),
        "{said}"
    );
    let orders = [["network.width=24", "network.kind=mlp"], ["network.kind=mlp", "network.width=24"]];
    let said = orders.map(|[a, b]| succeeds(dir.path(), &["train", "two-moons", "--dry-run", "--set", a, "--set", b]));
    assert!(said[0] == said[1] && said[0].contains("width = 24"), "{}", said[0]);
}

#[test]
fn data_without_anything_to_learn_are_refused() {
    let dir = temporary();
    let here = dir.path();
    fs::write(here.join("one.csv"), "a,b\n1,2\n").unwrap();
    fs::write(here.join("same.csv"), format!("a,b\n{}", "1,2\n".repeat(30))).unwrap();
    let rows: String = (0..30).map(|row| format!("{row},0.1\n")).collect();
    fs::write(here.join("column.csv"), format!("a,b\n{rows}")).unwrap();
    refuses(here, &["train", "one.csv"], &["one", "at least 2"]);
    refuses(here, &["train", "same.csv"], &["same", "equal"]);
    refuses(here, &["train", "wine", "--data", "same.csv", "--label", ""], &["same", "equal"]);
    let said = succeeds(here, &["train", "column.csv", "--dry-run"]);
    assert!(said.contains("b: constant 0.1"), "{said}");
    refuses(here, &["train", "wine"], &["winequality-red.csv", "--data"]);
    refuses(here, &["train"], &["preset"]);
    refuses(here, &["train", "heart.csv"], &["heart.csv"]);
    refuses(here, &["train", "two-moons", "--data", "digits"], &["--data digits"]);
    assert!(!here.join("runs").exists());
}

#[test]
fn minutes_set_the_number_of_steps() {
    let dir = temporary();
    let mut arguments = vec!["train", "two-moons", "--out", "run", "--minutes", "0.02", "--set", "network.width=16"];
    arguments.extend(["--set", "train.checkpoint_every=100000", "--set", "train.batch=16"]);
    let said = succeeds(dir.path(), &arguments);
    assert!(said.contains("measured"), "{said}");
    let train = config(&dir.path().join("run"));
    let steps = train["train"]["steps"].as_integer().unwrap();
    assert!(said.contains(&format!("trained after {steps} of {steps} steps")), "{said}");
    assert_eq!(train["train"]["checkpoint_every"].as_integer(), Some(100_000), "a key that is given stays");
}

#[test]
fn a_run_is_fine_tuned_on_other_classes() {
    let dir = temporary();
    let here = dir.path();
    train(here, "digits", 2, "run", &[]);
    images(&here.join("pets"), &[8], &["cats", "dogs"], 20);
    for class in ["cats", "dogs"] {
        for index in 0..20 {
            let path = here.join("pets").join(class).join(format!("{index}.png"));
            image::open(&path).unwrap().into_luma8().save(&path).unwrap();
        }
    }
    let said = succeeds(here, &["train", "pets", "--from", "run", "--out", "tuned", "--set", "train.steps=2"]);
    assert!(said.contains("trained after 2 of 2 steps") && said.contains("initialized again"), "{said}");
    let (before, after) = (config(&here.join("run")), config(&here.join("tuned")));
    assert_eq!(before["network"], after["network"]);
    let rate = |config: &toml::Table| config["train"]["lr"].as_float().unwrap();
    assert!((rate(&after) - 0.1 * rate(&before)).abs() < 1e-12);
    succeeds(here, &["sample", "tuned", "-n", "2", "--steps", "2", "--class", "cats"]);
    // It is a normal run.
    succeeds(here, &["train", "tuned", "--resume", "--set", "train.steps=3"]);
    refuses(here, &["train", "heart", "--from", "run"], &["heart", "8x8x1"]);
    refuses(here, &["train", "pets", "--from", "run", "--set", "network.width=16"], &["network"]);

    // Averaged weights only, as after an import, can be fine-tuned but not resumed.
    succeeds(here, &["export", "run", "-o", "small.safetensors", "--names", "run"]);
    succeeds(here, &["train", "--from", "small.safetensors", "--out", "again", "--set", "train.steps=1"]);
    let parity = format!("{}/../pfgm/tests/parity/pfgmpp.pt", env!("CARGO_MANIFEST_DIR"));
    succeeds(here, &["import", &parity, "-o", "imported"]);
    refuses(here, &["train", "imported", "--resume"], &["--from imported"]);
}

#[test]
fn a_run_that_ended_before_its_first_checkpoint_begins_anew() {
    let dir = temporary();
    let here = dir.path();
    train(here, "digits", 2, "run", &[]);
    let last = || fs::read(here.join("run/checkpoints/step-00000002.safetensors")).unwrap();
    let whole = last();
    let forget = || fs::remove_dir_all(here.join("run/checkpoints")).unwrap();
    forget();
    succeeds(here, &["train", "run", "--resume"]);
    assert!(last() == whole, "the same training");
    forget();
    // The same command works as well.
    train(here, "digits", 2, "run", &[]);
    assert!(last() == whole, "the same training");
    let error = fails(here, &[&["train", "digits", "--out", "run"], &SMALL[..]].concat());
    assert!(error.contains("--resume"), "{error}");
}

#[test]
fn the_refusal_to_resume_says_what_may_change() {
    let dir = temporary();
    train(dir.path(), "digits", 2, "run", &[]);
    let wider = ["train", "run", "--resume", "--set", "train.lr=0.5"];
    refuses(dir.path(), &wider, &["train.lr", "train.steps", "train.checkpoint_every", "train.keep", "--from run"]);
}

#[test]
fn sampling_keeps_the_picture_of_the_training() {
    let dir = temporary();
    train(dir.path(), "digits", 2, "run", &[]);
    let picture = || fs::read(dir.path().join("run/samples.png")).unwrap();
    let before = picture();
    succeeds(dir.path(), &["sample", "run", "-n", "3", "--steps", "2"]);
    assert!(picture() == before && dir.path().join("run/sampled.png").exists());
}
