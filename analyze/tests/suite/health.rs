//! `health`: queues, workload and gaps by run and hour.

use crate::common::{LogWriter, columns, report_of};
use schema::table::{Row, RunEvent};

#[test]
fn a_gap_is_a_gauge_that_came_much_too_late() {
    let mut log = LogWriter::new("20260102T000000Z-aaaaaaaa");
    log.run_event(0.0, RunEvent::Started);
    for second in (0..=100).chain(160..=200).filter(|second| second % 10 == 0) {
        log.gauge(f64::from(second), u64::try_from(second).unwrap());
    }
    let report = log.report();
    let names = [
        "hour",
        "vantage",
        "gauges",
        "gaps",
        "gap_us",
        "longest_gap_us",
        "contacts_started",
        "contacts_per_s",
    ];
    assert_eq!(
        columns(&report, "health", &names),
        [["2026-01-02T00:00:00.000000Z", "test", "16", "1", "50000000", "50000000", "200", "1.000"]]
    );
    let queues =
        ["peers_due_median", "peers_due_max", "contacts_open_max", "memory_max_bytes", "down_before_us"];
    assert_eq!(columns(&report, "health", &queues), [["7", "20", "40", "", ""]]);
}

#[test]
fn the_time_between_two_runs_of_a_vantage_is_told() {
    let mut first = LogWriter::new("20260102T000000Z-aaaaaaaa");
    first.run_event(0.0, RunEvent::Started).gauge(1.0, 5).gauge(11.0, 9).run_event(12.0, RunEvent::Stopped);
    let mut second = LogWriter::new("20260102T010000Z-bbbbbbbb");
    second.run_event(3600.0, RunEvent::Started).gauge(3611.0, 4).run_event(3700.0, RunEvent::Stopped);
    let (first, second) = (first.data(), second.data());
    let report = report_of(&[first.path(), second.path()], |_| ());
    let names = ["run", "gauges", "contacts_started", "contacts_per_s", "down_before_us"];
    assert_eq!(
        columns(&report, "health", &names),
        [
            ["20260102T000000Z-aaaaaaaa", "2", "9", "0.400", ""],
            ["20260102T010000Z-bbbbbbbb", "1", "4", "", "3600000000"],
        ]
    );
}

#[test]
fn gauges_at_which_the_disk_took_nothing_are_counted() {
    let mut log = LogWriter::new("20260102T000000Z-aaaaaaaa");
    for (second, paused) in
        [(1.0, None), (11.0, Some(true)), (21.0, Some(false)), (31.0, Some(true)), (3601.0, None)]
    {
        log.gauge(second, 1);
        if let Some(Row::Gauge(gauge)) = log.events.last_mut().map(|event| &mut event.row) {
            gauge.log_paused = paused;
        }
    }
    assert_eq!(columns(&log.report(), "health", &["gauges", "log_paused"]), [["4", "2"], ["1", ""]]);
}
