//! The source lock of one leg: whose packets are the far side's voice.
//!
//! ```text
//! Closed ──Remote──► Open ──first good source──► Locked (address + SSRC)
//!                     ▲                             │
//!                     └──── Remote, new address ────┘
//! ```
//! The address in the SDP locks at once. Where it cannot be right (private and not where signalling comes
//! from, or unspecified), the first source on the signalling peer's host does; where it could be right but
//! sends nothing, that host gets its turn after [`GRACE`]. Once locked, only what proves that it is the same
//! stream moves the lock, and only a new `Remote` with another address opens it:
//!
//! - another port of a known host, with the locked SSRC and the sequence and timestamps going on, when the
//!   locked port has been quiet for [`REBIND`]: a translator gave the far side another port. Where both go on
//!   exactly, packet by packet, [`REBIND_EXACT`] is enough: who can name all three has read the stream;
//! - another SSRC, or a far jump of the sequence, at the locked address, when the locked one has been quiet for
//!   [`QUIET`]: the far side began a new stream. If the old one goes on after all, the new one was somebody's who
//!   forges the address: the old one is ours again at once, and the forged one is shut out.
//!
//! Each needs [`PROBATION`] packets in sequence. With SRTP the packets are judged before they come here.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use crate::rtp::Header;

/// How long the SDP's own address has the right of way when something else already sends.
pub(crate) const GRACE: Duration = Duration::from_millis(500);
/// The locked SSRC has to be quiet for this long before another from the same address follows it.
const QUIET: Duration = Duration::from_millis(100);
/// The locked address has to be quiet for this long before another port of its host follows it.
const REBIND: Duration = Duration::from_millis(300);
/// The same, where sequence and timestamps go on without a jump. The locked port has missed as many packets by then.
const REBIND_EXACT: Duration = Duration::from_millis(50);
/// Packets in sequence that make a new source believable.
const PROBATION: u16 = 3;
/// A sequence number further from the last one than this does not continue it: RFC 3550 A.1 takes as much.
const NEAR: u16 = 3000;
/// A stream that was left is remembered for so long; a forged one is shut out until ours is quiet for so long.
const REMEMBERED: Duration = Duration::from_secs(30);
/// Timestamps may run ahead of our clock by so much in another port's packets.
const AHEAD: Duration = Duration::from_secs(2);

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
    Locked(Locked),
}

#[derive(Debug)]
struct Locked {
    address: SocketAddr,
    stream: Stream,
    /// Ticks of a packet, once two came in sequence.
    step: Option<u32>,
    /// When it was heard last.
    heard: Duration,
    rival: Option<Rival>,
    /// The stream that this one followed.
    left: Option<Left>,
    /// An SSRC that pretended to be the far side's.
    forged: Option<u32>,
}

/// A stream and how far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stream {
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
}

/// A stream that was left, when, and how many packets of it came since.
#[derive(Clone, Copy, Debug)]
struct Left {
    stream: Stream,
    since: Duration,
    seen: u16,
}

/// A source that may become the locked one.
#[derive(Clone, Debug)]
struct Rival {
    address: SocketAddr,
    ssrc: u32,
    next: u16,
    seen: u16,
    /// Of its packets, how many in a row went on exactly.
    exact: u16,
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
                self.state = State::Locked(Locked::new(now, from, header));
                Verdict::OursAnew
            }
            State::Locked(locked) => {
                let signalling = self.expected.and_then(|expected| expected.signalling);
                locked.admit(now, (from, header), signalling)
            }
        }
    }

    /// Whether control packets from there are the far side's.
    pub(crate) fn admits_control(&self, from: SocketAddr) -> bool {
        match (&self.state, self.expected) {
            (State::Locked(Locked { address, .. }), _) => address.ip() == from.ip(),
            (State::Open { .. }, Some(expected)) => expected.rtp.ip() == from.ip(),
            (State::Closed | State::Open { .. }, _) => false,
        }
    }

    /// Where to send: the locked source, or the SDP's address until there is one.
    pub(crate) fn destination(&self) -> Option<SocketAddr> {
        match (&self.state, self.expected) {
            (State::Locked(Locked { address, .. }), _) => Some(*address),
            (State::Closed | State::Open { .. }, Some(expected)) => {
                Some(expected.rtp).filter(|rtp| !rtp.ip().is_unspecified() && rtp.port() != 0)
            }
            (State::Closed | State::Open { .. }, None) => None,
        }
    }

    /// The locked SSRC.
    pub(crate) const fn ssrc(&self) -> Option<u32> {
        match &self.state {
            State::Locked(Locked { stream, .. }) => Some(stream.ssrc),
            State::Closed | State::Open { .. } => None,
        }
    }
}

