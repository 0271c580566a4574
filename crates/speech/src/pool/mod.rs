//! The recognition pool: one front thread listens to all voices, a fixed number of workers decode utterances.
//!
//! ```text
//! media thread ──ring──► front: G.711 → 16 kHz → voice activity → utterances ──queue──► workers (one decoder each)
//!                          ▲      └── Heard ──► sink                                        │
//!                          └──────────────────────── words ────────────────────────────────┘
//! ```
//! An engine that hears frame by frame needs neither front nor workers: each voice has a thread of its own
//! (`voice`), between the ring and the engine's listener.
//!
//! Everything is bounded: rings drop their oldest frame, partials give way, a final that cannot be decoded in
//! time becomes a gap in the transcript and is counted.

mod attention;
mod crew;
mod desk;
mod ear;
mod elastic;
mod elsewhere;
mod engine;
mod front;
mod ladder;
mod later;
mod lines;
mod queue;
mod ring;
mod stats;
mod stream;
mod voice;
mod words;
mod worker;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{SyncSender, TrySendError, sync_channel},
    },
    thread::{Builder, JoinHandle},
    time::Duration,
};

pub use attention::Attention;
pub use engine::{DecodeError, Decoded, Decoder, Engine, Spoken, Stop};
pub use ladder::{Ladder, Rung, RungStep};
pub use stats::{DecodeCounts, FinalsBy, FrameCounts, LateCounts, SpeechStats};
pub use stream::{Listener, Standing, StreamEngine, Told, Wish, Word};
pub use words::{
    Clock, Frame, Gap, GapCause, Heard, Hypothesis, Recognizer, Sink, SpeechError, StreamId, StreamOptions,
};

use crate::listen::Endpointing;
use crew::Crew;
use front::{Control, Front};
use queue::{Bounds, Queue};
use ring::Ring;
use stats::Counters;
use voice::Voices;
use worker::Bench;

/// How the pool works.
#[derive(Clone)]
pub struct SpeechConfig {
    /// Worker threads, one decoder and one core of load each; 1 to 64.
    pub workers: usize,
    /// Voices at a time; more are refused.
    pub streams_max: usize,
    /// Niceness of the workers, 0 to 19; the front thread takes half. Media keeps 0.
    pub niceness: u8,
    /// Where utterances begin and end.
    pub endpointing: Endpointing,
    /// Length of an utterance at its first partial.
    pub partial_first: Duration,
    /// From one partial to the next when nothing is given up.
    pub partial_interval: Duration,
    /// Finals that may wait for a worker; at the limit the oldest becomes a gap.
    pub finals_max: usize,
    /// How long a decode may take; it is stopped at three times that.
    pub budget: Budget,
    /// What is given up under load.
    pub ladder: Ladder,
    /// A model that costs less, used from [`Rung::WithoutBot`] on: one more decoder a worker.
    pub lighter: Option<Arc<dyn Engine>>,
    /// A service that takes finals too from [`Rung::Overflow`] on.
    pub elsewhere: Option<Elsewhere>,
    /// Agents' speech that may wait to be decoded later, from [`Rung::CallerOnly`] on; zero makes gaps of it. A
    /// second is 8 kB.
    pub put_off_max: Duration,
    /// Is told how recognition keeps up.
    pub watch: Option<Arc<dyn Watch>>,
    /// The gateway's clock.
    pub clock: Clock,
}

/// A service that helps out.
#[derive(Clone)]
pub struct Elsewhere {
    /// How it is asked.
    pub engine: Arc<dyn Engine>,
    /// Requests under way at a time; 1 to 64.
    pub requests: usize,
}

/// Is told how recognition keeps up, on speech threads: it must hand over and return at once.
pub trait Watch: Send + Sync {
    /// A step on the ladder was taken.
    fn rung(&self, step: RungStep);
    /// A final waited so long until somebody took it.
    fn waited(&self, wait: Duration);
}

impl SpeechConfig {
    /// The defaults: two workers, partials every second.
    #[must_use]
    pub fn new(clock: Clock) -> SpeechConfig {
        SpeechConfig {
            workers: 2,
            streams_max: 512,
            niceness: 5,
            endpointing: Endpointing::default(),
            partial_first: Duration::from_millis(900),
            partial_interval: Duration::from_secs(1),
            finals_max: 64,
            budget: Budget::default(),
            ladder: Ladder::default(),
            lighter: None,
            elsewhere: None,
            put_off_max: Duration::from_secs(1_800),
            watch: None,
            clock,
        }
    }
}

