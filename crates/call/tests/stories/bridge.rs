//! The bridge and the conversation after it (M14, R20).

use segue_call::{Event, LegEnd, PlaybackId, PlayedHow};
use segue_trigger::Speaker;

use crate::harness::{BEGIN, Story};

#[test]
fn the_bridge_closes_in_one_wire_after_the_introduction() {
    Story::introducing().at(27.0).played(4).gives(&[
        "promise bridged 1 alex",
        "wire caller<-agent agent<-caller",
        "took 7",
        "hang up 1 Replaced",
        "~ bot leg down",
        "~ handoff 1 Bridged alex",
        "~ WithAgent",
    ]);
}

#[test]
fn an_introduction_without_an_end_does_not_hold_the_bridge_up() {
    Story::introducing().alarm_at(31.0).does(&[
        "promise bridged 1 alex",
        "stop 4",
        "wire caller<-agent agent<-caller",
        "took 7",
        "hang up 1 Replaced",
    ]);
    let failed = Event::Played { playback: PlaybackId(4), how: PlayedHow::Failed };
    Story::introducing().on(failed).does(&[
        "promise bridged 1 alex",
        "wire caller<-agent agent<-caller",
        "took 7",
        "hang up 1 Replaced",
    ]);
}

#[test]
fn an_agent_who_accepts_early_waits_for_the_end_of_the_announcement() {
    let mut story = Story::requested();
    story.reserved(7, "alex").at(11.0).answered(2);
    story.at(12.0).key(2, '1').does(&["stop 3", "promise accepted 1 alex"]);
    story.at(16.0).played(2).does(&["play 4 caller: meet Alex"]);
}

#[test]
fn an_announcement_without_an_end_does_not_hold_the_bridge_up() {
    let mut story = Story::requested();
    story.reserved(7, "alex").at(11.0).answered(2).at(12.0).key(2, '1');
    story.alarm_at(30.0).does(&["stop 2", "play 4 caller: meet Alex"]);
}

#[test]
fn a_waiting_message_gives_way_to_the_introduction() {
    let mut story = Story::queued();
    story.alarm_at(50.0).does(&["play 4 caller: place 2 wait 1-3"]);
    story.reserved(7, "alex").at(51.0).answered(2).at(52.0).key(2, '1').does(&[
        "stop 5",
        "promise accepted 1 alex",
        "play 6 caller: meet Alex",
    ]);
    let stopped = Event::Played { playback: PlaybackId(4), how: PlayedHow::Stopped };
    story.on(stopped).gives_nothing();
}

#[test]
fn an_agent_lost_during_the_introduction_is_apologised_for_and_the_search_goes_on() {
    Story::introducing().hung_up(2).gives(&[
        "~ agent leg down",
        "refused 7 HungUp",
        "play 5 caller: lost G",
        "~ saying to caller",
        "~ handoff 1 Queued",
    ]);
}

#[test]
fn an_agent_lost_after_accepting_early_is_replaced_without_a_word() {
    let mut story = Story::requested();
    story.reserved(7, "alex").at(11.0).answered(2).at(12.0).key(2, '1');
    story.hung_up(2).does(&["refused 7 HungUp"]).at(16.0).played(2).gives_nothing();
    story.reserved(8, "kim").does(&[
        "show brief kim",
        "promise brief 1 kim",
        "dial 3 kim",
        "prepare meet Kim",
    ]);
}

#[test]
fn after_the_bridge_nobody_asks_for_a_human_any_more() {
    let mut story = Story::bridged();
    story.key(0, '0').gives_nothing().asked(None).gives_nothing().recalled(1).gives_nothing();
    story.says(Speaker::Caller, "I wanted to talk to a human").does(&[]);
    story.says(Speaker::Agent, "here I am").gives(&["~ heard Agent here I am"]);
    story.on(Event::BotDeclared(segue_call::Declared::default())).gives_nothing();
}

#[test]
fn an_agent_who_hangs_up_completes_the_handoff_and_the_caller_hears_goodbye() {
    Story::bridged()
        .at(90.0)
        .hung_up(2)
        .gives(&[
            "~ agent leg down",
            "wire caller<-hold",
            "promise closed 1 Completed",
            "~ handoff 1 Completed alex",
            "free 7",
            "play 5 caller: goodbye",
            "~ saying to caller",
            "~ Ending",
        ])
        .at(92.0)
        .played(5)
        .gives(&[
            "hang up 0 PeerHungUp",
            "~ caller leg down",
            "promise record by Agent Completed",
            "~ ended by Agent",
            "~ Ended",
            "finished",
        ]);
}

#[test]
fn a_goodbye_without_an_end_ends_too() {
    Story::bridged().at(90.0).hung_up(2).alarm_at(100.0).does(&[
        "hang up 0 PeerHungUp",
        "promise record by Agent Completed",
        "finished",
    ]);
}

#[test]
fn r20_an_agent_whose_leg_breaks_is_replaced_by_a_second_handoff() {
    Story::bridged().at(40.0).ended(2, LegEnd::Lost).does(&[
        "wire caller<-hold",
        "promise closed 1 Failed",
        "free 7",
        "prepare <whisper>",
        "promise opened 2 R20 agent_lost",
        "play 5 caller: announce lost G +details",
        "promise ticket 2 general",
        "enqueue 101 general since 40",
    ]);
}

#[test]
fn a_talk_with_the_agent_has_a_deadline() {
    Story::bridged().alarm_at(14_427.0).does(&[
        "wire caller<-hold",
        "hang up 2 Failed",
        "promise closed 1 Completed",
        "free 7",
        "play 5 caller: broken then end",
    ]);
}

#[test]
fn every_moment_of_a_handoff_is_in_its_record_in_order() {
    let mut story = Story::bridged();
    story.at(90.0).hung_up(2).at(92.0).played(5);
    let record = story.call.view().closed.remove(0);
    let seconds = |time: Option<std::time::Duration>| (time.expect("it has a time") - BEGIN).as_secs();
    let times = [
        Some(record.requested),
        record.announced,
        record.brief_delivered,
        record.answered,
        record.accepted,
        record.bridged,
        record.closed,
    ];
    assert_eq!(times.map(seconds), [10, 10, 10, 20, 25, 27, 90]);
}

#[test]
fn a_reservation_that_lapses_during_the_introduction_is_apologised_for() {
    Story::introducing().unqueued(segue_acd::Unqueued::Lapsed).does(&[
        "hang up 2 Canceled",
        "play 5 caller: lost G",
        "promise ticket 1 general",
        "enqueue 101 general since 10",
    ]);
}

#[test]
fn a_customer_record_that_comes_after_the_bridge_is_still_shown() {
    let record = [("name".to_owned(), "Anna".to_owned())].into();
    let mut story = Story::bridged();
    story.on(Event::Customer(record)).gives(&["~ brief 2", "show brief alex"]);
}
