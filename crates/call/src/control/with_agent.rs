//! Caller and agent talk. The handoff is over when one of them hangs up; a leg that breaks opens the next one, and so
//! does an agent who gives the caller to a queue. An agent who gave their side of the call to somebody else is free:
//! their handoff is complete, and one of its own tells of the other.

use std::sync::Arc;

use segue_acd::ReservationId;

use super::{
    State,
    core::Core,
    ending, handoff,
    news::{Moved, News},
    reasons,
    timers::Timer,
};
use crate::{
    action::{Action, HangUpWhy},
    event::LegEnd,
    party::Party,
    policy::Message,
    record::{EndedBy, Entry, HandoffRecord, Milestone},
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
            News::Referred(request) => {
                core.wire_hold();
                core.hang_up(Party::Agent, HangUpWhy::Replaced);
                self.close(HandoffState::Completed, core);
                handoff::open(core, request)
            }
            News::AgentMoved(moved) => self.moved(moved, core),
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

    /// Somebody else speaks on the agent's leg: the bridge stands, whose it is changes.
    fn moved(mut self: Box<Self>, Moved { agent, name }: Moved, core: &mut Core) -> State {
        if agent.is_some() && agent == self.record.agent {
            return State::WithAgent(self);
        }
        let request = reasons::moved(agent.as_ref());
        let before = HandoffRecord::new(0, request.decision.primary.clone(), core.now);
        core.close_handoff(std::mem::replace(&mut self.record, before), HandoffState::Completed);
        core.act(Action::AgentMoved { reservation: self.reservation, to: agent.clone() });
        let handoff = core.next_handoff();
        self.record.handoff = handoff;
        self.record.agent.clone_from(&agent);
        self.record.bridged = Some(core.now);
        self.record.state = HandoffState::Bridged;
        self.name = name;
        core.publish(Milestone::Decided(request.decision.clone()));
        core.rewrite_brief(Some(&self.record));
        if let Some(brief) = core.known.brief.clone() {
            let decision = request.decision;
            core.act(Action::Promise(Entry::HandoffOpened { handoff, decision, brief: Arc::clone(&brief) }));
            if let Some(agent) = agent.clone() {
                core.act(Action::ShowBrief { agent, brief });
            }
        }
        if let Some(agent) = agent.clone() {
            core.act(Action::Promise(Entry::Bridged { handoff, agent }));
        }
        core.publish(Milestone::Handoff { handoff, state: HandoffState::Bridged, agent });
        State::WithAgent(self)
    }

    /// Gives the agent back and ends the handoff.
    pub(crate) fn close(self: Box<Self>, state: HandoffState, core: &mut Core) {
        // The agent's next call may be offered at once: by then this one is told and kept as over.
        core.close_handoff(self.record, state);
        core.act(Action::AgentFree { reservation: self.reservation });
    }
}
