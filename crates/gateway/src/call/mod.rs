//! Live calls: each is a task of its own; this is where they begin and how they are reached.

mod carry;
mod dialling;
mod early;
mod headers;
mod legs;
mod measure;
mod negotiation;
mod news;
mod parts;
mod speech;
mod taping;
mod task;
mod tongue;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use segue_acd::TicketId;
use segue_api::{DeskError, RecordingOrder, RecordingState, ToldWords};
use segue_call::{AttemptId, CallId, CallStart, CallerIdentity, Event, Party};
use segue_media::{Codec, Command, Report};
use segue_sip::{IncomingCall, Invitation};
use tokio::sync::{mpsc, oneshot};
use tracing::Instrument;

use self::{
    legs::{Leg, Signalling},
    negotiation::Terms,
    task::{Beginning, CallTask, NEWS_MAX},
};
pub(crate) use self::{news::News, parts::Parts};
use crate::media::MediaError;

/// Reports of the media thread that may wait for one call.
const REPORTS_MAX: usize = 256;

/// How every live call is reached.
#[derive(Default)]
pub(crate) struct Calls {
    calls: Mutex<BTreeMap<CallId, mpsc::Sender<News>>>,
}

impl Calls {
    /// Makes the task of a new call. It is known from here on, and forgotten when the task ends, however it ends.
    ///
    /// # Errors
    /// No media thread or port can be had; the caller is given back to be refused.
    pub(crate) fn begin(
        self: &Arc<Self>,
        parts: &Arc<Parts>,
        incoming: Box<IncomingCall>,
        first_ticket: TicketId,
    ) -> Result<impl Future<Output = ()> + Send + use<>, (Box<IncomingCall>, MediaError)> {
        let invitation = incoming.invitation();
        let terms = match Terms::caller(&parts.settings, &invitation.source) {
            Ok(terms) => terms,
            Err(error) => return Err((incoming, MediaError::Keys(error.to_string()))),
        };
        let choice = invitation.offer.as_ref().and_then(|offer| terms.choice(offer));
        let codec = choice.unwrap_or(Codec::Pcmu);
        let start = starting(parts, invitation, first_ticket);
        let offer = invitation.offer.clone().map(|mut offer| {
            offer.codecs.sort_by_key(|(offered, _)| *offered != codec);
            offer
        });
        let headers = invitation.headers.clone();
        let signalling = invitation.signalling;
        let (sender, inbox) = mpsc::channel(NEWS_MAX);
        let (reports, reported) = mpsc::channel(REPORTS_MAX);
        let opened = parts.media.place().ok_or(MediaError::Stuck).and_then(|mut media| {
            let leg = media.open(codec, true, reports.clone())?;
            if let Some(description) = offer {
                let signalling = Some(signalling);
                media.command(Command::Remote { leg: leg.leg, description, signalling })?;
            }
            Ok((media, leg))
        });
        let (media, leg) = match opened {
            Ok(opened) => opened,
            Err(error) => return Err((incoming, error)),
        };
        let id = start.id.clone();
        let beginning = Beginning {
            start: start.clone(),
            media,
            codec,
            terms,
            headers,
            news: (sender.clone(), inbox),
            reports,
        };
        // Boxed, so that the future of its life does not hold it twice: before its first step and after.
        let mut task = Box::new(CallTask::new(Arc::clone(parts), beginning));
        task.legs.insert(
            AttemptId::CALLER,
            Leg {
                party: Party::Caller,
                media: leg,
                signalling: Signalling::Waiting(incoming),
                from: Some(signalling),
                holds: false,
            },
        );
        task.tasks.spawn(forward(reported, sender.clone()));
        parts.board.open(id.clone(), start.at, start.caller.number.clone(), start.language.clone());
        self.calls().insert(id.clone(), sender);
        let known = Known { calls: Arc::clone(self), parts: Arc::clone(parts), id };
        let span = tracing::info_span!("call", id = %start.id);
        let life = async move {
            task.run(start).await;
            drop(known);
        };
        Ok(life.instrument(span))
    }

    /// Tells one call something; false if there is no such call or it takes nothing any more.
    pub(crate) fn tell(&self, call: &CallId, event: Event) -> bool {
        self.calls().get(call).is_some_and(|sender| sender.try_send(News::Event(Box::new(event))).is_ok())
    }

    /// Tells one call words that somebody else recognised; false as with `tell`.
    pub(crate) fn tell_words(&self, call: &CallId, words: ToldWords) -> bool {
        self.calls().get(call).is_some_and(|sender| sender.try_send(News::Told(Box::new(words))).is_ok())
    }

    /// Asks one call about its recording; none if there is no such call or it does not answer.
    pub(crate) async fn record(
        &self,
        call: &CallId,
        order: RecordingOrder,
    ) -> Option<Result<RecordingState, DeskError>> {
        let (reply, answer) = oneshot::channel();
        let sender = self.calls().get(call).cloned()?;
        sender.try_send(News::Record(order, reply)).ok()?;
        answer.await.ok()
    }

    /// Tells every call something.
    pub(crate) fn tell_all(&self, event: &Event) {
        for (call, sender) in self.calls().iter() {
            if sender.try_send(News::Event(Box::new(event.clone()))).is_err() {
                tracing::warn!(%call, "a call does not take news");
            }
        }
    }

    /// How many calls live.
    pub(crate) fn len(&self) -> usize {
        self.calls().len()
    }

    fn calls(&self) -> MutexGuard<'_, BTreeMap<CallId, mpsc::Sender<News>>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a call begins with.
fn starting(parts: &Parts, invitation: &Invitation, first_ticket: TicketId) -> CallStart {
    let headers = invitation.headers.iter().map(|(name, value)| (name.to_lowercase(), value.clone()));
    CallStart {
        id: CallId(uuid::Uuid::now_v7().to_string()),
        at: parts.clock.now(),
        caller: CallerIdentity {
            number: invitation.from.user.clone(),
            name: invitation.from.display.clone(),
            headers: headers.collect(),
        },
        language: tongue::of_trunk(parts, &invitation.source),
        first_ticket,
        transcribed: parts.speech.is_some(),
    }
}

/// Forgets the call when its task ends, be it by a panic.
struct Known {
    calls: Arc<Calls>,
    parts: Arc<Parts>,
    id: CallId,
}

impl Drop for Known {
    fn drop(&mut self) {
        self.calls.calls().remove(&self.id);
        self.parts.board.close(&self.id);
    }
}

/// Puts the media thread's reports into the call's one queue.
async fn forward(mut reports: mpsc::Receiver<Box<Report>>, news: mpsc::Sender<News>) {
    while let Some(report) = reports.recv().await {
        if news.send(News::Media(report)).await.is_err() {
            return;
        }
    }
}
