//! Generated logs: as many rows as asked for, the same each time, contacts numbered once.

use std::{collections::BTreeSet, fs::File};

use super::*;

fn options(out: PathBuf) -> LogOptions {
    LogOptions {
        rows: 20_000,
        of: None,
        out,
        swarms: 100,
        length: Duration::from_hours(26),
        ipv6: 0.2,
        seed: 3,
    }
}

fn read(out: &std::path::Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for table in Table::ALL {
        for date in fs::read_dir(out.join(table.name())).into_iter().flatten().flatten() {
            for file in fs::read_dir(date.path()).unwrap().flatten() {
                let name = file.path().strip_prefix(out).unwrap().display().to_string();
                assert!(name.parse::<SegmentPath>().is_ok(), "{name}");
                files.push((name, fs::read(file.path()).unwrap()));
            }
        }
    }
    files.sort();
    files
}

#[test]
fn a_log_has_about_the_rows_asked_for_and_is_the_same_each_time() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let written = generate(&options(first.path().to_owned())).unwrap();
    assert!((17_000..23_000).contains(&written), "{written}");
    assert_eq!(generate(&options(second.path().to_owned())).unwrap(), written);
    assert!(read(first.path()) == read(second.path()));
}

#[test]
fn contacts_are_numbered_once_and_peers_are_of_both_families() {
    let out = tempfile::tempdir().unwrap();
    generate(&options(out.path().to_owned())).unwrap();
    let (mut numbers, mut v6, mut rows) = (BTreeSet::new(), 0, 0);
    for (name, _) in read(out.path()).iter().filter(|(name, _)| name.starts_with("contacts/")) {
        for (_, event) in segment::read(Table::Contacts, File::open(out.path().join(name)).unwrap()).unwrap()
        {
            let schema::table::Row::Contact(contact) = event.row else { panic!("{event:?}") };
            assert!(numbers.insert(contact.contact));
            v6 += u32::from(contact.ip.is_ipv6());
            rows += 1;
        }
    }
    assert!(rows > 1_000 && (rows / 10..rows / 3).contains(&v6), "{v6} of {rows}");
}
