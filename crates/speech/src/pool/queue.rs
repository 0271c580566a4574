//! What waits for a worker, and what is being decoded. One order for all:
//!
//! | rank | who | among equals |
//! |---|---|---|
//! | `Handoff` | finals of calls close to a handoff | the oldest |
//! | `Caller` | finals of other callers | the oldest |
//! | `Other` | finals of agents and bots | the oldest |
//! | `Chance` | decodes on the chance that an utterance has ended | the oldest |
//! | `Needed` | partials that a rule waits for | the newest |
//! | `Partial` | other partials | the newest |
//! | `Late` | what was put off in worse times | the oldest |
//!
//! Each kind is bounded; at its bound the lowest rank's oldest gives way. A decode of the last three ranks gives way
//! even while it is under way: it is stopped when something better waits and no worker is free.

use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use segue_trigger::Speaker;

use super::{Attention, StreamId};

/// Names a decode. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct JobId(pub(super) u64);

/// Why a decode is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The utterance is over.
    Final,
    /// It may be over.
    Speculative,
    /// It goes on.
    Partial,
    /// It was over long ago.
    Late,
}

/// In which order decodes are taken; the first goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    Handoff,
    Caller,
    Other,
    Chance,
    Needed,
    Partial,
    Late,
}

/// One decode.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) id: JobId,
    pub(super) stream: StreamId,
    pub(super) purpose: Purpose,
    pub(super) speaker: Speaker,
    /// What the call thinks of the voice: may change while the job waits.
    pub(super) attention: Attention,
    pub(super) samples: Arc<[i16]>,
    pub(super) language: Option<Arc<str>>,
    /// When it was asked for; for a promoted one, when it was promoted.
    pub(super) asked: Duration,
    /// Set when nobody wants the answer any more, or something better needs the worker.
    pub(super) cancelled: Arc<AtomicBool>,
    /// Whether a worker was lost over it.
    pub(super) fed_again: bool,
    /// Whether a service elsewhere had its chance.
    pub(super) tried_elsewhere: bool,
}

impl Purpose {
    /// Whether it gives way while it is being decoded.
    pub(super) fn gives_way(self) -> bool {
        match self {
            Purpose::Final | Purpose::Speculative => false,
            Purpose::Partial | Purpose::Late => true,
        }
    }
}

impl Job {
    fn rank(&self) -> Rank {
        match (self.purpose, self.speaker) {
            (Purpose::Final, Speaker::Caller | Speaker::Agent | Speaker::Bot)
                if self.attention.is_near_handoff() =>
            {
                Rank::Handoff
            }
            (Purpose::Final, Speaker::Caller) => Rank::Caller,
            (Purpose::Final, Speaker::Agent | Speaker::Bot) => Rank::Other,
            (Purpose::Speculative, _) => Rank::Chance,
            (Purpose::Partial, _) if self.attention.wants_partials() => Rank::Needed,
            (Purpose::Partial, _) => Rank::Partial,
            (Purpose::Late, _) => Rank::Late,
        }
    }

    /// The lower, the sooner.
    fn turn(&self) -> (Rank, Duration, u64) {
        match self.purpose {
            Purpose::Partial => (self.rank(), Duration::MAX - self.asked, u64::MAX - self.id.0),
            Purpose::Final | Purpose::Speculative | Purpose::Late => (self.rank(), self.asked, self.id.0),
        }
    }

    /// The higher, the sooner it gives way to a newer one of its kind.
    fn worth_least(&self) -> (Rank, Duration, u64) {
        (self.rank(), Duration::MAX - self.asked, u64::MAX - self.id.0)
    }
}

/// How many of each kind may wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Finals; as many decodes on the chance of an end.
    pub(super) finals: usize,
    /// Partials.
    pub(super) partials: usize,
}

/// The queue.
pub(super) struct Queue {
    lines: Mutex<Lines>,
    bell: Condvar,
    /// For those who ask a service elsewhere.
    bell_elsewhere: Condvar,
    bounds: Bounds,
}

