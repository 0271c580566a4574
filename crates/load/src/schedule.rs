//! When calls begin: the arrivals follow the profile alone, never the answers (open loop).
//!
//! A generator that waits for answers before it calls again hides the target's worst moments. Here each call has its
//! moment before the run begins, and every time is measured from that moment, late or not.
//!
//! Pure: the profile and the length of calls in; moments out.

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

/// The shape of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Profile {
    /// The full load from the beginning to the end.
    Soak,
    /// In equal steps up to the full load.
    Step,
    /// Evenly from nothing to the full load.
    Ramp,
    /// A tenth of the load, the full load in the middle fifth, and a tenth again.
    Spike,
    /// Run after run, each with `--time` at full load, for the most calls with less than 0.1 % lost and 99 % of the
    /// packets delayed by less than 20 ms.
    FindLimit,
}

/// What is scheduled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Plan {
    /// Its shape.
    pub(crate) profile: Profile,
    /// Calls at the same time at full load; `None`: as many as the rate gives.
    pub(crate) calls: Option<u32>,
    /// New calls a second at most; with `calls: None`, at full load.
    pub(crate) rate: f64,
    /// How long a call lasts, from its moment on.
    pub(crate) hold: Duration,
    /// How long new calls come.
    pub(crate) time: Duration,
    /// Steps of [`Profile::Step`].
    pub(crate) steps: u32,
    /// No more calls than this.
    pub(crate) total_max: u64,
}

impl Plan {
    /// The part of the full load at a moment, 0 to 1.
    #[must_use]
    pub(crate) fn level(&self, at: Duration) -> f64 {
        let part = (at.as_secs_f64() / self.time.as_secs_f64().max(1e-9)).clamp(0.0, 1.0);
        match self.profile {
            Profile::Soak | Profile::FindLimit => 1.0,
            Profile::Step => {
                let steps = f64::from(self.steps.max(1));
                ((part * steps).floor() + 1.0).min(steps) / steps
            }
            Profile::Ramp => part,
            Profile::Spike if (0.4..0.6).contains(&part) => 1.0,
            Profile::Spike => 0.1,
        }
    }

    /// The calls that should be up at a moment, if that is what is planned.
    #[must_use]
    pub(crate) fn calls_at(&self, at: Duration) -> Option<u32> {
        self.calls.map(|calls| (f64::from(calls) * self.level(at)).round() as u32)
    }
}

/// The moments at which calls begin, from the beginning of the run.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    plan: Plan,
    now: Duration,
    begun: u64,
    /// When the calls that are up will end.
    ends: BinaryHeap<Reverse<Duration>>,
    /// With a rate alone: how much of the next call has come due.
    due: f64,
}

/// The grain of the schedule.
const GRAIN: Duration = Duration::from_micros(200);

impl Schedule {
    /// The schedule of a plan.
    #[must_use]
    pub(crate) fn new(plan: Plan) -> Self {
        Self { plan, now: Duration::ZERO, begun: 0, ends: BinaryHeap::new(), due: 1.0 }
    }

    /// From now on, so many more calls a second; never below one.
    pub(crate) fn change_rate(&mut self, by: f64) {
        self.plan.rate = (self.plan.rate + by).max(1.0);
    }

    fn is_due(&mut self) -> bool {
        while self.ends.peek().is_some_and(|Reverse(end)| *end <= self.now) {
            self.ends.pop();
        }
        match self.plan.calls_at(self.now) {
            None => self.due >= 1.0,
            Some(calls) => self.due >= 1.0 && self.ends.len() < calls as usize,
        }
    }

    fn pass(&mut self) {
        self.now += GRAIN;
        let level = if self.plan.calls.is_some() { 1.0 } else { self.plan.level(self.now) };
        // With a number of calls, the rate is a limit and not a debt: what was not needed is not made up for.
        let most = if self.plan.calls.is_some() { 1.0 } else { f64::MAX };
        self.due = (self.due + self.plan.rate * level * GRAIN.as_secs_f64()).min(most);
    }
}

