//! Carries a call's actions out, in order. Decides nothing.

use segue_acd::AgentId;
use segue_api::News as Told;
use segue_call::{
    Action, AttemptId, CallRecord, Destination, DialFailure, EndedBy, Entry, Event, HandoffState, HangUpWhy,
    Milestone, Party, PlaybackId, PlayedHow, Prompt, RefuseWhy, Source, VoiceNews,
};
use segue_media::{Command, Sound, Source as EarSource};
use segue_sip::{Caller, DialOptions, DialRequest, Refusal, Target};
use segue_store::What;

use super::{
    News,
    early::Decision,
    legs::{self, Leg, Signalling},
    negotiation::Terms,
    task::{CallTask, Playing},
};
use crate::{distribution::Request, media::MediaError, metrics, voice::VoiceError};

/// How long a caller who is refused is told to wait.
const RETRY_AFTER: std::time::Duration = std::time::Duration::from_secs(10);

impl CallTask {
    pub(super) async fn carry_out_all(&mut self, actions: Vec<Action>) {
        for action in actions {
            self.parts.board.see(&self.id, self.parts.clock.now(), &action);
            if let Err(error) = self.carry_out(action).await {
                tracing::error!(%error, "the call's sound is lost");
            }
        }
    }

    async fn carry_out(&mut self, action: Action) -> Result<(), MediaError> {
        match action {
            Action::AnswerCaller => self.answer_caller().await?,
            Action::RefuseCaller { why } => self.refuse_caller(why).await,
            Action::Dial { attempt, to } => self.dial(attempt, &to).await,
            Action::HangUp { attempt, why } => self.hang_up(attempt, why).await,
            Action::Wire { ears } => self.wire(&ears)?,
            Action::Play { playback, ear, prompt } => self.play(playback, ear, prompt),
            Action::StopPlay { playback } => self.stop_play(playback)?,
            Action::Prepare { prompt } => self.parts.voice.prepare(prompt),
            Action::Enqueue { ticket } => {
                self.answer_early();
                self.tell(Request::Enqueue(ticket, self.sender.clone())).await;
            }
            Action::Withdraw { ticket } => self.tell(Request::Withdraw(ticket)).await,
            Action::AgentRefused { reservation, refusal } => {
                self.tell(Request::Refused(reservation, refusal)).await;
            }
            Action::AgentTook { reservation } => {
                self.tell(Request::Took(reservation)).await;
                self.allow_transfer().await;
            }
            Action::AgentMoved { reservation, to } => self.tell(Request::Moved(reservation, to)).await,
            Action::AgentFree { reservation } => self.tell(Request::Freed(reservation)).await,
            Action::ShowBrief { agent, brief } => self.show_brief(&agent, &brief),
            Action::Promise(entry) => {
                self.note_entry(&entry);
                self.promise(What::Entry(entry)).await;
            }
            Action::Note(entry) => {
                self.note_entry(&entry);
                self.append(self.parts.clock.now(), What::Entry(entry));
            }
            Action::Publish(milestone) => self.publish(milestone)?,
            Action::Finished => self.finished = true,
        }
        Ok(())
    }

    async fn tell(&self, request: Request) {
        self.parts.distribution.tell(request).await;
    }

    async fn refuse_caller(&mut self, why: RefuseWhy) {
        let Some(leg) = self.legs.remove(AttemptId::CALLER) else { return };
        self.media.close(leg.media.leg);
        if let Signalling::Waiting(incoming) = leg.signalling {
            let refusal = match why {
                RefuseWhy::NobodyToTalkTo => Refusal::NobodyThere,
                RefuseWhy::ShuttingDown => Refusal::Unavailable { retry_after: RETRY_AFTER },
            };
            incoming.refuse(refusal).await;
        } else if let Signalling::Early(decide, _) = leg.signalling {
            drop(decide.send(Decision::Refuse(Refusal::NobodyThere)));
        }
    }

    fn wire(&mut self, ears: &[(Party, Source)]) -> Result<(), MediaError> {
        let mut wires = Vec::with_capacity(ears.len());
        for (party, source) in ears {
            let Some(ear) = self.legs.ear(*party) else { continue };
            let source = match source {
                Source::Quiet => EarSource::Quiet,
                Source::Hold => EarSource::Hold,
                Source::Voice(other) => self.legs.ear(*other).map_or(EarSource::Quiet, EarSource::Leg),
            };
            wires.push((ear, source));
        }
        self.media.command(Command::Wire(wires))?;
        for (party, source) in ears {
            if let (Some(leg), Party::Caller | Party::Agent) = (self.legs.ear(*party), party) {
                // A bot would take music for speech. People are not left in silence when packets stop to come.
                let on = self.parts.settings.media.fill_missing && matches!(source, Source::Voice(_));
                self.media.command(Command::Cover { leg, on })?;
            }
        }
        let to_caller = ears.iter().find(|(party, _)| *party == Party::Caller);
        if let (Some((_, source)), Some(leg)) = (to_caller, self.legs.ear(Party::Caller)) {
            // People and bots may pause as long as they like; what the gateway itself plays is watched (M16).
            let on = !matches!(source, Source::Voice(_));
            self.media.command(Command::Watch { leg, on })?;
        }
        Ok(())
    }

