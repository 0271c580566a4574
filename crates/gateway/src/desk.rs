//! What the API sees of the gateway: live calls from the board, ended ones from the store, agents from the
//! distributor. A request is told to its call like any other news; the answer is what the call then shows.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use metrics_exporter_prometheus::PrometheusHandle;
use segue_acd::{AgentId, AgentView, Presence, QueueId, QueueView};
use segue_api::{
    AgentSnapshot, Answer, Asked, CallEnd, CallFound, CallOutline, CallQuery, CallSnapshot, CallsFound, Desk,
    DeskError, Feed, HandoffSnapshot, QueueSnapshot, Readiness, RecordingOrder, RecordingState, ToldWords,
};
use segue_call::{
    AgentChoice, AttemptId, CallId, CallStart, Event, HandoffOrder, HandoffState, Party, Phase,
};
use segue_store::{CallFilter, CallSummary, Cursor, StoreError};

use crate::{
    call::{Calls, Parts},
    distribution::Request,
};

/// The gateway's side of the API.
pub(crate) struct GatewayDesk {
    /// The planes.
    pub(crate) parts: Arc<Parts>,
    /// The live calls.
    pub(crate) calls: Arc<Calls>,
    /// Whether calls are refused.
    pub(crate) draining: Arc<AtomicBool>,
    /// The recorder of this process.
    pub(crate) metrics: PrometheusHandle,
    /// Calls that queues may hold, by queue.
    pub(crate) waiting_max: Vec<(QueueId, u32)>,
}

impl Desk for GatewayDesk {
    fn calls<'a>(&'a self, query: &'a CallQuery) -> Answer<'a, CallsFound> {
        Box::pin(async move {
            let mut found = self.parts.board.list(query);
            if query.ended != Some(false) {
                let filter = CallFilter {
                    ended: query.ended,
                    handoff: query.handoff,
                    agent: query.agent.clone(),
                    since: None,
                    before: query.before.as_ref().map(cursor),
                    limit: query.limit,
                };
                let page = self.parts.store.calls(&filter).await.map_err(failed)?;
                let live: Vec<CallId> = found.calls.iter().map(|call| call.id.clone()).collect();
                let stored = page.calls.into_iter().filter(|call| !live.contains(&call.call)).map(outline);
                found.calls.extend(stored);
                found.calls.sort_by(|a, b| (b.started, &b.id).cmp(&(a.started, &a.id)));
                found.more |= page.next.is_some() || found.calls.len() > query.limit as usize;
                found.calls.truncate(query.limit as usize);
            }
            Ok(found)
        })
    }

    fn call<'a>(&'a self, call: &'a CallId) -> Answer<'a, CallSnapshot> {
        Box::pin(async move {
            match self.parts.board.call(call) {
                Some(live) => Ok(live),
                None => self.kept(call).await,
            }
        })
    }

    fn ask_handoff<'a>(&'a self, call: &'a CallId, order: HandoffOrder) -> Answer<'a, Asked> {
        Box::pin(async move {
            if let Some(queue) = &order.queue
                && !self.waiting_max.iter().any(|(known, _)| known.0 == *queue)
            {
                return Err(DeskError::NoSuchQueue(QueueId(queue.clone())));
            }
            let before = self.live(call).await?;
            if let Some(under_way) = before.handoffs.last().filter(|handoff| under_way(handoff)) {
                return Ok(Asked { handoff: under_way.clone(), opened: false });
            }
            let known = before.handoffs.len();
            self.tell(call, Event::Asked(order))?;
            // It is told first and its reason kept right after: the answer names the reason too.
            let opened = |call: &CallSnapshot| {
                let handoff = call.handoffs.get(known)?;
                (!handoff.record.reason.rule.is_empty()).then(|| handoff.clone())
            };
            let handoff = self.wait(call, opened).await?;
            Ok(Asked { handoff, opened: true })
        })
    }

    fn recall_handoff<'a>(&'a self, call: &'a CallId) -> Answer<'a, HandoffSnapshot> {
        Box::pin(async move {
            let live = self.live(call).await?;
            let handoff = live.handoffs.last().ok_or(DeskError::NoHandoff)?;
            if handoff.record.state == HandoffState::Bridged {
                return Err(DeskError::AlreadyBridged);
            }
            if !under_way(handoff) {
                return Err(DeskError::NoHandoff);
            }
            let number = handoff.record.handoff;
            self.tell(call, Event::Recalled { handoff: number })?;
            let settled = self.wait(call, |call| {
                let handoff = call.handoffs.iter().find(|handoff| handoff.record.handoff == number)?;
                let settled = !under_way(handoff) || handoff.record.state == HandoffState::Bridged;
                settled.then(|| handoff.clone())
            });
            match settled.await? {
                bridged if bridged.record.state == HandoffState::Bridged => Err(DeskError::AlreadyBridged),
                recalled => Ok(recalled),
            }
        })
    }

