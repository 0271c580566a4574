//! The network that tells voices from everything else: earshot, over windows of 16 ms.

use earshot::Detector;

/// Judges frames. It need not hear every one: what it missed before the frame in question is played to it first, as
/// far as it matters.
pub trait Judge {
    /// How likely somebody speaks in the last frame of a sound, 0..=1. The sound ends at that sample of the stream,
    /// counted at 16 kHz from its beginning; places never go back by more than the sound is long.
    fn score(&mut self, place: u64, sound: &[i16]) -> f32;
}

/// The network of one stream; about 8 µs a window.
pub struct VoiceDetector {
    detector: Box<Detector>,
    /// Up to where in the stream it has heard.
    heard: u64,
    score: f32,
    /// Windows that it heard.
    windows: u64,
}

impl Default for VoiceDetector {
    fn default() -> Self {
        Self { detector: Detector::default_boxed(), heard: 0, score: 0.0, windows: 0 }
    }
}

impl VoiceDetector {
    /// The highest score (0..=1) of the windows that end in the last 20 ms of the sound (at 16 kHz). `place` is where
    /// in the stream the sound ends. What the network did not hear of the sound is played to it first.
    pub fn score(&mut self, place: u64, sound: &[i16]) -> f32 {
        let frame = place.saturating_sub(FRAME as u64);
        let begin = place.saturating_sub(sound.len() as u64);
        if self.heard < begin || self.heard > frame + WINDOW as u64 {
            self.heard = begin;
        }
        let missed = usize::try_from(place - self.heard).unwrap_or(usize::MAX).min(sound.len());
        let news = sound.get(sound.len() - missed..).unwrap_or_default();
        let mut highest: Option<f32> = None;
        for window in news.chunks_exact(WINDOW) {
            let score = self.detector.predict_i16(window);
            self.heard += WINDOW as u64;
            self.windows += 1;
            if self.heard > frame {
                highest = Some(highest.map_or(score, |best| best.max(score)));
            }
        }
        self.score = highest.unwrap_or(self.score);
        self.score
    }
}

impl VoiceDetector {
    /// How many windows of 16 ms it heard: what it cost.
    #[must_use]
    pub const fn windows(&self) -> u64 {
        self.windows
    }
}

impl Judge for VoiceDetector {
    fn score(&mut self, place: u64, sound: &[i16]) -> f32 {
        Self::score(self, place, sound)
    }
}

/// Samples of a frame.
const FRAME: usize = super::FRAME;
/// Samples of one window at 16 kHz.
const WINDOW: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_scores_low() {
        let mut detector = VoiceDetector::default();
        for frame in 1..100 {
            assert!(detector.score(frame * FRAME as u64, &[0; FRAME]) < 0.3);
        }
    }
}