impl fmt::Debug for SpeechConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SpeechConfig")
            .field("workers", &self.workers)
            .field("streams_max", &self.streams_max)
            .field("endpointing", &self.endpointing)
            .field("ladder", &self.ladder)
            .finish_non_exhaustive()
    }
}

/// How long a decode may take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    /// For any utterance.
    pub base: Duration,
    /// More for each second of sound.
    pub per_second: Duration,
}

impl Default for Budget {
    fn default() -> Self {
        Budget { base: Duration::from_millis(500), per_second: Duration::from_millis(500) }
    }
}

impl Budget {
    /// For an utterance of that length.
    #[must_use]
    pub fn of(self, length: Duration) -> Duration {
        self.base + self.per_second.mul_f32(length.as_secs_f32())
    }
}

/// The pool. Dropping it stops it.
pub struct Speech {
    way: Way,
    config: Arc<SpeechConfig>,
    counters: Arc<Counters>,
    stopping: Arc<AtomicBool>,
    streams: AtomicU64,
    threads: Vec<JoinHandle<()>>,
}

/// How voices are heard.
enum Way {
    /// Not at all.
    Deaf,
    /// Utterance by utterance.
    Utterances { engine: Arc<dyn Engine>, queue: Arc<Queue>, control: SyncSender<Control> },
    /// Frame by frame.
    Frames(Voices),
}

impl fmt::Debug for Speech {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Speech")
            .field("engine", &self.engine_name())
            .field("config", &self.config)
            .finish()
    }
}

impl Speech {
    /// Starts the threads and waits until each worker has decoded once (a second or two with a large model).
    /// Without an engine there are no threads, and streams hear nothing.
    ///
    /// # Errors
    /// When a thread cannot be made or the engine gives no decoder.
    pub fn start(config: SpeechConfig, engine: Option<Arc<dyn Engine>>) -> Result<Speech, SpeechError> {
        let mut config = config;
        let Some(engine) = engine else { return Ok(Speech::new(config, Way::Deaf)) };
        let workers = config.workers.clamp(1, WORKERS_MAX);
        config.workers = workers;
        for engine in [Some(&engine), config.lighter.as_ref()].into_iter().flatten() {
            let longest = engine.longest().unwrap_or(Duration::MAX);
            config.endpointing.longest = config.endpointing.longest.min(longest);
        }
        let bounds = Bounds { finals: config.finals_max, partials: workers * 4 };
        let queue = Arc::new(Queue::new(bounds));
        let (control, orders) = sync_channel(ORDERS_MAX);
        let way = Way::Utterances {
            engine: Arc::clone(&engine),
            queue: Arc::clone(&queue),
            control: control.clone(),
        };
        let mut speech = Speech::new(config, way);
        let (ready, answers) = sync_channel(workers);
        speech.ask_elsewhere(&queue, &control)?;
        let crew = Crew::start(speech.bench(&engine, &queue), workers, control, &ready)?;
        let front = Front::new(&speech.config, &queue, &speech.counters, crew);
        speech.spawn("segue-hear".to_owned(), move || front.run(&orders))?;
        for answer in answers.into_iter().take(workers) {
            answer?;
        }
        tracing::info!(engine = engine.name(), workers, "recognition is ready");
        Ok(speech)
    }

    /// Hears with an engine that takes frames as they come. Each voice that opens has a thread of its own.
    #[must_use]
    pub fn start_streaming(config: SpeechConfig, engine: Arc<dyn StreamEngine>) -> Speech {
        tracing::info!(engine = engine.name(), "recognition is ready");
        Speech::new(config, Way::Frames(Voices::new(engine)))
    }

    fn new(config: SpeechConfig, way: Way) -> Speech {
        Speech {
            way,
            config: Arc::new(config),
            counters: Arc::default(),
            stopping: Arc::default(),
            streams: AtomicU64::new(1),
            threads: Vec::new(),
        }
    }

    /// The engine's name, `none` without one.
    #[must_use]
    pub fn engine_name(&self) -> &str {
        match &self.way {
            Way::Deaf => "none",
            Way::Utterances { engine, .. } => engine.name(),
            Way::Frames(voices) => voices.name(),
        }
    }

    /// Whether anything is recognised.
    #[must_use]
    pub fn recognises(&self) -> bool {
        !matches!(self.way, Way::Deaf)
    }

