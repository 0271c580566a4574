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

use segue_media::{
    Codec, Direction, MediaDescription, OpusWishes,
    security::{SrtpKey, Suite},
};
use segue_sip::{Answer, Credentials, IncomingCall, Leg, Sip};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

pub(crate) use self::caller::call;
use crate::{
    clock::Nanos,
    options::{AskBy, Scenario},
    plane::{MediaLeg, Plane, Way, role_of},
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
    /// What each role speaks.
    pub(crate) codecs: [Codec; 3],
    /// The cipher that each role demands, if it demands one.
    pub(crate) suites: [Option<Suite>; 3],
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

/// What is known of an ear, by the number of its stream.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ear {
    /// What others know it by: the same number, or the voice of its tones, which others may have too.
    pub(crate) voice: u32,
    /// Which voice it hears, and since when.
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

    /// A leg for somebody, known until it is [forgotten](Self::forget).
    fn open(&self, role: Role) -> Option<MediaLeg> {
        let leg = self.plane.open(role)?;
        self.with_ear(leg.stream, |ear| ear.voice = leg.voice);
        Some(leg)
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
        let caller = counterpart(&lock(&self.ears), bot);
        caller.is_some_and(|caller| lock(&self.asking).remove(&caller))
    }

    /// The stream that this ear hears.
    fn counterpart(&self, stream: u32) -> Option<u32> {
        counterpart(&lock(&self.ears), stream)
    }

    /// Whether the party that this ear hears hears somebody else.
    fn is_crossed(&self, stream: u32) -> bool {
        let ears = lock(&self.ears);
        let Some(ear) = ears.get(&stream) else { return false };
        let Some((voice, _)) = ear.hears else { return false };
        let other = counterpart(&ears, stream).and_then(|other| ears.get(&other));
        let heard_back = other.and_then(|other| other.hears).map(|(back, _)| back);
        role_of(voice) == Some(Role::Caller) || heard_back.is_some_and(|back| back != ear.voice)
    }
}

/// The stream whose voice an ear hears; of several with that voice the one that hears this one, or else nobody yet.
fn counterpart(ears: &BTreeMap<u32, Ear>, stream: u32) -> Option<u32> {
    let ear = ears.get(&stream)?;
    let (voice, _) = ear.hears?;
    let known = ears.iter().filter(|(_, other)| other.voice == voice);
    let likely = known.min_by_key(|(_, other)| match other.hears {
        Some((back, _)) if back == ear.voice => 0,
        None => 1,
        Some(_) => 2,
    });
    likely.map(|(stream, _)| *stream)
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

/// Answers a call in a role.
async fn pick_up(
    world: &World,
    (role, address): (Role, SocketAddr),
    call: IncomingCall,
) -> Result<Leg, String> {
    let local = description(&world.play, role, address)?;
    call.answer(Answer { local, handoff_allowed: false }).await.map_err(|error| error.to_string())
}

/// Our side of a session.
fn description(play: &Play, role: Role, address: SocketAddr) -> Result<MediaDescription, String> {
    let codec = play.codecs.get(role as usize).copied().unwrap_or(Codec::Pcmu);
    let suite = play.suites.get(role as usize).copied().flatten();
    let security = suite.map(key).transpose().map_err(|error| format!("no random numbers: {error}"))?;
    Ok(MediaDescription {
        rtp: address,
        rtcp: address,
        codecs: vec![(codec, codec.payload_type())],
        telephone_event: Some(101),
        ptime_ms: 20,
        direction: Direction::SendRecv,
        security: security.into_iter().collect(),
        opus: OpusWishes::default(),
    })
}

/// A new key for what we send (RFC 4568).
fn key(suite: Suite) -> Result<SrtpKey, getrandom::Error> {
    let mut master = vec![0; suite.key_length() + suite.salt_length()];
    getrandom::fill(&mut master)?;
    Ok(SrtpKey { tag: 1, suite, master, lifetime: None, mki: None, optional: false })
}

/// How to speak to a far side; `None` if nothing was agreed.
fn way(remote: &MediaDescription, local: &MediaDescription) -> Option<Way> {
    let (codec, payload_type) = *remote.codecs.first()?;
    let srtp = remote.security.first().cloned().zip(local.security.first().cloned()).map(Box::new);
    Some(Way { remote: remote.rtp, codec, payload_type, keys: remote.telephone_event, srtp })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_with_one_voice_the_one_that_hears_back_is_meant() {
        let ear =
            |voice, hears: Option<u32>| Ear { voice, hears: hears.map(|voice| (voice, 0)), ..Ear::default() };
        let (caller, bot) = (4, 5);
        let mut ears = BTreeMap::from([
            (100, ear(caller, Some(bot))),
            (201, ear(bot, Some(8))),
            (205, ear(bot, Some(caller))),
            (209, ear(bot, None)),
        ]);
        assert_eq!(counterpart(&ears, 100), Some(205));
        ears.remove(&205);
        assert_eq!(counterpart(&ears, 100), Some(209));
        ears.remove(&209);
        assert_eq!(counterpart(&ears, 100), Some(201));
        assert_eq!(counterpart(&ears, 7), None);
    }
}
