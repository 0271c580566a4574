//! The source lock of one leg: whose packets are the far side's voice.
//!
//! ```text
//! Closed ──Remote──► Open ──first good source──► Locked (address + SSRC)
//!                     ▲                             │
//!                     └──── Remote, new address ────┘
//! ```
//! The address in the SDP locks at once. Where it cannot be right (private and not where signalling comes
//! from, or unspecified), the first source on the signalling peer's host does; where it could be right but
//! sends nothing, that host gets its turn after [`GRACE`]. Once locked, nothing that media does moves the
//! address; only a new `Remote` with another address does.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use crate::rtp::Header;

/// How long the SDP's own address has the right of way when something else already sends.
pub(crate) const GRACE: Duration = Duration::from_millis(500);
/// The locked SSRC has to be quiet for this long before another from the same address follows it.
const QUIET: Duration = Duration::from_millis(100);
/// Packets in sequence that make a new SSRC believable.
const PROBATION: u16 = 3;

/// The verdict on a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// From the locked source.
    Ours,
    /// From the source that is locked as of this packet; all that was learnt from an earlier one is void.
    OursAnew,
    /// From somebody else.
    Foreign,
}

#[derive(Debug, Default)]
pub(crate) struct SourceLock {
    expected: Option<Expected>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Expected {
    rtp: SocketAddr,
    signalling: Option<IpAddr>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Closed,
    Open {
        /// When a source other than the SDP's first knocked.
        knocked: Option<Duration>,
    },
    Locked {
        address: SocketAddr,
        ssrc: u32,
        heard: Duration,
        rival: Option<Rival>,
    },
}

/// Another SSRC at the locked address.
#[derive(Debug)]
struct Rival {
    ssrc: u32,
    next: u16,
    seen: u16,
}

impl SourceLock {
    /// Says where the far side wants its media. A changed address opens the lock again. An unspecified one
    /// (`0.0.0.0`, hold in the manner of RFC 2543) changes nothing where an address is known.
    pub(crate) fn remote(&mut self, rtp: SocketAddr, signalling: Option<IpAddr>) {
        let changed = self.expected.is_none_or(|expected| expected.rtp != rtp);
        if rtp.ip().is_unspecified() && self.expected.is_some() {
            return;
        }
        self.expected = Some(Expected { rtp, signalling });
        if changed {
            self.state = State::Open { knocked: None };
        }
    }

    pub(crate) fn admit(&mut self, now: Duration, from: SocketAddr, header: &Header) -> Verdict {
        match &mut self.state {
            State::Closed => Verdict::Foreign,
            State::Open { knocked } => {
                let Some(expected) = self.expected else { return Verdict::Foreign };
                if from != expected.rtp {
                    let since = *knocked.get_or_insert(now);
                    let waited = now.saturating_sub(since) >= GRACE;
                    if !expected.may_be(from, waited) {
                        return Verdict::Foreign;
                    }
                }
                self.state = State::Locked { address: from, ssrc: header.ssrc, heard: now, rival: None };
                Verdict::OursAnew
            }
            State::Locked { address, .. } if *address != from => Verdict::Foreign,
            State::Locked { ssrc, heard, rival, .. } if *ssrc == header.ssrc => {
                *heard = now;
                *rival = None;
                Verdict::Ours
            }
            State::Locked { ssrc, heard, rival, .. } => {
                let seen = match rival {
                    Some(known) if known.ssrc == header.ssrc && known.next == header.sequence => {
                        known.seen + 1
                    }
                    Some(_) | None => 1,
                };
                if seen >= PROBATION && now.saturating_sub(*heard) >= QUIET {
                    (*ssrc, *heard, *rival) = (header.ssrc, now, None);
                    return Verdict::OursAnew;
                }
                let next = header.sequence.wrapping_add(1);
                *rival = Some(Rival { ssrc: header.ssrc, next, seen: seen.min(PROBATION) });
                Verdict::Foreign
            }
        }
    }

    /// Whether control packets from there are the far side's.
    pub(crate) fn admits_control(&self, from: SocketAddr) -> bool {
        match (&self.state, self.expected) {
            (State::Locked { address, .. }, _) => address.ip() == from.ip(),
            (State::Open { .. }, Some(expected)) => expected.rtp.ip() == from.ip(),
            (State::Closed | State::Open { .. }, _) => false,
        }
    }

    /// Where to send: the locked source, or the SDP's address until there is one.
    pub(crate) fn destination(&self) -> Option<SocketAddr> {
        match (&self.state, self.expected) {
            (State::Locked { address, .. }, _) => Some(*address),
            (State::Closed | State::Open { .. }, Some(expected)) => {
                Some(expected.rtp).filter(|rtp| !rtp.ip().is_unspecified() && rtp.port() != 0)
            }
            (State::Closed | State::Open { .. }, None) => None,
        }
    }

