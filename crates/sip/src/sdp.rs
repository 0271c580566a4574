//! Session descriptions for one audio stream: read, offer, answer (RFC 4566, RFC 3264).
//!
//! Reading is line by line and takes what the trade sends: lines out of order, unknown lines, odd blanks.
//! The answer takes the first of our codecs that the offerer has; every other stream is rejected with port 0.
//! A stream of RTP/SAVP needs a key of ours (RFC 4568), a stream of RTP/AVP with a=crypto lines may have one, and
//! where our own keys are not optional nothing but SRTP is agreed on.

mod crypto;
mod format;

use std::{
    fmt::Write as _,
    net::{IpAddr, SocketAddr},
};

use segue_media::{Codec, Direction, MediaDescription, OpusWishes, security::SrtpKey};

/// A session description, read: the audio stream we can speak, and what an answer has to mirror.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    /// Their side; all codecs that we know, in their order. At least one.
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
    #[error("the description has no audio stream over RTP")]
    NoAudio,
    #[error("no key in common: the stream has to be SRTP with a suite that we speak, or must not be SRTP")]
    NoCommonKey,
    #[error("the description has more than {STREAMS_MAX} streams")]
    TooManyStreams,
    #[error("the connection address is a broadcast or multicast address")]
    BadAddress,
    #[error("no codec in common: we know PCMU, PCMA, G722 and opus")]
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
const OPUS: &str = "OPUS/48000/2";

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
    formats: Vec<(u8, String)>,
    keys: Vec<SrtpKey>,
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
        for (chosen, draft) in drafts.iter().enumerate().filter(|(_, draft)| draft.is_audio()) {
            if draft.is_to_many(session) {
                reason = SdpError::BadAddress;
                continue;
            }
            if draft.stream.is_secure() && draft.block.keys.is_empty() {
                reason = SdpError::NoCommonKey;
                continue;
            }
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

    /// The description as if its keys were not there: anybody may have read them.
    ///
    /// # Errors
    /// [`SdpError::NoCommonKey`] if it demands SRTP.
    pub(crate) fn without_keys(mut self) -> Result<Self, SdpError> {
        if self.media.hide_keys() { Ok(self) } else { Err(SdpError::NoCommonKey) }
    }

    /// The stream as both sides will use it, if `local` answers this offer.
    ///
    /// # Errors
    /// [`SdpError::NoCommonCodec`], [`SdpError::NoCommonKey`].
    pub(crate) fn agree(&self, local: &MediaDescription) -> Result<Agreed, SdpError> {
        let theirs = |wanted| self.media.codecs.iter().find(|(codec, _)| *codec == wanted);
        let common = local.codecs.iter().find_map(|(ours, _)| theirs(*ours));
        let &(codec, payload) = common.ok_or(SdpError::NoCommonCodec)?;
        let event = self.media.telephone_event.filter(|_| local.telephone_event.is_some());
        let mux = self.rtcp_mux && local.rtcp == local.rtp;
        let mut remote = self.media.clone();
        remote.codecs.retain(|&(known, _)| known != codec);
        remote.codecs.insert(0, (codec, payload));
        remote.telephone_event = event;
        if mux {
            remote.rtcp = remote.rtp;
        }
        let security =
            keys_in_common(&mut remote.security, &local.security, |theirs, ours| theirs.suite == ours.suite)?;
        let local = MediaDescription {
            codecs: vec![(codec, payload)],
            security: security.into_iter().collect(),
            telephone_event: event,
            direction: meet(local.direction, mirror(self.media.direction)),
            ..local.clone()
        };
        Ok(Agreed { remote, local })
    }

    /// The stream as both sides will use it, if this answers our offer `local`.
    ///
    /// # Errors
    /// [`SdpError::NoCommonCodec`], [`SdpError::NoCommonKey`].
    pub(crate) fn agree_to_offer(&self, local: &MediaDescription) -> Result<Agreed, SdpError> {
        let mut remote = self.media.clone();
        remote.codecs.retain(|(codec, _)| local.codecs.iter().any(|(ours, _)| ours == codec));
        let &(codec, payload) = remote.codecs.first().ok_or(SdpError::NoCommonCodec)?;
        let ours = local.codecs.iter().find(|(ours, _)| *ours == codec).map_or(payload, |&(_, ours)| ours);
        remote.telephone_event = remote.telephone_event.filter(|_| local.telephone_event.is_some());
        if self.rtcp_mux && local.rtcp == local.rtp {
            remote.rtcp = remote.rtp;
        }
        let security = keys_in_common(&mut remote.security, &local.security, |theirs, ours| {
            theirs.suite == ours.suite && theirs.tag == ours.tag
        })?;
        let local = MediaDescription {
            codecs: vec![(codec, ours)],
            security: security.into_iter().collect(),
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

/// Picks the first key of theirs that one of ours goes with, and gives ours under their tag; none for plain RTP.
fn keys_in_common(
    theirs: &mut Vec<SrtpKey>,
    ours: &[SrtpKey],
    goes_with: impl Fn(&SrtpKey, &SrtpKey) -> bool,
) -> Result<Option<SrtpKey>, SdpError> {
    let pair =
        theirs.iter().find_map(|key| Some((key.clone(), ours.iter().find(|our| goes_with(key, our))?)));
    let Some((their, our)) = pair else {
        let plain = theirs.iter().chain(ours).all(|key| key.optional);
        theirs.clear();
        return plain.then_some(None).ok_or(SdpError::NoCommonKey);
    };
    let ours = SrtpKey { tag: their.tag, optional: their.optional, ..our.clone() };
    *theirs = vec![their];
    Ok(Some(ours))
}

/// Our offer.
pub(crate) fn offer(local: &MediaDescription, origin: Origin) -> String {
    let mut text = head(local, origin);
    let secure = local.security.iter().any(|key| !key.optional);
    print_audio(&mut text, local, if secure { "RTP/SAVP" } else { "RTP/AVP" }, local.rtcp == local.rtp);
    text
}

impl Stream {
    fn is_secure(&self) -> bool {
        self.protocol.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("RTP/SAVP"))
    }
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

    fn is_audio(&self) -> bool {
        let known = ["RTP/AVP", "RTP/AVPF", "RTP/SAVP", "RTP/SAVPF"];
        self.stream.kind.eq_ignore_ascii_case("audio")
            && self.port != 0
            && known.iter().any(|known| self.stream.protocol.eq_ignore_ascii_case(known))
    }

    /// Whether their sound would have to go to more than one host.
    fn is_to_many(&self, session: &Block) -> bool {
        let connection = self.block.connection.or(session.connection).flatten();
        let rtcp = self.block.rtcp.and_then(|(_, address)| address);
        [connection, rtcp].into_iter().flatten().any(|address| match address {
            IpAddr::V4(v4) => v4.is_broadcast() || v4.is_multicast(),
            IpAddr::V6(v6) => v6.is_multicast(),
        })
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
            9 => Some("G722/8000".to_owned()),
            _ => None,
        })
    }

    fn codecs(&self) -> Vec<(Codec, u8)> {
        let mut codecs: Vec<(Codec, u8)> = Vec::with_capacity(2);
        for payload in self.payloads() {
            let codec = match self.encoding(payload).as_deref() {
                Some("PCMU/8000" | "PCMU/8000/1") => Codec::Pcmu,
                Some("PCMA/8000" | "PCMA/8000/1") => Codec::Pcma,
                Some("G722/8000" | "G722/8000/1") => Codec::G722,
                Some(OPUS) => Codec::Opus,
                Some(_) | None => continue,
            };
            if !codecs.iter().any(|(known, _)| *known == codec) {
                codecs.push((codec, payload));
            }
        }
        codecs
    }

    fn keys(&self) -> Vec<SrtpKey> {
        let optional = !self.stream.is_secure();
        self.block.keys.iter().map(|key| SrtpKey { optional, ..key.clone() }).collect()
    }

    /// How they want their Opus.
    fn opus(&self) -> OpusWishes {
        let is_opus = |payload| self.encoding(payload).as_deref() == Some(OPUS);
        let format = self.block.formats.iter().find(|(payload, _)| is_opus(*payload));
        format.map_or_else(OpusWishes::default, |(_, parameters)| format::read_opus(parameters))
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
            security: self.keys(),
            opus: self.opus(),
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
            "crypto" => {
                let key = crypto::read(value).filter(|_| self.keys.len() < crypto::LINES_MAX);
                self.keys.extend(key);
            }
            "fmtp" => {
                if let Some((payload, parameters)) =
                    value.trim().split_once(|c: char| c.is_ascii_whitespace())
                    && let Ok(payload) = payload.parse()
                    && self.formats.len() < 128
                {
                    self.formats.push((payload, parameters.to_owned()));
                }
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

/// An address, with or without the TTL of a multicast one.
fn read_address(word: &str) -> Option<IpAddr> {
    word.split('/').next()?.parse().ok()
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
        // RFC 7587 §7: two channels, always, whatever is sent.
        let channels = if *codec == Codec::Opus { "/2" } else { "" };
        line(text, format_args!("a=rtpmap:{payload} {}/{}{channels}", codec.name(), codec.clock_hz()));
        if *codec == Codec::Opus {
            line(text, format_args!("a=fmtp:{payload} {}", format::print_opus(local.opus)));
        }
    }
    if let Some(payload) = local.telephone_event {
        line(text, format_args!("a=rtpmap:{payload} telephone-event/8000"));
        line(text, format_args!("a=fmtp:{payload} 0-15"));
    }
    for key in &local.security {
        line(text, format_args!("a=crypto:{}", crypto::print(key)));
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
mod tests;
