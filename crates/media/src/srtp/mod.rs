//! SRTP and SRTCP (RFC 3711, RFC 7714), without I/O and without allocation per packet: a [`Sealer`] closes what
//! we send, an [`Opener`] opens what comes. Packets are changed in place.
//!
//! An index is never sealed twice with one key, and never opened twice. What is not authentic changes nothing:
//! a stream is known only after a packet of it was authentic. Keys change by `rekey`: what was on its way under
//! the old key is opened for [`OVERLAP`] longer, and the rollover counter goes on (RFC 3711 §3.3.1), or starts
//! at zero where the far side thinks so.

mod cipher;
mod index;

use std::time::Duration;

use self::{
    cipher::{Cipher, Ciphers, Place, TAG_MAX},
    index::Progress,
};
use crate::security::SrtpKey;

/// Why a packet is neither sealed nor opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SrtpError {
    /// A key that is not as long as its suite says.
    #[error("the SRTP key does not have the length of its suite")]
    Key,
    /// No RTP or RTCP packet, or not all of it.
    #[error("the packet is shorter than its headers and its tag")]
    Short,
    /// Longer than any datagram of sound.
    #[error("the packet is longer than {PACKET_MAX} bytes")]
    Long,
    /// Its tag is wrong, or its key identifier.
    #[error("the packet is not authentic")]
    NotAuthentic,
    /// It was seen before, or it is so old that nobody knows.
    #[error("the packet was seen before or is too old")]
    Replayed,
    /// The key has served as many packets as it may.
    #[error("the key is used up")]
    Exhausted,
}

/// How long what was sealed with a key that was replaced is still opened.
pub const OVERLAP: Duration = Duration::from_secs(2);
/// So much longer than the plain packet a sealed one may be: tag, index of RTCP, key identifier.
pub const GROWTH_MAX: usize = TAG_MAX + 4 + MKI_MAX;
/// The longest packet that is sealed or opened.
pub const PACKET_MAX: usize = 2048;
/// Streams of one key that are told apart; the oldest makes room.
const STREAMS_MAX: usize = 4;
const MKI_MAX: usize = 128;
/// RFC 3711 §9.2.
const RTP_PACKETS_MAX: u64 = 1 << 48;
const RTCP_INDEX_MAX: u64 = (1 << 31) - 1;
const ENCRYPTED: u32 = 1 << 31;

/// Closes what we send.
pub struct Sealer {
    key: Key,
}

/// Opens what the far side sends.
pub struct Opener {
    key: Key,
    before: Option<(Key, Duration)>,
}

impl Sealer {
    /// Takes up a key.
    ///
    /// # Errors
    /// [`SrtpError::Key`].
    pub fn new(key: &SrtpKey) -> Result<Self, SrtpError> {
        Ok(Self { key: Key::new(key)? })
    }

    /// Takes up another key; the streams go on. The key in use, said again, changes nothing.
    ///
    /// # Errors
    /// [`SrtpError::Key`].
    pub fn rekey(&mut self, key: &SrtpKey) -> Result<(), SrtpError> {
        if !self.key.is(key) {
            self.key = Key::after(key, &self.key)?;
        }
        Ok(())
    }

    /// Seals the RTP packet in the first `length` bytes of `buffer`, which has [`GROWTH_MAX`] more; gives the
    /// new length.
    ///
    /// # Errors
    /// No packet, no room, or an index that was sealed already.
    pub fn rtp(&mut self, buffer: &mut [u8], length: usize) -> Result<usize, SrtpError> {
        self.key.seal_rtp(buffer, length)
    }

    /// As [`Sealer::rtp`] for a compound RTCP packet.
    ///
    /// # Errors
    /// No packet, no room, or a key that is used up.
    pub fn rtcp(&mut self, buffer: &mut [u8], length: usize) -> Result<usize, SrtpError> {
        self.key.seal_rtcp(buffer, length)
    }
}

