//! Keys of SRTP as SDES carries them: the words of an a=crypto line (RFC 4568), without its syntax.

use std::fmt;

/// A pair of cipher and authentication with its lengths (RFC 4568 §6.2, RFC 7714 §12, RFC 6188).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Suite {
    /// AES in counter mode, 128 bit; HMAC-SHA1 with a tag of 80 bits.
    AesCm128Sha1Tag80,
    /// The same with a tag of 32 bits; RTCP keeps its 80.
    AesCm128Sha1Tag32,
    /// AES-GCM with 128 bit.
    AeadAes128Gcm,
    /// AES-GCM with 256 bit.
    AeadAes256Gcm,
}

impl Suite {
    /// Every suite, in the order in which our offers name them.
    pub const ALL: [Self; 4] =
        [Self::AeadAes128Gcm, Self::AesCm128Sha1Tag80, Self::AesCm128Sha1Tag32, Self::AeadAes256Gcm];

    /// The name in an a=crypto line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AesCm128Sha1Tag80 => "AES_CM_128_HMAC_SHA1_80",
            Self::AesCm128Sha1Tag32 => "AES_CM_128_HMAC_SHA1_32",
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Self::AeadAes256Gcm => "AEAD_AES_256_GCM",
        }
    }

    /// The suite of that name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.name().eq_ignore_ascii_case(name))
    }

    /// Bytes of the master key.
    #[must_use]
    pub const fn key_length(self) -> usize {
        match self {
            Self::AesCm128Sha1Tag80 | Self::AesCm128Sha1Tag32 | Self::AeadAes128Gcm => 16,
            Self::AeadAes256Gcm => 32,
        }
    }

    /// Bytes of the master salt.
    #[must_use]
    pub const fn salt_length(self) -> usize {
        match self {
            Self::AesCm128Sha1Tag80 | Self::AesCm128Sha1Tag32 => 14,
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 12,
        }
    }
}

/// One side's key: what one a=crypto line says.
#[derive(Clone, PartialEq, Eq)]
pub struct SrtpKey {
    /// The line's tag, 0 to 999,999,999; an answer names the one that it takes.
    pub tag: u32,
    /// Which ciphers.
    pub suite: Suite,
    /// Master key and master salt, one after the other; as long as the suite says.
    pub master: Vec<u8>,
    /// Packets that may be sent with it, if the line limits them; never more than 2^48.
    pub lifetime: Option<u64>,
    /// The master key identifier that ends every packet, if there is one: its value and its length, 1 to 128
    /// bytes.
    pub mki: Option<(u32, u8)>,
    /// Plain RTP would do as well: the line stands in a stream of RTP/AVP, not RTP/SAVP.
    pub optional: bool,
}

/// Keys do not belong in a log.
impl fmt::Debug for SrtpKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SrtpKey")
            .field("tag", &self.tag)
            .field("suite", &self.suite)
            .field("mki", &self.mki)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suite_is_found_by_its_name_and_a_key_is_never_printed() {
        for suite in Suite::ALL {
            assert_eq!(Suite::of_name(&suite.name().to_lowercase()), Some(suite));
        }
        assert_eq!(Suite::of_name("F8_128_HMAC_SHA1_80"), None);
        let master = vec![0xAB; 30];
        let key = SrtpKey {
            tag: 1,
            suite: Suite::AesCm128Sha1Tag80,
            master,
            lifetime: None,
            mki: None,
            optional: false,
        };
        let text = format!("{key:?}");
        assert!(text.contains("AesCm128Sha1Tag80") && !text.contains("171") && !text.contains("master"));
    }
}
