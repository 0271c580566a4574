//! Calls from outside: INVITE, what we answer, ACK and CANCEL (RFC 3261 §8.2, §9.2, §13.3).

use std::time::Duration;

use segue_media::MediaDescription;

use super::{
    Alarm, Hop, Leg, LegNews, Output, Stack, Stage, Turndown,
    dialog::Dialog,
    leg::{AckDue, EndBy, Media, pick_headers},
};
use crate::{
    digest::{Ask, Verdict},
    message::{ALLOW, Message, Method, Uri, reason_of},
    sdp,
    words::{AnswerError, Caller, Ended, Invitation, LegEvent, Refusal, SipLegId, Source},
};

/// Headers of an INVITE that the gateway gets to see, besides `X-*`.
const SHOWN: [&str; 4] = ["User-to-User", "P-Asserted-Identity", "Diversion", "History-Info"];

/// A call that comes by two ways has these in common (RFC 3261 §8.2.2.2).
pub(super) fn arrival(request: &Message) -> (String, String, u32) {
    let number = request.cseq().map_or(0, |(number, _)| number);
    (request.call_id().to_owned(), request.sender_tag(), number)
}

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
            tracing::info!("refused a call: the limit on calls is reached");
            self.reject_for_now(request, hop);
            return;
        }
        let tag = self.effects.token();
        let Some(dialog) = Dialog::of_request(request, tag, hop) else {
            self.reject(request, hop, 400, &[]);
            return;
        };
        self.open(request, hop, dialog, accepted);
    }

    fn open(&mut self, request: &Message, hop: Hop, dialog: Dialog, accepted: Accepted) {
        let id = self.next_leg();
        let invite = self.transactions.open_server(request, hop);
        self.transactions.bind(invite, id);
        let trying = Message::response(request, 100, reason_of(100));
        self.transactions.respond(&mut self.effects, invite, &trying);
        self.arriving.insert(arrival(request), id);
        let invitation = Invitation {
            leg: id,
            from: caller(request),
            to: accepted.to,
            source: accepted.source,
            signalling: hop.remote,
            sip_call_id: request.call_id().to_owned(),
            headers: pick_headers(request, &SHOWN),
            offer: accepted.offer.as_ref().map(|offer| offer.media.clone()),
        };
        tracing::info!(leg = %id, sip_call_id = invitation.sip_call_id, source = ?invitation.source, "a call came in");
        tracing::debug!(leg = %id, from = invitation.from.user, to = invitation.to, "who calls whom");
        let stage = Stage::Ringing {
            invite,
            request: Box::new(request.clone()),
            offer: accepted.offer.map(Box::new),
        };
        let media = Media::new(id.0);
        self.insert(
            id,
            Leg {
                dialog,
                stage,
                media,
                incoming: true,
                handoff_allowed: false,
                credentials: None,
                unanswered: 0,
            },
        );
        self.effects.set(Alarm::RungOut(id), self.timers.incoming_ring_max);
        self.effects.outputs.push_back(Output::Incoming(Box::new(invitation)));
    }

    /// Everything that can be wrong with an INVITE, in the order of RFC 3261 §8.2.
    fn judge(&mut self, request: &Message, hop: Hop) -> Result<Accepted, Turndown> {
        let uri = Uri::read(request.uri()).ok_or((400, Vec::new()))?;
        if !matches!(uri.scheme.as_str(), "sip" | "sips" | "tel") {
            return Err((416, Vec::new()));
        }
        let source = self.identify(request, hop)?;
        if self.arriving.contains_key(&arrival(request)) {
            return Err((482, Vec::new()));
        }
        // An RFC 2543 caller may leave Contact out; then From leads back to them.
        let contact_broken = request.first("Contact").is_some()
            && request.contact().and_then(|contact| contact.parsed()).is_none();
        if contact_broken {
            return Err((400, Vec::new()));
        }
        let offer = self.offer_of(request, hop)?;
        Ok(Accepted { source, to: uri.user.unwrap_or_default(), offer })
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
        let now = self.effects.now;
        let stale = match self.guard.judge(now, ip, "INVITE", request.all("Authorization")) {
            Verdict::Proven(user) => return Ok(Source::User(user)),
            Verdict::Wrong => {
                tracing::info!(source = %ip, "refused a call: wrong credentials");
                return Err((403, Vec::new()));
            }
            Verdict::Missing => false,
            Verdict::Stale => true,
        };
        let challenges = self.guard.challenges(now, ip, Ask { stale, agent: request.first("User-Agent") });
        Err((401, challenges.into_iter().map(|value| ("WWW-Authenticate", value)).collect()))
    }

    /// The offer in a request; none if there is no body.
    pub(super) fn offer_of(&self, request: &Message, hop: Hop) -> Result<Option<sdp::Session>, Turndown> {
        if request.body.is_empty() {
            return Ok(None);
        }
        let body = request.sdp().ok_or_else(|| (415, vec![("Accept", "application/sdp".to_owned())]))?;
        match sdp::Session::read(body, hop.remote.ip()) {
            Ok(session) => Ok(Some(session)),
            Err(error) => {
                let code = if error == sdp::SdpError::NotSdp { 400 } else { 488 };
                let local = self.locals.of(hop);
                Err((code, vec![("Warning", format!("399 {local} \"{error}\""))]))
            }
        }
    }

    /// Tells the caller that it rings.
    pub(crate) fn ring(&mut self, now: Duration, id: SipLegId) {
        self.effects.now = now;
        let Some(Leg { stage: Stage::Ringing { invite, request, .. }, dialog, .. }) = self.legs.get(&id)
        else {
            return;
        };
        let (invite, flow) = (*invite, dialog.flow());
        let mut response = self.tagged(request, 180, &dialog.local_tag);
        response.push("Contact", self.contact(id, flow));
        self.transactions.respond(&mut self.effects, invite, &response);
    }

    /// A response in a dialog: with its tag and the route that the INVITE recorded.
    fn tagged(&self, request: &Message, code: u16, tag: &str) -> Message {
        let mut response = Message::response(request, code, reason_of(code));
        if let Some(mut to) = request.to()
            && to.tag().is_none()
        {
            to.params.push(("tag".to_owned(), Some(tag.to_owned())));
            response.set("To", to.print());
        }
        if (101..300).contains(&code) {
            for route in request.all("Record-Route") {
                response.push("Record-Route", route);
            }
        }
        response
    }

    /// Answers a ringing call. Gives what was agreed; `None` for the remote side if we offered (late offer).
    pub(crate) fn answer(
        &mut self,
        now: Duration,
        id: SipLegId,
        local: MediaDescription,
    ) -> Result<(Option<MediaDescription>, MediaDescription), AnswerError> {
        self.effects.now = now;
        let leg = self.legs.get_mut(&id).ok_or(AnswerError::Canceled)?;
        let Stage::Ringing { invite, request, offer } = &mut leg.stage else {
            return Err(AnswerError::Canceled);
        };
        let (invite, offer) = (*invite, offer.take());
        let request = std::mem::replace(&mut **request, Message::request(Method::Invite, String::new()));
        let agreed = match offer.as_ref().map(|offer| offer.agree(&local)).transpose() {
            Ok(agreed) => agreed,
            Err(_) => {
                leg.stage = Stage::Ringing { invite, request: Box::new(request), offer };
                self.refuse_leg(id, 488, &[]);
                return Err(AnswerError::NoCommonCodec);
            }
        };
        let text = match (&offer, &agreed) {
            (Some(offer), Some(agreed)) => leg.media.say(|origin| offer.answer(agreed, origin)),
            _ => leg.media.say(|origin| sdp::offer(&local, origin)),
        };
        let ours = agreed.as_ref().map_or_else(|| local.clone(), |agreed| agreed.local.clone());
        let theirs = agreed.map(|agreed| agreed.remote);
        leg.media.local = Some(local);
        leg.media.remote.clone_from(&theirs);
        self.arriving.remove(&arrival(&request));
        self.effects.clear(Alarm::RungOut(id));
        self.send_answer(id, &request, text, offer.is_none());
        if let Some(invite_hop) = self.transactions.hop(invite) {
            tracing::debug!(leg = %id, remote = %invite_hop.remote, "answered");
        }
        Ok((theirs, ours))
    }

    /// Sends the 2xx of an INVITE or re-INVITE and waits for its ACK.
    pub(super) fn send_answer(&mut self, id: SipLegId, request: &Message, text: String, offered: bool) {
        let Some(leg) = self.legs.get(&id) else { return };
        let flow = leg.dialog.flow();
        let mut response = self.tagged(request, 200, &leg.dialog.local_tag);
        response.push("Contact", self.contact(id, flow));
        response.push("Allow", ALLOW);
        response.set_sdp(text);
        let Some(invite) = self.transactions.find(request, &Method::Invite) else { return };
        let hop = self.transactions.hop(invite).unwrap_or(flow);
        self.transactions.respond(&mut self.effects, invite, &response);
        let number = request.cseq().map_or(0, |(number, _)| number);
        let interval = self.timers.t1;
        let ack = AckDue { number, response: response.bytes(), hop, interval, offered };
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.stage = Stage::Up { ack: Some(ack), then_end: None };
        }
        self.effects.set(Alarm::Reanswer(id), interval);
        self.effects.set(Alarm::AckLost(id), self.transactions.patience());
    }

    /// Allows or forbids REFER on a leg.
    pub(crate) fn allow_handoff(&mut self, id: SipLegId, allowed: bool) {
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.handoff_allowed = allowed;
        }
    }

    /// Refuses a ringing call.
    pub(crate) fn refuse(&mut self, now: Duration, id: SipLegId, refusal: Refusal) {
        self.effects.now = now;
        match refusal {
            Refusal::Unavailable { retry_after } => {
                let seconds = retry_after.as_secs().max(1).to_string();
                self.refuse_leg(id, 503, &[("Retry-After", seconds)]);
            }
            Refusal::Busy => self.refuse_leg(id, 486, &[]),
            Refusal::NobodyThere => self.refuse_leg(id, 480, &[]),
            Refusal::Forbidden => self.refuse_leg(id, 403, &[]),
            Refusal::NotFound => self.refuse_leg(id, 404, &[]),
            Refusal::NotAcceptable => self.refuse_leg(id, 488, &[]),
            Refusal::Declined => self.refuse_leg(id, 603, &[]),
            Refusal::Error => self.refuse_leg(id, 500, &[]),
        }
    }

    pub(super) fn refuse_leg(&mut self, id: SipLegId, code: u16, headers: &[(&str, String)]) {
        let Some(Leg { stage: Stage::Ringing { invite, request, .. }, dialog, .. }) = self.legs.get(&id)
        else {
            return;
        };
        let invite = *invite;
        let mut response = self.tagged(request, code, &dialog.local_tag);
        for (name, value) in headers {
            response.push(name, value.as_str());
        }
        self.transactions.respond(&mut self.effects, invite, &response);
        self.remove(id);
        tracing::debug!(leg = %id, code, "refused");
    }

    pub(super) fn rung_out(&mut self, id: SipLegId) {
        self.refuse_leg(id, 480, &[]);
        self.tell(id, LegNews::Withdrawn);
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
        if let (Some(tag), Some(mut to)) = (tag, request.to())
            && to.tag().is_none()
        {
            to.params.push(("tag".to_owned(), Some(tag)));
            response.set("To", to.print());
        }
        self.answer_once(request, hop, &response);
        if let Some(id) = leg
            && self.transactions.is_proceeding(invite)
        {
            self.refuse_leg(id, 487, &[]);
            self.tell(id, LegNews::Withdrawn);
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
    Caller { user: if anonymous { String::new() } else { user }, display: from.display }
}
