//! Asking for a human: in words, by key, by the bot, by another system (T01, T02, T33). Latched and idempotent.

use segue_call::{Declared, LegEnd};
use segue_trigger::{Advice, Speaker};

use crate::harness::{Story, declared};

const OPENED_IN_WORDS: &[&str] = &[
    "~ heard Caller I want to talk to a human",
    "~ decided T01 explicit_request",
    "wire caller<-hold bot<-quiet",
    "~ HandingOff",
    "~ handoff 1 Requested",
    "prepare <whisper>",
    "~ brief 1",
    "promise opened 1 T01 explicit_request",
    "play 2 caller: announce asked G +details",
    "~ saying to caller",
    "~ handoff 1 Announced",
    "promise ticket 1 general",
    "enqueue 100 general since 10",
];

#[test]
fn t01_a_request_opens_a_handoff_on_a_partial_and_everything_starts_in_the_same_step() {
    Story::with_bot().begins_to_say(Speaker::Caller, "I want to talk to a human").gives(OPENED_IN_WORDS);
}

#[test]
fn t01_the_final_of_a_partial_that_fired_only_rewrites_the_brief() {
    Story::with_bot()
        .begins_to_say(Speaker::Caller, "I want to talk to a human")
        .says(Speaker::Caller, "I want to talk to a human about my order")
        .does(&["prepare <whisper>"]);
}

#[test]
fn t01_a_request_in_a_final_opens_a_handoff_and_writes_the_brief_once() {
    let mut story = Story::with_bot();
    story.says(Speaker::Caller, "I want to talk to a human").gives(OPENED_IN_WORDS);
}

#[test]
fn t01_the_bots_own_words_open_nothing() {
    Story::with_bot().begins_to_say(Speaker::Bot, "do you want to talk to a human").does(&[]);
}

#[test]
fn t01_a_request_while_the_greeting_plays_needs_no_bot() {
    Story::arrive().at(1.0).begins_to_say(Speaker::Caller, "I want to talk to a human").does(&[
        "prepare <whisper>",
        "promise opened 1 T01 explicit_request",
        "play 2 caller: announce asked G +details",
        "promise ticket 1 general",
        "enqueue 100 general since 1",
    ]);
}

#[test]
fn t04_key_0_opens_a_handoff_while_the_bot_is_dialled_and_the_bot_is_given_up() {
    Story::arrive().at(3.0).played(1).key(0, '0').does(&[
        "hang up 1 Canceled",
        "prepare <whisper>",
        "promise opened 1 T01 dtmf_zero",
        "play 2 caller: announce pressed G +details",
        "promise ticket 1 general",
        "enqueue 100 general since 3",
    ]);
}

#[test]
fn t04_key_0_opens_a_handoff_with_the_bot() {
    Story::with_bot().key(0, '0').does(&[
        "wire caller<-hold bot<-quiet",
        "prepare <whisper>",
        "promise opened 1 T01 dtmf_zero",
        "play 2 caller: announce pressed G +details",
        "promise ticket 1 general",
        "enqueue 100 general since 10",
    ]);
}

#[test]
fn other_keys_and_other_partys_keys_open_nothing() {
    let mut story = Story::with_bot();
    for key in ['1', '2', '9', '*', '#', 'A'] {
        story.key(0, key).gives_nothing();
    }
    story.key(1, '0').gives_nothing().key(9, '0').gives_nothing();
}

#[test]
fn a_bot_that_refers_opens_a_handoff_and_its_leg_stays_up() {
    let bot = Declared { queue: Some("billing".into()), ..declared("billing_dispute") };
    Story::with_bot().on(segue_call::Event::BotDeclared(bot)).does(&[
        "wire caller<-hold bot<-quiet",
        "prepare <whisper>",
        "promise opened 1 T24 billing_dispute",
        "play 2 caller: announce because B +details",
        "promise ticket 1 billing",
        "enqueue 100 billing since 10",
    ]);
}

#[test]
fn a_bot_that_hangs_up_with_a_declaration_opens_a_handoff() {
    Story::with_bot().ended_declaring(1, declared("legal")).gives(&[
        "~ bot leg down",
        "~ decided T24 legal",
        "wire caller<-hold",
        "~ HandingOff",
        "~ handoff 1 Requested",
        "prepare <whisper>",
        "~ brief 1",
        "promise opened 1 T24 legal",
        "play 2 caller: announce because G +details",
        "~ saying to caller",
        "~ handoff 1 Announced",
        "promise ticket 1 legal",
        "enqueue 100 legal since 10",
    ]);
}

#[test]
fn another_system_can_ask_and_asking_twice_is_asking_once() {
    Story::with_bot()
        .asked(Some("billing"))
        .does(&[
            "wire caller<-hold bot<-quiet",
            "prepare <whisper>",
            "promise opened 1 API vip",
            "play 2 caller: announce because B +details",
            "promise ticket 1 billing",
            "enqueue 100 billing since 10",
        ])
        .asked(Some("billing"))
        .gives_nothing();
}

