//! Bytes to a message. Lenient where a 400 can still be sent, strict where nothing could be answered.

use super::{Message, Method, Start, Via};

/// Why bytes are no message that could be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ParseError {
    /// A keep-alive, or nothing at all.
    #[error("only blanks")]
    Blank,
    /// The first line is neither of a request nor of a response.
    #[error("the first line is not SIP")]
    StartLine,
    /// Too many header lines.
    #[error("too many headers")]
    TooManyHeaders,
}

/// Header lines that are read; a message with more is not answered.
const HEADERS_MAX: usize = 256;

/// Reads one whole datagram or frame. Bytes that are not UTF-8 become U+FFFD in headers and stay in the body.
pub(crate) fn parse(bytes: &[u8]) -> Result<Message, ParseError> {
    let start = bytes.iter().position(|&b| b != b'\r' && b != b'\n').ok_or(ParseError::Blank)?;
    let bytes = bytes.get(start..).unwrap_or_default();
    if bytes.iter().all(|&b| b == 0 || b.is_ascii_whitespace()) {
        return Err(ParseError::Blank);
    }
    let (head, body) = split_head(bytes);
    let head = String::from_utf8_lossy(head);
    let mut lines = head.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    let start = read_start(lines.next().unwrap_or(""))?;
    let headers = read_headers(lines)?;
    Ok(Message { start, headers, body: body.to_vec() })
}

/// Headers and body, at the first empty line.
fn split_head(bytes: &[u8]) -> (&[u8], &[u8]) {
    for (at, _) in bytes.iter().enumerate().filter(|&(_, &b)| b == b'\n') {
        let rest = bytes.get(at + 1..).unwrap_or_default();
        let skip = match rest {
            [b'\n', ..] => 1,
            [b'\r', b'\n', ..] => 2,
            _ => continue,
        };
        return (bytes.get(..at).unwrap_or_default(), rest.get(skip..).unwrap_or_default());
    }
    (bytes, &[])
}

fn read_start(line: &str) -> Result<Start, ParseError> {
    let wrong = ParseError::StartLine;
    if let Some(rest) = line.strip_prefix("SIP/2.0 ") {
        let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
        let code: u16 = code.trim().parse().map_err(|_| wrong)?;
        return if (100..700).contains(&code) {
            Ok(Start::Response { code, reason: reason.to_owned() })
        } else {
            Err(wrong)
        };
    }
    let (method, rest) = line.split_once(' ').ok_or(wrong)?;
    let (uri, version) = rest.trim_end().rsplit_once(' ').ok_or(wrong)?;
    let versioned = version.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("SIP/"));
    if method.is_empty() || !method.bytes().all(is_token) || !versioned {
        return Err(wrong);
    }
    Ok(Start::Request {
        method: Method::read(method),
        uri: uri.to_owned(),
        version_known: version.eq_ignore_ascii_case("SIP/2.0"),
    })
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte)
}

fn read_headers<'a>(lines: impl Iterator<Item = &'a str>) -> Result<Vec<(String, String)>, ParseError> {
    let mut headers: Vec<(String, String)> = Vec::with_capacity(16);
    for line in lines {
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = headers.last_mut() {
                value.push(' ');
                value.push_str(line.trim());
            }
            continue;
        }
        let Some((name, value)) = line.split_once(':') else { continue };
        let name = name.trim();
        if name.is_empty() || !name.bytes().all(is_token) {
            continue;
        }
        if headers.len() == HEADERS_MAX {
            return Err(ParseError::TooManyHeaders);
        }
        headers.push((long_name(name).to_owned(), value.trim().to_owned()));
    }
    Ok(headers)
}

/// The long form of a compact header name (RFC 3261 §7.3.3 and later ones).
fn long_name(name: &str) -> &str {
    let mut letters = name.chars();
    let (Some(letter), None) = (letters.next(), letters.next()) else { return name };
    match letter.to_ascii_lowercase() {
        'c' => "Content-Type",
        'e' => "Content-Encoding",
        'f' => "From",
        'i' => "Call-ID",
        'k' => "Supported",
        'l' => "Content-Length",
        'm' => "Contact",
        'o' => "Event",
        'r' => "Refer-To",
        'b' => "Referred-By",
        's' => "Subject",
        't' => "To",
        'u' => "Allow-Events",
        'v' => "Via",
        'x' => "Session-Expires",
        _ => name,
    }
}

impl Message {
    /// Cuts the body to Content-Length and says what is wrong with the message as a whole, as a status code
    /// and words for the answer (RFC 3261 §8.1.1, §8.2, §18.3).
    pub(crate) fn check(&mut self) -> Result<(), (u16, &'static str)> {
        if let Start::Request { version_known: false, .. } = self.start {
            return Err((505, "Version Not Supported"));
        }
        if self.uri().contains(char::is_whitespace) {
            return Err((400, "Bad Request-URI"));
        }
        self.check_length()?;
        for name in ["From", "To", "Call-ID", "CSeq", "Content-Length", "Max-Forwards"] {
            if self.all(name).count() > 1 {
                return Err((400, "Header Given Twice"));
            }
        }
        let from = self.sender().ok_or((400, "Bad From"))?;
        let to = self.to().ok_or((400, "Bad To"))?;
        for address in [&from, &to] {
            let scheme = address.uri.split(':').next().unwrap_or("");
            let sip = scheme.eq_ignore_ascii_case("sip") || scheme.eq_ignore_ascii_case("sips");
            if address.uri.is_empty() || (sip && address.parsed().is_none()) {
                return Err((400, "Bad Address"));
            }
        }
        if self.call_id().is_empty()
            || self.call_id().len() > 512
            || self.call_id().contains(char::is_whitespace)
        {
            return Err((400, "Bad Call-ID"));
        }
        let (_, method) = self.cseq().ok_or((400, "Bad CSeq"))?;
        if let Some(own) = self.method()
            && *own != method
        {
            return Err((400, "CSeq Names Another Method"));
        }
        if self.list("Via").any(|via| Via::read(via).is_none()) {
            return Err((400, "Bad Via"));
        }
        Ok(())
    }

