//! The agent's half of a handoff: held, dialled, briefed, accepted, introduced, bridged.
//!
//! What holds here, in this order and never otherwise: the brief is on the agent's screen before their phone is
//! dialled; the whisper is given to the agent's ear alone; only a choice made after the whisper began can accept; the bridge
//! closes only for an agent that accepted.

use segue_acd::{AgentId, Refusal, ReservationId};

use super::{
    State,
    core::{Core, Spoken},
    handoff::{AgentSide, Handoff, say_update},
    news::{Heard, News},
    timers::Timer,
    with_agent::WithAgent,
};
use crate::{
    action::{Action, HangUpWhy, Source, Style},
    event::{AgentChoice, DialFailure, LegEnd},
    party::Party,
    policy::Message,
    record::{Entry, Milestone},
    state::{HandoffState, Phase},
};

/// An agent held for the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) reservation: ReservationId,
    pub(crate) agent: AgentId,
    /// As it is spoken to the caller.
    pub(crate) name: String,
}

/// An agent is held: the brief is shown, then the phone is dialled.
pub(crate) fn offer(mut handoff: Box<Handoff>, offer: Offer, core: &mut Core) -> State {
    let agent = offer.agent.clone();
    handoff.agent = AgentSide::Offered(offer.clone());
    handoff.record.agent = Some(agent.clone());
    if let Some(brief) = core.known.brief.clone() {
        let (number, revision) = (handoff.record.handoff, brief.revision);
        core.act(Action::ShowBrief { agent: agent.clone(), brief });
        core.act(Action::Promise(Entry::BriefDelivered { handoff: number, agent: agent.clone(), revision }));
        handoff.record.brief_delivered = Some(core.now);
    }
    core.dial_agent(agent);
    handoff.enter(HandoffState::Offered, core);
    if let Some(prompt) = core.prompts.say(Message::Introduction, &[("agent", &offer.name)]) {
        core.act(Action::Prepare { prompt });
    }
    core.start_timer(Timer::Ring, core.policy.times.ring_max);
    State::HandingOff(handoff)
}

/// News about the agent's leg, the whisper or the agent's choice.
pub(crate) fn step(mut handoff: Box<Handoff>, news: News, core: &mut Core) -> State {
    let Some(offer) = handoff.agent.offer().cloned() else {
        return State::HandingOff(handoff);
    };
    match (&handoff.agent, news) {
        (AgentSide::Offered(_), News::AgentRinging) => {
            handoff.agent = AgentSide::Ringing(offer);
            handoff.enter(HandoffState::Ringing, core);
            State::HandingOff(handoff)
        }
        (AgentSide::Offered(_) | AgentSide::Ringing(_), News::AgentUp) => brief(handoff, offer, core),
        (AgentSide::Offered(_) | AgentSide::Ringing(_), News::Due(Timer::Ring)) => {
            refused(handoff, Refusal::NoAnswer, HangUpWhy::NoAnswer, core)
        }
        (_, News::AgentUnreached(failure)) => {
            refused(handoff, refusal_of(failure), HangUpWhy::Canceled, core)
        }
        (_, News::AgentGone(cause)) => refused(handoff, refusal_of_end(cause), HangUpWhy::Canceled, core),
        // On screen an agent can decline while the phone still rings; to accept they have to hear the brief.
        (AgentSide::Offered(_) | AgentSide::Ringing(_), News::Choice(AgentChoice::Decline)) => {
            refused(handoff, Refusal::Declined, HangUpWhy::NotAccepted, core)
        }
        (AgentSide::Briefing(_), News::Choice(choice)) => chosen(handoff, offer, choice, core),
        (AgentSide::Briefing(_), News::Due(Timer::Accept)) => {
            refused(handoff, Refusal::NoAnswer, HangUpWhy::NotAccepted, core)
        }
        (AgentSide::Briefing(_), News::Spoken(Spoken::Whisper, heard)) => {
            explain_keys(heard, core);
            State::HandingOff(handoff)
        }
        (AgentSide::Briefing(_), News::Due(Timer::Whisper)) => {
            core.hush_agent();
            State::HandingOff(handoff)
        }
        (_, _) => State::HandingOff(handoff),
    }
}

/// The agent answered: the brief is spoken to them and to nobody else.
fn brief(mut handoff: Box<Handoff>, offer: Offer, core: &mut Core) -> State {
    core.timers.stop(Timer::Ring);
    handoff.agent = AgentSide::Briefing(offer);
    handoff.record.answered = Some(core.now);
    core.wire(&[(Party::Agent, Source::Quiet)]);
    whisper(core);
    handoff.enter(HandoffState::Briefing, core);
    core.start_timer(Timer::Accept, core.policy.times.accept_max);
    State::HandingOff(handoff)
}

fn whisper(core: &mut Core) {
    let text = core.known.brief.as_ref().map(|brief| brief.whisper.clone()).unwrap_or_default();
    if text.is_empty() {
        explain_keys(Heard::No, core);
        return;
    }
    let prompt = core.prompts.prompt(text, Style::Whisper);
    core.say(Spoken::Whisper, prompt);
    core.start_timer(Timer::Whisper, core.policy.times.whisper_deadline);
}

/// The whisper is over and the agent has not chosen: tells them how.
fn explain_keys(heard: Heard, core: &mut Core) {
    let message = match heard {
        Heard::Yes => Message::WhisperKeys,
        Heard::No => Message::WhisperMissing,
    };
    core.timers.stop(Timer::Whisper);
    if let Some(prompt) = core.prompts.say(message, &[]) {
        core.say(Spoken::Keys, prompt);
        core.start_timer(Timer::Whisper, core.policy.times.whisper_deadline);
    }
}

