//! flite, linked in. Voices are made once a process; each synthesis has its own utterance, so any number of
//! threads may speak at once.

use std::{
    ffi::CString,
    sync::{Mutex, OnceLock, PoisonError},
};

use segue_media::{level, resample};

use super::{Pace, SynthesisError, Synthesizer, TEXT_MAX, Voice, VoiceStyle};
use crate::{
    ffi::FliteVoice,
    sound::{level_to, trim},
};

/// The embedded synthesiser. Cheap to make and to copy.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flite;

impl Synthesizer for Flite {
    fn speak(&self, text: &str, style: VoiceStyle) -> Result<Vec<i16>, SynthesisError> {
        let length = text.chars().count();
        if length > TEXT_MAX {
            return Err(SynthesisError::TooLong { length, limit: TEXT_MAX });
        }
        let plain = plain(text);
        if !plain.bytes().any(|byte| byte.is_ascii_alphanumeric()) {
            return Err(SynthesisError::NothingToSay);
        }
        let failed = SynthesisError::Engine { length };
        let text = CString::new(plain).map_err(|_| failed.clone())?;
        let wave = voice(style).and_then(|voice| voice.synthesise(&text)).ok_or_else(|| failed.clone())?;
        let mut samples = match wave.rate {
            8_000 => wave.samples,
            16_000 => resample::down(&wave.samples),
            _ => return Err(failed),
        };
        trim(&mut samples, SILENCE_MAX);
        level_to(&mut samples, level::SPEECH);
        if samples.is_empty() { Err(failed) } else { Ok(samples) }
    }
}

/// Silence left at each end, in samples at 8 kHz: 60 ms.
const SILENCE_MAX: usize = 480;
/// A word that flite reads letter by letter for ever is cut here, in characters.
const WORD_MAX: usize = 60;

/// What flite can read: ASCII, no control characters, no endless word. Accents are taken off, other signs dropped.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut word = 0;
    for letter in text.chars() {
        let letter = without_accent(letter);
        if letter.is_ascii_graphic() {
            word += 1;
            if word > WORD_MAX {
                plain.push(' ');
                word = 1;
            }
            plain.push(letter);
        } else {
            word = 0;
            plain.push(' ');
        }
    }
    plain
}

/// The ASCII letter nearest to one that flite has never seen; a space for what it cannot say.
fn without_accent(letter: char) -> char {
    match letter {
        'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' | 'ā' | 'ă' | 'ą' => 'a',
        'À' | 'Á' | 'Â' | 'Ã' | 'Ä' | 'Å' => 'A',
        'ç' | 'ć' | 'č' => 'c',
        'Ç' | 'Ć' | 'Č' => 'C',
        'è' | 'é' | 'ê' | 'ë' | 'ē' | 'ę' | 'ě' => 'e',
        'È' | 'É' | 'Ê' | 'Ë' => 'E',
        'ì' | 'í' | 'î' | 'ï' | 'ī' => 'i',
        'Ì' | 'Í' | 'Î' | 'Ï' => 'I',
        'ñ' | 'ń' | 'ň' => 'n',
        'Ñ' => 'N',
        'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ø' | 'ō' => 'o',
        'Ò' | 'Ó' | 'Ô' | 'Õ' | 'Ö' | 'Ø' => 'O',
        'ù' | 'ú' | 'û' | 'ü' | 'ū' | 'ů' => 'u',
        'Ù' | 'Ú' | 'Û' | 'Ü' => 'U',
        'ý' | 'ÿ' => 'y',
        'ł' => 'l',
        'Ł' => 'L',
        'ś' | 'š' | 'ß' => 's',
        'Ś' | 'Š' => 'S',
        'ź' | 'ż' | 'ž' => 'z',
        'Ź' | 'Ż' | 'Ž' => 'Z',
        '’' | '‘' => '\'',
        '…' => '.',
        '–' | '—' => ',',
        ascii if ascii.is_ascii_graphic() => ascii,
        _ => ' ',
    }
}

/// The voice of a style, made at its first use.
fn voice(style: VoiceStyle) -> Option<FliteVoice> {
    static VOICES: [OnceLock<Option<FliteVoice>>; 8] = [const { OnceLock::new() }; 8];
    static MAKING: Mutex<()> = Mutex::new(());
    let place = style.voice as usize * 2 + usize::from(style.pace == Pace::Brisk);
    let slot = VOICES.get(place)?;
    if let Some(made) = slot.get() {
        return *made;
    }
    let _alone = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    *slot.get_or_init(|| FliteVoice::register(style.voice, style.pace.stretch()))
}

