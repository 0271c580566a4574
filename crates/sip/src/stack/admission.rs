//! The door: who may come in, how many, how fast. Judged before any state exists for the request, and for strangers
//! before it is even read, so that a flood costs no more than the system's own delivery of it.
//!
//! ```text
//! octets ─ trunk, acquaintance ──────────────────────────► read ─ request of a call ───────────► its dialog
//!        └ stranger ─ source's reading rate ─ everybody's ─┘    └ new request ─ source's rate ─► served
//!                              └ dropped           └ dropped                         └ 503, then nothing
//! ```
//! An acquaintance is an address that proved a password lately, or that we sent a request of ours to.

use std::{collections::HashMap, net::IpAddr, time::Duration};

use crate::config::{IpNet, SipLimits, Trunk};

/// Whose rate is counted. A trunk's addresses count together and are never forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Counted {
    Trunk(usize),
    Address(IpAddr),
}

/// A bucket that fills with time and is emptied by requests.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// When it would be full again.
    full_at: Duration,
}

impl Bucket {
    /// Takes one of `rate` a second; the bucket holds one second's worth.
    fn take(&mut self, now: Duration, rate: u32) -> bool {
        let Some(each) = Duration::from_secs(1).checked_div(rate) else { return false };
        let full_at = self.full_at.max(now) + each;
        // `each` is rounded down, so `rate` of them never exceed the second.
        let taken = full_at - now <= Duration::from_secs(1);
        if taken {
            self.full_at = full_at;
        }
        taken
    }
}

/// What is known of one source.
#[derive(Clone, Copy, Debug)]
struct Rates {
    /// Messages that are read.
    read: Bucket,
    /// New requests that are served.
    served: Bucket,
    /// New requests that are told 503.
    told: Bucket,
    /// What was refused or dropped since the log said so last.
    refused: u64,
    logged_at: Option<Duration>,
}

impl Rates {
    const fn new(now: Duration) -> Self {
        let bucket = Bucket { full_at: now };
        Self { read: bucket, served: bucket, told: bucket, refused: 0, logged_at: None }
    }

    /// Whether it has been quiet for so long that nothing is lost by forgetting it.
    fn is_quiet(&self, now: Duration) -> bool {
        let logged = self.logged_at.is_some_and(|at| now.saturating_sub(at) < LOG_EVERY);
        self.read.full_at.max(self.served.full_at).max(self.told.full_at) <= now && !logged
    }

    /// Counts a refusal; gives how many there were if the log should say so now.
    fn refuse(&mut self, now: Duration) -> Option<u64> {
        self.refused += 1;
        let due = self.logged_at.is_none_or(|at| now.saturating_sub(at) >= LOG_EVERY);
        due.then(|| {
            self.logged_at = Some(now);
            std::mem::take(&mut self.refused)
        })
    }
}

/// What becomes of a new request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// It is served.
    Served,
    /// Its source asks too much; it is told to wait.
    Told,
    /// Its source was told often enough.
    Dropped,
}

/// Counts what comes in and knows the trunks.
#[derive(Debug)]
pub(crate) struct Admission {
    limits: SipLimits,
    trunks: Vec<(String, Vec<IpNet>)>,
    sources: HashMap<Counted, Rates>,
    /// Acquaintances, and until when they are.
    known: HashMap<IpAddr, Duration>,
    /// What strangers may have read, all together.
    strangers: Bucket,
    calls: Bucket,
    swept_at: Duration,
}

/// How many messages of a source are read, for each new request that it may send.
const READ_FACTOR: u32 = 4;
/// How long an address stays an acquaintance.
const KNOWN_FOR: Duration = Duration::from_secs(3_600);
/// How often the log tells of one source that it is refused.
const LOG_EVERY: Duration = Duration::from_secs(60);
/// How often a table that is full is gone through for what can be forgotten.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

impl Admission {
    pub(crate) fn new(limits: &SipLimits, trunks: &[Trunk]) -> Self {
        let full = Bucket { full_at: Duration::ZERO };
        Self {
            limits: limits.clone(),
            trunks: trunks.iter().map(|trunk| (trunk.name.clone(), trunk.sources.clone())).collect(),
            sources: HashMap::new(),
            known: HashMap::new(),
            strangers: full,
            calls: full,
            swept_at: Duration::ZERO,
        }
    }

    fn trunk_place(&self, source: IpAddr) -> Option<usize> {
        self.trunks.iter().position(|(_, blocks)| blocks.iter().any(|block| block.contains(source)))
    }