    fn check_length(&mut self) -> Result<(), (u16, &'static str)> {
        let Some(length) = self.first("Content-Length") else { return Ok(()) };
        let length: usize = length.parse().map_err(|_| (400, "Bad Content-Length"))?;
        if length > self.body.len() {
            return Err((400, "Body Shorter Than Content-Length"));
        }
        self.body.truncate(length);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVITE: &str = "INVITE sip:a@b SIP/2.0\r\nv: SIP / 2.0 / UDP 192.0.2.1:5062;branch=z9hG4bKx,\r\n SIP/2.0/TCP h\r\n\
        f: \"A\" <sip:x@y>;tag=1\r\nTo: <sip:a@b>\r\ni: 17@h\r\nCSeq: 7\t INVITE\r\nl: 3\r\n\r\nabcdef";

    #[test]
    fn compact_folded_and_blank_forms_are_read() {
        let mut message = parse(INVITE.as_bytes()).unwrap();
        assert_eq!(message.check(), Ok(()));
        assert_eq!(message.body, b"abc");
        assert_eq!(message.list("Via").count(), 2);
        let via = message.top_via().unwrap();
        assert_eq!((via.host.as_str(), via.port, via.branch()), ("192.0.2.1", Some(5062), Some("z9hG4bKx")));
        assert_eq!(message.cseq(), Some((7, Method::Invite)));
        assert_eq!(message.sender_tag(), "1");
        assert_eq!(message.to_tag(), None);
    }

    #[test]
    fn what_is_printed_is_read_again() {
        let mut message = parse(INVITE.as_bytes()).unwrap();
        message.check().unwrap();
        let mut again = parse(&message.bytes()).unwrap();
        again.check().unwrap();
        assert_eq!(again.body, message.body);
        assert_eq!(again.first("From"), message.first("From"));
        assert_eq!(again.uri(), "sip:a@b");
    }

    fn fault(from: &str, to: &str) -> Result<(), (u16, &'static str)> {
        let text = INVITE.replace(from, to);
        parse(text.as_bytes()).unwrap().check()
    }

    #[test]
    fn what_is_wrong_is_named_in_the_answer() {
        assert_eq!(fault("SIP/2.0\r\nv", "SIP/7.0\r\nv"), Err((505, "Version Not Supported")));
        assert_eq!(fault("sip:a@b SIP", "sip:a@b; x=y SIP"), Err((400, "Bad Request-URI")));
        assert_eq!(fault("l: 3", "l: 99"), Err((400, "Body Shorter Than Content-Length")));
        assert_eq!(fault("l: 3", "l: -1"), Err((400, "Bad Content-Length")));
        assert_eq!(fault("7\t INVITE", "7 BYE"), Err((400, "CSeq Names Another Method")));
        assert_eq!(fault("CSeq: 7", "CSeq: 4294967296"), Err((400, "Bad CSeq")));
        assert_eq!(fault("i: 17@h\r\n", ""), Err((400, "Bad Call-ID")));
        assert_eq!(fault("To: <sip:a@b>", "To: <sip:a@b>\r\nt: <sip:c@d>"), Err((400, "Header Given Twice")));
        assert_eq!(fault("<sip:x@y>", "<sip:x@y"), Err((400, "Bad From")));
    }

    #[test]
    fn what_is_no_sip_is_no_message() {
        assert_eq!(parse(b"\r\n\r\n"), Err(ParseError::Blank));
        assert_eq!(parse(b"\0"), Err(ParseError::Blank));
        assert_eq!(parse(b"GET / HTTP/1.1\r\n\r\n"), Err(ParseError::StartLine));
        assert_eq!(parse(b"SIP/2.0 99 x\r\n\r\n"), Err(ParseError::StartLine));
        let many = format!("OPTIONS sip:a SIP/2.0\r\n{}\r\n", "X: y\r\n".repeat(300));
        assert_eq!(parse(many.as_bytes()), Err(ParseError::TooManyHeaders));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..600)) {
            if let Ok(mut message) = parse(&bytes) {
                let _checked = message.check();
            }
        }

        #[test]
        fn no_damage_to_a_good_message_makes_it_panic(at in 0usize..200, byte in proptest::prelude::any::<u8>(), cut in 0usize..230) {
            let mut bytes = INVITE.as_bytes().to_vec();
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
            bytes.truncate(cut.max(20));
            if let Ok(mut message) = parse(&bytes)
                && message.check().is_ok()
            {
                let again = parse(&message.bytes()).unwrap();
                proptest::prop_assert_eq!(again.call_id(), message.call_id());
            }
        }
    }
}
