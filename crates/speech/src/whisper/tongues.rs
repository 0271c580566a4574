//! Which of the allowed languages whisper heard. After a decode, the encoder's work is still in the state: one step of the
//! decoder from the beginning gives the score of each language's token, without hearing the sound again.
//! (`whisper_lang_auto_detect` and `language = "auto"` encode a second time, over 30 s unless a decode came before.)

use whisper_rs::{WhisperContext, WhisperError, WhisperState, get_lang_id};

use crate::pool::Spoken;

/// The allowed languages that a model knows, two at least.
#[derive(Debug)]
pub(super) struct Tongues {
    /// Code and token, the likeliest first.
    tokens: Vec<(String, i32)>,
    begin: i32,
}

impl Tongues {
    /// `None` where there is nothing to tell: one language, or a model of English alone.
    pub(super) fn of(model: &WhisperContext, languages: &[String]) -> Option<Tongues> {
        if !model.is_multilingual() {
            return None;
        }
        let token = |code: &String| {
            // A zero inside would panic in the binding.
            let plain = code.bytes().all(|letter| letter.is_ascii_alphabetic());
            let id = plain.then(|| get_lang_id(code)).flatten()?;
            Some((code.to_ascii_lowercase(), model.token_lang(id)))
        };
        let tokens: Vec<(String, i32)> = languages.iter().filter_map(token).collect();
        (tokens.len() > 1).then(|| Tongues { tokens, begin: model.token_sot() })
    }

    /// The language that is taken for likely before anything was heard.
    pub(super) fn likeliest(&self) -> &str {
        self.tokens.first().map_or("en", |(code, _)| code)
    }

    /// The language of the sound that the state decoded last, by the scores of the allowed ones alone.
    ///
    /// # Errors
    /// whisper.cpp's.
    pub(super) fn heard(&self, state: &mut WhisperState, threads: i32) -> Result<Spoken, WhisperError> {
        state.decode(&[self.begin], 0, usize::try_from(threads).unwrap_or(1).max(1))?;
        let scores = state.get_logits()?;
        let score = |token: i32| usize::try_from(token).ok().and_then(|place| scores.get(place)).copied();
        let scores: Vec<f32> =
            self.tokens.iter().map(|(_, token)| score(*token).unwrap_or(f32::NEG_INFINITY)).collect();
        let highest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f32 = scores.iter().map(|score| (score - highest).exp()).sum();
        let likeliest = self.tokens.iter().zip(&scores).max_by(|(_, one), (_, other)| one.total_cmp(other));
        let (code, probability) = likeliest.map_or(("en", 0.0), |((code, _), score)| {
            (code.as_str(), if sum > 0.0 { (score - highest).exp() / sum } else { 0.0 })
        });
        Ok(Spoken { language: code.to_owned(), probability })
    }
}
