//! Whether a leg's far side is still there, judged by what comes from it (dead legs).
//!
//! | it agreed to | it is dead when nothing came for |
//! |---|---|
//! | send sound | `talking` |
//! | send sound, and its RTCP went on for a while after the sound stopped | `held`, of RTP and RTCP |
//! | hold, or receive only | `held`, of RTP and RTCP; never if it speaks no RTCP |
//! | send sound, with silence suppressed (RFC 3389) | `held`, of RTP and RTCP; never if it speaks no RTCP |
//!
//! A leg that was never heard is not judged: many phones and bots send nothing before they are spoken to.
//! RTCP that claims packets which never arrive is no sign of life: that way is broken.

use std::time::Duration;

use crate::session::Direction;

/// How long a leg may be silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeadLimits {
    /// While its far side is expected to send sound; zero judges no leg at all.
    pub talking: Duration,
    /// On hold, and for a far side that suppresses silence.
    pub held: Duration,
}

impl Default for DeadLimits {
    fn default() -> Self {
        Self { talking: Duration::from_secs(6), held: Duration::from_secs(15) }
    }
}

/// The signs of life of one leg.
#[derive(Clone, Debug, Default)]
pub(crate) struct Life {
    direction: Direction,
    /// The newest packet of sound or keys; none before the first.
    sound: Option<Duration>,
    /// The newest control packet that is a sign of life; none before the first.
    control: Option<Duration>,
    /// What the far side says that it sent, and when it said so.
    claimed: Option<(u32, Duration)>,
    /// It sent comfort noise: it suppresses silence.
    suppresses: bool,
    /// The newest packet's number and time, by its own clock and by ours.
    last: Option<(u16, u32, Duration)>,
    /// It left packets out in a pause and said nothing about it.
    pauses: bool,
    /// Not to be told as dead again before then.
    told: Option<Duration>,
}

/// Reports come on ticks that are this far apart at most, so a limit is judged by this much early.
pub(crate) const JUDGED_EVERY: Duration = Duration::from_millis(100);
/// A control packet so long after the sound shows that only the sound stopped.
const WITHOUT_SOUND: Duration = Duration::from_secs(1);
/// No network holds packets back so evenly that a pause this long can be mistaken for one that was meant.
const PAUSE_MIN: Duration = Duration::from_millis(200);
/// Timestamps and arrivals of a pause that was meant agree so well.
const PAUSE_SLACK: Duration = Duration::from_millis(100);
/// So many packets claimed and not come are no accident: half a second of sound.
const CLAIMED_MAX: u32 = 25;

impl Life {
    /// The far side offered or answered anew: its time begins again.
    pub(crate) fn agreed(&mut self, now: Duration, direction: Direction) {
        self.direction = direction;
        self.sound = self.sound.map(|_| now);
        self.told = None;
    }

    /// A packet of sound or keys was accepted.
    pub(crate) fn sound(&mut self, now: Duration) {
        self.sound = Some(now);
        self.told = None;
    }

    /// A packet of comfort noise was accepted.
    pub(crate) fn comfort_noise(&mut self, now: Duration) {
        self.suppresses = true;
        self.sound(now);
    }

    /// A packet of sound has this number, and this time on a clock of 8 kHz. A far side whose numbers go on where its
    /// time jumps as ours did has left packets out on purpose (RFC 3551 §4.1), whatever it agreed to.
    pub(crate) fn numbered(&mut self, now: Duration, sequence: u16, timestamp: u32) {
        if let Some((before, then, at)) = self.last {
            let quiet = now.saturating_sub(at);
            let said = Duration::from_micros(u64::from(timestamp.wrapping_sub(then)) * 125);
            self.pauses |= sequence == before.wrapping_add(1)
                && quiet >= PAUSE_MIN
                && said.abs_diff(quiet) <= PAUSE_SLACK;
        }
        self.last = Some((sequence, timestamp, now));
    }

    /// For how long nothing came though sound is due all the time; for ever if none ever did. None where a pause may
    /// be meant: on hold, and from a far side that suppresses silence.
    pub(crate) fn missing(&self, now: Duration) -> Option<Duration> {
        let due = self.direction == Direction::SendRecv && !self.suppresses && !self.pauses;
        due.then(|| self.sound.map_or(Duration::MAX, |sound| now.saturating_sub(sound)))
    }

    /// A control packet was accepted, with the packets that it says were sent, if it is a sender's.
    pub(crate) fn control(&mut self, now: Duration, packets: Option<u32>) {
        let before = self.claimed;
        if let Some(packets) = packets {
            self.claimed = Some((packets, now));
        }
        let lost_on_the_way = match (before, packets) {
            (Some((then, at)), Some(packets)) => {
                packets.wrapping_sub(then) > CLAIMED_MAX && self.sound.is_none_or(|sound| sound < at)
            }
            (None, _) | (_, None) => false,
        };
        if !lost_on_the_way {
            self.control = Some(now);
        }
    }

    /// For how long nothing came, if that is too long. Told again when it lasts as long again.
    pub(crate) fn judge(&mut self, now: Duration, limits: DeadLimits) -> Option<Duration> {
        let silent = now.saturating_sub(self.newest()?);
        let due = silent + JUDGED_EVERY > self.limit(limits)? && self.told.is_none_or(|again| now >= again);
        due.then(|| {
            self.told = Some(now + silent);
            silent
        })
    }

    /// The newest sign of life of a leg that was ever heard.
    fn newest(&self) -> Option<Duration> {
        self.sound.map(|sound| self.control.map_or(sound, |control| control.max(sound)))
    }

