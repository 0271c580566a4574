//! What goes into recognition and what comes out, whatever engine does it. Nothing here knows of segments of
//! sound: an engine that works frame by frame fits behind the same words.

use std::{fmt, sync::Arc, time::Duration};

use segue_media::{TapFrame, TapPayload, WideFrame, g711::Law};
use segue_trigger::{Speaker, Stage};

use super::Spoken;

/// Tells the time of the gateway, since the Unix epoch. Called from every speech thread.
pub type Clock = Arc<dyn Fn() -> Duration + Send + Sync>;

/// Listens to one voice.
pub trait Recognizer: Send {
    /// Takes the next 20 ms, due at `at`. Never waits; at the limit the oldest frame is dropped and counted.
    fn push(&mut self, at: Duration, frame: Frame<'_>);
}

/// 20 ms of one voice.
#[derive(Clone, Copy, Debug)]
pub enum Frame<'a> {
    /// As it came over RTP.
    G711(&'a [u8; 160], Law),
    /// Decoded, at 8 kHz.
    Linear(&'a [i16; 160]),
    /// Decoded, at 16 kHz.
    Wide(&'a WideFrame),
    /// It never came.
    Lost,
}

impl<'a> From<&'a TapFrame> for Frame<'a> {
    fn from(tap: &'a TapFrame) -> Frame<'a> {
        match &tap.payload {
            Some(TapPayload::G711(law, bytes)) => Frame::G711(bytes, *law),
            Some(TapPayload::Wide(samples)) => Frame::Wide(samples),
            None => Frame::Lost,
        }
    }
}

/// Names a stream in one `Speech`. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u64);

/// How to listen to one voice.
pub struct StreamOptions {
    /// Whose voice; under overload the bot is given up first, then the agent, the caller never.
    pub speaker: Speaker,
    /// Two letters (ISO 639-1); `None` leaves it to the model. English-only models hear English.
    pub language: Option<String>,
    /// Whether hypotheses are wanted before the speaker has finished.
    pub partials: bool,
    /// Takes what was heard, in the order of time, on a speech thread: it must hand over and return at once.
    pub sink: Sink,
}

/// Where news of a stream goes.
pub type Sink = Box<dyn Fn(Heard) + Send + Sync>;

impl fmt::Debug for StreamOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("StreamOptions")
            .field("speaker", &self.speaker)
            .field("language", &self.language)
            .field("partials", &self.partials)
            .finish_non_exhaustive()
    }
}

/// News of one stream.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// Somebody began to speak. Every start is followed by a final, a `Withdrawn`, a `PutOff` or a `Gap` of that
    /// segment.
    Started {
        /// Which utterance, counted from 1 in its stream.
        segment: u64,
        /// When.
        at: Duration,
    },
    /// A partial or the final of an utterance. A final ends its segment.
    Hypothesis(Hypothesis),
    /// It was no speech after all, or nothing that can be written with confidence: forget its partials.
    Withdrawn {
        /// Which utterance.
        segment: u64,
    },
    /// An agent said something while recognition could not keep up: its words come late, as a hypothesis of the stage
    /// `Late` after others that were said later, perhaps after the stream's end. A `Withdrawn` or a `Gap` of the
    /// segment may come instead.
    PutOff {
        /// Which utterance.
        segment: u64,
        /// When speech began.
        start: Duration,
        /// When it ended.
        end: Duration,
    },
    /// Something was said here and is not known: the transcript has a hole.
    Gap(Gap),
}

/// What somebody may have said; the gateway numbers it and makes an `Utterance` of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Hypothesis {
    /// Which utterance of the stream; its partials and its final share it.
    pub segment: u64,
    /// Who.
    pub speaker: Speaker,
    /// The words.
    pub text: String,
    /// How many bytes of `text`, whole words, two hypotheses in a row agree on; all of a final.
    pub stable: usize,
    /// When speech began, on the gateway's clock.
    pub start: Duration,
    /// When speech ended, or how far a partial has heard.
    pub end: Duration,
    /// Mean token probability, 0..=1.
    pub confidence: f32,
    /// Partial or final.
    pub stage: Stage,
    /// The language that the engine heard, where it looked.
    pub language: Option<Spoken>,
    /// How loud it was: the mean power of its voiced part in dB against full scale, at most 0; `None` where nobody
    /// measured it.
    pub level: Option<f32>,
}

impl Hypothesis {
    /// The words that two hypotheses agree on.
    #[must_use]
    pub fn stable_prefix(&self) -> &str {
        self.text.get(..self.stable).unwrap_or_default()
    }
}

/// A hole in the transcript.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The utterance that is lost; `None` if sound is missing that may have held no speech.
    pub segment: Option<u64>,
    /// From when.
    pub start: Duration,
    /// Until when.
    pub end: Duration,
    /// Why.
    pub cause: GapCause,
}

/// Why something said is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GapCause {
    /// Recognition could not keep up.
    Overload,
    /// Frames never came from the network, for 200 ms or more of speech.
    AudioLost,
    /// Frames came faster than they were taken.
    FramesDropped,
    /// The engine failed or took too long.
    EngineFailed,
    /// The pool was stopped before the utterance was decoded.
    Stopped,
}

/// Why recognition cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SpeechError {
    /// Our machine gives no thread.
    #[error("no thread for recognition: {0}")]
    Thread(#[source] std::io::Error),
    /// The model is not one, or is damaged.
    #[error("the recognition model {model} cannot be used: {reason}")]
    Model {
        /// Its name.
        model: String,
        /// What whisper said.
        reason: String,
    },
    /// The demo model was asked for where real callers are served.
    #[error(
        "the model {model} knows a few phrases of synthetic voices and is for the demo alone; choose another \
         (`segue models list`) or allow it explicitly"
    )]
    DemoModelRefused {
        /// Its name.
        model: String,
    },
    /// The operator's: the file of certificate authorities is none.
    #[error("the certificate authorities of {path} cannot be used: {reason}", path = .path.display())]
    Authorities {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// As many voices as the configuration allows.
    #[error("{limit} voices are listened to already, the limit of recognition.voices_max")]
    TooManyStreams {
        /// The limit.
        limit: usize,
    },
    /// The pool is stopping.
    #[error("recognition is stopping")]
    Stopped,
}
