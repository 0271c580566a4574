//! whisper.cpp through whisper-rs: one shared model, one state and one thread of computing a decoder.

mod guard;
mod tongues;

use std::{
    collections::BTreeMap,
    fmt,
    io::Read,
    path::Path,
    sync::{Arc, Once},
    time::Duration,
};

use flate2::read::GzDecoder;
use whisper_rs::{
    FullParams, SamplingStrategy, WhisperContext, WhisperContextParameters, WhisperError, WhisperState,
    get_lang_id, get_lang_str,
};

use crate::{
    ffi::with_abort,
    models::{Room, Shape, Traits, Verified},
    pool::{DecodeError, Decoded, Decoder, Engine, SpeechError, Spoken, Stop},
};
use guard::{Attempt, Verdict};
use tongues::Tongues;

/// How a model is used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WhisperOptions {
    /// Whether the demo model may be used. It knows a few phrases of synthetic voices.
    pub allow_demo_model: bool,
    /// Words to expect (names of products, people); the first 60 tokens are used, none with the demo model.
    pub vocabulary: String,
    /// Whether the model keeps room for 30 s of sound, as published, where [`UTTERANCE_LONGEST`] is enough for utterances: a
    /// decoder then takes nearly twice the memory. For comparing.
    pub whole: bool,
    /// The languages that may be spoken, as ISO 639-1 codes, the likeliest first. With several of them and a model that
    /// knows many, each decode tells which one it heard; where none is given for a voice, it is decoded in that one.
    pub languages: Vec<String>,
}

/// The production engine.
pub struct WhisperEngine {
    name: String,
    model: Arc<WhisperContext>,
    traits: Traits,
    prompt: Arc<[i32]>,
    tongues: Option<Arc<Tongues>>,
    /// Whether the guards judge what the model writes; nonsense is not judged.
    judged: bool,
    /// Threads of a decode in whisper.cpp's own manner; `None` for ours.
    plain_threads: Option<i32>,
    pace: Pace,
}

/// After how many tokens a decode ends that does not end by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    /// As many as anybody could say.
    Most,
    /// As many as speech has: what ends a text is left to no weights that mean nothing.
    Speech,
}

impl fmt::Debug for WhisperEngine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("WhisperEngine")
            .field("name", &self.name)
            .field("traits", &self.traits)
            .finish()
    }
}

impl WhisperEngine {
    /// Loads a model that was verified. A gzipped one is unpacked in memory.
    ///
    /// # Errors
    /// When it is the demo model and that is not allowed, or when it is no whisper model.
    pub fn load(verified: &Verified, options: &WhisperOptions) -> Result<WhisperEngine, SpeechError> {
        let name = verified.name().to_owned();
        if verified.is_demo() && !options.allow_demo_model {
            return Err(SpeechError::DemoModelRefused { model: name });
        }
        WhisperEngine::open(&name, verified.path(), verified.traits(), options)
    }

    /// Loads a file that no manifest vouches for, for measuring. One that ends in `.gz` is unpacked in memory.
    ///
    /// # Errors
    /// When it is no whisper model.
    pub fn open(
        name: &str,
        path: &Path,
        traits: Traits,
        options: &WhisperOptions,
    ) -> Result<WhisperEngine, SpeechError> {
        quiet_whisper();
        let failed = |error: &dyn fmt::Display| unusable(name, error);
        let zipped = path.extension().is_some_and(|ending| ending == "gz");
        let size = std::fs::metadata(path).map_err(|error| failed(&error))?.len();
        let model = if zipped || size <= UNPACKED_MAX {
            let bytes = if zipped { unpacked(path) } else { std::fs::read(path) };
            from_memory(bytes.map_err(|error| failed(&error))?, options)
        } else {
            WhisperContext::new_with_params(path, parameters())
        };
        let model = model.map_err(|error| failed(&error))?;
        WhisperEngine::of(name, model, traits, options)
    }

