//! Samples: G.711 to linear, 8 ↔ 16 kHz with a half-band filter, level and silence.

use std::{f32::consts::PI, sync::OnceLock};

use segue_media::Codec;

/// Linear value of one G.711 byte (ITU-T G.711), 16 bit scale.
#[must_use]
pub fn linear(byte: u8, codec: Codec) -> i16 {
    match codec {
        Codec::Pcmu => {
            let code = !byte;
            let magnitude = (i16::from(code & 0x0f) * 8 + 0x84) << ((code >> 4) & 7);
            if code & 0x80 == 0 { magnitude - 0x84 } else { 0x84 - magnitude }
        }
        Codec::Pcma => {
            let code = byte ^ 0x55;
            let step = i16::from(code & 0x0f) * 16;
            let magnitude = match (code >> 4) & 7 {
                0 => step + 8,
                chord => (step + 0x108) << (chord - 1),
            };
            if code & 0x80 == 0 { -magnitude } else { magnitude }
        }
    }
}

/// Doubles the rate of an endless sound, 8 to 16 kHz, block by block. Delays it by 1.5 ms.
#[derive(Clone, Debug)]
pub struct Doubler {
    history: [f32; HALF],
}

impl Default for Doubler {
    fn default() -> Self {
        Doubler { history: [0.0; HALF] }
    }
}

impl Doubler {
    /// Appends two samples for each one given.
    pub fn push(&mut self, samples: &[i16], out: &mut Vec<i16>) {
        let taps = half_band();
        for &sample in samples {
            self.history.rotate_left(1);
            if let Some(last) = self.history.last_mut() {
                *last = f32::from(sample);
            }
            // A half-band filter leaves every second sample as it is and makes the others from the odd taps.
            let between: f32 = self.history.iter().zip(taps).map(|(sample, tap)| sample * tap).sum();
            out.push(self.history.get(HALF / 2 - 1).map_or(0, |sample| clip(*sample)));
            out.push(clip(between));
        }
    }
}

/// Halves the rate of a whole sound, 16 to 8 kHz, band-limited to 3.4 kHz.
#[must_use]
pub fn halve(samples: &[i16]) -> Vec<i16> {
    let taps = half_band();
    let at = |place: isize| {
        usize::try_from(place)
            .ok()
            .and_then(|place| samples.get(place))
            .map_or(0.0, |sample| f32::from(*sample))
    };
    (0..samples.len() / 2)
        .map(|place| {
            let centre = (place * 2) as isize;
            let odd: f32 = taps
                .iter()
                .enumerate()
                .map(|(tap, weight)| weight * at(centre + tap as isize * 2 - HALF as isize + 1))
                .sum();
            clip((at(centre) + odd) / 2.0)
        })
        .collect()
}

/// Root mean square of what is speech in the sound, in dB against full scale of a square wave (dBov).
///
/// Frames of 20 ms more than 16 dB below the mean of the active ones count as pauses (after ITU-T P.56).
#[must_use]
pub fn active_level_dbov(samples: &[i16]) -> f32 {
    let powers: Vec<f32> = samples.chunks(160).map(power).collect();
    let mut mean = mean(powers.iter().copied());
    for _ in 0..3 {
        let floor = mean / 40.0;
        mean = self::mean(powers.iter().copied().filter(|power| *power > floor));
    }
    10.0 * (mean / FULL_SCALE_POWER).max(1e-12).log10()
}

/// Brings active speech to a level in dBov, or as near as the highest peak allows (−0.5 dBov).
pub fn level_to(samples: &mut [i16], dbov: f32) {
    let peak = samples.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0);
    if peak == 0 {
        return;
    }
    let gain = 10f32.powf((dbov - active_level_dbov(samples)) / 20.0).min(PEAK_MAX / f32::from(peak));
    for sample in samples {
        *sample = clip(f32::from(*sample) * gain);
    }
}

/// First and last sample of what stands out of the silence, by frames of 10 ms; `None` if nothing does.
#[must_use]
pub fn speech_bounds(samples: &[i16]) -> Option<(usize, usize)> {
    let loudest = samples.chunks(80).map(power).fold(0.0, f32::max);
    let floor = (loudest / 4_000.0).max(100.0);
    let loud = |chunk: &[i16]| power(chunk) > floor;
    let first = samples.chunks(80).position(loud)?;
    let last = samples.chunks(80).rposition(loud)?;
    Some((first * 80, ((last + 1) * 80).min(samples.len())))
}

/// Cuts silence at each end to at most `rest` samples.
pub fn trim(samples: &mut Vec<i16>, rest: usize) {
    let Some((start, end)) = speech_bounds(samples) else {
        samples.clear();
        return;
    };
    samples.truncate(end + rest);
    samples.drain(..start.saturating_sub(rest));
}

/// Mean square of a block.
pub(crate) fn power(samples: &[i16]) -> f32 {
    mean(samples.iter().map(|sample| f32::from(*sample) * f32::from(*sample)))
}

