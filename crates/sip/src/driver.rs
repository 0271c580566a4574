//! Runs the stack: sockets and orders in, datagrams and events out. It owns every task of this crate.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{
    net::{TcpStream, UdpSocket},
    sync::{mpsc, watch},
    task::JoinSet,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    config::{Observed, Observer, SipConfig, SipError},
    handles::{Addresses, IncomingCall, NEWS_MAX, NewsSender, Order, Sip, SipEvent, Tether},
    links::{Connections, Unwritten},
    message::Transport,
    places::Question,
    resolver::Resolver,
    stack::{Hop, LegNews, Locals, Output, Stack, Wanted, is_ours},
    transport::{self, ARRIVALS_MAX, Arrival, Link, Listener, Secure, StreamLimits, Tls},
    trunks::TrunkStatus,
    words::{AnswerError, Ended, HangUp, LegEvent, Refusal, SipCounts, SipLegId},
};

/// Orders that wait for the driver.
const ORDERS_MAX: usize = 1_024;
/// Calls and presence that wait for the gateway; at the limit calls are refused with 503.
const EVENTS_MAX: usize = 256;
/// Arrivals that are handled before the next look at orders and alarms.
const BATCH: usize = 64;
/// How often legs without an owner are looked for.
const SWEEP: Duration = Duration::from_secs(1);
/// How long the last BYEs may take when the SIP part ends.
const FAREWELL_MAX: Duration = Duration::from_secs(2);
/// Names that are looked up at a time.
const LOOKUPS_MAX: usize = 512;

impl Sip {
    /// Opens the sockets. The gateway spawns [`SipDriver::run`]; nothing happens before.
    ///
    /// # Errors
    /// The operator has to mend the configuration, a certificate, or free a port.
    pub async fn bind(
        config: SipConfig,
        stop: CancellationToken,
    ) -> Result<(Self, SipDriver, mpsc::Receiver<SipEvent>), SipError> {
        config.check()?;
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|_| SipError::NoRandom)?;
        let listens = !config.tls.is_empty() || !config.wss.is_empty();
        let tls = Tls::read(&config.certificates, listens).await?;
        let (locals, udp, listeners) = open_sockets(&config)?;
        let (orders, order_receiver) = mpsc::channel(ORDERS_MAX);
        let (events, event_receiver) = mpsc::channel(EVENTS_MAX);
        let (counts, count_receiver) = watch::channel(SipCounts::default());
        let addresses = Arc::new(Addresses {
            udp: locals.udp.clone(),
            tcp: locals.tcp.clone(),
            tls: locals.tls.clone(),
            ws: locals.ws.clone(),
            wss: locals.wss.clone(),
        });
        let (trunk_sender, trunks) = watch::channel(Vec::new());
        let (arrival_sender, arrivals) = mpsc::channel(ARRIVALS_MAX);
        let families = locals.families();
        let resolver = Resolver::new(&config.nameservers, families);
        let limits = &config.limits;
        let driver = SipDriver {
            stack: Stack::new(&config, locals, seed),
            links: Links::new(limits.connections_max, limits.connections_per_source_max),
            config,
            tls,
            resolver,
            trunks: trunk_sender,
            udp,
            listeners,
            orders: order_receiver,
            order_sender: orders.downgrade(),
            events,
            late_events: BTreeMap::new(),
            counts,
            arrivals,
            arrival_sender,
            stop,
        };
        Ok((Self { orders, counts: count_receiver, trunks, addresses }, driver, event_receiver))
    }
}

type Sockets = (Locals, Vec<Arc<UdpSocket>>, Vec<Listener>);

/// Opens every socket that the configuration names.
fn open_sockets(config: &SipConfig) -> Result<Sockets, SipError> {
    let mut locals = Locals::default();
    let mut udp = Vec::with_capacity(config.udp.len());
    let mut listeners = Vec::new();
    for &address in &config.udp {
        let failed = |error| SipError::Listen { transport: "UDP", address, error };
        let socket = transport::listen_udp(address).map_err(failed)?;
        locals.udp.push(told(config, socket.local_addr().map_err(failed)?));
        udp.push(Arc::new(socket));
    }
    for (transport, addresses, told_as) in [
        (Transport::Tcp, &config.tcp, &mut locals.tcp),
        (Transport::Tls, &config.tls, &mut locals.tls),
        (Transport::Ws, &config.ws, &mut locals.ws),
        (Transport::Wss, &config.wss, &mut locals.wss),
    ] {
        for (place, &address) in addresses.iter().enumerate() {
            let failed = |error| SipError::Listen { transport: transport.name(), address, error };
            let socket = transport::listen_tcp(address).map_err(failed)?;
            told_as.push(told(config, socket.local_addr().map_err(failed)?));
            listeners.push(Listener { socket, transport, place });
        }
    }
    Ok((locals, udp, listeners))
}

