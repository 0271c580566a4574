//! Our registrations at trunks (RFC 3261 §10.2): made, renewed in time, tried again with patience, taken back at the end.
//!
//! ```text
//! Waiting ─alarm► Looking ─places► Asking ─2xx► Waiting (renewal) │ ─401, 423► Asking │ ─other► Waiting (back-off)
//!                                    └─silence, next place► Asking
//! any, registered ─the end► Leaving ─final► Gone
//! ```

use std::{collections::VecDeque, time::Duration};

use super::{
    Alarm, Effects, Hop, Output, Owner, Stack, TransactionId,
    outbound::add_credentials,
    turns::{Turn, Wanted, retry_after},
};
use crate::{
    message::{ALLOW, Message, Method, NameAddress, Uri, escape_user},
    trunks::{Registration, RegistrationStatus},
};

/// One registration of ours.
#[derive(Debug)]
pub(super) struct Enrolment {
    pub(super) trunk: usize,
    pub(super) status: RegistrationStatus,
    wish: Registration,
    /// What we ask for; a registrar may want it longer (423).
    expires: Duration,
    call_id: String,
    number: u32,
    failures: u32,
    stage: Stage,
    /// How long the last registration is good, and by which way it was made.
    held: Option<(Duration, Hop)>,
}

#[derive(Debug)]
enum Stage {
    Waiting,
    Looking { host: String },
    Asking(Asking),
    Leaving(Asking),
    Gone,
}

/// A REGISTER on its way.
#[derive(Debug)]
struct Asking {
    transaction: TransactionId,
    hop: Hop,
    /// Other places of the registrar.
    left: VecDeque<Hop>,
    /// Credentials have been given in this round.
    challenged: u8,
}

/// What a final response means.
#[derive(Debug, PartialEq, Eq)]
enum Meaning {
    Granted(Duration),
    /// Once more with credentials.
    Challenged,
    /// Once more, for longer.
    Longer(Duration),
    /// It may work at another place.
    Elsewhere,
    Refused,
}

const LOOKING_MAX: Duration = Duration::from_secs(10);
/// How long one REGISTER may take.
const ANSWER_MAX: Duration = Duration::from_secs(8);
/// After the first failure; doubled with each further one.
const BACK_OFF_FIRST: Duration = Duration::from_secs(4);
const BACK_OFF_MAX: Duration = Duration::from_secs(300);
/// A registrar that wants longer registrations than this is not obeyed.
const EXPIRES_MAX: Duration = Duration::from_secs(7 * 24 * 3_600);
/// A first challenge, and one more because its nonce was old already.
const CHALLENGES_MAX: u8 = 2;

impl Enrolment {
    pub(super) fn new(trunk: usize, wish: &Registration) -> Self {
        Self {
            trunk,
            status: RegistrationStatus::Trying,
            expires: wish.expires,
            wish: wish.clone(),
            call_id: String::new(),
            number: 0,
            failures: 0,
            stage: Stage::Waiting,
            held: None,
        }
    }

    fn back_off(&self) -> Duration {
        let doubled = BACK_OFF_FIRST.saturating_mul(1 << self.failures.saturating_sub(1).min(16));
        doubled.min(BACK_OFF_MAX)
    }
}

impl Stack {
    pub(super) fn start_registering(&mut self) {
        for place in 0..self.ways_out.enrolments.len() {
            let call_id = format!("{}{}", self.effects.token(), self.effects.token());
            if let Some(enrolment) = self.ways_out.enrolments.get_mut(place) {
                enrolment.call_id = call_id;
            }
            self.effects.set(Alarm::Register(place), Duration::ZERO);
        }
    }

    /// The alarm: time to register or renew, or something has taken too long.
    pub(super) fn register_due(&mut self, place: usize) {
        let Some(enrolment) = self.ways_out.enrolments.get(place) else { return };
        match &enrolment.stage {
            Stage::Waiting => {
                let registrar = enrolment.wish.registrar.clone();
                match self.turn_to(&registrar, registrar.clone()) {
                    Some(Turn::Place(contact)) => self.register_at(place, vec![contact.hop]),
                    Some(Turn::Name { question, .. }) => {
                        self.set_enrolment(place, Stage::Looking { host: question.host.clone() });
                        self.effects.set(Alarm::Register(place), LOOKING_MAX);
                        let wanted = Wanted::Registrar(place);
                        self.effects.outputs.push_back(Output::Lookup { wanted, question });
                    }
                    None => self.register_failed(place, "no socket of ours reaches the registrar", None),
                }
            }
            Stage::Looking { .. } => {
                self.register_failed(place, "the registrar's name was not found in time", None);
            }
            Stage::Asking(asking) | Stage::Leaving(asking) => {
                let transaction = asking.transaction;
                self.transactions.expire(&mut self.effects, transaction);
                self.register_unanswered(place, transaction);
            }
            Stage::Gone => {}
        }
    }

