//! How the picture of a call follows from what the call does: live from its actions, later from what was kept.
//!
//! For a call that is over, [`CallSnapshot::new`], then [`CallSnapshot::keep`] for each stored entry and
//! [`CallSnapshot::hear`] for each stored utterance give the same picture that it had when it ended. A call that a
//! crash cut off has kept no end of its own: [`CallSnapshot::cut_off`] gives it one.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use segue_acd::{AgentId, Language};
use segue_call::{
    Action, AttemptId, CallId, CallRecord, Conversation, ConversationNews, Entry, HandoffRecord,
    HandoffState, Milestone, Party, Phase,
};
use segue_trigger::{Reason, Stage, Utterance};

use crate::snapshot::{CallEnd, CallOutline, CallSnapshot, HandoffSnapshot, LegSnapshot};

impl CallSnapshot {
    /// A call that has just arrived. `at` is since the Unix epoch; `caller` is the number, empty if withheld.
    #[must_use]
    pub fn new(id: CallId, at: Duration, caller: String, language: Language) -> Self {
        let outline = CallOutline {
            id,
            started: at,
            ended: None,
            phase: Phase::Connecting,
            caller,
            language,
            utterances: 0,
            handoffs: 0,
            handoff: None,
            reason: None,
            agent: None,
        };
        Self {
            outline,
            legs: Vec::new(),
            transcript: Vec::new(),
            gaps: Vec::new(),
            handoffs: Vec::new(),
            bot_confidence: None,
            conversation: Conversation::default(),
            echoes: BTreeMap::new(),
        }
    }

    /// Brings the picture up to date with what the call does.
    pub fn see(&mut self, at: Duration, action: &Action) {
        match action {
            Action::Publish(milestone) => self.note(at, milestone),
            Action::Promise(entry) | Action::Note(entry) => self.keep(at, entry),
            Action::Enqueue { ticket } => {
                if let Some(handoff) = self.handoffs.last_mut() {
                    handoff.queue = Some(ticket.queue.clone());
                    handoff.skills.clone_from(&ticket.skills);
                }
            }
            Action::AnswerCaller
            | Action::RefuseCaller { .. }
            | Action::Dial { .. }
            | Action::HangUp { .. }
            | Action::Wire { .. }
            | Action::Play { .. }
            | Action::StopPlay { .. }
            | Action::Prepare { .. }
            | Action::Withdraw { .. }
            | Action::AgentRefused { .. }
            | Action::AgentTook { .. }
            | Action::AgentFree { .. }
            | Action::AgentMoved { .. }
            | Action::ShowBrief { .. }
            | Action::Finished => {}
        }
    }

    /// Brings the picture up to date with something that the call published.
    pub fn note(&mut self, at: Duration, milestone: &Milestone) {
        match milestone {
            Milestone::Phase { phase } => self.outline.phase = *phase,
            Milestone::Heard(utterance) => self.hear(utterance),
            Milestone::Decided(decision) => self.outline.reason = Some(decision.primary.code.clone()),
            Milestone::Handoff { handoff, state, agent } => self.moved(at, *handoff, *state, agent.as_ref()),
            Milestone::Waiting { position, wait } => {
                if let Some(handoff) = self.handoffs.last_mut() {
                    handoff.waiting = Some((*position, *wait));
                }
            }
            Milestone::Saying { .. } | Milestone::Recording(_) | Milestone::TranscriptGap(_) => {}
            Milestone::Conversation(news) => self.went(news),
            Milestone::Leg { attempt, party, up } => {
                self.leg(*attempt, *party).up = *up;
            }
            Milestone::Quality { attempt, party, quality, .. } => {
                self.leg(*attempt, *party).quality = Some(*quality);
            }
            Milestone::Brief(brief) => {
                if let Some(handoff) =
                    self.handoffs.iter_mut().find(|known| known.record.handoff == brief.handoff)
                {
                    handoff.brief = Some(Arc::clone(brief));
                }
            }
            Milestone::Ended { by } => {
                self.outline.phase = Phase::Ended;
                self.outline.ended = Some(CallEnd { at, by: Some(*by) });
            }
        }
    }

