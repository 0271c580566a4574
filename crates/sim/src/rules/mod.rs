//! What must always hold for one call, checked on every event that it is given and every action that it gives.
//!
//! The rules know only what the call knows: news that is still under way counts as not happened.
//! A broken rule is a sentence that says what was seen.

mod caller;
mod ears;
mod handoffs;
mod ledger;

use std::{sync::Arc, time::Duration};

use segue_acd::Refusal;
use segue_call::{Action, Entry, Event, Milestone, Party, Phase, Policy, Source};

use self::{caller::Informed, ears::Ears, handoffs::Handoffs, ledger::Ledger};

/// Fails with a sentence unless a condition holds.
macro_rules! must {
    ($holds:expr, $($sentence:tt)+) => {
        if !$holds {
            return Err(format!($($sentence)+));
        }
    };
}
pub(crate) use must;

/// Nothing, or the sentence of the rule that is broken.
pub(crate) type Verdict = Result<(), String>;

/// Watches one call.
#[derive(Debug)]
pub(crate) struct Watch {
    policy: Arc<Policy>,
    informed: Informed,
    pub(crate) ears: Ears,
    pub(crate) handoffs: Handoffs,
    pub(crate) ledger: Ledger,
    phase: Option<(Phase, Duration)>,
    finished: bool,
}

/// What a deadline may be missed by: late alarms and news that is under way.
pub(crate) const SLACK: Duration = Duration::from_secs(2);

impl Watch {
    pub(crate) fn new(policy: Arc<Policy>, tickets: std::ops::Range<u64>) -> Self {
        Self {
            policy,
            informed: Informed::default(),
            ears: Ears::new(),
            handoffs: Handoffs::new(),
            ledger: Ledger::new(tickets),
            phase: None,
            finished: false,
        }
    }

    pub(crate) fn finished(&self) -> bool {
        self.finished
    }

    pub(crate) fn phase(&self) -> Option<Phase> {
        self.phase.map(|(phase, _)| phase)
    }

    /// Takes an event before the call does.
    pub(crate) fn event(&mut self, now: Duration, event: &Event) {
        self.informed.event(event, self.phase(), self.ears.bot());
        self.ears.event(event);
        let left = self.ears.caller_gone() || self.ears.fell_silent(Party::Caller);
        self.ledger.event(event, left && self.phase() != Some(Phase::Ending));
        self.handoffs.event(now, event);
    }

    /// Takes an action as it is given.
    pub(crate) fn action(&mut self, now: Duration, action: &Action) -> Verdict {
        must!(!self.finished, "a finished call still acts");
        match action {
            Action::Dial { attempt, to } => {
                self.ledger.dial(to, self.handoffs.number())?;
                self.ears.dial(*attempt, to)
            }
            Action::HangUp { attempt, .. } => self.ears.hang_up(*attempt),
            Action::Wire { ears } => {
                self.ears.wire(ears, self.ledger.bridged(self.handoffs.number()))?;
                self.phase_allows(ears)
            }
            Action::Play { playback, ear, prompt } => {
                self.ears.play(*playback, *ear, prompt)?;
                self.handoffs.play(now, *playback, *ear, prompt);
                if *ear == Party::Caller {
                    self.informed.told(now);
                    self.ledger.told_caller(&prompt.text);
                    if self.phase() == Some(Phase::Connecting) {
                        self.phase = Some((Phase::Connecting, now));
                    }
                }
                Ok(())
            }
            Action::StopPlay { playback } => self.ears.stop_play(*playback),
            Action::Prepare { prompt } => {
                must!(!prompt.text.trim().is_empty(), "an empty prompt is prepared");
                self.ears.prepare(prompt);
                Ok(())
            }
            Action::Enqueue { ticket } => {
                must!(
                    self.handoffs.requested() == Some(ticket.since),
                    "the wait of {} does not begin with the request",
                    ticket.id
                );
                self.handoffs.enqueued();
                self.ledger.enqueue(ticket)
            }
            Action::Withdraw { ticket } => self.ledger.withdraw(*ticket, self.ears.agent_live()),
            Action::AgentRefused { reservation, refusal } => {
                let declined = *refusal == Refusal::Declined;
                must!(
                    declined == self.ears.agent_declined(),
                    "{refusal:?} is told; the agent declined: {}",
                    !declined
                );
                self.ledger.refused(*reservation, self.ears.agent_live(), self.handoffs.number())
            }
            Action::AgentTook { reservation } => self.ledger.took(*reservation, self.handoffs.number()),
            Action::AgentFree { reservation } => self.ledger.freed(*reservation, self.ears.agent_live()),
            Action::AgentMoved { reservation, .. } => self.ledger.moved(*reservation),
            Action::ShowBrief { agent, brief } => {
                self.ledger.show_brief(agent, brief, self.handoffs.number())
            }
            Action::Promise(entry) => self.promise(now, entry),
            Action::Note(entry) => self.ledger.note(entry),
            Action::Publish(milestone) => self.publish(now, milestone),
            Action::Finished => self.finish(),
            Action::AnswerCaller => self.ears.answer_caller(),
            Action::RefuseCaller { .. } => self.ears.refuse_caller(),
        }
    }

