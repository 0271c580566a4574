//! The door: who may come in, how many, how fast. Judged before any state exists for the request.

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

/// Counts what comes in and knows the trunks.
#[derive(Debug)]
pub(crate) struct Admission {
    limits: SipLimits,
    trunks: Vec<(String, Vec<IpNet>)>,
    sources: HashMap<Counted, Bucket>,
    calls: Bucket,
}

impl Admission {
    pub(crate) fn new(limits: &SipLimits, trunks: &[Trunk]) -> Self {
        Self {
            limits: limits.clone(),
            trunks: trunks.iter().map(|trunk| (trunk.name.clone(), trunk.sources.clone())).collect(),
            sources: HashMap::new(),
            calls: Bucket { full_at: Duration::ZERO },
        }
    }

    fn trunk_place(&self, source: IpAddr) -> Option<usize> {
        self.trunks.iter().position(|(_, blocks)| blocks.iter().any(|block| block.contains(source)))
    }

    /// The trunk that this address belongs to.
    pub(crate) fn trunk(&self, source: IpAddr) -> Option<&str> {
        self.trunks.get(self.trunk_place(source)?).map(|(name, _)| name.as_str())
    }

    /// Whether a source may send one more request outside of a dialog.
    pub(crate) fn request(&mut self, now: Duration, source: IpAddr) -> bool {
        let source = source.to_canonical();
        let counted = self.trunk_place(source).map_or(Counted::Address(source), Counted::Trunk);
        if !self.sources.contains_key(&counted)
            && self.sources.len() >= self.limits.sources_max
            && let Counted::Address(_) = counted
        {
            self.sources.retain(|_, bucket| bucket.full_at > now);
            if self.sources.len() >= self.limits.sources_max {
                return false;
            }
        }
        self.sources
            .entry(counted)
            .or_insert(Bucket { full_at: now })
            .take(now, self.limits.per_source_per_second)
    }

    /// Whether one more call may begin, when so many are there.
    pub(crate) fn call(&mut self, now: Duration, calls: usize, dialogs: usize) -> bool {
        calls < self.limits.calls_max
            && dialogs < self.limits.dialogs_max
            && self.calls.take(now, self.limits.calls_per_second)
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
        (0..tries).filter(|_| admission.request(now, ip(source))).count()
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
