//! Session descriptions for one audio stream: read, offer, answer (RFC 4566, RFC 3264).
//!
//! Reading is line by line and takes what the trade sends: lines out of order, unknown lines, odd blanks.
//! The answer takes the offerer's first G.711 codec; every other stream is rejected with port 0.

use std::{
    fmt::Write as _,
    net::{IpAddr, SocketAddr},
};

use segue_media::{Codec, Direction, MediaDescription};

/// A session description, read: the audio stream we can speak, and what an answer has to mirror.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    /// Their side; all G.711 codecs in their order. At least one.
    pub(crate) media: MediaDescription,
    /// Whether they can carry RTCP on the RTP port.
    rtcp_mux: bool,
    /// All streams, the chosen one among them.
    streams: Vec<Stream>,
    /// The place of the chosen one.
    chosen: usize,
}

/// A stream as the answer has to name it again.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stream {
    kind: String,
    protocol: String,
    formats: String,
}

/// Why a description leads to no call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SdpError {
    #[error("the body is not a session description")]
    NotSdp,
    #[error("the description has no audio stream over plain RTP")]
    NoAudio,
    #[error("the description has more than {STREAMS_MAX} streams")]
    TooManyStreams,
    #[error("no codec in common: we speak PCMU and PCMA")]
    NoCommonCodec,
}

/// The o= line's numbers. The version grows with each change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) session: u64,
    pub(crate) version: u64,
}

/// Both sides of an agreed stream; the first codec of each is the one in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Agreed {
    pub(crate) remote: MediaDescription,
    pub(crate) local: MediaDescription,
}

const STREAMS_MAX: usize = 16;
const LINES_MAX: usize = 2_000;

/// What the lines at session level, or under one m= line, say.
#[derive(Clone, Debug, Default)]
struct Block {
    connection: Option<Option<IpAddr>>,
    direction: Option<Direction>,
    ptime: Option<u32>,
    ptime_max: Option<u32>,
    rtcp: Option<(u16, Option<IpAddr>)>,
    rtcp_mux: bool,
    maps: Vec<(u8, String)>,
}

struct Draft {
    stream: Stream,
    port: u16,
    block: Block,
}

impl Session {
    /// Reads a description. `signalling` stands in for a connection address that is a host name.
    ///
    /// # Errors
    /// Says why the description leads to no call.
    pub(crate) fn read(body: &[u8], signalling: IpAddr) -> Result<Self, SdpError> {
        let text = String::from_utf8_lossy(body);
        let mut session = Block::default();
        let mut drafts: Vec<Draft> = Vec::new();
        let mut versioned = false;
        for line in text.split(['\r', '\n']).filter(|line| !line.is_empty()).take(LINES_MAX) {
            let Some((kind, value)) = line.split_once('=') else { continue };
            let value = value.trim();
            match kind.trim() {
                "v" => versioned = value == "0",
                "m" => {
                    if drafts.len() == STREAMS_MAX {
                        return Err(SdpError::TooManyStreams);
                    }
                    drafts.push(Draft::read(value).ok_or(SdpError::NotSdp)?);
                }
                kind => drafts.last_mut().map_or(&mut session, |draft| &mut draft.block).line(kind, value),
            }
        }
        if !versioned {
            return Err(SdpError::NotSdp);
        }
        Self::choose(&session, &drafts, signalling)
    }

    fn choose(session: &Block, drafts: &[Draft], signalling: IpAddr) -> Result<Self, SdpError> {
        let mut reason = SdpError::NoAudio;
        for (chosen, draft) in drafts.iter().enumerate().filter(|(_, draft)| draft.is_plain_audio()) {
            let codecs = draft.codecs();
            if codecs.is_empty() {
                reason = SdpError::NoCommonCodec;
                continue;
            }
            return Ok(Self {
                media: draft.describe(session, codecs, signalling),
                rtcp_mux: draft.block.rtcp_mux,
                streams: drafts.iter().map(|draft| draft.stream.clone()).collect(),
                chosen,
            });
        }
        Err(reason)
    }

