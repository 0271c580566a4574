//! What a growing transcript does: a request fires as soon as it is complete, once, and not before (T01, T02).

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so by failing"
)]

use std::{collections::BTreeMap, time::Duration};

use segue_trigger::{
    Advice, Decision, LanguageRules, RequestRules, Rules, Signal, Speaker, Stage, Triggers, Utterance,
    UtteranceId,
};

fn utterance(id: u32, text: &str, stage: Stage) -> Utterance {
    Utterance {
        id: UtteranceId(id),
        speaker: Speaker::Caller,
        text: text.to_owned(),
        start: Duration::ZERO,
        end: Duration::from_secs(2),
        confidence: 0.9,
        stage,
        level: None,
    }
}

fn triggers() -> Triggers {
    Triggers::new(&Rules::default()).unwrap()
}

fn escalates(triggers: &mut Triggers, utterance: &Utterance) -> bool {
    triggers.observe(Signal::Heard(utterance)).is_some_and(|decision| decision.advice == Advice::Escalate)
}

/// Feeds `text` word by word; it must fire with the word before the bar, and neither before nor again.
fn check(text: &str) {
    let mut triggers = triggers();
    let (complete, rest) = text.split_once('|').expect("a bar after the word that completes the request");
    let complete_at = complete.split_whitespace().count();
    let words: Vec<&str> = complete.split_whitespace().chain(rest.split_whitespace()).collect();
    for count in 1..=words.len() {
        let so_far = words[..count].join(" ");
        let fired = escalates(&mut triggers, &utterance(1, &so_far, Stage::Partial));
        assert_eq!(fired, count == complete_at, "{so_far}");
    }
    assert!(!escalates(&mut triggers, &utterance(1, &words.join(" "), Stage::Final)), "fired twice: {text}");
}

/// Feeds `text` word by word and as a final: it never fires.
fn check_silent(text: &str) {
    let mut triggers = triggers();
    let words: Vec<&str> = text.split_whitespace().collect();
    for count in 1..=words.len() {
        let so_far = words[..count].join(" ");
        assert!(!escalates(&mut triggers, &utterance(1, &so_far, Stage::Partial)), "{so_far}");
    }
    assert!(!escalates(&mut triggers, &utterance(1, text, Stage::Final)), "{text}");
}

#[test]
fn a_request_fires_with_the_word_that_completes_it() {
    check("I want to talk to a human | because this does not work");
    check("can I please speak to an agent | about my bill");
    check("connect me with a representative | please");
    check("I need a person |");
    check("my order is late and I need to talk to someone | about it");
    check("get me a hyuman | now");
    check("is there a manager | there");
    check("agent please |");
    check("escalate this | call");
}

#[test]
fn a_sentence_that_only_begins_like_a_request_never_fires() {
    check_silent("my travel agent said it was fine");
    check_silent("agent told me yesterday that it is fine");
    check_silent("I need to talk to human resources");
    check_silent("human resources told me to call");
    check_silent("I don't need a human");
    check_silent("representative of the company said so");
    check_silent("I need someone to install the washing machine");
    check_silent("customer service is bad");
    check_silent("manager of the store was rude");
}

#[test]
fn one_word_fires_when_it_stays_alone() {
    let mut triggers = triggers();
    assert!(!escalates(&mut triggers, &utterance(1, "agent", Stage::Partial)));
    assert!(escalates(&mut triggers, &utterance(1, "Agent.", Stage::Partial)));
    assert!(!escalates(&mut triggers, &utterance(1, "Agent.", Stage::Final)));
    assert!(escalates(&mut triggers, &utterance(2, "Agent.", Stage::Final)), "a new utterance asks again");
}

#[test]
fn half_a_word_is_not_yet_the_word() {
    let mut triggers = triggers();
    assert!(!escalates(&mut triggers, &utterance(1, "talk to a represent", Stage::Partial)));
    assert!(!escalates(&mut triggers, &utterance(1, "talk to a representativ", Stage::Partial)));
    assert!(escalates(&mut triggers, &utterance(1, "talk to a representative", Stage::Partial)));
}

#[test]
fn nobody_but_the_caller_asks() {
    for speaker in [Speaker::Bot, Speaker::Agent] {
        let mut triggers = triggers();
        let said = Utterance { speaker, ..utterance(1, "do you want to talk to a human", Stage::Final) };
        assert_eq!(triggers.observe(Signal::Heard(&said)), None);
        assert_eq!(triggers.last_evaluations().len(), 1);
        assert!(triggers.last_evaluations()[0].because.starts_with("said by the"));
    }
}

