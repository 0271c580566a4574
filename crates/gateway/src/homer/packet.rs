//! One HEP version 3 packet: what was seen on the wire, with where and when, as Homer's collectors read it.
//!
//! `HEP3`, the length of all, then chunks: vendor (0), type, length with these six bytes, value; all big-endian.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

/// What a packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A SIP message, as it was on the wire.
    Sip,
    /// An RTCP report as JSON.
    RtcpJson,
}

/// What was seen.
#[derive(Debug)]
pub(super) struct Seen<'a> {
    /// What it is.
    pub(super) kind: Kind,
    /// Who sent it.
    pub(super) from: SocketAddr,
    /// To whom.
    pub(super) to: SocketAddr,
    /// Whether it went over a stream rather than as a datagram.
    pub(super) stream: bool,
    /// When, since the Unix epoch.
    pub(super) at: Duration,
    /// By what collectors put together what belongs together; the SIP Call-ID.
    pub(super) correlation: &'a str,
    /// The message itself.
    pub(super) payload: &'a [u8],
}

/// Who says so.
#[derive(Clone, Debug)]
pub(super) struct Agent {
    /// A number that tells this gateway from others.
    pub(super) id: u32,
    /// What the collector wants to be told; empty: nothing.
    pub(super) key: String,
}

/// As much as a UDP datagram holds on any path that reassembles; longer payloads are cut.
const PACKET_MAX: usize = 60_000;
/// A header of a chunk: vendor, type, length.
const CHUNK: usize = 6;

/// Writes a packet.
pub(super) fn encode(seen: &Seen<'_>, agent: &Agent) -> Vec<u8> {
    let mut out = Vec::with_capacity(160 + seen.payload.len());
    out.extend_from_slice(b"HEP3\0\0");
    let (from, to) = same_family(seen.from, seen.to);
    let family: u8 = if from.is_ipv4() { 2 } else { 10 };
    chunk(&mut out, 1, &[family]);
    chunk(&mut out, 2, &[if seen.stream { 6 } else { 17 }]);
    address(&mut out, (3, 5), from);
    address(&mut out, (4, 6), to);
    chunk(&mut out, 7, &seen.from.port().to_be_bytes());
    chunk(&mut out, 8, &seen.to.port().to_be_bytes());
    chunk(&mut out, 9, &(seen.at.as_secs() as u32).to_be_bytes());
    chunk(&mut out, 10, &seen.at.subsec_micros().to_be_bytes());
    let protocol = match seen.kind {
        Kind::Sip => 1,
        Kind::RtcpJson => 5,
    };
    chunk(&mut out, 11, &[protocol]);
    chunk(&mut out, 12, &agent.id.to_be_bytes());
    if !agent.key.is_empty() {
        chunk(&mut out, 14, agent.key.as_bytes());
    }
    if !seen.correlation.is_empty() {
        chunk(&mut out, 17, seen.correlation.as_bytes());
    }
    let room = PACKET_MAX.saturating_sub(out.len() + CHUNK);
    chunk(&mut out, 15, seen.payload.get(..room).unwrap_or(seen.payload));
    let length = (out.len() as u16).to_be_bytes();
    if let Some(place) = out.get_mut(4..6) {
        place.copy_from_slice(&length);
    }
    out
}

/// Long words, such as a stranger's Call-ID, are cut: a chunk holds 64 kB, and the message shall have room.
const WORD_MAX: usize = 1_024;

fn chunk(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let value = if kind == 15 { value } else { value.get(..WORD_MAX).unwrap_or(value) };
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&((value.len() + CHUNK) as u16).to_be_bytes());
    out.extend_from_slice(value);
}

fn address(out: &mut Vec<u8>, (four, six): (u16, u16), address: IpAddr) {
    match address {
        IpAddr::V4(address) => chunk(out, four, &address.octets()),
        IpAddr::V6(address) => chunk(out, six, &address.octets()),
    }
}

