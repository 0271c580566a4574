//! The front thread: takes frames out of the rings at every tick of 20 ms, and answers of the workers as they come.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::Duration,
};

use super::{
    Attention, Clock, DecodeError, GapCause, Rung, SpeechConfig, StreamId, StreamOptions,
    crew::Crew,
    ear::{Answer, Desk, Ear, Voice},
    ladder::Climber,
    queue::{Job, JobId, Queue},
    ring::Ring,
    stats::Counters,
    worker::Outcome,
};
use crate::{ffi::lower_priority, listen::FRAME_LENGTH};

/// What the front thread is told.
pub(super) enum Control {
    Open { id: StreamId, ring: Arc<Ring>, options: StreamOptions, attention: Attention },
    Done(Outcome),
    Stop,
}

/// The front thread's own.
pub(super) struct Front {
    config: Arc<SpeechConfig>,
    queue: Arc<Queue>,
    counters: Arc<Counters>,
    clock: Clock,
    climber: Climber,
    crew: Crew,
    ears: BTreeMap<StreamId, Ear>,
    jobs: u64,
    tick: Duration,
}

impl Front {
    pub(super) fn new(
        config: &Arc<SpeechConfig>,
        queue: &Arc<Queue>,
        counters: &Arc<Counters>,
        crew: Crew,
    ) -> Front {
        let now = (config.clock)();
        Front {
            config: Arc::clone(config),
            queue: Arc::clone(queue),
            counters: Arc::clone(counters),
            clock: Arc::clone(&config.clock),
            climber: Climber::new(config.ladder, now),
            crew,
            ears: BTreeMap::new(),
            jobs: 0,
            tick: now,
        }
    }

    /// The life of the thread.
    pub(super) fn run(mut self, control: &Receiver<Control>) {
        lower_priority(self.config.niceness / 2);
        loop {
            match self.next(control) {
                Some(Control::Open { id, ring, options, attention }) => {
                    let voice = Voice::new(options, attention);
                    self.ears.insert(id, Ear::new(id, ring, voice, self.config.endpointing));
                }
                Some(Control::Done(outcome)) => self.done(outcome),
                Some(Control::Stop) => break,
                None => {}
            }
            let now = (self.clock)();
            if now >= self.tick {
                self.on_tick(now);
                self.tick = (self.tick + FRAME_LENGTH).max(now);
            }
        }
        self.stop();
        self.crew.finish(control);
    }

    /// The next order; `None` when a tick is due. Without a stream it sleeps until there is one.
    fn next(&mut self, control: &Receiver<Control>) -> Option<Control> {
        if self.ears.is_empty() && self.climber.rung() == Rung::Full {
            return Some(control.recv().unwrap_or(Control::Stop));
        }
        let rest = self.tick.saturating_sub((self.clock)()).min(FRAME_LENGTH);
        match control.recv_timeout(rest) {
            Ok(order) => Some(order),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Control::Stop),
        }
    }

    fn on_tick(&mut self, now: Duration) {
        let (oldest, waiting) = self.queue.waiting(now);
        let rung = self.climber.observe(now, oldest.max(self.counters.wait_peak.take()));
        self.counters.stand_on(rung);
        self.counters.finals_waiting.store(waiting, Ordering::Relaxed);
        let mut desk = Desk::new(&self.config, &self.queue, &self.counters, (now, rung, self.jobs));
        self.ears.retain(|id, ear| {
            // A bug met by one voice is no harm to the others.
            let heard = catch_unwind(AssertUnwindSafe(|| ear.hear(&mut desk)));
            if heard.is_err() {
                tracing::error!(stream = id.0, "listening to a voice panicked; it is not heard any more");
                catch_unwind(AssertUnwindSafe(|| ear.stop(&self.counters))).unwrap_or_default();
                self.counters.streams.fetch_sub(1, Ordering::Relaxed);
            }
            heard.is_ok()
        });
        let closed = desk.close();
        self.clear(closed);
        for job in self.crew.look(now) {
            self.feed_again(job);
        }
        self.ears.retain(|_, ear| {
            let over = ear.over();
            if over {
                self.counters.streams.fetch_sub(1, Ordering::Relaxed);
            }
            !over
        });
    }

    /// What was being decoded by a worker that was lost goes to another, once.
    fn feed_again(&mut self, job: Job) {
        if job.fed_again {
            let result = Err(DecodeError::Failed("two workers were lost over it".to_owned()));
            self.done(Outcome { id: job.id, stream: job.stream, result, expired: false });
            return;
        }
        self.counters.fed_again.add(1);
        if let Some(evicted) = self.queue.submit(Job { fed_again: true, ..job }) {
            self.clear((self.jobs, vec![(evicted.stream, evicted.id)]));
        }
    }

    fn done(&mut self, outcome: Outcome) {
        let now = (self.clock)();
        let mut desk =
            Desk::new(&self.config, &self.queue, &self.counters, (now, self.climber.rung(), self.jobs));
        if let Some(ear) = self.ears.get_mut(&outcome.stream) {
            let answer = match outcome.result {
                Ok(decoded) if decoded.text.is_empty() => Answer::Nothing,
                Ok(decoded) => Answer::Words(decoded),
                Err(_) if outcome.expired => Answer::Lost(GapCause::Overload),
                Err(error) => {
                    tracing::debug!(%error, stream = outcome.stream.0, "a decode gave no answer");
                    Answer::Lost(GapCause::EngineFailed)
                }
            };
            ear.answer(outcome.id, answer, &mut desk);
        }
        let closed = desk.close();
        self.clear(closed);
    }

    /// Tells the owners of jobs that were pushed out of the queue.
    fn clear(&mut self, (jobs, evicted): (u64, Vec<(StreamId, JobId)>)) {
        self.jobs = jobs;
        let now = (self.clock)();
        for (stream, job) in evicted {
            let mut desk =
                Desk::new(&self.config, &self.queue, &self.counters, (now, self.climber.rung(), self.jobs));
            if let Some(ear) = self.ears.get_mut(&stream) {
                ear.answer(job, Answer::Lost(GapCause::Overload), &mut desk);
            }
        }
    }

    fn stop(&mut self) {
        let counters = Arc::clone(&self.counters);
        for ear in self.ears.values_mut() {
            ear.stop(&counters);
        }
        self.counters.streams.store(0, Ordering::Relaxed);
    }
}

/// Numbers for jobs, in the order they were made.
pub(super) fn next_job(jobs: &mut u64) -> JobId {
    *jobs += 1;
    JobId(*jobs)
}
