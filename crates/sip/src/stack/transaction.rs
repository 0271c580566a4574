//! The four transaction machines of RFC 3261 §17 with the corrections of RFC 6026.
//!
//! ```text
//! client INVITE   Calling ─1xx► Proceeding ─2xx► Accepted(M) │ ─3xx..6xx► Completed(D)
//! client other    Trying  ─1xx► Proceeding ─final► Completed(K)
//! server INVITE   Proceeding ─2xx► Accepted(L) │ ─3xx..6xx► Completed(G,H) ─ACK► Confirmed(I)
//! server other    Trying ─1xx► Proceeding ─final► Completed(J)
//! ```

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use super::effects::{Alarm, Effects, Hop};
use crate::{
    config::SipTimers,
    message::{COOKIE, Message, Method, NameAddress, Transport},
    words::SipLegId,
};

/// Names a transaction. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TransactionId(u64);

/// Who wants to know how a client transaction goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The INVITE of one branch of a dialled call.
    Branch { leg: SipLegId, branch: u64 },
    /// The BYE that ends a leg.
    Bye(SipLegId),
    /// The OPTIONS that asks whether a leg's far side is still there.
    Alive(SipLegId),
    /// A re-INVITE or UPDATE of ours.
    Change(SipLegId),
    /// A REFER of ours.
    Refer(SipLegId),
    /// The OPTIONS that asks a trunk's target for its health.
    Probe(usize),
    /// A REGISTER of ours.
    Register(usize),
    /// Nobody: CANCEL, PRACK and NOTIFY.
    Nobody,
}

/// What a client transaction tells its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClientNews {
    pub(crate) id: TransactionId,
    pub(crate) owner: Owner,
    pub(crate) what: What,
}

/// What happened to a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// A response that the owner should read.
    Response,
    /// Nothing came in time, or the transport failed: over.
    Failed,
    /// Over.
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClientState {
    /// Calling or Trying.
    Sent {
        interval: Duration,
    },
    Proceeding {
        interval: Duration,
    },
    Accepted,
    Completed,
}

#[derive(Debug)]
struct Client {
    key: String,
    owner: Owner,
    request: Message,
    bytes: Vec<u8>,
    hop: Hop,
    invite: bool,
    state: ClientState,
    /// The ACK of a final response that is not 2xx, once there is one.
    ack: Option<Vec<u8>>,
}

#[derive(Debug)]
enum ServerState {
    /// Trying or Proceeding; the last provisional response, if there was one.
    Proceeding(Option<Vec<u8>>),
    Accepted,
    Completed {
        response: Vec<u8>,
        interval: Duration,
    },
    Confirmed,
}

#[derive(Debug)]
struct Server {
    key: String,
    hop: Hop,
    invite: bool,
    state: ServerState,
    leg: Option<SipLegId>,
}

/// All transactions of the stack.
#[derive(Debug)]
pub(crate) struct Transactions {
    t1: Duration,
    t2: Duration,
    t4: Duration,
    last: u64,
    clients: BTreeMap<TransactionId, Client>,
    client_keys: HashMap<String, TransactionId>,
    servers: BTreeMap<TransactionId, Server>,
    server_keys: HashMap<String, TransactionId>,
}

/// Which server transaction a request belongs to (RFC 3261 §17.2.3). An ACK has the key of its INVITE.
pub(crate) fn server_key(request: &Message, method: &Method) -> String {
    let method = if *method == Method::Ack { &Method::Invite } else { method };
    let via = request.top_via();
    let branch = via.as_ref().and_then(|via| via.branch()).filter(|branch| {
        branch.get(..COOKIE.len()).is_some_and(|start| start.eq_ignore_ascii_case(COOKIE))
            && branch.len() > COOKIE.len()
    });
    let sent_by =
        via.as_ref().map(|via| format!("{}:{}", via.host, via.port.unwrap_or(5060))).unwrap_or_default();
    match branch {
        Some(branch) => format!("{branch}|{sent_by}|{}", method.name()).to_ascii_lowercase(),
        None => {
            let number = request.cseq().map_or(0, |(number, _)| number);
            let uri = request.uri();
            format!(
                "{uri}|{sent_by}|{}|{}|{number}|{}",
                request.call_id(),
                request.sender_tag(),
                method.name()
            )
        }
    }
}

