//! Solver and schedule options.

use std::fs;

use crate::support::{refuses, succeeds, temporary, train};

fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

#[test]
fn a_weaker_run_guides() {
    let dir = temporary();
    train(dir.path(), "digits", 2, "run", &[]);
    train(dir.path(), "digits", 1, "weak", &["--set", "network.width=8", "--set", "data.conditional=false"]);
    train(dir.path(), "digits", 1, "inf", &["--set", "flow.extra_dims=inf"]);
    let here = dir.path();
    let sample = |name: &str, flags: &str| {
        succeeds(here, &words(&format!("sample run -n 3 --steps 3 -o x.png --npz {name} --class 3{flags}")));
        fs::read(here.join(name)).unwrap()
    };
    let plain = sample("plain.npz", "");
    let guided = sample("guided.npz", " --autoguide weak --guidance 2");
    assert_ne!(plain, guided);
    assert_ne!(guided, sample("part.npz", " --autoguide weak --guidance 2 --guidance-levels 0.1..1"));
    assert_eq!(plain, sample("none.npz", " --autoguide weak --guidance 2 --guidance-levels 1e6..1e7"));
    let evaluated = "evaluate run --data digits -n 20 --steps 2 --reference-rows 30";
    let said = succeeds(here, &words(&format!("{evaluated} --autoguide weak --guidance 1.5 --guidance-levels 0.1..5")));
    assert!(said.contains("Frechet"), "{said}");
    for (flags, parts) in [
        ("--autoguide weak", &["--guidance", "give one above 1"][..]),
        ("--autoguide inf --guidance 2", &["--autoguide", "its D is inf"]),
        ("--autoguide nowhere --guidance 2", &["--autoguide", "nowhere"]),
        ("--guidance 2 --guidance-levels 3..1", &["--guidance-levels", "the lower one first"]),
        ("--guidance 2 --guidance-levels=-1..1", &["--guidance-levels", "from 0"]),
        ("--autoguide weak --guidance 2 --animate x.gif", &["--animate", "--autoguide"]),
    ] {
        refuses(here, &words(&format!("sample run -n 2 -o x.png {flags}")), parts);
    }
    refuses(here, &words("sample weak -n 2 -o x.png --guidance-levels 1..2"), &["--guidance-levels", "--autoguide"]);
}

#[test]
fn every_solver_samples() {
    let dir = temporary();
    train(dir.path(), "digits", 2, "inf", &["--set", "flow.extra_dims=inf"]);
    train(dir.path(), "digits", 2, "run", &[]);
    // Options, and the expected number of evaluations.
    for (flags, nfe) in [
        ("euler --steps 6", 6),
        ("euler --steps 6 --afs", 5),
        ("improved-euler --steps 3 --schedule edm --rho 3", 6),
        ("heun --steps 4 --schedule log-uniform", 7),
        ("ipndm --steps 6 --order 4", 6),
        ("dpmpp-2m --steps 6 --lower-order-final false", 6),
        ("dpmpp-3m --steps 6 --afs --denoise", 6),
        ("unipc-2 --steps 6", 6),
        ("unipc-3 --steps 6", 6),
        ("deis --steps 6 --order 2 --lower-order-final true", 6),
    ] {
        for run in ["inf", "run"] {
            let line = format!("sample {run} -n 3 -o x.png --solver {flags}");
            let said = succeeds(dir.path(), &words(&line));
            assert!(said.contains(&format!("3 samples, {nfe}.0 evaluations each")), "{line}: {said}");
        }
    }
    for (flags, nfe) in [
        ("heun --steps 4 --churn 10 --churn-min 0.1 --churn-max 40 --churn-noise 1.003", 7),
        ("reverse-sde --steps 8", 8),
        ("reverse-diffusion --steps 8 --corrector langevin --snr 0.1 --corrector-steps 2", 24),
        ("reverse-diffusion --steps 21 --process sub-vp", 21),
        ("ancestral --steps 30 --process vp --corrector none", 30),
        ("ancestral", 1000),
    ] {
        let line = format!("sample inf -n 2 -o x.png --solver {flags}");
        let said = succeeds(dir.path(), &words(&line));
        assert!(said.contains(&format!("2 samples, {nfe}.0 evaluations each")), "{line}: {said}");
    }
    for (flags, parts) in [
        ("--solver heun --order 2", &["--order 2", "ipndm and deis"][..]),
        ("--solver deis --order 5", &["--order 5", "1 to 4"]),
        ("--solver rk45 --schedule edm", &["--schedule edm", "rk45"]),
        ("--solver rk45 --afs", &["--afs", "rk45"]),
        ("--solver euler --rho 5", &["--rho 5", "--schedule edm"]),
        ("--solver ipndm --schedule edm --rho 0", &["--rho 0", "above 0"]),
        ("--solver rk45 --rho 5", &["--rho 5", "follows no grid"]),
        ("--solver euler --lower-order-final true", &["--lower-order-final true", "multistep"]),
        ("--solver euler --churn 5", &["--churn 5", "heun"]),
        ("--solver heun --churn 5", &["--churn 5", "D = 128"]),
        ("--solver heun --churn-max 5", &["--churn-max 5", "--churn S"]),
        ("--solver heun --churn=-1", &["--churn -1", "0"]),
        ("--solver heun --corrector langevin", &["--corrector langevin", "reverse-sde"]),
        ("--solver heun --snr 0.2", &["--snr 0.2", "--corrector langevin"]),
        ("--solver heun --process vp", &["--process vp", "reverse-sde"]),
        ("--solver ancestral", &["--solver ancestral", "D = 128"]),
        ("--solver unipc-2 --steps 0", &["--steps 0"]),
        (
            "--solver dpmpp-2m --schedule gits --steps 6",
            &["run/schedule-6.toml", "pfgm schedule run --steps 6 --solver dpmpp-2m"],
        ),
    ] {
        refuses(dir.path(), &words(&format!("sample run -o y.png {flags}")), parts);
    }
    for (flags, parts) in [
        ("--solver ancestral --process sub-vp", &["--process sub-vp", "reverse-diffusion"][..]),
        ("--solver reverse-sde --process vp --steps 20", &["--steps 20", "more than 20"]),
        ("--solver reverse-sde --afs", &["--afs", "far field"]),
        ("--solver heun --churn 5 --afs", &["--afs", "far field"]),
        ("--solver reverse-sde --corrector langevin --snr 0", &["--snr 0"]),
        ("--solver reverse-sde --corrector langevin --corrector-steps 0", &["--corrector-steps 0"]),
    ] {
        refuses(dir.path(), &words(&format!("sample inf -o y.png {flags}")), parts);
    }
    assert!(!dir.path().join("y.png").exists(), "what is refused writes nothing");
}

