//! An agent who gives the caller to a queue, to another agent or to somebody outside, with the keys of their phone.

use segue_call::{AttemptId, Event, LegEnd};

use crate::harness::Story;

impl Story {
    fn referred(&mut self, attempt: u32, queue: &str) -> &mut Self {
        self.on(Event::Referred { attempt: AttemptId(attempt), queue: queue.into() })
    }

    fn transferred(&mut self, attempt: u32, agent: Option<&str>) -> &mut Self {
        let name = agent.unwrap_or_default().to_owned();
        self.on(Event::Transferred { attempt: AttemptId(attempt), agent: agent.map(Into::into), name })
    }
}

#[test]
fn an_agent_who_gives_the_caller_to_a_queue_is_free_and_the_caller_is_told() {
    Story::bridged().at(40.0).referred(2, "billing").gives(&[
        "wire caller<-hold",
        "hang up 2 Replaced",
        "~ agent leg down",
        "promise closed 1 Completed",
        "~ handoff 1 Completed alex",
        "free 7",
        "~ decided REFER transferred",
        "~ HandingOff",
        "~ handoff 2 Requested",
        "prepare <whisper>",
        "~ brief 2",
        "promise opened 2 REFER transferred",
        "play 5 caller: announce transferred B +details",
        "~ saying to caller",
        "~ handoff 2 Announced",
        "promise ticket 2 billing",
        "enqueue 101 billing since 40",
    ]);
}

#[test]
fn another_agent_in_the_place_of_the_first_has_a_handoff_of_their_own_and_the_first_wraps_up() {
    let mut story = Story::bridged();
    story.at(40.0).transferred(2, Some("robin")).gives(&[
        "promise closed 1 Completed",
        "~ handoff 1 Completed alex",
        "moved 7 robin",
        "~ decided REFER transferred",
        "~ brief 2",
        "promise opened 2 REFER transferred",
        "show brief robin",
        "promise bridged 2 robin",
        "~ handoff 2 Bridged robin",
    ]);
    story.at(60.0).ended(2, LegEnd::HungUp).does(&[
        "wire caller<-hold",
        "promise closed 2 Completed",
        "free 7",
        "play 5 caller: goodbye",
    ]);
    story.at(62.0).played(5).does(&[
        "hang up 0 PeerHungUp",
        "promise record by Agent Completed Completed",
        "finished",
    ]);
}

#[test]
fn somebody_outside_in_the_place_of_the_agent_is_nobody_of_ours() {
    Story::bridged().at(40.0).transferred(2, None).does(&[
        "promise closed 1 Completed",
        "moved 7 outside",
        "promise opened 2 REFER transferred",
    ]);
}

#[test]
fn who_is_moved_to_another_phone_of_their_own_changes_nothing() {
    Story::bridged().at(40.0).transferred(2, Some("alex")).gives_nothing();
}

#[test]
fn an_agent_without_a_caller_has_none_to_give_away_and_nobody_else_ever_has() {
    Story::briefing().referred(2, "billing").gives_nothing();
    Story::introducing().transferred(2, Some("robin")).gives_nothing();
    Story::bridged().referred(0, "billing").gives_nothing();
    Story::bridged().transferred(1, Some("robin")).gives_nothing();
    Story::with_bot().referred(1, "billing").gives_nothing();
}
