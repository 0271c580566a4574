//! One past call held against the rules, as it would have been live.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use segue_trigger::{Advice, Decision, RuleSet, Signal, Speaker, Stage, Triggers, Utterance, UtteranceId};
use serde::Serialize;

use crate::case::Case;

/// Rules that calls are held against.
#[derive(Clone, Debug)]
pub struct Bench {
    rules: Arc<RuleSet>,
}

/// A rule that fired.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fire {
    /// The rule's row.
    pub rule: String,
    /// The reason, in a word.
    pub code: String,
    /// What was seen.
    pub evidence: String,
    /// In which turn, counted from 1.
    pub turn: u32,
    /// Seconds from the beginning of the call.
    pub at: f64,
}

/// What the rules made of a call.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Run {
    /// The first that handed the call over; afterwards nothing is looked at, as in a real call.
    pub handoff: Option<Fire>,
    /// What was offered before that.
    pub offers: Vec<Fire>,
    /// The first turn in which any rule noticed anything.
    pub first_sign: Option<u32>,
    /// Rules that held at the handoff beside the first, by row.
    pub contributing: Vec<String>,
    /// When each turn ended, seconds from the beginning of the call.
    pub ends: Vec<f64>,
}

impl Bench {
    /// With compiled rules.
    #[must_use]
    pub const fn new(rules: Arc<RuleSet>) -> Self {
        Self { rules }
    }

    /// Runs one call.
    #[must_use]
    pub fn run(&self, case: &Case) -> Run {
        let mut triggers = Triggers::with(Arc::clone(&self.rules)).since(Duration::ZERO);
        let mut run = Run::default();
        let mut before = Duration::ZERO;
        for (at, turn) in case.turns.iter().enumerate() {
            let number = u32::try_from(at + 1).unwrap_or(u32::MAX);
            let (start, end) = turn.times(before);
            before = end;
            run.ends.push(end.as_secs_f64());
            if run.handoff.is_some() {
                continue;
            }
            let with_words = turn.speaker.is_some().then_some(UtteranceId(number));
            if !turn.facts.is_empty() {
                let decision = triggers.observe(Signal::Learned(&turn.facts, with_words));
                run.take(decision, number, end);
            }
            if let Some(key) = turn.key {
                run.take(triggers.observe(Signal::Key(key)), number, end);
            }
            if let Some(speaker) = turn.speaker.filter(|speaker| *speaker != Speaker::Agent) {
                let utterance = Utterance {
                    id: UtteranceId(number),
                    speaker,
                    text: turn.text.clone(),
                    start,
                    end,
                    confidence: turn.confidence.unwrap_or(1.0),
                    level: None,
                    stage: Stage::Final,
                };
                run.take(triggers.observe(Signal::Heard(&utterance)), number, end);
            }
        }
        run
    }
}

impl Run {
    fn take(&mut self, decision: Option<Decision>, turn: u32, at: Duration) {
        let Some(decision) = decision else { return };
        self.first_sign.get_or_insert(turn);
        if self.handoff.is_some() {
            return;
        }
        let Decision { advice, primary, contributing, .. } = decision;
        let fire = Fire {
            rule: primary.rule,
            code: primary.code,
            evidence: primary.evidence,
            turn,
            at: at.as_secs_f64(),
        };
        match advice {
            Advice::Escalate => {
                let rows: BTreeSet<String> = contributing.into_iter().map(|reason| reason.rule).collect();
                self.contributing = rows.into_iter().collect();
                self.handoff = Some(fire);
            }
            Advice::Offer => self.offers.push(fire),
            Advice::None | Advice::Confirm | Advice::Clarify => {}
        }
    }
}