#[test]
fn what_was_hardly_understood_is_no_request() {
    let mut triggers = triggers();
    let faint = Utterance { confidence: 0.3, ..utterance(1, "talk to a human", Stage::Partial) };
    assert_eq!(triggers.observe(Signal::Heard(&faint)), None);
    assert!(triggers.last_evaluations()[0].because.contains("confidence 0.30, below 0.35"));
    let settled = Utterance { stage: Stage::Final, ..faint };
    assert!(escalates(&mut triggers, &settled), "a final may be less sure");
}

#[test]
fn the_key_zero_asks_for_a_human_unless_it_is_switched_off() {
    let mut triggers = triggers();
    let decision = triggers.observe(Signal::Key('0')).unwrap();
    assert_eq!((decision.advice, decision.primary.code.as_str()), (Advice::Escalate, "dtmf_zero"));
    assert_eq!(decision.primary.utterance, None);
    for key in ['1', '9', '*', '#', 'A'] {
        assert_eq!(triggers.observe(Signal::Key(key)), None);
        assert!(!triggers.last_evaluations()[0].fired);
    }
    let mut without = Triggers::new(&Rules { dtmf_zero: false, ..Rules::default() }).unwrap();
    assert_eq!(without.observe(Signal::Key('0')), None);
    assert_eq!(without.last_evaluations()[0].because, "the key 0 is switched off");
}

#[test]
fn a_decision_names_the_words_and_every_rule_that_was_looked_at() {
    let mut triggers = triggers();
    let said = utterance(7, "This is ridiculous, damn it, connect me to a hyuman", Stage::Final);
    let decision = triggers.observe(Signal::Heard(&said)).unwrap();
    assert_eq!(decision.advice, Advice::Escalate);
    assert_eq!(decision.primary.rule, "T01");
    assert_eq!(decision.primary.code, "explicit_request");
    assert_eq!(decision.primary.evidence, "connect me to a hyuman (taken for: connect me to a human)");
    assert_eq!(decision.primary.utterance, Some(UtteranceId(7)));
    let contributing: Vec<(&str, &str)> =
        decision.contributing.iter().map(|reason| (reason.rule.as_str(), reason.evidence.as_str())).collect();
    assert_eq!(contributing, [("T17", "this is ridiculous"), ("T18", "damn it")]);
    let evaluated: Vec<(&str, bool)> =
        decision.evaluated.iter().map(|found| (found.rule.as_str(), found.fired)).collect();
    assert_eq!(evaluated, [("T01", true), ("T17", true), ("T18", true), ("T19", false)]);
    assert!(decision.evaluated.iter().all(|found| !found.because.is_empty()));
    assert_eq!(triggers.last_evaluations(), decision.evaluated);
}

#[test]
fn frustration_is_noticed_once_and_contributes_for_a_few_turns() {
    let mut triggers = triggers();
    let noticed = triggers.observe(Signal::Heard(&utterance(1, "I'm fed up", Stage::Partial))).unwrap();
    assert_eq!((noticed.advice, noticed.primary.rule.as_str()), (Advice::None, "T17"));
    assert_eq!(triggers.observe(Signal::Heard(&utterance(1, "I'm fed up with it", Stage::Final))), None);
    let asked = triggers.observe(Signal::Heard(&utterance(3, "give me an agent", Stage::Final))).unwrap();
    assert_eq!(asked.contributing.len(), 1);
    assert_eq!(asked.contributing[0].utterance, Some(UtteranceId(1)));
    for id in 4..7 {
        triggers.observe(Signal::Heard(&utterance(id, "my order is late", Stage::Final)));
    }
    let later = triggers.observe(Signal::Heard(&utterance(9, "give me an agent", Stage::Final))).unwrap();
    assert_eq!(later.contributing, []);
}

#[test]
fn silence_is_explained_too() {
    let mut triggers = triggers();
    let mut because = |text: &str| {
        triggers.observe(Signal::Heard(&utterance(1, text, Stage::Final)));
        triggers.last_evaluations()[0].because.clone()
    };
    assert_eq!(because("I don't want to talk to a human"), "`dont` takes it back");
    assert_eq!(because("my husband said I need an agent"), "`said` reports somebody else's words");
    assert_eq!(because("do I need an agent"), "`do i need` makes it a question or a condition");
    assert_eq!(because("I want human resources"), "`human resources` is something else");
    assert_eq!(because("where is my order"), "no request for a human in it");
    assert_eq!(because(""), "no request for a human in it");
}

#[test]
fn an_endless_utterance_is_heard_by_its_end() {
    let rules = Rules { words_max: 10, ..Rules::default() };
    let mut triggers = Triggers::new(&rules).unwrap();
    let early = format!("talk to a human {}", "and so on ".repeat(40));
    assert_eq!(triggers.observe(Signal::Heard(&utterance(1, &early, Stage::Final))), None);
    let late = format!("{} talk to a human", "and so on ".repeat(40));
    assert!(escalates(&mut triggers, &utterance(2, &late, Stage::Final)));
}