    fn play(&mut self, playback: PlaybackId, ear: Party, prompt: Prompt) {
        self.plays.insert(playback, Playing::Rendering(ear));
        if let Some(sound) = self.parts.voice.cached(&prompt) {
            if let Some(event) = self.rendered(playback, Ok(sound)) {
                self.tell_myself(News::Event(Box::new(event)));
            }
            return;
        }
        let sender = self.sender.clone();
        self.parts.voice.say(
            prompt,
            Box::new(move |sound| {
                if sender.try_send(News::Rendered(playback, sound)).is_err() {
                    metrics::news_lost();
                }
            }),
        );
    }

    /// Plays what was rendered, unless it was stopped meanwhile.
    pub(super) fn rendered(
        &mut self,
        playback: PlaybackId,
        sound: Result<Sound, VoiceError>,
    ) -> Option<Event> {
        let Some(Playing::Rendering(ear)) = self.plays.get(&playback).copied() else { return None };
        let failed = Some(Event::Played { playback, how: PlayedHow::Failed });
        let sound = match sound {
            Ok(sound) => sound,
            Err(error) => {
                tracing::error!(%error, "a prompt was not spoken");
                self.plays.remove(&playback);
                return failed;
            }
        };
        let Some(leg) = self.legs.ear(ear) else {
            self.plays.remove(&playback);
            return failed;
        };
        let play = self.media.play_id();
        self.plays.insert(playback, Playing::On(play));
        let length = segue_speech::speak::length_of(&sound);
        match self.media.command(Command::Play { leg, play, sound }) {
            Ok(()) => Some(Event::Voice(VoiceNews::Prompted { playback, length })),
            Err(error) => {
                tracing::error!(%error, "a prompt was not played");
                self.plays.remove(&playback);
                failed
            }
        }
    }

