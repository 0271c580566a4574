//! What waits for a worker: finals first, then speculative decodes, then partials. Each line is bounded.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::StreamId;

/// Names a decode. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct JobId(pub(super) u64);

/// Why a decode is wanted, which is also its rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The utterance is over.
    Final,
    /// It may be over.
    Speculative,
    /// It goes on.
    Partial,
}

/// One decode.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) id: JobId,
    pub(super) stream: StreamId,
    pub(super) purpose: Purpose,
    pub(super) samples: Arc<[i16]>,
    pub(super) language: Option<Arc<str>>,
    /// When it was asked for; for a promoted one, when it was promoted.
    pub(super) asked: Duration,
    /// Set when nobody wants the answer any more.
    pub(super) cancelled: Arc<AtomicBool>,
    /// Whether a worker was lost over it.
    pub(super) fed_again: bool,
}

/// The lines and their bounds.
pub(super) struct Queue {
    lines: Mutex<Lines>,
    bell: Condvar,
    finals_max: usize,
    others_max: usize,
}

#[derive(Default)]
struct Lines {
    finals: VecDeque<Job>,
    speculative: VecDeque<Job>,
    partials: VecDeque<Job>,
    closed: bool,
}

impl Queue {
    pub(super) fn new(finals_max: usize, others_max: usize) -> Queue {
        Queue {
            lines: Mutex::default(),
            bell: Condvar::new(),
            finals_max: finals_max.max(1),
            others_max: others_max.max(1),
        }
    }

    /// Adds a job; gives back the oldest of its line if that was full.
    pub(super) fn submit(&self, job: Job) -> Option<Job> {
        let mut lines = self.lock();
        if lines.closed {
            return Some(job);
        }
        let (line, limit) = match job.purpose {
            Purpose::Final => (&mut lines.finals, self.finals_max),
            Purpose::Speculative => (&mut lines.speculative, self.finals_max),
            Purpose::Partial => (&mut lines.partials, self.others_max),
        };
        let evicted = if line.len() >= limit { line.pop_front() } else { None };
        line.push_back(job);
        drop(lines);
        self.bell.notify_one();
        evicted
    }

    /// Makes a final of a speculative job that still waits.
    pub(super) fn promote(&self, id: JobId, now: Duration) -> Option<Job> {
        let mut lines = self.lock();
        let place = lines.speculative.iter().position(|job| job.id == id)?;
        let mut job = lines.speculative.remove(place)?;
        job.purpose = Purpose::Final;
        job.asked = now;
        drop(lines);
        self.submit(job)
    }

    /// Takes a job out of its line, or tells its worker to give up.
    pub(super) fn cancel(&self, id: JobId, cancelled: &AtomicBool) {
        cancelled.store(true, Ordering::Relaxed);
        let mut lines = self.lock();
        lines.speculative.retain(|job| job.id != id);
        lines.partials.retain(|job| job.id != id);
    }

    /// Waits for the next job; `None` when the queue is closed.
    pub(super) fn take(&self) -> Option<Job> {
        let mut lines = self.lock();
        loop {
            if lines.closed {
                return None;
            }
            let next = lines.finals.pop_front().or_else(|| lines.speculative.pop_front());
            if let Some(job) = next.or_else(|| lines.partials.pop_front()) {
                return Some(job);
            }
            lines = self.bell.wait(lines).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// How long the oldest final has waited, and how many wait.
    pub(super) fn waiting(&self, now: Duration) -> (Duration, usize) {
        let lines = self.lock();
        let oldest = lines.finals.front().map_or(Duration::ZERO, |job| now.saturating_sub(job.asked));
        (oldest, lines.finals.len())
    }

    /// Wakes all workers for the last time.
    pub(super) fn close(&self) {
        let mut lines = self.lock();
        *lines = Lines { closed: true, ..Lines::default() };
        drop(lines);
        self.bell.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
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
            samples: Arc::default(),
            language: None,
            asked: Duration::from_secs(id),
            cancelled: Arc::default(),
            fed_again: false,
        }
    }

    fn drained(queue: &Queue, count: usize) -> Vec<u64> {
        (0..count).map(|_| queue.take().unwrap().id.0).collect()
    }

    #[test]
    fn finals_go_before_speculation_and_speculation_before_partials() {
        let queue = Queue::new(8, 8);
        for (id, purpose) in
            [(1, Purpose::Partial), (2, Purpose::Speculative), (3, Purpose::Final), (4, Purpose::Final)]
        {
            assert!(queue.submit(job(id, purpose)).is_none());
        }
        assert_eq!(drained(&queue, 4), [3, 4, 2, 1]);
    }

    #[test]
    fn a_full_line_gives_up_its_oldest_and_says_which() {
        let queue = Queue::new(2, 1);
        for id in 1..=2 {
            assert!(queue.submit(job(id, Purpose::Final)).is_none());
        }
        assert_eq!(queue.submit(job(3, Purpose::Final)).unwrap().id, JobId(1));
        assert!(queue.submit(job(4, Purpose::Partial)).is_none());
        assert_eq!(queue.submit(job(5, Purpose::Partial)).unwrap().id, JobId(4));
        assert_eq!(queue.waiting(Duration::from_secs(10)), (Duration::from_secs(8), 2));
    }

    #[test]
    fn a_promoted_job_is_a_final() {
        let queue = Queue::new(8, 8);
        queue.submit(job(1, Purpose::Speculative));
        queue.submit(job(2, Purpose::Speculative));
        assert!(queue.promote(JobId(2), Duration::from_secs(9)).is_none());
        let first = queue.take().unwrap();
        assert_eq!(
            (first.id, first.purpose, first.asked),
            (JobId(2), Purpose::Final, Duration::from_secs(9))
        );
    }

    #[test]
    fn a_cancelled_job_is_not_taken() {
        let queue = Queue::new(8, 8);
        let partial = job(1, Purpose::Partial);
        let flag = Arc::clone(&partial.cancelled);
        queue.submit(partial);
        queue.submit(job(2, Purpose::Partial));
        queue.cancel(JobId(1), &flag);
        assert!(flag.load(Ordering::Relaxed));
        assert_eq!(drained(&queue, 1), [2]);
    }

    #[test]
    fn a_closed_queue_lets_every_worker_go_and_takes_nothing() {
        let queue = Queue::new(8, 8);
        std::thread::scope(|scope| {
            let waiting: Vec<_> = (0..3).map(|_| scope.spawn(|| queue.take())).collect();
            queue.close();
            assert!(waiting.into_iter().all(|thread| thread.join().unwrap().is_none()));
        });
        assert_eq!(queue.submit(job(1, Purpose::Final)).unwrap().id, JobId(1));
    }
}