    /// A model in the shape of a published one with random weights: it costs what that one costs, and its nonsense
    /// is told as it is. Random weights do not end a text, so each decode is ended after as many tokens as speech of
    /// that length has, 4.25 a second and the one that ends it: 180 words a minute, the quick end of talk, at 1.3
    /// tokens a word, and the marks between them. For measuring.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn random(name: &str, shape: Shape, seed: u64) -> Result<WhisperEngine, SpeechError> {
        WhisperEngine::random_with(name, shape, seed, &WhisperOptions::default())
    }

    /// The same model for voices that speak one of these languages, ISO 639-1, the likeliest first
    /// ([`WhisperOptions::languages`]).
    #[must_use]
    pub fn for_languages(self, languages: &[String]) -> WhisperEngine {
        let tongues = Tongues::of(&self.model, languages).map(Arc::new);
        WhisperEngine { tongues, ..self }
    }

    /// The same with options.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn random_with(
        name: &str,
        shape: Shape,
        seed: u64,
        options: &WhisperOptions,
    ) -> Result<WhisperEngine, SpeechError> {
        quiet_whisper();
        let model = from_memory(shape.random_model(seed), options);
        let model = model.map_err(|error| unusable(name, &error))?;
        let engine = WhisperEngine::of(name, model, Traits::default(), options)?;
        Ok(WhisperEngine { judged: false, pace: Pace::Speech, ..engine })
    }

    /// The same model, whose decodes take all the tokens that they may: the worst that a decode can cost. For
    /// measuring.
    #[must_use]
    pub fn at_worst(&self) -> WhisperEngine {
        WhisperEngine { pace: Pace::Most, ..self.shared() }
    }

    /// Loads a file and decodes a second of noise with it. What whisper.cpp does with a file that is made to harm it
    /// cannot be caught here: try one in a process of its own.
    ///
    /// # Errors
    /// When whisper refuses the file, or decodes nothing with it.
    pub fn try_out(path: &Path) -> Result<(), SpeechError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let engine = WhisperEngine::open(&name, path, Traits::default(), &WhisperOptions::default())?;
        let engine = WhisperEngine { judged: false, ..engine };
        let mut seed = 1_u32;
        let mut sample = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // The upper bits, as loud as a noisy line.
            (seed >> 22) as i16 - 512
        };
        let noise: Vec<i16> = (0..16_000).map(|_| sample()).collect();
        let stop = Stop::at(Duration::MAX, Arc::new(|| Duration::ZERO));
        engine.decoder()?.decode(&noise, None, &stop).map_err(|error| unusable(&name, &error))?;
        Ok(())
    }

    /// The same model run as whisper.cpp does by default: all the context that it was loaded with (30 s if it is
    /// [`whole`](WhisperOptions::whole)) whatever the length of the sound, so many threads a decode. The limit of
    /// tokens stays. For comparing.
    #[must_use]
    pub fn plainly(&self, threads: i32) -> WhisperEngine {
        let name = format!("{} as whisper.cpp runs it", self.name);
        WhisperEngine { name, plain_threads: Some(threads.max(1)), ..self.shared() }
    }

    /// Another engine over the same model.
    fn shared(&self) -> WhisperEngine {
        WhisperEngine {
            name: self.name.clone(),
            model: Arc::clone(&self.model),
            traits: self.traits,
            prompt: Arc::clone(&self.prompt),
            tongues: self.tongues.clone(),
            judged: self.judged,
            plain_threads: self.plain_threads,
            pace: self.pace,
        }
    }

    fn of(
        name: &str,
        model: WhisperContext,
        mut traits: Traits,
        options: &WhisperOptions,
    ) -> Result<WhisperEngine, SpeechError> {
        // whisper.cpp throws, and thereby ends the program, if it is to suppress a blank that no token is.
        traits.suppress_blank &=
            (0..model.token_eot()).any(|token| model.token_to_str(token).is_ok_and(|text| text == " "));
        let prompt = prompt(&model, &options.vocabulary, traits).map_err(|error| unusable(name, &error))?;
        let tongues = Tongues::of(&model, &options.languages).map(Arc::new);
        Ok(WhisperEngine {
            name: name.to_owned(),
            model: Arc::new(model),
            traits,
            prompt,
            tongues,
            judged: true,
            plain_threads: None,
            pace: Pace::Most,
        })
    }
}

