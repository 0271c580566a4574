//! Everything that reaches a call task, from whatever edge, in one queue.

use segue_api::{DeskError, RecordingOrder, RecordingState, ToldWords};
use segue_call::{AttemptId, Event, PlaybackId};
use segue_media::{Report, Sound};
use segue_sip::{AnswerError, DialEvent, LegEvent};
use segue_speech::Heard;
use tokio::sync::oneshot;

use super::{early::AnsweredEarly, speech::Talker};
use crate::voice::VoiceError;

/// One piece of news. What is large is boxed: a call's queue reserves room for 32 of them.
pub(crate) enum News {
    /// Ready for the call as it is: the distributor, the API, the shutdown.
    Event(Box<Event>),
    /// A dialled party.
    Dial(AttemptId, Box<DialEvent>),
    /// A leg that is up.
    Leg(AttemptId, Box<LegEvent>),
    /// What the answer of a caller who heard us early came to.
    AnsweredEarly(Result<Box<AnsweredEarly>, AnswerError>),
    /// The media thread.
    Media(Box<Report>),
    /// A recogniser.
    Heard(Talker, Box<Heard>),
    /// Words that somebody else recognised (API).
    Told(Box<ToldWords>),
    /// The API wants something about the recording, and waits for the answer.
    Record(RecordingOrder, oneshot::Sender<Result<RecordingState, DeskError>>),
    /// The recorder could not write any more: why.
    RecordingFailed(String),
    /// The synthesiser.
    Rendered(PlaybackId, Result<Sound, VoiceError>),
}
