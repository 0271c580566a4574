//! Changes of a call that is up, wanted by us: new media by re-INVITE, refreshes by UPDATE (RFC 3261 §14.1, RFC 3311 §5.1).
//!
//! One is asked at a time; a newer wish takes the place of one that waits.
//!
//! ```text
//! state     a wish            2xx     491                   408, 481, silence   other failures
//! Idle      Asked             –       –                     –                   –
//! Asked     kept for later    Idle    Waiting, then Asked   the call ends       Idle, all as it was before
//! Waiting   takes its place   –       –                     –                   –
//! ```

use std::time::Duration;

use segue_media::MediaDescription;

use super::{
    Alarm, Hop, Owner, Stack, Stage, TransactionId,
    leg::{EndBy, Leg},
    session::min_se,
};
use crate::{
    message::{Message, Method},
    sdp,
    words::{Ended, LegEvent, SipLegId},
};

/// Our own change of a leg.
#[derive(Debug, Default)]
pub(super) struct Change {
    wanted: Option<Wish>,
    stage: ChangeStage,
    /// How often in a row ours crossed theirs, or had to be said again in another way.
    again: u8,
}

#[derive(Debug, Default)]
enum ChangeStage {
    #[default]
    Idle,
    Asked {
        transaction: TransactionId,
        method: Method,
        wish: Wish,
        cancelled: bool,
    },
    /// For the moment that lets one of two crossing offers be first.
    Waiting,
}

#[derive(Clone, Debug)]
enum Wish {
    /// New media on our side.
    Offer(Box<MediaDescription>),
    /// Only a sign of life (RFC 4028).
    Refresh,
}

impl Change {
    /// Whether an INVITE, or an offer, of ours waits for its answer: theirs would cross it (RFC 3261 §14.2, RFC 3311 §5.2).
    pub(super) fn collides(&self) -> bool {
        match &self.stage {
            ChangeStage::Asked { method, wish, .. } => {
                *method == Method::Invite || matches!(wish, Wish::Offer(_))
            }
            ChangeStage::Idle | ChangeStage::Waiting => false,
        }
    }

    /// Wishes that have not been granted yet.
    pub(super) fn is_idle(&self) -> bool {
        self.wanted.is_none() && matches!(self.stage, ChangeStage::Idle)
    }
}