    fn choose<'a>(&'a self, call: &'a CallId, choice: AgentChoice) -> Answer<'a, HandoffSnapshot> {
        Box::pin(async move {
            let live = self.live(call).await?;
            let handoff = live.handoffs.last().ok_or(DeskError::NoHandoff)?;
            let state = handoff.record.state;
            let attempt = agent_leg(&live).filter(|_| state == HandoffState::Briefing);
            let attempt = attempt.ok_or(DeskError::NothingToChoose(state))?;
            self.tell(call, Event::AgentChose { attempt, choice })?;
            if choice == AgentChoice::Repeat {
                return Ok(handoff.clone());
            }
            self.wait(call, |call| {
                call.handoffs.last().filter(|handoff| handoff.record.state != HandoffState::Briefing).cloned()
            })
            .await
        })
    }

    fn hear<'a>(&'a self, call: &'a CallId, told: ToldWords) -> Answer<'a, ()> {
        Box::pin(async move {
            self.live(call).await?;
            if self.parts.speech.is_some() {
                return Err(DeskError::TranscribedHere);
            }
            if self.calls.tell_words(call, told) { Ok(()) } else { Err(DeskError::CallEnded) }
        })
    }

    fn record<'a>(&'a self, call: &'a CallId, order: RecordingOrder) -> Answer<'a, RecordingState> {
        Box::pin(async move {
            self.live(call).await?;
            self.calls.record(call, order).await.unwrap_or(Err(DeskError::CallEnded))
        })
    }

    fn agents(&self) -> Answer<'_, Vec<AgentSnapshot>> {
        Box::pin(async move {
            let views = self.parts.distribution.ask(Request::Agents).await.ok_or_else(ending)?;
            Ok(views.into_iter().map(|view| self.agent(view)).collect())
        })
    }

    fn set_presence<'a>(&'a self, agent: &'a AgentId, presence: Presence) -> Answer<'a, AgentSnapshot> {
        Box::pin(async move {
            let request = |reply| Request::Presence(agent.clone(), presence, reply);
            match self.parts.distribution.ask(request).await.ok_or_else(ending)? {
                Ok(view) => {
                    let snapshot = self.agent(view);
                    let now = self.parts.clock.now();
                    self.parts.feed.publish(now, segue_api::News::Agent(snapshot.clone()));
                    Ok(snapshot)
                }
                Err(unknown) => Err(DeskError::NoSuchAgent(unknown.0)),
            }
        })
    }

    fn queues(&self) -> Answer<'_, Vec<QueueSnapshot>> {
        Box::pin(async move {
            let views = self.parts.distribution.ask(Request::Queues).await.ok_or_else(ending)?;
            Ok(views.into_iter().map(|view| self.queue(view)).collect())
        })
    }

    fn feed(&self) -> &Feed {
        &self.parts.feed
    }

    fn readiness(&self) -> Readiness {
        let mut reasons = Vec::new();
        if self.draining.load(Ordering::Relaxed) {
            reasons.push("the gateway is going down and takes no new calls".to_owned());
        }
        if let Some(trouble) = self.parts.store.health().trouble {
            reasons.push(format!("the event log is in trouble: {trouble}"));
        }
        Readiness { reasons }
    }

    fn metrics(&self) -> String {
        crate::metrics::population(self.calls.len(), self.parts.media.legs());
        self.parts.measure_speech();
        self.metrics.render()
    }
}

impl GatewayDesk {
    /// A call that is over, as it was kept.
    async fn kept(&self, call: &CallId) -> Result<CallSnapshot, DeskError> {
        let store = &self.parts.store;
        let stored =
            store.call(call).await.map_err(failed)?.ok_or_else(|| DeskError::NoSuchCall(call.clone()))?;
        let start: CallStart =
            serde_json::from_value(stored.start).map_err(|error| DeskError::Failed(error.to_string()))?;
        let mut picture = CallSnapshot::new(call.clone(), start.at, start.caller.number, start.language);
        for (_, at, entry) in store.entries(call).await.map_err(failed)? {
            picture.keep(at, &entry);
        }
        for utterance in store.transcript(call).await.map_err(failed)? {
            picture.hear(&utterance);
        }
        if let Some(at) = stored.summary.ended {
            picture.cut_off(CallEnd { at, by: stored.summary.ended_by });
        }
        Ok(picture)
    }

