//! The task of one call: takes news, lets the call decide, carries its actions out. One owner, one queue, one alarm.
//!
//! Every event is logged with a digest of what the call did about it, before that is done; so the log replays.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use segue_call::{Action, AttemptId, Call, CallId, CallStart, Event, LegEnd, Party, PlaybackId, PlayedHow};
use segue_media::{Codec, PlayId, Report};
use segue_sip::Headers;
use segue_speech::Attention;
use segue_store::{ActionDigest, LogLine, What};
use tokio::{sync::mpsc, task::JoinSet};

use super::{
    News, headers::Carried, legs::Legs, negotiation::Terms, parts::Parts, speech::Numbers, taping::Taping,
    tongue::Tongue,
};
use crate::{config::RecordingMode, media::CallMedia, metrics};

/// News that may wait for one call. A call takes them within a store commit; at the limit they are lost and counted.
pub(super) const NEWS_MAX: usize = 1_024;

/// One call, driven.
pub(crate) struct CallTask {
    pub(super) id: CallId,
    pub(super) call: Call,
    pub(super) parts: Arc<Parts>,
    pub(super) media: CallMedia,
    pub(super) legs: Legs,
    pub(super) codec: Codec,
    /// What we say to the caller, until it is said.
    pub(super) terms: Option<Terms>,
    pub(super) number: String,
    pub(super) sender: mpsc::Sender<News>,
    pub(super) reports: mpsc::Sender<Box<Report>>,
    pub(super) tasks: JoinSet<()>,
    pub(super) plays: BTreeMap<PlaybackId, Playing>,
    pub(super) finished: bool,
    pub(super) carried: Carried,
    pub(super) taping: Taping,
    /// How recognition is told what matters about a party's voice.
    pub(super) attention: BTreeMap<Party, Attention>,
    /// Which language the caller speaks.
    pub(super) tongue: Tongue,
    pub(super) inbox: mpsc::Receiver<News>,
    pub(super) numbers: Arc<Numbers>,
}

/// Where a prompt is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Playing {
    /// Being rendered for this ear.
    Rendering(Party),
    /// Being played.
    On(PlayId),
}

/// What a call task is made of.
pub(super) struct Beginning {
    /// What is known of the call.
    pub(super) start: CallStart,
    /// Its hold on a media thread.
    pub(super) media: CallMedia,
    /// The caller's codec.
    pub(super) codec: Codec,
    /// What we say to the caller.
    pub(super) terms: Terms,
    /// What the caller's INVITE says besides.
    pub(super) headers: Headers,
    /// Its queue of news, both ends.
    pub(super) news: (mpsc::Sender<News>, mpsc::Receiver<News>),
    /// Where its media legs report to.
    pub(super) reports: mpsc::Sender<Box<Report>>,
}

impl CallTask {
    /// Makes the task. The caller's leg is added before it runs.
    pub(super) fn new(parts: Arc<Parts>, beginning: Beginning) -> Self {
        let tongue = Tongue::new(&parts, &beginning.start.language);
        let Beginning { start, media, codec, terms, headers, news, reports } = beginning;
        let numbers = Numbers::new(start.id.clone(), &parts);
        Self {
            id: start.id.clone(),
            number: start.caller.number.clone(),
            call: Call::new(start, Arc::clone(&parts.policy), Arc::clone(&parts.rules)),
            parts,
            media,
            legs: Legs::default(),
            codec,
            terms: Some(terms),
            sender: news.0,
            reports,
            tasks: JoinSet::new(),
            plays: BTreeMap::new(),
            finished: false,
            carried: Carried { caller: headers, ..Carried::default() },
            taping: Taping::default(),
            attention: BTreeMap::new(),
            tongue,
            numbers,
            inbox: news.1,
        }
    }

    /// Drives the call to its end. `start` is stored first: without it the call could not be replayed.
    pub(super) async fn run(mut self: Box<Self>, start: CallStart) {
        if self.parts.settings.recording.mode == RecordingMode::All {
            self.start_recording();
        }
        let actions = self.drain();
        let opened = What::Opened {
            start: serde_json::to_value(&start).unwrap_or_default(),
            policy: Arc::clone(&self.parts.policy_text),
            actions: ActionDigest::of(&actions),
        };
        self.promise(opened).await;
        self.carry_out_all(actions).await;
        while !self.finished {
            match self.next().await {
                Some(news) => {
                    if let Some(event) = self.translate(news) {
                        self.step(event).await;
                    }
                }
                None => self.step(Event::Alarm).await,
            }
            while self.tasks.try_join_next().is_some() {}
        }
        while let Some(attempt) = self.legs.any() {
            tracing::error!(?attempt, "a leg outlived its call");
            self.drop_leg(attempt);
        }
        self.take_last_heard().await;
    }

