//! Requests inside of a dialog: BYE, re-INVITE, UPDATE, REFER, INFO, OPTIONS (RFC 3261 §12.2, §14, §15; RFC 3311, 3515).

use super::{Hop, Leg, Owner, Stack, Stage, Turndown, capabilities, dialog::Dialog, leg::pick_headers};
use crate::{
    message::{ALLOW, Message, Method, NameAddress, reason_of},
    sdp,
    words::{Ended, LegEvent, SipLegId},
};

/// Headers of a BYE or REFER that the gateway gets to see, besides `X-*`.
const SHOWN: [&str; 3] = ["Reason", "User-to-User", "Referred-By"];

impl Stack {
    /// A request with a To tag that no transaction knows.
    pub(super) fn within(&mut self, request: &Message, method: &Method, hop: Hop) {
        let key = Dialog::key_of(request);
        let Some(id) = key.and_then(|key| self.dialogs.get(&key)).copied() else {
            self.reject(request, hop, 481, &[]);
            return;
        };
        let number = request.cseq().map_or(0, |(number, _)| number);
        let fresh = self.legs.get_mut(&id).is_some_and(|leg| leg.dialog.take_number(number));
        if !fresh {
            self.say(request, hop, 500, &[]);
            return;
        }
        match method {
            Method::Bye => self.bye(id, request, hop),
            Method::Invite => self.offered_again(id, request, hop),
            Method::Update => self.update(id, request, hop),
            Method::Refer => self.refer(id, request, hop),
            Method::Info => self.info(id, request, hop),
            Method::Options => self.say(request, hop, 200, &capabilities()),
            Method::Notify | Method::Prack => self.say(request, hop, 481, &[]),
            Method::Message | Method::Subscribe | Method::Publish | Method::Register => {
                self.say(request, hop, 405, &[("Allow", ALLOW.to_owned())]);
            }
            Method::Other(_) => self.say(request, hop, 501, &[("Allow", ALLOW.to_owned())]),
            Method::Ack | Method::Cancel => {}
        }
    }