    /// Begins to listen to a voice. Dropping the stream ends it; what was being said still comes to the sink.
    ///
    /// # Errors
    /// At the limit of streams, and while stopping.
    pub fn open(&self, options: StreamOptions) -> Result<Stream, SpeechError> {
        let id = StreamId(self.streams.fetch_add(1, Ordering::Relaxed));
        if !self.recognises() {
            return Ok(Stream { id, ring: None, attention: Attention::default() });
        }
        if self.stopping.load(Ordering::Relaxed) {
            return Err(SpeechError::Stopped);
        }
        let limit = self.config.streams_max;
        let counted = self
            .counters
            .streams
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |open| (open < limit).then_some(open + 1));
        if counted.is_err() {
            return Err(SpeechError::TooManyStreams { limit });
        }
        let ring = Arc::new(Ring::new());
        let attention = Attention::new(options.language.as_deref());
        match &self.way {
            Way::Deaf => {}
            Way::Utterances { control, .. } => {
                let order =
                    Control::Open { id, ring: Arc::clone(&ring), options, attention: attention.clone() };
                control.try_send(order).map_err(|error| {
                    self.counters.streams.fetch_sub(1, Ordering::Relaxed);
                    match error {
                        TrySendError::Full(_) => SpeechError::TooManyStreams { limit },
                        TrySendError::Disconnected(_) => SpeechError::Stopped,
                    }
                })?;
            }
            Way::Frames(voices) => {
                let shared = (&*self.config, &self.counters);
                voices.open((id, Arc::clone(&ring)), options, shared, &self.stopping)?;
            }
        }
        Ok(Stream { id, ring: Some(ring), attention })
    }

    /// What was counted so far.
    #[must_use]
    pub fn stats(&self) -> SpeechStats {
        self.counters.look()
    }

    /// Stops decodes under way, tells gaps for what is not decoded, and waits for every thread to end.
    pub fn stop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        match &self.way {
            Way::Deaf => {}
            Way::Utterances { queue, control, .. } => {
                queue.close();
                if control.send(Control::Stop).is_err() {
                    tracing::debug!("the front thread had ended already");
                }
            }
            Way::Frames(voices) => voices.stop(),
        }
        for thread in self.threads.drain(..) {
            let name = thread.thread().name().unwrap_or("segue-asr").to_owned();
            if thread.join().is_err() {
                tracing::error!(thread = name, "a speech thread panicked");
            }
        }
    }

    fn spawn(&mut self, name: String, life: impl FnOnce() + Send + 'static) -> Result<(), SpeechError> {
        let thread = Builder::new().name(name).spawn(life).map_err(SpeechError::Thread)?;
        self.threads.push(thread);
        Ok(())
    }

    /// Makes the threads that ask a service elsewhere, if there is one. They wait for a rung that needs it.
    fn ask_elsewhere(
        &mut self,
        queue: &Arc<Queue>,
        control: &SyncSender<Control>,
    ) -> Result<(), SpeechError> {
        let Some(Elsewhere { engine, requests }) = self.config.elsewhere.clone() else { return Ok(()) };
        for number in 0..requests.clamp(1, WORKERS_MAX) {
            let (bench, control) = (self.bench(&engine, queue), control.clone());
            self.spawn(format!("segue-ask-{number}"), move || elsewhere::run(&bench, &control))?;
        }
        tracing::info!(engine = engine.name(), requests, "recognition has help elsewhere");
        Ok(())
    }

    fn bench(&self, engine: &Arc<dyn Engine>, queue: &Arc<Queue>) -> Bench {
        Bench {
            engine: Arc::clone(engine),
            lighter: self.config.lighter.clone(),
            queue: Arc::clone(queue),
            counters: Arc::clone(&self.counters),
            stopping: Arc::clone(&self.stopping),
            clock: Arc::clone(&self.config.clock),
            budget: self.config.budget,
            gap_after: self.config.ladder.gap,
            niceness: self.config.niceness,
            watch: self.config.watch.clone(),
        }
    }
}

impl Drop for Speech {
    fn drop(&mut self) {
        self.stop();
    }
}

/// One voice that is listened to. Belongs to the media thread of its call.
pub struct Stream {
    id: StreamId,
    ring: Option<Arc<Ring>>,
    attention: Attention,
}

impl Stream {
    /// The call's handle of this voice.
    #[must_use]
    pub fn attention(&self) -> Attention {
        self.attention.clone()
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> StreamId {
        self.id
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Stream").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Recognizer for Stream {
    fn push(&mut self, at: Duration, frame: Frame<'_>) {
        if let Some(ring) = &self.ring {
            ring.write(at, frame);
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Some(ring) = &self.ring {
            ring.close();
        }
    }
}

const WORKERS_MAX: usize = 64;
/// Orders to the front thread that may wait: streams that open, answers of workers.
const ORDERS_MAX: usize = 256;
