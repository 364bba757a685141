//! `pfgm compare` on the command line.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use crate::support::{refuses, succeeds, temporary, train};

/// The rows of a table by the names of its columns.
fn rows(path: &Path) -> Vec<BTreeMap<String, String>> {
    let text = fs::read_to_string(path).unwrap();
    let mut lines = text.lines().map(split);
    let header = lines.next().unwrap();
    lines.map(|line| header.iter().cloned().zip(line).collect()).collect()
}

/// Splits a line at commas outside of quotes.
fn split(line: &str) -> Vec<String> {
    let (mut cells, mut quoted) = (vec![String::new()], false);
    for letter in line.chars() {
        match letter {
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(String::new()),
            letter => cells.last_mut().unwrap().push(letter),
        }
    }
    cells
}

fn times(folder: &Path) -> BTreeMap<PathBuf, SystemTime> {
    let of = |entry: std::io::Result<fs::DirEntry>| {
        let entry = entry.unwrap();
        (entry.path(), entry.metadata().unwrap().modified().unwrap())
    };
    fs::read_dir(folder).unwrap().map(of).filter(|(path, _)| path.extension().unwrap() == "json").collect()
}

#[test]
fn a_matrix_is_compared_and_goes_on() {
    let dir = temporary();
    let here = dir.path();
    train(here, "digits", 4, "a", &[]);
    train(here, "digits", 4, "b", &["--set", "flow.extra_dims=inf"]);
    let file = "reference = \"digits\"\nsamples = 20\n[[run]]\npath = \"a\"\n[[run]]\npath = \"b\"\nname = \"no <D>\"\n\
        [[solver]]\nmethod = \"unipc-2\"\nsteps = [3, 4]\n";
    fs::write(here.join("two.toml"), file).unwrap();
    let said = succeeds(here, &["compare", "two.toml", "-o", "out"]);
    assert!(
        said.contains("4, 0 of them finished before") && said.contains("4 of 4  no <D>, unipc-2 4 steps: FD"),
        "{said}"
    );
    assert!(said.contains("left"), "{said}");
    let found = rows(&here.join("out/results.csv"));
    let columns = |name: &str| found.iter().map(|row| row[name].clone()).collect::<Vec<_>>();
    assert_eq!(columns("run"), ["a", "a", "no <D>", "no <D>"]);
    assert_eq!(columns("d"), ["128", "128", "inf", "inf"]);
    assert_eq!(columns("steps"), ["3", "4", "3", "4"]);
    assert_eq!(columns("nfe"), ["3", "4", "3", "4"]);
    for name in ["fd", "fd_standard_error", "kid", "precision", "recall", "seconds_per_image"] {
        assert!(columns(name).iter().all(|value| value.parse::<f64>().unwrap().is_finite()), "{name}: {found:?}");
    }
    // The score equals that of `pfgm evaluate`.
    let evaluated =
        ["evaluate", "a", "--data", "digits", "-n", "20", "--solver", "unipc-2", "--steps", "3", "--json", "a.json"];
    succeeds(here, &evaluated);
    let report: serde_json::Value = serde_json::from_slice(&fs::read(here.join("a.json")).unwrap()).unwrap();
    assert_eq!(report["frechet_distance"]["value"].as_f64().unwrap().to_string(), found[0]["fd"]);

    let page = fs::read_to_string(here.join("out/report.html")).unwrap();
    assert!(
        !page.contains("src=\"http") && !page.contains("href=") && !page.contains("url("),
        "nothing from elsewhere"
    );
    // A figure of both runs, a figure of each run, and a picture of each cell.
    assert_eq!(page.matches("src=\"data:image/svg+xml;base64,").count(), 3);
    assert_eq!(page.matches("src=\"data:image/png;base64,").count(), 2);
    for (ending, begin) in [("svg", "<svg "), ("pdf", "%PDF-")] {
        let figures = fs::read_dir(here.join("out/figures")).unwrap().map(|entry| entry.unwrap().path());
        let figures: Vec<_> = figures.filter(|path| path.extension().is_some_and(|own| own == ending)).collect();
        assert_eq!(figures.len(), 3, "{figures:?}");
        assert!(figures.iter().all(|path| fs::read(path).unwrap().starts_with(begin.as_bytes())), "{figures:?}");
    }
    assert_eq!(page.matches("<img").count(), 5);
    assert!(page.contains("no &lt;D&gt;") && !page.contains("<D>"));

    // Finished results are reused; deleted ones are computed again with the same numbers.
    let cells = here.join("out/cells");
    let before = times(&cells);
    assert_eq!(before.len(), 4);
    let gone = before.keys().nth(1).unwrap();
    fs::remove_file(gone).unwrap();
    let said = succeeds(here, &["compare", "two.toml", "-o", "out"]);
    assert!(said.contains("4, 3 of them finished before"), "{said}");
    let after = times(&cells);
    assert_eq!(after.len(), 4);
    for (path, time) in &before {
        assert_eq!(after[path] == *time, path != gone, "{}", path.display());
    }
    let again = rows(&here.join("out/results.csv"));
    assert!(again.iter().zip(&found).all(|(a, b)| a["fd"] == b["fd"] && a["kid"] == b["kid"]), "{again:?}");
    // Another comparison in the same folder reuses common cells; another seed has none.
    fs::write(here.join("two.toml"), file.replace("[3, 4]", "[4, 5]")).unwrap();
    assert!(succeeds(here, &["compare", "two.toml", "-o", "out"]).contains("4, 2 of them finished before"));
    fs::write(here.join("two.toml"), format!("seed = 1\n{file}")).unwrap();
    assert!(succeeds(here, &["compare", "two.toml", "-o", "out"]).contains("4, 0 of them finished before"));
    // Of two repetitions, the first has the seeds of a single one; in figures they are points of one curve.
    fs::write(here.join("two.toml"), format!("seeds = 2\n{file}")).unwrap();
    let said = succeeds(here, &["compare", "two.toml", "-o", "out", "--format", "svg", "--lang", "zh"]);
    assert!(said.contains("8, 4 of them finished before") && said.contains("(SVG)"), "{said}");
    let repeated = rows(&here.join("out/results.csv"));
    let of = |name: &str, row: usize| repeated[row][name].clone();
    assert_eq!((of("settings", 0), of("settings", 1)), ("repetition 1".into(), "repetition 2".into()));
    assert!(of("fd", 0) == found[0]["fd"] && of("fd", 1) != of("fd", 0), "{repeated:?}");
    let all = fs::read_to_string(here.join("out/figures/all-runs-evaluations-of-each-sample-nfe.svg")).unwrap();
    assert!(all.contains("a: unipc-2</text>") && !all.contains("repetition") && all.contains("求值次数"), "{all}");
    // After another training, the run has different results.
    fs::write(here.join("one.toml"), file.replace("[[run]]\npath = \"a\"\n", "")).unwrap();
    assert!(succeeds(here, &["compare", "one.toml", "-o", "out"]).contains("2, 2 of them finished before"));
    fs::remove_dir_all(here.join("b")).unwrap();
    train(here, "digits", 4, "b", &["--set", "flow.extra_dims=inf", "--set", "train.seed=5"]);
    assert!(succeeds(here, &["compare", "one.toml", "-o", "out"]).contains("2, 0 of them finished before"));
}

