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
    /// Partials only where a rule waits for them.
    pub finals_only: Duration,
    /// The bot's voice is not recognised, and the lighter model decodes if there is one.
    pub without_bot: Duration,
    /// Finals go to a service elsewhere too, if there is one.
    pub overflow: Duration,
    /// The agent's voice is put off, or not recognised where nothing is put off.
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
            overflow: Duration::from_secs(2),
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
    /// Partials only where a rule waits for them.
    FinalsOnly,
    /// No bot, and the lighter model.
    WithoutBot,
    /// A service elsewhere takes finals too.
    Overflow,
    /// Nobody but the caller is heard at once.
    CallerOnly,
}

/// A step on the ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RungStep {
    /// Where recognition stood.
    pub from: Rung,
    /// Where it stands.
    pub to: Rung,
    /// How long finals waited then.
    pub wait: Duration,
}

impl Rung {
    /// All, from the lowest.
    pub const ALL: [Rung; 7] = [
        Rung::Full,
        Rung::Slower,
        Rung::Slowest,
        Rung::FinalsOnly,
        Rung::WithoutBot,
        Rung::Overflow,
        Rung::CallerOnly,
    ];

    /// Its name for events, logs and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Rung::Full => "full",
            Rung::Slower => "slower",
            Rung::Slowest => "slowest",
            Rung::FinalsOnly => "finals_only",
            Rung::WithoutBot => "without_bot",
            Rung::Overflow => "overflow",
            Rung::CallerOnly => "caller_only",
        }
    }

    /// The interval between partials of a voice; `None` if there are none. `needed` is a voice that a rule waits for.
    #[must_use]
    pub fn interval(self, full: Duration, needed: bool) -> Option<Duration> {
        match self {
            Rung::Full => Some(full),
            Rung::Slower
            | Rung::Slowest
            | Rung::FinalsOnly
            | Rung::WithoutBot
            | Rung::Overflow
            | Rung::CallerOnly
                if needed =>
            {
                Some(full)
            }
            Rung::Slower => Some(full * 2),
            Rung::Slowest => Some(full * 4),
            Rung::FinalsOnly | Rung::WithoutBot | Rung::Overflow | Rung::CallerOnly => None,
        }
    }

    /// Whether that party is recognised at once.
    #[must_use]
    pub fn hears(self, speaker: Speaker) -> bool {
        match speaker {
            Speaker::Caller => true,
            Speaker::Bot => self < Rung::WithoutBot,
            Speaker::Agent => self < Rung::CallerOnly,
        }
    }

    /// Whether the lighter model decodes.
    #[must_use]
    pub fn is_light(self) -> bool {
        self >= Rung::WithoutBot
    }

    /// Whether finals go elsewhere too.
    #[must_use]
    pub fn lends(self) -> bool {
        self >= Rung::Overflow
    }

    /// Whether there is time for what was put off.
    #[must_use]
    pub fn is_calm(self) -> bool {
        self < Rung::FinalsOnly
    }
}

/// Climbs at once, comes down one rung after each calm time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Climber {
    ladder: Ladder,
    /// Whether there is a service elsewhere; without one its rung is left out.
    elsewhere: bool,
    rung: Rung,
    uneasy: Duration,
}

impl Climber {
    pub(super) fn new(ladder: Ladder, elsewhere: bool, now: Duration) -> Climber {
        Climber { ladder, elsewhere, rung: Rung::Full, uneasy: now }
    }

    pub(super) fn rung(&self) -> Rung {
        self.rung
    }

    /// Takes a measured wait, zero when nothing waits; gives the step if one was taken.
    pub(super) fn observe(&mut self, now: Duration, wait: Duration) -> Option<RungStep> {
        let from = self.rung;
        let wanted = self.wanted(wait);
        if wanted > from {
            self.rung = wanted;
            self.uneasy = now;
        } else if self.wanted(wait * 2) >= from {
            self.uneasy = now;
        } else if now.saturating_sub(self.uneasy) >= self.ladder.calm {
            self.rung = self.lower();
            self.uneasy = now;
        }
        (self.rung != from).then_some(RungStep { from, to: self.rung, wait })
    }

