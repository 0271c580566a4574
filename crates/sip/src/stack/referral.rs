//! REFER in a dialog, both ways, with its NOTIFY (RFC 3515; transfers as in RFC 5589). Whoever may not is told 603.
//!
//! ```text
//! who refers          what comes of it
//! may ask for handoff the gateway decides; to them it worked at once, for the handoff is ours from then on
//! may transfer, and   the same
//! names a queue
//! may transfer        we call the target in their place, if it is one that transfers may go to (else 403),
//!                     tell them how it goes, and give the leg its new far side when it answers
//! anybody else        603
//! ```

use std::time::Duration;

use super::{
    Alarm, Hop, LegNews, Owner, Route, Stack, Stage,
    leg::{Leg, pick_headers, push_headers},
    replaces::{self, escape, uri_headers},
    within::SHOWN,
};
use crate::{
    message::{Message, Method, NameAddress, Uri, reason_of},
    words::{
        Caller, DialOptions, DialRequest, Ended, FailureKind, HangUp, LegEvent, Referral, SipFailure,
        SipLegId, Target,
    },
};

/// How a REFER of ours stands.
#[derive(Debug, Default)]
pub(super) struct Referring {
    /// Its number, until it is over.
    ours: Option<u32>,
}

/// A call that we make because a far side wants somebody else in its place.
#[derive(Debug)]
pub(crate) struct Transfer {
    leg: SipLegId,
    /// The number of its REFER.
    number: u32,
    to: String,
    /// It has hung up already and leaves the rest to us.
    left: bool,
    silent: bool,
}

/// How long somebody a call is transferred to may ring, and a far side may take to follow a REFER of ours.
const TRANSFER_MAX: Duration = Duration::from_secs(60);

impl Stack {
    /// REFER in a dialog.
    pub(super) fn refer(&mut self, id: SipLegId, request: &Message, hop: Hop) {
        let targets: Vec<_> = request.list("Refer-To").collect();
        let target = match targets.as_slice() {
            [target] => NameAddress::read(target).filter(|target| target.parsed().is_some()),
            _ => None,
        };
        let Some(leg) = self.legs.get(&id) else { return };
        let may = leg.rights;
        let Stage::Up { then_end: None, .. } = leg.stage else {
            self.say(request, hop, 481, &[]);
            return;
        };
        match target {
            _ if !may.handoff && !may.transfer => self.say(request, hop, 603, &[]),
            None => self.say(request, hop, 400, &[]),
            Some(target) if may.handoff || self.is_queue(&target) => {
                self.accept_refer(id, request, hop);
                if !is_silent(request) {
                    let number = request.cseq().map_or(0, |(number, _)| number);
                    self.notify(id, number, 200, true);
                }
                let headers = pick_headers(request, &SHOWN);
                self.tell_event(id, LegEvent::HandoffRequested { refer_to: target.uri, headers });
            }
            Some(target) => self.transfer(id, request, hop, &target),
        }
    }

    fn accept_refer(&mut self, id: SipLegId, request: &Message, hop: Hop) {
        let mut response = Message::response(request, 202, reason_of(202));
        response.push("Contact", self.contact(id, hop));
        if is_silent(request) {
            response.push("Refer-Sub", "false");
        }
        self.answer_once(request, hop, &response);
    }

