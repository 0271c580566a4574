//! A desk in memory: calls that are handed over at once, with the gateway's rules about who may do what when.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::ConnectInfo,
    http::{Request, Response, StatusCode},
};
use segue_acd::{Activity, AgentId, Language, Presence, QueueId, Skill, WaitEstimate};
use segue_api::{
    AgentSnapshot, Answer, ApiConfig, Asked, Board, CallQuery, CallSnapshot, CallsFound, Desk, DeskError,
    Feed, HandoffSnapshot, News, QueueSnapshot, Readiness, RecordingOrder, RecordingState, ToldWords, router,
};
use segue_call::{
    Action, AgentChoice, AttemptId, Brief, CallId, Entry, Fact, HandoffOrder, HandoffState, Milestone, Party,
};
use segue_trigger::{Advice, Decision, Reason, Speaker, Stage, Utterance, UtteranceId};
use serde_json::Value;
use tower::ServiceExt;

pub(crate) const START: Duration = Duration::from_secs(1_795_180_000);

/// The gateway's stand-in.
pub(crate) struct MemoryDesk {
    pub(crate) board: Board,
    pub(crate) feed: Feed,
    pub(crate) agents: Mutex<BTreeMap<AgentId, AgentSnapshot>>,
    pub(crate) reasons: Mutex<Vec<String>>,
    /// Handoffs that were opened.
    pub(crate) opened: AtomicU32,
    /// How long an answer takes.
    pub(crate) delay: Mutex<Duration>,
}

impl MemoryDesk {
    pub(crate) fn new() -> Arc<Self> {
        let agent = AgentSnapshot {
            id: AgentId::from("alex"),
            name: "Alex".to_owned(),
            presence: Presence::Available,
            activity: Activity::Idle,
            reachable: true,
            call: None,
            skills: [Skill::from("refunds")].into(),
            languages: [Language::from("en")].into(),
        };
        let desk = Self {
            board: Board::default(),
            feed: Feed::new(START, 100),
            agents: Mutex::new([(agent.id.clone(), agent)].into()),
            reasons: Mutex::default(),
            opened: AtomicU32::new(0),
            delay: Mutex::default(),
        };
        for (number, name) in ["one", "two", "three"].into_iter().enumerate() {
            let at = START + Duration::from_secs(number as u64);
            desk.board.open(CallId(name.to_owned()), at, "+15551234".to_owned(), Language::from("en"));
            desk.does(name, Action::Publish(Milestone::Heard(said(1, "I'd like a refund"))));
        }
        Arc::new(desk)
    }

    /// What a call task does with each action that is shown.
    pub(crate) fn does(&self, call: &str, action: Action) {
        let call = CallId(call.to_owned());
        self.board.see(&call, START, &action);
        if let Action::Publish(milestone) = action {
            self.feed.publish(START, News::Call(call, milestone));
        }
    }

    pub(crate) fn moves(&self, call: &str, state: HandoffState, agent: Option<&str>) {
        let agent = agent.map(AgentId::from);
        self.does(call, Action::Publish(Milestone::Handoff { handoff: 1, state, agent }));
    }

    fn agents(&self) -> MutexGuard<'_, BTreeMap<AgentId, AgentSnapshot>> {
        self.agents.lock().unwrap()
    }

    fn known(&self, call: &CallId) -> Result<CallSnapshot, DeskError> {
        self.board.call(call).ok_or_else(|| DeskError::NoSuchCall(call.clone()))
    }

    fn last(&self, call: &CallId) -> Result<HandoffSnapshot, DeskError> {
        self.known(call)?.handoffs.pop().ok_or(DeskError::NoHandoff)
    }

    async fn wait(&self) {
        let delay = *self.delay.lock().unwrap();
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
    }
}

impl Desk for MemoryDesk {
    fn calls<'a>(&'a self, query: &'a CallQuery) -> Answer<'a, CallsFound> {
        Box::pin(async { Ok(self.board.list(query)) })
    }

    fn call<'a>(&'a self, call: &'a CallId) -> Answer<'a, CallSnapshot> {
        Box::pin(async {
            self.wait().await;
            assert_ne!(call.0, "bug", "a bug of the gateway");
            self.known(call)
        })
    }

