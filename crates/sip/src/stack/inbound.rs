//! Calls from outside: INVITE, what we answer, ACK and CANCEL (RFC 3261 §8.2, §9.2, §13.3).

use super::{
    Alarm, Hop, Leg, Output, Stack, Stage, Turndown,
    dialog::Dialog,
    leg::{EndBy, Media, pick_headers},
    ringing::Ringing,
};
use crate::{
    message::{ACCEPT, BodyFault, Message, Method, Uri, octets, reason_of},
    sdp,
    words::{Caller, Ended, Invitation, LegEvent, SipLegId, Source},
};

/// Headers of an INVITE that the gateway gets to see, besides `X-*`.
const SHOWN: [&str; 4] = ["User-to-User", "P-Asserted-Identity", "Diversion", "History-Info"];

/// What has been found out about an INVITE before it gets any state.
struct Accepted {
    source: Source,
    to: String,
    offer: Option<sdp::Session>,
}

impl Stack {
    /// An INVITE outside of a dialog.
    pub(super) fn invited(&mut self, request: &Message, hop: Hop) {
        let accepted = match self.judge(request, hop) {
            Ok(accepted) => accepted,
            Err((code, headers)) => {
                self.reject(request, hop, code, &headers);
                return;
            }
        };
        let dialogs = self.legs.len() + self.dials.len();
        if !self.admission.call(self.effects.now, self.incoming, dialogs) {
            self.refused.calls_over_limit += 1;
            tracing::info!("refused a call: the limit on calls is reached");
            self.reject_for_now(request, hop);
            return;
        }
        let tag = self.effects.token();
        let Some(dialog) = Dialog::of_request(request, tag, hop) else {
            self.reject(request, hop, 400, &[]);
            return;
        };
        match self.find_replaced(request) {
            Ok(None) => self.open(request, hop, dialog, accepted),
            Ok(Some(replaced)) => self.replace(request, hop, dialog, (replaced, accepted.offer)),
            Err(code) => self.reject(request, hop, code, &[]),
        }
    }

    fn open(&mut self, request: &Message, hop: Hop, dialog: Dialog, accepted: Accepted) {
        let id = self.next_leg();
        let invite = self.transactions.open_server(request, hop);
        self.transactions.bind(invite, id);
        let trying = Message::response(request, 100, reason_of(100));
        self.transactions.respond(&mut self.effects, invite, &trying);
        self.arrivals.remember(self.effects.now, request);
        let invitation = Invitation {
            leg: id,
            from: caller(request),
            to: accepted.to,
            source: accepted.source,
            signalling: hop.remote,
            sip_call_id: octets::shown(request.call_id()),
            headers: pick_headers(request, &SHOWN),
            offer: accepted.offer.as_ref().map(|offer| offer.media.clone()),
        };
        tracing::info!(leg = %id, sip_call_id = invitation.sip_call_id, source = ?invitation.source, "a call came in");
        tracing::debug!(leg = %id, from = invitation.from.user, to = invitation.to, "who calls whom");
        let ringing = Ringing::new(invite, request.clone(), accepted.offer.map(Box::new));
        let mut leg = Leg::new(dialog, Stage::Ringing(Box::new(ringing)), Media::new(id.0));
        leg.incoming = true;
        leg.far.learn(request);
        self.insert(id, leg);
        self.effects.set(Alarm::RungOut(id), self.timers.incoming_ring_max);
        self.effects.outputs.push_back(Output::Incoming(Box::new(invitation)));
    }

    /// Everything that can be wrong with an INVITE, in the order of RFC 3261 §8.2.
    fn judge(&mut self, request: &Message, hop: Hop) -> Result<Accepted, Turndown> {
        let uri = Uri::read(request.uri()).ok_or((400, Vec::new()))?;
        let source = self.identify(request, hop)?;
        if self.arrivals.is_merged(self.effects.now, request) {
            return Err((482, Vec::new()));
        }
        if self.lacks_reliability(request) {
            return Err((421, vec![("Require", "100rel".to_owned())]));
        }
        self.judge_session(request)?;
        // An RFC 2543 caller may leave Contact out; then From leads back to them.
        let contact_broken = request.first("Contact").is_some()
            && request.contact().and_then(|contact| contact.parsed()).is_none();
        if contact_broken {
            return Err((400, Vec::new()));
        }
        if !takes_descriptions(request) {
            return Err((406, Vec::new()));
        }
        let offer = self.offer_of(request, hop)?;
        Ok(Accepted { source, to: octets::shown(&uri.user.unwrap_or_default()), offer })
    }

    /// Who they are: a trunk by address, a user by digest, or nobody that we know.
    fn identify(&mut self, request: &Message, hop: Hop) -> Result<Source, Turndown> {
        let ip = hop.remote.ip().to_canonical();
        if let Some(trunk) = self.admission.trunk(ip) {
            return Ok(Source::Trunk(trunk.to_owned()));
        }
        if !self.guard.knows_anybody() {
            return Err((403, Vec::new()));
        }
        self.prove(request, "INVITE").map(Source::User)
    }

    /// The offer in a request; none if there is no body.
    pub(super) fn offer_of(&self, request: &Message, hop: Hop) -> Result<Option<sdp::Session>, Turndown> {
        let body = match request.description() {
            Ok(Some(body)) => body,
            Ok(None) => return Ok(None),
            Err(BodyFault::Type) => return Err((415, vec![("Accept", ACCEPT.to_owned())])),
            Err(BodyFault::Encoding) => return Err((415, vec![("Accept-Encoding", "identity".to_owned())])),
            Err(BodyFault::Encrypted) => return Err((493, Vec::new())),
        };
        let session = sdp::Session::read(body, hop.remote.ip());
        let hidden = self.policy.hides_keys(hop.transport);
        match session.and_then(|session| if hidden { Ok(session) } else { session.without_keys() }) {
            Ok(session) => Ok(Some(session)),
            Err(error) => {
                let code = if error == sdp::SdpError::NotSdp { 400 } else { 488 };
                let local = self.locals.of(hop);
                Err((code, vec![("Warning", format!("399 {local} \"{error}\""))]))
            }
        }
    }

