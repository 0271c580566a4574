//! The demo's story: prints what happens as it happens, and keeps the moments that the summary needs.

use std::time::Duration;

use segue_call::{Brief, EndedBy, HandoffState, Milestone, Party, Phase};
use segue_trigger::{Advice, Decision, Speaker, Stage};

use crate::telemetry::say;

/// What scripts may wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// Caller and bot hear each other.
    pub(super) with_bot: bool,
    /// The agent's phone rings.
    pub(super) ringing: bool,
    /// The agent has heard the whisper and is asked to choose.
    pub(super) briefed: bool,
    /// Caller and agent hear each other.
    pub(super) bridged: bool,
    /// The call is over.
    pub(super) ended: bool,
}

/// What happened, and when.
#[derive(Debug, Default)]
pub(super) struct Story {
    /// When the first event happened; the clock that is printed begins here.
    pub(super) begun: Option<Duration>,
    /// Where the call is.
    pub(super) progress: Progress,
    /// What fired.
    pub(super) decision: Option<Decision>,
    /// When it fired.
    pub(super) requested: Option<Duration>,
    /// When the announcement began.
    pub(super) announced: Option<Duration>,
    /// What was whispered, and when it began.
    pub(super) whisper: Option<(Duration, String)>,
    /// When the brief was complete for the agent.
    pub(super) brief_shown: Option<Duration>,
    /// When the agent's phone was answered.
    pub(super) answered: Option<Duration>,
    /// When the bridge closed.
    pub(super) bridged: Option<Duration>,
    /// The last state of the handoff.
    pub(super) handoff: Option<HandoffState>,
    /// Final utterances of each speaker: caller, bot, agent.
    pub(super) utterances: [u32; 3],
    /// Who ended the call.
    pub(super) ended_by: Option<EndedBy>,
}

impl Story {
    /// Takes what happened at a moment and prints it.
    pub(super) fn tell(&mut self, at: Duration, milestone: &Milestone) {
        self.begun.get_or_insert(at);
        match milestone {
            Milestone::Phase { phase } => {
                self.progress.with_bot |= *phase == Phase::WithBot;
                self.print(at, "call", phase_words(*phase));
            }
            Milestone::Heard(utterance) if utterance.stage == Stage::Final => {
                let (name, place) = match utterance.speaker {
                    Speaker::Caller => ("caller", 0),
                    Speaker::Bot => ("bot", 1),
                    Speaker::Agent => ("agent", 2),
                };
                if let Some(count) = self.utterances.get_mut(place) {
                    *count += 1;
                }
                let percent = (utterance.confidence * 100.0).round();
                self.print(at, name, &format!("\"{}\" ({percent} %)", utterance.text));
            }
            Milestone::Heard(_) => {}
            Milestone::Decided(decision) => self.decided(at, decision),
            Milestone::Handoff { handoff: _, state, agent } => {
                let agent = agent.as_ref().map(|agent| format!(" ({agent})")).unwrap_or_default();
                self.print(at, "handoff", &format!("{}{agent}", state_words(*state)));
                self.moved(at, *state);
            }
            Milestone::Waiting { position, wait } => {
                let (least, most) = (wait.least.as_secs(), wait.most.as_secs());
                self.print(at, "queue", &format!("number {position}, expected wait {least} to {most} s"));
            }
            Milestone::Saying { ear, text } => self.saying(at, *ear, text),
            Milestone::Leg { party, up, .. } => {
                if *party == Party::Agent && *up {
                    self.answered = Some(at);
                }
                let party = format!("{party:?}").to_lowercase();
                self.print(at, "leg", &format!("{party} {}", if *up { "is up" } else { "is down" }));
            }
            Milestone::Quality { party, quality, whole: true, .. } => {
                if let Some(heard) = quality.heard {
                    let party = format!("{party:?}").to_lowercase();
                    self.print(at, "sound", &format!("{party} was heard with MOS {:.2}", heard.mos));
                }
            }
            Milestone::Quality { .. } => {}
            Milestone::Conversation(news) => self.print(at, "speech", &format!("{news:?}")),
            Milestone::TranscriptGap(gap) => self.print(
                at,
                "gap",
                &format!("{:?} was not understood: {:?}", gap.speaker, gap.cause).to_lowercase(),
            ),
            Milestone::Recording(news) => self.print(at, "recording", &format!("{news:?}").to_lowercase()),
            Milestone::Brief(brief) => self.briefed(at, brief),
            Milestone::Ended { by } => {
                self.ended_by = Some(*by);
                self.progress.ended = true;
                self.print(at, "call", &format!("ended by {}", format!("{by:?}").to_lowercase()));
            }
        }
    }

