//! Calls of theirs before the answer: 180 and 183, made reliable by PRACK where they can (RFC 3262), then 200 or a refusal.
//!
//! What a session description in a provisional response means (RFC 3264, RFC 6337 §2.2):
//!
//! ```text
//! INVITE        183 reliable              183 not reliable
//! with offer    the answer; 200 without   a preview of the answer; 200 with the same
//! without       our offer; PRACK answers  (cannot be)
//! ```

use std::{collections::VecDeque, time::Duration};

use segue_media::MediaDescription;

use super::{Alarm, Hop, Leg, LegNews, Stack, Stage, TransactionId, extensions::names, leg::AckDue};
use crate::{
    message::{Message, Method, reason_of},
    policy::ReliableProvisionals,
    sdp,
    words::{AnswerError, Ended, LegEvent, Refusal, SipLegId},
};

/// A call of theirs that waits for its answer.
#[derive(Debug)]
pub(super) struct Ringing {
    pub(super) invite: TransactionId,
    pub(super) request: Message,
    /// Their offer.
    pub(super) offer: Option<Box<sdp::Session>>,
    said: Said,
    /// The number of the last reliable provisional response.
    number: Option<u32>,
    /// The one that is not acknowledged yet.
    due: Option<Due>,
    /// Those that wait for that.
    waiting: VecDeque<(u16, Option<String>)>,
    /// The gateway has answered; the 200 waits for a PRACK (RFC 3262 §5).
    pub(super) answered: bool,
}

/// Names a reliable response: its number, and its INVITE's (RFC 3262 §7.2).
pub(super) type Rack = (u32, u32);

/// Which session description went out before the answer.
#[derive(Debug, Default)]
enum Said {
    #[default]
    Nothing,
    /// The answer to their offer.
    Answer { agreed: Box<sdp::Agreed>, text: String, reliable: bool },
    /// Our offer; their PRACK has to answer it.
    Offer,
    /// Our offer, and it was answered.
    Settled(Box<sdp::Agreed>),
}

/// A reliable provisional response that waits for its PRACK.
#[derive(Debug)]
struct Due {
    number: u32,
    response: Vec<u8>,
    interval: Duration,
    described: bool,
}

/// What both sides said: theirs if it is known, and ours.
type Sides = (Option<MediaDescription>, MediaDescription);

impl Ringing {
    pub(super) fn new(invite: TransactionId, request: Message, offer: Option<Box<sdp::Session>>) -> Self {
        Self {
            invite,
            request,
            offer,
            said: Said::Nothing,
            number: None,
            due: None,
            waiting: VecDeque::new(),
            answered: false,
        }
    }

    /// What the PRACK that is due has to name.
    fn rack(&self) -> Option<Rack> {
        let invite = self.request.cseq().map_or(0, |(number, _)| number);
        self.due.as_ref().map(|due| (due.number, invite))
    }

    /// Whether an offer may come by UPDATE or PRACK now; else the code that says why not (RFC 3311 §5.2).
    pub(super) fn may_offer(&self) -> Result<(), u16> {
        match &self.said {
            Said::Answer { reliable: true, .. } | Said::Settled(_) => Ok(()),
            Said::Offer => Err(491),
            Said::Nothing | Said::Answer { reliable: false, .. } => Err(500),
        }
    }
}

impl Stack {
    fn ringing(&mut self, id: SipLegId) -> Option<&mut Ringing> {
        match self.legs.get_mut(&id) {
            Some(Leg { stage: Stage::Ringing(ringing), .. }) => Some(ringing),
            Some(_) | None => None,
        }
    }

    /// Tells the caller that it rings.
    pub(crate) fn ring(&mut self, now: Duration, id: SipLegId) {
        self.effects.now = now;
        let Some(leg) = self.legs.get(&id) else { return };
        let Stage::Ringing(ringing) = &leg.stage else { return };
        let reliable = leg.far.reliable_only;
        // The first reliable response to an INVITE without an offer would have to carry ours (RFC 3262 §5).
        let must_offer = reliable && ringing.offer.is_none() && matches!(ringing.said, Said::Nothing);
        if !must_offer {
            self.provisional(id, (180, None), reliable);
        }
    }

