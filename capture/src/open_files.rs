//! The system's limit of open files: raised as far as it goes, as every contact is one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that are no contacts: the log, trackers, sockets that listen.
const OTHER_FILES: u64 = 256;

/// Raises the limit and gives the number of contacts that fit under it, at most `wanted`.
pub fn fit(wanted: u32) -> u32 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let needed = u64::from(wanted) + OTHER_FILES;
    // None is no limit.
    let Some(soft) = current else { return wanted };
    let raised = maximum.map_or(needed, |hard| hard.min(needed)).max(soft);
    let limit = match setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum }) {
        Ok(()) => raised,
        Err(_refused) => soft,
    };
    let fitting = limit.saturating_sub(OTHER_FILES).max(limit / 2);
    u32::try_from(fitting).unwrap_or(u32::MAX).min(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_no_more_than_wanted() {
        assert_eq!(fit(1), 1);
        assert!((1..=100_000).contains(&fit(100_000)));
    }
}
