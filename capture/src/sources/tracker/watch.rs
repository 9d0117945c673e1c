//! One tracker over the run: announces of every swarm over both families, and scrapes, each when it is due.
//!
//! ```text
//! unknown ─ started answered ─▶ announced ─ regular, at the tracker's interval ─▶ announced ─ run ends ─▶ stopped
//!    └─ failure: again as started, later and later      └─ failure: again, later and later
//! ```

use std::{cmp::Reverse, collections::BinaryHeap, sync::Arc, time::Duration};

use futures::{StreamExt as _, stream, stream::FuturesUnordered};
use schema::table::{Family, RequestOutcome};
use tokio::time::{Instant, sleep_until, timeout};
use wire::tracker::{AnnounceEvent, AnnounceRequest, AnnounceResponse};

use super::{Shared, ask::Tracker, report::Asked, scrape, trouble::Trouble};
use crate::swarm::Swarm;

/// Requests to one tracker at once.
const RUNNING_MAX: usize = 8;
/// The same while the run ends, when all of them are the last.
const STOPPING_MAX: usize = 64;
/// For saying `stopped` to one tracker, all swarms together.
const STOP_WITHIN: Duration = Duration::from_secs(3);
/// Peers asked for; most trackers give no more.
const PEERS_WANTED: u32 = 200;
/// A host without an address of a family is looked at again after this long.
const ABSENT_FAMILY_AGAIN: Duration = Duration::from_mins(30);

/// A tracker with the swarms that name it.
pub struct Watch {
    /// The tracker.
    pub tracker: Tracker,
    /// The swarms.
    pub swarms: Vec<Arc<Swarm>>,
    /// What all trackers share.
    pub shared: Arc<Shared>,
}

/// A swarm's announces over one family.
struct Course {
    swarm: Arc<Swarm>,
    family: Family,
    /// Whether the tracker has taken our `started`.
    accepted: bool,
    running: bool,
    failures: u32,
    tracker_id: Option<Vec<u8>>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Announce(usize),
    Scrape,
}

enum Job {
    Announce(usize, Announce),
    Scrape { at_once_max: usize },
}

enum Done {
    Announced(usize, Option<Result<AnnounceResponse, Trouble>>),
    Scraped(scrape::Round),
}

/// What an announce is made of, apart from the course it belongs to.
struct Announce {
    swarm: Arc<Swarm>,
    family: Family,
    failures: u32,
    request: AnnounceRequest,
}

/// Everything that changes while a tracker is watched.
struct State {
    courses: Vec<Course>,
    due: BinaryHeap<Reverse<(Instant, Due)>>,
    /// The last intervals the tracker asked for: regular and least, seconds.
    intervals_s: (Option<u32>, Option<u32>),
    scrapes_begun: bool,
    scrape_failures: u32,
    /// Swarms in one scrape; 0 where the tracker has none.
    scrape_max: usize,
}

impl Watch {
    /// Asks the tracker until the run ends, then says goodbye.
    pub async fn run(self) {
        let mut state = State::new(&self);
        let mut running = FuturesUnordered::new();
        while !self.shared.ending.is_cancelled() {
            let next = state.due.peek().map(|Reverse((at, _))| *at);
            let place = running.len() < RUNNING_MAX;
            tokio::select! {
                biased;
                () = self.shared.ending.cancelled() => {}
                Some(done) = running.next(), if !running.is_empty() => self.settle(&mut state, done),
                () = until(next), if place && next.is_some() => {
                    if let Some(Reverse((_, due))) = state.due.pop() {
                        running.extend(state.begin(due, &self.shared).map(|job| self.perform(job)));
                    }
                }
            }
        }
        // What is under way has been told to end: only its rows are waited for.
        while running.next().await.is_some() {}
        self.stop(&state).await;
    }

    async fn perform(&self, job: Job) -> Done {
        match job {
            Job::Announce(course, announce) => Done::Announced(course, self.announce(announce).await),
            Job::Scrape { at_once_max } => Done::Scraped(scrape::round(self, at_once_max).await),
        }
    }

    /// Announces and tells of it; none if there was nothing to ask, or the run ended meanwhile.
    async fn announce(&self, announce: Announce) -> Option<Result<AnnounceResponse, Trouble>> {
        let (asked, result) = tokio::select! {
            biased;
            () = self.shared.ending.cancelled() => return None,
            asked = self.ask(&announce) => asked?,
        };
        self.shared.reporter.announced(&announce.swarm, &asked, &result).await;
        Some(result)
    }

    async fn ask(&self, announce: &Announce) -> Option<(Asked, Result<AnnounceResponse, Trouble>)> {
        let Announce { family, failures, request, .. } = announce;
        let addresses = self.tracker.host.addresses(*family, &self.shared.policy, &self.shared.clock).await;
        let _place = self.tracker.place(&self.shared).await;
        let mut asked = self.asked(Some(*family));
        let addresses = match addresses {
            Ok(addresses) => addresses,
            Err(error) => {
                let trouble = Trouble::from(error);
                if trouble.outcome == RequestOutcome::Unresolved {
                    // Neither family was reached: one row tells it, that of the IPv4 course.
                    asked.family = None;
                    if *family == Family::Ipv6 {
                        return None;
                    }
                }
                return Some((asked, Err(trouble)));
            }
        };
        let address = *addresses.get(*failures as usize % addresses.len().max(1))?;
        let result = self.tracker.announce(&self.shared, *family, address, request.clone()).await;
        if let Err(trouble) = &result
            && matches!(trouble.outcome, RequestOutcome::ConnectionFailed | RequestOutcome::TimedOut)
        {
            // It may have moved.
            self.tracker.host.forget().await;
        }
        Some((asked, result))
    }

