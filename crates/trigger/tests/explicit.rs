//! The explicit request against sentences labelled by hand (T01): precision, recall, partial transcripts.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on says so by failing"
)]

use std::{sync::Arc, time::Duration};

use segue_trigger::{
    Advice, Decision, RuleSet, Rules, Signal, Speaker, Stage, Triggers, Utterance, UtteranceId,
};

const PRECISION_MIN: f64 = 0.97;
const RECALL_MIN: f64 = 0.95;
const LINES_MIN: usize = 150;

fn utterance(text: &str, stage: Stage) -> Utterance {
    Utterance {
        id: UtteranceId(1),
        speaker: Speaker::Caller,
        text: text.to_owned(),
        start: Duration::ZERO,
        end: Duration::from_secs(2),
        confidence: 0.9,
        stage,
        level: None,
    }
}

fn is_request(decision: Option<Decision>) -> bool {
    decision.is_some_and(|decision| decision.advice == Advice::Escalate && decision.primary.rule == "T01")
}

fn labelled() -> Vec<(bool, &'static str)> {
    include_str!("explicit.tsv")
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| {
            let (label, text) = line.split_once('\t').expect("a label, a tab, a sentence");
            assert!(label == "yes" || label == "no", "{line}");
            (label == "yes", text)
        })
        .collect()
}

struct Score {
    right: u32,
    wrong: Vec<String>,
    missed: Vec<String>,
}

impl Score {
    fn of(written: impl Fn(&str) -> String) -> Self {
        let set = Arc::new(RuleSet::new(&Rules::default()).unwrap());
        let mut score = Self { right: 0, wrong: Vec::new(), missed: Vec::new() };
        for (wanted, text) in labelled() {
            let text = written(text);
            let mut triggers = Triggers::with(Arc::clone(&set));
            let found = is_request(triggers.observe(Signal::Heard(&utterance(&text, Stage::Final))));
            let because = triggers.last_evaluations().first().map(|found| found.because.clone()).unwrap();
            match (wanted, found) {
                (true, true) => score.right += 1,
                (false, true) => score.wrong.push(format!("{text} -- {because}")),
                (true, false) => score.missed.push(format!("{text} -- {because}")),
                (false, false) => {}
            }
        }
        score
    }

    fn hold(&self) {
        let share = |other: usize| f64::from(self.right) / (f64::from(self.right) + other as f64);
        let (precision, recall) = (share(self.wrong.len()), share(self.missed.len()));
        println!("precision {precision:.3}, recall {recall:.3}");
        println!("wrong: {:#?}\nmissed: {:#?}", self.wrong, self.missed);
        assert!(precision >= PRECISION_MIN && recall >= RECALL_MIN, "{precision:.3} {recall:.3}");
    }
}

#[test]
fn requests_are_told_from_other_sentences() {
    assert!(labelled().len() >= LINES_MIN);
    Score::of(str::to_owned).hold();
}

#[test]
fn neither_capitals_nor_missing_punctuation_matter() {
    Score::of(|text| text.to_uppercase()).hold();
    Score::of(|text| text.chars().filter(|letter| letter.is_alphanumeric() || *letter == ' ').collect())
        .hold();
    Score::of(|text| text.replace('\'', "\u{2019}")).hold();
}
