//! Which sound is worth sending: none while nobody speaks, and a little of what was before the first of it. And
//! what of the sound the service has not told of yet, so that silence is never called a gap.

use std::{collections::VecDeque, time::Duration};

use segue_media::g711::Law;

use crate::listen::FRAME_LENGTH;

/// Lets sound through from shortly before it is loud until some seconds after.
#[derive(Debug, Default)]
pub(super) struct Gate {
    /// The end of the last frame that was no silence.
    loud_until: Option<Duration>,
    /// Silence that may turn out to be the beginning of a word.
    back: VecDeque<(Duration, [u8; 160])>,
}

impl Gate {
    /// Takes a frame, and gives all that is to be sent now. True if the frame was no silence.
    pub(super) fn pass(
        &mut self,
        at: Duration,
        sound: [u8; 160],
        mut send: impl FnMut(Duration, [u8; 160]),
    ) -> bool {
        let loud = !Law::Pcmu.is_below(SILENCE_POWER, &sound);
        if loud {
            self.back.drain(..).for_each(|(at, sound)| send(at, sound));
            self.loud_until = Some(at + FRAME_LENGTH);
        }
        if self.loud_until.is_some_and(|until| at < until + TAIL) {
            send(at, sound);
        } else {
            self.back.push_back((at, sound));
            if self.back.len() > BEFORE {
                self.back.pop_front();
            }
        }
        loud
    }

    /// For how long there was nothing but silence, at a moment.
    pub(super) fn quiet_for(&self, now: Duration) -> Duration {
        self.loud_until.map_or(Duration::ZERO, |until| now.saturating_sub(until))
    }
}

/// Sound that is no silence and whose words are not settled.
#[derive(Debug, Default)]
pub(super) struct Unheard {
    from: Option<Duration>,
    until: Duration,
}

impl Unheard {
    /// A frame that is no silence.
    pub(super) fn add(&mut self, at: Duration) {
        self.from.get_or_insert(at);
        self.until = at + FRAME_LENGTH;
    }

    /// All before that moment was heard, or is given up.
    pub(super) fn settle(&mut self, before: Duration) {
        self.from = self.from.map(|from| from.max(before)).filter(|from| *from + ROUNDING < self.until);
    }

    /// Where it begins; `None` if all was heard.
    pub(super) fn begin(&self) -> Option<Duration> {
        self.from
    }
}

/// The mean square of −55 dBov, below which a line is silent (`segue_media::level::SILENCE`).
const SILENCE_POWER: u64 = 3_395;
/// Longer than any pause that the service is to judge: its own end of an utterance takes a second.
const TAIL: Duration = Duration::from_secs(3);
/// Frames before the first loud one: half a second, for the breath before a word and its first consonant.
const BEFORE: usize = 25;
/// Services tell how far they heard in steps of about that.
const ROUNDING: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    /// Which frames come out, by their number, when those of a list are loud.
    fn sent(frames: u64, loud: impl Fn(u64) -> bool) -> Vec<u64> {
        let mut gate = Gate::default();
        let mut out = Vec::new();
        for number in 0..frames {
            let byte = if loud(number) { Law::Pcmu.encode(4_000) } else { Law::Pcmu.encode(20) };
            gate.pass(millis(number * 20), [byte; 160], |at, _| out.push(at.as_millis() as u64 / 20));
        }
        out
    }

    #[test]
    fn silence_is_not_sent_but_half_a_second_before_and_three_behind_what_is_said() {
        assert_eq!(sent(500, |_| false), Vec::<u64>::new());
        let all = sent(1_000, |number| (100..110).contains(&number) || number == 600);
        let wanted: Vec<u64> = (75..260).chain(575..751).collect();
        assert_eq!(all, wanted);
    }

    #[test]
    fn what_the_service_has_told_of_is_heard_and_silence_is_never_missing() {
        let mut unheard = Unheard::default();
        unheard.settle(millis(5_000));
        assert_eq!(unheard.begin(), None);
        (0..100).for_each(|frame| unheard.add(millis(10_000 + frame * 20)));
        unheard.settle(millis(9_000));
        assert_eq!(unheard.begin(), Some(millis(10_000)));
        unheard.settle(millis(11_000));
        assert_eq!(unheard.begin(), Some(millis(11_000)));
        unheard.settle(millis(11_900));
        assert_eq!(unheard.begin(), None);
    }
}