    /// The locked SSRC.
    pub(crate) const fn ssrc(&self) -> Option<u32> {
        match self.state {
            State::Locked { ssrc, .. } => Some(ssrc),
            State::Closed | State::Open { .. } => None,
        }
    }
}

impl Expected {
    /// Whether a source other than the SDP's address may be the far side behind a translator.
    fn may_be(&self, from: SocketAddr, waited: bool) -> bool {
        let sdp = self.rtp.ip();
        let at_signalling = self.signalling == Some(from.ip());
        let unreachable = sdp.is_unspecified() || (is_private(sdp) && self.signalling != Some(sdp));
        if unreachable { at_signalling } else { waited && (at_signalling || from.ip() == sdp) }
    }
}

/// Addresses that mean nothing outside their own network (RFC 1918, 6598, 3927, 4193, 4291).
fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(four) => {
            let shared = matches!(four.octets(), [100, second, ..] if second & 0xC0 == 64);
            four.is_private() || four.is_link_local() || four.is_loopback() || shared
        }
        IpAddr::V6(six) => six.is_unique_local() || six.is_unicast_link_local() || six.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn from(ssrc: u32, sequence: u16) -> Header {
        Header { marker: false, payload_type: 0, sequence, timestamp: 0, ssrc }
    }

    fn lock(sdp: &str, signalling: &str) -> SourceLock {
        let mut lock = SourceLock::default();
        lock.remote(at(sdp), Some(signalling.parse().unwrap()));
        lock
    }

    #[test]
    fn nothing_is_ours_before_the_far_side_said_where_it_is() {
        let mut lock = SourceLock::default();
        assert_eq!(lock.admit(MS, at("203.0.113.5:4000"), &from(1, 1)), Verdict::Foreign);
        assert_eq!(lock.destination(), None);
    }

    #[test]
    fn the_address_in_the_sdp_locks_at_once_and_keeps_everybody_else_out() {
        let mut lock = lock("203.0.113.5:4000", "203.0.113.5");
        assert_eq!(lock.admit(MS, at("198.51.100.9:4000"), &from(6, 1)), Verdict::Foreign);
        assert_eq!(lock.admit(MS, at("203.0.113.5:4000"), &from(1, 1)), Verdict::OursAnew);
        assert_eq!(lock.admit(MS * 900, at("203.0.113.5:4002"), &from(1, 2)), Verdict::Foreign);
        assert_eq!(lock.admit(MS * 900, at("203.0.113.5:4000"), &from(1, 2)), Verdict::Ours);
    }

    #[test]
    fn behind_a_translator_the_first_source_on_the_signalling_host_locks() {
        let mut lock = lock("10.0.0.7:4000", "203.0.113.5");
        assert_eq!(lock.admit(MS, at("198.51.100.9:4000"), &from(6, 1)), Verdict::Foreign);
        assert_eq!(lock.admit(MS, at("203.0.113.5:61000"), &from(1, 1)), Verdict::OursAnew);
        assert_eq!(lock.destination(), Some(at("203.0.113.5:61000")));
    }

    #[test]
    fn a_believable_address_that_never_sends_gives_way_after_the_grace() {
        let mut lock = lock("203.0.113.5:4000", "203.0.113.5");
        assert_eq!(lock.admit(MS, at("203.0.113.5:5000"), &from(1, 1)), Verdict::Foreign);
        assert_eq!(lock.admit(MS + GRACE, at("198.51.100.9:4000"), &from(6, 1)), Verdict::Foreign);
        assert_eq!(lock.admit(MS + GRACE, at("203.0.113.5:5000"), &from(1, 2)), Verdict::OursAnew);
    }

    #[test]
    fn a_new_ssrc_follows_the_locked_one_only_when_that_is_quiet() {
        let address = at("203.0.113.5:4000");
        let mut lock = lock("203.0.113.5:4000", "203.0.113.5");
        lock.admit(MS, address, &from(1, 1));
        for n in 0..50 {
            lock.admit(MS * (20 * n), address, &from(1, n as u16));
            assert_eq!(lock.admit(MS * (20 * n), address, &from(2, n as u16)), Verdict::Foreign);
        }
        let verdicts = [50, 55, 60].map(|n| lock.admit(MS * (20 * n), address, &from(2, n as u16)));
        assert_eq!(verdicts, [Verdict::Foreign; 3], "not in sequence");
        assert_eq!(lock.admit(MS * 1220, address, &from(2, 61)), Verdict::Foreign);
        assert_eq!(lock.admit(MS * 1240, address, &from(2, 62)), Verdict::OursAnew);
        assert_eq!(lock.ssrc(), Some(2));
    }

    #[test]
    fn only_a_changed_address_opens_the_lock_again() {
        let mut lock = lock("203.0.113.5:4000", "203.0.113.5");
        lock.admit(MS, at("203.0.113.5:4000"), &from(1, 1));
        lock.remote(at("203.0.113.5:4000"), None);
        lock.remote(at("0.0.0.0:4000"), None);
        assert_eq!(lock.ssrc(), Some(1));
        lock.remote(at("203.0.113.6:4000"), None);
        assert_eq!(lock.ssrc(), None);
        assert_eq!(lock.admit(MS, at("203.0.113.6:4000"), &from(9, 1)), Verdict::OursAnew);
    }
}
