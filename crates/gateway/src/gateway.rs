//! The gateway put together: it opens every part in order, gives each caller a call task, and takes all down again.
//!
//! Ownership: the gateway owns the parts' tasks and every call task; a call task owns its legs. A panic in one call
//! is that call's end: it is counted, its legs are closed by their owners' drop, and the others go on.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use anyhow::Context;
use segue_acd::{Distributor, QueueId, TicketId};
use segue_api::{Board, Feed};
use segue_call::{Event, Policy};
use segue_media::{DeadLimits, EngineConfig, OpusEffort};
use segue_sip::{IncomingCall, Refusal, Sip, SipConfig, SipEvent};
use segue_speech::{Flite, language::TextLanguages};
use segue_store::{Followed, PolicyText, Store, StoreConfig};
use segue_trigger::RuleSet;
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    call::{Calls, Parts},
    clock::Clock,
    config::{Config, RecordingMode, Store as StoreSettings},
    distribution::{Distribution, Request},
    homer::Homer,
    media::MediaPlane,
    metrics, recognition,
    recording::Recorder,
    signalling, upkeep,
    voice::{Voice, VoiceError},
};

/// What a caller who comes while the gateway goes down is told to wait.
const RETRY_AFTER: Duration = Duration::from_secs(10);
/// How long calls may take for their last words.
const LAST_WORDS: Duration = Duration::from_secs(15);
/// How long far sides may take to answer our BYE.
const BYES_ANSWERED: Duration = Duration::from_secs(1);
/// How long parts may take to end by themselves.
const ENDING: Duration = Duration::from_secs(5);

/// What reaches the gateway's own loop.
pub(crate) enum Knock {
    /// From the SIP part.
    Sip(SipEvent),
    /// A call is over.
    CallOver,
    /// Stop: let calls end by themselves for a while.
    Drain,
    /// Stop at once.
    Stop,
}

/// A gateway that runs.
pub(crate) struct Gateway {
    parts: Arc<Parts>,
    calls: Arc<Calls>,
    call_tasks: JoinSet<()>,
    part_tasks: JoinSet<()>,
    sip_tasks: JoinSet<()>,
    cancel: CancellationToken,
    threads: Vec<JoinHandle<()>>,
    knocks: mpsc::Receiver<Knock>,
    door: mpsc::Sender<Knock>,
    tickets: AtomicU64,
    draining: Arc<AtomicBool>,
}

/// How the media engines behave, by the configuration.
fn engine_config(settings: &crate::config::Media) -> EngineConfig {
    EngineConfig {
        dead: DeadLimits {
            talking: Duration::from_secs(settings.dead_after_s),
            held: Duration::from_secs(settings.dead_held_after_s),
        },
        quality_interval: Duration::from_secs(settings.quality_interval_s),
        forward: settings.forward,
        opus: OpusEffort { complexity: settings.opus.complexity, bitrate: settings.opus.bitrate },
        in_band_keys: settings.inband_keys.into(),
        ..EngineConfig::default()
    }
}

/// Opens the store, marks what a crash left behind, and keeps its writer and its forgetting among the tasks.
async fn open_store(
    settings: &StoreSettings,
    clock: Clock,
    tasks: &mut JoinSet<()>,
) -> anyhow::Result<Store> {
    if let Some(folder) = settings.path.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("store.path: {}", folder.display()))?;
    }
    let (store, writer) = Store::open(&settings.path, StoreConfig::default()).await?;
    tasks.spawn(writer.run());
    upkeep::mark_lost(&store, clock).await?;
    tasks.spawn(upkeep::forget_old(store.clone(), clock, settings.keep_days));
    Ok(store)
}

/// Starts the recorder, unless nobody may be recorded.
fn start_recorder(settings: &crate::config::Recording) -> anyhow::Result<Option<(Recorder, JoinHandle<()>)>> {
    if settings.mode == RecordingMode::Off {
        return Ok(None);
    }
    let keep = Duration::from_secs(settings.keep_days * 24 * 3_600);
    let started = Recorder::start(&settings.folder, keep);
    started.map(Some).with_context(|| format!("recording.folder: {}", settings.folder.display()))
}

/// Starts the sender of copies, unless nobody collects them. It ends with us.
fn start_homer(settings: &crate::config::Homer, clock: Clock) -> anyhow::Result<Option<Homer>> {
    let started = Homer::start(settings, clock).context("homer.collector")?;
    Ok(started.map(|(homer, _ends_with_us)| homer))
}

