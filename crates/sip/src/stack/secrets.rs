//! Keys of SRTP (RFC 4568 §9.1) are told where signalling is secret, and nowhere else unless the gateway wants it so.

use segue_media::MediaDescription;

use super::{Contact, Hop, LegNews, Stack};
use crate::words::{AnswerError, DialRequest, FailureKind, SipFailure, SipLegId};

impl Stack {
    /// Takes our keys out of an answer that would tell them in the clear; a call that demands them is refused.
    pub(super) fn keep_keys_hidden(
        &mut self,
        id: SipLegId,
        local: &mut MediaDescription,
    ) -> Result<(), AnswerError> {
        let transport = self.legs.get(&id).ok_or(AnswerError::Canceled)?.dialog.hop().transport;
        if self.policy.hides_keys(transport) || local.hide_keys() {
            return Ok(());
        }
        self.refuse_leg(id, 488, &[]);
        Err(AnswerError::NoCommonCodec)
    }

    /// Takes our keys out of an offer that would tell them in the clear; false where the call demands them and has
    /// failed.
    pub(super) fn hide_keys(
        &mut self,
        id: SipLegId,
        request: &mut DialRequest,
        contacts: &[Contact],
    ) -> bool {
        let hidden = contacts.iter().all(|contact| self.policy.hides_keys(contact.hop.transport));
        if hidden || request.offer.hide_keys() {
            return true;
        }
        let reason = "SRTP is demanded, and its keys would be told without TLS".to_owned();
        let failure = SipFailure { kind: FailureKind::NoCommonCodec, code: None, reason };
        self.tell(id, LegNews::Failed(failure));
        false
    }

    /// The same for one more place of a call that tries places in turn; false where it must not be tried.
    pub(super) fn hide_keys_at(&mut self, id: SipLegId, hop: Hop) -> bool {
        let hidden = self.policy.hides_keys(hop.transport);
        self.dials.get_mut(&id).is_some_and(|dial| hidden || dial.request_mut().offer.hide_keys())
    }
}