fn client_key(message: &Message, method: &Method) -> Option<String> {
    let via = message.top_via()?;
    Some(format!("{}|{}", via.branch()?, method.name()).to_ascii_lowercase())
}

impl Transactions {
    pub(crate) fn new(timers: &SipTimers) -> Self {
        Self {
            t1: timers.t1,
            t2: timers.t2,
            t4: timers.t4,
            last: 0,
            clients: BTreeMap::new(),
            client_keys: HashMap::new(),
            servers: BTreeMap::new(),
            server_keys: HashMap::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.clients.len() + self.servers.len()
    }

    /// 64·T1, how long an exchange may take.
    pub(crate) fn patience(&self) -> Duration {
        self.t1 * 64
    }

    fn next_id(&mut self) -> TransactionId {
        self.last += 1;
        TransactionId(self.last)
    }

    /// The server transaction that this request repeats, acknowledges, or cancels with `Method::Invite`.
    pub(crate) fn find(&self, request: &Message, method: &Method) -> Option<TransactionId> {
        self.server_keys.get(&server_key(request, method)).copied()
    }

    /// Opens a server transaction for a new request.
    pub(crate) fn open_server(&mut self, request: &Message, hop: Hop) -> TransactionId {
        let id = self.next_id();
        let method = request.method().cloned().unwrap_or(Method::Options);
        let key = server_key(request, &method);
        let invite = method == Method::Invite;
        self.server_keys.insert(key.clone(), id);
        let state = ServerState::Proceeding(None);
        self.servers.insert(id, Server { key, hop, invite, state, leg: None });
        id
    }

    /// Ties an INVITE's transaction to the leg that it asks for.
    pub(crate) fn bind(&mut self, id: TransactionId, leg: SipLegId) {
        if let Some(server) = self.servers.get_mut(&id) {
            server.leg = Some(leg);
        }
    }

    pub(crate) fn leg(&self, id: TransactionId) -> Option<SipLegId> {
        self.servers.get(&id).and_then(|server| server.leg)
    }

    pub(crate) fn hop(&self, id: TransactionId) -> Option<Hop> {
        self.servers.get(&id).map(|server| server.hop)
    }

    /// The request came again: the last response goes out again, if the state says so.
    pub(crate) fn repeat(&mut self, effects: &mut Effects, id: TransactionId) {
        let Some(server) = self.servers.get(&id) else { return };
        match &server.state {
            ServerState::Proceeding(Some(response)) | ServerState::Completed { response, .. } => {
                effects.send(server.hop, response.clone());
            }
            // In Accepted the 2xx is the dialog's to repeat (RFC 6026 §7.1).
            ServerState::Proceeding(None) | ServerState::Accepted | ServerState::Confirmed => {}
        }
    }

    /// An ACK with the INVITE's branch: it acknowledges a final response that is not 2xx.
    pub(crate) fn acknowledged(&mut self, effects: &mut Effects, id: TransactionId) {
        let t4 = self.t4;
        let Some(server) = self.servers.get_mut(&id) else { return };
        if let ServerState::Completed { .. } = server.state
            && server.invite
        {
            server.state = ServerState::Confirmed;
            effects.clear(Alarm::Retransmit(id));
            let linger = if server.hop.transport == Transport::Udp { t4 } else { Duration::ZERO };
            effects.set(Alarm::Expire(id), linger);
        }
    }

    /// Sends a response. After a final one, further ones are ignored.
    pub(crate) fn respond(&mut self, effects: &mut Effects, id: TransactionId, response: &Message) {
        let (t1, patience) = (self.t1, self.patience());
        let Some(server) = self.servers.get_mut(&id) else { return };
        let ServerState::Proceeding(_) = server.state else { return };
        let bytes = response.bytes();
        let code = response.code().unwrap_or(500);
        effects.send(server.hop, bytes.clone());
        let unreliable = server.hop.transport == Transport::Udp;
        match (server.invite, code) {
            (_, ..200) => server.state = ServerState::Proceeding(Some(bytes)),
            (true, 200..300) => {
                server.state = ServerState::Accepted;
                effects.set(Alarm::Expire(id), patience);
            }
            (true, _) => {
                server.state = ServerState::Completed { response: bytes, interval: t1 };
                if unreliable {
                    effects.set(Alarm::Retransmit(id), t1);
                }
                effects.set(Alarm::Expire(id), patience);
            }
            (false, _) => {
                server.state = ServerState::Completed { response: bytes, interval: t1 };
                effects.set(Alarm::Expire(id), if unreliable { patience } else { Duration::ZERO });
            }
        }
    }

    /// Whether an INVITE still has no final response.
    pub(crate) fn is_proceeding(&self, id: TransactionId) -> bool {
        self.servers.get(&id).is_some_and(|server| matches!(server.state, ServerState::Proceeding(_)))
    }

    /// Sends a request; its Via must carry a branch of ours.
    pub(crate) fn open_client(
        &mut self,
        effects: &mut Effects,
        request: Message,
        hop: Hop,
        owner: Owner,
    ) -> TransactionId {
        let id = self.next_id();
        let method = request.method().cloned().unwrap_or(Method::Options);
        let key = client_key(&request, &method).unwrap_or_default();
        let bytes = request.bytes();
        effects.send(hop, bytes.clone());
        if hop.transport == Transport::Udp {
            effects.set(Alarm::Retransmit(id), self.t1);
        }
        effects.set(Alarm::Expire(id), self.patience());
        self.client_keys.insert(key.clone(), id);
        let state = ClientState::Sent { interval: self.t1 };
        let invite = method == Method::Invite;
        self.clients.insert(id, Client { key, owner, request, bytes, hop, invite, state, ack: None });
        id
    }

    /// The request of a client transaction.
    pub(crate) fn request(&self, id: TransactionId) -> Option<(&Message, Hop)> {
        self.clients.get(&id).map(|client| (&client.request, client.hop))
    }

    /// Gives an INVITE that was cancelled 64·T1 to end (RFC 3261 §9.1).
    pub(crate) fn give_up_on(&mut self, effects: &mut Effects, id: TransactionId) {
        if let Some(Client { state: ClientState::Sent { .. } | ClientState::Proceeding { .. }, .. }) =
            self.clients.get(&id)
        {
            effects.set(Alarm::Expire(id), self.patience());
        }
    }

    /// Takes a response. `None`: nobody waits for it, or it is a repetition that was dealt with.
    pub(crate) fn receive(&mut self, effects: &mut Effects, response: &Message) -> Option<ClientNews> {
        let (_, method) = response.cseq()?;
        let id = *self.client_keys.get(&client_key(response, &method)?)?;
        let (t2, t4, patience) = (self.t2, self.t4, self.patience());
        let client = self.clients.get_mut(&id)?;
        let news = ClientNews { id, owner: client.owner, what: What::Response };
        let code = response.code()?;
        match (&client.state, code) {
            (ClientState::Sent { interval } | ClientState::Proceeding { interval }, ..200) => {
                if client.invite {
                    effects.clear(Alarm::Retransmit(id));
                    if matches!(client.state, ClientState::Sent { .. }) {
                        effects.clear(Alarm::Expire(id));
                    }
                } else if client.hop.transport == Transport::Udp {
                    effects.set(Alarm::Retransmit(id), t2);
                }
                client.state = ClientState::Proceeding { interval: *interval };
                Some(news)
            }
            (ClientState::Sent { .. } | ClientState::Proceeding { .. }, _) => {
                effects.clear(Alarm::Retransmit(id));
                let unreliable = client.hop.transport == Transport::Udp;
                let linger = match (client.invite, code) {
                    (true, 200..300) => {
                        client.state = ClientState::Accepted;
                        patience
                    }
                    (true, _) => {
                        client.state = ClientState::Completed;
                        let ack = ack_of_failure(&client.request, response).bytes();
                        effects.send(client.hop, ack.clone());
                        client.ack = Some(ack);
                        if unreliable { patience } else { Duration::ZERO }
                    }
                    (false, _) => {
                        client.state = ClientState::Completed;
                        if unreliable { t4 } else { Duration::ZERO }
                    }
                };
                effects.set(Alarm::Expire(id), linger);
                Some(news)
            }
            // Each 2xx goes up: it may come from another branch of a fork (RFC 6026 §7.2).
            (ClientState::Accepted, 200..300) => Some(news),
            (ClientState::Completed, 300..) => {
                if let Some(ack) = &client.ack {
                    effects.send(client.hop, ack.clone());
                }
                None
            }
            (ClientState::Accepted | ClientState::Completed, _) => None,
        }
    }

    /// Timers A, E and G.
    pub(crate) fn retransmit(&mut self, effects: &mut Effects, id: TransactionId) {
        let t2 = self.t2;
        if let Some(client) = self.clients.get_mut(&id) {
            match &mut client.state {
                ClientState::Sent { interval } => {
                    *interval = if client.invite { *interval * 2 } else { (*interval * 2).min(t2) };
                    effects.set(Alarm::Retransmit(id), *interval);
                    effects.send(client.hop, client.bytes.clone());
                }
                ClientState::Proceeding { .. } if !client.invite => {
                    effects.set(Alarm::Retransmit(id), t2);
                    effects.send(client.hop, client.bytes.clone());
                }
                ClientState::Proceeding { .. } | ClientState::Accepted | ClientState::Completed => {}
            }
        }
        if let Some(Server { state: ServerState::Completed { response, interval }, hop, .. }) =
            self.servers.get_mut(&id)
        {
            *interval = (*interval * 2).min(t2);
            effects.set(Alarm::Retransmit(id), *interval);
            effects.send(*hop, response.clone());
        }
    }

    /// Timers B, D, F, H, I, J, K, L and M: the transaction is over.
    pub(crate) fn expire(&mut self, effects: &mut Effects, id: TransactionId) -> Option<ClientNews> {
        effects.clear(Alarm::Retransmit(id));
        effects.clear(Alarm::Expire(id));
        if let Some(server) = self.servers.remove(&id) {
            self.server_keys.remove(&server.key);
            return None;
        }
        let client = self.clients.remove(&id)?;
        self.client_keys.remove(&client.key);
        let what = match client.state {
            ClientState::Sent { .. } | ClientState::Proceeding { .. } => What::Failed,
            ClientState::Accepted | ClientState::Completed => What::Ended,
        };
        Some(ClientNews { id, owner: client.owner, what })
    }

    /// Client transactions that wait for an answer by a way that is broken.
    pub(crate) fn waiting_on(&self, hop: Hop) -> Vec<TransactionId> {
        self.clients
            .iter()
            .filter(|(_, client)| client.hop == hop)
            .filter(|(_, client)| {
                matches!(client.state, ClientState::Sent { .. } | ClientState::Proceeding { .. })
            })
            .map(|(id, _)| *id)
            .collect()
    }
}

/// The ACK that the transaction itself sends (RFC 3261 §17.1.1.3).
fn ack_of_failure(request: &Message, response: &Message) -> Message {
    let mut ack = Message::request(Method::Ack, request.uri().to_owned());
    for name in ["Via", "Max-Forwards", "From"] {
        if let Some(value) = request.first(name) {
            ack.push(name, value);
        }
    }
    let to = response.to().as_ref().map(NameAddress::print).unwrap_or_default();
    ack.push("To", to);
    ack.push("Call-ID", request.call_id());
    let number = request.cseq().map_or(1, |(number, _)| number);
    ack.push("CSeq", format!("{number} ACK"));
    for route in request.all("Route") {
        ack.push("Route", route);
    }
    ack
}
