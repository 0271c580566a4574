//! Calls that try several places, one after the other (RFC 3263 §4.3): a place that cannot be reached, or says 408,
//! 502, 503 or 504, gives way to the next one, and the caller hears nothing of it.
//!
//! Names are looked up when it is their turn, by the driver, while the time for ringing runs. A place that was silent
//! is tried last for a while; one that said Retry-After is left alone as long as it asked for (RFC 3261 §20.33).

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    time::Duration,
};

use super::{Alarm, Contact, Hop, LegNews, Output, Stack};
use crate::{
    message::{Message, Transport},
    places::{Place, Question},
    words::{DialRequest, FailureKind, SipFailure, SipLegId},
};

/// One thing to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Place(Contact),
    /// To be looked up first; the URI is the Request-URI.
    Name {
        uri: String,
        question: Question,
    },
}

/// Who wants to know where a name leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wanted {
    /// A call.
    Leg(SipLegId),
    /// A trunk's target, to be asked for its health.
    Target(usize),
    /// A trunk's registrar.
    Registrar(usize),
}

/// What a call has not tried yet.
#[derive(Debug, Default)]
pub(super) struct Turns {
    left: VecDeque<Turn>,
    /// Places that have been silent lately.
    last_resort: VecDeque<Contact>,
    /// The Request-URI and host of the name that is being looked up.
    looking: Option<(String, String)>,
    /// The host that From shall show.
    pub(super) domain: Option<String>,
}

/// Why a place is not the first choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shunned {
    /// It asked to be left alone.
    Busy,
    /// It did not answer.
    Silent,
}

/// Places that are not the first choice, until when.
#[derive(Debug, Default)]
pub(super) struct Shun(BTreeMap<(Transport, SocketAddr), (Duration, Shunned)>);

/// Places that are remembered; at the limit those that are over are dropped, then nothing more is taken in.
const SHUNNED_MAX: usize = 1_024;
/// How long a place that was silent is tried last.
const SILENT_FOR: Duration = Duration::from_secs(30);
/// The longest rest that we grant who asks for one.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);
/// How long a place may say nothing at all while there are others: three sendings of the INVITE over UDP.
const SILENCE_MAX: Duration = Duration::from_millis(3_000);

impl Shun {
    fn note(&mut self, now: Duration, hop: Hop, why: Shunned, rest: Duration) {
        if self.0.len() >= SHUNNED_MAX {
            self.0.retain(|_, (until, _)| *until > now);
        }
        if self.0.len() < SHUNNED_MAX {
            self.0.insert((hop.transport, hop.remote), (now + rest, why));
        }
    }

    fn why(&self, now: Duration, hop: Hop) -> Option<Shunned> {
        self.0.get(&(hop.transport, hop.remote)).filter(|(until, _)| *until > now).map(|(_, why)| *why)
    }

    fn forgive(&mut self, hop: Hop) {
        self.0.remove(&(hop.transport, hop.remote));
    }
}

/// Whether another place may do better.
fn gives_way(failure: &SipFailure) -> bool {
    match failure.code {
        Some(code) => matches!(code, 408 | 502 | 503 | 504),
        None => failure.kind == FailureKind::Unreachable,
    }
}

impl Stack {
    /// Begins a call: to all phones of a user at once, or to the places of a URI or trunk in turn.
    pub(crate) fn begin(&mut self, now: Duration, id: SipLegId, request: DialRequest) {
        self.effects.now = now;
        match self.route(&request.to) {
            super::Route::Here(contacts) => self.dial(now, id, request, contacts),
            super::Route::InTurn(turns) => self.dial_in_turn(id, request, turns),
            super::Route::Nowhere(why) => {
                let failure =
                    SipFailure { kind: FailureKind::Unreachable, code: None, reason: why.to_owned() };
                self.tell(id, LegNews::Failed(failure));
            }
        }
    }

    pub(super) fn dial_in_turn(&mut self, id: SipLegId, mut request: DialRequest, left: VecDeque<Turn>) {
        let trunk = self.trunk_of(&request.to);
        if request.credentials.is_none() {
            request.credentials = trunk.and_then(|trunk| trunk.credentials.clone());
        }
        let domain = trunk.and_then(|trunk| trunk.domain.clone());
        if !self.open_dial(id, request) {
            return;
        }
        self.turns.insert(id, Turns { left, domain, ..Turns::default() });
        if !self.next_turn(id) {
            self.out_of_turns(id, "every place asked to be left alone, or would hear keys in the clear");
        }
    }

    /// Goes on to the next place after a failure; false if the failure is final or nothing is left.
    pub(super) fn try_next(&mut self, id: SipLegId, failure: &SipFailure) -> bool {
        self.turns.contains_key(&id) && gives_way(failure) && self.next_turn(id)
    }

    /// Goes on to the next place because this one says nothing. Its late answer is still taken.
    pub(super) fn next_after_silence(&mut self, id: SipLegId) -> bool {
        let now = self.effects.now;
        let silent: Vec<Hop> = self
            .dials
            .get_mut(&id)
            .map(|dial| dial.leave_silent())
            .unwrap_or_default()
            .into_iter()
            .filter_map(|invite| self.transactions.request(invite).map(|(_, hop)| hop))
            .collect();
        for hop in silent {
            self.shun.note(now, hop, Shunned::Silent, SILENT_FOR);
        }
        self.next_turn(id)
    }