impl Stack {
    /// Offers new media.
    pub(crate) fn reoffer(&mut self, now: Duration, id: SipLegId, local: MediaDescription) {
        self.effects.now = now;
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.change.wanted = Some(Wish::Offer(Box::new(local)));
            leg.change.again = 0;
            self.try_change(id);
        }
    }

    pub(super) fn want_refresh(&mut self, id: SipLegId) {
        if let Some(leg) = self.legs.get_mut(&id).filter(|leg| leg.change.is_idle()) {
            leg.change.wanted = Some(Wish::Refresh);
            leg.change.again = 0;
            self.try_change(id);
        }
    }

    /// Asks for what is wanted, if nothing is in the way: an ACK that is due, or a change that is under way.
    pub(super) fn try_change(&mut self, id: SipLegId) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let Stage::Up { ack: None, then_end: None } = leg.stage else { return };
        if !matches!(leg.change.stage, ChangeStage::Idle) {
            return;
        }
        let Some(wish) = leg.change.wanted.take() else { return };
        let method = match wish {
            Wish::Refresh if leg.far.update => Method::Update,
            Wish::Refresh | Wish::Offer(_) => Method::Invite,
        };
        let hop = leg.dialog.hop();
        let mut request = leg.dialog.request(method.clone(), None);
        match &wish {
            Wish::Offer(local) => {
                let text = leg.media.offer(local);
                request.set_sdp(text);
            }
            // The same words with the same version: nothing changes (RFC 4028 §7.4).
            Wish::Refresh if method == Method::Invite => {
                if let Some(said) = leg.media.said() {
                    request.set_sdp(said.to_owned());
                }
            }
            Wish::Refresh => {}
        }
        request.push("Contact", self.contact(id, hop));
        self.introduce(&mut request);
        self.repeat_session(id, &mut request);
        let transaction = self.send_request(request, hop, Owner::Change(id));
        if method == Method::Invite {
            self.effects.set(Alarm::Change(id), self.transactions.patience());
        }
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.change.stage = ChangeStage::Asked { transaction, method, wish, cancelled: false };
        }
    }

    /// A response to our re-INVITE or UPDATE.
    pub(super) fn change_response(
        &mut self,
        id: SipLegId,
        transaction: TransactionId,
        response: &Message,
        hop: Hop,
    ) {
        let code = response.code().unwrap_or(500);
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let current = matches!(&leg.change.stage, ChangeStage::Asked { transaction: asked, .. } if *asked == transaction);
        if code < 200 {
            return;
        }
        if !current {
            // A 2xx again: our ACK was lost.
            if let Some((hop, ack)) = leg.media.ack.clone().filter(|_| code < 300) {
                self.effects.send(hop, ack);
            }
            return;
        }
        let ChangeStage::Asked { method, wish, .. } = std::mem::take(&mut leg.change.stage) else { return };
        self.effects.clear(Alarm::Change(id));
        match code {
            ..300 => self.change_taken(id, (method, wish), response, hop),
            491 => self.change_crossed(id, wish),
            408 | 481 => self.end(id, EndBy::Fault(Ended::Timeout)),
            401 | 407 if self.change_authorized(id, transaction, (&method, &wish), response) => {}
            422 => {
                if let Some(leg) = self.legs.get_mut(&id) {
                    leg.session.floor = leg.session.floor.max(min_se(response));
                }
                self.change_again(id, wish, code);
            }
            405 | 501 if method == Method::Update => {
                if let Some(leg) = self.legs.get_mut(&id) {
                    leg.far.update = false;
                }
                self.change_again(id, wish, code);
            }
            _ => self.change_refused(id, &wish, Some(code)),
        }
    }

    fn change_taken(&mut self, id: SipLegId, asked: (Method, Wish), response: &Message, hop: Hop) {
        let (method, wish) = asked;
        let Some(leg) = self.legs.get_mut(&id) else { return };
        leg.dialog.refresh(response, Hop { socket: leg.dialog.flow().socket, ..hop });
        leg.far.learn(response);
        leg.change.again = 0;
        if method == Method::Invite {
            self.send_ack(id, response, None);
        }
        let Some(leg) = self.legs.get_mut(&id) else { return };
        if !matches!(leg.stage, Stage::Up { .. }) {
            return;
        }
        let local = match &wish {
            Wish::Offer(local) => Some((**local).clone()),
            Wish::Refresh => leg.media.local.clone(),
        };
        let agreed = response
            .sdp()
            .and_then(|body| sdp::Session::read(body, hop.remote.ip()).ok())
            .zip(local.as_ref())
            .and_then(|(session, local)| session.agree_to_offer(local).ok());
        let changed = agreed.as_ref().is_some_and(|agreed| leg.media.remote.as_ref() != Some(&agreed.remote));
        self.session_agreed(id, response);
        match (wish, agreed) {
            (Wish::Offer(local), Some(agreed)) => {
                if let Some(leg) = self.legs.get_mut(&id) {
                    leg.media.local = Some(*local);
                    leg.media.remote = Some(agreed.remote.clone());
                }
                self.tell_event(id, LegEvent::MediaChanged { remote: agreed.remote, local: agreed.local });
            }
            (Wish::Offer(_), None) => {
                let why = "the answer to our new offer cannot be used".to_owned();
                self.end(id, EndBy::Fault(Ended::Error(why)));
            }
            (Wish::Refresh, Some(agreed)) if changed => {
                if let Some(leg) = self.legs.get_mut(&id) {
                    leg.media.remote = Some(agreed.remote.clone());
                }
                self.tell_event(id, LegEvent::MediaChanged { remote: agreed.remote, local: agreed.local });
            }
            (Wish::Refresh, _) => {}
        }
        self.try_change(id);
    }

    /// Both sides asked at once: whoever made the Call-ID waits longer (RFC 3261 §14.1).
    fn change_crossed(&mut self, id: SipLegId, wish: Wish) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        leg.change.again += 1;
        if leg.change.again > AGAIN_MAX {
            leg.change.again = 0;
            self.change_refused(id, &wish, None);
            return;
        }
        leg.change.wanted.get_or_insert(wish);
        leg.change.stage = ChangeStage::Waiting;
        let (first, steps) = if leg.incoming { (0, 200) } else { (2_100, 190) };
        let wait = first + 10 * self.effects.chance(steps + 1);
        self.effects.set(Alarm::Change(id), Duration::from_millis(wait));
    }

    /// The same wish in another way, at once.
    fn change_again(&mut self, id: SipLegId, wish: Wish, code: u16) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        leg.change.again += 1;
        if leg.change.again > AGAIN_MAX {
            leg.change.again = 0;
            self.change_refused(id, &wish, Some(code));
        } else {
            leg.change.wanted.get_or_insert(wish);
            self.try_change(id);
        }
    }

    fn change_authorized(
        &mut self,
        id: SipLegId,
        transaction: TransactionId,
        asked: (&Method, &Wish),
        response: &Message,
    ) -> bool {
        let Some((mut request, hop)) = self.authorized(id, transaction, response) else { return false };
        let (method, wish) = (asked.0.clone(), asked.1.clone());
        let Some(leg) = self.legs.get_mut(&id).filter(|leg| leg.change.again < AGAIN_MAX) else {
            return false;
        };
        leg.change.again += 1;
        leg.dialog.local_number += 1;
        request.set("CSeq", format!("{} {}", leg.dialog.local_number, method.name()));
        let transaction = self.send_request(request, hop, Owner::Change(id));
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.change.stage = ChangeStage::Asked { transaction, method, wish, cancelled: false };
        }
        true
    }

    fn change_refused(&mut self, id: SipLegId, wish: &Wish, code: Option<u16>) {
        tracing::debug!(leg = %id, code, "a change was not taken");
        if matches!(wish, Wish::Offer(_)) {
            self.tell_event(id, LegEvent::OfferRefused { code });
        }
        self.try_change(id);
    }

    /// No answer at all: the dialog is gone (RFC 3261 §14.1).
    pub(super) fn change_failed(&mut self, id: SipLegId, transaction: TransactionId) {
        let asked = self.legs.get(&id).is_some_and(|leg| {
            matches!(&leg.change.stage, ChangeStage::Asked { transaction: asked, .. } if *asked == transaction)
        });
        if asked {
            self.end(id, EndBy::Fault(Ended::Timeout));
        }
    }

    /// The wait after a crossing is over, or a re-INVITE of ours rings for too long.
    pub(super) fn change_due(&mut self, id: SipLegId) {
        let Some(Leg { change, .. }) = self.legs.get_mut(&id) else { return };
        match &mut change.stage {
            ChangeStage::Waiting => {
                change.stage = ChangeStage::Idle;
                self.try_change(id);
            }
            ChangeStage::Asked { transaction, cancelled: cancelled @ false, .. } => {
                *cancelled = true;
                let transaction = *transaction;
                self.cancel_invite(transaction);
            }
            ChangeStage::Asked { .. } | ChangeStage::Idle => {}
        }
    }
}

/// Crossings and other ways in a row before a wish is given up.
const AGAIN_MAX: u8 = 6;
