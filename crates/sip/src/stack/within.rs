//! Requests inside of a dialog: BYE, re-INVITE, UPDATE, REFER, INFO, OPTIONS (RFC 3261 §12.2, §14, §15; RFC 3311, 3515).

use super::{Hop, Leg, Stack, Stage, Turndown, dialog::Dialog, leg::pick_headers};
use crate::{
    message::{ALLOW, Message, Method, reason_of},
    sdp,
    words::{Ended, LegEvent, SipLegId},
};

/// Headers of a BYE or REFER that the gateway gets to see, besides `X-*`.
pub(super) const SHOWN: [&str; 3] = ["Reason", "User-to-User", "Referred-By"];

impl Stack {
    /// A request with a To tag that no transaction knows.
    pub(super) fn within(&mut self, request: &Message, method: &Method, hop: Hop) {
        let key = Dialog::key_of(request);
        let Some(id) = key.and_then(|key| self.dialogs.get(&key)).copied() else {
            self.within_early(request, method, hop);
            return;
        };
        let number = request.cseq().map_or(0, |(number, _)| number);
        let fresh = self.legs.get_mut(&id).is_some_and(|leg| leg.dialog.take_number(number));
        if !fresh {
            self.say(request, hop, 500, &[]);
            return;
        }
        let unsupported = self.unsupported(request);
        if !unsupported.is_empty() {
            self.say(request, hop, 420, &[("Unsupported", unsupported.join(", "))]);
            return;
        }
        match method {
            Method::Bye => self.bye(id, request, hop),
            Method::Invite => self.offered_again(id, request, hop),
            Method::Update => self.update(id, request, hop),
            Method::Refer => self.refer(id, request, hop),
            Method::Info => self.info(id, request, hop),
            Method::Options => self.say(request, hop, 200, &self.capabilities()),
            Method::Prack => self.prack(id, request, hop),
            Method::Notify => self.notified(id, request, hop),
            Method::Message | Method::Subscribe | Method::Publish | Method::Register => {
                self.say(request, hop, 405, &[("Allow", ALLOW.to_owned())]);
            }
            Method::Other(_) => self.say(request, hop, 501, &[("Allow", ALLOW.to_owned())]),
            Method::Ack | Method::Cancel => {}
        }
    }

    /// Answers in a transaction of its own.
    pub(super) fn say(&mut self, request: &Message, hop: Hop, code: u16, headers: &[(&str, String)]) {
        let mut response = Message::response(request, code, reason_of(code));
        for (name, value) in headers {
            response.push(name, value.as_str());
        }
        self.answer_once(request, hop, &response);
    }

    fn bye(&mut self, id: SipLegId, request: &Message, hop: Hop) {
        self.say(request, hop, 200, &[]);
        let headers = pick_headers(request, &SHOWN);
        let (ringing, told) = match self.legs.get(&id).map(|leg| &leg.stage) {
            Some(Stage::Ringing(_)) => (true, false),
            Some(Stage::Up { then_end, .. }) => (false, then_end.is_some()),
            Some(Stage::Ending) | None => (false, true),
        };
        if ringing {
            self.withdraw(id);
            return;
        }
        if !told && self.leave_to_transfer(id) {
            return;
        }
        self.remove(id);
        if !told {
            self.tell_event(id, LegEvent::Ended(Ended::Remote { headers }));
        }
    }

    /// Whether a new offer may come now; else the code that says why not (RFC 3261 §14.2, RFC 3311 §5.2).
    fn may_offer(&self, id: SipLegId, invite: bool) -> Result<(), Turndown> {
        // Between 0 and 10 seconds; one of ours takes a round trip.
        let again = || vec![("Retry-After", "1".to_owned())];
        let Some(leg) = self.legs.get(&id) else { return Err((481, Vec::new())) };
        match &leg.stage {
            Stage::Up { then_end: None, .. } if leg.change.collides() => Err((491, Vec::new())),
            Stage::Up { then_end: None, ack } => match ack {
                // Our own offer waits for its answer (RFC 3264 §4, RFC 3261 §14.2).
                Some(due) if due.offered => Err((491, Vec::new())),
                Some(_) | None => Ok(()),
            },
            Stage::Ringing(_) if invite => Err((500, again())),
            Stage::Ringing(ringing) => ringing.may_offer().map_err(|code| match code {
                500 => (500, again()),
                code => (code, Vec::new()),
            }),
            Stage::Up { .. } | Stage::Ending => Err((481, Vec::new())),
        }
    }

