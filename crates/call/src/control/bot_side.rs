//! The caller and the bot: reaching it, talking to it, losing it.
//!
//! A preface (greeting, or the apology of a fallback) is spoken first, because a bot begins to talk the moment it
//! is connected and must not be talked over. Underneath, the caller's ear is wired to hold: there is no moment
//! without sound while the bot is dialled.

use std::time::Duration;

use super::{
    State,
    core::{Core, Spoken},
    ending, handoff,
    news::News,
    reasons,
    timers::Timer,
};
use crate::{
    action::{HangUpWhy, Prompt, Source},
    event::LegEnd,
    party::Party,
    policy::Message,
    record::EndedBy,
    state::Phase,
};

/// The bot is being reached.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Connecting {
    why: Why,
    stage: Stage,
}

/// Why the bot is being reached, which decides what its failure means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// The call begins. If the bot fails, a human takes its place.
    Arrival,
    /// A handoff came to nothing. If the bot fails too, nobody is left.
    Fallback,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The preface is being spoken.
    Preface,
    /// The bot is being dialled.
    Dialling,
}

/// Begins to connect the bot, with some words before.
pub(crate) fn connect(core: &mut Core, why: Why, preface: Option<Prompt>) -> State {
    core.timers.stop_all();
    core.stop_dialling_bot();
    core.enter(Phase::Connecting);
    match preface {
        Some(prompt) => {
            core.say(Spoken::Preface, prompt);
            core.start_timer(Timer::Prompt, core.policy.times.prompt_deadline);
            State::Connecting(Connecting { why, stage: Stage::Preface })
        }
        None => Connecting { why, stage: Stage::Preface }.reach(core),
    }
}

impl Connecting {
    pub(crate) fn step(self, news: News, core: &mut Core) -> State {
        match (self.stage, news) {
            (_, News::Request(request)) => handoff::open(core, request),
            (Stage::Preface, News::Spoken(Spoken::Preface, _) | News::Due(Timer::Prompt)) => self.reach(core),
            (Stage::Dialling, News::BotUp) => talk(core),
            (Stage::Dialling, News::BotUnreached(failure)) => self.bot_failed(core, &format!("{failure:?}")),
            (Stage::Dialling, News::BotGone(cause)) => self.bot_failed(core, &format!("{cause:?}")),
            (Stage::Dialling, News::Due(Timer::BotConnect)) => {
                core.hang_up(Party::Bot, HangUpWhy::NoAnswer);
                self.bot_failed(core, "no answer in time")
            }
            (_, News::Learned) => {
                core.refresh_brief();
                State::Connecting(self)
            }
            (Stage::Preface | Stage::Dialling, _) => State::Connecting(self),
        }
    }

    /// The preface is over: talk to the bot that is still there, or dial it.
    fn reach(self, core: &mut Core) -> State {
        core.hush_caller();
        core.timers.stop(Timer::Prompt);
        if core.legs.bot.is_up() {
            return talk(core);
        }
        if !core.dial_bot() {
            return self.bot_failed(core, "dialled too often");
        }
        core.start_timer(Timer::BotConnect, core.policy.times.bot_connect_max);
        State::Connecting(Self { stage: Stage::Dialling, ..self })
    }

    fn bot_failed(self, core: &mut Core, how: &str) -> State {
        match self.why {
            Why::Arrival => handoff::open(core, reasons::bot_failed(how)),
            Why::Fallback => ending::farewell(core, EndedBy::Us, &[Message::SorryBroken, Message::ThenEnd]),
        }
    }
}

/// Lets caller and bot hear each other.
fn talk(core: &mut Core) -> State {
    core.timers.stop_all();
    core.wire(&[(Party::Caller, Source::Voice(Party::Bot)), (Party::Bot, Source::Voice(Party::Caller))]);
    core.enter(Phase::WithBot);
    core.start_timer(Timer::Talk, core.policy.times.talk_max);
    State::WithBot(WithBot { since: core.now })
}

/// Caller and bot talk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WithBot {
    since: Duration,
}

impl WithBot {
    pub(crate) fn step(self, news: News, core: &mut Core) -> State {
        match news {
            News::Request(request) => handoff::open(core, request),
            News::BotGone(LegEnd::HungUp) if self.talked_enough(core) => {
                core.finish(EndedBy::Bot, HangUpWhy::PeerHungUp);
                State::Ended
            }
            News::BotGone(cause) => handoff::open(core, reasons::bot_failed(&format!("{cause:?}"))),
            News::BotUnreached(failure) => handoff::open(core, reasons::bot_failed(&format!("{failure:?}"))),
            News::Due(Timer::Talk) => {
                core.wire_hold();
                ending::farewell(core, EndedBy::Us, &[Message::SorryBroken, Message::ThenEnd])
            }
            News::BotUp
            | News::AgentRinging
            | News::AgentUp
            | News::AgentUnreached(_)
            | News::AgentGone(_)
            | News::Referred(_)
            | News::AgentMoved(_)
            | News::Choice(_)
            | News::Spoken(..)
            | News::Ticket(_)
            | News::Recalled(_)
            | News::Due(_) => State::WithBot(self),
            News::Learned => {
                core.refresh_brief();
                State::WithBot(self)
            }
        }
    }

    /// A bot that hangs up at once has not finished, it has failed.
    fn talked_enough(self, core: &Core) -> bool {
        core.now.saturating_sub(self.since) >= core.policy.times.bot_talk_min
    }
}
