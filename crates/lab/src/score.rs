//! How well the rules did over many calls: counts that are kept up to date call by call.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{case::Case, run::Run};

/// What a mistake costs, in any unit; the ratio counts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Costs {
    /// A caller who needed a human and got none.
    pub missed: f64,
    /// A human whom nobody needed.
    pub needless: f64,
}

impl Default for Costs {
    fn default() -> Self {
        Self { missed: 5.0, needless: 1.0 }
    }
}

/// Counts over calls. Grows with the number of rules, not with that of calls.
#[derive(Clone, Debug, Default)]
pub struct Score {
    calls: u64,
    labelled: u64,
    handoffs: u64,
    offers: u64,
    right: u64,
    needless: u64,
    missed: u64,
    lead_turns: Distribution,
    lead_seconds: Distribution,
    lateness: Distribution,
    rules: BTreeMap<String, RuleScore>,
}

/// How one rule did as the first reason of a handoff.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RuleScore {
    /// Calls that it handed over.
    pub handoffs: u64,
    /// Of those with a label, the ones that belonged to a human.
    pub right: u64,
    /// Of those with a label, the ones that did not.
    pub needless: u64,
    /// Calls in which it held when another one handed over.
    pub contributed: u64,
}

/// The figures of a report. What cannot be said, for want of labels, is none.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Calls that were run.
    pub calls: u64,
    /// Those with a label.
    pub labelled: u64,
    /// Those that were handed over.
    pub handoffs: u64,
    /// Handoffs by call.
    pub handoff_rate: f64,
    /// Offers of a human.
    pub offers: u64,
    /// Handoffs that were right.
    pub right: u64,
    /// Handoffs that nobody needed.
    pub needless: u64,
    /// Calls that needed a human and got none.
    pub missed: u64,
    /// Right handoffs by handoffs.
    pub precision: Option<f64>,
    /// Right handoffs by calls that needed one.
    pub recall: Option<f64>,
    /// The harmonic mean of both.
    pub f1: Option<f64>,
    /// Turns from the handoff to the moment of the label; positive: the rules were earlier. 10 %, median, 90 %.
    pub lead_turns: Option<[f64; 3]>,
    /// The same in seconds.
    pub lead_seconds: Option<[f64; 3]>,
    /// Turns from the first sign that any rule noticed to the handoff (T28). 10 %, median, 90 %.
    pub lateness: Option<[f64; 3]>,
    /// What the mistakes cost, by labelled call.
    pub cost: Option<f64>,
    /// Each rule.
    pub rules: BTreeMap<String, RuleScore>,
}

impl Score {
    /// Counts a call.
    pub fn add(&mut self, case: &Case, run: &Run) {
        self.calls += 1;
        self.offers += run.offers.len() as u64;
        let label = case.label.as_ref();
        let needed = label.map(|label| label.handoff);
        self.labelled += u64::from(needed.is_some());
        let Some(fire) = &run.handoff else {
            self.missed += u64::from(needed == Some(true));
            return;
        };
        self.handoffs += 1;
        let rule = self.rules.entry(fire.rule.clone()).or_default();
        rule.handoffs += 1;
        rule.right += u64::from(needed == Some(true));
        rule.needless += u64::from(needed == Some(false));
        self.right += u64::from(needed == Some(true));
        self.needless += u64::from(needed == Some(false));
        for row in run.contributing.iter().filter(|row| **row != fire.rule) {
            self.rules.entry(row.clone()).or_default().contributed += 1;
        }
        if let Some(first) = run.first_sign {
            self.lateness.add(f64::from(fire.turn.saturating_sub(first)));
        }
        if let (Some(true), Some(turn)) = (needed, label.and_then(|label| label.turn)) {
            self.lead_turns.add(f64::from(turn) - f64::from(fire.turn));
            if let Some(moment) = run.ends.get(turn as usize - 1) {
                self.lead_seconds.add(moment - fire.at);
            }
        }
    }