    /// The stream as both sides will use it, if `local` answers this offer.
    ///
    /// # Errors
    /// [`SdpError::NoCommonCodec`].
    pub(crate) fn agree(&self, local: &MediaDescription) -> Result<Agreed, SdpError> {
        let &(codec, payload) = self
            .media
            .codecs
            .iter()
            .find(|(codec, _)| local.codecs.iter().any(|(ours, _)| ours == codec))
            .ok_or(SdpError::NoCommonCodec)?;
        let event = self.media.telephone_event.filter(|_| local.telephone_event.is_some());
        let mux = self.rtcp_mux && local.rtcp == local.rtp;
        let mut remote = self.media.clone();
        remote.codecs.retain(|&(known, _)| known != codec);
        remote.codecs.insert(0, (codec, payload));
        remote.telephone_event = event;
        if mux {
            remote.rtcp = remote.rtp;
        }
        let local = MediaDescription {
            codecs: vec![(codec, payload)],
            telephone_event: event,
            direction: meet(local.direction, mirror(self.media.direction)),
            ..local.clone()
        };
        Ok(Agreed { remote, local })
    }

    /// The stream as both sides will use it, if this answers our offer `local`.
    ///
    /// # Errors
    /// [`SdpError::NoCommonCodec`].
    pub(crate) fn agree_to_offer(&self, local: &MediaDescription) -> Result<Agreed, SdpError> {
        let mut remote = self.media.clone();
        remote.codecs.retain(|(codec, _)| local.codecs.iter().any(|(ours, _)| ours == codec));
        let &(codec, payload) = remote.codecs.first().ok_or(SdpError::NoCommonCodec)?;
        let ours = local.codecs.iter().find(|(ours, _)| *ours == codec).map_or(payload, |&(_, ours)| ours);
        remote.telephone_event = remote.telephone_event.filter(|_| local.telephone_event.is_some());
        if self.rtcp_mux && local.rtcp == local.rtp {
            remote.rtcp = remote.rtp;
        }
        let local = MediaDescription {
            codecs: vec![(codec, ours)],
            telephone_event: local.telephone_event.filter(|_| remote.telephone_event.is_some()),
            direction: meet(local.direction, mirror(remote.direction)),
            ..local.clone()
        };
        Ok(Agreed { remote, local })
    }

    /// The answer to this offer: the agreed stream, everything else rejected with port 0.
    pub(crate) fn answer(&self, agreed: &Agreed, origin: Origin) -> String {
        let mut text = head(&agreed.local, origin);
        for (place, stream) in self.streams.iter().enumerate() {
            if place == self.chosen {
                let mux = self.rtcp_mux && agreed.local.rtcp == agreed.local.rtp;
                print_audio(&mut text, &agreed.local, &stream.protocol, mux);
            } else {
                line(&mut text, format_args!("m={} 0 {} {}", stream.kind, stream.protocol, stream.formats));
            }
        }
        text
    }
}

/// Our offer.
pub(crate) fn offer(local: &MediaDescription, origin: Origin) -> String {
    let mut text = head(local, origin);
    print_audio(&mut text, local, "RTP/AVP", local.rtcp == local.rtp);
    text
}