/// The address that others are told for a bound one.
fn told(config: &SipConfig, bound: SocketAddr) -> SocketAddr {
    let ip = match config.advertised {
        Some(ip) if ip.is_ipv4() == bound.is_ipv4() || bound.ip().is_unspecified() => ip,
        Some(_) | None if bound.ip().is_unspecified() => {
            own_address(bound).unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
        }
        Some(_) | None => bound.ip(),
    };
    SocketAddr::new(ip, bound.port())
}

/// The address that this machine has towards the outside. Connecting a UDP socket sends nothing.
fn own_address(bound: SocketAddr) -> Option<IpAddr> {
    let (from, outside) =
        if bound.is_ipv4() { ("0.0.0.0:0", "192.0.2.1:9") } else { ("[::]:0", "[2001:db8::1]:9") };
    let probe = std::net::UdpSocket::bind(from).ok()?;
    probe.connect(outside).ok()?;
    probe.local_addr().ok().map(|address| address.ip()).filter(|ip| !ip.is_unspecified())
}

/// The future that does the work; spawn [`SipDriver::run`] and keep its handle.
#[derive(Debug)]
pub struct SipDriver {
    stack: Stack,
    config: SipConfig,
    udp: Vec<Arc<UdpSocket>>,
    listeners: Vec<Listener>,
    tls: Tls,
    resolver: Resolver,
    trunks: watch::Sender<Vec<TrunkStatus>>,
    orders: mpsc::Receiver<Order>,
    /// For the handles that are given out with incoming calls.
    order_sender: mpsc::WeakSender<Order>,
    events: mpsc::Sender<SipEvent>,
    /// Presence that found the event queue full, the latest of each user.
    late_events: BTreeMap<String, SipEvent>,
    counts: watch::Sender<SipCounts>,
    arrivals: mpsc::Receiver<Arrival>,
    arrival_sender: mpsc::Sender<Arrival>,
    links: Links,
    stop: CancellationToken,
}

/// The driver's tables.
#[derive(Debug)]
struct Links {
    /// Who wants to hear of which leg.
    owners: BTreeMap<SipLegId, NewsSender>,
    connections: Connections,
    /// Names that are being looked up.
    lookups: usize,
    tasks: JoinSet<()>,
}

impl Links {
    fn new(connections_max: usize, per_source_max: usize) -> Self {
        Self {
            owners: BTreeMap::new(),
            connections: Connections::new(connections_max, per_source_max),
            lookups: 0,
            tasks: JoinSet::new(),
        }
    }
}

