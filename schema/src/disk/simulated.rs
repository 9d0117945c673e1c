//! A disk in memory that fails when told to, and that forgets and tears what was not synced when its power is lost.
//!
//! It is as unkind as POSIX allows: names survive only if their folder was synced, blocks of a file survive one by one,
//! and after a failed sync the file's bytes are visible but never durable again, whatever later syncs say.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a test's tool: what goes wrong in it must fail the test"
)]

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
};

use super::{Disk, DiskFile, Reader};

/// Blocks are kept or lost one by one.
const BLOCK: usize = 64;

/// Which calls fail.
#[derive(Clone, Copy)]
struct Failure {
    /// The first that fails, counted from 0.
    from: u64,
    /// How many fail.
    count: u64,
}

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Folder,
    File(usize),
}

#[derive(Clone, Debug, Default)]
struct Contents {
    visible: Vec<u8>,
    durable: Vec<u8>,
    /// A sync failed: nothing becomes durable any more.
    poisoned: bool,
}

#[derive(Clone)]
struct State {
    names: BTreeMap<PathBuf, Node>,
    durable_names: BTreeMap<PathBuf, Node>,
    contents: Vec<Contents>,
    calls: u64,
    failure: Option<Failure>,
    dies_at: Option<u64>,
}

impl Default for State {
    /// An empty folder `/out`.
    fn default() -> Self {
        let names = BTreeMap::from([(PathBuf::from("/out"), Node::Folder)]);
        let durable_names = names.clone();
        Self { names, durable_names, contents: Vec::new(), calls: 0, failure: None, dies_at: None }
    }
}

/// The disk, with one empty folder `/out`; clones share it.
#[derive(Clone, Default)]
pub struct SimulatedDisk(Arc<Mutex<State>>);

struct OpenFile {
    disk: SimulatedDisk,
    inode: usize,
}

impl SimulatedDisk {
    /// A disk of which some calls fail.
    pub fn failing(from: u64, count: u64) -> Self {
        let disk = Self::default();
        disk.lock().failure = Some(Failure { from, count });
        disk
    }

    /// A disk of a process that dies at this call: it and every later one fail.
    pub fn dying(call: u64) -> Self {
        let disk = Self::default();
        disk.fail_then_die(call);
        disk
    }

    /// After the failures it was made for, the process dies at this call.
    pub fn fail_then_die(&self, call: u64) {
        self.lock().dies_at = Some(call);
    }

    /// This call fails, and no other.
    pub fn fail_once(&self, call: u64) {
        self.lock().failure = Some(Failure { from: call, count: 1 });
    }

    /// Every call fails until the disk heals.
    pub fn fail_from_now_on(&self) {
        let mut state = self.lock();
        state.failure = Some(Failure { from: state.calls, count: u64::MAX });
    }

    /// Nothing fails any more.
    pub fn heal(&self) {
        self.lock().failure = None;
    }

    /// Calls so far that could have failed.
    pub fn calls(&self) -> u64 {
        self.lock().calls
    }

    /// Whether every call fails from now on.
    pub fn is_dead(&self) -> bool {
        let state = self.lock();
        state.dies_at.is_some_and(|call| state.calls > call)
    }

    /// The disk that the next process finds after this one was killed.
    #[must_use]
    pub fn after_kill(&self) -> Self {
        let mut state = self.lock().clone();
        state.failure = None;
        state.dies_at = None;
        Self(Arc::new(Mutex::new(state)))
    }

    /// The disk after the power was lost; `choose` decides what of the rest survived.
    #[must_use]
    pub fn after_power_loss(&self, mut choose: impl FnMut() -> bool) -> Self {
        let old = self.lock().clone();
        let mut state = State::default();
        let all: std::collections::BTreeSet<_> = old.names.keys().chain(old.durable_names.keys()).collect();
        for path in all {
            let (now, durable) = (old.names.get(path), old.durable_names.get(path));
            let survivor = if now == durable || choose() { now } else { durable };
            let has_home = path.parent().is_none_or(|home| is_root(home) || state.names.contains_key(home));
            if let (Some(node), true) = (survivor, has_home) {
                state.names.insert(path.clone(), node.clone());
            }
        }
        state.contents = old.contents.iter().map(|contents| contents.torn(&mut choose)).collect();
        state.durable_names = state.names.clone();
        Self(Arc::new(Mutex::new(state)))
    }