fn mean(values: impl Iterator<Item = f32>) -> f32 {
    let (sum, count) = values.fold((0.0, 0u32), |(sum, count), value| (sum + value, count + 1));
    if count == 0 { 0.0 } else { sum / count as f32 }
}

fn clip(value: f32) -> i16 {
    value.round().clamp(-32_768.0, 32_767.0) as i16
}

/// Non-zero taps of the half-band filter beside its centre.
const HALF: usize = 24;
const KAISER: f32 = 5.65;
const FULL_SCALE_POWER: f32 = 32_768.0 * 32_768.0;
const PEAK_MAX: f32 = 30_935.0;

/// Odd taps of a half-band low pass, Kaiser window (β 5.65: 60 dB), scaled so that the odd taps sum to one.
fn half_band() -> &'static [f32; HALF] {
    static TAPS: OnceLock<[f32; HALF]> = OnceLock::new();
    TAPS.get_or_init(|| {
        let mut taps = [0.0; HALF];
        for (place, tap) in taps.iter_mut().enumerate() {
            let distance = place as f32 * 2.0 - HALF as f32 + 1.0;
            let window =
                bessel(KAISER * (1.0 - (distance / HALF as f32).powi(2)).max(0.0).sqrt()) / bessel(KAISER);
            *tap = (PI * distance / 2.0).sin() / (PI * distance / 2.0) * window;
        }
        let sum: f32 = taps.iter().sum();
        taps.map(|tap| tap / sum)
    })
}

/// Modified Bessel function of the first kind, order zero.
fn bessel(x: f32) -> f32 {
    let mut term = 1.0;
    let mut sum = 1.0;
    for step in 1..24 {
        term *= (x / 2.0 / step as f32).powi(2);
        sum += term;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(hertz: f32, rate: f32, seconds: f32) -> Vec<i16> {
        (0..(rate * seconds) as usize)
            .map(|at| (8_000.0 * (2.0 * PI * hertz * at as f32 / rate).sin()) as i16)
            .collect()
    }

    fn decibel(ratio: f32) -> f32 {
        10.0 * ratio.max(1e-12).log10()
    }

    #[test]
    fn g711_values_are_those_of_the_standard() {
        let mu = [(0xff, 0), (0x7f, 0), (0x80, 32_124), (0x00, -32_124), (0xfe, 8), (0xf0, 120), (0xef, 132)];
        for (byte, value) in mu {
            assert_eq!(linear(byte, Codec::Pcmu), value, "µ {byte:#x}");
        }
        let a = [(0xd5, 8), (0x55, -8), (0xaa, 32_256), (0x2a, -32_256), (0xd4, 24), (0xc5, 264)];
        for (byte, value) in a {
            assert_eq!(linear(byte, Codec::Pcma), value, "A {byte:#x}");
        }
    }

    #[test]
    fn doubling_keeps_speech_and_makes_no_image() {
        for hertz in [300.0, 1_000.0, 2_000.0, 3_200.0] {
            let mut out = Vec::new();
            let mut doubler = Doubler::default();
            for block in tone(hertz, 8_000.0, 1.0).chunks(160) {
                doubler.push(block, &mut out);
            }
            assert_eq!(out.len(), 16_000);
            let wanted = tone(hertz, 16_000.0, 1.0);
            let error: Vec<i16> = wanted.iter().zip(&out[DELAY..]).skip(200).map(|(a, b)| a - b).collect();
            let ratio = decibel(power(&error) / power(&wanted));
            assert!(ratio < -38.0, "{hertz} Hz: {ratio} dB");
        }
    }

    const DELAY: usize = HALF;

    #[test]
    fn halving_keeps_speech_and_stops_what_would_fold_back() {
        let kept = power(&halve(&tone(1_000.0, 16_000.0, 1.0))) / power(&tone(1_000.0, 8_000.0, 1.0));
        assert!(decibel(kept).abs() < 0.1);
        for hertz in [4_900.0, 6_000.0, 7_500.0] {
            let folded = power(&halve(&tone(hertz, 16_000.0, 1.0)));
            assert!(decibel(folded / power(&tone(1_000.0, 8_000.0, 1.0))) < -40.0, "{hertz} Hz");
        }
    }

    #[test]
    fn the_level_is_measured_over_speech_and_not_over_pauses() {
        let mut sound = tone(500.0, 8_000.0, 1.0);
        let alone = active_level_dbov(&sound);
        sound.extend(vec![0; 24_000]);
        assert!((active_level_dbov(&sound) - alone).abs() < 0.3);
    }

    #[test]
    fn a_level_that_would_clip_is_held_under_full_scale() {
        let mut sound = tone(500.0, 8_000.0, 0.5);
        level_to(&mut sound, -1.0);
        assert!(sound.iter().all(|sample| sample.unsigned_abs() <= 30_936));
    }

    #[test]
    fn silence_alone_is_trimmed_to_nothing() {
        let mut sound = vec![0; 8_000];
        trim(&mut sound, 480);
        assert!(sound.is_empty());
    }
}