    /// The trunk that this address belongs to.
    pub(crate) fn trunk(&self, source: IpAddr) -> Option<&str> {
        self.trunks.get(self.trunk_place(source)?).map(|(name, _)| name.as_str())
    }

    /// Makes an address an acquaintance: it proved who it is, or we talk to it of our own accord.
    pub(crate) fn befriend(&mut self, now: Duration, address: IpAddr) {
        let address = address.to_canonical();
        if !self.known.contains_key(&address) && self.known.len() >= self.limits.sources_max {
            self.sweep(now);
            if self.known.len() >= self.limits.sources_max {
                return;
            }
        }
        self.known.insert(address, now + KNOWN_FOR);
    }

    /// Whether a message is to be read at all.
    pub(crate) fn message(&mut self, now: Duration, source: IpAddr) -> bool {
        let source = source.to_canonical();
        if self.known.get(&source).is_some_and(|until| *until > now) || self.trunk_place(source).is_some() {
            return true;
        }
        let rate = self.limits.per_source_per_second.saturating_mul(READ_FACTOR);
        let everybody = self.limits.strangers_per_second;
        let Some(rates) = self.rates(now, Counted::Address(source)) else { return false };
        // A source that has used up its own share must not use up that of the others.
        let allowed = rates.read.take(now, rate);
        if !allowed {
            log_refused(source, rates.refuse(now));
        }
        allowed && self.strangers.take(now, everybody)
    }

    /// What becomes of one more request outside of a dialog.
    pub(crate) fn request(&mut self, now: Duration, source: IpAddr) -> Entry {
        let source = source.to_canonical();
        let counted = self.trunk_place(source).map_or(Counted::Address(source), Counted::Trunk);
        let rate = self.limits.per_source_per_second;
        let Some(rates) = self.rates(now, counted) else { return Entry::Dropped };
        if rates.served.take(now, rate) {
            return Entry::Served;
        }
        log_refused(source, rates.refuse(now));
        if rates.told.take(now, rate) { Entry::Told } else { Entry::Dropped }
    }

    /// The record of a source; none if the table is full of sources that are not quiet.
    fn rates(&mut self, now: Duration, counted: Counted) -> Option<&mut Rates> {
        if !self.sources.contains_key(&counted)
            && self.sources.len() >= self.limits.sources_max
            && let Counted::Address(_) = counted
        {
            self.sweep(now);
            if self.sources.len() >= self.limits.sources_max {
                return None;
            }
        }
        Some(self.sources.entry(counted).or_insert(Rates::new(now)))
    }

    /// Forgets who has been quiet. At most once a second: going through a full table costs more than a message.
    fn sweep(&mut self, now: Duration) {
        if now.saturating_sub(self.swept_at) < SWEEP_EVERY {
            return;
        }
        self.swept_at = now;
        self.sources.retain(|_, rates| !rates.is_quiet(now));
        self.known.retain(|_, until| *until > now);
    }

    /// Whether one more call may begin, when so many are there.
    pub(crate) fn call(&mut self, now: Duration, calls: usize, dialogs: usize) -> bool {
        calls < self.limits.calls_max
            && dialogs < self.limits.dialogs_max
            && self.calls.take(now, self.limits.calls_per_second)
    }
}

