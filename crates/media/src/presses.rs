//! One press, told on several ways, counts once: SIP INFO, RFC 4733 and tones of the same finger.

use std::{collections::VecDeque, time::Duration};

/// How a key became known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// By a telephone event.
    Media,
    /// By signalling (SIP INFO).
    Signalling,
    /// By its tones in the sound (ITU-T Q.23).
    Tone,
}

impl Told {
    const fn bit(self) -> u8 {
        match self {
            Self::Media => 1,
            Self::Signalling => 2,
            Self::Tone => 4,
        }
    }
}

/// The presses of one leg that may still be told on another way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Presses {
    /// Oldest first, at most [`WAITING_MAX`].
    waiting: VecDeque<Press>,
    /// The timestamp of the telephone event that was told by signalling before.
    passed_over: Option<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Press {
    key: char,
    at: Duration,
    /// The ways on which it was told, a bit each.
    told: u8,
}

/// The same key on another way within this time is the same press.
const SAME_PRESS: Duration = Duration::from_millis(400);
/// More presses than anybody's fingers or scripts make within [`SAME_PRESS`]; beyond it the oldest is forgotten.
const WAITING_MAX: usize = 16;

impl Presses {
    /// A packet of a telephone event came, with its key if it is the first of its press. False if the press was told
    /// by signalling before.
    pub(crate) fn heard(&mut self, now: Duration, key: Option<char>, timestamp: u32) -> bool {
        match key {
            None => self.passed_over != Some(timestamp),
            Some(key) => {
                let new = self.is_new(now, key, Told::Media);
                self.passed_over = (!new).then_some(timestamp);
                new
            }
        }
    }

    /// Whether this is a press that was not told before.
    pub(crate) fn is_new(&mut self, now: Duration, key: char, told: Told) -> bool {
        self.waiting.retain(|press| now.saturating_sub(press.at) < SAME_PRESS);
        let untold = |press: &&mut Press| press.key == key && press.told & told.bit() == 0;
        if let Some(twin) = self.waiting.iter_mut().find(untold) {
            twin.told |= told.bit();
            return false;
        }
        if self.waiting.len() >= WAITING_MAX {
            self.waiting.pop_front();
        }
        self.waiting.push_back(Press { key, at: now, told: told.bit() });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Told::{Media, Signalling, Tone};

    fn counted(told: &[(u64, char, Told)]) -> String {
        let mut presses = Presses::default();
        told.iter()
            .filter(|(at, key, way)| presses.is_new(Duration::from_millis(*at), *key, *way))
            .map(|(_, key, _)| key)
            .collect()
    }

    #[test]
    fn a_press_told_by_info_and_rtp_within_400_ms_counts_once() {
        assert_eq!(counted(&[(0, '1', Media), (399, '1', Signalling)]), "1");
        assert_eq!(counted(&[(0, '1', Signalling), (20, '1', Media)]), "1");
    }

    #[test]
    fn a_press_told_on_all_three_ways_counts_once_and_so_does_the_next() {
        let told = [(0, '1', Media), (60, '1', Tone), (90, '1', Signalling)];
        assert_eq!(counted(&told), "1");
        let again = told.map(|(at, key, way)| (at + 200, key, way));
        assert_eq!(counted(&[told, again].concat()), "11");
    }

    #[test]
    fn a_slow_second_way_and_other_keys_are_presses_of_their_own() {
        assert_eq!(counted(&[(0, '1', Media), (400, '1', Signalling)]), "11");
        assert_eq!(counted(&[(0, '1', Media), (50, '2', Signalling)]), "12");
    }

    #[test]
    fn one_way_alone_is_never_doubted() {
        assert_eq!(counted(&[(0, '5', Media), (120, '5', Media), (240, '5', Media)]), "555");
        assert_eq!(counted(&[(0, '5', Signalling), (100, '5', Signalling)]), "55");
    }

    #[test]
    fn a_way_that_lags_behind_two_fast_presses_adds_none() {
        let told = [(0, '7', Media), (120, '7', Media), (130, '7', Signalling), (250, '7', Signalling)];
        assert_eq!(counted(&told), "77");
    }

    #[test]
    fn fast_presses_that_are_each_told_twice_count_once_each() {
        let told = [(0, '7', Media), (30, '7', Signalling), (200, '7', Media), (230, '7', Signalling)];
        assert_eq!(counted(&told), "77");
    }
}