impl Draft {
    fn read(value: &str) -> Option<Self> {
        let mut words = value.splitn(4, |c: char| c.is_ascii_whitespace());
        let kind = words.next()?;
        let port = words.next()?;
        let protocol = words.next()?;
        let formats = words.next()?.trim();
        // A port may name how many there are: 5004/2.
        let port = port.split('/').next()?.parse().ok()?;
        let clean = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_graphic() || c == ' ');
        (clean(kind) && clean(protocol) && clean(formats)).then(|| Self {
            stream: Stream {
                kind: kind.to_owned(),
                protocol: protocol.to_owned(),
                formats: formats.to_owned(),
            },
            port,
            block: Block::default(),
        })
    }

    fn is_plain_audio(&self) -> bool {
        let protocol = &self.stream.protocol;
        self.stream.kind.eq_ignore_ascii_case("audio")
            && self.port != 0
            && (protocol.eq_ignore_ascii_case("RTP/AVP") || protocol.eq_ignore_ascii_case("RTP/AVPF"))
    }

    fn payloads(&self) -> impl Iterator<Item = u8> {
        self.stream
            .formats
            .split_ascii_whitespace()
            .filter_map(|word| word.parse().ok())
            .filter(|pt| *pt < 128)
    }

    /// The encoding of a payload type, in upper case; the static types need no rtpmap (RFC 3551 §6).
    fn encoding(&self, payload: u8) -> Option<String> {
        let mapped =
            self.block.maps.iter().find(|(known, _)| *known == payload).map(|(_, name)| name.clone());
        mapped.or_else(|| match payload {
            0 => Some("PCMU/8000".to_owned()),
            8 => Some("PCMA/8000".to_owned()),
            _ => None,
        })
    }

    fn codecs(&self) -> Vec<(Codec, u8)> {
        let mut codecs: Vec<(Codec, u8)> = Vec::with_capacity(2);
        for payload in self.payloads() {
            let codec = match self.encoding(payload).as_deref() {
                Some("PCMU/8000" | "PCMU/8000/1") => Codec::Pcmu,
                Some("PCMA/8000" | "PCMA/8000/1") => Codec::Pcma,
                Some(_) | None => continue,
            };
            if !codecs.iter().any(|(known, _)| *known == codec) {
                codecs.push((codec, payload));
            }
        }
        codecs
    }

    fn describe(&self, session: &Block, codecs: Vec<(Codec, u8)>, signalling: IpAddr) -> MediaDescription {
        let connection = self.block.connection.or(session.connection);
        let address = connection.flatten().unwrap_or(signalling);
        let rtp = SocketAddr::new(address, self.port);
        let rtcp = match self.block.rtcp {
            Some((port, named)) => SocketAddr::new(named.unwrap_or(address), port),
            None => SocketAddr::new(address, self.port.checked_add(1).unwrap_or(self.port)),
        };
        let ptime_max = self.block.ptime_max.unwrap_or(60).clamp(10, 60);
        let ptime = self.block.ptime.or(session.ptime).unwrap_or(20).clamp(10, ptime_max);
        let direction = self.block.direction.or(session.direction).unwrap_or_default();
        // c=0.0.0.0 is how hold was said before RFC 3264.
        let direction =
            if address.is_unspecified() { meet(direction, Direction::SendOnly) } else { direction };
        MediaDescription {
            rtp,
            rtcp,
            codecs,
            telephone_event: self.payloads().find(|&payload| {
                self.encoding(payload).is_some_and(|name| name.starts_with("TELEPHONE-EVENT/8000"))
            }),
            ptime_ms: ptime - ptime % 10,
            direction,
        }
    }
}

impl Block {
    fn line(&mut self, kind: &str, value: &str) {
        match kind {
            "c" => self.connection = Some(value.split_ascii_whitespace().nth(2).and_then(read_address)),
            "a" => self.attribute(value),
            _ => {}
        }
    }

    fn attribute(&mut self, value: &str) {
        let (name, value) = value.split_once(':').unwrap_or((value, ""));
        match name.trim() {
            "sendrecv" => self.direction = Some(Direction::SendRecv),
            "sendonly" => self.direction = Some(Direction::SendOnly),
            "recvonly" => self.direction = Some(Direction::RecvOnly),
            "inactive" => self.direction = Some(Direction::Inactive),
            "rtcp-mux" => self.rtcp_mux = true,
            "ptime" => self.ptime = read_milliseconds(value),
            "maxptime" => self.ptime_max = read_milliseconds(value),
            "rtcp" => {
                let mut words = value.split_ascii_whitespace();
                self.rtcp = words
                    .next()
                    .and_then(|port| port.parse().ok())
                    .filter(|port| *port != 0)
                    .map(|port| (port, words.nth(2).and_then(read_address)));
            }
            "rtpmap" => {
                let mut words = value.split_ascii_whitespace();
                if let (Some(Ok(payload)), Some(name)) = (words.next().map(str::parse), words.next())
                    && self.maps.len() < 128
                {
                    self.maps.push((payload, name.to_ascii_uppercase()));
                }
            }
            _ => {}
        }
    }
}

