//! Between a call and its SIP legs: answering the caller, dialling others, and what their news means to the call.

use segue_call::{AttemptId, Declared, Destination, DialFailure, Event, LegEnd, Party};
use segue_media::{Command, LegId, MediaDescription};
use segue_sip::{
    Answer, AnswerError, DialEvent, Dialing, Ended, FailureKind, Headers, Leg as SipLeg, LegEvent,
    user_and_host,
};
use tokio::{sync::mpsc, task::AbortHandle};

use super::{
    News,
    legs::{self, Signalling},
    task::CallTask,
};
use crate::{
    config::AnswerWhen,
    media::{MediaError, OpenLeg},
};

impl CallTask {
    pub(super) async fn answer_caller(&mut self) -> Result<(), MediaError> {
        let Some(mut leg) = self.legs.remove(AttemptId::CALLER) else { return Ok(()) };
        let Signalling::Waiting(incoming) = leg.signalling else { return Ok(()) };
        let Some(terms) = self.terms.take() else { return Ok(()) };
        let local = match &incoming.invitation().offer {
            Some(offer) => terms.answer(leg.media, offer),
            None => terms.offer(leg.media),
        };
        let answer = Answer { local, handoff_allowed: false };
        let incoming = match self.parts.settings.sip.answer {
            AnswerWhen::AtOnce => incoming,
            AnswerWhen::WithParty => {
                let media = leg.media.leg;
                match self.hear_early(incoming, answer.clone(), media).await? {
                    Ok(early) => {
                        leg.signalling = early;
                        self.legs.insert(AttemptId::CALLER, leg);
                        self.listen(Party::Caller, media);
                        return Ok(());
                    }
                    Err(incoming) => incoming,
                }
            }
        };
        match incoming.answer(answer).await {
            Ok(answered) => {
                let media = leg.media.leg;
                leg.signalling = Signalling::Up(answered.control());
                self.legs.insert(AttemptId::CALLER, leg);
                if let Some(remote) = answered.remote() {
                    self.note_codec(AttemptId::CALLER, remote);
                }
                self.connect(media, &answered)?;
                self.listen(Party::Caller, media);
                self.joined(AttemptId::CALLER, Party::Caller, &answered);
                self.follow(AttemptId::CALLER, answered);
            }
            Err(error) => {
                tracing::info!(%error, "the caller was not answered");
                self.media.close(leg.media.leg);
                let cause = match error {
                    AnswerError::Canceled => LegEnd::HungUp,
                    AnswerError::NoCommonCodec | AnswerError::NoEarlyMedia | AnswerError::Closed => {
                        LegEnd::Error
                    }
                };
                let event = Event::Ended { attempt: AttemptId::CALLER, cause, declared: None };
                self.tell_myself(News::Event(Box::new(event)));
            }
        }
        Ok(())
    }

    /// Sends the INVITE and passes its news on.
    pub(super) async fn invite(
        &mut self,
        attempt: AttemptId,
        to: &Destination,
        media: OpenLeg,
    ) -> Result<AbortHandle, String> {
        let request = self.request(to, media)?;
        let dialing = self.parts.sip.dial(request).await;
        Ok(self.tasks.spawn(pass_dialling_on(attempt, dialing, self.sender.clone())))
    }

    /// What news of a dialled party means to the call.
    pub(super) fn dialled(&mut self, attempt: AttemptId, event: DialEvent) -> Option<Event> {
        match event {
            DialEvent::Ringing => Some(Event::Ringing { attempt }),
            // Early media is not let through: the caller hears us until somebody answers.
            DialEvent::EarlyMedia { .. } => None,
            DialEvent::Answered(answered) => {
                // A leg that the call gave up meanwhile is hung up by being dropped.
                let leg = self.legs.get_mut(attempt)?;
                leg.signalling = Signalling::Up(answered.control());
                leg.from = Some(answered.signalling());
                let (party, media) = (leg.party, leg.media.leg);
                if let Err(error) = self.connect(media, &answered) {
                    tracing::error!(%error, "an answered leg has no sound");
                    return Some(Event::Failed { attempt, failure: DialFailure::Unreachable });
                }
                self.listen(party, media);
                self.joined(attempt, party, &answered);
                self.follow(attempt, *answered);
                self.answer_early();
                Some(Event::Answered { attempt })
            }
            DialEvent::Failed(failure) => {
                tracing::info!(?attempt, %failure.reason, code = failure.code, "a party was not reached");
                self.drop_leg(attempt);
                Some(Event::Failed { attempt, failure: how_failed(failure.kind) })
            }
        }
    }