impl Engine for WhisperEngine {
    fn name(&self) -> &str {
        &self.name
    }

    fn longest(&self) -> Option<Duration> {
        Some(self.traits.longest.map_or(UTTERANCE_LONGEST, |longest| longest.min(UTTERANCE_LONGEST)))
    }

    fn decoder(&self) -> Result<Box<dyn Decoder>, SpeechError> {
        let state = self
            .model
            .create_state()
            .map_err(|error| SpeechError::Model { model: self.name.clone(), reason: error.to_string() })?;
        Ok(Box::new(WhisperDecoder {
            model: Arc::clone(&self.model),
            state,
            traits: self.traits,
            prompt: Arc::clone(&self.prompt),
            tongues: self.tongues.clone(),
            judged: self.judged,
            plain_threads: self.plain_threads,
            pace: self.pace,
            parameters: BTreeMap::new(),
            sound: Vec::new(),
        }))
    }
}

struct WhisperDecoder {
    model: Arc<WhisperContext>,
    state: WhisperState,
    traits: Traits,
    prompt: Arc<[i32]>,
    tongues: Option<Arc<Tongues>>,
    judged: bool,
    plain_threads: Option<i32>,
    pace: Pace,
    /// By language. Kept because whisper-rs does not free the language's name.
    parameters: BTreeMap<&'static str, FullParams<'static, 'static>>,
    sound: Vec<f32>,
}

impl Decoder for WhisperDecoder {
    fn decode(&mut self, sound: &[i16], language: Option<&str>, stop: &Stop) -> Result<Decoded, DecodeError> {
        self.sound.clear();
        self.sound.extend(sound.iter().map(|sample| f32::from(*sample) / 32_768.0));
        if self.sound.len() < SOUND_MIN {
            return Ok(Decoded::default());
        }
        let room = self.model.n_audio_ctx();
        if seconds(sound.len()) * 50.0 > room as f32 {
            let (length, room) = (seconds(sound.len()), room / 50);
            return Err(DecodeError::Failed(format!(
                "{length:.1} s of sound for a model with room for {room}"
            )));
        }
        let context = match self.plain_threads {
            Some(_) => room,
            None => audio_context(sound.len(), self.traits, room),
        };
        let (first, spoken) = self.identified(context, language, stop)?;
        let language = match &spoken {
            Some(spoken) if language.is_none() && spoken.probability >= TAKEN => {
                Some(spoken.language.clone())
            }
            Some(_) | None => language.map(str::to_owned),
        };
        let decoded = |decoded: Decoded| Ok(Decoded { language: spoken.clone(), ..decoded });
        if !self.judged {
            return decoded(Decoded {
                text: first.text,
                confidence: first.probability,
                ..Decoded::default()
            });
        }
        let mut attempt = first;
        for (context, retried) in [(context, false), (widened(context, &self.model), true)] {
            if retried {
                attempt = self.attempt(context, language.as_deref(), stop)?;
            }
            match guard::judge(&attempt, seconds(sound.len()), self.traits.confidence_min) {
                Verdict::Words(text) => {
                    let confidence = attempt.probability;
                    return decoded(Decoded { text, confidence, retried, ..Decoded::default() });
                }
                Verdict::Nothing => return decoded(Decoded { retried, ..Decoded::default() }),
                Verdict::Unsure => {
                    return decoded(Decoded { retried, unsure: true, ..Decoded::default() });
                }
                Verdict::Broken => tracing::debug!(context, retried, "a hypothesis repeats itself"),
            }
        }
        Err(DecodeError::Failed("the hypothesis repeats itself, twice".to_owned()))
    }
}