    /// Brings the picture up to date with something that the call keeps.
    pub fn keep(&mut self, at: Duration, entry: &Entry) {
        match entry {
            Entry::HandoffOpened { handoff, decision, brief } => {
                self.outline.reason = Some(decision.primary.code.clone());
                let known = self.handoff(at, *handoff);
                known.record.reason = decision.primary.clone();
                known.record.contributing.clone_from(&decision.contributing);
                known.brief = Some(Arc::clone(brief));
                self.last_state(*handoff);
            }
            Entry::Ticket { handoff, queue, .. } => {
                self.handoff(at, *handoff).queue = Some(queue.clone());
            }
            Entry::BriefDelivered { handoff, agent, .. } => {
                let record = &mut self.handoff(at, *handoff).record;
                if record.agent.as_ref() != Some(agent) || record.brief_delivered.is_none() {
                    record.brief_delivered = Some(at);
                }
                self.asked(*handoff, at, Some(agent));
            }
            Entry::Accepted { handoff, agent } => {
                self.moved(at, *handoff, HandoffState::Accepted, Some(agent))
            }
            Entry::Bridged { handoff, agent } => self.moved(at, *handoff, HandoffState::Bridged, Some(agent)),
            Entry::HandoffClosed { handoff, state } => {
                let agent = self.handoff(at, *handoff).record.agent.clone();
                self.moved(at, *handoff, *state, agent.as_ref());
            }
            Entry::Echo { utterance, rest } => {
                self.echoes.insert(*utterance, rest.clone());
            }
            Entry::LegMeasured(record) => {
                let leg = self.leg(record.attempt, record.party);
                leg.quality = Some(record.quality);
                leg.packets = Some(record.packets);
            }
            Entry::TranscriptGap(gap) => {
                if self.gaps.len() < GAPS_MAX {
                    self.gaps.push(*gap);
                }
            }
            Entry::CallRecord(record) => self.recorded(record),
        }
    }

    /// Adds an utterance to the transcript, if it is final.
    pub fn hear(&mut self, utterance: &Utterance) {
        if utterance.stage == Stage::Partial || self.transcript.iter().any(|known| known.id == utterance.id) {
            return;
        }
        let mut utterance = utterance.clone();
        match self.echoes.get(&utterance.id) {
            None => {}
            Some(None) => return,
            Some(Some(rest)) => utterance.text.clone_from(rest),
        }
        // Finals may come out of order across speakers; the transcript is in the order of speech.
        let key = (utterance.start, utterance.id);
        let place = self.transcript.partition_point(|known| (known.start, known.id) <= key);
        self.transcript.insert(place, utterance);
        self.outline.utterances = u32::try_from(self.transcript.len()).unwrap_or(u32::MAX);
    }

    /// Counts as the call itself does.
    fn went(&mut self, news: &ConversationNews) {
        let sum = &mut self.conversation;
        match news {
            ConversationNews::Language { language, .. } => self.outline.language = language.clone(),
            ConversationNews::BargeIn { over: None, .. } => sum.prompt_barge_ins += 1,
            ConversationNews::BargeIn { over: Some(_), .. } => sum.barge_ins += 1,
            ConversationNews::TalkOver { length, .. } => {
                sum.talk_overs += 1;
                sum.talk_over += *length;
            }
            ConversationNews::Echo { .. } => sum.echoes += 1,
        }
    }

    /// Ends the picture of a call whose own account is missing; one that has its end already stays as it is.
    /// Its handoffs stay where they were last seen, but nobody waits any more.
    pub fn cut_off(&mut self, end: CallEnd) {
        if self.outline.ended.is_some() {
            return;
        }
        self.outline.phase = Phase::Ended;
        self.outline.ended = Some(end);
        self.legs_down();
        for handoff in &mut self.handoffs {
            handoff.waiting = None;
        }
    }

    /// The sum of the call is the call's own account: it stands above what was gathered on the way.
    fn recorded(&mut self, record: &CallRecord) {
        for of_handoff in &record.handoffs {
            self.handoff(of_handoff.requested, of_handoff.handoff).record = of_handoff.clone();
            self.last_state(of_handoff.handoff);
        }
        if let Some(language) = &record.language {
            self.outline.language = language.clone();
        }
        self.conversation = record.conversation;
        self.outline.phase = Phase::Ended;
        self.outline.ended = Some(CallEnd { at: record.ended, by: Some(record.ended_by) });
        self.outline.utterances = record.utterances;
        self.legs_down();
    }

    /// What is left of the legs when the call is over: what their sound was worth.
    fn legs_down(&mut self) {
        self.legs.retain(|leg| leg.quality.is_some());
        self.legs.iter_mut().for_each(|leg| leg.up = false);
    }

    fn leg(&mut self, attempt: AttemptId, party: Party) -> &mut LegSnapshot {
        let place = self.legs.partition_point(|leg| leg.attempt < attempt);
        if self.legs.get(place).is_none_or(|leg| leg.attempt != attempt) {
            self.legs.insert(place, LegSnapshot { attempt, party, up: false, quality: None, packets: None });
        }
        #[expect(clippy::indexing_slicing, reason = "the place was found or made in the lines above")]
        &mut self.legs[place]
    }

    fn moved(&mut self, at: Duration, handoff: u32, state: HandoffState, agent: Option<&AgentId>) {
        self.asked(handoff, at, agent);
        let known = self.handoff(at, handoff);
        known.record.state = state;
        if !matches!(state, HandoffState::Queued) {
            known.waiting = None;
        }
        let record = &mut known.record;
        let moment = match state {
            HandoffState::Announced => Some(&mut record.announced),
            HandoffState::Briefing => Some(&mut record.answered),
            HandoffState::Accepted => Some(&mut record.accepted),
            HandoffState::Bridged => Some(&mut record.bridged),
            HandoffState::Completed
            | HandoffState::Rejected
            | HandoffState::Failed
            | HandoffState::Canceled
            | HandoffState::CallbackScheduled => Some(&mut record.closed),
            HandoffState::Requested
            | HandoffState::Queued
            | HandoffState::Offered
            | HandoffState::Ringing => None,
        };
        if let Some(moment) = moment {
            moment.get_or_insert(at);
        }
        self.last_state(handoff);
    }