    fn offered_again(&mut self, id: SipLegId, request: &Message, hop: Hop) {
        let offer = self
            .may_offer(id, true)
            .and_then(|()| self.judge_session(request))
            .and_then(|()| self.offer_of(request, hop));
        let offer = match offer {
            Ok(offer) => offer,
            Err((code, headers)) => {
                self.say(request, hop, code, &headers);
                return;
            }
        };
        let offered = offer.is_none();
        let Some(text) = self.take_offer(id, request, hop, offer.as_ref()) else {
            self.say(request, hop, 488, &[]);
            return;
        };
        let invite = self.transactions.open_server(request, hop);
        self.transactions.bind(invite, id);
        self.send_answer(id, request, Some(text), offered);
    }

    fn update(&mut self, id: SipLegId, request: &Message, hop: Hop) {
        match self.updated(id, request, hop) {
            Ok(response) => self.answer_once(request, hop, &response),
            Err((code, headers)) => self.say(request, hop, code, &headers),
        }
    }

    fn updated(&mut self, id: SipLegId, request: &Message, hop: Hop) -> Result<Message, Turndown> {
        self.judge_session(request)?;
        let offer = self.offer_of(request, hop)?;
        let mut response = Message::response(request, 200, reason_of(200));
        response.push("Contact", self.contact(id, hop));
        self.introduce(&mut response);
        match &offer {
            None => {
                if let Some(leg) = self.legs.get_mut(&id) {
                    leg.dialog.refresh(request, hop);
                    leg.far.learn(request);
                }
            }
            Some(_) => {
                self.may_offer(id, false)?;
                let text = self.take_offer(id, request, hop, offer.as_ref()).ok_or((488, Vec::new()))?;
                response.set_sdp(text);
            }
        }
        if matches!(self.legs.get(&id).map(|leg| &leg.stage), Some(Stage::Up { .. })) {
            self.answer_session(id, request, &mut response);
        }
        Ok(response)
    }

    /// Takes a new offer, or makes one of ours if there is none, and gives what to say. `None`: no codec in common,
    /// and everything stays as it was.
    pub(super) fn take_offer(
        &mut self,
        id: SipLegId,
        request: &Message,
        hop: Hop,
        offer: Option<&sdp::Session>,
    ) -> Option<String> {
        let leg = self.legs.get_mut(&id)?;
        let local = leg.media.local.clone()?;
        leg.far.learn(request);
        let Some(offer) = offer else {
            leg.dialog.refresh(request, hop);
            return Some(leg.media.offer(&local));
        };
        let agreed = offer.agree(&local).ok()?;
        leg.dialog.refresh(request, hop);
        let text = leg.media.say(|origin| offer.answer(&agreed, origin));
        leg.media.shape = Some(Box::new(offer.clone()));
        if leg.media.remote.as_ref() != Some(&agreed.remote) {
            leg.media.remote = Some(agreed.remote.clone());
            self.tell_event(id, LegEvent::MediaChanged { remote: agreed.remote, local: agreed.local });
        }
        Some(text)
    }

    /// INFO: a key, or something that we take note of without using it.
    fn info(&mut self, id: SipLegId, request: &Message, hop: Hop) {
        let up = matches!(self.legs.get(&id), Some(Leg { stage: Stage::Up { then_end: None, .. }, .. }));
        if !up {
            self.say(request, hop, 481, &[]);
            return;
        }
        let kind = request
            .first("Content-Type")
            .unwrap_or("")
            .split(';')
            .next()
            .unwrap_or("")
            .trim()
            .to_ascii_lowercase();
        let text = String::from_utf8_lossy(&request.body);
        let key = match kind.as_str() {
            "application/dtmf-relay" => text.lines().find_map(|line| {
                let (name, value) = line.split_once('=')?;
                name.trim().eq_ignore_ascii_case("signal").then(|| read_key(value)).flatten()
            }),
            "application/dtmf" => read_key(&text),
            _ if request.body.is_empty() => None,
            _ => {
                let accept = "application/dtmf-relay, application/dtmf".to_owned();
                self.say(request, hop, 415, &[("Accept", accept)]);
                return;
            }
        };
        self.say(request, hop, 200, &[]);
        if let Some(key) = key {
            self.tell_event(id, LegEvent::Key(key));
        }
    }
}

/// A key by name or by its RFC 4733 number.
fn read_key(text: &str) -> Option<char> {
    match text.trim() {
        "10" => Some('*'),
        "11" => Some('#'),
        other => {
            let mut signs = other.chars();
            let (Some(key), None) = (signs.next(), signs.next()) else { return None };
            let key = key.to_ascii_uppercase();
            "0123456789*#ABCD".contains(key).then_some(key)
        }
    }
}
