//! The stack against virtual time and written messages: an input and the exact list of what comes out.

mod alive;
mod dialling;
mod door;
mod inside;
mod network;
mod offers;
mod proof;
mod registering;
mod reliable;
mod session;
mod transfer;
mod ways_out;

use std::{net::SocketAddr, time::Duration};

use segue_media::{Codec, Direction, MediaDescription, OpusWishes};

use super::{Hop, LegNews, Locals, Output, Stack, Wanted};
use crate::{
    config::{Secret, SipConfig, Trunk, UserCredential},
    message::{Message, Transport, parse},
    places::Question,
    trunks::TrunkStatus,
    words::{Caller, DialOptions, DialRequest, Headers, Invitation, SipLegId, Target},
};

pub(super) fn media(port: u16) -> MediaDescription {
    MediaDescription {
        rtp: SocketAddr::from(([192, 0, 2, 1], port)),
        rtcp: SocketAddr::from(([192, 0, 2, 1], port + 1)),
        codecs: vec![(Codec::Pcmu, 0), (Codec::Pcma, 8)],
        telephone_event: Some(101),
        ptime_ms: 20,
        direction: Direction::SendRecv,
        security: Vec::new(),
        opus: OpusWishes::default(),
    }
}

pub(super) const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\nm=audio 5000 RTP/AVP 8 0\r\n";

pub(super) fn config() -> SipConfig {
    let carrier = Trunk {
        name: "carrier".into(),
        sources: vec!["198.51.100.0/24".parse().unwrap()],
        credentials: None,
    };
    SipConfig {
        trunks: vec![carrier],
        users: vec![UserCredential { user: "ann".into(), secret: Secret::Password("secret".into()) }],
        ..SipConfig::default()
    }
}

pub(super) fn dial_request(uri: &str) -> DialRequest {
    DialRequest {
        to: Target::Uri(uri.into()),
        from: Caller { user: "100".into(), display: None },
        headers: Headers::new(),
        offer: media(6_000),
        ring_max: Duration::from_secs(20),
        handoff_allowed: true,
        credentials: None,
        options: DialOptions::default(),
    }
}

