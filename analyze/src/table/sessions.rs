//! `sessions`: how long peers stay online.

use polars::prelude::{DataFrame, IntoColumn, IntoLazy, NamedFrom, PolarsResult, Series};

use super::{
    Input,
    definition::{Definition, Kind, column},
};
use crate::{
    estimate::survival::{self, Point},
    time::SECOND_US,
};

/// What `sessions` holds.
pub const DEFINITION: Definition = Definition {
    name: "sessions",
    title: "Time online",
    about: "Share of sessions that last longer than a time (Kaplan–Meier), over all torrents. A session lasts from the \
            first handshake with a peer to halfway between the last proof that it is there and the first that it is \
            not; sessions nobody saw end are right-censored, sessions that may have begun before the capture are left \
            out (`left_truncated`). Lengths are rounded to four digits.",
    key: 1,
    columns: &[
        column("time_online_us", Kind::Microseconds, "A length of a session."),
        column("at_risk", Kind::Count, "Sessions watched for at least so long."),
        column("ended", Kind::Count, "Sessions that ended up to then."),
        column("censored", Kind::Count, "Sessions cut off up to then: nobody saw them end."),
        column("left_truncated", Kind::Count, "Sessions left out: they may have begun before the watch."),
        column("longer_share", Kind::Share, "Share of all sessions that last longer."),
        column("longer_share_low", Kind::Share, "Lower end of its 95 % interval."),
        column("longer_share_high", Kind::Share, "Upper end of its 95 % interval."),
        column("method", Kind::Text, "`kaplan_meier`."),
        column("bias", Kind::Text, "In which direction the method errs, and why."),
    ],
};

/// The times at which the curve is told, seconds: dense where most sessions end, up to 30 days.
const SECONDS: [i64; 29] = [
    0, 10, 30, 60, 120, 180, 300, 420, 600, 900, 1_200, 1_800, 2_700, 3_600, 5_400, 7_200, 10_800, 14_400,
    21_600, 28_800, 43_200, 64_800, 86_400, 129_600, 172_800, 259_200, 432_000, 604_800, 2_592_000,
];

/// Reads the curve off.
pub fn build(input: &Input<'_>) -> PolarsResult<DataFrame> {
    let sessions = &input.replay.sessions;
    let times = SECONDS.map(|seconds| seconds * SECOND_US);
    let curve = sessions.seen.curve(&times);
    let count = |name: &str, read: fn(&Point) -> u64| {
        Series::new(name.into(), curve.iter().map(read).collect::<Vec<_>>()).into_column()
    };
    let share = |name: &str, read: fn(&Point) -> f64| {
        Series::new(name.into(), curve.iter().map(read).collect::<Vec<_>>()).into_column()
    };
    let rows = DataFrame::new_infer_height(vec![
        Series::new("time_online_us".into(), curve.iter().map(|point| point.at).collect::<Vec<_>>())
            .into_column(),
        count("at_risk", |point| point.at_risk),
        count("ended", |point| point.ended),
        count("censored", |point| point.censored),
        Series::new("left_truncated".into(), vec![sessions.left_truncated; curve.len()]).into_column(),
        share("longer_share", |point| point.longer.value),
        share("longer_share_low", |point| point.longer.low),
        share("longer_share_high", |point| point.longer.high),
        Series::new("method".into(), vec![survival::METHOD; curve.len()]).into_column(),
        Series::new("bias".into(), vec![survival::BIAS; curve.len()]).into_column(),
    ])?;
    DEFINITION.finish(rows.lazy())
}