    /// Lets the caller hear us before the answer.
    pub(crate) fn early(
        &mut self,
        now: Duration,
        id: SipLegId,
        mut local: MediaDescription,
    ) -> Result<Sides, AnswerError> {
        self.effects.now = now;
        self.keep_keys_hidden(id, &mut local)?;
        let allowed = self.policy.reliable != ReliableProvisionals::Off;
        let leg = self.legs.get_mut(&id).ok_or(AnswerError::Canceled)?;
        let reliable = allowed && leg.far.reliable;
        let Stage::Ringing(ringing) = &mut leg.stage else { return Err(AnswerError::Canceled) };
        match (&ringing.said, &ringing.offer) {
            (Said::Answer { agreed, .. } | Said::Settled(agreed), _) => {
                Ok((Some(agreed.remote.clone()), agreed.local.clone()))
            }
            (Said::Offer, _) => Ok((None, leg.media.local.clone().unwrap_or(local))),
            (Said::Nothing, None) if !reliable => Err(AnswerError::NoEarlyMedia),
            (Said::Nothing, None) => {
                let text = leg.media.offer(&local);
                ringing.said = Said::Offer;
                leg.media.local = Some(local.clone());
                self.provisional(id, (183, Some(text)), true);
                Ok((None, local))
            }
            (Said::Nothing, Some(offer)) => {
                let Ok(agreed) = offer.agree(&local) else {
                    self.refuse_leg(id, 488, &[]);
                    return Err(AnswerError::NoCommonCodec);
                };
                let text = leg.media.say(|origin| offer.answer(&agreed, origin));
                let sides = (Some(agreed.remote.clone()), agreed.local.clone());
                ringing.said = Said::Answer { agreed: Box::new(agreed), text: text.clone(), reliable };
                leg.media.local = Some(local);
                leg.media.remote.clone_from(&sides.0);
                self.provisional(id, (183, Some(text)), reliable);
                Ok(sides)
            }
        }
    }

    /// Sends a provisional response. One reliable response waits for its PRACK at a time; at the limit of those that
    /// wait behind it, the newest is left out: it says nothing that the answer will not say.
    fn provisional(&mut self, id: SipLegId, what: (u16, Option<String>), reliable: bool) {
        let first = 1 + u32::try_from(self.effects.chance(1 << 30)).unwrap_or(0);
        let Some(ringing) = self.ringing(id) else { return };
        if reliable && ringing.due.is_some() {
            if ringing.waiting.len() < WAITING_MAX {
                ringing.waiting.push_back(what);
            }
            return;
        }
        let (code, text) = what;
        let number = reliable.then(|| ringing.number.map_or(first, |last| last + 1));
        let (invite, request) = (ringing.invite, ringing.request.clone());
        let Some(leg) = self.legs.get(&id) else { return };
        let mut response = self.tagged(&request, code, &leg.dialog.local_tag);
        response.push("Contact", self.contact(id, leg.dialog.flow()));
        self.introduce(&mut response);
        if let Some(number) = number {
            response.push("Require", "100rel");
            response.push("RSeq", number.to_string());
        }
        let described = text.is_some();
        if let Some(text) = text {
            response.set_sdp(text);
        }
        self.transactions.respond(&mut self.effects, invite, &response);
        if let Some(number) = number {
            let interval = self.timers.t1;
            self.effects.set(Alarm::Reprovision(id), interval);
            self.effects.set(Alarm::PrackLost(id), self.transactions.patience());
            if let Some(ringing) = self.ringing(id) {
                ringing.number = Some(number);
                ringing.due = Some(Due { number, response: response.bytes(), interval, described });
            }
        }
    }

    /// The reliable response again; its interval doubles without a bound (RFC 3262 §3).
    pub(super) fn reprovision(&mut self, id: SipLegId) {
        let flow = self.legs.get(&id).map(|leg| leg.dialog.flow());
        let Some(ringing) = self.ringing(id) else { return };
        let invite = ringing.invite;
        let Some(due) = &mut ringing.due else { return };
        due.interval *= 2;
        let (bytes, interval) = (due.response.clone(), due.interval);
        if let Some(hop) = self.transactions.hop(invite).or(flow) {
            self.effects.send(hop, bytes);
            self.effects.set(Alarm::Reprovision(id), interval);
        }
    }

    /// No PRACK in 64·T1 (RFC 3262 §3).
    pub(super) fn prack_lost(&mut self, id: SipLegId) {
        self.refuse_leg(id, 504, &[]);
        self.tell(id, LegNews::Event(LegEvent::Ended(Ended::Timeout)));
    }

    /// PRACK: matched by the number of the response and of the INVITE (RFC 3262 §3).
    pub(super) fn prack(&mut self, id: SipLegId, request: &Message, hop: Hop) {
        let Some(rack) = read_rack(request) else {
            self.say(request, hop, 400, &[]);
            return;
        };
        let overtaken =
            self.legs.get_mut(&id).is_some_and(|leg| leg.overtaken.take_if(|known| *known == rack).is_some());
        if overtaken {
            self.say(request, hop, 200, &[]);
            return;
        }
        let Some(ringing) = self.ringing(id).filter(|ringing| ringing.rack() == Some(rack)) else {
            self.say(request, hop, 481, &[]);
            return;
        };
        ringing.due = None;
        self.effects.clear(Alarm::Reprovision(id));
        self.effects.clear(Alarm::PrackLost(id));
        let response = match self.described_by_prack(id, request, hop) {
            Ok(response) => response,
            Err((code, headers)) => {
                self.say(request, hop, code, &headers);
                // Without an answer to our offer there will be no call.
                if matches!(self.ringing(id), Some(Ringing { said: Said::Offer, .. })) {
                    self.refuse_leg(id, 488, &[]);
                    self.tell(id, LegNews::Withdrawn);
                }
                return;
            }
        };
        self.answer_once(request, hop, &response);
        self.after_prack(id);
    }