/// One stack with its clock, and the far side written by hand.
pub(super) struct Bench {
    pub(super) stack: Stack,
    pub(super) now: Duration,
    pub(super) peer: Hop,
    sent: Vec<Message>,
    news: Vec<(SipLegId, LegNews)>,
    calls: Vec<Invitation>,
    presence: Vec<String>,
    lookups: Vec<(Wanted, Question)>,
    trunks: Vec<TrunkStatus>,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::with(&config())
    }

    pub(super) fn with(config: &SipConfig) -> Self {
        let locals = Locals {
            udp: vec!["192.0.2.1:5060".parse().unwrap()],
            tcp: vec!["192.0.2.1:5060".parse().unwrap()],
            ..Locals::default()
        };
        Self {
            stack: Stack::new(config, locals, [3; 32]),
            now: Duration::from_secs(1_000),
            peer: Hop { transport: Transport::Udp, socket: 0, remote: "198.51.100.1:5060".parse().unwrap() },
            sent: Vec::new(),
            news: Vec::new(),
            calls: Vec::new(),
            presence: Vec::new(),
            lookups: Vec::new(),
            trunks: Vec::new(),
        }
    }

    pub(super) fn take(&mut self) {
        while let Some(output) = self.stack.poll_output() {
            match output {
                Output::Send { bytes, .. } => self.sent.push(parse(&bytes).unwrap()),
                Output::Incoming(invitation) => self.calls.push(*invitation),
                Output::Leg(leg, news) => self.news.push((leg, news)),
                Output::Lookup { wanted, question } => self.lookups.push((wanted, question)),
                Output::Trunks(trunks) => self.trunks = trunks,
                Output::Registered { user, contact } => self.presence.push(format!("{user} at {contact}")),
                Output::Unregistered { user, why } => self.presence.push(format!("{user} gone: {why:?}")),
            }
        }
    }

    /// Hands over a message and gives what was sent in answer.
    pub(super) fn hear(&mut self, text: &str) -> Vec<Message> {
        self.stack.receive(self.now, self.peer, text.as_bytes());
        self.sent()
    }

    /// What was sent since the last look.
    pub(super) fn sent(&mut self) -> Vec<Message> {
        self.take();
        std::mem::take(&mut self.sent)
    }

    pub(super) fn news(&mut self) -> Vec<(SipLegId, LegNews)> {
        self.take();
        std::mem::take(&mut self.news)
    }

    pub(super) fn presence(&mut self) -> Vec<String> {
        self.take();
        std::mem::take(&mut self.presence)
    }

    pub(super) fn call(&mut self) -> Invitation {
        self.take();
        assert_eq!(self.calls.len(), 1, "calls that came in");
        self.calls.remove(0)
    }

    /// Moves on, alarm by alarm; gives when what was sent, in milliseconds from now on.
    pub(super) fn pass(&mut self, time: Duration) -> Vec<(u64, String)> {
        let (start, end) = (self.now, self.now + time);
        let mut log = Vec::new();
        while let Some(at) = self.stack.next_alarm().filter(|at| *at <= end) {
            self.now = at.max(self.now);
            self.stack.wake(self.now);
            let after = u64::try_from((self.now - start).as_millis()).unwrap();
            log.extend(self.sent().iter().map(|message| (after, first_line(message))));
        }
        self.now = end;
        self.stack.wake(end);
        log
    }

    /// Long enough for every transaction to end, then nothing may be left.
    pub(super) fn nothing_is_left(&mut self) {
        self.pass(Duration::from_secs(200));
        let counts = self.stack.counts();
        assert_eq!(
            (counts.dialogs, counts.transactions, counts.timers),
            (0, 0, counts.registrations.min(1)),
            "{counts:?}"
        );
        assert!(self.stack.dialogs.is_empty() && self.stack.dials.is_empty());
        assert_eq!(self.stack.incoming, 0);
    }

    /// A call of theirs that we answered and they acknowledged; gives our leg and our tag.
    pub(super) fn call_in(&mut self) -> (SipLegId, String) {
        self.hear(&invite("in", OFFER));
        let leg = self.call().leg;
        self.stack.answer(self.now, leg, media(4_000)).unwrap();
        let answer = self.sent().pop().unwrap();
        let tag = answer.to_tag().unwrap();
        self.hear(&request("ACK", 1, &tag, ""));
        assert_eq!(self.news(), []);
        (leg, tag)
    }

    /// A call of ours that they answered; gives the leg, our INVITE and their tag.
    pub(super) fn call_out(&mut self) -> (SipLegId, Message) {
        let (leg, invite) = self.dial("sip:bot@198.51.100.1");
        let sent = self.hear(&answer(&invite, 200, "theirs", OFFER));
        assert_eq!(lines(&sent), ["ACK sip:far@198.51.100.1:5060"]);
        assert!(matches!(self.news().as_slice(), [(known, LegNews::Answered { .. })] if *known == leg));
        (leg, invite)
    }

    pub(super) fn dial(&mut self, uri: &str) -> (SipLegId, Message) {
        self.dial_as(dial_request(uri))
    }

    pub(super) fn dial_with(&mut self, change: impl FnOnce(&mut DialOptions)) -> (SipLegId, Message) {
        let mut request = dial_request("sip:bot@198.51.100.1");
        change(&mut request.options);
        self.dial_as(request)
    }

    /// The requests of one kind that were sent since the last look; everything else is forgotten.
    pub(super) fn requests(&mut self, method: &str) -> Vec<Message> {
        let mut sent = self.sent();
        sent.retain(|message| message.method().is_some_and(|own| own.name() == method));
        sent
    }

    /// Moves on to the next alarm.
    pub(super) fn step(&mut self) {
        if let Some(at) = self.stack.next_alarm() {
            self.now = at.max(self.now);
            self.stack.wake(self.now);
        }
    }

    fn dial_as(&mut self, request: DialRequest) -> (SipLegId, Message) {
        let leg = self.stack.next_leg();
        let super::Route::Here(contacts) = self.stack.route(&request.to) else { panic!("no route") };
        self.stack.dial(self.now, leg, request, contacts);
        (leg, self.sent().pop().unwrap())
    }
}

