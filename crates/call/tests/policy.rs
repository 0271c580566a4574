//! The policy as an operator writes it: defaults, mistakes, and what the mistakes are called.

#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

use std::{sync::Arc, time::Duration};

use segue_acd::{Language, QueueId};
use segue_call::{Message, Policy, PolicyError, PromptError, Prompts};

fn prompts(text: &str) -> Result<Prompts, toml::de::Error> {
    toml::from_str(text)
}

fn complaint(text: &str) -> String {
    prompts(text).expect_err("the sheet has a mistake").to_string()
}

#[test]
fn an_empty_file_is_the_default_policy_and_that_is_in_order() {
    let policy: Policy = toml::from_str("").expect("an empty file is a policy");
    assert_eq!(policy, Policy::default());
    assert_eq!(policy.check(), Ok(()));
    assert_eq!(policy.warnings(), Vec::<String>::new());
}

#[test]
fn times_are_seconds_and_whole_numbers_will_do() {
    let policy: Policy =
        toml::from_str("[times]\nring_max = 25\nwhisper_max = 6.5\n").expect("the policy is right");
    assert_eq!(policy.times.ring_max, Duration::from_secs(25));
    assert_eq!(policy.times.whisper_max, Duration::from_millis(6500));
    for wrong in ["-1", "nan", "inf", "1e9", "\"20s\""] {
        assert!(toml::from_str::<Policy>(&format!("[times]\nring_max = {wrong}\n")).is_err(), "{wrong}");
    }
}

#[test]
fn a_key_that_does_not_exist_is_refused_by_its_name() {
    for text in [
        "ring = 1",
        "[times]\nring = 1",
        "[limits]\nhandoff = 1",
        "[routes]\nqueue = \"a\"",
        "[speech]\nx = 1",
    ] {
        let error = toml::from_str::<Policy>(text).expect_err(text).to_string();
        assert!(error.contains("unknown field"), "{error}");
    }
    assert!(complaint("[messages]\ngreetings = \"hello\"").contains("greetings"));
    assert!(complaint("[message]\ngreeting = \"hello\"").contains("message"));
}

#[test]
fn contradictions_are_all_found_at_once() {
    let text = "[times]\nring_max = 0\nwhisper_deadline = 3\naccept_max = 2\n[limits]\noffers = 0\n\
                [speech]\ndefault_language = \"fr\"\n";
    let policy: Policy = toml::from_str(text).expect("it can be read");
    let found = policy.check().expect_err("it contradicts itself");
    assert_eq!(
        found,
        [
            PolicyError::NoPrompts(Language::from("fr")),
            PolicyError::ZeroTime("ring_max"),
            PolicyError::ZeroLimit("offers"),
            PolicyError::WhisperCut,
            PolicyError::AcceptTooShort,
        ]
    );
}

#[test]
fn a_prompt_with_an_unknown_variable_is_refused_with_both_names() {
    let said = complaint("[messages]\nwaiting = \"number {position}, {time}, {wait}\"");
    assert!(
        said.contains("prompt waiting (en)") && said.contains("{time}") && said.contains("position"),
        "{said}"
    );
}

#[test]
fn m01_a_prompt_that_leaves_out_what_it_must_say_is_refused() {
    let said = complaint("[messages]\nannouncement = \"I'm connecting you with {queue}.\"");
    assert!(said.contains("{why}"), "{said}");
    let said = complaint("[messages]\nsorry_away = \"\"");
    assert!(said.contains("is empty"), "{said}");
    assert!(complaint("[messages]\nannouncement = \"{why} {queue\"").contains("no `}`"));
    let long = "x".repeat(501);
    assert!(complaint(&format!("[messages]\ngreeting = \"{long}\"")).contains("500"));
}

#[test]
fn m03_a_bare_please_hold_is_refused() {
    for bare in ["Please hold.", "{why}, here comes {queue}. Transferring you now...", "One moment, please!"]
    {
        let said = complaint(&format!("[messages]\nannouncement = \"{bare}\""));
        assert!(said.contains("what happens, why"), "{bare}: {said}");
    }
    let kind = "[messages]\ngreeting = \"Please hold the receiver close. We are here for you.\"";
    assert!(prompts(kind).is_ok());
}

#[test]
fn t04_an_empty_greeting_is_allowed_and_warned_about() {
    let mut policy = Policy::default();
    let silent = prompts("[messages]\ngreeting = \"\"").expect("an empty greeting is allowed");
    policy.speech.prompts.insert(Language::from("en"), Arc::new(silent));
    let warnings = policy.warnings();
    assert!(
        matches!(warnings.as_slice(), [one] if one.contains("T04") && one.contains("en")),
        "{warnings:?}"
    );
}

#[test]
fn another_language_must_have_every_message() {
    let said =
        complaint("language = \"de\"\n[reasons]\ndefault = \"Gern\"\n[queues]\ndefault = \"das Team\"");
    assert!(said.contains("prompt greeting is missing") && said.contains("de"), "{said}");
    assert!(complaint("language = \"de\"").contains("reasons.default"));
}

#[test]
fn a_sheet_survives_being_written_and_read_again() {
    let written = toml::to_string(&Prompts::english()).expect("prompts can be written");
    assert_eq!(prompts(&written).expect("and read"), Prompts::english());
    let policy = toml::to_string(&Policy::default()).expect("a policy can be written");
    assert_eq!(toml::from_str::<Policy>(&policy).expect("and read"), Policy::default());
}

#[test]
fn every_built_in_sentence_passes_the_checks_of_the_operators() {
    let mut sheet =
        String::from("language = \"de\"\n[reasons]\ndefault = \"a\"\n[queues]\ndefault = \"b\"\n");
    let written = toml::to_string(&Prompts::english()).expect("prompts can be written");
    let messages = written.find("[messages]").expect("there are messages");
    sheet.push_str(written.get(messages..).unwrap_or_default());
    assert!(prompts(&sheet).is_ok());
    assert!(Message::ALL.len() > 20);
}

#[test]
fn everything_without_a_number_or_a_name_is_rendered_before_the_first_call() {
    let queues = [QueueId::from("billing")];
    let texts: Vec<String> =
        Prompts::english().mandatory(&queues, true).into_iter().map(|prompt| prompt.text).collect();
    let has = |part: &str| assert!(texts.iter().any(|text| text.contains(part)), "{part} is not rendered");
    has("As you asked, I'm connecting you with a billing specialist now.");
    has("As you asked, I'm connecting you with a member of our team now.");
    has("tell me in a sentence what it is about");
    has("It will take less than a minute.");
    has("a billing specialist cannot be reached right now. I'm taking you back to the assistant.");
    has("something is broken on our side. Please call again later.");
    has("Press 1 to take the call");
    has("Goodbye");
    assert!(!texts.iter().any(|text| text.contains('{') || text.is_empty()));
    let kinds: std::collections::BTreeSet<&String> = texts.iter().collect();
    assert_eq!(kinds.len(), texts.len(), "nothing is rendered twice");
    assert!(texts.len() < 45, "{} prompts would make the start slow", texts.len());
}

#[test]
fn a_mistake_in_a_prompt_is_a_typed_error() {
    let error = PromptError::Empty { language: Language::from("en"), message: Message::SorryAway };
    assert_eq!(
        error.to_string(),
        "prompt sorry_away (en) is empty; it must be said, leave it out for the default"
    );
}