impl Locked {
    const fn new(now: Duration, address: SocketAddr, header: &Header) -> Self {
        Self {
            address,
            stream: Stream::of(header),
            step: None,
            heard: now,
            rival: None,
            left: None,
            forged: None,
        }
    }

    fn admit(
        &mut self,
        now: Duration,
        (from, header): (SocketAddr, &Header),
        signalling: Option<IpAddr>,
    ) -> Verdict {
        let continues = self.stream.is_continued_by(header);
        if from == self.address && continues {
            self.heard = now;
            if header.sequence == self.stream.sequence.wrapping_add(1) {
                self.step = Some(header.timestamp.wrapping_sub(self.stream.timestamp));
            }
            self.stream = Stream::of(header);
            return Verdict::Ours;
        }
        let quiet = now.saturating_sub(self.heard);
        let moves = from != self.address;
        if moves && !(continues && self.is_on_time(quiet, header) && self.may_move_to(from, signalling)) {
            return Verdict::Foreign;
        }
        if self.forged == Some(header.ssrc) && quiet < REMEMBERED {
            return Verdict::Foreign;
        }
        let returns = !moves && self.returns(now, header);
        let proven = self.probe(from, header).is_proven(quiet, moves);
        if !(proven || returns) {
            return Verdict::Foreign;
        }
        if returns {
            (self.forged, self.left) = (Some(self.stream.ssrc), None);
        } else if !continues {
            self.left = Some(Left { stream: self.stream, since: now, seen: 0 });
        }
        (self.address, self.stream) = (from, Stream::of(header));
        (self.heard, self.rival) = (now, None);
        // A stream that goes on at another port is the same one: nothing that was learnt of it is void.
        if moves { Verdict::Ours } else { Verdict::OursAnew }
    }

    /// What is known of this source with this packet.
    fn probe(&mut self, address: SocketAddr, header: &Header) -> Rival {
        let (next, ssrc) = (header.sequence.wrapping_add(1), header.ssrc);
        let known = self.rival.take().filter(|rival| rival.address == address && rival.ssrc == ssrc);
        let (before, seen, exact) = known.map_or((next, 0, 0), |rival| (rival.next, rival.seen, rival.exact));
        let rival = Rival {
            address,
            ssrc,
            next,
            seen: if before == header.sequence { (seen + 1).min(PROBATION) } else { 1 },
            exact: match self.goes_on_exactly(header) {
                // The same packet twice proves nothing.
                true if before != next || exact == 0 => (exact + 1).min(PROBATION),
                true => exact,
                false => 0,
            },
        };
        self.rival.insert(rival).clone()
    }

    /// Whether a packet has the very timestamp that the locked stream's packet of its number would have, and is so
    /// far ahead that the locked port has missed some.
    fn goes_on_exactly(&self, header: &Header) -> bool {
        let ahead = header.sequence.wrapping_sub(self.stream.sequence);
        let said = header.timestamp.wrapping_sub(self.stream.timestamp);
        let due = self.step.filter(|step| *step > 0).map(|step| step.wrapping_mul(u32::from(ahead)));
        (1..=NEAR).contains(&ahead) && header.ssrc == self.stream.ssrc && due == Some(said)
    }