    /// The next piece of news; `None` when the call's alarm rings.
    async fn next(&mut self) -> Option<News> {
        // The call holds a sender itself, so the queue never closes.
        match self.call.poll_timeout() {
            Some(at) => {
                tokio::time::timeout_at(self.parts.clock.instant(at), self.inbox.recv()).await.ok().flatten()
            }
            None => self.inbox.recv().await,
        }
    }

    async fn step(&mut self, event: Event) {
        let now = self.parts.clock.now();
        self.call.handle(now, event.clone());
        let actions = self.drain();
        self.attend();
        self.append(now, What::Event { event, actions: ActionDigest::of(&actions) });
        self.carry_out_all(actions).await;
    }

    fn drain(&mut self) -> Vec<Action> {
        std::iter::from_fn(|| self.call.poll_action()).collect()
    }

    fn line(&self, at: Duration, what: What) -> LogLine {
        LogLine { call: self.id.clone(), seq: self.numbers.next_line(), at, what }
    }

    /// Stores without waiting.
    pub(super) fn append(&mut self, at: Duration, what: What) {
        let line = self.line(at, what);
        if let Err(refused) = self.parts.store.append(line) {
            metrics::log_line_lost();
            tracing::debug!(%refused, "the store did not take a line");
        }
    }

    /// Stores durably. A store in trouble is reported and does not stop the call: the caller comes first.
    pub(super) async fn promise(&mut self, what: What) {
        let now = self.parts.clock.now();
        let line = self.line(now, what);
        if let Err(error) = self.parts.store.promise(line).await {
            metrics::log_line_lost();
            tracing::error!(%error, "a promise is not in the store; the call goes on without it");
        }
    }

    /// What a piece of news means to the call.
    fn translate(&mut self, news: News) -> Option<Event> {
        match news {
            News::Event(event) => Some(*event),
            News::Dial(attempt, event) => self.dialled(attempt, *event),
            News::Leg(attempt, event) => self.leg_news(attempt, *event),
            News::AnsweredEarly(answered) => self.answered_early(answered),
            News::Media(report) => self.reported(*report),
            News::Heard(talker, heard) => self.heard(talker, *heard),
            News::Told(words) => self.told(*words),
            News::Record(order, reply) => {
                let answer = self.record(order);
                // Who does not wait any more finds the news in the event stream.
                drop(reply.send(answer));
                None
            }
            News::RecordingFailed(why) => {
                self.recording_failed(&why);
                None
            }
            News::Rendered(playback, sound) => self.rendered(playback, sound),
        }
    }

    fn reported(&mut self, report: Report) -> Option<Event> {
        match report {
            Report::Played { play, finished } => {
                let (&playback, _) = self.plays.iter().find(|(_, playing)| **playing == Playing::On(play))?;
                self.plays.remove(&playback);
                let how = if finished { PlayedHow::Finished } else { PlayedHow::Stopped };
                Some(Event::Played { playback, how })
            }
            Report::Key { leg, key } => {
                let attempt = self.legs.attempt(leg)?;
                Some(Event::Key { attempt, key })
            }
            Report::Refused { leg } => {
                tracing::error!("the media engine is full");
                let attempt = self.legs.attempt(leg)?;
                self.drop_leg(attempt);
                Some(Event::Ended { attempt, cause: LegEnd::Error, declared: None })
            }
            Report::Dead { leg, silent } => {
                let attempt = self.legs.attempt(leg)?;
                tracing::info!(?attempt, silent_s = silent.as_secs(), "nothing is heard of a leg any more");
                Some(Event::Dead { attempt, silent })
            }
            Report::Filled { .. }
            | Report::Measured { .. }
            | Report::Quality { .. }
            | Report::Closed { .. }
            | Report::Heard { .. } => {
                self.measured(&report);
                None
            }
        }
    }

    /// Ends a leg on every plane.
    pub(super) fn drop_leg(&mut self, attempt: AttemptId) {
        if let Some(leg) = self.legs.remove(attempt) {
            self.media.close(leg.media.leg);
        }
    }
}
