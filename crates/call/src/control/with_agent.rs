//! Caller and agent talk. The handoff is over when one of them hangs up; a leg that breaks opens the next one.

use segue_acd::ReservationId;

use super::{State, core::Core, ending, handoff, news::News, reasons, timers::Timer};
use crate::{
    action::{Action, HangUpWhy},
    event::LegEnd,
    party::Party,
    policy::Message,
    record::{EndedBy, HandoffRecord},
    state::HandoffState,
};

/// Caller and agent talk.
#[derive(Debug)]
pub(crate) struct WithAgent {
    pub(crate) record: HandoffRecord,
    pub(crate) reservation: ReservationId,
    /// As it was spoken to the caller.
    pub(crate) name: String,
}

impl WithAgent {
    pub(crate) fn step(self: Box<Self>, news: News, core: &mut Core) -> State {
        match news {
            News::AgentGone(LegEnd::HungUp) => {
                core.wire_hold();
                self.close(HandoffState::Completed, core);
                ending::farewell(core, EndedBy::Agent, &[Message::Goodbye])
            }
            News::AgentGone(cause @ (LegEnd::Lost | LegEnd::Error)) => {
                core.wire_hold();
                self.close(HandoffState::Failed, core);
                handoff::open(core, reasons::agent_lost(&format!("{cause:?}")))
            }
            News::Due(Timer::Talk) => {
                core.wire_hold();
                core.hang_up(Party::Agent, HangUpWhy::Failed);
                self.close(HandoffState::Completed, core);
                ending::farewell(core, EndedBy::Us, &[Message::SorryBroken, Message::ThenEnd])
            }
            // A customer record that was slow is still worth reading.
            News::Learned => {
                core.rewrite_brief(Some(&self.record));
                let agent = self.record.agent.clone();
                if let (Some(agent), Some(brief)) = (agent, core.known.brief.clone()) {
                    core.act(Action::ShowBrief { agent, brief });
                }
                State::WithAgent(self)
            }
            News::BotUp
            | News::BotUnreached(_)
            | News::BotGone(_)
            | News::AgentRinging
            | News::AgentUp
            | News::AgentUnreached(_)
            | News::Choice(_)
            | News::Request(_)
            | News::Ticket(_)
            | News::Recalled(_)
            | News::Spoken(..)
            | News::Due(_) => State::WithAgent(self),
        }
    }

    /// Gives the agent back and ends the handoff.
    pub(crate) fn close(self: Box<Self>, state: HandoffState, core: &mut Core) {
        // The agent's next call may be offered at once: by then this one is told and kept as over.
        core.close_handoff(self.record, state);
        core.act(Action::AgentFree { reservation: self.reservation });
    }
}