    async fn live(&self, call: &CallId) -> Result<CallSnapshot, DeskError> {
        match self.parts.board.call(call) {
            Some(live) if live.outline.ended.is_none() => Ok(live),
            Some(_) => Err(DeskError::CallEnded),
            None => Err(match self.parts.store.call(call).await.map_err(failed)? {
                Some(_) => DeskError::CallEnded,
                None => DeskError::NoSuchCall(call.clone()),
            }),
        }
    }

    fn tell(&self, call: &CallId, event: Event) -> Result<(), DeskError> {
        if self.calls.tell(call, event) { Ok(()) } else { Err(DeskError::CallEnded) }
    }

    /// Waits until the call shows what is looked for. The API gives up by itself when it takes too long.
    async fn wait<T>(
        &self,
        call: &CallId,
        look: impl Fn(&CallSnapshot) -> Option<T> + Send,
    ) -> Result<T, DeskError> {
        loop {
            let newest = self.parts.feed.newest();
            let live = self.parts.board.call(call).ok_or(DeskError::CallEnded)?;
            if let Some(found) = look(&live) {
                return Ok(found);
            }
            if !self.parts.feed.wait_beyond(newest).await {
                return Err(ending());
            }
        }
    }

    fn agent(&self, view: AgentView) -> AgentSnapshot {
        let query =
            CallQuery { ended: Some(false), agent: Some(view.id.clone()), limit: 1, ..CallQuery::default() };
        let busy = view.reservation.is_some();
        let call = self.parts.board.list(&query).calls.pop().filter(|_| busy).map(|call| call.id);
        AgentSnapshot {
            id: view.id,
            name: view.name,
            presence: view.presence,
            activity: view.activity,
            reachable: view.reachable,
            call,
            skills: view.skills,
            languages: view.languages,
        }
    }

    fn queue(&self, view: QueueView) -> QueueSnapshot {
        let waiting_max =
            self.waiting_max.iter().find(|(id, _)| *id == view.id).map_or(0, |(_, waiting_max)| *waiting_max);
        let now = self.parts.clock.now();
        QueueSnapshot {
            id: view.id,
            open: view.open,
            waiting: view.waiting,
            waiting_max,
            oldest: (view.waiting > 0).then(|| now.saturating_sub(view.longest_wait)),
            wait: None,
            agents_ready: view.ready,
            agents_present: view.staffed,
        }
    }
}

fn under_way(handoff: &HandoffSnapshot) -> bool {
    match handoff.record.state {
        HandoffState::Requested
        | HandoffState::Announced
        | HandoffState::Queued
        | HandoffState::Offered
        | HandoffState::Ringing
        | HandoffState::Briefing
        | HandoffState::Accepted
        | HandoffState::Bridged => true,
        HandoffState::Completed
        | HandoffState::Rejected
        | HandoffState::Failed
        | HandoffState::Canceled
        | HandoffState::CallbackScheduled => false,
    }
}

/// The agent's newest leg that is up.
fn agent_leg(call: &CallSnapshot) -> Option<AttemptId> {
    call.legs.iter().rev().find(|leg| leg.party == Party::Agent && leg.up).map(|leg| leg.attempt)
}

fn outline(call: CallSummary) -> CallOutline {
    CallOutline {
        id: call.call,
        started: call.opened,
        ended: call.ended.map(|at| CallEnd { at, by: call.ended_by }),
        phase: if call.ended.is_some() { Phase::Ended } else { Phase::Ending },
        caller: call.caller,
        language: call.language.unwrap_or_else(|| segue_acd::Language(String::new())),
        utterances: call.utterances.unwrap_or_default(),
        handoffs: call.handoffs,
        handoff: call.handoff,
        reason: call.reason,
        agent: call.agent,
    }
}

fn cursor(place: &CallFound) -> Cursor {
    Cursor { opened: place.started, call: place.id.clone() }
}

fn failed(error: StoreError) -> DeskError {
    DeskError::Failed(error.to_string())
}

fn ending() -> DeskError {
    DeskError::NotReady("it is going down".to_owned())
}

/// How long the API may take to finish its answers at the end.
pub(crate) const API_ENDING: Duration = Duration::from_secs(3);