    fn ask_handoff<'a>(&'a self, call: &'a CallId, order: HandoffOrder) -> Answer<'a, Asked> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            let known = self.known(call)?;
            if known.outline.ended.is_some() {
                return Err(DeskError::CallEnded);
            }
            if let Some(queue) = order.queue.as_deref().filter(|queue| *queue != "billing") {
                return Err(DeskError::NoSuchQueue(QueueId::from(queue)));
            }
            if let Some(handoff) = known.handoffs.last() {
                return Ok(Asked { handoff: handoff.clone(), opened: false });
            }
            self.opened.fetch_add(1, Relaxed);
            let entry = Entry::HandoffOpened { handoff: 1, decision: decision(&order), brief: brief(&order) };
            self.does(&call.0, Action::Promise(entry));
            self.moves(&call.0, HandoffState::Requested, None);
            Ok(Asked { handoff: self.last(call)?, opened: true })
        })
    }

    fn recall_handoff<'a>(&'a self, call: &'a CallId) -> Answer<'a, HandoffSnapshot> {
        Box::pin(async {
            if self.last(call)?.record.state == HandoffState::Bridged {
                return Err(DeskError::AlreadyBridged);
            }
            self.moves(&call.0, HandoffState::Canceled, None);
            self.last(call)
        })
    }

    fn choose<'a>(&'a self, call: &'a CallId, choice: AgentChoice) -> Answer<'a, HandoffSnapshot> {
        Box::pin(async move {
            let state = self.last(call)?.record.state;
            if state != HandoffState::Briefing {
                return Err(DeskError::NothingToChoose(state));
            }
            match choice {
                AgentChoice::Accept => self.moves(&call.0, HandoffState::Accepted, Some("alex")),
                AgentChoice::Decline => self.moves(&call.0, HandoffState::Queued, None),
                AgentChoice::Repeat => {}
            }
            self.last(call)
        })
    }

    fn hear<'a>(&'a self, call: &'a CallId, told: ToldWords) -> Answer<'a, ()> {
        Box::pin(async move {
            if self.known(call)?.outline.ended.is_some() {
                return Err(DeskError::CallEnded);
            }
            if told.speaker == Speaker::Bot {
                return Err(DeskError::TranscribedHere);
            }
            let mut words =
                said(told.utterance.map_or(9, |number| u32::try_from(number).unwrap()), &told.text);
            words.confidence = told.confidence;
            self.does(&call.0, Action::Publish(Milestone::Heard(words)));
            Ok(())
        })
    }

    fn record<'a>(&'a self, call: &'a CallId, order: RecordingOrder) -> Answer<'a, RecordingState> {
        Box::pin(async move {
            self.known(call)?;
            match order {
                RecordingOrder::Start | RecordingOrder::Resume => Ok(RecordingState::Running),
                RecordingOrder::Pause => Err(DeskError::NotRecorded),
                RecordingOrder::Stop => Ok(RecordingState::Off),
            }
        })
    }

    fn agents(&self) -> Answer<'_, Vec<AgentSnapshot>> {
        Box::pin(async { Ok(self.agents().values().cloned().collect()) })
    }

    fn set_presence<'a>(&'a self, agent: &'a AgentId, presence: Presence) -> Answer<'a, AgentSnapshot> {
        Box::pin(async move {
            let mut agents = self.agents();
            let known = agents.get_mut(agent).ok_or_else(|| DeskError::NoSuchAgent(agent.clone()))?;
            known.presence = presence;
            self.feed.publish(START, News::Agent(known.clone()));
            Ok(known.clone())
        })
    }

    fn queues(&self) -> Answer<'_, Vec<QueueSnapshot>> {
        let wait = WaitEstimate { least: Duration::from_secs(30), most: Duration::from_secs(90) };
        let queue = QueueSnapshot {
            id: QueueId::from("billing"),
            open: true,
            waiting: 2,
            waiting_max: 50,
            oldest: Some(START),
            wait: Some(wait),
            agents_ready: 0,
            agents_present: 1,
        };
        Box::pin(async { Ok(vec![queue]) })
    }

    fn feed(&self) -> &Feed {
        &self.feed
    }

    fn readiness(&self) -> Readiness {
        Readiness { reasons: self.reasons.lock().unwrap().clone() }
    }

    fn metrics(&self) -> String {
        "# TYPE segue_calls gauge\nsegue_calls 3\n".to_owned()
    }
}

