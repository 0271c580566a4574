//! Whether the far side of an answered call is still there: OPTIONS in the dialog, every now and then (RFC 3261 §11, §12.2).
//!
//! Any answer shows life, but 481 and 408, which say that the dialog is gone there (RFC 3261 §12.2.1.2). Silence is
//! believed the second time in a row: the first may be a connection that broke in that moment.

use std::time::Duration;

use super::{
    Alarm, Owner, Stack, Stage,
    leg::{EndBy, Leg},
};
use crate::{
    message::{Message, Method},
    words::{Ended, SipLegId},
};

/// Questions in a row that may stay without an answer.
const UNANSWERED_MAX: u8 = 2;

impl Stack {
    pub(super) fn ask_alive_later(&mut self, id: SipLegId, after: Duration) {
        if !self.timers.alive_every.is_zero() {
            self.effects.set(Alarm::Alive(id), after);
        }
    }

    /// Asks, if the leg is up; one that is still being answered is asked later.
    pub(super) fn ask_alive(&mut self, id: SipLegId) {
        let Some(Leg { stage, dialog, .. }) = self.legs.get_mut(&id) else { return };
        match stage {
            Stage::Ending | Stage::Up { then_end: Some(_), .. } => {}
            Stage::Ringing(_) | Stage::Up { ack: Some(_), .. } => {
                self.ask_alive_later(id, self.timers.alive_every);
            }
            Stage::Up { ack: None, then_end: None } => {
                let hop = dialog.hop();
                let mut options = dialog.request(Method::Options, None);
                options.push("Contact", self.contact(id, hop));
                options.push("Accept", "application/sdp");
                self.send_request(options, hop, Owner::Alive(id));
            }
        }
    }

    pub(super) fn alive_response(&mut self, id: SipLegId, response: &Message) {
        match response.code().unwrap_or(500) {
            ..200 => {}
            408 | 481 => self.end(id, EndBy::Fault(Ended::Timeout)),
            _ => {
                if let Some(leg) = self.legs.get_mut(&id) {
                    leg.unanswered = 0;
                    self.ask_alive_later(id, self.timers.alive_every);
                }
            }
        }
    }

    pub(super) fn alive_unanswered(&mut self, id: SipLegId) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        leg.unanswered += 1;
        if leg.unanswered < UNANSWERED_MAX {
            self.ask_alive_later(id, self.timers.t2);
        } else {
            tracing::info!(leg = %id, "the far side does not answer any more");
            self.end(id, EndBy::Fault(Ended::Timeout));
        }
    }
}
