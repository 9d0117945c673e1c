//! The verdict as text.

use std::fmt;

use super::{Crossing, False, FalseCause, Score};
use crate::clock;

impl fmt::Display for FalseCause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NoSuchPeer => "no such peer",
            Self::NeverCrossed => "never crossed",
            Self::TooEarly => "confirmed too early",
            Self::Twice => "counted twice",
        })
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |chosen: &dyn Fn(&Crossing) -> bool| {
            let chosen: Vec<_> = self.crossings.iter().filter(|crossing| chosen(crossing)).collect();
            (chosen.iter().filter(|crossing| crossing.row.is_some()).count(), chosen.len())
        };
        let mut line = |name: &str, (part, whole): (usize, usize)| {
            let share =
                if whole == 0 { "—".to_owned() } else { format!("{:.4}", part as f64 / whole as f64) };
            writeln!(f, "{name:<42} {part:>6} of {whole:>6}  {share:>7}")
        };
        let found = count(&|_| true).0;
        line("precision: rows that are true", (found, found + self.false_ones.len()))?;
        line("recall: crossings that could be seen", count(&|crossing| crossing.visible))?;
        line("        crossings while the capture ran", count(&|crossing| crossing.watched))?;
        line("        all crossings", count(&|_| true))?;
        self.write_accuracy(f)?;
        self.write_misses(f)?;
        self.write_false_ones(f)
    }
}

impl Score {
    fn write_accuracy(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let errors = self.speed_errors();
        if let (Some(median), Some(tenth)) = (errors.get(errors.len() / 2), errors.get(errors.len() * 9 / 10))
        {
            let (median, tenth) = (median * 100.0, tenth * 100.0);
            writeln!(f, "mean speeds: median error {median:.1} %, 90th percentile {tenth:.1} %")?;
        }
        let delays = {
            let delay = |crossing: &Crossing| {
                let row = crossing.row.as_ref()?;
                Some(row.confirmed_at.0.saturating_sub(crossing.crossed_at.0).max(0))
            };
            let mut delays: Vec<i64> = self.crossings.iter().filter_map(delay).collect();
            delays.sort_unstable();
            delays
        };
        if let (Some(median), Some(tenth)) = (delays.get(delays.len() / 2), delays.get(delays.len() * 9 / 10))
        {
            let (median, tenth) = (*median as f64 / 1e6, *tenth as f64 / 1e6);
            writeln!(f, "confirmed after the crossing: median {median:.2} s, 90th percentile {tenth:.2} s")?;
        }
        let off: Vec<_> = self.crossings.iter().filter(|crossing| crossing.off_interval).collect();
        if !off.is_empty() {
            writeln!(f, "\nintervals that do not hold the crossing: {}", off.len())?;
            for crossing in off {
                writeln!(f, "  {}", describe(crossing))?;
            }
        }
        Ok(())
    }

    fn write_misses(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let missed = |visible: bool| {
            self.crossings
                .iter()
                .filter(move |crossing| crossing.row.is_none() && crossing.visible == visible)
        };
        if missed(true).next().is_some() {
            writeln!(f, "\nmisses:")?;
        }
        for crossing in missed(true) {
            writeln!(f, "  {}", describe(crossing))?;
        }
        let (lead, tail) = (self.rules.lead.as_secs_f64(), self.rules.tail.as_secs_f64());
        if missed(false).next().is_some() {
            writeln!(
                f,
                "\nmisses that could not be seen (known and watched for less than {lead} s before or {tail} s after):"
            )?;
        }
        for crossing in missed(false) {
            writeln!(f, "  {}", describe(crossing))?;
        }
        Ok(())
    }

    fn write_false_ones(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.false_ones.is_empty() {
            writeln!(f, "\nfalse ones:")?;
        }
        for False { row, truth, cause } in &self.false_ones {
            let port = row.port.map_or(String::new(), |port| format!(":{port}"));
            let profile = truth.as_ref().map_or(String::new(), |truth| format!(" {}", truth.profile));
            writeln!(f, "  {cause}: {} {}{port}{profile}", short(&row.info_hash), row.ip)?;
            writeln!(
                f,
                "    the report: below {}, confirmed {}",
                clock::to_text(row.below_at),
                clock::to_text(row.confirmed_at)
            )?;
            if let Some(crossed_at) = truth.as_ref().and_then(|truth| truth.crossed_at) {
                writeln!(f, "    crossed {}", clock::to_text(crossed_at))?;
            }
        }
        Ok(())
    }
}

fn short(info_hash: &str) -> &str {
    info_hash.get(..8).unwrap_or(info_hash)
}

fn describe(crossing: &Crossing) -> String {
    let Crossing { truth, crossed_at, row, .. } = crossing;
    let seconds = |later: i64, earlier: i64| later.saturating_sub(earlier) as f64 / 1e6;
    let text = format!(
        "{} {}:{} {}  crossed at {}, known {}, up {:.1} s after",
        short(&truth.info_hash),
        truth.ip,
        truth.port,
        truth.profile,
        clock::to_text(*crossed_at),
        match truth.known_at.map(|known_at| seconds(crossed_at.0, known_at.0)) {
            Some(lead) if lead < 0.0 => format!("{:.1} s after", -lead),
            Some(lead) => format!("{lead:.1} s before"),
            None => "never".to_owned(),
        },
        seconds(truth.left.0, crossed_at.0),
    );
    if let Some(row) = row {
        let (below, confirmed) =
            (seconds(row.below_at.0, crossed_at.0), seconds(row.confirmed_at.0, crossed_at.0));
        return text + &format!("; report: below {below:+.1} s, confirmed {confirmed:+.1} s");
    }
    text
}
