//! The RTP header (RFC 3550 §5.1), read by the `rtp` crate and kept in the form that the engine works with.
//!
//! Only the fixed part goes through the crate: its packets copy the payload, its headers copy sources and
//! extensions, and a relayed packet must not allocate. What we never use of a header is stepped over by its length.

use rtp::header::Header as Wire;
use shared::marshal::Unmarshal;
use thiserror::Error;

/// The fixed part of an RTP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The marker bit.
    pub marker: bool,
    /// 0 to 127.
    pub payload_type: u8,
    /// Goes up by one a packet.
    pub sequence: u16,
    /// In samples.
    pub timestamp: u32,
    /// Who sends.
    pub ssrc: u32,
}

/// Why bytes are not an RTP packet: the sender's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Malformed {
    /// Shorter than its header says.
    #[error("RTP packet is shorter than its header says")]
    Short,
    /// Not version 2.
    #[error("RTP version is not 2")]
    Version,
    /// More padding than payload.
    #[error("RTP padding is longer than the payload")]
    Padding,
}

/// Whether bytes on a shared port are RTCP (RFC 5761 §4: packet types 192 to 223).
#[must_use]
pub fn is_rtcp(bytes: &[u8]) -> bool {
    bytes.get(1).is_some_and(|kind| (192..=223).contains(kind))
}

impl Header {
    /// Reads a packet: its header and its payload, without CSRCs, extension and padding.
    ///
    /// # Errors
    /// If the bytes are not a whole RTP packet of version 2.
    pub fn read(bytes: &[u8]) -> Result<(Self, &[u8]), Malformed> {
        let (fixed, mut rest) = bytes.split_first_chunk::<12>().ok_or(Malformed::Short)?;
        let mut fixed = *fixed;
        let [flags, ..] = &mut fixed;
        let (sources, extension) = (*flags & 0x0F, *flags & 0x10 != 0);
        *flags &= 0xE0;
        let wire = Wire::unmarshal(&mut fixed.as_slice()).map_err(|_too_short| Malformed::Short)?;
        if wire.version != 2 {
            return Err(Malformed::Version);
        }
        rest = rest.get(usize::from(sources) * 4..).ok_or(Malformed::Short)?;
        if extension {
            let (&[_, _, l0, l1], after) = rest.split_first_chunk().ok_or(Malformed::Short)?;
            let length = usize::from(u16::from_be_bytes([l0, l1])) * 4;
            rest = after.get(length..).ok_or(Malformed::Short)?;
        }
        if wire.padding {
            let padding = usize::from(*rest.last().ok_or(Malformed::Padding)?);
            let kept = rest.len().checked_sub(padding).filter(|_| padding > 0).ok_or(Malformed::Padding)?;
            rest = rest.get(..kept).ok_or(Malformed::Padding)?;
        }
        let header = Self {
            marker: wire.marker,
            payload_type: wire.payload_type,
            sequence: wire.sequence_number,
            timestamp: wire.timestamp,
            ssrc: wire.ssrc,
        };
        Ok((header, rest))
    }

    /// The twelve bytes on the wire.
    #[must_use]
    pub const fn write(&self) -> [u8; 12] {
        let kind = self.payload_type & 0x7F | if self.marker { 0x80 } else { 0 };
        let [q0, q1] = self.sequence.to_be_bytes();
        let [t0, t1, t2, t3] = self.timestamp.to_be_bytes();
        let [s0, s1, s2, s3] = self.ssrc.to_be_bytes();
        [0x80, kind, q0, q1, t0, t1, t2, t3, s0, s1, s2, s3]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header = Header {
        marker: true,
        payload_type: 101,
        sequence: 65_535,
        timestamp: 0xFFFF_FF60,
        ssrc: 0xDEAD_BEEF,
    };

    #[test]
    fn what_is_written_is_read_again() {
        let mut bytes = HEADER.write().to_vec();
        bytes.extend([1, 2, 3]);
        assert_eq!(Header::read(&bytes), Ok((HEADER, &[1, 2, 3][..])));
    }

    #[test]
    fn sources_extension_and_padding_are_not_payload() {
        let mut bytes = HEADER.write().to_vec();
        bytes[0] = 0x80 | 0x20 | 0x10 | 2;
        bytes.extend([0; 8]);
        bytes.extend([0xBE, 0xDE, 0, 1, 9, 9, 9, 9]);
        bytes.extend([7, 8, 0, 0, 3]);
        assert_eq!(Header::read(&bytes).map(|(_, payload)| payload), Ok(&[7, 8][..]));
    }

    #[test]
    fn a_packet_that_lies_about_its_length_is_malformed() {
        let check = |flags: u8, tail: &[u8], expected| {
            let mut bytes = HEADER.write().to_vec();
            bytes[0] = flags;
            bytes.extend(tail);
            assert_eq!(Header::read(&bytes).err(), Some(expected), "{flags:#x} {tail:?}");
        };
        check(0x40, &[], Malformed::Version);
        check(0x81, &[0; 3], Malformed::Short);
        check(0x90, &[0; 3], Malformed::Short);
        check(0x90, &[0, 0, 0, 1, 0], Malformed::Short);
        check(0xA0, &[], Malformed::Padding);
        check(0xA0, &[0], Malformed::Padding);
        check(0xA0, &[1, 3], Malformed::Padding);
        assert_eq!(Header::read(&[0x80; 11]).err(), Some(Malformed::Short));
    }

    #[test]
    fn control_packets_on_the_same_port_are_told_apart() {
        assert!(is_rtcp(&[0x80, 200]) && is_rtcp(&[0x81, 203]));
        assert!(!is_rtcp(&[0x80, 0]) && !is_rtcp(&[0x80, 0x80 | 101]) && !is_rtcp(&[0x80]));
    }
}