    /// A request that begins here and now.
    pub fn asked(&self, family: Option<Family>) -> Asked {
        Asked {
            endpoint: Arc::clone(&self.tracker.url),
            source: self.tracker.source(),
            family,
            began: self.shared.clock.instant(),
        }
    }

    fn settle(&self, state: &mut State, done: Done) {
        let now = self.shared.clock.instant();
        match done {
            Done::Announced(course, result) => state.settle_announce(now, course, result, &self.shared),
            Done::Scraped(round) => {
                let delay = state.settle_scrape(round, &self.shared);
                state.due.push(Reverse((now + delay, Due::Scrape)));
            }
        }
    }

    /// Says `stopped` for every swarm the tracker may count us in.
    async fn stop(&self, state: &State) {
        let told = state.courses.iter().filter(|course| course.accepted || course.running);
        let goodbyes = stream::iter(told).for_each_concurrent(STOPPING_MAX, async |course| {
            let announce = course.announce(AnnounceEvent::Stopped, &self.shared);
            let began = self.asked(Some(course.family));
            let (asked, result) = match timeout(STOP_WITHIN, self.ask(&announce)).await {
                Ok(Some(asked)) => asked,
                Ok(None) => return,
                Err(_elapsed) => (began, Err(Trouble::timed_out(STOP_WITHIN))),
            };
            self.shared.reporter.announced(&announce.swarm, &asked, &result).await;
        });
        if timeout(STOP_WITHIN + Duration::from_millis(500), goodbyes).await.is_err() {
            tracing::warn!("{} could not be told of every swarm that we leave", self.tracker.url);
        }
    }
}

async fn until(next: Option<Instant>) {
    if let Some(at) = next {
        sleep_until(at).await;
    }
}

impl State {
    fn new(watch: &Watch) -> Self {
        let courses: Vec<Course> = watch
            .swarms
            .iter()
            .flat_map(|swarm| {
                [Family::Ipv4, Family::Ipv6].map(|family| Course::new(Arc::clone(swarm), family))
            })
            .collect();
        let now = watch.shared.clock.instant();
        let due = (0..courses.len()).map(|course| Reverse((now, Due::Announce(course)))).collect();
        Self {
            courses,
            due,
            intervals_s: (None, None),
            scrapes_begun: false,
            scrape_failures: 0,
            scrape_max: watch.tracker.scrape_max(),
        }
    }

    fn begin(&mut self, due: Due, shared: &Shared) -> Option<Job> {
        let index = match due {
            Due::Announce(index) => index,
            Due::Scrape => return Some(Job::Scrape { at_once_max: self.scrape_max }),
        };
        let course = self.courses.get_mut(index)?;
        course.running = true;
        let event = if course.accepted { AnnounceEvent::None } else { AnnounceEvent::Started };
        Some(Job::Announce(index, course.announce(event, shared)))
    }

    fn settle_announce(
        &mut self,
        now: Instant,
        index: usize,
        result: Option<Result<AnnounceResponse, Trouble>>,
        shared: &Shared,
    ) {
        let Some(course) = self.courses.get_mut(index) else { return };
        course.running = false;
        let delay = match result {
            None => ABSENT_FAMILY_AGAIN,
            Some(Err(_told)) => {
                course.failures = course.failures.saturating_add(1);
                shared.pace.after_failure(course.failures, rand::random())
            }
            Some(Ok(response)) => {
                course.failures = 0;
                course.accepted = true;
                course.tracker_id = response.tracker_id.or(course.tracker_id.take());
                self.intervals_s = (response.interval_s, response.min_interval_s);
                if !self.scrapes_begun && self.scrape_max > 0 {
                    self.scrapes_begun = true;
                    self.due.push(Reverse((now, Due::Scrape)));
                }
                shared.pace.after_answer(response.interval_s, response.min_interval_s, rand::random())
            }
        };
        self.due.push(Reverse((now + delay, Due::Announce(index))));
    }

    fn settle_scrape(&mut self, round: scrape::Round, shared: &Shared) -> Duration {
        self.scrape_max = round.at_once_max;
        if round.failed {
            self.scrape_failures = self.scrape_failures.saturating_add(1);
            return shared.pace.after_failure(self.scrape_failures, rand::random());
        }
        self.scrape_failures = 0;
        shared.pace.after_answer(self.intervals_s.0, self.intervals_s.1, rand::random())
    }
}

impl Course {
    fn new(swarm: Arc<Swarm>, family: Family) -> Self {
        Self { swarm, family, accepted: false, running: false, failures: 0, tracker_id: None }
    }

    fn announce(&self, event: AnnounceEvent, shared: &Shared) -> Announce {
        let swarm = Arc::clone(&self.swarm);
        let num_want = if event == AnnounceEvent::Stopped { 0 } else { PEERS_WANTED };
        let request = AnnounceRequest {
            info_hash: wire::InfoHash(swarm.info_hash.0),
            peer_id: wire::PeerId(swarm.peer_id.0),
            port: shared.ports.of(self.family),
            uploaded: 0,
            downloaded: 0,
            left: swarm.left_bytes(),
            event,
            num_want: Some(num_want),
            key: swarm.key,
            tracker_id: self.tracker_id.clone(),
        };
        Announce { swarm, family: self.family, failures: self.failures, request }
    }
}