impl Flite {
    /// Makes every voice now, so that no call pays for it later. Returns those that could not be made.
    #[must_use]
    pub fn warm_up() -> Vec<VoiceStyle> {
        [Voice::Rms, Voice::Slt, Voice::Awb, Voice::Kal]
            .into_iter()
            .flat_map(|voice| [Pace::Normal, Pace::Brisk].map(|pace| VoiceStyle { voice, pace }))
            .filter(|style| voice(*style).is_none())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sound::{active_level_dbov, speech_bounds};

    const TEXT: &str = "Your call has been handed to Anna. Please hold the line.";

    fn say(text: &str, style: VoiceStyle) -> Vec<i16> {
        Flite.speak(text, style).unwrap()
    }

    #[test]
    fn every_voice_speaks_at_minus_22_dbov() {
        for voice in [Voice::Rms, Voice::Slt, Voice::Awb, Voice::Kal] {
            let sound = say(TEXT, VoiceStyle { voice, pace: Pace::Normal });
            let level = active_level_dbov(&sound);
            assert!((level + 22.0).abs() < 0.5, "{voice:?} speaks at {level} dBov");
            assert!((16_000..64_000).contains(&sound.len()), "{voice:?} took {} samples", sound.len());
        }
    }

    #[test]
    fn a_whisper_takes_less_time_than_a_prompt() {
        let ratio = say(TEXT, VoiceStyle::WHISPER).len() as f32 / say(TEXT, VoiceStyle::PROMPT).len() as f32;
        assert!((0.80..0.90).contains(&ratio), "ratio {ratio}");
    }

    #[test]
    fn silence_at_both_ends_is_at_most_60_ms() {
        // Words that begin and end hard: a breath such as an h is speech at one level and silence at the next.
        for voice in [Voice::Rms, Voice::Slt, Voice::Awb, Voice::Kal] {
            let sound = say("Talk to Bob", VoiceStyle { voice, pace: Pace::Normal });
            let (start, end) = speech_bounds(&sound).unwrap();
            let block = 80;
            assert!(start <= SILENCE_MAX + block, "{voice:?} begins with {start}");
            assert!(sound.len() - end <= SILENCE_MAX + block, "{voice:?} ends with {}", sound.len() - end);
        }
    }

    #[test]
    fn an_empty_text_and_a_text_of_signs_are_refused() {
        for text in ["", "   ", "…", "?!", "日本語"] {
            assert_eq!(Flite.speak(text, VoiceStyle::PROMPT), Err(SynthesisError::NothingToSay), "{text:?}");
        }
    }

    #[test]
    fn a_text_over_the_limit_is_refused() {
        let text = "word ".repeat(500);
        let error = SynthesisError::TooLong { length: 2_500, limit: TEXT_MAX };
        assert_eq!(Flite.speak(&text, VoiceStyle::PROMPT), Err(error));
    }

    #[test]
    fn odd_texts_are_spoken_or_refused_but_never_crash() {
        let endless = "x".repeat(200);
        for text in [
            "a\0b",
            "<speak>no</speak>",
            "Zoë Müller",
            "%s%n%x",
            "\u{7}bell",
            "999999999999999999999",
            &endless,
        ] {
            assert!(!say(text, VoiceStyle::PROMPT).is_empty(), "{text:?}");
        }
    }

    /// The diphone voice is exact. The others are made of noise from one source, so only their shape is compared.
    #[test]
    fn eight_threads_speak_as_one_thread_does() {
        let kal = VoiceStyle { voice: Voice::Kal, pace: Pace::Normal };
        let styles = [
            kal,
            VoiceStyle::PROMPT,
            VoiceStyle::WHISPER,
            VoiceStyle { voice: Voice::Slt, pace: Pace::Normal },
        ];
        let alone: Vec<Vec<i16>> = styles.iter().map(|style| say(TEXT, *style)).collect();
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let (alone, styles) = (&alone, &styles);
                scope.spawn(move || {
                    for round in 0..4 {
                        let pick = (thread + round) % styles.len();
                        let sound = say(TEXT, styles[pick]);
                        if styles[pick] == kal {
                            assert!(sound == alone[pick], "thread {thread} heard something else");
                        }
                        assert!(
                            sound.len().abs_diff(alone[pick].len()) <= 480,
                            "thread {thread}: {}",
                            sound.len()
                        );
                        assert!((active_level_dbov(&sound) + 22.0).abs() < 0.5);
                    }
                });
            }
        });
    }

    #[test]
    fn all_voices_can_be_made() {
        assert_eq!(Flite::warm_up(), Vec::new());
    }
}