#[test]
fn a_run_is_compared_with_itself_in_half_precision() {
    let dir = temporary();
    let here = dir.path();
    train(here, "digits", 4, "a", &[]);
    let file = "samples = 20\n[[run]]\npath = \"a\"\n[[run]]\npath = \"a\"\nname = \"half\"\nprecision = \"bf16\"\n\
        [[solver]]\nmethod = \"heun\"\nsteps = 3\n";
    fs::write(here.join("half.toml"), file).unwrap();
    succeeds(here, &["compare", "half.toml"]);
    let found = rows(&here.join("runs/compare-half/results.csv"));
    let [whole, half] = [0, 1].map(|row| found[row]["fd"].parse::<f64>().unwrap());
    assert!(whole != half && (whole / half - 1.0).abs() < 0.1, "{whole} {half}");
    fs::write(here.join("half.toml"), file.replace("bf16", "f8")).unwrap();
    refuses(here, &["compare", "half.toml"], &["half.toml", "run[1].precision", "bf16"]);
}

#[test]
fn noise_and_rounded_weights_are_axes() {
    let dir = temporary();
    let here = dir.path();
    train(here, "digits", 4, "a", &[]);
    let file = "samples = 20\nnoise = [0.0, 0.2]\nbits = [3, 6, 32]\n[[run]]\npath = \"a\"\n[[solver]]\n\
        method = [\"heun\", \"euler\"]\nsteps = 3\n[[solver]]\nmethod = \"rk45\"\nrtol = [1e-1, 1e-2]\nnoise = 0.0\n";
    fs::write(here.join("axes.toml"), file).unwrap();
    succeeds(here, &["compare", "axes.toml"]);
    let found = rows(&here.join("runs/compare-axes/results.csv"));
    assert_eq!(found.len(), 3 * (4 + 2));
    let distances: std::collections::BTreeSet<&String> = found.iter().map(|row| &row["fd"]).collect();
    assert_eq!(distances.len(), 18, "every axis changes something: {found:?}");
    assert!(
        found.iter().any(|row| row["settings"] == "noise 0.2, bits 3" && row["noise"] == "0.2" && row["bits"] == "3")
    );
    let page = fs::read_to_string(here.join("runs/compare-axes/report.html")).unwrap();
    // Figures over noise, over bits and over evaluations, and the best samples.
    assert_eq!(page.matches("<img").count(), 4);

    succeeds(here, &["diagnose", "norms", "a", "-n", "8", "--steps", "5"]);
    assert!(fs::read(here.join("a/norms.png")).unwrap().starts_with(b"\x89PNG"));
    let said = succeeds(here, &["diagnose", "norms", "a", "-n", "8", "--steps", "5", "-o", "n.png"]);
    assert!(said.contains("8 of 5 steps, correlation") && here.join("n.png").is_file(), "{said}");
    refuses(here, &["diagnose", "norms", "a", "-n", "1"], &["-n 1"]);
    refuses(here, &["diagnose", "norms", "nowhere"], &["nowhere"]);
}

