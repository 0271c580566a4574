//! The user agent without I/O: bytes, orders and time in; bytes, news and the next alarm out.
//!
//! The driver's duty: call one input (`receive`, `order`s, `flow_lost`, `wake`), then take every `poll_output`,
//! then wait until `next_alarm`. Nothing here reads a clock, opens a socket or draws chance but from its seed.

mod admission;
mod alive;
mod change;
mod dialog;
mod effects;
mod extensions;
mod forks;
mod inbound;
mod leg;
mod locals;
mod merged;
mod outbound;
mod probes;
mod proof;
mod redirect;
mod referral;
mod registering;
mod registrar;
mod replaces;
mod ringing;
mod routes;
mod secrets;
mod session;
mod suspects;
mod transaction;
mod turns;
mod ways_out;
mod within;

use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, SocketAddr},
    time::Duration,
};

pub(crate) use effects::Hop;
use effects::{Alarm, Effects};
use leg::{Leg, Stage};
pub(crate) use locals::{Locals, is_ours};
use outbound::Dial;
pub(crate) use routes::{Contact, Route};
use segue_media::MediaDescription;
use transaction::{ClientNews, Owner, TransactionId, Transactions, What};
pub(crate) use turns::Wanted;

use self::{
    admission::{Admission, Entry},
    dialog::DialogKey,
    merged::Arrivals,
    referral::Transfer,
    registrar::Registrar,
    suspects::Suspects,
};
use crate::{
    config::{IpNet, SipConfig, SipLimits, SipTimers, Trunk},
    digest::Guard,
    message::{self, ACCEPT, ALLOW, Message, Method, Transport, reason_of},
    places::Question,
    policy::DialogPolicy,
    trunks::TrunkStatus,
    words::{Invitation, LegEvent, SipCounts, SipFailure, SipLegId, SipRefusals, UnregisteredWhy},
};

/// What the driver has to do.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "few wait at a time, and each is taken at once")]
pub(crate) enum Output {
    /// Send these bytes.
    Send { hop: Hop, bytes: Vec<u8> },
    /// Somebody calls.
    Incoming(Box<Invitation>),
    /// News for the owner of a leg.
    Leg(SipLegId, LegNews),
    /// A user has a phone now.
    Registered { user: String, contact: String },
    /// A user has no phone any more.
    Unregistered { user: String, why: UnregisteredWhy },
    /// A name is to be looked up.
    Lookup { wanted: Wanted, question: Question },
    /// How the trunks stand now.
    Trunks(Vec<TrunkStatus>),
}

/// News for the owner of a leg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LegNews {
    /// The dialled party rings.
    Ringing,
    /// The dialled party sends media before it answers.
    Early { remote: MediaDescription, fork: u32 },
    /// The dialled party answered.
    Answered {
        remote: MediaDescription,
        local: MediaDescription,
        signalling: SocketAddr,
        sip_call_id: String,
    },
    /// Dialling failed.
    Failed(SipFailure),
    /// An incoming call is gone before it was answered.
    Withdrawn,
    /// The leg is up and something happened.
    Event(LegEvent),
}

/// The whole user agent.
#[derive(Debug)]
pub(crate) struct Stack {
    limits: SipLimits,
    timers: SipTimers,
    policy: DialogPolicy,
    realm: String,
    locals: Locals,
    names: locals::Names,
    trunks: Vec<Trunk>,
    effects: Effects,
    transactions: Transactions,
    admission: Admission,
    guard: Guard,
    registrar: Registrar,
    legs: BTreeMap<SipLegId, Leg>,
    dialogs: HashMap<DialogKey, SipLegId>,
    dials: BTreeMap<SipLegId, Dial>,
    /// What those of `dials` have not tried yet that try places in turn.
    turns: BTreeMap<SipLegId, turns::Turns>,
    shun: turns::Shun,
    ways_out: ways_out::WaysOut,
    /// Dialogs of calls of ours that are not answered yet, with their branch.
    early: HashMap<DialogKey, (SipLegId, u64)>,
    /// Calls of ours that a far side asked for by REFER, with the leg whose place they take.
    transfers: BTreeMap<SipLegId, Transfer>,
    /// Incoming legs among `legs`.
    incoming: usize,
    /// Calls that came in lately, to find the same one coming by another way.
    arrivals: Arrivals,
    /// Who fails to prove who they are.
    suspects: Suspects,
    /// What was refused at the door since the start.
    refused: SipRefusals,
    /// Networks whose phones need no password, as long as they take no name that has one.
    open_networks: Vec<IpNet>,
    /// Where the message that is being handled truly came from, whatever its Via says.
    seen: Hop,
    last_leg: u64,
    last_branch: u64,
}