impl Opener {
    /// Takes up a key.
    ///
    /// # Errors
    /// [`SrtpError::Key`].
    pub fn new(key: &SrtpKey) -> Result<Self, SrtpError> {
        Ok(Self { key: Key::new(key)?, before: None })
    }

    /// Takes up another key; the one before is good for [`OVERLAP`]. The key in use, said again, changes nothing.
    ///
    /// # Errors
    /// [`SrtpError::Key`].
    pub fn rekey(&mut self, now: Duration, key: &SrtpKey) -> Result<(), SrtpError> {
        if !self.key.is(key) {
            let next = Key::after(key, &self.key)?;
            self.before = Some((std::mem::replace(&mut self.key, next), now + OVERLAP));
        }
        Ok(())
    }

    /// Opens an RTP packet in place; gives the length of the plain one.
    ///
    /// # Errors
    /// It is not authentic, or it was seen before.
    pub fn rtp(&mut self, now: Duration, packet: &mut [u8]) -> Result<usize, SrtpError> {
        self.open(now, packet, Key::open_rtp)
    }

    /// Opens a compound RTCP packet in place; gives the length of the plain one.
    ///
    /// # Errors
    /// It is not authentic, or it was seen before.
    pub fn rtcp(&mut self, now: Duration, packet: &mut [u8]) -> Result<usize, SrtpError> {
        self.open(now, packet, Key::open_rtcp)
    }

    fn open(
        &mut self,
        now: Duration,
        packet: &mut [u8],
        open: fn(&mut Key, &mut [u8]) -> Result<usize, SrtpError>,
    ) -> Result<usize, SrtpError> {
        if packet.len() > PACKET_MAX {
            return Err(SrtpError::Long);
        }
        let before = self.before.take_if(|(_, until)| *until <= now);
        drop(before);
        let Some((before, _)) = &mut self.before else { return open(&mut self.key, packet) };
        // What is not authentic may be spoilt by the attempt.
        let mut copy = [0; PACKET_MAX];
        let copy = copy.get_mut(..packet.len()).ok_or(SrtpError::Long)?;
        copy.copy_from_slice(packet);
        open(&mut self.key, packet).or_else(|error| {
            let length = open(before, copy).map_err(|_of_the_old_key| error)?;
            packet.copy_from_slice(copy);
            Ok(length)
        })
    }
}

/// One master key at work.
struct Key {
    given: SrtpKey,
    ciphers: Ciphers,
    /// The key identifier as it stands in packets, and its length.
    mki: ([u8; MKI_MAX], usize),
    streams: Vec<Stream>,
    packets_left: u64,
}

/// What is known of one SSRC.
#[derive(Clone, Copy)]
struct Stream {
    ssrc: u32,
    rtp: Progress,
    rtcp: Progress,
    /// Whether a packet was authentic under this key; before, the rollover counter is a guess.
    proven: bool,
}

impl Key {
    fn new(key: &SrtpKey) -> Result<Self, SrtpError> {
        let mut mki = [0; MKI_MAX];
        let length = match key.mki {
            Some((value, length)) => {
                let length = usize::from(length).min(MKI_MAX);
                let field = mki.get_mut(..length).unwrap_or_default();
                field.iter_mut().rev().zip(value.to_le_bytes()).for_each(|(to, from)| *to = from);
                length
            }
            None => 0,
        };
        Ok(Self {
            given: key.clone(),
            ciphers: Ciphers::new(key)?,
            mki: (mki, length),
            streams: Vec::with_capacity(STREAMS_MAX),
            packets_left: key.lifetime.unwrap_or(RTP_PACKETS_MAX).min(RTP_PACKETS_MAX),
        })
    }

    /// The key that follows another: it begins where that one is.
    fn after(key: &SrtpKey, before: &Self) -> Result<Self, SrtpError> {
        let mut next = Self::new(key)?;
        next.streams.extend(before.streams.iter().map(|stream| Stream {
            rtp: Progress::at(stream.rtp.newest()),
            rtcp: Progress::at(stream.rtcp.newest()),
            proven: false,
            ..*stream
        }));
        Ok(next)
    }