    /// Tells the far side how its REFER goes.
    fn notify(&mut self, id: SipLegId, refer: u32, code: u16, over: bool) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let hop = leg.dialog.hop();
        let mut notify = leg.dialog.request(Method::Notify, None);
        notify.push("Contact", self.contact(id, hop));
        notify.push("Event", format!("refer;id={refer}"));
        let state = if over { "terminated;reason=noresource" } else { "active;expires=60" };
        notify.push("Subscription-State", state);
        notify.push("Content-Type", "message/sipfrag;version=2.0");
        notify.body = format!("SIP/2.0 {code} {}\r\n", reason_of(code)).into_bytes();
        self.send_request(notify, hop, Owner::Nobody);
    }

    /// Calls whom the far side wants in its place.
    fn transfer(&mut self, id: SipLegId, request: &Message, hop: Hop, target: &NameAddress) {
        let Some(leg) = self.legs.get(&id) else { return };
        if self.transfers.values().any(|transfer| transfer.leg == id) {
            self.say(request, hop, 491, &[]);
            return;
        }
        let Some((target, uri, replaces)) = self.transfer_target(target) else {
            tracing::info!(leg = %id, "refused a transfer: its target is not among those that are allowed");
            self.say(request, hop, 403, &[]);
            return;
        };
        let Some(offer) = leg.media.local.clone() else {
            self.say(request, hop, 491, &[]);
            return;
        };
        let dial = DialRequest {
            to: target,
            from: Caller { user: leg.dialog.local_user(), display: None },
            headers: pick_headers(request, &["Referred-By", "User-to-User"]),
            offer,
            ring_max: TRANSFER_MAX,
            handoff_allowed: leg.rights.handoff,
            credentials: None,
            options: DialOptions { replaces, transfer_allowed: true, ..DialOptions::default() },
        };
        self.accept_refer(id, request, hop);
        let number = request.cseq().map_or(0, |(number, _)| number);
        let silent = is_silent(request);
        if !silent {
            self.notify(id, number, 100, false);
        }
        let other = self.next_leg();
        self.transfers.insert(other, Transfer { leg: id, number, to: uri, left: false, silent });
        let now = self.effects.now;
        match self.route(&dial.to) {
            Route::Here(contacts) => self.dial(now, other, dial, contacts),
            Route::InTurn(turns) => self.dial_in_turn(other, dial, turns),
            Route::Nowhere(_) => {
                let reason = "no address of ours leads there".to_owned();
                let failure = SipFailure { kind: FailureKind::Unreachable, code: Some(404), reason };
                self.transferring(other, LegNews::Failed(failure));
            }
        }
    }

    /// Where a transfer may go to: a user who is registered here, or a host that is allowed.
    fn transfer_target(
        &self,
        target: &NameAddress,
    ) -> Option<(Target, String, Option<crate::words::Replaces>)> {
        let uri = target.parsed().filter(Uri::is_sip)?;
        let method = uri.param("method").and_then(Option::as_deref);
        if method.is_some_and(|method| !method.eq_ignore_ascii_case("INVITE")) {
            return None;
        }
        let plain = super::outbound::request_uri(target);
        let replaces = uri_headers(&target.uri)
            .into_iter()
            .find(|(name, _)| name.eq_ignore_ascii_case("Replaces"))
            .map(|(_, value)| replaces::read(&value));
        let replaces = match replaces {
            Some(None) => return None,
            Some(read) => read,
            None => None,
        };
        if self.policy.transfer_hosts.iter().any(|host| host.eq_ignore_ascii_case(&uri.host)) {
            return Some((Target::Uri(plain.clone()), plain, replaces));
        }
        let ours = self.is_here(&uri);
        let user = uri.user.filter(|_| ours)?;
        let known = !self.registrar.contacts(&user, self.effects.now).is_empty();
        known.then_some((Target::User(user), plain, replaces))
    }

    /// Whether a target is a queue of ours.
    fn is_queue(&self, target: &NameAddress) -> bool {
        let Some(uri) = target.parsed().filter(|uri| uri.is_sip() && self.is_here(uri)) else { return false };
        uri.user.is_some_and(|user| self.policy.transfer_queues.contains(&user))
    }

    /// Whether a URI's host is us.
    fn is_here(&self, uri: &Uri) -> bool {
        uri.ip().is_some_and(|ip| self.locals.are(ip)) || uri.host.eq_ignore_ascii_case(&self.realm)
    }

    /// News of the call that takes a far side's place.
    pub(super) fn transferring(&mut self, other: SipLegId, news: LegNews) {
        let Some(transfer) = self.transfers.get(&other) else { return };
        let (id, number, told) = (transfer.leg, transfer.number, !transfer.silent && !transfer.left);
        match news {
            LegNews::Ringing if told => self.notify(id, number, 180, false),
            LegNews::Ringing | LegNews::Early { .. } | LegNews::Withdrawn | LegNews::Event(_) => {}
            LegNews::Failed(failure) => {
                let left = self.transfers.remove(&other).is_some_and(|transfer| transfer.left);
                if left {
                    self.remove(id);
                    // They think that the call is in good hands: it is not theirs any more, and nobody else's yet.
                    let why = "whom they gave the call to was not reached".to_owned();
                    self.tell_event(id, LegEvent::Ended(Ended::Error(why)));
                } else if told {
                    self.notify(id, number, failure.code.unwrap_or(503), true);
                }
            }
            LegNews::Answered { remote, local, .. } => {
                let Some(transfer) = self.transfers.remove(&other) else { return };
                self.exchange(id, other);
                if transfer.left {
                    self.remove(other);
                } else {
                    if told {
                        self.notify(other, number, 200, true);
                    }
                    self.send_bye(other, &HangUp::default());
                }
                tracing::info!(leg = %id, "a far side gave its place to another");
                self.tell_event(id, LegEvent::MediaChanged { remote, local });
                self.tell_event(id, LegEvent::Transferred { to: transfer.to });
            }
        }
    }

    /// A far side hung up while we call somebody in its place: the leg waits for that. True if there is such a call.
    pub(super) fn leave_to_transfer(&mut self, id: SipLegId) -> bool {
        let Some(transfer) = self.transfers.values_mut().find(|transfer| transfer.leg == id) else {
            return false;
        };
        transfer.left = true;
        let Some(leg) = self.legs.get_mut(&id) else { return false };
        leg.stage = Stage::Ending;
        self.dialogs.remove(&leg.dialog.key());
        let described = leg.media.remote.clone().zip(leg.media.local.clone());
        for alarm in Alarm::of_leg(id) {
            self.effects.clear(alarm);
        }
        if let Some((mut remote, local)) = described {
            remote.direction = segue_media::Direction::Inactive;
            self.tell_event(id, LegEvent::MediaChanged { remote, local });
        }
        true
    }

    /// Gives up the call that was to take the place of a leg that ends. True if the far side had left already.
    pub(super) fn stop_transfer(&mut self, id: SipLegId) -> bool {
        let other = self.transfers.iter().find(|(_, transfer)| transfer.leg == id).map(|(other, _)| *other);
        let Some(transfer) = other.and_then(|other| self.transfers.remove(&other)) else { return false };
        if let Some(other) = other {
            self.settle(other);
        }
        if transfer.left {
            self.remove(id);
        }
        transfer.left
    }

    /// Asks the far side to call somebody else.
    pub(crate) fn send_refer(&mut self, now: Duration, id: SipLegId, referral: &Referral) {
        self.effects.now = now;
        let replaces = referral.instead_of.and_then(|other| self.legs.get(&other)).map(|leg| {
            // As the far side of that dialog names it.
            let (call_id, to, from) = (&leg.dialog.call_id, &leg.dialog.remote_tag, &leg.dialog.local_tag);
            escape(&format!("{call_id};to-tag={to};from-tag={from}"))
        });
        let fits = Uri::read(&referral.to).is_some() && !referral.to.contains(['<', '>', '"', '?']);
        let up = matches!(
            self.legs.get(&id),
            Some(Leg { stage: Stage::Up { then_end: None, .. }, referring: Referring { ours: None }, .. })
        );
        if !fits || !up || (referral.instead_of.is_some() && replaces.is_none()) {
            self.tell_event(id, LegEvent::ReferProgress { code: 400, over: true });
            return;
        }
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let hop = leg.dialog.hop();
        let mut refer = leg.dialog.request(Method::Refer, None);
        leg.referring.ours = Some(leg.dialog.local_number);
        let replaces = replaces.map(|value| format!("?Replaces={value}")).unwrap_or_default();
        refer.push("Refer-To", format!("<{}{replaces}>", referral.to));
        refer.push("Referred-By", leg.dialog.local_address());
        push_headers(&mut refer, &referral.headers);
        refer.push("Contact", self.contact(id, hop));
        self.introduce(&mut refer);
        self.effects.set(Alarm::Referred(id), TRANSFER_MAX);
        self.send_request(refer, hop, Owner::Refer(id));
    }

    pub(super) fn refer_response(&mut self, id: SipLegId, response: &Message) {
        match response.code().unwrap_or(500) {
            ..200 => {}
            code @ 200..300 => {
                let silent = response.first("Refer-Sub").is_some_and(|value| value.trim() == "false");
                if silent {
                    self.refer_over(id, code);
                } else {
                    self.tell_event(id, LegEvent::ReferProgress { code, over: false });
                }
            }
            code => self.refer_over(id, code),
        }
    }

    pub(super) fn refer_over(&mut self, id: SipLegId, code: u16) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        if leg.referring.ours.take().is_some() {
            self.effects.clear(Alarm::Referred(id));
            self.tell_event(id, LegEvent::ReferProgress { code, over: true });
        }
    }

    /// NOTIFY: how the far side fares with our REFER; 481 if there is none (RFC 6665 §4.1.3).
    pub(super) fn notified(&mut self, id: SipLegId, request: &Message, hop: Hop) {
        let ours = self.legs.get(&id).and_then(|leg| leg.referring.ours);
        let event = request.first("Event").unwrap_or("");
        let mut parts = event.split(';').map(str::trim);
        let refer = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("refer"));
        let number = parts.find_map(|part| part.strip_prefix("id=")?.parse::<u32>().ok());
        if !refer || ours.is_none() || number.is_some_and(|number| Some(number) != ours) {
            self.say(request, hop, 481, &[]);
            return;
        }
        let kind = request.first("Content-Type").unwrap_or("").to_ascii_lowercase();
        if !request.body.is_empty() && !kind.starts_with("message/sipfrag") {
            self.say(request, hop, 415, &[("Accept", "message/sipfrag".to_owned())]);
            return;
        }
        self.say(request, hop, 200, &[]);
        let ended =
            request.first("Subscription-State").unwrap_or("").to_ascii_lowercase().starts_with("terminated");
        match read_fragment(&request.body) {
            Some(code) if code >= 200 => self.refer_over(id, code),
            Some(code) if !ended => self.tell_event(id, LegEvent::ReferProgress { code, over: false }),
            // It ended without a word on how.
            _ if ended => self.refer_over(id, 408),
            _ => {}
        }
    }

    /// Allows or forbids transfers on a leg.
    pub(crate) fn allow_transfer(&mut self, id: SipLegId, allowed: bool) {
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.rights.transfer = allowed;
        }
    }
}

/// Whether they want no NOTIFY (RFC 4488).
fn is_silent(request: &Message) -> bool {
    request.first("Refer-Sub").is_some_and(|value| value.trim().eq_ignore_ascii_case("false"))
}

/// The status code in a message/sipfrag (RFC 3420).
fn read_fragment(body: &[u8]) -> Option<u16> {
    let text = String::from_utf8_lossy(body);
    let code = text.lines().next()?.strip_prefix("SIP/2.0 ")?.split(' ').next()?.parse().ok()?;
    (100..700).contains(&code).then_some(code)
}