    /// None for a leg that cannot be judged.
    fn limit(&self, limits: DeadLimits) -> Option<Duration> {
        if limits.talking.is_zero() {
            return None;
        }
        let expected = match self.direction {
            Direction::SendRecv => !self.suppresses,
            Direction::SendOnly | Direction::RecvOnly | Direction::Inactive => false,
        };
        let quiet_but_there = self
            .control
            .zip(self.sound)
            .is_some_and(|(control, sound)| control.saturating_sub(sound) >= WITHOUT_SOUND);
        match (expected, self.control) {
            (true, _) if quiet_but_there => Some(limits.held),
            (true, _) => Some(limits.talking),
            (false, Some(_)) => Some(limits.held),
            (false, None) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: DeadLimits = DeadLimits { talking: Duration::from_secs(6), held: Duration::from_secs(15) };

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    /// When a leg is first told as dead, in milliseconds, if it is within a minute.
    fn dead_at(life: &Life) -> Option<u64> {
        let mut life = life.clone();
        (0..600).map(|step| step * 100).find(|&at| life.judge(ms(at), LIMITS).is_some())
    }

    fn heard_until(end: u64) -> Life {
        let mut life = Life::default();
        (0..=end / 20).for_each(|packet| life.sound(ms(packet * 20)));
        life
    }

    #[test]
    fn sound_that_stops_is_found_within_six_seconds() {
        assert_eq!(dead_at(&heard_until(4000)), Some(10_000));
        assert_eq!(dead_at(&Life::default()), None, "it was never heard");
    }

    #[test]
    fn a_leg_that_died_with_its_control_packets_is_found_as_fast() {
        let mut life = heard_until(4000);
        life.control(ms(4100), Some(200));
        assert_eq!(dead_at(&life), Some(10_100));
    }

    #[test]
    fn a_muted_phone_whose_control_packets_go_on_lives_until_these_stop() {
        let mut life = heard_until(4000);
        life.control(ms(3000), Some(150));
        for at in [8000, 13_000, 20_000] {
            assert_eq!(life.judge(ms(at - 100), LIMITS), None, "at {at}");
            life.control(ms(at), Some(201));
        }
        assert_eq!(dead_at(&life), Some(35_000));
    }

    #[test]
    fn a_far_side_that_claims_to_send_what_never_arrives_is_dead() {
        let mut life = heard_until(4000);
        life.control(ms(3000), Some(150));
        life.control(ms(7000), Some(350));
        life.control(ms(9000), Some(450));
        // The first claim may speak of packets that came; the second cannot.
        assert_eq!(dead_at(&life), Some(22_000));
    }

    #[test]
    fn on_hold_a_leg_is_judged_by_rtcp_or_not_at_all() {
        for direction in [Direction::SendOnly, Direction::Inactive, Direction::RecvOnly] {
            let mut life = heard_until(1000);
            life.agreed(ms(2000), direction);
            assert_eq!(dead_at(&life), None, "{direction:?} without RTCP");
            life.control(ms(3000), None);
            assert_eq!(dead_at(&life), Some(18_000), "{direction:?}");
        }
    }

    #[test]
    fn a_leg_that_comes_back_from_hold_has_its_time_anew() {
        let mut life = heard_until(1000);
        life.agreed(ms(2000), Direction::Inactive);
        life.agreed(ms(30_000), Direction::SendRecv);
        assert_eq!(dead_at(&life), Some(36_000));
    }

    #[test]
    fn comfort_noise_means_that_silence_is_no_death() {
        let mut life = heard_until(1000);
        life.comfort_noise(ms(1020));
        assert_eq!(dead_at(&life), None);
        life.control(ms(5000), None);
        assert_eq!(dead_at(&life), Some(20_000));
    }

    #[test]
    fn sound_is_missed_from_who_sent_it_all_the_time_and_from_who_never_did() {
        let mut life = heard_until(1000);
        assert_eq!(life.missing(ms(2500)), Some(ms(1500)));
        assert_eq!(Life::default().missing(ms(2500)), Some(Duration::MAX));
        life.agreed(ms(2500), Direction::Inactive);
        assert_eq!(life.missing(ms(9000)), None, "on hold");
        life.agreed(ms(9000), Direction::SendRecv);
        life.comfort_noise(ms(9100));
        assert_eq!(life.missing(ms(12_000)), None, "it suppresses silence");
    }

    #[test]
    fn only_numbers_that_go_on_over_a_gap_in_time_show_a_pause_that_was_meant() {
        let check = |after: u64, sequence: u16, said: u64| {
            let mut life = heard_until(1000);
            life.numbered(ms(1000), u16::MAX, 8000);
            life.numbered(ms(1000 + after), sequence, 8000 + said as u32 * 8);
            life.missing(ms(9000)).is_none()
        };
        assert!(check(1500, 0, 1480), "left out");
        assert!(!check(1500, 75, 1500), "lost");
        assert!(!check(1500, 0, 20), "held back");
        assert!(!check(100, 0, 100), "too short to tell");
    }

    #[test]
    fn death_is_told_again_when_it_lasts_and_not_on_every_tick() {
        let mut life = heard_until(0);
        let told: Vec<u64> =
            (0..300).map(|step| step * 100).filter(|&at| life.judge(ms(at), LIMITS).is_some()).collect();
        assert_eq!(told, [6000, 12_000, 24_000]);
        life.sound(ms(30_000));
        assert_eq!(life.judge(ms(31_000), LIMITS), None);
    }

    #[test]
    fn zero_judges_nobody() {
        let limits = DeadLimits { talking: Duration::ZERO, held: Duration::ZERO };
        assert_eq!(heard_until(0).judge(ms(99_000), limits), None);
    }
}