    /// Whether this is the same key, whatever the tag of its line.
    fn is(&self, key: &SrtpKey) -> bool {
        let same = self.given.master == key.master && self.given.mki == key.mki;
        same && self.given.suite == key.suite
    }

    fn mki(&self) -> &[u8] {
        self.mki.0.get(..self.mki.1).unwrap_or_default()
    }

    fn stream(&self, ssrc: u32) -> Option<Stream> {
        self.streams.iter().find(|stream| stream.ssrc == ssrc).copied()
    }

    fn remember(&mut self, stream: Stream) {
        if let Some(known) = self.streams.iter_mut().find(|known| known.ssrc == stream.ssrc) {
            *known = stream;
            return;
        }
        if self.streams.len() >= STREAMS_MAX {
            self.streams.remove(0);
        }
        self.streams.push(stream);
    }

    fn count(&mut self) -> Result<(), SrtpError> {
        self.packets_left = self.packets_left.checked_sub(1).ok_or(SrtpError::Exhausted)?;
        Ok(())
    }

    fn seal_rtp(&mut self, buffer: &mut [u8], length: usize) -> Result<usize, SrtpError> {
        let shape = Shape::read(buffer.get(..length).ok_or(SrtpError::Short)?)?;
        let mut stream = self.stream(shape.ssrc).unwrap_or_else(|| Stream::starting(shape));
        let index = stream.rtp.of_sequence(shape.sequence).ok_or(SrtpError::Replayed)?;
        if !stream.rtp.is_new(index) {
            return Err(SrtpError::Replayed);
        }
        self.count()?;
        let word = rollover(index);
        let place = Place { ssrc: shape.ssrc, index, word: &word };
        let cipher = &self.ciphers.rtp;
        let (packet, rest) = buffer.split_at_mut(length);
        let (head, body) = packet.split_at_mut(shape.head);
        let tag = cipher.seal(head, body, place)?;
        let tag = tag.get(..cipher.tag()).unwrap_or_default();
        let grown =
            if cipher.is_aead() { append(rest, [tag, self.mki()]) } else { append(rest, [self.mki(), tag]) };
        stream.rtp.note(index);
        self.remember(stream);
        grown.map(|grown| length + grown)
    }