    /// Every file, with its bytes.
    pub fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let state = self.lock();
        let file = |(path, node): (&PathBuf, &Node)| match node {
            Node::File(inode) => Some((path.clone(), state.contents[*inode].visible.clone())),
            Node::Folder => None,
        };
        state.names.iter().filter_map(file).collect()
    }

    /// Changes a file behind the log's back.
    pub fn tamper(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.lock();
        let inode = state.inode(path).unwrap();
        change(&mut state.contents[inode].visible);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

impl State {
    /// Counts a call that changes or syncs something, and fails it if it is its turn.
    fn call(&mut self) -> io::Result<()> {
        let call = self.calls;
        self.calls += 1;
        let failing = |failure: Failure| call >= failure.from && call - failure.from < failure.count;
        if self.failure.is_some_and(failing) || self.dies_at.is_some_and(|dies_at| call >= dies_at) {
            let what = format!("simulated failure of call {call}");
            return Err(io::Error::new(io::ErrorKind::StorageFull, what));
        }
        Ok(())
    }

    fn inode(&self, path: &Path) -> io::Result<usize> {
        match self.names.get(path) {
            Some(Node::File(inode)) => Ok(*inode),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn check_home(&self, path: &Path) -> io::Result<()> {
        let home = path.parent().unwrap_or(path);
        if is_root(home) || self.names.get(home) == Some(&Node::Folder) {
            return Ok(());
        }
        Err(io::ErrorKind::NotFound.into())
    }
}

impl Contents {
    fn torn(&self, choose: &mut impl FnMut() -> bool) -> Self {
        let longest = self.visible.len().max(self.durable.len());
        let length = if self.visible.len() == self.durable.len() || choose() {
            self.visible.len()
        } else {
            self.durable.len()
        };
        let mut bytes = vec![0; longest];
        bytes[..self.durable.len()].copy_from_slice(&self.durable);
        for start in (0..self.visible.len()).step_by(BLOCK) {
            let end = (start + BLOCK).min(self.visible.len());
            if choose() {
                bytes[start..end].copy_from_slice(&self.visible[start..end]);
            }
        }
        bytes.truncate(length);
        Self { visible: bytes.clone(), durable: bytes, poisoned: false }
    }
}

fn is_root(path: &Path) -> bool {
    path == Path::new("/") || path == Path::new("")
}

impl Disk for SimulatedDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.lock();
        state.call()?;
        state.check_home(path)?;
        let inode = state.contents.len();
        state.contents.push(Contents::default());
        state.names.insert(path.to_owned(), Node::File(inode));
        Ok(Box::new(OpenFile { disk: self.clone(), inode }))
    }

    fn open(&self, path: &Path) -> io::Result<Reader> {
        let mut state = self.lock();
        state.call()?;
        let inode = state.inode(path)?;
        Reader::new(state.contents[inode].visible.clone())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let mut state = self.lock();
        state.call()?;
        let own = |(path, node): (&PathBuf, &Node)| {
            let name = path.file_name()?.to_str()?.to_owned();
            (path.parent() == Some(folder) && *node != Node::Folder).then_some(name)
        };
        Ok(state.names.iter().filter_map(own).collect())
    }

    fn list_folders(&self, folder: &Path) -> io::Result<Vec<String>> {
        let mut state = self.lock();
        state.call()?;
        let own = |(path, node): (&PathBuf, &Node)| {
            let name = path.file_name()?.to_str()?.to_owned();
            (path.parent() == Some(folder) && *node == Node::Folder).then_some(name)
        };
        Ok(state.names.iter().filter_map(own).collect())
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        let mut state = self.lock();
        state.call()?;
        Ok(state.names.contains_key(path))
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.call()?;
        for folder in path.ancestors().filter(|folder| !is_root(folder)) {
            state.names.insert(folder.to_owned(), Node::Folder);
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.call()?;
        state.check_home(to)?;
        let inode = state.inode(from)?;
        state.names.remove(from);
        state.names.insert(to.to_owned(), Node::File(inode));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.call()?;
        state.inode(path)?;
        state.names.remove(path);
        Ok(())
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.call()?;
        let State { names, durable_names, .. } = &mut *state;
        durable_names.retain(|name, _| name.parent() != Some(path));
        let own = names.iter().filter(|(name, _)| name.parent() == Some(path));
        durable_names.extend(own.map(|(name, node)| (name.clone(), node.clone())));
        Ok(())
    }
}

impl DiskFile for OpenFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.lock();
        let result = state.call();
        // A failed write leaves half of itself behind.
        let bytes = if result.is_ok() { bytes } else { &bytes[..bytes.len() / 2] };
        if state.dies_at.is_some_and(|call| state.calls > call + 1) {
            return result;
        }
        let visible = &mut state.contents[self.inode].visible;
        let start = usize::try_from(offset).unwrap();
        visible.resize(visible.len().max(start + bytes.len()), 0);
        visible[start..start + bytes.len()].copy_from_slice(bytes);
        result
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.disk.lock();
        let result = state.call();
        let contents = &mut state.contents[self.inode];
        contents.poisoned |= result.is_err();
        if !contents.poisoned {
            contents.durable = contents.visible.clone();
        }
        result
    }

    fn set_len(&mut self, length: u64) -> io::Result<()> {
        let mut state = self.disk.lock();
        state.call()?;
        state.contents[self.inode].visible.resize(usize::try_from(length).unwrap(), 0);
        Ok(())
    }
}