    /// Whether the stream that was left goes on after all.
    fn returns(&mut self, now: Duration, header: &Header) -> bool {
        let Some(left) = &mut self.left else { return false };
        if left.stream.is_continued_by(header) && now.saturating_sub(left.since) < REMEMBERED {
            left.seen += 1;
            left.stream = Stream::of(header);
        }
        left.seen >= PROBATION
    }

    /// Whether the far side may be at another port there.
    fn may_move_to(&self, from: SocketAddr, signalling: Option<IpAddr>) -> bool {
        from.ip() == self.address.ip() || signalling == Some(from.ip())
    }

    /// Whether the timestamps went on as time did, at any clock rate up to 48 kHz.
    fn is_on_time(&self, quiet: Duration, header: &Header) -> bool {
        let ahead = header.timestamp.wrapping_sub(self.stream.timestamp);
        u128::from(ahead) <= (quiet + AHEAD).as_millis() * 48
    }
}

impl Rival {
    /// Whether it is believed after the locked source has been quiet for so long.
    fn is_proven(&self, quiet: Duration, moves: bool) -> bool {
        let in_sequence = self.seen >= PROBATION && quiet >= if moves { REBIND } else { QUIET };
        in_sequence || (moves && self.exact >= PROBATION && quiet >= REBIND_EXACT)
    }
}

impl Stream {
    const fn of(header: &Header) -> Self {
        Self { ssrc: header.ssrc, sequence: header.sequence, timestamp: header.timestamp }
    }

