//! The agent: held, dialled, briefed; not answering, declining, lost (B09, C01, R11).

use std::time::Duration;

use segue_call::{AgentChoice, DialFailure, Event, LegEnd, PlaybackId, PlayedHow};

use crate::harness::Story;

#[test]
fn c01_the_brief_is_shown_and_promised_before_the_phone_is_dialled() {
    Story::requested().reserved(7, "alex").gives(&[
        "show brief alex",
        "promise brief 1 alex",
        "dial 2 alex",
        "~ handoff 1 Offered alex",
        "prepare meet Alex",
    ]);
}

#[test]
fn an_agent_is_dialled_while_the_announcement_still_plays() {
    let mut story = Story::requested();
    story.reserved(7, "alex").at(11.0).ringing(2).gives(&["~ handoff 1 Ringing alex"]);
    story.at(12.0).answered(2).does(&["wire agent<-quiet", "play 3 agent: <whisper>"]);
}

#[test]
fn b09_the_whisper_starts_at_the_answer_and_goes_to_the_agent_alone() {
    Story::offered().ringing(2).at(20.0).answered(2).gives(&[
        "~ agent leg up",
        "wire agent<-quiet",
        "play 3 agent: <whisper>",
        "~ saying to agent",
        "~ handoff 1 Briefing alex",
    ]);
}

#[test]
fn after_the_whisper_the_agent_is_told_the_keys() {
    Story::briefing()
        .at(26.0)
        .played(3)
        .gives(&["play 4 agent: keys", "~ saying to agent"])
        .at(29.0)
        .played(4)
        .gives_nothing();
}

#[test]
fn a_whisper_that_cannot_be_spoken_is_named_and_the_brief_is_on_the_screen() {
    let failed = Event::Played { playback: PlaybackId(3), how: PlayedHow::Failed };
    Story::briefing().on(failed).gives(&["play 4 agent: screen", "~ saying to agent"]);
}

#[test]
fn b09_the_star_repeats_the_whisper_during_it_and_after_it() {
    Story::briefing()
        .at(22.0)
        .key(2, '*')
        .does(&["play 4 agent: <whisper>"])
        .at(29.0)
        .played(4)
        .at(30.0)
        .chose(2, AgentChoice::Repeat)
        .does(&["play 6 agent: <whisper>"]);
}

#[test]
fn a_whisper_without_an_end_is_stopped() {
    Story::briefing().alarm_at(34.0).gives(&["stop 3"]);
}

#[test]
fn key_1_accepts_ends_the_whisper_and_the_caller_hears_who_comes() {
    Story::briefing().at(25.0).key(2, '1').gives(&[
        "stop 3",
        "promise accepted 1 alex",
        "~ handoff 1 Accepted alex",
        "play 4 caller: meet Alex",
        "~ saying to caller",
    ]);
}

#[test]
fn accepting_on_screen_is_the_same() {
    Story::briefing().at(25.0).chose(2, AgentChoice::Accept).does(&[
        "stop 3",
        "promise accepted 1 alex",
        "play 4 caller: meet Alex",
    ]);
}

#[test]
fn nobody_accepts_before_they_answered() {
    let mut story = Story::offered();
    story.key(2, '1').gives_nothing().chose(2, AgentChoice::Accept).gives_nothing();
    story.ringing(2).key(2, '1').gives_nothing().chose(2, AgentChoice::Accept).gives_nothing();
}

#[test]
fn other_keys_and_the_callers_keys_do_not_accept() {
    let mut story = Story::briefing();
    for key in ['3', '0', '#'] {
        story.key(2, key).gives_nothing();
    }
    story.key(0, '1').gives_nothing().key(0, '2').gives_nothing().key(1, '1').gives_nothing();
}

#[test]
fn key_2_declines_and_the_call_waits_for_the_next_agent() {
    Story::briefing().at(25.0).key(2, '2').gives(&[
        "hang up 2 NotAccepted",
        "~ agent leg down",
        "refused 7 Declined",
        "~ handoff 1 Queued",
    ]);
}

