//! The words of the inner crates as they stand on the wire. Each is spelled here, so that renaming a variant inside
//! does not change what other systems read.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident from $inner:path { $($(#[$variant_doc:meta])* $variant:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub(crate) enum $name { $($(#[$variant_doc])* $variant),+ }

        impl From<$inner> for $name {
            fn from(inner: $inner) -> Self {
                use $inner as Inner;
                match inner { $(Inner::$variant => Self::$variant),+ }
            }
        }
    };
}

words! {
    /// Where a call is.
    Phase from segue_call::Phase {
        /// The bot is being reached.
        Connecting,
        /// Caller and bot talk.
        WithBot,
        /// A handoff is under way.
        HandingOff,
        /// Caller and agent talk.
        WithAgent,
        /// Legs are being taken down.
        Ending,
        /// Nothing is left.
        Ended,
    }
}

words! {
    /// Where a handoff is.
    HandoffState from segue_call::HandoffState {
        /// A trigger fired, or somebody asked.
        Requested,
        /// The caller has been told.
        Announced,
        /// Waiting for an agent.
        Queued,
        /// An agent is held for the call and sees the brief.
        Offered,
        /// The agent's phone rings.
        Ringing,
        /// The agent hears the whisper.
        Briefing,
        /// The agent accepted; the announcement is being finished.
        Accepted,
        /// Caller and agent hear each other.
        Bridged,
        /// The conversation with the agent is over.
        Completed,
        /// Nobody could be offered.
        Rejected,
        /// Something broke.
        Failed,
        /// The caller went away, or the handoff was taken back.
        Canceled,
        /// The caller is called back later.
        CallbackScheduled,
    }
}

words! {
    /// Why something said is not known.
    GapCause from segue_call::GapCause {
        /// Recognition could not keep up.
        Overload,
        /// Sound never came from the network.
        AudioLost,
        /// Sound came faster than it was taken.
        FramesDropped,
        /// The engine failed or took too long.
        EngineFailed,
        /// The gateway went down before it was decoded.
        Stopped,
    }
}

words! {
    /// A party of a call.
    Party from segue_call::Party {
        /// The person who called.
        Caller,
        /// The voice bot.
        Bot,
        /// The human agent.
        Agent,
    }
}

words! {
    /// Who spoke.
    Speaker from segue_trigger::Speaker {
        /// The person who called.
        Caller,
        /// The voice bot.
        Bot,
        /// The human agent.
        Agent,
    }
}

words! {
    /// Who ended the call.
    EndedBy from segue_call::EndedBy {
        /// The caller hung up.
        Caller,
        /// The bot hung up.
        Bot,
        /// The agent hung up.
        Agent,
        /// The caller's leg broke, or nothing was heard of it any more.
        Lost,
        /// The gateway ended it.
        Us,
    }
}

words! {
    /// What became of a recording.
    RecordingNews from segue_call::RecordingNews {
        /// It began.
        Started,
        /// Nothing is kept for a while.
        Paused,
        /// It goes on.
        Resumed,
        /// It ended as it should.
        Stopped,
        /// It ended because it could not be written.
        Failed,
    }
}

words! {
    /// What an agent is doing.
    Activity from segue_acd::Activity {
        /// Waiting for a call.
        Idle,
        /// Held for a call: being rung or briefed.
        Reserved,
        /// In a call.
        Talking,
        /// Writing up the last call.
        WrappingUp,
    }
}

words! {
    /// What was said.
    EntityKind from segue_call::EntityKind {
        /// An order number.
        Order,
        /// An account or customer number.
        Account,
        /// An amount of money.
        Amount,
        /// An e-mail address.
        Email,
        /// A date or a weekday.
        Date,
        /// A telephone number.
        Phone,
    }
}

words! {
    /// What a rule advises.
    Advice from segue_trigger::Advice {
        /// Nothing.
        None,
        /// The bot confirms what it understood.
        Confirm,
        /// The bot asks one clarifying question.
        Clarify,
        /// The caller is offered a human.
        Offer,
        /// The call is handed over.
        Escalate,
    }
}

words! {
    /// How a language was found out.
    IdentifiedBy from segue_call::IdentifiedBy {
        /// The recogniser heard it in the voice.
        Sound,
        /// The words are of that language.
        Words,
    }
}

impl From<HandoffState> for segue_call::HandoffState {
    fn from(state: HandoffState) -> Self {
        match state {
            HandoffState::Requested => Self::Requested,
            HandoffState::Announced => Self::Announced,
            HandoffState::Queued => Self::Queued,
            HandoffState::Offered => Self::Offered,
            HandoffState::Ringing => Self::Ringing,
            HandoffState::Briefing => Self::Briefing,
            HandoffState::Accepted => Self::Accepted,
            HandoffState::Bridged => Self::Bridged,
            HandoffState::Completed => Self::Completed,
            HandoffState::Rejected => Self::Rejected,
            HandoffState::Failed => Self::Failed,
            HandoffState::Canceled => Self::Canceled,
            HandoffState::CallbackScheduled => Self::CallbackScheduled,
        }
    }
}

/// Which calls to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StateFilter {
    /// Those that live.
    Live,
    /// Those that have ended.
    Ended,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_spelled_in_snake_case_and_read_back() {
        let state = HandoffState::from(segue_call::HandoffState::CallbackScheduled);
        assert_eq!(serde_json::to_string(&state).unwrap(), "\"callback_scheduled\"");
        assert_eq!(segue_call::HandoffState::from(state), segue_call::HandoffState::CallbackScheduled);
        assert_eq!(serde_json::to_string(&Phase::from(segue_call::Phase::WithBot)).unwrap(), "\"with_bot\"");
    }
}
