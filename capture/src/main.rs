//! The `capture` program: arguments → options → a dry run, or a run until it is told to end.

use std::process::ExitCode;

use capture::cli::{CliError, Options};

/// The command line or the options' file is at fault.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    match Options::from_arguments(std::env::args_os()) {
        Ok(_options) => ExitCode::SUCCESS,
        Err(CliError::Arguments(error)) => error.exit(),
        Err(error @ CliError::Config(_)) => {
            eprintln!("capture: {error}");
            ExitCode::from(EXIT_USAGE)
        }
    }
}