fn chosen(mut handoff: Box<Handoff>, offer: Offer, choice: AgentChoice, core: &mut Core) -> State {
    match choice {
        AgentChoice::Accept => {
            core.hush_agent();
            stop_agent_timers(core);
            handoff.record.accepted = Some(core.now);
            let (number, agent) = (handoff.record.handoff, offer.agent.clone());
            handoff.agent = AgentSide::Accepted(offer);
            core.act(Action::Promise(Entry::Accepted { handoff: number, agent }));
            handoff.enter(HandoffState::Accepted, core);
            core.timers.stop(Timer::Update);
            if handoff.announced.is_some() { introduce(handoff, core) } else { State::HandingOff(handoff) }
        }
        AgentChoice::Decline => refused(handoff, Refusal::Declined, HangUpWhy::NotAccepted, core),
        AgentChoice::Repeat => {
            whisper(core);
            State::HandingOff(handoff)
        }
    }
}

/// Both sides are ready: the caller hears who comes, in place of any waiting message.
pub(crate) fn introduce(mut handoff: Box<Handoff>, core: &mut Core) -> State {
    let Some(offer) = handoff.agent.offer().cloned() else {
        return State::HandingOff(handoff);
    };
    let prompt = core.prompts.say(Message::Introduction, &[("agent", &offer.name)]);
    handoff.agent = AgentSide::Introducing(offer);
    let Some(prompt) = prompt else {
        core.hush_caller();
        return bridge(handoff, core);
    };
    core.say(Spoken::Introduction, prompt);
    core.start_timer(Timer::Introduction, core.policy.times.introduction_deadline);
    State::HandingOff(handoff)
}

/// Caller and agent hear each other, from one tick on. The bot goes.
pub(crate) fn bridge(handoff: Box<Handoff>, core: &mut Core) -> State {
    let AgentSide::Introducing(offer) = &handoff.agent else {
        return State::HandingOff(handoff);
    };
    let Offer { reservation, agent, name } = offer.clone();
    let mut record = handoff.record;
    core.timers.stop_all();
    record.bridged = Some(core.now);
    record.state = HandoffState::Bridged;
    let number = record.handoff;
    core.act(Action::Promise(Entry::Bridged { handoff: number, agent: agent.clone() }));
    core.hush_caller();
    core.wire(&[(Party::Caller, Source::Voice(Party::Agent)), (Party::Agent, Source::Voice(Party::Caller))]);
    core.act(Action::AgentTook { reservation });
    core.hang_up(Party::Bot, HangUpWhy::Replaced);
    core.publish(Milestone::Handoff { handoff: number, state: HandoffState::Bridged, agent: Some(agent) });
    core.enter(Phase::WithAgent);
    core.start_timer(Timer::Talk, core.policy.times.talk_max);
    State::WithAgent(Box::new(WithAgent { record, reservation, name }))
}

/// The agent does not take the call. Their leg goes down, the call goes to the front of the queue.
fn refused(mut handoff: Box<Handoff>, refusal: Refusal, why: HangUpWhy, core: &mut Core) -> State {
    let introduced = matches!(handoff.agent, AgentSide::Introducing(_));
    if let Some(offer) = handoff.agent.offer() {
        let (reservation, agent) = (offer.reservation, offer.agent.clone());
        drop_agent(&mut handoff, why, core);
        core.act(Action::AgentRefused { reservation, refusal });
        handoff.record.refused.push(agent);
    }
    if introduced {
        tell_lost(&handoff, core);
    }
    handoff.go_on(core)
}

/// The caller was told of somebody who will not come.
pub(crate) fn tell_lost(handoff: &Handoff, core: &mut Core) {
    if let Some(prompt) = core.prompts.say(Message::AgentLost, &[("queue", handoff.queue_words(core))]) {
        say_update(prompt, core);
    }
}

/// Takes the agent's leg down and forgets what was theirs. The reservation is the caller's business.
pub(crate) fn drop_agent(handoff: &mut Handoff, why: HangUpWhy, core: &mut Core) {
    if handoff.agent.offer().is_none() {
        return;
    }
    stop_agent_timers(core);
    core.hang_up(Party::Agent, why);
    handoff.agent = AgentSide::Queued(None);
    handoff.record.brief_delivered = None;
    handoff.record.answered = None;
    handoff.record.accepted = None;
}

fn stop_agent_timers(core: &mut Core) {
    for timer in [Timer::Ring, Timer::Accept, Timer::Whisper, Timer::Introduction] {
        core.timers.stop(timer);
    }
}

/// The brief was rewritten: the agent who reads it sees the newest.
pub(crate) fn show_again(handoff: &Handoff, core: &mut Core) {
    let (Some(offer), Some(brief)) = (handoff.agent.offer(), core.known.brief.clone()) else {
        return;
    };
    let (agent, revision) = (offer.agent.clone(), brief.revision);
    core.act(Action::ShowBrief { agent: agent.clone(), brief });
    core.act(Action::Note(Entry::BriefDelivered { handoff: handoff.record.handoff, agent, revision }));
}

fn refusal_of(failure: DialFailure) -> Refusal {
    match failure {
        DialFailure::Busy | DialFailure::Declined => Refusal::Busy,
        DialFailure::NoAnswer | DialFailure::Canceled => Refusal::NoAnswer,
        DialFailure::Unreachable | DialFailure::NoCommonCodec | DialFailure::ServerError => {
            Refusal::Unreachable
        }
    }
}

fn refusal_of_end(cause: LegEnd) -> Refusal {
    match cause {
        LegEnd::HungUp => Refusal::HungUp,
        LegEnd::Lost | LegEnd::Error => Refusal::Unreachable,
    }
}
