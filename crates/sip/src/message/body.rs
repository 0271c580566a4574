//! Bodies: the session description in one, alone or among the parts of a multipart (RFC 3261 §7.4, RFC 5621, RFC 2046).

use super::{Message, split_params};

/// Parts of a multipart body that are looked at.
const PARTS_MAX: usize = 16;
/// The longest boundary (RFC 2046 §5.1.1).
const BOUNDARY_MAX: usize = 70;

/// Why a body cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyFault {
    /// Its type, or that of a part that must be understood, is not one of ours: 415.
    Type,
    /// It is compressed or otherwise encoded: 415.
    Encoding,
    /// It is encrypted for somebody else: 493.
    Encrypted,
}

impl Message {
    /// The session description of a body, if it has one. A body without a type is taken for one if it begins like one.
    ///
    /// # Errors
    /// Why a body that its sender wants understood cannot be.
    pub(crate) fn description(&self) -> Result<Option<&[u8]>, BodyFault> {
        if self.body.is_empty() {
            return Ok(None);
        }
        if self.list("Content-Encoding").any(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
            return Err(BodyFault::Encoding);
        }
        let Some(kind) = self.first("Content-Type") else {
            return if self.body.starts_with(b"v=0") { Ok(Some(&self.body)) } else { Err(BodyFault::Type) };
        };
        match media_type(kind).as_str() {
            "application/sdp" => Ok(Some(&self.body)),
            "application/pkcs7-mime" | "multipart/encrypted" => Err(BodyFault::Encrypted),
            _ if is_optional(self.first("Content-Disposition")) => Ok(None),
            "multipart/mixed" | "multipart/related" | "multipart/alternative" => {
                let boundary = parameter(kind, "boundary").ok_or(BodyFault::Type)?;
                among_parts(&self.body, &boundary)
            }
            _ => Err(BodyFault::Type),
        }
    }

    /// The body, if it is or holds SDP.
    pub(crate) fn sdp(&self) -> Option<&[u8]> {
        self.description().ok().flatten()
    }
}

/// A media type in lower case, without its parameters.
pub(crate) fn media_type(value: &str) -> String {
    value.split(';').next().unwrap_or("").trim().to_ascii_lowercase()
}

fn parameter(value: &str, name: &str) -> Option<String> {
    split_params(value)
        .skip(1)
        .filter_map(|part| part.split_once('='))
        .find(|(known, _)| known.trim().eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim().trim_matches('"').to_owned())
}

/// Whether the sender says that a body which is not understood may be left aside (RFC 3204 §5).
fn is_optional(disposition: Option<&str>) -> bool {
    disposition
        .and_then(|value| parameter(value, "handling"))
        .is_some_and(|handling| handling.eq_ignore_ascii_case("optional"))
}

/// The first session description among the parts. Without one, a part that must be understood is a fault.
fn among_parts<'a>(body: &'a [u8], boundary: &str) -> Result<Option<&'a [u8]>, BodyFault> {
    if boundary.is_empty() || boundary.len() > BOUNDARY_MAX {
        return Err(BodyFault::Type);
    }
    let delimiter = format!("--{boundary}");
    let mut fault = None;
    for part in parts(body, delimiter.as_bytes()).take(PARTS_MAX) {
        let Some(head) = find(part, b"\r\n\r\n") else { continue };
        let text = String::from_utf8_lossy(part.get(..head).unwrap_or_default());
        let content = part.get(head + 4..).unwrap_or_default();
        let header = |name: &str| {
            text.lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(known, _)| known.trim().eq_ignore_ascii_case(name))
                .map(|(_, value)| value.trim().to_owned())
        };
        if media_type(&header("Content-Type").unwrap_or_default()) == "application/sdp" {
            return Ok(Some(content));
        }
        if !is_optional(header("Content-Disposition").as_deref()) {
            fault = Some(BodyFault::Type);
        }
    }
    fault.map_or(Ok(None), Err)
}

/// What stands between the delimiters, without the line ends next to them.
fn parts<'a, 'd>(body: &'a [u8], delimiter: &'d [u8]) -> impl Iterator<Item = &'a [u8]> + use<'a, 'd> {
    let mut rest = find(body, delimiter).and_then(|at| body.get(at + delimiter.len()..));
    std::iter::from_fn(move || {
        let here = rest.filter(|here| !here.starts_with(b"--"))?;
        let end = find(here, delimiter)?;
        rest = here.get(end + delimiter.len()..);
        let part = here.get(..end)?;
        // A part without headers begins with the empty line that ends them.
        let part = part.strip_suffix(b"\r\n").unwrap_or(part);
        Some(part.strip_prefix(b"\r\n").unwrap_or(part))
    })
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::{super::parse, *};

    fn with(headers: &str, body: &str) -> Message {
        let text = format!("INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h\r\n{headers}\r\n{body}");
        parse(text.as_bytes()).unwrap()
    }

    fn found(headers: &str, body: &str) -> Result<Option<String>, BodyFault> {
        with(headers, body).description().map(|sdp| sdp.map(|sdp| String::from_utf8_lossy(sdp).into_owned()))
    }

    #[test]
    fn a_description_is_found_alone_and_among_parts() {
        let own = Ok(Some("v=0\r\n".to_owned()));
        assert_eq!(found("c: Application/SDP; charset=x\r\n", "v=0\r\n"), own);
        assert_eq!(found("", "v=0\r\n"), own);
        assert_eq!(found("", ""), Ok(None));
        let isup = "--b1\r\nContent-Type: application/ISUP\r\nContent-Disposition: signal; handling=optional\r\n\r\n\u{1}\u{2}\r\n";
        let mixed =
            format!("preamble\r\n{isup}--b1\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n\r\n--b1--\r\n");
        assert_eq!(found("Content-Type: multipart/mixed;boundary=\"b1\"\r\n", &mixed), own);
        let alone = format!("{isup}--b1--\r\n");
        assert_eq!(found("Content-Type: multipart/mixed;boundary=b1\r\n", &alone), Ok(None));
    }

    #[test]
    fn a_body_that_must_be_understood_and_is_not_is_a_fault() {
        assert_eq!(found("c: text/plain\r\n", "hello"), Err(BodyFault::Type));
        assert_eq!(
            found("c: text/plain\r\nContent-Disposition: render;handling=optional\r\n", "hello"),
            Ok(None)
        );
        assert_eq!(found("c: application/sdp\r\ne: gzip\r\n", "\u{1f}"), Err(BodyFault::Encoding));
        assert_eq!(found("c: application/pkcs7-mime\r\n", "x"), Err(BodyFault::Encrypted));
        assert_eq!(found("c: multipart/mixed\r\n", "--x--"), Err(BodyFault::Type));
        let required = "--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n--b--";
        assert_eq!(found("c: multipart/mixed;boundary=b\r\n", required), Err(BodyFault::Type));
        assert_eq!(found("c: multipart/mixed;boundary=b\r\n", "--b\r\nunterminated"), Ok(None));
    }
}
