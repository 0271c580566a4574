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

use segue_trigger::Stage;

use super::{
    Attention, Clock, DecodeError, GapCause, Heard, Rung, RungStep, SpeechConfig, StreamId, StreamOptions,
    crew::Crew,
    desk::{Answer, Desk, Moment, Voice},
    ear::Ear,
    elastic::Stretch,
    ladder::Climber,
    later::{Later, PutOff},
    queue::{Job, JobId, Queue},
    ring::Ring,
    stats::{By, Counters},
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
    stretch: Stretch,
    later: Later,
    crew: Crew,
    ears: BTreeMap<StreamId, Ear>,
    jobs: u64,
    tick: Duration,
    /// When the last tick was.
    ticked: Duration,
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
            climber: Climber::new(config.ladder, config.elsewhere.is_some(), now),
            stretch: Stretch::new(now),
            later: Later::new(config.put_off_max),
            crew,
            ears: BTreeMap::new(),
            jobs: 0,
            tick: now,
            ticked: now,
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
        if self.ears.is_empty() && self.climber.rung() == Rung::Full && self.later.kept().is_zero() {
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
        self.climb(now);
        self.work(|ears, desk| {
            ears.retain(|id, ear| {
                // A bug met by one voice is no harm to the others.
                let heard = catch_unwind(AssertUnwindSafe(|| ear.hear(desk)));
                if heard.is_err() {
                    tracing::error!(stream = id.0, "listening to a voice panicked; it is not heard any more");
                    catch_unwind(AssertUnwindSafe(|| ear.stop(desk.counters))).unwrap_or_default();
                    desk.counters.streams.fetch_sub(1, Ordering::Relaxed);
                }
                heard.is_ok()
            });
        });
        for job in self.crew.look(now) {
            self.feed_again(job);
        }
        self.catch_up(now);
        self.ears.retain(|_, ear| {
            let over = ear.over();
            if over {
                self.counters.streams.fetch_sub(1, Ordering::Relaxed);
            }
            !over
        });
    }

    /// Looks how long finals wait and what workers do, and gives up or takes back accordingly.
    fn climb(&mut self, now: Duration) {
        let (oldest, waiting) = self.queue.waiting(now);
        let counters = &self.counters;
        counters.finals_waiting.store(waiting, Ordering::Relaxed);
        counters.stand_on(self.climber.rung(), now.saturating_sub(self.ticked));
        self.ticked = now;
        if let Some(step) = self.climber.observe(now, oldest.max(counters.wait_peak.take())) {
            counters.stand_on(step.to, Duration::ZERO);
            self.queue.lend(step.to.lends());
            log(step);
            tell(&self.config, step);
        }
        self.stretch.observe(now, counters.spent(), self.config.workers);
        counters.stretch(self.stretch.factor());
        let rung = self.climber.rung();
        let given_up = self.queue.give_up(|speaker| rung.hears(speaker));
        self.clear(given_up);
    }

    /// Decodes what was put off, as long as nothing better is to be done.
    fn catch_up(&mut self, now: Duration) {
        self.counters.late.waiting.set(self.later.kept());
        while self.climber.rung().is_calm() && self.later.under_way() < self.config.workers {
            self.jobs += 1;
            let Some(job) = self.later.next(JobId(self.jobs), now) else { return };
            if let Some(job) = self.queue.submit(job) {
                // There is no place: it waits on.
                self.later.ended(job.id).into_iter().for_each(|(put_off, _)| self.later.back(put_off));
                return;
            }
        }
    }

    /// Lets something be done with the ears, and tells those whose jobs were pushed out by it.
    fn work(&mut self, task: impl FnOnce(&mut BTreeMap<StreamId, Ear>, &mut Desk<'_>)) {
        let moment = Moment {
            now: (self.clock)(),
            rung: self.climber.rung(),
            stretch: self.stretch.factor(),
            jobs: self.jobs,
        };
        let mut desk = Desk {
            config: &self.config,
            queue: &self.queue,
            counters: &self.counters,
            later: &mut self.later,
            moment,
            evicted: Vec::new(),
        };
        task(&mut self.ears, &mut desk);
        let Desk { moment, evicted, .. } = desk;
        self.jobs = moment.jobs;
        self.clear(evicted);
    }

    /// What was being decoded by a worker that was lost goes to another, once.
    fn feed_again(&mut self, job: Job) {
        if job.fed_again {
            let result = Err(DecodeError::Failed("two workers were lost over it".to_owned()));
            self.done(Outcome { id: job.id, stream: job.stream, result, expired: false, by: By::Model });
            return;
        }
        self.counters.fed_again.add(1);
        let evicted = self.queue.submit(Job { fed_again: true, ..job });
        self.clear(evicted.into_iter().collect());
    }

    fn done(&mut self, outcome: Outcome) {
        self.queue.done(outcome.id);
        if let Some((put_off, stopped)) = self.later.ended(outcome.id) {
            return self.late_done(put_off, outcome, stopped);
        }
        self.work(|ears, desk| {
            let Some(ear) = ears.get_mut(&outcome.stream) else { return };
            let answer = match outcome.result {
                Ok(decoded) if decoded.text.is_empty() => Answer::Nothing,
                Ok(decoded) => Answer::Words(decoded, outcome.by),
                Err(_) if outcome.expired => Answer::Lost(GapCause::Overload),
                Err(DecodeError::Stopped) => Answer::Stopped,
                Err(error @ DecodeError::Failed(_)) => {
                    tracing::debug!(%error, stream = outcome.stream.0, "a decode gave no answer");
                    Answer::Lost(GapCause::EngineFailed)
                }
            };
            ear.answer(outcome.id, answer, desk);
        });
    }

    /// What was put off is known, or waits on if it gave way to something better.
    fn late_done(&mut self, put_off: PutOff, outcome: Outcome, stopped: bool) {
        let counters = &self.counters;
        counters.late.waiting.set(self.later.kept());
        match outcome.result {
            Err(DecodeError::Stopped) if stopped => return self.later.back(put_off),
            Err(error) => {
                tracing::debug!(%error, stream = outcome.stream.0, "a late decode gave no answer");
                counters.ends.failed.add(1);
                put_off.lose(GapCause::EngineFailed, counters);
                return;
            }
            Ok(decoded) if decoded.text.is_empty() => {
                counters.ends.withdrawn.add(1);
                put_off.voice.tell(Heard::Withdrawn { segment: put_off.said.segment });
            }
            Ok(decoded) => {
                counters.ends.finals.add(1);
                counters.by(outcome.by).add(1);
                let stable = decoded.text.len();
                put_off.voice.tell_words(put_off.said, decoded, (stable, Stage::Late));
            }
        }
        counters.late.decoded.add(put_off.length());
    }

    /// Tells the owners of jobs that were pushed out of the queue. What that pushes out in turn is told too.
    fn clear(&mut self, evicted: Vec<Job>) {
        if evicted.is_empty() {
            return;
        }
        self.work(|ears, desk| {
            for job in evicted {
                if let Some(ear) = ears.get_mut(&job.stream) {
                    ear.pushed_out(&job, desk);
                }
            }
        });
    }

    fn stop(&mut self) {
        let counters = Arc::clone(&self.counters);
        for ear in self.ears.values_mut() {
            ear.stop(&counters);
        }
        for put_off in self.later.drain() {
            put_off.lose(GapCause::Stopped, &counters);
        }
        counters.late.waiting.set(Duration::ZERO);
        self.counters.streams.store(0, Ordering::Relaxed);
    }
}

fn log(step: RungStep) {
    let (from, to, wait_ms) = (step.from.name(), step.to.name(), step.wait.as_millis());
    if step.to > step.from {
        tracing::warn!(from, to, wait_ms, "recognition falls behind and gives something up");
    } else {
        tracing::info!(from, to, wait_ms, "recognition keeps up again and takes something back");
    }
}

/// A step on the ladder is told to whoever watches; one that panics harms nobody.
fn tell(config: &SpeechConfig, step: RungStep) {
    if let Some(watch) = &config.watch
        && catch_unwind(AssertUnwindSafe(|| watch.rung(step))).is_err()
    {
        tracing::error!("who watches recognition panicked");
    }
}
