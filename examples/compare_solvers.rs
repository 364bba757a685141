//! How far each solver and schedule ends from the exact path after a number of evaluations, as in docs/results.md:
//! `cargo run --release -p pfgm --example compare_solvers -- [RUN | D]`: of a trained run, or of the exact field of a checkerboard.

use std::{collections::BTreeSet, path::Path};

use pfgm::{
    augmentation::Augmentation,
    field::ExactField,
    flow::{Counted, Denoiser, Flow},
    random::{Purpose, stream},
    solver::{Method, ScheduleName, Search, SolverConfig, Tolerance, gits, rk45, sample},
    train::checkpoint::{Checkpoint, Group, find},
    weights,
};

/// Points of the black squares of a board of four by four.
fn checkerboard() -> Vec<f64> {
    let side = |i: usize| (i as f64 + 0.5) / 16.0 - 2.0;
    let black = |(i, j): &(usize, usize)| (i / 16 + j / 16).is_multiple_of(2);
    let places = (0..64).flat_map(|i| (0..64).map(move |j| (i, j)));
    places.filter(black).flat_map(|(i, j)| [side(i), side(j)]).collect()
}

fn main() {
    let what = std::env::args().nth(1).unwrap_or("inf".into());
    let rows = 128;
    if Path::new(&what).exists() {
        let checkpoint = Checkpoint::read(&find(Path::new(&what)).expect("a run")).expect("a whole checkpoint");
        let device = pfgm::device::open("cpu").expect("a processor");
        let network = checkpoint.record.network(&device).expect("a network");
        let network = weights::assign(network, checkpoint.group(Group::Average)).expect("its weights");
        let record = &checkpoint.record;
        let classes = record.data.classes.len() as u32;
        let labels = (0..rows as u32).map(|row| (classes > 0).then(|| row % classes)).collect();
        let denoiser = record.denoiser(&network, labels, 1.0, 64, &device);
        table(&denoiser, record.augmentation(), record.range(), rows);
    } else {
        let d = what.parse::<f64>().expect("a run or D");
        let augmentation = if d.is_finite() { Augmentation::Finite(d) } else { Augmentation::Infinite };
        table(&ExactField::new(checkerboard(), 2, augmentation), augmentation, (2e-3, 80.0), rows);
    }
}

fn table(denoiser: &dyn Denoiser, augmentation: Augmentation, range: (f64, f64), rows: usize) {
    let counted = Counted::new(denoiser);
    let flow = Flow { denoiser: &counted, augmentation };
    let latents = |first: usize| -> Vec<f64> {
        let latent = |seed| flow.latent(range.1, &mut stream(seed as u64, Purpose::Latent, 0, 0));
        (first..first + rows).flat_map(latent).collect()
    };
    let (start, others) = (latents(0), latents(1000));
    let mut exact = start.clone();
    rk45(&flow, range.1, range.0, Tolerance { rtol: 1e-6, atol: 1e-6 }, &mut exact).expect("RK45");
    println!("RK45 at 1e-6: {:.1} evaluations", counted.rows() as f64 / rows as f64);
    let budgets = [5, 6, 8, 10, 15, 20, 50];
    println!("{:<40}{}", "", budgets.map(|nfe| format!("{nfe:>9}")).concat());
    let mut configs = Vec::new();
    for method in Method::ALL.into_iter().filter(|method| method.has_grid()) {
        let orders = method.highest_order().map_or(vec![None], |most| (2..=most).map(Some).collect());
        for order in orders {
            for (schedule, rho) in [
                (ScheduleName::LogUniform, 7.0),
                (ScheduleName::Edm, 3.0),
                (ScheduleName::Edm, 7.0),
                (ScheduleName::Gits, 7.0),
            ] {
                configs.push(SolverConfig { method, order, schedule: Some(schedule), rho, ..SolverConfig::default() });
            }
        }
    }
    let variants = |config: SolverConfig| {
        let multistep = config.multistep_order().is_some();
        let plain = [config.clone(), SolverConfig { denoise: true, ..config.clone() }];
        let afs = SolverConfig { afs: true, ..config.clone() };
        let lower = SolverConfig { lower_order_final: true, ..config.clone() };
        let keep =
            if multistep { vec![plain[0].clone(), plain[1].clone(), afs, lower] } else { vec![plain[0].clone(), afs] };
        keep
    };
    for config in configs.into_iter().flat_map(variants) {
        let errors = budgets.map(|nfe| error(&flow, &config, nfe, range, (&start, &others, &exact)));
        let name = format!(
            "{}{} {}{}{}{}{}",
            config.method.word(),
            config.order.map_or(String::new(), |order| format!("-{order}")),
            config.schedule.map_or("", ScheduleName::word),
            if config.schedule == Some(ScheduleName::Edm) { format!("-{}", config.rho) } else { String::new() },
            if config.denoise { " denoise" } else { "" },
            if config.afs { " afs" } else { "" },
            if config.lower_order_final { " lower" } else { "" },
        );
        println!(
            "{name:<40}{}",
            errors.map(|error| error.map_or(format!("{:>9}", ""), |e| format!("{e:9.4}"))).concat()
        );
    }
    let _ = BTreeSet::<u8>::new();
}

type Points<'a> = (&'a [f64], &'a [f64], &'a [f64]);

/// The root mean square over all coordinates, where the method can spend just `nfe`.
fn error(flow: &Flow, config: &SolverConfig, nfe: usize, range: (f64, f64), points: Points) -> Option<f64> {
    let (start, others, exact) = points;
    let spent = nfe + usize::from(config.afs) - usize::from(config.denoise);
    let steps = match config.method {
        Method::Heun if spent % 2 == 1 => spent.div_ceil(2),
        Method::ImprovedEuler if spent % 2 == 0 => spent / 2,
        Method::Heun | Method::ImprovedEuler => return None,
        _ => spent,
    };
    let mut config = SolverConfig { steps, ..config.clone() };
    if config.schedule == Some(ScheduleName::Gits) {
        config.levels = gits(flow, &Search { solver: config.clone(), grid: 60, range }, &others[..others.len() / 2]);
    }
    let mut x = start.to_vec();
    sample(flow, &config, range, &mut x).ok()?;
    Some((x.iter().zip(exact).map(|(x, exact)| (x - exact).powi(2)).sum::<f64>() / x.len() as f64).sqrt())
}
