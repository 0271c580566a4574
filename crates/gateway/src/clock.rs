//! The one place that reads the clock. Time everywhere else is an argument.
//!
//! The clock is the wall's at start and runs on monotonically, so a jump of the system time never moves a call.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Gives the time since the Unix epoch; never runs backwards.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    wall: Duration,
    started: Instant,
}

impl Clock {
    /// Starts the clock at the system's time.
    #[expect(clippy::disallowed_methods, reason = "this module is the one place that reads the clock")]
    pub(crate) fn start() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { wall, started: Instant::now() }
    }

    /// The time now.
    pub(crate) fn now(&self) -> Duration {
        self.wall + self.started.elapsed()
    }

    /// The moment on tokio's clock that a time of ours stands for.
    pub(crate) fn instant(&self, at: Duration) -> tokio::time::Instant {
        tokio::time::Instant::from_std(self.started + at.saturating_sub(self.wall))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_never_runs_backwards() {
        let clock = Clock::start();
        let first = clock.now();
        assert!(clock.now() >= first);
        assert!(clock.instant(first) <= clock.instant(clock.now()));
    }
}
