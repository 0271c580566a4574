//! SIP messages as we hold them: a start line, headers in order, a body. Names are kept in their long form.
//!
//! Reading is lenient (`parse`), judging is strict (`check`) and comes once, before anybody uses a message.

mod address;
mod body;
mod check;
mod frame;
pub(crate) mod octets;
mod parse;
mod transport;
mod via;

use std::fmt::Write as _;

pub use address::user_and_host;
pub(crate) use address::{NameAddress, Uri, escape_user, quoted, split_list, split_params};
pub(crate) use body::BodyFault;
pub(crate) use frame::{Frame, Framer};
pub(crate) use parse::{ParseError, parse};
pub(crate) use transport::Transport;
pub(crate) use via::{COOKIE, Via};

/// A request or a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) start: Start,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// What reading found wrong; `check` answers with it.
    flaw: Option<check::Fault>,
}

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// A request.
    Request { method: Method, uri: String, version_known: bool },
    /// A response.
    Response { code: u16, reason: String },
}

/// A request's method.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Method {
    Invite,
    Ack,
    Bye,
    Cancel,
    Options,
    Register,
    Update,
    Refer,
    Notify,
    Info,
    Message,
    Subscribe,
    Publish,
    Prack,
    /// One that no RFC we know defines.
    Other(String),
}

/// What we say in Allow.
pub(crate) const ALLOW: &str =
    "INVITE, ACK, BYE, CANCEL, OPTIONS, PRACK, UPDATE, INFO, REFER, NOTIFY, REGISTER";

/// What we say in Accept.
pub(crate) const ACCEPT: &str = "application/sdp, multipart/mixed";

impl Method {
    pub(crate) fn read(token: &str) -> Self {
        match token {
            "INVITE" => Self::Invite,
            "ACK" => Self::Ack,
            "BYE" => Self::Bye,
            "CANCEL" => Self::Cancel,
            "OPTIONS" => Self::Options,
            "REGISTER" => Self::Register,
            "UPDATE" => Self::Update,
            "REFER" => Self::Refer,
            "NOTIFY" => Self::Notify,
            "INFO" => Self::Info,
            "MESSAGE" => Self::Message,
            "SUBSCRIBE" => Self::Subscribe,
            "PUBLISH" => Self::Publish,
            "PRACK" => Self::Prack,
            other => Self::Other(other.to_owned()),
        }
    }

    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Invite => "INVITE",
            Self::Ack => "ACK",
            Self::Bye => "BYE",
            Self::Cancel => "CANCEL",
            Self::Options => "OPTIONS",
            Self::Register => "REGISTER",
            Self::Update => "UPDATE",
            Self::Refer => "REFER",
            Self::Notify => "NOTIFY",
            Self::Info => "INFO",
            Self::Message => "MESSAGE",
            Self::Subscribe => "SUBSCRIBE",
            Self::Publish => "PUBLISH",
            Self::Prack => "PRACK",
            Self::Other(name) => name,
        }
    }
}

impl Message {
    pub(crate) fn request(method: Method, uri: String) -> Self {
        Self {
            start: Start::Request { method, uri, version_known: true },
            headers: Vec::with_capacity(16),
            body: Vec::new(),
            flaw: None,
        }
    }

    /// A response with the headers that RFC 3261 §8.2.6.2 copies, octet for octet; the caller adds a To tag.
    pub(crate) fn response(request: &Self, code: u16, reason: &str) -> Self {
        let mut response = Self {
            start: Start::Response { code, reason: reason.to_owned() },
            headers: Vec::with_capacity(12),
            body: Vec::new(),
            flaw: None,
        };
        for name in ["Via", "From", "To", "Call-ID", "CSeq", "Timestamp"] {
            let once = name != "Via";
            for value in request.all(name) {
                response.push(name, value);
                if once {
                    break;
                }
            }
        }
        response
    }

    pub(crate) const fn method(&self) -> Option<&Method> {
        match &self.start {
            Start::Request { method, .. } => Some(method),
            Start::Response { .. } => None,
        }
    }

    pub(crate) const fn code(&self) -> Option<u16> {
        match self.start {
            Start::Request { .. } => None,
            Start::Response { code, .. } => Some(code),
        }
    }

    pub(crate) fn reason(&self) -> &str {
        match &self.start {
            Start::Request { .. } => "",
            Start::Response { reason, .. } => reason,
        }
    }

