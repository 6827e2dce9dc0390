//! What a shell and `man` know of the command line, generated from its definition.

use std::fs;
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

use super::Session;
use super::args::Cli;
use super::failure::{self, Failure};

/// Prints the completions for a shell.
pub(super) fn completions(session: &mut Session<'_>, shell: Shell) -> Result<i32, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "casehook", &mut script);
    let script = String::from_utf8_lossy(&script);
    session.out.raw(script.trim_end_matches('\n'));
    Ok(failure::OK)
}

/// Writes the man pages, one for the command and one for each of its verbs.
pub(super) fn man(session: &mut Session<'_>, directory: &Path) -> Result<i32, Failure> {
    let written = fs::create_dir_all(directory)
        .and_then(|()| clap_mangen::generate_to(Cli::command().disable_help_subcommand(true), directory));
    written.map_err(|error| Failure::usage(format!("{} cannot be written: {error}", directory.display())))?;
    session
        .out
        .text(&format!("Wrote man pages to {}.", directory.display()));
    Ok(failure::OK)
}
