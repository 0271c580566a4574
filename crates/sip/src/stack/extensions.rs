//! What a far side can, as its Allow, Supported and Require say, and what we say of ourselves (RFC 3261 §20.5, §20.32, §20.37).

use super::Stack;
use crate::message::{ALLOW, Message};

/// What the far side of a dialog can.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Far {
    /// UPDATE (RFC 3311).
    pub(super) update: bool,
    /// Session timers (RFC 4028).
    pub(super) timer: bool,
    /// PRACK (RFC 3262).
    pub(super) reliable: bool,
    /// It does not go on without PRACK.
    pub(super) reliable_only: bool,
}

impl Far {
    /// Reads what a message says of its sender. What it does not speak of stays as it was known.
    pub(super) fn learn(&mut self, message: &Message) {
        if message.first("Allow").is_some() {
            self.update = message.list("Allow").any(|method| method.eq_ignore_ascii_case("UPDATE"));
        }
        if message.first("Supported").is_some() {
            self.timer = names(message, "Supported", "timer");
            self.reliable = names(message, "Supported", "100rel");
        }
        self.timer |= names(message, "Require", "timer");
        self.reliable_only = names(message, "Require", "100rel");
        self.reliable |= self.reliable_only;
    }
}

/// Whether a header lists this option tag.
pub(super) fn names(message: &Message, header: &str, tag: &str) -> bool {
    message.list(header).any(|named| named.eq_ignore_ascii_case(tag))
}

impl Stack {
    /// Extensions that a request requires and we do not speak (RFC 3261 §8.2.2.3).
    pub(super) fn unsupported(&self, request: &Message) -> Vec<String> {
        let known = self.policy.supported();
        request
            .list("Require")
            .filter(|wanted| !known.iter().any(|tag| tag.eq_ignore_ascii_case(wanted)))
            .map(str::to_owned)
            .collect()
    }

    /// Says what we can, in a request or a 2xx that makes or changes a dialog.
    pub(super) fn introduce(&self, message: &mut Message) {
        message.push("Allow", ALLOW);
        message.push("Supported", self.policy.supported().join(", "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::parse;

    #[test]
    fn what_is_not_spoken_of_stays_known() {
        let mut far = Far::default();
        far.learn(
            &parse(b"SIP/2.0 200 OK\r\nAllow: INVITE, UPDATE\r\nSupported: timer,100rel\r\n\r\n").unwrap(),
        );
        assert_eq!(far, Far { update: true, timer: true, reliable: true, reliable_only: false });
        far.learn(&parse(b"SIP/2.0 200 OK\r\n\r\n").unwrap());
        assert_eq!(far, Far { update: true, timer: true, reliable: true, reliable_only: false });
        far.learn(&parse(b"SIP/2.0 200 OK\r\nSupported:\r\nRequire: 100rel\r\nAllow: BYE\r\n\r\n").unwrap());
        assert_eq!(far, Far { update: false, timer: false, reliable: true, reliable_only: true });
    }
}
