//! Time-scaling of sound by whole pitch periods: how a jitter buffer becomes shorter or longer without a click.
//!
//! Leaving out: the first period fades into the second while the first is played. Putting in: the first period
//! is played, fading into the one before it, which ends where it began. Either way both ends meet what is
//! around them.

use crate::{conceal::likeness, level};

/// A place where sound can be made shorter or longer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Fold {
    /// Samples that go or come.
    pub(crate) length: usize,
    /// How much alike the two periods are, at most 1; silence counts as 1.
    pub(crate) alike: f32,
}

/// 2.5 ms.
const LAG_MIN: usize = 20;
/// 15 ms.
const LAG_MAX: usize = 120;
/// Samples left out of silence at once: 5 ms.
const SLIP: usize = 40;

/// The best fold of sound that begins at `at`, with lags up to `most` samples; `unit` is 1 at 8 kHz.
/// Looks at one lag before `at` if `back`, else at two lags after it.
pub(crate) fn best_fold(sound: &[i16], at: usize, back: bool, unit: usize) -> Option<Fold> {
    let room =
        if back { at.min(sound.len() - at.min(sound.len())) } else { sound.len().checked_sub(at)? / 2 };
    let most = room.min(LAG_MAX * unit);
    let pair = |lag: usize| {
        let (one, other) = if back { (at - lag, at) } else { (at, at + lag) };
        Some((sound.get(one..one + lag)?, sound.get(other..other + lag)?))
    };
    let (least, slip) = (LAG_MIN * unit, SLIP * unit);
    if most < least {
        return None;
    }
    if let Some((one, other)) = pair(slip.min(most))
        && level::mean_square(one).max(level::mean_square(other)) < SILENT
    {
        return Some(Fold { length: slip.min(most), alike: 1.0 });
    }
    let better = |best: Fold, lag: usize| match pair(lag).map(|(one, other)| likeness(one, other, unit)) {
        // A longer period has to be clearly better: multiples of the pitch are as much alike.
        Some(alike) if alike > best.alike + 0.02 => Fold { length: lag, alike },
        Some(_) | None => best,
    };
    let first = Fold { length: least, alike: f32::MIN };
    Some((least..=most).step_by(unit).fold(first, better)).filter(|fold| fold.alike > 0.0)
}

/// Below −50 dBov nobody hears what goes or comes.
const SILENT: u64 = level::SILENCE_POWER * 3;

/// Leaves `length` samples out, after which the sound at `at` is the two periods faded into one.
pub(crate) fn shorten(sound: &mut Vec<i16>, at: usize, length: usize) {
    fade(sound, at, at, at + length, length);
    let gone = (at + length).min(sound.len())..(at + 2 * length).min(sound.len());
    // What was faded into stays, the second period goes.
    sound.drain(gone);
}

/// Puts `length` samples in at `at`; those before it are played again, faded into from what follows.
pub(crate) fn lengthen(sound: &mut Vec<i16>, at: usize, length: usize) {
    let Some(start) = at.checked_sub(length) else { return };
    let end = sound.len();
    let following = at..(at + length).min(end);
    if following.len() < length {
        return;
    }
    sound.extend_from_within(following);
    fade(sound, end, end, start, length);
    // The made period lies at the end; turned into its place it precedes what followed `at`.
    if let Some(rest) = sound.get_mut(at..) {
        rest.rotate_right(length);
    }
}

/// Writes to `to` what fades from `from` into `into`.
fn fade(sound: &mut [i16], to: usize, from: usize, into: usize, length: usize) {
    for n in 0..length {
        let (Some(&old), Some(&new)) = (sound.get(from + n), sound.get(into + n)) else { return };
        let weight = (n + 1) as i32;
        let mixed = i32::from(old) + (i32::from(new) - i32::from(old)) * weight / (length as i32 + 1);
        if let Some(place) = sound.get_mut(to + n) {
            *place = mixed as i16;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tone;

    fn steepest(samples: &[i16]) -> i32 {
        samples.windows(2).map(|pair| (i32::from(pair[0]) - i32::from(pair[1])).abs()).max().unwrap()
    }

    #[test]
    fn a_tone_made_shorter_or_longer_is_the_same_tone_without_a_click() {
        for hertz in [90.0, 200.0, 613.0, 1477.0, 3000.0] {
            let tone = tone::sine(hertz, -20.0, 2000);
            let (mut short, mut long) = (tone.clone(), tone.clone());
            let fold = best_fold(&tone[..1000], 700, false, 1).unwrap();
            assert!(fold.alike > 0.95, "{hertz}: {fold:?}");
            shorten(&mut short, 700, fold.length);
            assert_eq!(short.len(), 2000 - fold.length);
            let fold = best_fold(&tone[..1000], 700, true, 1).unwrap();
            lengthen(&mut long, 700, fold.length);
            assert_eq!(long.len(), 2000 + fold.length);
            for (what, sound) in [("short", &short), ("long", &long)] {
                assert!(steepest(sound) <= steepest(&tone) * 21 / 20, "{hertz} {what}");
                let kept = tone::goertzel(&sound[600..1000], hertz) - tone::goertzel(&tone[600..1000], hertz);
                assert!(kept.abs() < 0.6, "{hertz} {what}: {kept} dB");
            }
            assert_eq!(short[..700], tone[..700]);
            assert_eq!(short[700 + fold.length..].len(), tone[700 + 2 * fold.length..].len());
        }
    }

    #[test]
    fn silence_slips_by_5_ms_and_noise_is_told_from_a_voice() {
        assert_eq!(best_fold(&[3; 400], 100, false, 1), Some(Fold { length: 40, alike: 1.0 }));
        let mut random = crate::random::Random::new(3);
        let noise: Vec<i16> = (0..400).map(|_| (random.half() as i16) / 8).collect();
        assert!(best_fold(&noise, 100, false, 1).is_none_or(|fold| fold.alike < 0.6));
    }

    #[test]
    fn too_little_sound_is_not_folded() {
        assert_eq!(best_fold(&[9000; 30], 0, false, 1), None);
        assert_eq!(best_fold(&[9000; 30], 19, true, 1), None);
        assert_eq!(best_fold(&[], 0, true, 2), None);
        let mut sound = vec![1, 2, 3];
        lengthen(&mut sound, 1, 2);
        assert_eq!(sound, [1, 2, 3]);
    }
}