    /// What news of a leg that is up means to the call.
    pub(super) fn leg_news(&mut self, attempt: AttemptId, event: LegEvent) -> Option<Event> {
        match event {
            LegEvent::MediaChanged { remote, local } => self.media_changed(attempt, &remote, &local),
            LegEvent::HandoffRequested { refer_to, headers } => {
                self.handoff_requested(attempt, &refer_to, headers)
            }
            LegEvent::Key(key) => {
                self.key_told(attempt, key);
                None
            }
            LegEvent::Transferred { to } => Some(self.transferred(attempt, &to)),
            LegEvent::OfferRefused { code } => {
                tracing::info!(?attempt, code, "a change of media was refused");
                None
            }
            LegEvent::ReferProgress { code, over } => {
                tracing::info!(?attempt, code, over, "a transfer that we asked for goes on");
                None
            }
            LegEvent::Ended(ended) => self.leg_ended(attempt, ended),
        }
    }

    fn media_changed(
        &mut self,
        attempt: AttemptId,
        remote: &MediaDescription,
        local: &MediaDescription,
    ) -> Option<Event> {
        let leg = self.legs.get_mut(attempt)?;
        let (media, held, from) = (leg.media.leg, legs::holds(remote), leg.from);
        let changed = std::mem::replace(&mut leg.holds, held) != held;
        self.note_codec(attempt, remote);
        self.describe(media, (remote, local), from);
        changed.then_some(Event::Held { attempt, held })
    }

    fn handoff_requested(&mut self, attempt: AttemptId, refer_to: &str, headers: Headers) -> Option<Event> {
        let party = self.legs.get_mut(attempt)?.party;
        let declared = segue_bot::declared_by_refer(refer_to, &headers);
        if party == Party::Bot {
            self.carried.bot = headers;
        }
        match (party, declared.queue.as_deref()) {
            (Party::Bot, _) => Some(Event::BotDeclared(self.declaration(declared))),
            (Party::Agent, Some(queue)) => {
                tracing::info!(?attempt, queue, "an agent gives the caller to a queue");
                Some(Event::Referred { attempt, queue: queue.into() })
            }
            (Party::Caller | Party::Agent, _) => None,
        }
    }

    /// Somebody else has the far side of a leg: an agent of ours by the user that registers or the address that is
    /// dialled, or somebody outside.
    fn transferred(&self, attempt: AttemptId, to: &str) -> Event {
        let (user, host) = user_and_host(to).unwrap_or_default();
        let known = &self.parts.settings.sip.dialogs.transfer_hosts;
        let outside = known.iter().any(|known| known.eq_ignore_ascii_case(&host));
        let agent = self.parts.agents.values().find(|agent| {
            agent.address.as_deref() == Some(to) || (!outside && agent.user.as_ref() == Some(&user))
        });
        let (agent, name) =
            agent.map_or((None, String::new()), |agent| (Some(agent.id.clone()), agent.name.clone()));
        tracing::info!(
            ?attempt,
            to = agent.as_ref().map_or("somebody outside", |to| &to.0),
            "an agent gave the call away"
        );
        Event::Transferred { attempt, agent, name }
    }

    /// An agent who talks to the caller may give the call away, if that is allowed at all.
    pub(super) async fn allow_transfer(&mut self) {
        let allowed = self.parts.settings.sip.dialogs.agent_transfers;
        if let Some(control) = self.legs.control(Party::Agent).filter(|_| allowed) {
            control.allow_transfer(true).await;
        }
    }

    /// A key by INFO. The engine passes it on, and knows whether the media told of the same press.
    fn key_told(&mut self, attempt: AttemptId, key: char) {
        let Some(leg) = self.legs.get_mut(attempt) else { return };
        let leg = leg.media.leg;
        if let Err(error) = self.media.command(Command::Press { leg, key }) {
            tracing::error!(%error, "a key is lost");
        }
    }

    fn leg_ended(&mut self, attempt: AttemptId, ended: Ended) -> Option<Event> {
        let party = self.legs.get_mut(attempt)?.party;
        self.drop_leg(attempt);
        let declared = match &ended {
            Ended::Remote { headers } if party == Party::Bot => {
                self.carried.bot.clone_from(headers);
                self.declared(headers)
            }
            Ended::Remote { .. } | Ended::Local | Ended::Timeout | Ended::Error(_) => None,
        };
        let cause = match ended {
            Ended::Remote { .. } | Ended::Local => LegEnd::HungUp,
            Ended::Timeout => LegEnd::Lost,
            Ended::Error(_) => LegEnd::Error,
        };
        Some(Event::Ended { attempt, cause, declared })
    }

