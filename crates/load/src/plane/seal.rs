//! SRTP of one leg (RFC 3711), or nothing where none was agreed on.

use std::time::Duration;

use segue_media::{
    security::SrtpKey,
    srtp::{Opener, Sealer, SrtpError},
};

use crate::{clock::Nanos, sys::BYTES_MAX};

/// What lies between a leg and its socket.
#[derive(Default)]
pub(super) struct Seal(Option<Box<(Opener, Sealer)>>);

impl Seal {
    /// Takes up the keys that were agreed on, theirs and ours; those in use, said again, change nothing.
    ///
    /// # Errors
    /// A key without the length of its suite: the leg is silent and deaf then.
    pub(super) fn agree(&mut self, keys: Option<&(SrtpKey, SrtpKey)>, now: Nanos) -> Result<(), SrtpError> {
        match (keys, &mut self.0) {
            (None, pair) => *pair = None,
            (Some((theirs, ours)), Some(pair)) => {
                pair.0.rekey(Duration::from_nanos(now), theirs)?;
                pair.1.rekey(ours)?;
            }
            (Some((theirs, ours)), pair @ None) => {
                *pair = Some(Box::new((Opener::new(theirs)?, Sealer::new(ours)?)));
            }
        }
        Ok(())
    }

    /// Closes the packet in the first `length` bytes; gives its length then, 0 if it must not go out.
    pub(super) fn close(&mut self, bytes: &mut [u8; BYTES_MAX], length: usize) -> usize {
        self.0.as_mut().map_or(length, |pair| pair.1.rtp(bytes, length).unwrap_or(0))
    }

    /// The plain packet; it lies in `room` if it was sealed.
    ///
    /// # Errors
    /// It is not authentic, or it came before.
    pub(super) fn open<'a>(
        &mut self,
        now: Nanos,
        packet: &'a [u8],
        room: &'a mut [u8; BYTES_MAX],
    ) -> Result<&'a [u8], SrtpError> {
        let Some(pair) = &mut self.0 else { return Ok(packet) };
        let bytes = room.get_mut(..packet.len()).ok_or(SrtpError::Long)?;
        bytes.copy_from_slice(packet);
        let length = pair.0.rtp(Duration::from_nanos(now), bytes)?;
        Ok(bytes.get(..length).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use segue_media::{rtp::Header, security::Suite};

    use super::*;

    #[test]
    fn a_packet_goes_through_the_keys_of_both_sides_once() {
        let key = |suite: Suite, byte| {
            let master = vec![byte; suite.key_length() + suite.salt_length()];
            SrtpKey { tag: 1, suite, master, lifetime: None, mki: None, optional: false }
        };
        let header = Header { marker: false, payload_type: 0, sequence: 1, timestamp: 2, ssrc: 3 }.write();
        for suite in Suite::ALL {
            let (one, other) = (key(suite, 1), key(suite, 2));
            let (mut here, mut there) = (Seal::default(), Seal::default());
            here.agree(Some(&(other.clone(), one.clone())), 0).unwrap();
            there.agree(Some(&(one, other)), 0).unwrap();
            let mut bytes = [9; BYTES_MAX];
            bytes[..12].copy_from_slice(&header);
            let plain = bytes[..172].to_vec();
            let length = here.close(&mut bytes, 172);
            assert!(length > 172 && bytes[12..172] != plain[12..], "{suite:?}");
            let mut room = [0; BYTES_MAX];
            assert_eq!(there.open(0, &bytes[..length], &mut room), Ok(&plain[..]));
            assert_eq!(there.open(0, &bytes[..length], &mut room), Err(SrtpError::Replayed));
            bytes[20] ^= 1;
            assert_eq!(here.open(0, &bytes[..length], &mut room), Err(SrtpError::NotAuthentic));
            there.agree(None, 0).unwrap();
            assert_eq!(there.open(0, &plain, &mut room), Ok(&plain[..]));
        }
    }
}
