//! Rules over what is measured of a conversation (T09–T24): from words to a handoff.

use segue_trigger::{Advice, Speaker};

use crate::harness::Story;

#[test]
fn t21_a_refund_above_the_limit_opens_a_handoff_and_one_below_does_not() {
    let mut story = Story::with_rule("T21", "refund in topics && amount > 500", Advice::Escalate);
    story.says(Speaker::Caller, "I would like a refund of three hundred dollars");
    assert!(!story.lines().iter().any(|line| line.contains("T21")), "{:?}", story.lines());
    story.says(Speaker::Caller, "sorry, I mean the refund is five hundred and twenty dollars");
    assert!(story.lines().contains(&"promise opened 1 T21 t21".to_owned()), "{:?}", story.lines());
}

#[test]
fn t09_two_failures_in_a_row_open_a_handoff_though_the_second_is_the_bots() {
    let mut story = Story::with_rule("T09", "strikes >= 2", Advice::Escalate);
    story.says(Speaker::Caller, "where is my parcel").says(Speaker::Bot, "Your bill is paid.");
    story.says(Speaker::Caller, "no, that is not what I asked");
    assert!(!story.lines().iter().any(|line| line.contains("opened")), "{:?}", story.lines());
    story.says(Speaker::Bot, "I am sorry, could you repeat that?");
    assert!(story.lines().contains(&"promise opened 1 T09 t09".to_owned()), "{:?}", story.lines());
}

#[test]
fn an_offer_is_told_and_opens_nothing() {
    let mut story = Story::with_rule("T26", "pricing in topics", Advice::Offer);
    story.says(Speaker::Caller, "how much is the premium plan");
    assert!(story.lines().contains(&"~ decided T26 t26".to_owned()), "{:?}", story.lines());
    assert!(!story.lines().iter().any(|line| line.contains("opened")), "{:?}", story.lines());
}
