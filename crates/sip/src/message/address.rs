//! URIs, name-addresses and the lists they come in (RFC 3261 §19, §20.10, §25).

use std::{
    fmt::Write as _,
    net::{IpAddr, SocketAddr},
};

use super::Transport;

/// Parameters after semicolons; names as they came, values with their quotes.
pub(crate) type Params = Vec<(String, Option<String>)>;

/// The user and the host of a SIP URI, empty where it has none: the user unescaped and without password, IPv6 in
/// brackets. `None` if it is no URI.
#[must_use]
pub fn user_and_host(uri: &str) -> Option<(String, String)> {
    Uri::read(uri).map(|uri| (uri.user.unwrap_or_default(), uri.host))
}

/// A `sip:`, `sips:` or `tel:` URI, taken apart as far as we use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Uri {
    /// In lower case.
    pub(crate) scheme: String,
    /// Unescaped, without password.
    pub(crate) user: Option<String>,
    /// As it came, IPv6 in brackets; empty for `tel:`.
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
    pub(crate) params: Params,
}

impl Uri {
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (scheme, rest) = text.trim().split_once(':')?;
        let scheme = scheme.to_ascii_lowercase();
        let known =
            !scheme.is_empty() && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
        if !known || rest.is_empty() || rest.contains(|c: char| c.is_control() || c == ' ') {
            return None;
        }
        if scheme == "tel" {
            let mut parts = rest.split(';');
            let user = unescape(parts.next()?);
            return Some(Self {
                scheme,
                user: Some(user),
                host: String::new(),
                port: None,
                params: read_params(parts),
            });
        }
        // A user part may hold ; and ?, so the last @ before any header part decides.
        let (user, rest) = match rest.rfind('@') {
            Some(at) => (rest.get(..at), rest.get(at + 1..)?),
            None => (None, rest),
        };
        let user = user.map(|user| unescape(user.split(':').next().unwrap_or(user)));
        let rest = rest.split('?').next()?;
        let mut parts = rest.split(';');
        let (host, port) = split_host(parts.next()?)?;
        Some(Self { scheme, user, host: host.to_owned(), port, params: read_params(parts) })
    }

    pub(crate) fn param(&self, name: &str) -> Option<&Option<String>> {
        self.params.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The host as an address, if it is one.
    pub(crate) fn ip(&self) -> Option<IpAddr> {
        self.host.trim_start_matches('[').trim_end_matches(']').parse().ok()
    }

    /// Where it leads, if the host is an address.
    pub(crate) fn socket_address(&self) -> Option<SocketAddr> {
        let port = self.port.unwrap_or_else(|| self.transport().unwrap_or(Transport::Udp).default_port());
        Some(SocketAddr::new(self.ip()?, port))
    }

    /// The transport that it names, by its scheme or its parameter.
    pub(crate) fn transport(&self) -> Option<Transport> {
        Transport::of_uri(self.param("transport").and_then(|value| value.as_deref()), self.is_secure())
    }

    /// `sips:`: TLS on the way to it.
    pub(crate) fn is_secure(&self) -> bool {
        self.scheme == "sips"
    }

    pub(crate) fn is_sip(&self) -> bool {
        self.scheme == "sip" || self.scheme == "sips"
    }

    pub(crate) fn is_sip_or_sips(&self) -> bool {
        self.scheme == "sip" || self.scheme == "sips"
    }
}

/// A From, To, Contact, Route or Refer-To value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NameAddress {
    /// Unquoted.
    pub(crate) display: Option<String>,
    /// As it came.
    pub(crate) uri: String,
    /// Those of the header, not of the URI.
    pub(crate) params: Params,
}

