//! What dialogs may do: reliable provisionals, session timers, redirections and transfers. The gateway configures it.

use std::time::Duration;

use crate::message::Transport;

/// The rules that every dialog follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialogPolicy {
    /// Provisional responses that are acknowledged (RFC 3262).
    pub reliable: ReliableProvisionals,
    /// The session interval that we propose (RFC 4028); zero turns session timers off.
    pub session_expires: Duration,
    /// The shortest session interval that we take; less is answered 422. Never under 90 seconds (RFC 4028 §5).
    pub session_expires_min: Duration,
    /// Redirections (3xx) of one call that are followed; zero follows none.
    pub redirects_max: u8,
    /// Where a redirection may lead: hosts as they stand in the URI. Anything else counts as unreachable.
    pub redirect_hosts: Vec<String>,
    /// Where a party that may transfer its side by REFER may transfer it to; anything else is refused with 403.
    pub transfer_hosts: Vec<String>,
    /// Users of ours who are queues and no phones: a party that may transfer its side and names one of them asks the
    /// gateway for a handoff there.
    pub transfer_queues: Vec<String>,
    /// Whether keys of SRTP (a=crypto) are taken and sent where signalling is not TLS, for all on the way to read.
    pub keys_in_clear: bool,
}

impl Default for DialogPolicy {
    fn default() -> Self {
        Self {
            reliable: ReliableProvisionals::Supported,
            session_expires: Duration::from_secs(1_800),
            session_expires_min: SESSION_FLOOR,
            redirects_max: 0,
            redirect_hosts: Vec::new(),
            transfer_hosts: Vec::new(),
            transfer_queues: Vec::new(),
            keys_in_clear: false,
        }
    }
}

/// No session interval is shorter (RFC 4028 §4).
pub(crate) const SESSION_FLOOR: Duration = Duration::from_secs(90);

/// When provisional responses are acknowledged by PRACK (RFC 3262).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReliableProvisionals {
    /// Never; a caller who requires it is told 420.
    Off,
    /// Those that carry a session description, if the caller supports it; all, if the caller requires it. Callees may.
    #[default]
    Supported,
    /// As before, but callees must, and callers who cannot are told 421.
    Required,
}

impl DialogPolicy {
    /// Whether keys may be told over this transport.
    pub(crate) const fn hides_keys(&self, transport: Transport) -> bool {
        self.keys_in_clear || transport.is_secure()
    }

    /// Extensions that we speak, for Supported (RFC 3261 §20.37).
    pub(crate) fn supported(&self) -> Vec<&'static str> {
        let mut tags = vec!["replaces", "norefersub"];
        if !self.session_expires.is_zero() {
            tags.push("timer");
        }
        if self.reliable != ReliableProvisionals::Off {
            tags.push("100rel");
        }
        tags
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_turned_off_is_not_said_to_be_supported() {
        assert_eq!(DialogPolicy::default().supported(), ["replaces", "norefersub", "timer", "100rel"]);
        let bare = DialogPolicy {
            reliable: ReliableProvisionals::Off,
            session_expires: Duration::ZERO,
            ..DialogPolicy::default()
        };
        assert_eq!(bare.supported(), ["replaces", "norefersub"]);
    }
}