impl Gateway {
    /// Opens every part: store, media, voice, recognition, distributor, signalling. The door opens last.
    ///
    /// # Errors
    /// The first part that cannot be opened, and what to do.
    pub(crate) async fn start(config: Config, clock: Clock) -> anyhow::Result<Self> {
        let settings = config.settings;
        let mut part_tasks = JoinSet::new();
        let store = open_store(&settings.store, clock, &mut part_tasks).await?;
        let media = MediaPlane::start(&settings.media, &engine_config(&settings.media), clock)
            .context("the media threads cannot start")?;
        let (voice, voice_thread) =
            Voice::start(Arc::new(Flite), &settings.synthesis).context("the voice cannot start")?;
        let feed = Arc::new(Feed::new(clock.now(), settings.api.events_kept));
        let speech = recognition::start(&settings.recognition, clock, &feed)?;
        let texts = TextLanguages::among(settings.recognition.codes().iter().map(String::as_str));
        let agents = config.people.agents.iter().map(|agent| (agent.id.clone(), agent.clone())).collect();
        let queues = config.people.queues.iter().map(|queue| queue.id.0.clone()).collect();
        let policy = Arc::new(settings.call.clone());
        let rules = Arc::new(RuleSet::new(&config.rules)?);
        let followed = Followed { policy: settings.call.clone(), rules: config.rules };
        let policy_text = PolicyText::new(&followed)?;
        render_mandatory(&voice, &policy, config.people.queues.iter().map(|queue| &queue.id)).await?;
        let (distribution, task) = Distribution::new(Distributor::new(config.people)?, clock);
        part_tasks.spawn(task);
        let cancel = CancellationToken::new();
        let homer = start_homer(&settings.homer, clock)?;
        let (recorder, recorder_thread) = start_recorder(&settings.recording)?.unzip();
        let observer = homer.clone().map(Homer::observer);
        let sip_config = SipConfig { observer, ..signalling::config(&settings, queues)? };
        let (sip, driver, events) = Sip::bind(sip_config, cancel.clone()).await?;
        let mut sip_tasks = JoinSet::new();
        sip_tasks.spawn(driver.run());
        let (door, knocks) = mpsc::channel(256);
        part_tasks.spawn(forward(events, door.clone()));
        part_tasks.spawn(signalling::watch_trunks(sip.clone()));
        let parts = Parts {
            clock,
            settings,
            policy,
            rules,
            policy_text,
            agents,
            sip,
            media,
            voice,
            speech,
            texts,
            distribution,
            store,
            board: Board::default(),
            feed,
            homer,
            recorder,
        };
        Ok(Self {
            parts: Arc::new(parts),
            calls: Arc::new(Calls::default()),
            call_tasks: JoinSet::new(),
            part_tasks,
            sip_tasks,
            cancel,
            threads: [Some(voice_thread), recorder_thread].into_iter().flatten().collect(),
            knocks,
            door,
            tickets: AtomicU64::new(1),
            draining: Arc::new(AtomicBool::new(false)),
        })
    }

    /// The parts, for the API and the demo.
    pub(crate) fn parts(&self) -> Arc<Parts> {
        Arc::clone(&self.parts)
    }

    /// The live calls, for the API.
    pub(crate) fn calls(&self) -> Arc<Calls> {
        Arc::clone(&self.calls)
    }

