//! The `capture` program: arguments → options → a dry run, or a run until it is told to end.
//!
//! Exit codes: 0 done, 1 the user's input or data is at fault, 2 the command line is.

use std::{
    io::{self, BufWriter, ErrorKind, Write as _},
    process::ExitCode,
};

use anyhow::Context as _;
use capture::{
    cli::{CliError, Options},
    explain::explain,
    torrents::{List, dry_run},
};

/// The user's input or data is at fault.
const EXIT_INPUT: u8 = 1;
/// The command line or the options' file is at fault.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    let options = match Options::from_arguments(std::env::args_os()) {
        Ok(options) => options,
        Err(CliError::Arguments(error)) => error.exit(),
        Err(error @ CliError::Config(_)) => {
            complain(&error);
            return ExitCode::from(EXIT_USAGE);
        }
    };
    start(&options).unwrap_or_else(|error| {
        complain(&explain(error.as_ref()));
        ExitCode::from(EXIT_INPUT)
    })
}

fn start(options: &Options) -> anyhow::Result<ExitCode> {
    let list = List::read(&options.input.torrents)?;
    list.remarks().into_iter().for_each(|remark| tell(remark));
    if options.input.dry_run {
        return show(&list, options);
    }
    Ok(ExitCode::SUCCESS)
}

fn show(list: &List, options: &Options) -> anyhow::Result<ExitCode> {
    let mut out = BufWriter::new(io::stdout().lock());
    match dry_run::write(&list.entries, options.input.format, &mut out) {
        // Whoever reads has seen enough, as `head` does.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
        written => written.context("cannot write what the entries are")?,
    }
    Ok(if list.defects.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_INPUT) })
}

fn complain(error: &dyn std::fmt::Display) {
    tell(&format_args!("capture: {error}"));
}

/// Writes a line to stderr; where that is closed, nobody wants to know.
fn tell(line: &dyn std::fmt::Display) {
    writeln!(io::stderr(), "{line}").ok();
}
