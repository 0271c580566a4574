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
    Budget, Clock, DecodeError, Decoded, Decoder, Engine, SpeechError, Stop, StreamId, Watch,
    crew::Station,
    front::Control,
    queue::{Job, JobId, Purpose, Queue},
    stats::{By, Counters},
};
use crate::ffi::lower_priority;

/// What became of a job.
pub(super) struct Outcome {
    pub(super) id: JobId,
    pub(super) stream: StreamId,
    pub(super) result: Result<Decoded, DecodeError>,
    /// It waited too long to be worth a decode.
    pub(super) expired: bool,
    pub(super) by: By,
}

/// All that the workers share.
#[derive(Clone)]
pub(super) struct Bench {
    pub(super) engine: Arc<dyn Engine>,
    /// Decodes instead while much is given up.
    pub(super) lighter: Option<Arc<dyn Engine>>,
    pub(super) queue: Arc<Queue>,
    pub(super) counters: Arc<Counters>,
    pub(super) stopping: Arc<AtomicBool>,
    pub(super) clock: Clock,
    pub(super) budget: Budget,
    pub(super) gap_after: Duration,
    pub(super) niceness: u8,
    pub(super) watch: Option<Arc<dyn Watch>>,
}

impl Bench {
    /// How long a final has waited for whoever takes it now.
    pub(super) fn waited(&self, job: &Job, now: Duration) -> Duration {
        let waited = now.saturating_sub(job.asked);
        if job.purpose == Purpose::Final {
            self.counters.wait_last.set(waited);
            self.counters.wait_peak.raise(waited);
            if let Some(watch) = &self.watch {
                watch.waited(waited);
            }
        }
        waited
    }

    /// When a decode must end: with the pool, when nobody wants it any more, at the deadline.
    pub(super) fn stop(&self, cancelled: &Arc<AtomicBool>, deadline: Duration) -> Stop {
        Stop {
            pool: Arc::clone(&self.stopping),
            job: Arc::clone(cancelled),
            ..Stop::at(deadline, Arc::clone(&self.clock))
        }
    }

    fn count(&self, job: &Job, took: Duration) {
        self.counters.decoding.add(took);
        match job.purpose {
            Purpose::Partial => self.counters.decoding_partials.add(took),
            Purpose::Late => self.counters.decoding_late.add(took),
            Purpose::Final | Purpose::Speculative => {}
        }
    }
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
    let mut tools = match (Tools::new(bench, ready.is_some()), ready) {
        (Ok(tools), _) => tools,
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
        let outcome = work(hands, &mut tools, &job);
        if !hands.station.end() || hands.front.send(Control::Done(outcome)).is_err() {
            return;
        }
    }
}

/// A worker's decoders.
struct Tools {
    main: Tool,
    lighter: Option<Tool>,
}

struct Tool {
    engine: Arc<dyn Engine>,
    decoder: Box<dyn Decoder>,
}

impl Tools {
    fn new(bench: &Bench, warmed: bool) -> Result<Tools, SpeechError> {
        let tool = |engine: &Arc<dyn Engine>| {
            let decoder = engine.decoder()?;
            let decoder = if warmed { warm(bench, engine.as_ref(), decoder)? } else { decoder };
            Ok::<_, SpeechError>(Tool { engine: Arc::clone(engine), decoder })
        };
        Ok(Tools { main: tool(&bench.engine)?, lighter: bench.lighter.as_ref().map(tool).transpose()? })
    }

    /// The one that decodes now.
    fn pick(&mut self, bench: &Bench) -> (&mut Tool, By) {
        match &mut self.lighter {
            Some(lighter) if bench.counters.rung().is_light() => (lighter, By::Lighter),
            Some(_) | None => (&mut self.main, By::Model),
        }
    }
}

/// Lets a decoder decode once, so that memory is touched before the first caller speaks.
fn warm(
    bench: &Bench,
    engine: &dyn Engine,
    mut decoder: Box<dyn Decoder>,
) -> Result<Box<dyn Decoder>, SpeechError> {
    if !engine.warms_up() {
        return Ok(decoder);
    }
    let began = (bench.clock)();
    let stop = bench.stop(&Arc::default(), began + WARM_UP_MAX);
    match decoder.decode(&murmur(), None, &stop) {
        Ok(_) => {}
        Err(DecodeError::Stopped) => return Err(SpeechError::Stopped),
        Err(DecodeError::Failed(reason)) => {
            return Err(SpeechError::Model { model: engine.name().to_owned(), reason });
        }
    }
    let took = (bench.clock)().saturating_sub(began);
    tracing::debug!(engine = engine.name(), took_ms = took.as_millis(), "a decoder is warm");
    Ok(decoder)
}

fn work(hands: &Hands, tools: &mut Tools, job: &Job) -> Outcome {
    let bench = &hands.bench;
    let began = (bench.clock)();
    let waited = bench.waited(job, began);
    let (tool, by) = tools.pick(bench);
    let outcome = |result, expired| Outcome { id: job.id, stream: job.stream, result, expired, by };
    if job.purpose == Purpose::Final && waited > bench.gap_after {
        return outcome(Err(DecodeError::Stopped), true);
    }
    let length = crate::speak::length_of(&job.samples) / 2;
    let stop = bench.stop(&job.cancelled, began + bench.budget.of(length) * 3);
    let stop = Stop { beats: hands.station.beats(), ..stop };
    let mut result = Err(DecodeError::Stopped);
    for _ in 0..ATTEMPTS {
        let tried = catch_unwind(AssertUnwindSafe(|| {
            tool.decoder.decode(&job.samples, job.language.as_deref(), &stop)
        }));
        if let Ok(answer) = tried {
            result = answer;
            break;
        }
        result = Err(DecodeError::Failed("the decoder panicked, twice".to_owned()));
        bench.counters.fed_again.add(1);
        // What a panic left behind is not used again.
        match tool.engine.decoder() {
            Ok(fresh) => tool.decoder = fresh,
            Err(error) => tracing::error!(%error, "no new decoder after a panic"),
        }
    }
    bench.count(job, (bench.clock)().saturating_sub(began));
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
