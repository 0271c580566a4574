//! How loud a frame is on its line: no louder than the line's noise, as loud as the one who speaks, or in between.

use std::collections::VecDeque;

/// What the loudness of a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// No louder than the line's noise: nobody speaks.
    Quiet,
    /// Louder than that: it may be a voice, or its end.
    Doubtful,
    /// As loud as the one who spoke a moment ago, and far above the noise.
    Clear,
}

/// The levels of one line.
#[derive(Clone, Debug, Default)]
pub(crate) struct Levels {
    floor: NoiseFloor,
    /// The power of who speaks, that of the louder frames of late.
    loud: f32,
}

impl Levels {
    /// The level of the next frame, by its mean square.
    pub(crate) fn hear(&mut self, power: f32) -> Level {
        let stands_out = self.floor.stands_out(power);
        let rise = if power > self.loud { ATTACK } else { 0.0 };
        self.loud += (power - self.loud) * rise;
        self.loud *= RELEASE;
        if !stands_out {
            Level::Quiet
        } else if power >= self.loud * CLEAR_BELOW && self.floor.is_far_below(power) {
            Level::Clear
        } else {
            Level::Doubtful
        }
    }
}

/// The power of the line's noise: the softest moment of the last three seconds. Speech has a softer moment more
/// often than that; noise and hum never have one.
#[derive(Clone, Debug, Default)]
struct NoiseFloor {
    /// The softest moment of each past half second.
    blocks: VecDeque<f32>,
    softest: Option<f32>,
    frames: usize,
    smooth: Option<f32>,
    /// The softest of the blocks.
    floor: Option<f32>,
}

impl NoiseFloor {
    fn stands_out(&mut self, power: f32) -> bool {
        let smooth = self.smooth.get_or_insert(power);
        *smooth += (power - *smooth) / 3.0;
        let smooth = *smooth;
        self.softest = Some(self.softest.map_or(smooth, |softest| softest.min(smooth)));
        self.frames += 1;
        if self.frames == BLOCK_FRAMES {
            self.frames = 0;
            self.blocks.extend(self.softest.take());
            if self.blocks.len() > BLOCKS {
                self.blocks.pop_front();
            }
            if self.blocks.len() >= BLOCKS_MIN {
                self.floor = self.blocks.iter().copied().reduce(f32::min);
            }
        }
        let floor = self.floor.unwrap_or(0.0);
        smooth > (floor * MARGIN).max(SILENCE) && power > floor * MARGIN_NOW
    }

    fn is_far_below(&self, power: f32) -> bool {
        self.floor.is_some_and(|floor| power > floor * FAR)
    }
}

/// Half a second.
const BLOCK_FRAMES: usize = 25;
const BLOCKS: usize = 6;
/// Before that much is known of a line, all sound is believed to stand out, and nothing to be clear.
const BLOCKS_MIN: usize = 3;
/// −65 dBov: softer than the comfort noise of any line, and no voice at all.
const SILENCE: f32 = 340.0;
/// 4 dB, of three frames or so.
const MARGIN: f32 = 2.5;
/// 2 dB, of the frame alone: sound that ended a moment ago does not stand out any more.
const MARGIN_NOW: f32 = 1.6;
/// 12 dB.
const FAR: f32 = 16.0;
/// 13 dB below who speaks.
const CLEAR_BELOW: f32 = 0.05;
const ATTACK: f32 = 0.25;
/// 6 dB in 2.8 s.
const RELEASE: f32 = 0.99;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steady_noise_stops_standing_out_and_speech_over_it_does_not() {
        let mut floor = NoiseFloor::default();
        let noise: Vec<bool> = (0..100).map(|_| floor.stands_out(1_000.0)).collect();
        assert!(noise[..BLOCK_FRAMES * BLOCKS_MIN - 1].iter().all(|out| *out), "nothing is known yet");
        assert!(noise[BLOCK_FRAMES * BLOCKS_MIN..].iter().all(|out| !out));
        let speech: Vec<bool> = (0..500)
            .map(|frame| floor.stands_out(if frame % 40 < 30 { 100_000.0 } else { 1_000.0 }))
            .collect();
        assert!(speech.iter().filter(|out| **out).count() > 350);
    }

    #[test]
    fn what_is_as_loud_as_the_speaker_is_clear_and_what_is_far_softer_is_not() {
        let mut levels = Levels::default();
        let noise: Vec<Level> = (0..100).map(|_| levels.hear(1_000.0)).collect();
        assert!(noise.iter().all(|level| *level != Level::Clear), "nobody spoke yet");
        assert_eq!(noise.last(), Some(&Level::Quiet));
        for frame in 0..20 {
            let level = levels.hear(100_000.0);
            assert!(level == Level::Clear, "frame {frame}");
        }
        assert_eq!(levels.hear(3_000.0), Level::Doubtful);
        assert_eq!(levels.hear(50_000.0), Level::Clear);
        for _ in 0..20 {
            levels.hear(1_000.0);
        }
        assert_eq!(levels.hear(1_000.0), Level::Quiet);
    }

    #[test]
    fn what_is_softer_than_any_lines_noise_is_quiet_from_the_first_frame_on() {
        let mut levels = Levels::default();
        assert_eq!(levels.hear(0.0), Level::Quiet);
        assert_eq!(levels.hear(300.0), Level::Quiet);
    }
}
