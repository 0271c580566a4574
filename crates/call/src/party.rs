//! The three parties of a call and the ids that make late news harmless.

use serde::{Deserialize, Serialize};

/// One party of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Party {
    /// The person who called.
    Caller,
    /// The voice bot.
    Bot,
    /// The human agent.
    Agent,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u32);
    };
}

id!(
    /// One attempt to reach a party; its leg keeps the id while it lives.
    ///
    /// The caller's own leg is attempt 0.
    AttemptId
);
id!(
    /// One prompt given to one ear.
    PlaybackId
);

impl AttemptId {
    /// The caller's leg, which nobody dialled.
    pub const CALLER: Self = Self(0);
}

/// Names one call everywhere: SIP headers, logs, events, records (C11). A UUID version 7 in text form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CallId(pub String);

impl std::fmt::Display for CallId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
