//! Nobody can take the call: an apology, and the bot again (R20). Never a dead end.

use segue_acd::Unqueued;
use segue_call::{Declared, DialFailure, Phase};
use segue_trigger::Speaker;

use crate::harness::Story;

#[test]
fn a_full_queue_cuts_the_announcement_short_and_leads_back_to_the_bot() {
    Story::requested()
        .unqueued(Unqueued::QueueFull)
        .gives(&[
            "promise closed 1 Rejected",
            "~ handoff 1 Rejected",
            "~ Connecting",
            "play 3 caller: full G then bot",
            "~ saying to caller",
        ])
        .at(18.0)
        .played(3)
        .gives(&["wire caller<-bot bot<-caller", "~ WithBot"]);
}

#[test]
fn each_reason_has_its_apology() {
    let check = |why: Unqueued, apology: &str| {
        let play = format!("play 3 caller: {apology} G then bot");
        Story::requested().unqueued(why).does(&["promise closed 1 Rejected", &play]);
    };
    check(Unqueued::QueueFull, "full");
    check(Unqueued::EverybodyAway, "away");
    check(Unqueued::Closed, "closed");
    check(Unqueued::UnknownQueue, "away");
}

#[test]
fn a_queue_that_does_not_exist_is_replaced_by_the_default_one() {
    let mut story = Story::with_bot();
    story
        .asked(Some("nowhere"))
        .unqueued(Unqueued::UnknownQueue)
        .gives(&["promise ticket 1 general", "enqueue 101 general since 10"]);
    story
        .unqueued_as(101, Unqueued::UnknownQueue)
        .does(&["promise closed 1 Rejected", "play 3 caller: away G then bot"]);
}

#[test]
fn a_bot_that_went_away_meanwhile_is_dialled_again() {
    let mut story = Story::requested();
    story.hung_up(1).unqueued(Unqueued::Closed).at(18.0).played(3).gives(&["dial 2 bot"]);
    story.at(19.0).answered(2).does(&["wire caller<-bot bot<-caller"]);
}

#[test]
fn a_bot_that_goes_away_during_the_apology_is_dialled_again() {
    let mut story = Story::requested();
    story.unqueued(Unqueued::Closed).at(15.0).hung_up(1).gives(&["~ bot leg down"]);
    story.at(18.0).played(3).gives(&["dial 2 bot"]);
}

#[test]
fn without_bot_and_human_there_is_an_apology_and_an_end() {
    let mut story = Story::requested();
    story.hung_up(1).unqueued(Unqueued::Closed).at(18.0).played(3);
    story.at(19.0).failed(2, DialFailure::Unreachable).gives(&[
        "play 4 caller: broken then end",
        "~ saying to caller",
        "~ Ending",
    ]);
    story.at(22.0).played(4).does(&["hang up 0 Failed", "promise record by Us Rejected", "finished"]);
}

#[test]
fn a_bot_that_is_dialled_too_often_counts_as_gone() {
    let mut story = Story::requested_with(|policy| policy.limits.bot_dials = 1);
    story.hung_up(1).unqueued(Unqueued::Closed).at(18.0).played(3).does(&["play 4 caller: broken then end"]);
}

#[test]
fn a_later_request_opens_the_second_handoff() {
    Story::fallen_back().begins_to_say(Speaker::Caller, "give me a human").does(&[
        "wire caller<-hold bot<-quiet",
        "prepare <whisper>",
        "promise opened 2 T01 explicit_request",
        "play 4 caller: announce asked G +details",
        "promise ticket 2 general",
        "enqueue 101 general since 20",
    ]);
}

#[test]
fn a_request_during_the_apology_opens_the_second_handoff() {
    Story::requested().unqueued(Unqueued::Closed).at(12.0).key(0, '0').does(&[
        "prepare <whisper>",
        "promise opened 2 T01 dtmf_zero",
        "play 4 caller: announce pressed G +details",
        "promise ticket 2 general",
        "enqueue 101 general since 12",
    ]);
}

#[test]
fn the_utterance_that_fired_does_not_fire_again_after_the_fallback() {
    let mut story = Story::with_bot();
    story.begins_to_say(Speaker::Caller, "I want to talk to a human").unqueued(Unqueued::Closed);
    story.says(Speaker::Caller, "I want to talk to a human");
    assert_eq!(story.call.view().phase, Phase::Connecting);
    assert_eq!(story.call.view().closed.len(), 1);
}

#[test]
fn at_the_limit_of_handoffs_the_caller_hears_an_apology_and_stays_with_the_bot() {
    let mut story = Story::requested_with(|policy| policy.limits.handoffs = 1);
    story.unqueued(Unqueued::Closed).at(20.0).played(3).key(0, '0').gives(&[
        "~ decided T01 dtmf_zero",
        "wire caller<-hold bot<-quiet",
        "~ Connecting",
        "play 4 caller: limit then bot",
        "~ saying to caller",
    ]);
    story.at(24.0).played(4).does(&["wire caller<-bot bot<-caller"]);
}

#[test]
fn a_handoff_that_is_taken_back_leads_back_to_the_bot() {
    Story::queued().recalled(1).gives(&[
        "withdraw 100",
        "promise closed 1 Canceled",
        "~ handoff 1 Canceled",
        "~ Connecting",
        "play 4 caller: recalled then bot",
        "~ saying to caller",
    ]);
}

#[test]
fn a_handoff_that_is_taken_back_lets_go_of_the_agent() {
    Story::briefing().recalled(1).does(&[
        "hang up 2 Canceled",
        "withdraw 100",
        "promise closed 1 Canceled",
        "play 4 caller: recalled then bot",
    ]);
}

#[test]
fn another_handoffs_recall_changes_nothing() {
    Story::queued().recalled(0).gives_nothing().recalled(2).gives_nothing();
    Story::with_bot().recalled(1).gives_nothing();
}

#[test]
fn what_the_bot_says_to_nobody_is_no_part_of_the_transcript() {
    let mut story = Story::requested();
    story.at(14.0).says(Speaker::Bot, "are you still there").gives_nothing();
    story.unqueued(Unqueued::Closed).at(20.0).played(3).at(24.0);
    story.says(Speaker::Bot, "welcome back");
    let words: Vec<String> = story.call.view().transcript.into_iter().map(|said| said.text).collect();
    assert_eq!(words, ["welcome back"]);
}

#[test]
fn a_bot_that_declares_during_the_apology_opens_the_second_handoff() {
    let mut story = Story::requested();
    story.unqueued(Unqueued::Closed).on(segue_call::Event::BotDeclared(Declared::default()));
    assert_eq!(story.call.view().handoff.map(|handoff| handoff.record.handoff), Some(2));
}
