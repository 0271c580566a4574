//! Waiting in the queue: what the caller is told, when, and what they are not told (M05, M09, M10).

use std::time::Duration;

use segue_trigger::{Speaker, Stage};

use crate::harness::Story;

#[test]
fn the_place_is_told_as_soon_as_the_announcement_is_over() {
    Story::requested()
        .waiting(2, 60, 180)
        .gives(&["~ waiting 2", "~ handoff 1 Queued"])
        .at(16.0)
        .played(2)
        .gives(&["play 3 caller: place 2 wait 1-3", "~ saying to caller"]);
}

#[test]
fn a_place_that_comes_after_the_announcement_is_told_at_once() {
    Story::requested().at(16.0).played(2).gives_nothing().waiting(2, 60, 180).gives(&[
        "~ waiting 2",
        "~ handoff 1 Queued",
        "play 3 caller: place 2 wait 1-3",
        "~ saying to caller",
    ]);
}

#[test]
fn m05_a_wait_below_a_minute_is_called_short() {
    Story::requested().waiting(1, 10, 60).at(16.0).played(2).does(&["play 3 caller: soon"]);
}

#[test]
fn m10_the_place_is_told_again_after_the_interval_with_music_between() {
    Story::queued()
        .waiting(1, 60, 120)
        .gives(&["~ waiting 1"])
        .alarm_at(50.0)
        .gives(&["play 4 caller: place 1 wait 1-2", "~ saying to caller"])
        .at(54.0)
        .played(4)
        .gives_nothing()
        .alarm_at(84.0)
        .does(&["play 5 caller: place 1 wait 1-2"]);
}

#[test]
fn m09_a_place_that_became_worse_is_told_with_the_reason() {
    Story::queued().waiting(3, 120, 240).alarm_at(50.0).does(&["play 4 caller: overtaken 3 wait 2-4"]);
}

#[test]
fn m10_a_wait_of_five_minutes_is_apologised_for_once() {
    let mut story = Story::queued();
    story.at(310.0).on(segue_call::Event::Alarm).does(&["play 4 caller: long place 2 wait 1-3"]);
    story.at(314.0).played(4).alarm_at(344.0).does(&["play 5 caller: place 2 wait 1-3"]);
}

#[test]
fn a_waiting_message_whose_end_is_never_told_is_followed_by_the_next() {
    Story::requested()
        .waiting(2, 60, 180)
        .at(16.0)
        .played(2)
        .alarm_at(61.0)
        .does(&["play 4 caller: place 2 wait 1-3"]);
}

#[test]
fn an_announcement_whose_end_is_never_told_counts_as_heard() {
    Story::requested()
        .waiting(2, 60, 180)
        .alarm_at(30.0)
        .does(&["stop 2", "play 3 caller: place 2 wait 1-3"]);
}

#[test]
fn while_phones_ring_for_long_the_caller_is_told_that_somebody_is_being_reached() {
    let mut story = Story::offered_with(|policy| policy.times.ring_max = Duration::from_secs(60));
    story.ringing(2).alarm_at(46.0).does(&["play 3 caller: still G"]);
}

#[test]
fn the_queue_has_a_deadline_and_then_the_bot_takes_over() {
    let mut story = Story::queued();
    story.at(610.0).on(segue_call::Event::Alarm);
    // The waiting message that was due came first and gave way to the apology.
    story.does(&[
        "play 4 caller: long place 2 wait 1-3",
        "withdraw 100",
        "promise closed 1 Rejected",
        "play 5 caller: timeout G then bot",
    ]);
}

/// A caller who is asked what it is about has five seconds to say it.
fn asked_for_details() -> Story {
    Story::requested_with(|policy| policy.times.details_pause = Duration::from_secs(5))
}

#[test]
fn t03_a_caller_who_was_asked_for_details_has_time_to_give_them() {
    let mut early = asked_for_details();
    early
        .waiting(2, 60, 180)
        .at(16.0)
        .played(2)
        .gives_nothing()
        .alarm_at(21.0)
        .does(&["play 3 caller: place 2 wait 1-3"]);
    let mut late = asked_for_details();
    late.at(16.0).played(2).at(18.0).waiting(2, 60, 180).does(&[]);
    late.alarm_at(21.0).does(&["play 3 caller: place 2 wait 1-3"]);
    let mut later = asked_for_details();
    later.at(16.0).played(2).at(22.0).waiting(2, 60, 180).does(&["play 3 caller: place 2 wait 1-3"]);
}

#[test]
fn t03_who_was_not_asked_for_details_is_told_at_once() {
    let mut story = Story::requested_with(|policy| {
        policy.times.details_pause = Duration::from_secs(5);
        policy.speech.ask_for_details = false;
    });
    story.waiting(2, 60, 180).at(16.0).played(2).does(&["play 3 caller: place 2 wait 1-3"]);
}

#[test]
fn a_caller_who_is_speaking_is_not_talked_over() {
    let mut story = Story::queued();
    story.at(49.5);
    let words = story.utterance(1, Speaker::Caller, "it is about my", Stage::Partial);
    story.on(segue_call::Event::Heard(words)).alarm_at(50.0).gives_nothing();
    story.alarm_at(51.0).does(&["play 4 caller: place 2 wait 1-3"]);
}
