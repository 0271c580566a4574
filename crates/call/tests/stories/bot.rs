//! The caller and the bot: greeting, connection, loss.

use segue_call::{DialFailure, LegEnd, Phase};
use segue_trigger::Speaker;

use crate::harness::Story;

#[test]
fn a_call_is_answered_onto_hold_and_greeted_before_the_bot_is_dialled() {
    Story::arrive()
        .gives(&[
            "answer caller",
            "~ caller leg up",
            "wire caller<-hold",
            "~ Connecting",
            "play 1 caller: greeting",
            "~ saying to caller",
        ])
        .at(3.0)
        .played(1)
        .gives(&["dial 1 bot"]);
}

#[test]
fn without_a_greeting_the_bot_is_dialled_at_once() {
    Story::arrive_with(|policy| policy.speech.prompts = no_greeting()).does(&[
        "answer caller",
        "wire caller<-hold",
        "dial 1 bot",
    ]);
}

fn no_greeting() -> std::collections::BTreeMap<segue_acd::Language, std::sync::Arc<segue_call::Prompts>> {
    let prompts = serde_json::from_str(r#"{"messages": {"greeting": ""}}"#).expect("the prompts are right");
    std::collections::BTreeMap::from([("en".into(), std::sync::Arc::new(prompts))])
}

#[test]
fn a_greeting_whose_end_is_never_told_does_not_hold_the_call_up() {
    Story::arrive().alarm_at(15.0).gives(&["stop 1", "dial 1 bot"]);
}

#[test]
fn caller_and_bot_hear_each_other_once_the_bot_answers() {
    Story::arrive().at(3.0).played(1).at(4.0).answered(1).gives(&[
        "~ bot leg up",
        "wire caller<-bot bot<-caller",
        "~ WithBot",
    ]);
}

#[test]
fn a_bot_that_cannot_be_reached_opens_a_handoff() {
    Story::arrive().at(3.0).played(1).at(4.0).failed(1, DialFailure::Unreachable).gives(&[
        "~ decided R20 bot_failed",
        "~ HandingOff",
        "~ handoff 1 Requested",
        "prepare <whisper>",
        "~ brief 1",
        "promise opened 1 R20 bot_failed",
        "play 2 caller: announce broken G +details",
        "~ saying to caller",
        "~ handoff 1 Announced",
        "promise ticket 1 general",
        "enqueue 100 general since 4",
    ]);
}

#[test]
fn a_bot_that_does_not_answer_in_time_opens_a_handoff() {
    Story::arrive().at(3.0).played(1).alarm_at(13.0).does(&[
        "hang up 1 NoAnswer",
        "prepare <whisper>",
        "promise opened 1 R20 bot_failed",
        "play 2 caller: announce broken G +details",
        "promise ticket 1 general",
        "enqueue 100 general since 13",
    ]);
}

#[test]
fn a_bot_that_hangs_up_after_a_talk_ends_the_call() {
    Story::with_bot().hung_up(1).gives(&[
        "~ bot leg down",
        "hang up 0 PeerHungUp",
        "~ caller leg down",
        "promise record by Bot",
        "~ ended by Bot",
        "~ Ended",
        "finished",
    ]);
}

#[test]
fn a_bot_that_hangs_up_at_once_has_failed() {
    let mut story = Story::with_bot();
    story.at(5.0).hung_up(1).does(&[
        "wire caller<-hold",
        "prepare <whisper>",
        "promise opened 1 R20 bot_failed",
        "play 2 caller: announce broken G +details",
        "promise ticket 1 general",
        "enqueue 100 general since 5",
    ]);
}

#[test]
fn a_bot_whose_leg_breaks_opens_a_handoff() {
    for cause in [LegEnd::Lost, LegEnd::Error] {
        let mut story = Story::with_bot();
        story.ended(1, cause);
        assert_eq!(story.call.view().phase, Phase::HandingOff, "{cause:?}");
    }
}

#[test]
fn the_brief_is_rewritten_at_every_turn_and_its_whisper_rendered_ahead() {
    let mut story = Story::with_bot();
    story
        .says(Speaker::Caller, "my parcel 1234 has not come")
        .gives(&["~ heard Caller my parcel 1234 has not come", "prepare <whisper>", "~ brief 1"])
        .says(Speaker::Bot, "I am looking for it");
    let revision = story.call.view().brief.map(|brief| brief.revision);
    assert_eq!(revision, Some(2));
}

#[test]
fn a_partial_is_published_and_rewrites_nothing() {
    Story::with_bot()
        .begins_to_say(Speaker::Caller, "my parcel")
        .gives(&["~ heard Caller my parcel"])
        .begins_to_say(Speaker::Bot, "I will look")
        .gives(&["~ heard Bot I will look"]);
}

#[test]
fn a_talk_with_the_bot_has_a_deadline() {
    Story::with_bot().alarm_at(14_404.0).gives(&[
        "wire caller<-hold bot<-quiet",
        "play 2 caller: broken then end",
        "~ saying to caller",
        "hang up 1 Failed",
        "~ bot leg down",
        "~ Ending",
    ]);
}
