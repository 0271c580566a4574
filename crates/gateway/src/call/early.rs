//! A caller who hears us before the answer: said as early media, answered when there is somebody to talk to or wait for.
//!
//! A task owns the ringing call, waits for its news and for the decision, and then passes on the news of its leg.

use segue_call::{AttemptId, Event, LegEnd, Party};
use segue_media::LegId;
use segue_sip::{Answer, AnswerError, IncomingCall, Leg as SipLeg, LegEvent, Refusal};
use tokio::sync::{mpsc, oneshot};

use super::{News, dialling::pass_leg_on, legs::Signalling, task::CallTask};
use crate::media::MediaError;

/// What is to become of a call that hears us early.
pub(super) enum Decision {
    /// Answer it.
    Answer(Answer),
    /// Refuse it.
    Refuse(Refusal),
}

impl CallTask {
    /// Lets the caller hear us unanswered. Gives the call back if it cannot be done.
    ///
    /// # Errors
    /// The media thread is stuck.
    pub(super) async fn hear_early(
        &mut self,
        mut incoming: Box<IncomingCall>,
        answer: Answer,
        media: LegId,
    ) -> Result<Result<Signalling, Box<IncomingCall>>, MediaError> {
        let signalling = Some(incoming.invitation().signalling);
        match incoming.early(answer.clone()).await {
            Ok((remote, local)) => {
                if let Some(remote) = remote {
                    self.note_codec(AttemptId::CALLER, &remote);
                    self.agreed(media, (&remote, &local), signalling)?;
                }
                let (decide, decision) = oneshot::channel();
                self.tasks.spawn(wait_early(*incoming, decision, self.sender.clone()));
                Ok(Ok(Signalling::Early(decide, answer)))
            }
            // Whatever is wrong, the answer will say it in its own way.
            Err(error) => {
                tracing::debug!(%error, "the caller cannot hear us early");
                Ok(Err(incoming))
            }
        }
    }

    /// There is somebody to talk to, or a queue to wait in: a caller who hears us early is answered.
    pub(super) fn answer_early(&mut self) {
        let Some(leg) = self.legs.get_mut(AttemptId::CALLER) else { return };
        match std::mem::replace(&mut leg.signalling, Signalling::Answering) {
            Signalling::Early(decide, answer) => {
                // A task that is gone has told why.
                drop(decide.send(Decision::Answer(answer)));
            }
            other @ (Signalling::Waiting(_)
            | Signalling::Answering
            | Signalling::Dialling(_)
            | Signalling::Up(_)) => leg.signalling = other,
        }
    }

    /// What the answer of a caller who heard us early came to.
    pub(super) fn answered_early(
        &mut self,
        answered: Result<Box<AnsweredEarly>, AnswerError>,
    ) -> Option<Event> {
        match answered {
            Ok(answered) => {
                let leg = self.legs.get_mut(AttemptId::CALLER)?;
                let media = leg.media.leg;
                leg.signalling = Signalling::Up(answered.control);
                self.tape(AttemptId::CALLER, Party::Caller, media);
                None
            }
            Err(error) => {
                tracing::info!(%error, "the caller was not answered");
                let cause = match error {
                    AnswerError::Canceled => LegEnd::HungUp,
                    AnswerError::NoCommonCodec | AnswerError::NoEarlyMedia | AnswerError::Closed => {
                        LegEnd::Error
                    }
                };
                self.drop_leg(AttemptId::CALLER);
                Some(Event::Ended { attempt: AttemptId::CALLER, cause, declared: None })
            }
        }
    }
}

/// A caller's leg that is up now.
pub(crate) struct AnsweredEarly {
    control: segue_sip::LegControl,
}

/// Owns the call until it is decided, and its leg afterwards.
async fn wait_early(
    mut incoming: IncomingCall,
    mut decision: oneshot::Receiver<Decision>,
    news: mpsc::Sender<News>,
) {
    let decided = loop {
        tokio::select! {
            decided = &mut decision => break decided,
            changed = incoming.changed() => {
                let told = match changed {
                    Some((remote, local)) => {
                        let changed = LegEvent::MediaChanged { remote, local };
                        News::Leg(AttemptId::CALLER, Box::new(changed))
                    }
                    None => News::AnsweredEarly(Err(AnswerError::Canceled)),
                };
                let over = matches!(told, News::AnsweredEarly(_));
                if news.send(told).await.is_err() || over {
                    return;
                }
            }
        }
    };
    match decided {
        Ok(Decision::Answer(answer)) => match incoming.answer(answer).await {
            Ok(leg) => follow_early(leg, news).await,
            Err(error) => drop(news.send(News::AnsweredEarly(Err(error))).await),
        },
        Ok(Decision::Refuse(refusal)) => incoming.refuse(refusal).await,
        // The call forgot it: dropping it refuses it.
        Err(_forgotten) => {}
    }
}

async fn follow_early(leg: SipLeg, news: mpsc::Sender<News>) {
    let answered = Box::new(AnsweredEarly { control: leg.control() });
    if news.send(News::AnsweredEarly(Ok(answered))).await.is_ok() {
        pass_leg_on(AttemptId::CALLER, leg, news).await;
    }
}
