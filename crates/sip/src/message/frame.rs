//! Cuts a TCP stream into messages by Content-Length (RFC 3261 §18.3). A stream that cannot be cut is closed.

use super::parse;

/// What came out of the stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// One message.
    Message(Vec<u8>),
    /// A double line end: answer with a single one (RFC 5626 §3.5.1).
    Ping,
}

/// Bytes of one connection that are not yet a message.
#[derive(Debug)]
pub(crate) struct Framer {
    bytes: Vec<u8>,
    bytes_max: usize,
}

/// The stream cannot be cut into messages any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("a message is longer than the limit")]
    TooLong,
    #[error("a message on TCP has no usable Content-Length")]
    NoLength,
}

impl Framer {
    pub(crate) const fn new(bytes_max: usize) -> Self {
        Self { bytes: Vec::new(), bytes_max }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Whether a message has begun that is not whole yet.
    pub(crate) fn is_within_message(&self) -> bool {
        self.bytes.iter().any(|&byte| byte != b'\r' && byte != b'\n')
    }

    /// The next message, if it is whole.
    pub(crate) fn next(&mut self) -> Result<Option<Frame>, FrameError> {
        if self.bytes.starts_with(b"\r\n\r\n") {
            self.bytes.drain(..4);
            return Ok(Some(Frame::Ping));
        }
        let blank = self.bytes.iter().take_while(|&&b| b == b'\r' || b == b'\n').count();
        // A lone line end may be the first half of a ping.
        if blank > 0 && blank < self.bytes.len() {
            self.bytes.drain(..blank);
        }
        let Some(head) = head_length(&self.bytes) else {
            return if self.bytes.len() > self.bytes_max { Err(FrameError::TooLong) } else { Ok(None) };
        };
        let body = self
            .bytes
            .get(..head)
            .and_then(|head| parse(head).ok())
            .ok_or(FrameError::NoLength)?
            .first("Content-Length")
            .map_or(Ok(0), str::parse::<usize>)
            .map_err(|_| FrameError::NoLength)?;
        if body > self.bytes_max || head + body > self.bytes_max {
            return Err(FrameError::TooLong);
        }
        if self.bytes.len() < head + body {
            return Ok(None);
        }
        Ok(Some(Frame::Message(self.bytes.drain(..head + body).collect())))
    }
}

/// Bytes up to and with the first empty line.
fn head_length(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
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
                while let Some(frame) = framer.next().unwrap() {
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
    fn a_stream_that_never_ends_a_message_is_an_error() {
        let mut framer = Framer::new(100);
        framer.push(&[b'a'; 101]);
        assert_eq!(framer.next(), Err(FrameError::TooLong));
        let mut framer = Framer::new(1_000);
        framer.push(b"OPTIONS sip:a SIP/2.0\r\nContent-Length: 5000\r\n\r\n");
        assert_eq!(framer.next(), Err(FrameError::TooLong));
        let mut framer = Framer::new(1_000);
        framer.push(b"OPTIONS sip:a SIP/2.0\r\nContent-Length: -5\r\n\r\n");
        assert_eq!(framer.next(), Err(FrameError::NoLength));
    }
}
