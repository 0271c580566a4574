//! The life of one call as a state machine.
//!
//! ```text
//!  new ─► connecting ─► with bot ─► handing off ─► with agent ─► ending ─► ended
//!             │ ▲           ▲  └───────►  │ │          │            ▲
//!             │ │           └── preface ◄─┘ │          └────────────┤ goodbye
//!             └─┼──────► bot failed ───────►┘                       │
//!               └────────── fallback: apology, bot again ───────────┘ no bot either
//! ```
//! An event is first triaged into [`News`](news::News): whose leg, prompt or ticket it is, and whether it is late.
//! What is late ends there. The state then takes the news and gives the next state. From every state the caller's
//! hang-up leads straight to the end and a shutdown to the last words.

mod agent_side;
mod bot_side;
mod briefing;
mod core;
mod ears;
mod ending;
mod handoff;
mod heard;
mod known;
mod legs;
mod news;
mod overlap;
mod reasons;
mod routing;
mod timers;
mod transcript;
mod triage;
mod view;
mod waiting;
mod with_agent;

use std::{sync::Arc, time::Duration};

use segue_trigger::RuleSet;

use self::{
    bot_side::{Connecting, Why, WithBot},
    core::Core,
    ending::Ending,
    handoff::Handoff,
    news::News,
    timers::Timer,
    triage::Triaged,
    with_agent::WithAgent,
};
use crate::{
    action::{Action, HangUpWhy},
    event::{Event, LegEnd},
    party::{AttemptId, Party},
    policy::{Message, Policy},
    record::{EndedBy, Milestone},
    start::CallStart,
    state::HandoffState,
};

pub use view::{CallView, HandoffView};

/// One call.
///
/// The driver's duty: carry out every action that [`poll_action`](Self::poll_action) gives, in order; then wait for
/// one event, or for the time that [`poll_timeout`](Self::poll_timeout) names and give
/// [`Event::Alarm`]; hand it in; begin again. After [`Action::Finished`] the call is over and can be dropped.
#[derive(Debug)]
pub struct Call {
    core: Core,
    state: State,
}

/// Where the call is. Each variant holds what only it needs; what all share is in [`Core`].
#[derive(Debug)]
enum State {
    Connecting(Connecting),
    WithBot(WithBot),
    HandingOff(Box<Handoff>),
    WithAgent(Box<WithAgent>),
    Ending(Ending),
    Ended,
}

impl Call {
    /// Takes a call in: it is answered, and the bot is reached. `rules` are compiled once for all calls.
    pub fn new(start: CallStart, policy: Arc<Policy>, rules: Arc<RuleSet>) -> Self {
        let mut core = Core::new(start, policy, rules);
        core.act(Action::AnswerCaller);
        core.publish(Milestone::Leg { attempt: AttemptId::CALLER, party: Party::Caller, up: true });
        core.wire_hold();
        let greeting = core.prompts.say(Message::Greeting, &[]);
        let state = bot_side::connect(&mut core, Why::Arrival, greeting);
        Self { core, state }
    }

    /// Tells the call what happened. Time never runs backwards here: an earlier `now` counts as the latest one.
    pub fn handle(&mut self, now: Duration, event: Event) {
        if matches!(self.state, State::Ended) {
            return;
        }
        self.core.now = self.core.now.max(now);
        let before_bridge = self.before_bridge();
        match triage::triage(&mut self.core, event, before_bridge) {
            Triaged::Nothing => {}
            Triaged::Alarm => self.alarm(),
            Triaged::CallerGone(how) => self.leave(End::CallerGone(how)),
            Triaged::Shutdown => self.leave(End::Shutdown),
            Triaged::News(news) => {
                for news in news {
                    self.step(news);
                }
            }
        }
    }

    /// The next thing to be done.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.core.take_action()
    }

    /// When the call wants [`Event::Alarm`]. `None` only when it is over.
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.core.timers.next()
    }

    fn before_bridge(&self) -> bool {
        match self.state {
            State::Connecting(_) | State::WithBot(_) | State::HandingOff(_) => true,
            State::WithAgent(_) | State::Ending(_) | State::Ended => false,
        }
    }

    /// Fires every timer that is due, the earliest first.
    fn alarm(&mut self) {
        // A timer that starts another one for the same moment cannot keep the call here for ever.
        for _ in 0..ALARMS_MAX {
            match self.core.timers.take_due(self.core.now) {
                Some(Timer::Echo) => {
                    let before_bridge = self.before_bridge();
                    for news in heard::release(&mut self.core, before_bridge, false) {
                        self.step(news);
                    }
                }
                Some(timer) => self.step(News::Due(timer)),
                None => break,
            }
        }
    }

    fn step(&mut self, news: News) {
        let core = &mut self.core;
        self.state = match std::mem::replace(&mut self.state, State::Ended) {
            State::Connecting(state) => state.step(news, core),
            State::WithBot(state) => state.step(news, core),
            State::HandingOff(state) => state.step(news, core),
            State::WithAgent(state) => state.step(news, core),
            State::Ending(state) => state.step(&news, core),
            State::Ended => State::Ended,
        };
    }

    /// The end from any state: the handoff or the conversation is closed, then the call.
    fn leave(&mut self, end: End) {
        let core = &mut self.core;
        let why = match end {
            End::CallerGone(_) => HangUpWhy::PeerHungUp,
            End::Shutdown => HangUpWhy::ShuttingDown,
        };
        let mut by = match end {
            End::CallerGone(LegEnd::HungUp) => EndedBy::Caller,
            End::CallerGone(LegEnd::Lost | LegEnd::Error) => EndedBy::Lost,
            End::Shutdown => EndedBy::Us,
        };
        let mut cut_short = false;
        if matches!(end, End::Shutdown) {
            core.wire_hold();
        }
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Connecting(_) | State::WithBot(_) | State::Ended => {}
            State::HandingOff(handoff) => {
                let why = match end {
                    End::CallerGone(_) => HangUpWhy::Canceled,
                    End::Shutdown => HangUpWhy::ShuttingDown,
                };
                handoff.cancel(why, core);
            }
            State::WithAgent(talk) => {
                core.hang_up(Party::Agent, why);
                talk.close(HandoffState::Completed, core);
            }
            // The last words are cut short: by the caller, or by a shutdown that cannot wait for them.
            State::Ending(ending) => {
                by = ending.by;
                cut_short = true;
            }
        }
        self.state = match end {
            End::Shutdown if !cut_short => ending::farewell_because(core, by, &[Message::ShuttingDown], why),
            End::CallerGone(_) | End::Shutdown => {
                core.finish(by, why);
                State::Ended
            }
        };
    }
}

/// What ends a call from outside its rules.
#[derive(Clone, Copy, Debug)]
enum End {
    CallerGone(LegEnd),
    Shutdown,
}

/// As many timers as there are reasons, twice.
const ALARMS_MAX: usize = 24;
