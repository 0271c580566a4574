//! Whether a leg is plain RTP or SRTP, and that nothing leaves in the clear where SRTP was demanded.
//!
//! ```text
//!            a description that demands SRTP          keys
//!   Plain ─────────────────────────────► Waiting ─────────► Secured
//!     ▲ ◄────────────── a description without keys ───────────┘
//! ```

use std::time::Duration;

use crate::{
    security::SrtpKey,
    session::MediaDescription,
    srtp::{Opener, PACKET_MAX, Sealer, SrtpError},
};

/// What lies between a leg and its sockets.
#[derive(Default)]
pub(crate) enum Guard {
    /// Nothing.
    #[default]
    Plain,
    /// SRTP was demanded and its keys are not known: nothing goes through.
    Waiting,
    /// SRTP both ways.
    Secured(Box<(Opener, Sealer)>),
}

/// A packet on its way in: as it came, or opened.
pub(crate) struct Opened {
    bytes: [u8; PACKET_MAX],
    length: usize,
}

impl Opened {
    /// The plain packet.
    pub(crate) fn plain(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl Guard {
    /// The far side said what it wants.
    pub(crate) fn remote(&mut self, description: &MediaDescription) {
        let demanded = description.security.iter().any(|key| !key.optional);
        if description.security.is_empty() {
            *self = Self::Plain;
        } else if demanded && self.is_plain() {
            *self = Self::Waiting;
        }
    }

    /// Both sides agreed on keys.
    pub(crate) fn secure(
        &mut self,
        now: Duration,
        theirs: &SrtpKey,
        ours: &SrtpKey,
    ) -> Result<(), SrtpError> {
        match self {
            Self::Secured(pair) => {
                pair.0.rekey(now, theirs)?;
                pair.1.rekey(ours)
            }
            Self::Plain | Self::Waiting => {
                // A key that cannot be used leaves nothing in the clear.
                *self = Self::Waiting;
                *self = Self::Secured(Box::new((Opener::new(theirs)?, Sealer::new(ours)?)));
                Ok(())
            }
        }
    }

    pub(crate) const fn is_plain(&self) -> bool {
        matches!(self, Self::Plain)
    }

    /// Opens a packet that came; `None` for one that is not authentic.
    pub(crate) fn open(&mut self, now: Duration, packet: &[u8], control: bool) -> Option<Opened> {
        let mut opened = Opened { bytes: [0; PACKET_MAX], length: 0 };
        let bytes = opened.bytes.get_mut(..packet.len())?;
        bytes.copy_from_slice(packet);
        opened.length = match self {
            Self::Plain => packet.len(),
            Self::Waiting => return None,
            Self::Secured(pair) if control => pair.0.rtcp(now, bytes).ok()?,
            Self::Secured(pair) => pair.0.rtp(now, bytes).ok()?,
        };
        Some(opened)
    }

    /// Closes the packet in the first `length` bytes of `buffer`, which has room for more; gives its length then,
    /// or `None` if it must not go out.
    pub(crate) fn close(&mut self, buffer: &mut [u8], length: usize, control: bool) -> Option<usize> {
        match self {
            Self::Plain => Some(length),
            Self::Waiting => None,
            Self::Secured(pair) if control => pair.1.rtcp(buffer, length).ok(),
            Self::Secured(pair) => pair.1.rtp(buffer, length).ok(),
        }
    }
}
