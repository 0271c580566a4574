//! Octets to a message. Whatever can be framed, a first line and a Via to answer to, is read; what is wrong with it is
//! kept as its flaw, and [`Message::check`] says so. Only what nobody could be answered for is an error.

use super::{Message, Method, Start, check::Fault, octets};

/// Why octets are no message that could be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ParseError {
    /// A keep-alive, or nothing at all.
    #[error("only blanks")]
    Blank,
    /// The first line is neither of a request nor of a response, and nothing names a Via.
    #[error("the first line is not SIP")]
    StartLine,
}

/// Header lines that are read; of a message with more, the first ones are enough to refuse it.
const HEADERS_MAX: usize = 256;
/// What SIP calls blank. Other blanks, such as an ideographic space at the end of a name, belong to the text.
const BLANKS: [char; 2] = [' ', '\t'];

/// Reads one whole datagram or frame.
pub(crate) fn parse(bytes: &[u8]) -> Result<Message, ParseError> {
    let start = bytes.iter().position(|&b| b != b'\r' && b != b'\n').ok_or(ParseError::Blank)?;
    let bytes = bytes.get(start..).unwrap_or_default();
    if bytes.iter().all(|&b| b == 0 || b.is_ascii_whitespace()) {
        return Err(ParseError::Blank);
    }
    let (head, body) = split_head(bytes);
    let head = octets::take(head);
    let mut lines = head.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    let (start, line_flaw) = read_start(lines.next().unwrap_or(""));
    let (headers, header_flaw) = read_headers(lines);
    let control = has_stray_control(&head);
    let flaw = line_flaw.or(header_flaw).or(control.then_some((400, "Control Characters")));
    let message = Message { start: start.ok_or(ParseError::StartLine)?, headers, body: body.to_vec(), flaw };
    if line_flaw.is_some() && message.first("Via").is_none() {
        return Err(ParseError::StartLine);
    }
    Ok(message)
}

/// A carriage return that ends no line, which some would take for one so that headers appear that we have not judged;
/// or a NUL, where some would stop reading. Behind a backslash a NUL is a sign like others (RFC 3261 §25.1).
fn has_stray_control(head: &str) -> bool {
    let bytes = head.as_bytes();
    bytes.iter().enumerate().any(|(at, &b)| match b {
        b'\r' => bytes.get(at + 1).is_some_and(|next| *next != b'\n'),
        0 => at.checked_sub(1).and_then(|before| bytes.get(before)) != Some(&b'\\'),
        _ => false,
    })
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

/// The first line. A line that is nearly one of a request is read as far as it goes, with its flaw.
fn read_start(line: &str) -> (Option<Start>, Option<Fault>) {
    if line.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("SIP/")) {
        return (read_status(line), None);
    }
    let Some((method, rest)) = line.split_once(' ') else { return (None, None) };
    if method.is_empty() {
        return (None, None);
    }
    let request = |uri: &str, version_known| {
        Some(Start::Request { method: Method::read(method), uri: uri.to_owned(), version_known })
    };
    let (uri, version) = match rest.trim_end().rsplit_once(' ') {
        Some((uri, version)) if is_version(version) => (uri, version),
        Some(_) | None => return (request(rest, true), Some((400, "Bad Request Line"))),
    };
    let flaw = if !method.bytes().all(is_token) {
        Some((400, "Bad Method"))
    } else if rest.ends_with([' ', '\t']) {
        Some((400, "Blanks After The Request Line"))
    } else {
        None
    };
    (request(uri, version.eq_ignore_ascii_case("SIP/2.0")), flaw)
}

fn read_status(line: &str) -> Option<Start> {
    let rest = line.strip_prefix("SIP/2.0 ")?;
    let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
    let code: u16 = code.trim().parse().ok()?;
    (100..700).contains(&code).then(|| Start::Response { code, reason: reason.to_owned() })
}

/// Whether a word is a version of SIP, of whichever number.
fn is_version(word: &str) -> bool {
    word.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("SIP/"))
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte)
}

fn read_headers<'a>(lines: impl Iterator<Item = &'a str>) -> (Vec<(String, String)>, Option<Fault>) {
    let mut headers: Vec<(String, String)> = Vec::with_capacity(16);
    for line in lines {
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = headers.last_mut() {
                let more = line.trim_matches(BLANKS);
                if !value.is_empty() && !more.is_empty() {
                    value.push(' ');
                }
                value.push_str(more);
            }
            continue;
        }
        let Some((name, value)) = line.split_once(':') else { continue };
        let name = name.trim_matches(BLANKS);
        if name.is_empty() || !name.bytes().all(is_token) {
            continue;
        }
        if headers.len() == HEADERS_MAX {
            return (headers, Some((513, "Too Many Headers")));
        }
        headers.push((long_name(name).to_owned(), value.trim_matches(BLANKS).to_owned()));
    }
    (headers, None)
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

    #[test]
    fn what_is_no_sip_is_no_message() {
        assert_eq!(parse(b"\r\n\r\n"), Err(ParseError::Blank));
        assert_eq!(parse(b"\0"), Err(ParseError::Blank));
        assert_eq!(parse(b"GET / HTTP/1.1\r\n\r\n"), Err(ParseError::StartLine));
        assert_eq!(parse(b"SIP/2.0 99 x\r\nVia: SIP/2.0/UDP h\r\n\r\n"), Err(ParseError::StartLine));
        assert_eq!(parse(b"sip/2.0 200 x\r\nVia: SIP/2.0/UDP h\r\n\r\n"), Err(ParseError::StartLine));
    }

    #[test]
    fn what_names_a_via_is_read_as_far_as_it_goes() {
        for line in
            ["INVITE sip:a@b", "INVITE  sip:a@b SIP/2.0", "IN(VITE sip:a@b SIP/2.0", "INVITE a b c SIP/2.0 "]
        {
            let text = format!("{line}\r\nVia: SIP/2.0/UDP h\r\nCall-ID: 1\r\n\r\n");
            let message = parse(text.as_bytes()).unwrap();
            assert_eq!((message.call_id(), message.first("Via")), ("1", Some("SIP/2.0/UDP h")), "{line}");
        }
        let many = format!("OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/UDP h\r\n{}\r\n", "X: y\r\n".repeat(300));
        assert_eq!(parse(many.as_bytes()).unwrap().check(), Err((513, "Too Many Headers")));
    }

    /// One header line as everybody writes it.
    fn line() -> impl proptest::strategy::Strategy<Value = String> {
        "(X-[A-Za-z]{1,12}|Subject|User-Agent|From|To|Via|Contact|Route): [!-~\u{a1}-\u{2fff}]([ -~\u{a1}-\u{2fff}]{0,40}[!-~])?"
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..600)) {
            if let Ok(mut message) = parse(&bytes) {
                let _checked = message.check();
            }
        }

        #[test]
        fn what_is_well_formed_is_printed_as_it_came(
            lines in proptest::collection::vec(line(), 0..12),
            method in "(INVITE|OPTIONS|REGISTER|[A-Z]{1,9})",
            uri in "sip:[a-z0-9]{1,8}@[a-z0-9.]{1,12}(;[a-z]{1,5}=[a-z0-9]{0,4})?",
            body in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..80),
        ) {
            let mut text = format!("{method} {uri} SIP/2.0\r\n");
            lines.iter().for_each(|line| text.extend([line, "\r\n"]));
            text.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
            let mut bytes = text.into_bytes();
            bytes.extend(body);
            proptest::prop_assert_eq!(parse(&bytes).unwrap().bytes(), bytes);
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