    /// Tries what is next, or has it looked up. False if nothing is left; then the call has no turns any more.
    fn next_turn(&mut self, id: SipLegId) -> bool {
        let now = self.effects.now;
        if self.turns.get(&id).is_some_and(|turns| turns.looking.is_some()) {
            return true;
        }
        while let Some(turns) = self.turns.get_mut(&id)
            && let Some(turn) = turns.left.pop_front()
        {
            match turn {
                Turn::Name { uri, question } => {
                    turns.looking = Some((uri, question.host.clone()));
                    self.effects.clear(Alarm::Silent(id));
                    let wanted = Wanted::Leg(id);
                    self.effects.outputs.push_back(Output::Lookup { wanted, question });
                    return true;
                }
                Turn::Place(contact) => match self.shun.why(now, contact.hop) {
                    Some(Shunned::Silent) => turns.last_resort.push_back(contact),
                    Some(Shunned::Busy) => {
                        tracing::debug!(leg = %id, remote = %contact.hop.remote, "passed over: it asked for a rest");
                    }
                    None => {
                        if self.take_turn(id, &contact) {
                            return true;
                        }
                    }
                },
            }
        }
        while let Some(contact) = self.turns.get_mut(&id).and_then(|turns| turns.last_resort.pop_front()) {
            if self.take_turn(id, &contact) {
                return true;
            }
        }
        self.turns.remove(&id);
        false
    }

    /// Dials a place; false if that would tell the keys of a call that demands SRTP in the clear.
    fn take_turn(&mut self, id: SipLegId, contact: &Contact) -> bool {
        if !self.hide_keys_at(id, contact.hop) {
            tracing::info!(leg = %id, remote = %contact.hop.remote, "passed over: SRTP keys would be told without TLS");
            return false;
        }
        let more =
            self.turns.get(&id).is_some_and(|turns| !turns.left.is_empty() || !turns.last_resort.is_empty());
        let patience = if more {
            SILENCE_MAX.min(self.timers.first_response_max)
        } else {
            self.timers.first_response_max
        };
        self.effects.set(Alarm::Silent(id), patience);
        tracing::info!(leg = %id, remote = %contact.hop.remote, transport = contact.hop.transport.name(), "dialling");
        self.add_branch(id, contact);
        true
    }

    /// The places of a name, as the driver found them.
    pub(crate) fn looked_up(&mut self, now: Duration, wanted: Wanted, places: &[Place]) {
        self.effects.now = now;
        match wanted {
            Wanted::Leg(id) => {
                let Some((uri, host)) = self.turns.get_mut(&id).and_then(|turns| turns.looking.take()) else {
                    return;
                };
                for hop in self.hops(places, &host).into_iter().rev() {
                    if let Some(turns) = self.turns.get_mut(&id) {
                        turns.left.push_front(Turn::Place(Contact { uri: uri.clone(), hop }));
                    }
                }
                if !self.next_turn(id) {
                    self.out_of_turns(id, "the host name is not known, or none of its addresses can be used");
                }
            }
            Wanted::Target(target) => {
                let hops = self.probe_host(target).map(|host| self.hops(places, &host)).unwrap_or_default();
                self.probe_places(target, hops);
            }
            Wanted::Registrar(place) => {
                let hops =
                    self.registrar_host(place).map(|host| self.hops(places, &host)).unwrap_or_default();
                self.register_at(place, hops);
            }
        }
    }

    /// Ways to places that go by this name; those that none of our sockets reaches are left out.
    pub(super) fn hops(&mut self, places: &[Place], host: &str) -> Vec<Hop> {
        places.iter().filter_map(|place| self.hop_to(place.transport, place.address, host)).collect()
    }

    /// A place answered a call or a question.
    pub(super) fn note_answer(&mut self, hop: Hop) {
        self.shun.forgive(hop);
    }

    /// A place could not be reached.
    pub(super) fn note_silence(&mut self, hop: Hop) {
        self.shun.note(self.effects.now, hop, Shunned::Silent, SILENT_FOR);
    }

    /// A place said 503; it is left alone if it said how long (RFC 3261 §21.5.4).
    pub(super) fn note_busy(&mut self, hop: Hop, response: &Message) {
        if let Some(rest) = retry_after(response) {
            tracing::info!(remote = %hop.remote, seconds = rest.as_secs(), "a place asked to be left alone");
            self.shun.note(self.effects.now, hop, Shunned::Busy, rest);
        }
    }
}

/// What a response says in Retry-After, if that is some time and not too much.
pub(super) fn retry_after(response: &Message) -> Option<Duration> {
    let value = response.first("Retry-After")?;
    let digits = value.trim_start().split(|sign: char| !sign.is_ascii_digit()).next()?;
    let rest = Duration::from_secs(digits.parse().ok()?);
    (!rest.is_zero()).then(|| rest.min(RETRY_AFTER_MAX))
}