    /// Checks what must hold whenever the call has given all its actions and waits.
    pub(crate) fn settled(&mut self, now: Duration, alarm: Option<Duration>) -> Verdict {
        if self.finished {
            must!(alarm.is_none(), "a finished call still has an alarm");
            return Ok(());
        }
        must!(alarm.is_some(), "nothing will ever wake this call");
        must!(!self.ears.caller_gone(), "the caller is gone and the call goes on");
        self.ears.settled(self.phase())?;
        let (phase, times) = (self.phase(), &self.policy.times);
        self.handoffs.settled(now, phase, times)?;
        self.informed.settled(now, phase, self.handoffs.closed() < self.policy.limits.handoffs, times)?;
        self.phase_in_time(now)
    }

    fn promise(&mut self, now: Duration, entry: &Entry) -> Verdict {
        match entry {
            Entry::Accepted { .. } => must!(
                self.ears.agent_chose_after_whisper(),
                "an acceptance is promised that no agent gave after the whisper began"
            ),
            Entry::Bridged { .. } => {
                must!(self.ears.both_up(), "a bridge is promised while caller or agent is not there");
                must!(
                    self.handoffs.announcement_done(now, &self.policy.times),
                    "the bridge does not wait for the announcement"
                );
            }
            Entry::HandoffClosed { handoff, state } => self.handoffs.closes(*handoff, *state)?,
            Entry::HandoffOpened { .. }
            | Entry::Ticket { .. }
            | Entry::BriefDelivered { .. }
            | Entry::LegMeasured(_)
            | Entry::Echo { .. }
            | Entry::TranscriptGap(_)
            | Entry::CallRecord(_) => {}
        }
        self.ledger.promise(entry, self.handoffs.number())
    }

    fn publish(&mut self, now: Duration, milestone: &Milestone) -> Verdict {
        match milestone {
            Milestone::Phase { phase } => self.enter(now, *phase),
            Milestone::Handoff { handoff, state, agent } => {
                self.handoffs.enter(now, (*handoff, *state), agent.is_some(), &self.policy.times)
            }
            Milestone::Waiting { position, wait } => {
                must!(
                    *position >= 1 && wait.least <= wait.most,
                    "place {position} and wait {wait:?} make no sense"
                );
                Ok(())
            }
            Milestone::Saying { text, .. } => {
                must!(!text.trim().is_empty(), "nothing is said aloud");
                Ok(())
            }
            Milestone::Brief(brief) => self.ledger.rewritten(brief),
            Milestone::Heard(utterance) => self.ledger.heard(utterance),
            Milestone::Decided(_)
            | Milestone::Leg { .. }
            | Milestone::Quality { .. }
            | Milestone::Recording(_)
            | Milestone::Conversation(_)
            | Milestone::TranscriptGap(_)
            | Milestone::Ended { .. } => Ok(()),
        }
    }

    fn enter(&mut self, now: Duration, phase: Phase) -> Verdict {
        self.phase_in_time(now)?;
        let before = self.phase();
        let allowed = match phase {
            // With the limit of handoffs reached, a lost agent leads back to the bot.
            Phase::Connecting => {
                matches!(before, None | Some(Phase::HandingOff | Phase::WithBot | Phase::WithAgent))
            }
            Phase::WithBot => before == Some(Phase::Connecting),
            Phase::HandingOff => {
                matches!(before, Some(Phase::Connecting | Phase::WithBot | Phase::WithAgent))
            }
            Phase::WithAgent => before == Some(Phase::HandingOff),
            Phase::Ending => !matches!(before, None | Some(Phase::Ending | Phase::Ended)),
            Phase::Ended => !matches!(before, None | Some(Phase::Ended)),
        };
        must!(allowed, "the call goes from {before:?} to {phase:?}");
        self.phase = Some((phase, now));
        Ok(())
    }

    /// Nobody hears an agent's voice before the bridge; here, also not outside the phases that have one.
    fn phase_allows(&self, ears: &[(Party, Source)]) -> Verdict {
        let voice_of_agent = ears.iter().any(|(_, source)| *source == Source::Voice(Party::Agent));
        must!(
            !voice_of_agent || self.phase() == Some(Phase::HandingOff),
            "an agent's voice is switched in phase {:?}",
            self.phase()
        );
        Ok(())
    }

    fn phase_in_time(&self, now: Duration) -> Verdict {
        let Some((phase, since)) = self.phase else { return Ok(()) };
        let times = &self.policy.times;
        let limit = match phase {
            Phase::Connecting => times.prompt_deadline + times.bot_connect_max,
            Phase::WithBot | Phase::WithAgent => times.talk_max,
            Phase::HandingOff => handoffs::longest(times),
            Phase::Ending => times.farewell_deadline,
            Phase::Ended => return Ok(()),
        };
        must!(now <= since + limit + SLACK, "phase {phase:?} lasts since {since:?}, longer than {limit:?}");
        Ok(())
    }

    fn finish(&mut self) -> Verdict {
        must!(self.phase() == Some(Phase::Ended), "the call is finished in phase {:?}", self.phase());
        self.ears.nothing_left()?;
        self.ledger.nothing_left()?;
        self.handoffs.nothing_left()?;
        self.finished = true;
        Ok(())
    }
}