impl WhisperDecoder {
    /// The first attempt, and the language that was heard where several may be. What the encoder found is asked for the
    /// language too, which costs one step of the decoder; if it is another than was taken for likely, and the voice
    /// has none of its own, the words are decoded again in that language.
    fn identified(
        &mut self,
        context: i32,
        language: Option<&str>,
        stop: &Stop,
    ) -> Result<(Attempt, Option<Spoken>), DecodeError> {
        let Some(tongues) = self.tongues.clone() else {
            return Ok((self.attempt(context, language, stop)?, None));
        };
        let taken = language.unwrap_or(tongues.likeliest());
        let attempt = self.attempt(context, Some(taken), stop)?;
        let spoken = tongues.heard(&mut self.state, self.plain_threads.unwrap_or(1));
        let spoken = spoken.map_err(|error| DecodeError::Failed(error.to_string()))?;
        let other = language.is_none() && spoken.language != taken;
        // A guess is not worth a second decode: the likeliest language keeps its words then.
        if other && spoken.probability >= TAKEN {
            return Ok((self.attempt(context, Some(&spoken.language), stop)?, Some(spoken)));
        }
        Ok((attempt, Some(spoken)))
    }

    fn attempt(&mut self, context: i32, language: Option<&str>, stop: &Stop) -> Result<Attempt, DecodeError> {
        let prompt = Arc::clone(&self.prompt);
        let mut parameters: FullParams<'_, '_> = self.parameters(language).clone();
        parameters.set_audio_ctx(context);
        parameters.set_max_tokens(self.pace.tokens_max(self.sound.len()));
        if !prompt.is_empty() {
            parameters.set_tokens(&prompt);
        }
        let (state, sound) = (&mut self.state, &self.sound);
        let done = with_abort(parameters, stop, |parameters| state.full(parameters, sound));
        if stop.asked() {
            return Err(DecodeError::Stopped);
        }
        done.map_err(|error| DecodeError::Failed(error.to_string()))?;
        self.read()
    }

    /// Gathers text and probabilities of the segments, special tokens left out.
    fn read(&self) -> Result<Attempt, DecodeError> {
        let failed = |error: WhisperError| DecodeError::Failed(error.to_string());
        let end = self.model.token_eot();
        let mut attempt = Attempt::default();
        let mut sum = 0.0;
        for segment in self.state.as_iter() {
            attempt.text.push_str(&segment.to_str_lossy().map_err(failed)?);
            let tokens = (0..segment.n_tokens()).filter_map(|place| segment.get_token(place));
            for token in tokens.filter(|token| token.token_id() < end) {
                sum += token.token_probability();
                attempt.tokens += 1;
            }
        }
        attempt.probability = if attempt.tokens == 0 { 0.0 } else { sum / attempt.tokens as f32 };
        Ok(attempt)
    }

    fn parameters(&mut self, language: Option<&str>) -> &FullParams<'static, 'static> {
        let plain = language.filter(|language| language.bytes().all(|letter| letter.is_ascii_alphabetic()));
        let known = plain.and_then(get_lang_id).and_then(get_lang_str);
        let language = if self.model.is_multilingual() { known.unwrap_or("auto") } else { "en" };
        let suppress_blank = self.traits.suppress_blank;
        let threads = self.plain_threads.unwrap_or(1);
        self.parameters.entry(language).or_insert_with(|| {
            let mut parameters = FullParams::new(SamplingStrategy::Greedy { best_of: 1 });
            parameters.set_language(Some(language));
            parameters.set_n_threads(threads);
            parameters.set_no_context(true);
            parameters.set_single_segment(true);
            parameters.set_no_timestamps(true);
            parameters.set_temperature(0.0);
            parameters.set_temperature_inc(0.0);
            parameters.set_suppress_blank(suppress_blank);
            parameters.set_print_special(false);
            parameters.set_print_progress(false);
            parameters.set_print_realtime(false);
            parameters.set_print_timestamps(false);
            parameters
        })
    }
}

/// Positions of the encoder for a sound: 50 a second and some air, in steps of 64, within the model's room.
fn audio_context(samples: usize, traits: Traits, room: i32) -> i32 {
    if let Some(fixed) = traits.audio_context {
        return fixed;
    }
    let wanted = 50.0 * seconds(samples) + 64.0;
    (((wanted / 64.0).round() as i32) * 64).max(CONTEXT_MIN).min(room)
}

/// Half as much again, for the second attempt.
fn widened(context: i32, model: &WhisperContext) -> i32 {
    (context + context / 2).div_euclid(64).saturating_mul(64).max(CONTEXT_MIN).min(model.n_audio_ctx())
}

