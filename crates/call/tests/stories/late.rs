//! Late news: old attempts, playbacks, tickets, reservations and timers change nothing.

use segue_call::{Action, AgentChoice, AttemptId, DialFailure, Event, LegEnd, Phase, PlaybackId, PlayedHow};
use segue_trigger::{Speaker, Stage};

use crate::harness::Story;

#[test]
fn an_attempt_that_answers_after_it_was_given_up_is_hung_up_again() {
    Story::offered().alarm_at(30.0).answered(2).gives(&["hang up 2 Canceled"]);
}

#[test]
fn an_attempt_that_was_never_made_is_nobodys() {
    let mut story = Story::with_bot();
    story.answered(5).gives_nothing().ringing(5).gives_nothing();
    story.failed(5, DialFailure::Busy).gives_nothing().hung_up(5).gives_nothing();
    story.answered(0).gives_nothing();
}

#[test]
fn an_answer_that_is_told_twice_counts_once() {
    Story::with_bot().answered(1).gives_nothing();
    Story::briefing().answered(2).gives_nothing().ringing(2).gives_nothing();
}

#[test]
fn an_old_agents_leg_changes_nothing_for_the_new_one() {
    let mut story = Story::briefing();
    story.key(2, '2').reserved(8, "kim").answered(3);
    story.hung_up(2).gives_nothing().failed(2, DialFailure::Busy).gives_nothing();
    story.key(2, '1').gives_nothing().chose(2, AgentChoice::Accept).gives_nothing();
    story.ended(2, LegEnd::Lost).gives_nothing();
}

#[test]
fn the_end_of_an_old_prompt_does_not_close_the_bridge() {
    let mut story = Story::introducing();
    for old in [1, 2, 3, 99] {
        story.played(old).gives_nothing();
    }
    let stopped = Event::Played { playback: PlaybackId(3), how: PlayedHow::Stopped };
    story.on(stopped).gives_nothing();
    assert_eq!(story.call.view().phase, Phase::HandingOff);
}

#[test]
fn news_of_another_ticket_is_nobodys() {
    let mut story = Story::requested();
    story.waiting_as(99, 1, (0, 10)).gives_nothing();
    story.reserved_as(99, 7, "alex").gives_nothing();
    story.unqueued_as(99, segue_acd::Unqueued::Closed).gives_nothing();
}

#[test]
fn news_of_the_first_handoffs_ticket_does_not_touch_the_second() {
    let mut story = Story::fallen_back();
    story.key(0, '0').reserved(7, "alex").gives_nothing();
    story.reserved_as(101, 8, "kim").does(&[
        "show brief kim",
        "promise brief 2 kim",
        "dial 2 kim",
        "prepare meet Kim",
    ]);
}

#[test]
fn a_second_agent_for_the_same_ticket_is_not_dialled() {
    Story::offered().reserved(8, "kim").gives_nothing();
    Story::briefing().reserved(8, "kim").gives_nothing();
}

#[test]
fn a_place_told_while_an_agent_is_asked_is_only_published() {
    Story::briefing().waiting(1, 0, 10).gives(&["~ waiting 1"]);
}

#[test]
fn an_alarm_before_its_time_changes_nothing() {
    Story::offered().at(20.0).on(Event::Alarm).gives_nothing();
}

#[test]
fn time_that_runs_backwards_stands_still() {
    let mut story = Story::offered();
    story.at(1.0).on(Event::Alarm).gives_nothing();
    story.ringing(2).answered(2);
    let record = story.call.view().handoff.expect("a handoff is under way").record;
    assert!(record.answered >= Some(record.requested));
}

#[test]
fn a_final_is_kept_once_and_a_late_partial_is_dropped() {
    let mut story = Story::with_bot();
    story.says(Speaker::Caller, "hello there");
    let again = story.utterance(1, Speaker::Caller, "hello there", Stage::Final);
    let partial = story.utterance(1, Speaker::Caller, "hello", Stage::Partial);
    story.on(Event::Heard(again)).gives_nothing().on(Event::Heard(partial)).gives_nothing();
}

#[test]
fn a_flood_of_words_is_kept_within_the_limit_and_says_so() {
    let mut story = Story::with_bot_and(|policy| policy.limits.utterances = 10);
    for number in 0..50 {
        story.says(Speaker::Caller, &format!("sentence number {number}"));
    }
    let view = story.call.view();
    assert_eq!((view.transcript.len(), view.transcript_dropped), (10, 40));
    let missing = &view.brief.expect("there is a brief").missing;
    assert!(missing.iter().any(|line| line.contains("40 of 50 utterances")), "{missing:?}");
}

#[test]
fn a_star_that_is_stuck_ends_with_the_time_to_accept() {
    let mut story = Story::briefing();
    for tenth in 0..310 {
        story.at(20.0 + f64::from(tenth) / 10.0).key(2, '*').on(Event::Alarm);
    }
    assert!(
        story
            .all
            .contains(&Action::HangUp { attempt: AttemptId(2), why: segue_call::HangUpWhy::NotAccepted })
    );
}

#[test]
fn a_reservation_that_is_over_is_not_taken_again() {
    let mut story = Story::briefing();
    story.key(2, '2').reserved(7, "alex").gives_nothing();
    story.reserved(8, "alex").does(&[
        "show brief alex",
        "promise brief 1 alex",
        "dial 3 alex",
        "prepare meet Alex",
    ]);
}

#[test]
fn a_leg_that_was_up_and_is_told_to_have_failed_is_gone() {
    Story::bridged().failed(2, DialFailure::ServerError).does(&[
        "wire caller<-hold",
        "promise closed 1 Failed",
        "free 7",
        "prepare <whisper>",
        "promise opened 2 R20 agent_lost",
        "play 5 caller: announce lost G +details",
        "promise ticket 2 general",
        "enqueue 101 general since 27",
    ]);
    Story::briefing().failed(2, DialFailure::Busy).does(&["refused 7 Unreachable"]);
}

#[test]
fn words_that_come_late_are_kept_and_told_and_decide_nothing() {
    let mut story = Story::with_bot();
    let late = story.utterance(7, Speaker::Caller, "I want to talk to a human", Stage::Late);
    story.on(Event::Heard(late.clone())).gives(&["~ heard Caller I want to talk to a human"]);
    assert_eq!(story.call.view().transcript, std::slice::from_ref(&late));
    story.on(Event::Heard(late)).gives_nothing();
}

#[test]
fn what_an_agent_said_in_an_earlier_conversation_still_comes_in_the_next_handoff() {
    let mut story = Story::requested();
    let late = story.utterance(7, Speaker::Agent, "I can see your order", Stage::Late);
    story.on(Event::Heard(late)).gives(&["~ heard Agent I can see your order"]);
    let live = story.utterance(8, Speaker::Agent, "is that the whisper", Stage::Final);
    story.on(Event::Heard(live)).gives_nothing();
}

#[test]
fn a_call_is_near_a_handoff_from_the_first_sign_of_a_request_to_the_bridge() {
    let mut story = Story::with_bot();
    assert!(!story.call.is_near_handoff() && !story.call.waits_for_words());
    story.begins_to_say(Speaker::Caller, "agent");
    assert!(story.call.is_near_handoff() && story.call.waits_for_words(), "the next word decides");
    story.begins_to_say(Speaker::Caller, "agent told me so");
    assert!(!story.call.is_near_handoff());
    assert!(Story::briefing().call.is_near_handoff());
    assert!(!Story::briefing().call.waits_for_words());
    assert!(!Story::bridged().call.is_near_handoff());
}