    fn decided(&mut self, at: Duration, decision: &Decision) {
        if decision.advice < Advice::Escalate {
            return;
        }
        let reason = &decision.primary;
        self.print(at, "trigger", &format!("{} {}: {}", reason.rule, reason.code, reason.evidence));
        self.decision.get_or_insert_with(|| decision.clone());
    }

    fn moved(&mut self, at: Duration, state: HandoffState) {
        self.handoff = Some(state);
        match state {
            HandoffState::Requested => self.requested = self.requested.or(Some(at)),
            HandoffState::Ringing => self.progress.ringing = true,
            HandoffState::Bridged => {
                self.bridged = Some(at);
                self.progress.bridged = true;
            }
            HandoffState::Announced
            | HandoffState::Queued
            | HandoffState::Offered
            | HandoffState::Briefing
            | HandoffState::Accepted
            | HandoffState::Completed
            | HandoffState::Rejected
            | HandoffState::Failed
            | HandoffState::Canceled
            | HandoffState::CallbackScheduled => {}
        }
    }

    fn saying(&mut self, at: Duration, ear: Party, text: &str) {
        let to = match ear {
            Party::Caller => "to caller",
            Party::Bot => "to bot",
            Party::Agent => "whisper",
        };
        if ear == Party::Caller && self.requested.is_some() {
            self.announced = self.announced.or(Some(at));
        }
        if ear == Party::Agent {
            self.progress.briefed |= self.whisper.is_some();
            self.whisper.get_or_insert_with(|| (at, text.to_owned()));
        }
        self.print(at, to, &format!("\"{text}\""));
    }

    fn briefed(&mut self, at: Duration, brief: &Brief) {
        if self.requested.is_none() || self.bridged.is_some() {
            return;
        }
        if self.brief_shown.is_none() {
            self.print(at, "card", &format!("goal: {}; opening: \"{}\"", brief.goal.text, brief.opening));
        }
        self.brief_shown = Some(at);
    }

    fn print(&self, at: Duration, who: &str, what: &str) {
        let since = at.saturating_sub(self.begun.unwrap_or(at)).as_secs_f64();
        say(&format!("{since:7.2} s  {who:<9}  {what}"));
    }
}

fn phase_words(phase: Phase) -> &'static str {
    match phase {
        Phase::Connecting => "the caller is greeted, the bot is reached",
        Phase::WithBot => "caller and bot talk",
        Phase::HandingOff => "a handoff begins",
        Phase::WithAgent => "caller and agent talk",
        Phase::Ending => "the last words",
        Phase::Ended => "over",
    }
}

fn state_words(state: HandoffState) -> &'static str {
    match state {
        HandoffState::Requested => "requested",
        HandoffState::Announced => "announced",
        HandoffState::Queued => "queued",
        HandoffState::Offered => "offered",
        HandoffState::Ringing => "ringing",
        HandoffState::Briefing => "briefing",
        HandoffState::Accepted => "accepted",
        HandoffState::Bridged => "bridged",
        HandoffState::Completed => "completed",
        HandoffState::Rejected => "rejected",
        HandoffState::Failed => "failed",
        HandoffState::Canceled => "canceled",
        HandoffState::CallbackScheduled => "callback scheduled",
    }
}
