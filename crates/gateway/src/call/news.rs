//! Everything that reaches a call task, from whatever edge, in one queue.

use segue_api::{DeskError, RecordingOrder, RecordingState};
use segue_call::{AttemptId, Event, Party, PlaybackId};
use segue_media::{Report, Sound};
use segue_sip::{AnswerError, DialEvent, LegEvent};
use segue_speech::Heard;
use tokio::sync::oneshot;

use super::early::AnsweredEarly;
use crate::voice::VoiceError;

/// One piece of news.
pub(crate) enum News {
    /// Ready for the call as it is: the distributor, the API, the shutdown.
    Event(Event),
    /// A dialled party.
    Dial(AttemptId, DialEvent),
    /// A leg that is up.
    Leg(AttemptId, LegEvent),
    /// What the answer of a caller who heard us early came to.
    AnsweredEarly(Result<Box<AnsweredEarly>, AnswerError>),
    /// The media thread.
    Media(Report),
    /// A recogniser.
    Heard(Party, Heard),
    /// The API wants something about the recording, and waits for the answer.
    Record(RecordingOrder, oneshot::Sender<Result<RecordingState, DeskError>>),
    /// The recorder could not write any more: why.
    RecordingFailed(String),
    /// The synthesiser.
    Rendered(PlaybackId, Result<Sound, VoiceError>),
}