    /// Allows or forbids REFER on a leg.
    pub(crate) fn allow_handoff(&mut self, id: SipLegId, allowed: bool) {
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.rights.handoff = allowed;
        }
    }

    /// CANCEL: answered by itself; a call that still rings ends with 487 (RFC 3261 §9.2).
    pub(super) fn cancelled(&mut self, request: &Message, hop: Hop) {
        if let Some(own) = self.transactions.find(request, &Method::Cancel) {
            self.transactions.repeat(&mut self.effects, own);
            return;
        }
        let Some(invite) = self.transactions.find(request, &Method::Invite) else {
            self.reject(request, hop, 481, &[]);
            return;
        };
        let mut response = Message::response(request, 200, reason_of(200));
        let leg = self.transactions.leg(invite);
        let tag = leg.and_then(|id| self.legs.get(&id)).map(|leg| leg.dialog.local_tag.clone());
        if let Some(tag) = tag {
            response.tag_to(&tag);
        }
        self.answer_once(request, hop, &response);
        if let Some(id) = leg
            && self.transactions.is_proceeding(invite)
        {
            self.withdraw(id);
        }
    }

    /// ACK: of a refusal, which its transaction wants, or of a 2xx, which its dialog wants.
    pub(super) fn acknowledge(&mut self, request: &Message, hop: Hop) {
        let Some(id) = Dialog::key_of(request).and_then(|key| self.dialogs.get(&key)).copied() else {
            if let Some(invite) = self.transactions.find(request, &Method::Ack) {
                self.transactions.acknowledged(&mut self.effects, invite);
            }
            return;
        };
        if let Some(invite) = self.transactions.find(request, &Method::Ack) {
            self.transactions.acknowledged(&mut self.effects, invite);
        }
        let number = request.cseq().map(|(number, _)| number);
        let Some(Leg { stage: Stage::Up { ack, then_end }, .. }) = self.legs.get_mut(&id) else { return };
        let Some(due) = ack.take_if(|due| Some(due.number) == number) else { return };
        let then_end = then_end.take();
        self.effects.clear(Alarm::Reanswer(id));
        self.effects.clear(Alarm::AckLost(id));
        match then_end {
            Some(how) => self.send_bye(id, &how),
            None if due.offered => self.late_answer(id, request, hop),
            None => {}
        }
        self.try_change(id);
    }

    /// The answer to an offer that went out in our 2xx.
    fn late_answer(&mut self, id: SipLegId, ack: &Message, hop: Hop) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let session = ack.sdp().and_then(|body| sdp::Session::read(body, hop.remote.ip()).ok());
        let agreed = session
            .zip(leg.media.local.as_ref())
            .and_then(|(session, local)| session.agree_to_offer(local).ok());
        match agreed {
            Some(agreed) => {
                leg.media.remote = Some(agreed.remote.clone());
                self.tell_event(id, LegEvent::MediaChanged { remote: agreed.remote, local: agreed.local });
            }
            None => {
                let why = "the ACK carries no usable answer to our offer".to_owned();
                self.end(id, EndBy::Fault(Ended::Error(why)));
            }
        }
    }

    /// The 2xx again: over UDP it may be lost, and over TCP too behind a proxy.
    pub(super) fn reanswer(&mut self, id: SipLegId) {
        let Some(Leg { stage: Stage::Up { ack: Some(due), .. }, .. }) = self.legs.get_mut(&id) else {
            return;
        };
        due.interval = (due.interval * 2).min(self.timers.t2);
        self.effects.send(due.hop, due.response.clone());
        self.effects.set(Alarm::Reanswer(id), due.interval);
    }

    /// No ACK in 64·T1: the call ends (RFC 3261 §13.3.1.4).
    pub(super) fn ack_lost(&mut self, id: SipLegId) {
        let Some(Leg { stage: Stage::Up { ack, then_end }, .. }) = self.legs.get_mut(&id) else { return };
        *ack = None;
        self.effects.clear(Alarm::Reanswer(id));
        match then_end.take() {
            Some(how) => self.send_bye(id, &how),
            None => self.end(id, EndBy::Fault(Ended::Timeout)),
        }
    }
}

/// Who calls, as From says; `P-Asserted-Identity` is left to the gateway, which knows whom it trusts.
fn caller(request: &Message) -> Caller {
    let Some(from) = request.sender() else { return Caller::default() };
    let user = from.parsed().and_then(|uri| uri.user).unwrap_or_default();
    let anonymous = user.eq_ignore_ascii_case("anonymous");
    Caller {
        user: if anonymous { String::new() } else { octets::shown(&user) },
        display: from.display.map(|display| octets::shown(&display)),
    }
}

/// Whether our answer, which is a session description, would be welcome (RFC 3261 §20.1).
fn takes_descriptions(request: &Message) -> bool {
    let mut ranges = request.list("Accept").peekable();
    ranges.peek().is_none()
        || ranges.any(|range| {
            let range = range.split(';').next().unwrap_or("").trim();
            ["application/sdp", "application/*", "*/*"].iter().any(|known| range.eq_ignore_ascii_case(known))
        })
}
