//! The program `pfgm`.

mod args;
mod command;
mod distributed;
mod output;
mod resolve;
mod solving;

use std::process::ExitCode;

use anyhow::Result;
use args::{Cli, Command};
use clap::Parser;
use distributed::Ranks;
use pfgm::parallel::Solo;

/// Exit code for everything that a user can mend.
const BAD_INPUT: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let ranks = match distributed::join(cli.command.is_distributed()) {
        Ok(ranks) => ranks,
        Err(error) => distributed::fail(&Solo, &one_line(&error), BAD_INPUT),
    };
    match run(cli, &ranks) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => distributed::fail(&*ranks, &one_line(&error), BAD_INPUT),
    }
}

/// The causes behind an error, each once.
fn one_line(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !text.contains(&cause) {
            text = if text.is_empty() { cause } else { format!("{text}: {cause}") };
        }
    }
    text
}

fn run(cli: Cli, ranks: &Ranks) -> Result<()> {
    if let Some(threads) = cli.threads.or_else(|| distributed::threads(&**ranks)) {
        command::use_threads(threads)?;
    }
    if let Some(vectors) = &cli.vectors {
        command::use_vectors(vectors)?;
    }
    match cli.command {
        Command::Train(args) => command::train::run(&args, ranks),
        Command::Sample(args) => command::sample::run(&args, &**ranks),
        Command::Cascade(args) => command::cascade::run(&args),
        Command::Field(args) => command::field::run(&args),
        Command::Evaluate(args) => command::evaluate::run(&args, &**ranks),
        Command::Compare(args) => command::compare::run(&args),
        Command::Diagnose(args) => command::diagnose::run(&args.what),
        Command::Data(args) => command::data::run(&args),
        Command::Calibrate(args) => command::calibrate::run(&args),
        Command::Import(args) => command::import::run(&args),
        Command::Export(args) => command::export::run(&args),
        Command::Predict(args) => command::predict::run(&args),
        Command::Schedule(args) => command::schedule::run(&args),
        Command::Decode(args) => command::decode::run(&args),
        Command::Likelihood(args) => command::likelihood::run(&args, &**ranks),
        Command::Encode(args) => command::latents::encode(&args),
        Command::Interpolate(args) => command::latents::interpolate(&args),
        Command::Temperature(args) => command::latents::temperature(&args),
        Command::Arithmetic(args) => command::latents::arithmetic(&args),
        Command::Denoise(args) => command::restore::denoise(&args),
        Command::Inpaint(args) => command::restore::inpaint(&args),
        Command::Anomaly(args) => command::anomaly::run(&args),
        Command::Studio(args) => command::studio::run(&args),
        Command::Bench(args) => command::bench::run(&args),
        Command::Presets { name } => command::presets::run(name.as_deref()),
    }
}
