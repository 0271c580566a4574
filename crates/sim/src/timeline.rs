//! Virtual time: what is to happen, in order. Things of one moment happen in the order they were planned.

use std::{collections::BTreeMap, time::Duration};

/// Everything that is still to happen.
#[derive(Debug)]
pub(crate) struct Timeline<T> {
    now: Duration,
    planned: u64,
    things: BTreeMap<(Duration, u64), T>,
}

impl<T> Timeline<T> {
    pub(crate) fn new(now: Duration) -> Self {
        Self { now, planned: 0, things: BTreeMap::new() }
    }

    pub(crate) fn now(&self) -> Duration {
        self.now
    }

    /// Plans something, now at the earliest.
    pub(crate) fn at(&mut self, at: Duration, thing: T) {
        self.planned += 1;
        self.things.insert((at.max(self.now), self.planned), thing);
    }

    pub(crate) fn after(&mut self, delay: Duration, thing: T) {
        self.at(self.now + delay, thing);
    }

    /// Goes on to the next thing. `None` when nothing will ever happen again.
    pub(crate) fn step(&mut self) -> Option<T> {
        let ((at, _), thing) = self.things.pop_first()?;
        self.now = at;
        Some(thing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_happen_in_time_and_then_in_the_order_they_were_planned() {
        let second = Duration::from_secs;
        let mut timeline = Timeline::new(second(10));
        timeline.after(second(2), "c");
        timeline.at(second(11), "a");
        timeline.at(second(11), "b");
        timeline.at(second(1), "late");
        let order: Vec<_> = std::iter::from_fn(|| timeline.step()).collect();
        assert_eq!(order, ["late", "a", "b", "c"]);
        assert_eq!(timeline.now(), second(12));
    }
}
