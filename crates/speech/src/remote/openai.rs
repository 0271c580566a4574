//! `POST /v1/audio/transcriptions`, as OpenAI defined it and many servers speak it: one request an utterance.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use segue_media::wav;
use serde::Deserialize;
use ureq::{Agent, http::StatusCode};
use whisper_rs::{get_lang_id, get_lang_str};

use super::{breaker::Breaker, failure::Failure, trust::Authorities};
use crate::pool::{DecodeError, Decoded, Decoder, Engine, SpeechError, Spoken, Stop};

/// Which service, and how it is asked.
#[derive(Clone, PartialEq, Eq)]
pub struct OpenAiOptions {
    /// Where it is, up to and without `/v1`: `http://10.0.0.7:8000` for example.
    pub address: String,
    /// The model's name there.
    pub model: String,
    /// The bearer token; none sends no `Authorization`.
    pub key: Option<String>,
    /// How long one request may take from its first byte to the last of the answer.
    pub deadline: Duration,
    /// Words to expect (names of products, people), sent as the prompt.
    pub vocabulary: String,
    /// Who may vouch for it, if it is asked over TLS.
    pub authorities: Authorities,
}

impl fmt::Debug for OpenAiOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("OpenAiOptions")
            .field("address", &self.address)
            .field("model", &self.model)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// The engine. A service that keeps failing is left alone for a while: what is said meanwhile becomes gaps.
pub struct OpenAiEngine {
    name: String,
    shared: Arc<Shared>,
}

struct Shared {
    url: String,
    options: OpenAiOptions,
    agent: Agent,
    breaker: Mutex<Breaker>,
}

impl fmt::Debug for OpenAiEngine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("OpenAiEngine").field("options", &self.shared.options).finish()
    }
}

impl OpenAiEngine {
    /// Asks nobody yet: a service that is down now may be up when the first caller speaks.
    #[must_use]
    pub fn new(options: OpenAiOptions) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(options.deadline / 2))
            .tls_config(options.authorities.request())
            .build()
            .into();
        let url = format!("{}/v1/audio/transcriptions", options.address.trim_end_matches('/'));
        let name = format!("{} at {}", options.model, options.address);
        Self { name, shared: Arc::new(Shared { url, options, agent, breaker: Mutex::default() }) }
    }
}

impl Engine for OpenAiEngine {
    fn name(&self) -> &str {
        &self.name
    }

    fn longest(&self) -> Option<Duration> {
        None
    }

    fn warms_up(&self) -> bool {
        false
    }

    /// A request does not ask whether to stop, and ends at its deadline; only the look-up of a name may take longer.
    fn silent_max(&self) -> Duration {
        self.shared.options.deadline + Duration::from_secs(5)
    }

    fn decoder(&self) -> Result<Box<dyn Decoder>, SpeechError> {
        Ok(Box::new(Asking { shared: Arc::clone(&self.shared) }))
    }
}

/// One request at a time.
struct Asking {
    shared: Arc<Shared>,
}

impl Decoder for Asking {
    fn decode(&mut self, sound: &[i16], language: Option<&str>, stop: &Stop) -> Result<Decoded, DecodeError> {
        if stop.asked() {
            return Err(DecodeError::Stopped);
        }
        let now = (stop.clock)();
        if !self.breaker(|breaker| breaker.admits(now)) {
            return Err(DecodeError::Failed("the service failed too often and is left alone".to_owned()));
        }
        let time = self.shared.options.deadline.min(stop.deadline.saturating_sub(now));
        let answer = self.ask(sound, language, time);
        let now = (stop.clock)();
        match answer {
            Ok(answer) => {
                self.breaker(Breaker::succeeded);
                // A service that was told the language only says it again.
                let told = answer.language.as_deref().filter(|_| language.is_none()).and_then(code);
                let heard = told.map(|language| Spoken { language, probability: LANGUAGE_TOLD });
                Ok(Decoded { language: heard, ..answer.decoded() })
            }
            Err(Failure { reason, rest }) => {
                let opened = self.breaker(|breaker| match rest {
                    Some(rest) => breaker.refused(now, rest),
                    None => breaker.failed(now),
                });
                if opened {
                    let address = &self.shared.options.address;
                    tracing::warn!(address, reason, "the transcription service is left alone for a while");
                }
                Err(DecodeError::Failed(reason))
            }
        }
    }
}