    /// Answers in a transaction of its own.
    fn say(&mut self, request: &Message, hop: Hop, code: u16, headers: &[(&str, String)]) {
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
            Some(Stage::Ringing { .. }) => (true, false),
            Some(Stage::Up { then_end, .. }) => (false, then_end.is_some()),
            Some(Stage::Ending) | None => (false, true),
        };
        if ringing {
            self.refuse_leg(id, 487, &[]);
            self.tell(id, super::LegNews::Withdrawn);
            return;
        }
        self.remove(id);
        if !told {
            self.tell_event(id, LegEvent::Ended(Ended::Remote { headers }));
        }
    }

    /// Whether a new offer may come now; else the code that says why not.
    fn may_offer(&self, id: SipLegId) -> Result<(), Turndown> {
        let again = || vec![("Retry-After", "1".to_owned())];
        match self.legs.get(&id).map(|leg| &leg.stage) {
            Some(Stage::Up { then_end: None, ack }) => match ack {
                // Our own offer waits for its answer (RFC 3264 §4, RFC 3261 §14.2).
                Some(due) if due.offered => Err((491, Vec::new())),
                Some(_) | None => Ok(()),
            },
            Some(Stage::Ringing { .. }) => Err((500, again())),
            Some(Stage::Up { .. } | Stage::Ending) | None => Err((481, Vec::new())),
        }
    }

    fn offered_again(&mut self, id: SipLegId, request: &Message, hop: Hop) {
        if let Err((code, headers)) = self.may_offer(id) {
            self.say(request, hop, code, &headers);
            return;
        }
        let offer = match self.offer_of(request, hop) {
            Ok(offer) => offer,
            Err((code, headers)) => {
                self.say(request, hop, code, &headers);
                return;
            }
        };
        let Some(text) = self.take_offer(id, request, hop, offer.as_ref()) else {
            self.say(request, hop, 488, &[]);
            return;
        };
        let invite = self.transactions.open_server(request, hop);
        self.transactions.bind(invite, id);
        self.send_answer(id, request, text, offer.is_none());
    }

    fn update(&mut self, id: SipLegId, request: &Message, hop: Hop) {
        if let Err((code, headers)) = self.may_offer(id) {
            self.say(request, hop, code, &headers);
            return;
        }
        let flow_contact = self.contact(id, hop);
        let mut response = Message::response(request, 200, reason_of(200));
        response.push("Contact", flow_contact);
        match self.offer_of(request, hop) {
            Ok(None) => {
                if let Some(leg) = self.legs.get_mut(&id) {
                    leg.dialog.refresh(request, hop);
                }
            }
            Ok(offer) => match self.take_offer(id, request, hop, offer.as_ref()) {
                Some(text) => response.set_sdp(text),
                None => response = Message::response(request, 488, reason_of(488)),
            },
            Err((code, headers)) => {
                self.say(request, hop, code, &headers);
                return;
            }
        }
        self.answer_once(request, hop, &response);
    }

    /// Takes a new offer, or makes one of ours if there is none, and gives what to say. `None`: no codec in common,
    /// and everything stays as it was.
    fn take_offer(
        &mut self,
        id: SipLegId,
        request: &Message,
        hop: Hop,
        offer: Option<&sdp::Session>,
    ) -> Option<String> {
        let leg = self.legs.get_mut(&id)?;
        let local = leg.media.local.clone()?;
        let Some(offer) = offer else {
            leg.dialog.refresh(request, hop);
            return Some(leg.media.say(|origin| sdp::offer(&local, origin)));
        };
        let agreed = offer.agree(&local).ok()?;
        leg.dialog.refresh(request, hop);
        let text = leg.media.say(|origin| offer.answer(&agreed, origin));
        if leg.media.remote.as_ref() != Some(&agreed.remote) {
            leg.media.remote = Some(agreed.remote.clone());
            self.tell_event(id, LegEvent::MediaChanged { remote: agreed.remote, local: agreed.local });
        }
        Some(text)
    }

    /// REFER: a handoff request, if this leg may ask for one. We tell them at once that it worked, because from
    /// then on the handoff is ours (RFC 3515 §2.4.4; RFC 4488 if they want no NOTIFY).
    fn refer(&mut self, id: SipLegId, request: &Message, hop: Hop) {
        let targets: Vec<_> = request.list("Refer-To").collect();
        let target = match targets.as_slice() {
            [target] => NameAddress::read(target).filter(|target| target.parsed().is_some()),
            _ => None,
        };
        let Some(leg) = self.legs.get(&id) else { return };
        let code = match (&leg.stage, &target) {
            (Stage::Up { then_end: None, .. }, _) if !leg.handoff_allowed => 603,
            (Stage::Up { then_end: None, .. }, None) => 400,
            (Stage::Up { then_end: None, .. }, Some(_)) => 202,
            (Stage::Ringing { .. } | Stage::Up { .. } | Stage::Ending, _) => 481,
        };
        let Some(target) = target.filter(|_| code == 202) else {
            self.say(request, hop, code, &[]);
            return;
        };
        let silent =
            request.first("Refer-Sub").is_some_and(|value| value.trim().eq_ignore_ascii_case("false"));
        let mut response = Message::response(request, 202, reason_of(202));
        response.push("Contact", self.contact(id, hop));
        if silent {
            response.push("Refer-Sub", "false");
        }
        self.answer_once(request, hop, &response);
        if !silent {
            self.notify(id, request);
        }
        let headers = pick_headers(request, &SHOWN);
        self.tell_event(id, LegEvent::HandoffRequested { refer_to: target.uri, headers });
    }

    fn notify(&mut self, id: SipLegId, refer: &Message) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let hop = leg.dialog.hop();
        let mut notify = leg.dialog.request(Method::Notify, None);
        let number = refer.cseq().map_or(0, |(number, _)| number);
        notify.push("Contact", self.contact(id, hop));
        notify.push("Event", format!("refer;id={number}"));
        notify.push("Subscription-State", "terminated;reason=noresource");
        notify.push("Content-Type", "message/sipfrag;version=2.0");
        notify.body = b"SIP/2.0 200 OK\r\n".to_vec();
        self.send_request(notify, hop, Owner::Nobody);
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
