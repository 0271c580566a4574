//! What is wrong with a message as a whole, and the answer that its RFC names for it.
//!
//! Reading (`parse`) takes whatever can be framed; here it is judged, once, before anybody uses it. Two measures are
//! used on purpose: what would make a request ambiguous or dangerous is refused in all of them; what is only written
//! badly, such as an unquoted comma in a display name, is refused in all but the requests of a call, because no caller
//! should be lost, and no hang-up missed, for how somebody else's system spells a name.

use super::{Message, Method, NameAddress, Start, Uri, Via};

/// A status code and words for the answer.
pub(crate) type Fault = (u16, &'static str);

/// Headers that may stand in a message once.
const SINGLE: [&str; 7] = ["From", "To", "Call-ID", "CSeq", "Content-Length", "Max-Forwards", "Content-Type"];
/// Octets of a Request-URI; a longer one is answered 414.
const URI_MAX: usize = 2_048;
/// Octets of a Call-ID.
const CALL_ID_MAX: usize = 512;
/// Via values; a request that came so far came round in circles.
const VIAS_MAX: usize = 128;

impl Message {
    /// Cuts the body to Content-Length and finds what is wrong (RFC 3261 §8.1.1, §8.2, §16.3, §18.3, §19.1.5).
    pub(crate) fn check(&mut self) -> Result<(), Fault> {
        if let Start::Request { version_known: false, .. } = self.start {
            return Err((505, "Version Not Supported"));
        }
        if let Some(flaw) = self.flaw {
            return Err(flaw);
        }
        if SINGLE.iter().any(|name| self.all(name).count() > 1) {
            return Err((400, "Header Given Twice"));
        }
        self.check_length()?;
        self.check_parties()?;
        self.check_numbers()?;
        self.check_vias()?;
        match self.method().cloned() {
            Some(method) => self.check_request(&method),
            None => Ok(()),
        }
    }

    /// Whether the message says that it is longer than this, whether it came whole or not.
    pub(crate) fn declares_over(&self, bytes_max: usize) -> bool {
        let length = self.first("Content-Length").and_then(read_number).unwrap_or(0);
        usize::try_from(length).is_ok_and(|length| length > bytes_max)
    }

    fn check_length(&mut self) -> Result<(), Fault> {
        let Some(length) = self.first("Content-Length") else { return Ok(()) };
        let length = read_number(length).ok_or((400, "Bad Content-Length"))?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > self.body.len() {
            return Err((400, "Body Shorter Than Content-Length"));
        }
        self.body.truncate(length);
        Ok(())
    }

    fn check_parties(&self) -> Result<(), Fault> {
        let from = self.sender().ok_or((400, "Bad From"))?;
        let to = self.to().ok_or((400, "Bad To"))?;
        if [&from, &to].into_iter().any(|party| !is_usable(party)) {
            return Err((400, "Bad Address"));
        }
        let call_id = self.call_id();
        if call_id.is_empty() || call_id.len() > CALL_ID_MAX || call_id.contains(char::is_whitespace) {
            return Err((400, "Bad Call-ID"));
        }
        Ok(())
    }

    fn check_numbers(&self) -> Result<(), Fault> {
        let (_, method) = self.cseq().ok_or((400, "Bad CSeq"))?;
        if self.method().is_some_and(|own| *own != method) {
            return Err((400, "CSeq Names Another Method"));
        }
        match self.first("Max-Forwards").map(read_number) {
            Some(None) => Err((400, "Bad Max-Forwards")),
            Some(Some(256..)) => Err((400, "Max-Forwards Over 255")),
            Some(Some(_)) | None => Ok(()),
        }
    }

    fn check_vias(&self) -> Result<(), Fault> {
        if self.list("Via").any(|via| Via::read(via).is_none()) {
            return Err((400, "Bad Via"));
        }
        if self.list("Via").nth(VIAS_MAX).is_some() {
            return Err((482, "Loop Detected"));
        }
        Ok(())
    }

    fn check_request(&self, method: &Method) -> Result<(), Fault> {
        self.check_uri()?;
        if *method == Method::Register
            && self.to().and_then(|to| to.parsed()).is_none_or(|uri| !uri.is_sip_or_sips())
        {
            return Err((400, "To Is Not A SIP Address"));
        }
        let of_a_call = matches!(method, Method::Invite | Method::Ack | Method::Cancel);
        if !of_a_call && self.to_tag().is_none() {
            self.check_spelling()?;
        }
        // A Contact that has to be in angle brackets and is not (RFC 3261 §20).
        if self.list("Contact").any(|contact| !contact.contains('<') && contact.contains('?')) {
            return Err((400, "Bad Contact"));
        }
        Ok(())
    }

    fn check_uri(&self) -> Result<(), Fault> {
        let text = self.uri();
        if text.len() > URI_MAX {
            return Err((414, "Request-URI Too Long"));
        }
        if text.contains(char::is_whitespace) || text.starts_with('<') {
            return Err((400, "Bad Request-URI"));
        }
        let scheme = text.split_once(':').map(|(scheme, _)| scheme).filter(|scheme| is_scheme(scheme));
        let Some(scheme) = scheme else { return Err((400, "Bad Request-URI")) };
        if !["sip", "sips", "tel"].iter().any(|known| known.eq_ignore_ascii_case(scheme)) {
            return Err((416, "Unsupported URI Scheme"));
        }
        let uri = Uri::read(text).ok_or((400, "Bad Request-URI"))?;
        let after_user = text.rsplit('@').next().unwrap_or(text);
        if uri.is_sip_or_sips() && after_user.contains('?') {
            return Err((400, "Headers In The Request-URI"));
        }
        Ok(())
    }

    /// Spelling that can be understood, but that no grammar allows.
    fn check_spelling(&self) -> Result<(), Fault> {
        for name in ["From", "To"] {
            let Some(text) = self.first(name) else { continue };
            let Some(open) = text.find('<') else { continue };
            let (display, rest) = text.split_at(open);
            let bare = !display.trim_start().starts_with('"');
            if bare && display.contains([',', ';', '@', '(', ')']) {
                return Err((400, "Display Name Needs Quotes"));
            }
            if bare && rest.split('>').next().unwrap_or("").contains(char::is_whitespace) {
                return Err((400, "Blank In An Address"));
            }
            if !bare && is_blank_inside(text) {
                return Err((400, "Blank In An Address"));
            }
        }
        Ok(())
    }
}

/// Whether the address after a quoted display name has a blank in it.
fn is_blank_inside(text: &str) -> bool {
    text.rfind('<')
        .and_then(|open| text.get(open..))
        .is_some_and(|rest| rest.split('>').next().unwrap_or("").contains(char::is_whitespace))
}

/// A SIP address that can be read, or an address of another kind, which is nobody's but its owner's to judge.
fn is_usable(party: &NameAddress) -> bool {
    let scheme = party.uri.split(':').next().unwrap_or("");
    let sip = scheme.eq_ignore_ascii_case("sip") || scheme.eq_ignore_ascii_case("sips");
    !party.uri.is_empty() && (!sip || party.parsed().is_some())
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
}

/// Digits and nothing else; `+5` and `5;x` are no numbers here.
pub(crate) fn read_number(text: &str) -> Option<u64> {
    let text = text.trim();
    (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::super::parse;

    const REQUEST: &str = "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx\r\n\
        From: <sip:x@y>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: 17@h\r\nCSeq: 7 OPTIONS\r\nMax-Forwards: 70\r\n\
        Content-Length: 3\r\n\r\nabc";

    fn code(from: &str, to: &str) -> u16 {
        assert!(REQUEST.contains(from), "{from}");
        let text = REQUEST.replacen(from, to, 1);
        parse(text.as_bytes()).unwrap().check().map_or_else(|(code, _)| code, |()| 200)
    }

    #[test]
    fn each_fault_has_the_code_that_its_rfc_names() {
        let long = format!("sip:a@b;x={}", "y".repeat(2_100));
        let vias = format!("Max-Forwards: 70\r\n{}", "Via: SIP/2.0/UDP h;branch=z9hG4bKq\r\n".repeat(130));
        for (from, to, expected) in [
            ("SIP/2.0\r\nVia", "SIP/7.0\r\nVia", 505),
            ("SIP/2.0\r\nVia", "SIP/2.0  \r\nVia", 400),
            ("OPTIONS sip:a@b", "OPTIONS  sip:a@b", 400),
            ("OPTIONS sip:a@b", "OPT{IONS sip:a@b", 400),
            ("OPTIONS sip:a@b SIP/2.0", "OPTIONS sip:a@b", 400),
            ("OPTIONS sip:a@b", "OPTIONS <sip:a@b>", 400),
            ("OPTIONS sip:a@b", "OPTIONS sip:a@b;x= y", 400),
            ("OPTIONS sip:a@b", "OPTIONS sip:a@b?Route=%3Csip:c%3E", 400),
            ("OPTIONS sip:a@b", "OPTIONS sip:2001:db8::10", 400),
            ("OPTIONS sip:a@b", "OPTIONS sip:[2001:db8::10]:5070", 200),
            ("OPTIONS sip:a@b", "OPTIONS a@b", 400),
            ("OPTIONS sip:a@b", "OPTIONS soap.beep://b:3002", 416),
            ("OPTIONS sip:a@b", "OPTIONS tel:+4930123", 200),
            ("sip:a@b SIP", &format!("{long} SIP"), 414),
            ("Content-Length: 3", "Content-Length: 99", 400),
            ("Content-Length: 3", "Content-Length: -1", 400),
            ("Content-Length: 3", "Content-Length: +3", 400),
            ("Content-Length: 3", "Content-Length: 3\r\nl: 3", 400),
            ("CSeq: 7 OPTIONS", "CSeq: 7 BYE", 400),
            ("CSeq: 7", "CSeq: 2147483648", 400),
            ("CSeq: 7", "CSeq: seven", 400),
            ("Call-ID: 17@h\r\n", "", 400),
            ("Call-ID: 17@h", "Call-ID: 1 7", 400),
            ("To: <sip:a@b>", "To: <sip:a@b>\r\nt: <sip:c@d>", 400),
            ("From: <sip:x@y>", "From: <sip:x@y", 400),
            ("From: <sip:x@y>", "From: \"x <sip:x@y>", 400),
            ("From: <sip:x@y>", "From: Bell, A <sip:x@y>", 400),
            ("From: <sip:x@y>", "From: \"Bell, A\" <sip:x@y>", 200),
            ("From: <sip:x@y>", "From: \"A\" < sip:x@y >", 400),
            ("From: <sip:x@y>", "From: <http://y>", 200),
            ("Max-Forwards: 70", "Max-Forwards: 300", 400),
            ("Max-Forwards: 70", "Max-Forwards: many", 400),
            ("Max-Forwards: 70\r\n", &vias, 482),
            ("Via: SIP/2.0/UDP 192.0.2.1", "Via: SIP/2.0/UDP 192.0.2.1,;", 400),
            ("Max-Forwards: 70", "Max-Forwards: 70\r\nX: a\rb", 400),
            ("Max-Forwards: 70", "Max-Forwards: 70\r\nX: a\0b", 400),
            ("Max-Forwards: 70", "Max-Forwards: 70\r\nX: \"a\\\0b\"", 200),
            ("Max-Forwards: 70", "Max-Forwards: 70\r\nm: sip:a@b?Route=x", 400),
        ] {
            assert_eq!(code(from, to), expected, "{from} -> {}", to.get(..to.len().min(80)).unwrap_or(""));
        }
    }

    #[test]
    fn an_invite_is_not_lost_for_its_spelling() {
        for from in ["Bell, A <sip:x@y>", "A < sip:x@y >", "\"A\" <sip:x@y >"] {
            let text = REQUEST.replace("OPTIONS", "INVITE").replace("<sip:x@y>", from);
            assert_eq!(parse(text.as_bytes()).unwrap().check(), Ok(()), "{from}");
        }
    }

    #[test]
    fn only_a_sip_address_can_be_registered() {
        let text = REQUEST.replace("OPTIONS", "REGISTER");
        assert_eq!(parse(text.as_bytes()).unwrap().check(), Ok(()));
        let text = text.replace("To: <sip:a@b>", "To: isbn:2983792873");
        assert_eq!(parse(text.as_bytes()).unwrap().check(), Err((400, "To Is Not A SIP Address")));
    }
}
