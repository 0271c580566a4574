//! What others found out about a call: the bot, the sound, the caller's history. It becomes features.

use serde::{Deserialize, Serialize};

/// One thing found out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "fact", content = "value")]
pub enum Fact {
    /// The caller named a sum of money, in whole units of the currency.
    Amount(f64),
    /// How sure the bot is of what it does, 0..=1.
    Confidence(f64),
    /// What the caller wants, by the bot's word for it.
    Intent(String),
    /// What the call is about, by the bot's word for it.
    Topic(String),
    /// What the caller is considering, such as an enterprise plan.
    Considering(Vec<String>),
    /// How engaged the caller is, 0..=1.
    Engagement(f64),
    /// The bot met an exception, with its code.
    Exception(String),
    /// The bot failed at what it tried.
    Failed,
    /// The bot did what the caller wanted.
    Succeeded,
    /// The caller was offered a human and declined.
    Declined,
    /// The caller's other contacts in the last 48 h.
    ContactsRecent(u32),
}
