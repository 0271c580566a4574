//! The parties: callers that call the target, bots and agents that the target calls.
//!
//! They share one signalling endpoint; an incoming call for `agent…` is an agent's, any other a bot's. Who hears whom
//! is known by the marks, so nothing has to pass through the target but sound.

mod agent;
mod bot;
mod caller;
mod pair;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use segue_media::{Codec, Direction, MediaDescription, OpusWishes};
use segue_sip::{Credentials, IncomingCall, Sip};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

pub(crate) use self::caller::call;
use crate::{
    clock::Nanos,
    options::{AskBy, Scenario},
    plane::{Plane, Way, role_of},
    relay::Design,
    scores::Scores,
    words::Role,
};

/// What all parties share.
pub(crate) struct World {
    pub(crate) play: Play,
    pub(crate) plane: Plane,
    pub(crate) sip: Sip,
    /// Calls are ended when it is cancelled.
    pub(crate) curtain: CancellationToken,
    scores: Mutex<Scores>,
    up: AtomicUsize,
    agents: Mutex<BTreeMap<String, usize>>,
    ears: Mutex<BTreeMap<u32, Ear>>,
    /// Callers whose bot shall ask for a human.
    asking: Mutex<BTreeSet<u32>>,
    /// Wakes the bots when one of them shall ask.
    asked: Notify,
}

/// What the parties do.
#[derive(Clone, Debug)]
pub(crate) struct Play {
    pub(crate) scenario: Scenario,
    /// Whom callers call.
    pub(crate) uri: String,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) hold: Duration,
    pub(crate) codec: Codec,
    pub(crate) answer_codec: Codec,
    pub(crate) ask_after: Duration,
    pub(crate) ask_by: AskBy,
    pub(crate) relay: Option<RelayAt>,
    pub(crate) ring: Duration,
    pub(crate) listen_whisper: Duration,
    pub(crate) talk: Duration,
    pub(crate) handoff_max: Duration,
}

/// A bare relay.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RelayAt {
    pub(crate) address: SocketAddr,
    pub(crate) design: Design,
    pub(crate) calls: u32,
}

/// What is known of an ear, by the number of its own voice.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ear {
    /// Whom it hears, and since when.
    pub(crate) hears: Option<(u32, Nanos)>,
    /// An agent's: when it rang.
    pub(crate) rung: Nanos,
    /// An agent's: when the accepting key went out.
    pub(crate) accepted: Option<Nanos>,
}

impl World {
    pub(crate) fn new(play: Play, plane: Plane, sip: Sip, curtain: CancellationToken) -> Self {
        Self {
            play,
            plane,
            sip,
            curtain,
            scores: Mutex::default(),
            up: AtomicUsize::new(0),
            agents: Mutex::default(),
            ears: Mutex::default(),
            asking: Mutex::default(),
            asked: Notify::new(),
        }
    }

    pub(crate) fn scores(&self) -> MutexGuard<'_, Scores> {
        lock(&self.scores)
    }

    /// What happened since it was asked last.
    pub(crate) fn take_scores(&self) -> Scores {
        std::mem::take(&mut *self.scores())
    }

    /// Callers' calls that are up.
    pub(crate) fn up(&self) -> usize {
        self.up.load(Ordering::Relaxed)
    }

    /// An ear hears somebody from now on.
    fn hears(&self, stream: u32, other: u32, since: Nanos) {
        lock(&self.ears).entry(stream).or_default().hears = Some((other, since));
    }

    fn ear(&self, stream: u32) -> Option<Ear> {
        lock(&self.ears).get(&stream).copied()
    }

    fn with_ear(&self, stream: u32, change: impl FnOnce(&mut Ear)) {
        change(lock(&self.ears).entry(stream).or_default());
    }

    fn forget(&self, stream: u32) {
        lock(&self.ears).remove(&stream);
    }

    /// Has the bot of a caller ask for a human.
    fn ask_bot_of(&self, caller: u32) {
        lock(&self.asking).insert(caller);
        self.asked.notify_waiters();
    }

    /// Whether this bot shall ask for a human now; true once.
    fn is_to_refer(&self, bot: u32) -> bool {
        let caller = self.ear(bot).and_then(|ear| ear.hears);
        caller.is_some_and(|(caller, _)| lock(&self.asking).remove(&caller))
    }

    /// Whether the party that this ear hears hears somebody else.
    fn is_crossed(&self, stream: u32) -> bool {
        let ears = lock(&self.ears);
        let heard = |stream: u32| ears.get(&stream).and_then(|ear| ear.hears).map(|(other, _)| other);
        let Some(other) = heard(stream) else { return false };
        let is_caller = role_of(other) == Some(Role::Caller);
        is_caller || heard(other).is_some_and(|back| back != stream)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts a call as up while it lives.
struct Up<'a>(&'a AtomicUsize);

impl<'a> Up<'a> {
    fn new(world: &'a World) -> Self {
        world.up.fetch_add(1, Ordering::Relaxed);
        Self(&world.up)
    }
}

impl Drop for Up<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Plays whoever is called.
pub(crate) async fn answer(world: std::sync::Arc<World>, call: IncomingCall, at: Nanos) {
    if call.invitation().to.starts_with("agent") {
        agent::take(&world, call, at).await;
    } else {
        bot::take(&world, call).await;
    }
}

/// Our side of a session.
fn description(address: SocketAddr, codec: Codec) -> MediaDescription {
    MediaDescription {
        rtp: address,
        rtcp: address,
        codecs: vec![(codec, codec.payload_type())],
        telephone_event: Some(101),
        ptime_ms: 20,
        direction: Direction::SendRecv,
        security: Vec::new(),
        opus: OpusWishes::default(),
    }
}

/// How to speak to a far side; `None` if nothing was agreed.
fn way(remote: &MediaDescription) -> Option<Way> {
    let (codec, payload_type) = *remote.codecs.first()?;
    Some(Way { remote: remote.rtp, law: codec.law()?, payload_type, keys: remote.telephone_event })
}
