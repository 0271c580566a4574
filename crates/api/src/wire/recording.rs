//! Recordings on the wire.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::desk;

/// What shall be done about a call's recording.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecordingOrder {
    /// What.
    pub(crate) action: RecordingAction,
}

/// What can be done about a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RecordingAction {
    /// Begin one; one that runs or is paused stays as it is.
    Start,
    /// Keep nothing for a while, as while a card number is read out.
    Pause,
    /// Go on.
    Resume,
    /// End it; its files are whole a moment later.
    Stop,
}

/// Where a call's recording is.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Recording {
    /// Where it is.
    pub(crate) state: RecordingState,
}

/// Where a recording is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RecordingState {
    /// There is none.
    Off,
    /// What is said is kept.
    Running,
    /// What is said is not kept.
    Paused,
}

impl From<RecordingAction> for desk::RecordingOrder {
    fn from(action: RecordingAction) -> Self {
        match action {
            RecordingAction::Start => Self::Start,
            RecordingAction::Pause => Self::Pause,
            RecordingAction::Resume => Self::Resume,
            RecordingAction::Stop => Self::Stop,
        }
    }
}

impl From<desk::RecordingState> for Recording {
    fn from(state: desk::RecordingState) -> Self {
        let state = match state {
            desk::RecordingState::Off => RecordingState::Off,
            desk::RecordingState::Running => RecordingState::Running,
            desk::RecordingState::Paused => RecordingState::Paused,
        };
        Self { state }
    }
}
