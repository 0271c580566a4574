//! A snapshot of a call for pages and the API. It is told, never kept: the call itself is the truth.

use std::{sync::Arc, time::Duration};

use segue_acd::{AgentId, Language, QueueId, WaitEstimate};
use segue_trigger::Utterance;

use super::{Call, State, handoff::AgentSide};
use crate::{
    brief::Brief,
    context::HandoffRequest,
    conversation::Conversation,
    party::{CallId, Party},
    record::HandoffRecord,
    start::CallerIdentity,
    state::Phase,
};

/// What can be seen of a call.
#[derive(Clone, Debug, PartialEq)]
pub struct CallView {
    /// Which call.
    pub id: CallId,
    /// Who calls.
    pub caller: CallerIdentity,
    /// When it began, since the Unix epoch.
    pub started: Duration,
    /// Where it is.
    pub phase: Phase,
    /// The parties whose legs are up.
    pub legs: Vec<Party>,
    /// The handoff under way or bridged.
    pub handoff: Option<HandoffView>,
    /// The handoffs that are over, in order.
    pub closed: Vec<HandoffRecord>,
    /// Final utterances, in order.
    pub transcript: Vec<Utterance>,
    /// Utterances that still grow.
    pub partials: Vec<Utterance>,
    /// Final utterances that were dropped at the limit; they came before the first one here.
    pub transcript_dropped: u32,
    /// The newest brief.
    pub brief: Option<Arc<Brief>>,
    /// The caller's language, as far as it is known.
    pub language: Language,
    /// Who spoke over whom, so far.
    pub conversation: Conversation,
}

/// What can be seen of a handoff.
#[derive(Clone, Debug, PartialEq)]
pub struct HandoffView {
    /// Its number, state, reason and times.
    pub record: HandoffRecord,
    /// The queue it waits or waited in.
    pub queue: Option<QueueId>,
    /// The caller's place and expected wait, while known.
    pub place: Option<(u32, WaitEstimate)>,
    /// The agent who is asked, accepted or talks.
    pub agent: Option<AgentId>,
    /// The agent's spoken name.
    pub agent_name: Option<String>,
}

impl Call {
    /// A snapshot.
    pub fn view(&self) -> CallView {
        let core = &self.core;
        let parties = [Party::Caller, Party::Bot, Party::Agent];
        CallView {
            id: core.start.id.clone(),
            caller: core.start.caller.clone(),
            started: core.start.at,
            phase: self.phase(),
            legs: parties.into_iter().filter(|party| core.legs.is_up(*party)).collect(),
            handoff: self.handoff_view(),
            closed: core.closed.clone(),
            transcript: core.known.transcript.finals().to_vec(),
            partials: core.known.transcript.partials().cloned().collect(),
            transcript_dropped: core.known.transcript.dropped(),
            brief: core.known.brief.clone(),
            language: core.speech.language.clone(),
            conversation: core.speech.overlap.sum(),
        }
    }

    /// Whether what is said now may decide when or how the caller is handed over: a handoff is under way and not yet
    /// bridged, or a request was heard that the next words confirm.
    pub fn is_near_handoff(&self) -> bool {
        matches!(self.state, State::HandingOff(_)) || self.waits_for_words()
    }

    /// Whether a rule waits for the caller's next words.
    pub fn waits_for_words(&self) -> bool {
        self.before_bridge() && self.core.triggers.waits_for_words()
    }

    /// Where the call is.
    pub fn phase(&self) -> Phase {
        self.core.phase.unwrap_or(Phase::Connecting)
    }

    /// The wire object of a handoff (C10) from what is known now. `None` before anything was said or asked.
    pub fn handoff_request(&self) -> Option<HandoffRequest> {
        self.core.handoff_request()
    }

    fn handoff_view(&self) -> Option<HandoffView> {
        match &self.state {
            State::HandingOff(handoff) => Some(HandoffView {
                record: handoff.record.clone(),
                queue: Some(handoff.queue.clone()),
                place: match handoff.agent {
                    AgentSide::Queued(place) => place.map(|place| (place.position, place.wait)),
                    AgentSide::Asked
                    | AgentSide::Offered(_)
                    | AgentSide::Ringing(_)
                    | AgentSide::Briefing(_)
                    | AgentSide::Accepted(_)
                    | AgentSide::Introducing(_) => None,
                },
                agent: handoff.agent.offer().map(|offer| offer.agent.clone()),
                agent_name: handoff.agent.offer().map(|offer| offer.name.clone()),
            }),
            State::WithAgent(talk) => Some(HandoffView {
                record: talk.record.clone(),
                queue: self.core.known.queue.clone(),
                place: None,
                agent: talk.record.agent.clone(),
                agent_name: Some(talk.name.clone()).filter(|name| !name.is_empty()),
            }),
            State::Connecting(_) | State::WithBot(_) | State::Ending(_) | State::Ended => None,
        }
    }
}
