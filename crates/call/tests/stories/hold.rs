//! A party puts the call on hold with its phone: who listens to it hears hold music, and talk resumes.

use segue_call::{AttemptId, Event};

use crate::harness::Story;

impl Story {
    fn held(&mut self, attempt: u32, held: bool) -> &mut Self {
        self.on(Event::Held { attempt: AttemptId(attempt), held })
    }
}

#[test]
fn an_agent_on_hold_is_music_to_the_caller_and_comes_back() {
    let mut story = Story::bridged();
    story.held(2, true).gives(&["wire caller<-hold"]);
    story.held(2, true).gives_nothing();
    story.held(2, false).gives(&["wire caller<-agent"]);
    story.held(2, false).gives_nothing();
}

#[test]
fn a_caller_on_hold_is_music_to_the_agent() {
    let mut story = Story::bridged();
    story.held(0, true).gives(&["wire agent<-hold"]);
    story.held(0, false).gives(&["wire agent<-caller"]);
}

#[test]
fn a_bot_hears_nothing_of_a_caller_on_hold() {
    let mut story = Story::with_bot();
    story.held(0, true).gives(&["wire bot<-quiet"]);
    story.held(0, false).gives(&["wire bot<-caller"]);
    story.held(1, true).gives(&["wire caller<-hold"]);
}

#[test]
fn a_caller_who_is_still_on_hold_at_the_bridge_is_music_to_the_agent_until_they_are_back() {
    let mut story = Story::introducing();
    story.held(0, true).gives_nothing();
    story.at(27.0).played(4);
    let wired: Vec<_> = story.lines().into_iter().filter(|line| line.starts_with("wire")).collect();
    assert_eq!(wired, ["wire caller<-agent agent<-hold"]);
    story.held(0, false).gives(&["wire agent<-caller"]);
}

#[test]
fn a_leg_that_is_over_holds_nobody() {
    let mut story = Story::with_bot();
    story.held(2, true).gives_nothing();
    story.held(7, true).gives_nothing();
}
