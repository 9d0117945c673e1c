//! Work on all cores at once: results come in the order of the work, and no more of it is in flight than is being done.

use std::{
    collections::BTreeMap,
    panic::resume_unwind,
    sync::{
        Condvar, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

use schema::table::Table;

use super::{pieces::Piece, segments::Segment};

/// Results that may wait for an earlier one, per worker.
const AHEAD: usize = 3;

/// Threads that work at once.
pub fn count() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Does each piece of work and gives all results in the order of the work, or the error of the first that failed.
pub fn each<W: Sync, R: Send, E: Send>(
    work: &[W],
    run: impl Fn(&W) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let mut results = Vec::with_capacity(work.len());
    in_order(work, run, |result| {
        results.push(result);
        Ok(())
    })?;
    Ok(results)
}

/// Does each piece of work and takes the results one by one in the order of the work.
///
/// # Errors
/// The first piece that failed, or that could not be taken; later ones are given up.
pub fn in_order<W: Sync, R: Send, E: Send>(
    work: &[W],
    run: impl Fn(&W) -> Result<R, E> + Sync,
    mut take: impl FnMut(R) -> Result<(), E>,
) -> Result<(), E> {
    let workers = count().min(work.len());
    let next = AtomicUsize::new(0);
    let gate = Gate { taken: Mutex::new(0), moved: Condvar::new(), ahead: workers * AHEAD };
    thread::scope(|scope| {
        let (send, results) = mpsc::sync_channel(workers);
        let handles: Vec<_> = (0..workers)
            .map(|_| {
                let (send, next, gate, run) = (send.clone(), &next, &gate, &run);
                scope.spawn(move || {
                    // A panic must not leave the others waiting for a result that never comes.
                    let _opens = OpensInPanic(gate);
                    loop {
                        let place = next.fetch_add(1, Ordering::Relaxed);
                        let Some(work) = work.get(place).filter(|_| gate.wait_for(place)) else { break };
                        if send.send((place, run(work))).is_err() {
                            break;
                        }
                    }
                })
            })
            .collect();
        drop(send);
        let mut waiting = BTreeMap::new();
        let mut taken = 0;
        let mut outcome = Ok(());
        'results: for (place, result) in &results {
            waiting.insert(place, result);
            while let Some(result) = waiting.remove(&taken) {
                if let Err(error) = result.and_then(&mut take) {
                    outcome = Err(error);
                    break 'results;
                }
                taken += 1;
                gate.move_to(taken);
            }
        }
        gate.move_to(usize::MAX);
        next.store(work.len(), Ordering::Relaxed);
        drop(results);
        for handle in handles {
            if let Err(panic) = handle.join() {
                resume_unwind(panic);
            }
        }
        outcome
    })
}

/// Holds workers back that are too far ahead.
struct Gate {
    taken: Mutex<usize>,
    moved: Condvar,
    ahead: usize,
}

impl Gate {
    /// Waits until the work at this place may begin; false where nothing is taken any more.
    fn wait_for(&self, place: usize) -> bool {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let too_far = |taken: &mut usize| *taken != usize::MAX && place >= *taken + self.ahead;
        let taken = self.moved.wait_while(taken, too_far).unwrap_or_else(PoisonError::into_inner);
        *taken != usize::MAX
    }

    fn move_to(&self, taken: usize) {
        *self.taken.lock().unwrap_or_else(PoisonError::into_inner) = taken;
        self.moved.notify_all();
    }
}

/// Lets everybody go if its thread panics.
struct OpensInPanic<'a>(&'a Gate);

impl Drop for OpensInPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.move_to(usize::MAX);
        }
    }
}

/// The row groups of some tables, as work.
pub fn row_groups<'a>(segments: &'a [Segment], tables: &[Table]) -> Vec<(&'a Segment, &'a [Piece])> {
    let of_tables = segments.iter().filter(|segment| tables.contains(&segment.table));
    of_tables
        .flat_map(|segment| {
            let groups = segment.pieces.chunk_by(|one, other| one.group == other.group);
            groups.map(move |pieces| (segment, pieces))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_work() {
        let work: Vec<usize> = (0..500).collect();
        let doubled = each(&work, |number| Ok::<_, ()>(number * 2)).unwrap();
        assert!(doubled.iter().enumerate().all(|(place, result)| *result == place * 2));
        assert_eq!(each(&[], |(): &()| Ok::<_, ()>(1)).unwrap(), Vec::<i32>::new());
    }

    #[test]
    fn the_first_failure_ends_the_work() {
        let work: Vec<usize> = (0..10_000).collect();
        let done = AtomicUsize::new(0);
        let outcome = each(&work, |number| {
            done.fetch_add(1, Ordering::Relaxed);
            if *number == 7 { Err(*number) } else { Ok(()) }
        });
        assert_eq!(outcome, Err(7));
        assert!(done.load(Ordering::Relaxed) < work.len());
    }
}
