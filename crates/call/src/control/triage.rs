//! From an event to news: whose leg, prompt or ticket it is. News of what is over ends here.

use segue_trigger::{Advice, Decision, Signal};

use super::{
    core::Core,
    heard,
    legs::Leg,
    news::{Heard, Moved, News, Request},
    reasons,
};
use crate::{
    action::{Action, HangUpWhy},
    event::{AgentChoice, Declared, DialFailure, Event, LegEnd, PlayedHow},
    party::{AttemptId, Party},
    record::Milestone,
};

/// What an event came to.
pub(crate) enum Triaged {
    /// It was late, or nobody's.
    Nothing,
    /// Timers may be due.
    Alarm,
    /// The caller's leg is gone.
    CallerGone(LegEnd),
    /// The gateway goes down.
    Shutdown,
    /// News for the state, in order.
    News(Vec<News>),
}

impl From<Option<News>> for Triaged {
    fn from(news: Option<News>) -> Self {
        news.map_or(Self::Nothing, |news| Self::News(vec![news]))
    }
}

/// Finds out what an event means. `before_bridge` tells whether the caller may still ask for a human.
pub(crate) fn triage(core: &mut Core, event: Event, before_bridge: bool) -> Triaged {
    match event {
        Event::Alarm => Triaged::Alarm,
        Event::Shutdown => Triaged::Shutdown,
        Event::Ringing { attempt } => ringing(core, attempt).into(),
        Event::Answered { attempt } => answered(core, attempt).into(),
        Event::Failed { attempt, failure } => failed(core, attempt, failure),
        Event::Ended { attempt, cause, declared } => ended(core, attempt, cause, declared),
        Event::Dead { attempt, .. } => dead(core, attempt),
        Event::BotDeclared(declared) => Triaged::News(bot_declared(core, declared, before_bridge)),
        Event::Key { attempt, key } => pressed(core, attempt, key, before_bridge),
        Event::Held { attempt, held } => {
            if let Some(party) = core.legs.party(attempt) {
                core.hold(party, held);
            }
            Triaged::Nothing
        }
        Event::Referred { attempt, queue } => {
            let request = || News::Referred(reasons::referred(&queue));
            (core.legs.party(attempt) == Some(Party::Agent)).then(request).into()
        }
        Event::Transferred { attempt, agent, name } => {
            let moved = News::AgentMoved(Moved { agent, name });
            (core.legs.party(attempt) == Some(Party::Agent)).then_some(moved).into()
        }
        Event::Heard(utterance) => Triaged::News(heard::heard(core, utterance, before_bridge)),
        Event::Voice(voice) => Triaged::News(heard::voice(core, voice, before_bridge)),
        Event::Language { language, by } => Triaged::News(heard::language(core, language, by)),
        Event::Played { playback, how } => {
            let how = match how {
                PlayedHow::Finished | PlayedHow::Stopped => Heard::Yes,
                PlayedHow::Failed => Heard::No,
            };
            core.spoken(playback).map(|what| News::Spoken(what, how)).into()
        }
        Event::Notice(notice) => Some(News::Ticket(notice)).into(),
        Event::Asked(order) => Some(News::Request(reasons::asked(&order))).into(),
        Event::Recalled { handoff } => Some(News::Recalled(handoff)).into(),
        Event::AgentChose { attempt, choice } => {
            (core.legs.party(attempt) == Some(Party::Agent)).then_some(News::Choice(choice)).into()
        }
        Event::Customer(found) => {
            core.known.customer = found;
            core.known.stale = true;
            Some(News::Learned).into()
        }
    }
}

fn ringing(core: &Core, attempt: AttemptId) -> Option<News> {
    (core.legs.agent == Leg::Dialling(attempt)).then_some(News::AgentRinging)
}

fn answered(core: &mut Core, attempt: AttemptId) -> Option<News> {
    if core.legs.bot == Leg::Dialling(attempt) {
        core.leg_up(Party::Bot);
        return Some(News::BotUp);
    }
    if core.legs.agent == Leg::Dialling(attempt) {
        core.leg_up(Party::Agent);
        return Some(News::AgentUp);
    }
    if core.legs.party(attempt).is_none() && core.legs.dialled_once(attempt) {
        // It answered while our hang-up was on its way.
        core.act(Action::HangUp { attempt, why: HangUpWhy::Canceled });
    }
    None
}

