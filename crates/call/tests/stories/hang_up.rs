//! The caller hangs up, or the gateway goes down, in every state: all legs down, every place given back, one record.

use segue_call::{DialFailure, Event, LegEnd};

use crate::harness::Story;

#[test]
fn the_caller_hangs_up_while_being_greeted() {
    Story::arrive().hung_up(0).gives(&[
        "~ caller leg down",
        "promise record by Caller",
        "~ ended by Caller",
        "~ Ended",
        "finished",
    ]);
}

#[test]
fn the_caller_hangs_up_while_the_bot_is_dialled() {
    Story::arrive().played(1).hung_up(0).does(&[
        "hang up 1 PeerHungUp",
        "promise record by Caller",
        "finished",
    ]);
}

#[test]
fn the_caller_hangs_up_with_the_bot() {
    Story::with_bot().hung_up(0).does(&["hang up 1 PeerHungUp", "promise record by Caller", "finished"]);
}

#[test]
fn a_caller_whose_leg_breaks_ends_the_call_as_lost() {
    let expected = ["hang up 1 PeerHungUp", "promise record by Lost", "finished"];
    Story::with_bot().ended(0, LegEnd::Lost).does(&expected);
    Story::with_bot().failed(0, DialFailure::ServerError).does(&expected);
}

#[test]
fn the_caller_hangs_up_during_the_announcement_and_in_the_queue() {
    let expected = [
        "withdraw 100",
        "promise closed 1 Canceled",
        "hang up 1 PeerHungUp",
        "promise record by Caller Canceled",
        "finished",
    ];
    Story::requested().hung_up(0).does(&expected);
    Story::queued().hung_up(0).does(&expected);
}

#[test]
fn the_caller_hangs_up_while_an_agent_is_held() {
    let expected = [
        "hang up 2 Canceled",
        "withdraw 100",
        "promise closed 1 Canceled",
        "hang up 1 PeerHungUp",
        "promise record by Caller Canceled",
        "finished",
    ];
    Story::offered().hung_up(0).does(&expected);
    Story::offered().ringing(2).hung_up(0).does(&expected);
    Story::briefing().hung_up(0).does(&expected);
    Story::introducing().hung_up(0).does(&expected);
    let mut accepted = Story::requested();
    accepted.reserved(7, "alex").answered(2).key(2, '1').hung_up(0).does(&expected);
}

#[test]
fn the_caller_hangs_up_after_the_bridge() {
    Story::bridged().hung_up(0).does(&[
        "hang up 2 PeerHungUp",
        "promise closed 1 Completed",
        "free 7",
        "promise record by Caller Completed",
        "finished",
    ]);
}

#[test]
fn the_caller_hangs_up_during_an_apology() {
    Story::requested().unqueued(segue_acd::Unqueued::Closed).hung_up(0).does(&[
        "hang up 1 PeerHungUp",
        "promise record by Caller Rejected",
        "finished",
    ]);
}

#[test]
fn the_caller_hangs_up_during_the_goodbye_and_the_agent_still_ended_the_call() {
    Story::bridged().hung_up(2).hung_up(0).does(&["promise record by Agent Completed", "finished"]);
}

#[test]
fn a_shutdown_says_sorry_in_every_state_and_then_hangs_up() {
    let words = "shutdown";
    let mut story = Story::with_bot();
    story.on(Event::Shutdown).gives(&[
        "wire caller<-hold bot<-quiet",
        "play 2 caller: shutdown",
        "~ saying to caller",
        "hang up 1 ShuttingDown",
        "~ bot leg down",
        "~ Ending",
    ]);
    story.at(15.0).played(2).does(&["hang up 0 Failed", "promise record by Us", "finished"]);
    Story::briefing().on(Event::Shutdown).does(&[
        "hang up 2 ShuttingDown",
        "withdraw 100",
        "promise closed 1 Canceled",
        &format!("play 4 caller: {words}"),
        "hang up 1 ShuttingDown",
    ]);
    Story::bridged().on(Event::Shutdown).does(&[
        "wire caller<-hold",
        "hang up 2 ShuttingDown",
        "promise closed 1 Completed",
        "free 7",
        &format!("play 5 caller: {words}"),
    ]);
    Story::arrive().on(Event::Shutdown).does(&[&format!("play 2 caller: {words}")]);
}

#[test]
fn a_second_shutdown_and_a_shutdown_during_the_goodbye_cut_the_last_words_short() {
    Story::with_bot().on(Event::Shutdown).on(Event::Shutdown).does(&[
        "hang up 0 ShuttingDown",
        "promise record by Us",
        "finished",
    ]);
    Story::bridged().hung_up(2).on(Event::Shutdown).does(&[
        "hang up 0 ShuttingDown",
        "promise record by Agent Completed",
        "finished",
    ]);
}

#[test]
fn after_the_end_nothing_happens_any_more() {
    let mut story = Story::with_bot();
    story.hung_up(0);
    assert_eq!(story.call.poll_timeout(), None);
    story.hung_up(0).gives_nothing().key(0, '0').gives_nothing().answered(1).gives_nothing();
    story.on(Event::Shutdown).gives_nothing().on(Event::Alarm).gives_nothing();
    story.reserved(7, "alex").gives_nothing();
}
