//! How far apart partials are: they fill what finals leave free of the workers, and no more.
//!
//! Each half second the time that went into partials is compared with what they may have; the interval between
//! partials is stretched or shrunk by what is missing.

use std::time::Duration;

/// What workers have spent since the start, all together.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spent {
    /// On everything.
    pub(super) all: Duration,
    /// Of that on partials, those that were stopped too.
    pub(super) partials: Duration,
    /// Of that on what was put off.
    pub(super) late: Duration,
}

/// By how much partials are stretched.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch {
    looked: Duration,
    seen: Spent,
    /// The share of the workers' time that finals took, over the last seconds.
    finals: f32,
    /// What partials would have taken without any stretch.
    wanted: f32,
    factor: f32,
}

impl Stretch {
    pub(super) fn new(now: Duration) -> Stretch {
        Stretch { looked: now, seen: Spent::default(), finals: 0.0, wanted: 0.0, factor: 1.0 }
    }

    /// 1 when nothing is stretched.
    pub(super) fn factor(&self) -> f32 {
        self.factor
    }

    /// Looks at what so many workers have spent until now.
    pub(super) fn observe(&mut self, now: Duration, spent: Spent, workers: usize) {
        let passed = now.saturating_sub(self.looked);
        if passed < EVERY {
            return;
        }
        let capacity = passed.as_secs_f32() * workers.max(1) as f32;
        let share = |now: Duration, before: Duration| now.saturating_sub(before).as_secs_f32() / capacity;
        let partials = share(spent.partials, self.seen.partials);
        let late = share(spent.late, self.seen.late);
        let finals = (share(spent.all, self.seen.all) - partials - late).max(0.0);
        // Decodes are counted when they end, so single looks are rough.
        self.finals += (finals - self.finals) * NEW;
        self.wanted += (partials * self.factor - self.wanted) * NEW;
        self.looked = now;
        self.seen = spent;
        let room = (BUSY_MAX - self.finals).max(ROOM_MIN);
        self.factor = (self.wanted / room).clamp(1.0, FACTOR_MAX);
    }
}

/// How often the factor changes.
const EVERY: Duration = Duration::from_millis(500);
/// The part of the workers' time that finals and partials may take together: more makes finals wait for each other.
const BUSY_MAX: f32 = 0.8;
/// What partials may have however many finals there are: they are stopped when a final waits.
const ROOM_MIN: f32 = 0.05;
const FACTOR_MAX: f32 = 8.0;
/// The weight of the newest look: two seconds of memory.
const NEW: f32 = 0.25;

#[cfg(test)]
mod tests {
    use super::*;

    /// Partials that take `cost` of a worker's time at full rate beside finals that take `finals`, for a minute.
    fn settled(cost: f32, finals: f32) -> (f32, f32) {
        let mut stretch = Stretch::new(Duration::ZERO);
        let mut spent = Spent::default();
        for step in 1..=120 {
            let partials = Duration::from_secs_f32(cost / stretch.factor() * 0.5);
            spent.partials += partials;
            spent.all += partials + Duration::from_secs_f32(finals * 0.5);
            stretch.observe(EVERY * step, spent, 1);
        }
        (stretch.factor(), cost / stretch.factor() + finals)
    }

    #[test]
    fn partials_that_have_room_are_not_stretched() {
        assert!(settled(0.3, 0.4).0 < 1.01);
        assert!(settled(0.0, 0.9).0 < 1.01);
    }

    #[test]
    fn partials_fill_what_finals_leave_and_no_more() {
        for (cost, finals) in [(1.0, 0.3), (2.0, 0.5), (1.2, 0.6)] {
            let (factor, busy) = settled(cost, finals);
            assert!((busy - BUSY_MAX).abs() < 0.03, "{cost} beside {finals}: {busy} at {factor}");
        }
    }

    #[test]
    fn however_little_is_free_the_interval_stays_bounded() {
        assert!(settled(20.0, 1.0).0 <= FACTOR_MAX);
    }

    #[test]
    fn the_stretch_goes_when_the_load_does() {
        let mut stretch = Stretch::new(Duration::ZERO);
        let mut spent = Spent::default();
        for step in 1..=20 {
            spent.partials += EVERY;
            spent.all += EVERY;
            stretch.observe(EVERY * step, spent, 1);
        }
        assert!(stretch.factor() > 2.0);
        for step in 21..=60 {
            stretch.observe(EVERY * step, spent, 1);
        }
        assert!(stretch.factor() < 1.1);
    }
}
