//! What is given up when recognition cannot keep up, measured by how long finals wait for a worker.
//! Media is never touched.

use std::time::Duration;

use segue_trigger::Speaker;

/// The waits at which something is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ladder {
    /// Partials at twice the interval.
    pub slower: Duration,
    /// Partials at four times the interval.
    pub slowest: Duration,
    /// No partials.
    pub finals_only: Duration,
    /// The bot's voice is not recognised.
    pub without_bot: Duration,
    /// The agent's voice is not recognised either.
    pub caller_only: Duration,
    /// A final that waited this long is not worth its cost: the transcript gets a gap.
    pub gap: Duration,
    /// How long all must be well before one step is taken back.
    pub calm: Duration,
}

impl Default for Ladder {
    fn default() -> Self {
        Ladder {
            slower: Duration::from_millis(300),
            slowest: Duration::from_millis(450),
            finals_only: Duration::from_millis(600),
            without_bot: Duration::from_secs(1),
            caller_only: Duration::from_secs(4),
            gap: Duration::from_secs(8),
            calm: Duration::from_secs(3),
        }
    }
}

/// How much is given up now; each rung includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Rung {
    /// Nothing.
    #[default]
    Full,
    /// Partials half as often.
    Slower,
    /// Partials a quarter as often.
    Slowest,
    /// No partials.
    FinalsOnly,
    /// No partials, no bot.
    WithoutBot,
    /// No partials, no bot, no agent.
    CallerOnly,
}

impl Rung {
    /// The interval between partials; `None` if there are none.
    #[must_use]
    pub fn interval(self, full: Duration) -> Option<Duration> {
        match self {
            Rung::Full => Some(full),
            Rung::Slower => Some(full * 2),
            Rung::Slowest => Some(full * 4),
            Rung::FinalsOnly | Rung::WithoutBot | Rung::CallerOnly => None,
        }
    }

    /// Whether that party is recognised.
    #[must_use]
    pub fn hears(self, speaker: Speaker) -> bool {
        match speaker {
            Speaker::Caller => true,
            Speaker::Bot => self < Rung::WithoutBot,
            Speaker::Agent => self < Rung::CallerOnly,
        }
    }

    fn lower(self) -> Rung {
        match self {
            Rung::Full | Rung::Slower => Rung::Full,
            Rung::Slowest => Rung::Slower,
            Rung::FinalsOnly => Rung::Slowest,
            Rung::WithoutBot => Rung::FinalsOnly,
            Rung::CallerOnly => Rung::WithoutBot,
        }
    }
}

/// Climbs at once, comes down one rung after each calm time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Climber {
    ladder: Ladder,
    rung: Rung,
    uneasy: Duration,
}

impl Climber {
    pub(super) fn new(ladder: Ladder, now: Duration) -> Climber {
        Climber { ladder, rung: Rung::Full, uneasy: now }
    }

    pub(super) fn rung(&self) -> Rung {
        self.rung
    }

    /// Takes a measured wait; zero when nothing waits.
    pub(super) fn observe(&mut self, now: Duration, wait: Duration) -> Rung {
        let wanted = self.wanted(wait);
        if wanted > self.rung {
            tracing::warn!(rung = ?wanted, wait_ms = wait.as_millis(), "recognition falls behind and gives something up");
            self.rung = wanted;
            self.uneasy = now;
        } else if self.wanted(wait * 2) >= self.rung {
            self.uneasy = now;
        } else if now.saturating_sub(self.uneasy) >= self.ladder.calm {
            self.rung = self.rung.lower();
            self.uneasy = now;
            tracing::info!(rung = ?self.rung, "recognition keeps up again");
        }
        self.rung
    }

    fn wanted(&self, wait: Duration) -> Rung {
        let ladder = &self.ladder;
        let rungs = [
            (ladder.caller_only, Rung::CallerOnly),
            (ladder.without_bot, Rung::WithoutBot),
            (ladder.finals_only, Rung::FinalsOnly),
            (ladder.slowest, Rung::Slowest),
            (ladder.slower, Rung::Slower),
        ];
        rungs.into_iter().find(|(limit, _)| wait > *limit).map_or(Rung::Full, |(_, rung)| rung)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn each_wait_has_its_rung() {
        let cases = [
            (0, Rung::Full),
            (300, Rung::Full),
            (301, Rung::Slower),
            (451, Rung::Slowest),
            (601, Rung::FinalsOnly),
            (1_001, Rung::WithoutBot),
            (4_001, Rung::CallerOnly),
            (90_000, Rung::CallerOnly),
        ];
        for (wait, rung) in cases {
            let mut climber = Climber::new(Ladder::default(), millis(0));
            assert_eq!(climber.observe(millis(0), millis(wait)), rung, "{wait} ms");
        }
    }

    #[test]
    fn it_comes_down_one_rung_after_each_calm_time() {
        let mut climber = Climber::new(Ladder::default(), millis(0));
        climber.observe(millis(0), millis(700));
        let rungs: Vec<Rung> =
            (1..=10).map(|second| climber.observe(millis(second * 1_000), millis(0))).collect();
        assert_eq!(rungs[1], Rung::FinalsOnly);
        assert_eq!(rungs[2], Rung::Slowest);
        assert_eq!(rungs[5], Rung::Slower);
        assert_eq!(rungs[8], Rung::Full);
    }

    #[test]
    fn a_wait_near_the_limit_keeps_the_rung() {
        let mut climber = Climber::new(Ladder::default(), millis(0));
        climber.observe(millis(0), millis(700));
        for second in 1..20 {
            assert_eq!(climber.observe(millis(second * 1_000), millis(350)), Rung::FinalsOnly);
        }
    }

    #[test]
    fn the_caller_is_always_heard() {
        for rung in
            [Rung::Full, Rung::Slower, Rung::Slowest, Rung::FinalsOnly, Rung::WithoutBot, Rung::CallerOnly]
        {
            assert!(rung.hears(Speaker::Caller));
            assert_eq!(rung.hears(Speaker::Bot), rung < Rung::WithoutBot);
            assert_eq!(rung.hears(Speaker::Agent), rung < Rung::CallerOnly);
        }
    }

    #[test]
    fn partials_slow_down_before_they_stop() {
        let second = millis(1_000);
        assert_eq!(Rung::Full.interval(second), Some(second));
        assert_eq!(Rung::Slower.interval(second), Some(second * 2));
        assert_eq!(Rung::Slowest.interval(second), Some(second * 4));
        assert_eq!(Rung::FinalsOnly.interval(second), None);
    }
}
