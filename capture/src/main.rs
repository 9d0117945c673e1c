//! The `capture` program: arguments → options → a dry run, or a run until it is told to end.
//!
//! Exit codes: 0 done, 1 the user's input or data is at fault, 2 the command line is, 130 ended by a second signal.

use std::{
    ffi::OsString,
    io::{self, BufWriter, ErrorKind, Write as _},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use capture::{
    address::{AddressPolicy, read_exclude},
    cli::{CliError, Options},
    clock::Clock,
    discover,
    display::Display,
    explain::explain,
    gauge, open_files, run,
    swarm::{self, Swarm},
    torrents::{List, dry_run},
};
use clap::Parser as _;
use schema::conceal::Addresses;
use tokio::{
    runtime::Builder,
    signal::unix::{Signal, SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

/// The user's input or data is at fault.
const EXIT_INPUT: u8 = 1;
/// The command line or the options' file is at fault.
const EXIT_USAGE: u8 = 2;
/// A second signal came before the run had ended in good order.
const EXIT_SIGNAL: i32 = 130;
/// For what cannot be interrupted, such as a name lookup, at the very end.
const LINGER: Duration = Duration::from_millis(200);

fn main() -> ExitCode {
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    if arguments.get(1).is_some_and(|argument| argument == "discover") {
        arguments.remove(1);
        return discover(&discover::cli::Options::parse_from(arguments)).unwrap_or_else(|error| {
            complain(&explain(error.as_ref()));
            ExitCode::from(EXIT_INPUT)
        });
    }
    let options = match Options::from_arguments(arguments) {
        Ok(options) => options,
        Err(CliError::Arguments(error)) => error.exit(),
        Err(error @ CliError::Config(_)) => {
            complain(&error);
            return ExitCode::from(EXIT_USAGE);
        }
    };
    start(options).unwrap_or_else(|error| {
        complain(&explain(error.as_ref()));
        ExitCode::from(EXIT_INPUT)
    })
}

fn start(options: Options) -> anyhow::Result<ExitCode> {
    let mut list = List::read(&options.input.torrents)?;
    if let Some(shard) = options.input.shard {
        list.keep(shard);
    }
    if options.input.dry_run {
        list.remarks().into_iter().for_each(|remark| tell(remark));
        list.shard.iter().for_each(|shard| tell(shard));
        return show(&list, &options);
    }
    watch(options, list)?;
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

fn watch(mut options: Options, list: List) -> anyhow::Result<()> {
    let display = Display::start(options.run.log_format, options.log.addresses);
    list.defects.iter().for_each(|defect| tracing::warn!("{defect}"));
    list.notes.iter().for_each(|note| tracing::info!("{note}"));
    list.shard.iter().for_each(|shard| tracing::info!("{shard}"));
    let shown = options.input.torrents.display();
    ensure!(
        !list.entries.is_empty(),
        "{shown} names nothing that can be watched{}; --dry-run says what each entry is",
        options.input.shard.map(|shard| format!(" in shard {shard}")).unwrap_or_default()
    );
    let exclude = options.input.exclude.as_deref().map(read_exclude).transpose()?.unwrap_or_default();
    let swarms = swarm::assemble(list.entries.into_iter().map(|entry| entry.description));
    warn_of_lonely_swarms(&swarms, &options);
    fit_contacts(&mut options);

    let clock = Clock::start();
    let (gauges, shown) = gauge::channel();
    let setup = run::Setup {
        policy: Arc::new(AddressPolicy::new(options.input.allow_private, &exclude)),
        swarms,
        clock,
        cancel: CancellationToken::new(),
        gauges,
        options,
    };
    let runtime = Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")?;
    let ended = runtime.block_on(async {
        // Taken before the run begins, so that no signal of its life goes the default way.
        let signals = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        tokio::spawn(heed(signals, setup.cancel.clone()));
        let showing = tokio::spawn(display.show(shown, clock, setup.options.run.for_));
        let ended = run::run(setup).await;
        showing.await.context("the display ended early")?;
        ended
    });
    runtime.shutdown_timeout(LINGER);
    ended
}

/// Lists swarms of the DHT.
fn discover(options: &discover::cli::Options) -> anyhow::Result<ExitCode> {
    let _display = Display::start(options.log_format, Addresses::Full);
    let exclude = options.exclude.as_deref().map(read_exclude).transpose()?.unwrap_or_default();
    let cancel = CancellationToken::new();
    let setup = discover::Setup {
        clock: Clock::start(),
        policy: Arc::new(AddressPolicy::new(options.allow_private, &exclude)),
        bind: options.bind.clone(),
        routers: options.dht_routers(),
        queries_per_second: options.dht_queries_per_second,
        unrestricted: options.allow_private,
        scrape: options.scrape,
        format: options.format,
        limit: usize::try_from(options.limit).unwrap_or(usize::MAX),
        run_for: options.for_,
        cancel: cancel.clone(),
    };
    ensure!(!setup.routers.is_empty(), "nobody to ask; name a node with --dht-bootstrap HOST:PORT");
    let runtime = Builder::new_current_thread().enable_all().build().context("cannot start the runtime")?;
    let counts = runtime.block_on(async {
        let signals = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        tokio::spawn(heed(signals, cancel));
        discover::run(setup, &mut BufWriter::new(io::stdout())).await
    });
    runtime.shutdown_timeout(LINGER);
    let counts = counts.context("cannot write what was found")?;
    ensure!(counts.answered > 0, "no DHT node answered; name one that is up with --dht-bootstrap HOST:PORT");
    tracing::info!("{} swarms written; {} nodes answered", counts.swarms, counts.answered);
    Ok(ExitCode::SUCCESS)
}

/// Ends the run in good order at the first signal, and at once at the second.
async fn heed((mut interrupt, mut terminate): (Signal, Signal), cancel: CancellationToken) {
    let mut next = async || {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    next().await;
    tracing::info!("ending in good order; a second signal ends at once");
    cancel.cancel();
    next().await;
    std::process::exit(EXIT_SIGNAL);
}

/// A swarm that no source names peers of is seen only by those who connect to us.
fn warn_of_lonely_swarms(swarms: &[Arc<Swarm>], options: &Options) {
    let asks_dht = !options.network.no_dht && !options.dht_routers().is_empty();
    let is_private = |swarm: &Swarm| swarm.metadata().is_some_and(|metadata| metadata.private);
    let is_lonely = |swarm: &&Arc<Swarm>| {
        let has_tracker = !swarm.trackers.is_empty() && !options.network.no_trackers;
        !has_tracker && swarm.peers.is_empty() && (!asks_dht || is_private(swarm))
    };
    let lonely = swarms.iter().filter(is_lonely).count();
    if lonely > 0 {
        tracing::warn!("{lonely} of {} swarms have no tracker: nothing names their peers", swarms.len());
    }
}

fn fit_contacts(options: &mut Options) {
    let wanted = options.pacing.max_open;
    let fitting = open_files::fit(wanted);
    if fitting < wanted {
        tracing::warn!(
            "--max-open is {fitting} instead of {wanted}: the system's limit of open files is too low"
        );
        options.pacing.max_open = fitting;
    }
}

fn complain(error: &dyn std::fmt::Display) {
    tell(&format_args!("capture: {error}"));
}

/// Writes a line to stderr; where that is closed, nobody wants to know.
fn tell(line: &dyn std::fmt::Display) {
    writeln!(io::stderr(), "{line}").ok();
}
