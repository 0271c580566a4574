//! The last words: everybody but the caller is hung up, the caller hears why, then the line closes.

use super::{
    State,
    core::{Core, Spoken},
    news::News,
    timers::Timer,
};
use crate::{action::HangUpWhy, party::Party, policy::Message, record::EndedBy, state::Phase};

/// The last words are being spoken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ending {
    pub(crate) by: EndedBy,
}

/// Says the last words, over what the caller's ear is wired to by then, and then ends the call. Without words it ends at once.
pub(crate) fn farewell(core: &mut Core, by: EndedBy, words: &[Message]) -> State {
    let why = match by {
        EndedBy::Us | EndedBy::Lost => HangUpWhy::Failed,
        EndedBy::Caller | EndedBy::Bot | EndedBy::Agent => HangUpWhy::PeerHungUp,
    };
    farewell_because(core, by, words, why)
}

/// The same, with the reason that the other legs are given.
pub(crate) fn farewell_because(core: &mut Core, by: EndedBy, words: &[Message], why: HangUpWhy) -> State {
    core.timers.stop_all();
    let queue = core.prompts.queue_words(&core.policy.routes.default_queue).to_owned();
    let Some(prompt) = core.prompts.sequence(words, &[("queue", &queue)]) else {
        core.finish(by, why);
        return State::Ended;
    };
    core.say(Spoken::Farewell, prompt);
    core.hang_up(Party::Agent, why);
    core.hang_up(Party::Bot, why);
    core.enter(Phase::Ending);
    core.start_timer(Timer::Farewell, core.policy.times.farewell_deadline);
    State::Ending(Ending { by })
}

impl Ending {
    pub(crate) fn step(self, news: &News, core: &mut Core) -> State {
        match news {
            News::Spoken(Spoken::Farewell, _) | News::Due(Timer::Farewell) => {
                let why = match self.by {
                    EndedBy::Us | EndedBy::Lost => HangUpWhy::Failed,
                    EndedBy::Caller | EndedBy::Bot | EndedBy::Agent => HangUpWhy::PeerHungUp,
                };
                core.finish(self.by, why);
                State::Ended
            }
            News::Spoken(..)
            | News::Due(_)
            | News::BotUp
            | News::BotUnreached(_)
            | News::BotGone(_)
            | News::AgentRinging
            | News::AgentUp
            | News::AgentUnreached(_)
            | News::AgentGone(_)
            | News::Referred(_)
            | News::AgentMoved(_)
            | News::Choice(_)
            | News::Request(_)
            | News::Ticket(_)
            | News::Recalled(_)
            | News::Learned => State::Ending(self),
        }
    }
}
