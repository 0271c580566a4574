//! Who guesses passwords: failures by source, and how long a source that failed too often has to wait.
//!
//! Ten failures are free, and one comes back every half minute. Who has used them up waits a minute, and twice as long
//! after each further failure, up to an hour. A right password takes one failure back.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

/// One source that failed.
#[derive(Clone, Copy, Debug)]
struct Suspect {
    /// Failures that are not forgiven yet, as of `seen_at`.
    failures: u32,
    seen_at: Duration,
    /// When it is heard again.
    barred_until: Duration,
    /// How long it was barred last.
    term: Duration,
    /// Failures since the log told of it, and when it did.
    untold: u64,
    told_at: Option<Duration>,
}

/// All sources that failed lately.
#[derive(Debug)]
pub(crate) struct Suspects {
    known: BTreeMap<IpAddr, Suspect>,
    sources_max: usize,
}

/// Failures that nobody is barred for.
const FREE: u32 = 10;
/// How fast failures are forgiven.
const FORGIVEN_EACH: Duration = Duration::from_secs(30);
const TERM_MIN: Duration = Duration::from_secs(60);
const TERM_MAX: Duration = Duration::from_secs(3_600);
/// How often the log tells of one source.
const TOLD_EVERY: Duration = Duration::from_secs(60);

impl Suspect {
    const fn new(now: Duration) -> Self {
        Self {
            failures: 0,
            seen_at: now,
            barred_until: Duration::ZERO,
            term: Duration::ZERO,
            untold: 0,
            told_at: None,
        }
    }

    fn forgive(&mut self, now: Duration) {
        let steps = now.saturating_sub(self.seen_at).as_secs() / FORGIVEN_EACH.as_secs();
        let steps = u32::try_from(steps).unwrap_or(u32::MAX);
        self.failures = self.failures.saturating_sub(steps);
        self.seen_at += FORGIVEN_EACH * steps;
        if self.failures == 0 {
            self.term = Duration::ZERO;
        }
    }
}

impl Suspects {
    pub(crate) const fn new(sources_max: usize) -> Self {
        Self { known: BTreeMap::new(), sources_max }
    }

    /// How long a source still has to wait before its passwords are looked at.
    pub(crate) fn wait(&self, now: Duration, source: IpAddr) -> Option<Duration> {
        let until = self.known.get(&source)?.barred_until;
        (until > now).then(|| until - now)
    }

    /// Takes note of a failure; gives how many there were if the log should tell of them now.
    pub(crate) fn failed(&mut self, now: Duration, source: IpAddr) -> Option<u64> {
        self.make_room(source);
        let suspect = self.known.entry(source).or_insert(Suspect::new(now));
        suspect.forgive(now);
        if suspect.failures == 0 {
            suspect.seen_at = now;
        }
        suspect.failures = suspect.failures.saturating_add(1);
        if suspect.failures > FREE {
            suspect.term = (suspect.term * 2).clamp(TERM_MIN, TERM_MAX);
            suspect.barred_until = now + suspect.term;
            // What the term itself would forgive is kept, so that the next failure bars again at once.
            suspect.failures = FREE + 1;
            suspect.seen_at = suspect.barred_until;
        }
        suspect.untold += 1;
        let due = suspect.told_at.is_none_or(|at| now.saturating_sub(at) >= TOLD_EVERY);
        due.then(|| {
            suspect.told_at = Some(now);
            std::mem::take(&mut suspect.untold)
        })
    }

    /// Takes note of a right password.
    pub(crate) fn succeeded(&mut self, now: Duration, source: IpAddr) {
        if let Some(suspect) = self.known.get_mut(&source) {
            suspect.forgive(now);
            suspect.failures = suspect.failures.saturating_sub(1);
            if suspect.failures == 0 && suspect.barred_until <= now {
                self.known.remove(&source);
            }
        }
    }

    /// At the limit the source that was seen failing longest ago gives way.
    fn make_room(&mut self, source: IpAddr) {
        if self.known.len() < self.sources_max || self.known.contains_key(&source) {
            return;
        }
        let oldest = self.known.iter().min_by_key(|(_, suspect)| suspect.seen_at).map(|(ip, _)| *ip);
        if let Some(oldest) = oldest {
            self.known.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 9));

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(1_000 + seconds)
    }

    #[test]
    fn ten_failures_are_free_and_then_the_waits_double_up_to_an_hour() {
        let mut suspects = Suspects::new(10);
        for _ in 0..10 {
            suspects.failed(at(0), SOURCE);
            assert_eq!(suspects.wait(at(0), SOURCE), None);
        }
        let mut now = 0;
        let mut terms = Vec::new();
        for _ in 0..8 {
            suspects.failed(at(now), SOURCE);
            let wait = suspects.wait(at(now), SOURCE).unwrap().as_secs();
            terms.push(wait);
            now += wait;
            assert_eq!(suspects.wait(at(now), SOURCE), None);
        }
        assert_eq!(terms, [60, 120, 240, 480, 960, 1_920, 3_600, 3_600]);
    }

    #[test]
    fn somebody_who_mistypes_now_and_then_is_never_barred() {
        let mut suspects = Suspects::new(10);
        for n in 0..100 {
            suspects.failed(at(n * 31), SOURCE);
            assert_eq!(suspects.wait(at(n * 31), SOURCE), None);
        }
    }

    #[test]
    fn time_and_right_passwords_forgive() {
        let mut suspects = Suspects::new(10);
        for _ in 0..10 {
            suspects.failed(at(0), SOURCE);
        }
        suspects.succeeded(at(0), SOURCE);
        suspects.failed(at(0), SOURCE);
        assert_eq!(suspects.wait(at(0), SOURCE), None);
        suspects.failed(at(300), SOURCE);
        assert_eq!(suspects.wait(at(300), SOURCE), None);
        suspects.succeeded(at(900), SOURCE);
        assert!(suspects.known.is_empty());
    }

    #[test]
    fn the_log_hears_of_a_source_once_a_minute() {
        let mut suspects = Suspects::new(10);
        let told: Vec<Option<u64>> = [0, 1, 2, 60, 61].map(|s| suspects.failed(at(s), SOURCE)).to_vec();
        assert_eq!(told, [Some(1), None, None, Some(3), None]);
    }

    #[test]
    fn the_table_has_a_limit_and_the_oldest_gives_way() {
        let mut suspects = Suspects::new(3);
        for n in 0..5u8 {
            suspects.failed(at(u64::from(n)), IpAddr::from([203, 0, 113, n]));
        }
        let left: Vec<IpAddr> = suspects.known.keys().copied().collect();
        assert_eq!(left, [2, 3, 4].map(|n| IpAddr::from([203, 0, 113, n])));
    }
}
