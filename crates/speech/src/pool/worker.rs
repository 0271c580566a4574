//! A worker thread: takes a job, decodes, tells the front. Each owns one decoder, which uses one thread.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::AtomicBool,
        mpsc::{Sender, SyncSender},
    },
    time::Duration,
};

use super::{
    Budget, Clock, DecodeError, Decoded, Decoder, Engine, SpeechError, Stop, StreamId,
    crew::Station,
    front::Control,
    queue::{Job, JobId, Purpose, Queue},
    stats::Counters,
};
use crate::ffi::lower_priority;

/// What became of a job.
pub(super) struct Outcome {
    pub(super) id: JobId,
    pub(super) stream: StreamId,
    pub(super) result: Result<Decoded, DecodeError>,
    /// It waited too long to be worth a decode.
    pub(super) expired: bool,
}

/// All that the workers share.
#[derive(Clone)]
pub(super) struct Bench {
    pub(super) engine: Arc<dyn Engine>,
    pub(super) queue: Arc<Queue>,
    pub(super) counters: Arc<Counters>,
    pub(super) stopping: Arc<AtomicBool>,
    pub(super) clock: Clock,
    pub(super) budget: Budget,
    pub(super) gap_after: Duration,
    pub(super) niceness: u8,
}

/// What a worker thread holds.
pub(super) struct Hands {
    pub(super) bench: Bench,
    pub(super) station: Arc<Station>,
    pub(super) front: SyncSender<Control>,
    /// Lives as long as the worker.
    #[expect(dead_code, reason = "its end is the message")]
    pub(super) living: Sender<()>,
}

/// The life of a worker thread. The first ones say when they are warm; one that takes another's place has no time.
pub(super) fn run(hands: &Hands, ready: Option<&SyncSender<Result<(), SpeechError>>>) {
    let bench = &hands.bench;
    lower_priority(bench.niceness);
    let made = bench.engine.decoder().and_then(|decoder| match ready {
        Some(_) => warm(bench, decoder),
        None => Ok(decoder),
    });
    let mut decoder = match (made, ready) {
        (Ok(decoder), _) => decoder,
        (Err(error), Some(ready)) => {
            ready.send(Err(error)).unwrap_or_default();
            return;
        }
        (Err(error), None) => {
            tracing::error!(%error, "a recognition worker has no decoder");
            return;
        }
    };
    if ready.is_some_and(|ready| ready.send(Ok(())).is_err()) {
        return;
    }
    while let Some(job) = bench.queue.take() {
        hands.station.begin(&job);
        let outcome = work(hands, &mut decoder, &job);
        if !hands.station.end() || hands.front.send(Control::Done(outcome)).is_err() {
            return;
        }
    }
}

/// Lets a decoder decode once, so that memory is touched before the first caller speaks.
fn warm(bench: &Bench, mut decoder: Box<dyn Decoder>) -> Result<Box<dyn Decoder>, SpeechError> {
    if !bench.engine.warms_up() {
        return Ok(decoder);
    }
    let began = (bench.clock)();
    let stop = Stop {
        pool: Arc::clone(&bench.stopping),
        job: Arc::default(),
        deadline: began + WARM_UP_MAX,
        clock: Arc::clone(&bench.clock),
        beats: Arc::default(),
    };
    match decoder.decode(&murmur(), None, &stop) {
        Ok(_) => {}
        Err(DecodeError::Stopped) => return Err(SpeechError::Stopped),
        Err(DecodeError::Failed(reason)) => {
            return Err(SpeechError::Model { model: bench.engine.name().to_owned(), reason });
        }
    }
    let took = (bench.clock)().saturating_sub(began);
    tracing::debug!(engine = bench.engine.name(), took_ms = took.as_millis(), "a decoder is warm");
    Ok(decoder)
}

fn work(hands: &Hands, decoder: &mut Box<dyn Decoder>, job: &Job) -> Outcome {
    let bench = &hands.bench;
    let began = (bench.clock)();
    let waited = began.saturating_sub(job.asked);
    let is_final = job.purpose == Purpose::Final;
    if is_final {
        bench.counters.wait_last.set(waited);
        bench.counters.wait_peak.raise(waited);
    }
    let outcome = |result, expired| Outcome { id: job.id, stream: job.stream, result, expired };
    if is_final && waited > bench.gap_after {
        return outcome(Err(DecodeError::Stopped), true);
    }
    let length = crate::speak::length_of(&job.samples) / 2;
    let stop = Stop {
        pool: Arc::clone(&bench.stopping),
        job: Arc::clone(&job.cancelled),
        deadline: began + bench.budget.of(length) * 3,
        clock: Arc::clone(&bench.clock),
        beats: hands.station.beats(),
    };
    let mut result = Err(DecodeError::Stopped);
    for _ in 0..ATTEMPTS {
        let tried =
            catch_unwind(AssertUnwindSafe(|| decoder.decode(&job.samples, job.language.as_deref(), &stop)));
        if let Ok(answer) = tried {
            result = answer;
            break;
        }
        result = Err(DecodeError::Failed("the decoder panicked, twice".to_owned()));
        bench.counters.fed_again.add(1);
        // What a panic left behind is not used again.
        match bench.engine.decoder() {
            Ok(fresh) => *decoder = fresh,
            Err(error) => tracing::error!(%error, "no new decoder after a panic"),
        }
    }
    bench.counters.decoding.add((bench.clock)().saturating_sub(began));
    if let Ok(decoded) = &result {
        bench.counters.ends.retried.add(u64::from(decoded.retried));
        bench.counters.ends.unsure.add(u64::from(decoded.unsure));
    }
    outcome(result, false)
}

/// A second of soft noise, always the same.
fn murmur() -> Vec<i16> {
    let mut state = 0x2545_f491_u32;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((state >> 16) as i16) >> 6
    })
    .take(16_000)
    .collect()
}

/// What was said is fed once more to a decoder that panicked.
const ATTEMPTS: usize = 2;
/// A model that is not warm by then never will be.
const WARM_UP_MAX: Duration = Duration::from_secs(120);