/// Both addresses of one family: a packet has one family for both.
fn same_family(from: SocketAddr, to: SocketAddr) -> (IpAddr, IpAddr) {
    match (from.ip().to_canonical(), to.ip().to_canonical()) {
        (IpAddr::V4(from), IpAddr::V6(to)) => (from.to_ipv6_mapped().into(), to.into()),
        (IpAddr::V6(from), IpAddr::V4(to)) => (from.into(), to.to_ipv6_mapped().into()),
        same => same,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// A decoder of its own: chunks by type.
    pub(crate) fn decode(packet: &[u8]) -> BTreeMap<u16, Vec<u8>> {
        assert_eq!(&packet[..4], b"HEP3");
        let word = |at: usize| u16::from_be_bytes([packet[at], packet[at + 1]]);
        assert_eq!(usize::from(word(4)), packet.len(), "the length of all");
        let mut chunks = BTreeMap::new();
        let mut at = 6;
        while at < packet.len() {
            assert_eq!(word(at), 0, "a generic chunk");
            let length = usize::from(word(at + 4));
            let before = chunks.insert(word(at + 2), packet[at + 6..at + length].to_vec());
            assert_eq!(before, None, "a chunk twice");
            at += length;
        }
        assert_eq!(at, packet.len());
        chunks
    }

    fn seen<'a>(from: &str, to: &str, payload: &'a [u8]) -> Seen<'a> {
        Seen {
            kind: Kind::Sip,
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
            stream: false,
            at: Duration::new(1_795_180_000, 123_456_000),
            correlation: "a84b4c76e66710",
            payload,
        }
    }

    fn agent() -> Agent {
        Agent { id: 2001, key: String::new() }
    }

    #[test]
    fn an_independent_decoder_reads_what_was_seen() {
        let message = b"OPTIONS sip:a@b SIP/2.0\r\n\r\n";
        let chunks = decode(&encode(&seen("192.0.2.1:5060", "198.51.100.7:5062", message), &agent()));
        let expected: [(u16, &[u8]); 12] = [
            (1, &[2]),
            (2, &[17]),
            (3, &[192, 0, 2, 1]),
            (4, &[198, 51, 100, 7]),
            (7, &[0x13, 0xC4]),
            (8, &[0x13, 0xC6]),
            (9, &1_795_180_000_u32.to_be_bytes()),
            (10, &123_456_u32.to_be_bytes()),
            (11, &[1]),
            (12, &[0, 0, 7, 0xD1]),
            (15, message),
            (17, b"a84b4c76e66710"),
        ];
        for (kind, value) in &expected {
            assert_eq!(chunks.get(kind).map(Vec::as_slice), Some(*value), "chunk {kind}");
        }
        assert_eq!(chunks.len(), expected.len());
    }

    #[test]
    fn streams_ipv6_reports_and_keys_are_told_as_such() {
        let mut seen = seen("[2001:db8::1]:5060", "192.0.2.9:5061", b"{}");
        (seen.stream, seen.kind) = (true, Kind::RtcpJson);
        let chunks = decode(&encode(&seen, &Agent { id: 1, key: "secret".to_owned() }));
        assert_eq!((&chunks[&1][..], &chunks[&2][..], &chunks[&11][..]), (&[10][..], &[6][..], &[5][..]));
        assert_eq!((chunks[&5].len(), &chunks[&6][10..]), (16, &[0xFF, 0xFF, 192, 0, 2, 9][..]));
        assert_eq!(chunks[&14], b"secret");
    }

    #[test]
    fn what_is_too_long_is_cut_and_still_read() {
        let long = vec![b'x'; 70_000];
        let name = "y".repeat(70_000);
        let mut seen = seen("192.0.2.1:1", "192.0.2.2:2", &long);
        seen.correlation = &name;
        let packet = encode(&seen, &agent());
        assert_eq!(packet.len(), PACKET_MAX);
        assert_eq!(decode(&packet)[&17].len(), WORD_MAX);
    }
}
