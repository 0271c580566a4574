//! A leg whose sound and RTCP stop while its signalling looks alive: it is hung up and counts as lost.

use segue_acd::Unqueued;

use crate::harness::Story;

#[test]
fn a_bot_that_falls_silent_is_hung_up_and_a_human_takes_its_place() {
    Story::with_bot().dead(1).gives(&[
        "hang up 1 Dead",
        "~ bot leg down",
        "~ decided R20 bot_failed",
        "wire caller<-hold",
        "~ HandingOff",
        "~ handoff 1 Requested",
        "prepare <whisper>",
        "~ brief 1",
        "promise opened 1 R20 bot_failed",
        "play 2 caller: announce broken G +details",
        "~ saying to caller",
        "~ handoff 1 Announced",
        "promise ticket 1 general",
        "enqueue 100 general since 10",
    ]);
}

#[test]
fn a_bot_that_falls_silent_during_a_handoff_is_hung_up_and_dialled_again_when_it_is_needed() {
    let mut story = Story::requested();
    story.dead(1).does(&["hang up 1 Dead"]);
    story.unqueued(Unqueued::EverybodyAway).at(20.0).played(3).does(&["dial 2 bot"]);
}

#[test]
fn an_agent_who_falls_silent_while_briefed_gives_way_to_the_next() {
    Story::briefing().dead(2).does(&["hang up 2 Dead", "refused 7 Unreachable"]);
    Story::introducing().dead(2).does(&["hang up 2 Dead", "refused 7 Unreachable", "play 5 caller: lost G"]);
}

#[test]
fn an_agent_who_falls_silent_in_the_conversation_is_apologised_for_and_replaced() {
    Story::bridged().at(40.0).dead(2).does(&[
        "hang up 2 Dead",
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
fn a_caller_who_falls_silent_ends_the_call_as_lost() {
    Story::with_bot().dead(0).gives(&[
        "hang up 0 Dead",
        "~ caller leg down",
        "hang up 1 PeerHungUp",
        "~ bot leg down",
        "promise record by Lost",
        "~ ended by Lost",
        "~ Ended",
        "finished",
    ]);
    Story::bridged().dead(0).does(&[
        "hang up 0 Dead",
        "hang up 2 PeerHungUp",
        "promise closed 1 Completed",
        "free 7",
        "promise record by Lost Completed",
        "finished",
    ]);
}

#[test]
fn a_caller_who_falls_silent_in_the_queue_gives_the_place_back() {
    Story::queued().dead(0).does(&[
        "hang up 0 Dead",
        "withdraw 100",
        "promise closed 1 Canceled",
        "hang up 1 PeerHungUp",
        "promise record by Lost Canceled",
        "finished",
    ]);
}

#[test]
fn a_phone_that_rings_cannot_be_dead_and_late_news_of_death_changes_nothing() {
    Story::offered().dead(2).gives_nothing();
    Story::bridged().dead(1).gives_nothing();
    Story::bridged().at(40.0).hung_up(2).dead(2).gives_nothing();
}