impl Iterator for Schedule {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        if self.begun >= self.plan.total_max {
            return None;
        }
        while self.now < self.plan.time {
            if self.is_due() {
                self.due -= 1.0;
                self.begun += 1;
                self.ends.push(Reverse(self.now + self.plan.hold));
                return Some(self.now);
            }
            self.pass();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(profile: Profile, calls: Option<u32>, rate: f64) -> Plan {
        let seconds = Duration::from_secs;
        Plan { profile, calls, rate, hold: seconds(5), time: seconds(20), steps: 4, total_max: 100_000 }
    }

    fn up_at(moments: &[Duration], hold: Duration, at: f64) -> usize {
        let at = Duration::from_secs_f64(at);
        moments.iter().filter(|begin| **begin <= at && at < **begin + hold).count()
    }

    #[test]
    fn a_rate_gives_as_many_calls_as_it_says_evenly() {
        let moments: Vec<_> = Schedule::new(plan(Profile::Soak, None, 50.0)).collect();
        assert!((1_000..=1_001).contains(&moments.len()), "{}", moments.len());
        for pair in moments.windows(2) {
            let apart = (pair[1] - pair[0]).as_secs_f64();
            assert!((apart - 0.02).abs() < 0.000_5, "{apart}");
        }
    }

    #[test]
    fn a_number_of_calls_is_reached_at_the_rate_and_kept_up() {
        let plan = plan(Profile::Soak, Some(100), 50.0);
        let moments: Vec<_> = Schedule::new(plan).collect();
        assert!((49..=51).contains(&up_at(&moments, plan.hold, 0.99)));
        for at in [2.1, 4.9, 5.5, 10.0, 19.9] {
            let up = up_at(&moments, plan.hold, at);
            assert!((98..=100).contains(&up), "{up} calls at {at} s");
        }
    }

    #[test]
    fn steps_ramps_and_spikes_have_their_shape() {
        let levels = |profile| {
            [0.0, 4.9, 5.1, 9.9, 10.0, 19.98].map(|at| {
                (plan(profile, None, 1.0).level(Duration::from_secs_f64(at)) * 100.0).round() as u32
            })
        };
        assert_eq!(levels(Profile::Soak), [100; 6]);
        assert_eq!(levels(Profile::Step), [25, 25, 50, 50, 75, 100]);
        assert_eq!(levels(Profile::Ramp), [0, 25, 26, 50, 50, 100]);
        assert_eq!(levels(Profile::Spike), [10, 10, 10, 100, 100, 10]);
    }

    #[test]
    fn a_ramp_of_a_rate_has_half_the_calls() {
        let moments: Vec<_> = Schedule::new(plan(Profile::Ramp, None, 50.0)).collect();
        assert!((495..=505).contains(&moments.len()), "{}", moments.len());
        assert!(moments.is_sorted());
    }

    #[test]
    fn a_changed_rate_holds_from_the_next_call_on() {
        let mut schedule = Schedule::new(plan(Profile::Soak, None, 10.0));
        let before: Vec<_> = schedule.by_ref().take(11).collect();
        schedule.change_rate(90.0);
        let after: Vec<_> = schedule.by_ref().take(101).collect();
        assert!((before[10] - before[0]).as_millis().abs_diff(1_000) < 5, "{before:?}");
        assert!((after[100] - after[0]).as_millis().abs_diff(1_000) < 5);
        schedule.change_rate(-1_000.0);
        assert!(schedule.next().is_some());
    }

    #[test]
    fn count_and_time_are_both_limits() {
        let few = Plan { total_max: 7, ..plan(Profile::Soak, None, 50.0) };
        assert_eq!(Schedule::new(few).count(), 7);
        let last = Schedule::new(plan(Profile::Soak, Some(10), 1_000.0)).last().unwrap();
        assert!(last < Duration::from_secs(20));
    }
}