impl SipDriver {
    /// Runs until the token is cancelled. Then every leg is hung up, and the last BYEs get two seconds.
    pub async fn run(mut self) {
        let start = Instant::now();
        for (place, socket) in self.udp.iter().enumerate() {
            self.links.tasks.spawn(transport::read_udp(
                Arc::clone(socket),
                place,
                self.arrival_sender.clone(),
            ));
        }
        for listener in std::mem::take(&mut self.listeners) {
            self.links.tasks.spawn(listener.run(self.arrival_sender.clone()));
        }
        let stop = self.stop.clone();
        let mut sweep = tokio::time::interval(SWEEP);
        self.stack.start(start.elapsed());
        self.flush(start.elapsed());
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.step(start, &mut sweep) => {}
            }
        }
        self.farewell(start, &mut sweep).await;
    }

    /// Hangs up what is left and waits for the answers for a while.
    async fn farewell(&mut self, start: Instant, sweep: &mut tokio::time::Interval) {
        let now = start.elapsed();
        let legs: Vec<SipLegId> = self.links.owners.keys().copied().collect();
        tracing::info!(legs = legs.len(), "the SIP part ends");
        for leg in legs {
            self.stack.refuse(now, leg, Refusal::Unavailable { retry_after: self.config.limits.retry_after });
            self.stack.hang_up(now, leg, HangUp::default());
        }
        self.stack.leave(now);
        self.flush(now);
        let deadline = tokio::time::sleep(FAREWELL_MAX);
        tokio::pin!(deadline);
        while self.stack.counts().dialogs > 0 || self.stack.is_leaving() {
            tokio::select! {
                () = &mut deadline => break,
                () = self.step(start, sweep) => {}
            }
        }
        self.links.tasks.shutdown().await;
    }

    /// Waits for one thing and deals with it.
    async fn step(&mut self, start: Instant, sweep: &mut tokio::time::Interval) {
        let alarm = self.stack.next_alarm();
        let wake = async {
            match alarm {
                Some(at) => tokio::time::sleep_until(start + at).await,
                None => std::future::pending().await,
            }
        };
        let mut batch = Vec::new();
        tokio::select! {
            _ = self.arrivals.recv_many(&mut batch, BATCH) => {
                let now = start.elapsed();
                for arrival in batch {
                    self.arrive(now, arrival);
                    self.flush(now);
                }
            }
            Some(order) = self.orders.recv() => self.order(start.elapsed(), order),
            () = wake => {}
            _ = sweep.tick() => self.sweep(start.elapsed()),
            Some(ended) = self.links.tasks.join_next() => {
                if let Err(error) = ended && error.is_panic() {
                    tracing::error!(%error, "a SIP task failed");
                }
            }
        }
        let now = start.elapsed();
        self.stack.wake(now);
        self.flush(now);
        self.publish_counts();
    }

    fn publish_counts(&self) {
        let counts = SipCounts { connections: self.links.connections.len(), ..self.stack.counts() };
        self.counts.send_if_modified(|known| {
            let changed = *known != counts;
            *known = counts;
            changed
        });
    }

    fn arrive(&mut self, now: Duration, arrival: Arrival) {
        match arrival {
            Arrival::Message { hop, bytes } => {
                self.observe(hop, true, &bytes);
                self.stack.receive(now, hop, &bytes);
            }
            Arrival::Accepted { hop, stream } => self.accept(hop, stream),
            Arrival::Closed { hop, number } => {
                if self.links.connections.closed(hop, number) {
                    self.stack.flow_lost(now, hop);
                }
            }
            Arrival::LookedUp { wanted, places } => {
                self.links.lookups = self.links.lookups.saturating_sub(1);
                self.stack.looked_up(now, wanted, &places);
            }
        }
    }

    fn link(&self, hop: Hop, (number, unsent): (u64, mpsc::Receiver<Vec<u8>>)) -> Link {
        let limits = StreamLimits {
            message_bytes_max: self.config.limits.message_bytes_max,
            idle_max: self.config.timers.connection_idle_max,
            setup_max: self.config.timers.connection_setup_max,
            message_max: self.config.timers.message_max,
        };
        Link { hop, number, unsent, arrivals: self.arrival_sender.clone(), limits }
    }

    fn accept(&mut self, hop: Hop, stream: TcpStream) {
        let tls = if hop.transport.is_secure() { self.tls.acceptor.clone() } else { None };
        match self.links.connections.open(hop) {
            Some(opened) => {
                let link = self.link(hop, opened);
                self.links.tasks.spawn(transport::accept(link, stream, tls));
            }
            None => tracing::warn!(remote = %hop.remote, "closed a new connection: a limit is reached"),
        }
    }

    fn order(&mut self, now: Duration, order: Order) {
        match order {
            Order::Ring(leg) => self.stack.ring(now, leg),
            Order::Refuse(leg, refusal) => {
                self.stack.refuse(now, leg, refusal);
                self.links.owners.remove(&leg);
            }
            Order::Answer { leg, answer, reply } => {
                let result = self.stack.answer(now, leg, answer.local);
                self.stack.allow_handoff(leg, answer.handoff_allowed);
                if result.is_err() {
                    self.links.owners.remove(&leg);
                }
                if reply.send(result).is_err() {
                    self.stack.hang_up(now, leg, HangUp::default());
                }
            }
            Order::Early { leg, answer, reply } => {
                let result = self.stack.early(now, leg, answer.local);
                if matches!(result, Err(AnswerError::Canceled | AnswerError::NoCommonCodec)) {
                    self.links.owners.remove(&leg);
                }
                if reply.send(result).is_err() {
                    tracing::trace!(%leg, "nobody waited for the early answer");
                }
            }
            Order::Reoffer(leg, local) => self.stack.reoffer(now, leg, *local),
            Order::Refer(leg, referral) => self.stack.send_refer(now, leg, &referral),
            Order::AllowTransfer(leg, allowed) => self.stack.allow_transfer(leg, allowed),
            Order::Dial { request, news, reply } => {
                let leg = self.stack.next_leg();
                self.links.owners.insert(leg, news);
                if reply.send(leg).is_ok() {
                    self.stack.begin(now, leg, *request);
                } else {
                    self.links.owners.remove(&leg);
                }
            }
            Order::HangUp(leg, how) => {
                self.stack.hang_up(now, leg, *how);
            }
            Order::Dropped(leg) => self.abandon(now, leg),
            Order::Certificates(tls) => self.take_certificates(*tls),
        }
    }

    fn take_certificates(&mut self, tls: Tls) {
        tracing::info!("TLS uses the certificates that were read again");
        self.tls = tls;
    }

    /// Ends a leg that nobody owns any more.
    fn abandon(&mut self, now: Duration, leg: SipLegId) {
        self.links.owners.remove(&leg);
        self.stack.hang_up(now, leg, HangUp::default());
    }

    fn sweep(&mut self, now: Duration) {
        let closed = |(leg, owner): (&SipLegId, &NewsSender)| owner.is_closed().then_some(*leg);
        let orphans: Vec<SipLegId> = self.links.owners.iter().filter_map(closed).collect();
        // An owner may have left its last order behind, a refusal say: it waits here since before the owner went.
        if !orphans.is_empty() {
            for _ in 0..self.orders.len() {
                let Ok(order) = self.orders.try_recv() else { break };
                self.order(now, order);
            }
        }
        for leg in orphans {
            if self.links.owners.contains_key(&leg) {
                self.abandon(now, leg);
            }
        }
        for (user, event) in std::mem::take(&mut self.late_events) {
            self.offer_event(user, event);
        }
    }

    /// Looks a name up in a task of its own. Too many at a time find nothing, so that the call tries another place.
    fn look_up(&mut self, now: Duration, wanted: Wanted, question: Question) {
        if self.links.lookups >= LOOKUPS_MAX {
            tracing::warn!(host = question.host, "a name is not looked up: too many are");
            self.stack.looked_up(now, wanted, &[]);
            return;
        }
        self.links.lookups += 1;
        let (resolver, arrivals) = (self.resolver.clone(), self.arrival_sender.clone());
        let chance = self.stack.chance();
        self.links.tasks.spawn(async move {
            let places = resolver.places(&question, chance).await;
            if arrivals.send(Arrival::LookedUp { wanted, places }).await.is_err() {
                tracing::trace!("the driver was gone first");
            }
        });
    }

    /// Takes everything that the stack wants done.
    fn flush(&mut self, now: Duration) {
        while let Some(output) = self.stack.poll_output() {
            match output {
                Output::Send { hop, bytes } => self.send(now, hop, bytes),
                Output::Leg(leg, news) => self.tell_or_end(now, leg, news),
                Output::Incoming(invitation) => self.incoming(now, *invitation),
                Output::Registered { user, contact } => {
                    self.offer_event(user.clone(), SipEvent::Registered { user, contact });
                }
                Output::Lookup { wanted, question } => self.look_up(now, wanted, question),
                Output::Trunks(trunks) => {
                    self.trunks.send_replace(trunks);
                }
                Output::Unregistered { user, why } => {
                    self.offer_event(user.clone(), SipEvent::Unregistered { user, why });
                }
            }
        }
    }

    fn tell_or_end(&mut self, now: Duration, leg: SipLegId, news: LegNews) {
        if !self.tell(leg, news) {
            tracing::warn!(%leg, "a leg's owner does not take its news; the leg is ended");
            self.abandon(now, leg);
        }
    }

    fn incoming(&mut self, now: Duration, invitation: crate::words::Invitation) {
        let leg = invitation.leg;
        let busy = Refusal::Unavailable { retry_after: self.config.limits.retry_after };
        let Some(orders) = self.order_sender.upgrade() else {
            self.stack.refuse(now, leg, busy);
            return;
        };
        let (news_sender, news) = mpsc::channel(NEWS_MAX);
        let tether = Tether { leg, orders, over: false };
        let call = Box::new(IncomingCall { invitation, tether, news });
        match self.events.try_send(SipEvent::Incoming(call)) {
            Ok(()) => {
                self.links.owners.insert(leg, news_sender);
            }
            Err(
                mpsc::error::TrySendError::Full(mut event) | mpsc::error::TrySendError::Closed(mut event),
            ) => {
                if let SipEvent::Incoming(call) = &mut event {
                    call.tether.over = true;
                }
                tracing::warn!("refused a call: too many wait for the gateway");
                self.stack.refuse(now, leg, busy);
            }
        }
    }

    /// Presence is kept until there is room; of each user the latest news is enough.
    fn offer_event(&mut self, user: String, event: SipEvent) {
        tracing::debug!(?event, "presence");
        if let Some(waiting) = self.late_events.get_mut(&user) {
            *waiting = event;
            return;
        }
        match self.events.try_send(event) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(event)) => {
                self.late_events.insert(user, event);
            }
            Err(mpsc::error::TrySendError::Closed(_)) => tracing::trace!("nobody wants presence"),
        }
    }

    /// False if the owner has too much waiting.
    fn tell(&mut self, leg: SipLegId, news: LegNews) -> bool {
        let last = match &news {
            LegNews::Failed(_)
            | LegNews::Withdrawn
            | LegNews::Event(LegEvent::Ended(
                Ended::Local | Ended::Timeout | Ended::Remote { .. } | Ended::Error(_),
            )) => true,
            LegNews::Ringing | LegNews::Early { .. } | LegNews::Answered { .. } | LegNews::Event(_) => false,
        };
        let Some(owner) = self.links.owners.get(&leg) else { return true };
        let taken = !matches!(owner.try_send(Box::new(news)), Err(mpsc::error::TrySendError::Full(_)));
        if last {
            // The owner sees the end of the channel even if there was no room for the last news.
            self.links.owners.remove(&leg);
            return true;
        }
        taken
    }

    /// Shows a message to whoever wants to see all of them.
    fn observe(&self, hop: Hop, received: bool, bytes: &[u8]) {
        let Some(Observer(observer)) = &self.config.observer else { return };
        let sockets = if hop.transport == Transport::Udp { &self.config.udp } else { &self.config.tcp };
        let ours = sockets.get(hop.socket).or_else(|| sockets.first());
        let ours = ours.copied().unwrap_or_else(|| SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
        let (from, to) = if received { (hop.remote, ours) } else { (ours, hop.remote) };
        observer(&Observed { from, to, stream: hop.transport != Transport::Udp, bytes });
    }

    fn send(&mut self, now: Duration, hop: Hop, bytes: Vec<u8>) {
        self.observe(hop, false, &bytes);
        match hop.transport {
            Transport::Udp => {
                let Some(socket) = self.udp.get(hop.socket) else { return };
                // What does not fit now is lost like any datagram, and is sent again by its timer.
                if let Err(error) = socket.try_send_to(&bytes, hop.remote) {
                    tracing::debug!(remote = %hop.remote, %error, "a datagram could not be sent");
                }
            }
            Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => {
                self.write(now, hop, bytes);
            }
        }
    }

    /// Writes to a connection, which is made first if it can be made from here.
    fn write(&mut self, now: Duration, hop: Hop, bytes: Vec<u8>) {
        let mut written = self.links.connections.write(hop, bytes.clone());
        // A browser cannot be called back: when its WebSocket is gone, so is the way to it (RFC 7118 §5).
        if written == Err(Unwritten::Missing) && (is_ours(hop) || !hop.transport.is_web()) {
            match self.links.connections.open(hop) {
                Some(opened) => {
                    let connector = self.tls.connector.clone();
                    let peer = Secure { name: self.stack.peer_name(hop), connector };
                    let link = self.link(hop, opened);
                    self.links.tasks.spawn(transport::connect(link, peer));
                    written = self.links.connections.write(hop, bytes);
                }
                None => {
                    tracing::warn!(remote = %hop.remote, "made no new connection: a limit is reached");
                }
            }
        }
        if let Err(why) = written {
            tracing::debug!(remote = %hop.remote, ?why, "a message could not be written to a connection");
            self.stack.flow_lost(now, hop);
        }
    }
}