#[test]
fn a_handoff_is_latched_more_requests_change_nothing() {
    let mut story = Story::requested();
    story.key(0, '0').gives_nothing();
    story.begins_to_say(Speaker::Caller, "give me a human").gives(&["~ heard Caller give me a human"]);
    story.asked(None).gives_nothing();
}

#[test]
fn a_handoff_is_latched_losing_the_bot_does_not_cancel_it() {
    for cause in [LegEnd::HungUp, LegEnd::Lost, LegEnd::Error] {
        Story::requested().ended(1, cause).gives(&["~ bot leg down"]);
    }
}

#[test]
fn a_declaration_after_the_request_only_adds_to_the_brief() {
    let summary = Declared { summary: Some("wants a refund".into()), ..Declared::default() };
    let mut story = Story::offered();
    story.ended_declaring(1, summary).does(&["prepare <whisper>", "show brief alex", "note brief 1 alex"]);
    let brief = story.call.view().brief.expect("there is a brief");
    assert_eq!(brief.bot_summary.as_deref(), Some("wants a refund"));
    assert_eq!(brief.reason.code, "dtmf_zero");
}

#[test]
fn t33_the_decision_names_its_reason_with_the_words_and_the_utterance() {
    let mut story = Story::with_bot();
    story.says(Speaker::Caller, "hello").begins_to_say(Speaker::Caller, "give me a human please");
    let record = story.call.view().handoff.expect("a handoff is under way").record;
    assert_eq!((record.reason.rule.as_str(), record.reason.utterance.map(|id| id.0)), ("T01", Some(2)));
    let decided = story.all.iter().find_map(|action| {
        let segue_call::Action::Promise(segue_call::Entry::HandoffOpened { decision, .. }) = action else {
            return None;
        };
        Some(decision.clone())
    });
    let decided = decided.expect("the handoff was promised");
    assert_eq!(decided.advice, Advice::Escalate);
    assert!(!decided.evaluated.is_empty());
}

#[test]
fn the_queue_follows_the_callers_words() {
    Story::with_bot().says(Speaker::Caller, "there is a mistake on my bill").key(0, '0').does(&[
        "wire caller<-hold bot<-quiet",
        "prepare <whisper>",
        "promise opened 1 T01 dtmf_zero",
        "play 2 caller: announce pressed B +details",
        "promise ticket 1 billing",
        "enqueue 100 billing since 10",
    ]);
}

#[test]
fn m15_a_frustrated_caller_hears_an_apology_first() {
    let mut story = Story::with_bot_and(|policy| {
        policy.speech.apology_rules.insert("API".into());
        policy.speech.ask_for_details = false;
    });
    story.asked(None).does(&[
        "wire caller<-hold bot<-quiet",
        "prepare <whisper>",
        "promise opened 1 API vip",
        "play 2 caller: sorry announce because G",
        "promise ticket 1 general",
        "enqueue 100 general since 10",
    ]);
}

#[test]
fn t03_what_the_caller_says_while_waiting_reaches_the_agent() {
    let mut story = Story::offered();
    story.says(Speaker::Caller, "it is about my broken heating, order 5521").does(&[
        "prepare <whisper>",
        "show brief alex",
        "note brief 1 alex",
    ]);
    assert_eq!(story.call.view().transcript.len(), 1);
}

#[test]
fn r13_the_ticket_carries_priority_language_skills_and_the_beginning_of_the_wait() {
    let mut story = Story::arrive_with(|policy| {
        policy.routes.skills.insert("general".into(), ["refunds".into()].into());
    });
    let customer = [("account_type", "premium"), ("lifetime_value", "9000")];
    let customer = customer.map(|(field, value)| (field.to_owned(), value.to_owned()));
    story.on(segue_call::Event::Customer(customer.into())).at(5.0).key(0, '0');
    let ticket = story.all.iter().find_map(|action| {
        let segue_call::Action::Enqueue { ticket } = action else { return None };
        Some(ticket.clone())
    });
    let ticket = ticket.expect("the call waits");
    assert_eq!(ticket.priority, 50 + 20 + 15);
    assert_eq!(ticket.language, "en-US".into());
    assert_eq!(ticket.skills, ["refunds".into()].into());
    assert_eq!(ticket.since, crate::harness::BEGIN + std::time::Duration::from_secs(5));
}

#[test]
fn c10_the_handoff_request_names_trigger_call_and_skills() {
    let mut story = Story::arrive_with(|policy| {
        policy.routes.skills.insert("billing".into(), ["refunds".into()].into());
        policy.routes.skills.insert("general".into(), ["patience".into()].into());
    });
    story.says(Speaker::Caller, "my bill for order 1234 is wrong").key(0, '0');
    let request = story.call.handoff_request().expect("a handoff is under way");
    assert_eq!(request.metadata.session_id, "c1");
    assert_eq!(request.metadata.escalation_trigger, "T01 dtmf_zero");
    assert_eq!(request.skills_required, ["refunds"]);
    assert_eq!(request.language, "en-US");
    assert_eq!(request.context.transcript.len(), 1);
}
