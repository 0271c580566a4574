//! Leaves a service alone that keeps failing, and tries it again one request at a time.

use std::time::Duration;

/// Failures in a row after which the service is left alone.
const FAILURES_MAX: u32 = 5;
/// For how long at first; twice as long after each trial that failed, up to `REST_MAX`.
const REST: Duration = Duration::from_secs(2);
const REST_MAX: Duration = Duration::from_secs(60);

/// Closed while requests succeed, open after too many failures, half open for one trial after each rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Breaker {
    failures: u32,
    rest: Duration,
    /// Nobody asks before.
    until: Duration,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { failures: 0, rest: REST, until: Duration::ZERO }
    }
}

impl Breaker {
    /// Whether the service may be asked now. Once it was left alone, whoever is let through is the only one until
    /// its answer is known or another rest is over.
    pub(super) fn admits(&mut self, now: Duration) -> bool {
        if self.failures < FAILURES_MAX {
            return true;
        }
        let due = now >= self.until;
        if due {
            self.until = now + self.rest;
        }
        due
    }

    /// The service answered.
    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// It refused, and asked to be left alone for so long. True when it is left alone from now on.
    pub(super) fn refused(&mut self, now: Duration, rest: Duration) -> bool {
        let closed = self.failures < FAILURES_MAX;
        self.failures = self.failures.max(FAILURES_MAX);
        self.until = self.until.max(now + rest);
        closed
    }

    /// It did not, or with an error of its own. True when it is left alone from now on.
    pub(super) fn failed(&mut self, now: Duration) -> bool {
        self.failures = self.failures.saturating_add(1);
        if self.failures < FAILURES_MAX {
            return false;
        }
        if self.failures > FAILURES_MAX {
            self.rest = (self.rest * 2).min(REST_MAX);
        }
        self.until = now + self.rest;
        self.failures == FAILURES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn it_opens_after_five_failures_and_lets_one_try_after_each_rest() {
        let mut breaker = Breaker::default();
        for failure in 1..=5 {
            assert!(breaker.admits(seconds(0)));
            assert_eq!(breaker.failed(seconds(0)), failure == 5);
        }
        assert!(!breaker.admits(seconds(1)));
        assert!(breaker.admits(seconds(2)), "one after the rest");
        assert!(!breaker.admits(seconds(2)), "and only one");
        assert!(!breaker.failed(seconds(3)), "told once");
        assert!(!breaker.admits(seconds(6)) && breaker.admits(seconds(7)), "twice the rest");
    }

    #[test]
    fn a_refusal_opens_it_at_once_for_as_long_as_was_asked() {
        let mut breaker = Breaker::default();
        assert!(breaker.refused(seconds(1), seconds(60)));
        assert!(!breaker.refused(seconds(2), seconds(5)), "told once");
        assert!(!breaker.admits(seconds(60)) && breaker.admits(seconds(61)));
        breaker.succeeded();
        assert!(breaker.admits(seconds(61)));
    }

    #[test]
    fn one_answer_closes_it() {
        let mut breaker = Breaker::default();
        for _ in 0..9 {
            breaker.failed(seconds(0));
        }
        breaker.succeeded();
        assert_eq!(breaker, Breaker::default());
        assert!(breaker.admits(seconds(0)));
    }

    #[test]
    fn rests_grow_to_a_minute_and_no_further() {
        let mut breaker = Breaker::default();
        let mut now = seconds(0);
        for _ in 0..20 {
            breaker.failed(now);
            now = breaker.until;
        }
        assert_eq!(breaker.rest, REST_MAX);
    }
}
