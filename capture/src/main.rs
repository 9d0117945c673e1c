//! The `capture` program: arguments → options → a dry run, or a run until it is told to end.
//!
//! Exit codes: 0 done, 1 the user's input or data is at fault, 2 the command line is.

use std::{
    io::{self, BufWriter, ErrorKind, Write as _},
    process::ExitCode,
    sync::Arc,
};

use anyhow::Context as _;
use capture::{
    address::{self, AddressPolicy},
    cli::{CliError, Options},
    clock::Clock,
    display::Display,
    explain::explain,
    gauge, open_files, run,
    swarm::{Swarm, SwarmId},
    torrents::{List, dry_run},
};
use schema::PeerId;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The user's input or data is at fault.
const EXIT_INPUT: u8 = 1;
/// The command line or the options' file is at fault.
const EXIT_USAGE: u8 = 2;
/// A second signal ended the run at once.
const EXIT_INTERRUPTED: i32 = 130;

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
    watch(list, options)
}

fn watch(list: List, options: &Options) -> anyhow::Result<ExitCode> {
    let exclude =
        options.input.exclude.as_deref().map(address::read_exclude).transpose()?.unwrap_or_default();
    let mut options = options.clone();
    options.pacing.max_open = open_files::fit(options.pacing.max_open);
    let swarms = (0..).zip(list.entries).map(|(id, entry)| {
        let mut peer_id = *b"-ST0100-000000000000";
        peer_id.iter_mut().skip(8).for_each(|byte| *byte = rand::random_range(b'a'..=b'z'));
        Arc::new(Swarm::new(SwarmId(id), entry.description, PeerId(peer_id), rand::random()))
    });
    let clock = Clock::start();
    let (gauges, shown) = gauge::channel();
    let display = Display::start(options.run.log_format);
    let setup = run::Setup {
        policy: Arc::new(AddressPolicy::new(options.input.allow_private, &exclude)),
        swarms: swarms.collect(),
        clock,
        cancel: CancellationToken::new(),
        gauges,
        options,
    };
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    runtime.block_on(async {
        tokio::spawn(display.show(shown, clock, setup.options.run.for_));
        tokio::spawn(end_on_signal(setup.cancel.clone()));
        run::run(setup).await
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The first signal ends the run in good order, the second at once.
async fn end_on_signal(cancel: CancellationToken) {
    let mut signals = 0;
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
    loop {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
        signals += 1;
        if signals > 1 {
            std::process::exit(EXIT_INTERRUPTED);
        }
        cancel.cancel();
    }
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