    /// The session description of a PRACK: the answer to our offer, or a new offer after our answer (RFC 3262 §5).
    fn described_by_prack(
        &mut self,
        id: SipLegId,
        request: &Message,
        hop: Hop,
    ) -> Result<Message, super::Turndown> {
        let mut response = Message::response(request, 200, reason_of(200));
        let session = self.offer_of(request, hop)?;
        let leg = self.legs.get_mut(&id).ok_or((481, Vec::new()))?;
        let Stage::Ringing(ringing) = &mut leg.stage else { return Err((481, Vec::new())) };
        match (&ringing.said, session) {
            (Said::Offer, session) => {
                let local = leg.media.local.as_ref().ok_or((500, Vec::new()))?;
                let agreed = session
                    .and_then(|session| session.agree_to_offer(local).ok())
                    .ok_or((488, Vec::new()))?;
                leg.media.remote = Some(agreed.remote.clone());
                ringing.said = Said::Settled(Box::new(agreed.clone()));
                self.tell_event(id, LegEvent::MediaChanged { remote: agreed.remote, local: agreed.local });
            }
            (Said::Nothing | Said::Answer { .. } | Said::Settled(_), None) => {}
            (Said::Nothing | Said::Answer { .. } | Said::Settled(_), Some(offer)) => {
                ringing.may_offer().map_err(|code| (code, Vec::new()))?;
                let text = self.take_offer(id, request, hop, Some(&offer)).ok_or((488, Vec::new()))?;
                response.set_sdp(text);
            }
        }
        Ok(response)
    }

    /// What waited for the PRACK: further provisional responses, then the answer.
    fn after_prack(&mut self, id: SipLegId) {
        let Some(ringing) = self.ringing(id) else { return };
        if ringing.answered {
            self.send_early_answer(id);
        } else if let Some(next) = ringing.waiting.pop_front() {
            self.provisional(id, next, true);
        }
    }

    /// A response in a dialog: with its tag and the route that the INVITE recorded.
    pub(super) fn tagged(&self, request: &Message, code: u16, tag: &str) -> Message {
        let mut response = Message::response(request, code, reason_of(code));
        response.tag_to(tag);
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
        mut local: MediaDescription,
    ) -> Result<Sides, AnswerError> {
        self.effects.now = now;
        self.keep_keys_hidden(id, &mut local)?;
        let leg = self.legs.get_mut(&id).ok_or(AnswerError::Canceled)?;
        let Stage::Ringing(ringing) = &mut leg.stage else { return Err(AnswerError::Canceled) };
        if ringing.answered {
            return Err(AnswerError::Canceled);
        }
        let sides = match (&ringing.said, &ringing.offer) {
            (Said::Nothing, None) => (None, local.clone()),
            (Said::Nothing, Some(offer)) => {
                let Ok(agreed) = offer.agree(&local) else {
                    self.refuse_leg(id, 488, &[]);
                    return Err(AnswerError::NoCommonCodec);
                };
                (Some(agreed.remote), agreed.local)
            }
            (Said::Answer { agreed, .. } | Said::Settled(agreed), _) => {
                (Some(agreed.remote.clone()), agreed.local.clone())
            }
            (Said::Offer, _) => (None, leg.media.local.clone().unwrap_or_else(|| local.clone())),
        };
        ringing.answered = true;
        self.effects.clear(Alarm::RungOut(id));
        let described = match &ringing.said {
            Said::Nothing => {
                leg.media.local = Some(local);
                leg.media.remote.clone_from(&sides.0);
                false
            }
            Said::Answer { .. } | Said::Offer | Said::Settled(_) => true,
        };
        let waits = ringing.due.as_ref().is_some_and(|due| due.described);
        match (described, waits) {
            (_, true) => {}
            (true, false) => self.send_early_answer(id),
            (false, false) => self.send_first_answer(id),
        }
        Ok(sides)
    }

