//! Whether packets are left to gather before the thread waits for more.
//!
//! Waking up costs as much as a packet. Packets that come one by one are cheaper if the thread sleeps for a moment and
//! then takes them together. Packets that come in bursts are together already: sleeping within a burst delays them
//! and adds a waking. Which of the two it is shows in how long the thread had to wait, with and without a sleep
//! before it. Pure: times in, a decision out.

use std::time::Duration;

/// A wait up to this is none: something was there, or came at once.
const AT_ONCE: Duration = Duration::from_micros(20);
/// How firm a belief can be; it is given up after half as many sleeps in vain.
const FIRM: i8 = 8;

/// What the last waits showed.
pub(crate) struct Gathering {
    longest: Duration,
    /// Above zero while sleeping pays.
    belief: i8,
    /// Whether the thread slept before this wait.
    slept: bool,
}

impl Gathering {
    /// Sleeps of so long at most, zero for none; at first they are believed to pay.
    pub(crate) const fn new(longest: Duration) -> Self {
        Self { longest, belief: FIRM, slept: false }
    }

    /// The thread waited so long until so many sockets were ready.
    pub(crate) fn waited(&mut self, waited: Duration, ready: usize) {
        if ready == 0 {
            return;
        }
        let shown = match (self.slept, waited > AT_ONCE) {
            // Slept, and then still nothing was there: in vain.
            (true, true) => -2,
            (true, false) if ready > 1 => 1,
            (true, false) | (false, false) => 0,
            // One sleep would have taken this packet along with those before it, or not.
            (false, true) if waited < self.longest => 1,
            (false, true) => -2,
        };
        self.belief = (self.belief + shown).clamp(-FIRM, FIRM);
    }

    /// How long to sleep before the next wait, of a turn that began so long ago and read from so many sockets.
    pub(crate) fn sleep(&mut self, turn: Duration, ready: usize) -> Duration {
        let sleep =
            if ready > 0 && self.belief > 0 { self.longest.saturating_sub(turn) } else { Duration::ZERO };
        self.slept = !sleep.is_zero();
        sleep
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_micros(300);
    const TURN: Duration = Duration::from_micros(5);

    /// Plays packets that come at these moments, in microseconds, to a thread that reads each in five; gives how
    /// often it woke up in the second half.
    fn wakes(moments: &[u64]) -> usize {
        let mut gathering = Gathering::new(LONGEST);
        let (mut now, mut next, mut woken) = (0, 0, 0);
        while next < moments.len() {
            let came = |now: u64| moments[next..].iter().take_while(|moment| **moment <= now).count();
            let begun = now;
            if came(now) == 0 {
                now = moments[next];
                woken += usize::from(next > moments.len() / 2);
            }
            let ready = came(now);
            gathering.waited(Duration::from_micros(now - begun), ready);
            let turn = TURN * ready as u32;
            now += turn.as_micros() as u64;
            next += ready;
            let sleep = gathering.sleep(turn, ready);
            woken += usize::from(!sleep.is_zero() && next > moments.len() / 2);
            now += sleep.as_micros() as u64;
        }
        woken
    }

    #[test]
    fn packets_that_come_one_by_one_are_gathered() {
        let moments: Vec<u64> = (0..4_000).map(|packet| packet * 50).collect();
        let woken = wakes(&moments);
        assert!((300..=420).contains(&woken), "2,000 packets, six in 300 µs: {woken}");
    }

    #[test]
    fn a_burst_is_taken_without_a_sleep_in_it() {
        let moments: Vec<u64> = (0..4_000).map(|packet| packet / 20 * 1_000 + packet % 20 * 2).collect();
        let woken = wakes(&moments);
        assert!((95..=105).contains(&woken), "a waking for each of a hundred bursts: {woken}");
    }

    #[test]
    fn few_packets_are_not_held_back() {
        let moments: Vec<u64> = (0..400).map(|packet| packet * 5_000).collect();
        assert!((195..=205).contains(&wakes(&moments)));
    }

    #[test]
    fn without_a_longest_sleep_there_is_none() {
        let mut gathering = Gathering::new(Duration::ZERO);
        gathering.waited(Duration::from_micros(50), 1);
        assert_eq!(gathering.sleep(TURN, 1), Duration::ZERO);
    }
}