pub(super) fn first_line(message: &Message) -> String {
    match message.code() {
        Some(code) => {
            let method = message.cseq().map(|(_, method)| method.name().to_owned()).unwrap_or_default();
            format!("{code} {method}")
        }
        None => format!("{} {}", message.method().unwrap().name(), message.uri()),
    }
}

pub(super) fn lines(messages: &[Message]) -> Vec<String> {
    messages.iter().map(first_line).collect()
}

/// An INVITE of theirs outside of a dialog.
pub(super) fn invite(branch: &str, sdp: &str) -> String {
    let kind = if sdp.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!(
        "INVITE sip:help@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.1;branch=z9hG4bK{branch};rport\r\n\
         From: \"Caller\" <sip:+4930@198.51.100.1>;tag=theirs\r\nTo: <sip:help@192.0.2.1>\r\nCall-ID: c1\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:far@198.51.100.1:5060>\r\nMax-Forwards: 70\r\nX-Tenant: blue\r\n{kind}Content-Length: {}\r\n\r\n{sdp}",
        sdp.len()
    )
}

/// A request of theirs inside of the dialog that [`invite`] made.
pub(super) fn request(method: &str, number: u32, tag: &str, rest: &str) -> String {
    let (headers, body) = rest.split_once("\r\n\r\n").unwrap_or((rest, ""));
    let headers = if headers.is_empty() { String::new() } else { format!("{headers}\r\n") };
    format!(
        "{method} sip:us@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.1;branch=z9hG4bK{method}{number};rport\r\n\
         From: <sip:+4930@198.51.100.1>;tag=theirs\r\nTo: <sip:help@192.0.2.1>;tag={tag}\r\nCall-ID: c1\r\n\
         CSeq: {number} {method}\r\nContact: <sip:far@198.51.100.1:5060>\r\nMax-Forwards: 70\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A request of theirs inside of a dialog that our INVITE made.
pub(super) fn inside(invite: &Message, method: &str, number: u32, tag: &str, rest: &str) -> String {
    let (headers, body) = rest.split_once("\r\n\r\n").unwrap_or((rest, ""));
    let headers = if headers.is_empty() { String::new() } else { format!("{headers}\r\n") };
    format!(
        "{method} sip:us@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.1;branch=z9hG4bK{tag}{method}{number};rport\r\n\
         From: {};tag={tag}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {number} {method}\r\n\
         Contact: <sip:far@198.51.100.1:5060>\r\nMax-Forwards: 70\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        invite.first("To").unwrap(),
        invite.first("From").unwrap(),
        invite.call_id(),
        body.len()
    )
}

pub(super) fn with_sdp(sdp: &str) -> String {
    format!("Content-Type: application/sdp\r\n\r\n{sdp}")
}

/// Their response to a request of ours.
pub(super) fn answer(request: &Message, code: u16, tag: &str, sdp: &str) -> String {
    let mut response = Message::response(request, code, "Words");
    if code > 100 {
        let to = request.first("To").unwrap().to_owned();
        if !to.contains("tag=") {
            response.set("To", format!("{to};tag={tag}"));
        }
        response.push("Contact", "<sip:far@198.51.100.1:5060>");
    }
    if !sdp.is_empty() {
        response.set_sdp(sdp.to_owned());
    }
    String::from_utf8(response.bytes()).unwrap()
}