    /// The Request-URI; empty for a response.
    pub(crate) fn uri(&self) -> &str {
        match &self.start {
            Start::Request { uri, .. } => uri,
            Start::Response { .. } => "",
        }
    }

    pub(crate) fn push(&mut self, name: &str, value: impl Into<String>) {
        self.headers.push((name.to_owned(), value.into()));
    }

    /// Puts a header in the place of the first of its name, or at the end.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        let value = value.into();
        match self.headers.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
            Some((_, old)) => *old = value,
            None => self.headers.push((name.to_owned(), value)),
        }
    }

    /// Gives a request of ours its only Via, in front of everything else.
    pub(crate) fn set_via(&mut self, value: String) {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case("Via"));
        self.headers.insert(0, ("Via".to_owned(), value));
    }

    pub(crate) fn first(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers
            .iter()
            .filter(move |(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    /// The values of a header that may be written as a list or in several lines.
    pub(crate) fn list<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.all(name).flat_map(split_list)
    }

    pub(crate) fn call_id(&self) -> &str {
        self.first("Call-ID").unwrap_or("")
    }

    pub(crate) fn sender(&self) -> Option<NameAddress> {
        NameAddress::read(self.first("From")?)
    }

    pub(crate) fn to(&self) -> Option<NameAddress> {
        NameAddress::read(self.first("To")?)
    }

    /// The From tag; empty if there is none, as with RFC 2543 clients.
    pub(crate) fn sender_tag(&self) -> String {
        self.sender().and_then(|from| from.tag()).unwrap_or_default()
    }

    pub(crate) fn to_tag(&self) -> Option<String> {
        self.to().and_then(|to| to.tag())
    }

    /// Gives the To of a response its tag, if it has none, and leaves the rest of it as it came.
    pub(crate) fn tag_to(&mut self, tag: &str) {
        if let Some(to) = self.to()
            && to.tag().is_none()
            && let Some(value) = self.first("To").map(|to| format!("{to};tag={tag}"))
        {
            self.set("To", value);
        }
    }

    /// CSeq number and method.
    pub(crate) fn cseq(&self) -> Option<(u32, Method)> {
        let mut words = self.first("CSeq")?.split_ascii_whitespace();
        let number: u32 = words.next()?.parse().ok()?;
        let method = Method::read(words.next()?);
        (number < 1 << 31 && words.next().is_none()).then_some((number, method))
    }

    pub(crate) fn top_via(&self) -> Option<Via> {
        Via::read(self.list("Via").next()?)
    }

    pub(crate) fn contact(&self) -> Option<NameAddress> {
        NameAddress::read(self.list("Contact").next()?)
    }

    pub(crate) fn set_sdp(&mut self, sdp: String) {
        self.set("Content-Type", "application/sdp");
        self.body = sdp.into_bytes();
    }

    /// The message as bytes, Content-Length with it.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut text = String::with_capacity(512 + self.body.len());
        // Writing to a String cannot fail.
        match &self.start {
            Start::Request { method, uri, .. } => {
                text.push_str(method.name());
                text.push(' ');
                text.push_str(uri);
                text.push_str(" SIP/2.0\r\n");
            }
            Start::Response { code, reason } => {
                write!(text, "SIP/2.0 {code} {reason}\r\n").unwrap_or_default();
            }
        }
        for (name, value) in &self.headers {
            if !name.eq_ignore_ascii_case("Content-Length") {
                text.push_str(name);
                text.push_str(": ");
                text.push_str(value);
                text.push_str("\r\n");
            }
        }
        write!(text, "Content-Length: {}\r\n\r\n", self.body.len()).unwrap_or_default();
        let mut bytes = octets::give(&text).into_owned();
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// The usual words for a status code.
pub(crate) const fn reason_of(code: u16) -> &'static str {
    match code {
        100 => "Trying",
        180 => "Ringing",
        183 => "Session Progress",
        200 => "OK",
        202 => "Accepted",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        413 => "Request Entity Too Large",
        414 => "Request-URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Unsupported URI Scheme",
        420 => "Bad Extension",
        421 => "Extension Required",
        422 => "Session Interval Too Small",
        423 => "Interval Too Brief",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        482 => "Loop Detected",
        483 => "Too Many Hops",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        491 => "Request Pending",
        493 => "Undecipherable",
        500 => "Server Internal Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        504 => "Server Time-out",
        505 => "Version Not Supported",
        513 => "Message Too Large",
        603 => "Decline",
        _ => "Refused",
    }
}
