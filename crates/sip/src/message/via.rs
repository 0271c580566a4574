//! Via: which way a request came, and so which way its answer goes (RFC 3261 §18.2, RFC 3581).

use std::{fmt::Write as _, net::SocketAddr};

use super::{Message, address, split_list};

/// One hop of a Via header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Via {
    /// `UDP`, `TCP` and so on.
    pub(crate) transport: String,
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
    pub(crate) params: Vec<(String, Option<String>)>,
}

/// What a branch begins with since RFC 3261.
pub(crate) const COOKIE: &str = "z9hG4bK";

impl Via {
    pub(crate) fn read(text: &str) -> Option<Self> {
        let mut parts = address::split_params(text);
        let head = parts.next()?;
        // The slashes may have blanks around them (RFC 3261 §25.1, SLASH).
        let mut pieces = head.splitn(3, '/');
        let name = pieces.next()?.trim();
        let version = pieces.next()?.trim();
        let rest = pieces.next()?.trim_start();
        if !name.eq_ignore_ascii_case("SIP") || version != "2.0" {
            return None;
        }
        let (transport, sent_by) = rest.split_once(|c: char| c.is_ascii_whitespace())?;
        let (host, port) = address::split_host(sent_by.trim())?;
        Some(Self {
            transport: transport.trim().to_ascii_uppercase(),
            host: host.to_owned(),
            port,
            params: address::read_params(parts),
        })
    }

    pub(crate) fn param(&self, name: &str) -> Option<&Option<String>> {
        self.params.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(crate) fn branch(&self) -> Option<&str> {
        self.param("branch")?.as_deref()
    }
}

/// What the topmost Via says about the way back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct WayBack {
    /// Answers are wanted at the port that the request came from.
    pub(crate) symmetric: bool,
    /// The port of sent-by, if it could be read; 5060 where none is named.
    pub(crate) port: Option<u16>,
}

impl Message {
    /// Adds `received`, and `rport` if it is asked for, to the topmost Via. Everything else of it stays as it came,
    /// octet for octet, readable or not.
    pub(crate) fn mark_via(&mut self, source: SocketAddr) -> WayBack {
        let Some(value) = self.first("Via") else { return WayBack::default() };
        let Some(top) = split_list(value).next() else { return WayBack::default() };
        let start = value.find(top).unwrap_or(0);
        let rest = value.get(start + top.len()..).unwrap_or("");
        let port = Via::read(top).map(|via| via.port.unwrap_or(5060));
        let mut symmetric = false;
        let mut marked = String::with_capacity(value.len() + 48);
        for (place, part) in address::split_params(top).enumerate() {
            let name = part.split('=').next().unwrap_or(part).trim();
            if place > 0 && name.eq_ignore_ascii_case("received") {
                continue;
            }
            if place > 0 {
                marked.push(';');
            }
            if place > 0 && name.eq_ignore_ascii_case("rport") {
                symmetric = true;
                write!(marked, "rport={}", source.port()).unwrap_or_default();
            } else {
                marked.push_str(part);
            }
        }
        write!(marked, ";received={}{rest}", source.ip().to_canonical()).unwrap_or_default();
        self.set("Via", marked);
        WayBack { symmetric, port }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::parse, *};

    fn marked(via: &str) -> (String, WayBack) {
        let text = format!("OPTIONS sip:a@b SIP/2.0\r\nVia: {via}\r\n\r\n");
        let mut message = parse(text.as_bytes()).unwrap();
        let way = message.mark_via("192.0.2.9:40000".parse().unwrap());
        (message.first("Via").unwrap().to_owned(), way)
    }

    #[test]
    fn a_via_is_marked_and_otherwise_stays_as_it_came() {
        let far = |port| WayBack { symmetric: false, port };
        for (via, expected, way) in [
            (
                "SIP/2.0/UDP h:5070 ; branch = z9hG4bK1;x=\"a;b\"",
                "SIP/2.0/UDP h:5070 ; branch = z9hG4bK1;x=\"a;b\";received=192.0.2.9",
                far(Some(5070)),
            ),
            (
                "SIP/2.0/UDP h;rport;branch=z9hG4bK1, SIP/2.0/TCP  g",
                "SIP/2.0/UDP h;rport=40000;branch=z9hG4bK1;received=192.0.2.9, SIP/2.0/TCP  g",
                WayBack { symmetric: true, port: Some(5060) },
            ),
            (
                "SIP/2.0/UDP h;received=10.0.0.1;branch=z9hG4bK1",
                "SIP/2.0/UDP h;branch=z9hG4bK1;received=192.0.2.9",
                far(Some(5060)),
            ),
            ("SIP/7.0/UDP h:1", "SIP/7.0/UDP h:1;received=192.0.2.9", far(None)),
            ("nonsense", "nonsense;received=192.0.2.9", far(None)),
        ] {
            assert_eq!(marked(via), (expected.to_owned(), way));
        }
    }
}