#[derive(Default)]
struct Lines {
    waiting: Vec<Job>,
    under_way: Vec<UnderWay>,
    /// Workers that wait for a job.
    idle: usize,
    /// Whether a service elsewhere takes finals.
    lent: bool,
    closed: bool,
}

/// A decode that a worker has taken.
struct UnderWay {
    id: JobId,
    purpose: Purpose,
    needed: bool,
    cancelled: Arc<AtomicBool>,
}

impl Queue {
    pub(super) fn new(bounds: Bounds) -> Queue {
        let bounds = Bounds { finals: bounds.finals.max(1), partials: bounds.partials.max(1) };
        Queue { lines: Mutex::default(), bell: Condvar::new(), bell_elsewhere: Condvar::new(), bounds }
    }

    /// Adds a job; gives back the one that gives way if there are too many of its kind, which may be the same.
    /// A job whose worker was lost comes a second time.
    pub(super) fn submit(&self, job: Job) -> Option<Job> {
        let mut job = job;
        let mut lines = self.lock();
        if lines.closed {
            return Some(job);
        }
        if let Some(place) = lines.under_way.iter().position(|under_way| under_way.id == job.id) {
            job.purpose = lines.under_way.swap_remove(place).purpose;
        }
        let purpose = job.purpose;
        lines.waiting.push(job);
        let evicted = lines.over(purpose, self.bound(purpose));
        lines.make_way();
        let elsewhere = lines.lent && purpose == Purpose::Final;
        drop(lines);
        self.bell.notify_one();
        if elsewhere {
            self.bell_elsewhere.notify_one();
        }
        evicted
    }

    /// Makes a final of a speculative job, waiting or under way.
    pub(super) fn promote(&self, id: JobId, now: Duration) -> Option<Job> {
        let mut lines = self.lock();
        if let Some(under_way) = lines.under_way.iter_mut().find(|under_way| under_way.id == id) {
            under_way.purpose = Purpose::Final;
            return None;
        }
        let place = lines.waiting.iter().position(|job| job.id == id)?;
        let mut job = lines.waiting.swap_remove(place);
        drop(lines);
        job.purpose = Purpose::Final;
        job.asked = now;
        self.submit(job)
    }

    /// Makes a partial of a speculative job: the speaker went on.
    pub(super) fn demote(&self, id: JobId) {
        let mut lines = self.lock();
        if let Some(under_way) = lines.under_way.iter_mut().find(|under_way| under_way.id == id) {
            under_way.purpose = Purpose::Partial;
        } else if let Some(job) = lines.waiting.iter_mut().find(|job| job.id == id) {
            job.purpose = Purpose::Partial;
        }
        lines.make_way();
    }

    /// Takes a job out of its line, or tells its worker to give up.
    pub(super) fn cancel(&self, id: JobId, cancelled: &AtomicBool) {
        cancelled.store(true, Ordering::Relaxed);
        self.lock().waiting.retain(|job| job.id != id);
    }

    /// Takes a job out that no worker has taken yet; false if there is none.
    pub(super) fn withdraw(&self, id: JobId) -> bool {
        let mut lines = self.lock();
        let before = lines.waiting.len();
        lines.waiting.retain(|job| job.id != id);
        lines.waiting.len() < before
    }

    /// Takes out the finals of voices that are not heard any more.
    pub(super) fn give_up(&self, hears: impl Fn(Speaker) -> bool) -> Vec<Job> {
        let mut lines = self.lock();
        let given_up = |job: &mut Job| job.purpose == Purpose::Final && !hears(job.speaker);
        lines.waiting.extract_if(.., given_up).collect()
    }

    /// Waits for the next job; `None` when the queue is closed.
    pub(super) fn take(&self) -> Option<Job> {
        let mut lines = self.lock();
        loop {
            if lines.closed {
                return None;
            }
            if let Some(job) = lines.next(|_| true) {
                lines.under_way.push(UnderWay {
                    id: job.id,
                    purpose: job.purpose,
                    needed: job.attention.wants_partials(),
                    cancelled: Arc::clone(&job.cancelled),
                });
                return Some(job);
            }
            lines.idle += 1;
            lines = self.bell.wait(lines).unwrap_or_else(PoisonError::into_inner);
            lines.idle -= 1;
        }
    }

