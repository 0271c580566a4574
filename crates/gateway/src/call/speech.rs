//! What a call hears of its voices, and what it tells recognition about them.
//!
//! Recognition may know words only after the call has ended: the last ones before the caller hung up, and those of an
//! agent that were put off. What numbers lines and utterances therefore outlives the call's task, and carries on
//! where that ended: such words go to the store and to subscribers, and decide nothing any more.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use segue_api::{Feed, News as Told, ToldWords};
use segue_call::{Action, CallId, Entry, Event, Milestone, Party, Phase, TranscriptGap, VoiceNews};
use segue_media::LegId;
use segue_speech::{Gap, GapCause, Heard, Hypothesis, Recognizer, StreamOptions, pool::Sink};
use segue_store::{ActionDigest, LogLine, Store, What};
use segue_trigger::{Speaker, Stage, Utterance, UtteranceId};
use tokio::sync::mpsc::{self, error::TrySendError};

use super::{News, parts::Parts, task::CallTask};
use crate::{clock::Clock, metrics};

/// Numbers the lines and utterances of one call, while it lives and afterwards.
pub(super) struct Numbers {
    call: CallId,
    /// What words that come after the call's end need; all of the parts would keep recognition alive by itself.
    clock: Clock,
    store: Store,
    feed: Arc<Feed>,
    /// The last line.
    line: AtomicU64,
    utterances: Mutex<Utterances>,
}

/// One voice of a call. Each leg has its own: two agents, one after the other, are two of one party.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Talker {
    party: Party,
    number: u32,
}

#[derive(Default)]
struct Utterances {
    last: u32,
    talkers: u32,
    /// Those that are not over, by their numbers in their voices. A partial and its final share a number.
    growing: BTreeMap<(Talker, u64), UtteranceId>,
    /// Those of them whose words come late.
    put_off: BTreeSet<(Talker, u64)>,
}

impl Numbers {
    /// Begins a call.
    pub(super) fn new(call: CallId, parts: &Parts) -> Arc<Self> {
        Arc::new(Self {
            call,
            clock: parts.clock,
            store: parts.store.clone(),
            feed: Arc::clone(&parts.feed),
            line: AtomicU64::new(0),
            utterances: Mutex::default(),
        })
    }

