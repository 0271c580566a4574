//! Rules over features, in conversations as callers and bots have them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code fails by panicking"
)]

use std::{sync::Arc, time::Duration};

use Speaker::{Bot, Caller};
use segue_trigger::{
    Advice, Decision, Fact, Rule, RuleSet, Rules, Signal, Speaker, Stage, Triggers, Utterance, UtteranceId,
};

struct Call {
    triggers: Triggers,
    turns: u32,
}

impl Call {
    fn new(rules: &[(&str, &str, Advice, f64)]) -> Call {
        let rules = rules.iter().map(|(id, when, then, weight)| Rule {
            id: (*id).to_owned(),
            code: id.to_lowercase(),
            when: (*when).to_owned(),
            then: *then,
            weight: *weight,
        });
        let rules = Rules { rules: rules.collect(), ..Rules::default() };
        let set = Arc::new(RuleSet::new(&rules).unwrap());
        Call { triggers: Triggers::with(set).since(Duration::ZERO), turns: 0 }
    }

    /// Ten seconds a turn.
    fn says(&mut self, speaker: Speaker, text: &str) -> Option<Decision> {
        self.turns += 1;
        let end = Duration::from_secs(10) * self.turns;
        self.triggers.observe(Signal::Heard(&Utterance {
            id: UtteranceId(self.turns),
            speaker,
            text: text.to_owned(),
            start: end - Duration::from_secs(3),
            end,
            confidence: 0.9,
            stage: Stage::Final,
            level: None,
        }))
    }

    fn feature(&self, name: &str) -> String {
        self.triggers.features().find(|(known, _)| *known == name).map(|(_, value)| value).unwrap_or_default()
    }
}

fn code(decision: Option<Decision>) -> (Advice, String) {
    let decision = decision.unwrap();
    (decision.advice, decision.primary.rule)
}

#[test]
fn the_map_of_the_specification_loads_unchanged_and_its_rules_fire_where_they_should() {
    let mut call = Call::new(&[
        ("T12", "confusion_loops >= limits.confusion_loops", Advice::Escalate, 0.0),
        ("T15", "negativity >= limits.negative_sentiment", Advice::Escalate, 0.0),
        ("T13", "topic_switches >= limits.topic_switches", Advice::Escalate, 0.0),
        ("T14", "session_minutes >= limits.session_length", Advice::Escalate, 0.0),
    ]);
    assert_eq!(call.says(Caller, "where is my parcel with order number four five"), None);
    assert_eq!(call.says(Bot, "I'm sorry, could you repeat that?"), None);
    assert_eq!(call.says(Caller, "my order, it's four five"), None);
    assert_eq!(call.says(Bot, "I didn't catch that. Can you say that again?"), None);
    assert_eq!(call.says(Caller, "four five"), None);
    assert_eq!(
        code(call.says(Bot, "I'm not sure I understand. Did you mean a return?")),
        (Advice::Escalate, "T12".into())
    );
    assert_eq!(call.says(Bot, "What do you mean?"), None, "what holds on does not fire again");
    assert_eq!(call.feature("clarifications"), "4");
}

#[test]
fn anger_fires_once_until_it_is_gone() {
    let mut call = Call::new(&[("T15", "negativity >= limits.negative_sentiment", Advice::Escalate, 0.0)]);
    assert_eq!(call.says(Caller, "my parcel is late"), None);
    let decision =
        call.says(Caller, "this is absolutely ridiculous, your service is terrible, I am furious").unwrap();
    assert_eq!((decision.advice, decision.primary.rule.as_str()), (Advice::Escalate, "T15"));
    assert!(decision.primary.evidence.contains("terrible"), "{decision:?}");
    assert_eq!(decision.primary.utterance, Some(UtteranceId(2)));
    assert!(decision.evaluated.iter().any(|seen| seen.rule == "T15"
        && seen.fired
        && (seen.threshold - 0.7).abs() < 1e-9
        && seen.because.contains("limits.negative_sentiment is 0.7")));
    call.says(Caller, "thank you so much that is wonderful");
    call.says(Caller, "great, thanks a lot");
    assert_eq!(call.feature("negativity"), "0");
    let again = call.says(Caller, "no this is horrible, terrible, you are useless and pathetic");
    assert!(
        again.is_none_or(|decision| decision.advice == Advice::None),
        "one angry turn after praise is not yet anger"
    );
    assert_eq!(code(call.says(Caller, "I am furious, this is outrageous")), (Advice::Escalate, "T15".into()));
}

#[test]
fn strikes_count_in_a_row_and_success_sets_them_back() {
    let mut call = Call::new(&[("T09", "strikes >= 2", Advice::Escalate, 0.0)]);
    call.says(Caller, "my router does not connect");
    call.says(Bot, "Please restart it.");
    call.says(Caller, "that didn't work");
    assert_eq!(call.feature("strikes"), "1");
    call.says(Caller, "oh wait, it works now");
    assert_eq!(call.feature("strikes"), "0");
    call.says(Caller, "no, that's wrong");
    assert_eq!(
        code(call.says(Caller, "you don't understand, I already told you")),
        (Advice::Escalate, "T09".into())
    );
}

#[test]
fn the_same_question_in_other_words_is_the_same_question() {
    let mut call = Call::new(&[("T11", "question_repeats >= 1", Advice::Offer, 0.0)]);
    assert_eq!(call.says(Caller, "when will my refund arrive on my account"), None);
    assert_eq!(call.says(Bot, "Refunds take five days."), None);
    assert_eq!(call.says(Caller, "and what about the washing machine I returned"), None);
    assert_eq!(
        code(call.says(Caller, "so when does the refund arrive on the account?")),
        (Advice::Offer, "T11".into())
    );
}