    fn set_enrolment(&mut self, place: usize, stage: Stage) {
        if let Some(enrolment) = self.ways_out.enrolments.get_mut(place) {
            enrolment.stage = stage;
        }
    }

    /// The host whose places are looked up for a registrar.
    pub(super) fn registrar_host(&self, place: usize) -> Option<String> {
        match &self.ways_out.enrolments.get(place)?.stage {
            Stage::Looking { host } => Some(host.clone()),
            Stage::Waiting | Stage::Asking(_) | Stage::Leaving(_) | Stage::Gone => None,
        }
    }

    /// Registers at the first of these places; the others are tried if it is silent.
    pub(super) fn register_at(&mut self, place: usize, hops: Vec<Hop>) {
        let Some(enrolment) = self.ways_out.enrolments.get(place) else { return };
        match enrolment.stage {
            Stage::Waiting | Stage::Looking { .. } => {}
            Stage::Asking(_) | Stage::Leaving(_) | Stage::Gone => return,
        }
        let mut left = VecDeque::from(hops);
        let Some(hop) = left.pop_front() else {
            self.register_failed(place, "the registrar's name is not known, or leads nowhere", None);
            return;
        };
        let Some(request) = self.registration(place, hop, None) else { return };
        let transaction = self.send_request(request, hop, Owner::Register(place));
        self.set_enrolment(place, Stage::Asking(Asking { transaction, hop, left, challenged: 0 }));
        self.effects.set(Alarm::Register(place), ANSWER_MAX);
    }

    /// A REGISTER; `expires` is zero to take the registration back.
    fn registration(&mut self, place: usize, hop: Hop, expires: Option<Duration>) -> Option<Message> {
        let enrolment = self.ways_out.enrolments.get(place)?;
        let (wish, call_id) = (enrolment.wish.clone(), enrolment.call_id.clone());
        let expires = expires.unwrap_or(enrolment.expires).as_secs();
        let number = enrolment.number + 1;
        let uri = Uri::read(&wish.registrar)?;
        let port = uri.port.map(|port| format!(":{port}")).unwrap_or_default();
        let (scheme, host) = (&uri.scheme, &uri.host);
        let record = format!("<{scheme}:{}@{host}{port}>", escape_user(&wish.user));
        let contact = self.contact_of(&escape_user(&wish.contact_user), hop);
        let tag = self.effects.token();
        let mut request = Message::request(Method::Register, format!("{scheme}:{host}{port}"));
        request.push("Max-Forwards", "70");
        request.push("From", format!("{record};tag={tag}"));
        request.push("To", record);
        request.push("Call-ID", call_id);
        request.push("CSeq", format!("{number} REGISTER"));
        request.push("Contact", contact);
        request.push("Expires", expires.to_string());
        request.push("Allow", ALLOW);
        if let Some(enrolment) = self.ways_out.enrolments.get_mut(place) {
            enrolment.number = number;
        }
        Some(request)
    }

    pub(super) fn register_response(&mut self, place: usize, id: TransactionId, response: &Message) {
        let Some(enrolment) = self.ways_out.enrolments.get(place) else { return };
        let (Stage::Asking(asking) | Stage::Leaving(asking)) = &enrolment.stage else { return };
        if asking.transaction != id || response.code().is_none_or(|code| code < 200) {
            return;
        }
        let leaving = matches!(enrolment.stage, Stage::Leaving(_));
        let (hop, challenged) = (asking.hop, asking.challenged);
        let meaning = self.meaning(place, challenged, response);
        let again = match &meaning {
            Meaning::Challenged => self.with_credentials(place, id, response),
            Meaning::Longer(expires) if !leaving => {
                if let Some(enrolment) = self.ways_out.enrolments.get_mut(place) {
                    enrolment.expires = *expires;
                }
                self.registration(place, hop, None)
            }
            Meaning::Granted(_) | Meaning::Longer(_) | Meaning::Elsewhere | Meaning::Refused => None,
        };
        match (again, meaning) {
            (Some(request), meaning) => {
                let transaction = self.send_request(request, hop, Owner::Register(place));
                self.effects.set(Alarm::Register(place), ANSWER_MAX);
                if let Some(enrolment) = self.ways_out.enrolments.get_mut(place)
                    && let Stage::Asking(asking) | Stage::Leaving(asking) = &mut enrolment.stage
                {
                    asking.transaction = transaction;
                    asking.challenged += u8::from(meaning == Meaning::Challenged);
                }
            }
            (None, _) if leaving => self.gone(place),
            (None, Meaning::Granted(expires)) => self.registered(place, hop, expires),
            (None, Meaning::Elsewhere) => {
                let rest = retry_after(response);
                self.note_busy(hop, response);
                self.register_elsewhere(place, &said(response), rest);
            }
            (None, Meaning::Challenged | Meaning::Longer(_) | Meaning::Refused) => {
                self.register_failed(place, &said(response), Some(BACK_OFF_MAX));
            }
        }
    }