    /// The 200 of a call that was told nothing about media before.
    fn send_first_answer(&mut self, id: SipLegId) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let Some(local) = leg.media.local.clone() else { return };
        leg.overtaken = ringing_rack(leg);
        let Some((request, offer)) = leg.stage.take_ringing() else { return };
        let text = match offer.as_ref().map(|offer| (offer, offer.agree(&local))) {
            Some((offer, Ok(agreed))) => leg.media.say(|origin| offer.answer(&agreed, origin)),
            Some((_, Err(_))) | None => leg.media.offer(&local),
        };
        let offered = offer.is_none();
        leg.media.shape = offer;
        self.send_answer(id, &request, Some(text), offered);
    }

    /// The 200 of a call whose media was agreed before.
    fn send_early_answer(&mut self, id: SipLegId) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let Stage::Ringing(ringing) = &mut leg.stage else { return };
        let overtaken = ringing.rack();
        let text = match std::mem::take(&mut ringing.said) {
            Said::Answer { text, reliable: false, .. } => Some(text),
            Said::Answer { .. } | Said::Settled(_) | Said::Offer | Said::Nothing => None,
        };
        leg.overtaken = overtaken;
        let Some((request, offer)) = leg.stage.take_ringing() else { return };
        if offer.is_some() && leg.media.shape.is_none() {
            leg.media.shape = offer;
        }
        self.send_answer(id, &request, text, false);
    }

    /// Sends the 2xx of an INVITE or re-INVITE and waits for its ACK.
    pub(super) fn send_answer(
        &mut self,
        id: SipLegId,
        request: &Message,
        text: Option<String>,
        offered: bool,
    ) {
        let Some(leg) = self.legs.get(&id) else { return };
        let flow = leg.dialog.flow();
        let mut response = self.tagged(request, 200, &leg.dialog.local_tag);
        response.push("Contact", self.contact(id, flow));
        self.introduce(&mut response);
        if let Some(text) = text {
            response.set_sdp(text);
        }
        let Some(invite) = self.transactions.find(request, &Method::Invite) else { return };
        let hop = self.transactions.hop(invite).unwrap_or(flow);
        self.answer_session(id, request, &mut response);
        for alarm in [Alarm::Reprovision(id), Alarm::PrackLost(id)] {
            self.effects.clear(alarm);
        }
        self.transactions.respond(&mut self.effects, invite, &response);
        let number = request.cseq().map_or(0, |(number, _)| number);
        let interval = self.timers.t1;
        let ack = AckDue { number, response: response.bytes(), hop, interval, offered };
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.stage = Stage::Up { ack: Some(ack), then_end: None };
        }
        tracing::debug!(leg = %id, remote = %hop.remote, "answered");
        self.effects.set(Alarm::Reanswer(id), interval);
        self.effects.set(Alarm::AckLost(id), self.transactions.patience());
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
        let Some(Leg { stage: Stage::Ringing(ringing), dialog, .. }) = self.legs.get(&id) else { return };
        let invite = ringing.invite;
        let mut response = self.tagged(&ringing.request, code, &dialog.local_tag);
        for (name, value) in headers {
            response.push(name, value.as_str());
        }
        self.transactions.respond(&mut self.effects, invite, &response);
        self.remove(id);
        tracing::debug!(leg = %id, code, "refused");
    }

    /// The caller gave up: told as the end of the leg if the gateway had answered already.
    pub(super) fn withdraw(&mut self, id: SipLegId) {
        let answered = self.ringing(id).is_some_and(|ringing| ringing.answered);
        self.refuse_leg(id, 487, &[]);
        let news = if answered {
            LegNews::Event(LegEvent::Ended(Ended::Remote { headers: Vec::new() }))
        } else {
            LegNews::Withdrawn
        };
        self.tell(id, news);
    }

    pub(super) fn rung_out(&mut self, id: SipLegId) {
        self.refuse_leg(id, 480, &[]);
        self.tell(id, LegNews::Withdrawn);
    }

    /// Whether a caller who cannot do PRACK has to be told 421 (RFC 3261 §21.4.16).
    pub(super) fn lacks_reliability(&self, request: &Message) -> bool {
        self.policy.reliable == ReliableProvisionals::Required
            && !names(request, "Supported", "100rel")
            && !names(request, "Require", "100rel")
    }
}

fn ringing_rack(leg: &Leg) -> Option<Rack> {
    match &leg.stage {
        Stage::Ringing(ringing) => ringing.rack(),
        Stage::Up { .. } | Stage::Ending => None,
    }
}

/// The response's number and the INVITE's number in a RAck header.
fn read_rack(request: &Message) -> Option<Rack> {
    let mut words = request.first("RAck")?.split_ascii_whitespace();
    let response = words.next()?.parse().ok()?;
    let number = words.next()?.parse().ok()?;
    (words.next()?.eq_ignore_ascii_case("INVITE") && words.next().is_none()).then_some((response, number))
}

/// Reliable responses that wait behind one that is not acknowledged.
const WAITING_MAX: usize = 4;