#[test]
fn a_schedule_is_found_and_used() {
    let dir = temporary();
    let here = dir.path();
    train(here, "digits", 2, "run", &[]);
    let said = succeeds(here, &words("schedule run --steps 6 --solver dpmpp-2m -n 4 --grid 20"));
    for part in ["run/schedule-6.toml", "4 trajectories of 39 evaluations", "--schedule gits --steps 6"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let file = here.join("run/schedule-6.toml");
    let found: toml::Table = fs::read_to_string(&file).unwrap().parse().unwrap();
    let levels: Vec<f64> = found["levels"].as_array().unwrap().iter().map(|level| level.as_float().unwrap()).collect();
    assert!(levels.len() == 7 && levels.windows(2).all(|pair| pair[1] < pair[0]), "{levels:?}");
    let with = |schedule: &str| {
        succeeds(here, &words(&format!("sample run -n 1 --solver dpmpp-2m --steps 6 --npz x.npz -o x.png {schedule}")));
        fs::read(here.join("x.npz")).unwrap()
    };
    let other = with("--schedule log-uniform");
    assert!(with("--schedule gits") != other, "the schedule matters");
    // The levels of the other schedule, written into the file, give its samples.
    let (low, high) = (levels[6].ln(), levels[0].ln());
    let log: Vec<f64> = (0..7).map(|i| (high + f64::from(i) / 6.0 * (low - high)).exp()).collect();
    let text = |levels: &[f64]| format!("solver = \"euler\"\ntrajectories = 4\ngrid = 20\nlevels = {levels:?}\n");
    fs::write(&file, text(&log)).unwrap();
    assert!(with("--schedule gits") == other, "the file's levels are those that are used");

    refuses(
        here,
        &words("sample run --solver heun --steps 6 --schedule gits"),
        &["schedule-6.toml", "7 levels", "heun"],
    );
    fs::write(&file, text(&[50.0, 9.0, 5.0, 3.0, 2.0, 1.0, 0.5])).unwrap();
    refuses(
        here,
        &words("sample run --solver euler --steps 6 --schedule gits"),
        &["from 50 to 0.5", "levels of this range"],
    );
    fs::write(&file, text(&[3.0, 9.0, 5.0, 3.0, 2.0, 1.0, 0.5])).unwrap();
    refuses(here, &words("sample run --solver euler --steps 6 --schedule gits"), &["levels", "highest"]);
    fs::write(&file, "levels = 3").unwrap();
    refuses(here, &words("sample run --solver euler --steps 6 --schedule gits"), &["schedule-6.toml", "pfgm schedule"]);
    refuses(here, &words("schedule run --steps 6 --solver rk45"), &["--solver rk45", "no grid"]);
    refuses(here, &words("schedule run --steps 1 --solver heun"), &["--steps 1"]);
    refuses(here, &words("schedule run --steps 0"), &["--steps 0"]);
    refuses(here, &words("schedule run --steps 60 --solver euler"), &["--grid 60", "61"]);
    refuses(here, &words("schedule run --steps 5 -n 0"), &["-n 0"]);
    refuses(here, &words("schedule nowhere --steps 5"), &["nowhere"]);
}

#[test]
fn a_configuration_has_the_same_choices() {
    let dir = temporary();
    let here = dir.path();
    let preset = succeeds(here, &["presets", "digits"]);
    let file =
        |section: &str| fs::write(here.join("mine.toml"), format!("{preset}\n[sample.solver]\n{section}\n")).unwrap();
    for section in [
        "method = \"unipc-3\"\nsteps = 8\nschedule = \"edm\"\nrho = 5\nafs = true\nlower_order_final = false",
        "method = \"deis\"\norder = 4\nsteps = 3\nlevels = [80, 5, 0.5, 0.002]",
        "method = \"ipndm\"\nschedule = \"gits\"\nsteps = 6",
    ] {
        file(section);
        succeeds(here, &["train", "mine.toml", "--dry-run"]);
    }
    for section in ["method = \"heun\"\nchurn = 40", "method = \"ancestral\"\nsteps = 50\ncorrector = \"langevin\""] {
        file(section);
        succeeds(here, &["train", "mine.toml", "--dry-run", "--set", "flow.extra_dims=inf"]);
        refuses(here, &["train", "mine.toml", "--dry-run"], &["sample.solver.", "D = 128"]);
    }
    let process = "process = { kind = \"vp\", beta_min = 0.2 }";
    file(&format!("method = \"reverse-sde\"\nsteps = 50\n{process}"));
    let said = succeeds(here, &["train", "mine.toml", "--dry-run", "--set", "flow.extra_dims=inf"]);
    assert!(said.contains("beta_min = 0.2") && said.contains("beta_max = 20"), "{said}");
    file("method = \"dpmpp-4m\"");
    refuses(here, &["train", "mine.toml"], &["dpmpp-4m", "did you mean"]);
    file("method = \"euler\"\norder = 2");
    refuses(here, &["train", "mine.toml"], &["sample.solver.order = 2", "ipndm and deis"]);
    file("levels = [80, 90]");
    refuses(here, &["train", "mine.toml"], &["sample.solver.levels"]);

    // A run configured with a GITS schedule that does not exist yet: its first picture uses the default schedule.
    let gits = ["--set", "sample.solver.method=ipndm", "--set", "sample.solver.schedule=gits"];
    train(here, "digits", 2, "run", &[&gits[..], &["--set", "sample.solver.steps=5"]].concat());
    refuses(here, &words("sample run"), &["run/schedule-5.toml", "pfgm schedule run --steps 5 --solver ipndm"]);
    succeeds(here, &words("schedule run --steps 5 -n 2 --grid 12"));
    let said = succeeds(here, &words("sample run -n 2"));
    assert!(said.contains("5.0 evaluations each"), "{said}");
    // Another method has other options.
    let said = succeeds(here, &words("sample run -n 2 --solver heun"));
    assert!(said.contains("9.0 evaluations each"), "{said}");
}

#[test]
fn latents_are_decoded_by_any_solver() {
    let dir = temporary();
    let here = dir.path();
    let parity = |name: &str| format!("{}/../pfgm/tests/parity/{name}", env!("CARGO_MANIFEST_DIR"));
    succeeds(here, &["import", &parity("pfgmpp.pt"), "-o", "run", "--extra-dims", "128"]);
    succeeds(here, &["import", &parity("vp_ddpmpp.pth"), "-o", "vp", "--method", "vp", "--size", "16x16"]);
    let decode = |run: &str, flags: &str| {
        let latents = parity(if run == "vp" { "vp_ddpmpp.npz" } else { "pfgmpp.npz" });
        succeeds(here, &[&["decode", run, "--latents", &latents, "-o", "x.npz"], &words(flags)[..]].concat())
    };
    assert!(decode("run", "--solver dpmpp-3m --steps 4 --afs").contains("3.0 evaluations each"));
    assert!(decode("vp", "--solver ancestral --steps 24").contains("24.0 evaluations each"));
    assert!(
        decode("vp", "--solver reverse-diffusion --steps 24 --corrector langevin").contains("48.0 evaluations each")
    );
    let said = succeeds(here, &words("sample vp -n 2 --solver reverse-sde --steps 25 --corrector langevin"));
    assert!(said.contains("50.0 evaluations each"), "{said}");
}
