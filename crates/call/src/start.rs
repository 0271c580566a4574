//! What is known of a call when it arrives.

use std::{collections::BTreeMap, time::Duration};

use segue_acd::{Language, TicketId};
use serde::{Deserialize, Serialize};

use crate::party::CallId;

/// The call as it arrives at the door.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallStart {
    /// The call's name everywhere.
    pub id: CallId,
    /// When it arrived, since the Unix epoch.
    pub at: Duration,
    /// Who calls.
    pub caller: CallerIdentity,
    /// The language the caller is spoken to in, and an agent must speak.
    pub language: Language,
    /// The first of the ticket numbers that belong to this call. A call uses at most
    /// [`Limits::tickets`](crate::Limits::tickets) of them, so starts that far apart never collide.
    pub first_ticket: TicketId,
    /// Whether the gateway transcribes: otherwise words come from the bot, if it tells any.
    #[serde(default = "yes")]
    pub transcribed: bool,
}

/// Calls that were logged before this was known were.
fn yes() -> bool {
    true
}

/// Who calls, as far as the network says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallerIdentity {
    /// The number, E.164 where the trunk gives it; empty if withheld.
    pub number: String,
    /// The display name, if any.
    pub name: Option<String>,
    /// Headers that carry context (X-…, User-to-User), by name in lower case.
    pub headers: BTreeMap<String, String>,
}
