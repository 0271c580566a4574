//! How messages travel, and what each way is called in Via and in URIs (RFC 3261 §18, §19.1; RFC 7118 §5).

/// How messages travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Transport {
    Udp,
    Tcp,
    Tls,
    /// WebSocket over TCP (RFC 7118).
    Ws,
    /// WebSocket over TLS.
    Wss,
}

impl Transport {
    /// Its name in Via.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Ws => "WS",
            Self::Wss => "WSS",
        }
    }

    /// What a URI says to be reached this way. `ws` means both kinds of WebSocket (RFC 7118 §5.3).
    pub(crate) const fn uri_suffix(self) -> &'static str {
        match self {
            Self::Udp => "",
            Self::Tcp => ";transport=tcp",
            Self::Tls => ";transport=tls",
            Self::Ws | Self::Wss => ";transport=ws",
        }
    }

    /// The transport that a URI's parameter names; a `sips:` URI wants it over TLS.
    pub(crate) fn of_uri(param: Option<&str>, secure: bool) -> Option<Self> {
        match (param.map(str::to_ascii_lowercase).as_deref(), secure) {
            (Some("udp"), false) => Some(Self::Udp),
            (Some("tcp"), false) => Some(Self::Tcp),
            (Some("ws"), false) => Some(Self::Ws),
            (Some("wss"), _) | (Some("ws"), true) => Some(Self::Wss),
            (Some("tls"), _) | (Some("tcp") | None, true) => Some(Self::Tls),
            _ => None,
        }
    }

    /// The port where none is named.
    pub(crate) const fn default_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
            Self::Ws => 80,
            Self::Wss => 443,
        }
    }

    /// Over TLS.
    pub(crate) const fn is_secure(self) -> bool {
        matches!(self, Self::Tls | Self::Wss)
    }

    /// Over WebSocket, which knows no way back but the connection.
    pub(crate) const fn is_web(self) -> bool {
        matches!(self, Self::Ws | Self::Wss)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_names_its_transport() {
        let check = |param, secure, expected| assert_eq!(Transport::of_uri(param, secure), expected);
        check(None, false, None);
        check(Some("UDP"), false, Some(Transport::Udp));
        check(Some("tcp"), false, Some(Transport::Tcp));
        check(Some("tls"), false, Some(Transport::Tls));
        check(Some("ws"), false, Some(Transport::Ws));
        check(Some("sctp"), false, None);
        check(None, true, Some(Transport::Tls));
        check(Some("tcp"), true, Some(Transport::Tls));
        check(Some("ws"), true, Some(Transport::Wss));
        check(Some("udp"), true, None);
    }
}