impl Asking {
    fn breaker<T>(&self, with: impl FnOnce(&mut Breaker) -> T) -> T {
        with(&mut self.shared.breaker.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn ask(&self, sound: &[i16], language: Option<&str>, time: Duration) -> Result<Answer, Failure> {
        let options = &self.shared.options;
        let mut form = Form::default();
        form.field("model", &options.model);
        form.field("response_format", "verbose_json");
        form.field("temperature", "0");
        if let Some(language) = language {
            form.field("language", language);
        }
        if !options.vocabulary.is_empty() {
            form.field("prompt", &options.vocabulary);
        }
        let body = form.with_file(&wav::encode(sound, 16_000));
        let mut request = self
            .shared
            .agent
            .post(&self.shared.url)
            .config()
            .timeout_global(Some(time.max(Duration::from_millis(1))))
            .build()
            .header("Content-Type", format!("multipart/form-data; boundary={BOUNDARY}"));
        if let Some(key) = &options.key {
            request = request.header("Authorization", format!("Bearer {key}"));
        }
        let mut answer = request.send(body).map_err(|error| error.to_string())?;
        let status = answer.status();
        let text = answer
            .body_mut()
            .with_config()
            .limit(ANSWER_MAX)
            .read_to_string()
            .map_err(|error| error.to_string())?;
        if status != StatusCode::OK {
            return Err(Failure::refused(status, answer.headers(), &text));
        }
        serde_json::from_str(&text).map_err(|error| {
            format!("the service's answer is no transcription: {error}: {}", beginning(&text)).into()
        })
    }
}

/// What of an answer is read. Servers that do not know `verbose_json` give the text alone.
#[derive(Debug, Deserialize)]
struct Answer {
    text: String,
    /// A name such as `english`, or a code.
    language: Option<String>,
    #[serde(default)]
    segments: Vec<Part>,
}

#[derive(Debug, Deserialize)]
struct Part {
    avg_logprob: Option<f32>,
    no_speech_prob: Option<f32>,
}

impl Answer {
    fn decoded(self) -> Decoded {
        let text = self.text.split_whitespace().collect::<Vec<_>>().join(" ");
        let told: Vec<f32> = self.segments.iter().filter_map(|part| part.avg_logprob).map(f32::exp).collect();
        let confidence = match told.len() {
            0 => CONFIDENCE_UNTOLD,
            count => (told.iter().sum::<f32>() / count as f32).clamp(0.0, 1.0),
        };
        let silent = |part: &Part| part.no_speech_prob.is_some_and(|probability| probability > NO_SPEECH);
        let nothing = !self.segments.is_empty() && self.segments.iter().all(silent) && confidence < UNSURE;
        if nothing || text.is_empty() {
            return Decoded::default();
        }
        Decoded { text, confidence, ..Decoded::default() }
    }
}

/// The code of a language by its English name or code.
fn code(name: &str) -> Option<String> {
    let name = name.trim().to_lowercase();
    let plain = name.bytes().all(|letter| letter.is_ascii_alphabetic());
    plain.then(|| get_lang_id(&name)).flatten().and_then(get_lang_str).map(str::to_owned)
}

/// A `multipart/form-data` body (RFC 7578).
#[derive(Default)]
struct Form {
    body: Vec<u8>,
}

impl Form {
    fn field(&mut self, name: &str, value: &str) {
        let head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
        self.body.extend_from_slice(head.as_bytes());
        self.body.extend_from_slice(value.as_bytes());
        self.body.extend_from_slice(b"\r\n");
    }

    fn with_file(mut self, file: &[u8]) -> Vec<u8> {
        let head = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"utterance.wav\"\r\n\
             Content-Type: audio/wav\r\n\r\n"
        );
        self.body.extend_from_slice(head.as_bytes());
        self.body.extend_from_slice(file);
        self.body.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
        self.body
    }
}

/// Enough of a text for a log line.
fn beginning(text: &str) -> String {
    text.chars().take(200).collect()
}

/// Services do not tell how sure they are of a language: one utterance decides nothing, two do.
const LANGUAGE_TOLD: f32 = 0.9;
/// Does not occur in a sound but by a chance of 1 to 2 to the 200th.
const BOUNDARY: &str = "segue-4d1f0b7c2a9e4b6f8c3d5e7a9b1c2d3e";
/// An utterance has a few hundred characters; times and tokens of it a few thousand.
const ANSWER_MAX: u64 = 1 << 20;
/// For servers that do not tell how sure they are: as much as whisper gives to ordinary sentences on telephones.
const CONFIDENCE_UNTOLD: f32 = 0.7;
/// Whisper's own bounds for "nobody spoke".
const NO_SPEECH: f32 = 0.6;
const UNSURE: f32 = 0.4;
