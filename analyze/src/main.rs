//! `analyze`: reads the command line, reports errors in one line each, and sets the exit code.

use std::{io::IsTerminal as _, process::ExitCode};

use analyze::cli::{Cli, Command};
use clap::Parser as _;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("warn,analyze=info,resvg=error,usvg=error"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .without_time()
        .init();
    analyze::arenas::limit();
    if let Err(error) = analyze::scratch::goes_on_interrupt() {
        tracing::warn!("an interrupt will leave temporary files: {error}");
    }
    let done = match &cli.command {
        Command::Anonymize(options) => analyze::anonymize::run(options),
        Command::Compact(options) => analyze::compact::run(options),
        Command::Report(options) => analyze::run::report(options).map(|()| true),
        Command::Sql(options) => analyze::sql::print(options).map(|()| true),
        Command::Verify(options) => analyze::verify::run(options),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {}", one_line(&error));
            ExitCode::FAILURE
        }
    }
}

/// The error and its causes on one line.
fn one_line(error: &anyhow::Error) -> String {
    format!("{error:#}").lines().next().unwrap_or_default().to_owned()
}
