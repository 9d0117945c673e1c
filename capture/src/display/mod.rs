//! What the user sees of a run on stderr: a live line where that is a terminal, plain log lines elsewhere.
//!
//! The gauges that go to the log → one status line; messages of the program stand above the live line.

mod status;

use std::{
    borrow::Cow,
    io::{self, IsTerminal as _, Write},
    net::IpAddr,
    time::Duration,
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use schema::{
    conceal::{Addresses, replace_addresses},
    table::Gauge,
};
use tokio::{sync::watch, time::Instant};
use tracing_subscriber::{
    EnvFilter, fmt::MakeWriter, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

use self::status::Status;
use crate::{cli::LogFormat, clock::Clock};

/// Overrides which messages are told, in the syntax of `tracing`.
const FILTER_VARIABLE: &str = "CAPTURE_LOG";
/// A certificate that does not hold is told in the request's row, and not by the library as well.
const FILTER: &str = "info,rustls_platform_verifier=off";
/// How often the live line's clock moves.
const TICK: Duration = Duration::from_millis(250);

/// Where messages and progress go.
pub struct Display {
    format: LogFormat,
    /// Present on a terminal, where the last line is kept up to date.
    live: Option<MultiProgress>,
}

impl Display {
    /// Chooses by format and by what stderr is, and takes in the program's messages from here on.
    ///
    /// Where addresses are hidden, none is told: whatever a message says, the address in it is left out.
    pub fn start(format: LogFormat, addresses: Addresses) -> Self {
        let is_live = format == LogFormat::Text && io::stderr().is_terminal();
        let live = is_live.then(MultiProgress::new);
        let filter = EnvFilter::builder()
            .with_default_directive(tracing::Level::INFO.into())
            .with_env_var(FILTER_VARIABLE)
            .try_from_env()
            .unwrap_or_else(|_unset| EnvFilter::new(FILTER));
        let writer = Above { live: live.clone(), hides_addresses: addresses != Addresses::Full };
        let lines = tracing_subscriber::fmt::layer().with_writer(writer).with_target(false);
        let registry = tracing_subscriber::registry().with(filter);
        // A second start, as tests have it, leaves the first one's lines in place.
        match format {
            LogFormat::Json => registry.with(lines.json().flatten_event(true)).try_init().ok(),
            LogFormat::Text => registry.with(lines.with_ansi(is_live)).try_init().ok(),
        };
        Self { format, live }
    }

    /// Shows every gauge until their sender is gone; `run_for` is the planned length of the run.
    pub async fn show(self, gauges: watch::Receiver<Option<Gauge>>, clock: Clock, run_for: Option<Duration>) {
        match &self.live {
            Some(live) => show_live(live, gauges, clock, run_for).await,
            None => show_lines(self.format, gauges, clock, run_for).await,
        }
    }
}

async fn show_live(
    live: &MultiProgress,
    mut gauges: watch::Receiver<Option<Gauge>>,
    clock: Clock,
    run_for: Option<Duration>,
) {
    let bar = live.add(ProgressBar::new_spinner());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
        bar.set_style(style);
    }
    let mut status = Status::new(clock.instant(), run_for);
    loop {
        tokio::select! {
            biased;
            changed = gauges.changed() => {
                status.take_in(clock.instant(), gauges.borrow_and_update().as_ref());
                if changed.is_err() {
                    break;
                }
            }
            () = tokio::time::sleep(TICK) => {}
        }
        bar.set_message(status.line(clock.instant()));
        bar.tick();
    }
    // The last figures stay on the screen, as a line of their own.
    bar.finish_and_clear();
    tracing::info!("{}", status.line(clock.instant()));
}

async fn show_lines(
    format: LogFormat,
    mut gauges: watch::Receiver<Option<Gauge>>,
    clock: Clock,
    run_for: Option<Duration>,
) {
    let mut status = Status::new(clock.instant(), run_for);
    while gauges.changed().await.is_ok() {
        let now = clock.instant();
        status.take_in(now, gauges.borrow_and_update().as_ref());
        tell(format, &status, now);
    }
}

fn tell(format: LogFormat, status: &Status, now: Instant) {
    let Some(gauge) = status.gauge() else { return };
    match format {
        LogFormat::Text => tracing::info!("{}", status.line(now)),
        LogFormat::Json => tracing::info!(
            elapsed_s = status.elapsed(now).as_secs(),
            remaining_s = status.remaining(now).map(|left| left.as_secs()),
            swarms = gauge.swarms,
            peers_known = gauge.peers_known,
            contacts_open = gauge.contacts_open,
            contacts_per_s = status.contacts_per_s(),
            confirmed = gauge.crossings,
            log_bytes = status::log_bytes(gauge),
            "progress"
        ),
    }
}

/// Writes to stderr, above the live line where there is one; a message comes whole, in one write.
#[derive(Clone)]
struct Above {
    live: Option<MultiProgress>,
    hides_addresses: bool,
}

impl<'a> MakeWriter<'a> for Above {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Write for Above {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let shown = self.shown(bytes);
        match &self.live {
            Some(live) => live.suspend(|| io::stderr().write_all(&shown)),
            None => io::stderr().write_all(&shown),
        }?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl Above {
    fn shown<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        if !self.hides_addresses {
            return Cow::Borrowed(bytes);
        }
        let text = String::from_utf8_lossy(bytes);
        let hidden = |ip: IpAddr| (!ip.is_unspecified()).then_some("[address]");
        Cow::Owned(replace_addresses(&text, hidden).into_owned().into_bytes())
    }
}