    /// Notes who is asked now. Whoever was being asked and is not any more has refused, unless they were bridged; they
    /// stay the one who was asked last until another is.
    fn asked(&mut self, handoff: u32, at: Duration, agent: Option<&AgentId>) {
        let record = &mut self.handoff(at, handoff).record;
        if is_asking(record.state)
            && let Some(previous) = record.agent.take_if(|previous| Some(&*previous) != agent)
        {
            (record.brief_delivered, record.answered, record.accepted) = (None, None, None);
            record.agent = Some(previous.clone());
            record.refused.push(previous);
        }
        if agent.is_some() {
            record.agent = agent.cloned();
        }
    }

    /// Keeps the call's outline in step with its last handoff.
    fn last_state(&mut self, handoff: u32) {
        if let Some(last) = self.handoffs.last().filter(|last| last.record.handoff == handoff) {
            self.outline.handoff = Some(last.record.state);
            self.outline.agent = last.agent().cloned();
            if !last.record.reason.code.is_empty() {
                self.outline.reason = Some(last.record.reason.code.clone());
            }
        }
    }

    fn handoff(&mut self, at: Duration, number: u32) -> &mut HandoffSnapshot {
        let place =
            self.handoffs.iter().position(|known| known.record.handoff == number).unwrap_or_else(|| {
                self.handoffs.push(HandoffSnapshot::new(number, at));
                self.outline.handoffs = self.outline.handoffs.max(number);
                self.handoffs.len() - 1
            });
        #[expect(clippy::indexing_slicing, reason = "the place was found or made in the line above")]
        &mut self.handoffs[place]
    }
}

/// Whether an agent is being asked.
fn is_asking(state: HandoffState) -> bool {
    use HandoffState::{Accepted, Briefing, Offered, Ringing};
    matches!(state, Offered | Ringing | Briefing | Accepted)
}

impl HandoffSnapshot {
    /// The agent who took the call, is being asked, or was asked last when it was over. While the call waits, nobody:
    /// the record still names whoever was asked before.
    #[must_use]
    pub fn agent(&self) -> Option<&AgentId> {
        use HandoffState::{Announced, Queued, Requested};
        self.record.agent.as_ref().filter(|_| !matches!(self.record.state, Requested | Announced | Queued))
    }

    fn new(handoff: u32, at: Duration) -> Self {
        let reason = Reason {
            rule: String::new(),
            code: String::new(),
            evidence: String::new(),
            value: 0.0,
            utterance: None,
        };
        let record = HandoffRecord::new(handoff, reason, at);
        Self { record, brief: None, queue: None, skills: BTreeSet::new(), waiting: None }
    }
}

/// Holes shown of one call; a transcript with more of them is no transcript.
const GAPS_MAX: usize = 1_000;

#[cfg(test)]
mod tests {
    use segue_acd::WaitEstimate;
    use segue_call::EndedBy;

    use super::*;

    fn connecting() -> CallSnapshot {
        let language = Language("en".to_owned());
        CallSnapshot::new(CallId("c".to_owned()), Duration::from_secs(10), "200".to_owned(), language)
    }

    #[test]
    fn a_call_that_a_crash_cut_off_is_over() {
        let mut picture = connecting();
        let leg = Milestone::Leg { attempt: AttemptId(0), party: Party::Caller, up: true };
        picture.note(Duration::from_secs(11), &leg);
        picture.moved(Duration::from_secs(12), 1, HandoffState::Queued, None);
        picture.note(
            Duration::from_secs(12),
            &Milestone::Waiting {
                position: 1,
                wait: WaitEstimate { least: Duration::ZERO, most: Duration::ZERO },
            },
        );
        let end = CallEnd { at: Duration::from_secs(60), by: Some(EndedBy::Us) };
        picture.cut_off(end);
        assert_eq!((picture.outline.phase, picture.outline.ended), (Phase::Ended, Some(end)));
        assert!(picture.legs.is_empty() && picture.handoffs[0].waiting.is_none());
        assert_eq!(picture.outline.handoff, Some(HandoffState::Queued), "where it was is still told");
    }

    #[test]
    fn a_call_that_has_its_end_is_not_ended_again() {
        let mut picture = connecting();
        picture.note(Duration::from_secs(20), &Milestone::Ended { by: EndedBy::Caller });
        let ended = picture.clone();
        picture.cut_off(CallEnd { at: Duration::from_secs(60), by: Some(EndedBy::Us) });
        assert_eq!(picture, ended);
    }
}
