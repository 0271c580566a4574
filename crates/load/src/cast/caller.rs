//! A caller: calls at the scheduled moment, talks, asks for a human if that is the play, and hangs up.

use std::sync::Arc;

use segue_sip::{Caller, DialEvent, DialOptions, DialRequest, Ended, HangUp, Leg, LegEvent, Target};
use tokio::sync::mpsc;

use super::{Up, World, description, way};
use crate::{
    clock::{Nanos, nanos, now, sleep_until},
    hearing::Heard,
    options::{AskBy, Scenario},
    plane::{LegNews, MediaLeg, role_of},
    words::Role,
};

/// How long a call may take to be answered.
const RING_MAX: std::time::Duration = std::time::Duration::from_secs(30);
/// How long the far side may take to answer a BYE.
const BYE_MAX: std::time::Duration = std::time::Duration::from_secs(5);

/// One call, due at a moment.
pub(crate) async fn call(world: Arc<World>, number: u64, due: Nanos) {
    {
        let mut scores = world.scores();
        scores.begun += 1;
        scores.begun_late.record(now().saturating_sub(due));
    }
    if world.play.scenario == Scenario::Pairs {
        let outcome = super::pair::talk(&world, number, due).await;
        conclude(&world, outcome);
        return;
    }
    let Some(media) = world.open(Role::Caller) else {
        world.scores().not_begun += 1;
        return;
    };
    let _up = Up::new(&world);
    let stream = media.stream;
    let outcome = Conversation { world: &world, due, media, news: None, asked: None }.go(number).await;
    world.forget(stream);
    conclude(&world, outcome);
}

fn conclude(world: &World, outcome: Result<(), String>) {
    let mut scores = world.scores();
    match outcome {
        Ok(()) => scores.succeeded += 1,
        Err(reason) => scores.fail(reason),
    }
}

struct Conversation<'a> {
    world: &'a World,
    due: Nanos,
    media: MediaLeg,
    news: Option<mpsc::Receiver<LegNews>>,
    /// When key 0 was due, until the announcement is heard.
    asked: Option<Nanos>,
}

/// What the next news of a call means.
enum Step {
    GoOn,
    BridgedWithAgent,
}