impl NameAddress {
    pub(crate) fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        let (display, rest) = read_display(text)?;
        if let Some(rest) = rest.strip_prefix('<') {
            let (uri, rest) = rest.split_once('>')?;
            let params = rest.trim_start();
            if !params.is_empty() && !params.starts_with(';') {
                return None;
            }
            return Some(Self {
                display,
                uri: uri.trim().to_owned(),
                params: read_params(split_params(params).skip(1)),
            });
        }
        // Without angle brackets the parameters belong to the header (RFC 3261 §20.10).
        let mut parts = split_params(rest);
        let uri = parts.next()?.trim().to_owned();
        (!uri.is_empty()).then(|| Self { display, uri, params: read_params(parts) })
    }

    pub(crate) fn parsed(&self) -> Option<Uri> {
        Uri::read(&self.uri)
    }

    pub(crate) fn param(&self, name: &str) -> Option<&str> {
        self.params
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .and_then(|(_, value)| value.as_deref())
            .map(|value| value.trim_matches('"'))
    }

    pub(crate) fn tag(&self) -> Option<String> {
        self.param("tag").map(str::to_owned)
    }

    pub(crate) fn print(&self) -> String {
        let mut text = String::new();
        if let Some(display) = &self.display {
            text.push_str(&quoted(display));
            text.push(' ');
        }
        write!(text, "<{}>", self.uri).unwrap_or_default();
        print_params(&mut text, &self.params);
        text
    }
}

/// The display name, unquoted, and what follows it.
fn read_display(text: &str) -> Option<(Option<String>, &str)> {
    if let Some(rest) = text.strip_prefix('"') {
        let mut display = String::new();
        let mut escaped = false;
        for (at, c) in rest.char_indices() {
            match c {
                _ if escaped => {
                    display.push(c);
                    escaped = false;
                }
                '\\' => escaped = true,
                '"' => return Some((Some(display), rest.get(at + 1..)?.trim_start())),
                _ => display.push(c),
            }
        }
        return None;
    }
    match text.find('<') {
        Some(at) if at > 0 => {
            let display = text.get(..at)?.trim();
            Some(((!display.is_empty()).then(|| display.to_owned()), text.get(at..)?))
        }
        Some(_) | None => Some((None, text)),
    }
}

/// A quoted-string without anything that could end the header line.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars().filter(|c| !c.is_control()) {
        if c == '"' || c == '\\' {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

/// Splits at commas that are neither in quotes nor in angle brackets.
pub(crate) fn split_list(text: &str) -> impl Iterator<Item = &str> {
    let (mut in_quotes, mut in_angles, mut escaped) = (false, false, false);
    text.split(move |c: char| {
        if escaped {
            escaped = false;
            return false;
        }
        match c {
            '\\' if in_quotes => escaped = true,
            '"' if !in_angles => in_quotes = !in_quotes,
            '<' if !in_quotes => in_angles = true,
            '>' if !in_quotes => in_angles = false,
            ',' => return !in_quotes && !in_angles,
            _ => {}
        }
        false
    })
    .map(str::trim)
    .filter(|value| !value.is_empty())
}

/// Splits at semicolons that are not in quotes. The first piece is what stands before the parameters.
pub(crate) fn split_params(text: &str) -> impl Iterator<Item = &str> {
    let (mut in_quotes, mut escaped) = (false, false);
    text.split(move |c: char| {
        if escaped {
            escaped = false;
            return false;
        }
        match c {
            '\\' if in_quotes => escaped = true,
            '"' => in_quotes = !in_quotes,
            ';' => return !in_quotes,
            _ => {}
        }
        false
    })
}

/// `host`, `host:port`, `[v6]:port`; none if the port is no port or the host is empty.
pub(crate) fn split_host(text: &str) -> Option<(&str, Option<u16>)> {
    let text = text.trim();
    let end = match text.strip_prefix('[') {
        Some(rest) => rest.find(']')? + 2,
        None => text.find(':').unwrap_or(text.len()),
    };
    let (host, rest) = text.split_at_checked(end)?;
    let host = host.trim_end();
    if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return None;
    }
    match rest.trim_start().strip_prefix(':') {
        Some(port) => Some((host, Some(port.trim().parse().ok()?))),
        None if rest.trim().is_empty() => Some((host, None)),
        None => None,
    }
}

pub(crate) fn read_params<'a>(parts: impl Iterator<Item = &'a str>) -> Params {
    parts
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| match part.split_once('=') {
            Some((name, value)) => (name.trim().to_owned(), Some(value.trim().to_owned())),
            None => (part.to_owned(), None),
        })
        .collect()
}

