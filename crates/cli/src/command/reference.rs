//! `pfgm config`, `pfgm completions`, and the generated pages of the reference.

use std::fmt::Write;

use anyhow::{Context, Result, bail};
use clap::{Arg, Command, CommandFactory};
use pfgm::config::reference::{self, KEYS, Key};

use crate::{
    args::{Cli, ReferencePage},
    render::line,
    resolve::nearest,
};

/// Explains the keys of a configuration file.
pub fn config(name: Option<&str>) -> Result<()> {
    let found = reference::find(name.unwrap_or_default());
    match (&found[..], name) {
        ([], Some(name)) => {
            let known = KEYS.iter().flat_map(|key| [key.path, key.name()]);
            let hint = nearest(name, known).map_or_else(String::new, |name| format!("; did you mean `{name}`?"));
            bail!("{name}: no such key{hint}; `pfgm config` lists all");
        }
        (keys, Some(_)) if keys.iter().all(|key| key.path == keys[0].path) => keys.iter().for_each(|key| explain(key)),
        (keys, _) => keys.iter().for_each(|key| {
            let kinds = if key.kinds.is_empty() { String::new() } else { format!(" ({})", key.kinds.join(", ")) };
            line(format!("{:<32} {:<16} {}{kinds}", key.path, key.default, key.meaning()));
        }),
    }
    Ok(())
}

fn explain(key: &Key) {
    line(key.path);
    line(format!("  {}", key.meaning()));
    if !key.kinds.is_empty() {
        line(format!("  for      {}", key.kinds.join(", ")));
    }
    line(format!("  default  {}", key.default.trim_matches(['(', ')'])));
    line(format!("  values   {}", key.range));
    if !key.symbol.is_empty() {
        line(format!("  symbol   {}", key.symbol));
    }
}

/// Prints a completion script.
pub fn completions(shell: clap_complete::Shell) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "pfgm", &mut script);
    line(String::from_utf8(script).context("the script")?.trim_end());
    Ok(())
}

/// Prints a generated page.
pub fn page(page: ReferencePage, command: Option<&str>) -> Result<()> {
    let text = match page {
        ReferencePage::Configuration => reference::markdown(),
        ReferencePage::Commands => commands(),
        ReferencePage::Man => man(command)?,
    };
    line(text.trim_end());
    Ok(())
}

/// The manual page of a command, in roff.
fn man(name: Option<&str>) -> Result<String> {
    let mut all = Cli::command();
    all.build();
    let command = match name {
        None => all,
        Some(name) => all.find_subcommand(name).with_context(|| format!("{name}: no such command"))?.clone(),
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    String::from_utf8(page).context("the manual page")
}

/// The reference of every command as a page of Markdown.
fn commands() -> String {
    let mut page = String::from(
        "# Commands\n\nEvery command of the program `pfgm`, with its arguments, as `pfgm COMMAND --help` prints them.\n",
    );
    let mut all = Cli::command().disable_help_flag(true).disable_version_flag(true);
    all.build();
    let global: Vec<&Arg> = all.get_arguments().collect();
    let _ = writeln!(page, "\n## All commands\n");
    list(&mut page, &global);
    for command in all.get_subcommands().filter(|command| !command.is_hide_set() && command.get_name() != "help") {
        describe(&mut page, command, "pfgm");
    }
    page
}

/// A command and its subcommands.
fn describe(page: &mut String, command: &Command, parent: &str) {
    let name = format!("{parent} {}", command.get_name());
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let _ = writeln!(page, "\n## `{name}`\n\n{about}.\n");
    let own: Vec<&Arg> = command
        .get_arguments()
        .filter(|arg| !arg.is_hide_set() && !arg.is_global_set() && arg.get_id() != "help")
        .collect();
    list(page, &own);
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        describe(page, sub, &name);
    }
}

/// A table of arguments.
fn list(page: &mut String, arguments: &[&Arg]) {
    if arguments.is_empty() {
        return;
    }
    page.push_str("| argument | meaning | default |\n|---|---|---|\n");
    for arg in arguments {
        let names: Vec<String> = arg.get_value_names().into_iter().flatten().map(|name| format!("<{name}>")).collect();
        let takes_value = arg.get_action().takes_values();
        let value = if takes_value { names.join(" ") } else { String::new() };
        let flag = match (arg.get_short(), arg.get_long()) {
            (Some(short), Some(long)) => format!("-{short}, --{long} {value}"),
            (None, Some(long)) => format!("--{long} {value}"),
            (Some(short), None) => format!("-{short} {value}"),
            (None, None) => value,
        };
        let default: Vec<String> =
            arg.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
        let default = if takes_value { default.join(",") } else { String::new() };
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let possible: Vec<String> = arg
            .get_possible_values()
            .iter()
            .filter(|value| !value.is_hide_set())
            .map(|value| value.get_name().to_owned())
            .collect();
        let values = if takes_value && !possible.is_empty() {
            format!(" Values: {}.", possible.join(", "))
        } else {
            String::new()
        };
        let _ = writeln!(
            page,
            "| `{}` | {}.{values} | {default} |",
            flag.trim(),
            help.replace('|', "\\|").trim_end_matches('.')
        );
    }
}
