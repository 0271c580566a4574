//! What a waiting caller is told: place and expected wait, honestly (M05, M09, M10).

use std::time::Duration;

use segue_acd::WaitEstimate;

use crate::{
    action::Prompt,
    policy::{Message, Prompts, Times},
};

/// A caller's place in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) position: u32,
    pub(crate) wait: WaitEstimate,
}

/// What the caller was told so far in this handoff.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Told {
    /// The place that was spoken last.
    position: Option<u32>,
    /// The apology for a long wait was spoken.
    long: bool,
}

impl Told {
    /// The next waiting message for somebody who has a place and has waited so long.
    pub(crate) fn place(
        &self,
        prompts: &Prompts,
        times: &Times,
        place: Place,
        waited: Duration,
    ) -> Option<Prompt> {
        let wait = wait_words(prompts, place.wait);
        let values = [("position", place.position.to_string()), ("wait", wait)];
        let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let overtaken = self.position.is_some_and(|told| place.position > told);
        let message = match overtaken {
            true => Message::WaitingOvertaken,
            false if place.wait.most <= times.short_wait => Message::WaitingShort,
            false => Message::Waiting,
        };
        let long = waited >= times.long_wait && !self.long;
        let messages: &[Message] = if long { &[Message::WaitingLong, message] } else { &[message] };
        prompts.sequence(messages, &values)
    }

    /// Remembers what was spoken.
    pub(crate) fn remember(&mut self, place: Place, times: &Times, waited: Duration) {
        self.position = Some(place.position);
        self.long |= waited >= times.long_wait;
    }
}

/// An estimate above this is not told as a number: nobody knows the queue in an hour.
const TELLABLE: Duration = Duration::from_secs(3600);

/// An expected wait in words, in whole minutes, rounded away from the promise.
fn wait_words(prompts: &Prompts, wait: WaitEstimate) -> String {
    if wait.most > TELLABLE || wait.most < wait.least {
        return prompts.text(Message::WaitUnknown, &[]);
    }
    let least = (wait.least.as_secs() / 60).to_string();
    let most = wait.most.as_millis().div_ceil(60_000).max(1).to_string();
    match least.as_str() {
        "0" => prompts.text(Message::WaitUpTo, &[("most", &most)]),
        _ => prompts.text(Message::WaitBetween, &[("least", &least), ("most", &most)]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(least: u64, most: u64) -> WaitEstimate {
        WaitEstimate { least: Duration::from_secs(least), most: Duration::from_secs(most) }
    }

    #[test]
    fn a_wait_is_told_as_an_interval_that_does_not_promise_too_much() {
        let check = |estimate: WaitEstimate, expected: &str| {
            assert_eq!(wait_words(&Prompts::english(), estimate), expected, "{estimate:?}");
        };
        check(wait(119, 241), "1 to 5 minutes");
        check(wait(120, 240), "2 to 4 minutes");
        check(wait(20, 100), "up to 2 minutes");
        check(wait(60, 4000), "hard to tell at the moment");
        check(wait(300, 60), "hard to tell at the moment");
    }

    fn text(told: &Told, position: u32, most: u64, waited: u64) -> String {
        let place = Place { position, wait: wait(0, most) };
        told.place(&Prompts::english(), &Times::default(), place, Duration::from_secs(waited)).unwrap().text
    }

    #[test]
    fn a_short_wait_is_called_short_and_a_worse_place_has_a_reason() {
        let mut told = Told::default();
        assert_eq!(text(&told, 1, 60, 0), "It will take less than a minute.");
        assert_eq!(text(&told, 2, 120, 0), "You are number 2 in the queue. The wait is up to 2 minutes.");
        told.remember(Place { position: 2, wait: wait(0, 120) }, &Times::default(), Duration::ZERO);
        assert!(text(&told, 2, 120, 0).starts_with("You are number 2"));
        assert!(text(&told, 3, 120, 0).starts_with("A more urgent call had to go first."));
    }

    #[test]
    fn a_long_wait_is_apologised_for_once() {
        let mut told = Told::default();
        assert!(text(&told, 2, 120, 300).starts_with("I'm sorry that this takes so long. You are"));
        told.remember(Place { position: 2, wait: wait(0, 120) }, &Times::default(), Duration::from_secs(300));
        assert!(text(&told, 2, 120, 330).starts_with("You are"));
    }
}
