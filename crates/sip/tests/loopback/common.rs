//! Two endpoints with short timers, and what the stories need of them.

use std::{net::SocketAddr, time::Duration};

use segue_media::{Codec, Direction, MediaDescription, OpusWishes};
use segue_sip::{
    Answer, Caller, DialEvent, DialRequest, Dialing, IncomingCall, Leg, Sip, SipConfig, SipCounts, SipEvent,
    SipTimers, Target, Trunk,
};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

pub(crate) fn media(port: u16) -> MediaDescription {
    MediaDescription {
        rtp: SocketAddr::from(([127, 0, 0, 1], port)),
        rtcp: SocketAddr::from(([127, 0, 0, 1], port + 1)),
        codecs: vec![(Codec::Pcmu, 0), (Codec::Pcma, 8)],
        telephone_event: Some(101),
        ptime_ms: 20,
        direction: Direction::SendRecv,
        security: Vec::new(),
        opus: OpusWishes::default(),
    }
}

/// Timers that are over while a test waits: 64·T1 is 1.28 s.
pub(crate) fn quick() -> SipTimers {
    SipTimers {
        t1: Duration::from_millis(20),
        t2: Duration::from_millis(80),
        t4: Duration::from_millis(100),
        ..SipTimers::default()
    }
}

pub(crate) fn config() -> SipConfig {
    let loopback =
        Trunk { name: "loopback".into(), sources: vec!["127.0.0.0/8".parse().unwrap()], credentials: None };
    SipConfig {
        udp: vec!["127.0.0.1:0".parse().unwrap()],
        tcp: vec!["127.0.0.1:0".parse().unwrap()],
        trunks: vec![loopback],
        timers: quick(),
        ..SipConfig::default()
    }
}

/// One endpoint that runs.
pub(crate) struct End {
    pub(crate) sip: Sip,
    pub(crate) events: mpsc::Receiver<SipEvent>,
    pub(crate) stop: CancellationToken,
}

pub(crate) async fn end(tasks: &mut JoinSet<()>, config: SipConfig) -> End {
    let stop = CancellationToken::new();
    let (sip, driver, events) = Sip::bind(config, stop.clone()).await.unwrap();
    tasks.spawn(driver.run());
    End { sip, events, stop }
}

impl End {
    pub(crate) fn udp(&self) -> SocketAddr {
        self.sip.addresses().udp[0]
    }

    pub(crate) async fn incoming(&mut self) -> IncomingCall {
        loop {
            if let SipEvent::Incoming(call) = self.events.recv().await.unwrap() {
                return *call;
            }
        }
    }
}

/// A caller's side and a called side.
pub(crate) struct Net {
    pub(crate) a: End,
    pub(crate) b: End,
    pub(crate) tasks: JoinSet<()>,
}

impl Net {
    pub(crate) async fn new() -> Self {
        Self::with(config(), config()).await
    }

    pub(crate) async fn with(a: SipConfig, b: SipConfig) -> Self {
        let mut tasks = JoinSet::new();
        let a = end(&mut tasks, a).await;
        let b = end(&mut tasks, b).await;
        Self { a, b, tasks }
    }

    pub(crate) fn request(&self) -> DialRequest {
        request(Target::Uri(format!("sip:bot@{}", self.b.udp())))
    }

    /// A call that rings at `b`.
    pub(crate) async fn ringing(&mut self, request: DialRequest) -> (Dialing, IncomingCall) {
        let mut dialing = self.a.sip.dial(request).await;
        let call = self.b.incoming().await;
        call.ring().await;
        assert!(matches!(dialing.next().await, Some(DialEvent::Ringing)));
        (dialing, call)
    }

    /// A call that is up, with the caller's side first.
    pub(crate) async fn call_up(&mut self) -> (Leg, Leg) {
        let request = self.request();
        let (dialing, call) = self.ringing(request).await;
        join(dialing, call).await
    }

    /// Waits until both ends have nothing left but registrations and connections.
    pub(crate) async fn nothing_is_left(&self) {
        for end in [&self.a, &self.b] {
            let clean = |counts: &SipCounts| (counts.dialogs, counts.transactions) == (0, 0);
            let wait = tokio::time::timeout(Duration::from_secs(10), end.sip.counts_when(clean));
            let counts = wait.await.unwrap_or_else(|_| panic!("left over: {:?}", end.sip.counts()));
            assert!(counts.timers <= counts.registrations, "alarms are left: {counts:?}");
        }
    }
}

pub(crate) fn request(to: Target) -> DialRequest {
    DialRequest {
        to,
        from: Caller { user: "+4930123456".into(), display: Some("Ann".into()) },
        headers: vec![("X-Call".into(), "17".into())],
        offer: media(6_000),
        ring_max: Duration::from_secs(5),
        handoff_allowed: true,
        credentials: None,
        options: segue_sip::DialOptions::default(),
    }
}

pub(crate) async fn join(mut dialing: Dialing, call: IncomingCall) -> (Leg, Leg) {
    let called = call.answer(Answer { local: media(7_000), handoff_allowed: false }).await.unwrap();
    loop {
        match dialing.next().await {
            Some(DialEvent::Answered(leg)) => return (*leg, called),
            Some(DialEvent::Ringing | DialEvent::EarlyMedia { .. }) => {}
            other => panic!("not answered: {other:?}"),
        }
    }
}
