//! The program `pfgm` as a function, for the binary and for the Python package.

mod args;
mod command;
mod distributed;
mod render;
mod resolve;

use std::ffi::OsString;

use anyhow::Result;
use args::{Cli, Command};
use clap::{Parser, error::ErrorKind};
use distributed::Ranks;
use pfgm::parallel::Solo;

/// Exit code of every error that the user can correct.
const BAD_INPUT: u8 = 2;

/// Runs the program with `arguments`, the first of which is the name of the program, and returns the exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return print_usage(&error),
    };
    let ranks = match distributed::join(&cli.command.ranks()) {
        Ok(ranks) => ranks,
        Err(error) => distributed::fail(&Solo, &one_line(&error), BAD_INPUT),
    };
    match execute(cli, &ranks).and_then(|()| render::finish()) {
        Ok(()) => 0,
        Err(error) => distributed::fail(&*ranks, &one_line(&error), BAD_INPUT),
    }
}

/// Prints help, the version, or an error of the command line.
fn print_usage(error: &clap::Error) -> u8 {
    let is_help = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    match error.print() {
        Err(problem) if is_help && problem.kind() != std::io::ErrorKind::BrokenPipe => {
            render::warn(format!("error: standard output: cannot be written: {problem}"));
            BAD_INPUT
        }
        _ if is_help => 0,
        _ => BAD_INPUT,
    }
}

/// The causes of an error in one line, each once: spaces stand for control characters of names that files have.
fn one_line(error: &anyhow::Error) -> String {
    let mut text = String::new();
    let shown = |cause: &(dyn std::error::Error + 'static)| match (
        cause.downcast_ref::<pfgm::Error>(),
        cause.downcast_ref::<pfgm_data::DataError>(),
    ) {
        (Some(error), _) => resolve::in_flags(error),
        (_, Some(error)) => resolve::data_error_in_flags(error),
        _ => cause.to_string(),
    };
    for cause in error.chain().map(shown).map(|cause| cause.replace(char::is_control, " ")) {
        if !text.contains(&cause) {
            text = if text.is_empty() { cause } else { format!("{text}: {cause}") };
        }
    }
    text
}

fn execute(cli: Cli, ranks: &Ranks) -> Result<()> {
    let prints = matches!(
        cli.command,
        Command::Config { .. } | Command::Completions { .. } | Command::Reference { .. } | Command::Presets { .. }
    );
    if !prints || cli.threads.is_some() {
        command::use_threads(cli.threads.or_else(|| distributed::threads(&**ranks)))?;
    }
    if let Some(vectors) = &cli.vectors {
        command::use_vectors(vectors)?;
    }
    match cli.command {
        Command::Train(args) => command::train::run(&args, ranks),
        Command::Distill(args) => command::distill::run(&args, ranks),
        Command::Average(args) => command::average::run(&args),
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
        Command::Restore(args) => command::posterior::run(&args),
        Command::Denoise(args) => command::restore::denoise(&args),
        Command::Inpaint(args) => command::restore::inpaint(&args),
        Command::Impute(args) => command::impute::run(&args),
        Command::Anomaly(args) => command::anomaly::run(&args),
        Command::Studio(args) => command::studio::run(&args),
        Command::Bench(args) => command::bench::run(&args),
        Command::Config { key } => command::reference::config(key.as_deref()),
        Command::Completions { shell } => command::reference::completions(shell),
        Command::Reference { page, command } => command::reference::page(page, command.as_deref()),
        Command::Presets { name } => command::presets::run(name.as_deref()),
    }
}

#[cfg(test)]
mod tests {
    use pfgm::weights::WeightError;

    use super::*;

    #[test]
    fn an_error_is_one_line_whatever_names_a_file_has() {
        let error = anyhow::Error::new(WeightError::Missing("a\nb".into())).context("x\ny.pt");
        assert_eq!(one_line(&error), "x y.pt: weight `a b` is missing");
    }
}
