//! Cuts a stream into messages by Content-Length (RFC 3261 §18.3). Where a stream cannot be cut any more, what there is
//! of the message is given out as the last one, so that it is answered before the connection is closed.

use super::{check::read_number, parse};

/// What came out of the stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// One message.
    Message(Vec<u8>),
    /// A message whose end cannot be told, or that is too long: its beginning. Nothing comes after it.
    Last(Vec<u8>),
    /// A double line end: answer with a single one (RFC 5626 §3.5.1).
    Ping,
}

/// Bytes of one connection that are not yet a message.
#[derive(Debug)]
pub(crate) struct Framer {
    bytes: Vec<u8>,
    bytes_max: usize,
    /// Up to here no headers end.
    searched: usize,
    /// How long the message is that has begun, once its headers are there.
    whole: Option<usize>,
    over: bool,
}

impl Framer {
    pub(crate) const fn new(bytes_max: usize) -> Self {
        Self { bytes: Vec::new(), bytes_max, searched: 0, whole: None, over: false }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if !self.over {
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// Whether a message has begun that is not whole yet.
    pub(crate) fn is_within_message(&self) -> bool {
        self.bytes.iter().any(|&byte| byte != b'\r' && byte != b'\n')
    }

    /// The next message, if it is whole.
    pub(crate) fn next(&mut self) -> Option<Frame> {
        if self.whole.is_none() {
            if self.bytes.starts_with(b"\r\n\r\n") {
                self.bytes.drain(..4);
                return Some(Frame::Ping);
            }
            self.drop_blank_lines();
            let Some(head) = self.head_length() else {
                return (self.bytes.len() > self.bytes_max).then(|| self.last(self.bytes.len()));
            };
            match body_length(self.bytes.get(..head).unwrap_or_default()) {
                Some(body) if body <= self.bytes_max && head + body <= self.bytes_max => {
                    self.whole = Some(head + body);
                }
                Some(_) | None => return Some(self.last(head)),
            }
        }
        let whole = self.whole.filter(|whole| self.bytes.len() >= *whole)?;
        self.whole = None;
        self.searched = 0;
        Some(Frame::Message(self.bytes.drain(..whole).collect()))
    }

    fn last(&mut self, length: usize) -> Frame {
        self.over = true;
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.truncate(length);
        Frame::Last(bytes)
    }

    /// Drops line ends before a message. A lone one may be the first half of a ping.
    fn drop_blank_lines(&mut self) {
        let blank = self.bytes.iter().take_while(|&&b| b == b'\r' || b == b'\n').count();
        if blank > 0 && blank < self.bytes.len() {
            self.bytes.drain(..blank);
        }
    }

    /// Bytes up to and with the first empty line. Each byte is looked at once, however small the pieces are.
    fn head_length(&mut self) -> Option<usize> {
        let from = self.searched.saturating_sub(3);
        let rest = self.bytes.get(from..).unwrap_or_default();
        let found = rest.windows(4).position(|window| window == b"\r\n\r\n").map(|at| from + at + 4);
        self.searched = self.bytes.len();
        found
    }
}

/// What the headers say about the body's length; none if they say nonsense or contradict themselves: whoever reads
/// two lengths differently than the next one reads other messages than they do.
fn body_length(head: &[u8]) -> Option<usize> {
    let message = parse(head).ok()?;
    let mut lengths = message.all("Content-Length").map(read_number);
    let Some(first) = lengths.next() else { return Some(0) };
    let agree = lengths.all(|other| other == first);
    first.filter(|_| agree).and_then(|length| usize::try_from(length).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(body: &str) -> String {
        format!("OPTIONS sip:a SIP/2.0\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    }

    #[test]
    fn a_stream_is_cut_wherever_the_network_cuts_it() {
        let whole = format!("\r\n{}\r\n\r\n{}", message("abc"), message(""));
        for piece in 1..whole.len() {
            let mut framer = Framer::new(1_000);
            let mut frames = Vec::new();
            for chunk in whole.as_bytes().chunks(piece) {
                framer.push(chunk);
                while let Some(frame) = framer.next() {
                    frames.push(frame);
                }
            }
            let messages: Vec<_> = frames.iter().filter(|frame| **frame != Frame::Ping).collect();
            assert_eq!(
                messages,
                [&Frame::Message(message("abc").into_bytes()), &Frame::Message(message("").into_bytes())],
                "cut in pieces of {piece}"
            );
        }
    }

    #[test]
    fn what_cannot_be_cut_is_given_out_once_and_is_the_last() {
        let mut framer = Framer::new(100);
        framer.push(&[b'a'; 101]);
        assert_eq!(framer.next(), Some(Frame::Last(vec![b'a'; 101])));
        framer.push(b"more");
        assert_eq!((framer.next(), framer.bytes.len()), (None, 0));
        for length in ["5000", "-5", "1\r\nl: 2", "99999999999999999999999"] {
            let mut framer = Framer::new(1_000);
            let head =
                format!("OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/TCP h\r\nContent-Length: {length}\r\n\r\n");
            framer.push(format!("{head}body").as_bytes());
            assert_eq!(framer.next(), Some(Frame::Last(head.into_bytes())), "{length}");
        }
    }
}