fn log_refused(source: IpAddr, refused: Option<u64>) {
    if let Some(refused) = refused {
        tracing::warn!(%source, refused, "a source sends more than its share; the rest is refused for a minute unsaid");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(limits: SipLimits) -> Admission {
        let trunk = Trunk {
            name: "carrier".into(),
            sources: vec!["192.0.2.0/24".parse().unwrap()],
            credentials: None,
        };
        Admission::new(&limits, &[trunk])
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn taken(admission: &mut Admission, now: Duration, source: &str, tries: usize) -> usize {
        (0..tries).filter(|_| admission.request(now, ip(source)) == Entry::Served).count()
    }

    #[test]
    fn a_source_has_a_second_of_burst_and_then_its_rate() {
        let mut door = admission(SipLimits { per_source_per_second: 7, ..SipLimits::default() });
        let start = Duration::from_secs(100);
        assert_eq!(taken(&mut door, start, "198.51.100.1", 20), 7);
        assert_eq!(taken(&mut door, start, "198.51.100.2", 20), 7);
        assert_eq!(taken(&mut door, start + Duration::from_secs(1), "198.51.100.1", 20), 7);
        assert_eq!(taken(&mut door, start + Duration::from_millis(1_500), "198.51.100.1", 20), 3);
    }

    #[test]
    fn a_trunk_counts_as_one_and_is_never_crowded_out() {
        let mut door =
            admission(SipLimits { per_source_per_second: 3, sources_max: 2, ..SipLimits::default() });
        let now = Duration::from_secs(5);
        assert_eq!(taken(&mut door, now, "203.0.113.1", 1), 1);
        assert_eq!(taken(&mut door, now, "203.0.113.2", 1), 1);
        assert_eq!(taken(&mut door, now, "203.0.113.3", 1), 0);
        assert_eq!(taken(&mut door, now, "192.0.2.1", 2) + taken(&mut door, now, "192.0.2.2", 2), 3);
        assert_eq!(taken(&mut door, now + Duration::from_secs(1), "203.0.113.3", 1), 1);
        assert_eq!(door.trunk(ip("192.0.2.77")), Some("carrier"));
        assert_eq!(door.trunk(ip("203.0.113.1")), None);
    }

    #[test]
    fn a_stranger_is_read_so_often_and_told_so_often() {
        let mut door = admission(SipLimits { per_source_per_second: 5, ..SipLimits::default() });
        let now = Duration::from_secs(5);
        assert_eq!((0..100).filter(|_| door.message(now, ip("203.0.113.1"))).count(), 20);
        assert!(door.message(now, ip("203.0.113.2")), "another source has its own share");
        let entries: Vec<Entry> = (0..12).map(|_| door.request(now, ip("203.0.113.1"))).collect();
        assert_eq!(
            entries,
            [[Entry::Served; 5].as_slice(), &[Entry::Told; 5], &[Entry::Dropped; 2]].concat()
        );
    }

    #[test]
    fn trunks_and_acquaintances_are_read_whatever_strangers_do() {
        let mut door = admission(SipLimits { strangers_per_second: 10, ..SipLimits::default() });
        let now = Duration::from_secs(5);
        let strange = |n: u8| IpAddr::from([203, 0, 113, n]);
        assert_eq!((0..50).filter(|n| door.message(now, strange(*n))).count(), 10);
        assert!((0..500).all(|_| door.message(now, ip("192.0.2.1"))), "a trunk");
        assert!(!door.message(now, strange(200)));
        door.befriend(now, strange(200));
        assert!((0..500).all(|_| door.message(now, strange(200))), "an acquaintance");
        assert!(!(0..500).all(|_| door.message(now + Duration::from_secs(3_600), strange(200))));
    }

    #[test]
    fn a_full_table_forgets_the_quiet_ones_and_no_others() {
        let mut door = admission(SipLimits { sources_max: 3, ..SipLimits::default() });
        let now = Duration::from_secs(5);
        assert_eq!((1..=5).filter(|n| door.message(now, IpAddr::from([203, 0, 113, *n]))).count(), 3);
        let later = now + Duration::from_secs(2);
        assert_eq!((4..=9).filter(|n| door.message(later, IpAddr::from([203, 0, 113, *n]))).count(), 3);
        assert_eq!(door.sources.len(), 3);
    }

    #[test]
    fn the_log_tells_of_a_source_once_a_minute_and_how_much_it_was() {
        let mut rates = Rates::new(Duration::ZERO);
        let told: Vec<Option<u64>> =
            [0, 1, 59, 60, 61].map(|s| rates.refuse(Duration::from_secs(s))).to_vec();
        assert_eq!(told, [Some(1), None, None, Some(3), None]);
    }

    #[test]
    fn calls_are_limited_in_number_and_rate() {
        let mut door = admission(SipLimits {
            calls_max: 5,
            dialogs_max: 9,
            calls_per_second: 2,
            ..SipLimits::default()
        });
        let now = Duration::from_secs(5);
        assert!(!door.call(now, 5, 5));
        assert!(!door.call(now, 1, 9));
        assert!(door.call(now, 4, 8));
        assert!(door.call(now, 4, 8));
        assert!(!door.call(now, 4, 8));
        assert!(door.call(now + Duration::from_millis(500), 4, 8));
    }

    #[test]
    fn a_rate_of_nothing_lets_nobody_in() {
        let mut door = admission(SipLimits { per_source_per_second: 0, ..SipLimits::default() });
        assert_eq!(taken(&mut door, Duration::from_secs(5), "203.0.113.1", 3), 0);
    }
}