fn failed(core: &mut Core, attempt: AttemptId, failure: DialFailure) -> Triaged {
    match core.legs.party(attempt) {
        None => Triaged::Nothing,
        Some(Party::Caller) => {
            core.leg_gone(Party::Caller);
            Triaged::CallerGone(LegEnd::Error)
        }
        // A leg that was up cannot fail to be reached: whatever is meant, it is gone.
        Some(party @ (Party::Bot | Party::Agent)) if core.legs.is_up(party) => {
            ended(core, attempt, LegEnd::Error, None)
        }
        Some(Party::Bot) => {
            core.leg_gone(Party::Bot);
            Some(News::BotUnreached(failure)).into()
        }
        Some(Party::Agent) => {
            core.leg_gone(Party::Agent);
            Some(News::AgentUnreached(failure)).into()
        }
    }
}

fn ended(core: &mut Core, attempt: AttemptId, cause: LegEnd, declared: Option<Declared>) -> Triaged {
    match core.legs.party(attempt) {
        None => Triaged::Nothing,
        Some(Party::Caller) => {
            core.leg_gone(Party::Caller);
            Triaged::CallerGone(cause)
        }
        Some(Party::Bot) => {
            core.leg_gone(Party::Bot);
            match declared {
                Some(declared) => {
                    let request = reasons::declared(&declared);
                    core.known.declare(declared);
                    // Where a handoff is under way already, the request changes nothing and the brief is rewritten.
                    Triaged::News(vec![News::Request(request), News::BotGone(cause), News::Learned])
                }
                None => Some(News::BotGone(cause)).into(),
            }
        }
        Some(Party::Agent) => {
            core.leg_gone(Party::Agent);
            Some(News::AgentGone(cause)).into()
        }
    }
}

/// A leg that nothing is heard of is hung up, and counts as lost.
fn dead(core: &mut Core, attempt: AttemptId) -> Triaged {
    let Some(party) = core.legs.party(attempt).filter(|party| core.legs.is_up(*party)) else {
        return Triaged::Nothing;
    };
    core.hang_up(party, HangUpWhy::Dead);
    match party {
        Party::Caller => Triaged::CallerGone(LegEnd::Lost),
        Party::Bot => Some(News::BotGone(LegEnd::Lost)).into(),
        Party::Agent => Some(News::AgentGone(LegEnd::Lost)).into(),
    }
}

fn bot_declared(core: &mut Core, declared: Declared, before_bridge: bool) -> Vec<News> {
    if !before_bridge {
        return Vec::new();
    }
    let request = reasons::declared(&declared);
    core.known.declare(declared);
    vec![News::Request(request), News::Learned]
}

fn pressed(core: &mut Core, attempt: AttemptId, key: char, before_bridge: bool) -> Triaged {
    let agent_up = core.legs.agent.is_up();
    let choice = match (core.legs.party(attempt), key) {
        (Some(Party::Caller), _) if before_bridge => {
            let decision = core.triggers.observe(Signal::Key(key));
            return Triaged::News(decided(core, decision).into_iter().collect());
        }
        (Some(Party::Agent), '1') if agent_up => AgentChoice::Accept,
        (Some(Party::Agent), '2') if agent_up => AgentChoice::Decline,
        (Some(Party::Agent), '*') if agent_up => AgentChoice::Repeat,
        (None | Some(Party::Caller | Party::Bot | Party::Agent), _) => return Triaged::Nothing,
    };
    Some(News::Choice(choice)).into()
}

/// What a rule's decision comes to: a request, or news for subscribers only.
pub(crate) fn decided(core: &mut Core, decision: Option<Decision>) -> Option<News> {
    let decision = decision?;
    if decision.advice == Advice::Escalate {
        return Some(News::Request(Request { decision, queue: None }));
    }
    core.publish(Milestone::Decided(decision));
    None
}
