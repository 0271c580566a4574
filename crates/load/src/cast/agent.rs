//! An agent: rings, answers, hears the whisper, accepts with key 1, talks until hung up.

use segue_sip::{IncomingCall, Leg, LegEvent};
use tokio::sync::mpsc;

use super::{World, lock, way};
use crate::{
    clock::{Nanos, nanos, now, sleep_until},
    hearing::Heard,
    plane::{LegNews, MediaLeg, role_of},
    words::Role,
};

/// Takes one call that came at a moment.
pub(super) async fn take(world: &World, mut call: IncomingCall, at: Nanos) {
    let _busy = Busy::new(world, &call.invitation().to);
    call.ring().await;
    tokio::select! {
        () = call.withdrawn() => return,
        () = sleep_until(at + nanos(world.play.ring)) => {}
    }
    let Some(media) = world.open(Role::Agent) else {
        world.scores().surprise("no leg was free for an agent");
        return;
    };
    let leg = match super::pick_up(world, (Role::Agent, media.address), call).await {
        Ok(leg) => leg,
        Err(error) => {
            world.scores().surprise(format!("agent: {error}"));
            world.forget(media.stream);
            return;
        }
    };
    world.with_ear(media.stream, |ear| ear.rung = at);
    let stream = media.stream;
    Shift { world, media, answered: now(), whispered: false }.go(leg).await;
    world.forget(stream);
}

/// Counts an agent as in a call; who is rung twice is double assigned.
struct Busy<'a> {
    world: &'a World,
    name: String,
}

impl<'a> Busy<'a> {
    fn new(world: &'a World, name: &str) -> Self {
        let mut agents = lock(&world.agents);
        let calls = agents.entry(name.to_owned()).or_default();
        *calls += 1;
        let twice = *calls > 1;
        drop(agents);
        if twice {
            world.scores().handoffs.double_assigned += 1;
        }
        Self { world, name: name.to_owned() }
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        let mut agents = lock(&self.world.agents);
        if let Some(calls) = agents.get_mut(&self.name) {
            *calls -= 1;
        }
    }
}

struct Shift<'a> {
    world: &'a World,
    media: MediaLeg,
    answered: Nanos,
    whispered: bool,
}

impl Shift<'_> {
    async fn go(mut self, mut leg: Leg) {
        let Some(way) = leg.remote().and_then(|remote| way(remote, leg.local())) else { return };
        let mut news = self.media.start(way);
        let mut accept_at: Option<Nanos> = None;
        loop {
            let accept = async {
                match accept_at {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                event = leg.next() => {
                    if self.signalled(event) {
                        return;
                    }
                }
                told = next(&mut news) => {
                    if self.heard(told) {
                        accept_at = Some(now() + nanos(self.world.play.listen_whisper));
                    }
                }
                () = accept => {
                    accept_at = None;
                    self.media.press('1');
                }
            }
        }
    }

    /// True when the call is over.
    fn signalled(&self, event: LegEvent) -> bool {
        match event {
            LegEvent::Ended(_) => return true,
            LegEvent::MediaChanged { remote, local } => {
                if let Some(way) = way(&remote, &local) {
                    self.media.turn(way);
                }
            }
            LegEvent::HandoffRequested { .. } => self.world.scores().surprise("REFER at an agent"),
            LegEvent::Key(_)
            | LegEvent::OfferRefused { .. }
            | LegEvent::Transferred { .. }
            | LegEvent::ReferProgress { .. } => {}
        }
        false
    }

    /// True when the whisper begins.
    fn heard(&mut self, news: LegNews) -> bool {
        match news {
            LegNews::Heard(Heard::Sound, since) if !self.whispered => {
                self.whispered = true;
                self.world.scores().handoffs.whispered.record(since.saturating_sub(self.answered));
                return true;
            }
            LegNews::Heard(Heard::Stream(other), since) => {
                self.world.hears(self.media.stream, other, since);
                let accepted = self.world.ear(self.media.stream).and_then(|ear| ear.accepted);
                if role_of(other) == Some(Role::Caller) && accepted.is_none() {
                    self.world.scores().handoffs.leaked += 1;
                }
            }
            LegNews::Pressed(at) => self.world.with_ear(self.media.stream, |ear| ear.accepted = Some(at)),
            LegNews::Heard(Heard::Sound, _) | LegNews::Over { .. } => {}
        }
        false
    }
}

/// The next news; never after the last.
async fn next(news: &mut mpsc::Receiver<LegNews>) -> LegNews {
    match news.recv().await {
        Some(news) => news,
        None => std::future::pending().await,
    }
}