pub(crate) fn said(id: u32, text: &str) -> Utterance {
    let start = START + Duration::from_secs(u64::from(id));
    Utterance {
        id: UtteranceId(id),
        speaker: Speaker::Caller,
        text: text.to_owned(),
        start,
        end: start + Duration::from_millis(900),
        confidence: 0.9,
        stage: Stage::Final,
        level: None,
    }
}

fn reason(order: &HandoffOrder) -> Reason {
    Reason {
        rule: "API".to_owned(),
        code: order.reason.clone(),
        evidence: format!("asked for by {}", order.by),
        value: 1.0,
        utterance: None,
    }
}

fn decision(order: &HandoffOrder) -> Decision {
    Decision {
        advice: Advice::Escalate,
        primary: reason(order),
        contributing: Vec::new(),
        evaluated: Vec::new(),
    }
}

fn brief(order: &HandoffOrder) -> Arc<Brief> {
    Arc::new(Brief {
        handoff: 1,
        revision: 1,
        goal: Fact { text: "A refund".to_owned(), cites: vec![UtteranceId(1)] },
        tried: vec![Fact { text: "The bot looked for the order".to_owned(), cites: vec![UtteranceId(1)] }],
        next: vec!["Look the order up".to_owned()],
        sentiment: -0.5,
        opening: "I see you've been asking about a refund".to_owned(),
        tone: "empathy first".to_owned(),
        reason: reason(order),
        bot_summary: None,
        entities: Vec::new(),
        priority: 135,
        priority_because: vec!["premium +20".to_owned()],
        customer: [("customer_id".to_owned(), "42".to_owned())].into(),
        missing: vec!["order number".to_owned()],
        language: None,
        whisper: "The caller wants a refund.".to_owned(),
    })
}

/// The interface, asked without a socket.
pub(crate) struct Api {
    pub(crate) desk: Arc<MemoryDesk>,
    router: Router,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: axum::http::HeaderMap,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in {:?}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Checks that this is a problem in the form of RFC 9457, of this kind.
    #[track_caller]
    pub(crate) fn is_problem(&self, status: u16, code: &str) {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let body = self.json();
        assert_eq!(body["type"], format!("urn:segue:problem:{code}"), "{self:?}");
        assert_eq!(body["status"], status);
        assert_eq!(body["request_id"], self.header("x-request-id"));
        for field in ["title", "detail", "instance"] {
            assert!(!body[field].as_str().unwrap().is_empty(), "{field} of {self:?}");
        }
    }
}

impl Api {
    pub(crate) fn new() -> Self {
        Self::with(ApiConfig::default())
    }

    pub(crate) fn with(config: ApiConfig) -> Self {
        let desk = MemoryDesk::new();
        let shared: Arc<MemoryDesk> = Arc::clone(&desk);
        Self { desk, router: router(shared, config) }
    }

    pub(crate) async fn send(&self, peer: Option<&str>, mut request: Request<Body>) -> Reply {
        if let Some(peer) = peer {
            let peer: SocketAddr = format!("{peer}:4000").parse().unwrap();
            request.extensions_mut().insert(ConnectInfo(peer));
        }
        let response: Response<Body> = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, 10 << 20).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Reply { status: parts.status, headers: parts.headers, text }
    }

    pub(crate) async fn ask(&self, method: &str, path: &str) -> Reply {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        self.send(Some("127.0.0.1"), request).await
    }

    pub(crate) async fn tell(&self, method: &str, path: &str, body: &str) -> Reply {
        self.tell_with(method, path, body, &[]).await
    }

    pub(crate) async fn tell_with(
        &self,
        method: &str,
        path: &str,
        body: &str,
        headers: &[(&str, &str)],
    ) -> Reply {
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(Some("127.0.0.1"), request.body(Body::from(body.to_owned())).unwrap()).await
    }
}

pub(crate) fn leg(party: Party, attempt: u32, up: bool) -> Action {
    Action::Publish(Milestone::Leg { attempt: AttemptId(attempt), party, up })
}
