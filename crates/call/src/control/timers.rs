//! The timers of a call. The table names every reason to wake up; one alarm serves them all.
//!
//! | timer | runs while | when it fires |
//! |---|---|---|
//! | `Prompt` | a greeting or an apology is spoken to the caller | the bot is connected without waiting for its end |
//! | `BotConnect` | the bot is dialled | handoff with reason `bot_failed`; after a fallback an apology and the end |
//! | `Announcement` | the first announcement is spoken | it counts as heard |
//! | `Queue` | from the request to the bridge | fallback, unless an agent is being asked at that moment |
//! | `Ring` | the agent's phone is dialled and rings | next agent, this one is marked away |
//! | `Whisper` | the whisper or its key hint is spoken | it is stopped |
//! | `Accept` | the agent may choose | next agent |
//! | `Update` | the caller waits after the announcement | the next waiting message (M10) |
//! | `Introduction` | the agent is introduced | the bridge closes without waiting for its end |
//! | `Talk` | caller and bot, or caller and agent, talk | the call is ended: a leg was lost without notice |
//! | `Echo` | words wait for those of somebody else, of which they may be an echo | they are judged without |
//! | `Farewell` | the last words are spoken | the caller's leg is hung up |

use std::{collections::BTreeMap, time::Duration};

/// Why the call wants to wake up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    Prompt,
    BotConnect,
    Announcement,
    Queue,
    Ring,
    Whisper,
    Accept,
    Update,
    Introduction,
    Talk,
    Echo,
    Farewell,
}

/// The timers that run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timers {
    running: BTreeMap<Timer, Duration>,
}

impl Timers {
    /// Starts a timer, or starts it anew.
    pub(crate) fn start(&mut self, timer: Timer, at: Duration) {
        self.running.insert(timer, at);
    }

    pub(crate) fn stop(&mut self, timer: Timer) {
        self.running.remove(&timer);
    }

    pub(crate) fn runs(&self, timer: Timer) -> bool {
        self.running.contains_key(&timer)
    }

    pub(crate) fn stop_all(&mut self) {
        self.running.clear();
    }

    /// When the earliest one fires.
    pub(crate) fn next(&self) -> Option<Duration> {
        self.running.values().min().copied()
    }

    /// Takes the earliest timer whose time has come; of two at once, the one that stands first in the table.
    pub(crate) fn take_due(&mut self, now: Duration) -> Option<Timer> {
        let (timer, at) = self.running.iter().map(|(timer, at)| (*timer, *at)).min_by_key(|(_, at)| *at)?;
        if at > now {
            return None;
        }
        self.running.remove(&timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn timers_fire_in_order_of_their_time_and_only_when_due() {
        let mut timers = Timers::default();
        timers.start(Timer::Ring, at(20));
        timers.start(Timer::Queue, at(600));
        timers.start(Timer::Update, at(20));
        assert_eq!(timers.next(), Some(at(20)));
        assert_eq!(timers.take_due(at(19)), None);
        assert_eq!(timers.take_due(at(21)), Some(Timer::Ring));
        assert_eq!(timers.take_due(at(21)), Some(Timer::Update));
        assert_eq!(timers.take_due(at(21)), None);
        timers.stop_all();
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn a_timer_that_is_started_again_has_only_its_new_time() {
        let mut timers = Timers::default();
        timers.start(Timer::Ring, at(5));
        timers.start(Timer::Ring, at(50));
        assert_eq!(timers.take_due(at(49)), None);
        timers.stop(Timer::Ring);
        assert_eq!(timers.take_due(at(51)), None);
    }
}
