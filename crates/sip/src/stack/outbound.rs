//! Calls that we make: one or several branches, of which the first to answer has the call.
//!
//! Each branch has a Call-ID of its own. A 2xx that comes when the call is settled (late, forked, after CANCEL)
//! is acknowledged and ended with BYE, as RFC 3261 §13.2.2.4 wants.

use std::{collections::BTreeMap, time::Duration};

use super::{
    Alarm, Contact, Hop, Leg, LegNews, Owner, Stack, Stage, TransactionId,
    dialog::Dialog,
    forks::{Described, Fork},
    leg::{Media, Rights, push_headers},
};
use crate::{
    config::Credentials,
    digest::{self, Asked},
    message::{Message, Method, NameAddress, escape_user, quoted},
    policy::ReliableProvisionals,
    sdp::{self, Origin},
    words::{DialRequest, FailureKind, HangUp, SipFailure, SipLegId, Target},
};

/// A call that is being made, or whose last transactions are ending.
#[derive(Debug)]
pub(crate) struct Dial {
    request: DialRequest,
    stage: DialStage,
    branches: BTreeMap<u64, Branch>,
    /// The worst that is known of the branches that failed.
    failure: Option<SipFailure>,
    rang: bool,
    /// Far sides that have been heard of before the answer.
    pub(super) forks_heard: u32,
    /// Where redirections led.
    pub(super) redirected: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DialStage {
    Calling,
    /// Answered, failed or cancelled: nothing is told any more.
    Settled,
}

/// One INVITE, with all far sides that it reached.
#[derive(Debug)]
pub(super) struct Branch {
    pub(super) invite: TransactionId,
    /// It has said something, so that a CANCEL may be sent.
    heard: bool,
    /// It has failed or answered.
    pub(super) over: bool,
    cancel: Cancel,
    authorized: bool,
    /// The far sides that ring.
    pub(super) forks: Vec<Fork>,
    /// The session interval that a 422 asked for, and how often one came.
    pub(super) session_floor: Duration,
    pub(super) lengthened: u8,
}

impl Branch {
    fn new(invite: TransactionId) -> Self {
        Self {
            invite,
            heard: false,
            over: false,
            cancel: Cancel::No,
            authorized: false,
            forks: Vec::new(),
            session_floor: Duration::ZERO,
            lengthened: 0,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cancel {
    No,
    /// As soon as it says something (RFC 3261 §9.1).
    Due,
    Sent,
}

impl Dial {
    pub(super) fn is_calling(&self) -> bool {
        self.stage == DialStage::Calling
    }

    pub(super) fn request(&self) -> &DialRequest {
        &self.request
    }

    pub(super) fn request_mut(&mut self) -> &mut DialRequest {
        &mut self.request
    }

    pub(super) fn branch_mut(&mut self, branch: u64) -> Option<&mut Branch> {
        self.branches.get_mut(&branch)
    }

    /// The INVITEs that nobody has said anything to. They count as failed, and are cancelled should they be heard of.
    pub(super) fn leave_silent(&mut self) -> Vec<TransactionId> {
        let silent = self.branches.values_mut().filter(|branch| !branch.over && !branch.heard);
        silent
            .map(|branch| {
                branch.over = true;
                branch.cancel = Cancel::Due;
                branch.invite
            })
            .collect()
    }

    pub(super) fn branches_mut(&mut self) -> impl Iterator<Item = &mut Branch> {
        self.branches.values_mut()
    }

    /// Whether a redirection leads to where we have been.
    pub(super) fn was_tried(&self, uri: &str) -> bool {
        let first = match &self.request.to {
            Target::Uri(uri) => Some(uri.as_str()),
            Target::User(_) | Target::Trunk { .. } => None,
        };
        self.redirected.iter().map(String::as_str).chain(first).any(|tried| tried == uri)
    }
}

impl Stack {
    /// Begins a call to one or several places, all at once.
    pub(crate) fn dial(
        &mut self,
        now: Duration,
        id: SipLegId,
        mut request: DialRequest,
        contacts: Vec<Contact>,
    ) {
        self.effects.now = now;
        if !self.hide_keys(id, &mut request, &contacts) {
            return;
        }
        if contacts.is_empty() {
            let (kind, reason) = (FailureKind::Unreachable, "there is nowhere to dial".to_owned());
            self.tell(id, LegNews::Failed(SipFailure { kind, code: None, reason }));
            return;
        }
        if self.open_dial(id, request) {
            tracing::info!(leg = %id, branches = contacts.len(), "dialling");
            for contact in &contacts {
                self.add_branch(id, contact);
            }
        }
    }

    /// Takes up a call that has no branches yet. False at our limit; then it has failed.
    pub(super) fn open_dial(&mut self, id: SipLegId, request: DialRequest) -> bool {
        if self.legs.len() + self.dials.len() >= self.limits.dialogs_max {
            let (kind, reason) = (FailureKind::ServerError, "our limit on dialogs is reached".to_owned());
            self.tell(id, LegNews::Failed(SipFailure { kind, code: None, reason }));
            return false;
        }
        self.effects.set(Alarm::NoAnswer(id), request.ring_max);
        self.effects.set(Alarm::Silent(id), self.timers.first_response_max.min(request.ring_max));
        let dial = Dial {
            request,
            stage: DialStage::Calling,
            branches: BTreeMap::new(),
            failure: None,
            rang: false,
            forks_heard: 0,
            redirected: Vec::new(),
        };
        self.dials.insert(id, dial);
        true
    }

    /// Sends the INVITE of a call to one more place.
    pub(super) fn add_branch(&mut self, id: SipLegId, contact: &Contact) {
        let Some(request) = self.dials.get(&id).map(|dial| dial.request.clone()) else { return };
        let invite = self.invite(id, &request, contact);
        self.last_branch += 1;
        let branch = self.last_branch;
        let invite = self.send_request(invite, contact.hop, Owner::Branch { leg: id, branch });
        if let Some(dial) = self.dials.get_mut(&id) {
            dial.branches.insert(branch, Branch::new(invite));
        }
    }

    fn invite(&mut self, id: SipLegId, request: &DialRequest, contact: &Contact) -> Message {
        let local = self.host_in_from(id, contact.hop);
        let mut invite = Message::request(Method::Invite, contact.uri.clone());
        invite.push("Max-Forwards", "70");
        let display =
            request.from.display.as_ref().map(|name| format!("{} ", quoted(name))).unwrap_or_default();
        let user = if request.from.user.is_empty() { "anonymous" } else { &request.from.user };
        let tag = self.effects.token();
        invite.push("From", format!("{display}<sip:{}@{local}>;tag={tag}", escape_user(user)));
        let to = contact.uri.split(';').next().unwrap_or(&contact.uri);
        invite.push("To", format!("<{to}>"));
        invite.push("Call-ID", format!("{}{}", self.effects.token(), self.effects.token()));
        invite.push("CSeq", "1 INVITE");
        invite.push("Contact", self.contact(id, contact.hop));
        self.introduce(&mut invite);
        self.propose_session(&mut invite, Duration::ZERO);
        if self.policy.reliable == ReliableProvisionals::Required {
            invite.push("Require", "100rel");
        }
        if let Some(replaces) = &request.options.replaces {
            invite.push("Replaces", super::replaces::print(replaces));
        }
        push_headers(&mut invite, &request.headers);
        if !request.options.late_offer {
            invite.set_sdp(sdp::offer(&request.offer, Origin { session: id.0, version: 1 }));
        }
        invite
    }

    /// The INVITE of a branch once more, with another number.
    pub(super) fn invite_again(&mut self, id: SipLegId, branch: u64, mut invite: Message, hop: Hop) {
        let number = invite.cseq().map_or(1, |(number, _)| number) + 1;
        invite.set("CSeq", format!("{number} INVITE"));
        let invite = self.send_request(invite, hop, Owner::Branch { leg: id, branch });
        if let Some(known) = self.dials.get_mut(&id).and_then(|dial| dial.branch_mut(branch)) {
            known.invite = invite;
            known.heard = false;
        }
    }

    /// The call goes on at another place, as the same call with a higher number (RFC 3261 §8.1.3.4).
    pub(super) fn redirect_to(&mut self, id: SipLegId, from: TransactionId, contact: &Contact) -> bool {
        let Some((first, _)) = self.transactions.request(from) else { return false };
        let number = first.cseq().map_or(1, |(number, _)| number) + 1;
        let mut invite = Message::request(Method::Invite, contact.uri.clone());
        for (name, value) in first.headers() {
            invite.push(name, value.as_str());
        }
        invite.body.clone_from(&first.body);
        invite.set("CSeq", format!("{number} INVITE"));
        invite.set("Contact", self.contact(id, contact.hop));
        self.last_branch += 1;
        let branch = self.last_branch;
        let invite = self.send_request(invite, contact.hop, Owner::Branch { leg: id, branch });
        if let Some(dial) = self.dials.get_mut(&id) {
            dial.branches.insert(branch, Branch::new(invite));
        }
        tracing::info!(leg = %id, "a redirection is followed");
        true
    }

    /// A response to the INVITE of a branch.
    pub(super) fn branch_response(
        &mut self,
        place: (SipLegId, u64),
        invite: TransactionId,
        response: &Message,
        hop: Hop,
    ) {
        let (id, branch) = place;
        let code = response.code().unwrap_or(500);
        match code {
            ..200 => self.branch_progress(id, branch, response, hop),
            200..300 => self.branch_answered(id, branch, response, (invite, hop)),
            401 | 407 if self.authorize_branch(id, branch, response) => {}
            422 if self.lengthen_session(id, branch, response) => {}
            300..=399 if self.redirected(id, branch, response) => {}
            _ => {
                if code == 503
                    && let Some((_, sent_to)) = self.transactions.request(invite)
                {
                    self.note_busy(sent_to, response);
                }
                let failure = SipFailure {
                    kind: FailureKind::of_code(code),
                    code: Some(code),
                    reason: response.reason().to_owned(),
                };
                self.branch_failed(id, branch, failure, code >= 600);
            }
        }
    }

    fn branch_progress(&mut self, id: SipLegId, branch: u64, response: &Message, hop: Hop) {
        let Some(dial) = self.dials.get_mut(&id) else { return };
        let Some(known) = dial.branches.get_mut(&branch) else { return };
        known.heard = true;
        self.effects.clear(Alarm::Silent(id));
        if known.cancel == Cancel::Due {
            self.send_cancel(id, branch);
            return;
        }
        if dial.stage == DialStage::Settled {
            return;
        }
        let code = response.code().unwrap_or(100);
        if code > 100 && !self.fork_progress((id, branch), response, hop) {
            return;
        }
        let rings = self.dials.get_mut(&id).is_some_and(|dial| code == 180 && !dial.rang);
        if rings && let Some(dial) = self.dials.get_mut(&id) {
            dial.rang = true;
            self.tell(id, LegNews::Ringing);
        }
    }

    /// Sends the INVITE of a branch again with credentials, once.
    fn authorize_branch(&mut self, id: SipLegId, branch: u64, response: &Message) -> bool {
        let Some(dial) = self.dials.get(&id).filter(|dial| dial.is_calling()) else { return false };
        let Some(known) = dial.branches.get(&branch).filter(|known| !known.authorized) else { return false };
        let Some((invite, hop)) = self.transactions.request(known.invite) else { return false };
        let trunk = self.trunk_credentials(hop.remote.ip());
        let Some(credentials) = dial.request.credentials.as_ref().or(trunk).cloned() else { return false };
        let mut invite = invite.clone();
        let cnonce = self.effects.token();
        if !add_credentials(&mut invite, response, &credentials, &cnonce) {
            return false;
        }
        self.invite_again(id, branch, invite, hop);
        if let Some(dial) = self.dials.get_mut(&id)
            && let Some(known) = dial.branches.get_mut(&branch)
        {
            known.authorized = true;
            dial.request.credentials.get_or_insert(credentials);
        }
        true
    }

    fn branch_answered(&mut self, id: SipLegId, branch: u64, response: &Message, by: (TransactionId, Hop)) {
        let (invite, hop) = by;
        let Some((request, sent_to)) = self.transactions.request(invite) else { return };
        let Some(mut dialog) = Dialog::of_response(request, response, Hop { socket: sent_to.socket, ..hop })
        else {
            return;
        };
        if let Some(known) = self.dialogs.get(&dialog.key()) {
            // The 2xx of a dialog that we have: our ACK was lost.
            if let Some((hop, ack)) = self.legs.get(known).and_then(|leg| leg.media.ack.clone()) {
                self.effects.send(hop, ack);
            }
            return;
        }
        let fork = self.take_fork((id, branch), &dialog.remote_tag);
        if let Some(fork) = &fork {
            dialog.take_over(&fork.dialog);
        }
        let Some(dial) = self.dials.get_mut(&id) else { return };
        if let Some(known) = dial.branches.get_mut(&branch) {
            known.over = true;
        }
        let calling = dial.is_calling();
        let request = dial.request.clone();
        let sip_call_id = dialog.call_id.clone();
        let (media, answered) = self.media_of_answer(id, &request, fork, (response, hop));
        let wins = calling && answered.agreed.is_some();
        let leg_id = if wins { id } else { self.next_leg() };
        let mut leg = Leg::new(dialog, Stage::Up { ack: None, then_end: None }, media);
        leg.rights = Rights { handoff: request.handoff_allowed, transfer: request.options.transfer_allowed };
        leg.credentials = request.credentials;
        leg.far.learn(response);
        self.insert(leg_id, leg);
        self.send_ack(leg_id, response, answered.text);
        match answered.agreed.filter(|_| wins) {
            Some(agreed) => {
                self.session_agreed(leg_id, response);
                self.settle(id);
                let (remote, local) = (agreed.remote, agreed.local);
                self.tell(id, LegNews::Answered { remote, local, signalling: hop.remote, sip_call_id });
            }
            None => {
                self.send_bye(leg_id, &HangUp::default());
                let reason = "the answer has no codec that we offered".to_owned();
                let failure = SipFailure { kind: FailureKind::NoCommonCodec, code: response.code(), reason };
                self.branch_failed(id, branch, failure, false);
            }
        }
    }

    /// What a 2xx agrees on, with what was agreed before it; our answer for the ACK if it carries an offer.
    fn media_of_answer(
        &self,
        id: SipLegId,
        request: &DialRequest,
        fork: Option<Fork>,
        response: (&Message, Hop),
    ) -> (Media, Answered) {
        let (response, hop) = response;
        let (mut media, described) = match fork {
            Some(fork) => (fork.media, fork.described),
            None => {
                let mut media = Media::new(id.0);
                if !request.options.late_offer {
                    media.say(|origin| sdp::offer(&request.offer, origin));
                }
                (media, Described::Nothing)
            }
        };
        let session = response.sdp().and_then(|body| sdp::Session::read(body, hop.remote.ip()).ok());
        let mut text = None;
        let agreed = match (described, session) {
            (Described::Agreed(agreed), _) => Some(*agreed),
            (_, Some(session)) if request.options.late_offer => {
                let agreed = session.agree(&request.offer).ok();
                text = agreed.as_ref().map(|agreed| media.say(|origin| session.answer(agreed, origin)));
                media.shape = Some(Box::new(session));
                agreed
            }
            (_, Some(session)) => session.agree_to_offer(&request.offer).ok(),
            // Some leave out of the 200 what their 183 said without being reliable.
            (Described::Preview(agreed), None) => Some(*agreed),
            (Described::Nothing, None) => None,
        };
        media.local = Some(request.offer.clone());
        media.remote = agreed.as_ref().map(|agreed| agreed.remote.clone());
        (media, Answered { agreed, text })
    }

    /// Acknowledges a 2xx; kept, to be sent again if the 2xx comes again.
    pub(super) fn send_ack(&mut self, id: SipLegId, response: &Message, text: Option<String>) {
        let number = response.cseq().map(|(number, _)| number);
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let hop = leg.dialog.hop();
        let mut ack = leg.dialog.request(Method::Ack, number);
        if let Some(text) = text {
            ack.set_sdp(text);
        }
        let via = self.new_via(hop);
        ack.set_via(via);
        let bytes = ack.bytes();
        self.effects.send(hop, bytes.clone());
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.media.ack = Some((hop, bytes));
        }
    }

    fn branch_failed(&mut self, id: SipLegId, branch: u64, failure: SipFailure, for_all: bool) {
        let Some(dial) = self.dials.get_mut(&id) else { return };
        if let Some(known) = dial.branches.get_mut(&branch) {
            known.over = true;
        }
        if dial.stage == DialStage::Settled {
            return;
        }
        // The most telling failure of several phones is the first in the order of the kinds.
        if dial.failure.as_ref().is_none_or(|known| failure.kind < known.kind) {
            dial.failure = Some(failure.clone());
        }
        let all = dial.branches.values().all(|branch| branch.over);
        if for_all || (all && !self.try_next(id, &failure)) {
            self.dial_failed(id);
        }
    }

    /// Every place has failed: tells of the most telling failure.
    pub(super) fn dial_failed(&mut self, id: SipLegId) {
        let failure = self.dials.get_mut(&id).and_then(|dial| dial.failure.take());
        self.settle(id);
        if let Some(failure) = failure {
            tracing::info!(leg = %id, kind = ?failure.kind, code = failure.code, "dialling failed");
            self.tell(id, LegNews::Failed(failure));
        }
    }

    /// Nothing is left to try.
    pub(super) fn out_of_turns(&mut self, id: SipLegId, why: &str) {
        let Some(dial) = self.dials.get_mut(&id).filter(|dial| dial.is_calling()) else { return };
        let (kind, reason) = (FailureKind::Unreachable, why.to_owned());
        dial.failure.get_or_insert(SipFailure { kind, code: None, reason });
        self.dial_failed(id);
    }

    /// A branch's transaction is over; the last one takes the call's remains with it.
    pub(super) fn branch_over(&mut self, place: (SipLegId, u64), failed: bool) {
        let (id, branch) = place;
        if failed {
            let reason = "there was no answer in time, or no way to send".to_owned();
            let failure = SipFailure { kind: FailureKind::Unreachable, code: None, reason };
            self.branch_failed(id, branch, failure, false);
        }
        let Some(dial) = self.dials.get_mut(&id) else { return };
        // A challenged INVITE ends too, but its branch lives on in the next one.
        let current =
            dial.branches.get(&branch).is_some_and(|known| self.transactions.request(known.invite).is_none());
        if current {
            dial.branches.remove(&branch);
        }
        // While a name is looked up, a call has no branch but is not over.
        if dial.branches.is_empty() && !self.turns.contains_key(&id) {
            self.dials.remove(&id);
        }
    }

    /// Nothing more is told; the branches that are not over are cancelled.
    pub(super) fn settle(&mut self, id: SipLegId) {
        self.effects.clear(Alarm::NoAnswer(id));
        self.effects.clear(Alarm::Silent(id));
        self.forget_forks(id);
        self.turns.remove(&id);
        let Some(dial) = self.dials.get_mut(&id) else { return };
        dial.stage = DialStage::Settled;
        if dial.branches.is_empty() {
            self.dials.remove(&id);
            return;
        }
        let mut heard = Vec::new();
        for (place, branch) in dial.branches.iter_mut().filter(|(_, branch)| !branch.over) {
            if branch.cancel == Cancel::No {
                branch.cancel = Cancel::Due;
                heard.extend(branch.heard.then_some(*place));
            }
        }
        for branch in heard {
            self.send_cancel(id, branch);
        }
    }

    fn send_cancel(&mut self, id: SipLegId, branch: u64) {
        let Some(known) = self.dials.get_mut(&id).and_then(|dial| dial.branches.get_mut(&branch)) else {
            return;
        };
        known.cancel = Cancel::Sent;
        let invite = known.invite;
        self.cancel_invite(invite);
    }

    /// Sends CANCEL for an INVITE of ours (RFC 3261 §9.1).
    pub(super) fn cancel_invite(&mut self, invite: TransactionId) {
        let Some((request, hop)) = self.transactions.request(invite) else { return };
        let mut cancel = Message::request(Method::Cancel, request.uri().to_owned());
        for name in ["Via", "Max-Forwards", "From", "To", "Call-ID"] {
            cancel.push(name, request.first(name).unwrap_or(""));
        }
        let number = request.cseq().map_or(1, |(number, _)| number);
        cancel.push("CSeq", format!("{number} CANCEL"));
        self.transactions.open_client(&mut self.effects, cancel, hop, Owner::Nobody);
        self.transactions.give_up_on(&mut self.effects, invite);
    }

    /// Gives up a call that is being made.
    pub(super) fn cancel(&mut self, id: SipLegId) {
        self.fail(id, FailureKind::Canceled, "we gave up");
    }

    pub(super) fn no_answer(&mut self, id: SipLegId) {
        self.fail(id, FailureKind::NoAnswer, "it rang until the time was over");
    }

    pub(super) fn silent(&mut self, id: SipLegId) {
        if self.next_after_silence(id) {
            return;
        }
        self.fail(id, FailureKind::Unreachable, "it has not said anything");
    }

    fn fail(&mut self, id: SipLegId, kind: FailureKind, reason: &str) {
        if !self.dials.get(&id).is_some_and(Dial::is_calling) {
            return;
        }
        self.settle(id);
        self.tell(id, LegNews::Failed(SipFailure { kind, code: None, reason: reason.to_owned() }));
    }
}

/// What a 2xx came to.
struct Answered {
    agreed: Option<sdp::Agreed>,
    /// Our answer to its offer.
    text: Option<String>,
}

/// Answers the challenges of a 401 or 407. False if none can be answered.
pub(super) fn add_credentials(
    request: &mut Message,
    response: &Message,
    credentials: &Credentials,
    cnonce: &str,
) -> bool {
    let (asks, answers) = if response.code() == Some(401) {
        ("WWW-Authenticate", "Authorization")
    } else {
        ("Proxy-Authenticate", "Proxy-Authorization")
    };
    let method = request.method().map(Method::name).unwrap_or_default().to_owned();
    let uri = request.uri().to_owned();
    let asked = Asked { method: &method, uri: &uri, cnonce };
    match digest::authorize(response.all(asks), credentials, &asked) {
        Some(value) => {
            request.set(answers, value);
            true
        }
        None => false,
    }
}

/// A Contact value as a place to dial: its URI without the parts that are not for a Request-URI.
pub(super) fn request_uri(contact: &NameAddress) -> String {
    contact.uri.split('?').next().unwrap_or(&contact.uri).to_owned()
}
