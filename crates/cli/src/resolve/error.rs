//! Conversion of the library's errors, which name arguments, to errors that name flags.

use pfgm::{Error, import::ImportError};

use super::data_error_in_flags;

/// Returns the flag of an argument of the library, if there is one.
fn flag_of(argument: &str) -> Option<&'static str> {
    Some(match argument {
        "batch" => "--batch",
        "class" | "classes" => "--class",
        "guidance" => "--guidance",
        "guidance_levels" => "--guidance-levels",
        "weaker" => "--autoguide",
        "sigma" => "--sigma",
        "probes" => "--probes",
        "draws" => "--draws",
        "noise" => "--noise",
        "operator" => "--operator",
        "measurement" => "--data",
        "particles" => "--particles",
        "prior" => "--prior",
        "steps" => "--steps",
        "rounds" => "--rounds",
        "fillings" => "--completions",
        "known" => "--mask",
        "latent_scale" => "--scale",
        "authors_code" => "--arithmetic authors-code",
        "solver" => "--solver",
        "grid" => "--grid",
        "extra_dims" => "-D",
        "names" => "--names",
        "part" => "--part",
        "network" | "flow.output" => "--from",
        _ => return None,
    })
}

/// Returns a library error with the argument replaced by its flag, or only the problem if there is no flag.
pub fn in_flags(error: &Error) -> String {
    match error {
        Error::Argument { name, problem } => match flag_of(name) {
            Some(flag) => format!("{flag}: {problem}"),
            None => problem.clone(),
        },
        Error::Import(
            ImportError::Contradiction { path, field, problem } | ImportError::Missing { path, field, problem },
        ) => {
            format!("{}: --{}: {problem}", path.display(), field.replace('_', "-"))
        }
        Error::Data(error) => data_error_in_flags(error),
        other => other.to_string(),
    }
}

/// Converts a library error about an argument to one that names `flag`.
pub fn with_flag(error: Error, flag: &str) -> anyhow::Error {
    match error {
        Error::Argument { problem, .. } => anyhow::anyhow!("{flag}: {problem}"),
        other => other.into(),
    }
}
