//! Keeps the brief current: rewritten at every turn before the bridge, its whisper rendered ahead (B12).

use std::sync::Arc;

use segue_acd::priority::{Facts, score};
use segue_trigger::{Reason, Speaker};

use super::core::Core;
use crate::{
    action::{Action, Style},
    brief::Metadata,
    context::HandoffRequest,
    record::{HandoffRecord, Milestone},
    writer::{BriefInput, WhisperLimit},
};

impl Core {
    /// Writes the brief anew, tells subscribers, and has the whisper rendered: always while a handoff
    /// is under way, and otherwise if its words changed.
    /// `handoff` is the one under way, if there is one.
    pub(crate) fn rewrite_brief(&mut self, handoff: Option<&HandoffRecord>) {
        let number = handoff.map_or_else(|| self.next_handoff(), |record| record.handoff);
        let reason = handoff.map_or_else(no_reason, |record| record.reason.clone());
        let revision = self.known.brief.as_ref().map_or(0, |brief| brief.revision).saturating_add(1);
        let said = self.known.transcript.for_brief();
        let input = BriefInput {
            handoff: number,
            revision,
            transcript: &said,
            reason: &reason,
            declared: self.known.declared.as_ref(),
            customer: &self.known.customer,
            // Scored below: the score rests on the sentiment that the writer finds.
            priority: 0,
            priority_because: &[],
            caller_name: self.start.caller.name.as_deref(),
            language: &self.prompts.language().0,
            whisper: WhisperLimit {
                words_max: self.policy.limits.whisper_words,
                length_max: self.policy.times.whisper_max,
            },
            transcribed: self.start.transcribed,
        };
        let mut brief = self.known.writer.write(&input);
        (brief.priority, brief.priority_because) = self.priority(&reason, brief.sentiment);
        let all = self.known.transcript.count();
        let left_out = all.saturating_sub(u32::try_from(said.len()).unwrap_or(u32::MAX));
        if left_out > 0 {
            brief.missing.push(format!("{left_out} of {all} utterances, left out because there are so many"));
        }
        brief.language = self.language_found().map(|language| language.0.clone());
        self.known.stale = false;
        let brief = Arc::new(brief);
        self.known.brief = Some(Arc::clone(&brief));
        let wanted = match handoff {
            Some(record) => record.bridged.is_none(),
            None => brief.whisper != self.known.prepared,
        };
        if wanted && !brief.whisper.is_empty() {
            self.known.prepared.clone_from(&brief.whisper);
            let prompt = self.prompts.prompt(brief.whisper.clone(), Style::Whisper);
            self.act(Action::Prepare { prompt });
        }
        self.publish(Milestone::Brief(brief));
    }

    /// Writes the brief anew, while no handoff is under way, if there is something new.
    pub(crate) fn refresh_brief(&mut self) {
        if self.known.stale {
            self.rewrite_brief(None);
        }
    }

    /// The number of the handoff that is under way or would come next.
    pub(crate) fn next_handoff(&self) -> u32 {
        u32::try_from(self.closed.len()).unwrap_or(u32::MAX).saturating_add(1)
    }

    /// The raw priority score (R13) and what it is made of.
    fn priority(&self, reason: &Reason, sentiment: f32) -> (u32, Vec<String>) {
        let customer = |field: &str| self.known.customer.get(field).map(String::as_str);
        let yes = |field: &str| customer(field).is_some_and(|value| matches!(value, "true" | "yes" | "1"));
        let tier = customer("account_type").or_else(|| customer("tier")).unwrap_or_default();
        let turns =
            self.known.transcript.finals().iter().filter(|said| said.speaker != Speaker::Agent).count();
        score(&Facts {
            premium: tier.eq_ignore_ascii_case("premium") || tier.eq_ignore_ascii_case("enterprise"),
            lifetime_value: customer("lifetime_value").and_then(|value| value.parse().ok()).unwrap_or(0.0),
            at_risk_of_churn: yes("at_risk_of_churn"),
            sentiment,
            duration: self.now.saturating_sub(self.start.at),
            cancellation: reason.code.starts_with("cancel"),
            messages: u32::try_from(turns).unwrap_or(u32::MAX),
            // The distributor adds this itself while the ticket waits.
            waiting: std::time::Duration::ZERO,
        })
    }

    /// The wire object of the newest handoff (C10).
    pub(crate) fn handoff_request(&self) -> Option<HandoffRequest> {
        let brief = self.known.brief.as_ref()?;
        let declared = self.known.declared.as_ref();
        let metadata = Metadata {
            session_id: self.start.id.0.clone(),
            escalation_trigger: format!("{} {}", brief.reason.rule, brief.reason.code),
            ai_confidence: declared.and_then(|declared| declared.confidence),
            attempted_solutions: brief.tried.iter().map(|fact| fact.text.clone()).collect(),
            session_start: self.start.at,
        };
        let skills = self.known.queue.as_ref().and_then(|queue| self.policy.routes.skills.get(queue));
        let skills: Vec<_> = skills.into_iter().flatten().cloned().collect();
        let transcript = self.known.transcript.finals();
        Some(HandoffRequest::new(brief, transcript, &metadata, &skills, &self.speech.language))
    }
}

/// The reason that a brief carries while nobody wants a handoff yet.
fn no_reason() -> Reason {
    Reason {
        rule: "none".to_owned(),
        code: "no_handoff".to_owned(),
        evidence: "no handoff was asked for yet".to_owned(),
        value: 0.0,
        utterance: None,
    }
}