    fn wanted(&self, wait: Duration) -> Rung {
        let ladder = &self.ladder;
        let rungs = [
            (ladder.caller_only, Rung::CallerOnly),
            (ladder.overflow, if self.elsewhere { Rung::Overflow } else { Rung::WithoutBot }),
            (ladder.without_bot, Rung::WithoutBot),
            (ladder.finals_only, Rung::FinalsOnly),
            (ladder.slowest, Rung::Slowest),
            (ladder.slower, Rung::Slower),
        ];
        rungs.into_iter().find(|(limit, _)| wait > *limit).map_or(Rung::Full, |(_, rung)| rung)
    }

    fn lower(&self) -> Rung {
        match self.rung {
            Rung::Full | Rung::Slower => Rung::Full,
            Rung::Slowest => Rung::Slower,
            Rung::FinalsOnly => Rung::Slowest,
            Rung::WithoutBot => Rung::FinalsOnly,
            Rung::CallerOnly if self.elsewhere => Rung::Overflow,
            Rung::Overflow | Rung::CallerOnly => Rung::WithoutBot,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    fn climber(elsewhere: bool) -> Climber {
        Climber::new(Ladder::default(), elsewhere, Duration::ZERO)
    }

    #[test]
    fn each_wait_has_its_rung() {
        let cases = [
            (0, Rung::Full, Rung::Full),
            (300, Rung::Full, Rung::Full),
            (301, Rung::Slower, Rung::Slower),
            (451, Rung::Slowest, Rung::Slowest),
            (601, Rung::FinalsOnly, Rung::FinalsOnly),
            (1_001, Rung::WithoutBot, Rung::WithoutBot),
            (2_001, Rung::WithoutBot, Rung::Overflow),
            (4_001, Rung::CallerOnly, Rung::CallerOnly),
            (90_000, Rung::CallerOnly, Rung::CallerOnly),
        ];
        for (wait, alone, helped) in cases {
            for (elsewhere, rung) in [(false, alone), (true, helped)] {
                let mut climber = climber(elsewhere);
                let step = climber.observe(millis(0), millis(wait));
                assert_eq!(climber.rung(), rung, "{wait} ms");
                let told = RungStep { from: Rung::Full, to: rung, wait: millis(wait) };
                assert_eq!(step, (rung != Rung::Full).then_some(told));
            }
        }
    }

    #[test]
    fn it_comes_down_one_rung_after_each_calm_time() {
        for (elsewhere, way) in [
            (true, Rung::ALL.to_vec()),
            (false, { Rung::ALL.into_iter().filter(|rung| *rung != Rung::Overflow).collect() }),
        ] {
            let mut climber = climber(elsewhere);
            climber.observe(millis(0), millis(5_000));
            let mut seen = vec![climber.rung()];
            for second in 1..=30 {
                if let Some(step) = climber.observe(millis(second * 1_000), millis(0)) {
                    assert_eq!(second % 3, 0, "a step down every three seconds: {step:?}");
                    seen.push(step.to);
                }
            }
            seen.reverse();
            assert_eq!(seen, way);
        }
    }

    #[test]
    fn a_wait_near_the_limit_keeps_the_rung() {
        let mut climber = climber(false);
        climber.observe(millis(0), millis(700));
        for second in 1..20 {
            assert_eq!(climber.observe(millis(second * 1_000), millis(350)), None);
            assert_eq!(climber.rung(), Rung::FinalsOnly);
        }
    }

    #[test]
    fn the_caller_is_always_heard() {
        for rung in Rung::ALL {
            assert!(rung.hears(Speaker::Caller));
            assert_eq!(rung.hears(Speaker::Bot), rung < Rung::WithoutBot);
            assert_eq!(rung.hears(Speaker::Agent), rung < Rung::CallerOnly);
        }
    }

    #[test]
    fn partials_slow_down_before_they_stop_and_not_where_a_rule_waits() {
        let second = millis(1_000);
        assert_eq!(Rung::Full.interval(second, false), Some(second));
        assert_eq!(Rung::Slower.interval(second, false), Some(second * 2));
        assert_eq!(Rung::Slowest.interval(second, false), Some(second * 4));
        assert_eq!(Rung::FinalsOnly.interval(second, false), None);
        for rung in Rung::ALL {
            assert_eq!(rung.interval(second, true), Some(second));
        }
    }

    #[test]
    fn rungs_are_told_by_their_place() {
        for (place, rung) in Rung::ALL.into_iter().enumerate() {
            assert_eq!(rung as usize, place);
        }
    }
}
