//! What the suites do to one packet, given its index: session keys, keystream, tag.
//! RFC 3711 §4 for AES in counter mode with HMAC-SHA1, RFC 7714 for AES-GCM.

use aes::{
    Aes128Enc, Aes256Enc, Block,
    cipher::{BlockCipherEncrypt, KeyInit},
};
use hmac::{Hmac, Mac};
use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use sha1::Sha1;

use super::SrtpError;
use crate::security::{SrtpKey, Suite};

/// Session keys of one master key, for RTP and for RTCP.
pub(super) struct Ciphers {
    pub(super) rtp: Cipher,
    pub(super) rtcp: Cipher,
}

/// How packets of one kind are closed and opened.
#[expect(
    clippy::large_enum_variant,
    reason = "there are two a key, made at set-up; a box would cost a step per packet"
)]
pub(super) enum Cipher {
    Counter(Counter),
    Gcm(Gcm),
}

/// AES in counter mode, authenticated by HMAC-SHA1.
pub(super) struct Counter {
    aes: Aes128Enc,
    hmac: Hmac<Sha1>,
    /// The session salt, shifted to its place in the block.
    salt: u128,
    tag: usize,
}

/// AES-GCM.
pub(super) struct Gcm {
    key: LessSafeKey,
    salt: [u8; 12],
}

/// What a packet is: whose, which, and what follows the packet in what its tag covers.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) ssrc: u32,
    pub(super) index: u64,
    /// The rollover counter of RTP, or the index word of RTCP (with its E bit).
    pub(super) word: &'a [u8; 4],
}

/// The longest tag of all suites.
pub(super) const TAG_MAX: usize = 16;
const RTCP_TAG: usize = 10;
/// Blocks of keystream that are made at a time: as many as the processor works on at once.
const LANES: usize = 8;
/// Labels of the key derivation (RFC 3711 §4.3.1).
const RTP_LABELS: [u8; 3] = [0, 1, 2];
const RTCP_LABELS: [u8; 3] = [3, 4, 5];

impl Ciphers {
    pub(super) fn new(key: &SrtpKey) -> Result<Self, SrtpError> {
        let master = Master::new(key)?;
        let (rtp, rtcp) = match key.suite {
            Suite::AesCm128Sha1Tag80 => (10, RTCP_TAG),
            Suite::AesCm128Sha1Tag32 => (4, RTCP_TAG),
            Suite::AeadAes128Gcm | Suite::AeadAes256Gcm => {
                return Ok(Self {
                    rtp: Cipher::Gcm(Gcm::new(&master, RTP_LABELS)?),
                    rtcp: Cipher::Gcm(Gcm::new(&master, RTCP_LABELS)?),
                });
            }
        };
        Ok(Self {
            rtp: Cipher::Counter(Counter::new(&master, RTP_LABELS, rtp)?),
            rtcp: Cipher::Counter(Counter::new(&master, RTCP_LABELS, rtcp)?),
        })
    }
}

impl Cipher {
    /// Bytes of the tag.
    pub(super) const fn tag(&self) -> usize {
        match self {
            Self::Counter(counter) => counter.tag,
            Self::Gcm(_) => TAG_MAX,
        }
    }

    /// Whether the tag of RTCP covers the index word as written in the packet, before the tag (RFC 3711), or
    /// apart from it, after the tag (RFC 7714 §9.2).
    pub(super) const fn is_aead(&self) -> bool {
        matches!(self, Self::Gcm(_))
    }

    /// Encrypts `body` and gives the tag; `head` is covered by it in the clear.
    pub(super) fn seal(
        &self,
        head: &[u8],
        body: &mut [u8],
        place: Place<'_>,
    ) -> Result<[u8; TAG_MAX], SrtpError> {
        match self {
            Self::Counter(counter) => {
                counter.mix(body, place);
                Ok(counter.authenticate(&[head, body, place.word]))
            }
            Self::Gcm(gcm) => gcm.seal(head, body, place),
        }
    }

    /// Checks the tag that follows `body`, whose length is the tag's too, and decrypts the rest of it.
    pub(super) fn open(&self, head: &[u8], body: &mut [u8], place: Place<'_>) -> Result<(), SrtpError> {
        match self {
            Self::Counter(counter) => {
                let end = body.len().checked_sub(counter.tag).ok_or(SrtpError::Short)?;
                let (body, tag) = body.split_at_mut(end);
                let expected = counter.authenticate(&[head, body, place.word]);
                if !equal(tag, &expected) {
                    return Err(SrtpError::NotAuthentic);
                }
                counter.mix(body, place);
                Ok(())
            }
            Self::Gcm(gcm) => gcm.open(head, body, place),
        }
    }
}

impl Counter {
    fn new(
        master: &Master,
        [encryption, authentication, salting]: [u8; 3],
        tag: usize,
    ) -> Result<Self, SrtpError> {
        let (mut key, mut code, mut salt) = ([0; 16], [0; 20], [0; 16]);
        master.derive(encryption, &mut key);
        master.derive(authentication, &mut code);
        master.derive(salting, salt.get_mut(..14).unwrap_or_default());
        let hmac = <Hmac<Sha1> as KeyInit>::new_from_slice(&code).map_err(|_length| SrtpError::Key)?;
        Ok(Self { aes: Aes128Enc::new(&key.into()), hmac, salt: u128::from_be_bytes(salt), tag })
    }