/// An address; a multicast one, with or without its TTL, is none that we send to.
fn read_address(word: &str) -> Option<IpAddr> {
    word.parse().ok().filter(|address: &IpAddr| !address.is_multicast())
}

/// Whole milliseconds; some write `20.0`.
fn read_milliseconds(text: &str) -> Option<u32> {
    text.trim().split('.').next()?.parse().ok()
}

/// The same stream, seen from the other side.
const fn mirror(direction: Direction) -> Direction {
    match direction {
        Direction::SendOnly => Direction::RecvOnly,
        Direction::RecvOnly => Direction::SendOnly,
        Direction::SendRecv | Direction::Inactive => direction,
    }
}

/// What is left when one side wants `a` and the other allows `b`.
const fn meet(a: Direction, b: Direction) -> Direction {
    let sends = matches!(a, Direction::SendRecv | Direction::SendOnly)
        && matches!(b, Direction::SendRecv | Direction::SendOnly);
    let hears = matches!(a, Direction::SendRecv | Direction::RecvOnly)
        && matches!(b, Direction::SendRecv | Direction::RecvOnly);
    match (sends, hears) {
        (true, true) => Direction::SendRecv,
        (true, false) => Direction::SendOnly,
        (false, true) => Direction::RecvOnly,
        (false, false) => Direction::Inactive,
    }
}

fn line(text: &mut String, words: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    text.write_fmt(words).unwrap_or_default();
    text.push_str("\r\n");
}

const fn family(address: IpAddr) -> &'static str {
    match address {
        IpAddr::V4(_) => "IP4",
        IpAddr::V6(_) => "IP6",
    }
}

fn head(local: &MediaDescription, origin: Origin) -> String {
    let mut text = String::with_capacity(320);
    let address = local.rtp.ip();
    line(&mut text, format_args!("v=0"));
    line(
        &mut text,
        format_args!("o=- {} {} IN {} {address}", origin.session, origin.version, family(address)),
    );
    line(&mut text, format_args!("s=-"));
    line(&mut text, format_args!("c=IN {} {address}", family(address)));
    line(&mut text, format_args!("t=0 0"));
    text
}

