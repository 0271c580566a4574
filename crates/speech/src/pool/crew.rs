//! The workers as a whole: makes their threads, looks after them, and puts another in the place of one that hangs or
//! has ended. What such a worker was decoding is fed again.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel},
    },
    thread::{Builder, JoinHandle},
    time::Duration,
};

use super::{
    SpeechError,
    front::Control,
    queue::Job,
    worker::{self, Bench, Hands},
};

/// All workers.
pub(super) struct Crew {
    bench: Bench,
    front: SyncSender<Control>,
    workers: Vec<Worker>,
    /// Dropped by the last worker.
    living: Sender<()>,
    ended: Receiver<()>,
    made: usize,
    looked: Duration,
}

struct Worker {
    station: Arc<Station>,
    thread: JoinHandle<()>,
    beats: u64,
    /// How long it has not stirred in the middle of a decode.
    silent: Duration,
    born: Duration,
}

/// What a worker and those who look after it share.
#[derive(Default)]
pub(super) struct Station {
    state: Mutex<State>,
    /// Grows with every question whether to stop.
    beats: Arc<AtomicU64>,
}

#[derive(Default)]
enum State {
    #[default]
    Free,
    Decoding(Box<Job>),
    /// Another has its place; it ends as soon as it notices.
    Relieved,
}

impl Station {
    pub(super) fn begin(&self, job: &Job) {
        *self.lock() = State::Decoding(Box::new(job.clone()));
    }

    /// False when the worker was given up meanwhile: its answer is not wanted.
    pub(super) fn end(&self) -> bool {
        let mut state = self.lock();
        if matches!(*state, State::Relieved) {
            return false;
        }
        *state = State::Free;
        true
    }

    pub(super) fn beats(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.beats)
    }

    /// Gives the worker up, and what it was decoding.
    fn relieve(&self) -> Option<Job> {
        match std::mem::replace(&mut *self.lock(), State::Relieved) {
            State::Decoding(job) => Some(*job),
            State::Free | State::Relieved => None,
        }
    }

    fn decodes(&self) -> bool {
        matches!(*self.lock(), State::Decoding(_))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Crew {
    /// Makes so many workers; each tells `ready` when it is warm, or why not.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(super) fn start(
        bench: Bench,
        count: usize,
        front: SyncSender<Control>,
        ready: &SyncSender<Result<(), SpeechError>>,
    ) -> Result<Crew, SpeechError> {
        let (living, ended) = channel();
        let looked = (bench.clock)();
        let mut crew = Crew { bench, front, workers: Vec::new(), living, ended, made: 0, looked };
        for _ in 0..count {
            let worker = crew.hire(Some(ready.clone()))?;
            crew.workers.push(worker);
        }
        Ok(crew)
    }

    fn hire(&mut self, ready: Option<SyncSender<Result<(), SpeechError>>>) -> Result<Worker, SpeechError> {
        let station = Arc::<Station>::default();
        let hands = Hands {
            bench: self.bench.clone(),
            station: Arc::clone(&station),
            front: self.front.clone(),
            living: self.living.clone(),
        };
        let life = move || worker::run(&hands, ready.as_ref());
        let thread = Builder::new()
            .name(format!("segue-asr-{}", self.made))
            .spawn(life)
            .map_err(SpeechError::Thread)?;
        self.made += 1;
        Ok(Worker { station, thread, beats: 0, silent: Duration::ZERO, born: self.looked })
    }

    /// Looks after everybody; gives what must be fed again.
    pub(super) fn look(&mut self, now: Duration) -> Vec<Job> {
        // When the whole machine stood still, nobody is to blame.
        let passed = now.saturating_sub(self.looked).min(LOOK_MAX);
        self.looked = now;
        let silent_max = self.bench.engine.silent_max();
        let (mut again, mut lost) = (Vec::new(), Vec::new());
        for (place, worker) in self.workers.iter_mut().enumerate() {
            let fate = worker.look(passed, silent_max);
            if fate == Fate::Well || now < worker.born + REST {
                continue;
            }
            tracing::error!(worker = place, ?fate, "a recognition worker is replaced");
            again.extend(worker.station.relieve());
            worker.born = now;
            lost.push(place);
        }
        for place in lost {
            // A thread that hangs cannot be ended. If it ever comes back, it ends by itself.
            match (self.hire(None), self.workers.get_mut(place)) {
                (Ok(fresh), Some(worker)) => {
                    *worker = fresh;
                    self.bench.counters.replaced.add(1);
                }
                (Err(error), _) => tracing::error!(%error, "a recognition worker cannot be replaced yet"),
                (Ok(_), None) => {}
            }
        }
        again
    }

    /// Waits for all workers, which have been told to stop; not for ever, and not for those that hang.
    pub(super) fn finish(self, orders: &Receiver<Control>) {
        drop(self.living);
        let mut all_ended = false;
        for _ in 0..FINISH_STEPS {
            // Nobody reads their answers any more; they must not wait for room.
            orders.try_iter().for_each(drop);
            if let Err(RecvTimeoutError::Disconnected) = self.ended.recv_timeout(FINISH_STEP) {
                all_ended = true;
                break;
            }
        }
        for thread in self.workers.into_iter().map(|worker| worker.thread) {
            let name = thread.thread().name().unwrap_or("segue-asr").to_owned();
            // Who has given its sign away is ending, and need not have ended: it is waited for.
            if !all_ended && !thread.is_finished() {
                tracing::error!(thread = name, "a recognition worker hangs and is left behind");
            } else if thread.join().is_err() {
                tracing::error!(thread = name, "a recognition worker panicked");
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Well,
    Hangs,
    Ended,
}

impl Worker {
    fn look(&mut self, passed: Duration, silent_max: Duration) -> Fate {
        if self.thread.is_finished() {
            return Fate::Ended;
        }
        let beats = self.station.beats.load(Ordering::Relaxed);
        if beats != self.beats || !self.station.decodes() {
            self.beats = beats;
            self.silent = Duration::ZERO;
            return Fate::Well;
        }
        self.silent += passed;
        if self.silent > silent_max { Fate::Hangs } else { Fate::Well }
    }
}

/// More time than that between two looks is the machine's fault.
const LOOK_MAX: Duration = Duration::from_millis(100);
/// A place is filled again so often at most.
const REST: Duration = Duration::from_secs(1);
const FINISH_STEP: Duration = Duration::from_millis(20);
/// 5 s.
const FINISH_STEPS: usize = 250;