    /// Encrypts or decrypts (RFC 3711 §4.1.1).
    fn mix(&self, bytes: &mut [u8], place: Place<'_>) {
        let mut counter = self.salt ^ u128::from(place.ssrc) << 64 ^ u128::from(place.index) << 16;
        for chunk in bytes.chunks_mut(LANES * 16) {
            let mut blocks: [Block; LANES] =
                std::array::from_fn(|n| (counter + n as u128).to_be_bytes().into());
            counter += LANES as u128;
            let count = chunk.len().div_ceil(16);
            self.aes.encrypt_blocks(blocks.get_mut(..count).unwrap_or_default());
            let (whole, rest) = chunk.as_chunks_mut::<16>();
            for (bytes, stream) in whole.iter_mut().zip(&blocks) {
                // Sixteen at a time: byte by byte, this would cost more than the cipher.
                *bytes = (u128::from_ne_bytes(*bytes) ^ u128::from_ne_bytes((*stream).into())).to_ne_bytes();
            }
            for (byte, stream) in rest.iter_mut().zip(blocks.iter().skip(whole.len()).flatten()) {
                *byte ^= stream;
            }
        }
    }

    fn authenticate(&self, parts: &[&[u8]]) -> [u8; TAG_MAX] {
        let mut hmac = self.hmac.clone();
        parts.iter().for_each(|part| hmac.update(part));
        let full = hmac.finalize().into_bytes();
        let mut tag = [0; TAG_MAX];
        let short = tag.iter_mut().zip(full).take(self.tag);
        short.for_each(|(to, from)| *to = from);
        tag
    }
}

impl Gcm {
    fn new(master: &Master, [encryption, _, salting]: [u8; 3]) -> Result<Self, SrtpError> {
        let (mut key, mut salt) = ([0; 32], [0; 12]);
        let (algorithm, length) = match master.aes {
            Aes::Short(_) => (&AES_128_GCM, 16),
            Aes::Long(_) => (&AES_256_GCM, 32),
        };
        let key = key.get_mut(..length).unwrap_or_default();
        master.derive(encryption, key);
        master.derive(salting, &mut salt);
        let key = UnboundKey::new(algorithm, key).map_err(|_unspecified| SrtpError::Key)?;
        Ok(Self { key: LessSafeKey::new(key), salt })
    }

    /// RFC 7714 §8.1 and §9.1: two bytes of zero, SSRC, index, over the salt.
    fn nonce(&self, place: Place<'_>) -> Nonce {
        let plain = u128::from(place.ssrc) << 48 | u128::from(place.index);
        let mut nonce = self.salt;
        for (byte, plain) in nonce.iter_mut().zip(plain.to_be_bytes().into_iter().skip(4)) {
            *byte ^= plain;
        }
        Nonce::assume_unique_for_key(nonce)
    }

    fn seal(&self, head: &[u8], body: &mut [u8], place: Place<'_>) -> Result<[u8; TAG_MAX], SrtpError> {
        let tag = self.key.seal_in_place_separate_tag(self.nonce(place), Aad::from(head), body);
        let tag = tag.map_err(|_unspecified| SrtpError::Short)?;
        tag.as_ref().try_into().map_err(|_length| SrtpError::Short)
    }

    fn open(&self, head: &[u8], body: &mut [u8], place: Place<'_>) -> Result<(), SrtpError> {
        let opened = self.key.open_in_place(self.nonce(place), Aad::from(head), body);
        opened.map(|_plain| ()).map_err(|_unspecified| SrtpError::NotAuthentic)
    }
}

/// A master key, ready for the derivation of session keys.
struct Master {
    aes: Aes,
    salt: u128,
}

enum Aes {
    Short(Aes128Enc),
    Long(Aes256Enc),
}

impl Master {
    fn new(key: &SrtpKey) -> Result<Self, SrtpError> {
        let length = key.suite.key_length();
        if key.master.len() != length + key.suite.salt_length() {
            return Err(SrtpError::Key);
        }
        let (bytes, salting) = key.master.split_at(length);
        let mut salt = [0; 16];
        // A salt of 96 bits is filled up with zeros behind it (RFC 7714 §11).
        salt.iter_mut().zip(salting).for_each(|(to, from)| *to = *from);
        let aes = match bytes.try_into() {
            Ok(short) => Aes::Short(Aes128Enc::new(short)),
            Err(_longer) => Aes::Long(Aes256Enc::new(bytes.try_into().map_err(|_length| SrtpError::Key)?)),
        };
        Ok(Self { aes, salt: u128::from_be_bytes(salt) })
    }

    /// RFC 3711 §4.3.3 with a key derivation rate of zero.
    fn derive(&self, label: u8, out: &mut [u8]) {
        let start = self.salt ^ u128::from(label) << 64;
        for (n, chunk) in out.chunks_mut(16).enumerate() {
            let mut block: Block = (start + n as u128).to_be_bytes().into();
            match &self.aes {
                Aes::Short(aes) => aes.encrypt_block(&mut block),
                Aes::Long(aes) => aes.encrypt_block(&mut block),
            }
            chunk.iter_mut().zip(block).for_each(|(to, from)| *to = from);
        }
    }
}

/// Compares in a time that does not tell where the first difference is.
fn equal(tag: &[u8], expected: &[u8; TAG_MAX]) -> bool {
    let difference = tag.iter().zip(expected).fold(0, |sum, (a, b)| sum | (a ^ b));
    std::hint::black_box(difference) == 0
}
