//! Packet-loss concealment for G.711: the last pitch period goes on, first as it was, then dying away, and the
//! first frame after the loss is faded in. The idea is that of G.711 Appendix I; the look-ahead is not, for
//! what was already sent cannot be changed.

use crate::g711::{FRAME, Frame, Law, Samples};

pub(crate) struct Concealment {
    /// The last three frames as they were given out.
    history: [u8; HISTORY],
    /// Samples concealed in a row.
    lost: usize,
    /// One pitch period, smooth where its end meets its beginning.
    period: [i16; LAG_MAX],
    lag: usize,
    /// What the first concealed sample has to make up for, and quickly forgets.
    step: i16,
}

const HISTORY: usize = 3 * FRAME;
/// 200 Hz.
const LAG_MIN: usize = 40;
/// 50 Hz.
const LAG_MAX: usize = 160;
/// Sound that is less like itself than this has no pitch; a short period of it would buzz.
const VOICED: f32 = 0.5;
/// Sound is kept up for 10 ms, then dies away until 60 ms.
const KEPT: usize = 80;
const FADED: usize = 480;
/// Samples over which `step` is forgotten.
const STEP_LENGTH: usize = 24;

impl Concealment {
    pub(crate) const fn new(codec: Law) -> Self {
        Self { history: [codec.silence(); HISTORY], lost: 0, period: [0; LAG_MAX], lag: LAG_MIN, step: 0 }
    }

    /// Whether the loss has lasted so long that nothing of the sound is left.
    pub(crate) const fn is_faded(&self) -> bool {
        self.lost >= FADED
    }

    /// Takes note of a frame that came; fades it in where it ends a loss.
    pub(crate) fn whole(&mut self, codec: Law, frame: &mut Frame) {
        if self.lost > 0 {
            let length = (40 + self.lost / 5).min(FRAME / 2);
            for (n, byte) in frame.iter_mut().enumerate().take(length) {
                let (old, new) = (i32::from(self.sample(n)), i32::from(codec.decode(*byte)));
                let mixed = old + (new - old) * (n as i32 + 1) / length as i32;
                *byte = codec.encode(mixed as i16);
            }
            self.lost = 0;
        }
        self.remember(frame);
    }

    /// Fills what is missing of a frame.
    pub(crate) fn fill(&mut self, codec: Law, frame: &mut Frame, missing: &[bool; FRAME]) {
        if self.lost == 0 {
            self.find_period(codec);
        }
        for (n, (byte, missing)) in frame.iter_mut().zip(missing).enumerate() {
            if *missing {
                *byte = codec.encode(self.sample(n));
            }
        }
        self.lost += FRAME;
        self.remember(frame);
    }

    /// Silence that is meant: nothing of the past goes on after it.
    pub(crate) fn forget(&mut self, codec: Law) {
        self.history.fill(codec.silence());
        self.lost = 0;
    }

    /// The concealed sample `n` beyond the frames concealed so far.
    fn sample(&self, n: usize) -> i16 {
        let place = self.lost + n;
        let gain = FADED.saturating_sub(place.max(KEPT)) as i32;
        let sample = i32::from(self.period.get(place % self.lag).copied().unwrap_or(0));
        let left = STEP_LENGTH.saturating_sub(place) as i32;
        let step = i32::from(self.step) * left / STEP_LENGTH as i32;
        (sample * gain / (FADED - KEPT) as i32 + step).clamp(-32_768, 32_767) as i16
    }

    fn remember(&mut self, frame: &Frame) {
        self.history.copy_within(FRAME.., 0);
        if let Some(last) = self.history.last_chunk_mut() {
            *last = *frame;
        }
    }

    fn find_period(&mut self, codec: Law) {
        let mut past = [0_i16; HISTORY];
        codec.decode_into(&self.history, &mut past);
        let lag = best_lag(&past);
        self.lag = lag;
        let last = past.get(HISTORY - lag..).unwrap_or(&[]);
        let previous = past.get(HISTORY - 2 * lag..HISTORY - lag).unwrap_or(&[]);
        let quarter = lag / 4;
        for (n, ((target, &late), &early)) in self.period.iter_mut().zip(last).zip(previous).enumerate() {
            let weight = (n + 1 + quarter).saturating_sub(lag) as i32;
            let mixed =
                i32::from(late) + (i32::from(early) - i32::from(late)) * weight / quarter.max(1) as i32;
            *target = mixed as i16;
        }
        let end = last.last().copied().unwrap_or(0);
        self.step = end.saturating_sub(previous.last().copied().unwrap_or(0));
    }
}

/// The lag at which the last 20 ms are most like what lies that far before them.
fn best_lag(past: &[i16; HISTORY]) -> usize {
    let Some(recent) = past.last_chunk::<FRAME>() else { return LAG_MIN };
    let scores = (LAG_MIN..=LAG_MAX).map(|lag| (likeness(recent, past, lag), lag));
    let (score, lag) =
        scores.fold((f32::MIN, LAG_MIN), |best, next| if next.0 > best.0 { next } else { best });
    let strength = recent.iter().map(|&sample| f32::from(sample).powi(2)).sum::<f32>().sqrt();
    if score < VOICED * strength { LAG_MAX } else { lag }
}

