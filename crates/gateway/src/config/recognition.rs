//! `[recognition]`: who transcribes, and with what.

use std::path::PathBuf;

use segue_acd::Language;
use serde::{Deserialize, Serialize};

/// Which recogniser runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RecognitionEngine {
    /// Whisper if the model is here, nothing otherwise.
    #[default]
    Auto,
    /// No transcript of our own: keys, bot-declared handoffs and words that the bot tells still work.
    None,
    /// Whisper on this machine.
    Whisper,
    /// A service that is asked per utterance, as OpenAI defined it.
    Openai,
    /// A service that hears voices as they speak, as Deepgram defined it.
    Deepgram,
}

/// `[recognition]`: live transcription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Recognition {
    /// Which engine.
    pub(crate) engine: RecognitionEngine,
    /// The model's name in `models/manifest.toml`.
    pub(crate) model: String,
    /// Where the models lie.
    pub(crate) models: PathBuf,
    /// Whether the demo model may be used; it knows a thousand words of synthetic voices.
    pub(crate) allow_demo_model: bool,
    /// Worker threads; 0: half the cores, at least one.
    pub(crate) workers: usize,
    /// Milliseconds between partial results while somebody speaks.
    pub(crate) partial_interval_ms: u64,
    /// The languages that callers may speak, BCP 47, the likeliest first. Two or more: each caller's is found out.
    pub(crate) languages: Vec<Language>,
    /// Voices listened to at a time.
    pub(crate) voices_max: usize,
    /// A model that costs less, for times when finals wait longer than a second; empty: none.
    pub(crate) lighter_model: String,
    /// Seconds of agents' speech that may wait until there is time; 0: what cannot be decoded at once is a gap.
    pub(crate) late_seconds_max: u64,
    /// The service for `engine = "openai"` and `engine = "deepgram"`.
    pub(crate) remote: RemoteRecognition,
}

impl Default for Recognition {
    fn default() -> Self {
        Self {
            engine: RecognitionEngine::Auto,
            model: "base.en-q8_0".to_owned(),
            models: PathBuf::from("models"),
            allow_demo_model: false,
            workers: 0,
            partial_interval_ms: 1_000,
            languages: Vec::new(),
            voices_max: 512,
            lighter_model: String::new(),
            late_seconds_max: 1_800,
            remote: RemoteRecognition::default(),
        }
    }
}

/// `[recognition.remote]`: a service elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RemoteRecognition {
    /// Where it is, without `/v1`.
    pub(crate) address: String,
    /// The model's name there.
    pub(crate) model: String,
    /// The bearer token, or Deepgram's key; empty: none is sent.
    pub(crate) key: String,
    /// A PEM file of the certificate authorities that may vouch for it; empty: those that browsers trust.
    pub(crate) authorities: PathBuf,
    /// Milliseconds that one request may take, or a connection until it is greeted.
    pub(crate) deadline_ms: u64,
    /// Whether it helps out `engine = "whisper"` when finals wait longer than two seconds.
    pub(crate) overflow: bool,
    /// Requests under way at a time; a streaming service has a connection for each voice.
    pub(crate) requests: usize,
}

impl Default for RemoteRecognition {
    fn default() -> Self {
        Self {
            address: String::new(),
            model: "whisper-1".to_owned(),
            key: String::new(),
            authorities: PathBuf::new(),
            deadline_ms: 4_000,
            overflow: false,
            requests: 16,
        }
    }
}

impl Recognition {
    /// The codes of the languages that callers may speak, without regions, each once.
    pub(crate) fn codes(&self) -> Vec<String> {
        let mut codes: Vec<String> = Vec::new();
        for language in &self.languages {
            let code = code(language);
            if !codes.contains(&code) {
                codes.push(code);
            }
        }
        codes
    }
}

/// `pt` of `pt-BR`.
pub(crate) fn code(language: &Language) -> String {
    segue_speech::language::main_part(&language.0)
}
