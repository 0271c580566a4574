//! Levels in dBov (ITU-T G.100.1): 0 dBov is the power of a square wave at full scale, so a full-scale sine
//! is −3 dBov. The product's own levels are here too.

/// Hold music, dBov.
pub const MUSIC: f32 = -28.0;
/// Spoken prompts, dBov; the synthesiser normalises to it.
pub const SPEECH: f32 = -22.0;
/// Comfort noise, dBov.
pub const COMFORT_NOISE: f32 = -62.0;
/// A frame below this, in dBov, is silence to the caller.
pub const SILENCE: f32 = -55.0;

/// The mean square that [`SILENCE`] stands for: (32768 · 10^(−55/20))².
pub(crate) const SILENCE_POWER: u64 = 3395;

const FULL_SCALE: f64 = 32_768.0;

/// The level of some samples in dBov; negative infinity for digital silence and for no samples.
#[must_use]
pub fn dbov(samples: &[i16]) -> f32 {
    let sum: f64 = samples.iter().map(|&sample| f64::from(sample).powi(2)).sum();
    let power = if samples.is_empty() { 0.0 } else { sum / samples.len() as f64 };
    (10.0 * (power / (FULL_SCALE * FULL_SCALE)).log10()) as f32
}

/// The mean square of some samples, 0 for none.
pub(crate) fn mean_square(samples: &[i16]) -> u64 {
    let sum: u64 = samples.iter().map(|&sample| u64::from(sample.unsigned_abs()).pow(2)).sum();
    sum.checked_div(samples.len() as u64).unwrap_or(0)
}

/// The root mean square that a level in dBov stands for.
#[must_use]
pub fn rms(dbov: f32) -> f32 {
    (FULL_SCALE * 10.0_f64.powf(f64::from(dbov) / 20.0)) as f32
}

/// Brings samples to a level in dBov by one gain for all of them. Digital silence stays as it is; the gain is
/// held back where it would drive a peak past full scale.
pub fn normalise(samples: &mut [i16], to: f32) {
    let from = dbov(samples);
    let peak = samples.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0);
    if !from.is_finite() || peak == 0 {
        return;
    }
    let wanted = 10.0_f32.powf((to - from) / 20.0);
    let gain = wanted.min(f32::from(i16::MAX) / f32::from(peak));
    for sample in samples {
        *sample = (f32::from(*sample) * gain).round() as i16;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tone;

    #[test]
    fn a_square_wave_at_full_scale_is_zero_and_a_sine_three_below() {
        let square: Vec<i16> = (0..160).map(|n| if n % 2 == 0 { i16::MAX } else { -i16::MAX }).collect();
        assert!(dbov(&square).abs() < 0.01);
        assert!((dbov(&tone::sine(1000.0, -3.01, 8000)) + 3.01).abs() < 0.02);
        assert_eq!(dbov(&[]), f32::NEG_INFINITY);
        assert_eq!(dbov(&[0; 10]), f32::NEG_INFINITY);
    }

    #[test]
    fn normalising_reaches_the_level_and_never_clips() {
        let mut quiet = tone::sine(440.0, -50.0, 8000);
        normalise(&mut quiet, SPEECH);
        assert!((dbov(&quiet) - SPEECH).abs() < 0.1);
        let mut spiky = vec![1_i16; 8000];
        spiky[4000] = 20_000;
        normalise(&mut spiky, -10.0);
        assert_eq!(spiky.iter().max(), Some(&i16::MAX));
        let mut silent = [0_i16; 8];
        normalise(&mut silent, SPEECH);
        assert_eq!(silent, [0; 8]);
    }

    #[test]
    fn the_power_of_silence_is_the_level_of_silence() {
        assert_eq!(SILENCE_POWER, f64::from(rms(SILENCE)).powi(2).round() as u64);
    }
}