#[test]
fn an_operator_of_the_gateway_adds_and_excludes_phrases_and_languages() {
    let german = LanguageRules {
        noise: vec!["bitte".to_owned()],
        request: RequestRules {
            classes: BTreeMap::from([(
                "mensch".to_owned(),
                vec!["menschen".to_owned(), "mitarbeiter".to_owned()],
            )]),
            tolerant: vec!["mensch".to_owned()],
            patterns: vec!["[mit] einem|dem <mensch> sprechen|reden".to_owned()],
            whole: vec!["<mensch>".to_owned()],
            ..RequestRules::default()
        },
        ..LanguageRules::default()
    };
    let mut rules = Rules {
        request_patterns: vec!["code red".to_owned()],
        request_exclusions: vec!["agent orange".to_owned()],
        ..Rules::default()
    };
    rules.languages.insert("de".to_owned(), german);
    let mut triggers = Triggers::new(&rules).unwrap();
    let mut fires = |id: u32, text: &str| {
        let decision: Option<Decision> = triggers.observe(Signal::Heard(&utterance(id, text, Stage::Final)));
        decision.is_some_and(|decision| decision.advice == Advice::Escalate)
    };
    assert!(fires(1, "this is a code red"));
    assert!(!fires(2, "I need agent orange"));
    assert!(fires(3, "ich will mit einem Menschen sprechen"));
    assert!(fires(4, "Mitarbieter bitte"));
    assert!(fires(5, "I need an agent"));
}

#[test]
fn rules_that_cannot_be_used_are_refused_with_every_key() {
    let mut rules = Rules {
        partial_confidence_min: 1.5,
        words_max: 0,
        request_patterns: vec!["fine".to_owned(), "<nobody>".to_owned()],
        ..Rules::default()
    };
    let english = rules.languages.get_mut("en").unwrap();
    english.request.patterns = vec!["[a]".to_owned()];
    english.request.tolerant = vec!["nobody".to_owned()];
    let error = Triggers::new(&rules).unwrap_err();
    let keys: Vec<&str> = error.problems.iter().map(|found| found.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "partial_confidence_min",
            "words_max",
            "languages.en.request.patterns[0]",
            "request_patterns[1]",
            "languages.en.request.tolerant[0]"
        ]
    );
    assert!(error.to_string().contains("request_patterns[1]: `<nobody>` names the class `nobody`"));
}

#[test]
fn any_text_is_heard_without_harm() {
    use proptest::prelude::*;

    const WORDS: &[&str] = &[
        "i",
        "want",
        "need",
        "talk",
        "to",
        "a",
        "human",
        "agent",
        "dont",
        "not",
        "said",
        "if",
        "resources",
        "please",
        "connect",
        "me",
        "hyuman",
        "real",
        "person",
        ".",
        ",",
        "?",
        "do",
        "bot",
    ];
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1000) };
    let words =
        proptest::collection::vec(proptest::sample::select(WORDS), 0..30).prop_map(|words| words.join(" "));
    let set = std::sync::Arc::new(segue_trigger::RuleSet::new(&Rules::default()).unwrap());
    proptest!(config, |(text in prop_oneof![words, ".{0,80}"], partial: bool)| {
        let mut triggers = Triggers::with(std::sync::Arc::clone(&set));
        let stage = if partial { Stage::Partial } else { Stage::Final };
        let decision = triggers.observe(Signal::Heard(&utterance(1, &text, stage)));
        prop_assert_eq!(triggers.last_evaluations().len(), 4);
        if let Some(decision) = decision.filter(|decision| decision.primary.rule == "T01") {
            let said = decision.primary.evidence.split(" (taken for").next().unwrap_or_default();
            prop_assert!(text.contains(said), "{} was not said", said);
        }
    });
}

#[test]
fn the_rules_survive_a_configuration_file_and_a_mistyped_key_is_refused() {
    let written = serde_json::to_string(&Rules::default()).unwrap();
    assert_eq!(serde_json::from_str::<Rules>(&written).unwrap(), Rules::default());
    assert_eq!(serde_json::from_str::<Rules>("{}").unwrap(), Rules::default());
    assert!(serde_json::from_str::<Rules>("{\"dtmf_zerro\": true}").is_err());
}

#[test]
fn it_waits_for_words_while_a_request_may_still_turn_into_something_else() {
    let mut triggers = triggers();
    for (text, stage, waits) in [
        ("my order", Stage::Partial, false),
        ("agent", Stage::Partial, true),
        ("agent told me", Stage::Partial, false),
        ("talk to human", Stage::Partial, true),
        ("talk to human resources", Stage::Partial, false),
        ("agent", Stage::Partial, true),
        ("agent", Stage::Final, false),
    ] {
        triggers.observe(Signal::Heard(&utterance(1, text, stage)));
        assert_eq!(triggers.waits_for_words(), waits, "{text} {stage:?}");
    }
}