impl Pace {
    /// whisper.cpp writes one more, which is the one that ends a text.
    fn tokens_max(self, samples: usize) -> i32 {
        match self {
            Pace::Most => 8 + (6.0 * seconds(samples)).ceil() as i32,
            Pace::Speech => (4.25 * seconds(samples)).ceil() as i32,
        }
    }
}

fn seconds(samples: usize) -> f32 {
    samples as f32 / 16_000.0
}

fn unusable(name: &str, reason: &dyn fmt::Display) -> SpeechError {
    SpeechError::Model { model: name.to_owned(), reason: reason.to_string() }
}

fn parameters() -> WhisperContextParameters<'static> {
    let mut parameters = WhisperContextParameters::default();
    // The attention that is faster on a GPU is slower here (DESIGN §5).
    parameters.use_gpu(false).flash_attn(false);
    parameters
}

/// Loads a file that lies in memory, cut to the room that utterances need.
fn from_memory(mut file: Vec<u8>, options: &WhisperOptions) -> Result<WhisperContext, WhisperError> {
    if !options.whole {
        ROOM.make(&mut file);
    }
    WhisperContext::new_from_buffer_with_params(&file, parameters())
}

fn unpacked(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    GzDecoder::new(std::fs::File::open(path)?).take(UNPACKED_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn prompt(model: &WhisperContext, vocabulary: &str, traits: Traits) -> Result<Arc<[i32]>, WhisperError> {
    if vocabulary.trim().is_empty() || !traits.prompt || vocabulary.contains('\0') {
        return Ok(Arc::default());
    }
    let vocabulary: String = vocabulary.chars().take(PROMPT_TEXT_MAX).collect();
    let mut tokens = model.tokenize(&format!(" {}", vocabulary.trim()), PROMPT_TEXT_MAX)?;
    tokens.truncate(PROMPT_TOKENS_MAX);
    Ok(Arc::from(tokens))
}

/// Sends what whisper.cpp prints to tracing, at debug and below; nothing reaches stderr.
fn quiet_whisper() {
    static ONCE: Once = Once::new();
    ONCE.call_once(crate::ffi::hook_whisper_log);
}

/// From so much on, a language that was heard is decoded in.
const TAKEN: f32 = 0.7;
/// whisper.cpp refuses less than 100 ms.
const SOUND_MIN: usize = 1_760;
const CONTEXT_MIN: i32 = 192;
/// What a model is loaded with. whisper.cpp takes memory in steps of 256 positions.
const ROOM: Room = Room { sound: 768, text: 256 };
/// The longest utterance that has room with its air: (768 − 64) / 50 positions a second.
pub const UTTERANCE_LONGEST: Duration = Duration::from_secs(14);
const PROMPT_TOKENS_MAX: usize = 60;
const PROMPT_TEXT_MAX: usize = 400;
/// A gzipped model may not unpack to more than that; another that is larger is not cut in memory, but read as it is.
const UNPACKED_MAX: u64 = 512 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_context_grows_with_the_sound_and_never_cuts_it() {
        let context = |seconds: f32| audio_context((seconds * 16_000.0) as usize, Traits::default(), 768);
        for (seconds, positions) in
            [(0.5, 192), (2.0, 192), (4.0, 256), (8.0, 448), (12.0, 640), (14.0, 768), (60.0, 768)]
        {
            assert_eq!(context(seconds), positions, "{seconds} s");
        }
        for tenths in 1..=150 {
            let seconds = tenths as f32 / 10.0;
            assert!(context(seconds) as f32 >= seconds * 50.0, "{seconds} s");
        }
        assert!(
            context(UTTERANCE_LONGEST.as_secs_f32()) as f32 >= UTTERANCE_LONGEST.as_secs_f32() * 50.0 + 64.0
        );
    }

    #[test]
    fn four_seconds_of_speech_have_17_tokens_and_may_have_32() {
        assert_eq!((Pace::Speech.tokens_max(64_000), Pace::Most.tokens_max(64_000)), (17, 32));
    }
}
