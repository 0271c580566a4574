//! Samples at 8 kHz: how loud the speech in them is, and where it begins and ends.

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

const FULL_SCALE_POWER: f32 = 32_768.0 * 32_768.0;
const PEAK_MAX: f32 = 30_935.0;

#[cfg(test)]
mod tests {
    use std::f32::consts::PI;

    use super::*;

    fn tone(hertz: f32, rate: f32, seconds: f32) -> Vec<i16> {
        (0..(rate * seconds) as usize)
            .map(|at| (8_000.0 * (2.0 * PI * hertz * at as f32 / rate).sin()) as i16)
            .collect()
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
