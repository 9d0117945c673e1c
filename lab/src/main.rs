//! The `lab` program: reads the command line, runs, and turns the result into an exit code.

use std::{
    io::{IsTerminal, Write},
    process::ExitCode,
};

use anyhow::{Context, Result};
use clap::Parser;
use lab::{
    bench::{self, contacts, hold, schedule},
    cli::{
        Bench, BenchContacts, BenchHold, BenchLog, BenchReplay, BenchSchedule, Cli, Command, LogArgs, Score,
        Swarm,
    },
    log, score, swarm,
};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_env("LAB_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let result = match cli.command {
        Command::Bench(Bench::Contacts(options)) => bench_contacts(options),
        Command::Bench(Bench::Hold(options)) => bench_hold(options),
        Command::Bench(Bench::Schedule(options)) => bench_schedule(&options),
        Command::Bench(Bench::Log(options)) => bench_log(&options),
        Command::Bench(Bench::Replay(options)) => bench_replay(&options),
        Command::Log(options) => write_log(options),
        Command::Swarm(options) => run_swarm(options),
        Command::Score(options) => run_score(&options),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("lab: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run_swarm(options: Swarm) -> Result<bool> {
    raise_file_limit();
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    runtime.block_on(async {
        let stop = CancellationToken::new();
        tokio::spawn(stop_on_signal(stop.clone())?);
        swarm::run(&options.options(), stop).await
    })?;
    Ok(true)
}

fn bench_contacts(options: BenchContacts) -> Result<bool> {
    raise_file_limit();
    let required = options.require_ratio;
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let contacts = runtime.block_on(contacts::run(&options.options()))?;
    write!(std::io::stdout(), "{contacts}")?;
    Ok(reached(required, "the ratio", contacts.ratio()))
}

fn bench_hold(options: BenchHold) -> Result<bool> {
    raise_file_limit();
    let required = options.require_bytes;
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let held = runtime.block_on(hold::run(&options.options()))?;
    write!(std::io::stdout(), "{held}")?;
    Ok(small(required, "memory of a held contact, bytes,", held.bytes_per_contact()))
}

/// Whether a value is as low as required; if not, says so.
fn small(required: Option<f64>, what: &str, value: f64) -> bool {
    let small = required.is_none_or(|required| value <= required);
    if !small {
        eprintln!("lab: {what} is {value:.2}, above the required {}", required.unwrap_or_default());
    }
    small
}

fn bench_log(options: &BenchLog) -> Result<bool> {
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let measured = runtime.block_on(bench::log::run(&options.options()))?;
    write!(std::io::stdout(), "{measured}")?;
    let fast = reached(options.require_rows_per_s, "rows made durable per second", measured.rows_per_s());
    let fresh =
        no_more(options.require_fresh, "bytes per row in fresh segments", measured.fresh_bytes_per_row());
    let compacted = no_more(
        options.require_compacted,
        "bytes per row in merged segments",
        measured.compacted_bytes_per_row(),
    );
    Ok(fast && fresh && compacted)
}

fn bench_replay(options: &BenchReplay) -> Result<bool> {
    let mut good = true;
    bench::replay::run(&options.options(), |measured| {
        write!(std::io::stdout(), "{measured}")?;
        let required = match measured.name {
            "raw" => options.require_raw,
            _ => options.require_compacted,
        };
        let mib = measured.analyze.peak_bytes as f64 / f64::from(1 << 20);
        good &= reached(required, "the ratio to DuckDB", measured.ratio().unwrap_or_default());
        good &= no_more(options.require_memory, "MiB of the replay", mib);
        Ok(())
    })?;
    Ok(good)
}

fn bench_schedule(options: &BenchSchedule) -> Result<bool> {
    let mut lowest = f64::INFINITY;
    for budget in schedule::BUDGETS {
        let found = schedule::measure(&options.options(), budget);
        writeln!(std::io::stdout(), "{found}")?;
        lowest = lowest.min(found.ratio());
    }
    Ok(reached(options.require_ratio, "the lowest ratio", lowest))
}

fn write_log(options: LogArgs) -> Result<bool> {
    let rows = log::generate(&options.options())?;
    writeln!(std::io::stdout(), "{rows} rows")?;
    Ok(true)
}

/// Every peer has a listener, and connections besides.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "cannot raise the limit of open files; large labs need `ulimit -n`");
    }
}

fn stop_on_signal(stop: CancellationToken) -> Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for signals")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for signals")?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        stop.cancel();
    })
}

fn run_score(options: &Score) -> Result<bool> {
    let score = score::score_files(&options.truth, &options.confirmed, options.rules())?;
    write!(std::io::stdout(), "{score}")?;
    let precise = reached(options.require_precision, "precision", score.precision());
    let recalled = reached(options.require_recall, "recall", score.recall());
    Ok(precise && recalled)
}

/// Whether a value is as high as required; if not, says so.
fn reached(required: Option<f64>, what: &str, value: f64) -> bool {
    let reached = required.is_none_or(|required| value >= required);
    if !reached {
        eprintln!("lab: {what} is {value:.4}, below the required {}", required.unwrap_or_default());
    }
    reached
}

/// Whether a value is as low as required; if not, says so.
fn no_more(required: Option<f64>, what: &str, value: f64) -> bool {
    let low = required.is_none_or(|required| value <= required);
    if !low {
        eprintln!("lab: {what} is {value:.2}, above the required {}", required.unwrap_or_default());
    }
    low
}