    fn meaning(&self, place: usize, challenged: u8, response: &Message) -> Meaning {
        let Some(enrolment) = self.ways_out.enrolments.get(place) else { return Meaning::Refused };
        match response.code().unwrap_or(500) {
            200..300 => {
                let contact = &enrolment.wish.contact_user;
                Meaning::Granted(granted(response, contact).unwrap_or(enrolment.expires))
            }
            401 | 407 => {
                let stale = response
                    .all("WWW-Authenticate")
                    .chain(response.all("Proxy-Authenticate"))
                    .any(|value| value.to_ascii_lowercase().replace([' ', '"'], "").contains("stale=true"));
                // Asked again with a fresh nonce, the credentials are wrong.
                let may = challenged == 0 || (stale && challenged < CHALLENGES_MAX);
                if may { Meaning::Challenged } else { Meaning::Refused }
            }
            423 => {
                let least = response.first("Min-Expires").and_then(|value| value.trim().parse().ok());
                match least.map(Duration::from_secs) {
                    Some(least) if least > enrolment.expires && least <= EXPIRES_MAX => {
                        Meaning::Longer(least)
                    }
                    Some(_) | None => Meaning::Refused,
                }
            }
            408 | 500 | 502 | 503 | 504 => Meaning::Elsewhere,
            _ => Meaning::Refused,
        }
    }

    fn with_credentials(
        &mut self,
        place: usize,
        transaction: TransactionId,
        response: &Message,
    ) -> Option<Message> {
        let enrolment = self.ways_out.enrolments.get(place)?;
        let credentials = self.ways_out.routes.get(enrolment.trunk)?.credentials.clone()?;
        let mut request = self.transactions.request(transaction)?.0.clone();
        let cnonce = self.effects.token();
        if !add_credentials(&mut request, response, &credentials, &cnonce) {
            return None;
        }
        let enrolment = self.ways_out.enrolments.get_mut(place)?;
        enrolment.number += 1;
        request.set("CSeq", format!("{} REGISTER", enrolment.number));
        Some(request)
    }

    fn registered(&mut self, place: usize, hop: Hop, expires: Duration) {
        // A registrar may answer 200 and keep nothing.
        if expires.is_zero() {
            self.register_failed(place, "the registrar said yes but keeps nothing", None);
            return;
        }
        self.note_answer(hop);
        let until = self.effects.now + expires;
        // Between 70 and 85 percent of the time, so that many gateways do not come all at once.
        let renewal = expires.mul_f64(0.70 + 0.15 * self.effects.fraction());
        let Some(enrolment) = self.ways_out.enrolments.get_mut(place) else { return };
        enrolment.stage = Stage::Waiting;
        enrolment.held = Some((until, hop));
        enrolment.failures = 0;
        let before = std::mem::replace(&mut enrolment.status, RegistrationStatus::Registered);
        if before != RegistrationStatus::Registered {
            tracing::info!(registrar = enrolment.wish.registrar, expires = expires.as_secs(), "registered");
            self.tell_trunks();
        }
        self.effects.set(Alarm::Register(place), renewal.max(Duration::from_secs(1)));
    }

    /// No answer, or no way to send.
    pub(super) fn register_unanswered(&mut self, place: usize, id: TransactionId) {
        let Some(enrolment) = self.ways_out.enrolments.get(place) else { return };
        match &enrolment.stage {
            Stage::Asking(asking) if asking.transaction == id => {
                let hop = asking.hop;
                self.note_silence(hop);
                self.register_elsewhere(place, "the registrar did not answer", None);
            }
            Stage::Leaving(asking) if asking.transaction == id => self.gone(place),
            Stage::Asking(_) | Stage::Leaving(_) | Stage::Waiting | Stage::Looking { .. } | Stage::Gone => {}
        }
    }

    fn register_elsewhere(&mut self, place: usize, why: &str, rest: Option<Duration>) {
        let Some(enrolment) = self.ways_out.enrolments.get_mut(place) else { return };
        let left = match &mut enrolment.stage {
            Stage::Asking(asking) => std::mem::take(&mut asking.left),
            Stage::Waiting | Stage::Looking { .. } | Stage::Leaving(_) | Stage::Gone => VecDeque::new(),
        };
        if left.is_empty() {
            self.register_failed(place, why, rest);
        } else {
            enrolment.stage = Stage::Waiting;
            self.register_at(place, left.into());
        }
    }