impl Stack {
    pub(crate) fn new(config: &SipConfig, locals: Locals, seed: [u8; 32]) -> Self {
        Self {
            limits: config.limits.clone(),
            timers: config.timers.clone(),
            policy: config.dialogs.clone(),
            realm: config.realm.clone(),
            locals,
            names: locals::Names::default(),
            trunks: config.trunks.clone(),
            effects: Effects::new(seed),
            transactions: Transactions::new(&config.timers),
            admission: Admission::new(&config.limits, &config.trunks),
            guard: Guard::new(&config.realm, &config.users, &config.digests, seed)
                .with_life(config.timers.nonce_life),
            registrar: Registrar::new(&config.limits, &config.timers),
            legs: BTreeMap::new(),
            dialogs: HashMap::new(),
            dials: BTreeMap::new(),
            turns: BTreeMap::new(),
            shun: turns::Shun::default(),
            ways_out: ways_out::WaysOut::new(config),
            early: HashMap::new(),
            transfers: BTreeMap::new(),
            incoming: 0,
            arrivals: Arrivals::new(config.timers.t1 * 64, config.limits.dialogs_max),
            suspects: Suspects::new(config.limits.sources_max),
            refused: SipRefusals::default(),
            open_networks: config.open_registration.clone(),
            seen: Hop { transport: Transport::Udp, socket: 0, remote: SocketAddr::from(([0, 0, 0, 0], 0)) },
            last_leg: 0,
            last_branch: 0,
        }
    }