pub(crate) fn print_params(text: &mut String, params: &Params) {
    for (name, value) in params {
        match value {
            Some(value) => write!(text, ";{name}={value}").unwrap_or_default(),
            None => write!(text, ";{name}").unwrap_or_default(),
        }
    }
}

/// `%41` becomes `A`; what is no escape stays. An escaped control character stays escaped.
pub(crate) fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let escaped = (byte == b'%')
            .then(|| after.get(..2))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
            .filter(|value| !value.is_ascii_control());
        match escaped {
            Some(value) => {
                bytes.push(value);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

/// A user part with everything escaped that RFC 3261 §25.1 wants escaped.
pub(crate) fn escape_user(user: &str) -> String {
    let mut out = String::with_capacity(user.len());
    for byte in user.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").unwrap_or_default();
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_host_are_taken_from_any_uri() {
        for (uri, user, host) in [
            ("sip:robin@pbx.example", "robin", "pbx.example"),
            ("sips:ro%62in:secret@[2001:db8::1]:5061;transport=tls?x=y", "robin", "[2001:db8::1]"),
            ("sip:192.0.2.7:5060", "", "192.0.2.7"),
            ("tel:+4930123", "+4930123", ""),
        ] {
            assert_eq!(user_and_host(uri), Some((user.to_owned(), host.to_owned())), "{uri}");
        }
        assert_eq!(user_and_host("robin"), None);
    }

    #[test]
    fn a_uri_is_taken_apart() {
        let uri = Uri::read("sip:al%69ce:secret@[::1]:5080;transport=TCP;lr?subject=x").unwrap();
        assert_eq!(uri.user.as_deref(), Some("alice"));
        assert_eq!((uri.host.as_str(), uri.port), ("[::1]", Some(5080)));
        assert_eq!(uri.transport(), Some(Transport::Tcp));
        assert!(uri.param("lr").is_some());
        assert_eq!(uri.socket_address(), Some("[::1]:5080".parse().unwrap()));
    }

    #[test]
    fn a_number_is_read_from_tel_and_sip() {
        assert_eq!(Uri::read("tel:+4930123;phone-context=x").unwrap().user.as_deref(), Some("+4930123"));
        assert_eq!(Uri::read("sip:+4930123@host").unwrap().user.as_deref(), Some("+4930123"));
        assert_eq!(Uri::read("sip:host").unwrap().user, None);
    }

    #[test]
    fn a_broken_uri_is_none() {
        for broken in
            ["", "sip:", "nothing", "sip:a@", "sip:a@h:99999", "sip:a@h:x", "sip:a@h b", "sip:a@[::1"]
        {
            assert_eq!(Uri::read(broken), None, "{broken}");
        }
    }

    #[test]
    fn a_name_address_keeps_quoted_signs() {
        let name = NameAddress::read(r#""Smith, \"J\" <x>" <sip:j@h;a=b>;tag=1;q"#).unwrap();
        assert_eq!(name.display.as_deref(), Some(r#"Smith, "J" <x>"#));
        assert_eq!(name.uri, "sip:j@h;a=b");
        assert_eq!(name.tag().as_deref(), Some("1"));
        let bare = NameAddress::read("sip:j@h;tag=2").unwrap();
        assert_eq!((bare.uri.as_str(), bare.tag().as_deref()), ("sip:j@h", Some("2")));
        assert_eq!(NameAddress::read(r#""never closed <sip:a@b>"#), None);
        assert_eq!(NameAddress::read("<sip:a@b"), None);
    }

    #[test]
    fn a_list_is_split_outside_quotes_and_angles() {
        let parts: Vec<_> = split_list(r#""a,b" <sip:x,y@h>, <sip:z@h> ,, "c\",d" <sip:q>"#).collect();
        assert_eq!(parts, [r#""a,b" <sip:x,y@h>"#, "<sip:z@h>", r#""c\",d" <sip:q>"#]);
    }

    #[test]
    fn no_display_name_can_break_out_of_its_line() {
        assert_eq!(quoted("a\r\nBye: x\"\\"), r#""aBye: x\"\\""#);
        assert_eq!(escape_user("a b@c\r\n"), "a%20b%40c%0D%0A");
    }
}