#[test]
fn topics_are_told_apart_and_their_changes_are_counted() {
    let mut call = Call::new(&[("T22", "legal in topics || topic == account_breach", Advice::Escalate, 0.0)]);
    call.says(Caller, "my invoice is too high");
    call.says(Caller, "and I would like to cancel my subscription");
    call.says(Caller, "yes cancel it");
    assert_eq!((call.feature("topic"), call.feature("topic_switches")), ("cancellation".into(), "1".into()));
    assert_eq!(
        code(call.says(Caller, "I will talk to my lawyer about it")),
        (Advice::Escalate, "T22".into())
    );
}

#[test]
fn what_the_bot_reports_is_held_against_the_rules_at_once() {
    let mut call = Call::new(&[
        ("T05", "confidence < limits.low_confidence", Advice::Escalate, 0.0),
        ("T06", "band == 'offer' && offers_declined == 0", Advice::Offer, 0.0),
        ("T09", "strikes >= 2", Advice::Escalate, 0.0),
        ("T24", "exception != ''", Advice::Escalate, 0.0),
        ("T26", "topic == pricing && 'enterprise' in considering && engagement > 0.8", Advice::Offer, 0.0),
    ]);
    let mut learns = |facts: &[Fact]| {
        let decision = call.triggers.observe(Signal::Learned(facts, None));
        decision.map(|decision| (decision.advice, decision.primary.rule))
    };
    assert_eq!(learns(&[Fact::Confidence(0.92)]), None);
    assert_eq!(learns(&[Fact::Confidence(0.7)]), Some((Advice::Offer, "T06".into())));
    assert_eq!(learns(&[Fact::Declined, Fact::Confidence(0.93)]), None);
    assert_eq!(learns(&[Fact::Confidence(0.7)]), None, "who declined once is not asked again");
    assert_eq!(learns(&[Fact::Confidence(0.5)]), None, "one clarifying turn");
    assert_eq!(learns(&[Fact::Failed]), Some((Advice::Escalate, "T09".into())));
    assert_eq!(learns(&[Fact::Succeeded]), None);
    assert_eq!(learns(&[Fact::Confidence(0.39)]), Some((Advice::Escalate, "T05".into())));
    assert_eq!(learns(&[Fact::Topic("pricing".into()), Fact::Engagement(0.9)]), None);
    assert_eq!(learns(&[Fact::Considering(vec!["enterprise".into()])]), Some((Advice::Offer, "T26".into())));
    assert_eq!(learns(&[Fact::Exception("kyc_review".into())]), Some((Advice::Escalate, "T24".into())));
}

#[test]
fn an_amount_counts_with_the_utterance_it_was_named_in() {
    let mut call = Call::new(&[("T21", "refund in topics && amount > 500", Advice::Escalate, 0.0)]);
    let facts = [Fact::Amount(499.0)];
    assert_eq!(call.triggers.observe(Signal::Learned(&facts, Some(UtteranceId(1)))), None);
    assert_eq!(call.says(Caller, "I want a refund of four hundred ninety nine dollars"), None);
    let facts = [Fact::Amount(1_200.0)];
    assert_eq!(call.triggers.observe(Signal::Learned(&facts, Some(UtteranceId(2)))), None);
    let decision = call.says(Caller, "no the refund must be twelve hundred dollars").unwrap();
    assert_eq!((decision.advice, decision.primary.rule.as_str()), (Advice::Escalate, "T21"));
    assert!(decision.primary.evidence.contains("1200.00"), "{decision:?}");
}

#[test]
fn weak_signals_add_up() {
    let mut call = Call::new(&[
        ("T29", "score >= 1.0", Advice::Escalate, 0.0),
        ("W1", "frustration >= 1", Advice::None, 0.5),
        ("W2", "strikes >= 1", Advice::None, 0.3),
        ("W3", "session_minutes >= 0.4", Advice::None, 0.3),
    ]);
    call.says(Caller, "my parcel did not come");
    let noticed = call.says(Caller, "no, that's not what I said, this is a waste of time").unwrap();
    assert_eq!((noticed.advice, noticed.primary.rule.as_str()), (Advice::None, "T17"));
    let decision = call.says(Caller, "the green one").unwrap();
    assert_eq!((decision.advice, decision.primary.rule.as_str()), (Advice::Escalate, "T29"));
    let contributing: Vec<&str> = decision.contributing.iter().map(|reason| reason.rule.as_str()).collect();
    assert!(["W1", "W2", "W3", "T17"].iter().all(|rule| contributing.contains(rule)), "{contributing:?}");
}

#[test]
fn an_explicit_request_stays_the_reason_when_other_rules_hold() {
    let mut call = Call::new(&[("T20", "billing in topics", Advice::Offer, 0.0)]);
    let decision = call.says(Caller, "I want to talk to an agent about my invoice").unwrap();
    assert_eq!((decision.advice, decision.primary.rule.as_str()), (Advice::Escalate, "T01"));
    assert!(decision.contributing.iter().any(|reason| reason.rule == "T20"), "{decision:?}");
}

#[test]
fn a_rule_that_cannot_be_used_is_refused_with_its_key_and_a_suggestion() {
    let rules = Rules {
        rules: vec![Rule {
            id: "T15".to_owned(),
            code: "anger".to_owned(),
            when: "negativty > 0.5".to_owned(),
            then: Advice::Escalate,
            weight: 0.0,
        }],
        ..Rules::default()
    };
    let error = RuleSet::new(&rules).unwrap_err();
    assert_eq!(error.problems[0].key, "rules[0].when");
    assert!(error.problems[0].problem.contains("did you mean `negativity`?"), "{error}");
}