    /// A name for a leg that is to be dialled.
    pub(crate) fn next_leg(&mut self) -> SipLegId {
        self.last_leg += 1;
        SipLegId(self.last_leg)
    }

    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        let output = self.effects.outputs.pop_front()?;
        // Whom we ask something may answer as often as they like.
        if let Output::Send { hop, bytes } = &output
            && !bytes.starts_with(b"SIP/2.0 ")
        {
            self.admission.befriend(self.effects.now, hop.remote.ip());
        }
        Some(output)
    }

    pub(crate) fn next_alarm(&self) -> Option<Duration> {
        self.effects.next_alarm()
    }

    /// What exists now; the driver adds the connections.
    pub(crate) fn counts(&self) -> SipCounts {
        SipCounts {
            dialogs: self.legs.len() + self.dials.values().filter(|dial| dial.is_calling()).count(),
            transactions: self.transactions.len(),
            registrations: self.registrar.len(),
            connections: 0,
            timers: self.effects.alarms(),
            refused: self.refused,
        }
    }

    /// Takes one datagram or one message of a stream.
    pub(crate) fn receive(&mut self, now: Duration, hop: Hop, bytes: &[u8]) {
        self.effects.now = now;
        self.seen = hop;
        if !self.admission.message(now, hop.remote.ip()) {
            self.refused.unread += 1;
            return;
        }
        let mut message = match message::parse(bytes) {
            Ok(message) => message,
            Err(message::ParseError::Blank) => return,
            Err(error) => {
                self.refused.malformed += 1;
                tracing::debug!(%error, bytes = bytes.len(), "dropped what is no SIP message");
                return;
            }
        };
        let mut checked = message.check();
        let bytes_max = self.limits.message_bytes_max;
        // Of a stream only the beginning of such a message is here; a datagram that lies about its length is just wrong.
        let cut_short = hop.transport != Transport::Udp && message.declares_over(bytes_max);
        if bytes.len() > bytes_max || cut_short {
            checked = Err((513, reason_of(513)));
        }
        match message.method() {
            None if checked.is_ok() => self.response(&message, hop),
            None => tracing::debug!("dropped a malformed response"),
            Some(method) => {
                let method = method.clone();
                self.arrive(message, &method, hop, checked);
            }
        }
    }

    /// A request: finds where answers go, then who is meant.
    fn arrive(
        &mut self,
        mut request: Message,
        method: &Method,
        hop: Hop,
        checked: Result<(), (u16, &'static str)>,
    ) {
        if request.first("Via").is_none() {
            tracing::debug!("dropped a request without a Via: nobody could tell what an answer is for");
            return;
        }
        let hop = mark_via(&mut request, hop);
        if let Err((code, reason)) = checked {
            self.refused.malformed += 1;
            if *method != Method::Ack {
                let response = self.refusal(&request, (code, reason), &[]);
                self.effects.send(hop, response.bytes());
            }
            return;
        }
        if *method == Method::Ack {
            self.acknowledge(&request, hop);
        } else if *method == Method::Cancel {
            self.cancelled(&request, hop);
        } else if let Some(id) = self.transactions.find(&request, method) {
            self.transactions.repeat(&mut self.effects, id);
        } else {
            self.new_request(&request, method, hop);
        }
    }

    /// A request that no transaction knows.
    fn new_request(&mut self, request: &Message, method: &Method, hop: Hop) {
        if request.to_tag().is_some() && *method != Method::Register {
            self.within(request, method, hop);
            return;
        }
        match self.admission.request(self.effects.now, hop.remote.ip()) {
            Entry::Served => {}
            Entry::Told => {
                self.refused.too_fast += 1;
                self.reject_for_now(request, hop);
                return;
            }
            Entry::Dropped => {
                self.refused.too_fast += 1;
                return;
            }
        }
        let extensions = self.unsupported(request);
        match method {
            _ if request.first("Max-Forwards").is_some_and(|left| left.parse() == Ok(0_u32)) => {
                self.reject(request, hop, 483, &[]);
            }
            _ if !extensions.is_empty() => {
                self.reject(request, hop, 420, &[("Unsupported", extensions.join(", "))]);
            }
            Method::Invite => self.invited(request, hop),
            Method::Register => self.register(request, hop),
            Method::Options => self.reject(request, hop, 200, &self.capabilities()),
            Method::Bye | Method::Update | Method::Info | Method::Notify | Method::Prack => {
                self.reject(request, hop, 481, &[]);
            }
            // Nobody outside of a call has us call somebody else.
            Method::Refer => self.reject(request, hop, 403, &[]),
            Method::Message | Method::Subscribe | Method::Publish => {
                self.reject(request, hop, 405, &[("Allow", ALLOW.to_owned())]);
            }
            Method::Other(_) => self.reject(request, hop, 501, &[("Allow", ALLOW.to_owned())]),
            Method::Ack | Method::Cancel => {}
        }
    }

    /// Answers without keeping anything: a repetition of the request gets the same answer.
    fn reject(&mut self, request: &Message, hop: Hop, code: u16, headers: &[(&str, String)]) {
        let response = self.refusal(request, (code, reason_of(code)), headers);
        self.effects.send(hop, response.bytes());
    }

    fn refusal(&self, request: &Message, (code, reason): (u16, &str), headers: &[(&str, String)]) -> Message {
        let mut response = Message::response(request, code, reason);
        let branch = transaction::server_key(request, &Method::Invite);
        response.tag_to(&self.effects.token_for(&branch));
        for (name, value) in headers {
            response.push(name, value.as_str());
        }
        response
    }

    fn reject_for_now(&mut self, request: &Message, hop: Hop) {
        let seconds = self.limits.retry_after.as_secs().max(1);
        self.reject(request, hop, 503, &[("Retry-After", seconds.to_string())]);
    }

    /// Answers in a transaction of its own, which repeats the answer for repetitions.
    fn answer_once(&mut self, request: &Message, hop: Hop, response: &Message) {
        let id = self.transactions.open_server(request, hop);
        self.transactions.respond(&mut self.effects, id, response);
    }

    fn response(&mut self, response: &Message, hop: Hop) {
        if response.list("Via").count() != 1 {
            tracing::debug!("dropped a response that is not for us");
            return;
        }
        let Some(news) = self.transactions.receive(&mut self.effects, response) else { return };
        self.client_news(news, Some((response, hop)));
    }

    fn client_news(&mut self, news: ClientNews, response: Option<(&Message, Hop)>) {
        match (news.owner, news.what, response) {
            (Owner::Branch { leg, branch }, What::Response, Some((response, hop))) => {
                self.branch_response((leg, branch), news.id, response, hop);
            }
            (Owner::Branch { leg, branch }, What::Response | What::Failed | What::Ended, _) => {
                self.branch_over((leg, branch), news.what == What::Failed);
            }
            (Owner::Bye(leg), What::Response, Some((response, _))) => {
                self.bye_response(leg, news.id, response)
            }
            (Owner::Bye(leg), What::Response | What::Failed | What::Ended, _) => self.remove(leg),
            (Owner::Alive(leg), What::Response, Some((response, _))) => self.alive_response(leg, response),
            (Owner::Alive(leg), What::Failed, _) => self.alive_unanswered(leg),
            (Owner::Change(leg), What::Response, Some((response, hop))) => {
                self.change_response(leg, news.id, response, hop);
            }
            (Owner::Change(leg), What::Failed, _) => self.change_failed(leg, news.id),
            (Owner::Refer(leg), What::Response, Some((response, _))) => self.refer_response(leg, response),
            (Owner::Refer(leg), What::Failed, _) => self.refer_over(leg, 408),
            (Owner::Probe(target), What::Response, Some((response, _))) => {
                self.probe_response(target, news.id, response);
            }
            (Owner::Probe(target), What::Failed, _) => self.probe_unanswered(target, news.id),
            (Owner::Register(place), What::Response, Some((response, _))) => {
                self.register_response(place, news.id, response);
            }
            (Owner::Register(place), What::Failed, _) => self.register_unanswered(place, news.id),
            (Owner::Probe(_) | Owner::Register(_), What::Response | What::Ended, _)
            | (Owner::Alive(_) | Owner::Change(_) | Owner::Refer(_), What::Response | What::Ended, _)
            | (Owner::Nobody, _, _) => {}
        }
    }

    /// Does everything that is due.
    pub(crate) fn wake(&mut self, now: Duration) {
        self.effects.now = now;
        while let Some(alarm) = self.effects.take_due() {
            match alarm {
                Alarm::Retransmit(id) => self.transactions.retransmit(&mut self.effects, id),
                Alarm::Expire(id) => self.expire(id),
                Alarm::Reanswer(leg) => self.reanswer(leg),
                Alarm::AckLost(leg) => self.ack_lost(leg),
                Alarm::RungOut(leg) => self.rung_out(leg),
                Alarm::Silent(leg) => self.silent(leg),
                Alarm::NoAnswer(leg) => self.no_answer(leg),
                Alarm::Alive(leg) => self.ask_alive(leg),
                Alarm::Reprovision(leg) => self.reprovision(leg),
                Alarm::PrackLost(leg) => self.prack_lost(leg),
                Alarm::Change(leg) => self.change_due(leg),
                Alarm::Refresh(leg) => self.refresh_due(leg),
                Alarm::SessionOver(leg) => self.session_over(leg),
                Alarm::Referred(leg) => self.refer_over(leg, 408),
                Alarm::Probe(target) => self.probe(target),
                Alarm::Register(place) => self.register_due(place),
                Alarm::Registration => self.registrar.expire(&mut self.effects),
            }
        }
    }

    fn expire(&mut self, id: TransactionId) {
        if let Some(news) = self.transactions.expire(&mut self.effects, id) {
            self.client_news(news, None);
        }
    }

    /// A connection is gone, or could not be made: what waits on it fails, what lives on it looks for another way.
    pub(crate) fn flow_lost(&mut self, now: Duration, hop: Hop) {
        self.effects.now = now;
        for leg in self.legs.values_mut() {
            leg.dialog.lose(hop);
        }
        self.registrar.flow_lost(&mut self.effects, hop);
        self.registration_flow_lost(hop);
        for id in self.transactions.waiting_on(hop) {
            self.expire(id);
        }
    }

    /// What we say of ourselves in an answer to OPTIONS.
    fn capabilities(&self) -> [(&'static str, String); 4] {
        [
            ("Allow", ALLOW.to_owned()),
            ("Accept", ACCEPT.to_owned()),
            ("Accept-Encoding", "identity".to_owned()),
            ("Supported", self.policy.supported().join(", ")),
        ]
    }

    /// What we answer challenges with that come from one of a trunk's addresses.
    fn trunk_credentials(&self, peer: IpAddr) -> Option<&crate::config::Credentials> {
        self.trunks
            .iter()
            .find(|trunk| trunk.sources.iter().any(|block| block.contains(peer)))?
            .credentials
            .as_ref()
    }
}

/// Marks the topmost Via with where the request came from, and finds the way back: without `rport`, to the port that
/// the Via names (RFC 3261 §18.2.2, RFC 3581). If nobody can read the Via, back to where the request came from.
fn mark_via(request: &mut Message, hop: Hop) -> Hop {
    let way = request.mark_via(hop.remote);
    let mut way_back = hop;
    if let Some(port) = way.port
        && hop.transport == Transport::Udp
        && !way.symmetric
    {
        way_back.remote.set_port(port);
    }
    way_back
}

/// Why a request is turned down: the status code, and headers that explain it.
type Turndown = (u16, Vec<(&'static str, String)>);

#[cfg(test)]
mod tests;