    fn is_continued_by(&self, header: &Header) -> bool {
        let ahead = header.sequence.wrapping_sub(self.sequence);
        self.ssrc == header.ssrc && ahead.min(ahead.wrapping_neg()) <= NEAR
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

    const HOME: &str = "203.0.113.5:4000";

    /// Locked on SSRC 1 at home, whose packet 100 came at two seconds.
    fn locked() -> SourceLock {
        let mut lock = lock(HOME, "203.0.113.5");
        for n in 0..=100 {
            lock.admit(MS * (20 * n), at(HOME), &spoken(1, n as u16));
        }
        lock
    }

    /// A packet whose timestamp goes with its number.
    fn spoken(ssrc: u32, sequence: u16) -> Header {
        Header { timestamp: u32::from(sequence) * 160, ..from(ssrc, sequence) }
    }

    /// What becomes of packets every 20 ms from 2020 ms on.
    fn run(lock: &mut SourceLock, source: &str, ssrc: u32, sequences: std::ops::Range<u16>) -> Vec<Verdict> {
        let each = sequences.enumerate().map(|(n, sequence)| {
            lock.admit(MS * (2020 + 20 * n as u32), at(source), &spoken(ssrc, sequence))
        });
        each.collect()
    }

    #[test]
    fn a_stream_that_goes_on_exactly_at_another_port_of_its_host_is_followed_with_the_third_packet() {
        let mut lock = locked();
        let verdicts = run(&mut lock, "203.0.113.5:5000", 1, 101..150);
        let first = verdicts.iter().position(|verdict| *verdict == Verdict::Ours);
        assert_eq!(first, Some(2), "{verdicts:?}");
        assert!(verdicts[2..].iter().all(|verdict| *verdict == Verdict::Ours));
        assert_eq!(lock.destination(), Some(at("203.0.113.5:5000")));
    }

    #[test]
    fn packets_that_are_lost_doubled_and_overtaken_on_the_way_to_another_port_delay_it_by_themselves_alone() {
        let mut lock = locked();
        let verdicts = [102, 102, 101, 105].map(|sequence| {
            let now = MS * (2000 + 20 * u32::from(sequence - 100));
            lock.admit(now, at("203.0.113.5:5000"), &spoken(1, sequence))
        });
        assert_eq!(verdicts, [Verdict::Foreign, Verdict::Foreign, Verdict::Foreign, Verdict::Ours]);
    }

    #[test]
    fn a_stream_whose_time_jumps_at_another_port_is_followed_after_300_ms() {
        let mut lock = locked();
        let verdicts: Vec<Verdict> = (101..150)
            .map(|n| {
                let header = Header { timestamp: u32::from(n) * 160 + 7, ..from(1, n) };
                lock.admit(MS * (20 * u32::from(n)), at("203.0.113.5:5000"), &header)
            })
            .collect();
        let first = verdicts.iter().position(|verdict| *verdict == Verdict::Ours);
        assert_eq!(first, Some(14), "{verdicts:?}");
    }

    #[test]
    fn no_other_host_ssrc_sequence_or_time_moves_the_stream() {
        let check = |source: &str, ssrc: u32, sequences: std::ops::Range<u16>, why: &str| {
            let mut lock = locked();
            let verdicts = run(&mut lock, source, ssrc, sequences);
            assert!(verdicts.iter().all(|verdict| *verdict == Verdict::Foreign), "{why}");
            assert_eq!(lock.destination(), Some(at(HOME)), "{why}");
            assert_eq!(lock.admit(MS * 9000, at(HOME), &spoken(1, 450)), Verdict::Ours, "{why}");
        };
        check("198.51.100.9:4000", 1, 101..200, "another host");
        check("203.0.113.5:5000", 2, 101..200, "another SSRC");
        check("203.0.113.5:5000", 1, 20_000..20_100, "another sequence");
        check("203.0.113.5:5000", 1, 2500..2600, "another time");
    }

    #[test]
    fn a_port_that_speaks_while_ours_does_never_becomes_ours() {
        let mut lock = locked();
        for n in 101..400_u16 {
            let now = MS * (20 * u32::from(n));
            assert_eq!(lock.admit(now, at(HOME), &spoken(1, n)), Verdict::Ours);
            assert_eq!(lock.admit(now, at("203.0.113.5:5000"), &spoken(1, n)), Verdict::Foreign);
        }
    }

    #[test]
    fn who_forges_the_address_in_a_pause_cannot_mute_the_stream_that_returns() {
        let mut lock = locked();
        let forged = run(&mut lock, HOME, 66, 7000..7050);
        assert!(forged.contains(&Verdict::OursAnew), "an SSRC may change, so this cannot be known yet");
        // Ours goes on, the forged one as well.
        let mut verdicts = Vec::new();
        for n in 0..100_u16 {
            let now = MS * (3100 + 20 * u32::from(n));
            verdicts.push(lock.admit(now, at(HOME), &spoken(1, 150 + n)));
            let forged = lock.admit(now, at(HOME), &spoken(66, 7050 + n));
            assert!(n < 3 || forged == Verdict::Foreign, "{n}");
        }
        // Three packets prove it.
        assert!(verdicts[3..].iter().all(|verdict| *verdict == Verdict::Ours), "{verdicts:?}");
        assert_eq!(lock.ssrc(), Some(1));
    }

    #[test]
    fn who_knows_the_ssrc_but_not_the_sequence_is_kept_out_while_ours_speaks() {
        let mut lock = locked();
        for n in 101..300_u16 {
            let now = MS * (20 * u32::from(n));
            assert_eq!(lock.admit(now, at(HOME), &spoken(1, n)), Verdict::Ours);
            assert_eq!(lock.admit(now, at(HOME), &spoken(1, n.wrapping_add(30_000))), Verdict::Foreign);
        }
    }

    #[test]
    fn a_sequence_that_jumps_when_ours_is_quiet_is_a_new_stream() {
        let mut lock = locked();
        assert_eq!(run(&mut lock, HOME, 1, 40_000..40_003)[..2], [Verdict::Foreign; 2]);
        assert_eq!(lock.admit(MS * 2120, at(HOME), &spoken(1, 40_003)), Verdict::OursAnew);
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
