//! Voice-bot dialects: how a bot tells the gateway what it wants. One file a dialect; nothing here knows SIP or calls.

mod declared;
mod plain_sip;

pub use declared::{Declared, Limits};
pub use plain_sip::{declared_by_bye, declared_by_refer};