    /// Tries again later: after a rest that was asked for, else after longer and longer times.
    fn register_failed(&mut self, place: usize, why: &str, rest: Option<Duration>) {
        let (now, fraction) = (self.effects.now, self.effects.fraction());
        let Some(enrolment) = self.ways_out.enrolments.get_mut(place) else { return };
        enrolment.stage = Stage::Waiting;
        enrolment.failures = enrolment.failures.saturating_add(1);
        let wait = rest.unwrap_or_else(|| enrolment.back_off()).mul_f64(0.75 + 0.5 * fraction);
        let wait = rest.map_or(wait, |rest| rest.max(wait));
        let holds = enrolment.held.filter(|(until, _)| *until > now);
        let registrar = enrolment.wish.registrar.clone();
        tracing::warn!(registrar, why, again_in_s = wait.as_secs(), "a registration failed");
        let status = match holds {
            Some(_) => RegistrationStatus::Registered,
            None => RegistrationStatus::Failed(why.to_owned()),
        };
        // When what we hold runs out, that is told at once.
        let wait = holds.map_or(wait, |(until, _)| wait.min(until - now));
        if std::mem::replace(&mut enrolment.status, status.clone()) != status {
            self.tell_trunks();
        }
        self.effects.set(Alarm::Register(place), wait);
    }

    /// A connection is gone: a registration that came by it cannot be reached any more (RFC 5626 §4.2.1).
    pub(super) fn registration_flow_lost(&mut self, hop: Hop) {
        for place in 0..self.ways_out.enrolments.len() {
            let Some(enrolment) = self.ways_out.enrolments.get_mut(place) else { continue };
            if enrolment.held.is_some_and(|(_, way)| way == hop) && matches!(enrolment.stage, Stage::Waiting)
            {
                enrolment.held = None;
                enrolment.status = RegistrationStatus::Trying;
                let soon = Duration::from_secs(1).mul_f64(0.5 + self.effects.fraction());
                self.effects.set(Alarm::Register(place), soon);
                self.tell_trunks();
            }
        }
    }

    /// Takes every registration back, at the end.
    pub(crate) fn leave(&mut self, now: Duration) {
        self.effects.now = now;
        for target in 0..self.ways_out.probes.len() {
            self.effects.clear(Alarm::Probe(target));
        }
        for place in 0..self.ways_out.enrolments.len() {
            self.effects.clear(Alarm::Register(place));
            let held = self.ways_out.enrolments.get(place).and_then(|enrolment| enrolment.held);
            match held.filter(|(until, _)| *until > now) {
                Some((_, hop)) => {
                    let Some(request) = self.registration(place, hop, Some(Duration::ZERO)) else { continue };
                    let transaction = self.send_request(request, hop, Owner::Register(place));
                    let asking = Asking { transaction, hop, left: VecDeque::new(), challenged: 0 };
                    self.set_enrolment(place, Stage::Leaving(asking));
                    self.effects.set(Alarm::Register(place), ANSWER_MAX);
                }
                None => self.set_enrolment(place, Stage::Gone),
            }
        }
    }

    /// Whether a registration is still being taken back.
    pub(crate) fn is_leaving(&self) -> bool {
        self.ways_out.enrolments.iter().any(|enrolment| matches!(enrolment.stage, Stage::Leaving(_)))
    }

    fn gone(&mut self, place: usize) {
        self.effects.clear(Alarm::Register(place));
        if let Some(enrolment) = self.ways_out.enrolments.get_mut(place) {
            enrolment.stage = Stage::Gone;
            enrolment.held = None;
            enrolment.status = RegistrationStatus::Trying;
            tracing::info!(registrar = enrolment.wish.registrar, "the registration is taken back");
        }
        self.tell_trunks();
    }
}

/// How long the registrar keeps our contact (RFC 3261 §10.2.4): as it says beside the contact, else for all.
fn granted(response: &Message, user: &str) -> Option<Duration> {
    let own = response
        .list("Contact")
        .filter_map(NameAddress::read)
        .find(|contact| contact.parsed().and_then(|uri| uri.user).as_deref() == Some(user))
        .and_then(|contact| contact.param("expires").and_then(|value| value.parse().ok()));
    own.or_else(|| response.first("Expires")?.trim().parse().ok()).map(Duration::from_secs)
}

fn said(response: &Message) -> String {
    format!("the registrar said {} {}", response.code().unwrap_or(500), response.reason())
}

impl Effects {
    /// From zero to one.
    pub(super) fn fraction(&mut self) -> f64 {
        self.chance(1 << 32) as f64 / (1_u64 << 32) as f64
    }
}