#[test]
fn what_cannot_be_compared_is_refused_at_once() {
    let dir = temporary();
    let here = dir.path();
    train(here, "digits", 4, "a", &[]);
    train(here, "heart", 4, "h", &["--set", "data.hold_out=0"]);
    let solver = "[[solver]]\nmethod = \"heun\"\nsteps = 3\n";
    let a = "[[run]]\npath = \"a\"\n";
    for (text, parts) in [
        (format!("{a}[[run]]\npath = \"nowhere\"\n{solver}"), &["c.toml", "run[1].path", "nowhere", "pfgm train"][..]),
        (format!("{a}[[run]]\npath = \"h\"\n{solver}"), &["c.toml", "run[1].path", "h:", "8x8", "2"]),
        (format!("reference = \"heart\"\n{a}{solver}"), &["c.toml", "run[0].path", "a:"]),
        (format!("reference = \"elsewhere\"\n{a}{solver}"), &["c.toml", "reference", "elsewhere"]),
        (format!("sample = 20\n{a}{solver}"), &["c.toml", "sample", "did you mean `samples`"]),
        (format!("{a}{solver}stpes = 3\n"), &["c.toml", "solver[0]", "stpes", "did you mean `steps`"]),
        (format!("{a}{solver}[[solver]]\nmethod = \"rk54\"\n"), &["c.toml", "solver[1]", "method", "rk54"]),
        (format!("{a}{solver}order = 2\n"), &["c.toml", "solver[0]: order = 2", "ipndm and deis"]),
        (
            format!("{a}[[solver]]\nmethod = \"ancestral\"\n"),
            &["c.toml", "solver[0].method = ancestral", "D = 128", "run a"],
        ),
        (format!("noise = 0.1\n{a}[[solver]]\nmethod = \"rk45\"\n"), &["c.toml", "solver[0]: noise = 0.1", "heun"]),
        (
            format!("{a}[[solver]]\nmethod = \"unipc-2\"\nsteps = 5\nschedule = \"gits\"\n"),
            &["c.toml", "solver[0].schedule", "a/schedule-5.toml", "pfgm schedule a --steps 5 --solver unipc-2"],
        ),
        (
            format!("[[run]]\npath = \"h\"\nguidance = 2.0\n{solver}"),
            &["c.toml", "run[0].guidance", "not conditioned on classes"],
        ),
        (
            format!("[[run]]\npath = \"a\"\nguidance = 2.0\nautoguide = \"h\"\n{solver}"),
            &["c.toml", "run[0].autoguide", "its rows are"],
        ),
        (
            format!("[[run]]\npath = \"a\"\nguidance = 2.0\nguidance_levels = [3.0, 1.0]\n{solver}"),
            &["c.toml", "run[0].guidance_levels", "the lower one first"],
        ),
        (format!("features = \"inception\"\n{a}{solver}"), &["c.toml", "features", "weights"]),
        (format!("samples = 3\n{a}{solver}"), &["c.toml", "samples = 3"]),
        ("samples = [".to_owned(), &["c.toml"]),
    ] {
        fs::write(here.join("c.toml"), text).unwrap();
        refuses(here, &["compare", "c.toml", "-o", "out"], parts);
    }
    refuses(here, &["compare", "missing.toml"], &["missing.toml"]);
    assert!(!here.join("out").exists() && !here.join("runs").exists(), "what is refused writes nothing");
    fs::write(here.join("c.toml"), format!("{a}{solver}")).unwrap();
    refuses(here, &["compare", "c.toml", "-o", "c.toml"], &["--out c.toml", "folder"]);
}