    /// True once the gateway takes no calls any more.
    pub(crate) fn draining(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.draining)
    }

    /// Where to knock.
    pub(crate) fn door(&self) -> mpsc::Sender<Knock> {
        self.door.clone()
    }

    /// Takes calls until it is told to stop, then takes everything down.
    ///
    /// # Errors
    /// Something was left over, which is a bug of ours.
    pub(crate) async fn run(mut self) -> anyhow::Result<()> {
        let mut stop_at: Option<Duration> = None;
        loop {
            // Without a call coming or going, what the door refused is still to be seen soon.
            let deadline = stop_at.unwrap_or(self.parts.clock.now() + Duration::from_secs(5));
            let knock = tokio::time::timeout_at(self.parts.clock.instant(deadline), self.knocks.recv()).await;
            match knock {
                Ok(Some(Knock::Sip(event))) => self.signalled(event).await,
                Ok(Some(Knock::CallOver)) => {}
                Ok(Some(Knock::Drain)) if stop_at.is_none() => {
                    let grace = Duration::from_secs(self.parts.settings.shutdown.grace_s);
                    tracing::info!(calls = self.calls.len(), grace_s = grace.as_secs(), "draining");
                    self.draining.store(true, Ordering::Relaxed);
                    stop_at = Some(self.parts.clock.now() + grace);
                }
                Ok(Some(Knock::Drain | Knock::Stop)) => {
                    return self.take_down(true).await;
                }
                Ok(None) => return self.take_down(false).await,
                Err(_elapsed) if stop_at.is_some() => return self.take_down(false).await,
                Err(_elapsed) => {}
            }
            self.reap();
            metrics::population(self.calls.len(), self.parts.media.legs());
            metrics::refused(&self.parts.sip.counts().refused);
            self.parts.measure_speech();
            if stop_at.is_some() && self.calls.len() == 0 {
                return self.take_down(false).await;
            }
        }
    }

    async fn signalled(&mut self, event: SipEvent) {
        match event {
            SipEvent::Incoming(incoming) => self.admit(incoming).await,
            SipEvent::Registered { user, .. } => {
                self.parts.distribution.tell(Request::Phone(user, true)).await;
            }
            SipEvent::Unregistered { user, .. } => {
                self.parts.distribution.tell(Request::Phone(user, false)).await;
            }
        }
    }

    async fn admit(&mut self, incoming: Box<IncomingCall>) {
        if self.draining.load(Ordering::Relaxed) {
            incoming.refuse(Refusal::Unavailable { retry_after: RETRY_AFTER }).await;
            return;
        }
        let tickets = self.parts.policy.limits.tickets();
        let first_ticket = TicketId(self.tickets.fetch_add(tickets, Ordering::Relaxed));
        match self.calls.begin(&self.parts, incoming, first_ticket) {
            Ok(task) => {
                let door = self.door.clone();
                self.call_tasks.spawn(async move {
                    task.await;
                    // A full door means that the loop is awake anyway.
                    drop(door.try_send(Knock::CallOver));
                });
            }
            Err((incoming, error)) => {
                tracing::error!(%error, "a call cannot be taken");
                incoming.refuse(Refusal::Unavailable { retry_after: RETRY_AFTER }).await;
            }
        }
    }

    fn reap(&mut self) {
        while let Some(ended) = self.call_tasks.try_join_next() {
            if let Err(error) = ended {
                tracing::error!(%error, "a call ended by a bug of ours");
            }
        }
    }

    /// Ends calls, then parts, from the edge inwards: nothing is asked of a part that is gone.
    async fn take_down(mut self, at_once: bool) -> anyhow::Result<()> {
        self.draining.store(true, Ordering::Relaxed);
        tracing::info!(calls = self.calls.len(), at_once, "stopping");
        self.end_calls(at_once).await;
        let dialogs = self.parts.sip.counts().dialogs;
        let tickets = self.parts.distribution.ask(Request::Tickets).await.unwrap_or_default();
        let legs = self.parts.media.legs();
        self.end_parts().await;
        tracing::info!(dialogs, legs, tickets, "stopped");
        Ok(())
    }

    /// A first shutdown lets a call say its last words, a second one cuts them short.
    async fn end_calls(&mut self, at_once: bool) {
        self.calls.tell_all(&Event::Shutdown);
        if at_once {
            self.calls.tell_all(&Event::Shutdown);
        }
        let last_words = async { while self.call_tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(LAST_WORDS, last_words).await.is_err() {
            tracing::error!("calls did not end in time and are cut off");
            self.call_tasks.shutdown().await;
        }
        // A BYE is answered within a round trip; who does not answer is not waited for.
        let answered = self.parts.sip.counts_when(|counts| counts.dialogs == 0);
        drop(tokio::time::timeout(BYES_ANSWERED, answered).await);
    }

    async fn end_parts(&mut self) {
        self.cancel.cancel();
        let sip_end = async { while self.sip_tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(ENDING, sip_end).await.is_err() {
            tracing::warn!("signalling did not end in time");
        }
        self.parts.feed.close();
        close_store(&self.parts.store).await;
        self.part_tasks.shutdown().await;
        self.parts.media.finish();
        self.parts.voice.finish();
        if let Some(recorder) = &self.parts.recorder {
            recorder.finish();
        }
        self.threads.drain(..).for_each(join);
    }
}

async fn close_store(store: &Store) {
    if let Err(error) = store.close().await {
        tracing::error!(%error, "the store did not close well");
    }
}

fn join(thread: JoinHandle<()>) {
    let name = thread.thread().name().unwrap_or_default().to_owned();
    if thread.join().is_err() {
        tracing::error!(name, "a thread panicked");
    }
}

async fn forward(mut events: mpsc::Receiver<SipEvent>, door: mpsc::Sender<Knock>) {
    while let Some(event) = events.recv().await {
        if door.send(Knock::Sip(event)).await.is_err() {
            return;
        }
    }
}

/// Renders what must be said without delay, before the first caller comes.
async fn render_mandatory<'a>(
    voice: &Voice,
    policy: &Policy,
    queues: impl Iterator<Item = &'a QueueId> + Clone,
) -> anyhow::Result<()> {
    let details = policy.speech.ask_for_details;
    let prompts: Vec<_> =
        policy.speech.prompts.values().flat_map(|words| words.mandatory(queues.clone(), details)).collect();
    let count = prompts.len();
    let (done, mut rendered) = mpsc::channel(count.max(1));
    for prompt in prompts {
        let text = prompt.text.clone();
        let done = done.clone();
        let tell = move |sound: Result<_, VoiceError>| {
            drop(done.try_send(sound.map(|_| ()).map_err(|error| (text, error))));
        };
        voice.say(prompt, Box::new(tell));
    }
    drop(done);
    while let Some(outcome) = rendered.recv().await {
        outcome
            .map_err(|(text, error)| anyhow::anyhow!("the prompt \"{text}\" cannot be spoken: {error}"))?;
    }
    tracing::debug!(count, "prompts are rendered");
    Ok(())
}
