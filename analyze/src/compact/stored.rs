//! A log in an object store, compacted: one table's objects of one date → a temporary folder → one file → put there and
//! read back → what it stands for removed.
//!
//! The order is that of a folder (see [`day`](super::day)), and so is what an interruption leaves: objects that the
//! merged one names, which every reader here leaves out and the next compaction removes. Nothing locks a store; two
//! compactions at once make the same object and remove the same ones.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use schema::{
    disk::{Disk as _, RealDisk},
    layout::{COMPACT_FOLDER, Date, date_folder, date_of_folder},
    table::Table,
};
use store::Stored;

use super::{
    Compaction,
    day::{Day, Done},
};
use crate::{remote::Remote, scratch};

/// Compacts every table's dates before a date, or all.
///
/// # Errors
/// One line for the user: the store refused or failed, or the temporary folder did; no row is lost or there twice.
pub fn compact(remote: &Remote, before: Option<Date>) -> anyhow::Result<Compaction> {
    let mut compaction = Compaction::default();
    for ((table, date), objects) in days(remote.segments()?) {
        if objects.len() < 2 || before.is_some_and(|before| date >= before) {
            continue;
        }
        let folder = scratch::folder().context("cannot make a temporary folder")?;
        remote.bring(&objects, folder.path())?;
        RealDisk
            .create_folder(&folder.path().join(COMPACT_FOLDER))
            .context("cannot make a temporary folder")?;
        let mut done = Day { disk: &RealDisk, folder: folder.path(), table, date }.compact()?;
        for (path, _) in &mut done.left {
            let name = path.strip_prefix(folder.path()).unwrap_or(path).display();
            *path = PathBuf::from(format!("{}/{name}", remote.url()));
        }
        let home = date_folder(table, date);
        let were: BTreeSet<String> = objects.into_iter().map(|object| object.name).collect();
        let are = names(folder.path(), &home)?;
        for name in are.difference(&were) {
            remote.put(name, &folder.path().join(name))?;
        }
        remote.remove(&were.difference(&are).cloned().collect::<Vec<_>>())?;
        if done != Done::default() {
            compaction.days.push((table, date, done));
        }
    }
    Ok(compaction)
}

/// The objects of each table and date.
fn days(objects: Vec<Stored>) -> BTreeMap<(Table, Date), Vec<Stored>> {
    let mut days: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for object in objects {
        let mut parts = object.name.split('/');
        let table = parts.next().and_then(|table| table.parse().ok());
        let date = parts.next().and_then(date_of_folder);
        if let (Some(table), Some(date), Some(_), None) = (table, date, parts.next(), parts.next()) {
            days.entry((table, date)).or_default().push(object);
        }
    }
    days
}

/// The names of a day's files, as those of objects.
fn names(folder: &Path, home: &str) -> anyhow::Result<BTreeSet<String>> {
    let listed = RealDisk.list(&folder.join(home)).context("cannot list the temporary folder")?;
    Ok(listed.into_iter().map(|name| format!("{home}/{name}")).collect())
}