    fn open_rtp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let shape = Shape::read(packet)?;
        let known = self.stream(shape.ssrc);
        let mut stream = known.unwrap_or_else(|| Stream::starting(shape));
        let guess = stream.rtp.of_sequence(shape.sequence);
        let again = u64::from(shape.sequence);
        let index = match guess {
            Some(index) if stream.rtp.is_new(index) => index,
            Some(_) | None if stream.proven => return Err(SrtpError::Replayed),
            Some(_) | None => again,
        };
        let length = self.without_mki(packet, false)?;
        let packet = packet.get_mut(..length).ok_or(SrtpError::Short)?;
        let plain = length.checked_sub(self.ciphers.rtp.tag()).ok_or(SrtpError::Short)?;
        if shape.head > plain {
            return Err(SrtpError::Short);
        }
        let index = if stream.proven || index == again {
            self.ciphers.open_rtp(packet, shape, index)?;
            index
        } else {
            self.ciphers.open_either(packet, shape, [index, again])?
        };
        self.count()?;
        if !stream.proven && index != guess.unwrap_or(index) {
            stream.rtp = Progress::at(index);
        }
        stream.proven = true;
        stream.rtp.note(index);
        self.remember(stream);
        Ok(plain)
    }

    fn seal_rtcp(&mut self, buffer: &mut [u8], length: usize) -> Result<usize, SrtpError> {
        let ssrc = control_ssrc(buffer.get(..length).ok_or(SrtpError::Short)?)?;
        let mut stream = self.stream(ssrc).unwrap_or_else(|| Stream::unknown(ssrc));
        let index = stream.rtcp.newest() + 1;
        if index > RTCP_INDEX_MAX {
            return Err(SrtpError::Exhausted);
        }
        let word = (index as u32 | ENCRYPTED).to_be_bytes();
        let cipher = &self.ciphers.rtcp;
        let (packet, rest) = buffer.split_at_mut(length);
        let (head, body) = packet.split_at_mut(CONTROL_HEAD);
        let place = Place { ssrc, index, word: &word };
        let tag = if cipher.is_aead() {
            cipher.seal(&control_head(head, word), body, place)?
        } else {
            cipher.seal(head, body, place)?
        };
        let tag = tag.get(..cipher.tag()).unwrap_or_default();
        let grown = if cipher.is_aead() {
            append(rest, [tag, &word, self.mki()])
        } else {
            append(rest, [&word, self.mki(), tag])
        };
        stream.rtcp.note(index);
        self.remember(stream);
        grown.map(|grown| length + grown)
    }

    fn open_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let ssrc = control_ssrc(packet)?;
        let length = self.without_mki(packet, true)?;
        let (packet, word) =
            self.ciphers.rtcp.without_word(packet.get_mut(..length).ok_or(SrtpError::Short)?)?;
        let tag = self.ciphers.rtcp.tag();
        let plain =
            packet.len().checked_sub(tag).filter(|plain| *plain >= CONTROL_HEAD).ok_or(SrtpError::Short)?;
        let mut stream = self.stream(ssrc).unwrap_or_else(|| Stream::unknown(ssrc));
        let number = u32::from_be_bytes(word);
        let index = u64::from(number & !ENCRYPTED);
        if number & ENCRYPTED == 0 {
            return Err(SrtpError::NotAuthentic);
        }
        if stream.proven && !stream.rtcp.is_new(index) {
            return Err(SrtpError::Replayed);
        }
        let (head, body) = packet.split_at_mut(CONTROL_HEAD);
        let place = Place { ssrc, index, word: &word };
        if self.ciphers.rtcp.is_aead() {
            self.ciphers.rtcp.open(&control_head(head, word), body, place)?;
        } else {
            self.ciphers.rtcp.open(head, body, place)?;
        }
        if !stream.rtcp.is_new(index) {
            stream.rtcp = Progress::at(index);
        }
        stream.rtcp.note(index);
        self.remember(stream);
        Ok(plain)
    }

    /// Takes the key identifier out of a packet, so that what is left ends with its tag (and, for RTCP under
    /// GCM, its index word); gives how long it is then.
    fn without_mki(&self, packet: &mut [u8], control: bool) -> Result<usize, SrtpError> {
        let mki = self.mki();
        let cipher = if control { &self.ciphers.rtcp } else { &self.ciphers.rtp };
        let behind = if cipher.is_aead() { 0 } else { cipher.tag() };
        let end = packet.len().checked_sub(behind).ok_or(SrtpError::Short)?;
        let start = end.checked_sub(mki.len()).ok_or(SrtpError::Short)?;
        if packet.get(start..end) != Some(mki) {
            return Err(SrtpError::NotAuthentic);
        }
        packet.copy_within(end.., start);
        Ok(packet.len() - mki.len())
    }
}

impl Ciphers {
    fn open_rtp(&self, packet: &mut [u8], shape: Shape, index: u64) -> Result<(), SrtpError> {
        let word = rollover(index);
        let (head, body) = packet.split_at_mut(shape.head);
        self.rtp.open(head, body, Place { ssrc: shape.ssrc, index, word: &word })
    }

    /// Opens with the first of two indices that fits.
    fn open_either(&self, packet: &mut [u8], shape: Shape, [one, other]: [u64; 2]) -> Result<u64, SrtpError> {
        let mut copy = [0; PACKET_MAX];
        let copy = copy.get_mut(..packet.len()).ok_or(SrtpError::Long)?;
        copy.copy_from_slice(packet);
        if self.open_rtp(packet, shape, one).is_ok() {
            return Ok(one);
        }
        self.open_rtp(copy, shape, other)?;
        packet.copy_from_slice(copy);
        Ok(other)
    }
}