/// Normalised correlation of the last 20 ms with those `lag` samples earlier; negative means unlike.
fn likeness(recent: &Samples, past: &[i16; HISTORY], lag: usize) -> f32 {
    let start = HISTORY - FRAME - lag;
    let Some(earlier) = past.get(start..start + FRAME) else { return f32::MIN };
    let (mut product, mut power) = (0.0_f32, 1.0_f32);
    for (&a, &b) in recent.iter().zip(earlier) {
        let (a, b) = (f32::from(a), f32::from(b));
        product += a * b;
        power += b * b;
    }
    product / power.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{level, tone};

    fn frames(samples: &[i16]) -> Vec<Frame> {
        let encode = |chunk: &[i16]| {
            let mut frame = [0; FRAME];
            Law::Pcmu.encode_into(chunk, &mut frame);
            frame
        };
        samples.chunks_exact(FRAME).map(encode).collect()
    }

    fn decode(frames: &[Frame]) -> Vec<i16> {
        frames.iter().flatten().map(|&byte| Law::Pcmu.decode(byte)).collect()
    }

    /// Loses the frames named and gives what is heard.
    fn heard(samples: &[i16], lost: &[usize]) -> Vec<i16> {
        let mut concealment = Concealment::new(Law::Pcmu);
        let mut out = frames(samples);
        for (n, frame) in out.iter_mut().enumerate() {
            if lost.contains(&n) {
                concealment.fill(Law::Pcmu, frame, &[true; FRAME]);
            } else {
                concealment.whole(Law::Pcmu, frame);
            }
        }
        decode(&out)
    }

    #[test]
    fn a_lost_frame_of_a_steady_tone_is_hardly_different_from_it() {
        for hertz in [110.0, 200.0, 330.0, 800.0] {
            let tone = tone::sine(hertz, -20.0, FRAME * 20);
            let out = heard(&tone, &[10]);
            let error: Vec<i16> = tone.iter().zip(&out).map(|(a, b)| a.wrapping_sub(*b)).collect();
            let gap = FRAME * 10..FRAME * 10 + KEPT;
            let noise = level::dbov(&error[gap]);
            assert!(noise < -35.0, "{hertz} Hz: error at {noise} dBov");
        }
    }

    #[test]
    fn a_lost_frame_of_noise_does_not_become_a_buzz() {
        let mut random = crate::random::Random::new(3);
        let noise: Vec<i16> = (0..FRAME * 200).map(|_| (random.half() as i16) / 8).collect();
        let lost: Vec<usize> = (5..195).step_by(10).collect();
        let out = heard(&noise, &lost);
        let mut buzzing = 0;
        for frame in lost.iter().map(|&n| &out[n * FRAME..(n + 1) * FRAME]) {
            let alike = (LAG_MIN..80).any(|lag| {
                let (early, late) = (&frame[..80], &frame[lag..lag + 80]);
                let product = |a: &[i16], b: &[i16]| -> f64 {
                    a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
                };
                product(early, late) / (product(early, early) * product(late, late)).sqrt() > 0.9
            });
            buzzing += u32::from(alike);
        }
        assert_eq!(buzzing, 0, "of {} lost frames", lost.len());
    }

    #[test]
    fn a_long_loss_dies_away_within_60_ms_and_comes_back_without_a_step() {
        let tone = tone::sine(200.0, -20.0, FRAME * 30);
        let out = heard(&tone, &[10, 11, 12, 13, 14]);
        assert!(level::dbov(&out[FRAME * 13..FRAME * 15]) < -70.0);
        let steepest = out.windows(2).map(|pair| (i32::from(pair[0]) - i32::from(pair[1])).abs()).max();
        let natural = tone.windows(2).map(|pair| (i32::from(pair[0]) - i32::from(pair[1])).abs()).max();
        assert!(steepest < natural.map(|step| step * 2), "{steepest:?} {natural:?}");
        assert_eq!(out[FRAME * 17..], decode(&frames(&tone))[FRAME * 17..]);
    }

    #[test]
    fn only_what_is_missing_is_made_up() {
        let tone = tone::sine(200.0, -20.0, FRAME * 6);
        let mut concealment = Concealment::new(Law::Pcma);
        let mut frame = [0; FRAME];
        for chunk in tone.chunks_exact(FRAME) {
            Law::Pcma.encode_into(chunk, &mut frame);
            concealment.whole(Law::Pcma, &mut frame);
        }
        let mut missing = [false; FRAME];
        missing[..FRAME / 2].fill(true);
        let mut half = [0x11; FRAME];
        concealment.fill(Law::Pcma, &mut half, &missing);
        assert_eq!(half[FRAME / 2..], [0x11; FRAME / 2]);
        assert!(half[..FRAME / 2].iter().any(|&byte| byte != 0x11));
    }
}
