//! The one thread that writes write-ahead files: queue → frames → file → durable; full or old files go to rotation.
//!
//! Rows stay in memory until they are durable. A failed write is tried again at the same place; after a failed sync a
//! fresh file repeats every row not known durable, and its header says where the failed one ends: exactly once.

use std::{collections::VecDeque, io, sync::Arc};

use schema::{
    disk::Disk,
    frame::{Cut, PackedFrame, Packer},
};
use tokio::time::Instant;

use super::{
    LogError, LogOptions, Pace,
    queue::Queue,
    rotation::{ClosedWal, Rotation},
    spare::Spares,
    stats::{LogState, Stats},
    wal::Wal,
};
use crate::clock::Clock;

/// A sync happens early when this much is not durable, because it is kept in memory until then.
const UNSYNCED_BYTES: usize = 16 << 20;
/// How often a failing disk is tried at the close before the rows in memory are given up.
const CLOSE_ATTEMPTS: u32 = 6;

pub(super) struct Writer {
    disk: Arc<dyn Disk>,
    options: LogOptions,
    clock: Clock,
    pace: Pace,
    queue: Arc<Queue>,
    stats: Arc<Stats>,
    rotation: Rotation,
    spares: Spares,
    wal: Option<Wal>,
    next_seq: u32,
    /// Files given up after a failed sync, until a durable header says so.
    cuts: Vec<Cut>,
    packer: Packer,
    /// Rows that are not durable.
    pending: VecDeque<PackedFrame>,
    /// How many frames of `pending` are in the file.
    written: usize,
    /// When the oldest of them came.
    oldest: Option<Instant>,
}

impl Writer {
    /// A writer, with the threads it hands work to.
    pub(super) fn start(
        disk: Arc<dyn Disk>,
        options: LogOptions,
        clock: Clock,
        pace: Pace,
        queue: Arc<Queue>,
        stats: Arc<Stats>,
    ) -> Result<Self, LogError> {
        let rotation = Rotation::start(disk.clone(), options.folder.clone(), stats.clone(), pace)?;
        let spares = Spares::start(disk.clone(), options.folder.clone(), options.run.clone(), clock)?;
        Ok(Self {
            disk,
            options,
            clock,
            pace,
            queue,
            stats,
            rotation,
            spares,
            wal: None,
            next_seq: 0,
            cuts: Vec::new(),
            packer: Packer::default(),
            pending: VecDeque::new(),
            written: 0,
            oldest: None,
        })
    }

    /// Writes until the queue closes.
    pub(super) fn run(mut self) -> Result<(), LogError> {
        loop {
            // While the disk fails, no more is taken than memory may hold; then appenders wait.
            let closed =
                if self.pending_bytes() < UNSYNCED_BYTES { self.take() } else { self.queue.is_closed() };
            if closed {
                return self.finish();
            }
            match self.step(false) {
                Ok(()) => self.resume(),
                Err(cause) => self.pause(&cause),
            }
        }
    }

    /// Takes what has been appended; tells whether nothing will follow.
    fn take(&mut self) -> bool {
        let taken = self.queue.take(self.pace.gather, self.deadline());
        if !taken.frames.is_empty() {
            self.pending.extend(taken.frames.iter().map(|frame| self.packer.pack(frame)));
            self.oldest = self.oldest.or(taken.since);
            self.stats.lock().oldest_unsynced = self.oldest;
            self.queue.give_back(taken.frames);
        }
        taken.closed
    }

    fn pending_bytes(&self) -> usize {
        self.pending.iter().map(PackedFrame::len).sum()
    }

    /// When the writer must act even if no row comes.
    fn deadline(&self) -> Option<Instant> {
        let sync = self.oldest.map(|oldest| oldest + self.options.sync_every);
        let rotate =
            self.wal.as_ref().filter(|wal| wal.has_rows()).map(|wal| wal.opened + self.options.rotate_every);
        sync.into_iter().chain(rotate).min()
    }

    /// Writes what is pending, makes it durable and rotates, each if it is due or `everything`.
    fn step(&mut self, everything: bool) -> io::Result<()> {
        let wrote = self.write_pending();
        let now = self.clock.instant();
        let sync_due = self.oldest.is_some_and(|oldest| now >= oldest + self.options.sync_every);
        let rotate_due = self.wal.as_ref().is_some_and(|wal| {
            let old = now >= wal.opened + self.options.rotate_every;
            wal.has_rows() && (old || wal.length() >= self.options.rotate_size)
        });
        if everything || sync_due || rotate_due || self.pending_bytes() >= UNSYNCED_BYTES {
            // What an earlier write brought to the file is made durable even if a later one failed.
            self.sync()?;
        }
        wrote?;
        if everything || rotate_due {
            self.retire(None);
        }
        Ok(())
    }