impl Cipher {
    /// Parts an RTCP packet from its index word, so that the tag follows what it covers.
    fn without_word<'a>(&self, packet: &'a mut [u8]) -> Result<(&'a mut [u8], [u8; 4]), SrtpError> {
        let behind = if self.is_aead() { 0 } else { self.tag() };
        let end = packet.len().checked_sub(behind).ok_or(SrtpError::Short)?;
        let start = end.checked_sub(4).ok_or(SrtpError::Short)?;
        let word = packet.get(start..end).and_then(|word| word.try_into().ok()).ok_or(SrtpError::Short)?;
        packet.copy_within(end.., start);
        let length = packet.len() - 4;
        Ok((packet.get_mut(..length).ok_or(SrtpError::Short)?, word))
    }
}

impl Stream {
    /// A stream whose first packet this is.
    fn starting(shape: Shape) -> Self {
        Self { rtp: Progress::at(u64::from(shape.sequence)), ..Self::unknown(shape.ssrc) }
    }

    const fn unknown(ssrc: u32) -> Self {
        Self { ssrc, rtp: Progress::at(0), rtcp: Progress::at(0), proven: false }
    }
}

/// What of an RTP packet matters here.
#[derive(Clone, Copy)]
struct Shape {
    sequence: u16,
    ssrc: u32,
    /// Bytes that stay in the clear: header, contributing sources, header extension.
    head: usize,
}

impl Shape {
    fn read(packet: &[u8]) -> Result<Self, SrtpError> {
        let &[flags, _, q0, q1, _, _, _, _, s0, s1, s2, s3] = packet.first_chunk().ok_or(SrtpError::Short)?;
        if flags >> 6 != 2 {
            return Err(SrtpError::Short);
        }
        let mut head = 12 + usize::from(flags & 0x0F) * 4;
        if flags & 0x10 != 0 {
            let words = packet.get(head + 2..head + 4).and_then(|bytes| bytes.try_into().ok());
            head += 4 + usize::from(words.map(u16::from_be_bytes).ok_or(SrtpError::Short)?) * 4;
        }
        if head > packet.len() {
            return Err(SrtpError::Short);
        }
        let ssrc = u32::from_be_bytes([s0, s1, s2, s3]);
        Ok(Self { sequence: u16::from_be_bytes([q0, q1]), ssrc, head })
    }
}

const CONTROL_HEAD: usize = 8;

fn control_ssrc(packet: &[u8]) -> Result<u32, SrtpError> {
    let &[_, _, _, _, s0, s1, s2, s3] = packet.first_chunk().ok_or(SrtpError::Short)?;
    Ok(u32::from_be_bytes([s0, s1, s2, s3]))
}

/// What the tag of RTCP under GCM covers in the clear (RFC 7714 §9.2).
fn control_head(head: &[u8], word: [u8; 4]) -> [u8; CONTROL_HEAD + 4] {
    let mut whole = [0; CONTROL_HEAD + 4];
    whole.iter_mut().zip(head.iter().chain(&word)).for_each(|(to, from)| *to = *from);
    whole
}

const fn rollover(index: u64) -> [u8; 4] {
    ((index >> 16) as u32).to_be_bytes()
}

/// Writes parts one after the other; gives their length.
fn append<const N: usize>(rest: &mut [u8], parts: [&[u8]; N]) -> Result<usize, SrtpError> {
    let mut length = 0;
    for part in parts {
        let place = rest.get_mut(length..length + part.len()).ok_or(SrtpError::Long)?;
        place.copy_from_slice(part);
        length += part.len();
    }
    Ok(length)
}

#[cfg(test)]
mod tests;