    /// The number of the next line.
    pub(super) fn next_line(&self) -> u64 {
        self.line.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn talker(&self, party: Party) -> Talker {
        let mut utterances = self.utterances();
        utterances.talkers += 1;
        Talker { party, number: utterances.talkers }
    }

    /// Makes an utterance of a hypothesis; none of a late one that was not said in the conversation.
    fn utterance(&self, talker: Talker, hypothesis: Hypothesis) -> Option<Utterance> {
        let place = (talker, hypothesis.segment);
        let mut utterances = self.utterances();
        let late = hypothesis.stage == Stage::Late;
        if late && !utterances.put_off.remove(&place) {
            return None;
        }
        let id = utterances.number(place);
        if hypothesis.stage != Stage::Partial {
            utterances.growing.remove(&place);
        }
        Some(Utterance {
            id,
            speaker: speaker(talker.party),
            text: hypothesis.text,
            start: hypothesis.start,
            end: hypothesis.end,
            confidence: hypothesis.confidence,
            stage: hypothesis.stage,
            level: hypothesis.level.map(tenths),
        })
    }

    /// Makes an utterance of words that the bot heard for itself: they ended now.
    fn told(&self, words: ToldWords) -> Option<Utterance> {
        let party = match words.speaker {
            Speaker::Caller => Party::Caller,
            Speaker::Bot => Party::Bot,
            Speaker::Agent => Party::Agent,
        };
        let mut utterances = self.utterances();
        if utterances.growing.len() >= TOLD_MAX {
            // Partials whose final never came.
            utterances.growing.pop_first();
        }
        // Without a number of its own it is an utterance of its own.
        let segment = words.utterance.unwrap_or(u64::MAX - u64::from(utterances.last));
        drop(utterances);
        let end = self.clock.now();
        let hypothesis = Hypothesis {
            segment,
            speaker: words.speaker,
            stable: words.text.len(),
            text: words.text,
            start: end.saturating_sub(words.lasted),
            end,
            confidence: words.confidence,
            stage: words.stage,
            language: None,
            level: None,
        };
        // No voice that we hear ourselves has that number.
        self.utterance(Talker { party, number: 0 }, hypothesis)
    }

    /// Its words come late.
    fn put_off(&self, talker: Talker, segment: u64) {
        let mut utterances = self.utterances();
        utterances.number((talker, segment));
        utterances.put_off.insert((talker, segment));
    }

    /// It has no words. Gives whether they were waited for until now: those that were put off are not.
    fn forget(&self, talker: Talker, segment: u64) -> bool {
        let mut utterances = self.utterances();
        utterances.growing.remove(&(talker, segment));
        !utterances.put_off.remove(&(talker, segment))
    }

    /// News that came after the call's task had ended.
    fn afterwards(&self, talker: Talker, heard: Heard) {
        let kept = match heard {
            // What a bot or an agent said last may have been said to nobody.
            Heard::Hypothesis(words) if talker.party == Party::Caller || words.stage == Stage::Late => {
                let utterance = self.utterance(talker, words).filter(|said| said.stage != Stage::Partial);
                utterance.map(|said| {
                    let event = Event::Heard(said.clone());
                    (What::Event { event, actions: ActionDigest::of(&[]) }, Milestone::Heard(said))
                })
            }
            Heard::Gap(gap) => {
                if let Some(segment) = gap.segment {
                    self.forget(talker, segment);
                }
                Some(self.gap(talker.party, gap))
            }
            Heard::Withdrawn { segment } => {
                self.forget(talker, segment);
                None
            }
            Heard::Hypothesis(_) | Heard::Started { .. } | Heard::PutOff { .. } => None,
        };
        let Some((what, milestone)) = kept else { return };
        let at = self.clock.now();
        let line = LogLine { call: self.call.clone(), seq: self.next_line(), at, what };
        if let Err(refused) = self.store.append(line) {
            metrics::log_line_lost();
            tracing::debug!(%refused, "the store did not take words that came after the call");
        }
        self.feed.publish(at, Told::Call(self.call.clone(), milestone));
    }

    /// Counts a hole and makes what is kept and told of it.
    fn gap(&self, party: Party, gap: Gap) -> (What, Milestone) {
        let told = TranscriptGap {
            speaker: speaker(party),
            start: gap.start,
            end: gap.end,
            cause: cause(gap.cause),
        };
        metrics::transcript_gap(cause_name(gap.cause).to_owned());
        tracing::warn!(?party, cause = cause_name(gap.cause), "the transcript has a hole");
        (What::Entry(Entry::TranscriptGap(told)), Milestone::TranscriptGap(told))
    }

    fn utterances(&self) -> MutexGuard<'_, Utterances> {
        self.utterances.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Utterances {
    /// The number of an utterance; they run over all speakers.
    fn number(&mut self, place: (Talker, u64)) -> UtteranceId {
        *self.growing.entry(place).or_insert_with(|| {
            self.last += 1;
            UtteranceId(self.last)
        })
    }
}

/// Utterances of the bot's that may grow at a time; at the limit the oldest becomes another utterance.
const TOLD_MAX: usize = 64;

impl CallTask {
    /// Words that somebody else recognised.
    pub(super) fn told(&self, words: ToldWords) -> Option<Event> {
        self.numbers.told(words).map(Event::Heard)
    }

    /// Has a party's voice recognised. Without recognition the call goes on: keys and the bot's word still work.
    pub(super) fn listen(&mut self, party: Party, media: LegId) {
        let Some(speech) = &self.parts.speech else { return };
        let options = StreamOptions {
            speaker: speaker(party),
            language: self.tongue.told(party),
            partials: party == Party::Caller,
            sink: sink(self.numbers.talker(party), self.sender.clone(), Arc::clone(&self.numbers)),
        };
        let listening = speech.open(options).map_err(|error| error.to_string()).and_then(|mut stream| {
            let attention = stream.attention();
            let listener = Box::new(move |frame: &segue_media::TapFrame| stream.push(frame.at, frame.into()));
            self.media.listen(media, listener).map_err(|error| error.to_string()).map(|()| attention)
        });
        match listening {
            Ok(attention) => {
                self.attention.insert(party, attention);
                self.attend();
            }
            Err(error) => {
                metrics::voice_untranscribed(party);
                tracing::warn!(?party, %error, "a voice is not transcribed");
            }
        }
    }

    /// Tells recognition what matters about the voices now.
    pub(super) fn attend(&self) {
        let near = self.call.is_near_handoff();
        let waits = self.call.waits_for_words();
        for (party, attention) in &self.attention {
            attention.near_handoff(near);
            attention.needs_partials(waits && *party == Party::Caller);
        }
    }

    /// What news of a recogniser means to the call.
    pub(super) fn heard(&mut self, talker: Talker, heard: Heard) -> Option<Event> {
        let party = talker.party;
        let nothing = Event::Voice(VoiceNews::Nothing { speaker: speaker(party) });
        match heard {
            Heard::Hypothesis(hypothesis) => {
                self.consider(party, &hypothesis);
                self.numbers.utterance(talker, hypothesis).map(Event::Heard)
            }
            Heard::Withdrawn { segment } => self.numbers.forget(talker, segment).then_some(nothing),
            Heard::PutOff { segment, .. } => {
                // What an agent says to the whisper is no part of the conversation, neither now nor later.
                if party == Party::Agent && self.call.phase() == Phase::WithAgent {
                    self.numbers.put_off(talker, segment);
                }
                // Its words come long after: nobody waits for them.
                Some(nothing)
            }
            Heard::Gap(gap) => {
                let waited = gap.segment.is_some_and(|segment| self.numbers.forget(talker, segment));
                let (what, milestone) = self.numbers.gap(party, gap);
                let now = self.parts.clock.now();
                if let What::Entry(entry) = &what {
                    self.parts.board.see(&self.id, now, &Action::Note(entry.clone()));
                }
                self.append(now, what);
                self.parts.feed.publish(now, Told::Call(self.id.clone(), milestone));
                waited.then_some(nothing)
            }
            Heard::Started { at, .. } => {
                Some(Event::Voice(VoiceNews::Speaks { speaker: speaker(party), at }))
            }
        }
    }

    /// Waits for the last numbers of the legs, and takes what was heard and not looked at when the call ended.
    pub(super) async fn take_last_heard(&mut self) {
        self.take_last_words().await;
        self.inbox.close();
        while let Some(news) = self.inbox.recv().await {
            if let News::Heard(talker, heard) = news {
                self.numbers.afterwards(talker, *heard);
            }
        }
    }
}

/// Brings news to the call's task; after its end they are taken without it.
fn sink(talker: Talker, sender: mpsc::Sender<News>, numbers: Arc<Numbers>) -> Sink {
    Box::new(move |heard| match sender.try_send(News::Heard(talker, Box::new(heard))) {
        Ok(()) => {}
        Err(TrySendError::Closed(News::Heard(talker, heard))) => numbers.afterwards(talker, *heard),
        Err(TrySendError::Closed(_) | TrySendError::Full(_)) => metrics::news_lost(),
    })
}

/// Who speaks on a party's leg.
fn speaker(party: Party) -> Speaker {
    match party {
        Party::Caller => Speaker::Caller,
        Party::Bot => Speaker::Bot,
        Party::Agent => Speaker::Agent,
    }
}

/// Levels are written down in tenths of a decibel: more is noise, and an event has to read as it was written.
fn tenths(level: f32) -> f32 {
    (level * 10.0).round() / 10.0
}

fn cause(cause: GapCause) -> segue_call::GapCause {
    match cause {
        GapCause::Overload => segue_call::GapCause::Overload,
        GapCause::AudioLost => segue_call::GapCause::AudioLost,
        GapCause::FramesDropped => segue_call::GapCause::FramesDropped,
        GapCause::EngineFailed => segue_call::GapCause::EngineFailed,
        GapCause::Stopped => segue_call::GapCause::Stopped,
    }
}

fn cause_name(cause: GapCause) -> &'static str {
    match cause {
        GapCause::Overload => "overload",
        GapCause::AudioLost => "audio_lost",
        GapCause::FramesDropped => "frames_dropped",
        GapCause::EngineFailed => "engine_failed",
        GapCause::Stopped => "stopped",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use segue_store::StoreConfig;

    use super::*;

    async fn numbers(folder: &std::path::Path) -> (Numbers, impl Future<Output = ()>) {
        let (store, writer) = Store::open(folder.join("segue.db"), StoreConfig::default()).await.unwrap();
        let numbers = Numbers {
            call: CallId("c1".to_owned()),
            clock: Clock::start(),
            store,
            feed: Arc::new(Feed::new(Duration::ZERO, 8)),
            line: AtomicU64::new(4),
            utterances: Mutex::default(),
        };
        (numbers, writer.run())
    }

    fn words(segment: u64, speaker: Speaker, stage: Stage) -> Hypothesis {
        Hypothesis {
            segment,
            speaker,
            text: "it leaves today".to_owned(),
            stable: 0,
            start: Duration::from_secs(segment),
            end: Duration::from_secs(segment + 1),
            confidence: 0.9,
            stage,
            language: None,
            level: None,
        }
    }

    #[tokio::test]
    async fn utterances_are_numbered_over_all_voices_and_no_two_agents_share_one() {
        let folder = tempfile::tempdir().unwrap();
        let (numbers, _writer) = numbers(folder.path()).await;
        let (first, second) = (numbers.talker(Party::Agent), numbers.talker(Party::Agent));
        let number =
            |talker, stage| numbers.utterance(talker, words(1, Speaker::Agent, stage)).map(|said| said.id.0);
        numbers.put_off(first, 1);
        assert_eq!(number(second, Stage::Partial), Some(2));
        assert_eq!(number(second, Stage::Final), Some(2));
        assert_eq!(number(second, Stage::Late), None, "it was not put off in the conversation");
        assert_eq!(number(first, Stage::Late), Some(1));
        assert_eq!(number(first, Stage::Late), None, "once");
    }

    #[tokio::test]
    async fn what_comes_after_the_call_is_told_and_kept_if_it_was_said_to_somebody() {
        let folder = tempfile::tempdir().unwrap();
        let (numbers, _writer) = numbers(folder.path()).await;
        let (caller, bot) = (numbers.talker(Party::Caller), numbers.talker(Party::Bot));
        let agent = numbers.talker(Party::Agent);
        numbers.put_off(agent, 3);
        for (talker, heard, news) in [
            (caller, Heard::Hypothesis(words(1, Speaker::Caller, Stage::Partial)), 0),
            (caller, Heard::Hypothesis(words(1, Speaker::Caller, Stage::Final)), 1),
            (bot, Heard::Hypothesis(words(1, Speaker::Bot, Stage::Final)), 0),
            (agent, Heard::Hypothesis(words(2, Speaker::Agent, Stage::Late)), 0),
            (agent, Heard::Hypothesis(words(3, Speaker::Agent, Stage::Late)), 1),
            (caller, Heard::Withdrawn { segment: 2 }, 0),
        ] {
            let before = numbers.feed.newest();
            numbers.afterwards(talker, heard.clone());
            assert_eq!(numbers.feed.newest() - before, news, "{heard:?}");
        }
        assert_eq!(numbers.next_line(), 7, "two lines were given to the store");
    }
}