    fn write_pending(&mut self) -> io::Result<()> {
        if self.pending.len() == self.written {
            return Ok(());
        }
        if self.wal.is_none() {
            self.wal = Some(self.next_wal()?);
            self.spares.want(self.next_seq);
            self.next_seq += 1;
        }
        let Some(wal) = &mut self.wal else { return Ok(()) };
        for frame in self.pending.iter_mut().skip(self.written) {
            match wal.append(frame) {
                Ok(bytes) => self.stats.lock().wal_bytes += bytes,
                Err(error) => {
                    wal.cut_off(wal.length());
                    return Err(error);
                }
            }
            self.written += 1;
        }
        Ok(())
    }

    /// The file made in advance, or one made now.
    fn next_wal(&mut self) -> io::Result<Wal> {
        match self.spares.take() {
            Some(mut wal) if self.cuts.is_empty() => {
                wal.opened = self.clock.instant();
                Ok(wal)
            }
            spare => {
                // Its header does not tell where the files end that had to be given up.
                if let Some(wal) = spare {
                    wal.discard(self.disk.as_ref());
                }
                self.create_wal()
            }
        }
    }

    /// A file of the next number; a number is never used again, whatever became of its file.
    fn create_wal(&mut self) -> io::Result<Wal> {
        let seq = self.next_seq;
        self.next_seq += 1;
        let wal = Wal::create(
            self.disk.as_ref(),
            &self.options.folder,
            (&self.options.run, seq),
            &self.cuts,
            self.clock.instant(),
        )?;
        self.cuts.clear();
        Ok(wal)
    }

    fn sync(&mut self) -> io::Result<()> {
        let Some(wal) = &mut self.wal else { return Ok(()) };
        if !wal.is_durable()
            && let Err(error) = wal.sync(self.disk.as_ref())
        {
            let cut = wal.cut();
            wal.cut_off(cut.length);
            self.cuts.push(cut);
            self.written = 0;
            self.retire(Some(cut));
            return Err(error);
        }
        let rows: u64 = self.pending.drain(..self.written).map(|frame| u64::from(frame.rows())).sum();
        self.written = 0;
        if self.pending.is_empty() {
            self.oldest = None;
        }
        let mut stats = self.stats.lock();
        stats.durable_rows += rows;
        stats.oldest_unsynced = self.oldest;
        drop(stats);
        self.stats.tell();
        Ok(())
    }

    /// Hands the file to rotation; `cut` is where it ends if it had to be given up.
    fn retire(&mut self, cut: Option<Cut>) {
        if let Some(wal) = self.wal.take() {
            self.rotation.push(ClosedWal { path: wal.path, cut: cut.map(|cut| cut.length) });
        }
    }

    fn resume(&self) {
        let mut stats = self.stats.lock();
        if stats.state != LogState::Ok {
            stats.state = LogState::Ok;
            tracing::info!("the log is written again; nothing was lost, and contacts go on");
            drop(stats);
            self.stats.tell();
        }
    }

    fn pause(&self, cause: &io::Error) {
        {
            let mut stats = self.stats.lock();
            if stats.state == LogState::Ok {
                tracing::error!(
                    folder = %self.options.folder.display(), %cause,
                    "the log cannot be written: rows wait in memory and contacts wait; trying again"
                );
            }
            stats.state = LogState::Paused { cause: cause.to_string() };
        }
        self.stats.tell();
        self.queue.wait_for_close(self.pace.retry_write);
    }

    /// Makes everything durable and ends; gives up on a disk that keeps failing.
    fn finish(mut self) -> Result<(), LogError> {
        self.take();
        let mut failure = self.step(true).err();
        for _ in 1..CLOSE_ATTEMPTS {
            let Some(cause) = &failure else { break };
            tracing::error!(%cause, "the log cannot be written at the end of the run; trying again");
            std::thread::sleep(self.pace.retry_write);
            failure = self.step(true).err();
        }
        let rows = self.pending.iter().map(|frame| u64::from(frame.rows())).sum();
        self.spares.finish();
        self.rotation.finish();
        match failure {
            Some(cause) => Err(LogError::Lost { rows, cause: cause.to_string() }),
            None => Ok(()),
        }
    }
}
