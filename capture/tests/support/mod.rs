//! The rows of a log whose run has ended.

use std::{fs::File, path::Path};

use schema::table::{Contact, Event, Gauge, Progress, Request, Row, Run, Sighting, Table, Torrent};

/// The rows of a log, by table, in order of time.
#[derive(Debug, Default)]
pub struct Rows {
    pub contacts: Vec<Contact>,
    pub progress: Vec<Progress>,
    pub requests: Vec<Request>,
    pub sightings: Vec<Sighting>,
    pub torrents: Vec<Torrent>,
    pub runs: Vec<Run>,
    pub gauges: Vec<Gauge>,
}

impl Rows {
    pub fn read(folder: &Path) -> Self {
        let mut rows = Self::default();
        for &table in Table::ALL {
            let mut events = Vec::new();
            for date in std::fs::read_dir(folder.join(table.name())).into_iter().flatten() {
                for file in std::fs::read_dir(date.unwrap().path()).unwrap() {
                    let read =
                        schema::segment::read(table, File::open(file.unwrap().path()).unwrap()).unwrap();
                    events.extend(read.into_iter().map(|(_, event)| event));
                }
            }
            events.sort_by_key(|event: &Event| event.time);
            for event in events {
                rows.take(event.row);
            }
        }
        rows
    }

    fn take(&mut self, row: Row) {
        match row {
            Row::Contact(row) => self.contacts.push(*row),
            Row::Gauge(row) => self.gauges.push(*row),
            Row::Progress(row) => self.progress.push(row),
            Row::Run(row) => self.runs.push(row),
            Row::Sighting(row) => self.sightings.push(row),
            Row::Torrent(row) => self.torrents.push(row),
            Row::Request(row) => self.requests.push(row),
            Row::Address(_) | Row::Hostname(_) => {}
        }
    }

    /// The one contact of a test.
    pub fn contact(&self) -> &Contact {
        assert_eq!(self.contacts.len(), 1, "{:?}", self.contacts);
        &self.contacts[0]
    }
}