fn print_audio(text: &mut String, local: &MediaDescription, protocol: &str, mux: bool) {
    write!(text, "m=audio {} {protocol}", local.rtp.port()).unwrap_or_default();
    for (_, payload) in &local.codecs {
        write!(text, " {payload}").unwrap_or_default();
    }
    if let Some(payload) = local.telephone_event {
        write!(text, " {payload}").unwrap_or_default();
    }
    text.push_str("\r\n");
    for (codec, payload) in &local.codecs {
        let name = match codec {
            Codec::Pcmu => "PCMU",
            Codec::Pcma => "PCMA",
        };
        line(text, format_args!("a=rtpmap:{payload} {name}/8000"));
    }
    if let Some(payload) = local.telephone_event {
        line(text, format_args!("a=rtpmap:{payload} telephone-event/8000"));
        line(text, format_args!("a=fmtp:{payload} 0-15"));
    }
    line(text, format_args!("a=ptime:{}", local.ptime_ms));
    if mux {
        line(text, format_args!("a=rtcp-mux"));
    } else if local.rtcp != local.rtp && Some(local.rtcp.port()) != local.rtp.port().checked_add(1) {
        line(text, format_args!("a=rtcp:{}", local.rtcp.port()));
    }
    let direction = match local.direction {
        Direction::SendRecv => "sendrecv",
        Direction::SendOnly => "sendonly",
        Direction::RecvOnly => "recvonly",
        Direction::Inactive => "inactive",
    };
    line(text, format_args!("a={direction}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNALLING: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 9));
    const ORIGIN: Origin = Origin { session: 7, version: 1 };

    fn local() -> MediaDescription {
        MediaDescription {
            rtp: "10.0.0.1:4000".parse().unwrap(),
            rtcp: "10.0.0.1:4001".parse().unwrap(),
            codecs: vec![(Codec::Pcmu, 0), (Codec::Pcma, 8)],
            telephone_event: Some(101),
            ptime_ms: 20,
            direction: Direction::SendRecv,
        }
    }

    fn read(lines: &str) -> Result<Session, SdpError> {
        let text =
            format!("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n{lines}");
        Session::read(text.as_bytes(), SIGNALLING)
    }

    #[test]
    fn the_offerers_first_g711_is_taken() {
        let session = read("m=audio 5000 RTP/AVP 9 8 0 96\r\na=rtpmap:96 telephone-event/8000\r\n").unwrap();
        let agreed = session.agree(&local()).unwrap();
        assert_eq!(agreed.local.codecs, [(Codec::Pcma, 8)]);
        assert_eq!(agreed.remote.codecs, [(Codec::Pcma, 8), (Codec::Pcmu, 0)]);
        assert_eq!(agreed.local.telephone_event, Some(96));
        assert_eq!(agreed.remote.rtp, "192.0.2.1:5000".parse().unwrap());
        assert_eq!(agreed.remote.rtcp, "192.0.2.1:5001".parse().unwrap());
        let answer = session.answer(&agreed, ORIGIN);
        assert!(answer.contains("m=audio 4000 RTP/AVP 8 96\r\n"), "{answer}");
    }

    #[test]
    fn a_hold_is_answered_from_the_other_side() {
        for (theirs, ours) in [
            ("a=sendonly", Direction::RecvOnly),
            ("a=recvonly", Direction::SendOnly),
            ("a=inactive", Direction::Inactive),
            ("a=sendrecv", Direction::SendRecv),
            ("c=IN IP4 0.0.0.0", Direction::RecvOnly),
        ] {
            let session = read(&format!("m=audio 5000 RTP/AVP 0\r\n{theirs}\r\n")).unwrap();
            assert_eq!(session.agree(&local()).unwrap().local.direction, ours, "{theirs}");
        }
    }

    #[test]
    fn other_streams_are_rejected_in_their_place() {
        let session =
            read("m=video 5002 RTP/AVP 96\r\nm=audio 5000 RTP/AVP 0\r\nm=audio 5004 RTP/AVP 8\r\nm=application 9 UDP/BFCP *\r\n").unwrap();
        let answer = session.answer(&session.agree(&local()).unwrap(), ORIGIN);
        let streams: Vec<_> = answer.lines().filter(|line| line.starts_with("m=")).collect();
        assert_eq!(
            streams,
            [
                "m=video 0 RTP/AVP 96",
                "m=audio 4000 RTP/AVP 0",
                "m=audio 0 RTP/AVP 8",
                "m=application 0 UDP/BFCP *"
            ]
        );
    }

    #[test]
    fn rtcp_follows_its_attributes() {
        let session = read("m=audio 5000 RTP/AVP 0\r\na=rtcp:6000 IN IP4 192.0.2.7\r\n").unwrap();
        assert_eq!(session.media.rtcp, "192.0.2.7:6000".parse().unwrap());
        let session = read("m=audio 5000 RTP/AVP 0\r\na=rtcp-mux\r\n").unwrap();
        assert_eq!(session.agree(&local()).unwrap().remote.rtcp, "192.0.2.1:5001".parse().unwrap());
        let muxed = MediaDescription { rtcp: local().rtp, ..local() };
        let agreed = session.agree(&muxed).unwrap();
        assert_eq!(agreed.remote.rtcp, agreed.remote.rtp);
        assert!(session.answer(&agreed, ORIGIN).contains("a=rtcp-mux"));
    }

    #[test]
    fn odd_but_usual_forms_are_read() {
        let session = Session::read(
            b"v=0\nm=audio 5000/1 RTP/AVP 97 101\na=ptime:30.0\na=maxptime:20\na=rtpmap:97 pcma/8000/1\n\
              a=rtpmap:101 Telephone-Event/8000\nc=IN IP4 host.example\n",
            SIGNALLING,
        )
        .unwrap();
        assert_eq!(session.media.codecs, [(Codec::Pcma, 97)]);
        assert_eq!(session.media.telephone_event, Some(101));
        assert_eq!(session.media.ptime_ms, 20);
        assert_eq!(session.media.rtp.ip(), SIGNALLING);
        let v6 = read("m=audio 5000 RTP/AVP 0\r\nc=IN IP6 2001:db8::7\r\n").unwrap();
        assert_eq!(v6.media.rtp, "[2001:db8::7]:5000".parse().unwrap());
    }

    #[test]
    fn what_leads_to_no_call_says_why() {
        assert_eq!(read("m=audio 5000 RTP/AVP 9 18\r\n").unwrap_err(), SdpError::NoCommonCodec);
        assert_eq!(read("m=audio 5000 RTP/SAVP 0\r\n").unwrap_err(), SdpError::NoAudio);
        assert_eq!(read("m=audio 0 RTP/AVP 0\r\n").unwrap_err(), SdpError::NoAudio);
        assert_eq!(read("m=audio x RTP/AVP 0\r\n").unwrap_err(), SdpError::NotSdp);
        assert_eq!(read("").unwrap_err(), SdpError::NoAudio);
        assert_eq!(Session::read(b"hello", SIGNALLING).unwrap_err(), SdpError::NotSdp);
        assert_eq!(read(&"m=audio 5000 RTP/AVP 9\r\n".repeat(17)).unwrap_err(), SdpError::TooManyStreams);
        let only_pcma = MediaDescription { codecs: vec![(Codec::Pcma, 8)], ..local() };
        let session = read("m=audio 5000 RTP/AVP 0\r\n").unwrap();
        assert_eq!(session.agree(&only_pcma).unwrap_err(), SdpError::NoCommonCodec);
    }

    #[test]
    fn our_offer_is_read_back_as_we_meant_it() {
        for description in [
            local(),
            MediaDescription { telephone_event: None, direction: Direction::SendOnly, ..local() },
            MediaDescription { rtcp: "10.0.0.1:9000".parse().unwrap(), ptime_ms: 40, ..local() },
            MediaDescription {
                rtp: "[::1]:6000".parse().unwrap(),
                rtcp: "[::1]:6001".parse().unwrap(),
                ..local()
            },
        ] {
            let text = offer(&description, ORIGIN);
            assert_eq!(Session::read(text.as_bytes(), SIGNALLING).unwrap().media, description, "{text}");
        }
    }

    #[test]
    fn an_answer_decides_the_codec_of_our_offer() {
        let session = read("m=audio 5000 RTP/AVP 8 0\r\na=sendonly\r\n").unwrap();
        let agreed = session.agree_to_offer(&local()).unwrap();
        assert_eq!(agreed.local.codecs, [(Codec::Pcma, 8)]);
        assert_eq!(agreed.local.direction, Direction::RecvOnly);
        assert_eq!(agreed.remote.codecs.first(), Some(&(Codec::Pcma, 8)));
        assert_eq!(agreed.local.telephone_event, None);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(lines in "([vmcatos]=[ -~]{0,60}\r?\n){0,30}") {
            if let Ok(session) = Session::read(lines.as_bytes(), SIGNALLING)
                && let Ok(agreed) = session.agree(&local())
            {
                let answer = session.answer(&agreed, ORIGIN);
                let again = Session::read(answer.as_bytes(), SIGNALLING).unwrap();
                proptest::prop_assert_eq!(again.media, agreed.local);
            }
        }

        #[test]
        fn hostile_audio_lines_are_answered_in_order(
            payloads in proptest::collection::vec(0u16..300, 1..20),
            port in 0u32..70_000,
            ptime in proptest::prelude::any::<i64>(),
        ) {
            let formats: Vec<_> = payloads.iter().map(u16::to_string).collect();
            let text = format!("m=video 1 RTP/AVP 3\r\nm=audio {port} RTP/AVP {}\r\na=ptime:{ptime}\r\na=rtcp:{port}\r\n", formats.join(" "));
            if let Ok(session) = read(&text) {
                let agreed = session.agree(&local()).unwrap();
                proptest::prop_assert!((10..=60).contains(&agreed.remote.ptime_ms));
                proptest::prop_assert_eq!(session.answer(&agreed, ORIGIN).matches("m=").count(), 2);
            }
        }
    }
}