    fn stop_play(&mut self, playback: PlaybackId) -> Result<(), MediaError> {
        match self.plays.get(&playback).copied() {
            Some(Playing::On(play)) => self.media.command(Command::Stop { play }),
            Some(Playing::Rendering(_)) => {
                self.plays.remove(&playback);
                let stopped = Event::Played { playback, how: PlayedHow::Stopped };
                self.tell_myself(News::Event(Box::new(stopped)));
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// News of our own making takes its turn like all other.
    pub(super) fn tell_myself(&self, news: News) {
        if self.sender.try_send(news).is_err() {
            metrics::news_lost();
        }
    }

    fn show_brief(&self, agent: &AgentId, brief: &std::sync::Arc<segue_call::Brief>) {
        tracing::debug!(%agent, revision = brief.revision, "the brief is shown");
        let milestone = Milestone::Brief(std::sync::Arc::clone(brief));
        self.parts.feed.publish(self.parts.clock.now(), Told::Call(self.id.clone(), milestone));
    }

    fn note_entry(&self, entry: &Entry) {
        if let Entry::CallRecord(record) = entry {
            measure(record);
        }
    }

    fn publish(&mut self, milestone: Milestone) -> Result<(), MediaError> {
        let now = self.parts.clock.now();
        match &milestone {
            Milestone::Handoff { state, .. } => {
                // What the caller hears is measured from the request to the bridge (M16).
                let measured = matches!(state, HandoffState::Requested | HandoffState::Bridged);
                if let Some(leg) = self.legs.ear(Party::Caller).filter(|_| measured) {
                    self.media.command(Command::Measure {
                        leg,
                        mark: u64::from(*state == HandoffState::Bridged),
                    })?;
                }
                tracing::info!(?state, "handoff");
            }
            Milestone::Phase { phase } => tracing::info!(?phase, "call"),
            Milestone::Decided(_)
            | Milestone::Heard(_)
            | Milestone::Waiting { .. }
            | Milestone::Saying { .. }
            | Milestone::Leg { .. }
            | Milestone::Quality { .. }
            | Milestone::Recording(_)
            | Milestone::Conversation(_)
            | Milestone::TranscriptGap(_)
            | Milestone::Brief(_)
            | Milestone::Ended { .. } => {}
        }
        self.parts.feed.publish(now, Told::Call(self.id.clone(), milestone));
        Ok(())
    }

    async fn dial(&mut self, attempt: AttemptId, to: &Destination) {
        let party = legs::party(to);
        let media = match self.media.open(self.codec, false, self.reports.clone()) {
            Ok(media) => media,
            Err(error) => return self.not_dialled(attempt, &error.to_string()),
        };
        match self.invite(attempt, to, media).await {
            Ok(dialling) => {
                let signalling = Signalling::Dialling(dialling);
                self.legs.insert(attempt, Leg { party, media, signalling, from: None, holds: false });
            }
            Err(error) => {
                self.media.close(media.leg);
                self.not_dialled(attempt, &error);
            }
        }
    }

    fn not_dialled(&self, attempt: AttemptId, error: &str) {
        tracing::warn!(?attempt, error, "a party cannot be dialled");
        let failed = Event::Failed { attempt, failure: DialFailure::Unreachable };
        self.tell_myself(News::Event(Box::new(failed)));
    }

    /// Whom a destination is to SIP, and how long they may ring.
    pub(super) fn request(
        &self,
        to: &Destination,
        media: crate::media::OpenLeg,
    ) -> Result<DialRequest, String> {
        let target = match to {
            Destination::Bot => Target::Uri(self.parts.settings.bot.uri.clone()),
            Destination::Agent(agent) => {
                let config = self.parts.agents.get(agent).ok_or_else(|| format!("no agent {agent}"))?;
                match (&config.address, &config.user) {
                    (Some(address), _) => Target::Uri(address.clone()),
                    (None, Some(user)) => Target::User(user.clone()),
                    (None, None) => return Err(format!("agent {agent} has no phone")),
                }
            }
        };
        let times = &self.parts.policy.times;
        let sip = &self.parts.settings.sip;
        let (ring_max, handoff_allowed, carried) = match to {
            Destination::Bot => {
                (times.bot_connect_max, self.parts.settings.bot.refer, self.carried.to_bot(&sip.headers))
            }
            Destination::Agent(_) => (times.ring_max, false, self.carried.to_agent(&sip.headers)),
        };
        let mut headers = vec![("X-Segue-Call-Id".to_owned(), self.id.0.clone())];
        headers.extend(carried);
        let user = match &target {
            Target::User(user) => Some(user.clone()),
            Target::Uri(_) | Target::Trunk { .. } => None,
        };
        let whom = (legs::party(to), user.as_deref());
        let terms = Terms::dialled(&self.parts.settings, whom, self.codec);
        let offer = terms.map_err(|error| error.to_string())?.offer(media);
        Ok(DialRequest {
            to: target,
            from: Caller { user: self.number.clone(), display: None },
            headers,
            offer,
            ring_max,
            handoff_allowed,
            credentials: None,
            options: DialOptions::default(),
        })
    }

    async fn hang_up(&mut self, attempt: AttemptId, why: HangUpWhy) {
        let Some(leg) = self.legs.remove(attempt) else { return };
        if why == HangUpWhy::Dead {
            metrics::leg_dead(leg.party);
        }
        self.media.close(leg.media.leg);
        match leg.signalling {
            Signalling::Waiting(incoming) => incoming.refuse(Refusal::NobodyThere).await,
            Signalling::Early(decide, _) => drop(decide.send(Decision::Refuse(Refusal::NobodyThere))),
            // The answer comes to a leg that is gone; its task ends with the call and hangs up.
            Signalling::Answering => {}
            Signalling::Dialling(dialling) => dialling.abort(),
            Signalling::Up(control) => control.hang_up(legs::hang_up(why)).await,
        }
    }
}

/// Counts and times a call that is over.
fn measure(record: &CallRecord) {
    metrics::call_ended(match record.ended_by {
        EndedBy::Caller => "caller",
        EndedBy::Bot => "bot",
        EndedBy::Agent => "agent",
        EndedBy::Lost => "lost",
        EndedBy::Us => "us",
    });
    metrics::conversation(&record.conversation);
    for handoff in &record.handoffs {
        let state = match handoff.state {
            HandoffState::Completed => "completed",
            HandoffState::Rejected => "rejected",
            HandoffState::Failed => "failed",
            HandoffState::Canceled => "canceled",
            HandoffState::CallbackScheduled => "callback_scheduled",
            HandoffState::Requested
            | HandoffState::Announced
            | HandoffState::Queued
            | HandoffState::Offered
            | HandoffState::Ringing
            | HandoffState::Briefing
            | HandoffState::Accepted
            | HandoffState::Bridged => "cut_off",
        };
        metrics::handoff_ended(state, &handoff.reason);
        let since = |time: Option<std::time::Duration>, from: Option<std::time::Duration>| {
            time.zip(from).map(|(time, from)| time.saturating_sub(from))
        };
        metrics::handoff_times(
            since(handoff.announced, Some(handoff.requested)),
            since(handoff.bridged, Some(handoff.requested)),
            since(handoff.bridged, handoff.answered),
        );
    }
}
