//! `runs`: when a capture lived, where, and with which options.

closed_set! {
    /// Which end of a run a row tells of.
    RunEvent {
        /// The capture began to watch.
        Started = 0, "started";
        /// The capture ended in good order; a run without this row was killed.
        Stopped = 1, "stopped";
    }
}

define_table! {
    /// Start and stop of a capture.
    Run in "runs" {
        /// Which end of the run this is.
        event: RunEvent,
        /// Name of the place the capture ran (`--vantage`), by default the host's name.
        vantage: String,
        /// Version of the capture program.
        version: String,
        /// Every option in force, as JSON.
        config: String,
        /// Why the run ended: `signal`, `duration`, or an error's text; null on `started`.
        reason: Option<String>,
    }
}