    /// Waits for a final that a service elsewhere may decode; `None` when the queue is closed.
    pub(super) fn take_elsewhere(&self) -> Option<Job> {
        let mut lines = self.lock();
        loop {
            if lines.closed {
                return None;
            }
            let may_go = |job: &Job| job.purpose == Purpose::Final && !job.tried_elsewhere;
            if lines.lent
                && let Some(job) = lines.next(may_go)
            {
                return Some(job);
            }
            lines = self.bell_elsewhere.wait(lines).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Lets a service elsewhere take finals, or not any more.
    pub(super) fn lend(&self, lent: bool) {
        let mut lines = self.lock();
        if std::mem::replace(&mut lines.lent, lent) != lent && lent {
            drop(lines);
            self.bell_elsewhere.notify_all();
        }
    }

    /// A worker is through with a job.
    pub(super) fn done(&self, id: JobId) {
        self.lock().under_way.retain(|under_way| under_way.id != id);
    }

    /// How long the oldest final has waited, and how many wait.
    pub(super) fn waiting(&self, now: Duration) -> (Duration, usize) {
        let lines = self.lock();
        let finals = lines.waiting.iter().filter(|job| job.purpose == Purpose::Final);
        let (oldest, count) =
            finals.fold((now, 0), |(oldest, count), job| (oldest.min(job.asked), count + 1));
        (now.saturating_sub(oldest), count)
    }

    /// Wakes all workers for the last time.
    pub(super) fn close(&self) {
        let mut lines = self.lock();
        lines.closed = true;
        lines.waiting.clear();
        drop(lines);
        self.bell.notify_all();
        self.bell_elsewhere.notify_all();
    }

    fn bound(&self, purpose: Purpose) -> usize {
        match purpose {
            Purpose::Final | Purpose::Speculative => self.bounds.finals,
            Purpose::Partial | Purpose::Late => self.bounds.partials,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    fn next(&mut self, wanted: impl Fn(&Job) -> bool) -> Option<Job> {
        let jobs = self.waiting.iter().enumerate().filter(|(_, job)| wanted(job));
        let (place, _) = jobs.min_by_key(|(_, job)| job.turn())?;
        Some(self.waiting.swap_remove(place))
    }

    /// Takes out the one that gives way if there are more of a kind than may wait.
    fn over(&mut self, purpose: Purpose, bound: usize) -> Option<Job> {
        let kind = || self.waiting.iter().enumerate().filter(|(_, job)| job.purpose == purpose);
        if kind().count() <= bound {
            return None;
        }
        let (place, _) = kind().max_by_key(|(_, job)| job.worth_least())?;
        Some(self.waiting.swap_remove(place))
    }

    /// Stops as many decodes that give way as there are better ones without a worker; those nobody needs first.
    fn make_way(&mut self) {
        let urgent = self.waiting.iter().filter(|job| !job.purpose.gives_way()).count();
        let stopping = |under_way: &&UnderWay| under_way.cancelled.load(Ordering::Relaxed);
        let coming = self.idle + self.under_way.iter().filter(stopping).count();
        for _ in coming..urgent {
            let going = self.under_way.iter().filter(|under_way| {
                under_way.purpose.gives_way() && !under_way.cancelled.load(Ordering::Relaxed)
            });
            let worth = |under_way: &&UnderWay| (under_way.purpose == Purpose::Late, !under_way.needed);
            let Some(least) = going.max_by_key(worth) else { return };
            least.cancelled.store(true, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(id: u64, purpose: Purpose) -> Job {
        Job {
            id: JobId(id),
            stream: StreamId(1),
            purpose,
            speaker: Speaker::Caller,
            attention: Attention::default(),
            samples: Arc::default(),
            language: None,
            asked: Duration::from_secs(id),
            cancelled: Arc::default(),
            fed_again: false,
            tried_elsewhere: false,
        }
    }

    fn of(speaker: Speaker, id: u64) -> Job {
        Job { speaker, ..job(id, Purpose::Final) }
    }

    fn queue(finals: usize, partials: usize) -> Queue {
        Queue::new(Bounds { finals, partials })
    }

    fn drained(queue: &Queue, count: usize) -> Vec<u64> {
        (0..count).map(|_| queue.take().unwrap().id.0).collect()
    }

    fn stopped(job: &Job) -> bool {
        job.cancelled.load(Ordering::Relaxed)
    }

    #[test]
    fn the_better_rank_goes_first_whoever_came_first() {
        let queue = queue(8, 8);
        let near = of(Speaker::Agent, 8);
        near.attention.near_handoff(true);
        let needed = job(4, Purpose::Partial);
        needed.attention.needs_partials(true);
        let jobs = [
            job(1, Purpose::Late),
            job(2, Purpose::Partial),
            job(3, Purpose::Partial),
            needed,
            job(5, Purpose::Speculative),
            of(Speaker::Bot, 6),
            of(Speaker::Caller, 7),
            near,
            of(Speaker::Caller, 9),
        ];
        for job in jobs {
            assert!(queue.submit(job).is_none());
        }
        assert_eq!(drained(&queue, 9), [8, 7, 9, 6, 5, 4, 3, 2, 1]);
    }

    #[test]
    fn a_final_that_waits_goes_first_once_its_call_comes_close_to_a_handoff() {
        let queue = queue(8, 8);
        let late = job(2, Purpose::Final);
        let attention = late.attention.clone();
        queue.submit(job(1, Purpose::Final));
        queue.submit(late);
        attention.near_handoff(true);
        assert_eq!(drained(&queue, 2), [2, 1]);
    }

    #[test]
    fn at_the_bound_the_lowest_rank_gives_way_and_of_that_the_oldest() {
        let queue = queue(3, 1);
        for (speaker, id) in [(Speaker::Caller, 1), (Speaker::Bot, 2), (Speaker::Agent, 3)] {
            assert!(queue.submit(of(speaker, id)).is_none());
        }
        assert_eq!(queue.submit(of(Speaker::Caller, 4)).unwrap().id, JobId(2));
        assert_eq!(queue.submit(of(Speaker::Caller, 5)).unwrap().id, JobId(3));
        assert_eq!(queue.submit(of(Speaker::Agent, 6)).unwrap().id, JobId(6), "it is worth least itself");
        assert_eq!(queue.submit(of(Speaker::Caller, 7)).unwrap().id, JobId(1));
        assert!(queue.submit(job(8, Purpose::Partial)).is_none());
        assert_eq!(queue.submit(job(9, Purpose::Partial)).unwrap().id, JobId(8));
        assert_eq!(queue.waiting(Duration::from_secs(10)), (Duration::from_secs(6), 3));
    }

    #[test]
    fn a_promoted_job_is_a_final_and_a_demoted_one_a_partial() {
        let queue = queue(8, 8);
        for id in 1..=3 {
            queue.submit(job(id, Purpose::Speculative));
        }
        assert!(queue.promote(JobId(3), Duration::from_secs(9)).is_none());
        queue.demote(JobId(1));
        let first = queue.take().unwrap();
        assert_eq!(
            (first.id, first.purpose, first.asked),
            (JobId(3), Purpose::Final, Duration::from_secs(9))
        );
        assert_eq!(drained(&queue, 2), [2, 1]);
    }

    #[test]
    fn a_cancelled_job_is_not_taken() {
        let queue = queue(8, 8);
        let partial = job(1, Purpose::Partial);
        let flag = Arc::clone(&partial.cancelled);
        queue.submit(partial);
        queue.submit(job(2, Purpose::Partial));
        queue.cancel(JobId(1), &flag);
        assert!(flag.load(Ordering::Relaxed));
        assert!(queue.withdraw(JobId(2)) && !queue.withdraw(JobId(2)));
        queue.submit(job(3, Purpose::Partial));
        assert_eq!(drained(&queue, 1), [3]);
    }

    #[test]
    fn a_partial_under_way_is_stopped_for_a_final_and_only_one_for_one() {
        let queue = queue(8, 8);
        let needed = job(2, Purpose::Partial);
        needed.attention.needs_partials(true);
        queue.submit(job(1, Purpose::Partial));
        queue.submit(needed);
        let (needed, plain) = (queue.take().unwrap(), queue.take().unwrap());
        queue.submit(job(3, Purpose::Partial));
        assert!(!stopped(&plain), "another partial is no better");
        queue.submit(job(4, Purpose::Final));
        assert!(stopped(&plain) && !stopped(&needed));
        queue.submit(job(5, Purpose::Final));
        assert!(stopped(&needed));
        queue.done(plain.id);
        queue.done(needed.id);
        assert_eq!(drained(&queue, 3), [4, 5, 3]);
    }

    #[test]
    fn a_decode_on_the_chance_of_an_end_is_stopped_only_once_the_speaker_went_on() {
        let queue = queue(8, 8);
        queue.submit(job(1, Purpose::Speculative));
        queue.submit(job(2, Purpose::Speculative));
        let (one, other) = (queue.take().unwrap(), queue.take().unwrap());
        queue.submit(job(3, Purpose::Final));
        assert!(!stopped(&one) && !stopped(&other));
        assert!(queue.promote(JobId(1), Duration::ZERO).is_none());
        queue.demote(JobId(2));
        assert!(!stopped(&one) && stopped(&other));
    }

    #[test]
    fn nothing_is_stopped_while_a_worker_is_free() {
        let queue = queue(8, 8);
        queue.submit(job(1, Purpose::Partial));
        let partial = queue.take().unwrap();
        std::thread::scope(|scope| {
            let worker = scope.spawn(|| queue.take());
            while queue.lock().idle == 0 {
                std::thread::yield_now();
            }
            queue.submit(job(2, Purpose::Final));
            assert_eq!(worker.join().unwrap().unwrap().id, JobId(2));
        });
        assert!(!stopped(&partial));
    }

    #[test]
    fn elsewhere_gets_finals_that_were_not_there_yet_and_only_while_they_are_lent() {
        let queue = queue(8, 8);
        queue.submit(job(1, Purpose::Partial));
        queue.submit(Job { tried_elsewhere: true, ..job(2, Purpose::Final) });
        queue.submit(job(3, Purpose::Final));
        std::thread::scope(|scope| {
            let elsewhere = scope.spawn(|| (queue.take_elsewhere(), queue.take_elsewhere()));
            queue.lend(true);
            while queue.waiting(Duration::ZERO).1 > 1 {
                std::thread::yield_now();
            }
            queue.lend(false);
            queue.submit(job(4, Purpose::Final));
            assert_eq!(drained(&queue, 3), [2, 4, 1]);
            queue.close();
            let (first, second) = elsewhere.join().unwrap();
            assert_eq!(first.unwrap().id, JobId(3));
            assert!(second.is_none());
        });
    }

    #[test]
    fn finals_of_voices_that_are_not_heard_any_more_are_taken_out() {
        let queue = queue(8, 8);
        for (speaker, id) in [(Speaker::Caller, 1), (Speaker::Bot, 2), (Speaker::Agent, 3)] {
            queue.submit(of(speaker, id));
        }
        let out = queue.give_up(|speaker| speaker == Speaker::Caller);
        assert_eq!(out.iter().map(|job| job.id.0).collect::<Vec<_>>(), [2, 3]);
        assert_eq!(drained(&queue, 1), [1]);
    }

    #[test]
    fn a_closed_queue_lets_every_worker_go_and_takes_nothing() {
        let queue = queue(8, 8);
        std::thread::scope(|scope| {
            let waiting: Vec<_> = (0..3).map(|_| scope.spawn(|| queue.take())).collect();
            queue.close();
            assert!(waiting.into_iter().all(|thread| thread.join().unwrap().is_none()));
        });
        assert_eq!(queue.submit(job(1, Purpose::Final)).unwrap().id, JobId(1));
    }
}