    /// The figures.
    #[must_use]
    pub fn summary(&self, costs: Costs) -> Summary {
        let share = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
        let precision = share(self.right, self.right + self.needless);
        let recall = share(self.right, self.right + self.missed);
        let f1 = precision.zip(recall).map(|(precision, recall)| {
            if precision + recall > 0.0 { 2.0 * precision * recall / (precision + recall) } else { 0.0 }
        });
        let cost = self.missed as f64 * costs.missed + self.needless as f64 * costs.needless;
        Summary {
            calls: self.calls,
            labelled: self.labelled,
            handoffs: self.handoffs,
            handoff_rate: share(self.handoffs, self.calls).unwrap_or(0.0),
            offers: self.offers,
            right: self.right,
            needless: self.needless,
            missed: self.missed,
            precision,
            recall,
            f1,
            lead_turns: self.lead_turns.parts(),
            lead_seconds: self.lead_seconds.parts(),
            lateness: self.lateness.parts(),
            cost: (self.labelled > 0).then(|| cost / self.labelled as f64),
            rules: self.rules.clone(),
        }
    }
}

/// How values lie, to a tenth; bounded, however many there are.
#[derive(Clone, Debug, Default)]
struct Distribution {
    tenths: BTreeMap<i64, u64>,
    count: u64,
}

impl Distribution {
    fn add(&mut self, value: f64) {
        let tenths = (value * 10.0).round().clamp(-REACH, REACH) as i64;
        *self.tenths.entry(tenths).or_default() += 1;
        self.count += 1;
    }

    /// 10 %, 50 %, 90 %.
    fn parts(&self) -> Option<[f64; 3]> {
        let part = |percent: u64| {
            let wanted = (self.count * percent).div_ceil(100).max(1);
            let mut seen = 0;
            let found = self.tenths.iter().find(|(_, count)| {
                seen += **count;
                seen >= wanted
            });
            found.map_or(0.0, |(tenths, _)| *tenths as f64 / 10.0)
        };
        (self.count > 0).then(|| [part(10), part(50), part(90)])
    }
}

/// A day, in tenths of a second.
const REACH: f64 = 864_000.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{case::Label, run::Fire};

    fn case(needed: Option<bool>, turn: Option<u32>) -> Case {
        let label = needed.map(|handoff| Label { handoff, turn, reason: None });
        Case { id: "c".to_owned(), turns: Vec::new(), label }
    }

    fn run(rule: Option<&str>, turn: u32) -> Run {
        let fire = |rule: &str| Fire {
            rule: rule.to_owned(),
            code: String::new(),
            evidence: String::new(),
            turn,
            at: f64::from(turn) * 10.0,
        };
        Run {
            handoff: rule.map(fire),
            first_sign: Some(1),
            ends: (1..=9).map(|turn| f64::from(turn) * 10.0).collect(),
            ..Run::default()
        }
    }

    #[test]
    fn right_needless_and_missed_handoffs_make_precision_recall_and_cost() {
        let mut score = Score::default();
        for (needed, rule) in [
            (Some(true), Some("T01")),
            (Some(true), Some("T15")),
            (Some(true), Some("T01")),
            (Some(true), None),
            (Some(false), Some("T15")),
            (Some(false), None),
            (None, Some("T01")),
            (None, None),
        ] {
            score.add(&case(needed, None), &run(rule, 3));
        }
        let summary = score.summary(Costs { missed: 4.0, needless: 1.0 });
        assert_eq!((summary.calls, summary.labelled, summary.handoffs), (8, 6, 5));
        assert_eq!((summary.precision, summary.recall, summary.f1), (Some(0.75), Some(0.75), Some(0.75)));
        assert_eq!(summary.cost, Some(5.0 / 6.0));
        assert_eq!(summary.rules["T15"], RuleScore { handoffs: 2, right: 1, needless: 1, contributed: 0 });
        assert_eq!(summary.lateness, Some([2.0, 2.0, 2.0]));
    }

    #[test]
    fn without_labels_nothing_is_claimed() {
        let mut score = Score::default();
        score.add(&case(None, None), &run(Some("T01"), 1));
        let summary = score.summary(Costs::default());
        assert_eq!((summary.precision, summary.recall, summary.cost), (None, None, None));
        assert_eq!(summary.handoff_rate, 1.0);
    }

    #[test]
    fn who_hands_over_before_the_labelled_moment_leads() {
        let mut score = Score::default();
        for turn in [2, 4, 5] {
            score.add(&case(Some(true), Some(4)), &run(Some("T15"), turn));
        }
        let summary = score.summary(Costs::default());
        assert_eq!(summary.lead_turns, Some([-1.0, 0.0, 2.0]));
        assert_eq!(summary.lead_seconds, Some([-10.0, 0.0, 20.0]));
    }
}
