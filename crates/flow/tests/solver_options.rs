//! Solver options in files, command lines and requests.
#![allow(missing_docs)]

use pfgm_flow::{
    extra_dims::ExtraDims::{Finite, Infinite},
    process::Process,
    solver::{Corrector, Grid, InvalidOption, Method, Schedule, ScheduleName, Solver, SolverOverrides, StochasticHeun},
};

fn none() -> SolverOverrides {
    SolverOverrides::default()
}

fn read(text: &str) -> Solver {
    toml::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The options that earlier versions wrote into every checkpoint, for every method.
fn old_record(method: &str, steps: usize) -> String {
    format!(
        "method = \"{method}\"\nsteps = {steps}\nrho = 7.0\nrtol = 0.0001\natol = 0.0001\ndenoise = false\nafs = false\nchurn = 0.0\n\
         churn_min = 0.0\nchurn_noise = 1.0\ncorrector = \"none\"\ncorrector_steps = 1\nsnr = 0.16\n"
    )
}

#[test]
fn records_of_earlier_versions_are_read() {
    for &method in Method::ALL {
        assert_eq!(read(&old_record(method.as_str(), method.default_steps())), Solver::of_method(method), "{method}");
        assert_eq!(read(&format!("method = \"{method}\"")), Solver::of_method(method), "{method}");
    }
    for (text, expected) in [
        ("", Solver::heun(18).into()),
        ("steps = 9", Solver::heun(9).into()),
        (
            "method = \"heun\"\nsteps = 4\nschedule = \"log-uniform\"",
            Solver::heun(4).schedule(Schedule::LogUniform).into(),
        ),
        ("method = \"heun\"\nsteps = 4\nnoise = 0.2\nafs = true", Solver::heun(4).afs(true).perturbation(0.2).into()),
        (
            "method = \"heun\"\nsteps = 4\nchurn = 10\nchurn_min = 0.1\nchurn_max = 40.0\nchurn_noise = 1.003",
            Solver::heun(4).churn(10.0).churn_levels(0.1, 40.0).churn_noise(1.003).into(),
        ),
        (
            "method = \"improved-euler\"\nsteps = 3\nschedule = \"edm\"\nrho = 3\ndenoise = true",
            Solver::improved_euler(3).schedule(Schedule::Edm { rho: 3.0 }).denoise(true).into(),
        ),
        ("method = \"rk45\"\nrtol = 1e-7\natol = 1e-6", Solver::rk45(1e-7).atol(1e-6).into()),
        ("method = \"deis\"\norder = 4\nsteps = 3\nlevels = [80, 5, 0.5, 0.002]", {
            Solver::deis(3).order(4).levels(vec![80.0, 5.0, 0.5, 0.002]).into()
        }),
        ("method = \"heun\"\nschedule = \"gits\"\nlevels = [80, 5, 0.5]\nsteps = 3", {
            Solver::heun(3).levels(vec![80.0, 5.0, 0.5]).into()
        }),
        (
            "method = \"unipc-3\"\nsteps = 8\nschedule = \"edm\"\nrho = 5\nafs = true\nlower_order_final = false",
            Solver::unipc(3, 8).schedule(Schedule::Edm { rho: 5.0 }).afs(true).lower_order_final(false).into(),
        ),
        (
            "method = \"reverse-diffusion\"\nsteps = 50\ncorrector = \"langevin\"\ncorrector_steps = 2\nsnr = 0.1",
            Solver::reverse_diffusion(50).langevin(2, 0.1).into(),
        ),
        (
            "method = \"ancestral\"\nsteps = 30\nprocess = { kind = \"vp\", beta_min = 0.2 }",
            Solver::ancestral(30).process(Process::Vp { beta_min: 0.2, beta_max: 20.0 }).into(),
        ),
    ] {
        let expected: Solver = expected;
        assert_eq!(read(text), expected, "{text}");
        // A written solver is read again without changes, as TOML and as JSON.
        assert_eq!(read(&toml::to_string(&expected).unwrap()), expected, "{text}");
        assert_eq!(
            serde_json::from_str::<Solver>(&serde_json::to_string(&expected).unwrap()).unwrap(),
            expected,
            "{text}"
        );
        // Every option of the solver may be given.
        assert_eq!(expected.to_options().apply(&Solver::of_method(expected.method())).unwrap(), expected, "{text}");
    }
    let gits = read("method = \"ipndm\"\nschedule = \"gits\"\nsteps = 6");
    assert_eq!(gits.grid(), Some(&Grid::Gits { steps: 6 }));
    assert_eq!(read(&toml::to_string(&gits).unwrap()), gits);
}

#[test]
fn tables_that_contradict_themselves_are_refused() {
    for (text, option) in [
        ("method = \"euler\"\norder = 2", "order = 2: only ipndm and deis"),
        ("method = \"rk45\"\nschedule = \"edm\"", "schedule = edm: rk45 follows no grid"),
        ("method = \"ancestral\"\nlevels = [3, 2]", "levels = [3.0, 2.0]"),
        ("method = \"euler\"\nlower_order_final = true", "lower_order_final = true: only multistep"),
        ("method = \"euler\"\nchurn = 5", "churn = 5: only heun"),
        ("method = \"heun\"\nchurn = -1", "churn = -1: give 0"),
        ("method = \"heun\"\nchurn = 5\nafs = true", "afs = true: a stochastic sampler"),
        ("method = \"heun\"\nchurn = 5\nnoise = 0.1", "noise = 0.1: heun with churn"),
        ("method = \"unipc-2\"\nnoise = 0.1", "noise = 0.1: only euler"),
        ("method = \"rk45\"\nafs = true", "afs = true: rk45"),
        ("method = \"reverse-sde\"\nafs = true", "afs = true: a stochastic sampler"),
        ("method = \"heun\"\ncorrector = \"langevin\"", "corrector = langevin: only reverse-sde"),
        ("method = \"heun\"\nprocess = { kind = \"vp\" }", "process = vp: only reverse-sde"),
        ("method = \"euler\"\nsteps = 4\nlevels = [3, 2, 1]", "levels = 3 levels: 4 steps of euler need 5"),
        ("method = \"dpmpp-4m\"", "unknown variant `dpmpp-4m`, expected one of `euler`"),
        ("method = \"euler\"\nspeed = 3", "unknown field `speed`"),
    ] {
        let error = toml::from_str::<Solver>(text).unwrap_err().to_string();
        assert!(error.contains(option), "{text}: {error}");
    }
}

#[test]
fn another_method_starts_at_its_defaults() {
    let change = |base: Solver, method| SolverOverrides { method: Some(method), ..none() }.apply(&base).unwrap();
    // Steps carry over between grids, and a last step to zero between methods that have the choice.
    let base = Solver::improved_euler(7).schedule(Schedule::EDM).afs(true).denoise(true).perturbation(0.1);
    assert_eq!(change(base.into(), Method::DpmPp2m), Solver::dpmpp(2, 7).denoise(true).into());
    assert_eq!(change(Solver::heun(9).churn(3.0).into(), Method::Euler), Solver::euler(9).into());
    let levels = Solver::heun(9).levels(vec![9.0, 3.0, 1.0]);
    assert_eq!(change(levels.into(), Method::Deis), Solver::deis(3).into());
    // Tolerances are RK45's alone; the steps of a stochastic sampler mean something else.
    assert_eq!(change(Solver::rk45(1e-7).denoise(true).into(), Method::Euler), Solver::euler(18).denoise(true).into());
    assert_eq!(change(Solver::euler(7).into(), Method::Rk45), Solver::rk45(1e-4).into());
    assert_eq!(change(Solver::euler(7).into(), Method::Ancestral), Solver::ancestral(1000).into());
    assert_eq!(change(Solver::ancestral(500).into(), Method::Euler), Solver::euler(18).into());
    // The same method keeps everything.
    let heun = Solver::heun(9).churn(3.0).churn_noise(1.1);
    assert_eq!(change(heun.clone().into(), Method::Heun), heun.into());
}

#[test]
fn options_change_what_they_name() {
    let heun: Solver = Solver::heun(9).into();
    let churned = SolverOverrides { churn: Some(3.0), churn_max: Some(5.0), ..none() }.apply(&heun).unwrap();
    let Solver::StochasticHeun(StochasticHeun { churn, .. }) = &churned else { panic!("{churned:?}") };
    assert_eq!((churn.amount, churn.levels, churn.noise), (3.0, (0.0, 5.0), 1.0));
    assert_eq!(SolverOverrides { churn: Some(0.0), ..none() }.apply(&churned).unwrap(), heun);
    // Given levels are kept for the same number of steps, and replaced by a schedule or another number of steps.
    let levels: Solver = Solver::euler(2).levels(vec![9.0, 3.0, 1.0]).into();
    assert_eq!(SolverOverrides { steps: Some(2), ..none() }.apply(&levels).unwrap(), levels);
    assert_eq!(SolverOverrides { steps: Some(5), ..none() }.apply(&levels).unwrap(), Solver::euler(5).into());
    let edm = SolverOverrides { schedule: Some(ScheduleName::Edm), ..none() }.apply(&levels).unwrap();
    assert_eq!(edm, Solver::euler(2).schedule(Schedule::EDM).into());
    let rho = SolverOverrides { rho: Some(3.0), steps: Some(4), ..none() }.apply(&edm).unwrap();
    assert_eq!(rho, Solver::euler(4).schedule(Schedule::Edm { rho: 3.0 }).into());
    let langevin = SolverOverrides { corrector: Some(Corrector::Langevin), snr: Some(0.3), ..none() };
    assert_eq!(langevin.apply(&Solver::ancestral(50).into()).unwrap(), Solver::ancestral(50).langevin(1, 0.3).into());
}

#[test]
fn options_of_other_methods_are_errors_unless_they_are_old() {
    let euler: Solver = Solver::euler(9).into();
    for (overrides, option) in [
        (SolverOverrides { rtol: Some(1e-5), ..none() }, "rtol"),
        (SolverOverrides { atol: Some(1e-5), ..none() }, "atol"),
        (SolverOverrides { rho: Some(5.0), ..none() }, "rho"),
        (SolverOverrides { churn_min: Some(5.0), ..none() }, "churn_min"),
        (SolverOverrides { churn_max: Some(5.0), ..none() }, "churn_max"),
        (SolverOverrides { churn_noise: Some(5.0), ..none() }, "churn_noise"),
        (SolverOverrides { snr: Some(5.0), ..none() }, "snr"),
        (SolverOverrides { corrector_steps: Some(5), ..none() }, "corrector_steps"),
    ] {
        assert_eq!(overrides.apply(&euler).unwrap_err().option, option);
        assert!(overrides.apply(&euler).unwrap_err().needs.is_some(), "{option}");
        assert_eq!(overrides.apply_lenient(&euler).unwrap(), euler, "{option}");
    }
    let rho = SolverOverrides { rho: Some(5.0), ..none() }.apply(&euler).unwrap_err().to_string();
    assert_eq!(rho, "rho = 5: only schedule edm has it; set schedule = edm, or omit it");
    let steps = SolverOverrides { steps: Some(5), ..none() };
    assert_eq!(steps.apply(&Solver::rk45(1e-4).into()).unwrap_err().option, "steps");
    assert_eq!(steps.apply_lenient(&Solver::rk45(1e-4).into()).unwrap(), Solver::rk45(1e-4).into());
    let order = SolverOverrides { order: Some(2), ..none() };
    assert_eq!(order.apply(&euler).unwrap_err().option, "order");
    assert_eq!(order.apply_lenient(&euler).unwrap_err().option, "order");
}

#[test]
fn values_are_checked() {
    for (solver, option) in [
        (Solver::euler(0).into(), "steps"),
        (Solver::heun(1_000_001).into(), "steps"),
        (Solver::rk45(0.0).into(), "rtol"),
        (Solver::rk45(1e-3).atol(f64::NAN).into(), "atol"),
        (Solver::euler(3).schedule(Schedule::Edm { rho: -1.0 }).into(), "rho"),
        (Solver::euler(3).levels(vec![1.0, 2.0]).into(), "levels"),
        (Solver::deis(3).order(5).into(), "order"),
        (Solver::dpmpp(4, 3).into(), "order"),
        (Solver::unipc(1, 3).into(), "order"),
        (Solver::heun(3).churn(1.0).churn_levels(-1.0, 3.0).into(), "churn_min"),
        (Solver::heun(3).churn(1.0).churn_levels(0.0, f64::NAN).into(), "churn_max"),
        (Solver::heun(3).churn(1.0).churn_noise(-1.0).into(), "churn_noise"),
    ] {
        let solver: Solver = solver;
        assert_eq!(solver.check(Infinite).unwrap_err().option, option, "{solver:?}");
    }
    let wrong = Solver::from(Solver::heun(3).churn(1.0)).check(Finite(128.0)).unwrap_err();
    assert_eq!(wrong.to_string(), format!("churn = 1: {}", wrong.problem));
    for &method in Method::ALL {
        assert_eq!(Solver::of_method(method).check(Infinite), Ok::<(), InvalidOption>(()));
        assert_eq!(Solver::of_method(method).check(Finite(2.0)).is_err(), method.is_sde());
    }
}

#[test]
#[should_panic(expected = "no afs")]
fn churn_does_not_drop_an_option() {
    let _ = Solver::heun(3).afs(true).churn(1.0);
}

#[test]
fn names_are_in_one_table() {
    for (&method, &name) in Method::ALL.iter().zip(Method::NAMES) {
        assert_eq!((method.as_str(), name.parse(), method.to_string().as_str()), (name, Ok(method), name));
        assert!(!method.help().is_empty());
        assert_eq!(Solver::of_method(method).method(), method);
    }
    let error = "magic".parse::<Method>().unwrap_err().to_string();
    assert!(error.starts_with("unknown solver `magic`, expected one of euler, improved-euler, heun"), "{error}");
}