    fn declared(&self, headers: &Headers) -> Option<Declared> {
        segue_bot::declared_by_bye(headers).map(|declared| self.declaration(declared))
    }

    /// What the bot declared, in the call's words.
    fn declaration(&self, declared: segue_bot::Declared) -> Declared {
        if let Some(confidence) = declared.confidence {
            self.parts.board.confidence(&self.id, confidence);
        }
        Declared {
            reason: declared.reason,
            queue: declared.queue,
            confidence: declared.confidence,
            intent: declared.intent,
            summary: declared.summary,
            details: declared.details,
        }
    }

    /// Tells the engine where the far side is and which codec was agreed.
    fn connect(&self, media: LegId, leg: &SipLeg) -> Result<(), MediaError> {
        match leg.remote() {
            Some(remote) => self.agreed(media, (remote, leg.local()), Some(leg.signalling())),
            // The answer to our offer is still to come, with the ACK.
            None => Ok(()),
        }
    }

    /// Tells the engine what both sides agreed on: addresses, codecs, and keys if there are any.
    ///
    /// # Errors
    /// The media thread takes no orders.
    pub(super) fn agreed(
        &self,
        media: LegId,
        (remote, local): (&MediaDescription, &MediaDescription),
        signalling: Option<std::net::SocketAddr>,
    ) -> Result<(), MediaError> {
        let description = remote.clone();
        self.media.command(Command::Remote { leg: media, description, signalling })?;
        match (remote.security.first(), local.security.first()) {
            (Some(theirs), Some(ours)) => {
                let (theirs, ours) = (theirs.clone(), ours.clone());
                self.media.command(Command::Secure { leg: media, theirs, ours })
            }
            (Some(_) | None, _) => Ok(()),
        }
    }

    /// Others are offered the codec that the caller speaks now.
    pub(super) fn note_codec(&mut self, attempt: AttemptId, remote: &MediaDescription) {
        if attempt == AttemptId::CALLER
            && let Some((codec, _)) = remote.codecs.first()
        {
            self.codec = *codec;
        }
    }

    /// A leg is up: it is recorded if the call is, and collectors can be told of it.
    fn joined(&mut self, attempt: AttemptId, party: Party, answered: &SipLeg) {
        let Some(media) = self.legs.get_mut(attempt).map(|leg| leg.media) else { return };
        let theirs = answered.remote().map_or_else(|| answered.signalling(), |remote| remote.rtp);
        self.legs.known_as(media.leg, (answered.sip_call_id().to_owned(), theirs, media.rtp));
        self.tape(attempt, party, media.leg);
    }

    fn describe(
        &self,
        media: LegId,
        (remote, local): (&MediaDescription, &MediaDescription),
        signalling: Option<std::net::SocketAddr>,
    ) {
        if let Err(error) = self.agreed(media, (remote, local), signalling) {
            tracing::error!(%error, "a change of media is lost");
        }
    }

    /// Passes a leg's news on; the task owns the leg, so that its end is the leg's.
    fn follow(&mut self, attempt: AttemptId, leg: SipLeg) {
        self.tasks.spawn(pass_leg_on(attempt, leg, self.sender.clone()));
    }
}

async fn pass_dialling_on(attempt: AttemptId, mut dialing: Dialing, news: mpsc::Sender<News>) {
    while let Some(event) = dialing.next().await {
        if news.send(News::Dial(attempt, Box::new(event))).await.is_err() {
            return;
        }
    }
}

pub(super) async fn pass_leg_on(attempt: AttemptId, mut leg: SipLeg, news: mpsc::Sender<News>) {
    loop {
        let event = leg.next().await;
        let ended = matches!(event, LegEvent::Ended(_));
        if news.send(News::Leg(attempt, Box::new(event))).await.is_err() || ended {
            return;
        }
    }
}

fn how_failed(kind: FailureKind) -> DialFailure {
    match kind {
        FailureKind::Busy => DialFailure::Busy,
        FailureKind::Declined => DialFailure::Declined,
        FailureKind::NoAnswer => DialFailure::NoAnswer,
        FailureKind::Unreachable => DialFailure::Unreachable,
        FailureKind::NoCommonCodec => DialFailure::NoCommonCodec,
        FailureKind::ServerError => DialFailure::ServerError,
        FailureKind::Canceled => DialFailure::Canceled,
    }
}