impl Conversation<'_> {
    async fn go(mut self, number: u64) -> Result<(), String> {
        let mut leg = self.dial(number).await?;
        let talked = match self.world.play.scenario {
            Scenario::Setup => self.wait(&mut leg, self.due + nanos(self.world.play.hold)).await.map(drop),
            Scenario::Bridge | Scenario::Pairs => self.talk(&mut leg).await,
            Scenario::Handoff => self.be_handed_over(&mut leg).await,
        };
        if self.world.is_crossed(self.media.stream) {
            self.world.scores().crossed += 1;
        }
        self.hang_up(leg).await;
        talked
    }

    async fn dial(&mut self, number: u64) -> Result<Leg, String> {
        let play = &self.world.play;
        let request = DialRequest {
            to: Target::Uri(play.uri.clone()),
            from: Caller { user: format!("caller{number}"), display: None },
            headers: Vec::new(),
            offer: description(play, Role::Caller, self.media.address)?,
            ring_max: RING_MAX,
            handoff_allowed: false,
            credentials: play.credentials.clone(),
            options: DialOptions::default(),
        };
        let mut dialing = self.world.sip.dial(request).await;
        loop {
            match dialing.next().await {
                Some(DialEvent::Answered(leg)) => {
                    let mut scores = self.world.scores();
                    scores.answered += 1;
                    scores.setup.record(now().saturating_sub(self.due));
                    drop(scores);
                    return Ok(*leg);
                }
                Some(DialEvent::Ringing | DialEvent::EarlyMedia { .. }) => {}
                Some(DialEvent::Failed(failure)) => {
                    let code = failure.code.map(|code| format!("{code} ")).unwrap_or_default();
                    return Err(format!("{code}{:?}: {}", failure.kind, failure.reason));
                }
                None => return Err("the signalling ended".to_owned()),
            }
        }
    }

    /// Sound both ways to the end of the call.
    async fn talk(&mut self, leg: &mut Leg) -> Result<(), String> {
        self.open(leg)?;
        self.wait(leg, self.due + nanos(self.world.play.hold)).await?;
        self.heard_anybody(Role::Bot)
    }

    fn heard_anybody(&self, role: Role) -> Result<(), String> {
        let hears = self.world.ear(self.media.stream).and_then(|ear| ear.hears);
        match hears.and_then(|(other, _)| role_of(other)) {
            Some(heard) if heard == role => Ok(()),
            Some(_) | None => Err(format!("the {} was never heard", role.name())),
        }
    }

    fn open(&mut self, leg: &Leg) -> Result<(), String> {
        let agreed = leg.remote().and_then(|remote| way(remote, leg.local()));
        let way = agreed.ok_or("no codec was agreed")?;
        self.news = Some(self.media.start(way));
        Ok(())
    }

    /// The bot first; key 0; then whatever comes until the agent is heard; then the conversation.
    async fn be_handed_over(&mut self, leg: &mut Leg) -> Result<(), String> {
        self.open(leg)?;
        let play = &self.world.play;
        let ask = self.due + nanos(play.ask_after);
        self.wait(leg, ask).await?;
        self.heard_anybody(Role::Bot)?;
        self.world.scores().handoffs.asked += 1;
        self.asked = Some(ask);
        match play.ask_by {
            AskBy::Key => self.media.press('0'),
            AskBy::Refer => self.world.ask_bot_of(self.media.stream),
        }
        let limit = ask + nanos(play.handoff_max);
        match self.wait(leg, limit).await? {
            Step::BridgedWithAgent => {}
            Step::GoOn if self.world.curtain.is_cancelled() => return Ok(()),
            Step::GoOn => return Err("no agent was heard in time".to_owned()),
        }
        let talked = self.wait(leg, now() + nanos(play.talk)).await;
        self.judge_bridge(ask);
        talked.map(drop)
    }

    /// What the bridge came to, seen from both ears.
    fn judge_bridge(&self, asked: Nanos) {
        let Some((_, heard)) = self.world.ear(self.media.stream).and_then(|ear| ear.hears) else {
            return;
        };
        let agent = self.world.counterpart(self.media.stream);
        let other = agent.and_then(|agent| self.world.ear(agent)).unwrap_or_default();
        let mut scores = self.world.scores();
        scores.handoffs.bridged += 1;
        scores.handoffs.rung.record(other.rung.saturating_sub(asked));
        match other.accepted {
            Some(accepted) => {
                let back = other.hears.map_or(heard, |(_, since)| since);
                scores.handoffs.bridged_after.record(heard.max(back).saturating_sub(accepted));
            }
            None => scores.handoffs.leaked += 1,
        }
    }

    /// Follows what happens until a moment; ends early if an agent is heard or the curtain falls.
    async fn wait(&mut self, leg: &mut Leg, until: Nanos) -> Result<Step, String> {
        let curtain = self.world.curtain.clone();
        let end = sleep_until(until);
        tokio::pin!(end);
        loop {
            tokio::select! {
                () = &mut end => return Ok(Step::GoOn),
                () = curtain.cancelled() => return Ok(Step::GoOn),
                event = leg.next() => self.signalled(event)?,
                news = next(&mut self.news) => {
                    if let Some(step) = self.heard(news) {
                        return Ok(step);
                    }
                }
            }
        }
    }

    fn signalled(&mut self, event: LegEvent) -> Result<(), String> {
        match event {
            LegEvent::Ended(Ended::Remote { .. }) => Err("the target hung up".to_owned()),
            LegEvent::Ended(Ended::Local) => Err("the signalling ended".to_owned()),
            LegEvent::Ended(Ended::Timeout) => Err("the target did not send ACK".to_owned()),
            LegEvent::Ended(Ended::Error(error)) => Err(error),
            LegEvent::MediaChanged { remote, local } => {
                if let Some(way) = way(&remote, &local) {
                    self.media.turn(way);
                }
                Ok(())
            }
            LegEvent::HandoffRequested { .. } => {
                self.world.scores().surprise("REFER at a caller");
                Ok(())
            }
            LegEvent::Key(_)
            | LegEvent::OfferRefused { .. }
            | LegEvent::Transferred { .. }
            | LegEvent::ReferProgress { .. } => Ok(()),
        }
    }

    fn heard(&mut self, news: LegNews) -> Option<Step> {
        match news {
            LegNews::Heard(Heard::Stream(other), since) => {
                let first = self.world.ear(self.media.stream).and_then(|ear| ear.hears).is_none();
                self.world.hears(self.media.stream, other, since);
                if first {
                    self.world.scores().first_sound.record(since.saturating_sub(self.due));
                }
                (role_of(other) == Some(Role::Agent)).then_some(Step::BridgedWithAgent)
            }
            LegNews::Heard(Heard::Sound, since) => {
                if let Some(asked) = self.asked.filter(|asked| since >= *asked) {
                    self.asked = None;
                    self.world.scores().handoffs.announced.record(since - asked);
                }
                None
            }
            LegNews::Pressed(_) | LegNews::Over { .. } => None,
        }
    }

    async fn hang_up(&mut self, mut leg: Leg) {
        let was_up = self.news.is_some();
        self.media.stop();
        let silence = async {
            loop {
                match next(&mut self.news).await {
                    LegNews::Over { silence } => return silence,
                    LegNews::Heard(..) | LegNews::Pressed(_) => {}
                }
            }
        };
        if was_up && let Ok(silence) = tokio::time::timeout(BYE_MAX, silence).await {
            self.world.scores().dead_air.record(silence);
        }
        leg.hang_up(HangUp::default()).await;
        let ended = async { while !matches!(leg.next().await, LegEvent::Ended(_)) {} };
        if tokio::time::timeout(BYE_MAX, ended).await.is_err() {
            self.world.scores().surprise("BYE was not answered in time");
        }
    }
}

/// The next news; never if there is no sound.
async fn next(news: &mut Option<mpsc::Receiver<LegNews>>) -> LegNews {
    if let Some(inbox) = news {
        if let Some(news) = inbox.recv().await {
            return news;
        }
        *news = None;
    }
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_news_come_from_a_leg_without_sound() {
        let mut none = None;
        let soon = std::time::Duration::from_millis(1);
        assert!(tokio::time::timeout(soon, next(&mut none)).await.is_err());
        let (sender, inbox) = mpsc::channel(1);
        let mut some = Some(inbox);
        sender.send(LegNews::Over { silence: 7 }).await.unwrap();
        assert_eq!(next(&mut some).await, LegNews::Over { silence: 7 });
        drop(sender);
        assert!(tokio::time::timeout(soon, next(&mut some)).await.is_err());
    }
}