#[test]
fn an_agent_can_decline_on_screen_while_the_phone_rings() {
    Story::offered()
        .ringing(2)
        .chose(2, AgentChoice::Decline)
        .does(&["hang up 2 NotAccepted", "refused 7 Declined"]);
}

#[test]
fn an_agent_who_does_not_choose_in_time_counts_as_not_answering() {
    let mut story = Story::briefing();
    story.at(27.0).played(3).at(30.0).played(4);
    story.at(50.0).on(Event::Alarm).does(&[
        "play 5 caller: still G",
        "hang up 2 NotAccepted",
        "refused 7 NoAnswer",
    ]);
}

#[test]
fn r11_a_phone_that_rings_out_goes_to_the_next_agent() {
    Story::offered().ringing(2).alarm_at(30.0).gives(&[
        "hang up 2 NoAnswer",
        "refused 7 NoAnswer",
        "~ handoff 1 Queued",
    ]);
}

#[test]
fn a_phone_that_cannot_be_reached_goes_to_the_next_agent_with_the_right_reason() {
    let check = |failure: DialFailure, refusal: &str| {
        Story::offered().failed(2, failure).does(&[refusal]);
    };
    check(DialFailure::Busy, "refused 7 Busy");
    check(DialFailure::Declined, "refused 7 Busy");
    check(DialFailure::NoAnswer, "refused 7 NoAnswer");
    check(DialFailure::Canceled, "refused 7 NoAnswer");
    check(DialFailure::Unreachable, "refused 7 Unreachable");
    check(DialFailure::NoCommonCodec, "refused 7 Unreachable");
    check(DialFailure::ServerError, "refused 7 Unreachable");
}

#[test]
fn an_agent_who_hangs_up_in_the_whisper_is_passed_over() {
    Story::briefing().hung_up(2).gives(&["~ agent leg down", "refused 7 HungUp", "~ handoff 1 Queued"]);
    Story::briefing().ended(2, LegEnd::Lost).does(&["refused 7 Unreachable"]);
}

#[test]
fn the_next_agent_is_briefed_and_bridged_like_the_first() {
    let mut story = Story::briefing();
    story.key(2, '2').at(26.0).reserved(8, "kim").does(&[
        "show brief kim",
        "promise brief 1 kim",
        "dial 3 kim",
        "prepare meet Kim",
    ]);
    story.at(30.0).answered(3).does(&["wire agent<-quiet", "play 4 agent: <whisper>"]);
    story.at(32.0).key(3, '1').at(34.0).played(5).does(&[
        "promise bridged 1 kim",
        "wire caller<-agent agent<-caller",
        "took 8",
        "hang up 1 Replaced",
    ]);
    let record = story.call.view().handoff.expect("the call is bridged").record;
    assert_eq!(record.refused, ["alex".into()]);
    assert_eq!(record.agent, Some("kim".into()));
}

#[test]
fn after_as_many_offers_as_allowed_the_handoff_falls_back() {
    let mut story = Story::offered_with(|policy| policy.limits.offers = 1);
    story.failed(2, DialFailure::Busy).does(&[
        "refused 7 Busy",
        "withdraw 100",
        "promise closed 1 Rejected",
        "play 3 caller: timeout G then bot",
    ]);
}

#[test]
fn the_queue_deadline_waits_for_an_agent_who_is_being_asked() {
    let mut story = Story::offered_with(|policy| {
        policy.times.queue_max = Duration::from_secs(15);
        policy.times.update_interval = Duration::from_secs(60);
    });
    story.alarm_at(25.0).gives_nothing().alarm_at(30.0).does(&[
        "hang up 2 NoAnswer",
        "refused 7 NoAnswer",
        "withdraw 100",
        "promise closed 1 Rejected",
        "play 3 caller: timeout G then bot",
    ]);
}

#[test]
fn a_reservation_that_lapsed_takes_the_agent_off_and_a_new_place() {
    Story::offered().unqueued(segue_acd::Unqueued::Lapsed).does(&[
        "hang up 2 Canceled",
        "promise ticket 1 general",
        "enqueue 101 general since 10",
    ]);
}
